//! The front thread: it owns the listener and every connection that no worker answers, and never blocks.
//!
//! One edge-triggered poll watches all sockets for as long as they are open, also while a worker answers: then their
//! events tell whether the client hung up, and what it sends meanwhile stays in the kernel.

mod admission;
mod ending;
mod turn;

use super::accept::Acceptor;
use super::connection::{Connection, Step, Watched};
use super::exchange::{End, Exchange, Message};
use super::incoming::Incoming;
use super::refusal::Refusal;
use super::responder::Responder;
use super::server::{Admitted, Lane, Shared};
use super::stop::Stop;
use super::workers::{BUSY, Job, Workers};
use crossbeam_channel::Receiver;
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::collections::HashMap;
use std::io;
use std::os::fd::AsRawFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use turn::Turn;

/// The poll's name for the waker.
pub(super) const WAKE: Token = Token(0);
const LISTENER: Token = Token(1);
/// Connections are named from here on, and no name is used twice, so a late event or message finds nobody.
const FIRST_CONNECTION: usize = 2;
/// Shared by all reads: an idle connection needs no buffer.
const SCRATCH: usize = 64 * 1024;
/// New connections of one turn, so that a flood of them does not keep the others waiting.
const ACCEPTS_PER_TURN: usize = 128;
/// Before the next try when the poll itself fails.
const POLL_PAUSE: Duration = Duration::from_millis(100);
/// Deadlines are looked after at most this often.
const SWEEP: Duration = Duration::from_millis(10);

/// What is left when the front has ended.
#[derive(Default)]
pub(super) struct Ended {
    /// Answers that were not finished within the limit of the stop.
    pub(super) cut: usize,
    /// The threads of both lanes. Their queues are closed.
    pub(super) workers: Vec<JoinHandle<()>>,
}

pub(super) struct Front {
    poll: Poll,
    /// `None` once stopping.
    acceptor: Option<Acceptor>,
    messages: Receiver<Message>,
    shared: Arc<Shared>,
    long: Workers,
    short: Workers,
    connections: HashMap<usize, Connection>,
    next_token: usize,
    scratch: Vec<u8>,
    turn: Turn,
    sweep_at: Option<Instant>,
    stop: Option<Stop>,
}

impl Front {
    pub(super) fn new(
        poll: Poll,
        listener: std::net::TcpListener,
        messages: Receiver<Message>,
        shared: Arc<Shared>,
        long: Workers,
        short: Workers,
    ) -> io::Result<Front> {
        let acceptor = Acceptor::new(listener, poll.registry(), LISTENER)?;
        Ok(Front {
            poll,
            acceptor: Some(acceptor),
            messages,
            shared,
            long,
            short,
            connections: HashMap::new(),
            next_token: FIRST_CONNECTION,
            scratch: vec![0; SCRATCH],
            turn: Turn::default(),
            sweep_at: None,
            stop: None,
        })
    }

    /// Runs until told to stop.
    pub(super) fn run(mut self) -> Ended {
        let mut events = Events::with_capacity(1024);
        loop {
            if let Err(error) = self.poll.poll(&mut events, self.patience())
                && error.kind() != io::ErrorKind::Interrupted
            {
                log::error!("http: poll failed: {error}");
                thread::sleep(POLL_PAUSE);
            }
            for token in self.turn.begin(Instant::now()) {
                if let Some(connection) = self.connections.get_mut(&token) {
                    connection.is_put_off = false;
                    self.drive(token);
                }
            }
            for event in &events {
                match event.token() {
                    WAKE => {}
                    LISTENER => self.accept_soon(),
                    Token(token) => self.notice(token, event),
                }
            }
            // What comes meanwhile is the next turn's: each answer may lead to the next one.
            for _ in 0..self.messages.len() {
                let Ok(message) = self.messages.try_recv() else { break };
                match message {
                    Message::Answered { token, end, unsent, early, is_muted } => {
                        self.take_back(token, end, unsent, (early, is_muted));
                    }
                    Message::Stop { limit, patience } => self.begin_stop(limit, patience),
                }
            }
            // Answers that have ended make room for others of the same callers.
            self.long.resume();
            let now = Instant::now();
            if self.accept_at().is_some_and(|due| due <= now) {
                self.accept();
            }
            if self.acceptor.as_ref().is_some_and(|acceptor| acceptor.has_ended(now)) {
                self.accept_last();
            }
            if self.sweep_at.is_some_and(|due| due <= now) {
                self.sweep(now);
            }
            self.shared.connections.store(self.connections.len(), Ordering::Release);
            if self.acceptor.is_none()
                && let Some(stop) = &mut self.stop
                && stop.is_over(now, self.connections.values())
            {
                break;
            }
        }
        let Front { stop, long, short, .. } = self;
        let workers = long.into_threads().into_iter().chain(short.into_threads()).collect();
        Ended { cut: stop.map_or(0, |stop| stop.cut), workers }
    }

