//! One client connection while the front owns it: bytes in, complete requests or refusals out.

pub(super) mod claim;

use super::exchange::End;
use super::head::Head;
use super::incoming::{Incoming, Input, Refused};
use super::opening::{Opened, Opening};
use super::refusal::Refusal;
use super::request::uuid;
use super::server::{Lane, Limits, Shared};
use super::socket::Socket;
use super::wire::{self, BodyEnd};
use super::{CancelToken, Response};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Reads and refusals of one turn, so that neither a fast upload nor a pipeline keeps the others waiting.
const STEPS_PER_TURN: usize = 4;
/// After a refusal a client may still be sending. Closing then would reset the connection and could destroy the refusal
/// before it is read, so this much beyond a body of the largest size is discarded first. Each
/// [`wire::BLOCK`] of it renews the time.
const DISCARD_BYTES: usize = 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(2);
/// A client that announced its last request may close its sending side with it. That end of input arrives right behind
/// the request; what comes later is taken for a client that left.
const HALF_CLOSE: Duration = Duration::from_millis(50);
/// What the front does next with a connection.
pub(super) enum Step {
    /// Wait until the socket has something to say.
    Wait,
    /// Come back soon: more may be readable.
    Again,
    Close,
    /// Requests may come from now on.
    Opened,
    /// A request has arrived whole.
    Dispatch(Box<Incoming>),
    /// The rest of an answer has been sent.
    Sent(End),
}

enum Phase {
    /// Before the first request.
    Opening(Opening),
    /// Between requests, or in a head.
    Head,
    Body(Box<Incoming>),
    Answering(Watched),
    /// The worker is done, and the client has yet to take the rest of the answer.
    Sending(Unsent),
    /// Refused or answered for the last time; the bytes that may still be discarded.
    Discarding(usize),
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
    pub(super) is_last: bool,
}

pub(super) struct Connection {
    pub(super) socket: Arc<Socket>,
    pub(super) peer: IpAddr,
    /// Whom it counts for: while a request is under way, for whom a proxy asks.
    pub(super) counts_for: IpAddr,
    input: Input,
    phase: Phase,
    /// When the phase began; in a head, when its first byte came.
    since: Instant,
    /// When the front loses its patience.
    pub(super) deadline: Option<Instant>,
    /// When the last answer was given.
    answered: Option<Instant>,
    /// The socket reported that the client closed its sending side; bytes sent before may still be unread.
    fin_seen: bool,
    /// All that the client sent has been read.
    ended: bool,
    /// Whether it is among those that the front lets go on in its next turn.
    pub(super) is_put_off: bool,
}

impl Connection {
    pub(super) fn new(socket: Socket, peer: IpAddr, opening: Opening, limits: &Limits) -> Connection {
        let since = Instant::now();
        let is_open = !opening.proxied && !opening.encrypted;
        Connection {
            socket: Arc::new(socket),
            peer,
            counts_for: peer,
            input: Input::default(),
            phase: if is_open { Phase::Head } else { Phase::Opening(opening) },
            since,
            deadline: Some(since + limits.head_timeout),
            answered: None,
            fin_seen: false,
            ended: false,
            is_put_off: false,
        }
    }

    /// Whether a worker answers it.
    pub(super) fn is_answering(&self) -> bool {
        matches!(self.phase, Phase::Answering(_))
    }

    /// Whether it has not begun yet.
    pub(super) fn is_opening(&self) -> bool {
        matches!(self.phase, Phase::Opening(_))
    }

    /// Whether its next step may be one that costs: a handshake has one.
    pub(super) fn is_costly(&self) -> bool {
        self.is_opening() && !self.socket.tls.as_ref().is_some_and(|session| session.is_agreed())
    }

    /// Whether its next request was read together with the one before.
    pub(super) fn is_pipelined(&self) -> bool {
        matches!(self.phase, Phase::Head) && self.answered.is_some() && !self.input.is_empty()
    }

    /// Whether it only waits for the client to close.
    pub(super) fn is_discarding(&self) -> bool {
        matches!(self.phase, Phase::Discarding(_))
    }

    /// The cancel token of the request that a worker answers.
    pub(super) fn cancel(&self) -> Option<&CancelToken> {
        match &self.phase {
            Phase::Answering(watched) => Some(&watched.cancel),
            _ => None,
        }
    }

    /// Whether the client has sent something that was not read yet.
    pub(super) fn has_unread(&self) -> bool {
        self.socket.has_unread()
    }

    /// The server ends, and nothing more is waited for than until then.
    pub(super) fn hurry(&mut self, ends: Instant) {
        self.deadline = Some(self.deadline.map_or(ends, |deadline| deadline.min(ends)));
    }

