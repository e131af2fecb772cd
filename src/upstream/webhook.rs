//! One POST to an address that the operator chose. Why it failed is said without the address, which is a secret.

use super::agent::{self, AgentOptions};
use crate::config::{Config, Timeouts};
use std::io;
use std::time::Duration;
use ureq::{Agent, Error};

/// For the whole call.
const LIMIT: Duration = Duration::from_secs(10);

/// A client for such calls, which take the same outgoing proxy as all others.
#[derive(Clone)]
pub struct Poster(Agent);

impl Poster {
    /// By the rules of the config.
    pub fn new(config: &Config) -> Poster {
        Poster(agent::build(&AgentOptions {
            timeouts: Timeouts { connect: Some(LIMIT), read: Some(LIMIT) },
            workers: 1,
            proxy: config.proxy.clone(),
            authorities: config.authorities.clone(),
        }))
    }

    /// The status, and how long the receiver asks to wait.
    pub fn post(&self, url: &str, headers: &[(&str, String)], body: &str) -> Result<(u16, Option<Duration>), String> {
        let request = headers.iter().fold(self.0.post(url), |request, (name, value)| request.header(*name, value));
        let answer = request.config().timeout_global(Some(LIMIT)).build().send(body).map_err(|error| why(&error))?;
        let wait = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Ok((answer.status().as_u16(), wait.map(Duration::from_secs)))
    }

    /// Calls under way end.
    pub fn shutdown(self) {
        self.0.shutdown();
    }
}

fn why(error: &Error) -> String {
    match error {
        Error::Timeout(_) => "no answer in time".into(),
        Error::HostNotFound => "the name cannot be resolved".into(),
        Error::ConnectProxyFailed(_) => "the outgoing proxy refuses the connection".into(),
        Error::Tls(_) | Error::Rustls(_) => "TLS fails".into(),
        Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => "no answer in time".into(),
        Error::Io(error) => format!("no connection ({})", error.kind()),
        _ => "no usable answer".into(),
    }
}
