//! From the bytes of a request head to a checked [`Head`], or the refusal the client gets. Pure: no socket, no clock.
//!
//! httparse does the grammar; what it leaves open and what decides where a request ends is decided here, strictly:
//! two readers that disagree about framing are how requests are smuggled (RFC 9112 section 11.2).

use super::Headers;
use super::chunked::is_field_byte;
use super::refusal::Refusal;
use super::target::{self, Target};

/// Longest request line in bytes.
pub(super) const MAX_REQUEST_LINE: usize = 16 * 1024;
/// Most header fields of a request.
const MAX_FIELDS: usize = 100;

/// How the body of a request is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// A request head that keeps every rule.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: String,
    /// Still percent-encoded; begins with `/`.
    pub(super) path: String,
    /// Without `?`.
    pub(super) query: String,
    pub(super) headers: Headers,
    /// HTTP/1.1, as opposed to 1.0.
    pub(super) is_11: bool,
    /// Whether the client allows a further request on this connection.
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    pub(super) framing: Framing,
}

/// Where the head in `buffer` ends, when the first `scanned` bytes are known to hold no end. A bare LF counts as a line
/// end here, so that a client that sends such lines is told so at once.
pub(super) fn end(buffer: &[u8], scanned: usize) -> Option<usize> {
    let mut at = scanned.saturating_sub(2);
    while let Some(offset) = memchr::memchr(b'\n', &buffer[at..]) {
        at += offset + 1;
        match buffer[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// Whether the first line of `buffer`, whole or not, is longer than allowed.
pub(super) fn request_line_is_too_long(buffer: &[u8]) -> bool {
    buffer.len() > MAX_REQUEST_LINE && !buffer[..MAX_REQUEST_LINE].contains(&b'\n')
}

/// Whether there is a first line, and it is none of a request, nor the rest of one: whoever sent it may wait for an answer.
pub(super) fn begins_without_version(buffer: &[u8]) -> bool {
    let line = memchr::memchr(b'\n', buffer).map(|end| &buffer[..end]);
    line.is_some_and(|line| !line.rsplit(|byte| *byte == b' ').next().is_some_and(|word| word.starts_with(b"HTTP/")))
}

/// Parses a whole head, empty line included.
pub(super) fn parse(bytes: &[u8]) -> Result<Head, Refusal> {
    check_line_ends(bytes)?;
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Refusal::bad_request("The request head is incomplete.")),
        Err(httparse::Error::Version) if names_other_version(bytes) => {
            return Err(Refusal::new(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here."));
        }
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Refusal::new(431, "The request has too many header fields."));
        }
        Err(httparse::Error::HeaderName | httparse::Error::HeaderValue) => {
            return Err(Refusal::bad_request("A header field of the request is malformed."));
        }
        Err(_) if bytes.starts_with(b"PROXY ") => return Err(Refusal::not_http()),
        Err(_) => return Err(Refusal::bad_request("The request line is malformed.")),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Refusal::bad_request("The request line is malformed."));
    };
    let is_11 = minor == 1;

    let mut headers = Headers::default();
    for field in parsed.headers.iter() {
        if !field.value.iter().all(|byte| is_field_byte(*byte)) {
            return Err(Refusal::bad_request("A header field of the request holds a control character."));
        }
        headers.push(field.name, text(field.value));
    }
    check_host(&headers, is_11)?;
    let framing = framing(&headers, is_11)?;
    let expects_continue = expectation(&headers)? && is_11;
    if method == "CONNECT" {
        return Err(Refusal::new(405, "This server is no forward proxy; CONNECT is not allowed."));
    }
    let Target { path, query, authority } = target::parse(method, target)?;
    if let Some(authority) = authority {
        // An absolute target says itself which host is meant (RFC 9112 section 3.2.2).
        headers.set("Host", authority);
    }
    let (path, query) = (path.into(), query.into());
    let keep_alive = is_11 && !headers.all("connection").any(|value| lists(value, "close"));
    Ok(Head { method: method.into(), path, query, headers, is_11, keep_alive, expects_continue, framing })
}

/// Every line ends with CRLF, and CR stands nowhere else; httparse would accept a bare LF.
fn check_line_ends(bytes: &[u8]) -> Result<(), Refusal> {
    let mut previous = 0;
    for &byte in bytes {
        if (byte == b'\n') != (previous == b'\r') {
            return Err(Refusal::bad_request("Lines of the request head must end with CRLF."));
        }
        previous = byte;
    }
    Ok(())
}

/// Whether the request line is well formed but for an HTTP version that is not ours.
fn names_other_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ').skip(2);
    let (Some(word), None) = (words.next(), words.next()) else { return false };
    match word.strip_prefix(b"HTTP/") {
        Some([major]) => major.is_ascii_digit(),
        Some([major, b'.', minor]) => major.is_ascii_digit() && minor.is_ascii_digit(),
        _ => false,
    }
}

/// Values are UTF-8 where they can be, else Latin-1, which HTTP/1.0 meant. Either is better than a silent close.
fn text(value: &[u8]) -> String {
    match str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().map(|byte| char::from(*byte)).collect(),
    }
}

