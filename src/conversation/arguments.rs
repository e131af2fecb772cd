//! Arguments of tool calls: the client's texts made into objects for Google, and Google's objects made into texts for
//! the client with every number as it was written (docs/openai-chat.md "Assistant messages in the history",
//! docs/openai-chat.md "Tool calls in answers").

use crate::gemini::surrogates::{self, Joiner};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::fmt;

/// The `args` of a call in the history. Never fails: a client replays a bad call in every later request.
pub(crate) fn from_client(arguments: Option<Value>) -> Value {
    let text = match arguments {
        None | Some(Value::Null) => return json!({}),
        Some(Value::String(text)) => text,
        Some(value) => return object(value),
    };
    if text.trim().is_empty() {
        return json!({});
    }
    match parse(&text) {
        // Some clients encode twice.
        Some(Value::String(inner)) => match parse(&inner) {
            Some(Value::Object(args)) => Value::Object(args),
            _ => object(Value::String(inner)),
        },
        Some(value) => object(value),
        None => json!({ "_raw_arguments": text }),
    }
}

fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| {
        let mut bytes = text.as_bytes().to_vec();
        surrogates::repair(&mut bytes);
        serde_json::from_slice(&bytes).ok()
    })
}

/// Google's `args` must be an object.
fn object(value: Value) -> Value {
    match value {
        Value::Object(_) => value,
        Value::Null => json!({}),
        other => Value::Object(Map::from_iter([("input".to_owned(), other)])),
    }
}

/// The text for the client: compact, keys and numbers as they came, but `3.0` is `3` where `schema` (the parameters)
/// says integer, and a text that holds an object is one where it says object. `wrapped`: only what is under `input`.
pub(crate) fn to_client(args: Option<&RawValue>, schema: Option<&Value>, wrapped: bool) -> String {
    let Some(text) = args.map(RawValue::get).filter(|text| *text != "null") else {
        return "{}".into();
    };
    if text.starts_with('"') {
        // A string that holds an object, which is what was meant.
        if let Some(inner) = decode(text).filter(|inner| is_object(inner)) {
            return write_text(&inner, schema, wrapped);
        }
    }
    write_text(text, schema, wrapped)
}

fn write_text(text: &str, schema: Option<&Value>, wrapped: bool) -> String {
    let mut out = String::with_capacity(text.len());
    if wrapped {
        let entries = serde_json::from_str::<Entries>(text).map(|entries| entries.0).unwrap_or_default();
        if let Some((_, input)) = entries.iter().find(|(name, _)| name == "input") {
            let input_schema = schema.and_then(|schema| schema.get("properties")?.get("input"));
            write(input.get(), input_schema.as_slice(), 0, &mut out);
            return out;
        }
    }
    write(text.trim(), schema.as_slice(), 0, &mut out);
    out
}

/// The free text of a custom tool's call.
pub(crate) fn input(args: Option<&RawValue>) -> String {
    let Some(args) = args else {
        return String::new();
    };
    let entries = serde_json::from_str::<Entries>(args.get()).map(|entries| entries.0).unwrap_or_default();
    match entries.into_iter().find(|(name, _)| name == "input") {
        Some((_, input)) => decode(input.get()).unwrap_or_else(|| input.get().to_owned()),
        None => to_client(Some(args), None, false),
    }
}

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Whether a schema has an integer anywhere; a property of that name does no harm.
pub(crate) fn has_integer(schema: &Value) -> bool {
    match schema {
        Value::String(text) => text == "integer",
        Value::Array(list) => list.iter().any(has_integer),
        Value::Object(object) => object.values().any(has_integer),
        _ => false,
    }
}

/// Levels of nesting that are written anew; what lies deeper is copied, so that no answer can exhaust the stack.
const MAX_DEPTH: usize = 100;

