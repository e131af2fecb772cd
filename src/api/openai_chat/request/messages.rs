//! The messages of a chat request: roles, content, pictures the assistant made, results of tools.

use super::{calls, items_of_responses};
use crate::api::anthropic_blocks;
use crate::api::openai::content::{items, part, parts};
use crate::api::openai::extra_content::extra_content;
use crate::api::params::{
    Object, missing, read_at, take, take_any, take_list, take_object, take_text, unknown_word, wrong_type,
};
use crate::conversation::attachments::Attachments;
use crate::conversation::history::{Entry, ModelTurn, Outcome, Said};
use crate::conversation::signatures::split_id;
use crate::error::ApiError;
use crate::gemini::Part;
use serde_json::Value;
use std::fmt::Arguments;

/// Reads `messages`. `marker`: the tag this program puts around thoughts.
pub(super) fn read(
    messages: Option<Value>,
    marker: Option<&str>,
    attachments: &mut Attachments<'_>,
) -> Result<Vec<Entry>, ApiError> {
    let list = match messages {
        None => return Err(missing("messages")),
        Some(Value::Array(list)) if list.is_empty() => {
            let message = "Invalid 'messages': empty array. Expected an array with at least one message.";
            return Err(ApiError::invalid("messages", "empty_array", message));
        }
        Some(Value::Array(list)) => list,
        Some(other) => return Err(wrong_type("messages", "an array of messages", &other)),
    };
    let is_said = |message: &Value| {
        message["role"] == "assistant" || message["role"] == "model" || message["type"] == "function_call"
    };
    let answered = list.iter().rposition(is_said);
    let mut entries = Vec::with_capacity(list.len());
    for (index, message) in list.into_iter().enumerate() {
        let path = format_args!("messages[{index}]");
        let Value::Object(message) = message else {
            return Err(wrong_type(path.to_string(), "an object", &message));
        };
        let is_past = answered.is_some_and(|answered| index <= answered);
        entry(message, path, is_past, marker, attachments, &mut entries)?;
    }
    Ok(entries)
}

/// Reads one message; `is_past`: an answer stands behind it.
fn entry(
    mut message: Object,
    path: Arguments<'_>,
    is_past: bool,
    marker: Option<&str>,
    attachments: &mut Attachments<'_>,
    entries: &mut Vec<Entry>,
) -> Result<(), ApiError> {
    let Some(role) = read_at::<String>(&mut message, path, "role")? else {
        return items_of_responses::read(message, path, attachments, entries);
    };
    // Google's word for it.
    let content = take_any(&mut message, &["content", "parts"]).unwrap_or_default();
    attachments.past(is_past || role != "user");
    match role.as_str() {
        "system" | "developer" => {
            entries.push(Entry::System(parts(content, format_args!("{path}.content"), attachments)?));
        }
        "user" => user(content, path, attachments, entries)?,
        "assistant" | "model" => entries.push(Entry::Model(assistant(message, content, path, marker, attachments)?)),
        // A block of Anthropic's in OpenAI's role.
        "tool" if has_result(&content) => user(content, path, attachments, entries)?,
        "tool" | "function" => entries.push(Entry::Result(outcome(message, content, path, attachments)?)),
        _ => {
            let known = "'system', 'developer', 'user', 'assistant', 'tool' and 'function'";
            return Err(unknown_word(format!("{path}.role"), &role, known));
        }
    }
    Ok(())
}

/// Reads what the user says. Results of tools, which are blocks of the user's in Anthropic's dialect, go before the rest.
fn user(
    content: Value,
    path: Arguments<'_>,
    attachments: &mut Attachments<'_>,
    entries: &mut Vec<Entry>,
) -> Result<(), ApiError> {
    let mut said = Vec::new();
    for (index, item) in items(content, format_args!("{path}.content"))?.into_iter().enumerate() {
        let at = format_args!("{path}.content[{index}]");
        match item {
            Value::Object(mut block) if is(&block, &["tool_result"]) => {
                entries.push(Entry::Result(anthropic_blocks::result(&mut block, &at.to_string(), attachments)?));
            }
            item => part(item, at, attachments, &mut said)?,
        }
    }
    if !said.is_empty() || !matches!(entries.last(), Some(Entry::Result(_))) {
        entries.push(Entry::User(said));
    }
    Ok(())
}

fn has_result(content: &Value) -> bool {
    let blocks = content.as_array().map_or(std::slice::from_ref(content), Vec::as_slice);
    blocks.iter().any(|block| block["type"] == "tool_result")
}

fn is(block: &Object, kinds: &[&str]) -> bool {
    block.get("type").and_then(Value::as_str).is_some_and(|kind| kinds.contains(&kind))
}