fn check_host(headers: &Headers, is_11: bool) -> Result<(), Refusal> {
    let mut hosts = headers.all("host");
    match (hosts.next(), hosts.next()) {
        (None, _) if is_11 => Err(Refusal::bad_request("The Host header is missing.")),
        (_, Some(_)) => Err(Refusal::bad_request("There is more than one Host header.")),
        (Some(host), None) if !target::is_authority(host) => Err(Refusal::bad_request("The Host header is malformed.")),
        _ => Ok(()),
    }
}

fn framing(headers: &Headers, is_11: bool) -> Result<Framing, Refusal> {
    let mut lengths = headers.all("content-length");
    let length = lengths.next();
    if headers.get("transfer-encoding").is_some() {
        if length.is_some() {
            return Err(Refusal::bad_request("Transfer-Encoding and Content-Length exclude each other."));
        }
        if !is_11 {
            return Err(Refusal::bad_request("HTTP/1.0 has no Transfer-Encoding."));
        }
        return chunked(headers);
    }
    let Some(length) = length else { return Ok(Framing::None) };
    if lengths.next().is_some() {
        return Err(Refusal::bad_request("There is more than one Content-Length."));
    }
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::bad_request("The Content-Length is not a number."));
    }
    // Only digits, so the one thing that can go wrong is a number that no machine can hold, far beyond any limit.
    Ok(Framing::Length(length.parse().unwrap_or(u64::MAX)))
}

/// The transfer codings, which must be chunked alone. Where the last one is not chunked, nobody can tell where the body
/// ends (RFC 9112 section 6.3); it may be named once (section 6.1), and has no parameters (section 7.1). Empty elements of
/// the list are refused although they might be ignored: nobody sends them but to confuse two readers.
fn chunked(headers: &Headers) -> Result<Framing, Refusal> {
    let codings: Vec<&str> = headers.all("transfer-encoding").flat_map(|value| value.split(',')).map(trimmed).collect();
    let is_chunked = |coding: &&&str| coding.eq_ignore_ascii_case("chunked");
    if codings.contains(&"") || !codings.last().is_some_and(|last| is_chunked(&last)) {
        return Err(Refusal::bad_request("The last transfer coding must be chunked, without parameters."));
    }
    if codings.iter().filter(is_chunked).count() > 1 {
        return Err(Refusal::bad_request("The transfer coding chunked stands more than once."));
    }
    if codings.len() > 1 {
        return Err(Refusal::new(501, "The only transfer coding understood here is chunked."));
    }
    Ok(Framing::Chunked)
}

fn expectation(headers: &Headers) -> Result<bool, Refusal> {
    let mut expects = false;
    for expected in headers.all("expect").flat_map(|list| list.split(',')).map(trimmed).filter(|one| !one.is_empty()) {
        if !expected.eq_ignore_ascii_case("100-continue") {
            return Err(Refusal::new(417, "The only expectation understood here is 100-continue."));
        }
        expects = true;
    }
    Ok(expects)
}

/// Whether the comma-separated list `value` holds `token`.
fn lists(value: &str, token: &str) -> bool {
    value.split(',').any(|item| trimmed(item).eq_ignore_ascii_case(token))
}

