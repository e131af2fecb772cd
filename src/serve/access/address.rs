//! Whose address a request counts for: the peer's, or the one that proxies which are trusted name.

use crate::config::Network;
use crate::http::Request;
use std::net::{IpAddr, Ipv6Addr};

/// The nearest address that is no trusted proxy's. Each proxy adds the one from which it was asked at the end of
/// `X-Forwarded-For`, so the list is read from its end, and what stands before the first stranger is only claimed by him.
/// Where there is none, `Forwarded` is read in the same way (RFC 7239).
pub(super) fn of(request: &Request, trusted: &[Network]) -> IpAddr {
    let mut nearest = request.peer;
    let all = |name| request.headers.all(name).collect::<Vec<&str>>();
    let (lists, read): (_, fn(&str) -> Option<IpAddr>) = match all("x-forwarded-for") {
        none if none.is_empty() => (all("forwarded"), read_pairs),
        lists => (lists, read),
    };
    for named in lists.iter().rev().flat_map(|list| list.rsplit(',')) {
        let Some(address) = Some(named).filter(|_| is_trusted(nearest, trusted)).and_then(read) else { break };
        nearest = address;
    }
    nearest
}

pub(super) fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// The node behind `for`. No node has a comma, so a list is cut at each of them: a quotation mark that a client leaves open
/// hides nothing of what proxies add.
fn read_pairs(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for")).and_then(|(_, node)| read(node))
}

/// An address, maybe with a port, as some proxies write it.
fn read(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None if text.matches(':').count() == 1 => text.split(':').next()?,
        None => text,
    };
    // The zone of a link-local address says which network card a machine has it from.
    let bare = bare.split('%').next()?;
    bare.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// What is braked together: an IPv6 host owns a /64 at least.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_address_that_no_trusted_proxy_has_counts() {
        let trusting = |text: &str| crate::config::parse(text).unwrap().config.trusted_proxies;
        let (default, wide) = (trusting("{}"), trusting(r#"{"trusted_proxies":["127.0.0.1","10.0.0.0/8"]}"#));
        for (peer, lists, trusted, expected) in [
            ("127.0.0.1", vec![], &default, "127.0.0.1"),
            ("127.0.0.1", vec!["203.0.113.7"], &default, "203.0.113.7"),
            ("127.0.0.1", vec!["1.1.1.1, 203.0.113.7"], &default, "203.0.113.7"),
            ("127.0.0.1", vec!["1.1.1.1", "203.0.113.7:4711"], &default, "203.0.113.7"),
            ("127.0.0.1", vec!["203.0.113.7, ::1"], &default, "203.0.113.7"),
            ("127.0.0.1", vec!["[2001:db8::1]:80"], &default, "2001:db8::1"),
            ("127.0.0.1", vec!["[2001:db8::1]"], &default, "2001:db8::1"),
            ("127.0.0.1", vec!["2001:db8::1"], &default, "2001:db8::1"),
            ("127.0.0.1", vec!["\"[2001:db8::1]:80\""], &default, "2001:db8::1"),
            ("127.0.0.1", vec!["fe80::1%eth0"], &default, "fe80::1"),
            ("127.0.0.1", vec!["1.1.1.1, [fe80::1%25eth0]:80"], &default, "fe80::1"),
            ("127.0.0.1", vec!["::ffff:203.0.113.7"], &default, "203.0.113.7"),
            ("127.0.0.1", vec!["203.0.113.7, ::ffff:127.0.0.1"], &default, "203.0.113.7"),
            ("127.0.0.1", vec!["203.0.113.7, [2001:db8::1"], &default, "2001:db8::1"),
            ("127.0.0.1", vec!["203.0.113.7, "], &default, "127.0.0.1"),
            ("127.0.0.1", vec!["203.0.113.7, unknown"], &default, "127.0.0.1"),
            ("127.0.0.1", vec!["203.0.113.7, 10.0.0.2"], &default, "10.0.0.2"),
            ("198.51.100.1", vec!["203.0.113.7"], &default, "198.51.100.1"),
            ("10.0.0.1", vec!["1.1.1.1, 203.0.113.7, 10.0.0.2"], &wide, "203.0.113.7"),
            ("10.0.0.1", vec!["10.0.0.3, 10.0.0.2"], &wide, "10.0.0.3"),
        ] {
            let fields: Vec<(&str, &str)> = lists.iter().map(|list| ("X-Forwarded-For", *list)).collect();
            let request = Request { peer: peer.parse().unwrap(), ..Request::sample("GET", "/", &fields) };
            assert_eq!(of(&request, trusted), expected.parse::<IpAddr>().unwrap(), "{peer} {lists:?}");
        }
    }

    #[test]
    fn forwarded_is_read_where_nothing_else_tells() {
        let trusted = crate::config::parse("{}").unwrap().config.trusted_proxies;
        let forwarded = |list| ("Forwarded", list);
        for (fields, expected) in [
            (vec![forwarded("for=203.0.113.7")], "203.0.113.7"),
            (vec![forwarded("For=\"203.0.113.7:4711\";proto=https;by=127.0.0.1")], "203.0.113.7"),
            (vec![forwarded("proto=https; for=\"[2001:db8:cafe::17]:4711\"")], "2001:db8:cafe::17"),
            (vec![forwarded("for=1.1.1.1, for=203.0.113.7")], "203.0.113.7"),
            (vec![forwarded("for=1.1.1.1"), forwarded("for=203.0.113.7, for=\"[::1]\"")], "203.0.113.7"),
            // Who is hidden is nobody, and counts as the proxy that hides him.
            (vec![forwarded("for=1.1.1.1, for=_hidden")], "127.0.0.1"),
            (vec![forwarded("for=1.1.1.1, for=\"_SEVKISEK\"")], "127.0.0.1"),
            (vec![forwarded("for=1.1.1.1, for=unknown;proto=http")], "127.0.0.1"),
            (vec![forwarded("for=1.1.1.1, proto=http")], "127.0.0.1"),
            (vec![forwarded("for=1.1.1.1, ")], "127.0.0.1"),
            (vec![forwarded("by=203.0.113.7")], "127.0.0.1"),
            (vec![forwarded("for=\"1.1.1.1, for=203.0.113.7")], "203.0.113.7"),
            (vec![forwarded("for=\"\\\"1.1.1.1\\\", for=203.0.113.7")], "203.0.113.7"),
            (vec![forwarded("for=1.1.1.1"), ("X-Forwarded-For", "203.0.113.7")], "203.0.113.7"),
            (vec![forwarded("for=1.1.1.1"), ("X-Forwarded-For", "unknown")], "127.0.0.1"),
        ] {
            let request = Request { peer: "127.0.0.1".parse().unwrap(), ..Request::sample("GET", "/", &fields) };
            assert_eq!(of(&request, &trusted), expected.parse::<IpAddr>().unwrap(), "{fields:?}");
        }
        let request = Request {
            peer: "198.51.100.1".parse().unwrap(),
            ..Request::sample("GET", "/", &[forwarded("for=203.0.113.7")])
        };
        assert_eq!(of(&request, &trusted), request.peer, "a stranger is not believed");
    }
}
