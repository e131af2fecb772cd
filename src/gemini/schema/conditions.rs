//! What a schema demands beyond types and values, and Google has no keyword for: conditions, exclusions, dependencies,
//! encodings. All of it becomes hints.

use super::references::{Layers, alternatives, is_anything};
use super::values::{Hints, Types, count};
use serde_json::Value;
use std::io;

/// Names, values and members that a hint looks at; the description has room for fewer.
const MOST_WORDS: usize = 32;
/// Bytes of a schema in a hint.
const MOST_JSON: usize = 160;

/// The hints of a node. `lost` are alternatives that its schema cannot hold.
pub(super) fn conditions<'a>(layers: &Layers<'a>, types: &Types, lost: &[Vec<&'a Value>], hints: &mut Hints) {
    for members in lost {
        let words: Vec<String> = members.iter().take(MOST_WORDS).map(|member| words(member)).collect();
        hints.push(format!("one of: {}", words.join(" or ")));
    }
    for excluded in layers.all("not").filter(|schema| !is_anything(schema)) {
        hints.push(format!("not {}", words(excluded)));
    }
    for map in layers.maps() {
        let branch = |name: &str| map.get(name).filter(|schema| !is_anything(schema)).map(words);
        match (map.get("if").map(words), branch("then"), branch("else")) {
            (Some(condition), Some(then), None) => hints.push(format!("if {condition}, then {then}")),
            (Some(condition), None, Some(other)) => hints.push(format!("unless {condition}, {other}")),
            (Some(condition), Some(then), Some(other)) => {
                hints.push(format!("if {condition}, then {then}, else {other}"));
            }
            _ => {}
        }
    }
    for keyword in ["dependentRequired", "dependentSchemas", "dependencies"] {
        for (name, demand) in layers.all(keyword).filter_map(Value::as_object).flatten().take(MOST_WORDS) {
            match demand {
                Value::Array(names) if names.is_empty() => {}
                Value::Array(names) => hints.push(format!("with {name} also {}", in_a_row(names))),
                demand if is_anything(demand) => {}
                demand => hints.push(format!("with {name}: {}", words(demand))),
            }
        }
    }
    if types.allow("array") {
        for item in layers.all("contains") {
            let most = layers.first("maxContains", count).map(|most| format!(", at most {most}"));
            let least = layers.first("minContains", count).unwrap_or(1);
            hints.push(format!("contains {}: at least {least}{}", words(item), most.unwrap_or_default()));
        }
        if layers.all("uniqueItems").any(|value| *value == Value::Bool(true)) {
            hints.push("no item twice".into());
        }
    }
    for keyword in ["contentEncoding", "contentMediaType"] {
        if let Some(text) = layers.first(keyword, Value::as_str) {
            hints.push(format!("{keyword}: {text}"));
        }
    }
    if let Some(schema) = layers.first("contentSchema", Some) {
        hints.push(format!("its content: {}", words(schema)));
    }
    for (keyword, word) in [("readOnly", "read-only"), ("writeOnly", "write-only"), ("deprecated", "deprecated")] {
        if layers.first(keyword, Value::as_bool) == Some(true) {
            hints.push(word.into());
        }
    }
    let tag = |value: &'a Value| value.get("propertyName")?.as_str();
    if let Some(name) = layers.first("discriminator", tag) {
        hints.push(format!("{name} says which"));
    }
}

/// The choices of a node, but for the one that its schema holds, and that one too if it vanished there.
pub(super) fn lost<'a>(layers: &Layers<'a>, is_kept: bool) -> Vec<Vec<&'a Value>> {
    let choices = layers.maps().flat_map(|map| ["anyOf", "oneOf"].map(|keyword| alternatives(map.get(keyword))));
    let choices = choices.filter(|members| members.len() > 1);
    let rest = choices.skip(usize::from(is_kept));
    rest.filter(|members| !members.iter().any(|member| is_anything(member))).collect()
}

/// The beginning of a schema as JSON. Schemas of any size may be referred to by thousands of nodes.
fn in_json(schema: &Value) -> String {
    struct Beginning(Vec<u8>);
    impl io::Write for Beginning {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.len() >= MOST_JSON {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.0.extend(&bytes[..bytes.len().min(MOST_JSON)]);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut beginning = Beginning(Vec::new());
    let is_whole = serde_json::to_writer(&mut beginning, schema).is_ok();
    let text = String::from_utf8_lossy(&beginning.0).into_owned();
    if is_whole { text } else { text + "…" }
}

/// A schema in few words.
fn words(schema: &Value) -> String {
    let Some(map) = schema.as_object() else {
        return if *schema == Value::Bool(false) { "nothing" } else { "anything" }.into();
    };
    if let Some(properties) = map.get("properties").and_then(Value::as_object)
        && map.keys().all(|keyword| keyword == "properties" || keyword == "required")
    {
        let each = properties.iter().take(MOST_WORDS).map(|(name, schema)| match schema.get("const") {
            Some(value) => format!("{name} is {}", value_in_words(value)),
            None if schema.get("properties").is_some() => format!("{name} {}", in_json(schema)),
            None => format!("{name} {}", words(schema)),
        });
        return each.collect::<Vec<_>>().join(" and ");
    }
    let mut said = map.iter();
    match (said.next(), said.next()) {
        (None, _) => "anything".into(),
        (Some((keyword, value)), None) => match (keyword.as_str(), value) {
            ("required", Value::Array(names)) => in_a_row(names),
            ("enum", Value::Array(values)) => {
                values.iter().take(MOST_WORDS).map(value_in_words).collect::<Vec<_>>().join(" or ")
            }
            ("const", value) => value_in_words(value),
            ("type", Value::String(_)) => format!("of type {}", value_in_words(value)),
            ("pattern", Value::String(_)) => format!("matching {}", value_in_words(value)),
            _ => in_json(schema),
        },
        _ => in_json(schema),
    }
}

fn value_in_words(value: &Value) -> String {
    value.as_str().map_or_else(|| in_json(value), |text| text.chars().take(MOST_JSON).collect())
}

fn in_a_row(names: &[Value]) -> String {
    names.iter().take(MOST_WORDS).filter_map(Value::as_str).collect::<Vec<_>>().join(" and ")
}
