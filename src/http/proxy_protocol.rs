//! The PROXY protocol: the line or block in which a proxy says whose connection it passes on, before the first byte of it
//! (HAProxy's proxy-protocol.txt, versions 1 and 2). Pure: no socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What [`read`] needs at most. Version 2 with addresses of Unix sockets takes 232; what proxies add may be longer, such as
/// the certificate of a client. nginx takes as much.
pub(super) const LONGEST: usize = 4096;
const LONGEST_LINE: usize = 107;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// They may become a header.
    Partial,
    /// A header of this length. It may name nobody: then the proxy speaks for itself, or does not know.
    Header(usize, Option<IpAddr>),
    Wrong,
}

pub(super) fn read(bytes: &[u8]) -> Found {
    let begins = |mark: &[u8]| bytes.iter().zip(mark).all(|(byte, expected)| byte == expected);
    let found = if begins(SIGNATURE) {
        block(bytes)
    } else if begins(b"PROXY ") {
        line(bytes)
    } else {
        None
    };
    found.unwrap_or(Found::Wrong)
}

/// Version 2; `None`: wrong.
fn block(bytes: &[u8]) -> Option<Found> {
    if bytes.get(12).is_some_and(|version| version >> 4 != 2) {
        return None;
    }
    let Some((head, rest)) = bytes.split_at_checked(16) else { return Some(Found::Partial) };
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if 16 + length > LONGEST {
        return None;
    }
    let Some(told) = rest.get(..length) else { return Some(Found::Partial) };
    let source = match (head[12] & 15, head[13] >> 4) {
        // LOCAL: the proxy's own connection, to see whether this server lives.
        (0, _) => None,
        (1, 1) => Some(Ipv4Addr::from(*told.get(..12)?.first_chunk::<4>()?).into()),
        (1, 2) => Some(Ipv6Addr::from(*told.get(..36)?.first_chunk::<16>()?).into()),
        (1, 0 | 3) => None,
        _ => return None,
    };
    Some(Found::Header(16 + length, source))
}

