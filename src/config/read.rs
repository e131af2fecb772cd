//! From JSON to [`Config`]: coercions of the old program (drop_in_contract.md 6.2), one clear sentence per mistake.

use super::{
    AdminLogin, ApiKey, AuthClient, ClientKey, Config, Endpoints, KeyLimits, LogFormat, Metrics, OauthClient, Timeouts,
};
use crate::api::{Affinity, MidSystem, Settings};
use crate::gemini::models::ModelEntry;
use crate::gemini::thinking::{Control, Level};
use crate::http::Limits;
use crate::platform;
use crate::secret::Secret;
use crate::upstream::agent::{self, Authorities, ProxyChoice};
use log::LevelFilter;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is wrong with the configuration: one line that names the key and what was expected.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// A configuration and what the operator should hear about it once the logger runs.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// INFO lines.
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
    let text = String::from_utf8(bytes).map_err(|_| ConfigError(format!("{name}: the file is not UTF-8 text")))?;
    parse(&text).map_err(|ConfigError(message)| ConfigError(format!("{name}: {message}")))
}

/// Reads a configuration from JSON text; a byte order mark is accepted.
pub fn parse(text: &str) -> Result<Loaded, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value: Value = serde_json::from_str(text).map_err(|error| ConfigError(format!("not valid JSON: {error}")))?;
    let Value::Object(map) = value else {
        return Err(ConfigError(format!("expected an object {{...}}, found {}", kind(&value))));
    };
    let prints = map.iter().map(|(key, value)| (key.clone(), print(value))).collect();
    let given = given(&map);
    let mut root = Section { path: String::new(), map, unknown: Vec::new() };
    let mut warnings = Vec::new();

    let mut server = root.section("server")?;
    let host = server.text("host")?.unwrap_or_else(|| "0.0.0.0".into());
    let port = server.port("port")?.unwrap_or(8889);
    let limits = limits(&mut server)?;
    let drain = server.seconds("drain_sec")?.unwrap_or(Some(Duration::from_secs(30))).unwrap_or(Duration::MAX);
    server.close(&mut root);

    let (auth_keys, default_keys) = auth_keys(root.take("auth_keys"), &mut warnings)?;

    let mut timeouts = root.section("request_timeouts")?;
    let request_timeouts = Timeouts {
        connect: timeouts.seconds("connect")?.unwrap_or(Some(Duration::from_secs(60))),
        read: timeouts.seconds("read")?.unwrap_or(Some(Duration::from_secs(90))),
    };
    // The old program's client asked for these two and never got them; a config may hold them.
    timeouts.seconds("write")?;
    timeouts.seconds("pool")?;
    timeouts.close(&mut root);

    let mut usage = root.section("usage_logging")?;
    let enabled = usage.flag("enabled")?.unwrap_or(true);
    let interval = usage.number("interval_sec")?.unwrap_or(30.0);
    usage.close(&mut root);

    let mut stream = root.section("stream")?;
    let early_head_after = stream.seconds("early_head_after_sec")?.unwrap_or(Some(Duration::from_secs(20)));
    let keep_alive = stream.seconds("keep_alive_sec")?.unwrap_or(Some(Duration::from_secs(15)));
    stream.close(&mut root);

    let credentials_file = PathBuf::from(root.text("credentials_file")?.unwrap_or_else(|| "credentials1.json".into()));
    let state_file = match root.text("state_file")? {
        Some(path) => PathBuf::from(path),
        None => {
            let mut name = credentials_file.clone().into_os_string();
            name.push(".state.json");
            PathBuf::from(name)
        }
    };
    let username = root.text("admin_username")?.filter(|text| !text.is_empty());
    let password = root.text("admin_password")?.filter(|text| !text.is_empty());
    if username.is_some() != password.is_some() {
        warnings
            .push("admin_username and admin_password: only one of them is set, so the admin page has no login".into());
    }
    let admin =
        username.zip(password).map(|(username, password)| AdminLogin { username, password: Secret::new(password) });
    let public_url =
        root.text("public_url")?.map(|url| url.trim_end_matches('/').to_owned()).filter(|url| !url.is_empty());
    if root.take("external_credentials_file").is_some() {
        warnings.push(
            "external_credentials_file is not read: put those credentials into credentials_file, or import them".into(),
        );
    }
    let config = Config {
        host,
        port,
        limits,
        auth_keys,
        default_keys,
        credentials_file,
        state_file,
        encryption_key: None,
        project_id_map: project_map(&mut root)?,
        log_level: log_level(root.text("log_level")?.as_deref())?,
        log_format: log_format(root.text("log_format")?.as_deref())?,
        timeouts: request_timeouts,
        usage_interval: (enabled && interval > 0.0).then(|| Duration::from_secs_f64(interval)),
        public_url,
        min_credentials: root.whole("min_credentials")?.unwrap_or(1).max(0).unsigned_abs(),
        admin,
        auth_client: auth_client(&mut root)?,
        login_lifetime: crate::login::LIFETIME,
        gemini_api_keys: api_keys(root.take("gemini_api_keys"))?,
        endpoints: endpoints(&mut root)?,
        proxy: proxy(&mut root)?,
        oauth_client: oauth_client(&mut root)?,
        models: models(root.take("models"))?,
        settings: settings(&mut root)?,
        authorities: authorities(&mut root)?,
        max_attempts: root.in_range("max_attempts", 1..=20)?.unwrap_or(3) as u32,
        early_head_after,
        keep_alive,
        drain,
        prints,
        metrics: metrics(&mut root)?,
        given,
    };
    let mut unknown = root.unknown;
    unknown.extend(root.map.keys().cloned());
    let mut notes = Vec::new();
    if !unknown.is_empty() {
        notes.push(format!("config: unknown keys are ignored: {}", unknown.join(", ")));
    }
    Ok(Loaded { config, notes, warnings })
}

