//! The cancellation of an answer, seen by whoever works on it.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Says that nobody waits for the answer any more, that there is no more time for it, or that its caller may not have it any
/// more. Cheap to clone; every clone sees the same state.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    state: Arc<AtomicU8>,
    leave: Option<Arc<dyn Leave>>,
}

/// The leave to have an answer, which may end while it is under way.
pub trait Leave: Debug + Send + Sync {
    /// Whether it has ended. Asked often.
    fn has_ended(&self) -> bool;
}

const WANTED: u8 = 0;
const CANCELLED: u8 = 1;
const STOPPED: u8 = 2;
/// The answer is out, and its worker may wait for the next request.
const STAYING: u8 = 3;
/// The front has taken the connection back from such a worker.
const TAKEN: u8 = 4;

impl CancelToken {
    /// The same, which also says so when the leave of the caller has ended.
    pub fn with_leave(&self, leave: Arc<dyn Leave>) -> CancelToken {
        CancelToken { state: self.state.clone(), leave: Some(leave) }
    }

    /// Whether the answer must end: the client has left, the server stops, or the leave has ended.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.state.load(Ordering::Acquire), CANCELLED | STOPPED) || self.has_no_leave()
    }

    /// Whether the caller may not have the answer any more.
    pub fn has_no_leave(&self) -> bool {
        self.leave.as_ref().is_some_and(|leave| leave.has_ended())
    }

    /// Whether the server stops while the client still waits and can be told.
    pub fn is_stopped(&self) -> bool {
        self.state.load(Ordering::Acquire) == STOPPED
    }

    /// Says that the client has left.
    pub fn cancel(&self) {
        self.state.store(CANCELLED, Ordering::Release);
    }

    /// Says that the server stops; a client that has left stays away.
    pub fn stop(&self) {
        self.turn(WANTED, STOPPED);
    }

    /// Says that the answer is out, and its worker may wait for the next request; false when the client has left, or the server stops.
    pub(super) fn begin_stay(&self) -> bool {
        self.turn(WANTED, STAYING)
    }

    /// Says that the next request is under way; false when the front has taken the connection back.
    pub(super) fn end_stay(&self) -> bool {
        self.turn(STAYING, WANTED)
    }

    /// Takes the connection back from a worker that waits for the next request; false when none waits.
    pub(super) fn take_back(&self) -> bool {
        self.turn(STAYING, TAKEN)
    }

    /// Whether a worker has the connection and owes its client nothing.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.state.load(Ordering::Acquire), STAYING | TAKEN)
    }

    fn turn(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
