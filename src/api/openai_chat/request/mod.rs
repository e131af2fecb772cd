//! The fields of a chat request (openai_chat.md 1.1): sampling, limits, output kinds, and the order in which the other
//! files of this folder take the request apart.

pub(crate) mod messages;

use super::Chat;
use crate::api::openai::content::Reader;
use crate::api::openai_chat::reply::{AudioFormat, Json, Reply, kept_text};
use crate::api::options::{self, Format};
use crate::api::params::{Object, integer, take, take_list, take_object, take_text, wrong_type};
use crate::api::{Call, Context, Framing, Operation, openai};
use crate::conversation::tools::{self, Dialect};
use crate::conversation::turns;
use crate::error::ApiError;
use crate::gemini::models::{Model, Resolved};
use crate::gemini::thinking;
use crate::gemini::{Content, GenerationConfig, Part, Request, schema, signatures};
use serde_json::{Map, Number, Value, json};
use std::sync::Arc;

/// Google takes this many stop sequences; we look for the others ourselves.
const MAX_STOPS: usize = 5;
/// More choices than this OpenAI does not offer, either.
const MAX_CHOICES: i64 = 128;
/// Code Assist refuses more for Gemini 2.5.
const MAX_TOP_K: i64 = 64;
/// OpenAI's voices. Google has others and would refuse these.
const OPENAI_VOICES: [&str; 13] =
    ["alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse"];

/// Translates a parsed body.
pub(super) fn translate(mut body: Object, context: &Context<'_>) -> Result<Chat, ApiError> {
    let body = &mut body;
    let requested = openai::model(body)?.to_owned();
    let Some(resolved) = context.models.resolve(&requested) else {
        return Err(openai::unknown_model(&requested));
    };
    let Resolved { model, base: _, search, thinking: suffix } = resolved;
    let stream = match take(body, "stream") {
        None => false,
        Some(Value::Bool(stream)) => stream,
        Some(other) => return Err(wrong_type("stream", "a boolean", &other)),
    };
    choices(body)?;
    let extensions = options::extensions(body);
    let dialect = match is_old(&model) {
        true => Dialect::OpenApi,
        false => Dialect::JsonSchema,
    };
    let tools = tools::read(body, dialect, search)?;
    let mut config = Map::new();
    let max_tokens = limit(body, &model)?;
    if let Some(tokens) = max_tokens {
        config.insert("maxOutputTokens".into(), json!(tokens));
    }
    sampling(body, &model, &mut config)?;
    let mut stops = options::stops(body);
    let own_stops = stops.split_off(stops.len().min(MAX_STOPS));
    if !stops.is_empty() {
        config.insert("stopSequences".into(), json!(stops));
    }
    let logprobs = logprobs(body)?;
    let audio = output_kinds(body, &model, &mut config)?;
    let asked = options::thinking(body, extensions.thinking, suffix, model.gemini3)?;
    let thinking_config = thinking::plan(&model, asked.ask, asked.include, max_tokens);
    let format = options::format(body)?;

    let mut reader = Reader::new(context, model.gemini3);
    let marker = extensions.marker.as_deref();
    let messages = take(body, "messages");
    let mut conversation = turns::read(messages, &model, &tools.names, marker, &mut reader, context)?;
    if !model.gemini3 && reader.all_low() {
        config.insert("mediaResolution".into(), json!("MEDIA_RESOLUTION_LOW"));
    }
    if let Some(resolution) = extensions.media_resolution {
        config.insert("mediaResolution".into(), json!(resolution));
    }
    if let Some(image_config) = extensions.image_config.filter(|_| model.image_output) {
        config.insert("imageConfig".into(), image_config);
    }
    let (json, instruction) = output_format(format, &model, !tools.tools.is_empty(), &mut config);
    conversation.system.extend(instruction.map(Part::text));

    let system = Content { parts: conversation.system, ..Content::default() };
    let tier = take(body, "service_tier");
    let has_config = !config.is_empty() || thinking_config.is_some();
    let request = Request {
        contents: conversation.turns,
        system_instruction: Some(system).filter(|system| !system.parts.is_empty()),
        tools: tools.tools,
        tool_config: tools.config,
        generation_config: has_config.then_some(GenerationConfig { thinking_config, other: config }),
        safety_settings: extensions.safety_settings,
        cached_content: extensions.cached_content,
        other: service_tier(tier.as_ref()),
    };
    let include_usage = take_object(body, "stream_options")
        .and_then(|mut options| take(&mut options, "include_usage"))
        .is_some_and(|wanted| wanted == Value::Bool(true));
    let reply = Reply {
        kept_text: kept_text(stream, &request),
        model: requested,
        created: openai::now(),
        stream,
        include_usage,
        names: tools.names,
        legacy: tools.legacy,
        single_call: tools.legacy || take(body, "parallel_tool_calls") == Some(Value::Bool(false)),
        marker: extensions.marker,
        stops: own_stops,
        json,
        logprobs,
        audio,
        tier: tier.is_some(),
        signatures: Arc::clone(context.signatures),
        key_name: context.key_name.to_owned(),
        family: signatures::family(&model.name).to_owned(),
    };
    let call = Call {
        model: model.name,
        operation: if stream { Operation::Stream } else { Operation::Generate },
        request,
        affinity: affinity(body),
    };
    let framing = if stream { Framing::Events } else { Framing::Whole };
    Ok(Chat::new(call, framing, reply))
}

