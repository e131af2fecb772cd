//! config.json, environment and defaults made into one checked [`Config`]. After that nobody reads them again.

mod lists;
mod read;
mod section;
mod shown;

pub use read::{Loaded, load, parse};
pub use section::ConfigError;
pub use shown::shown;

use crate::api::Settings;
use crate::gemini::models::ModelEntry;
use crate::secret::Secret;
use crate::upstream::agent::{Authorities, ProxyChoice};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Everything the program was told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bind address.
    pub host: String,
    /// Bind port; 0 takes a free one (tests).
    pub port: u16,
    /// Listener sizes.
    pub limits: crate::http::Limits,
    /// Keys clients may use.
    pub auth_keys: Vec<ClientKey>,
    /// The keys are the built-in default: they answer loopback callers only.
    pub default_keys: bool,
    /// Where credentials live, relative to the working directory.
    pub credentials_file: PathBuf,
    /// Where usage and cool-downs live.
    pub state_file: PathBuf,
    /// Encrypts the credentials file.
    pub encryption_key: Option<Secret>,
    /// E-mail (lower case) -> project, wins over discovery.
    pub project_id_map: HashMap<String, String>,
    /// Log level.
    pub log_level: log::LevelFilter,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Towards Google.
    pub timeouts: Timeouts,
    /// Period of the usage report; `None`: off.
    pub usage_interval: Option<Duration>,
    /// Address of this server as people reach it, without trailing slash.
    pub public_url: Option<String>,
    /// Fewer usable credentials than this: a warning at start. 0: no check.
    pub min_credentials: u64,
    /// Admin login, when both halves are set.
    pub admin: Option<AdminLogin>,
    /// Where the `auth` command finds the running server.
    pub auth_client: AuthClient,
    /// How long a login may take on Google's pages. Not in the file; tests shorten it.
    pub login_lifetime: Duration,
    /// Pool members on the public API.
    pub gemini_api_keys: Vec<ApiKey>,
    /// Google's addresses.
    pub endpoints: Endpoints,
    /// The way to them.
    pub proxy: ProxyChoice,
    /// The OAuth client of login and refresh.
    pub oauth_client: OauthClient,
    /// Extra models and aliases.
    pub models: Vec<ModelEntry>,
    /// Settings of the translations.
    pub settings: Settings,
    /// The only certificate authorities to trust towards Google; `None`: Mozilla's.
    pub authorities: Option<Authorities>,
    /// Attempts over different credentials before the first byte.
    pub max_attempts: u32,
    /// Credentials that one request may ask before the first byte.
    pub max_credentials_per_request: u32,
    /// How long a request may go from credential to credential before the first byte.
    pub failover: Duration,
    /// Send the head with a comment when the first event takes longer; `None`: never.
    pub early_head_after: Option<Duration>,
    /// Silence after which a stream gets a comment; `None`: never.
    pub keep_alive: Option<Duration>,
    /// How long running answers may go on after SIGTERM.
    pub drain: Duration,
    /// The keys that the file gives, with a hash of each value: so that a reload can say what changed.
    pub prints: BTreeMap<String, u64>,
    /// `GET /metrics`.
    pub metrics: Metrics,
    /// Keys that the file gives, `server.port` for those inside; all others are defaults.
    pub given: Vec<String>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// One key that clients may use.
#[derive(Clone, Debug)]
pub struct ClientKey {
    /// Safe to log.
    pub name: String,
    /// The key.
    pub key: Secret,
    /// What it may do.
    pub limits: KeyLimits,
}

/// What a client's key may do; `None`: without limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyLimits {
    /// Allowed models; empty: all.
    pub models: Vec<String>,
    /// In a window of 60 s that begins with its first request.
    pub requests_per_minute: Option<u64>,
    /// In a day of UTC.
    pub requests_per_day: Option<u64>,
    /// In a day of UTC; a request that begins below the limit may end above it.
    pub tokens_per_day: Option<u64>,
    /// Requests at the same time.
    pub concurrency: Option<u64>,
    /// Not valid from then on.
    pub expires_at: Option<SystemTime>,
}

/// `GET /metrics`.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Off: 404.
    pub enabled: bool,
    /// `Authorization: Bearer <token>` opens it; the admin login does too.
    pub token: Option<Secret>,
}

/// Timeouts towards Google; `None`: no limit.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// TCP and TLS.
    pub connect: Option<Duration>,
    /// Each read: the wait for the head and every silence in the body.
    pub read: Option<Duration>,
}

/// HTTP Basic login of the admin pages.
#[derive(Clone, Debug)]
pub struct AdminLogin {
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
}

/// What the `auth` command is told about a server elsewhere.
#[derive(Clone, Debug, Default)]
pub struct AuthClient {
    /// Its address, without trailing slash; `None`: on this machine.
    pub proxy_url: Option<String>,
    /// Its admin login; `None`: the one of this config.
    pub login: Option<AdminLogin>,
}

/// An API key of the config.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// The key.
    pub key: Secret,
    /// The user's word for it.
    pub label: Option<String>,
}

/// Google's addresses: bases without trailing slash, or whole addresses for `oauth_token` and `userinfo`.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// Base; `/v1internal:...` is appended.
    pub code_assist: String,
    /// Whole address of the consent page.
    pub oauth_authorize: String,
    /// Whole address.
    pub oauth_token: String,
    /// Whole address.
    pub userinfo: String,
    /// Base; `/v1beta/...` is appended.
    pub generative_language: String,
}

impl Default for Endpoints {
    fn default() -> Endpoints {
        Endpoints {
            code_assist: "https://cloudcode-pa.googleapis.com".into(),
            oauth_authorize: "https://accounts.google.com/o/oauth2/v2/auth".into(),
            oauth_token: "https://oauth2.googleapis.com/token".into(),
            userinfo: "https://openidconnect.googleapis.com/v1/userinfo".into(),
            generative_language: "https://generativelanguage.googleapis.com".into(),
        }
    }
}

/// An OAuth client.
#[derive(Clone, Debug)]
pub struct OauthClient {
    /// Client id.
    pub id: String,
    /// Client secret.
    pub secret: Secret,
}

impl Default for OauthClient {
    /// The Gemini CLI's public "installed app" client. Its secret is published in the CLI's own source
    /// (packages/core/src/code_assist/oauth2.ts), where Google says that the secret of such a client is not treated as a
    /// secret. A refresh token works only with the client it was issued to.
    fn default() -> OauthClient {
        OauthClient {
            id: "681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com".into(),
            secret: Secret::new("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"),
        }
    }
}

impl Config {
    /// The address to write into hints for people: `public_url`, else host and port with `0.0.0.0` shown as localhost.
    pub fn base_url(&self, port: u16) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        match self.host.as_str() {
            "0.0.0.0" | "::" | "[::]" | "" => format!("http://localhost:{port}"),
            host if host.contains(':') && !host.starts_with('[') => format!("http://[{host}]:{port}"),
            host => format!("http://{host}:{port}"),
        }
    }
}
