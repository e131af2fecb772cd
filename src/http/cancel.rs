//! The cancellation of an answer, seen by whoever works on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Says that nobody waits for the answer any more, or that there is no more time for it. Cheap to clone; every clone sees
/// the same state.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicU8>);

const WANTED: u8 = 0;
const CANCELLED: u8 = 1;
const STOPPED: u8 = 2;

impl CancelToken {
    /// Whether the answer must end: the client has left, or the server stops.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire) != WANTED
    }

    /// Whether the server stops while the client still waits and can be told.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Acquire) == STOPPED
    }

    /// Says that the client has left.
    pub fn cancel(&self) {
        self.0.store(CANCELLED, Ordering::Release);
    }

    /// Says that the server stops; a client that has left stays away.
    pub fn stop(&self) {
        let _ = self.0.compare_exchange(WANTED, STOPPED, Ordering::AcqRel, Ordering::Acquire);
    }
}
