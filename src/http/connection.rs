//! One client connection while the front owns it: bytes in, complete requests or refusals out.

use super::chunked::{ChunkError, Decoder};
use super::counters::Held;
use super::exchange::End;
use super::head::{self, Framing, Head};
use super::refusal::Refusal;
use super::request::{Request, request_id, uuid};
use super::server::{Admitted, Lane, Limits, Shared};
use super::wire::{self, BodyEnd};
use super::{CancelToken, Response};
use mio::net::TcpStream;
use std::io::{self, Read as _};
use std::net::{IpAddr, Shutdown};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Reads of one turn, so that a fast upload does not keep the others waiting.
const READS_PER_TURN: usize = 4;
/// Bytes of empty lines that may stand before a request line (RFC 9112 section 2.2 asks for tolerance).
const MAX_LEADING: usize = 8;
/// Reserved for a body when its head has come; more is reserved only for bytes that arrived (crate_notes.md 1, row 2).
const FIRST_RESERVE: usize = 64 * 1024;
/// After a refusal a client may still be sending. Closing then would reset the connection and could destroy the refusal
/// before it is read, so this much is discarded first.
const DISCARD_BYTES: usize = 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(2);
/// A client that announced its last request may close its sending side with it. That end of input arrives right behind
/// the request; what comes later is taken for a client that left.
const HALF_CLOSE: Duration = Duration::from_millis(50);

/// A request that has arrived whole.
pub(super) struct Complete {
    pub(super) request: Request,
    pub(super) admitted: Admitted,
    /// HTTP/1.1.
    pub(super) is_11: bool,
    /// The client's wish.
    pub(super) keep_alive: bool,
    pub(super) body_share: Held,
}

/// What the front does next with a connection.
pub(super) enum Step {
    /// Wait until the socket has something to say.
    Wait,
    /// Come back soon: more may be readable.
    Again,
    Close,
    Dispatch(Box<Complete>),
    /// The rest of an answer has been sent.
    Sent(End),
}

enum Phase {
    /// Between requests, or in a head.
    Head,
    Body(Box<Incoming>),
    Answering(Watched),
    /// The worker is done, and the client has yet to take the rest of the answer.
    Sending(Unsent),
    /// Refused or answered for the last time; the bytes that may still be discarded.
    Discarding(usize),
}

struct Incoming {
    complete: Complete,
    rest: Rest,
    ends: Instant,
}

enum Rest {
    Bytes(u64),
    Chunks(Decoder),
}

/// The rest of an answer, and what becomes of the connection after it.
struct Unsent {
    bytes: Vec<u8>,
    sent: usize,
    /// How much had been sent when the deadline was set.
    block: usize,
    end: End,
}

/// What the front knows of a request that a worker answers.
pub(super) struct Watched {
    pub(super) cancel: CancelToken,
    pub(super) lane: Lane,
    pub(super) since: Instant,
    pub(super) is_last: bool,
}

enum Consumed {
    NeedsMore,
    Complete(Box<Complete>),
    Refused(Refused),
}

/// A request that no worker answers.
struct Refused {
    response: Response,
    id: Option<String>,
    keep_alive: bool,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        Refused { response: refusal.response(), id: None, keep_alive: false }
    }
}

pub(super) struct Connection {
    pub(super) socket: Arc<TcpStream>,
    pub(super) peer: IpAddr,
    /// Bytes read and not yet understood.
    buffer: Vec<u8>,
    /// How much of `buffer` is known to hold no end of a head.
    scanned: usize,
    phase: Phase,
    /// When the front loses its patience.
    pub(super) deadline: Option<Instant>,
    /// The socket reported that the client closed its sending side; bytes sent before may still be unread.
    fin_seen: bool,
    /// All that the client sent has been read.
    ended: bool,
    leading: usize,
    /// The method of the request in hand is HEAD: a refusal has no body.
    is_head: bool,
}

impl Connection {
    pub(super) fn new(socket: TcpStream, peer: IpAddr, limits: &Limits) -> Connection {
        Connection {
            socket: Arc::new(socket),
            peer,
            buffer: Vec::new(),
            scanned: 0,
            phase: Phase::Head,
            deadline: Some(Instant::now() + limits.head_timeout),
            fin_seen: false,
            ended: false,
            leading: 0,
            is_head: false,
        }
    }

