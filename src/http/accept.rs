//! What the front must know of the errors and addresses that accepting gives it.

use std::io;
use std::net::IpAddr;

/// Whether only one connection failed (accept(2) lists these), rather than accepting as such: then the usual reason is
/// that descriptors or memory are short, and only waiting helps.
pub(super) fn is_lost(error: &io::Error) -> bool {
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
