//! The program under test, in this process: `app::Service` on a free loopback port in front of a fake Google, with its
//! files in a directory of its own.

use super::google::{FakeGoogle, User};
use super::pool::Scratch;
use super::written;
use gemini_openai_proxy::config::{self, Config};
use gemini_openai_proxy::serve::service::{Service, StartError, Tuning};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 2026-11-26, for the table of models: names move later, and tests must not.
pub fn today() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(20_783 * 86_400)
}

/// The key that clients present.
pub const CLIENT_KEY: &str = "sk-client-of-most-tests";
/// The Gemini API key of [`Pool::ApiKey`].
pub const GEMINI_KEY: &str = "AIza-key-of-most-tests";
/// The account of [`Pool::Oauth`].
pub const EMAIL: &str = "ada@example.com";

/// Who is in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// One licensed account on Code Assist.
    Oauth,
    /// One key on the public API.
    ApiKey,
}

impl Pool {
    /// Both, for tests that must hold on either service.
    pub const EACH: [Pool; 2] = [Pool::Oauth, Pool::ApiKey];
}

/// A running proxy; dropping it stops it and removes its files.
pub struct Proxy {
    service: Option<Service>,
    files: Scratch,
    address: SocketAddr,
}

impl Proxy {
    /// Without credentials; `change` completes the config.
    pub fn start(google: &FakeGoogle, change: impl FnOnce(&mut Value)) -> Proxy {
        Proxy::start_with(google, Tuning::default(), change)
    }

    /// With other times.
    pub fn start_with(google: &FakeGoogle, tuning: Tuning, change: impl FnOnce(&mut Value)) -> Proxy {
        Proxy::begin(google, tuning, change, |_| {})
    }

    /// Where a login must be completed within `lifetime`, which no config file can say.
    pub fn with_login_lifetime(google: &FakeGoogle, lifetime: Duration) -> Proxy {
        Proxy::begin(google, Tuning::default(), |_| {}, |config| config.login_lifetime = lifetime)
    }

    /// With an encryption key, which no config file can say. The error is what the program ends with.
    #[cfg(feature = "replicas")]
    pub fn sealed(google: &FakeGoogle, key: &str, change: impl FnOnce(&mut Value)) -> Result<Proxy, StartError> {
        written::secret(key);
        let adjust = |config: &mut Config| {
            config.encryption_key = Some(gemini_openai_proxy::secret::Secret::new(key)).filter(|key| !key.is_empty())
        };
        Proxy::try_begin(google, Tuning::default(), change, adjust)
    }

    fn begin(
        google: &FakeGoogle,
        tuning: Tuning,
        change: impl FnOnce(&mut Value),
        adjust: impl FnOnce(&mut Config),
    ) -> Proxy {
        Proxy::try_begin(google, tuning, change, adjust).expect("the proxy starts")
    }

    fn try_begin(
        google: &FakeGoogle,
        tuning: Tuning,
        change: impl FnOnce(&mut Value),
        adjust: impl FnOnce(&mut Config),
    ) -> Result<Proxy, StartError> {
        let files = Scratch::new();
        let mut settings = json!({
            "server": {"host": "127.0.0.1", "port": 0, "workers": 16, "drain_sec": 5},
            "auth_keys": [CLIENT_KEY],
            "credentials_file": files.file(),
            "log_level": "warning",
            "usage_logging": {"enabled": false},
            "min_credentials": 0,
            "endpoints": google.endpoints_json(),
        });
        change(&mut settings);
        written::secrets_in(&settings);
        let mut config = config::parse(&settings.to_string()).expect("a good config").config;
        adjust(&mut config);
        let tuning = Tuning { models_of: tuning.models_of.or(Some(today())), ..tuning };
        let service = Service::start_with(config, tuning)?;
        let address = service.address();
        Ok(Proxy { service: Some(service), files, address })
    }

    /// With the credential of `pool`, known to `google`.
    pub fn with_pool(google: &FakeGoogle, pool: Pool) -> Proxy {
        Proxy::of(google, pool, |_| {})
    }

    /// The same with a config that is changed.
    pub fn of(google: &FakeGoogle, pool: Pool, change: impl FnOnce(&mut Value)) -> Proxy {
        match pool {
            Pool::ApiKey => google.add_api_key(GEMINI_KEY),
            Pool::Oauth => drop(google.add_user(User::licensed(EMAIL, "project-1"))),
        }
        Proxy::start(google, |config| {
            match pool {
                Pool::ApiKey => config["gemini_api_keys"] = json!([GEMINI_KEY]),
                Pool::Oauth => {
                    let file = config["credentials_file"].as_str().expect("a path");
                    let credential = google.oauth_credential(EMAIL);
                    std::fs::write(file, credential.to_string()).expect("the credentials file");
                }
            }
            change(config);
        })
    }

    /// `http://127.0.0.1:port`, without `/v1`.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the proxy's requests use.
    pub fn service(&self) -> &Service {
        self.service.as_ref().expect("it runs until it is dropped")
    }

    /// Where the proxy's files are.
    pub fn directory(&self) -> &Path {
        self.files.path()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(service) = self.service.take() {
            service.stop();
        }
    }
}
