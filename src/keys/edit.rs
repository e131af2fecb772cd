//! Making and changing keys: what the page sends, and how a key is written into the state file.

use super::{Key, Source};
use crate::config::{KeyLimits, time};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::SystemTime;

/// Longest name of a key, in characters.
const LONGEST_NAME: usize = 64;
/// Most models a key may be held to.
const MOST_MODELS: usize = 200;

/// What a person wants changed; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// The name.
    pub name: Option<String>,
    disabled: Option<bool>,
    models: Option<Vec<String>>,
    /// `Some(None)` takes the limit away.
    requests_per_minute: Option<Option<u64>>,
    requests_per_day: Option<Option<u64>>,
    tokens_per_day: Option<Option<u64>>,
    concurrency: Option<Option<u64>>,
    expires_at: Option<Option<SystemTime>>,
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// 404: no such key.
    Unknown,
    /// 400: the sentence says which field is wrong.
    Wrong(String),
    /// 409: the sentence says what is in the way.
    Conflict(String),
}

impl Edit {
    /// Reads the page's JSON. Limits may stand at the top or in `limits`, as the list shows them.
    pub fn parse(body: &[u8]) -> Result<Edit, EditError> {
        let wrong = |text: &str| EditError::Wrong(text.to_owned());
        let body: Value = serde_json::from_slice(body).map_err(|_| wrong("the body is not valid JSON"))?;
        let Value::Object(mut fields) = body else { return Err(wrong("expected a JSON object")) };
        match fields.shift_remove("limits") {
            None | Some(Value::Null) => {}
            Some(Value::Object(limits)) => fields.extend(limits),
            Some(_) => return Err(wrong("limits: expected an object")),
        }
        let name = match fields.get("name") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(checked_name(name)?),
            Some(_) => return Err(wrong("name: expected a text")),
        };
        let disabled = match fields.get("disabled") {
            None | Some(Value::Null) => None,
            Some(Value::Bool(disabled)) => Some(*disabled),
            Some(_) => return Err(wrong("disabled: expected true or false")),
        };
        let models = match fields.get("models") {
            None => None,
            Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(models)) if models.len() <= MOST_MODELS => {
                let model = |model: &Value| model.as_str().filter(|model| model.len() <= 128).map(str::to_owned);
                let models: Option<Vec<String>> = models.iter().map(model).collect();
                Some(models.ok_or_else(|| wrong("models: expected a list of model names"))?)
            }
            Some(_) => return Err(wrong("models: expected a list of model names")),
        };
        let expires_at = match fields.get("expires_at") {
            None => None,
            Some(Value::Null) => Some(None),
            Some(value) => Some(Some(time(value).ok_or_else(|| wrong(EXPIRY))?)),
        };
        Ok(Edit {
            name,
            disabled,
            models,
            requests_per_minute: limit(&fields, "requests_per_minute")?,
            requests_per_day: limit(&fields, "requests_per_day")?,
            tokens_per_day: limit(&fields, "tokens_per_day")?,
            concurrency: limit(&fields, "concurrency")?,
            expires_at,
        })
    }

    pub(super) fn apply(&self, key: &mut Key) {
        if let Some(name) = &self.name {
            key.name.clone_from(name);
        }
        if let Some(disabled) = self.disabled {
            key.disabled = disabled;
        }
        if let Some(models) = &self.models {
            key.limits.models.clone_from(models);
        }
        for (limit, change) in [
            (&mut key.limits.requests_per_minute, self.requests_per_minute),
            (&mut key.limits.requests_per_day, self.requests_per_day),
            (&mut key.limits.tokens_per_day, self.tokens_per_day),
            (&mut key.limits.concurrency, self.concurrency),
        ] {
            if let Some(change) = change {
                *limit = change;
            }
        }
        if let Some(end) = self.expires_at {
            key.limits.expires_at = end;
        }
    }
}

const EXPIRY: &str = "expires_at: expected a time such as 2027-01-31T00:00:00Z or a day such as 2027-01-31";

fn checked_name(name: &str) -> Result<String, EditError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(EditError::Wrong(format!("name: expected 1 to {LONGEST_NAME} characters")));
    }
    Ok(name.to_owned())
}

fn limit(fields: &Map<String, Value>, name: &str) -> Result<Option<Option<u64>>, EditError> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(value) => match value.as_u64() {
            Some(number) => Ok(Some(Some(number))),
            None => Err(EditError::Wrong(format!("{name}: expected a whole number or null"))),
        },
    }
}

/// A key of the page as the state file has it.
pub(super) fn write(key: &Key) -> Value {
    let mut item = limits(&key.limits);
    let hash: String = key.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    item["id"] = json!(key.id);
    item["name"] = json!(key.name);
    item["masked"] = json!(key.masked);
    item["sha256"] = json!(hash);
    item["disabled"] = json!(key.disabled);
    item["models"] = json!(key.limits.models);
    item
}

/// The limits as the page and the state file have them.
pub(crate) fn limits(limits: &KeyLimits) -> Value {
    json!({
        "requests_per_minute": limits.requests_per_minute,
        "requests_per_day": limits.requests_per_day,
        "tokens_per_day": limits.tokens_per_day,
        "concurrency": limits.concurrency,
        "expires_at": limits.expires_at.map(crate::calendar::iso),
    })
}

/// The reverse of [`write()`].
pub(super) fn read(item: &Value) -> Option<Key> {
    let hash = item["sha256"].as_str().filter(|hash| hash.len() == 64 && hash.is_ascii())?;
    let mut digest = [0; 32];
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hash[2 * at..2 * at + 2], 16).ok()?;
    }
    let edit = Edit::parse(item.to_string().as_bytes()).ok()?;
    let mut key = Key {
        id: item["id"].as_str()?.to_owned(),
        name: edit.name.clone()?,
        masked: item["masked"].as_str().unwrap_or("***").to_owned(),
        source: Source::Page,
        disabled: false,
        limits: KeyLimits::default(),
        digest,
        meter: Arc::default(),
    };
    edit.apply(&mut key);
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_name_the_field() {
        for (text, expected) in [
            ("", "the body is not valid JSON"),
            ("[]", "expected a JSON object"),
            (r#"{"name":""}"#, "name: expected 1 to 64 characters"),
            (r#"{"name":"a\u0007"}"#, "name: expected 1 to 64 characters"),
            (r#"{"requests_per_minute":-1}"#, "requests_per_minute: expected a whole number or null"),
            (r#"{"limits":{"concurrency":1.5}}"#, "concurrency: expected a whole number or null"),
            (r#"{"limits":5}"#, "limits: expected an object"),
            (r#"{"models":"x"}"#, "models: expected a list of model names"),
            (r#"{"expires_at":"soon"}"#, EXPIRY),
            (r#"{"disabled":1}"#, "disabled: expected true or false"),
        ] {
            assert_eq!(Edit::parse(text.as_bytes()).unwrap_err(), EditError::Wrong(expected.into()), "{text}");
        }
    }
}
