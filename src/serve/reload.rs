//! A config file that changed while the program runs: what of it holds at once, what waits for a restart, and the line
//! that says so.

use crate::config::Config;
use std::collections::BTreeMap;
use std::fmt;

/// Keys that were used up at the start: sockets, files, threads and the one client for Google are made of them.
const AT_START: [&str; 15] = [
    "server",
    "credentials_file",
    "state_file",
    "request_timeouts",
    "usage_logging",
    "endpoints",
    "oauth_client",
    "oauth_client_id",
    "oauth_client_secret",
    "max_attempts",
    "max_credentials_per_request",
    "failover_sec",
    "proxy_url",
    "ca_file",
    "log_format",
];

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
        match (self.taken.is_empty(), self.waiting.is_empty()) {
            (true, true) => f.write_str("reloaded, nothing has changed"),
            (false, true) => write!(f, "reloaded: {}", self.taken.join(", ")),
            (true, false) => write!(f, "reloaded, but a restart is needed for: {}", self.waiting.join(", ")),
            (false, false) => {
                write!(f, "reloaded: {}; a restart is needed for: {}", self.taken.join(", "), self.waiting.join(", "))
            }
        }
    }
}

/// The new config with the old one's values where only a restart can change them.
pub fn merge(old: &Config, new: Config) -> (Config, Changes) {
    let mut changes = Changes::default();
    let mut prints: BTreeMap<String, u64> = new.prints.clone();
    for key in old.prints.keys().chain(new.prints.keys()) {
        if old.prints.get(key) == new.prints.get(key) || changes.taken.contains(key) || changes.waiting.contains(key) {
            continue;
        }
        if AT_START.contains(&key.as_str()) {
            changes.waiting.push(key.clone());
            // So that the next reload says it again.
            match old.prints.get(key) {
                Some(print) => prints.insert(key.clone(), *print),
                None => prints.remove(key),
            };
        } else {
            changes.taken.push(key.clone());
        }
    }
    let config = Config {
        host: old.host.clone(),
        port: old.port,
        limits: old.limits.clone(),
        drain: old.drain,
        credentials_file: old.credentials_file.clone(),
        state_file: old.state_file.clone(),
        encryption_key: old.encryption_key.clone(),
        timeouts: old.timeouts,
        usage_interval: old.usage_interval,
        endpoints: old.endpoints.clone(),
        oauth_client: old.oauth_client.clone(),
        max_attempts: old.max_attempts,
        max_credentials_per_request: old.max_credentials_per_request,
        failover: old.failover,
        proxy: old.proxy.clone(),
        authorities: old.authorities.clone(),
        log_format: old.log_format,
        login_lifetime: old.login_lifetime,
        prints,
        ..new
    };
    (config, changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn config(text: &str) -> Config {
        parse(text).unwrap().config
    }

    #[test]
    fn what_changed_is_told_and_what_needs_a_restart_keeps_its_value() {
        let old = config(r#"{"server":{"port":1},"auth_keys":["one"],"models":["a"],"affinity":"off"}"#);
        let new = r#"{"server":{"port":2},"auth_keys":["two"],"models":["a"],"public_url":"https://p"}"#;
        let (merged, changes) = merge(&old, config(new));
        assert_eq!(changes.taken, ["affinity", "auth_keys", "public_url"]);
        assert_eq!(changes.waiting, ["server"]);
        assert_eq!(changes.to_string(), "reloaded: affinity, auth_keys, public_url; a restart is needed for: server");
        assert_eq!(merged.port, 1);
        let (merged_format, _) = merge(&old, config(r#"{"log_format":"json"}"#));
        assert_eq!(merged_format.log_format, old.log_format, "the logger goes on as it began");
        assert!(merged.auth_keys[0].key.matches("two") && merged.public_url.is_some());
        let (_, again) = merge(&merged, config(new));
        assert_eq!(again.to_string(), "reloaded, but a restart is needed for: server");
        let (_, back) = merge(&merged, config(&new.replace('2', "1")));
        assert_eq!(back.to_string(), "reloaded, nothing has changed");
    }
}
