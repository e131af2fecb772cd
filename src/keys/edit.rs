//! Making and changing keys: what the page sends, and how a key is written into the state file.

use super::{Key, Source};
use crate::calendar;
use crate::config::{KeyLimits, LIMITS, WrongLimit, dollars, nanodollars, no_such_field};
use crate::message::Message;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// Fields beside the limits that a person sets.
const FIELDS: [&str; 2] = ["name", "disabled"];
/// Those by which the list shows a key beside them: it may be sent back as it was shown.
const SHOWN: [&str; 6] = ["id", "masked", "source", "today", "month", "last_used"];
/// Longest name of a key, in characters.
const LONGEST_NAME: usize = 64;
/// Most models a key may be held to.
const MOST_MODELS: usize = 200;
/// Longest name of a model, in bytes.
const LONGEST_MODEL: usize = 128;

/// What a person wants changed; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// The name.
    pub name: Option<String>,
    disabled: Option<bool>,
    /// The fields of the limits; they can be read.
    limits: Map<String, Value>,
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// 404: no such key.
    Unknown,
    /// 400: which field is wrong.
    Wrong(Message),
    /// 409: what is in the way.
    Conflict(Message),
    /// 413.
    TooLarge,
    /// 503: who holds the keys cannot be asked.
    Away(Message),
}

impl Edit {
    /// Reads the page's JSON. Limits may stand at the top or in `limits`, as the list shows them.
    pub fn parse(body: &[u8]) -> Result<Edit, EditError> {
        let wrong = |text: &str| EditError::Wrong(Message::said(text));
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
        let mut limits = KeyLimits::default();
        let expected = |wrong: WrongLimit| {
            EditError::Wrong(Message::said(format!("{}: expected {}", wrong.field, wrong.expected)))
        };
        let mut rest = fields.clone();
        limits.change(&mut rest).map_err(expected)?;
        if let Some(name) = rest.keys().find(|name| !FIELDS.contains(&name.as_str()) && !SHOWN.contains(&name.as_str()))
        {
            return Err(wrong(&no_such_field(name, &[&FIELDS, LIMITS].concat())));
        }
        if limits.models.len() > MOST_MODELS || limits.models.iter().any(|model| model.len() > LONGEST_MODEL) {
            return Err(wrong("models: expected a list of model names"));
        }
        Ok(Edit { name, disabled, limits: fields })
    }

    pub(super) fn apply(&self, key: &mut Key) {
        if let Some(name) = &self.name {
            key.name = name.as_str().into();
        }
        if let Some(disabled) = self.disabled {
            key.disabled = disabled;
        }
        // They were read before, so this takes them all over.
        let mut limits = KeyLimits::clone(&key.limits);
        let _ = limits.change(&mut self.limits.clone());
        key.limits = Arc::new(limits);
    }
}

fn checked_name(name: &str) -> Result<String, EditError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(EditError::Wrong(Message::new("key_name_wrong").with("most", LONGEST_NAME)));
    }
    Ok(name.to_owned())
}

/// A key of the page as the state file has it.
#[derive(Deserialize, Serialize)]
pub(super) struct Kept<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    masked: Cow<'a, str>,
    #[serde(borrow)]
    sha256: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    disabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requests_per_minute: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requests_per_day: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens_per_day: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens_per_month: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dollars_per_day: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dollars_per_month: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    concurrency: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    models: Vec<String>,
}

pub(super) fn write(key: &Key) -> Kept<'_> {
    let limits = &key.limits;
    Kept {
        name: (&*key.name).into(),
        masked: (&*key.masked).into(),
        sha256: key.digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
        disabled: key.disabled,
        requests_per_minute: limits.requests_per_minute,
        requests_per_day: limits.requests_per_day,
        tokens_per_day: limits.tokens_per_day,
        tokens_per_month: limits.tokens_per_month,
        dollars_per_day: limits.dollars_per_day.map(dollars),
        dollars_per_month: limits.dollars_per_month.map(dollars),
        concurrency: limits.concurrency,
        expires_at: limits.expires_at.map(calendar::iso),
        models: limits.models.clone(),
    }
}

