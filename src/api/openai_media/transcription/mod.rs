//! `POST /v1/audio/transcriptions` and `/v1/audio/translations` (docs/media.md "Transcription"): by Google's model for it,
//! which knows when each word was said, or by any Gemini model that is told to write down what it hears.

mod answer;
mod duration;
mod layout;

use super::form::Form;
use super::{call, wrong_model};
use crate::api::openai::unknown_model;
use crate::api::params::{missing, take, take_object, take_text, unknown_word};
use crate::api::{Call, Context, Exchange, Framing, Parsed, Translator};
use crate::conversation::attachments::Attachments;
use crate::error::ApiError;
use crate::gemini::models::Model;
use crate::gemini::thinking::{self, Ask};
use crate::gemini::{GenerationConfig, Part};
use answer::{Answer, Wanted};
use layout::Format;
use serde_json::{Map, Value, json};

/// Google's model for it, and one that can be told to.
const DEDICATED: &str = "gemini-3.5-transcribe";
const TOLD: &str = "gemini-3.5-flash";
const HEARS: &str = "write down speech";

pub(super) fn parse(translates: bool, kind: &str, body: Vec<u8>, context: &Context<'_>) -> Parsed {
    let mut form = Form::read(kind, body, &["audio/"])?;
    let sound = sound(&mut form, context)?;
    let requested = form.text("model")?.ok_or_else(|| missing("model"))?;
    context.note_model(&requested);
    let model = model(&requested, translates, context)?;
    let is_dedicated = is_dedicated(&model);
    let format = format(&mut form)?;
    let granularities = form.texts("timestamp_granularities")?;
    if let Some(word) = granularities.iter().find(|word| !matches!(&***word, "word" | "segment")) {
        return Err(unknown_word("timestamp_granularities", word, "'word' and 'segment'"));
    }
    let has_words = granularities.iter().any(|word| word == "word");
    if has_words && matches!(format, Format::Json | Format::Text) {
        let message = "Words with times come with the 'response_format' 'verbose_json'.";
        return Err(ApiError::invalid("timestamp_granularities", "unsupported_value", message));
    }
    let needs_times = format.needs_times() || has_words;
    if !is_dedicated && needs_times {
        return Err(layout::no_times(format));
    }
    // OpenAI's own first model does not stream, and the others stream plain text only.
    let stream = form.flag("stream")? && matches!(format, Format::Json | Format::Text) && requested != "whisper-1";
    let language = form.text("language")?;
    let mut languages = form.texts("languages")?;
    languages.extend(language.clone());
    let keywords = form.texts("keywords")?;
    let wanted = Wanted {
        format,
        stream,
        translates,
        has_words,
        language,
        duration: sound.inline_data.as_ref().and_then(|blob| duration::of_wav(&blob.data)),
    };
    let temperature = form.number("temperature")?;
    let told = Told {
        task: task(translates, &languages, form.text("prompt")?.as_deref(), &keywords),
        temperature: temperature.unwrap_or(0.0),
    };
    // OpenAI's names are served whether or not Google's model for it is; who names that one gets its answer.
    let spare = context.models.resolve(TOLD).filter(|_| is_dedicated && is_openais(&requested) && !needs_times);
    let spare = spare.map(|found| (found.model, told.clone()));
    let mut parts = vec![sound];
    let mut config = GenerationConfig::default();
    if is_dedicated {
        let mut hints = Map::new();
        if !languages.is_empty() {
            hints.insert("languageCodes".into(), languages.into());
        }
        if !keywords.is_empty() {
            hints.insert("customVocabulary".into(), keywords.into());
        }
        if format.needs_times() || format == Format::Verbose {
            hints.insert("wordTimestamp".into(), true.into());
        }
        if format == Format::Diarized {
            hints.insert("diarization".into(), true.into());
        }
        config.other.insert("audioTranscriptionConfig".into(), hints.into());
    } else {
        parts.push(Part::text(told.task.clone()));
        config = told.config(&model);
    }
    Ok(Box::new(Hearing { call: call(model, stream, parts, config), wanted, spare }))
}

/// How a model is told that can do more than write down.
#[derive(Clone)]
struct Told {
    task: String,
    temperature: f64,
}

impl Told {
    fn config(&self, model: &Model) -> GenerationConfig {
        let mut config = GenerationConfig::default();
        if !model.fixed_sampling {
            config.other.insert("temperature".into(), json!(self.temperature));
        }
        config.thinking_config = thinking::plan(model, Some(Ask::None), Some(false), None);
        config
    }
}

