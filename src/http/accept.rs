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
    /// When nothing is accepted any more.
    pub(super) ends: Option<Instant>,
    failures: Seldom,
}

impl Acceptor {
    /// Has the listener watched under the name `token`.
    pub(super) fn new(listener: std::net::TcpListener, registry: &Registry, token: Token) -> io::Result<Acceptor> {
        let mut listener = TcpListener::from_std(listener);
        registry.register(&mut listener, token, Interest::READABLE)?;
        Ok(Acceptor { listener, due: None, ends: None, failures: Seldom::default() })
    }

    /// From now on nobody new may connect; who has begun to may come to its end for so long, where the system can tell the
    /// two apart. Closing at once would reset those: they are connected for whoever is at the other end, and may have asked.
    pub(super) fn end(&mut self, patience: Duration) {
        let is_closed = !patience.is_zero() && refuse_to_begin(&self.listener).is_ok();
        self.ends = Some(Instant::now() + if is_closed { patience } else { Duration::ZERO });
    }

    /// Whether the time to accept is over.
    pub(super) fn has_ended(&self, now: Instant) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
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

/// The kernel drops each packet that asks for a new connection: a filter that looks at the flags of its TCP header.
#[cfg(target_os = "linux")]
fn refuse_to_begin(listener: &TcpListener) -> io::Result<()> {
    use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_B, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET};
    use socket2::{SockFilter, SockRef};
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    let step = |code: u32, no: u8, k: u32| SockFilter::new(u16::try_from(code).unwrap_or_default(), 0, no, k);
    SockRef::from(listener).attach_filter(&[
        step(BPF_LD | BPF_B | BPF_ABS, 0, FLAGS),
        step(BPF_ALU | BPF_AND | BPF_K, 0, SYN | ACK),
        step(BPF_JMP | BPF_JEQ | BPF_K, 1, SYN),
        step(BPF_RET | BPF_K, 0, 0),
        step(BPF_RET | BPF_K, 0, u32::MAX),
    ])
}

#[cfg(not(target_os = "linux"))]
fn refuse_to_begin(_: &TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
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