    fn enter(&mut self, phase: Phase, patience: Duration) {
        self.phase = phase;
        self.since = Instant::now();
        self.deadline = Some(self.since + patience);
    }

    /// A worker has it from now on; the front only watches for a hang-up.
    pub(super) fn begin_answer(&mut self, watched: Watched) {
        self.phase = Phase::Answering(watched);
        self.since = Instant::now();
        self.deadline = None;
    }

    /// The worker gave it back with bytes that the socket did not take; `end` follows them.
    pub(super) fn begin_sending(&mut self, bytes: Vec<u8>, end: End, limits: &Limits) {
        self.enter(Phase::Sending(Unsent { bytes, sent: 0, block: 0, end }), limits.write_timeout);
    }

    /// Sends what the socket takes. Each block that the client takes renews its time, as with [`wire::send_all`].
    fn send_rest(&mut self, limits: &Limits) -> Option<Step> {
        let Phase::Sending(unsent) = &mut self.phase else { return None };
        let Ok(sent) = wire::send_some(&self.socket, &unsent.bytes[unsent.sent..]) else { return Some(Step::Close) };
        unsent.sent += sent;
        if unsent.sent == unsent.bytes.len() && self.socket.is_flushed() {
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
        let patience = if self.input.is_empty() { limits.idle_timeout } else { limits.head_timeout };
        self.counts_for = self.peer;
        self.enter(Phase::Head, patience);
        self.answered = Some(self.since);
    }

    /// The socket reports a hang-up: `reset` for a connection that is dead in both directions, else the client closed its
    /// sending side. The latter is what a leaving client looks like, and also one that only has no more to send (`nc`,
    /// HTTP/1.0 tools). It counts as leaving on the long lane, where an answer nobody reads is expensive, unless it came
    /// with the request or right behind one that was announced as the last.
    pub(super) fn hang_up(&mut self, reset: bool) {
        let came_before = std::mem::replace(&mut self.fin_seen, true);
        let Phase::Answering(watched) = &self.phase else { return };
        // A worker that waits for the next request sees it, too, and gives the connection back.
        if watched.cancel.take_back() {
            return;
        }
        let is_half_close = came_before || (watched.is_last && self.since.elapsed() < HALF_CLOSE);
        if reset || (watched.lane == Lane::Long && !is_half_close) {
            watched.cancel.cancel();
        }
    }

    /// Goes on with what comes before the first request, where that is still to come.
    fn open(&mut self, shared: &Shared) -> Option<Step> {
        let Phase::Opening(opening) = &mut self.phase else { return None };
        // No worker has it yet.
        let Some(socket) = Arc::get_mut(&mut self.socket) else { return Some(Step::Close) };
        let stays = match opening.advance(socket, &mut self.peer, shared) {
            Opened::Wait => return Some(Step::Wait),
            Opened::Done => {
                self.counts_for = self.peer;
                self.enter(Phase::Head, shared.limits.head_timeout);
                return Some(Step::Opened);
            }
            Opened::Refused(refusal) => self.refuse(&refusal.response(), None, shared),
            Opened::Failed => self.begin_close(&shared.limits),
            Opened::Close => false,
        };
        Some(if stays { Step::Again } else { Step::Close })
    }

    /// Reads what is there and makes the most of it.
    pub(super) fn advance(&mut self, scratch: &mut [u8], shared: &Shared) -> Step {
        if let Some(step) = self.open(shared).or_else(|| self.send_rest(&shared.limits)) {
            return step;
        }
        for _ in 0..STEPS_PER_TURN {
            match self.consume(shared) {
                Ok(None) => {}
                Ok(Some(incoming)) => return Step::Dispatch(incoming),
                Err(Refused { response, id, keep_alive }) => {
                    let keep_alive = keep_alive && !shared.is_stopping();
                    if !self.answer(&response, id.as_deref(), keep_alive, shared) {
                        return Step::Close;
                    }
                    if keep_alive {
                        self.await_next(&shared.limits);
                        if self.is_pipelined() {
                            return Step::Again;
                        }
                        continue;
                    }
                }
            }
            if self.is_answering() {
                return Step::Wait;
            }
            if self.ended {
                return self.end_of_input(shared);
            }
            match self.socket.read(scratch) {
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
        Step::Again
    }

    /// The client will send no more, and what it sent is not a whole request.
    fn end_of_input(&mut self, shared: &Shared) -> Step {
        let began = self.input.has_begun() || matches!(self.phase, Phase::Body(_));
        if began && !matches!(self.phase, Phase::Discarding(_)) {
            self.refuse_unfinished(&Refusal::bad_request("The request ended early."), shared);
        }
        Step::Close
    }

    /// Takes bytes from the socket; false when there were too many to discard.
    pub(super) fn take(&mut self, bytes: &[u8], limits: &Limits) -> bool {
        match &mut self.phase {
            Phase::Discarding(left) => {
                let Some(rest) = left.checked_sub(bytes.len()) else { return false };
                if rest / wire::BLOCK != *left / wire::BLOCK {
                    self.deadline = Some(Instant::now() + DISCARD_TIME);
                }
                *left = rest;
                return true;
            }
            Phase::Head if self.input.is_empty() => {
                self.since = Instant::now();
                self.deadline = Some(self.since + limits.head_timeout);
            }
            Phase::Body(incoming) => {
                self.deadline = Some(incoming.ends.min(Instant::now() + limits.body_idle_timeout));
            }
            _ => {}
        }
        self.input.push(bytes);
        true
    }

    /// Makes the most of what has been read: the request once it is whole.
    fn consume(&mut self, shared: &Shared) -> Result<Option<Box<Incoming>>, Refused> {
        if matches!(self.phase, Phase::Head) {
            let head = self.input.take_head(shared.limits.max_head);
            if head.as_ref().is_err_and(Refusal::is_of_no_http) && shared.foreign.is_due() {
                log::info!(
                    "http: {} speaks something else than plain HTTP, TLS perhaps or the PROXY protocol (server.tls, \
                     server.proxy_protocol); others are not told",
                    self.peer
                );
            }
            let Some(head) = head? else { return Ok(None) };
            self.begin_body(head, shared)?;
        }
        let Phase::Body(incoming) = &mut self.phase else { return Ok(None) };
        incoming.take(&mut self.input, &shared.limits).map_err(|refusal| incoming.refused(&refusal))?;
        if !incoming.is_whole() {
            return Ok(None);
        }
        let Phase::Body(incoming) = std::mem::replace(&mut self.phase, Phase::Head) else { return Ok(None) };
        Ok(Some(incoming))
    }

    /// Goes on from a head to its body, and asks for it where the client waits to be asked.
    fn begin_body(&mut self, head: Head, shared: &Shared) -> Result<(), Refused> {
        let expects_continue = head.expects_continue;
        let incoming = Incoming::new(head, self.peer, shared)?;
        self.counts_for = incoming.admitted.address;
        if expects_continue && !incoming.is_whole() && self.input.is_empty() {
            let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
            if wire::send_some(&self.socket, go_on).is_ok_and(|sent| sent < go_on.len()) {
                return Err(Refusal::bad_request("The client does not read.").into());
            }
        }
        self.deadline = Some(incoming.ends.min(Instant::now() + shared.limits.body_idle_timeout));
        self.phase = Phase::Body(Box::new(incoming));
        Ok(())
    }

    /// The deadline has passed. Says whether the connection stays for a while, to let a refusal be read.
    pub(super) fn time_out(&mut self, shared: &Shared) -> bool {
        let is_silent = matches!(self.phase, Phase::Head) && self.input.is_empty();
        let is_told = matches!(self.phase, Phase::Head | Phase::Body(_));
        if is_silent || !is_told {
            return false;
        }
        self.refuse_unfinished(&Refusal::new(408, "The request took too long to arrive."), shared)
    }

    /// Refuses a request that did not arrive whole.
    fn refuse_unfinished(&mut self, refusal: &Refusal, shared: &Shared) -> bool {
        let refused = match &self.phase {
            Phase::Body(incoming) => incoming.refused(refusal),
            _ => refusal.clone().into(),
        };
        self.refuse(&refused.response, refused.id.as_deref(), shared)
    }

    /// Answers for the front and turns to discarding. False when the client cannot take the answer: just close.
    pub(super) fn refuse(&mut self, response: &Response, id: Option<&str>, shared: &Shared) -> bool {
        self.answer(response, id, false, shared)
    }

    fn answer(&mut self, response: &Response, id: Option<&str>, keep_alive: bool, shared: &Shared) -> bool {
        let fields = response.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let id = id.map_or_else(uuid, str::to_owned);
        let end = BodyEnd::Length(response.body.len());
        let mut bytes = wire::head(response.status, response.fields, fields, &id, end, keep_alive, &shared.date);
        if !self.input.is_head {
            bytes.extend_from_slice(&response.body);
        }
        // A socket buffer that has no room for this belongs to a client that does not read.
        let sent = wire::send_some(&self.socket, &bytes).is_ok_and(|sent| sent == bytes.len());
        sent && self.socket.is_flushed() && (keep_alive || self.begin_close(&shared.limits))
    }

    /// Says that nothing more will be sent and waits for the client to close. False when it has: just close.
    pub(super) fn begin_close(&mut self, limits: &Limits) -> bool {
        self.input = Input::default();
        self.counts_for = self.peer;
        self.enter(Phase::Discarding(limits.max_body.saturating_add(DISCARD_BYTES)), DISCARD_TIME);
        self.socket.end() && !self.ended
    }
}
