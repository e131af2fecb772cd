//! What dispatch remembers between requests: limits that grow because Google names no delay, and models without
//! capacity. Neither belongs to the pool: both are about how eager to ask, not about who can be asked.

use crate::credentials::CredentialId;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// The longest rest that doubling leads to.
const LONGEST: Duration = Duration::from_secs(600);
/// Denied requests that are remembered; then all are forgotten.
const MAX_DENIED: usize = 1024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Limits in a row per credential and model.
    limits: Mutex<HashMap<(CredentialId, String), u32>>,
    /// Models without capacity, and until when they are not asked twice by one request.
    without_capacity: Mutex<HashMap<String, Instant>>,
    /// The last request that a credential was not allowed to make of a model, as a hash.
    denied: Mutex<HashMap<(CredentialId, String), u64>>,
}

impl History {
    /// The rest for one more limit in a row: `first`, twice that, and so on.
    pub fn grown(&self, id: CredentialId, model: &str, first: Duration) -> Duration {
        let mut limits = self.limits.lock();
        let count = limits.entry((id, model.to_string())).or_default();
        let rest = first.saturating_mul(1 << (*count).min(16)).min(LONGEST);
        *count += 1;
        rest
    }

    /// A success ends a row of limits and of denials.
    pub fn forget(&self, id: CredentialId, model: &str) {
        let mut limits = self.limits.lock();
        if !limits.is_empty() {
            limits.remove(&(id, model.to_string()));
        }
        drop(limits);
        let mut denied = self.denied.lock();
        if !denied.is_empty() {
            denied.remove(&(id, model.to_string()));
        }
    }

    /// A person ends all rows of these credentials.
    pub fn forget_credentials(&self, ids: &HashSet<CredentialId>) {
        self.limits.lock().retain(|(credential, _), _| !ids.contains(credential));
        self.denied.lock().retain(|(credential, _), _| !ids.contains(credential));
    }

    /// Notes a request that was denied; whether the one denied before it was a different one.
    pub fn is_second(&self, id: CredentialId, model: &str, request: u64) -> bool {
        let mut denied = self.denied.lock();
        if denied.len() >= MAX_DENIED {
            denied.clear();
        }
        denied.insert((id, model.to_string()), request).is_some_and(|before| before != request)
    }

    /// Notes that a model has no capacity.
    pub fn note_no_capacity(&self, model: &str, rest: Duration) {
        let now = Instant::now();
        let mut without_capacity = self.without_capacity.lock();
        without_capacity.retain(|_, until| *until > now);
        without_capacity.insert(model.to_string(), now + rest);
    }

    /// Whether the model had no capacity a moment ago.
    pub fn has_no_capacity(&self, model: &str) -> bool {
        self.without_capacity.lock().get(model).is_some_and(|until| *until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_in_a_row_double_until_a_success() {
        let history = History::default();
        let grown = |model| history.grown(CredentialId(1), model, Duration::from_secs(30)).as_secs();
        assert_eq!([grown("a"), grown("a"), grown("a")], [30, 60, 120]);
        assert_eq!(grown("b"), 30, "another model has its own row");
        for _ in 0..40 {
            assert!(grown("a") <= LONGEST.as_secs());
        }
        history.forget(CredentialId(1), "a");
        assert_eq!(grown("a"), 30);
        history.grown(CredentialId(2), "a", Duration::from_secs(30));
        history.forget_credentials(&[CredentialId(1)].into());
        assert_eq!([grown("a"), grown("b")], [30, 30], "a person ends the rows of all models");
        assert_eq!(
            history.grown(CredentialId(2), "a", Duration::from_secs(30)).as_secs(),
            60,
            "of this credential only"
        );
    }

    #[test]
    fn a_model_is_crowded_for_its_rest_only() {
        let history = History::default();
        history.note_no_capacity("a", Duration::from_secs(60));
        history.note_no_capacity("b", Duration::ZERO);
        assert!(history.has_no_capacity("a"));
        assert!(!history.has_no_capacity("b"));
        assert!(!history.has_no_capacity("c"));
    }
}
