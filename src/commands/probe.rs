//! `health` and `ready`: asks the proxy of this config on this machine, for containers and scripts that have no HTTP client. Over
//! TLS it is known by the certificate that the config names.

use super::{Failure, agent_for_google};
use crate::commands::args::RunOptions;
use crate::config::{self, Config, ProxyChoice, Timeouts};
use crate::upstream::json_client;
use crate::upstream::own_listener::{self, Question};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Whether the process answers.
    Health,
    /// Whether it may get traffic.
    Ready,
}

/// Prints one line. The failure has exit code 1.
pub fn probe(probe: Probe, options: &RunOptions) -> Result<(), Failure> {
    let loaded = config::load(options.config.as_deref()).map_err(|error| (1, error.to_string()))?;
    let config = Config { proxy: ProxyChoice::Direct, ..loaded.config };
    let base = config.listening_at("127.0.0.1", config.port);
    let agent = agent_for_google(&config, Timeouts { connect: Some(PATIENCE), read: Some(PATIENCE) }, 1);
    let ask = |path: &str| match &config.tls {
        None => json_client::get_json(&agent, &format!("{base}{path}"), None),
        Some(files) => own_listener::ask(&base, &files.certificate, Question { path, ..Question::default() }, PATIENCE),
    };
    let path = match probe {
        Probe::Health => "/livez",
        Probe::Ready => "/readyz",
    };
    let word = match ask(path) {
        Ok((200, answer)) => answer["status"].as_str().unwrap_or_default().to_owned(),
        Ok((status, answer)) => {
            let said = answer["status"].as_str().map_or_else(|| format!("status {status}"), str::to_owned);
            return Err((1, format!("{base}{path}: {said}")));
        }
        Err(reason) => return Err((1, format!("{base}{path}: no answer ({reason}); is it running with this config?"))),
    };
    let credentials =
        ask("/health?verbose=1").ok().map(|(_, answer)| answer["credentials"].clone()).unwrap_or_default();
    let (usable, all) = (&credentials["available"], &credentials["total"]);
    let note = if all.is_null() { String::new() } else { format!("; {usable} of {all} credentials can be used") };
    println!("{word}{note}");
    Ok(())
}