/// Gemini 2.0 and older: no JSON Schema, OpenAPI's subset instead.
fn is_old(model: &Model) -> bool {
    model.name.starts_with("gemini-2.0") || model.name.starts_with("gemini-1")
}

fn choices(body: &mut Object) -> Result<(), ApiError> {
    let Some(value) = take(body, "n") else {
        return Ok(());
    };
    match integer(&value) {
        Some(1) => Ok(()),
        Some(2..=MAX_CHOICES) => {
            Err(ApiError::invalid("n", "unsupported_value", "Only one choice per request is supported: 'n' must be 1."))
        }
        Some(_) => Err(ApiError::invalid("n", "invalid_value", format!("'n' must be between 1 and {MAX_CHOICES}."))),
        None => Err(wrong_type("n", "an integer", &value)),
    }
}

/// `max_completion_tokens`, else `max_tokens`, not more than the model can.
fn limit(body: &mut Object, model: &Model) -> Result<Option<u64>, ApiError> {
    let (param, value) = match (take(body, "max_completion_tokens"), take(body, "max_tokens")) {
        (Some(value), _) => ("max_completion_tokens", value),
        (None, Some(value)) => ("max_tokens", value),
        (None, None) => return Ok(None),
    };
    let Some(tokens) = integer(&value) else {
        return Err(wrong_type(param, "an integer", &value));
    };
    match u64::try_from(tokens) {
        Ok(tokens @ 1..) => Ok(Some(tokens.min(model.longest_answer()))),
        _ => Err(ApiError::invalid(param, "invalid_value", format!("'{param}' must be at least 1."))),
    }
}

fn sampling(body: &mut Object, model: &Model, config: &mut Map<String, Value>) -> Result<(), ApiError> {
    if let Some(value) = take(body, "temperature") {
        config.insert("temperature".into(), clamped(value, "temperature", 0.0, 2.0)?);
    }
    if let Some(value) = take(body, "top_p") {
        let value = clamped(value, "top_p", 0.0, 1.0)?;
        // Some models refuse 0.
        if value.as_f64() != Some(0.0) {
            config.insert("topP".into(), value);
        }
    }
    if let Some(top_k) = take(body, "top_k").and_then(|value| integer(&value)).filter(|top_k| *top_k >= 1) {
        config.insert("topK".into(), json!(if model.gemini3 { top_k } else { top_k.min(MAX_TOP_K) }));
    }
    let seed = take(body, "seed").and_then(|value| value.as_u64().map(|seed| seed as i64).or_else(|| integer(&value)));
    if let Some(seed) = seed {
        // Google's seed has 32 bits.
        config.insert("seed".into(), json!(seed & 0x7fff_ffff));
    }
    let penalties = model.takes_penalties();
    for (name, google) in [("presence_penalty", "presencePenalty"), ("frequency_penalty", "frequencyPenalty")] {
        let value = take(body, name).filter(|value| penalties && value.as_f64().is_some_and(|number| number != 0.0));
        if let Some(value) = value {
            // The upper end is not included.
            config.insert(google.into(), clamped(value, name, -2.0, 1.9999)?);
        }
    }
    Ok(())
}

