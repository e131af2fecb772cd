//! The breaker: what a call that failed means for those after it. And trouble: a server that answers, but takes no changes.

use super::{FAILURES, Fault, Link, OF_LATE, Standing};
use crate::store::redis::entry::{self, Entry, is_denied, is_full, reason, word};
use redis::{ErrorKind, RedisError, ServerErrorKind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Trouble that was not met for so long is over: on the edge it comes and goes with every call.
const OVER: Duration = Duration::from_secs(5);

/// Why the server takes no changes, though it answers.
#[derive(Clone, Debug)]
pub(in crate::store) struct Trouble {
    pub(in crate::store) since: Instant,
    pub(in crate::store) reason: String,
    /// When it was met last.
    met: Instant,
}

impl Link {
    pub(in crate::store) fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().clone()
    }

    /// Tries whether changes are taken. What else is asked may not show it: a script goes on that began with taking things out.
    pub(in crate::store) fn try_changes(&self) {
        if let Ok(trouble) = self.ask(|scripts, line, _| entry::trouble(line, scripts, &self.prefix, false)) {
            self.learn(trouble);
        }
    }

    /// What a trial or a call has shown; it is told once.
    pub(super) fn learn(&self, shown: Option<String>) {
        let (now, mut known) = (Instant::now(), self.trouble.lock());
        match (shown, &mut *known) {
            (Some(reason), Some(known)) => (known.reason, known.met) = (reason, now),
            (Some(reason), None) => {
                log::error!("store: {} takes no changes: {reason}; serving goes on with what is known", self.address);
                *known = Some(Trouble { since: now, reason, met: now });
            }
            (None, Some(Trouble { since, met, .. })) if now.duration_since(*met) > OVER => {
                log::info!("store: {} takes changes again, after {} s", self.address, since.elapsed().as_secs());
                *known = None;
            }
            (None, _) => {}
        }
    }

    pub(super) fn note(&self, error: &RedisError) {
        let kind = match error.kind() {
            _ if error.is_timeout() => 1,
            ErrorKind::Io => 0,
            _ => 2,
        };
        self.errors[kind].fetch_add(1, Ordering::Relaxed);
    }

    /// What the reader of the news was told instead of a connection.
    pub(in crate::store::redis) fn doubt(&self, entry: Entry) {
        if !matches!(entry, Entry::Down { is_refused: false, .. }) {
            self.trip(entry);
        }
    }

    /// What an error means for the call and for those after it.
    pub(super) fn judge(&self, error: &RedisError) -> Fault {
        self.note(error);
        if is_full(error) {
            self.learn(Some(reason(error)));
        }
        if error.kind() == ErrorKind::Io && !error.is_timeout() {
            // A server that began anew has closed the others, too.
            let mut lines = self.lines.lock();
            lines.open -= lines.idle.len();
            lines.idle.clear();
        }
        match error.kind() {
            // The server said that it did nothing.
            ErrorKind::Server(ServerErrorKind::ResponseError) | ErrorKind::Extension
                if !is_denied(error)
                    && !matches!(word(error), Some("NOAUTH" | "WRONGPASS" | "NOREPLICAS" | "READONLY" | "DAMAGED")) =>
            {
                Fault::Down
            }
            ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::AuthenticationFailed => {
                self.trip(error.clone().into());
                Fault::Down
            }
            _ => {
                let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
                let answered = Duration::from_millis(self.answered.load(Ordering::Relaxed));
                if failures >= FAILURES && self.began.elapsed().saturating_sub(answered) > OF_LATE {
                    self.trip(error.clone().into());
                }
                Fault::Unsure
            }
        }
    }

    /// Opens the breaker.
    pub(super) fn trip(&self, why: Entry) {
        if !self.is_up.swap(false, Ordering::AcqRel) {
            return;
        }
        let since = Instant::now();
        *self.standing.lock() = match why {
            Entry::Down { reason, .. } => {
                log::warn!("store: {} is away: {reason}; serving goes on with what is known", self.address);
                Standing::Down { since, reason }
            }
            Entry::Refused(why) => {
                log::error!("store: {} is not used: {}", self.address, why.sentence);
                Standing::Refused { since, why }
            }
        };
        let mut lines = self.lines.lock();
        lines.open -= lines.idle.len();
        lines.idle.clear();
        self.freed.notify_all();
    }
}
