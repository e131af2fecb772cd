//! Binding, starting and stopping.

use super::{Request, Responder};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

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
            max_body: 20 * 1024 * 1024,
            body_budget: 64 * 1024 * 1024,
            head_timeout: Duration::from_secs(15),
            body_idle_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
        }
    }
}

/// What answers requests: called on a worker thread, once per request. A panic in it is caught and answered with 500.
pub type Handler = dyn Fn(Request, Responder) + Send + Sync;

/// Chooses the lane from method and path (without query).
pub type LaneOf = fn(method: &str, path: &str) -> Lane;

/// A bound listener that does not accept yet.
pub struct Server {
    _todo: (),
}

impl Server {
    /// Binds `host:port` with a backlog of 1024 (`0.0.0.0` and `::` as usual; `::` is dual-stack). Port 0 takes a free one.
    pub fn bind(_host: &str, _port: u16, _limits: Limits) -> io::Result<Server> {
        todo!()
    }

    /// The address that was bound.
    pub fn local_addr(&self) -> SocketAddr {
        todo!()
    }

    /// Starts the front, both lanes and the keep-alive thread.
    pub fn start(self, _lane: LaneOf, _handler: Arc<Handler>) -> io::Result<Running> {
        todo!()
    }
}

/// A server that accepts and answers.
pub struct Running {
    _todo: (),
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
    /// Figures of this moment.
    pub fn snapshot(&self) -> Snapshot {
        todo!()
    }

    /// Stops accepting, closes idle connections, lets running answers finish for at most `limit`, then cuts them (their
    /// gone flags are set first), and joins all threads. Returns how many answers had to be cut.
    pub fn stop(self, _limit: Duration) -> usize {
        todo!()
    }
}