/// A number between two ends, as the client wrote it where it is.
fn clamped(value: Value, param: &str, low: f64, high: f64) -> Result<Value, ApiError> {
    let Some(number) = value.as_f64() else {
        return Err(wrong_type(param, "a number", &value));
    };
    if (low..=high).contains(&number) {
        return Ok(value);
    }
    let end = number.clamp(low, high);
    match end.fract() == 0.0 {
        true => Ok(json!(end as i64)),
        false => Ok(Number::from_f64(end).map_or(Value::Null, Value::Number)),
    }
}

/// Whether token probabilities are wanted. They are not asked of Google: Code Assist and the newer models refuse the
/// field; an answer that has them all the same is translated.
fn logprobs(body: &mut Object) -> Result<bool, ApiError> {
    let wanted = take(body, "logprobs") == Some(Value::Bool(true));
    if take(body, "top_logprobs").is_some() && !wanted {
        let message = "'top_logprobs' is only allowed when 'logprobs' is true.";
        return Err(ApiError::invalid("top_logprobs", "invalid_value", message));
    }
    Ok(wanted)
}

/// `modalities` and `audio`: what else than text the answer may have.
fn output_kinds(
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
        Some(_) => {
            let message = "Only 'wav' and 'pcm16' are supported.";
            return Err(ApiError::invalid("audio.format", "unsupported_value", message));
        }
    };
    config.insert("responseModalities".into(), json!(["AUDIO"]));
    if let Some(voice) = take_text(&mut audio, "voice").filter(|voice| !OPENAI_VOICES.contains(&voice.as_str())) {
        config.insert("speechConfig".into(), json!({"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}));
    }
    Ok(Some(format))
}

/// The output format, and the sentence that asks for it where Google refuses JSON beside tools, its own included.
fn output_format(
    format: Format,
    model: &Model,
    tools: bool,
    config: &mut Map<String, Value>,
) -> (Json, Option<String>) {
    let Format::Json(given) = format else {
        return (Json::No, None);
    };
    if model.image_output || model.speech_output {
        return (Json::No, None);
    }
    let cleaned = given.filter(|given| given.is_object() || given.is_string()).map(schema::json);
    let cleaned = cleaned.filter(|schema| schema.as_object().is_some_and(|schema| !schema.is_empty()));
    if tools && !model.gemini3 {
        let lead = "When you give the final answer, reply only with";
        return (
            Json::Asked,
            Some(match cleaned {
                Some(schema) => format!("{lead} JSON for this schema, without code fences:\n{schema}"),
                None => format!("{lead} a JSON object, without code fences."),
            }),
        );
    }
    config.insert("responseMimeType".into(), json!("application/json"));
    if let Some(cleaned) = cleaned {
        match is_old(model) {
            true => config.insert("responseSchema".into(), schema::openapi(cleaned)),
            false => config.insert("responseJsonSchema".into(), cleaned),
        };
    }
    (Json::Enforced, None)
}

/// The tiers both services sell under the same words; others mean the usual one. Code Assist leaves the field out.
fn service_tier(asked: Option<&Value>) -> Map<String, Value> {
    let tier = asked.filter(|tier| matches!(tier.as_str(), Some("flex" | "priority")));
    tier.map(|tier| ("serviceTier".to_owned(), tier.clone())).into_iter().collect()
}

/// The name of the conversation. `user` is none: it is the same in all of a person's conversations.
fn affinity(body: &mut Object) -> Option<String> {
    let of_metadata = |mut metadata: Object| take_text(&mut metadata, "user_id");
    take_text(body, "prompt_cache_key")
        .filter(|name| !name.is_empty())
        .or_else(|| take_object(body, "metadata").and_then(of_metadata))
}
