//! JSON for event streams: U+2028, U+2029 and U+0085 are escaped, because Node's readline and Python's `splitlines` take
//! them for line ends (openai_chat.md 2.8).

use serde::Serialize;
use serde_json::ser::Formatter;
use std::io;

struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment.as_bytes();
        // All three begin with one of two bytes that are rare in any text.
        while let Some(found) = rest.iter().position(|byte| matches!(byte, 0xc2 | 0xe2)) {
            let (escape, length) = match &rest[found..] {
                [0xe2, 0x80, 0xa8, ..] => ("\\u2028", 3),
                [0xe2, 0x80, 0xa9, ..] => ("\\u2029", 3),
                [0xc2, 0x85, ..] => ("\\u0085", 2),
                _ => {
                    writer.write_all(&rest[..=found])?;
                    rest = &rest[found + 1..];
                    continue;
                }
            };
            writer.write_all(&rest[..found])?;
            writer.write_all(escape.as_bytes())?;
            rest = &rest[found + length..];
        }
        writer.write_all(rest)
    }
}

/// Appends `value` as JSON without line breaks of any kind.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let start = out.len();
    if value.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, OneLine)).is_err() {
        // Only a type whose keys are no strings can do that; none of ours has such.
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use super::json;

    #[test]
    fn every_line_break_is_escaped_and_nothing_else_changes() {
        for text in ["a\u{2028}b\u{2029}c\u{85}d", "é→\u{a0}…\n\r\t\"\\", "", "\u{85}", "\u{2027}\u{202a}Âââ"] {
            let mut out = Vec::new();
            json(text, &mut out);
            let line = String::from_utf8(out).unwrap();
            assert!(!line.contains(['\u{2028}', '\u{2029}', '\u{85}', '\n', '\r']), "{line}");
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }
}
