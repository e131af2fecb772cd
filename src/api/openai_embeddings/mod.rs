//! `POST /v1/embeddings`, served by credentials with an API key: Code Assist makes no embeddings.
//!
//! Google takes at most 100 texts in a batch, OpenAI 2048, and clients send up to that; so a long list becomes several
//! calls of one answer.

mod answer;

use super::openai::{error, model, object, unknown_model};
use super::params::{Object, missing, read, take, too_small, unknown_word, wrong_type};
use super::{Call, Context, Exchange, Framing, Operation, Parsed, Surface, Translator};
use crate::error::ApiError;
use crate::gemini::Request;
use crate::http;
use answer::Answer;
use serde_json::{Value, json};
use std::ops::Range;

/// OpenAI's limit, which its documentation gives and clients cut their lists to.
const MAX_INPUTS: usize = 2048;
/// "BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch".
const MAX_BATCH: usize = 100;

/// OpenAI's names for what Google's model stands in, and the lengths of their vectors: the columns of a vector table that
/// was made for them.
const ALIASES: [(&str, i64); 3] =
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

    fn parse(&self, _: &http::Request, body: Vec<u8>, context: &Context<'_>) -> Parsed {
        let mut body = object(body)?;
        let requested = model(&mut body)?;
        context.note_model(&requested);
        // The config's aliases come before ours.
        let alias = ALIASES.iter().find(|(name, _)| *name == requested.trim());
        let (resolved, length) = match (context.models.resolve(&requested), alias) {
            (Some(resolved), _) => (resolved, None),
            (None, Some((_, length))) => {
                (context.models.resolve(STAND_IN).ok_or_else(|| unknown_model(&requested, context))?, Some(*length))
            }
            (None, None) => return Err(unknown_model(&requested, context)),
        };
        if !resolved.model.embedding {
            let message = format!("model {} makes no embeddings; {STAND_IN} does", resolved.model.name);
            return Err(ApiError::invalid("model", "unsupported_value", message));
        }
        let encoding = encoding(&mut body)?;
        let dimensions = dimensions(&mut body)?.or(length);
        let texts = texts(take(&mut body, "input"))?;
        let operation = if texts.len() == 1 { Operation::Embed } else { Operation::BatchEmbed };
        let call = Call::new(resolved.model.name, operation, Request::default());
        let mut exchange = Embedding { call, texts, sent: 0..0, dimensions, requested, encoding };
        exchange.advance();
        Ok(Box::new(exchange))
    }

    fn error(&self, error: &ApiError) -> http::Response {
        error::response_about(error, "input")
    }
}

fn encoding(body: &mut Object) -> Result<Encoding, ApiError> {
    match read::<String>(body, "encoding_format")?.as_deref() {
        None | Some("float") => Ok(Encoding::Float),
        Some("base64") => Ok(Encoding::Base64),
        Some(other) => Err(unknown_word("encoding_format", other, "'float' and 'base64'")),
    }
}

fn dimensions(body: &mut Object) -> Result<Option<i64>, ApiError> {
    match read(body, "dimensions")? {
        Some(..1) => Err(too_small("dimensions", 1)),
        dimensions => Ok(dimensions),
    }
}

fn texts(input: Option<Value>) -> Result<Vec<String>, ApiError> {
    let items = match input {
        None => return Err(missing("input")),
        Some(Value::Array(items)) => items,
        Some(text @ Value::String(_)) => vec![text],
        Some(other) => return Err(not_texts(&other)),
    };
    if !(1..=MAX_INPUTS).contains(&items.len()) {
        let message = format!("'input' must have between 1 and {MAX_INPUTS} items.");
        return Err(ApiError::invalid("input", "invalid_value", message));
    }
    items.into_iter().map(text).collect()
}

fn text(item: Value) -> Result<String, ApiError> {
    match item {
        Value::String(text) if text.is_empty() => {
            Err(ApiError::invalid("input", "invalid_value", "'input' must not hold an empty string."))
        }
        Value::String(text) => Ok(text),
        Value::Number(_) | Value::Array(_) => Err(ApiError::invalid(
            "input",
            "unsupported_value",
            "'input' must be text: tokens of another model cannot be decoded \
             (LangChain: set check_embedding_ctx_length=False).",
        )),
        other => Err(not_texts(&other)),
    }
}

fn not_texts(got: &Value) -> ApiError {
    wrong_type("input", "a string or an array of strings", got)
}

struct Embedding {
    call: Call,
    texts: Vec<String>,
    /// Which of them the present call asks for.
    sent: Range<usize>,
    dimensions: Option<i64>,
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
