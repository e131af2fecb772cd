//! A config file that changed while the program runs: what of it holds at once, what waits for a restart, and the line
//! that says so.

use super::keys::KEYS;
use super::{Config, ConfigError, parse};
use crate::secret::Secret;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;

impl Config {
    /// What is in force after the file has become `new`: what needs a restart stays as it is.
    pub fn reloaded(&self, new: &Config) -> Result<(Config, Changes), ConfigError> {
        let (old, mut next) = (self.source(), new.source());
        let mut changes = Changes::default();
        let mut names = BTreeSet::new();
        names.extend(old.keys().chain(next.keys()).cloned());
        names.retain(|name| old.get(name) != next.get(name));
        for name in names {
            if !needs_restart(&name) {
                changes.taken.push(name);
                continue;
            }
            // So that the next reload says it again.
            match old.get(&name) {
                Some(value) => next.insert(name.clone(), value.clone()),
                None => next.shift_remove(&name),
            };
            changes.waiting.push(name);
        }
        let source = Secret::new(Value::from(next.clone()).to_string());
        // The files that these named at the start may be gone.
        next.shift_remove("ca_file");
        next.shift_remove("store");
        let config = Config {
            source,
            encryption_key: self.encryption_key.clone(),
            login_lifetime: self.login_lifetime,
            authorities: self.authorities.clone(),
            store: self.store.clone(),
            ..parse(&Value::from(next).to_string())?.config
        };
        Ok((config, changes))
    }
}

/// Whether the key of the file, or one in the object that it is, needs a restart.
fn needs_restart(name: &str) -> bool {
    KEYS.iter().any(|key| key.restart && key.name.split('.').next() == Some(name))
}

/// What a reload came to, as one sentence. Names keys, never values.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Hold from now on.
    pub taken: Vec<String>,
    /// Hold after a restart.
    pub waiting: Vec<String>,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (taken, waiting) = (self.taken.join(", "), self.waiting.join(", "));
        match (taken.is_empty(), waiting.is_empty()) {
            (true, true) => f.write_str("reloaded, nothing has changed"),
            (false, true) => write!(f, "reloaded: {taken}"),
            (true, false) => write!(f, "reloaded, but a restart is needed for: {waiting}"),
            (false, false) => write!(f, "reloaded: {taken}; a restart is needed for: {waiting}"),
        }
    }
}
