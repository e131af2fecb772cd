//! What strangers can cause is logged now and then.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_secs(60);

/// When something was logged last.
#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Whether it may be logged again; counts as logged then.
    pub(super) fn is_due(&self) -> bool {
        let (now, mut last) = (Instant::now(), self.0.lock());
        let is_due = last.is_none_or(|last| now >= last + PERIOD);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}
