//! Thought signatures by tool call id, for clients that do not send them back (thinking_and_signatures.md 4 to 6).

use std::time::Duration;

/// What Google accepts on a first functionCall whose real signature is lost.
pub const PLACEHOLDER: &str = "skip_thought_signature_validator";

/// A bounded cache: least recently used goes first, entries end after a while, and no client key sees another's.
pub struct SignatureCache {
    _todo: (),
}

impl SignatureCache {
    /// Holds at most `max_bytes` of keys and signatures, each for `ttl`.
    pub fn new(_max_bytes: usize, _ttl: Duration) -> SignatureCache {
        todo!()
    }

    /// Remembers the signature of a call that was answered to the client `key_name` by a model of `family`
    /// (see [`family`]).
    pub fn put(&self, _key_name: &str, _call_id: &str, _family: &str, _signature: &str) {
        todo!()
    }

    /// The signature, if it was made for the same client key and model family.
    pub fn get(&self, _key_name: &str, _call_id: &str, _family: &str) -> Option<String> {
        todo!()
    }
}

/// The model family a signature belongs to: `gemini-3.1-pro-preview` -> `gemini-3.1-pro`; previews and dates are cut.
pub fn family(_model: &str) -> &str {
    todo!()
}

/// Whether a text can be a signature at all: non-empty base64 in either alphabet.
pub fn plausible(_signature: &str) -> bool {
    todo!()
}
