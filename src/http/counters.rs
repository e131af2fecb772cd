//! Counts that cannot be lost: each is given back by a drop, so by a panic too.

use super::refusal::Refusal;
use super::server::Limits;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number shared between threads.
#[derive(Clone, Debug, Default)]
pub(super) struct Counter(Arc<AtomicUsize>);

impl Counter {
    pub(super) fn value(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// Whether both are the same number.
    pub(super) fn is(&self, other: &Counter) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Counts one more until the result is dropped.
    pub(super) fn hold(&self) -> Held {
        self.hold_empty().grown(1)
    }

    /// Counts nothing yet; see [`Held::grow`].
    pub(super) fn hold_empty(&self) -> Held {
        Held { counter: self.clone(), amount: 0 }
    }
}

/// A share of a counter.
#[derive(Debug)]
pub(super) struct Held {
    counter: Counter,
    amount: usize,
}

impl Held {
    /// All shares of the counter together.
    pub(super) fn total(&self) -> usize {
        self.counter.value()
    }

    /// Adds `more` to the share if the counter stays within `limit`; else changes nothing and returns false.
    pub(super) fn grow(&mut self, more: usize, limit: usize) -> bool {
        let add = |value: usize| value.checked_add(more).filter(|sum| *sum <= limit);
        #[allow(deprecated, reason = "its new name, try_update, is not in the oldest Rust that we build with")]
        let grown = self.counter.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok();
        if grown {
            self.amount += more;
        }
        grown
    }

    fn grown(mut self, more: usize) -> Held {
        self.counter.0.fetch_add(more, Ordering::AcqRel);
        self.amount += more;
        self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counter.0.fetch_sub(self.amount, Ordering::AcqRel);
    }
}

/// What is held of the budget for bodies, counted in all and for the caller.
#[derive(Debug)]
pub(super) struct BodyShare {
    pub(super) all: Held,
    pub(super) own: Held,
}

impl BodyShare {
    /// Adds `more` bytes if neither the whole budget nor the caller's part of it is used up.
    pub(super) fn grow(&mut self, more: usize, limits: &Limits) -> Result<(), Refusal> {
        self.room(more, limits)?;
        if !self.own.grow(more, part(limits)) {
            return Err(OWN_PART);
        }
        if self.all.grow(more, limits.body_budget) { Ok(()) } else { Err(ALL) }
    }

    /// Whether `more` bytes would find room at this moment.
    pub(super) fn room(&self, more: usize, limits: &Limits) -> Result<(), Refusal> {
        let fits = |held: &Held, limit: usize| more == 0 || held.total().saturating_add(more) <= limit;
        match (fits(&self.own, part(limits)), fits(&self.all, limits.body_budget)) {
            (true, true) => Ok(()),
            (false, _) => Err(OWN_PART),
            (true, false) => Err(ALL),
        }
    }
}

/// What one caller may hold of the budget, a body of the largest size at least: the rest stays for the others.
fn part(limits: &Limits) -> usize {
    (limits.body_budget / 4 * 3).max(limits.max_body)
}

const ALL: Refusal = Refusal::overloaded("The server holds too many large requests at the moment.");
const OWN_PART: Refusal = Refusal::overloaded("The server holds too many large requests of this key at the moment.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_grows_within_the_limit_and_is_given_back() {
        let counter = Counter::default();
        let mut first = counter.hold_empty();
        assert!(first.grow(6, 10));
        let mut second = counter.hold_empty();
        assert!(!second.grow(5, 10));
        assert!(second.grow(4, 10));
        assert!(!second.grow(usize::MAX, usize::MAX));
        assert_eq!(counter.value(), 10);
        drop(first);
        assert_eq!(counter.value(), 4);
        drop(second);
        assert_eq!(counter.value(), 0);
    }
}
