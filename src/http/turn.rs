//! Whose turn it is on a connection. A worker that is done with one on which nothing has happened meanwhile just says so
//! here; the front reads it when the client's next request wakes it anyway. So an answer costs the front no wake-up of its
//! own.

use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

const FRONT: u8 = 0;
const WORKER: u8 = 1;
/// A worker has it, and the front is to be told when it is done.
const CALLED: u8 = 2;
/// A worker is done and the front does not know.
const DONE: u8 = 3;

#[derive(Debug, Default)]
pub(super) struct Turn(AtomicU8);

impl Turn {
    /// The front hands over. `call`: it has to go on right after the answer.
    pub(super) fn give(&self, call: bool) {
        self.0.store(if call { CALLED } else { WORKER }, SeqCst);
    }

    /// The worker is done, and the connection may go on. Says whether the front must be told.
    pub(super) fn done(&self) -> bool {
        self.0.compare_exchange(WORKER, DONE, SeqCst, SeqCst).is_err()
    }

    /// The front takes the connection back if the worker is done.
    pub(super) fn take(&self) -> bool {
        self.0.compare_exchange(DONE, FRONT, SeqCst, SeqCst).is_ok()
    }

    /// Something happened on the connection: the front takes it back, or is told as soon as it can.
    pub(super) fn call(&self) -> bool {
        self.0.compare_exchange(WORKER, CALLED, SeqCst, SeqCst).is_err() && self.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_told_when_it_called_and_only_then() {
        let turn = Turn::default();
        turn.give(false);
        assert!(!turn.take(), "the worker has it");
        assert!(!turn.done(), "nobody asked");
        assert!(turn.take() && !turn.take());

        turn.give(false);
        assert!(!turn.call() && !turn.call());
        assert!(turn.done());
        assert!(!turn.take(), "a message follows");

        turn.give(true);
        assert!(turn.done());

        turn.give(false);
        assert!(!turn.done());
        assert!(turn.call(), "taken back by the call");
    }
}