/// The reverse of [`write()`]. Limits that are those of `like` are kept once.
pub(super) fn read(item: &str, like: Option<&Key>) -> Option<Key> {
    let kept: Kept<'_> = serde_json::from_str(item).ok()?;
    let mut digest = [0; 32];
    let hash = Some(kept.sha256).filter(|hash| hash.len() == 64 && hash.is_ascii())?;
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hash[2 * at..2 * at + 2], 16).ok()?;
    }
    let limits = KeyLimits {
        models: kept.models,
        requests_per_minute: kept.requests_per_minute,
        requests_per_day: kept.requests_per_day,
        tokens_per_day: kept.tokens_per_day,
        tokens_per_month: kept.tokens_per_month,
        dollars_per_day: kept.dollars_per_day.map(nanodollars),
        dollars_per_month: kept.dollars_per_month.map(nanodollars),
        concurrency: kept.concurrency,
        expires_at: match kept.expires_at {
            // Without the end that it had, it must not be used.
            Some(end) => Some(calendar::read(&end)?),
            None => None,
        },
    };
    let shared = like.map(|like| &like.limits).filter(|known| ***known == limits);
    Some(Key {
        number: super::number(&digest),
        mark: super::Mark::of(&digest),
        name: checked_name(&kept.name).ok()?.into(),
        masked: if kept.masked.is_empty() { "***".into() } else { kept.masked.into() },
        source: Source::Page,
        disabled: kept.disabled,
        limits: shared.cloned().unwrap_or_else(|| Arc::new(limits)),
        digest,
        meter: Arc::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The dialog of the page sends all limits.
    #[test]
    fn no_limit_in_money_is_none_in_a_program_without_prices_too() {
        assert!(Edit::parse(br#"{"dollars_per_day":null,"limits":{"dollars_per_month":null}}"#).is_ok());
        let limited = Edit::parse(br#"{"dollars_per_month":5}"#);
        assert_eq!(limited.is_ok(), cfg!(feature = "ledger"));
        if let Err(EditError::Wrong(message)) = limited {
            assert!(message.to_string().contains("`ledger`"), "{message}");
        }
    }

    #[test]
    fn a_key_may_be_sent_back_as_the_list_shows_it() {
        let shown = br#"{"id":"key-1","name":"a","masked":"sk-*","source":"page","disabled":true,"models":[],
            "limits":{"concurrency":2},"today":{"requests":1},"month":{},"last_used":null}"#;
        let edit = Edit::parse(shown).unwrap();
        assert_eq!((edit.name.as_deref(), edit.disabled), (Some("a"), Some(true)));
    }

    #[test]
    fn mistakes_name_the_field() {
        let none_of =
            |name: &str| format!("{name}: there is no such field; there are name, disabled, {}", LIMITS.join(", "));
        for (text, expected) in [
            ("", "the body is not valid JSON"),
            ("[]", "expected a JSON object"),
            (r#"{"name":""}"#, "name: expected 1 to 64 characters"),
            (r#"{"name":"a\u0007"}"#, "name: expected 1 to 64 characters"),
            (r#"{"requests_per_minute":-1}"#, "requests_per_minute: expected a whole number or null"),
            (r#"{"limits":{"concurrency":1.5}}"#, "concurrency: expected a whole number or null"),
            (r#"{"rpm":5}"#, "rpm: there is no such field; requests_per_minute may be meant"),
            (r#"{"Disabled":true}"#, "Disabled: there is no such field; disabled may be meant"),
            (r#"{"disable":true}"#, "disable: there is no such field; disabled may be meant"),
            (r#"{"limits":{"note":"x"},"name":"a"}"#, &none_of("note")),
            (r#"{"enabled":false}"#, &none_of("enabled")),
            (r#"{"tpm":5}"#, &none_of("tpm")),
            (r#"{"tokens_per_month":"many"}"#, "tokens_per_month: expected a whole number or null"),
            (r#"{"limits":5}"#, "limits: expected an object"),
            (r#"{"models":"x"}"#, "models: expected a list of model names"),
            (
                r#"{"expires_at":"soon"}"#,
                "expires_at: expected a time such as 2027-01-31T00:00:00Z or a day such as 2027-01-31",
            ),
            (r#"{"disabled":1}"#, "disabled: expected true or false"),
        ] {
            let Err(EditError::Wrong(message)) = Edit::parse(text.as_bytes()) else { panic!("{text}") };
            assert_eq!(message.to_string(), expected, "{text}");
        }
    }
}
