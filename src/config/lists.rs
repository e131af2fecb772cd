//! The keys in config.json: those of clients and those for Gemini.

use super::keys::Draft;
use super::limits::{WrongLimit, all_limits, is_figure, meant};
use super::value::{ConfigError, Field, shown};
use super::{AdminLogin, ApiKey, ClientKey, KeyLimits};
use crate::mask;
use crate::secret::Secret;
use serde_json::Value;

/// The built-in key and those of examples, here and in the Python program.
const EXAMPLES: [&str; 5] = ["123456", "your-secret-key-1", "your-secret-key-2", "sk-mine", "sk-demo"];

/// Whether a key is built in or stands in an example, so that everybody knows it.
pub fn is_example_key(key: &str) -> bool {
    EXAMPLES.contains(&key)
}

pub(super) fn auth_keys(draft: &mut Draft, field: &Field) -> Result<(), ConfigError> {
    draft.config.default_keys = field.given.as_ref().is_none_or(Value::is_null);
    for item in field.items() {
        let key = client_key(draft, &item)?;
        if key.key.is_empty() {
            draft.warnings.push(format!("{}: an empty key would let anybody in; it is ignored", item.name));
            continue;
        }
        if is_example_key(key.key.expose()) && !draft.config.default_keys {
            draft.warnings.push(format!("{} is an example key that everybody knows; replace it", item.name));
        }
        draft.config.auth_keys.push(key);
    }
    if draft.config.default_keys {
        draft.warnings.push(
            "auth_keys is not set: the built-in key 123456 answers callers on this machine only; set auth_keys to serve others"
                .into(),
        );
    } else if draft.config.auth_keys.is_empty() {
        draft.warnings.push("auth_keys holds no key: every API request will be refused".into());
    }
    Ok(())
}

fn client_key(draft: &mut Draft, item: &Field) -> Result<ClientKey, ConfigError> {
    // Header values come without the space around them, so a key that keeps it would never match.
    let plain = |key: &str| ClientKey {
        name: mask::key(key.trim()),
        key: Secret::new(key.trim()),
        limits: KeyLimits::default(),
    };
    let text = |value: &Value| match value {
        Value::String(key) => Some(key.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let value = item.value();
    if let Some(key) = text(&value) {
        return Ok(plain(&key));
    }
    if !value.is_object() {
        return Err(item.wrong("a string or an object", &value));
    }
    let mut object = item.object()?;
    let key = object.take("key");
    let mut client = match &key.given {
        Some(value) => plain(&text(value).ok_or_else(|| key.wrong("a string", value))?),
        None => return Err(ConfigError(format!("{}: expected a string, found nothing", key.name))),
    };
    if let Some(name) = object.take("name").filled()? {
        client.name = name;
    }
    client.limits.change(&mut object.map).map_err(|WrongLimit { field, expected, found }| {
        ConfigError(format!("{}.{field}: expected {expected}, found {}", item.name, shown(&found)))
    })?;
    for (name, value) in std::mem::take(&mut object.map) {
        let place = format!("{}.{name}", item.name);
        // A limit that is misspelt would be none. A text beside it is somebody's note.
        match meant(&name) {
            Some(known) => return Err(ConfigError(format!("{place}: there is no such limit; {known} may be meant"))),
            None if value.is_null() || (value.is_string() && !is_figure(&value)) => draft.unknown.push(place),
            None => return Err(ConfigError(format!("{place}: there is no such limit; there are {}", all_limits()))),
        }
    }
    Ok(client)
}

pub(super) fn gemini_api_keys(draft: &mut Draft, field: &Field) -> Result<(), ConfigError> {
    for item in field.items() {
        let (keys, label) = match item.value() {
            Value::String(keys) => (keys, None),
            Value::Object(_) => {
                let mut object = item.object()?;
                let read = (object.take("key").text()?.unwrap_or_default(), object.take("label").text()?);
                draft.unknown.extend(object.unknown());
                read
            }
            other => return Err(item.wrong("a string or {\"key\",\"label\"}", &other)),
        };
        // Several in one text, as environment variables have them: no key of Google's has a comma.
        for key in keys.split(',').map(str::trim) {
            if key.is_empty() {
                return Err(ConfigError(format!("{}: the key is empty", item.name)));
            }
            if is_placeholder(key) {
                draft.warnings.push(format!(
                    "{} is a placeholder and no key; make one at https://aistudio.google.com/apikey",
                    item.name
                ));
            }
            draft.config.gemini_api_keys.push(ApiKey { key: Secret::new(key), label: label.clone() });
        }
    }
    Ok(())
}

/// Whether it is what documentation has in the place of a key of Google's.
fn is_placeholder(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !key.bytes().all(is_part) || key.contains("...") || (key.contains("your") && key.contains("key"))
}

pub(super) fn project_id_map(draft: &mut Draft, field: &Field) -> Result<(), ConfigError> {
    let mut object = field.object()?;
    let emails: Vec<String> = object.map.keys().cloned().collect();
    for email in emails {
        let project = object.take(&email);
        let Some(Value::String(id)) = project.given else {
            return Err(project.wrong("a project id", &project.value()));
        };
        draft.config.project_id_map.insert(email.to_lowercase(), id);
    }
    Ok(())
}

pub(super) fn auth_client(draft: &mut Draft, field: &Field) -> Result<(), ConfigError> {
    let mut object = field.object()?;
    draft.config.auth_client.proxy_url = object.take("proxy_url").url()?;
    let username = object.take("admin_username").filled()?;
    draft.config.auth_client.login = login(username, object.take("admin_password").filled()?);
    draft.unknown.extend(object.unknown());
    Ok(())
}

pub(super) fn login(username: Option<String>, password: Option<String>) -> Option<AdminLogin> {
    username.zip(password).map(|(username, password)| AdminLogin { username, password: Secret::new(password) })
}
