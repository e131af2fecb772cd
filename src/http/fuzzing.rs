//! The parsers of client bytes and what must hold of them, for the targets in `fuzz/`. Compiled by `cargo fuzz` only.

use super::chunked::{ChunkError, Decoder};
use super::{head, proxy_protocol, query_value, target};

/// Small, so that it is reached.
const LIMIT: usize = 200;

/// Finds and parses a request head.
pub fn head(bytes: &[u8]) {
    let whole = head::end(bytes, 0);
    for first in 0..bytes.len().min(64) {
        let found = head::end(&bytes[..first], 0).or_else(|| head::end(bytes, first));
        assert_eq!(found, whole, "cut at {first}");
    }
    head::request_line_is_too_long(bytes);
    let Some(end) = whole else { return };
    match head::parse(&bytes[..end]) {
        Ok(head) => {
            assert!(head.path.starts_with('/') && !head.path.contains(['\r', '\n']));
            assert!(head.headers.iter().all(|(name, value)| !name.is_empty() && !value.contains(['\r', '\n', '\0'])));
            assert!(head.is_11 || !head.keep_alive);
        }
        Err(refusal) => assert!((400..600).contains(&refusal.status)),
    }
}

/// Decodes a body at once and byte by byte.
pub fn chunked(bytes: &[u8]) {
    let whole = decode(bytes, bytes.len().max(1));
    assert_eq!(decode(bytes, 1), whole);
    assert_eq!(decode(bytes, 3), whole);
    assert!(whole.1.len() <= LIMIT);
}

/// Reads a header of the PROXY protocol.
pub fn proxy_protocol(bytes: &[u8]) {
    use proxy_protocol::{Found, LONGEST, read};
    let whole = read(bytes);
    if let Found::Header(length, _) = whole {
        assert!(length <= bytes.len() && length <= LONGEST);
        assert_eq!(read(&bytes[..length]), whole, "what follows is nobody's");
        (0..length).for_each(|cut| assert_eq!(read(&bytes[..cut]), Found::Partial, "cut at {cut}"));
    }
    assert!(whole != Found::Partial || bytes.len() < LONGEST, "who sends so much has said it all");
}

/// Reads a target and its query.
pub fn query(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for name in ["key", "alt", "q", ""] {
        query_value(text, name);
    }
    let Ok(read) = target::parse("GET", text) else { return };
    assert!(read.path.starts_with('/') && !text.contains(['\r', '\n', '\0', ' ']));
    query_value(read.query, "key");
}

/// How it ended, the body, and how many bytes belonged to it.
fn decode(bytes: &[u8], piece: usize) -> (Result<bool, ChunkError>, Vec<u8>, usize) {
    let mut decoder = Decoder::new(LIMIT);
    let (mut body, mut used) = (Vec::new(), 0);
    for input in bytes.chunks(piece) {
        match decoder.decode(input, &mut body) {
            Ok(taken) => used += taken,
            // How far it came before the error is not part of the contract.
            Err(error) => return (Err(error), body, 0),
        }
        if decoder.is_done() {
            break;
        }
    }
    (Ok(decoder.is_done()), body, used)
}
