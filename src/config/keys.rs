//! The table of keys: each is named here once, with what it is unless the file says something else, how it is read, how
//! it is shown, and whether a change of it needs a restart.

use super::alerts::alerts;
use super::lists::{auth_client, auth_keys, gemini_api_keys, login, project_id_map};
use super::models::{model_routes, models};
use super::networks::{networks, tls};
use super::outgoing::{authorities, proxy};
use super::prices::{prices, shown as prices_shown};
use super::store::{shown as store_shown, store};
use super::value::{ConfigError, Field, is_url};
use super::{Affinity, Config, Kind, LogFormat, LogLevel, MidSystem, OauthClient, ProxyChoice};
use crate::os::platform;
use crate::secret::Secret;
use serde_json::{Value, json};
use std::time::Duration;

/// What has been read so far. Keys are read in the order of the table.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) config: Config,
    pub(super) warnings: Vec<String>,
    pub(super) unknown: Vec<String>,
    admin_username: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

pub(super) struct Key {
    /// `server.port` is the key `port` of the object `server`.
    pub(super) name: &'static str,
    pub(super) restart: bool,
    /// As JSON.
    pub(super) default: &'static str,
    pub(super) read: fn(&mut Draft, &Field) -> Result<(), ConfigError>,
    /// The value in force, for the admin page; never a secret.
    pub(super) show: Option<fn(&Config) -> Value>,
}

/// What the key is used for is renewed by a reload.
const LIVE: bool = false;
/// Sockets, files, threads and the one client for Google are made of it at the start.
const START: bool = true;

macro_rules! keys {
    ($($name:literal $when:ident $default:literal |$d:ident, $f:tt| $read:expr $(=> |$c:ident| $show:expr)?;)*) => {
        &[$(Key {
            name: $name,
            restart: $when,
            default: $default,
            read: |$d, $f| { $read; Ok(()) },
            show: keys!(@show $(|$c| $show)?),
        }),*]
    };
    (@show) => { None };
    (@show |$c:ident| $show:expr) => { Some(|$c| json!($show)) };
}

