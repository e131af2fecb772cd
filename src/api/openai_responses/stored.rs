//! The routes about one response that was kept.

use super::output::{CARRIER, UNSAID};
use super::store::{Store, Turn};
use crate::api::params::shorten;
use crate::api::room;
use crate::error::{ApiError, ErrorKind};
use crate::http::query_value;
use serde_json::{Value, json};
use std::sync::Arc;

/// Items of a page, unless the client says otherwise, and at most.
const PAGE: usize = 20;
const LONGEST_PAGE: usize = 100;

/// `GET /v1/responses/{id}`
pub fn retrieve(store: &Store, key: &str, id: &str, query: &str) -> Result<Value, ApiError> {
    if query_value(query, "stream").is_some_and(|word| word == "true") {
        let message = "A response that is complete is not streamed again; ask without 'stream'.";
        return Err(ApiError::invalid("stream", "unsupported_value", message));
    }
    let turns = turns(store, key, id)?;
    let mut response = turns.last().map(|turn| turn.response()).unwrap_or_default();
    if let Some(items) = response["output"].as_array_mut() {
        hide(items, query);
    }
    Ok(response)
}

/// `DELETE /v1/responses/{id}`
pub fn delete(store: &Store, key: &str, id: &str) -> Result<Value, ApiError> {
    match store.remove(key, id) {
        true => Ok(json!({"id": id, "object": "response", "deleted": true})),
        false => Err(not_found(id)),
    }
}

/// `POST /v1/responses/{id}/cancel`: nothing runs in the background here.
pub fn cancel(store: &Store, key: &str, id: &str) -> Result<Value, ApiError> {
    turns(store, key, id)?;
    Err(ApiError::bad_request("Cannot cancel a synchronous response."))
}

/// `GET /v1/responses/{id}/input_items`: all that the model was given, the newest first.
pub fn input_items(store: &Store, key: &str, id: &str, query: &str) -> Result<Value, ApiError> {
    let turns = turns(store, key, id)?;
    let mut items = Vec::new();
    for (index, turn) in turns.iter().enumerate() {
        items.extend(turn.input());
        if index + 1 < turns.len() {
            items.extend(turn.output());
        }
    }
    hide(&mut items, query);
    match query_value(query, "order").as_deref() {
        Some("asc") => {}
        None | Some("desc") => items.reverse(),
        Some(_) => return Err(ApiError::invalid("order", "invalid_value", "'order' must be 'asc' or 'desc'.")),
    }
    let limit = match query_value(query, "limit").map(|limit| limit.parse()) {
        None => PAGE,
        Some(Ok(limit)) if (1..=LONGEST_PAGE).contains(&limit) => limit,
        Some(_) => {
            let message = format!("'limit' must be between 1 and {LONGEST_PAGE}.");
            return Err(ApiError::invalid("limit", "invalid_value", message));
        }
    };
    if let Some(after) = query_value(query, "after") {
        let Some(at) = items.iter().position(|item| item["id"] == after.as_str()) else {
            let message = format!("Item with id '{}' not found.", shorten(&after));
            return Err(ApiError::invalid("after", "invalid_value", message));
        };
        items.drain(..=at);
    }
    let has_more = items.len() > limit;
    items.truncate(limit);
    let id = |item: Option<&Value>| item.map(|item| item["id"].clone());
    let (first, last) = (id(items.first()), id(items.last()));
    Ok(json!({"object": "list", "data": items, "first_id": first, "last_id": last, "has_more": has_more}))
}

/// Takes out what is given only to those who ask for it.
fn hide(items: &mut Vec<Value>, query: &str) {
    items.retain(|item| item.get(UNSAID).is_none());
    if !query.contains("reasoning.encrypted_content") {
        items.iter_mut().for_each(|item| drop(hide_carrier(item)));
    }
}

/// Takes out of an item of reasoning what it carries.
pub(super) fn hide_carrier(item: &mut Value) -> Option<Value> {
    let item = item.as_object_mut().filter(|item| item["type"] == "reasoning")?;
    item.remove(CARRIER)
}

fn turns(store: &Store, key: &str, id: &str) -> Result<Vec<Arc<Turn>>, ApiError> {
    let turns = store.turns(key, id).ok_or_else(|| not_found(id))?;
    room::take(turns.iter().flat_map(|turn| turn.texts()))?;
    Ok(turns)
}

fn not_found(id: &str) -> ApiError {
    let message = format!("Response with id '{}' not found.", shorten(id));
    ApiError::new(404, ErrorKind::InvalidRequest, message).with_code("not_found")
}