/// Reads an assistant message.
fn assistant(
    mut message: Object,
    content: Value,
    path: Arguments<'_>,
    marker: Option<&str>,
    attachments: &mut Attachments<'_>,
) -> Result<ModelTurn, ApiError> {
    let mut turn = ModelTurn::default();
    for (index, item) in items(content, format_args!("{path}.content"))?.into_iter().enumerate() {
        match item {
            Value::Object(mut block) if is(&block, &["tool_use"]) => anthropic_blocks::tool_use(&mut block, &mut turn),
            Value::Object(mut block) if is(&block, &["thinking", "redacted_thinking"]) => {
                anthropic_blocks::thinking(&mut block, &mut turn);
            }
            item => {
                let (mut read, mut parts) = (Vec::new(), Vec::new());
                part(item, format_args!("{path}.content[{index}]"), attachments, &mut read)?;
                for mut part in read {
                    let marker = marker.filter(|_| parts.is_empty() && !turn.has_parts());
                    match part.text.take() {
                        Some(text) => assistant_text(text, marker, attachments, &mut parts),
                        None => parts.push(part),
                    }
                }
                turn.said.extend(parts.into_iter().map(Said::from));
            }
        }
    }
    if !turn.has_parts() {
        let refusal = take_text(&mut message, "refusal").filter(|text| !text.is_empty());
        turn.said.extend(refusal.map(|text| Said::from(Part::text(text))));
    }
    for picture in take_list(&mut message, "images").into_iter().flatten() {
        turn.said.extend(image(picture, attachments).map(Said::from));
    }
    turn.signatures = calls::of_message(&mut message);
    let calls = take_list(&mut message, "tool_calls").filter(|calls| !calls.is_empty());
    let legacy = take_object(&mut message, "function_call");
    match (calls, legacy) {
        (Some(list), _) => {
            // Some programs say a call twice, as a block of the content and here.
            let said: Vec<Option<String>> = turn.calls().map(|call| call.id.clone()).collect();
            for call in list {
                let is_said = said.iter().flatten().any(|id| call["id"] == id.as_str());
                if let Value::Object(call) = call
                    && !is_said
                {
                    calls::read(call, &mut turn);
                }
            }
        }
        (None, Some(call)) => calls::read_legacy(call, &mut turn),
        (None, None) => {}
    }
    calls::sign(take_list(&mut message, "reasoning_details").unwrap_or_default(), &mut turn);
    Ok(turn)
}

/// Reads a `tool` or `function` message.
fn outcome(
    mut message: Object,
    content: Value,
    path: Arguments<'_>,
    attachments: &mut Attachments<'_>,
) -> Result<Outcome, ApiError> {
    let id = ["tool_call_id", "tool_use_id"].iter().find_map(|name| take_text(&mut message, name));
    let id = id.filter(|id| !id.is_empty());
    let name = take_text(&mut message, "name").filter(|name| !name.is_empty());
    let parts = match content {
        // No content part: some clients put the result itself there.
        Value::Object(ref object) if !object.contains_key("type") => vec![Part::text(content.to_string())],
        content => parts(content, format_args!("{path}.content"), attachments)?,
    };
    Ok(Outcome::new(id.map(|id| split_id(id).0), name, parts))
}

/// A picture the assistant made (`images`, the dialect of litellm and OpenRouter). One that cannot be read is left out:
/// the conversation must go on.
fn image(image: Value, attachments: &mut Attachments<'_>) -> Option<Part> {
    let (url, signature) = match image {
        Value::String(url) => (url, None),
        Value::Object(mut image) => {
            let signature = extra_content(&mut image);
            let url = match take(&mut image, "image_url").or_else(|| take(&mut image, "url"))? {
                Value::String(url) => url,
                Value::Object(mut inner) => take_text(&mut inner, "url")?,
                _ => return None,
            };
            (url, signature)
        }
        _ => return None,
    };
    let mut part = attachments.media(url).ok()?;
    part.thought_signature = signature;
    Some(part)
}

/// Text of the assistant: thoughts this program had put in marks are cut off, pictures in Markdown become media again.
fn assistant_text(text: String, marker: Option<&str>, attachments: &mut Attachments<'_>, parts: &mut Vec<Part>) {
    let text = match marker.and_then(|marker| after_thoughts(&text, marker)) {
        Some(rest) => rest.to_owned(),
        None => text,
    };
    if !text.contains("](data:image/") {
        if !text.is_empty() {
            parts.push(Part::text(text));
        }
        return;
    }
    let mut sent = 0;
    let mut from = 0;
    while let Some(middle) = text[from..].find("](data:image/").map(|found| from + found) {
        let Some(end) = text[middle..].find(')').map(|found| middle + found) else { break };
        from = end + 1;
        let Some(start) = text[sent..middle].rfind("![").map(|found| sent + found) else { continue };
        let Ok(picture) = attachments.media(text[middle + 2..end].to_owned()) else { continue };
        if start > sent {
            parts.push(Part::text(&text[sent..start]));
        }
        parts.push(picture);
        sent = end + 1;
    }
    if sent < text.len() {
        parts.push(Part::text(&text[sent..]));
    }
}

fn after_thoughts<'a>(text: &'a str, marker: &str) -> Option<&'a str> {
    let thoughts = text.strip_prefix('<')?.strip_prefix(marker)?.strip_prefix('>')?;
    let end = thoughts.find(&format!("</{marker}>"))?;
    Some(&thoughts[end + marker.len() + 3..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_marks_are_cut_from_the_start() {
        assert_eq!(after_thoughts("<thought>hm</thought>Hi", "thought"), Some("Hi"));
        assert_eq!(after_thoughts("<think>hm</think>Hi", "thought"), None);
        assert_eq!(after_thoughts("a<thought>hm</thought>", "thought"), None);
        assert_eq!(after_thoughts("<thought>open", "thought"), None);
    }
}
