//! From JSON to [`Config`]: coercions of the old program (drop_in_contract.md 6.2), one clear sentence per mistake.

use super::lists::{api_keys, auth_keys, models};
use super::section::{ConfigError, Section, kind};
use super::{AdminLogin, AuthClient, Config, Endpoints, LogFormat, Metrics, OauthClient, Timeouts};
use crate::api::{Affinity, MidSystem, Settings};
use crate::http::Limits;
use crate::os::platform;
use crate::secret::Secret;
use crate::upstream::agent::{self, Authorities, ProxyChoice};
use log::LevelFilter;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    let host = server.text("host")?.filter(|host| !host.is_empty()).unwrap_or_else(|| "0.0.0.0".into());
    let port = server.port("port")?.unwrap_or(8889);
    let limits = limits(&mut server)?;
    let drain = server.seconds("drain_sec")?.unwrap_or(Some(Duration::from_secs(30))).unwrap_or(Duration::MAX);
    server.close(&mut root);

    let (auth_keys, default_keys) = auth_keys(&mut root, &mut warnings)?;

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
    let interval = usage.period("interval_sec")?.unwrap_or(Some(Duration::from_secs(30)));
    usage.close(&mut root);

    let mut stream = root.section("stream")?;
    let early_head_after = stream.seconds("early_head_after_sec")?.unwrap_or(Some(Duration::from_secs(20)));
    let keep_alive = stream.seconds("keep_alive_sec")?.unwrap_or(Some(Duration::from_secs(15)));
    stream.close(&mut root);

    let credentials_file = root.path("credentials_file")?.unwrap_or_else(|| "credentials1.json".into());
    let state_file = match root.path("state_file")? {
        Some(path) if path == credentials_file => {
            return Err(ConfigError("state_file: expected another file than credentials_file".into()));
        }
        Some(path) => path,
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
    if public_url.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        warnings.push("public_url should begin with http:// or https://: hints and logins use it as it is".into());
    }
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
        usage_interval: interval.filter(|_| enabled),
        public_url,
        min_credentials: root.whole("min_credentials")?.unwrap_or(1).max(0).unsigned_abs(),
        admin,
        auth_client: auth_client(&mut root)?,
        login_lifetime: crate::credentials::consent::LIFETIME,
        gemini_api_keys: api_keys(&mut root)?,
        endpoints: endpoints(&mut root)?,
        proxy: proxy(&mut root)?,
        oauth_client: oauth_client(&mut root)?,
        models: models(&mut root)?,
        settings: settings(&mut root)?,
        authorities: authorities(&mut root)?,
        max_attempts: root.in_range("max_attempts", 1..=20)?.unwrap_or(3) as u32,
        max_credentials_per_request: root.in_range("max_credentials_per_request", 1..=1000)?.unwrap_or(16) as u32,
        failover: root.seconds("failover_sec")?.unwrap_or(Some(Duration::from_secs(30))).unwrap_or(Duration::MAX),
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
    if let Some(connections) = server.in_range("max_connections_per_address", 1..=100_000)? {
        limits.max_connections_per_address = connections as usize;
    }
    if let Some(megabytes) = server.in_range("max_body_mb", 1..=1024)? {
        limits.max_body = megabytes as usize * 1024 * 1024;
        limits.body_budget = limits.body_budget.max(limits.max_body * 2);
    }
    Ok(limits)
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

#[cfg(test)]
mod tests;
