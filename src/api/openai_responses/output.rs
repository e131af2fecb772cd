//! Items of the output in their last form.

use super::tools::Native;
use crate::api::openai::extra_content::ExtraContent;
use crate::conversation::answer::{Citation, Search, ToolCall};
use serde_json::{Value, json};

pub(super) fn reasoning(id: &str, summary: &str, carrier: Option<&str>, status: &str) -> Value {
    let summary: Vec<Value> = Some(summary).filter(|text| !text.is_empty()).map(summary_part).into_iter().collect();
    let mut item = json!({"type": "reasoning", "id": id, "summary": summary, "status": status});
    if let Some(carrier) = carrier {
        item["encrypted_content"] = carrier.into();
    }
    item
}

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

pub(super) fn picture(id: &str, data: Option<&str>, signature: Option<&str>, status: &str) -> Value {
    let mut item = json!({"type": "image_generation_call", "id": id, "status": status, "result": data});
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
            let mut action = arguments();
            for name in ["timeout_ms", "max_output_length"] {
                action[name] = action[name].take();
            }
            item["action"] = action;
            "shell_call"
        }
        Some(Native::ApplyPatch) => {
            item["operation"] = arguments();
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

fn local_action(mut arguments: Value) -> Value {
    let mut take = |name: &str| arguments[name].take();
    let env = Some(take("env")).filter(Value::is_object).unwrap_or_else(|| json!({}));
    json!({"type": "exec", "command": take("command"), "env": env, "timeout_ms": take("timeout_ms"),
        "working_directory": take("workdir"), "user": null})
}
