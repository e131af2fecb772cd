//! config.json and defaults made into one checked [`Config`]; after that nobody reads the file again. Every key stands
//! in one table (`keys.rs`). This folder is at the bottom: others take their types from it, and it takes none of theirs.

mod alerts;
#[cfg(feature = "replicas")]
mod compared;
mod file;
mod keys;
mod limits;
mod lists;
mod models;
mod names;
mod networks;
mod outgoing;
mod prices;
mod reload;
mod store;
mod value;
mod variables;

pub use alerts::{AlertTarget, Template};
pub use file::{Loaded, load, parse};
pub use limits::KeyLimits;
pub(crate) use limits::{FIELDS as LIMITS, WrongLimit};
pub use lists::is_example_key;
pub use models::{Control, Level, ModelEntry};
pub(crate) use names::{distance, no_such_field};
pub use networks::Network;
pub use outgoing::ProxyChoice;
pub use prices::{Price, dollars, nanodollars};
pub use reload::Changes;
pub use store::{PasswordFile, StoreConfig, WhenDown};
pub use value::ConfigError;

use crate::secret::Secret;
use log::LevelFilter;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything the program was told, checked. The [`Default`] is empty: it is what reading the keys begins with.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Bind address.
    pub host: String,
    /// Bind port; 0 takes a free one (tests).
    pub port: u16,
    /// TLS on the listener; `None`: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Connections begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// Sizes of the listener.
    pub sizes: Sizes,
    /// How long running answers may go on after SIGTERM.
    pub drain: Duration,
    /// How long it goes on accepting after SIGTERM.
    pub drain_delay: Duration,
    /// Keys clients may use.
    pub auth_keys: Vec<ClientKey>,
    /// The keys are the built-in default: they answer loopback callers only.
    pub default_keys: bool,
    /// Pool credentials on the public API.
    pub gemini_api_keys: Vec<ApiKey>,
    /// Where credentials live, relative to the working directory.
    pub credentials_file: PathBuf,
    /// Where usage and cool-downs live.
    pub state_file: PathBuf,
    /// Encrypts the credentials file. Not in the config file.
    pub encryption_key: Option<Secret>,
    /// What several replicas share; `None`: there is one, with its files.
    pub store: Option<Arc<StoreConfig>>,
    /// E-mail (lower case) -> project, wins over discovery.
    pub project_id_map: HashMap<String, String>,
    /// The OAuth client of login and refresh.
    pub oauth_client: OauthClient,
    /// Fewer usable credentials than this: a warning at start. 0: no check.
    pub min_credentials: u64,
    /// Kinds of credentials that go before others, in this order; none: all take turns.
    pub prefer: Vec<Kind>,
    /// The machine is in Google Cloud, and its service account a credential for Vertex AI.
    pub gcp_metadata: bool,
    /// Attempts over different credentials before the first byte.
    pub max_attempts: u32,
    /// Credentials that one request may ask before the first byte.
    pub max_credentials_per_request: u32,
    /// How long a request may go from credential to credential before the first byte.
    pub failover: Duration,
    /// The way to Google.
    pub proxy: ProxyChoice,
    /// The only certificate authorities to trust towards Google, as DER; `None`: Mozilla's.
    pub authorities: Option<Vec<Vec<u8>>>,
    /// Towards Google.
    pub timeouts: Timeouts,
    /// Send the head with a comment when the first event takes longer; `None`: never.
    pub early_head_after: Option<Duration>,
    /// Silence after which a stream gets a comment; `None`: never.
    pub keep_alive: Option<Duration>,
    /// Extra models and aliases.
    pub models: Vec<ModelEntry>,
    /// Patterns of other vendors' names and the models that serve them, in the order in which they are asked.
    pub model_routes: Vec<(String, Vec<String>)>,
    /// Bytes of responses that are kept for clients of the Responses API; 0: none are.
    pub responses_store: usize,
    /// Who is told when the program needs a person.
    pub alerts: Vec<AlertTarget>,
    /// What models cost, before the table's prices.
    pub prices: Vec<(String, Price)>,
    /// Bytes of the history of requests; 0: none is kept.
    pub requests_history: u64,
    /// Bytes of thought signatures that are saved over a restart; 0: none are.
    pub saved_signatures: usize,
    /// Settings of the translations.
    pub settings: Settings,
    /// Admin login, when both halves are set.
    pub admin: Option<AdminLogin>,
    /// Where the `auth` command finds the running server.
    pub auth_client: AuthClient,
    /// How long a login may take on Google's pages. Not in the config file; tests shorten it.
    pub login_lifetime: Duration,
    /// Address of this server as people reach it, without trailing slash.
    pub public_url: Option<String>,
    /// Whose word counts on whom they ask for.
    pub trusted_proxies: Vec<Network>,
    /// Log level.
    pub log_level: LogLevel,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Period of the usage report; `None`: off.
    pub usage_interval: Option<Duration>,
    /// `GET /metrics`.
    pub metrics: Metrics,
    /// Google's addresses.
    pub endpoints: Endpoints,
    /// The JSON that all this was read from, so that a reload can say what changed.
    pub source: Secret,
}

