//! JSON written into a buffer: whole documents as they are; in event streams U+2028, U+2029 and U+0085 are escaped,
//! because Node's readline and Python's `splitlines` take them for line ends.

use serde::Serialize;
use serde_json::ser::Formatter;
use std::io;

/// A buffer that takes single bytes, which most pieces of JSON are, without a call.
struct Buffer<'a>(&'a mut Vec<u8>);

impl io::Write for Buffer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline(always)]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match bytes {
            [byte] => self.0.push(*byte),
            _ => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment.as_bytes();
        // All three begin with one of two bytes that are rare in any text.
        while let Some(found) = memchr::memchr2(0xc2, 0xe2, rest) {
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
    written(value.serialize(&mut serde_json::Serializer::with_formatter(Buffer(out), OneLine)));
}

/// Appends `value` as JSON.
pub(crate) fn document<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    written(serde_json::to_writer(Buffer(out), value));
}

/// Appends a field: its name as it stands in the text, with all that comes before it, and the value. A struct's names would
/// be escaped each time.
pub(crate) fn field<T: Serialize + ?Sized>(name: &str, value: &T, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    document(value, out);
}

/// Appends an event without a name.
pub(crate) fn event<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    json(value, out);
    out.extend_from_slice(b"\n\n");
}

/// Writing into memory cannot fail, and none of our types has keys that are no strings.
fn written(result: serde_json::Result<()>) {
    result.expect("what is written is JSON");
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