    /// How long the poll may wait.
    fn patience(&self) -> Option<Duration> {
        if !self.messages.is_empty() {
            return Some(Duration::ZERO);
        }
        let now = Instant::now();
        let stop = self.stop.as_ref().map(|stop| stop.until);
        let end = self.acceptor.as_ref().and_then(|acceptor| acceptor.ends);
        let due = [self.accept_at(), end, self.sweep_at, stop, self.turn.due(now)].into_iter().flatten().min()?;
        Some(due.saturating_duration_since(now))
    }

    fn accept_at(&self) -> Option<Instant> {
        self.acceptor.as_ref().and_then(|acceptor| acceptor.due)
    }

    fn accept_soon(&mut self) {
        if let Some(acceptor) = &mut self.acceptor {
            acceptor.due = Some(Instant::now());
        }
    }

    /// Something happened on a connection's socket.
    fn notice(&mut self, token: usize, event: &Event) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        let reset = event.is_error() || event.is_write_closed();
        // Where hang-ups only are watched, mio has no word for one.
        let is_end = event.is_read_closed() || !event.is_readable() && !event.is_writable();
        if reset || is_end {
            connection.hang_up(reset);
        }
        self.drive(token);
    }

    fn accept(&mut self) {
        if let Some(acceptor) = &mut self.acceptor {
            acceptor.due = None;
        }
        for _ in 0..ACCEPTS_PER_TURN {
            // The kernel holds the others.
            if self.turn.is_full() {
                break;
            }
            let Some((socket, address)) = self.acceptor.as_mut().and_then(Acceptor::next) else { return };
            self.welcome(socket, address);
        }
        self.accept_soon();
    }

    fn keep(&mut self, token: usize, mut connection: Connection) {
        if let Some(ends) = self.last_chance(&connection) {
            connection.hurry(ends);
        }
        if let Some(deadline) = connection.deadline {
            self.sweep_at = Some(self.sweep_at.map_or(deadline, |sweep| sweep.min(deadline)));
        }
        self.connections.insert(token, connection);
    }

    fn drive(&mut self, token: usize) {
        if let Some(connection) = self.connections.remove(&token) {
            self.advance(token, connection);
        }
    }

    /// Lets a connection go on. It is out of the table meanwhile, so a panic costs this connection alone.
    fn advance(&mut self, token: usize, connection: Connection) {
        if catch_unwind(AssertUnwindSafe(|| self.step(token, connection))).is_err() {
            log::error!("http: the front panicked over a connection and dropped it");
        }
    }

    fn step(&mut self, token: usize, mut connection: Connection) {
        if !self.turn.allows(&connection) {
            self.turn.put_off(token, &mut connection);
            return self.keep(token, connection);
        }
        match connection.advance(&mut self.scratch, &self.shared) {
            Step::Close => return,
            Step::Wait => {}
            Step::Again => self.turn.put_off(token, &mut connection),
            Step::Opened => {
                if !self.may_stay(token, &mut connection) {
                    return;
                }
            }
            Step::Dispatch(incoming) => {
                if !self.dispatch(token, &mut connection, *incoming) {
                    return;
                }
            }
            Step::Sent(end) => {
                if !self.go_on(&mut connection, end) {
                    return;
                }
                // Further requests may have been read before this one's answer was sent.
                self.turn.put_off(token, &mut connection);
            }
        }
        self.keep(token, connection);
    }

    /// Hands a request to its lane, or refuses it. False when the connection is to be closed.
    fn dispatch(&mut self, token: usize, connection: &mut Connection, incoming: Incoming) -> bool {
        let Incoming { request, admitted, is_11, keep_alive, part, body_share, .. } = incoming;
        let Admitted { lane, answer, refuse, caller, is_alone, .. } = admitted;
        let may_ask = self.may_ask(connection);
        let workers = match lane {
            Lane::Long => &mut self.long,
            Lane::Short => &mut self.short,
        };
        // Of the short lane nobody has a worker for long.
        let place = match may_ask {
            true => workers.admit(&caller, is_alone || lane == Lane::Short),
            false => Err(Refusal::overloaded("Too many requests from this address are under way.")),
        };
        let slot = match place {
            Ok(slot) => slot,
            Err(refusal) => {
                if !connection.refuse(&refuse(&refusal), Some(&request.id), &self.shared) {
                    return false;
                }
                self.turn.put_off(token, connection);
                return true;
            }
        };
        let may_stay = lane == Lane::Long && connection.asks_at_once();
        connection.begin_answer(Watched { cancel: request.cancel.clone(), lane, is_last: !keep_alive });
        let exchange = Exchange {
            socket: connection.socket.clone(),
            token,
            lane,
            id: request.id.clone(),
            is_11,
            head_only: request.method == "HEAD",
            keep_alive,
            fields: "",
            headers: Vec::new(),
            cancel: request.cancel.clone(),
            shared: self.shared.clone(),
            part: Some(part),
            slot,
            body_share: Some(body_share),
            end: End::Cut,
            unsent: Vec::new(),
            peer: connection.peer,
            address: connection.counts_for,
            may_stay,
            is_muted: false,
        };
        match workers.submit(Box::new(Job { request, responder: Responder::new(exchange), answer, caller })) {
            Ok(()) => true,
            Err(job) => {
                job.responder.abandon();
                connection.refuse(&refuse(&BUSY), None, &self.shared)
            }
        }
    }

    /// A worker is done with a connection. If it stayed there, it may have read something, and hang-ups alone are watched.
    fn take_back(&mut self, token: usize, end: End, unsent: Vec<u8>, (early, is_muted): (Vec<u8>, bool)) {
        let Some(mut connection) = self.connections.remove(&token) else { return };
        if is_muted && end != End::Cut && !self.watch(token, &connection, Interest::READABLE) {
            return;
        }
        // Not answering: the front refused it itself when no worker could be had.
        if connection.is_answering() {
            let stays = match end == End::Cut || unsent.is_empty() && connection.socket.is_flushed() {
                true => self.go_on(&mut connection, end),
                false => self.watch_room(token, &mut connection, end, unsent),
            };
            if !stays || !early.is_empty() && !connection.take(&early, &self.shared.limits) {
                return;
            }
        }
        // What came while the worker answered was not read, and the poll will not tell of it again.
        self.advance(token, connection);
    }

    /// What follows an answer that is with the kernel. False when the connection is to be closed.
    fn go_on(&self, connection: &mut Connection, end: End) -> bool {
        match end {
            End::Cut => false,
            End::Close => connection.begin_close(&self.shared.limits),
            // A stop is no end of it by itself: this answer may have begun before, with a head that tells of none.
            End::KeepAlive => {
                connection.await_next(&self.shared.limits);
                self.last_chance(connection).is_none_or(|ends| ends > Instant::now())
            }
        }
    }

    /// Sends the rest of an answer whenever the socket has room. It is watched for room from then on: to its end that costs
    /// nothing as long as there is.
    fn watch_room(&mut self, token: usize, connection: &mut Connection, end: End, unsent: Vec<u8>) -> bool {
        if !self.watch(token, connection, Interest::READABLE | Interest::WRITABLE) {
            return false;
        }
        connection.begin_sending(unsent, end, &self.shared.limits);
        true
    }

    fn watch(&self, token: usize, connection: &Connection, interest: Interest) -> bool {
        let descriptor = connection.socket.as_raw_fd();
        let watched = self.poll.registry().reregister(&mut SourceFd(&descriptor), Token(token), interest);
        watched.inspect_err(|error| log::warn!("http: cannot watch a connection: {error}")).is_ok()
    }

    /// Ends the patience with those whose deadline has passed.
    fn sweep(&mut self, now: Instant) {
        self.sweep_at = None;
        let is_due = |connection: &Connection| connection.deadline.is_some_and(|deadline| deadline <= now);
        let due: Vec<usize> =
            self.connections.iter().filter(|(_, connection)| is_due(connection)).map(|(token, _)| *token).collect();
        for token in due {
            if let Some(mut connection) = self.connections.remove(&token)
                && connection.time_out(&self.shared)
            {
                self.connections.insert(token, connection);
            }
        }
        let next = self.connections.values().filter_map(|connection| connection.deadline).min();
        self.sweep_at = next.map(|next| next.max(now + SWEEP));
    }
}
