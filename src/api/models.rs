//! Model lists and entries in each surface's shape.

use crate::calendar;
use crate::gemini::models::{Model, ModelTable};
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};

/// Every name that the lists show: models and the variants of those the old program had, sorted.
fn names(table: &ModelTable) -> Vec<(String, Model)> {
    let mut names: Vec<(String, Model)> = Vec::new();
    for model in table.list() {
        names.extend(table.variants(&model).into_iter().map(|variant| (variant, model.clone())));
        names.push((model.name.clone(), model));
    }
    names.sort_by(|one, other| one.0.cmp(&other.0));
    names.dedup_by(|one, other| one.0 == other.0);
    names
}

/// `GET /v1/models` in OpenAI's shape.
pub fn openai_list(table: &ModelTable) -> Value {
    let data: Vec<Value> = names(table).iter().map(|(name, model)| openai(name, model)).collect();
    json!({"object": "list", "data": data})
}

/// `GET /v1/models/{id}`: any name the chat endpoint would take, `None` if it would not.
pub fn openai_entry(table: &ModelTable, id: &str) -> Option<Value> {
    let resolved = table.resolve(id).filter(|resolved| resolved.model.known)?;
    Some(openai(id, &resolved.model))
}

fn openai(name: &str, model: &Model) -> Value {
    json!({"id": name, "object": "model", "created": model.created, "owned_by": "google"})
}

/// `GET /v1/models/{id}` for callers that send `anthropic-version`.
pub fn anthropic_entry(table: &ModelTable, id: &str) -> Option<Value> {
    let resolved = table.resolve(id).filter(|resolved| resolved.model.known)?;
    Some(anthropic(id, &resolved.model))
}

fn anthropic(name: &str, model: &Model) -> Value {
    let created = UNIX_EPOCH + Duration::from_secs(model.created);
    json!({"type": "model", "id": name, "display_name": name, "created_at": calendar::iso(created)})
}

/// `GET /v1/models` for callers that send `anthropic-version`.
pub fn anthropic_list(table: &ModelTable) -> Value {
    let names = names(table);
    let data: Vec<Value> = names.iter().map(|(name, model)| anthropic(name, model)).collect();
    let end = |entry: Option<&(String, Model)>| entry.map(|(name, _)| name.clone());
    json!({"data": data, "has_more": false, "first_id": end(names.first()), "last_id": end(names.last())})
}

/// `GET /v1beta/models`.
pub fn gemini_list(table: &ModelTable) -> Value {
    let models: Vec<Value> = names(table).iter().map(|(name, model)| gemini(name, model)).collect();
    json!({"models": models})
}

/// `GET /v1beta/models/{id}`.
pub fn gemini_entry(table: &ModelTable, id: &str) -> Option<Value> {
    let resolved = table.resolve(id).filter(|resolved| resolved.model.known)?;
    Some(gemini(id.trim_start_matches("models/"), &resolved.model))
}

/// Google's entry, with the fields and constants of the old program (docs/compatibility.md "Model lists of the old
/// program").
fn gemini(name: &str, model: &Model) -> Value {
    let suffix = name.strip_prefix(model.name.as_str()).unwrap_or("");
    let variant: String =
        [("-search", " with Google Search"), ("-nothinking", " (No Thinking)"), ("-maxthinking", " (Max Thinking)")]
            .iter()
            .filter(|(mark, _)| suffix.contains(mark))
            .map(|(_, words)| *words)
            .collect();
    json!({
        "name": format!("models/{name}"),
        "version": "001",
        "displayName": format!("{}{variant}", model.display_name),
        "description": model.description,
        "inputTokenLimit": model.input_token_limit,
        "outputTokenLimit": model.output_token_limit,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        "temperature": 1.0,
        "maxTemperature": 2.0,
        "topP": 0.95,
        "topK": 64,
    })
}
