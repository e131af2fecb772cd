//! An answer in pieces: Server-Sent Events, a JSON array that grows, a download passed through.

use super::Response;
use super::exchange::{End, Exchange};
use super::refusal::internal_error;
use super::wire::{self, BodyEnd};
use parking_lot::Mutex;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the keep-alive thread writes into a silent answer, and when.
#[derive(Clone, Copy, Debug)]
pub struct Pings {
    /// A piece that the answer's format ignores, such as `: keepalive\n\n`; empty: never write one.
    pub piece: &'static [u8],
    /// Send head and piece when nothing was sent for this long; `None`: the head waits for the first piece.
    pub first_after: Option<Duration>,
    /// Send the piece after this much silence once the head is out; `None`: never.
    pub every: Option<Duration>,
}

/// Writes one answer piece by piece, each piece in one write to the socket. Dropped without [`EventWriter::finish`] it
/// cuts the connection, so that the client can tell a broken answer from a whole one; if nothing was sent yet, the
/// client gets a 500 instead.
pub struct EventWriter {
    /// Locked for the length of one write, so that a ping never stands inside a piece. The keep-alive thread only tries
    /// the lock and never waits while it holds it.
    stream: Arc<Mutex<Stream>>,
}

impl EventWriter {
    pub(super) fn new(
        exchange: Option<Exchange>,
        status: u16,
        headers: Vec<(String, String)>,
        pings: Pings,
    ) -> EventWriter {
        let has_body = !matches!(status, 100..=199 | 204 | 304);
        let silent = exchange.as_ref().is_none_or(|exchange| exchange.head_only) || !has_body;
        let shared = exchange.as_ref().map(|exchange| exchange.shared.clone());
        let stream = Arc::new(Mutex::new(Stream {
            exchange,
            unsent_head: Some((status, headers)),
            body_end: BodyEnd::NoBody,
            keep_alive: false,
            silent,
            has_body,
            pings,
            written_at: Instant::now(),
            unsent: Vec::new(),
            broken: false,
        }));
        if let Some(shared) = shared.filter(|_| pings.first_after.or(pings.every).is_some()) {
            shared.watch_silence(Arc::downgrade(&stream));
        }
        EventWriter { stream }
    }

    /// Sends `piece` (with the head before it, in the same write, if the head is not out yet). An error means the client
    /// is gone or does not read; the answer is over.
    pub fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.stream.lock().write(piece)
    }

    /// Adds a header field, unless the head has been sent.
    pub fn add_header(&mut self, name: &str, value: &str) {
        if let Some((_, headers)) = &mut self.stream.lock().unsent_head {
            headers.push((name.into(), value.into()));
        }
    }

    /// Whether the head has been sent, by a piece or by a ping.
    pub fn head_sent(&self) -> bool {
        self.stream.lock().unsent_head.is_none()
    }

    /// Gives a whole answer instead, if nothing has been sent yet; else hands the writer back.
    pub fn replace_with(self, response: Response) -> Result<(), EventWriter> {
        let mut stream = self.stream.lock();
        if stream.unsent_head.is_none() {
            drop(stream);
            return Err(self);
        }
        let exchange = stream.exchange.take();
        drop(stream);
        if let Some(exchange) = exchange {
            exchange.respond(response);
        }
        Ok(())
    }

    /// Ends the answer properly; a kept-alive connection goes back to the front.
    pub fn finish(self) -> io::Result<()> {
        // Taken out under the lock and dropped after it: the drop tells the front.
        let (_exchange, finished) = {
            let mut stream = self.stream.lock();
            let finished = stream.finish();
            (stream.exchange.take(), finished)
        };
        finished
    }
}

impl Drop for EventWriter {
    fn drop(&mut self) {
        let (exchange, untouched) = {
            let mut stream = self.stream.lock();
            (stream.exchange.take(), stream.unsent_head.is_some() && !stream.broken)
        };
        if let Some(exchange) = exchange.filter(|_| untouched) {
            exchange.respond(internal_error());
        }
    }
}

