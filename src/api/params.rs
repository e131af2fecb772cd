//! Reading a client's JSON, in every dialect: null is absent, what is unknown stays unread, and texts are moved out, never
//! copied, because one of them may be a picture of 20 MB.
//!
//! [`read`] and [`read_at`] refuse a field of the wrong type; the `take_` functions count it as absent, for options that other programs
//! send in forms of their own and that are not worth a refusal.

use crate::error::ApiError;
use serde_json::{Map, Number, Value};
use std::fmt::Display;

pub(crate) type Object = Map<String, Value>;

/// A type that a field can have.
pub(crate) trait Field: Sized {
    /// What a message says was expected.
    const WANTED: &'static str;

    fn of(value: Value) -> Result<Self, Value>;
}

/// For types that are one of JSON's own.
macro_rules! field {
    ($type:ty, $variant:ident, $wanted:literal) => {
        impl Field for $type {
            const WANTED: &'static str = $wanted;

            fn of(value: Value) -> Result<Self, Value> {
                if let Value::$variant(inner) = value { Ok(inner) } else { Err(value) }
            }
        }
    };
}

field!(bool, Bool, "a boolean");
field!(Number, Number, "a number");
field!(String, String, "a string");
field!(Vec<Value>, Array, "an array");
field!(Object, Object, "an object");

/// Whole numbers, also written as `8.0`; those beyond the type are its ends.
impl Field for i64 {
    const WANTED: &'static str = "an integer";

    fn of(value: Value) -> Result<Self, Value> {
        let whole = || value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64);
        value.as_i64().or_else(whole).ok_or(value)
    }
}

/// Moves a field out; null and absent are the same. A request is asked for dozens of fields and has a few, which are
/// compared in less time than a name is hashed.
pub(crate) fn take(object: &mut Object, name: &str) -> Option<Value> {
    let found = match object.len() {
        0..=8 => object.iter_mut().find(|(key, _)| *key == name).map(|(_, value)| value),
        _ => object.get_mut(name),
    };
    found.map(Value::take).filter(|value| !value.is_null())
}

/// The first of several spellings that is there.
pub(crate) fn take_any(object: &mut Object, names: &[&str]) -> Option<Value> {
    names.iter().find_map(|name| take(object, name))
}

/// A field of a certain type; another type counts as absent.
pub(crate) fn take_as<T: Field>(object: &mut Object, name: &str) -> Option<T> {
    T::of(take(object, name)?).ok()
}

/// The same for a text.
pub(crate) fn take_text(object: &mut Object, name: &str) -> Option<String> {
    take_as(object, name)
}

/// The same for an object.
pub(crate) fn take_object(object: &mut Object, name: &str) -> Option<Object> {
    take_as(object, name)
}

/// The same for a list.
pub(crate) fn take_list(object: &mut Object, name: &str) -> Option<Vec<Value>> {
    take_as(object, name)
}

/// A field of the whole request; another type is the client's mistake.
pub(crate) fn read<T: Field>(body: &mut Object, name: &str) -> Result<Option<T>, ApiError> {
    read_at(body, "", name)
}

/// The same for a field of an inner object, whose path is `at`.
pub(crate) fn read_at<T: Field>(object: &mut Object, at: impl Display, name: &str) -> Result<Option<T>, ApiError> {
    let Some(value) = take(object, name) else { return Ok(None) };
    T::of(value).map(Some).map_err(|got| wrong_type(path(at, name), T::WANTED, &got))
}

/// The path of a field.
pub(crate) fn path(at: impl Display, name: &str) -> String {
    let path = format!("{at}.{name}");
    path.strip_prefix('.').map(str::to_owned).unwrap_or(path)
}

/// 400 for a field of the wrong JSON type.
pub(crate) fn wrong_type(param: impl Into<String>, wanted: &str, got: &Value) -> ApiError {
    let param = param.into();
    let message = format!("Invalid type for '{param}': expected {wanted}, but got {} instead.", type_name(got));
    ApiError::invalid(param, "invalid_type", message)
}

/// 400 for a field that is not there.
pub(crate) fn missing(param: impl Into<String>) -> ApiError {
    let param = param.into();
    let message = format!("Missing required parameter: '{param}'.");
    ApiError::invalid(param, "missing_required_parameter", message)
}

/// 400 for a word that is none of those a field can have.
pub(crate) fn unknown_word(param: impl Into<String>, word: &str, known: &str) -> ApiError {
    let message = format!("Invalid value: '{}'. Supported values are: {known}.", shorten(word));
    ApiError::invalid(param, "invalid_value", message)
}

/// 400 for a number that is too small.
pub(crate) fn too_small(param: &str, least: i64) -> ApiError {
    ApiError::invalid(param, "invalid_value", format!("'{param}' must be at least {least}."))
}

/// A client's word, short enough for an error message.
pub(crate) fn shorten(word: &str) -> &str {
    word.char_indices().nth(64).map_or(word, |(end, _)| &word[..end])
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => bool::WANTED,
        Value::Number(_) => Number::WANTED,
        Value::String(_) => String::WANTED,
        Value::Array(_) => Vec::<Value>::WANTED,
        Value::Object(_) => Object::WANTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Object {
        Object::of(value).unwrap()
    }

    #[test]
    fn null_is_absent() {
        let mut fields = object(json!({"a": null, "b": "x", "c": 1}));
        assert_eq!(take(&mut fields, "a"), None);
        assert_eq!(take_text(&mut fields, "b").as_deref(), Some("x"));
        assert_eq!(take_text(&mut fields, "c"), None);
        assert_eq!(take_any(&mut fields, &["z", "c"]), None, "a value is taken once");
        assert_eq!(read::<String>(&mut object(json!({"a": null})), "a"), Ok(None));
    }

    #[test]
    fn whole_numbers_may_be_written_as_floats() {
        for (value, expected) in [
            (json!(8), Some(8)),
            (json!(8.0), Some(8)),
            (json!(8.5), None),
            (json!(-1), Some(-1)),
            (json!(u64::MAX), Some(i64::MAX)),
            (json!(-1e300), Some(i64::MIN)),
            (json!("8"), None),
        ] {
            assert_eq!(i64::of(value.clone()).ok(), expected, "{value}");
        }
    }

    #[test]
    fn a_wrong_type_is_refused_under_the_path_of_the_field() {
        for (value, kind) in [(json!(1), "a number"), (json!([]), "an array"), (json!({}), "an object")] {
            let error = read_at::<String>(&mut object(json!({"role": value})), "messages[3]", "role").unwrap_err();
            assert_eq!(error.param.as_deref(), Some("messages[3].role"));
            assert_eq!(
                error.message,
                format!("Invalid type for 'messages[3].role': expected a string, but got {kind} instead.")
            );
        }
    }
}
