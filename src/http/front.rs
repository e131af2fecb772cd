//! The front thread: it owns the listener and every connection that no worker answers, and never blocks.
//!
//! One edge-triggered poll watches all sockets for as long as they are open, also while a worker answers: then their
//! events tell whether the client hung up, and what it sends meanwhile stays in the kernel.

use super::CancelToken;
use super::accept::{is_lost, network};
use super::connection::{Complete, Connection, Step, Watched};
use super::exchange::{End, Exchange, Message};
use super::refusal::Refusal;
use super::responder::Responder;
use super::server::{Admitted, Lane, Shared};
use super::workers::{Job, Workers};
use crossbeam_channel::Receiver;
use mio::event::Event;
use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The poll's name for the waker.
pub(super) const WAKE: Token = Token(0);
const LISTENER: Token = Token(1);
/// Connections are named from here on, and no name is used twice, so a late event or message finds nobody.
const FIRST_CONNECTION: usize = 2;
/// Shared by all reads: an idle connection needs no buffer.
const SCRATCH: usize = 64 * 1024;
/// New connections of one turn, so that a flood of them does not keep the others waiting.
const ACCEPTS_PER_TURN: usize = 128;
/// Connections over the limit that are still told 503 before they are closed; more are closed at once.
const TOLD_TO_WAIT: usize = 32;
/// How long to leave the listener alone when accepting fails.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Such failures are logged once in this time.
const ACCEPT_LOG_PERIOD: Duration = Duration::from_secs(60);
/// Deadlines are looked after at most this often.
const SWEEP: Duration = Duration::from_millis(10);
/// From cancelling the answers to cutting the sockets.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is left when the front has ended.
#[derive(Default)]
pub(super) struct Ended {
    /// Answers that were not finished within the limit of the stop.
    pub(super) cut: usize,
    /// The threads of both lanes. Their queues are closed.
    pub(super) workers: Vec<JoinHandle<()>>,
}

/// How far a stop has come.
enum Stopping {
    /// Answers may finish until then.
    Draining(Instant),
    /// The answers are cancelled; sockets are cut then.
    Cancelled(Instant),
    /// Sockets are cut; not waited for longer than that.
    Cut(Instant),
}

