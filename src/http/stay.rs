//! A worker that stays: where a client asks again as soon as it is answered, the worker waits a moment for the next request
//! itself, so that neither it nor the front has to be woken. It takes what comes whole, in one read; everything else goes
//! back to the front, with the bytes that were read, and is judged there. Who waits for a worker goes first.
//!
//! While a worker stays, the front watches the connection for hang-ups only, and may take it back at any time: the cancel
//! token says whose it is (docs/http.md "A worker that stays").

use super::CancelToken;
use super::caller::Part;
use super::counters::BodyShare;
use super::exchange::{End, Exchange, Message};
use super::head::Framing;
use super::incoming::{Incoming, Input, Refused};
use super::request::uuid;
use super::responder::Responder;
use super::server::{Lane, Shared};
use super::socket::Socket;
use super::workers::{Job, Load};
use crate::os::platform;
use std::cell::RefCell;
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

/// Of the requests under way, of the workers, of the budget for bodies.
type Shares = (Option<Part>, Option<Part>, Option<BodyShare>);

/// How long a worker waits for the next request. A connection that took longer than this last time is not waited for.
pub(super) const MOMENT: Duration = Duration::from_millis(2);
/// A request that is longer is the front's.
const READ: usize = 8 * 1024;

thread_local! {
    /// The connection whose answer this worker has just given.
    static ANSWERED: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// A connection that a worker keeps. Dropped it goes back to the front.
pub(super) struct Kept {
    pub(super) socket: Arc<Socket>,
    /// The front's name for it.
    pub(super) token: usize,
    pub(super) peer: IpAddr,
    /// Whom it counts for.
    pub(super) address: IpAddr,
    pub(super) cancel: CancelToken,
    pub(super) shared: Arc<Shared>,
    /// The front watches for hang-ups only.
    pub(super) is_muted: bool,
    /// What was read and is for the front.
    early: Vec<u8>,
    /// The next request has it.
    is_taken: bool,
}

impl Kept {
    /// The connection of an exchange whose answer is out.
    pub(super) fn of(exchange: &Exchange) -> Kept {
        Kept {
            socket: exchange.socket.clone(),
            token: exchange.token,
            peer: exchange.peer,
            address: exchange.address,
            cancel: exchange.cancel.clone(),
            shared: exchange.shared.clone(),
            is_muted: exchange.is_muted,
            early: Vec::new(),
            is_taken: false,
        }
    }

    /// Leaves it for the worker that answered.
    pub(super) fn leave(self) {
        ANSWERED.set(Some(self));
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.is_taken {
            self.shared.tell_front(Message::Answered {
                token: self.token,
                end: End::KeepAlive,
                unsent: Vec::new(),
                early: std::mem::take(&mut self.early),
                is_muted: self.is_muted,
            });
        }
    }
}

/// Waits for the next request of the connection that this worker has just answered, if it may stay there. `is_wanted` says
/// whether somebody waits for a worker. Not a part of its caller, where its buffer would lie under each stream.
#[inline(never)]
pub(super) fn next_job(load: &Load, size: usize, is_wanted: impl Fn() -> bool) -> Option<Box<Job>> {
    let mut kept = ANSWERED.take()?;
    // Before the look at who waits: from here on the front starts a thread rather than count on this one.
    let _staying = load.staying.hold();
    if is_wanted() || kept.shared.is_stopping() {
        return None;
    }
    let (poll, socket) = (kept.shared.registry.as_raw_fd(), kept.socket.as_raw_fd());
    if !kept.is_muted {
        kept.is_muted = platform::watch_hang_ups(poll, socket, kept.token as u64);
    }
    if !kept.is_muted || !platform::has_input(socket, MOMENT) || is_wanted() || kept.shared.is_stopping() {
        return None;
    }
    // On the stack: making a block of this size takes a twentieth of a whole request's instructions.
    let mut bytes = [0; READ];
    let count = kept.socket.read(&mut bytes).ok()?;
    kept.early = bytes[..count].to_vec();
    kept.request(load, size)
}

impl Kept {
    /// The request that has come, if it is whole and may be answered by this worker.
    fn request(mut self, load: &Load, size: usize) -> Option<Box<Job>> {
        let mut input = Input::default();
        input.push(&self.early);
        let head = input.take_head(self.shared.limits.max_head).ok().flatten()?;
        let length = match head.framing {
            Framing::None => 0,
            Framing::Length(length) => length,
            Framing::Chunked => return None,
        };
        let is_plain = head.is_11 && head.keep_alive && !head.expects_continue;
        if !is_plain || input.length() as u64 != length {
            return None;
        }
        // If it was taken back before that, it is the front's.
        if !self.cancel.end_stay() {
            return None;
        }
        let incoming = Incoming::new(head, self.peer, &self.shared).and_then(|mut incoming| {
            let taken = incoming.take(&mut input, &self.shared.limits);
            taken.map_err(|refusal| incoming.refused(&refusal)).map(|()| incoming)
        });
        let is_head = input.is_head;
        match incoming {
            Ok(incoming) if incoming.admitted.lane == Lane::Long && incoming.admitted.address == self.address => {
                let Incoming { mut request, admitted, part, body_share, .. } = incoming;
                let mut slot = Part::of(&load.in_flight, &admitted.caller.answered);
                if !slot.take(size, admitted.is_alone) {
                    return None;
                }
                request.cancel = self.cancel.clone();
                let shares = (Some(part), Some(slot), Some(body_share));
                let exchange = self.exchange(request.id.clone(), is_head, shares);
                let (responder, answer, caller) = (Responder::new(exchange), admitted.answer, admitted.caller);
                Some(Box::new(Job { request, responder, answer, caller }))
            }
            Ok(_) => None,
            Err(Refused { response, id, keep_alive }) => {
                let mut exchange = self.exchange(id.unwrap_or_else(uuid), is_head, (None, None, None));
                (exchange.keep_alive, exchange.may_stay) = (keep_alive, false);
                exchange.respond(response);
                None
            }
        }
    }

    /// The next request's right to an answer.
    fn exchange(&mut self, id: String, head_only: bool, (part, slot, body_share): Shares) -> Exchange {
        self.is_taken = true;
        Exchange {
            socket: self.socket.clone(),
            token: self.token,
            lane: Lane::Long,
            id,
            is_11: true,
            head_only,
            keep_alive: true,
            fields: "",
            headers: Vec::new(),
            cancel: self.cancel.clone(),
            shared: self.shared.clone(),
            part,
            slot,
            body_share,
            end: End::Cut,
            unsent: Vec::new(),
            peer: self.peer,
            address: self.address,
            may_stay: true,
            is_muted: self.is_muted,
        }
    }
}
