//! One request's right to an answer, and the way back of its connection to the front. A worker holds it, then an event
//! writer; however it is dropped, the front hears of it.

use super::caller::Part;
use super::counters::BodyShare;
use super::server::{Lane, Shared};
use super::socket::Socket;
use super::stay::Kept;
use super::wire::{self, BodyEnd};
use super::{CancelToken, Response};
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What the front does with a connection after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Read the next request.
    KeepAlive,
    /// Close in such a way that the client can read all of the answer.
    Close,
    /// Close at once: the answer is not whole.
    Cut,
}

/// What workers tell the front, and [`super::Running::stop`] too.
#[derive(Debug)]
pub(super) enum Message {
    /// A worker is done with a connection.
    Answered {
        token: usize,
        /// What becomes of it.
        end: End,
        /// What of the answer the socket had no room for.
        unsent: Vec<u8>,
        /// What was read of a further request.
        early: Vec<u8>,
        /// The front watches for hang-ups only.
        is_muted: bool,
    },
    Stop {
        /// For running answers, and for what has begun to come.
        limit: Duration,
        /// For those who connected or were answered of late.
        patience: Duration,
    },
}

pub(super) struct Exchange {
    pub(super) socket: Arc<Socket>,
    /// The front's name for the connection.
    pub(super) token: usize,
    pub(super) lane: Lane,
    pub(super) id: String,
    /// HTTP/1.1: may be sent chunks.
    pub(super) is_11: bool,
    /// HEAD: may not be sent a body.
    pub(super) head_only: bool,
    /// The client's wish.
    pub(super) keep_alive: bool,
    /// Fields for whatever answer will be sent, as they stand in a head.
    pub(super) fields: &'static str,
    /// The same by name and value.
    pub(super) headers: Vec<(String, String)>,
    pub(super) cancel: CancelToken,
    pub(super) shared: Arc<Shared>,
    /// Of the requests that may be under way.
    pub(super) part: Option<Part>,
    /// Of the workers of the lane; `None`: it waits for one.
    pub(super) slot: Option<Part>,
    /// The share of the body budget; given back once the answer begins, because until then a retry needs the body.
    pub(super) body_share: Option<BodyShare>,
    pub(super) end: End,
    /// What the front is to send before the end.
    pub(super) unsent: Vec<u8>,
    pub(super) peer: IpAddr,
    /// Whom the connection counts for.
    pub(super) address: IpAddr,
    /// The client asks again at once, so that its worker may wait for that.
    pub(super) may_stay: bool,
    /// The front watches for hang-ups only.
    pub(super) is_muted: bool,
}

impl Exchange {
    /// Sends a whole answer.
    pub(super) fn respond(mut self, response: Response) {
        let keep_alive = self.may_keep_alive();
        if !response.fields.is_empty() {
            self.fields = response.fields;
        }
        let has_body = !matches!(response.status, 100..=199 | 204 | 304);
        let body_end = if has_body { BodyEnd::Length(response.body.len()) } else { BodyEnd::NoBody };
        let head = self.head(response.status, &response.headers, body_end, keep_alive);
        let body: &[u8] = if has_body && !self.head_only { &response.body } else { b"" };
        let pieces = &mut [IoSlice::new(&head), IoSlice::new(body)];
        let sent = match self.lane {
            Lane::Short => self.send_now(pieces),
            Lane::Long => self.send(pieces),
        };
        if sent.is_ok() {
            self.end = if keep_alive { End::KeepAlive } else { End::Close };
        }
    }

    pub(super) fn head(&self, status: u16, headers: &[(String, String)], end: BodyEnd, keep_alive: bool) -> Vec<u8> {
        let fields = headers.iter().chain(&self.headers).map(|(name, value)| (name.as_str(), value.as_str()));
        wire::head(status, self.fields, fields, &self.id, end, keep_alive, &self.shared.date)
    }

    /// Writes all of it or fails, within the write timeout. A failure means that nobody waits any more.
    pub(super) fn send(&mut self, pieces: &mut [IoSlice]) -> io::Result<()> {
        self.body_share = None;
        let sent = wire::send_all(&self.socket, pieces, self.shared.limits.write_timeout);
        if sent.is_err() {
            self.cancel.cancel();
        }
        sent
    }

    /// Writes what the socket takes at once and leaves the rest to the front: the short lane has few workers, and a client
    /// that asks without reading must not keep one waiting.
    fn send_now(&mut self, pieces: &mut [IoSlice]) -> io::Result<()> {
        self.body_share = None;
        let unsent = wire::send_now(&self.socket, pieces);
        if unsent.is_err() {
            self.cancel.cancel();
        }
        self.unsent = unsent?;
        Ok(())
    }

    /// Whether a further request may follow: both sides must want it.
    pub(super) fn may_keep_alive(&self) -> bool {
        self.keep_alive && !self.shared.is_stopping()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.end == End::Cut {
            self.socket.break_off(self.is_11);
        }
        // Before the message: whoever sends the next request at once must find its place free.
        (self.part, self.slot, self.body_share) = (None, None, None);
        let may_stay = self.may_stay && self.end == End::KeepAlive && self.unsent.is_empty();
        if may_stay && self.cancel.begin_stay() {
            return Kept::of(self).leave();
        }
        self.shared.tell_front(Message::Answered {
            token: self.token,
            end: self.end,
            unsent: std::mem::take(&mut self.unsent),
            early: Vec::new(),
            is_muted: self.is_muted,
        });
    }
}