pub(super) struct Front {
    poll: Poll,
    /// `None` once stopping.
    listener: Option<mio::net::TcpListener>,
    messages: Receiver<Message>,
    shared: Arc<Shared>,
    long: Workers,
    short: Workers,
    connections: HashMap<usize, Connection>,
    next_token: usize,
    scratch: Vec<u8>,
    /// Connections with more to read than a turn allows.
    again: Vec<usize>,
    /// When to accept without being told: the poll tells of each new connection only once.
    accept_at: Option<Instant>,
    accept_failure_logged: Option<Instant>,
    sweep_at: Option<Instant>,
    stopping: Option<Stopping>,
    cut: usize,
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
        let mut listener = mio::net::TcpListener::from_std(listener);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Front {
            poll,
            listener: Some(listener),
            messages,
            shared,
            long,
            short,
            connections: HashMap::new(),
            next_token: FIRST_CONNECTION,
            scratch: vec![0; SCRATCH],
            again: Vec::new(),
            accept_at: None,
            accept_failure_logged: None,
            sweep_at: None,
            stopping: None,
            cut: 0,
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
                thread::sleep(ACCEPT_PAUSE);
            }
            for token in std::mem::take(&mut self.again) {
                self.drive(token);
            }
            for event in &events {
                match event.token() {
                    WAKE => {}
                    LISTENER => self.accept_at = Some(Instant::now()),
                    Token(token) => self.notice(token, event),
                }
            }
            while let Ok(message) = self.messages.try_recv() {
                match message {
                    Message::Answered(token, end, unsent) => self.take_back(token, end, unsent),
                    Message::Stop(limit) => self.stop_accepting(limit),
                }
            }
            let now = Instant::now();
            if self.accept_at.is_some_and(|due| due <= now) {
                self.accept_at = None;
                self.accept();
            }
            if self.sweep_at.is_some_and(|due| due <= now) {
                self.sweep(now);
            }
            self.shared.connections.store(self.connections.len(), Ordering::Release);
            if self.stopping.is_some() && self.is_over(now) {
                break;
            }
        }
        let Front { cut, long, short, .. } = self;
        let workers = long.into_threads().into_iter().chain(short.into_threads()).collect();
        Ended { cut, workers }
    }

    /// How long the poll may wait.
    fn patience(&self) -> Option<Duration> {
        if !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        let stop = self.stopping.as_ref().map(|stopping| match stopping {
            Stopping::Draining(until) | Stopping::Cancelled(until) | Stopping::Cut(until) => *until,
        });
        let due = [self.accept_at, self.sweep_at, stop].into_iter().flatten().min()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    /// Something happened on a connection's socket.
    fn notice(&mut self, token: usize, event: &Event) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        let reset = event.is_error() || event.is_write_closed();
        if reset || event.is_read_closed() {
            connection.hang_up(reset);
        }
        self.drive(token);
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((socket, address)) => self.welcome(socket, address),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The next one may be well.
                Err(error) if is_lost(&error) => log::debug!("http: a connection was lost before its accept: {error}"),
                Err(error) => {
                    let now = Instant::now();
                    if self.accept_failure_logged.is_none_or(|logged| now >= logged + ACCEPT_LOG_PERIOD) {
                        self.accept_failure_logged = Some(now);
                        log::warn!(
                            "http: cannot accept connections, tries on: {error}; is the limit of open files too low?"
                        );
                    }
                    self.accept_at = Some(now + ACCEPT_PAUSE);
                    return;
                }
            }
        }
        self.accept_at = Some(Instant::now());
    }

    fn welcome(&mut self, mut socket: TcpStream, address: SocketAddr) {
        let peer = address.ip().to_canonical();
        let limits = &self.shared.limits;
        let open = self.connections.len();
        let is_over = open >= limits.max_connections
            || (!peer.is_loopback() && self.connections_from(peer) >= limits.max_connections_per_address);
        if is_over && open >= limits.max_connections + TOLD_TO_WAIT {
            return;
        }
        // Each piece of an answer is one write and must not wait for the acknowledgement of the one before.
        let _ = socket.set_nodelay(true);
        let token = self.next_token;
        if let Err(error) = self.poll.registry().register(&mut socket, Token(token), Interest::READABLE) {
            log::warn!("http: cannot watch a connection: {error}");
            return;
        }
        self.next_token += 1;
        let mut connection = Connection::new(socket, peer, limits);
        if is_over && !connection.refuse(&Refusal::overloaded("The server has too many connections."), None) {
            return;
        }
        // Usually the request is there already.
        self.advance(token, connection);
    }

    /// Counted when needed rather than kept: a count that is not kept cannot go wrong.
    fn connections_from(&self, peer: IpAddr) -> usize {
        let own = network(peer);
        self.connections.values().filter(|connection| network(connection.peer) == own).count()
    }

    fn keep(&mut self, token: usize, connection: Connection) {
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
        match connection.advance(&mut self.scratch, &self.shared) {
            Step::Close => return,
            Step::Wait => {}
            Step::Again => self.again.push(token),
            Step::Dispatch(complete) => {
                if !self.dispatch(token, &mut connection, *complete) {
                    return;
                }
            }
            Step::Sent(end) => {
                if !self.go_on(&mut connection, end) {
                    return;
                }
                // Further requests may have been read before this one's answer was sent.
                self.again.push(token);
            }
        }
        self.keep(token, connection);
    }

    /// Hands a request to its lane, or refuses it. False when the connection is to be closed.
    fn dispatch(&mut self, token: usize, connection: &mut Connection, complete: Complete) -> bool {
        let Complete { request, admitted: Admitted { lane, answer }, is_11, keep_alive, body_share } = complete;
        let workers = match lane {
            Lane::Long => &mut self.long,
            Lane::Short => &mut self.short,
        };
        let Some(slot) = workers.admit() else {
            let busy = Refusal::overloaded("The server is busy; try again in a moment.");
            if !connection.refuse(&busy, Some(&request.id)) {
                return false;
            }
            self.again.push(token);
            return true;
        };
        let since = Instant::now();
        connection.begin_answer(Watched { cancel: request.cancel.clone(), lane, since, is_last: !keep_alive });
        let exchange = Exchange {
            socket: connection.socket.clone(),
            token,
            lane,
            id: request.id.clone(),
            is_11,
            head_only: request.method == "HEAD",
            keep_alive,
            headers: Vec::new(),
            cancel: request.cancel.clone(),
            shared: self.shared.clone(),
            slot: Some(slot),
            body_share: Some(body_share),
            end: End::Cut,
            unsent: Vec::new(),
        };
        match workers.submit(Job { request, responder: Responder::new(exchange), answer }) {
            Ok(()) => true,
            Err(job) => {
                job.responder.abandon();
                connection.refuse(&Refusal::overloaded("The server is busy; try again in a moment."), None)
            }
        }
    }

    /// A worker is done with a connection.
    fn take_back(&mut self, token: usize, end: End, unsent: Vec<u8>) {
        let Some(mut connection) = self.connections.remove(&token) else { return };
        // Not answering: the front refused it itself when no worker could be had.
        if connection.is_answering() {
            let stays = match unsent.is_empty() {
                true => self.go_on(&mut connection, end),
                false => self.watch_room(token, &mut connection, end, unsent),
            };
            if !stays {
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
            End::Close => connection.begin_close(),
            End::KeepAlive if self.stopping.is_some() => false,
            End::KeepAlive => {
                connection.await_next(&self.shared.limits);
                true
            }
        }
    }

    /// Sends the rest of an answer whenever the socket has room. It is watched for room from then on: to its end that costs
    /// nothing as long as there is.
    fn watch_room(&mut self, token: usize, connection: &mut Connection, end: End, unsent: Vec<u8>) -> bool {
        let descriptor = connection.socket.as_raw_fd();
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().reregister(&mut SourceFd(&descriptor), Token(token), interest) {
            log::warn!("http: cannot watch a connection: {error}");
            return false;
        }
        connection.begin_sending(unsent, end, &self.shared.limits);
        true
    }

    /// Ends the patience with those whose deadline has passed.
    fn sweep(&mut self, now: Instant) {
        self.sweep_at = None;
        let is_due = |connection: &Connection| connection.deadline.is_some_and(|deadline| deadline <= now);
        let due: Vec<usize> =
            self.connections.iter().filter(|(_, connection)| is_due(connection)).map(|(token, _)| *token).collect();
        for token in due {
            if let Some(mut connection) = self.connections.remove(&token)
                && connection.time_out()
            {
                self.connections.insert(token, connection);
            }
        }
        let next = self.connections.values().filter_map(|connection| connection.deadline).min();
        self.sweep_at = next.map(|next| next.max(now + SWEEP));
    }

    fn stop_accepting(&mut self, limit: Duration) {
        self.listener = None;
        self.accept_at = None;
        self.stopping = Some(Stopping::Draining(Instant::now() + limit));
        // Idle, or with a request that has not arrived whole: no answer is owed.
        self.connections.retain(|_, connection| connection.is_owed());
    }

    /// Moves a stop on; says whether the front may end.
    fn is_over(&mut self, now: Instant) -> bool {
        // Those that only wait for the client to close have all their bytes with the kernel already.
        let answering = self.connections.values().filter(|connection| connection.is_owed());
        let running = answering.clone().count();
        match self.stopping {
            None => return false,
            _ if running == 0 => return true,
            Some(Stopping::Draining(until)) if now >= until => {
                self.cut = running;
                answering.filter_map(Connection::cancel).for_each(CancelToken::stop);
                self.stopping = Some(Stopping::Cancelled(now + LAST_WORDS));
            }
            Some(Stopping::Cancelled(until)) if now >= until => {
                for connection in answering {
                    let _ = connection.socket.shutdown(Shutdown::Both);
                }
                self.stopping = Some(Stopping::Cut(now + LAST_WORDS));
            }
            Some(Stopping::Cut(until)) if now >= until => return true,
            Some(_) => {}
        }
        false
    }
}
