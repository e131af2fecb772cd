//! What a pool is told at its start: where things are, and how patient to be.

use super::lease::Kind;
use crate::config::{ApiKey, Config, Endpoints, OauthClient};
use crate::os::random;
use crate::secret::Secret;
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

/// What a pool is made of.
#[derive(Clone)]
pub struct Options {
    /// The old program's credentials.json.
    pub credentials_file: PathBuf,
    /// What replicas share takes the place of the file, which is not looked at.
    pub is_shared: bool,
    /// Encrypts it.
    pub encryption_key: Option<Secret>,
    /// Open what it does not.
    pub old_encryption_keys: Vec<Secret>,
    /// Credentials beside those of the file.
    pub api_keys: Vec<ApiKey>,
    /// E-mail (lower case) -> project.
    pub project_id_map: HashMap<String, String>,
    /// Kinds that go before others, in this order; none: all take turns.
    pub prefer: Vec<Kind>,
    /// The machine that this runs on is in Google Cloud and a credential.
    pub is_machine: bool,
    /// Google's addresses.
    pub endpoints: Endpoints,
    /// For credentials that do not name their own client.
    pub oauth_client: OauthClient,
    /// For the calls to Google. Statuses are answers (`http_status_as_error(false)`), redirects are not followed.
    pub agent: ureq::Agent,
    /// The pool's patience.
    pub timing: Timing,
    /// An earlier [`super::Credentials::snapshot`]; what does not fit is ignored.
    pub remembered: Value,
}

impl Options {
    /// As the config says.
    pub fn new(config: &Config, agent: ureq::Agent) -> Options {
        Options {
            credentials_file: config.credentials_file.clone(),
            is_shared: config.store.is_some(),
            encryption_key: config.encryption_key.clone(),
            old_encryption_keys: config.store.as_ref().map(|store| store.old_keys.clone()).unwrap_or_default(),
            api_keys: config.gemini_api_keys.clone(),
            project_id_map: config.project_id_map.clone(),
            prefer: config.prefer.clone(),
            is_machine: config.gcp_metadata,
            endpoints: config.endpoints.clone(),
            oauth_client: config.oauth_client.clone(),
            agent,
            timing: Timing::default(),
            remembered: Value::Null,
        }
    }
}

/// How long the pool waits for what.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// A token is replaced this long before it ends, or up to half of it later, so that not all go at once.
    pub refresh_ahead: Duration,
    /// Rest after the first transient trouble with a token or project; doubles with each in a row.
    pub first_backoff: Duration,
    /// The longest such rest, and the rest after a fault of the configuration.
    pub longest_backoff: Duration,
    /// An account that Google gave no project is asked for again after this.
    pub blocked_probe: Duration,
    /// Between two questions how an onboarding goes.
    pub onboarding_poll: Duration,
    /// For an onboarding in all.
    pub onboarding_limit: Duration,
    /// For trying out what is imported at once; the rest is taken on trust.
    pub import: Duration,
    /// Between two checks whether somebody else changed the file.
    pub file_poll: Duration,
    /// Others go before a credential that failed for nobody's fault; doubles with each in a row.
    pub deprioritised: Duration,
    /// The longest of these.
    pub longest_deprioritised: Duration,
    /// A server without requests for so long is idle, and credentials that nobody used or checked for as long are checked.
    pub idle_check: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            refresh_ahead: Duration::from_secs(600),
            first_backoff: Duration::from_secs(1),
            longest_backoff: Duration::from_secs(300),
            blocked_probe: Duration::from_secs(900),
            onboarding_poll: Duration::from_secs(5),
            onboarding_limit: Duration::from_secs(90),
            import: Duration::from_secs(20),
            file_poll: Duration::from_secs(5),
            deprioritised: Duration::from_secs(30),
            longest_deprioritised: Duration::from_secs(600),
            idle_check: Duration::from_secs(1800),
        }
    }
}

impl Timing {
    /// Between half of [`Timing::refresh_ahead`] and all of it.
    pub(crate) fn ahead(&self) -> Duration {
        self.refresh_ahead.mul_f64(1.0 - random::fraction() / 2.0)
    }
}
