//! What the answer shall be: text, JSON, pictures or speech (docs/openai-chat.md "Response format").

use crate::api::params::{
    Field, Object, path, read, read_at, take, take_as, take_list, take_object, take_text, unknown_word, wrong_type,
};
use crate::conversation::asked::Asked;
use crate::conversation::format::Format;
use crate::conversation::plan::AudioFormat;
use crate::error::ApiError;
use crate::gemini::models::Model;
use serde_json::{Map, Value, json};

/// OpenAI's voices, and those of Google's that stand in for them (docs/media.md "Speech").
const VOICES: [(&str, &str); 13] = [
    ("alloy", "Kore"),
    ("ash", "Iapetus"),
    ("ballad", "Algieba"),
    ("cedar", "Achird"),
    ("coral", "Sulafat"),
    ("echo", "Charon"),
    ("fable", "Umbriel"),
    ("marin", "Despina"),
    ("nova", "Leda"),
    ("onyx", "Orus"),
    ("sage", "Vindemiatrix"),
    ("shimmer", "Achernar"),
    ("verse", "Puck"),
];

/// Google's name of a voice, which may be one of OpenAI's.
pub(crate) fn voice(name: &str) -> &str {
    VOICES.iter().find(|(openai, _)| openai.eq_ignore_ascii_case(name)).map_or(name, |(_, google)| google)
}

/// Reads the format of an answer; `param` is the path of its field. The schema may stand in it or, as in chat, in its
/// `json_schema`.
pub(crate) fn format(given: Option<Value>, param: &str) -> Result<Format, ApiError> {
    let mut format = match given {
        None => return Ok(Format::Text),
        Some(Value::Object(format)) => format,
        Some(Value::String(kind)) => Map::from_iter([("type".to_owned(), json!(kind))]),
        Some(other) => return Err(wrong_type(param, Object::WANTED, &other)),
    };
    match read_at::<String>(&mut format, param, "type")?.as_deref() {
        None | Some("text") => Ok(Format::Text),
        Some("json_object") => Ok(Format::Json(take(&mut format, "schema"))),
        Some("json_schema") => {
            let inner = take_object(&mut format, "json_schema").and_then(|mut inner| take(&mut inner, "schema"));
            Ok(Format::Json(inner.or_else(|| take(&mut format, "schema"))))
        }
        Some(kind) => Err(unknown_word(path(param, "type"), kind, "'text', 'json_object' and 'json_schema'")),
    }
}

/// The most alternatives to a token that OpenAI and Google give.
const MOST_LOGPROBS: i64 = 20;

/// Takes `logprobs` and `top_logprobs` out of a request of chat.
pub(crate) fn logprobs(body: &mut Object, asked: &mut Asked) -> Result<(), ApiError> {
    if take_as(body, "logprobs") == Some(true) {
        return token_probabilities(body, asked);
    }
    if take(body, "top_logprobs").is_some() {
        let message = "'top_logprobs' is only allowed when 'logprobs' is true.";
        return Err(ApiError::invalid("top_logprobs", "invalid_value", message));
    }
    Ok(())
}

/// Asks for the probabilities of tokens, with so many alternatives as `top_logprobs` says. Which service gives them is seen
/// where it is asked; an answer that has them unasked is translated all the same.
pub(crate) fn token_probabilities(body: &mut Object, asked: &mut Asked) -> Result<(), ApiError> {
    let top: i64 = read(body, "top_logprobs")?.unwrap_or(0);
    if !(0..=MOST_LOGPROBS).contains(&top) {
        let message = format!("'top_logprobs' must be between 0 and {MOST_LOGPROBS}.");
        return Err(ApiError::invalid("top_logprobs", "invalid_value", message));
    }
    asked.plan.logprobs = true;
    if !asked.model.gives_logprobs() {
        asked.toolbox.notice(format!("logprobs was left out: {} gives no token probabilities.", asked.model.name));
        return Ok(());
    }
    asked.config.insert("responseLogprobs".into(), json!(true));
    if top > 0 {
        asked.config.insert("logprobs".into(), json!(top));
    }
    Ok(())
}

/// Takes `modalities` and `audio` out of a request: what else than text the answer may have.
pub(crate) fn modalities(
    body: &mut Object,
    model: &Model,
    config: &mut Map<String, Value>,
) -> Result<Option<AudioFormat>, ApiError> {
    let modalities = take_list(body, "modalities").unwrap_or_default();
    let has =
        |word: &str| modalities.iter().any(|kind| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(word)));
    let mut audio = take_object(body, "audio").unwrap_or_default();
    if !model.speech_output {
        if has("audio") {
            let message = "This model does not answer with audio.";
            return Err(ApiError::invalid("modalities", "unsupported_value", message));
        }
        if has("image") && model.image_output {
            config.insert("responseModalities".into(), json!(["TEXT", "IMAGE"]));
        }
        return Ok(None);
    }
    let format = match take_text(&mut audio, "format").as_deref() {
        None | Some("wav") => AudioFormat::Wav,
        Some("pcm16") => AudioFormat::Pcm16,
        #[cfg(feature = "media")]
        Some("mp3") => AudioFormat::Mp3,
        Some(_) => {
            let mp3 = if cfg!(feature = "media") { "'mp3', " } else { "" };
            let message = format!("Only {mp3}'wav' and 'pcm16' are supported.");
            return Err(ApiError::invalid("audio.format", "unsupported_value", message));
        }
    };
    config.insert("responseModalities".into(), json!(["AUDIO"]));
    let named = match take(&mut audio, "voice") {
        Some(Value::Object(mut object)) => take_text(&mut object, "id"),
        given => given.and_then(|name| name.as_str().map(str::to_owned)),
    };
    if let Some(name) = named {
        let voice = json!({"prebuiltVoiceConfig": {"voiceName": voice(name.trim())}});
        config.insert("speechConfig".into(), json!({ "voiceConfig": voice }));
    }
    Ok(Some(format))
}
