//! From a clean JSON Schema to the OpenAPI subset of `parameters` and `responseSchema` (docs/schema.md "What becomes of
//! each keyword").

use super::maps::describe as describe_map;
use super::merge;
use super::node::{meant_for, push_new};
use super::references::list;
use super::values::{Hints, in_words};
use serde_json::{Map, Value, json};

/// The whole schema. Its root may be of any type.
pub(super) fn translate(schema: Map<String, Value>) -> Value {
    let untyped = !schema.contains_key("type") && !schema.contains_key("anyOf");
    let is_empty_object = schema.get("type").is_some_and(|name| name == "object")
        && !schema.contains_key("properties")
        && !schema.contains_key("anyOf");
    let mut schema = node(schema);
    if untyped || is_empty_object {
        schema.insert("type".into(), "OBJECT".into());
    }
    if untyped {
        schema.remove("description");
    }
    Value::Object(schema)
}

fn node(mut schema: Map<String, Value>) -> Map<String, Value> {
    let mut hints = Hints::default();
    let (names, mut nullable) = types(&schema);
    schema.remove("type");
    if let Some(Value::Array(members)) = schema.remove("anyOf") {
        let (nulls, members): (Vec<Value>, Vec<Value>) = members.into_iter().partition(is_null);
        nullable |= !nulls.is_empty();
        return alternatives(schema, names, members, nullable);
    }
    if names.len() > 1 {
        let members = names.iter().map(|name| json!({"type": name})).collect();
        return alternatives(schema, Vec::new(), members, nullable);
    }
    let mut name = names.first().cloned().unwrap_or_else(|| {
        if !nullable {
            hints.push("any value".into());
        }
        "string".into()
    });
    // From beside a choice that says no type.
    schema.retain(|keyword, _| meant_for(keyword).is_none_or(|types| types.contains(&name.as_str())));
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(translate_in_place);
    }
    if let Some(values) = schema.remove("additionalProperties") {
        hints.push(describe_map(&values));
    }
    // Google refuses an object without properties ("should be non-empty for OBJECT type").
    if name == "object" && !schema.contains_key("properties") {
        hints.push("a JSON object, written as text".into());
        name = "string".into();
    }
    if name == "array" {
        array(&mut schema, &mut hints);
    }
    if name != "string"
        && let Some(Value::Array(values)) = schema.remove("enum")
    {
        hints.push(in_words(&values, false));
    }
    if let Some(Value::String(format)) = schema.get("format")
        && matches!(format.as_str(), "date" | "time")
    {
        hints.push(format!("format: {format}"));
        schema.remove("format");
    }
    schema.insert("type".into(), name.to_ascii_uppercase().into());
    if nullable {
        schema.insert("nullable".into(), true.into());
    }
    hints.append_to(&mut schema);
    schema
}

fn translate_in_place(schema: &mut Value) {
    if let Value::Object(map) = schema {
        *map = node(std::mem::take(map));
    }
}

/// The types without null, and whether null is one.
fn types(schema: &Map<String, Value>) -> (Vec<String>, bool) {
    let words: &[Value] = match schema.get("type") {
        Some(Value::Array(words)) => words,
        Some(word) => std::slice::from_ref(word),
        None => &[],
    };
    let (nulls, names): (Vec<&str>, Vec<&str>) =
        words.iter().filter_map(Value::as_str).partition(|name| *name == "null");
    (names.into_iter().map(str::to_owned).collect(), !nulls.is_empty())
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| name == "null")
}

/// "When using any_of, it must be the only field set": what stands beside it moves into every member.
fn alternatives(
    mut beside: Map<String, Value>,
    names: Vec<String>,
    members: Vec<Value>,
    nullable: bool,
) -> Map<String, Value> {
    let description = beside.remove("description");
    if let [name] = &names[..] {
        beside.insert("type".into(), name.clone().into());
    }
    let mut translated: Vec<Value> = Vec::new();
    for member in members {
        let Value::Object(mut member) = member else { continue };
        let fitting = beside.iter().filter(|(keyword, _)| fits(keyword, &member));
        let fitting: Map<String, Value> = fitting.map(|(keyword, value)| (keyword.clone(), value.clone())).collect();
        merge(&mut member, fitting);
        describe(&mut member, description.as_ref());
        let mut member = node(member);
        match member.remove("anyOf") {
            Some(Value::Array(inner)) => inner.into_iter().for_each(|inner| push_new(&mut translated, inner)),
            _ => push_new(&mut translated, member.into()),
        }
    }
    if nullable {
        for member in &mut translated {
            member["nullable"] = true.into();
        }
    }
    match <[Value; 1]>::try_from(translated) {
        Ok([Value::Object(only)]) => only,
        Ok(_) => Map::new(),
        Err(several) => Map::from_iter([("anyOf".into(), several.into())]),
    }
}

/// Whether a keyword from beside `anyOf` says something about a member.
fn fits(keyword: &str, member: &Map<String, Value>) -> bool {
    let is = |name: &str| member.get("type").is_none_or(|word| word == name);
    match keyword {
        "enum" | "format" => is("string"),
        "type" => !member.contains_key("anyOf"),
        _ => meant_for(keyword).is_none_or(|types| types.iter().any(|name| is(name))),
    }
}

fn describe(member: &mut Map<String, Value>, description: Option<&Value>) {
    let Some(outer) = description.and_then(Value::as_str) else { return };
    let described = match member.get("description").and_then(Value::as_str) {
        Some(inner) => format!("{outer}: {inner}"),
        None => outer.to_owned(),
    };
    member.insert("description".into(), described.into());
}

/// There are no tuples: any member anywhere, and as many as the tuple has.
fn array(schema: &mut Map<String, Value>, hints: &mut Hints) {
    let prefix = schema.remove("prefixItems");
    let tuple = list(prefix.as_ref());
    if !tuple.is_empty() {
        let mut members: Vec<Value> = Vec::new();
        tuple.iter().chain(schema.get("items")).for_each(|member| push_new(&mut members, member.clone()));
        if !schema.contains_key("items") {
            schema.insert("maxItems".into(), tuple.len().into());
            schema.insert("minItems".into(), tuple.len().into());
        }
        if members.len() > 1 {
            let kinds = tuple.iter().map(|member| member.get("type").and_then(Value::as_str).unwrap_or("any value"));
            hints.push(format!("in this order: {}", kinds.collect::<Vec<_>>().join(", ")));
        }
        let items = if members.len() == 1 { members.remove(0) } else { json!({"anyOf": members}) };
        schema.insert("items".into(), items);
    }
    if let Some(items) = schema.get_mut("items") {
        translate_in_place(items);
    }
}
