//! Reading a client's JSON: null is absent, what is unknown stays unread, and texts are moved out, never copied, because
//! one of them may be a picture of 20 MB.

use crate::error::ApiError;
use serde_json::{Map, Value};

pub(crate) type Object = Map<String, Value>;

/// Moves a field out; null and absent are the same.
pub(crate) fn take(object: &mut Object, name: &str) -> Option<Value> {
    object.get_mut(name).map(Value::take).filter(|value| !value.is_null())
}

/// The first of several spellings that is there.
pub(crate) fn take_any(object: &mut Object, names: &[&str]) -> Option<Value> {
    names.iter().find_map(|name| take(object, name))
}

/// A text field; another type counts as absent.
pub(crate) fn take_text(object: &mut Object, name: &str) -> Option<String> {
    match take(object, name)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// An object field; another type counts as absent.
pub(crate) fn take_object(object: &mut Object, name: &str) -> Option<Object> {
    match take(object, name)? {
        Value::Object(inner) => Some(inner),
        _ => None,
    }
}

/// A list field; another type counts as absent.
pub(crate) fn take_list(object: &mut Object, name: &str) -> Option<Vec<Value>> {
    match take(object, name)? {
        Value::Array(list) => Some(list),
        _ => None,
    }
}

/// A whole number, also written as `8.0`; another type counts as absent.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    if let Some(number) = value.as_i64() {
        return Some(number);
    }
    if let Some(number) = value.as_u64() {
        return Some(i64::try_from(number).unwrap_or(i64::MAX));
    }
    value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64)
}

/// 400 for a field of the wrong JSON type.
pub(crate) fn wrong_type(param: impl Into<String>, wanted: &str, got: &Value) -> ApiError {
    let param = param.into();
    let message = format!("Invalid type for '{param}': expected {wanted}, but got {} instead.", type_name(got));
    ApiError::invalid(param, "invalid_type", message)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_is_absent() {
        let Value::Object(mut object) = json!({"a": null, "b": "x", "c": 1}) else { unreachable!() };
        assert_eq!(take(&mut object, "a"), None);
        assert_eq!(take_text(&mut object, "b").as_deref(), Some("x"));
        assert_eq!(take_text(&mut object, "c"), None);
        assert_eq!(take_any(&mut object, &["z", "c"]), None, "a value is taken once");
    }

    #[test]
    fn whole_numbers_may_be_written_as_floats() {
        for (value, expected) in [
            (json!(8), Some(8)),
            (json!(8.0), Some(8)),
            (json!(8.5), None),
            (json!(-1), Some(-1)),
            (json!(u64::MAX), Some(i64::MAX)),
            (json!("8"), None),
        ] {
            assert_eq!(integer(&value), expected, "{value}");
        }
    }
}
