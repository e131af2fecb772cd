//! Ends a blocking wait for Google within a quarter of a second after the client hung up.
//!
//! ureq has no way to cancel one call, so this sits between its TCP and TLS layers (docs/crates.md "ureq: cancelling a
//! call"): a wait for input is cut into short slices, and between them the token of the request that this thread serves
//! is looked at. While data flows nothing is added, not even a system call, because the slice length stays the same.

use crate::http::CancelToken;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::time::{Duration, Instant};
use ureq::unversioned::transport::time::Duration as Limit;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Error, Timeout};

/// How long a wait can go on before the token is looked at.
const SLICE: Duration = Duration::from_millis(250);

thread_local! {
    static CURRENT: RefCell<Option<CancelToken>> = const { RefCell::new(None) };
}

/// While this lives, calls to Google on this thread end when the token is cancelled. Scopes nest.
#[derive(Debug)]
pub struct Scope {
    outer: Option<CancelToken>,
    /// Must be dropped on the thread that made it.
    _here: PhantomData<*const ()>,
}

/// Binds calls to Google on this thread to the token until the result is dropped.
pub fn scope(cancel: &CancelToken) -> Scope {
    Scope { outer: CURRENT.replace(Some(cancel.clone())), _here: PhantomData }
}

impl Drop for Scope {
    fn drop(&mut self) {
        CURRENT.set(self.outer.take());
    }
}

/// Whether the request that this thread works for is cancelled.
pub fn cancelled() -> bool {
    CURRENT.with_borrow(|cancel| cancel.as_ref().is_some_and(CancelToken::is_cancelled))
}

/// Wraps what the connectors before it made.
#[derive(Debug, Default)]
pub(super) struct CancelConnector;

impl<In: Transport> Connector<In> for CancelConnector {
    type Out = Cancellable<In>;

    fn connect(&self, _: &ConnectionDetails, chained: Option<In>) -> Result<Option<Cancellable<In>>, Error> {
        Ok(chained.map(Cancellable))
    }
}

/// A transport whose waits can be cancelled.
#[derive(Debug)]
pub(super) struct Cancellable<T>(T);

impl<T: Transport> Transport for Cancellable<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if cancelled() {
            return Err(cancelled_error());
        }
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let whole = timeout.for_read();
        let begin = Instant::now();
        loop {
            if cancelled() {
                return Err(cancelled_error());
            }
            let left = match whole.after {
                Limit::NotHappening => SLICE,
                Limit::Exact(limit) => limit.saturating_sub(begin.elapsed()),
            };
            if left.is_zero() {
                return Err(Error::Timeout(whole.reason));
            }
            let slice = NextTimeout {
                after: Limit::Exact(left.min(SLICE)),
                reason: Timeout::PerRead,
                per_read: None,
                per_write: timeout.per_write,
            };
            match self.0.await_input(slice) {
                Err(Error::Timeout(Timeout::PerRead)) => continue,
                other => return other,
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}

/// The error of a cancelled call. Not of kind `Interrupted`: readers repeat those.
#[derive(Debug)]
struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl std::error::Error for Cancelled {}

fn cancelled_error() -> Error {
    Error::Io(io::Error::new(io::ErrorKind::ConnectionAborted, Cancelled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_nest_and_end() {
        let (outer, inner) = (CancelToken::default(), CancelToken::default());
        assert!(!cancelled());
        let outer_scope = scope(&outer);
        outer.cancel();
        assert!(cancelled());
        let inner_scope = scope(&inner);
        assert!(!cancelled());
        drop(inner_scope);
        assert!(cancelled());
        drop(outer_scope);
        assert!(!cancelled());
    }
}
