//! Content blocks of messages made into entries of the history.

use crate::api::anthropic_blocks::{blocks, part, parts, required, result, thinking, tool_use};
use crate::api::params::{Object, shorten, take, take_text, wrong_type};
use crate::conversation::attachments::Attachments;
use crate::conversation::history::{Entry, ModelTurn, Said};
use crate::error::ApiError;
use crate::gemini::Part;
use serde_json::Value;

/// Reads one message; `at` is its path.
pub(super) fn message(
    message: Value,
    at: &str,
    attachments: &mut Attachments<'_>,
    history: &mut Vec<Entry>,
) -> Result<(), ApiError> {
    let Value::Object(mut message) = message else {
        return Err(wrong_type(at, "an object", &message));
    };
    let role = take_text(&mut message, "role").ok_or_else(|| required(&format!("{at}.role")))?;
    let content = take(&mut message, "content");
    let path = format!("{at}.content");
    match role.as_str() {
        "user" => user(blocks(content, &path)?, &path, attachments, history)?,
        "assistant" => history.push(Entry::Model(assistant(blocks(content, &path)?, &path, attachments)?)),
        "system" | "developer" => history.push(Entry::System(system(content, &path, attachments)?)),
        other => {
            let known = "'user', 'assistant' and 'system'";
            let message = format!("{at}.role: '{}' is none of {known}", shorten(other));
            return Err(ApiError::invalid(format!("{at}.role"), "invalid_value", message));
        }
    }
    Ok(())
}

/// What the operator says, each block a part; `at` is its path.
pub(super) fn system(
    content: Option<Value>,
    at: &str,
    attachments: &mut Attachments<'_>,
) -> Result<Vec<Part>, ApiError> {
    let mut said = Vec::new();
    parts(content, at, attachments, &mut said)?;
    Ok(said)
}

/// Results of tools go before what the user says beside them.
fn user(
    blocks: Vec<Object>,
    at: &str,
    attachments: &mut Attachments<'_>,
    history: &mut Vec<Entry>,
) -> Result<(), ApiError> {
    let mut said = Vec::with_capacity(blocks.len());
    for (index, mut block) in blocks.into_iter().enumerate() {
        let at = format!("{at}.{index}");
        if block.get("type").is_some_and(|kind| kind == "tool_result") {
            history.push(Entry::Result(result(&mut block, &at, attachments)?));
        } else {
            part(block, &at, attachments, &mut said)?;
        }
    }
    if !said.is_empty() {
        history.push(Entry::User(said));
    }
    Ok(())
}

/// What the model said: its thoughts are not said again, but the signatures they carry are.
fn assistant(blocks: Vec<Object>, at: &str, attachments: &mut Attachments<'_>) -> Result<ModelTurn, ApiError> {
    let mut turn = ModelTurn::default();
    for (index, mut block) in blocks.into_iter().enumerate() {
        match block.get("type").and_then(Value::as_str).unwrap_or_default() {
            "thinking" | "redacted_thinking" => thinking(&mut block, &mut turn),
            "tool_use" => tool_use(&mut block, &mut turn),
            _ => {
                let mut parts = Vec::new();
                part(block, &format!("{at}.{index}"), attachments, &mut parts)?;
                turn.said.extend(parts.into_iter().map(Said::from));
            }
        }
    }
    Ok(turn)
}
