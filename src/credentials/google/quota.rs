//! What Google says is left of an account's quota (docs/google.md "retrieveUserQuota"). A hint for people, never a
//! reason to use a credential or not: per-minute limits are not in it.

use super::oauth::{CallFault, Google};
use super::trouble::service_unreachable;
use crate::credentials::lease::{Access, ManageFault};
use crate::message::Message;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// How long an answer is shown again before Google is asked anew.
pub(crate) const FRESH: Duration = Duration::from_secs(45);

/// The quota of one account.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// One per model, in Google's order.
    pub buckets: Vec<Bucket>,
    /// When Google said so.
    pub fetched_at: SystemTime,
}

/// What is left for one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// Google's name.
    pub model: String,
    /// 0 to 1.
    pub remaining_fraction: f64,
    /// RFC 3339, as Google wrote it.
    pub reset_time: Option<String>,
}

/// Why there are no figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaFault {
    /// There is no such credential, or it cannot be used.
    Credential(ManageFault),
    /// Google has no such figures for API keys.
    ApiKey,
    /// The account cannot be used.
    Blocked(Message),
    /// Google or the network has trouble, or refuses.
    Failed(Message),
}

impl QuotaFault {
    /// What the person is told.
    pub fn message(self) -> Message {
        match self {
            QuotaFault::Credential(fault) => fault.message(),
            QuotaFault::ApiKey => Message::new("quota_of_keys"),
            QuotaFault::Blocked(message) | QuotaFault::Failed(message) => message,
        }
    }
}

/// How Google's refusal to tell reads.
pub(crate) fn fault(fault: CallFault) -> QuotaFault {
    QuotaFault::Failed(match fault {
        CallFault::Status(status, _) => Message::new("quota_refused").with("status", status),
        CallFault::Network(reason) => service_unreachable("Code Assist", &reason),
    })
}

/// The figures, from Google.
pub(crate) fn fetch(google: &Google, access: &Access) -> Result<Quota, CallFault> {
    let body = json!({"project": access.project});
    let answer = google.code_assist("retrieveUserQuota", &access.secret, &body)?;
    Ok(Quota { buckets: buckets(&answer), fetched_at: SystemTime::now() })
}

fn buckets(answer: &Value) -> Vec<Bucket> {
    let read = |bucket: &Value| {
        let text = |name| bucket.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Bucket {
            model: text("modelId")?,
            // A proto's zero is not written.
            remaining_fraction: bucket.get("remainingFraction").and_then(Value::as_f64).unwrap_or(0.0).clamp(0.0, 1.0),
            reset_time: text("resetTime"),
        })
    };
    answer.get("buckets").and_then(Value::as_array).into_iter().flatten().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_fraction_is_nothing_left() {
        let answer = json!({"buckets": [
            {"modelId": "a", "remainingFraction": 0.98, "resetTime": "2026-11-23T03:12:44Z"},
            {"modelId": "b"}, {"remainingFraction": 1}, {"modelId": "c", "remainingFraction": 7}, null,
        ]});
        let found: Vec<_> =
            buckets(&answer).into_iter().map(|bucket| (bucket.model, bucket.remaining_fraction)).collect();
        assert_eq!(found, [("a".into(), 0.98), ("b".into(), 0.0), ("c".into(), 1.0)]);
        assert_eq!(buckets(&json!({})), []);
    }
}
