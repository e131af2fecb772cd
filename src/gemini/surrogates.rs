//! JSON strings with lone surrogate escapes (`\ud83d` without its partner). Google sends them where a chunk ends inside a
//! pair, JavaScript clients where they cut an emoji in half; serde_json refuses both.

use std::borrow::Cow;

/// Replaces lone surrogate escapes by `\ufffd` in place (same length), leaving everything else alone.
pub fn repair(_json: &mut [u8]) {
    todo!()
}

/// Replaces lone surrogate escapes in an upstream event by stand-ins (U+10F800 + low 11 bits) that a [`Joiner`] can put
/// together again. Borrows when there is nothing to do, which is nearly always.
pub fn mark(_json: &str) -> Cow<'_, str> {
    todo!()
}

/// Joins text deltas: a stand-in for a high half at the end of one delta is held back and paired with a low half at the
/// start of the next; a half that stays alone becomes U+FFFD.
#[derive(Debug, Default)]
pub struct Joiner {
    _todo: (),
}

impl Joiner {
    /// The text to send now.
    pub fn push<'a>(&mut self, _delta: &'a str) -> Cow<'a, str> {
        todo!()
    }

    /// What was held back, at the end.
    pub fn finish(&mut self) -> &'static str {
        todo!()
    }
}
