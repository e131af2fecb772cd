//! What of the config all replicas should have alike, in a form that can be compared and tells nothing.

use super::{Config, variables};
use sha2::{Digest, Sha256};

/// Each machine's own.
const OWN: [&str; 7] = ["server", "store", "credentials_file", "state_file", "ca_file", "log_level", "log_format"];

impl Config {
    /// For each key of the file that is not the machine's own, a hash of what it says, with the environment's part in it.
    pub fn compared(&self) -> Vec<(String, [u8; 32])> {
        let shared = self.source().into_iter().filter(|(name, _)| !OWN.contains(&&**name));
        let hashed = shared.map(|(name, mut value)| {
            // What the environment has no more was there at the start.
            let _ = variables::expand(&mut value, &name, &|name| std::env::var(name).ok());
            let hash = Sha256::digest(value.to_string()).into();
            (name, hash)
        });
        hashed.collect()
    }
}
