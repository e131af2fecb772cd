//! Rules of the two schema dialects, and the smallest value a schema allows.

use super::engine::{list, text};
use super::errors::Refusal;
use serde_json::{Map, Value, json};

/// The smallest instance of a schema of either dialect: required properties only, first of every choice.
pub fn instance(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth > 20 {
        return Value::Null;
    }
    if let Some(target) = schema["$ref"].as_str() {
        let found = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return found.map_or(Value::Null, |found| instance(found, root, depth + 1));
    }
    if let Some(first) = list(&schema["enum"]).first() {
        return first.clone();
    }
    let choices = if schema.get("anyOf").is_some() { list(&schema["anyOf"]) } else { list(&schema["oneOf"]) };
    let usable = |choice: &&Value| !text(&choice["type"]).eq_ignore_ascii_case("null");
    if let Some(choice) = choices.iter().find(usable).or(choices.first()) {
        return instance(choice, root, depth + 1);
    }
    match kind(schema).as_str() {
        "object" => {
            let mut made = Map::new();
            for name in list(&schema["required"]).iter().filter_map(Value::as_str) {
                made.insert(name.to_string(), instance(&schema["properties"][name], root, depth + 1));
            }
            Value::Object(made)
        }
        "array" => {
            let count = schema["minItems"].as_u64().unwrap_or(0).min(20) as usize;
            let prefix = list(&schema["prefixItems"]);
            let item = |at: usize| instance(prefix.get(at).unwrap_or(&schema["items"]), root, depth + 1);
            (0..count.max(prefix.len())).map(item).collect()
        }
        "integer" => json!(schema["minimum"].as_f64().map_or(1, |least| least.ceil() as i64)),
        "number" => json!(schema["minimum"].as_f64().unwrap_or(1.5)),
        "boolean" => json!(true),
        "null" => Value::Null,
        _ if schema["format"] == json!("date-time") => json!("2026-01-01T00:00:00Z"),
        _ => json!("text"),
    }
}

fn kind(schema: &Value) -> String {
    let named = schema["type"].as_str().or_else(|| {
        let several = list(&schema["type"]).iter().filter_map(Value::as_str);
        several.clone().find(|name| *name != "null").or(several.into_iter().next())
    });
    match named {
        Some(name) => name.to_ascii_lowercase(),
        None if schema.get("properties").is_some() => "object".into(),
        None if schema.get("items").is_some() => "array".into(),
        None => "string".into(),
    }
}