/// What the listener shows its clients, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What `server` says of the listener's sizes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    /// Generations answered at the same time.
    pub workers: usize,
    /// Open client connections in all.
    pub max_connections: usize,
    /// Open client connections from one address.
    pub max_connections_per_address: usize,
    /// Largest request body in bytes.
    pub max_body: usize,
    /// Memory for parsed requests in bytes.
    pub memory: usize,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything; nothing is logged below it.
    #[default]
    Debug,
    /// The usual.
    Info,
    /// What somebody should look at.
    Warn,
    /// What fails.
    Error,
}

impl LogLevel {
    /// The same in the logger's terms.
    pub fn filter(self) -> LevelFilter {
        match self {
            LogLevel::Debug => LevelFilter::Debug,
            LogLevel::Info => LevelFilter::Info,
            LogLevel::Warn => LevelFilter::Warn,
            LogLevel::Error => LevelFilter::Error,
        }
    }
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

/// Settings that change translations.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where system messages after the first turn go.
    pub mid_system: MidSystem,
    /// Whether `image_url.detail` becomes a per-part `mediaResolution` on Gemini 3.
    pub media_resolution: bool,
    /// What is appended when a conversation ends with a model turn.
    pub continue_text: String,
    /// Whether Vertex AI is asked for arguments of calls as they come, for chat clients that stream.
    pub stream_function_arguments: bool,
    /// Whether Google counts tokens for the dialects that ask how many a request has.
    pub count_at_google: bool,
    /// Which requests prefer the credential that served them before.
    pub affinity: Affinity,
}

/// Which requests prefer the credential that served them before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Affinity {
    /// None: every request takes its turn.
    Off,
    /// Those that name their conversation.
    #[default]
    Named,
    /// Those, and all others by their instructions and first user turn.
    Content,
}

/// Which of Google's services a credential can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// OAuth credential: Code Assist.
    Oauth,
    /// API key: the public Generative Language API.
    ApiKey,
    /// Anything of Google Cloud's: Vertex AI.
    Vertex,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Oauth, Kind::ApiKey, Kind::Vertex];

    /// As the config and the admin interface call it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Oauth => "oauth",
            Kind::ApiKey => "api_key",
            Kind::Vertex => "vertex",
        }
    }
}

/// Where system messages after the first turn go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MidSystem {
    /// Into the system instruction.
    #[default]
    Hoist,
    /// Where they stand, as user text in `<system>` marks.
    InPlace,
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

/// `GET /metrics`.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Off: 404.
    pub enabled: bool,
    /// `Authorization: Bearer <token>` opens it; the admin login does too.
    pub token: Option<Secret>,
}

/// Timeouts towards Google; `None`: no limit.
#[derive(Clone, Copy, Debug, Default)]
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

/// Google's addresses: bases without trailing slash, or whole addresses.
#[derive(Clone, Debug, Default)]
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
    /// Base that stands in for all hosts of Vertex AI; `None`: Google's own, by location.
    pub vertex: Option<String>,
    /// Whole address of Google's security token service.
    pub sts: String,
    /// Base of the IAM credentials API.
    pub iam_credentials: String,
    /// Base of the metadata server.
    pub metadata: String,
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
    /// Where thought signatures are kept over restarts, beside the state file.
    pub fn signatures_file(&self) -> PathBuf {
        let mut name = self.state_file.clone().into_os_string();
        name.push(".signatures");
        name.into()
    }

    /// The address to write into hints for people: `public_url`, else host and port with `0.0.0.0` shown as localhost.
    pub fn base_url(&self, port: u16) -> String {
        self.public_url.clone().unwrap_or_else(|| self.listening_at("localhost", port))
    }

    /// Where the server listens, as seen from this machine; `wildcard` is what stands for all addresses.
    pub fn listening_at(&self, wildcard: &str, port: u16) -> String {
        let scheme = self.scheme();
        match self.host.as_str() {
            "0.0.0.0" | "::" | "[::]" => format!("{scheme}://{wildcard}:{port}"),
            host if host.contains(':') && !host.starts_with('[') => format!("{scheme}://[{host}]:{port}"),
            host => format!("{scheme}://{host}:{port}"),
        }
    }

    /// What the listener speaks.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}
