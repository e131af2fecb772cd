//! Fair parts: what one of several callers may have of what all of them share.

use super::counters::{Counter, Held};
use super::refusal::Refusal;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

pub(super) const OWN_PART: Refusal = Refusal::overloaded("Too many requests of this key are under way.");

/// What the listener holds for one caller. A clone is the same caller.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// Bytes of request bodies.
    pub(super) body_bytes: Counter,
    /// Requests that are under way: a connection each.
    pub(super) requests: Counter,
    /// Those of them that workers have.
    pub(super) answered: Counter,
    /// Bytes that its requests have taken of the memory for all; who answers them counts these.
    pub memory: Arc<AtomicUsize>,
}

impl Caller {
    /// Whether both are the same caller.
    pub(super) fn is(&self, other: &Caller) -> bool {
        self.requests.is(&other.requests)
    }
}

/// Whether one of several callers who has `own` of something may have one more, where `free` are left: the first always,
/// then as long as it has fewer than three times what stays for the others. So one alone gets three quarters, and each that
/// comes then still finds something.
pub(super) fn may_take(own: usize, free: usize) -> bool {
    free > 0 && (own == 0 || own < 3 * (free - 1))
}

/// One of something that all callers share.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) all: Held,
    pub(super) own: Held,
}

impl Part {
    /// Nothing yet.
    pub(super) fn of(all: &Counter, own: &Counter) -> Part {
        Part { all: all.hold_empty(), own: own.hold_empty() }
    }

    /// Takes one of `most`, if the caller may have it. Nobody else wants any where it `is_alone`.
    pub(super) fn take(&mut self, most: usize, is_alone: bool) -> bool {
        let is_due = is_alone || may_take(self.own.total(), most.saturating_sub(self.all.total()));
        is_due && self.all.grow(1, most) && self.own.grow(1, usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each of several callers gets, who take all that they may, one after the other.
    fn parts(most: usize, callers: usize) -> Vec<usize> {
        let all = Counter::default();
        let (mut held, mut parts) = (Vec::new(), Vec::new());
        for _ in 0..callers {
            let caller = Caller::default();
            loop {
                let mut part = Part::of(&all, &caller.answered);
                if !part.take(most, false) {
                    break;
                }
                held.push(part);
            }
            parts.push(caller.answered.value());
        }
        parts
    }

    #[test]
    fn each_caller_finds_something() {
        assert_eq!(parts(256, 6), [192, 48, 12, 3, 1, 0]);
        assert_eq!(parts(32, 4), [24, 6, 1, 1]);
        assert_eq!(parts(8, 3), [6, 1, 1]);
        assert_eq!(parts(2, 2), [1, 1]);
        assert_eq!(parts(1, 2), [1, 0]);
    }

    #[test]
    fn who_is_alone_gets_all() {
        let (all, caller) = (Counter::default(), Caller::default());
        let held: Vec<Part> = (0..5).map(|_| Part::of(&all, &caller.requests)).collect();
        let got = held.into_iter().filter_map(|mut part| part.take(4, true).then_some(part));
        assert_eq!(got.collect::<Vec<_>>().len(), 4);
        assert_eq!(caller.requests.value(), 0);
    }
}