/// A parsed request.
struct Hearing {
    call: Call,
    wanted: Wanted,
    /// Who writes it down where Google's model for it is not served.
    spare: Option<(Model, Told)>,
}

impl Exchange for Hearing {
    fn call(&mut self) -> &mut Call {
        &mut self.call
    }

    fn framing(&self) -> Framing {
        if self.wanted.stream { Framing::Events } else { Framing::Whole }
    }

    fn media_type(&self) -> &'static str {
        self.wanted.format.media_type()
    }

    fn translator(&self) -> Box<dyn Translator> {
        Box::new(Answer::new(self.wanted.clone()))
    }

    /// The public API is not known to take the model or its config (docs/media.md "Transcription").
    fn instead(&mut self, error: &ApiError) -> bool {
        let is_refused = error.status == 400 && error.message.to_ascii_lowercase().contains("transcri");
        if !is_refused && error.code() != Some("model_not_found") {
            return false;
        }
        let Some((model, told)) = self.spare.take() else { return false };
        let sound = self.call.request.contents.pop().and_then(|turn| turn.parts.into_iter().next());
        let parts = sound.into_iter().chain([Part::text(told.task.clone())]).collect();
        let config = told.config(&model);
        self.call = super::call(model, self.wanted.stream, parts, config);
        true
    }
}

/// The recording: the file of a form, or what Open WebUI sends as JSON.
fn sound(form: &mut Form, context: &Context<'_>) -> Result<Part, ApiError> {
    let refuse =
        |why: String| ApiError::invalid("file", "invalid_value", format!("The recording cannot be used: {why}."));
    if let Some(at) = form.files.iter().position(|(name, _)| name == "file") {
        return Ok(form.files.swap_remove(at).1);
    }
    let inner = take_object(&mut form.fields, "input_audio");
    let (data, format) = match inner {
        Some(mut inner) => (take_text(&mut inner, "data"), take_text(&mut inner, "format")),
        None => (take(&mut form.fields, "file").and_then(|file| file.as_str().map(str::to_owned)), None),
    };
    let data = data.filter(|data| !data.is_empty()).ok_or_else(|| missing("file"))?;
    Attachments::new(context, false).audio(data, format).map_err(refuse)
}

fn model(requested: &str, translates: bool, context: &Context<'_>) -> Result<Model, ApiError> {
    let stand_in = if translates { TOLD } else { DEDICATED };
    let found = context
        .models
        .resolve(requested)
        .or_else(|| is_openais(requested).then(|| context.models.resolve(stand_in))?);
    let model = found.ok_or_else(|| unknown_model(requested, context))?.model;
    let hears = |model: &Model| {
        let is_other = model.image_output || model.speech_output || model.embedding || model.is_of("gemma-");
        !(is_other || translates && is_dedicated(model))
    };
    match hears(&model) {
        true => Ok(model),
        false => Err(wrong_model(
            Some(requested),
            if translates { "translate speech" } else { HEARS },
            context.models,
            hears,
        )),
    }
}

fn is_openais(requested: &str) -> bool {
    let requested = requested.trim();
    requested == "whisper-1" || requested.starts_with("gpt-") && requested.contains("transcribe")
}

fn is_dedicated(model: &Model) -> bool {
    model.name.split('-').any(|word| word == "transcribe")
}

fn format(form: &mut Form) -> Result<Format, ApiError> {
    let Some(word) = form.text("response_format")? else { return Ok(Format::Json) };
    Format::read(&word).ok_or_else(|| {
        let known = "'json', 'text', 'srt', 'verbose_json', 'vtt' and 'diarized_json'";
        unknown_word("response_format", &word, known)
    })
}

/// What a model is told that can do more than write down.
fn task(translates: bool, languages: &[String], prompt: Option<&str>, keywords: &[String]) -> String {
    let mut task = String::from(match translates {
        true => "Translate what is said in this recording into English. Answer with the translation only",
        false => {
            "Write down what is said in this recording, word for word and in the language that is spoken. Answer with the \
             transcript only"
        }
    });
    task.push_str(", without times, names of speakers or remarks. If nobody speaks, answer with an empty text.");
    if !languages.is_empty() {
        task.push_str(&format!("\nThe recording is in: {}.", languages.join(", ")));
    }
    if !keywords.is_empty() {
        task.push_str(&format!("\nThese words may occur: {}.", keywords.join(", ")));
    }
    if let Some(prompt) = prompt {
        task.push_str(&format!("\nFor context and style, this was said before or about it: {prompt}"));
    }
    task
}

/// A number of seconds with three decimals.
fn seconds(time: f64) -> Value {
    json!((time * 1000.0).round() / 1000.0)
}
