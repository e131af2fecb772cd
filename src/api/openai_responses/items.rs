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
            call(&mut item, None, args, at, history)?;
        }
        "custom_tool_call" => {
            let args = json!({"input": take_text(&mut item, "input").unwrap_or_default()});
            call(&mut item, None, args, at, history)?;
        }
        "local_shell_call" => action(&mut item, LOCAL_SHELL, "action", at, history)?,
        "shell_call" => action(&mut item, SHELL, "action", at, history)?,
        "apply_patch_call" => action(&mut item, APPLY_PATCH, "operation", at, history)?,
        "function_call_output"
        | "custom_tool_call_output"
        | "local_shell_call_output"
        | "shell_call_output"
        | "apply_patch_call_output" => history.push(Entry::Result(outcome(item, &kind, at, attachments)?)),
        // A thought is never said again. What other vendors encrypted means nothing to Google.
        "reasoning" => {
            if let Some(carried) = take_text(&mut item, "encrypted_content").and_then(|text| Carried::read(&text)) {
                open_turn(history).said.push(Said::Signature(carried));
            }
        }
        "compaction" => match take_text(&mut item, "encrypted_content").and_then(|text| compaction::read(&text)) {
            Some(summary) => history.push(Entry::User(vec![Part::text(summary)])),
            None => attachments.leave_out(&kind, at),
        },
        "image_generation_call" => {
            match take_text(&mut item, "result").and_then(|result| attachments.media(result).ok()) {
                Some(mut picture) => {
                    picture.thought_signature = extra_content(&mut item);
                    open_turn(history).said.push(picture.into());
                }
                None => attachments.leave_out(&kind, at),
            }
        }
        "item_reference" => {
            let id = take_text(&mut item, "id").unwrap_or_default();
            let message = format!("Item with id '{}' not found. Send the item itself.", shorten(&id));
            return Err(ApiError::invalid(format!("{at}.id"), "invalid_value", message));
        }
        // What the model says beside it tells what was found.
        "web_search_call" => {}
        // The history of other tools that OpenAI runs, and what newer programs bring.
        other => attachments.leave_out(other, at),
    }
    Ok(())
}

/// The type of an item that does not say it.
pub(super) fn untyped(item: &Object) -> &'static str {
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
    let content = take(&mut item, "content").unwrap_or_default();
    let parts = parts(content, format_args!("{at}.content"), attachments)?;
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
fn action(item: &mut Object, name: &str, field: &str, at: &str, history: &mut Vec<Entry>) -> Result<(), ApiError> {
    let args = arguments::from_client(take(item, field));
    call(item, Some(name), args, at, history)
}

/// A call of `tool`, or of the tool that the item names.
fn call(
    item: &mut Object,
    tool: Option<&str>,
    args: Value,
    at: &str,
    history: &mut Vec<Entry>,
) -> Result<(), ApiError> {
    let id = call_id(item, &["call_id"]);
    let named = take_text(item, "name").filter(|name| !name.is_empty());
    let name = tool.map(str::to_owned).or(named).ok_or_else(|| missing(format!("{at}.name")))?;
    let name = flat(take_text(item, "namespace").as_deref(), &name);
    open_turn(history).said.push(Said::Call(Call { id, name, args, ..Call::default() }));
    Ok(())
}

/// Without one it is the place that pairs calls and results. An item's own id is no call's: it may be made up, and differ in the
/// next request.
fn call_id(item: &mut Object, names: &[&str]) -> Option<String> {
    match take_any(item, names) {
        Some(Value::String(id)) if !id.is_empty() => Some(split_id(id).0),
        _ => None,
    }
}

fn outcome(mut item: Object, kind: &str, at: &str, attachments: &mut Attachments<'_>) -> Result<Outcome, ApiError> {
    // Results of the local shell have their call's id in `id`.
    let names = if kind == "local_shell_call_output" { &["call_id", "id"][..] } else { &["call_id"] };
    let id = call_id(&mut item, names);
    let name = take_text(&mut item, "name").filter(|name| !name.is_empty());
    let name = name.map(|name| flat(take_text(&mut item, "namespace").as_deref(), &name));
    let status = take_text(&mut item, "status");
    let parts = match take(&mut item, "output") {
        None => status.iter().cloned().map(Part::text).collect(),
        Some(output) if is_content(&output) => parts(output, format_args!("{at}.output"), attachments)?,
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