/// Without the white space that HTTP allows (RFC 9110 section 5.6.3): Unicode has more, and 0xA0 would become one of it.
fn trimmed(item: &str) -> &str {
    item.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_lines(lines: &[&str]) -> Result<Head, Refusal> {
        parse(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes())
    }

    fn status(lines: &[&str]) -> u16 {
        parse_lines(lines).map_or_else(|refusal| refusal.status, |_| 200)
    }

    #[test]
    fn framing_headers_are_read_strictly() {
        let cases: [(&[&str], u16); 21] = [
            (&["Content-Length: 5"], 200),
            (&["Content-Length: 0005"], 200),
            (&["Transfer-Encoding: chunked"], 200),
            (&["Transfer-Encoding: Chunked"], 200),
            (&["Content-Length: 5", "Content-Length: 5"], 400),
            (&["Content-Length: 5, 5"], 400),
            (&["Content-Length: +5"], 400),
            (&["Content-Length: -5"], 400),
            (&["Content-Length: 0x5"], 400),
            (&["Content-Length: 5 5"], 400),
            (&["Content-Length:"], 400),
            (&["Content-Length : 5"], 400),
            (&["Content-Length: 99999999999999999999999"], 200),
            (&["Content-Length: 5", "Transfer-Encoding: chunked"], 400),
            (&["Transfer-Encoding: xchunked"], 400),
            (&["Transfer-Encoding: identity"], 400),
            (&["Transfer-Encoding: gzip, chunked"], 501),
            (&["Transfer-Encoding: chunked, chunked"], 400),
            (&["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 400),
            (&["Transfer-Encoding:"], 400),
            (&["Transfer-Encoding : chunked"], 400),
        ];
        for (fields, expected) in cases {
            let lines = [&["POST / HTTP/1.1", "Host: h"], fields].concat();
            assert_eq!(status(&lines), expected, "{fields:?}");
        }
        assert_eq!(status(&["POST / HTTP/1.0", "Transfer-Encoding: chunked"]), 400);
    }

    #[test]
    fn request_lines_and_fields_are_read_strictly() {
        let cases: [(&[&str], u16); 22] = [
            (&["GET / HTTP/1.1", "Host: h"], 200),
            (&["GET / HTTP/1.0"], 200),
            (&["GET / HTTP/1.1"], 400),
            (&["GET / HTTP/1.1", "Host: a", "Host: a"], 400),
            (&["GET / HTTP/1.1", "Host: a b"], 400),
            (&["GET / HTTP/2.0", "Host: h"], 505),
            (&["PRI * HTTP/2.0"], 505),
            (&["GET / HTTP/1.2", "Host: h"], 505),
            (&["GET / HTTP/3", "Host: h"], 505),
            (&["GET / HTCPCP/1.0", "Host: h"], 400),
            (&["GET /"], 400),
            (&["GET  / HTTP/1.1", "Host: h"], 400),
            (&["GET /a b HTTP/1.1", "Host: h"], 400),
            (&["GET /\u{1b}[0m HTTP/1.1", "Host: h"], 400),
            (&["GET /\u{85} HTTP/1.1", "Host: h"], 400),
            (&["G(T / HTTP/1.1", "Host: h"], 400),
            (&["GET / HTTP/1.1", "Host: h", " folded"], 400),
            (&["GET / HTTP/1.1", "Host: h", "X: a\u{1}b"], 400),
            (&["GET / HTTP/1.1", "Host: h", "X: a\nb: c"], 400),
            (&["GET / HTTP/1.1", "Host: h", "X: a\rb"], 400),
            (&["GET / HTTP/1.1", "Host: h", "Expect: tea"], 417),
            (&["CONNECT example.org:443 HTTP/1.1", "Host: h"], 405),
        ];
        for (lines, expected) in cases {
            assert_eq!(status(lines), expected, "{lines:?}");
        }
        let many: Vec<String> = (0..120).map(|n| format!("X-{n}: v")).collect();
        let lines: Vec<&str> =
            ["GET / HTTP/1.1", "Host: h"].into_iter().chain(many.iter().map(String::as_str)).collect();
        assert_eq!(status(&lines), 431);
    }

    #[test]
    fn connection_expect_and_odd_bytes_are_understood() {
        let head = parse_lines(&["GET / HTTP/1.1", "Host: h", "Connection: Upgrade, CLOSE", "Upgrade: h2c"]).unwrap();
        assert!(!head.keep_alive);
        assert!(parse_lines(&["GET / HTTP/1.1", "Host: h", "Connection: Upgrade"]).unwrap().keep_alive);
        assert!(!parse_lines(&["GET / HTTP/1.0", "Connection: keep-alive"]).unwrap().keep_alive);
        for (lines, expected) in [
            (&["Expect: 100-Continue"][..], Some(true)),
            (&["Expect: 100-continue, 100-continue"], Some(true)),
            (&["Expect: 100-continue", "Expect: 100-continue"], Some(true)),
            (&["Expect:"], Some(false)),
            (&["Expect: ,"], Some(false)),
            (&["Expect: 100-continue;q=1"], None),
            (&["Expect: 100-continue, tea"], None),
            (&["Expect: 100-continue", "Expect: tea"], None),
            (&["Expect: 100"], None),
        ] {
            for (request, is_11) in [("POST / HTTP/1.1", true), ("POST / HTTP/1.0", false)] {
                let head = parse_lines(&[&[request, "Host: h"], lines].concat());
                let found = head.map(|head| head.expects_continue).map_err(|refusal| refusal.status);
                assert_eq!(found, expected.map(|expects| expects && is_11).ok_or(417), "{request} {lines:?}");
            }
        }
        let head = parse(b"GET / HTTP/1.1\r\nHost: h\r\nX: caf\xe9\r\nY: caf\xc3\xa9\r\n\r\n").unwrap();
        assert_eq!((head.headers.get("x"), head.headers.get("y")), (Some("café"), Some("café")));
    }

    #[test]
    fn the_end_is_found_whatever_the_splitting() {
        let bytes = b"GET / HTTP/1.1\r\nHost: h\r\n\r\nrest";
        for first in 0..bytes.len() {
            let expected = Some(bytes.len() - 4);
            let found = end(&bytes[..first], 0).or_else(|| end(bytes, first));
            assert_eq!(found, expected, "{first}");
        }
        assert_eq!(end(b"GET / HTTP/1.0\n\n", 0), Some(16));
        assert!(parse(b"GET / HTTP/1.0\n\n").is_err());
    }

    #[test]
    fn random_damage_never_panics() {
        let whole = b"POST /v1/x?y=z HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..50_000 {
            let mut bytes = whole.to_vec();
            for _ in 0..3 {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                let at = (seed >> 8) as usize % bytes.len();
                bytes[at] = seed as u8;
            }
            if let Ok(head) = parse(&bytes) {
                assert!(head.path.starts_with('/'));
                assert!(head.headers.iter().all(|(_, value)| !value.contains(['\r', '\n', '\0'])));
            }
        }
    }
}
