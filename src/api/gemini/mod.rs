//! The native surface, `/v1beta/...`: the hub's own language, so nearly a pass-through. Requests are read only as far as
//! suffixes and defaults need it; answers go back as Google's own text, without Code Assist's envelope.

mod error;
mod predict;
mod translator;

pub use error::{error_body, response as error_response};

use super::{Call, Context, Framing, JSON, NewTranslator, OneCall, Operation, Parsed, Surface};
use crate::error::ApiError;
use crate::gemini::models::Resolved;
use crate::gemini::{GenerationConfig, Request, Tool, surrogates, thinking};
use crate::http;
use serde_json::{Value, json};
use translator::Native;

/// Characters of a text that are quoted at most.
const QUOTED: usize = 40;

/// One call of the native API: the model and method of its path, the answer's framing by its query.
#[derive(Clone, Debug)]
pub struct GeminiSurface {
    /// As written in the path.
    pub model: String,
    /// After the colon.
    pub method: String,
    /// `alt=sse` was in the query.
    pub sse: bool,
}

impl Surface for GeminiSurface {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn parse(&self, request: &http::Request, body: Vec<u8>, context: &Context<'_>) -> Parsed {
        context.note_model(&self.model);
        let operation = match self.method.as_str() {
            "generateContent" => Operation::Generate,
            "streamGenerateContent" => Operation::Stream,
            "countTokens" => Operation::CountTokens,
            "embedContent" => Operation::Embed,
            "batchEmbedContents" | "predict" => Operation::BatchEmbed,
            other => {
                let message = format!("method {other:?} is not one this server knows");
                return Err(not_found(ApiError::bad_request(message).with_code("unknown_method")));
            }
        };
        let Some(resolved) = context.models.resolve(&self.model) else {
            let message = format!(
                "models/{} is not found for API version v1beta, or is not supported for {}. \
                 Call ListModels to see the list of available models.",
                self.model, self.method
            );
            return Err(not_found(ApiError::invalid("model", "model_not_found", message)));
        };
        let mut body = read(body)?;
        // Google's SDKs in their mode for Vertex AI write the place before the name of any cache.
        if let Some(name) = &mut body.cached_content
            && request.path.contains("/publishers/")
            && let Some(at) = name.find("cachedContents/")
        {
            name.drain(..at);
        }
        let generates = matches!(operation, Operation::Generate | Operation::Stream);
        if generates {
            complete(&mut body, &resolved);
        }
        let framing = match operation {
            Operation::Stream if self.sse => Framing::Events,
            Operation::Stream => Framing::Array,
            _ => Framing::Whole,
        };
        let predicts = self.method == "predict";
        if predicts {
            body = predict::batch(&body);
        }
        let call = Call::new(resolved.model.name, operation, body);
        let translator: NewTranslator = match predicts {
            true => Box::new(|| Box::new(predict::Predictions::default())),
            false => Box::new(move || Box::new(Native::new(framing, generates))),
        };
        Ok(Box::new(OneCall { call, framing, media_type: JSON, translator }))
    }

    fn error(&self, error: &ApiError) -> http::Response {
        error::response(error)
    }
}

fn not_found(mut error: ApiError) -> ApiError {
    error.status = 404;
    error
}

/// Reads the body with the tolerance of protobuf JSON: a byte order mark, lone surrogates and duplicate keys are fine.
fn read(mut body: Vec<u8>) -> Result<Request, ApiError> {
    let invalid = |error: serde_json::Error| ApiError::bad_request(format!("Invalid JSON payload received. {error}"));
    surrogates::repair(&mut body);
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
    // Through `Value`, where the last of two equal keys wins, as Google reads it.
    let value: Value = serde_json::from_slice(text).map_err(invalid)?;
    drop(body);
    // What is wrong is said of a copy with short texts: it is quoted.
    serde_json::from_value::<Request>(shortened(&value)).map_err(invalid)?;
    serde_json::from_value(value).map_err(invalid)
}

/// The same with the beginnings of its texts.
fn shortened(value: &Value) -> Value {
    match value {
        Value::String(text) => text.chars().take(QUOTED).collect::<String>().into(),
        Value::Array(items) => items.iter().map(shortened).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), shortened(value))).collect(),
        other => other.clone(),
    }
}

/// Puts in what the name's suffixes ask, and the old program's default: thoughts are shown unless the client chose.
fn complete(request: &mut Request, resolved: &Resolved) {
    let has_functions = request.tools.iter().any(|tool| !tool.function_declarations.is_empty());
    let has_search = request.tools.iter().any(|tool| tool.google_search.is_some());
    // Functions and search together are refused by Gemini 2.5 and Code Assist; the client's own functions win.
    if resolved.search && !has_functions && !has_search {
        request.tools.push(Tool { google_search: Some(json!({})), ..Tool::default() });
    }
    let config = request.generation_config.get_or_insert_default();
    if resolved.thinking.is_some() || config.thinking_config.is_none() {
        let shown = config.thinking_config.as_ref().and_then(|thinking| thinking.include_thoughts);
        config.thinking_config = thinking::plan(&resolved.model, resolved.thinking, shown, None);
    }
    if *config == GenerationConfig::default() {
        request.generation_config = None;
    }
}
