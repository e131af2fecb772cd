//! Items of the input made into entries of the history.

use super::compaction;
use super::tools::{APPLY_PATCH, LOCAL_SHELL, SHELL, flat};
use crate::api::openai::content::parts;
use crate::api::openai::extra_content::extra_content;
use crate::api::params::{Object, missing, shorten, take, take_any, take_text, unknown_word, wrong_type};
use crate::conversation::arguments;
use crate::conversation::attachments::Attachments;
use crate::conversation::history::{Call, Entry, Outcome, Said, open_turn};
use crate::conversation::signatures::{Carried, split_id};
use crate::error::ApiError;
use crate::gemini::Part;
use serde_json::{Value, json};

/// Reads one item; `at` is its path.
pub(super) fn read(
    item: Value,
    at: &str,
    attachments: &mut Attachments<'_>,
    history: &mut Vec<Entry>,
) -> Result<(), ApiError> {
    let mut item = match item {
        Value::Object(item) => item,
        other => return Err(wrong_type(at, "an object", &other)),
    };
    let kind = take_text(&mut item, "type").unwrap_or_else(|| untyped(&item).to_owned());
    match kind.as_str() {
        "message" => message(item, at, attachments, history)?,
        "function_call" => {
            let args = arguments::from_client(take(&mut item, "arguments"));
            call(&mut item, None, args, history);
        }
        "custom_tool_call" => {
            let args = json!({"input": take_text(&mut item, "input").unwrap_or_default()});
            call(&mut item, None, args, history);
        }
        "local_shell_call" => action(&mut item, LOCAL_SHELL, "action", history),
        "shell_call" => action(&mut item, SHELL, "action", history),
        "apply_patch_call" => action(&mut item, APPLY_PATCH, "operation", history),
        "function_call_output"
        | "custom_tool_call_output"
        | "local_shell_call_output"
        | "shell_call_output"
        | "apply_patch_call_output" => history.push(Entry::Result(outcome(item, at, attachments)?)),
        // A thought is never said again. What other vendors encrypted means nothing to Google.
        "reasoning" => {
            if let Some(carried) = take_text(&mut item, "encrypted_content").and_then(|text| Carried::read(&text)) {
                open_turn(history).said.push(Said::Signature(carried));
            }
        }
        "compaction" => {
            let summary = take_text(&mut item, "encrypted_content").and_then(|text| compaction::read(&text));
            history.extend(summary.map(|text| Entry::User(vec![Part::text(text)])));
        }
        "image_generation_call" => {
            let picture = take_text(&mut item, "result").and_then(|result| attachments.media(result).ok());
            if let Some(mut picture) = picture {
                picture.thought_signature = extra_content(&mut item);
                open_turn(history).said.push(picture.into());
            }
        }
        "item_reference" => {
            let id = take_text(&mut item, "id").unwrap_or_default();
            let message = format!("Item with id '{}' not found. Send the item itself.", shorten(&id));
            return Err(ApiError::invalid(format!("{at}.id"), "invalid_value", message));
        }
        // The history of tools that OpenAI runs, and what newer programs bring.
        other => log::debug!("an input item of type {:?} was left out", shorten(other)),
    }
    Ok(())
}

/// The type of an item that does not say it.
fn untyped(item: &Object) -> &'static str {
    match item.contains_key("id") && !item.contains_key("role") {
        true => "item_reference",
        false => "message",
    }
}

fn message(
    mut item: Object,
    at: &str,
    attachments: &mut Attachments<'_>,
    history: &mut Vec<Entry>,
) -> Result<(), ApiError> {
    let role = take_text(&mut item, "role").ok_or_else(|| missing(format!("{at}.role")))?;
    let parts = parts(take(&mut item, "content").unwrap_or_default(), at, attachments)?;
    match role.as_str() {
        "user" => history.push(Entry::User(parts)),
        "assistant" => open_turn(history).said.extend(parts.into_iter().map(Said::from)),
        "system" | "developer" => history.push(Entry::System(parts)),
        _ => {
            let known = "'assistant', 'system', 'developer' and 'user'";
            return Err(unknown_word(format!("{at}.role"), &role, known));
        }
    }
    Ok(())
}

/// A call whose arguments are an object of the item.
fn action(item: &mut Object, name: &str, field: &str, history: &mut Vec<Entry>) {
    let args = arguments::from_client(take(item, field));
    call(item, Some(name), args, history);
}

/// A call of `tool`, or of the tool that the item names.
fn call(item: &mut Object, tool: Option<&str>, args: Value, history: &mut Vec<Entry>) {
    let id = call_id(item);
    let turn = open_turn(history);
    let named = take_text(item, "name").filter(|name| !name.is_empty());
    match tool.map(str::to_owned).or(named) {
        Some(name) => {
            let name = flat(take_text(item, "namespace").as_deref(), &name);
            turn.said.push(Said::Call(Call { id, name, args, ..Call::default() }));
        }
        None => turn.nameless.extend(id),
    }
}

/// Some items have their call's id in `id`.
fn call_id(item: &mut Object) -> Option<String> {
    match take_any(item, &["call_id", "id"]) {
        Some(Value::String(id)) if !id.is_empty() => Some(split_id(id).0),
        _ => None,
    }
}

fn outcome(mut item: Object, at: &str, attachments: &mut Attachments<'_>) -> Result<Outcome, ApiError> {
    let id = call_id(&mut item);
    let name = take_text(&mut item, "name").filter(|name| !name.is_empty());
    let name = name.map(|name| flat(take_text(&mut item, "namespace").as_deref(), &name));
    let status = take_text(&mut item, "status");
    let parts = match take(&mut item, "output") {
        None => status.iter().cloned().map(Part::text).collect(),
        Some(output) if is_content(&output) => parts(output, at, attachments)?,
        Some(Value::String(text)) => vec![Part::text(text)],
        // What a shell said, or a result that the client did not make a text of.
        Some(output) => vec![Part::text(output.to_string())],
    };
    Ok(Outcome { is_error: status.as_deref() == Some("failed"), ..Outcome::new(id, name, parts) })
}

/// Whether an output is a list of parts of a message.
fn is_content(output: &Value) -> bool {
    let is_part = |part: &Value| part.get("type").is_some_and(Value::is_string);
    output.as_array().is_some_and(|list| list.iter().all(is_part))
}
