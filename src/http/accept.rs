//! The listening socket, and what the errors and addresses mean that it gives.

use super::seldom::Seldom;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How long to leave the listener alone when accepting fails.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Acceptor {
    listener: TcpListener,
    /// When to accept without being told: the poll tells of each new connection only once.
    pub(super) due: Option<Instant>,
    failures: Seldom,
}

impl Acceptor {
    /// Has the listener watched under the name `token`.
    pub(super) fn new(listener: std::net::TcpListener, registry: &Registry, token: Token) -> io::Result<Acceptor> {
        let mut listener = TcpListener::from_std(listener);
        registry.register(&mut listener, token, Interest::READABLE)?;
        Ok(Acceptor { listener, due: None, failures: Seldom::default() })
    }

    /// The next connection that waits, if there is one and it can be had.
    pub(super) fn next(&mut self) -> Option<(TcpStream, SocketAddr)> {
        loop {
            match self.listener.accept() {
                Ok(accepted) => return Some(accepted),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // The next one may be well.
                Err(error) if is_lost(&error) => log::debug!("http: a connection was lost before its accept: {error}"),
                Err(error) => {
                    if self.failures.is_due() {
                        log::warn!(
                            "http: cannot accept connections, tries on: {error}; is the limit of open files too low?"
                        );
                    }
                    self.due = Some(Instant::now() + PAUSE);
                    return None;
                }
            }
        }
    }
}

/// Whether only one connection failed (accept(2) lists these), rather than accepting as such: then the usual reason is
/// that descriptors or memory are short, and only waiting helps.
fn is_lost(error: &io::Error) -> bool {
    let lost = [
        libc::ECONNABORTED,
        libc::EINTR,
        libc::EPROTO,
        libc::EPERM,
        libc::ENETDOWN,
        libc::ENOPROTOOPT,
        libc::EHOSTDOWN,
        libc::EHOSTUNREACH,
        libc::ENETUNREACH,
        libc::EOPNOTSUPP,
    ];
    error.raw_os_error().is_some_and(|code| lost.contains(&code))
}

/// What counts as one address: a host usually has a whole /64 of IPv6.
pub(super) fn network(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_host_counts_with_its_whole_network() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn only_errors_of_a_single_connection_are_skipped() {
        let of = |code| is_lost(&io::Error::from_raw_os_error(code));
        assert!(of(libc::ECONNABORTED) && of(libc::EINTR));
        assert!(!of(libc::EMFILE) && !of(libc::ENFILE) && !of(libc::ENOMEM) && !of(libc::EINVAL));
    }
}
