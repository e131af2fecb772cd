//! One value of config.json: typed, coerced as the old program did, and one clear sentence per mistake.

use crate::calendar;
use serde_json::{Map, Value};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds of a year: nobody means a longer time, and far longer ones have no [`Duration`].
const LONGEST: f64 = 86_400.0 * 365.0;
/// Later times cannot be written as text, and the state file holds text.
const YEAR_10000: u64 = 253_402_300_800;

/// What is wrong with the configuration: one line that names the key and what was expected.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(pub(super) String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    /// The same without what was found: it comes from the environment and may be a secret.
    pub(super) fn without_value(self) -> ConfigError {
        match self.0.rsplit_once(", found \"") {
            Some((before, _)) => ConfigError(format!("{before}, found another text in the environment")),
            None => self,
        }
    }
}

type Result<T> = std::result::Result<T, ConfigError>;

/// A key with what the file gives for it. What is absent or null reads as the default, which is JSON text.
pub(super) struct Field {
    /// The full name, for messages.
    pub(super) name: String,
    /// What the file gives; null counts.
    pub(super) given: Option<Value>,
    pub(super) default: &'static str,
}

impl Field {
    pub(super) fn wrong(&self, expected: &str, found: &Value) -> ConfigError {
        ConfigError(format!("{}: expected {expected}, found {}", self.name, shown(found)))
    }

    fn default(&self) -> Value {
        serde_json::from_str(self.default).unwrap_or_default()
    }

    /// What is given and not null, else the default.
    pub(super) fn value(&self) -> Value {
        self.given.clone().filter(|value| !value.is_null()).unwrap_or_else(|| self.default())
    }

    pub(super) fn text(&self) -> Result<Option<String>> {
        match self.value() {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            other => Err(self.wrong("a string", &other)),
        }
    }

    /// A text; an empty one is the default.
    pub(super) fn filled(&self) -> Result<Option<String>> {
        let text = self.text()?.filter(|text| !text.is_empty());
        Ok(text.or_else(|| self.default().as_str().map(str::to_owned)))
    }

    pub(super) fn flag(&self) -> Result<bool> {
        let value = self.value();
        let word = || value.as_str()?.trim().parse().ok();
        value.as_bool().or_else(word).ok_or_else(|| self.wrong("true or false", &value))
    }

