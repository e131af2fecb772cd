//! Binding, starting and stopping.

use super::caller::Caller;
use super::counters::Counter;
use super::date::Date;
use super::event_writer::Stream;
use super::exchange::Message;
use super::front::{Ended, Front, WAKE};
use super::keep_alive::{self, Watch};
use super::seldom::Seldom;
use super::workers::{Load, Workers};
use super::{Certificates, Refusal, Request, Responder, Response};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use mio::{Poll, Registry, Waker};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Connections that the kernel completes before the front accepts them.
const LISTEN_BACKLOG: i32 = 1024;
/// How long [`Running::stop`] waits for handlers that do not heed the cancel token and whose socket is cut.
const STRAGGLERS: Duration = Duration::from_secs(1);
/// Between two servers a request follows its connection much sooner; whoever was heard of in this time may still ask.
const LAST_CHANCE: Duration = Duration::from_secs(1);
/// A year: what is longer may have no instant at its end.
const FOREVER: Duration = Duration::from_secs(365 * 86_400);

/// Which worker pool answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// May take minutes: generation.
    Long,
    /// Answers at once: health, lists, admin, preflight.
    Short,
}

/// Sizes and deadlines of the listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Threads of the long lane.
    pub workers: usize,
    /// Threads of the short lane.
    pub short_workers: usize,
    /// Requests that may wait for a worker, per lane.
    pub backlog: usize,
    /// Open client connections in all.
    pub max_connections: usize,
    /// Open client connections from one address (loopback is exempt: a reverse proxy lives there).
    pub max_connections_per_address: usize,
    /// Largest request head in bytes.
    pub max_head: usize,
    /// Largest request body in bytes.
    pub max_body: usize,
    /// Bytes of request bodies held in all.
    pub body_budget: usize,
    /// From the first byte of a head to its end.
    pub head_timeout: Duration,
    /// Longest silence while a body arrives.
    pub body_idle_timeout: Duration,
    /// From the end of the head to the end of the body.
    pub body_timeout: Duration,
    /// How long a kept-alive connection may be silent.
    pub idle_timeout: Duration,
    /// How long one write may wait for a client that does not read.
    pub write_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            workers: 256,
            short_workers: 2,
            backlog: 64,
            max_connections: 768,
            max_connections_per_address: 256,
            max_head: 32 * 1024,
            // Google takes 20 MiB of inline media; the JSON around it needs some room.
            max_body: 32 * 1024 * 1024,
            body_budget: 64 * 1024 * 1024,
            head_timeout: Duration::from_secs(15),
            body_idle_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
        }
    }
}

/// What becomes of a request whose head was judged good.
pub struct Admitted {
    /// Who answers it.
    pub lane: Lane,
    /// Whose request it is: the peer's, or that of whom a proxy asks for.
    pub address: IpAddr,
    /// Nobody knows who sends it: its body is waited for only while there is room.
    pub is_of_stranger: bool,
    /// Whose it is, of what all callers share.
    pub caller: Caller,
    /// There is no other caller who could want a part.
    pub is_alone: bool,
    /// How what the front has to refuse from now on reads in the dialect of the request.
    pub refuse: Box<dyn Fn(&Refusal) -> Response + Send>,
    /// Answers it, on a worker thread, once its body has come. A panic is caught and answered with 500.
    pub answer: Box<dyn FnOnce(Request, Responder) + Send>,
}

/// Judges each request once, when its head has come and nothing of its body was read (the body is empty). What it refuses
/// is answered at once. Runs on the front thread, so it must not block.
pub type Judge = dyn Fn(&Request) -> Result<Admitted, Response> + Send + Sync;

/// Whether a proxy at this address speaks for many clients, and its word on them counts.
pub type Trusts = dyn Fn(IpAddr) -> bool + Send + Sync;

/// What the front, the workers and the keep-alive thread have in common.
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) judge: Box<Judge>,
    pub(super) trusts: Box<Trusts>,
    /// Every connection begins with a header of the PROXY protocol.
    pub(super) proxied: bool,
    /// Every connection is encrypted.
    pub(super) certificates: Option<Arc<Certificates>>,
    /// Bytes of request bodies held in all.
    pub(super) body_bytes: Counter,
    /// Requests under way.
    pub(super) requests: Counter,
    /// Open client connections.
    pub(super) connections: AtomicUsize,
    pub(super) date: Date,
    /// When it was last told that somebody speaks something else than HTTP.
    pub(super) foreign: Seldom,
    /// Answers are the last of their connections, and soon nothing will be accepted any more.
    leaving: AtomicBool,
    to_front: Sender<Message>,
    waker: Waker,
    /// The front's poll.
    pub(super) registry: Registry,
    watches: Sender<Watch>,
}

impl Shared {
    /// Whether answers must be the last of their connections.
    pub(super) fn is_stopping(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// Sends and wakes. When the front has ended there is nobody left to tell.
    pub(super) fn tell_front(&self, message: Message) {
        if self.to_front.send(message).is_ok()
            && let Err(error) = self.waker.wake()
        {
            log::error!("http: cannot wake the front: {error}");
        }
    }

    /// Puts a stream under the watch of the keep-alive thread.
    pub(super) fn watch_silence(&self, stream: Weak<Mutex<Stream>>) {
        // The thread outlives all requests; after it nothing needs a ping.
        let _ = self.watches.send(Watch::Stream(stream));
    }
}

/// A bound listener that does not accept yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
    trusts: Box<Trusts>,
    proxied: bool,
    certificates: Option<Arc<Certificates>>,
}

