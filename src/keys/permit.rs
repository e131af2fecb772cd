//! The right to one request, from its admission to its end.

use super::Meter;
use std::sync::Arc;
use std::time::SystemTime;

/// The right to one request; the place among the running ones is given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    meter: Arc<Meter>,
    /// Where other replicas know of it: its place among the running ones, if that is limited.
    #[cfg(feature = "replicas")]
    of_all: Option<Option<u64>>,
}

impl Permit {
    /// The request counts here.
    pub(super) fn of_one(meter: &Arc<Meter>) -> Permit {
        Permit {
            meter: meter.clone(),
            #[cfg(feature = "replicas")]
            of_all: None,
        }
    }

    #[cfg(feature = "replicas")]
    pub(super) fn of_all(meter: &Arc<Meter>, place: Option<u64>) -> Permit {
        Permit { meter: meter.clone(), of_all: Some(place) }
    }

    /// Counts the tokens of the request, and what it cost in nanodollars.
    pub fn spend(&self, tokens: u64, cost: u64) {
        #[cfg(feature = "replicas")]
        if let Some(quota) = self.meter.quota() {
            self.meter.spend_own(quota, tokens, cost);
            return self.meter.changed();
        }
        self.spend_at(tokens, cost, SystemTime::now());
    }

    pub(super) fn spend_at(&self, tokens: u64, cost: u64, now: SystemTime) {
        let mut counts = self.meter.counts.lock();
        counts.roll(now);
        counts.of_day.add(tokens, cost);
        counts.of_month.add(tokens, cost);
        self.meter.changed();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.meter.counts.lock();
        counts.running = counts.running.saturating_sub(1);
        drop(counts);
        #[cfg(feature = "replicas")]
        if let Some((place, quota)) = self.of_all.zip(self.meter.quota()) {
            quota.ended(&self.meter, place);
        }
    }
}