/// In the order in which the page shows them.
pub(super) static KEYS: &[Key] = keys! {
    "server.host" START r#""0.0.0.0""# |d, f| d.config.host = f.filled()?.unwrap_or_default() => |c| c.host;
    "server.port" START "8889" |d, f| d.config.port = f.number(0..=65535)? as u16 => |c| c.port;
    "server.tls" START "null" |d, f| d.config.tls = tls(&mut d.unknown, f)?
        => |c| c.tls.as_ref().map(|files| json!({"cert": files.certificate, "key": files.key}));
    "server.proxy_protocol" START "false" |d, f| d.config.proxy_protocol = f.flag()? => |c| c.proxy_protocol;
    "server.workers" START "null" |d, f| workers(d, f)? => |c| c.sizes.workers;
    "server.max_connections" START "null" |d, f| max_connections(d, f)? => |c| c.sizes.max_connections;
    "server.max_connections_per_address" START "256"
        |d, f| d.config.sizes.max_connections_per_address = f.number(1..=100_000)? as usize
        => |c| c.sizes.max_connections_per_address;
    "server.max_body_mb" START "32" |d, f| d.config.sizes.max_body = (f.number(1..=1024)? as usize) << 20
        => |c| c.sizes.max_body >> 20;
    "server.memory_mb" START "null" |d, f| memory(d, f)? => |c| c.sizes.memory >> 20;
    "server.drain_sec" START "30" |d, f| d.config.drain = f.seconds()?.unwrap_or(Duration::MAX)
        => |c| limited(c.drain);
    "server.drain_delay_sec" LIVE "0" |d, f| d.config.drain_delay = f.seconds()?.unwrap_or_default()
        => |c| seconds(Some(c.drain_delay));
    "auth_keys" LIVE r#"["123456"]"# |d, f| auth_keys(d, f)? => |c| counted(c.auth_keys.len(), "key");
    "gemini_api_keys" LIVE "[]" |d, f| gemini_api_keys(d, f)? => |c| counted(c.gemini_api_keys.len(), "key");
    "credentials_file" START r#""credentials1.json""# |d, f| d.config.credentials_file = f.path()?.unwrap_or_default()
        => |c| c.credentials_file.display().to_string();
    "state_file" START "null" |d, f| state_file(d, f)? => |c| c.state_file.display().to_string();
    "store" START "null" |d, f| d.config.store = store(&mut d.unknown, f)? => |c| store_shown(&c.store);
    "project_id_map" LIVE "{}" |d, f| project_id_map(d, f)? => |c| counted(c.project_id_map.len(), "project");
    "oauth_client" START "null" |d, f| oauth_client(d, f)? => |c| c.oauth_client.id;
    "oauth_client_id" START "null" |d, f| d.client_id = d.client_id.take().or(f.text()?);
    "oauth_client_secret" START "null" |d, f| oauth_client_secret(d, f)?;
    "min_credentials" LIVE "1" |d, f| d.config.min_credentials = f.whole()?.max(0).unsigned_abs()
        => |c| c.min_credentials;
    "max_attempts" START "3" |d, f| d.config.max_attempts = f.number(1..=20)? as u32 => |c| c.max_attempts;
    "max_credentials_per_request" START "16"
        |d, f| d.config.max_credentials_per_request = f.number(1..=1000)? as u32
        => |c| c.max_credentials_per_request;
    "failover_sec" START "30" |d, f| d.config.failover = f.seconds()?.unwrap_or(Duration::MAX)
        => |c| limited(c.failover);
    "affinity" LIVE r#""named""# |d, f| d.config.settings.affinity =
            f.word(&[("off", Affinity::Off), ("named", Affinity::Named), ("content", Affinity::Content)])?
        => |c| word(c.settings.affinity);
    "prefer" START "[]" |d, f| d.config.prefer = prefer(f)? => |c| c.prefer.iter().map(|kind| kind.word()).collect::<Vec<_>>();
    "gcp_metadata" START "false" |d, f| d.config.gcp_metadata = f.flag()? => |c| c.gcp_metadata;
    "proxy_url" START "null" |d, f| d.config.proxy = proxy(f)? => |c| match &c.proxy {
        ProxyChoice::Environment => None,
        ProxyChoice::Direct => Some(""),
        ProxyChoice::Fixed(_) => Some("***"),
    };
    "ca_file" START "null" |d, f| d.config.authorities = authorities(f)? => |c| set(c.authorities.is_some());
    "request_timeouts.connect" START "60" |d, f| d.config.timeouts.connect = f.seconds()?
        => |c| seconds(c.timeouts.connect);
    "request_timeouts.read" START "90" |d, f| d.config.timeouts.read = f.seconds()? => |c| seconds(c.timeouts.read);
    // The old program's client asked for these two and never got them; a config may hold them.
    "request_timeouts.write" START "null" |_d, f| f.seconds()?;
    "request_timeouts.pool" START "null" |_d, f| f.seconds()?;
    "stream.early_head_after_sec" LIVE "20" |d, f| d.config.early_head_after = f.seconds()?
        => |c| seconds(c.early_head_after);
    "stream.keep_alive_sec" LIVE "15" |d, f| d.config.keep_alive = f.seconds()? => |c| seconds(c.keep_alive);
    "models" LIVE "[]" |d, f| models(d, f)? => |c| c.models.iter().map(|model| &model.name).collect::<Vec<_>>();
    "model_routes" LIVE r#"{"claude-*haiku*": "gemini-3.5-flash-lite", "claude-*sonnet*": "gemini-3.8-flash", "claude-*": "gemini-3.1-pro-preview"}"#
        |d, f| model_routes(d, f)? => |c| c.model_routes.iter().map(|(names, models)| (names.clone(), one_or_all(models)))
            .collect::<serde_json::Map<_, _>>();
    "responses.store_mb" LIVE "32" |d, f| d.config.responses_store = (f.number(0..=65_536)? as usize) << 20
        => |c| c.responses_store >> 20;
    "prices" LIVE "{}" |d, f| prices(d, f)? => |c| prices_shown(&c.prices);
    "alerts" LIVE "[]" |d, f| alerts(d, f)? => |c| counted(c.alerts.len(), "address");
    "requests.keep_mb" START "8" |d, f| d.config.requests_history = f.number(0..=65_536)? << 20
        => |c| c.requests_history >> 20;
    "signatures.saved_mb" START "8" |d, f| d.config.saved_signatures = (f.number(0..=256)? as usize) << 20
        => |c| c.saved_signatures >> 20;
    "mid_system" LIVE r#""hoist""#
        |d, f| d.config.settings.mid_system = f.word(&[("hoist", MidSystem::Hoist), ("inplace", MidSystem::InPlace)])?
        => |c| word(c.settings.mid_system);
    "media_resolution" LIVE "false" |d, f| d.config.settings.media_resolution = f.flag()?
        => |c| c.settings.media_resolution;
    "continue_text" LIVE r#""Continue.""# |d, f| d.config.settings.continue_text = f.filled()?.unwrap_or_default()
        => |c| c.settings.continue_text;
    "count_tokens_at_google" LIVE "false" |d, f| d.config.settings.count_at_google = f.flag()?
        => |c| c.settings.count_at_google;
    "stream_function_arguments" LIVE "false" |d, f| d.config.settings.stream_function_arguments = f.flag()?
        => |c| c.settings.stream_function_arguments;
    "admin_username" LIVE "null" |d, f| d.admin_username = f.filled()?
        => |c| c.admin.as_ref().map(|login| &login.username);
    "admin_password" LIVE "null" |d, f| admin_password(d, f)? => |c| set(c.admin.is_some());
    "auth_client" LIVE "null" |d, f| auth_client(d, f)?;
    "public_url" LIVE "null" |d, f| public_url(d, f)? => |c| c.public_url;
    "trusted_proxies" LIVE r#"["127.0.0.0/8", "::1"]"# |d, f| d.config.trusted_proxies = networks(f)?
        => |c| c.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>();
    "log_level" LIVE r#""debug""# |d, f| d.config.log_level = log_level(f)? => |c| word(c.log_level);
    "log_format" START r#""text""#
        |d, f| d.config.log_format = f.word(&[("text", LogFormat::Text), ("json", LogFormat::Json)])?
        => |c| word(c.log_format);
    "usage_logging.enabled" START "true" |d, f| d.config.usage_interval = f.flag()?.then_some(Duration::MAX)
        => |c| c.usage_interval.is_some();
    "usage_logging.interval_sec" START "30"
        |d, f| d.config.usage_interval = f.period()?.filter(|_| d.config.usage_interval.is_some())
        => |c| seconds(c.usage_interval);
    "metrics.enabled" LIVE "true" |d, f| d.config.metrics.enabled = f.flag()? => |c| c.metrics.enabled;
    "metrics.token" LIVE "null" |d, f| d.config.metrics.token = f.filled()?.map(Secret::new)
        => |c| set(c.metrics.token.is_some());
    "endpoints.code_assist" START r#""https://cloudcode-pa.googleapis.com""#
        |d, f| d.config.endpoints.code_assist = f.url()?.unwrap_or_default() => |c| address(&c.endpoints.code_assist);
    "endpoints.generative_language" START r#""https://generativelanguage.googleapis.com""#
        |d, f| d.config.endpoints.generative_language = f.url()?.unwrap_or_default()
        => |c| address(&c.endpoints.generative_language);
    "endpoints.vertex" START "null" |d, f| d.config.endpoints.vertex = f.url()?
        => |c| c.endpoints.vertex.as_deref().map(address);
    "endpoints.sts" START r#""https://sts.googleapis.com/v1/token""#
        |d, f| d.config.endpoints.sts = f.url()?.unwrap_or_default() => |c| address(&c.endpoints.sts);
    "endpoints.iam_credentials" START r#""https://iamcredentials.googleapis.com""#
        |d, f| d.config.endpoints.iam_credentials = f.url()?.unwrap_or_default()
        => |c| address(&c.endpoints.iam_credentials);
    "endpoints.metadata" START r#""http://metadata.google.internal""#
        |d, f| d.config.endpoints.metadata = f.url()?.unwrap_or_default() => |c| address(&c.endpoints.metadata);
    "endpoints.oauth_authorize" START r#""https://accounts.google.com/o/oauth2/v2/auth""#
        |d, f| d.config.endpoints.oauth_authorize = f.url()?.unwrap_or_default()
        => |c| address(&c.endpoints.oauth_authorize);
    "endpoints.oauth_token" START r#""https://oauth2.googleapis.com/token""#
        |d, f| d.config.endpoints.oauth_token = f.url()?.unwrap_or_default() => |c| address(&c.endpoints.oauth_token);
    "endpoints.userinfo" START r#""https://openidconnect.googleapis.com/v1/userinfo""#
        |d, f| d.config.endpoints.userinfo = f.url()?.unwrap_or_default() => |c| address(&c.endpoints.userinfo);
    "external_credentials_file" LIVE "null" |d, f| if f.given.is_some() {
        d.warnings.push("external_credentials_file is not read: put those credentials into credentials_file, or import them".into());
    };
};