/// Writes a JSON text compactly; `schemas` are all that may describe it. Each level is scanned again by the one above
/// it, which is cheap for arguments: they are small or flat.
fn write(text: &str, schemas: &[&Value], depth: usize, out: &mut String) {
    match text.as_bytes().first() {
        _ if depth == MAX_DEPTH => out.push_str(text),
        Some(b'{') => {
            let Ok(Entries(entries)) = serde_json::from_str(text) else {
                return out.push_str(text);
            };
            out.push('{');
            for (index, (name, value)) in entries.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write_string(name, out);
                out.push(':');
                let member = within(schemas, &|schema| {
                    let known = schema.get("properties").and_then(|properties| properties.get(name));
                    known.or_else(|| schema.get("additionalProperties"))
                });
                write(value.get(), &member, depth + 1, out);
            }
            out.push('}');
        }
        Some(b'[') => {
            let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) else {
                return out.push_str(text);
            };
            out.push('[');
            for (index, value) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                let item = within(schemas, &|schema| {
                    let place = schema.get("prefixItems").and_then(|places| places.get(index));
                    place.or_else(|| schema.get("items"))
                });
                write(value.get(), &item, depth + 1, out);
            }
            out.push(']');
        }
        Some(b'"') => match decode(text) {
            Some(string) if wants(schemas, "object", "string") && is_object(&string) => {
                write(string.trim(), schemas, depth + 1, out);
            }
            Some(string) => write_string(&string, out),
            None => out.push_str(text),
        },
        _ if wants(schemas, "integer", "number") => out.push_str(&whole(text)),
        _ => out.push_str(text),
    }
}

/// A string literal, halves of surrogate pairs put together.
fn decode(text: &str) -> Option<String> {
    let string: String = serde_json::from_str(text).ok()?;
    let mut joiner = Joiner::default();
    let mut joined = joiner.push(&string).into_owned();
    joined.push_str(joiner.finish());
    Some(joined)
}

fn write_string(string: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(string).unwrap_or_default());
}

/// Where `step` leads to from the schemas and from their alternatives.
fn within<'a>(schemas: &[&'a Value], step: &dyn Fn(&'a Value) -> Option<&'a Value>) -> Vec<&'a Value> {
    let mut found = Vec::new();
    for schema in schemas {
        found.extend(step(schema));
        for member in alternatives(schema) {
            found.extend(within(&[member], step));
        }
    }
    found
}

/// Whether they say one type and not the other.
fn wants(schemas: &[&Value], one: &str, other: &str) -> bool {
    let says = |word| schemas.iter().any(|schema| may_be(schema, word));
    says(one) && !says(other)
}

fn may_be(schema: &Value, kind: &str) -> bool {
    let is_kind = |value: &Value| value.as_str() == Some(kind);
    schema
        .get("type")
        .is_some_and(|kinds| is_kind(kinds) || kinds.as_array().is_some_and(|list| list.iter().any(is_kind)))
        || alternatives(schema).any(|member| may_be(member, kind))
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    schema.get("anyOf").and_then(Value::as_array).into_iter().flatten()
}

/// A number without a fraction of zeros; any other text as it is.
fn whole(text: &str) -> String {
    if let Some((digits, zeros)) = text.split_once('.')
        && !zeros.is_empty()
        && zeros.bytes().all(|byte| byte == b'0')
    {
        return digits.to_owned();
    }
    // Beyond 2^53 a double does not know its last digits, and an exponent is all there is to say.
    match text.parse::<f64>() {
        Ok(number) if text.contains(['e', 'E']) && number.fract() == 0.0 && number.abs() < 9.0e15 => {
            (number as i64).to_string()
        }
        _ => text.to_owned(),
    }
}