    /// One of `words`.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T> {
        let text = self.text()?.unwrap_or_default();
        words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let (last, first) = words.split_last().expect("there are words");
            self.wrong(&format!("{} or {last}", first.join(", ")), &Value::String(text))
        })
    }

    /// A file's path; an empty one names nothing.
    pub(super) fn path(&self) -> Result<Option<PathBuf>> {
        match self.text()? {
            Some(path) if path.is_empty() => Err(self.wrong("the path of a file", &Value::String(path))),
            path => Ok(path.map(PathBuf::from)),
        }
    }

    /// An address without trailing slash.
    pub(super) fn url(&self) -> Result<Option<String>> {
        match self.text()? {
            Some(url) if !is_url(&url) => {
                Err(self.wrong("an address that begins with http:// or https://", &Value::String(url)))
            }
            url => Ok(url.map(|url| url.trim_end_matches('/').to_owned())),
        }
    }

    /// A period in seconds; 0 or less: never.
    pub(super) fn period(&self) -> Result<Option<Duration>> {
        let value = self.value();
        match number(&value).filter(|number| *number <= LONGEST) {
            Some(number) => Ok((number > 0.0).then(|| Duration::from_secs_f64(number))),
            None => Err(self.wrong("a number of seconds", &value)),
        }
    }

    /// Seconds; 0 and an explicit null: no limit.
    pub(super) fn seconds(&self) -> Result<Option<Duration>> {
        let value = self.given.clone().unwrap_or_else(|| self.default());
        match number(&value).filter(|number| (0.0..=LONGEST).contains(number)) {
            None if value.is_null() => Ok(None),
            None => Err(self.wrong("a number of seconds or null", &value)),
            Some(number) => Ok((number > 0.0).then(|| Duration::from_secs_f64(number))),
        }
    }

    /// As the old program's `int()`: 8888, "8888" and 8888.0 are all fine.
    pub(super) fn whole(&self) -> Result<i64> {
        let value = self.value();
        whole(&value).ok_or_else(|| self.wrong("a whole number", &value))
    }

    /// A whole number, `None` when it is not given and has no default.
    pub(super) fn number_if_given(&self, range: RangeInclusive<u64>) -> Result<Option<u64>> {
        let value = self.value();
        if value.is_null() {
            return Ok(None);
        }
        let number =
            whole(&value).and_then(|number| u64::try_from(number).ok()).filter(|number| range.contains(number));
        let expected = || format!("a whole number from {} to {}", range.start(), range.end());
        number.map(Some).ok_or_else(|| self.wrong(&expected(), &value))
    }

    /// A whole number.
    pub(super) fn number(&self, range: RangeInclusive<u64>) -> Result<u64> {
        self.number_if_given(range).map(Option::unwrap_or_default)
    }

    /// The items of a list; a single value is a list of one.
    pub(super) fn items(&self) -> Vec<Field> {
        let items = match self.value() {
            Value::Null => Vec::new(),
            Value::Array(items) => items,
            single => vec![single],
        };
        let item = |(at, value)| Field { name: format!("{}[{at}]", self.name), given: Some(value), default: "null" };
        items.into_iter().enumerate().map(item).collect()
    }

    /// The object that this is; an empty one when it is not given.
    pub(super) fn object(&self) -> Result<Object> {
        match self.value() {
            Value::Null => Ok(Object { name: self.name.clone(), map: Map::new() }),
            Value::Object(map) => Ok(Object { name: self.name.clone(), map }),
            other => Err(self.wrong("an object", &other)),
        }
    }
}

/// One object of the file. Keys are taken out as they are read, so what is left is unknown.
pub(super) struct Object {
    name: String,
    pub(super) map: Map<String, Value>,
}

impl Object {
    pub(super) fn take(&mut self, key: &str) -> Field {
        Field { name: format!("{}.{key}", self.name), given: self.map.shift_remove(key), default: "null" }
    }

    /// The full names that nobody asked for.
    pub(super) fn unknown(self) -> impl Iterator<Item = String> {
        self.map.into_iter().map(move |(key, _)| format!("{}.{key}", self.name))
    }
}

pub(super) fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// A number, also as a text, which is what variables are.
pub(super) fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

pub(super) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|float| float.trunc() as i64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A time as people write it: RFC 3339, a day of UTC (its beginning), or seconds since 1970.
pub(super) fn time(value: &Value) -> Option<SystemTime> {
    let seconds = match value {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => {
            let text = text.trim();
            let whole = if text.len() == 10 { format!("{text}T00:00:00") } else { text.to_owned() };
            calendar::read(&whole)?.duration_since(UNIX_EPOCH).ok()?.as_secs()
        }
        _ => return None,
    };
    (seconds < YEAR_10000).then(|| UNIX_EPOCH + Duration::from_secs(seconds))
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A value short enough for a message; strings could be secrets put at the wrong place, so only short ones are shown.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::String(text) if text.len() <= 16 => format!("\"{}\"", text.escape_debug()),
        other => kind(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_time_is_read_in_three_spellings() {
        for value in [json!("2027-01-31"), json!("2027-01-31T01:00:00+01:00"), json!(1_801_353_600)] {
            assert_eq!(time(&value), Some(UNIX_EPOCH + Duration::from_secs(1_801_353_600)), "{value}");
        }
        for value in [json!(-1), json!(YEAR_10000), json!("10000-01-01")] {
            assert_eq!(time(&value), None, "{value}");
        }
        let last = UNIX_EPOCH + Duration::from_secs(YEAR_10000 - 1);
        assert_eq!(time(&json!("9999-12-31T23:59:59Z")), Some(last));
    }
}
