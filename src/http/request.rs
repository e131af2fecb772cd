//! A complete request as the handlers see it: no socket in it, so a test builds one by hand.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request whose body has arrived whole.
#[derive(Debug)]
pub struct Request {
    /// `X-Request-ID`: the client's, when it is 1 to 128 visible ASCII characters, else a fresh UUID.
    pub id: String,
    /// Upper case, as sent: `GET`, `POST`, ...
    pub method: String,
    /// The path of the target, still percent-encoded, without query; begins with `/`.
    pub path: String,
    /// The query, still encoded, without `?`; empty when there is none.
    pub query: String,
    /// All header fields.
    pub headers: Headers,
    /// The decoded body, empty when there is none.
    pub body: Vec<u8>,
    /// The peer's address, IPv4-mapped IPv6 made plain IPv4.
    pub peer: IpAddr,
    /// Set when the client hung up while its answer is being made.
    pub gone: Gone,
}

/// Header fields in the order they came. Names compare without case.
#[derive(Clone, Debug, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Adds a field.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All values of `name`, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every field.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Says that nobody waits for the answer any more. Cheap to clone; every clone sees the same flag.
#[derive(Clone, Debug, Default)]
pub struct Gone(Arc<AtomicBool>);

impl Gone {
    /// Whether the client is gone.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Marks the client as gone.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}