/// An object's entries in order, values unread.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Entries<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn arguments_of_any_kind_become_an_object() {
        for (given, expected) in [
            (None, json!({})),
            (Some(json!("")), json!({})),
            (Some(json!(" \n")), json!({})),
            (Some(json!("null")), json!({})),
            (Some(json!({"a": 1})), json!({"a": 1})),
            (Some(json!([1])), json!({"input": [1]})),
            (Some(json!("7")), json!({"input": 7})),
            (Some(json!("true")), json!({"input": true})),
            (Some(json!("\"{\\\"a\\\":1}\"")), json!({"a": 1})),
            (Some(json!("\"[1]\"")), json!({"input": "[1]"})),
            (Some(json!("{\"a\": NaN}")), json!({"_raw_arguments": "{\"a\": NaN}"})),
            (Some(json!("{\"a\":\"\\ud83d\"}")), json!({"a": "\u{fffd}"})),
        ] {
            assert_eq!(from_client(given.clone()), expected, "{given:?}");
        }
    }

    #[test]
    fn numbers_keep_their_text_unless_the_schema_says_integer() {
        let schema = json!({"properties": {
            "n": {"type": "integer"}, "x": {"type": "number"}, "l": {"type": "array", "items": {"type": "integer"}},
            "o": {"properties": {"n": {"type": ["integer", "null"]}}}, "u": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "m": {"anyOf": [{"properties": {"n": {"type": "string"}, "x": {"type": "integer"}}},
                            {"properties": {"n": {"type": "integer"}, "x": {"type": "number"}}}, {"type": "null"}]},
            "t": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "number"}], "items": {"type": "integer"}}
        }});
        for (given, expected) in [
            (r#"{"n": 3.0, "x": 3.0}"#, r#"{"n":3,"x":3.0}"#),
            (r#"{"l":[1.0, 2, 2.5]}"#, r#"{"l":[1,2,2.5]}"#),
            (r#"{"o":{"n":4.00,"z":4.0},"u":5.0}"#, r#"{"o":{"n":4,"z":4.0},"u":5}"#),
            (r#"{"m":{"n":1.0,"x":2.0},"t":[1.0,2.0,3.0]}"#, r#"{"m":{"n":1,"x":2.0},"t":[1,2.0,3]}"#),
            (r#"{"n":1e3}"#, r#"{"n":1000}"#),
            (r#"{"n":-0.5}"#, r#"{"n":-0.5}"#),
            (r#"{"n":123456789012345678901234567890}"#, r#"{"n":123456789012345678901234567890}"#),
            (r#"{"q":1.10,"n":"3.0"}"#, r#"{"q":1.10,"n":"3.0"}"#),
        ] {
            assert_eq!(to_client(Some(&raw(given)), Some(&schema), false), expected, "{given}");
        }
    }

    #[test]
    fn maps_keep_their_integers_and_are_no_texts() {
        let map = json!({"type": "object", "additionalProperties": {"type": "integer"}});
        let schema = json!({"properties": {"m": map, "s": {"type": "string"},
            "u": {"anyOf": [{"type": "object"}, {"type": "string"}]}, "l": {"type": "array", "items": map}}});
        for (given, expected) in [
            (r#"{"m":{"a":1.0}}"#, r#"{"m":{"a":1}}"#),
            (r#"{"m":"{\"a\": 1.0}"}"#, r#"{"m":{"a":1}}"#),
            (r#"{"l":["{\"a\":2.0}"]}"#, r#"{"l":[{"a":2}]}"#),
            (r#"{"m":"none"}"#, r#"{"m":"none"}"#),
            (r#"{"s":"{\"a\":1.0}"}"#, r#"{"s":"{\"a\":1.0}"}"#),
            (r#"{"u":"{\"a\":1.0}"}"#, r#"{"u":"{\"a\":1.0}"}"#),
        ] {
            assert_eq!(to_client(Some(&raw(given)), Some(&schema), false), expected, "{given}");
        }
        let wrapped = json!({"properties": {"input": map}});
        assert_eq!(to_client(Some(&raw(r#"{"input":"{\"a\":3.0}"}"#)), Some(&wrapped), true), r#"{"a":3}"#);
    }

    #[test]
    fn arguments_are_compact_and_readable() {
        for (given, expected) in [
            ("null", "{}"),
            (r#"{ "a" : [ ] , "b" : { } }"#, r#"{"a":[],"b":{}}"#),
            (r#"{"a":"\u003cb\u003e \u00e9\n"}"#, "{\"a\":\"<b> é\\n\"}"),
            (r#""{\"a\": 1}""#, r#"{"a":1}"#),
            ("[1, 2]", "[1,2]"),
            (r#""text""#, r#""text""#),
        ] {
            assert_eq!(to_client(Some(&raw(given)), None, false), expected, "{given}");
        }
        assert_eq!(to_client(None, None, false), "{}");
    }

    #[test]
    fn wrapped_arguments_are_unwrapped() {
        assert_eq!(to_client(Some(&raw(r#"{"input": [1, 2]}"#)), None, true), "[1,2]");
        assert_eq!(to_client(Some(&raw(r#"{"other": 1}"#)), None, true), r#"{"other":1}"#);
        assert_eq!(input(Some(&raw(r#"{"input":"*** x\n"}"#))), "*** x\n");
        assert_eq!(input(Some(&raw(r#"{"other": 1}"#))), r#"{"other":1}"#);
        assert_eq!(input(None), "");
    }
}