/// Each service once.
fn prefer(field: &Field) -> Result<Vec<Kind>, ConfigError> {
    let words = Kind::ALL.map(|kind| (kind.word(), kind));
    let mut kinds = Vec::new();
    for item in field.items() {
        let kind = item.word(&words)?;
        if kinds.contains(&kind) {
            return Err(item.wrong("each service once", &item.value()));
        }
        kinds.push(kind);
    }
    Ok(kinds)
}

fn workers(draft: &mut Draft, field: &Field) -> Result<(), ConfigError> {
    let given = field.number_if_given(1..=4096)?.map(|workers| workers as usize);
    draft.config.sizes.workers = given.unwrap_or_else(|| platform::memory().map_or(256, default_workers));
    Ok(())
}

/// One worker for each 2 MiB of memory: 256 on the usual 512 MB server. A stream over TLS takes less than 160 KiB, so
/// even with all of them streaming nine tenths of the memory stay free for request bodies.
pub(super) fn default_workers(memory: u64) -> usize {
    (memory >> 21).clamp(32, 1024) as usize
}

/// A stream takes a connection; there is room for idle ones beside them.
fn max_connections(draft: &mut Draft, field: &Field) -> Result<(), ConfigError> {
    let given = field.number_if_given(1..=100_000)?.map(|connections| connections as usize);
    draft.config.sizes.max_connections = given.unwrap_or(draft.config.sizes.workers * 3);
    Ok(())
}