impl Server {
    /// Binds `host:port` with a backlog of 1024 (`0.0.0.0` and `::` as usual; `::` is dual-stack). Port 0 takes a free one.
    /// `host` may be a name; the first of its addresses that can be bound is taken. Errors are the system's.
    pub fn bind(host: &str, port: u16, limits: Limits) -> io::Result<Server> {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let mut failure = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
        for address in (host, port).to_socket_addrs()? {
            match listen(address) {
                Ok(listener) => {
                    let (address, trusts) = (listener.local_addr()?, Box::new(|_| false));
                    return Ok(Server { listener, address, limits, trusts, proxied: false, certificates: None });
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The address that was bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Speaks TLS.
    pub fn with_tls(self, certificates: Arc<Certificates>) -> Server {
        Server { certificates: Some(certificates), ..self }
    }

    /// Says which proxies speak for many. With `proxied` nobody else is served, and they must say whose connection each is,
    /// by the PROXY protocol.
    pub fn behind(self, trusts: Box<Trusts>, proxied: bool) -> Server {
        Server { trusts, proxied, ..self }
    }

    /// Starts the front, both lanes and the keep-alive thread. Workers are started when first needed.
    pub fn start(self, judge: Box<Judge>) -> io::Result<Running> {
        let Server { listener, address, limits, trusts, proxied, certificates } = self;
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let (to_front, messages) = unbounded();
        let (watches, watched) = unbounded();
        let (alive, all_ended) = unbounded();
        let (load, short_load) = (Load::default(), Load::default());
        let backlog = limits.backlog;
        let long = Workers::new("long", limits.workers, backlog, load.clone(), alive.clone());
        let short = Workers::new("short", limits.short_workers, backlog, short_load, alive);
        let shared = Arc::new(Shared {
            limits,
            judge,
            trusts,
            proxied,
            certificates,
            body_bytes: Counter::default(),
            requests: Counter::default(),
            connections: AtomicUsize::new(0),
            date: Date::default(),
            foreign: Seldom::default(),
            leaving: AtomicBool::new(false),
            to_front,
            waker,
            registry: poll.registry().try_clone()?,
            watches,
        });
        let front = Front::new(poll, listener, messages, shared.clone(), long, short)?;
        let keep_alive = Builder::new().name("keep-alive".into()).spawn(move || keep_alive::run(&watched))?;
        let front = Builder::new().name("front".into()).spawn(move || front.run())?;
        Ok(Running { address, shared, load, front, keep_alive, patience: Duration::ZERO, all_ended })
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Else a restart fails for a minute while old connections linger in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A server that accepts and answers. Dropped without [`Running::stop`] it goes on until the process ends.
pub struct Running {
    address: SocketAddr,
    shared: Arc<Shared>,
    load: Load,
    front: JoinHandle<Ended>,
    keep_alive: JoinHandle<()>,
    /// For requests of whom others have sent here.
    patience: Duration,
    /// Disconnected when the last worker has ended.
    all_ended: Receiver<()>,
}

/// Reads the server's figures. Cheap to clone.
#[derive(Clone)]
pub struct Gauge {
    shared: Arc<Shared>,
    load: Load,
}

impl Gauge {
    /// Whether the server is about to stop.
    pub fn is_leaving(&self) -> bool {
        self.shared.is_stopping()
    }

    /// Figures of this moment.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            connections: self.shared.connections.load(Ordering::Acquire),
            busy: self.load.busy(),
            queued: self.load.queued(),
            workers: self.shared.limits.workers,
        }
    }
}

/// Figures of a moment, for the admin page and metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Snapshot {
    /// Open client connections.
    pub connections: usize,
    /// Requests being answered on the long lane.
    pub busy: usize,
    /// Requests waiting for a worker of the long lane.
    pub queued: usize,
    /// Threads of the long lane.
    pub workers: usize,
}

impl Running {
    /// The address that was bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Figures of this moment.
    pub fn snapshot(&self) -> Snapshot {
        self.gauge().snapshot()
    }

    /// What reads the figures from elsewhere, also after the server has stopped.
    pub fn gauge(&self) -> Gauge {
        Gauge { shared: self.shared.clone(), load: self.load.clone() }
    }

    /// Says with each answer that it is the last of its connection, and goes on accepting for this time: whoever chooses
    /// among several servers can see it. Who connects nevertheless is answered, also behind the end of this time.
    pub fn leave(&mut self, time: Duration) {
        self.shared.leaving.store(true, Ordering::Release);
        if !time.is_zero() {
            self.patience = LAST_CHANCE;
        }
        // Workers outlast it, so this only waits.
        let _ = self.all_ended.recv_timeout(time);
    }

    /// Stops accepting, closes idle connections, lets requests that have begun to come arrive and running answers finish for at most `limit`, then cuts them (they
    /// are cancelled first, a second before the cut), and joins all threads. Returns how many answers had to be cut.
    ///
    /// A handler that heeds neither its cancel token nor a failed write is left behind after a further second, with a
    /// warning in the log: nothing can end a thread from outside.
    pub fn stop(mut self, limit: Duration) -> usize {
        self.leave(Duration::ZERO);
        self.shared.tell_front(Message::Stop { limit: limit.min(FOREVER), patience: self.patience });
        let ended = self.front.join().unwrap_or_else(|_| {
            log::error!("http: the front panicked");
            Ended::default()
        });
        if self.all_ended.recv_timeout(STRAGGLERS) == Err(RecvTimeoutError::Timeout) {
            log::warn!("http: a handler does not end; its thread is left behind");
        } else {
            for thread in ended.workers {
                // A worker catches its panics; were there one all the same, it has been printed.
                let _ = thread.join();
            }
        }
        let _ = self.shared.watches.send(Watch::Stop);
        let _ = self.keep_alive.join();
        ended.cut
    }
}