/// Version 1; `None`: wrong.
fn line(bytes: &[u8]) -> Option<Found> {
    let Some(end) = bytes.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') else {
        return (bytes.len() < LONGEST_LINE).then_some(Found::Partial);
    };
    let text = str::from_utf8(&bytes[..end]).ok()?.strip_suffix('\r')?;
    let words: Vec<&str> = text.split(' ').collect();
    let source: Option<IpAddr> = match words[..] {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family @ ("TCP4" | "TCP6"), source, target, from, to] => {
            let read = |text: &str| text.parse::<IpAddr>().ok().filter(|it| it.is_ipv4() == (family == "TCP4"));
            // Zeros before a number are not allowed (section 2.1).
            let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port.to_string() == text);
            if read(target).is_none() || !is_port(from) || !is_port(to) {
                return None;
            }
            Some(read(source)?)
        }
        _ => return None,
    };
    Some(Found::Header(end + 1, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_of(version_and_command: u8, family: u8, told: &[u8]) -> Vec<u8> {
        let length = u16::try_from(told.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[version_and_command, family], &length, told].concat()
    }

    #[test]
    fn a_header_says_whose_connection_it_is() {
        let four = [&[192, 0, 2, 7, 127, 0, 0, 1][..], &[1, 2, 3, 4]].concat();
        let six = [&Ipv6Addr::from_bits(0x2001_0db8 << 96 | 7).octets()[..], &[0; 16], &[1, 2, 3, 4]].concat();
        let with_more = [&four[..], b"\x04\x00\x01\x00"].concat();
        let cases: Vec<(Vec<u8>, Option<Option<&str>>)> = vec![
            (b"PROXY TCP4 192.0.2.7 127.0.0.1 56324 443\r\n".into(), Some(Some("192.0.2.7"))),
            (b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\n".into(), Some(Some("2001:db8::7"))),
            (b"PROXY UNKNOWN\r\n".into(), Some(None)),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".into(), Some(None)),
            (block_of(0x21, 0x11, &four), Some(Some("192.0.2.7"))),
            (block_of(0x21, 0x11, &with_more), Some(Some("192.0.2.7"))),
            (block_of(0x21, 0x21, &six), Some(Some("2001:db8::7"))),
            // A thing of a type that nobody knows, and one that says it is longer than the block.
            (block_of(0x21, 0x11, &[&four[..], b"\xe0\x00\x02ab\x02\xff\xffx"].concat()), Some(Some("192.0.2.7"))),
            (block_of(0x21, 0x12, &four), Some(Some("192.0.2.7"))),
            (block_of(0x21, 0x31, &[0; 216]), Some(None)),
            (block_of(0x21, 0x01, &four), Some(None)),
            (block_of(0x20, 0xff, b"\x04\x00\x01\x00"), Some(None)),
            (block_of(0x21, 0x00, b""), Some(None)),
            (block_of(0x20, 0x00, b""), Some(None)),
            (block_of(0x20, 0x11, &four), Some(None)),
            (b"PROXY TCP4 192.0.2.7 127.0.0.1 56324 443\n".into(), None),
            (b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n".into(), None),
            (b"PROXY TCP6 192.0.2.7 127.0.0.1 1 2\r\n".into(), None),
            (b"PROXY TCP4 192.0.2.7 127.0.0.1 1 65536\r\n".into(), None),
            (b"PROXY TCP4 192.0.2.7 127.0.0.1 +1 2\r\n".into(), None),
            (b"PROXY TCP4 192.0.2.7 127.0.0.1 01 2\r\n".into(), None),
            (b"PROXY TCP4 192.0.2.07 127.0.0.1 1 2\r\n".into(), None),
            (b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n".into(), None),
            (b"PROXY TCP6 [2001:db8::7] ::1 1 2\r\n".into(), None),
            (b"PROXY tcp4 192.0.2.7 127.0.0.1 1 2\r\n".into(), None),
            (b"PROXY UNKNOWNS\r\n".into(), None),
            ([&b"PROXY UNKNOWN "[..], &[b'x'; 91], b"\r\n"].concat(), Some(None)),
            ([&b"PROXY UNKNOWN "[..], &[b'x'; 92], b"\r\n"].concat(), None),
            (b"PROXY TCP4 192.0.2.7 127.0.0.1 1\r\n".into(), None),
            (b"PROXY TCP4  192.0.2.7 127.0.0.1 1 2\r\n".into(), None),
            (b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2 3\r\n".into(), None),
            (b"PROXY UDP4 192.0.2.7 127.0.0.1 1 2\r\n".into(), None),
            (b"PROXY \r\n".into(), None),
            (b"proxy UNKNOWN\r\n".into(), None),
            (b"GET / HTTP/1.1\r\n".into(), None),
            (b"\x16\x03\x01".into(), None),
            ([&b"PROXY UNKNOWN "[..], &[b'x'; 200], b"\r\n"].concat(), None),
            (block_of(0x11, 0x11, &four), None),
            (block_of(0x22, 0x11, &four), None),
            (block_of(0x21, 0x11, &four[..8]), None),
            (block_of(0x21, 0x21, &four), None),
            (block_of(0x21, 0x41, &four), None),
            // The certificate of a client, in a thing of its own.
            (
                block_of(0x21, 0x11, &[&four[..], b"\x20\x0b\xbb\x07\0\0\0\0\x28\x0b\xb3", &[7; 2995]].concat()),
                Some(Some("192.0.2.7")),
            ),
            (block_of(0x21, 0x11, &[0; 4081]), None),
            (block_of(0x21, 0x11, &[0; 65535]), None),
            (block_of(0x20, 0x00, &[0; 65535]), None),
            (block_of(0x21, 0x32, &[0; 216]), Some(None)),
            (block_of(0x21, 0x22, &six), Some(Some("2001:db8::7"))),
            (block_of(0x2f, 0x11, &four), None),
        ];
        for (bytes, expected) in cases {
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            let with_request = [&bytes[..], b"GET / HTTP/1.1\r\n"].concat();
            let wanted = match expected {
                None => Found::Wrong,
                Some(source) => Found::Header(bytes.len(), source.map(|source| source.parse().unwrap())),
            };
            assert_eq!(read(&with_request), wanted, "{shown:?}");
            for cut in 0..bytes.len() {
                let found = read(&bytes[..cut]);
                assert!(found == Found::Partial || wanted == Found::Wrong && found == wanted, "{shown:?} at {cut}");
            }
        }
    }
}
