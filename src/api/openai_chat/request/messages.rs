//! The messages of a chat request: roles, content, pictures the assistant made, results of tools.

use super::calls;
use crate::api::openai::content::parts;
use crate::api::openai::extra_content::extra_content;
use crate::api::params::{Object, missing, read_at, take, take_list, take_object, take_text, unknown_word, wrong_type};
use crate::conversation::attachments::Attachments;
use crate::conversation::history::{Entry, ModelTurn, Outcome, Said};
use crate::conversation::signatures::split_id;
use crate::error::ApiError;
use crate::gemini::Part;
use serde_json::Value;

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
    let mut entries = Vec::with_capacity(list.len());
    for (index, message) in list.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        let Value::Object(message) = message else {
            return Err(wrong_type(path, "an object", &message));
        };
        entries.push(entry(message, &path, marker, attachments)?);
    }
    Ok(entries)
}

fn entry(
    mut message: Object,
    path: &str,
    marker: Option<&str>,
    attachments: &mut Attachments<'_>,
) -> Result<Entry, ApiError> {
    let role: String = read_at(&mut message, path, "role")?.ok_or_else(|| missing(format!("{path}.role")))?;
    let content = take(&mut message, "content").unwrap_or_default();
    Ok(match role.as_str() {
        "system" | "developer" => Entry::System(parts(content, path, attachments)?),
        "user" => Entry::User(parts(content, path, attachments)?),
        "assistant" => {
            let content = parts(content, path, attachments)?;
            Entry::Model(assistant(message, content, marker, attachments))
        }
        "tool" | "function" => Entry::Result(outcome(message, content, path, attachments)?),
        _ => {
            let known = "'system', 'developer', 'user', 'assistant', 'tool' and 'function'";
            return Err(unknown_word(format!("{path}.role"), &role, known));
        }
    })
}

/// Reads an assistant message; `content` are the parts of its content.
fn assistant(
    mut message: Object,
    content: Vec<Part>,
    marker: Option<&str>,
    attachments: &mut Attachments<'_>,
) -> ModelTurn {
    let mut parts = Vec::new();
    for mut part in content {
        match part.text.take() {
            Some(text) => assistant_text(text, marker.filter(|_| parts.is_empty()), attachments, &mut parts),
            None => parts.push(part),
        }
    }
    if parts.is_empty() {
        parts.extend(take_text(&mut message, "refusal").filter(|text| !text.is_empty()).map(Part::text));
    }
    for picture in take_list(&mut message, "images").into_iter().flatten() {
        parts.extend(image(picture, attachments));
    }
    let mut turn = ModelTurn {
        said: parts.into_iter().map(Said::from).collect(),
        signatures: calls::of_message(&mut message),
        nameless: Vec::new(),
    };
    let calls = take_list(&mut message, "tool_calls").filter(|calls| !calls.is_empty());
    let legacy = take_object(&mut message, "function_call");
    match (calls, legacy) {
        (Some(list), _) => {
            for call in list {
                if let Value::Object(call) = call {
                    calls::read(call, &mut turn);
                }
            }
        }
        (None, Some(call)) => calls::read_legacy(call, &mut turn),
        (None, None) => {}
    }
    turn
}

/// Reads a `tool` or `function` message.
fn outcome(
    mut message: Object,
    content: Value,
    path: &str,
    attachments: &mut Attachments<'_>,
) -> Result<Outcome, ApiError> {
    let id = take_text(&mut message, "tool_call_id").filter(|id| !id.is_empty());
    let name = take_text(&mut message, "name").filter(|name| !name.is_empty());
    let parts = match content {
        // No content part: some clients put the result itself there.
        Value::Object(ref object) if !object.contains_key("type") => vec![Part::text(content.to_string())],
        content => parts(content, path, attachments)?,
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
