//! `/v1/messages/count_tokens`. Claude Code asks for fourteen at once to draw one picture.

use super::request;
use crate::api::{Context, Count, Exchange, openai};
use crate::conversation::tokens;
use crate::error::ApiError;
use serde_json::{Value, json};

/// Reads a body as of `/v1/messages` and has its tokens counted.
pub fn count_tokens(body: Vec<u8>, context: &Context<'_>, count: Count<'_>) -> Result<Value, ApiError> {
    let mut fields = openai::object(body)?;
    // Nothing is answered, so nobody says how long the answer may be.
    fields.insert("max_tokens".into(), 1.into());
    let mut exchange = request::translate(fields, context)?;
    let call = exchange.call();
    let tokens = count(call).unwrap_or_else(|| tokens::estimate(&call.request));
    Ok(json!({"input_tokens": tokens}))
}
