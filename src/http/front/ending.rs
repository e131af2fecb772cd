//! What a server that ends still waits for: answers, requests that come, and those that may be on their way.

use super::Front;
use crate::http::accept::Acceptor;
use crate::http::connection::Connection;
use crate::http::stop::Stop;
use std::time::{Duration, Instant};

/// Who has begun to connect has connected then, also between machines.
const HANDSHAKES: Duration = Duration::from_millis(10);

impl Front {
    /// Whoever has connected is heard; then nobody can any more.
    pub(super) fn accept_last(&mut self) {
        while let Some((socket, address)) = self.acceptor.as_mut().and_then(Acceptor::next) {
            self.welcome(socket, address);
        }
        self.acceptor = None;
    }

    /// How long it is still waited for what a client may send.
    pub(super) fn last_chance(&self, connection: &Connection) -> Option<Instant> {
        self.stop.as_ref().and_then(|stop| connection.last_chance(stop, self.is_proxy(connection.peer)))
    }

    pub(super) fn begin_stop(&mut self, limit: Duration, patience: Duration) {
        let now = Instant::now();
        self.stop = Some(Stop::new(limit, patience));
        if let Some(acceptor) = &mut self.acceptor {
            acceptor.end(patience.min(HANDSHAKES));
        }
        for (token, connection) in std::mem::take(&mut self.connections) {
            if connection.is_coming() || self.last_chance(&connection).is_some_and(|ends| ends > now) {
                self.keep(token, connection);
            } else if !connection.give_way() {
                self.connections.insert(token, connection);
            }
        }
    }
}