/// Half of what there is: the rest is for bodies on their way in, answers on their way out, and threads.
fn memory(draft: &mut Draft, field: &Field) -> Result<(), ConfigError> {
    let given = field.number_if_given(16..=1 << 20)?.map(|megabytes| (megabytes as usize) << 20);
    let half = || platform::memory().map_or(256 << 20, |memory| usize::try_from(memory / 2).unwrap_or(usize::MAX));
    draft.config.sizes.memory = given.unwrap_or_else(half);
    Ok(())
}

fn state_file(draft: &mut Draft, field: &Field) -> Result<(), ConfigError> {
    let credentials = &draft.config.credentials_file;
    draft.config.state_file = match field.path()? {
        Some(path) if path == *credentials => {
            return Err(ConfigError(format!("{}: expected another file than credentials_file", field.name)));
        }
        Some(path) => path,
        None => {
            let mut name = credentials.clone().into_os_string();
            name.push(".state.json");
            name.into()
        }
    };
    Ok(())
}

fn oauth_client(draft: &mut Draft, field: &Field) -> Result<(), ConfigError> {
    let mut object = field.object()?;
    draft.client_id = object.take("client_id").text()?;
    draft.client_secret = object.take("client_secret").text()?;
    draft.unknown.extend(object.unknown());
    Ok(())
}

fn oauth_client_secret(draft: &mut Draft, field: &Field) -> Result<(), ConfigError> {
    let secret = draft.client_secret.take().or(field.text()?);
    match (draft.client_id.take(), secret) {
        (Some(id), secret) => {
            draft.config.oauth_client = OauthClient { id, secret: Secret::new(secret.unwrap_or_default()) }
        }
        (None, None) => {}
        (None, Some(_)) => {
            return Err(ConfigError("oauth_client.client_id: expected a string beside client_secret".into()));
        }
    }
    Ok(())
}

fn admin_password(draft: &mut Draft, field: &Field) -> Result<(), ConfigError> {
    let (username, password) = (draft.admin_username.take(), field.filled()?);
    if username.is_some() != password.is_some() {
        draft
            .warnings
            .push("admin_username and admin_password: only one of them is set, so the admin page has no login".into());
    }
    draft.config.admin = login(username, password);
    Ok(())
}

fn public_url(draft: &mut Draft, field: &Field) -> Result<(), ConfigError> {
    let url = field.text()?.map(|url| url.trim_end_matches('/').to_owned()).filter(|url| !url.is_empty());
    if url.as_deref().is_some_and(|url| !is_url(url)) {
        draft
            .warnings
            .push("public_url should begin with http:// or https://: hints and logins use it as it is".into());
    }
    draft.config.public_url = url;
    Ok(())
}

fn log_level(field: &Field) -> Result<LogLevel, ConfigError> {
    let text = field.text()?.unwrap_or_default();
    match text.to_ascii_uppercase().as_str() {
        "NOTSET" | "DEBUG" => Ok(LogLevel::Debug),
        "INFO" => Ok(LogLevel::Info),
        "WARN" | "WARNING" => Ok(LogLevel::Warn),
        "ERROR" | "CRITICAL" | "FATAL" => Ok(LogLevel::Error),
        _ => Err(field.wrong("DEBUG, INFO, WARNING, ERROR or CRITICAL", &Value::String(text))),
    }
}

fn one_or_all(models: &[String]) -> Value {
    match models {
        [model] => json!(model),
        models => json!(models),
    }
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

fn limited(time: Duration) -> Option<f64> {
    seconds(Some(time).filter(|time| *time != Duration::MAX))
}

fn set(is_set: bool) -> Option<&'static str> {
    is_set.then_some("***")
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

pub(super) fn word(word: impl std::fmt::Debug) -> String {
    format!("{word:?}").to_lowercase()
}

/// An address without the login that may stand in it.
pub(super) fn address(url: &str) -> String {
    match url.split_once("//").map(|(scheme, rest)| (scheme, rest.split_once('@'))) {
        Some((scheme, Some((_, rest)))) => format!("{scheme}//***@{rest}"),
        _ => url.to_owned(),
    }
}
