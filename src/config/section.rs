//! One object of config.json, read key by key: typed values, coerced as the old program did, and one clear sentence per
//! mistake.

use serde_json::{Map, Value};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Seconds of a year: nobody means a longer time, and far longer ones have no [`Duration`].
const LONGEST: f64 = 86_400.0 * 365.0;

/// What is wrong with the configuration: one line that names the key and what was expected.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(pub(super) String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// One object of the file. Keys are taken out as they are read, so what is left is unknown.
pub(super) struct Section {
    pub(super) path: String,
    pub(super) map: Map<String, Value>,
    pub(super) unknown: Vec<String>,
}

impl Section {
    /// The full name of a key, for messages.
    pub(super) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn wrong(&self, key: &str, expected: &str, found: &Value) -> ConfigError {
        ConfigError(format!("{}: expected {expected}, found {}", self.name(key), shown(found)))
    }

    /// The value, if the key is there at all; null counts.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key)
    }

    /// The value, if the key is there and not null.
    pub(super) fn given(&mut self, key: &str) -> Option<Value> {
        self.take(key).filter(|value| !value.is_null())
    }

    pub(super) fn section(&mut self, key: &str) -> Result<Section, ConfigError> {
        match self.given(key) {
            None => Ok(Section { path: self.name(key), map: Map::new(), unknown: Vec::new() }),
            Some(Value::Object(map)) => Ok(Section { path: self.name(key), map, unknown: Vec::new() }),
            Some(other) => Err(self.wrong(key, "an object", &other)),
        }
    }

    /// Hands the names nobody asked for to the section above.
    pub(super) fn close(self, above: &mut Section) {
        above.unknown.extend(self.map.keys().map(|key| self.name(key)));
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, ConfigError> {
        match self.given(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, "a string", &other)),
        }
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, ConfigError> {
        match self.given(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(self.wrong(key, "true or false", &other)),
        }
    }

    /// A file's path; an empty one names nothing.
    pub(super) fn path(&mut self, key: &str) -> Result<Option<PathBuf>, ConfigError> {
        match self.text(key)? {
            Some(path) if path.is_empty() => Err(self.wrong(key, "the path of a file", &Value::String(path))),
            path => Ok(path.map(PathBuf::from)),
        }
    }

    /// A period in seconds; `Some(None)` is 0 or less: never.
    pub(super) fn period(&mut self, key: &str) -> Result<Option<Option<Duration>>, ConfigError> {
        let Some(value) = self.given(key) else { return Ok(None) };
        match value.as_f64().filter(|number| *number <= LONGEST) {
            Some(number) => Ok(Some((number > 0.0).then(|| Duration::from_secs_f64(number)))),
            None => Err(self.wrong(key, "a number of seconds", &value)),
        }
    }

    /// Seconds; `Some(None)` is an explicit null or 0: no limit.
    pub(super) fn seconds(&mut self, key: &str) -> Result<Option<Option<Duration>>, ConfigError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        if value.is_null() {
            return Ok(Some(None));
        }
        match value.as_f64().filter(|number| (0.0..=LONGEST).contains(number)) {
            Some(0.0) => Ok(Some(None)),
            Some(number) => Ok(Some(Some(Duration::from_secs_f64(number)))),
            None => Err(self.wrong(key, "a number of seconds or null", &value)),
        }
    }

    /// As the old program's `int()`: 8888, "8888" and 8888.0 are all fine.
    pub(super) fn whole(&mut self, key: &str) -> Result<Option<i64>, ConfigError> {
        let Some(value) = self.given(key) else { return Ok(None) };
        let number = match &value {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|float| float.trunc() as i64)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| self.wrong(key, "a whole number", &value))
    }

    pub(super) fn in_range(
        &mut self,
        key: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<i64>, ConfigError> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let shown_value = self.map.get(key).cloned().unwrap_or(Value::Null);
        match self.whole(key) {
            Ok(Some(number)) if !range.contains(&number) => Err(self.wrong(key, &expected, &shown_value)),
            Err(_) => Err(self.wrong(key, &expected, &shown_value)),
            ok => ok,
        }
    }

    pub(super) fn port(&mut self, key: &str) -> Result<Option<u16>, ConfigError> {
        Ok(self.in_range(key, 0..=65535)?.map(|port| port as u16))
    }

    pub(super) fn url(&mut self, key: &str) -> Result<Option<String>, ConfigError> {
        let Some(url) = self.text(key)? else { return Ok(None) };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(self.wrong(key, "an address that begins with http:// or https://", &Value::String(url)));
        }
        Ok(Some(url.trim_end_matches('/').to_owned()))
    }
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
