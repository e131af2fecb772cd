//! Compaction: a summary that the model writes takes the place of a long conversation, as an item that only this program
//! reads again. Asked for by an item at the end of the input, or by a route of its own.

use super::memory;
use super::store::Turn;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::sync::Arc;

/// What the model is asked.
pub(super) const ASK: &str = "The conversation is about to be replaced by a summary. Write it now, for an assistant that \
    continues the work and sees nothing else: what the user wants and what rules were given, what was decided and why, \
    what was done to which files with which result, what is left to do, and every name, path, number and command that is \
    still needed. Answer with the summary alone.";
/// Stands before a summary where the model reads it.
const LEAD: &str = "The conversation before this was replaced by this summary of it:\n\n";
/// Begins what a compaction item of ours carries.
const PREFIX: &str = "g1c.";

/// The item with a summary.
pub(super) fn item(id: &str, summary: &str) -> Value {
    let carrier =
        if summary.is_empty() { String::new() } else { format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(summary)) };
    json!({"type": "compaction", "id": id, "encrypted_content": carrier})
}

/// What the model reads of an item of ours; `None` for anything else.
pub(super) fn read(carrier: &str) -> Option<String> {
    let summary = URL_SAFE_NO_PAD.decode(carrier.strip_prefix(PREFIX)?).ok()?;
    Some(format!("{LEAD}{}", String::from_utf8(summary).ok()?))
}

/// All items of a conversation.
pub(super) fn given(earlier: &[Arc<Turn>], input: &Value) -> Vec<Value> {
    let before = earlier.iter().flat_map(|turn| turn.input().into_iter().chain(turn.output()));
    let now = match input {
        Value::Array(items) => items.clone(),
        Value::String(text) => vec![json!({"role": "user", "content": [{"type": "input_text", "text": text}]})],
        _ => Vec::new(),
    };
    before.chain(now).collect()
}

/// What takes the place of a conversation: what the user said, as whole items, and the summary. Without a summary nothing
/// is left out. `id` is the response's.
pub(super) fn output(id: &str, given: &[Value], summary: Option<Value>) -> Vec<Value> {
    let is_left = |item: &&Value| summary.is_none() || item["role"] == "user";
    let mut items: Vec<Value> = given.iter().filter(is_left).cloned().collect();
    for (index, item) in items.iter_mut().filter_map(Value::as_object_mut).enumerate() {
        memory::complete(item, &format!("{id}i{index}"));
    }
    items.extend(summary);
    items
}
