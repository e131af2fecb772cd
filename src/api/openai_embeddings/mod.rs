//! `POST /v1/embeddings`, served by members with an API key: Code Assist makes no embeddings.
//!
//! Google takes at most 100 texts in a batch, OpenAI 2048, and clients send up to that; so a long list becomes several
//! calls of one answer.

mod answer;

use super::openai::{error, field, model, object, unknown_model};
use super::{Call, Context, Exchange, Framing, Operation, Surface, Translator};
use crate::error::ApiError;
use crate::gemini::Request;
use crate::http;
use answer::Answer;
use serde_json::{Map, Value, json};
use std::ops::Range;

/// OpenAI's limit, which its documentation gives and clients cut their lists to.
const MAX_INPUTS: usize = 2048;
/// "BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch".
const MAX_BATCH: usize = 100;

/// OpenAI's names for what Google's model stands in, and the lengths of their vectors: the columns of a vector table that
/// was made for them.
const ALIASES: [(&str, u64); 3] =
    [("text-embedding-3-small", 1536), ("text-embedding-3-large", 3072), ("text-embedding-ada-002", 1536)];
const STAND_IN: &str = "gemini-embedding-001";

/// The surface.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiEmbeddings;

/// How vectors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Float,
    /// Little-endian f32 in base64; what the Python SDK asks for unless told otherwise.
    Base64,
}

impl Surface for OpenAiEmbeddings {
    fn name(&self) -> &'static str {
        "embeddings"
    }

    fn parse(
        &self,
        _request: &http::Request,
        body: Vec<u8>,
        context: &Context<'_>,
    ) -> Result<Box<dyn Exchange>, ApiError> {
        let mut fields = object(body)?;
        let requested = model(&mut fields)?;
        // The config's aliases come before ours.
        let alias = ALIASES.iter().find(|(name, _)| *name == requested.trim());
        let (resolved, length) = match (context.models.resolve(&requested), alias) {
            (Some(resolved), _) => (resolved, None),
            (None, Some((_, length))) => {
                (context.models.resolve(STAND_IN).ok_or_else(|| unknown_model(&requested))?, Some(*length))
            }
            (None, None) => return Err(unknown_model(&requested)),
        };
        if !resolved.model.embedding {
            let message = format!("model {} makes no embeddings; {STAND_IN} does", resolved.model.name);
            return Err(ApiError::invalid("model", "unsupported_value", message));
        }
        let encoding = encoding(&fields)?;
        let dimensions = dimensions(&fields)?.or(length);
        let texts = texts(fields.remove("input"))?;
        let call = Call {
            model: resolved.model.name,
            operation: if texts.len() == 1 { Operation::Embed } else { Operation::BatchEmbed },
            request: Request::default(),
            affinity: None,
        };
        let mut exchange = Embedding { call, texts, sent: 0..0, dimensions, requested, encoding };
        exchange.advance();
        Ok(Box::new(exchange))
    }

    fn error(&self, error: &ApiError) -> http::Response {
        error::response(error)
    }
}

fn encoding(fields: &Map<String, Value>) -> Result<Encoding, ApiError> {
    match field(fields, "encoding_format").map(Value::as_str) {
        None | Some(Some("float")) => Ok(Encoding::Float),
        Some(Some("base64")) => Ok(Encoding::Base64),
        Some(_) => Err(ApiError::invalid(
            "encoding_format",
            "invalid_value",
            "encoding_format must be \"float\" or \"base64\"",
        )),
    }
}

fn dimensions(fields: &Map<String, Value>) -> Result<Option<u64>, ApiError> {
    match field(fields, "dimensions") {
        None => Ok(None),
        Some(value) => match value.as_u64().filter(|length| *length > 0) {
            Some(length) => Ok(Some(length)),
            None => Err(ApiError::invalid("dimensions", "invalid_value", "dimensions must be a positive integer")),
        },
    }
}

fn texts(input: Option<Value>) -> Result<Vec<String>, ApiError> {
    let invalid = |code, message: &str| Err(ApiError::invalid("input", code, message));
    let items = match input {
        None | Some(Value::Null) => return invalid("missing_required_parameter", "you must provide an input"),
        Some(Value::String(text)) => vec![Value::String(text)],
        Some(Value::Array(items)) if items.is_empty() => return invalid("invalid_value", "input must not be empty"),
        Some(Value::Array(items)) if items.len() > MAX_INPUTS && items[0].is_string() => {
            return invalid("invalid_value", "input must not have more than 2048 items");
        }
        Some(Value::Array(items)) => items,
        Some(_) => return invalid("invalid_type", "input must be a string or a list of strings"),
    };
    let mut texts = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Value::String(text) if text.is_empty() => {
                return invalid("invalid_value", "input must not hold an empty string");
            }
            Value::String(text) => texts.push(text),
            Value::Number(_) | Value::Array(_) => {
                return invalid(
                    "unsupported_value",
                    "input must be text: tokens of another model cannot be decoded \
                     (LangChain: set check_embedding_ctx_length=False)",
                );
            }
            _ => return invalid("invalid_type", "input must be a string or a list of strings"),
        }
    }
    Ok(texts)
}

struct Embedding {
    call: Call,
    texts: Vec<String>,
    /// Which of them the present call asks for.
    sent: Range<usize>,
    dimensions: Option<u64>,
    requested: String,
    encoding: Encoding,
}

impl Embedding {
    fn item(&self, text: &str) -> Value {
        let mut item = json!({
            "model": format!("models/{}", self.call.model),
            "content": {"parts": [{"text": text}]},
        });
        if let Some(length) = self.dimensions {
            item["outputDimensionality"] = length.into();
        }
        item
    }
}

impl Exchange for Embedding {
    fn call(&mut self) -> &mut Call {
        &mut self.call
    }

    fn framing(&self) -> Framing {
        Framing::Whole
    }

    fn translator(&self) -> Box<dyn Translator> {
        Box::new(Answer::new(self.requested.clone(), self.encoding, self.texts.len()))
    }

    fn advance(&mut self) -> bool {
        if self.sent.end == self.texts.len() {
            return false;
        }
        self.sent = self.sent.end..self.texts.len().min(self.sent.end + MAX_BATCH);
        let body = match self.call.operation {
            Operation::Embed => self.item(&self.texts[0]),
            _ => {
                let items: Vec<Value> = self.texts[self.sent.clone()].iter().map(|text| self.item(text)).collect();
                json!({"requests": items})
            }
        };
        if let Value::Object(fields) = body {
            self.call.request.other = fields;
        }
        true
    }
}

#[cfg(test)]
mod tests;
