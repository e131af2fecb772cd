//! From the text of config.json to [`Config`], and from one config to the next while the program runs.

use super::Config;
use super::keys::{Draft, KEYS, Key};
use super::names::distance;
use super::value::{ConfigError, Field, kind};
use super::variables;
use crate::secret::Secret;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;

/// How long a login may take on Google's pages.
const LOGIN_LIFETIME: Duration = Duration::from_secs(600);

/// A configuration and what the operator should hear about it once the logger runs.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Keys that nobody reads.
    pub notes: Vec<String>,
    /// WARNING lines.
    pub warnings: Vec<String>,
}

/// Reads the file at `path`, or takes the defaults when there is none to read. Nothing is opened or bound here.
pub fn load(path: Option<&Path>) -> Result<Loaded, ConfigError> {
    let Some(path) = path else { return parse("{}") };
    let name = path.display();
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            ConfigError(format!("{name}: no such file; copy config.example.json there and edit it"))
        }
        _ => ConfigError(format!("{name}: {error}")),
    })?;
    let other = if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        ", but UTF-16; save it as UTF-8"
    } else {
        ""
    };
    let text =
        String::from_utf8(bytes).map_err(|_| ConfigError(format!("{name}: the file is not UTF-8 text{other}")))?;
    parse(&text).map_err(|ConfigError(message)| ConfigError(format!("{name}: {message}")))
}

/// Reads a configuration from JSON text; a byte order mark is accepted, and `${NAME}` is a variable of the environment.
pub fn parse(text: &str) -> Result<Loaded, ConfigError> {
    let root = object(text)?;
    let mut draft = Draft::default();
    draft.config.login_lifetime = LOGIN_LIFETIME;
    draft.config.source = Secret::new(Value::from(root.clone()).to_string());
    let [mut outer, mut inner] = split(root)?;
    for key in KEYS {
        let place = if key.name.contains('.') { &mut inner } else { &mut outer };
        let mut given = place.shift_remove(key.name);
        let has_variables = given.as_ref().is_some_and(variables::names_any);
        if let Some(given) = &mut given {
            variables::expand(given, key.name, &|name| std::env::var(name).ok())?;
        }
        let field = Field { name: key.name.into(), given, default: key.default };
        (key.read)(&mut draft, &field).map_err(|error| if has_variables { error.without_value() } else { error })?;
    }
    let Draft { config, mut warnings, mut unknown, .. } = draft;
    warnings.extend(repeated(text).into_iter().map(|name| {
        format!("config: {name} is given twice in one object, and the last one counts; put both into one")
    }));
    unknown.extend(inner.into_iter().chain(outer).map(|(name, _)| with_nearest(name)));
    let notes = match unknown.as_slice() {
        [] => Vec::new(),
        names => vec![format!("config: unknown keys are ignored: {}", names.join(", "))],
    };
    Ok(Loaded { config, notes, warnings })
}

fn object(text: &str) -> Result<Map<String, Value>, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(other) => Err(ConfigError(format!("expected an object {{...}}, found {}", kind(&other)))),
        Err(error) => Err(ConfigError(format!("not valid JSON: {error}{}", hint(text, &error)))),
    }
}

/// What a person did who does not write JSON every day. The line itself is not shown: it may hold a key.
fn hint(text: &str, error: &serde_json::Error) -> &'static str {
    if error.is_eof() {
        return if text.trim().is_empty() {
            "; the file is empty"
        } else {
            "; a bracket, brace or quote is not closed"
        };
    }
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let before = line.len().min(error.column().saturating_sub(1));
    let before = (0..=before).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    match line[before..].chars().next() {
        Some('/' | '#') => "; JSON has no comments",
        Some('\'') => "; texts stand in double quotes",
        Some('“' | '”' | '„' | '‘' | '’' | '«' | '»') => {
            "; these are typographic quotes, JSON takes plain ones: \""
        }
        Some('"') => "; a comma may be missing before it",
        Some('T' | 'F' | 'N') => "; JSON writes true, false and null small, and texts in double quotes",
        Some(letter) if letter.is_alphabetic() => "; texts and names stand in double quotes",
        _ => "",
    }
}

/// Names that an object has twice, in a text that is valid JSON.
fn repeated(text: &str) -> Vec<&str> {
    let (bytes, mut at) = (text.as_bytes(), 0);
    let (mut objects, mut found): (Vec<Vec<&str>>, Vec<&str>) = Default::default();
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' => objects.push(Vec::new()),
            b'}' => drop(objects.pop()),
            b'"' => {
                let begin = at;
                while bytes[at] != b'"' {
                    at += 1 + usize::from(bytes[at] == b'\\');
                }
                let (name, rest) = (&text[begin..at], &text[at + 1..]);
                at += 1;
                if let Some(names) = objects.last_mut().filter(|_| rest.trim_start().starts_with(':')) {
                    if names.contains(&name) && !found.contains(&name) {
                        found.push(name);
                    }
                    names.push(name);
                }
            }
            _ => {}
        }
    }
    found
}

/// The keys of the file, and those of the objects that the table looks into, under their full names.
fn split(root: Map<String, Value>) -> Result<[Map<String, Value>; 2], ConfigError> {
    let (mut outer, mut inner) = (Map::new(), Map::new());
    for (name, value) in root {
        if !KEYS.iter().any(|key| key.name.split_once('.').is_some_and(|(section, _)| section == name)) {
            outer.insert(name, value);
            continue;
        }
        let section = Field { name, given: Some(value), default: "null" };
        inner.extend(section.object()?.map.into_iter().map(|(key, value)| (format!("{}.{key}", section.name), value)));
    }
    Ok([outer, inner])
}

/// An unknown name with the known one that may be meant: misspelt, or in another object.
fn with_nearest(name: String) -> String {
    let distance_to = |key: &Key| {
        let last = key.name.rsplit('.').next().unwrap_or_default();
        distance(&name, key.name).min(distance(&name, last))
    };
    let nearest = KEYS.iter().map(|key| (distance_to(key), key.name)).min();
    match nearest {
        Some((distance, known)) if distance <= 2.min(name.len() / 4) => format!("{name} ({known}?)"),
        _ => name,
    }
}

impl Config {
    pub(super) fn source(&self) -> Map<String, Value> {
        object(self.source.expose()).unwrap_or_default()
    }

    /// What is in force, for the admin page: `{key: {"value", "source": "file" | "default"}}`. It holds no secret.
    pub fn shown(&self) -> Value {
        let [outer, inner] = split(self.source()).unwrap_or_default();
        let show = |key: &Key| {
            let given = outer.get(key.name).or(inner.get(key.name));
            let source = if given.is_some() { "file" } else { "default" };
            let value = match (given, (key.show?)(self)) {
                // What comes from the environment is not for the page; numbers of keys are.
                (Some(Value::String(text)), _) if variables::names_any(&Value::from(text.as_str())) => json!(text),
                (Some(Value::Array(_)), count @ Value::String(_)) => count,
                (Some(given), _) if variables::names_any(given) => json!("${...}"),
                (_, value) => value,
            };
            Some((key.name.to_owned(), json!({"value": value, "source": source})))
        };
        Value::Object(KEYS.iter().filter_map(show).collect())
    }
}

#[cfg(test)]
mod tests;
