//! What one turn of the front allows, so that nobody keeps the others waiting, and who goes on in the next.

use crate::http::connection::Connection;
use std::time::{Duration, Instant};

/// The step of a handshake in which the certificate is signed takes up to some milliseconds of the front, so that a flood of them must
/// not keep the others waiting. Its last step is cheap and does not wait: with 2,000 strangers the p99 of others was 2.9 times the quiet
/// one before, and 2.5 with it (medians of 17 runs by turns).
const OPENINGS: usize = 4;
/// Requests that were read together with the one before them, of all connections in each [`TICK`]: programs in use do not pipeline, and
/// a flood must not take the processor from the others. Among 2,000 strangers, 250 of which pipeline, the server used a third of the
/// processor (2.0 for 6.2 s), and the p99 of others was 2.2 times the quiet one (4.2 times without; medians of 9 runs by turns).
const PIPELINED: usize = 4;
const TICK: Duration = Duration::from_millis(1);

#[derive(Default)]
pub(super) struct Turn {
    /// How many may still take the step of their opening that costs.
    openings: usize,
    /// How many may still go on with a request that was read with the one before, until the next tick.
    pipelined: usize,
    tick: Option<Instant>,
    /// How many openings wait for the next turn.
    waiting: usize,
    /// Connections that go on in the next turn, and in the first after the next tick.
    next: Vec<usize>,
    after: Vec<usize>,
}

impl Turn {
    /// Begins one: says whose it is.
    pub(super) fn begin(&mut self, now: Instant) -> Vec<usize> {
        (self.openings, self.waiting) = (OPENINGS, 0);
        let mut next = std::mem::take(&mut self.next);
        if self.tick.is_none_or(|tick| tick <= now) {
            (self.pipelined, self.tick) = (PIPELINED, Some(now + TICK));
            next.append(&mut self.after);
        }
        next
    }

    /// When the next one is to begin, if nothing happens before.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        if self.next.is_empty() { self.tick.filter(|_| !self.after.is_empty()) } else { Some(now) }
    }

    /// Whether so many openings wait that further connections are better left to the kernel.
    pub(super) fn is_full(&self) -> bool {
        self.waiting > OPENINGS * 4
    }

    /// Whether a connection may take its next step in this turn.
    pub(super) fn allows(&mut self, connection: &Connection) -> bool {
        let left = match (connection.is_costly(), connection.is_pipelined()) {
            (true, _) => &mut self.openings,
            (_, true) => &mut self.pipelined,
            _ => return true,
        };
        let is_allowed = *left > 0;
        *left = left.saturating_sub(1);
        self.waiting += usize::from(!is_allowed && connection.is_costly());
        is_allowed
    }

    /// Lets a connection go on in the next turn, once however often it is said.
    pub(super) fn put_off(&mut self, token: usize, connection: &mut Connection) {
        if !std::mem::replace(&mut connection.is_put_off, true) {
            let list = if self.pipelined == 0 && connection.is_pipelined() { &mut self.after } else { &mut self.next };
            list.push(token);
        }
    }
}
