//! The least a schema can be and still tell the model what to send: for the second try after Google refused the first
//! without saying which keyword it disliked (docs/schema.md "Errors of Google about schemas").

use super::maps;
use super::merge;
use super::references::list;
use super::values::Hints;
use serde_json::{Map, Value, json};

/// Reduces a clean schema.
pub(super) fn reduce(schema: Value) -> Value {
    let Value::Object(schema) = schema else { return json!({}) };
    Value::Object(node(schema))
}

fn node(mut schema: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Array(members)) = schema.remove("anyOf") {
        return chosen(schema, members);
    }
    let mut reduced = Map::new();
    let kind = schema.get("type").and_then(single_type).map(str::to_owned);
    // What stood beside a choice may be meant for another type than the chosen one.
    let is = |name: &str| kind.as_deref() == Some(name);
    if let Some(kind) = &kind {
        reduced.insert("type".into(), kind.as_str().into());
    }
    if let Some(description) = schema.remove("description") {
        reduced.insert("description".into(), description);
    }
    if let Some(Value::Array(values)) = schema.remove("enum")
        && is("string")
        && values.iter().all(Value::is_string)
    {
        reduced.insert("enum".into(), values.into());
    }
    if let Some(Value::Object(properties)) = schema.remove("properties")
        && is("object")
    {
        let properties: Map<String, Value> =
            properties.into_iter().map(|(name, schema)| (name, reduce(schema))).collect();
        reduced.insert("properties".into(), properties.into());
        if let Some(required) = schema.remove("required") {
            reduced.insert("required".into(), required);
        }
    }
    if let Some(values) = schema.remove("additionalProperties")
        && is("object")
    {
        let mut hints = Hints::default();
        hints.push(maps::describe(&values));
        hints.append_to(&mut reduced);
    }
    if is("array") {
        let items = schema.remove("items").or_else(|| list(schema.get("prefixItems")).first().cloned());
        let items = items.map(reduce).unwrap_or_else(|| json!({"type": "string"}));
        reduced.insert("items".into(), items);
    }
    reduced
}

/// One member stands for all: the one that can hold most.
fn chosen(mut beside: Map<String, Value>, members: Vec<Value>) -> Map<String, Value> {
    let rank = |member: &Value| match member.get("type").and_then(single_type) {
        Some("object") => 4,
        Some("array") => 3,
        Some("null") => 0,
        Some(_) => 2,
        None => 1,
    };
    // The first of the highest rank.
    let best = members.into_iter().rev().max_by_key(rank);
    let Some(Value::Object(mut best)) = best else { return node(beside) };
    // The field's own description says more than that of one of its forms.
    if let Some(description) = beside.remove("description") {
        best.insert("description".into(), description);
    }
    merge(&mut best, beside);
    node(best)
}

/// The first type that is not null.
fn single_type(types: &Value) -> Option<&str> {
    match types {
        Value::String(name) => Some(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        _ => None,
    }
}
