//! What the program does in a terminal besides serving: connect an account, look for what is wrong, change the encryption
//! of the credentials file. Each prints for a person and ends; none starts the server.

pub mod args;
mod auth;
mod check;
mod listener;
mod probe;
mod rekey;
#[cfg(feature = "replicas")]
mod store;

pub use auth::{auth, auth_vertex};
pub use check::{check, check_with_alerts};
pub use probe::{Probe, probe};
pub use rekey::{decrypt, rotate_key, rotate_store};
#[cfg(feature = "replicas")]
pub use store::store_word;

use crate::config::{self, Config, Timeouts};
use crate::secret::Secret;
use crate::upstream::agent::{self, AgentOptions};
use args::RunOptions;

/// An exit code and what to say on standard error; nothing more when the text is empty.
pub type Failure = (u8, String);

/// The configuration as `run` would see it.
fn configured(options: &RunOptions) -> Result<Config, String> {
    let key = encryption_key(options)?;
    let loaded = config::load(options.config.as_deref()).map_err(|error| error.to_string())?;
    Ok(Config { encryption_key: key, ..loaded.config })
}

fn encryption_key(options: &RunOptions) -> Result<Option<Secret>, String> {
    options.key(std::env::var(args::KEY_VARIABLE).ok())
}

/// There is no store in this build.
#[cfg(not(feature = "replicas"))]
pub fn store_word(_: &args::StoreOptions) -> Result<(), Failure> {
    Err((1, "[ERROR] this program was built without its feature `replicas`".into()))
}

/// A client for Google that takes the way the server takes.
fn agent_for_google(config: &Config, timeouts: Timeouts, workers: usize) -> ureq::Agent {
    let authorities = config.authorities.clone();
    agent::build(&AgentOptions { timeouts, workers, proxy: config.proxy.clone(), authorities })
}
