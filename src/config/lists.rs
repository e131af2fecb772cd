//! The lists of config.json: client keys, Gemini API keys, models.

use super::section::{ConfigError, Section, kind};
use super::{ApiKey, ClientKey, KeyLimits};
use crate::gemini::models::ModelEntry;
use crate::gemini::thinking::{Control, Level};
use crate::secret::Secret;
use serde_json::{Map, Value};

/// The keys, and whether they are the built-in default.
pub(super) fn auth_keys(root: &mut Section, warnings: &mut Vec<String>) -> Result<(Vec<ClientKey>, bool), ConfigError> {
    let items = match root.take("auth_keys") {
        None => {
            let key = ClientKey { name: "default".into(), key: Secret::new("123456"), limits: KeyLimits::default() };
            warnings.push(
                "auth_keys is not set: the built-in key 123456 answers callers on this machine only; set auth_keys to serve others"
                    .into(),
            );
            return Ok((vec![key], true));
        }
        Some(Value::Array(items)) => items,
        Some(Value::Null) => return Err(ConfigError("auth_keys: expected a list of keys, found null".into())),
        Some(single) => vec![single],
    };
    let mut keys = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        let key = client_key(root, at, item)?;
        if key.key.is_empty() {
            warnings.push(format!("auth_keys[{at}]: an empty key would let anybody in; it is ignored"));
            continue;
        }
        if ["123456", "your-secret-key-1", "your-secret-key-2"].contains(&key.key.expose()) {
            warnings.push(format!("auth_keys[{at}] is an example key that everybody knows; replace it"));
        }
        keys.push(key);
    }
    if keys.is_empty() {
        warnings.push("auth_keys holds no key: every API request will be refused".into());
    }
    Ok((keys, false))
}

fn client_key(root: &mut Section, at: usize, item: Value) -> Result<ClientKey, ConfigError> {
    // Header values come without the space around them, so a key that keeps it would never match.
    let plain = |key: &str| ClientKey {
        name: crate::mask::key(key.trim()),
        key: Secret::new(key.trim()),
        limits: KeyLimits::default(),
    };
    match item {
        Value::String(key) => Ok(plain(&key)),
        Value::Number(number) => Ok(plain(&number.to_string())),
        Value::Object(map) => {
            let mut section = Section { path: format!("auth_keys[{at}]"), map, unknown: Vec::new() };
            let key = match section.take("key") {
                Some(Value::String(key)) => key,
                Some(Value::Number(number)) => number.to_string(),
                Some(other) => return Err(section.wrong("key", "a string", &other)),
                None => return Err(ConfigError(format!("auth_keys[{at}].key: expected a string, found nothing"))),
            };
            let name = section.text("name")?.filter(|name| !name.is_empty());
            let models = match section.given("models") {
                None => Vec::new(),
                Some(Value::Array(models)) => models
                    .into_iter()
                    .map(|model| match model {
                        Value::String(model) => Ok(model),
                        other => Err(section.wrong("models", "a list of strings", &other)),
                    })
                    .collect::<Result<_, _>>()?,
                Some(other) => return Err(section.wrong("models", "a list of strings", &other)),
            };
            let expires_at = match section.given("expires_at") {
                None => None,
                Some(value) => {
                    let wrong = || section.wrong("expires_at", "a time such as 2027-01-31T00:00:00Z", &value);
                    Some(crate::keys::time(&value).ok_or_else(wrong)?)
                }
            };
            let limit = |section: &mut Section, key| -> Result<Option<u64>, ConfigError> {
                Ok(section.in_range(key, 0..=i64::MAX)?.map(i64::unsigned_abs))
            };
            let limits = KeyLimits {
                models,
                requests_per_minute: limit(&mut section, "requests_per_minute")?,
                requests_per_day: limit(&mut section, "requests_per_day")?,
                tokens_per_day: limit(&mut section, "tokens_per_day")?,
                concurrency: limit(&mut section, "concurrency")?,
                expires_at,
            };
            section.close(root);
            let plain = plain(&key);
            Ok(ClientKey { name: name.unwrap_or(plain.name), key: plain.key, limits })
        }
        other => Err(ConfigError(format!("auth_keys[{at}]: expected a string or an object, found {}", kind(&other)))),
    }
}

