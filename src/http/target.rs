//! What a request asks for: its target in any of the forms of RFC 9112 section 3.2, and the host it names. Strict, so that
//! whoever reads the same bytes before or after this program reads the same from them.

use super::head::MAX_REQUEST_LINE;
use super::refusal::Refusal;
use std::net::Ipv6Addr;

/// A request target that keeps every rule.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// Still percent-encoded; begins with `/`.
    pub(super) path: &'a str,
    /// Without `?`.
    pub(super) query: &'a str,
    /// Host and port of an absolute target.
    pub(super) authority: Option<&'a str>,
}

/// Reads the target. `OPTIONS *` asks about the root.
pub(super) fn parse<'a>(method: &str, target: &'a str) -> Result<Target<'a>, Refusal> {
    if target.len() > MAX_REQUEST_LINE {
        return Err(Refusal::new(414, "The request target is too long."));
    }
    if target == "*" && method == "OPTIONS" {
        return Ok(Target { path: "/", query: "", authority: None });
    }
    let (authority, local) = match target.split_once("://") {
        _ if target.starts_with('/') => (None, target),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") => {
            let (authority, local) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
            if authority.is_empty() || !is_authority(authority) {
                return Err(Refusal::bad_request("The host in the request target is malformed."));
            }
            (Some(authority), local)
        }
        _ => return Err(Refusal::bad_request("The request target is malformed.")),
    };
    let (path, query) = local.split_once('?').unwrap_or((local, ""));
    if !is_made_of(path, |byte| is_path_byte(byte) || byte == b'/') || !query.bytes().all(is_query_byte) {
        return Err(Refusal::bad_request("A character in the request target must be percent-encoded."));
    }
    Ok(Target { path: if path.is_empty() { "/" } else { path }, query, authority })
}

/// Whether `text` is a host with or without a port, or nothing at all (RFC 9112 section 3.2, RFC 3986 sections 3.2.2 and
/// 3.2.3). Stricter in one thing: a comma, allowed in names, here would rather be two hosts.
pub(super) fn is_authority(text: &str) -> bool {
    let (is_host, port) = match text.strip_prefix('[').and_then(|literal| literal.split_once(']')) {
        Some((address, port)) => (address.parse::<Ipv6Addr>().is_ok(), port),
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let is_name = is_made_of(name, |byte| is_path_byte(byte) && !matches!(byte, b':' | b'@' | b','));
            (is_name && (port.is_empty() || !name.is_empty()), port)
        }
    };
    is_host && is_port(port)
}

/// Whether `text` is nothing or a colon and a number, which may be left out.
fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.is_empty() || digits.parse::<u16>().is_ok()
        }
        Some(_) => false,
        None => text.is_empty(),
    }
}

/// Whether every byte is allowed or part of a percent-encoded one.
fn is_made_of(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    let mut pieces = text.split('%');
    let mut is_plain = |piece: &str| piece.bytes().all(&allowed);
    let is_encoded = |piece: &str| piece.len() >= 2 && piece.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    pieces.next().is_none_or(&mut is_plain) && pieces.all(|piece| is_encoded(piece) && is_plain(piece))
}

/// A byte that may stand in a segment of a path (RFC 3986 section 3.3), but for `%`.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

/// A byte that may stand in a query, by RFC 3986 section 3.4 or because browsers do not encode it there.
fn is_query_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_come_in_four_forms() {
        let cases = [
            ("GET", "/a%2Fb?x=%20&y", Some(("/a%2Fb", "x=%20&y", None))),
            ("GET", "//v1//models", Some(("//v1//models", "", None))),
            ("GET", "http://host:1/v1?q=http://x", Some(("/v1", "q=http://x", Some("host:1")))),
            ("GET", "HTTPS://host", Some(("/", "", Some("host")))),
            ("GET", "http://host?q", Some(("/", "q", Some("host")))),
            ("GET", "/a?u=http://x", Some(("/a", "u=http://x", None))),
            ("GET", "/http://x", Some(("/http://x", "", None))),
            ("OPTIONS", "*", Some(("/", "", None))),
            ("GET", "*", None),
            ("GET", "relative", None),
            ("GET", "", None),
            ("GET", "ftp://host/x", None),
            ("GET", "http://host#f", None),
            ("GET", "/a#b", None),
            ("GET", "/a?b#c", None),
            ("GET", "/\u{85}", None),
            ("GET", "/\u{1b}[0m", None),
        ];
        for (method, target, expected) in cases {
            let expected = expected.map(|(path, query, authority)| Target { path, query, authority });
            assert_eq!(parse(method, target).ok(), expected, "{method} {target}");
        }
        assert_eq!(parse("GET", &"/".repeat(MAX_REQUEST_LINE + 1)).unwrap_err().status, 414);
    }

    #[test]
    fn a_percent_sign_needs_two_hex_digits() {
        for (text, expected) in
            [("", true), ("a", true), ("%41", true), ("a%4", false), ("%", false), ("%%41", false), ("%4\u{e9}", false)]
        {
            assert_eq!(is_made_of(text, is_path_byte), expected, "{text}");
        }
    }
}
