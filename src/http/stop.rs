//! How a stop goes on: answers may finish, then their requests are cancelled, then their sockets are cut.

use super::CancelToken;
use super::connection::Connection;
use std::time::{Duration, Instant};

/// From cancelling the answers to cutting the sockets.
const LAST_WORDS: Duration = Duration::from_secs(1);

pub(super) struct Stop {
    stage: Stage,
    /// Who connected or was answered within it may still ask.
    pub(super) patience: Duration,
    /// A proxy's idle connection stays until then: the request that is on its way would be lost with it.
    pub(super) kept_until: Instant,
    /// When the next stage begins.
    pub(super) until: Instant,
    /// Answers that were not finished within the limit of the stop.
    pub(super) cut: usize,
}

enum Stage {
    /// Answers may finish.
    Draining,
    /// The answers are cancelled.
    Cancelled,
    /// Sockets are cut.
    Cut,
}

impl Stop {
    pub(super) fn new(limit: Duration, patience: Duration) -> Stop {
        let now = Instant::now();
        let kept_until = if patience.is_zero() { now } else { now + limit.saturating_sub(patience) };
        Stop { stage: Stage::Draining, patience, kept_until, until: now + limit, cut: 0 }
    }

    /// Goes on to the next stage when it is time; says whether the front may end.
    pub(super) fn is_over<'a>(&mut self, now: Instant, all: impl Iterator<Item = &'a Connection>) -> bool {
        let owed: Vec<&Connection> = all.filter(|connection| connection.is_owed()).collect();
        if owed.is_empty() {
            return true;
        }
        if now < self.until {
            return false;
        }
        self.stage = match self.stage {
            Stage::Draining => {
                self.cut = owed.len();
                owed.into_iter().filter_map(Connection::cancel).for_each(CancelToken::stop);
                Stage::Cancelled
            }
            Stage::Cancelled => {
                for connection in owed {
                    connection.socket.cut();
                }
                Stage::Cut
            }
            Stage::Cut => return true,
        };
        self.until = now + LAST_WORDS;
        false
    }
}
