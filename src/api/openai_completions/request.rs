//! A completion's request as one of chat: the prompt is a message of the user, and the options that both have are chat's.

use super::answer::CompletionReply;
use crate::api::Context;
use crate::api::openai_chat::read_chat;
use crate::api::options::one_choice;
use crate::api::params::{Object, missing, read, take, wrong_type};
use crate::conversation::asked::Asked;
use crate::error::ApiError;
use serde_json::{Value, json};

/// Fields of chat that a completion has not, or with another meaning.
const NOT_OURS: [&str; 8] =
    ["tools", "tool_choice", "functions", "function_call", "modalities", "audio", "logprobs", "top_logprobs"];

/// Reads a body: what is asked, the conversation's name, and what the answer repeats.
pub(super) fn read_completion(
    mut body: Object,
    context: &Context<'_>,
) -> Result<(Asked, Option<String>, CompletionReply), ApiError> {
    one_choice(&mut body, "best_of")?;
    if take(&mut body, "suffix").is_some_and(|suffix| suffix != "") {
        // Ignoring it would give an editor wrong text.
        let message = "Inserting before a 'suffix' is not supported.";
        return Err(ApiError::invalid("suffix", "unsupported_value", message));
    }
    let prompt = prompt(take(&mut body, "prompt"))?;
    let echo = read(&mut body, "echo")?.unwrap_or(false).then(|| prompt.clone());
    for name in NOT_OURS {
        body.remove(name);
    }
    body.insert("messages".into(), json!([{"role": "user", "content": prompt}]));
    let (mut asked, affinity, chat) = read_chat(body, context)?;
    if asked.model.embedding {
        let message = format!("model {} makes embeddings and no text", asked.model.name);
        return Err(ApiError::invalid("model", "unsupported_value", message));
    }
    // There is no field that thoughts could be shown in.
    asked.include_thoughts = Some(false);
    Ok((asked, affinity, CompletionReply { chat, echo }))
}

/// A text, alone or in a list.
fn prompt(prompt: Option<Value>) -> Result<String, ApiError> {
    let invalid = |code, message| Err(ApiError::invalid("prompt", code, message));
    let wrong = |got| Err(wrong_type("prompt", "a string or an array of one string", &got));
    let mut items = match prompt {
        None => return Err(missing("prompt")),
        Some(Value::String(text)) => return Ok(text),
        Some(Value::Array(items)) => items,
        Some(other) => return wrong(other),
    };
    match (items.pop(), items.is_empty()) {
        (None, _) => invalid("empty_array", "'prompt' must not be empty."),
        (Some(Value::Number(_) | Value::Array(_)), _) => {
            invalid("unsupported_value", "'prompt' must be text: tokens of another model cannot be decoded.")
        }
        (Some(_), false) => invalid("unsupported_value", "Only one 'prompt' per request is supported."),
        (Some(Value::String(text)), true) => Ok(text),
        (Some(other), true) => wrong(other),
    }
}