/// Tells values apart without keeping them.
fn print(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}

/// One object of the file. Keys are taken out as they are read, so what is left is unknown.
struct Section {
    path: String,
    map: Map<String, Value>,
    unknown: Vec<String>,
}

impl Section {
    /// The full name of a key, for messages.
    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn wrong(&self, key: &str, expected: &str, found: &Value) -> ConfigError {
        ConfigError(format!("{}: expected {expected}, found {}", self.name(key), shown(found)))
    }

    /// The value, if the key is there at all; null counts.
    fn take(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key)
    }

    /// The value, if the key is there and not null.
    fn given(&mut self, key: &str) -> Option<Value> {
        self.take(key).filter(|value| !value.is_null())
    }

    fn section(&mut self, key: &str) -> Result<Section, ConfigError> {
        match self.given(key) {
            None => Ok(Section { path: self.name(key), map: Map::new(), unknown: Vec::new() }),
            Some(Value::Object(map)) => Ok(Section { path: self.name(key), map, unknown: Vec::new() }),
            Some(other) => Err(self.wrong(key, "an object", &other)),
        }
    }

    /// Hands the names nobody asked for to the section above.
    fn close(self, above: &mut Section) {
        above.unknown.extend(self.map.keys().map(|key| self.name(key)));
    }

    fn text(&mut self, key: &str) -> Result<Option<String>, ConfigError> {
        match self.given(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, "a string", &other)),
        }
    }

    fn flag(&mut self, key: &str) -> Result<Option<bool>, ConfigError> {
        match self.given(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(self.wrong(key, "true or false", &other)),
        }
    }

    fn number(&mut self, key: &str) -> Result<Option<f64>, ConfigError> {
        match self.given(key) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(key, "a number", &value)),
            },
        }
    }

    /// Seconds; `Some(None)` is an explicit null or 0: no limit.
    fn seconds(&mut self, key: &str) -> Result<Option<Option<Duration>>, ConfigError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        if value.is_null() {
            return Ok(Some(None));
        }
        match value.as_f64().filter(|number| (0.0..=86_400.0 * 365.0).contains(number)) {
            Some(0.0) => Ok(Some(None)),
            Some(number) => Ok(Some(Some(Duration::from_secs_f64(number)))),
            None => Err(self.wrong(key, "a number of seconds or null", &value)),
        }
    }

    /// As the old program's `int()`: 8888, "8888" and 8888.0 are all fine.
    fn whole(&mut self, key: &str) -> Result<Option<i64>, ConfigError> {
        let Some(value) = self.given(key) else { return Ok(None) };
        let number = match &value {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|float| float.trunc() as i64)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| self.wrong(key, "a whole number", &value))
    }

    fn in_range(&mut self, key: &str, range: std::ops::RangeInclusive<i64>) -> Result<Option<i64>, ConfigError> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let shown_value = self.map.get(key).cloned().unwrap_or(Value::Null);
        match self.whole(key) {
            Ok(Some(number)) if !range.contains(&number) => Err(self.wrong(key, &expected, &shown_value)),
            Err(_) => Err(self.wrong(key, &expected, &shown_value)),
            ok => ok,
        }
    }

    fn port(&mut self, key: &str) -> Result<Option<u16>, ConfigError> {
        Ok(self.in_range(key, 0..=65535)?.map(|port| port as u16))
    }

    fn url(&mut self, key: &str) -> Result<Option<String>, ConfigError> {
        let Some(url) = self.text(key)? else { return Ok(None) };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(self.wrong(key, "an address that begins with http:// or https://", &Value::String(url)));
        }
        Ok(Some(url.trim_end_matches('/').to_owned()))
    }
}