/// The state that writer and keep-alive thread share.
pub(super) struct Stream {
    /// Gone once the answer is over.
    exchange: Option<Exchange>,
    /// Status and fields, until they are sent.
    unsent_head: Option<(u16, Vec<(String, String)>)>,
    body_end: BodyEnd,
    keep_alive: bool,
    /// Only the head is sent: HEAD, 204, 304.
    silent: bool,
    has_body: bool,
    pings: Pings,
    written_at: Instant,
    /// The rest of a ping that the socket took only in part.
    unsent: Vec<u8>,
    broken: bool,
}

impl Stream {
    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        let head = self.take_head();
        self.send(head, piece, b"")
    }

    fn finish(&mut self) -> io::Result<()> {
        let head = self.take_head();
        let last: &[u8] = if self.body_end == BodyEnd::Chunks && !self.silent { b"0\r\n\r\n" } else { b"" };
        self.send(head, b"", last)?;
        if let Some(exchange) = &mut self.exchange {
            exchange.end = if self.keep_alive { End::KeepAlive } else { End::Close };
        }
        Ok(())
    }

    /// One write: the rest of a ping, the head, the framed piece, the last chunk; each may be empty.
    fn send(&mut self, head: Vec<u8>, piece: &[u8], last: &[u8]) -> io::Result<()> {
        let Some(exchange) = self.exchange.as_mut().filter(|_| !self.broken) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let piece = if self.silent { b"" } else { piece };
        let (before, after) = frame(self.body_end, piece.len());
        let unsent = std::mem::take(&mut self.unsent);
        let mut pieces = [&unsent, &head, before.as_bytes(), piece, after, last].map(IoSlice::new);
        let sent = exchange.send(&mut pieces);
        self.broken = sent.is_err();
        self.written_at = Instant::now();
        sent
    }

    /// The bytes of the head if they are still to be sent; what was promised in them holds for the whole answer.
    fn take_head(&mut self) -> Vec<u8> {
        let Some(exchange) = &self.exchange else { return Vec::new() };
        let Some((status, headers)) = self.unsent_head.take() else { return Vec::new() };
        self.body_end = match (self.has_body, exchange.is_11) {
            (false, _) => BodyEnd::NoBody,
            (true, true) => BodyEnd::Chunks,
            (true, false) => BodyEnd::Close,
        };
        self.keep_alive = exchange.may_keep_alive();
        exchange.head(status, &headers, self.body_end, self.keep_alive)
    }

    /// When the next ping is due; `None` when no ping will come.
    pub(super) fn next_ping(&self) -> Option<Instant> {
        let over = self.exchange.is_none() || self.broken;
        let wait = if self.unsent_head.is_some() { self.pings.first_after } else { self.pings.every };
        // A first piece may still come where only later silence is watched, so that stream stays under watch.
        let wait = wait.or(self.pings.every.filter(|_| self.unsent_head.is_some()));
        wait.filter(|_| !over).map(|wait| self.written_at + wait)
    }

    /// How long a stream that has begun may be silent.
    pub(super) fn longest_silence(&self) -> Option<Duration> {
        self.pings.every
    }

    /// Breaks the silence with what the socket takes at once. A full socket needs no ping: there is something to read.
    pub(super) fn ping(&mut self) {
        self.written_at = Instant::now();
        if self.unsent_head.is_some() && self.pings.first_after.is_none() {
            return;
        }
        let head = self.take_head();
        let Some(exchange) = &mut self.exchange else { return };
        // Nothing of a ping without a head need be sent later.
        let may_skip = self.unsent.is_empty() && head.is_empty();
        if self.unsent.is_empty() {
            let piece = if self.silent { b"" } else { self.pings.piece };
            let (before, after) = frame(self.body_end, piece.len());
            self.unsent = [&head, before.as_bytes(), piece, after].concat();
        }
        match wire::send_some(&exchange.socket, &self.unsent) {
            Ok(0) if may_skip => self.unsent.clear(),
            Ok(sent) => drop(self.unsent.drain(..sent)),
            Err(_) => {
                self.broken = true;
                exchange.cancel.cancel();
            }
        }
    }
}

/// What stands before and after a piece of `length` bytes. An empty piece has no frame: as a chunk it would be the end.
fn frame(end: BodyEnd, length: usize) -> (String, &'static [u8]) {
    if end == BodyEnd::Chunks && length > 0 { (format!("{length:x}\r\n"), b"\r\n") } else { (String::new(), b"") }
}
