//! What `check` says of the store. Nothing is written.

use super::redis::Look;
use super::{cipher, link, unread};
use crate::config::Config;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is well.
    Good(String),
    /// Somebody should look at it.
    Warning(String),
    /// It does not work.
    Error(String),
}

/// Whether the store can be asked that the config names; the error is a sentence. Nobody is asked.
pub fn can_be_asked(config: &Config) -> Result<(), String> {
    let Some(store) = &config.store else { return Ok(()) };
    cipher(config).and_then(|cipher| link(store, cipher)).map(drop).map_err(|fault| fault.message)
}

/// Looks at the store that the config names.
pub fn look(config: &Config) -> Vec<Finding> {
    let Some(store) = &config.store else { return Vec::new() };
    let link = match cipher(config).and_then(|cipher| link(store, cipher)) {
        Ok((link, ..)) => link,
        Err(fault) => return vec![Finding::Error(fault.message)],
    };
    let address = link.address();
    let mut findings = Vec::new();
    if address.is_exposed() {
        findings.push(Finding::Warning(format!(
            "store {address} is reached without TLS and may be far away; use rediss:// or a private network"
        )));
    }
    match link.look() {
        Err(reason) => findings.push(Finding::Error(format!("store {address}: {reason}"))),
        Ok(Look { version, round_trip, ahead, persists, is_new, is_lost, records, trouble }) => {
            let ours = match (is_new, is_lost, records) {
                (_, true, _) => "was emptied",
                (true, ..) => "is empty; the first replica makes it",
                (_, _, 0) => "is this pool's, and the key fits; it holds neither credentials nor keys of the page",
                _ => "is this pool's, and the key fits",
            };
            findings.push(Finding::Good(format!(
                "store {address} answers in {:.1} ms, is version {version}, and {ours}",
                round_trip.as_secs_f64() * 1000.0
            )));
            if is_lost {
                findings.push(Finding::Error(format!(
                    "store {address} was emptied: replicas know what was in it, and change nothing; restore it, or stop all \
                     of them and start them anew"
                )));
            }
            if let Some(reason) = trouble {
                findings.push(Finding::Error(format!(
                    "store {address} takes no changes: {reason}; until it does, nothing is changed on the page, and each \
                     replica gives its part of every limit"
                )));
            }
            if persists == Some(false) {
                findings.push(Finding::Warning(format!(
                    "store {address} keeps nothing over a restart; set `appendonly yes` there, or its counts begin at zero"
                )));
            }
            if ahead.abs() > super::SKEW {
                findings.push(Finding::Warning(format!(
                    "this machine's clock is {} s off the store's; limits go by the store's",
                    ahead / 1000
                )));
            }
        }
    }
    findings
}

/// What it holds that nobody can read.
pub fn look_into(config: &Config) -> Vec<Finding> {
    match unread(config) {
        Ok(unread) if unread.is_empty() => Vec::new(),
        Ok(unread) => vec![Finding::Error(format!(
            "{unread}; restore them, or take them out (docs/operations.md, \"Damaged records in the store\")"
        ))],
        Err(sentence) => vec![Finding::Error(sentence)],
    }
}