fn limits(server: &mut Section) -> Result<Limits, ConfigError> {
    let mut limits = Limits::default();
    limits.workers = match server.in_range("workers", 1..=4096)? {
        Some(workers) => workers as usize,
        None => platform::memory().map_or(limits.workers, default_workers),
    };
    // A stream takes a connection; leave room for idle ones beside them.
    limits.max_connections = limits.workers * 3;
    if let Some(connections) = server.in_range("max_connections", 1..=100_000)? {
        limits.max_connections = connections as usize;
    }
    if let Some(megabytes) = server.in_range("max_body_mb", 1..=1024)? {
        limits.max_body = megabytes as usize * 1024 * 1024;
        limits.body_budget = limits.body_budget.max(limits.max_body * 2);
    }
    Ok(limits)
}

/// The keys, and whether they are the built-in default.
fn auth_keys(value: Option<Value>, warnings: &mut Vec<String>) -> Result<(Vec<ClientKey>, bool), ConfigError> {
    let items = match value {
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
        let key = client_key(at, item)?;
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

fn client_key(at: usize, item: Value) -> Result<ClientKey, ConfigError> {
    let plain =
        |key: String| ClientKey { name: crate::mask::key(&key), key: Secret::new(key), limits: KeyLimits::default() };
    match item {
        Value::String(key) => Ok(plain(key)),
        Value::Number(number) => Ok(plain(number.to_string())),
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
            Ok(ClientKey {
                name: name.unwrap_or_else(|| crate::mask::key(&key)),
                key: Secret::new(key),
                limits: KeyLimits {
                    models,
                    requests_per_minute: limit(&mut section, "requests_per_minute")?,
                    requests_per_day: limit(&mut section, "requests_per_day")?,
                    tokens_per_day: limit(&mut section, "tokens_per_day")?,
                    concurrency: limit(&mut section, "concurrency")?,
                    expires_at,
                },
            })
        }
        other => Err(ConfigError(format!("auth_keys[{at}]: expected a string or an object, found {}", kind(&other)))),
    }
}

fn api_keys(value: Option<Value>) -> Result<Vec<ApiKey>, ConfigError> {
    let items = match value {
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
                let label = section.text("label")?;
                (section.text("key")?.unwrap_or_default(), label)
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

fn project_map(root: &mut Section) -> Result<HashMap<String, String>, ConfigError> {
    let section = root.section("project_id_map")?;
    let mut projects = HashMap::new();
    for (email, project) in &section.map {
        let Value::String(project) = project else { return Err(section.wrong(email, "a project id", project)) };
        projects.insert(email.to_lowercase(), project.clone());
    }
    Ok(projects)
}

fn log_level(word: Option<&str>) -> Result<LevelFilter, ConfigError> {
    let Some(word) = word else { return Ok(LevelFilter::Debug) };
    match word.to_ascii_uppercase().as_str() {
        "NOTSET" | "DEBUG" => Ok(LevelFilter::Debug),
        "INFO" => Ok(LevelFilter::Info),
        "WARN" | "WARNING" => Ok(LevelFilter::Warn),
        "ERROR" | "CRITICAL" | "FATAL" => Ok(LevelFilter::Error),
        _ => Err(ConfigError(format!(
            "log_level: expected DEBUG, INFO, WARNING, ERROR or CRITICAL, found \"{}\"",
            word.escape_debug()
        ))),
    }
}

fn authorities(root: &mut Section) -> Result<Option<Authorities>, ConfigError> {
    let path = root.text("ca_file")?.filter(|path| !path.is_empty());
    path.map(|path| Authorities::read(Path::new(&path)))
        .transpose()
        .map_err(|message| ConfigError(format!("ca_file: {message}")))
}

/// One worker for each 2 MiB of memory: 256 on the usual 512 MB server. A stream over TLS takes less than 160 KiB
/// (crate_notes.md 2), so even with all of them streaming nine tenths of the memory stay free for request bodies.
fn default_workers(memory: u64) -> usize {
    (memory >> 21).clamp(32, 1024) as usize
}

fn log_format(word: Option<&str>) -> Result<LogFormat, ConfigError> {
    match word {
        None | Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some(other) => {
            Err(ConfigError(format!("log_format: expected \"text\" or \"json\", found \"{}\"", other.escape_debug())))
        }
    }
}

fn metrics(root: &mut Section) -> Result<Metrics, ConfigError> {
    let mut section = root.section("metrics")?;
    let enabled = section.flag("enabled")?.unwrap_or(true);
    let token = section.text("token")?.filter(|token| !token.is_empty()).map(Secret::new);
    section.close(root);
    Ok(Metrics { enabled, token })
}

/// The keys of the file and of the objects in it.
fn given(map: &Map<String, Value>) -> Vec<String> {
    let mut names = Vec::new();
    for (key, value) in map {
        names.push(key.clone());
        names.extend(value.as_object().into_iter().flat_map(Map::keys).map(|inner| format!("{key}.{inner}")));
    }
    names
}

fn endpoints(root: &mut Section) -> Result<Endpoints, ConfigError> {
    let mut section = root.section("endpoints")?;
    let mut endpoints = Endpoints::default();
    for (key, field) in [
        ("code_assist", &mut endpoints.code_assist),
        ("oauth_authorize", &mut endpoints.oauth_authorize),
        ("oauth_token", &mut endpoints.oauth_token),
        ("userinfo", &mut endpoints.userinfo),
        ("generative_language", &mut endpoints.generative_language),
    ] {
        if let Some(url) = section.url(key)? {
            *field = url;
        }
    }
    section.close(root);
    Ok(endpoints)
}

/// `proxy_url`: one for every call to Google, whatever the environment says; empty for none.
fn proxy(root: &mut Section) -> Result<ProxyChoice, ConfigError> {
    match root.text("proxy_url")?.as_deref().map(str::trim) {
        None => Ok(ProxyChoice::Environment),
        Some("") => Ok(ProxyChoice::Direct),
        // The address may hold a password and is not repeated.
        Some(url) => agent::proxy(url).map_err(|expected| ConfigError(format!("proxy_url: expected {expected}"))),
    }
}

fn auth_client(root: &mut Section) -> Result<AuthClient, ConfigError> {
    let mut section = root.section("auth_client")?;
    let proxy_url = section.url("proxy_url")?;
    let username = section.text("admin_username")?.filter(|text| !text.is_empty());
    let password = section.text("admin_password")?.filter(|text| !text.is_empty());
    section.close(root);
    let login =
        username.zip(password).map(|(username, password)| AdminLogin { username, password: Secret::new(password) });
    Ok(AuthClient { proxy_url, login })
}

/// `oauth_client: {client_id, client_secret}`, or the two as plain keys.
fn oauth_client(root: &mut Section) -> Result<OauthClient, ConfigError> {
    let mut section = root.section("oauth_client")?;
    let id = section.text("client_id")?.or(root.text("oauth_client_id")?);
    let secret = section.text("client_secret")?.or(root.text("oauth_client_secret")?);
    section.close(root);
    match (id, secret) {
        (None, None) => Ok(OauthClient::default()),
        (Some(id), secret) => Ok(OauthClient { id, secret: Secret::new(secret.unwrap_or_default()) }),
        (None, Some(_)) => Err(ConfigError("oauth_client.client_id: expected a string beside client_secret".into())),
    }
}

fn models(value: Option<Value>) -> Result<Vec<ModelEntry>, ConfigError> {
    let items = match value {
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

fn settings(root: &mut Section) -> Result<Settings, ConfigError> {
    let mut settings = Settings::default();
    match root.text("mid_system")?.as_deref() {
        None => {}
        Some("hoist") => settings.mid_system = MidSystem::Hoist,
        Some("inplace") => settings.mid_system = MidSystem::InPlace,
        Some(other) => {
            return Err(ConfigError(format!("mid_system: expected \"hoist\" or \"inplace\", found \"{other}\"")));
        }
    }
    if let Some(on) = root.flag("media_resolution")? {
        settings.media_resolution = on;
    }
    if let Some(text) = root.text("continue_text")?.filter(|text| !text.is_empty()) {
        settings.continue_text = text;
    }
    match root.text("affinity")?.as_deref() {
        None => {}
        Some("off") => settings.affinity = Affinity::Off,
        Some("named") => settings.affinity = Affinity::Named,
        Some("content") => settings.affinity = Affinity::Content,
        Some(other) => {
            return Err(ConfigError(format!(
                "affinity: expected \"off\", \"named\" or \"content\", found \"{}\"",
                other.escape_debug()
            )));
        }
    }
    Ok(settings)
}

fn kind(value: &Value) -> &'static str {
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
fn shown(value: &Value) -> String {
    match value {
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::String(text) if text.len() <= 16 => format!("\"{}\"", text.escape_debug()),
        other => kind(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        parse(text).unwrap().config
    }

    fn message(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_object_gives_the_old_defaults() {
        let loaded = parse("\u{feff}{}\r\n").unwrap();
        let config = loaded.config;
        assert_eq!((config.host.as_str(), config.port), ("0.0.0.0", 8889));
        assert!(config.default_keys && config.auth_keys[0].key.matches("123456"));
        assert_eq!(config.credentials_file, PathBuf::from("credentials1.json"));
        assert_eq!(config.state_file, PathBuf::from("credentials1.json.state.json"));
        assert_eq!(config.log_level, LevelFilter::Debug);
        assert_eq!(config.timeouts.connect, Some(Duration::from_secs(60)));
        assert_eq!(config.timeouts.read, Some(Duration::from_secs(90)));
        assert_eq!(config.usage_interval, Some(Duration::from_secs(30)));
        assert_eq!(config.min_credentials, 1);
        assert!(config.admin.is_none() && config.public_url.is_none());
    }

    #[test]
    fn affinity_and_the_outgoing_proxy_are_words_with_a_meaning() {
        assert_eq!(config("{}").settings.affinity, Affinity::Named);
        for (word, expected) in [("off", Affinity::Off), ("named", Affinity::Named), ("content", Affinity::Content)] {
            assert_eq!(config(&format!(r#"{{"affinity":"{word}"}}"#)).settings.affinity, expected);
        }
        assert!(message(r#"{"affinity":"on"}"#).contains("affinity: expected"));
        assert!(matches!(config("{}").proxy, ProxyChoice::Environment));
        assert!(matches!(config(r#"{"proxy_url":""}"#).proxy, ProxyChoice::Direct));
        for url in ["http://proxy:3128", "socks5://u:p@10.0.0.1:1080", "https://proxy/"] {
            assert!(matches!(config(&format!(r#"{{"proxy_url":"{url}"}}"#)).proxy, ProxyChoice::Fixed(_)), "{url}");
        }
    }

    #[test]
    fn numbers_are_taken_in_every_spelling_of_int() {
        for port in ["8888", "\"8888\"", "8888.0", "\" 8888 \""] {
            assert_eq!(config(&format!("{{\"server\":{{\"port\":{port}}}}}")).port, 8888, "{port}");
        }
    }

    #[test]
    fn auth_keys_may_be_one_string_a_list_numbers_or_objects() {
        let one = config(r#"{"auth_keys":"sk-one"}"#);
        assert!(!one.default_keys && one.auth_keys[0].key.matches("sk-one"));
        let many =
            config(r#"{"auth_keys":["", "a", 7, {"key":"b","name":"bob","requests_per_minute":5,"models":["x"]}]}"#);
        let keys: Vec<&str> = many.auth_keys.iter().map(|key| key.key.expose()).collect();
        assert_eq!(keys, ["a", "7", "b"]);
        assert_eq!(many.auth_keys[2].name, "bob");
        assert_eq!(many.auth_keys[2].limits.requests_per_minute, Some(5));
        assert!(config(r#"{"auth_keys":[]}"#).auth_keys.is_empty());
    }

    #[test]
    fn mistakes_name_the_key_and_what_was_expected() {
        for (text, expected) in [
            ("[]", "expected an object {...}, found a list"),
            (r#"{"server":{"port":"abc"}}"#, "server.port: expected a whole number from 0 to 65535, found \"abc\""),
            (r#"{"server":{"port":70000}}"#, "server.port: expected a whole number from 0 to 65535, found 70000"),
            (r#"{"server":[]}"#, "server: expected an object, found a list"),
            (r#"{"auth_keys":null}"#, "auth_keys: expected a list of keys, found null"),
            (r#"{"log_level":"loud"}"#, "log_level: expected DEBUG, INFO, WARNING, ERROR or CRITICAL, found \"loud\""),
            (
                r#"{"request_timeouts":{"read":"long"}}"#,
                "request_timeouts.read: expected a number of seconds or null, found \"long\"",
            ),
            (r#"{"usage_logging":{"enabled":1}}"#, "usage_logging.enabled: expected true or false, found 1"),
            (
                r#"{"endpoints":{"code_assist":"localhost"}}"#,
                "endpoints.code_assist: expected an address that begins with http:// or https://, found \"localhost\"",
            ),
            (r#"{"gemini_api_keys":[{}]}"#, "gemini_api_keys[0]: the key is empty"),
        ] {
            assert_eq!(message(text), expected, "{text}");
        }
        assert!(message("{\"a\":").starts_with("not valid JSON: "), "{}", message("{\"a\":"));
        assert!(message("{\"a\":").contains("line 1 column"));
    }

    #[test]
    fn a_long_string_at_the_wrong_place_is_not_shown() {
        assert!(!message(r#"{"server":{"port":"sk-a-secret-that-is-long"}}"#).contains("secret"));
    }

    #[test]
    fn unknown_keys_are_named_with_their_place() {
        let loaded = parse(r#"{"colour":1,"server":{"size":2},"auth_client":{}}"#).unwrap();
        assert_eq!(loaded.notes, ["config: unknown keys are ignored: server.size, colour"]);
    }

    #[test]
    fn null_timeouts_are_no_timeouts() {
        let config = config(r#"{"request_timeouts":{"connect":null,"read":2.5}}"#);
        assert_eq!(config.timeouts.connect, None);
        assert_eq!(config.timeouts.read, Some(Duration::from_millis(2500)));
    }

    #[test]
    fn the_address_for_people_hides_the_wildcard() {
        let mut config = config("{}");
        assert_eq!(config.base_url(8889), "http://localhost:8889");
        config.public_url = Some("https://p.example".into());
        assert_eq!(config.base_url(8889), "https://p.example");
    }

    #[test]
    fn the_workers_follow_the_memory() {
        const MIB: u64 = 1 << 20;
        for (memory, workers) in [(16, 32), (128, 64), (512, 256), (1024, 512), (65536, 1024)] {
            assert_eq!(default_workers(memory * MIB), workers, "{memory} MiB");
        }
        assert!((32..=1024).contains(&config("{}").limits.workers));
        assert_eq!(config(r#"{"server":{"workers":7}}"#).limits.max_connections, 21);
    }

    #[test]
    fn a_file_of_authorities_is_read_and_checked() {
        let file = |name: &str| format!(r#"{{"ca_file":"{}/tests/fixtures/tls/{name}"}}"#, env!("CARGO_MANIFEST_DIR"));
        assert!(config(&file("ca.pem")).authorities.is_some());
        assert!(config(r#"{"ca_file":""}"#).authorities.is_none());
        assert!(message(&file("none.pem")).contains("none.pem: No such file"));
        assert!(message(&file("README.md")).ends_with("README.md: there is no certificate in it"));
        assert!(message(r#"{"ca_file":1}"#).contains("ca_file: expected a string"));
    }
}
