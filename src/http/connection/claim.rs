//! What a client is owed, and how readily its connection gives way to a new one.

use super::{Connection, Phase};
use crate::http::stay::MOMENT;
use crate::http::stop::Stop;
use std::time::{Duration, Instant};

/// Enough to send a head, and to read a refusal. Who takes longer gives way when there is no more room.
const UNHURRIED: Duration = Duration::from_secs(1);

/// Bytes in a second of a body that is not sent in drops.
const PACE: usize = 16 << 10;

/// How readily a connection is closed to make room for a new one; the first first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::http) enum Claim {
    /// It has not begun as it must.
    Opening,
    /// Nothing of a request has come.
    Idle,
    /// It has its last answer and does not close.
    Answered,
    /// Its head does not come to an end, or its body comes in drops.
    Slow,
    /// It has just had its last answer.
    Leaving,
    /// A stranger's request has just begun.
    Begun,
}

impl Connection {
    /// Whether there is something that a server which ends must wait for: an answer, a request that comes, or one that may
    /// come until the connection's deadline. Who only has to close has all its bytes with the kernel already.
    pub(in crate::http) fn is_owed(&self) -> bool {
        match &self.phase {
            Phase::Answering(watched) => !watched.cancel.is_at_rest(),
            phase => !matches!(phase, Phase::Discarding(_)),
        }
    }

    /// How long a server that ends waits for what this client may yet send; `None`: it is under way already.
    pub(in crate::http) fn last_chance(&self, stop: &Stop, is_proxy: bool) -> Option<Instant> {
        match &self.phase {
            Phase::Answering(_) | Phase::Sending(_) | Phase::Body(_) => None,
            // A proxy that was not told otherwise may send a request at any moment, and closes what it does not use.
            Phase::Head if is_proxy && self.answered.is_some() && self.input.is_empty() => Some(stop.kept_until),
            Phase::Head | Phase::Opening(_) | Phase::Discarding(_) => Some(self.since + stop.patience),
        }
    }

    /// Whether a request has been admitted whose body is coming.
    pub(in crate::http) fn is_coming(&self) -> bool {
        matches!(self.phase, Phase::Body(_))
    }

    /// Whether it can be closed now; a worker that waits for its next request loses it.
    pub(in crate::http) fn give_way(&self) -> bool {
        match &self.phase {
            Phase::Answering(watched) => watched.cancel.take_back(),
            phase => !matches!(phase, Phase::Sending(_)),
        }
    }

    /// How readily it gives way to a new connection, and since when it is what it is. `None`: it is owed something.
    pub(in crate::http) fn claim(&self, now: Instant) -> Option<(Claim, Instant)> {
        let claim = match &self.phase {
            // A worker waits for its next request; so it is the least idle.
            Phase::Answering(watched) if watched.cancel.is_at_rest() && !self.has_unread() => {
                return Some((Claim::Idle, now));
            }
            Phase::Head if self.input.is_empty() => Claim::Idle,
            Phase::Opening(_) => Claim::Opening,
            Phase::Discarding(_) if self.has_taken(UNHURRIED, now) => Claim::Answered,
            Phase::Discarding(_) => Claim::Leaving,
            Phase::Head if self.has_taken(UNHURRIED, now) => Claim::Slow,
            Phase::Head => Claim::Begun,
            Phase::Body(incoming) if self.has_taken(UNHURRIED, now) && incoming.came() < self.expected(now) => {
                Claim::Slow
            }
            Phase::Body(incoming) if incoming.admitted.is_of_stranger => Claim::Begun,
            _ => return None,
        };
        Some((claim, self.since))
    }

    fn has_taken(&self, time: Duration, now: Instant) -> bool {
        now >= self.since + time
    }

    /// What should have come by now of a body that is sent in earnest.
    fn expected(&self, now: Instant) -> usize {
        PACE * usize::try_from(now.saturating_duration_since(self.since).as_secs()).unwrap_or(usize::MAX / PACE)
    }

    /// Whether this request came right behind the last answer, and nothing else with it: then a worker may wait for the next
    /// one. TLS is read by the front alone.
    pub(in crate::http) fn asks_at_once(&self) -> bool {
        let is_quick = self.answered.is_some_and(|at| self.since.saturating_duration_since(at) < MOMENT);
        is_quick && !self.input.has_begun() && !self.fin_seen && self.socket.tls.is_none()
    }
}