    /// Whether a worker answers it.
    pub(super) fn is_answering(&self) -> bool {
        matches!(self.phase, Phase::Answering(_))
    }

    /// Whether an answer is on its way that the client is owed whole.
    pub(super) fn is_owed(&self) -> bool {
        matches!(self.phase, Phase::Answering(_) | Phase::Sending(_))
    }

    /// The cancel token of the request that a worker answers.
    pub(super) fn cancel(&self) -> Option<&CancelToken> {
        match &self.phase {
            Phase::Answering(watched) => Some(&watched.cancel),
            _ => None,
        }
    }

    /// A worker has it from now on; the front only watches for a hang-up.
    pub(super) fn begin_answer(&mut self, watched: Watched) {
        self.phase = Phase::Answering(watched);
        self.deadline = None;
    }

    /// The worker gave it back with bytes that the socket did not take; `end` follows them.
    pub(super) fn begin_sending(&mut self, bytes: Vec<u8>, end: End, limits: &Limits) {
        self.phase = Phase::Sending(Unsent { bytes, sent: 0, block: 0, end });
        self.deadline = Some(Instant::now() + limits.write_timeout);
    }

    /// Sends what the socket takes. Each block that the client takes renews its time, as with [`wire::send_all`].
    fn send_rest(&mut self, limits: &Limits) -> Option<Step> {
        let Phase::Sending(unsent) = &mut self.phase else { return None };
        let Ok(sent) = wire::send_some(&self.socket, &unsent.bytes[unsent.sent..]) else { return Some(Step::Close) };
        unsent.sent += sent;
        if unsent.sent == unsent.bytes.len() {
            return Some(Step::Sent(unsent.end));
        }
        if unsent.sent - unsent.block >= wire::BLOCK {
            unsent.block = unsent.sent;
            self.deadline = Some(Instant::now() + limits.write_timeout);
        }
        Some(Step::Wait)
    }

    /// The worker gave it back and the client may ask again.
    pub(super) fn await_next(&mut self, limits: &Limits) {
        self.phase = Phase::Head;
        self.is_head = false;
        let patience = if self.buffer.is_empty() { limits.idle_timeout } else { limits.head_timeout };
        self.deadline = Some(Instant::now() + patience);
    }

    /// The socket reports a hang-up: `reset` for a connection that is dead in both directions, else the client closed its
    /// sending side. The latter is what a leaving client looks like, and also one that only has no more to send (`nc`,
    /// HTTP/1.0 tools). It counts as leaving on the long lane, where an answer nobody reads is expensive, unless it came
    /// with the request or right behind one that was announced as the last.
    pub(super) fn hang_up(&mut self, reset: bool) {
        let came_before = std::mem::replace(&mut self.fin_seen, true);
        let Phase::Answering(watched) = &self.phase else { return };
        let is_half_close = came_before || (watched.is_last && watched.since.elapsed() < HALF_CLOSE);
        if reset || (watched.lane == Lane::Long && !is_half_close) {
            watched.cancel.cancel();
        }
    }

