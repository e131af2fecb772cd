//! What a request takes out of the store and what its answer puts in: the conversation before it, items that are only
//! referred to, and the question in the form in which it is given back.

use super::items;
use super::store::{ID, Store, Text, Turn};
use crate::api::params::{Object, shorten};
use crate::api::room;
use crate::error::ApiError;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The store as one client sees it.
#[derive(Clone)]
pub(super) struct Memory {
    pub store: Arc<Store>,
    /// The client key.
    pub key: String,
}

/// Keeps the answer to one request.
pub(super) struct Keeper {
    memory: Memory,
    earlier: Vec<Arc<Turn>>,
    input: Arc<Text>,
}

impl Memory {
    /// The conversation that a request goes on from.
    pub fn earlier(&self, previous: Option<&str>) -> Result<Vec<Arc<Turn>>, ApiError> {
        let Some(id) = previous else { return Ok(Vec::new()) };
        let Some(turns) = self.store.turns(&self.key, id) else {
            let id = shorten(id);
            let message =
                format!("Previous response with id '{id}' not found. Send the whole conversation in 'input' instead.");
            return Err(ApiError::invalid("previous_response_id", "previous_response_not_found", message));
        };
        room::take(turns.iter().flat_map(|turn| turn.texts()))?;
        Ok(turns)
    }

    /// Puts items in the places where they are referred to for the first time, and into reasoning what was not sent with it.
    pub fn complete(&self, input: &mut Value) -> Result<(), ApiError> {
        let (mut read, mut known) = (HashSet::new(), HashMap::new());
        for item in input.as_array_mut().into_iter().flatten() {
            let is_bare = match item["type"].as_str() {
                Some("item_reference") => true,
                Some("reasoning") => item["encrypted_content"].is_null(),
                Some(_) => false,
                None => item.get("role").is_none(),
            };
            let Some(id) = item["id"].as_str().filter(|_| is_bare) else { continue };
            let turn = id.split_once('_').and_then(|(_, rest)| rest.get(..ID)).unwrap_or_default();
            if read.insert(turn.to_owned())
                && let Some(turn) = self.store.turn(&self.key, turn)
            {
                room::take(turn.texts())?;
                let items = turn.input().into_iter().chain(turn.output());
                known.extend(items.filter_map(|item| Some((item["id"].as_str()?.to_owned(), item))));
            }
            if let Some(known) = known.remove(id) {
                *item = known;
            }
        }
        Ok(())
    }

    /// Keeps the answer to this question, if there is room for it.
    pub fn keeper(&self, id: &str, earlier: Vec<Arc<Turn>>, input: &mut Value) -> Option<Keeper> {
        if !self.store.is_on() {
            return None;
        }
        if let Value::String(text) = input {
            let said = (!text.is_empty()).then(|| json!({"role": "user", "content": std::mem::take(text)}));
            *input = Value::from_iter(said);
        }
        let items = input.as_array_mut()?;
        for (index, item) in items.iter_mut().enumerate() {
            complete(item.as_object_mut()?, &format!("{id}i{index}"));
        }
        let input = self.store.hold(&self.key, serde_json::to_vec(items).ok()?)?;
        Some(Keeper { memory: self.clone(), earlier, input })
    }
}

impl Keeper {
    /// Keeps the response of this id.
    pub fn keep(&self, id: &str, response: &Value) {
        self.memory.store.put(&self.memory.key, id, &self.earlier, &self.input, response);
    }
}

/// Makes an item whole: type, id, and content in parts.
pub(super) fn complete(item: &mut Object, id: &str) {
    let is_message = item.contains_key("role");
    if !item.get("type").is_some_and(Value::is_string) {
        item.insert("type".into(), items::untyped(item).into());
    }
    let prefix = match item["type"].as_str().unwrap_or_default() {
        "message" => "msg",
        "reasoning" => "rs",
        "function_call" => "fc",
        "custom_tool_call" => "ctc",
        kind if kind.ends_with("_output") => "fco",
        _ => "item",
    };
    if !item.get("id").is_some_and(Value::is_string) {
        item.insert("id".into(), format!("{prefix}_{id}").into());
    }
    if !is_message {
        return;
    }
    item.entry("status").or_insert_with(|| "completed".into());
    let kind = if item["role"] == "assistant" { "output_text" } else { "input_text" };
    if let Some(Value::String(text)) = item.get_mut("content") {
        let text = std::mem::take(text);
        item.insert("content".into(), json!([{"type": kind, "text": text}]));
    }
}
