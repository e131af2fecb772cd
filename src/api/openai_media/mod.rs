//! OpenAI's media routes (docs/media.md): pictures, speech and transcripts, made by Gemini models that credentials with an
//! API key serve.

mod form;
mod images;
#[cfg(not(fuzzing))]
mod multipart;
#[cfg(fuzzing)]
pub mod multipart;
mod outcome;
mod sound;
mod speech;
mod transcription;

use super::openai::error;
use super::{Call, Context, Operation, Parsed, Surface};
use crate::error::{ApiError, ErrorKind};
use crate::gemini::models::{Model, ModelTable};
use crate::gemini::{Content, GenerationConfig, Part, Request};
use crate::http;
use serde_json::{Value, json};

/// One of the routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Makes pictures of a text.
    Generations,
    /// Makes pictures of pictures and a text.
    Edits,
    /// Ended with `dall-e-2`.
    Variations,
    /// Makes speech.
    Speech,
    /// Writes down what is said.
    Transcriptions,
    /// Writes it down in English.
    Translations,
    /// Lists the voices of [`Endpoint::Speech`].
    Voices,
    /// Lists its models.
    SpeechModels,
}

impl Endpoint {
    /// The route of two words of a path.
    pub fn of(group: &str, word: &str) -> Option<Endpoint> {
        Some(match (group, word) {
            ("images", "generations") => Endpoint::Generations,
            ("images", "edits") => Endpoint::Edits,
            ("images", "variations") => Endpoint::Variations,
            ("audio", "speech") => Endpoint::Speech,
            ("audio", "transcriptions") => Endpoint::Transcriptions,
            ("audio", "translations") => Endpoint::Translations,
            ("audio", "voices") => Endpoint::Voices,
            ("audio", "models") => Endpoint::SpeechModels,
            _ => return None,
        })
    }

    /// The methods that it takes.
    pub fn methods(self) -> &'static str {
        if self.is_list() { "GET, HEAD" } else { "POST" }
    }

    /// Whether it is answered at once.
    pub fn is_list(self) -> bool {
        matches!(self, Endpoint::Voices | Endpoint::SpeechModels)
    }

    /// What is answered at once.
    pub fn list(self, models: &ModelTable) -> Value {
        match self {
            Endpoint::Voices => {
                let voices: Vec<Value> = speech::VOICES.iter().map(|name| json!({"id": name, "name": name})).collect();
                json!({ "voices": voices })
            }
            _ => {
                let names = models.list().into_iter().filter(|model| model.speech_output);
                let listed: Vec<Value> =
                    names.map(|model| json!({"id": model.name, "name": model.display_name})).collect();
                json!({ "models": listed })
            }
        }
    }
}

impl Surface for Endpoint {
    fn name(&self) -> &'static str {
        match self {
            Endpoint::Generations | Endpoint::Edits | Endpoint::Variations => "images",
            Endpoint::Speech | Endpoint::Voices | Endpoint::SpeechModels => "speech",
            Endpoint::Transcriptions | Endpoint::Translations => "transcription",
        }
    }

    fn parse(&self, request: &http::Request, body: Vec<u8>, context: &Context<'_>) -> Parsed {
        let kind = request.headers.get("content-type").unwrap_or_default();
        match self {
            Endpoint::Generations | Endpoint::Edits => images::parse(*self == Endpoint::Edits, kind, body, context),
            Endpoint::Speech => speech::parse(body, context),
            Endpoint::Transcriptions => transcription::parse(false, kind, body, context),
            Endpoint::Translations => transcription::parse(true, kind, body, context),
            Endpoint::Variations | Endpoint::Voices | Endpoint::SpeechModels => {
                let message = "Variations ended with dall-e-2. Send the picture to /v1/images/edits with a prompt.";
                Err(ApiError::new(404, ErrorKind::InvalidRequest, message).with_code("unknown_url"))
            }
        }
    }

    fn reads_form(&self, request: &http::Request) -> bool {
        let takes_files = matches!(self, Endpoint::Edits | Endpoint::Transcriptions | Endpoint::Translations);
        takes_files && multipart::is_form(request.headers.get("content-type").unwrap_or_default())
    }

    fn error(&self, error: &ApiError) -> http::Response {
        error::response(error)
    }
}

/// A call whose answer is not text: one turn of the user, and how it is to be answered.
fn call(model: Model, stream: bool, parts: Vec<Part>, config: GenerationConfig) -> Call {
    let contents = vec![Content::new("user", parts)];
    let request = Request { contents, generation_config: Some(config), ..Request::default() };
    Call::new(model.name, if stream { Operation::Stream } else { Operation::Generate }, request)
}

/// 400 that lists the models which can do what was asked for.
fn wrong_model(requested: Option<&str>, what: &str, models: &ModelTable, can: impl Fn(&Model) -> bool) -> ApiError {
    let names: Vec<String> = models.list().into_iter().filter(can).map(|model| model.name).collect();
    let why = match requested {
        Some(name) => format!("The model `{}` does not {what}", super::params::shorten(name)),
        None => "No model is named".to_owned(),
    };
    let message = format!(
        "{why}. Models that {what}: {}. Another name can stand for one of them: give it an entry with `alias_of` in \
         `models` of config.json.",
        names.join(", ")
    );
    ApiError::invalid("model", "unsupported_value", message)
}
