//! Maps: objects whose property names are not known beforehand. What their values are stays a schema; what is said of the
//! names becomes a hint.

use super::node::{Cleaner, add_alternative};
use super::references::{Layers, list};
use super::values::{Hints, Types, count, in_words};
use serde_json::{Map, Value, json};

impl<'a> Cleaner<'a> {
    /// `additionalProperties` of a node, from that keyword, `unevaluatedProperties` and `patternProperties`.
    pub(super) fn map(
        &mut self,
        layers: &Layers<'a>,
        depth: usize,
        types: &mut Types,
        schema: &mut Map<String, Value>,
    ) {
        let keyword = ["additionalProperties", "unevaluatedProperties"]
            .into_iter()
            .find(|keyword| layers.all(keyword).any(|value| value.is_object() || value.is_boolean()));
        let rest: Vec<&Value> = keyword.into_iter().flat_map(|keyword| layers.all(keyword)).collect();
        let rest: Vec<&Value> = rest.into_iter().filter(|value| value.is_object() || value.is_boolean()).collect();
        let patterns = layers.all("patternProperties").filter_map(Value::as_object).flatten();
        let mut sources: Vec<Vec<&Value>> = patterns.map(|(_, source)| vec![source]).collect();
        if !rest.is_empty() {
            sources.push(rest);
        }
        let mut members: Vec<Value> = Vec::new();
        for source in sources {
            if self.over_budget() {
                break;
            }
            let Some(node) = self.node(&source, depth + 1) else { continue };
            if node.schema.is_empty() {
                members = vec![true.into()];
                break;
            }
            add_alternative(&mut members, node.schema.into());
        }
        let values = match members.len() {
            0 if keyword.is_none() && speaks_of_names(layers, types, depth, schema) => true.into(),
            0 => return,
            1 => members.remove(0),
            _ => json!({"anyOf": members}),
        };
        types.set("object");
        schema.insert("additionalProperties".into(), values);
    }
}

/// Whether an object without known properties is meant as a map, since something is said of its names or their number. Below
/// the root, required names alone may be a choice's.
fn speaks_of_names(layers: &Layers, types: &Types, depth: usize, schema: &Map<String, Value>) -> bool {
    let has = |keyword: &str| layers.all(keyword).next().is_some();
    let names = layers.all("propertyNames").any(Value::is_object);
    let counts = ["minProperties", "maxProperties"].iter().any(|keyword| layers.first(keyword, count) > Some(0));
    let required = depth == 0
        && layers.all("required").any(|names| !list(Some(names)).is_empty())
        && !["anyOf", "oneOf", "if"].into_iter().any(has);
    types.names.contains(&"object") && !schema.contains_key("properties") && (names || counts || required)
}

/// What a schema says of the names and the number of properties, which Google has no keyword for.
pub(super) fn name_rules(layers: &Layers, types: &Types, schema: &Map<String, Value>, hints: &mut Hints) {
    if !types.names.contains(&"object") {
        return;
    }
    if !schema.contains_key("properties") {
        let names: Vec<&str> =
            layers.all("required").flat_map(|names| list(Some(names))).filter_map(Value::as_str).collect();
        if !names.is_empty() {
            hints.push(format!("required: {}", names.join(", ")));
        }
    }
    let patterns: Vec<&str> =
        layers.all("patternProperties").filter_map(Value::as_object).flat_map(Map::keys).map(String::as_str).collect();
    if !patterns.is_empty() {
        hints.push(format!("names match {}", patterns.join(" or ")));
    }
    for names in layers.all("propertyNames").filter_map(Value::as_object) {
        if let Some(values) = names.get("enum").and_then(Value::as_array).filter(|values| !values.is_empty()) {
            hints.push(format!("names are {}", in_words(values, false)));
        }
        for keyword in ["const", "pattern", "format"] {
            if let Some(text) = names.get(keyword).and_then(Value::as_str) {
                hints.push(format!("names: {keyword} {text}"));
            }
        }
        for (keyword, words) in [("minLength", "min length"), ("maxLength", "max length")] {
            if let Some(length) = names.get(keyword).and_then(count) {
                hints.push(format!("names: {words} {length}"));
            }
        }
    }
    for (keyword, words) in [("minProperties", "at least"), ("maxProperties", "at most")] {
        if let Some(number) = layers.first(keyword, count) {
            hints.push(format!("{words} {number} properties"));
        }
    }
}

/// A map in words, where only words are possible.
pub(super) fn describe(values: &Value) -> String {
    match (values.get("type").and_then(Value::as_str), values.as_object().map_or(0, Map::len)) {
        (Some(name), 1) => format!("any names, each with a value of type {name}"),
        _ if values.is_object() => format!("any names, each with a value like {values}"),
        _ => "any names and values".into(),
    }
}
