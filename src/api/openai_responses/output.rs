//! Items of the output in their last form.

use super::tools::Native;
use crate::api::openai::extra_content::ExtraContent;
use crate::api::params::Object;
use crate::conversation::answer::{Citation, Search, ToolCall};
use serde_json::{Value, json};

pub(super) fn reasoning(id: &str, summary: &str, carrier: Option<&str>, status: &str) -> Value {
    let summary: Vec<Value> = Some(summary).filter(|text| !text.is_empty()).map(summary_part).into_iter().collect();
    let mut item = json!({"type": "reasoning", "id": id, "summary": summary, "status": status});
    if let Some(carrier) = carrier {
        item[CARRIER] = carrier.into();
    }
    item
}

/// Where reasoning carries a signature.
pub(super) const CARRIER: &str = "encrypted_content";

/// A mark of items that are kept and not shown.
pub(super) const UNSAID: &str = "unsaid";

/// Reasoning that is kept for its signature and not shown.
pub(super) fn unsaid(id: &str, carrier: &str) -> Value {
    let mut item = reasoning(id, "", Some(carrier), "completed");
    item[UNSAID] = true.into();
    item
}

pub(super) fn summary_part(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

pub(super) fn message(id: &str, content: Vec<Value>, status: &str) -> Value {
    json!({"type": "message", "id": id, "status": status, "role": "assistant", "content": content})
}

pub(super) fn text_part(text: &str, annotations: &[Value], logprobs: &[Value]) -> Value {
    json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs})
}

/// A citation in a text that begins `start` characters after the first text of the answer.
pub(super) fn annotation(citation: &Citation, start: usize) -> Option<Value> {
    let begin = citation.start.checked_sub(start)?;
    let source = &citation.source;
    Some(json!({"type": "url_citation", "start_index": begin, "end_index": citation.end - start, "title": source.title,
        "url": source.url}))
}

pub(super) fn web_search(id: &str, search: &Search, status: &str) -> Value {
    let sources = search.sources.iter().map(|source| json!({"type": "url", "url": source.url}));
    json!({"type": "web_search_call", "id": id, "status": status, "action": {"type": "search",
        "query": search.queries.join("; "), "queries": search.queries, "sources": sources.collect::<Vec<_>>()}})
}

pub(super) fn picture(id: &str, data: Option<String>, signature: Option<&str>, status: &str) -> Value {
    let mut item = json!({"type": "image_generation_call", "id": id, "status": status});
    // It may have 25 MB, which the macro would copy.
    item["result"] = data.into();
    if let Some(signature) = signature {
        item["extra_content"] = json!(ExtraContent::new(signature));
    }
    item
}

/// The beginning of a call's id: each kind of item has its own.
pub(super) fn call_prefix(call: &ToolCall, native: Option<&Native>) -> &'static str {
    match native {
        Some(Native::LocalShell) => "lsh",
        Some(Native::Shell) => "sh",
        Some(Native::ApplyPatch) => "apc",
        _ if call.custom => "ctc",
        _ => "fc",
    }
}

/// A call with all its arguments.
pub(super) fn call(id: &str, call: &ToolCall, native: Option<&Native>) -> Value {
    let mut item = json!({"id": id, "call_id": call.id, "status": "completed"});
    let arguments = || serde_json::from_str(&call.arguments).ok().filter(Value::is_object).unwrap_or_else(|| json!({}));
    let kind = match native {
        Some(Native::LocalShell) => {
            item["action"] = local_action(arguments());
            "local_shell_call"
        }
        Some(Native::Shell) => {
            item["action"] = shell_action(arguments());
            "shell_call"
        }
        Some(Native::ApplyPatch) => {
            item["operation"] = operation(arguments());
            "apply_patch_call"
        }
        _ => {
            item["name"] = call.name.as_str().into();
            if let Some(Native::Namespaced { namespace, name }) = native {
                item["name"] = name.as_str().into();
                item["namespace"] = namespace.as_str().into();
            }
            item[arguments_field(call)] = call.arguments.as_str().into();
            if call.custom { "custom_tool_call" } else { "function_call" }
        }
    };
    item["type"] = kind.into();
    item
}

/// Where the item of a function or a custom tool has its arguments.
pub(super) fn arguments_field(call: &ToolCall) -> &'static str {
    if call.custom { "input" } else { "arguments" }
}

// Clients know the shapes of these and check them; the model need not keep to its schema. What is left out must not be
// null in the first: the AI SDK refuses the whole answer then.

fn local_action(mut arguments: Value) -> Value {
    let env = match arguments["env"].take() {
        Value::Object(env) => env.into_iter().filter(|(_, value)| value.is_string()).collect(),
        _ => Object::new(),
    };
    let mut action = json!({"type": "exec", "command": texts(arguments["command"].take()), "env": env});
    for (name, value, fits) in [
        ("timeout_ms", arguments["timeout_ms"].take(), Value::is_number as fn(&Value) -> bool),
        ("working_directory", arguments["workdir"].take(), Value::is_string),
    ] {
        if fits(&value) {
            action[name] = value;
        }
    }
    action
}

fn shell_action(mut arguments: Value) -> Value {
    let mut number = |name: &str| Some(arguments[name].take()).filter(Value::is_number);
    let (timeout, length) = (number("timeout_ms"), number("max_output_length"));
    json!({"commands": texts(arguments["commands"].take()), "timeout_ms": timeout, "max_output_length": length})
}

fn operation(arguments: Value) -> Value {
    let text = |name: &str| arguments[name].as_str().map(str::to_owned).unwrap_or_default();
    let (kind, path, diff) = (text("type"), text("path"), text("diff"));
    match kind.as_str() {
        "delete_file" => json!({"type": kind, "path": path}),
        "create_file" => json!({"type": kind, "path": path, "diff": diff}),
        _ => json!({"type": "update_file", "path": path, "diff": diff}),
    }
}

/// A list of texts, whatever was written in its place.
fn texts(value: Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.into_iter().map(text).collect(),
        other => vec![text(other)],
    }
}

fn text(value: Value) -> Value {
    if value.is_string() { value } else { value.to_string().into() }
}
