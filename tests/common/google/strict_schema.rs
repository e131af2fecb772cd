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

/// The rules of `parameters`/`responseSchema`, whose names the reader has checked already.
pub fn check_open_api(schema: &Value, path: &str) -> Result<(), Refusal> {
    let refuse =
        |field: &str, text: &str| Err(Refusal::invalid(format!("* GenerateContentRequest.{path}{field}: {text}")));
    let siblings =
        schema.as_object().into_iter().flatten().filter(|(key, _)| *key != "anyOf" && *key != "nullable").count();
    if schema.get("anyOf").is_some() {
        if siblings > 0 {
            return refuse(".any_of", "when using any_of, it must be the only field set");
        }
        for (at, choice) in list(&schema["anyOf"]).iter().enumerate() {
            check_open_api(choice, &format!("{path}.any_of[{at}]"))?;
        }
        return Ok(());
    }
    let kind = text(&schema["type"]);
    let properties = schema["properties"].as_object();
    for (at, name) in list(&schema["required"]).iter().enumerate() {
        if !properties.is_some_and(|properties| properties.contains_key(text(name))) {
            return refuse(&format!(".required[{at}]"), "property is not defined");
        }
    }
    if properties.is_some() && kind != "OBJECT" {
        return refuse(".properties", "only allowed for OBJECT type");
    }
    if kind == "ARRAY" && schema.get("items").is_none() {
        return refuse(".items", "missing field.");
    }
    if schema.get("items").is_some() && kind != "ARRAY" {
        return refuse(".items", "only allowed for ARRAY type");
    }
    if schema.get("enum").is_some() && kind != "STRING" {
        return refuse(".enum", "only allowed for STRING type");
    }
    if let Some(at) = list(&schema["enum"]).iter().position(|value| text(value).is_empty()) {
        return refuse(&format!(".enum[{at}]"), "cannot be empty");
    }
    let formats: &[&str] = match kind {
        "STRING" => &["enum", "date-time"],
        "NUMBER" => &["float", "double"],
        "INTEGER" => &["int32", "int64"],
        _ => &[],
    };
    if let Some(format) = schema["format"].as_str().filter(|format| !formats.contains(format)) {
        let known = formats.iter().map(|format| format!("'{format}'")).collect::<Vec<_>>().join(" and ");
        return refuse(".format", &format!("only {known} are supported for {kind} type, not '{format}'"));
    }
    for (at, (name, property)) in properties.into_iter().flatten().enumerate() {
        if name.is_empty() {
            return refuse(&format!(".properties[{at}].key"), "cannot be empty");
        }
        check_open_api(property, &format!("{path}.properties[{name}]"))?;
    }
    match schema.get("items") {
        Some(items) => check_open_api(items, &format!("{path}.items")),
        None => Ok(()),
    }
}

/// The documented keywords of `parametersJsonSchema`/`responseJsonSchema`.
const KEYWORDS: [&str; 21] = [
    "$id",
    "$defs",
    "$ref",
    "$anchor",
    "type",
    "format",
    "title",
    "description",
    "enum",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "anyOf",
    "oneOf",
    "properties",
    "additionalProperties",
    "required",
    "propertyOrdering",
];
const DEEPEST: usize = 32;

/// The rules of the JSON Schema dialect; Google names nothing in its refusal, so neither does this.
pub fn check_json_schema(schema: &Value) -> Result<(), Refusal> {
    if is_json_schema(schema, schema, 0) { Ok(()) } else { Err(Refusal::bare()) }
}

fn is_json_schema(schema: &Value, root: &Value, depth: usize) -> bool {
    let Some(fields) = schema.as_object() else { return false };
    // Google's own Gemini CLI names its draft at the root.
    let is_known = |key: &str| KEYWORDS.contains(&key) || (key == "$schema" && depth == 0);
    if depth > DEEPEST || !fields.keys().all(|key| is_known(key)) {
        return false;
    }
    if let Some(target) = fields.get("$ref") {
        let alone = fields.keys().all(|key| key.starts_with('$'));
        let resolves = target.as_str().and_then(|target| target.strip_prefix('#')).and_then(|at| root.pointer(at));
        return alone && resolves.is_some();
    }
    let below = |schema: &Value| is_json_schema(schema, root, depth + 1);
    let table = |value: &Value| value.as_object().is_some_and(|table| table.values().all(below));
    let several = |value: &Value| value.as_array().is_some_and(|values| !values.is_empty() && values.iter().all(below));
    let strings = |value: &Value| value.as_array().is_some_and(|values| values.iter().all(Value::is_string));
    let named = |value: &Value| {
        strings(value)
            && list(value).iter().all(|name| fields.get("properties").is_some_and(|all| all.get(text(name)).is_some()))
    };
    let simple =
        |name: &Value| ["string", "number", "integer", "boolean", "array", "object", "null"].contains(&text(name));
    fields.iter().all(|(key, value)| match key.as_str() {
        "type" => match value.as_array() {
            Some(names) => !names.is_empty() && names.iter().all(simple),
            None => simple(value),
        },
        "enum" => {
            !list(value).is_empty() && list(value).iter().all(|value| value.is_number() || !text(value).is_empty())
        }
        "properties" | "$defs" => table(value),
        "items" => below(value),
        "anyOf" | "oneOf" | "prefixItems" => several(value),
        "additionalProperties" => value.is_boolean() || below(value),
        "required" => named(value),
        "propertyOrdering" => strings(value),
        "minItems" | "maxItems" => value.is_u64(),
        "minimum" | "maximum" => value.is_number(),
        _ => value.is_string(),
    })
}
