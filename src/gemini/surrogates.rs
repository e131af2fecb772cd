//! JSON strings with lone surrogate escapes (`\ud83d` without its partner). Google sends them where a chunk ends inside a
//! pair, JavaScript clients where they cut an emoji in half; serde_json refuses both.
//!
//! Works on JSON text that is not parsed yet, so it must also do no harm to text that is no JSON at all.

use memchr::memchr;
use std::borrow::Cow;

/// First stand-in: plane 16 is private use, and its last 2048 characters have room for every surrogate.
const STAND_IN: u32 = 0x10_F800;
/// `\uXXXX`
const ESCAPE: usize = 6;

/// Replaces lone surrogate escapes by `\ufffd` in place (same length), leaving everything else alone.
pub fn repair(json: &mut [u8]) {
    let mut from = 0;
    while let Some((at, _)) = next_lone(json, from) {
        json[at..at + ESCAPE].copy_from_slice(b"\\ufffd");
        from = at + ESCAPE;
    }
}

/// Replaces lone surrogate escapes in an upstream event by stand-ins (U+10F800 + low 11 bits) that a [`Joiner`] can put
/// together again. Borrows when there is nothing to do, which is nearly always.
pub fn mark(json: &str) -> Cow<'_, str> {
    let Some((mut at, mut unit)) = next_lone(json.as_bytes(), 0) else { return Cow::Borrowed(json) };
    let mut marked = String::with_capacity(json.len());
    let mut copied = 0;
    loop {
        marked.push_str(&json[copied..at]);
        marked.push(stand_in(unit));
        copied = at + ESCAPE;
        match next_lone(json.as_bytes(), copied) {
            Some(next) => (at, unit) = next,
            None => break,
        }
    }
    marked.push_str(&json[copied..]);
    Cow::Owned(marked)
}

/// Joins text deltas: a stand-in for a high half at the end of one delta is held back and paired with a low half at the
/// start of the next; a half that stays alone becomes U+FFFD.
#[derive(Debug, Default)]
pub struct Joiner {
    held: Option<u16>,
}

impl Joiner {
    /// The text to send now.
    pub fn push<'a>(&mut self, delta: &'a str) -> Cow<'a, str> {
        if delta.is_empty() || (self.held.is_none() && !may_have_stand_ins(delta)) {
            return Cow::Borrowed(delta);
        }
        let mut joined = String::with_capacity(delta.len() + char::REPLACEMENT_CHARACTER.len_utf8());
        for character in delta.chars() {
            let half = half(character);
            match (self.held.take(), half) {
                (Some(high), Some(low)) if is_low(low) => joined.push(pair(high, low)),
                (held, half) => {
                    if held.is_some() {
                        joined.push(char::REPLACEMENT_CHARACTER);
                    }
                    match half {
                        Some(unit) if is_high(unit) => self.held = Some(unit),
                        Some(_) => joined.push(char::REPLACEMENT_CHARACTER),
                        None => joined.push(character),
                    }
                }
            }
        }
        Cow::Owned(joined)
    }

    /// What was held back, at the end.
    pub fn finish(&mut self) -> &'static str {
        match self.held.take() {
            Some(_) => "\u{fffd}",
            None => "",
        }
    }
}

/// Where the first lone surrogate escape at or after `from` is, and its code unit. `from` must not be inside an escape.
fn next_lone(json: &[u8], from: usize) -> Option<(usize, u16)> {
    let mut at = from;
    loop {
        at += memchr(b'\\', &json[at..])?;
        match unit(json, at) {
            Some(high) if is_high(high) => match unit(json, at + ESCAPE) {
                Some(low) if is_low(low) => at += 2 * ESCAPE,
                _ => return Some((at, high)),
            },
            Some(low) if is_low(low) => return Some((at, low)),
            Some(_) => at += ESCAPE,
            // The escaped character may itself be a backslash: `\\ud83d` is a backslash and five letters.
            None => at += 2,
        }
        if at >= json.len() {
            return None;
        }
    }
}

/// The code unit of the `\uXXXX` escape at `at`, if one is complete there.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0u16, |unit, &digit| Some(unit << 4 | (digit as char).to_digit(16)? as u16))
}

fn is_high(unit: u16) -> bool {
    (0xD800..0xDC00).contains(&unit)
}

fn is_low(unit: u16) -> bool {
    (0xDC00..0xE000).contains(&unit)
}

fn stand_in(unit: u16) -> char {
    char::from_u32(STAND_IN + u32::from(unit & 0x7FF)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The surrogate a character stands in for.
fn half(character: char) -> Option<u16> {
    let offset = u32::from(character).checked_sub(STAND_IN)?;
    Some(0xD800 + offset as u16)
}

fn pair(high: u16, low: u16) -> char {
    let code = 0x10000 + (u32::from(high - 0xD800) << 10 | u32::from(low - 0xDC00));
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Stand-ins are the only usual characters whose UTF-8 starts with 0xF4.
fn may_have_stand_ins(text: &str) -> bool {
    memchr(0xF4, text.as_bytes()).is_some()
}