pub(super) fn api_keys(root: &mut Section) -> Result<Vec<ApiKey>, ConfigError> {
    let items = match root.take("gemini_api_keys") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(single) => vec![single],
    };
    let mut keys = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        let (key, label) = match item {
            Value::String(key) => (key, None),
            Value::Object(map) => {
                let mut section = Section { path: format!("gemini_api_keys[{at}]"), map, unknown: Vec::new() };
                let (key, label) = (section.text("key")?.unwrap_or_default(), section.text("label")?);
                section.close(root);
                (key, label)
            }
            other => {
                let found = kind(&other);
                return Err(ConfigError(format!(
                    "gemini_api_keys[{at}]: expected a string or {{\"key\",\"label\"}}, found {found}"
                )));
            }
        };
        let key = key.trim();
        if key.is_empty() {
            return Err(ConfigError(format!("gemini_api_keys[{at}]: the key is empty")));
        }
        keys.push(ApiKey { key: Secret::new(key), label });
    }
    Ok(keys)
}

pub(super) fn models(root: &mut Section) -> Result<Vec<ModelEntry>, ConfigError> {
    let items = match root.take("models") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(ConfigError(format!("models: expected a list, found {}", kind(&other)))),
    };
    let mut entries = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        let map = match item {
            Value::String(name) => Map::from_iter([("name".to_owned(), Value::String(name))]),
            Value::Object(map) => map,
            other => return Err(ConfigError(format!("models[{at}]: expected an object, found {}", kind(&other)))),
        };
        let mut section = Section { path: format!("models[{at}]"), map, unknown: Vec::new() };
        let Some(name) = section.text("name")?.filter(|name| !name.is_empty()) else {
            return Err(ConfigError(format!("models[{at}].name: expected a model name")));
        };
        let alias_of = section.text("alias_of")?;
        let thinking = section.given("thinking").map(|value| thinking_control(&section, &value)).transpose()?;
        section.close(root);
        entries.push(ModelEntry { name, alias_of, thinking });
    }
    Ok(entries)
}

/// `"none"`, `"budget"`, `"level"`, or `{"min","max","can_be_off"}` for budgets, or a list of level words.
fn thinking_control(section: &Section, value: &Value) -> Result<Control, ConfigError> {
    let expected = "\"none\", \"budget\", \"level\", {\"min\",\"max\",\"can_be_off\"} or a list of levels";
    let wrong = || section.wrong("thinking", expected, value);
    match value {
        Value::String(word) => match word.as_str() {
            "none" => Ok(Control::None),
            "budget" => Ok(Control::Budget { min: 128, max: 24_576, can_be_off: false }),
            "level" => Ok(Control::Levels(vec![Level::Low, Level::High])),
            _ => Err(wrong()),
        },
        Value::Object(map) => {
            let number = |key: &str, default: i64| map.get(key).map_or(Some(default), Value::as_i64).ok_or_else(wrong);
            let can_be_off = map.get("can_be_off").and_then(Value::as_bool).unwrap_or(false);
            let (min, max) = (number("min", 128)?, number("max", 24_576)?);
            if min > max {
                return Err(wrong());
            }
            Ok(Control::Budget { min, max, can_be_off })
        }
        Value::Array(words) => {
            let level = |word: &Value| match word.as_str()?.to_ascii_uppercase().as_str() {
                "MINIMAL" => Some(Level::Minimal),
                "LOW" => Some(Level::Low),
                "MEDIUM" => Some(Level::Medium),
                "HIGH" => Some(Level::High),
                "XHIGH" => Some(Level::XHigh),
                _ => None,
            };
            let mut levels: Vec<Level> = words.iter().map(level).collect::<Option<_>>().ok_or_else(wrong)?;
            levels.sort();
            levels.dedup();
            if levels.is_empty() { Err(wrong()) } else { Ok(Control::Levels(levels)) }
        }
        _ => Err(wrong()),
    }
}
