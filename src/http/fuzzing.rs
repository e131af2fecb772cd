//! The two parsers of client bytes and what must hold of them, for the targets in `fuzz/`. Compiled by `cargo fuzz` only.

use super::chunked::{ChunkError, Decoder};
use super::head;

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
