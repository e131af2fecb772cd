//! A completion's request as one of chat: the prompt is a message of the user, and the options that both have are chat's.

use super::answer::CompletionReply;
use crate::api::Context;
use crate::api::openai_chat::read_chat;
use crate::api::options::{MAX_CHOICES, choices, too_many};
use crate::api::params::{Object, missing, read, take, take_as, wrong_type};
use crate::conversation::asked::Asked;
use crate::error::ApiError;
use crate::gemini::{Content, Part};
use serde_json::{Value, json};

/// Fields of chat that a completion has not, or with another meaning.
const NOT_OURS: [&str; 8] =
    ["tools", "tool_choice", "functions", "function_call", "modalities", "audio", "logprobs", "top_logprobs"];

/// A request as it was read.
pub(super) struct Completion {
    pub asked: Asked,
    /// The conversation's name.
    pub affinity: Option<String>,
    /// What the answer repeats.
    pub reply: CompletionReply,
    /// The turns of further prompts.
    pub others: Vec<Vec<Content>>,
}

/// Reads a body.
pub(super) fn read_completion(mut body: Object, context: &Context<'_>) -> Result<Completion, ApiError> {
    let best_of = choices(&mut body, "best_of")?;
    if take(&mut body, "suffix").is_some_and(|suffix| suffix != "") {
        // Ignoring it would give an editor wrong text.
        let message = "Inserting before a 'suffix' is not supported.";
        return Err(ApiError::invalid("suffix", "unsupported_value", message));
    }
    let mut prompts = prompts(take(&mut body, "prompt"))?;
    let echo = if read(&mut body, "echo")?.unwrap_or(false) { prompts.clone() } else { Vec::new() };
    let wants_logprobs = take_as::<i64>(&mut body, "logprobs").is_some_and(|count| count > 0);
    for name in NOT_OURS {
        body.remove(name);
    }
    let others: Vec<_> = prompts.split_off(1).into_iter().map(|prompt| vec![said(prompt)]).collect();
    body.insert("messages".into(), json!([{"role": "user", "content": prompts.pop()}]));
    let (mut asked, affinity, chat) = read_chat(body, context)?;
    if asked.model.embedding {
        let message = format!("model {} makes embeddings and no text", asked.model.name);
        return Err(ApiError::invalid("model", "unsupported_value", message));
    }
    if best_of > 1 && best_of != chat.choices {
        let message = "'best_of' must be 'n': of several answers none is known to be the best.";
        return Err(ApiError::invalid("best_of", "unsupported_value", message));
    }
    let answers = (1 + others.len()) * chat.choices as usize;
    if answers > MAX_CHOICES as usize {
        return Err(too_many("prompt"));
    }
    if wants_logprobs {
        asked.toolbox.notice("logprobs was left out: ask /v1/chat/completions for token probabilities.".into());
    }
    // There is no field that thoughts could be shown in.
    asked.include_thoughts = Some(false);
    Ok(Completion { asked, affinity, reply: CompletionReply { chat, echo, answers }, others })
}

/// A prompt as the turn that the rules would make of it.
fn said(prompt: String) -> Content {
    let text = if prompt.is_empty() { " ".into() } else { prompt };
    Content::new("user", vec![Part::text(text)])
}

/// One text or several.
fn prompts(prompt: Option<Value>) -> Result<Vec<String>, ApiError> {
    let wrong = |got: &Value| wrong_type("prompt", "a string or an array of strings", got);
    let items = match prompt {
        None => return Err(missing("prompt")),
        Some(Value::String(text)) => return Ok(vec![text]),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong(&other)),
    };
    if items.is_empty() {
        return Err(ApiError::invalid("prompt", "empty_array", "'prompt' must not be empty."));
    }
    let text = |item| match item {
        Value::String(text) => Ok(text),
        Value::Number(_) | Value::Array(_) => {
            let message = "'prompt' must be text: tokens of another model cannot be decoded.";
            Err(ApiError::invalid("prompt", "unsupported_value", message))
        }
        other => Err(wrong(&other)),
    };
    items.into_iter().map(text).collect()
}