    /// Reads what is there and makes the most of it.
    pub(super) fn advance(&mut self, scratch: &mut [u8], shared: &Shared) -> Step {
        if let Some(step) = self.send_rest(&shared.limits) {
            return step;
        }
        let mut reads = 0;
        loop {
            match self.consume(shared) {
                Consumed::NeedsMore => {}
                Consumed::Complete(complete) => return Step::Dispatch(complete),
                Consumed::Refused(Refused { response, id, keep_alive }) => {
                    let keep_alive = keep_alive && !shared.is_stopping();
                    if !self.answer(&response, id.as_deref(), keep_alive) {
                        return Step::Close;
                    }
                    if keep_alive {
                        self.await_next(&shared.limits);
                        continue;
                    }
                }
            }
            if self.is_answering() {
                return Step::Wait;
            }
            if self.ended {
                return self.end_of_input();
            }
            if reads == READS_PER_TURN {
                return Step::Again;
            }
            reads += 1;
            match (&*self.socket).read(scratch) {
                Ok(0) => self.ended = true,
                Ok(count) => {
                    if !self.take(&scratch[..count], &shared.limits) {
                        return Step::Close;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Step::Wait;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Step::Close,
            }
        }
    }

    /// The client will send no more, and what it sent is not a whole request.
    fn end_of_input(&mut self) -> Step {
        let began = !self.buffer.is_empty() || matches!(self.phase, Phase::Body(_));
        if began && !matches!(self.phase, Phase::Discarding(_)) {
            self.refuse(&Refusal::bad_request("The request ended early."), None);
        }
        Step::Close
    }

    /// Takes bytes from the socket; false when there were too many to discard.
    fn take(&mut self, bytes: &[u8], limits: &Limits) -> bool {
        match &mut self.phase {
            Phase::Discarding(left) => {
                let within = bytes.len() <= *left;
                *left = left.saturating_sub(bytes.len());
                return within;
            }
            Phase::Head if self.buffer.is_empty() && self.leading == 0 => {
                self.deadline = Some(Instant::now() + limits.head_timeout);
            }
            Phase::Body(incoming) => {
                self.deadline = Some(incoming.ends.min(Instant::now() + limits.body_idle_timeout));
            }
            _ => {}
        }
        self.buffer.extend_from_slice(bytes);
        true
    }

    fn consume(&mut self, shared: &Shared) -> Consumed {
        loop {
            let consumed = match self.phase {
                Phase::Head => match self.consume_head(shared) {
                    Ok(true) => continue,
                    Ok(false) => Consumed::NeedsMore,
                    Err(refused) => Consumed::Refused(refused),
                },
                Phase::Body(_) => match self.consume_body(shared) {
                    Ok(Some(complete)) => Consumed::Complete(complete),
                    Ok(None) => Consumed::NeedsMore,
                    Err(refusal) => Consumed::Refused(refusal.into()),
                },
                Phase::Answering(_) | Phase::Sending(_) | Phase::Discarding(_) => Consumed::NeedsMore,
            };
            return consumed;
        }
    }

    /// Parses the head once it is whole; says whether it was.
    fn consume_head(&mut self, shared: &Shared) -> Result<bool, Refused> {
        let limits = &shared.limits;
        if self.scanned == 0 {
            let leading = self.buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.buffer.drain(..leading);
            self.leading += leading;
            if self.leading > MAX_LEADING {
                return Err(Refusal::bad_request("There are too many empty lines before the request.").into());
            }
        }
        let end = head::end(&self.buffer, self.scanned);
        if head::request_line_is_too_long(&self.buffer) {
            return Err(Refusal::new(414, "The request line is too long.").into());
        }
        if end.unwrap_or(self.buffer.len()) > limits.max_head {
            return Err(Refusal::new(431, "The request head is too large.").into());
        }
        let Some(end) = end else {
            self.scanned = self.buffer.len();
            return Ok(false);
        };
        // Known even of a head that is refused, so that the refusal keeps to it.
        self.is_head = self.buffer.starts_with(b"HEAD ");
        let head = head::parse(&self.buffer[..end])?;
        self.buffer.drain(..end);
        self.scanned = 0;
        self.leading = 0;
        self.begin_body(head, shared)?;
        Ok(true)
    }

    /// Has the head judged, and goes on to the body.
    fn begin_body(&mut self, head: Head, shared: &Shared) -> Result<(), Refused> {
        let limits = &shared.limits;
        let Head { method, path, query, headers, is_11, keep_alive, expects_continue, framing } = head;
        let (id, peer, cancel) = (request_id(&headers), self.peer, CancelToken::default());
        let mut request = Request { id, method, path, query, headers, body: Vec::new(), peer, cancel };
        let admitted = (shared.judge)(&request).map_err(|response| {
            // A body that comes all the same would be taken for the next request.
            let keep_alive = keep_alive && matches!(framing, Framing::None | Framing::Length(0));
            Refused { response, id: Some(request.id.clone()), keep_alive }
        })?;
        let (rest, expected) = match framing {
            Framing::None => (Rest::Bytes(0), 0),
            Framing::Length(length) => (Rest::Bytes(length), usize::try_from(length).unwrap_or(usize::MAX)),
            Framing::Chunked => (Rest::Chunks(Decoder::new(limits.max_body)), 0),
        };
        if expected > limits.max_body {
            return Err(Refusal::too_large().into());
        }
        // Said before the upload rather than in the middle of it, where that can be known.
        if shared.body_bytes.value().saturating_add(expected) > limits.body_budget && expected > 0 {
            return Err(Refusal::overloaded("The server holds too many large requests at the moment.").into());
        }
        let wants_body = framing == Framing::Chunked || expected > 0;
        if wants_body && expects_continue && self.buffer.is_empty() {
            let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
            if wire::send_some(&self.socket, go_on).is_ok_and(|sent| sent < go_on.len()) {
                return Err(Refusal::bad_request("The client does not read.").into());
            }
        }
        let now = Instant::now();
        let ends = now + limits.body_timeout;
        self.deadline = Some(ends.min(now + limits.body_idle_timeout));
        request.body.reserve_exact(expected.min(FIRST_RESERVE));
        let body_share = shared.body_bytes.hold_empty();
        let complete = Complete { request, admitted, is_11, keep_alive, body_share };
        self.phase = Phase::Body(Box::new(Incoming { complete, rest, ends }));
        Ok(())
    }

    /// Moves arrived bytes into the body, and takes the request out once it is whole.
    fn consume_body(&mut self, shared: &Shared) -> Result<Option<Box<Complete>>, Refusal> {
        let Phase::Body(incoming) = &mut self.phase else { return Ok(None) };
        let Incoming { complete: Complete { request, body_share, .. }, rest, .. } = &mut **incoming;
        let before = request.body.len();
        let used = match rest {
            Rest::Bytes(left) => {
                let used = self.buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                request.body.extend_from_slice(&self.buffer[..used]);
                *left -= used as u64;
                used
            }
            Rest::Chunks(decoder) => decoder.decode(&self.buffer, &mut request.body).map_err(|error| match error {
                ChunkError::Malformed => Refusal::bad_request("The chunked body is malformed."),
                ChunkError::TooLarge => Refusal::too_large(),
            })?,
        };
        self.buffer.drain(..used);
        if self.buffer.is_empty() {
            // An idle connection holds no memory.
            self.buffer = Vec::new();
        }
        if !body_share.grow(request.body.len() - before, shared.limits.body_budget) {
            return Err(Refusal::overloaded("The server holds too many large requests at the moment."));
        }
        let is_whole = match rest {
            Rest::Bytes(left) => *left == 0,
            Rest::Chunks(decoder) => decoder.is_done(),
        };
        if !is_whole {
            return Ok(None);
        }
        let Phase::Body(incoming) = std::mem::replace(&mut self.phase, Phase::Head) else { return Ok(None) };
        Ok(Some(Box::new(incoming.complete)))
    }

    /// The deadline has passed. Says whether the connection stays for a while, to let a refusal be read.
    pub(super) fn time_out(&mut self) -> bool {
        let is_silent = matches!(self.phase, Phase::Head) && self.buffer.is_empty() && self.leading == 0;
        if is_silent || matches!(self.phase, Phase::Discarding(_) | Phase::Answering(_) | Phase::Sending(_)) {
            return false;
        }
        self.refuse(&Refusal::new(408, "The request took too long to arrive."), None)
    }

    /// Answers for the front and turns to discarding. False when the client cannot take the answer: just close.
    pub(super) fn refuse(&mut self, refusal: &Refusal, id: Option<&str>) -> bool {
        self.answer(&refusal.response(), id, false)
    }

    fn answer(&mut self, response: &Response, id: Option<&str>, keep_alive: bool) -> bool {
        let fields = response.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let id = id.map_or_else(uuid, str::to_owned);
        let end = BodyEnd::Length(response.body.len());
        let mut bytes = wire::head(response.status, fields, &id, end, keep_alive);
        if !self.is_head {
            bytes.extend_from_slice(&response.body);
        }
        // A socket buffer that has no room for this belongs to a client that does not read.
        let sent = wire::send_some(&self.socket, &bytes).is_ok_and(|sent| sent == bytes.len());
        sent && (keep_alive || self.begin_close())
    }

    /// Says that nothing more will be sent and waits for the client to close. False when it has: just close.
    pub(super) fn begin_close(&mut self) -> bool {
        self.buffer = Vec::new();
        self.phase = Phase::Discarding(DISCARD_BYTES);
        self.deadline = Some(Instant::now() + DISCARD_TIME);
        self.socket.shutdown(Shutdown::Write).is_ok() && !self.ended
    }
}
