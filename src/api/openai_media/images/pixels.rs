//! How large a picture is, by its head.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Characters of base64 that are looked at: a JPEG may begin with a preview of itself.
const LOOKED_AT: usize = 128 << 10;

/// Width and height of a PNG or JPEG in base64.
pub(super) fn of(data: &str) -> Option<(u32, u32)> {
    let end = data.len().min(LOOKED_AT) / 4 * 4;
    let bytes = STANDARD.decode(data.get(..end)?).ok()?;
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        return Some((number(16)?, number(20)?));
    }
    jpeg(bytes.strip_prefix(b"\xff\xd8")?)
}

/// Goes from segment to segment until one tells it.
fn jpeg(mut rest: &[u8]) -> Option<(u32, u32)> {
    loop {
        let [0xff, marker, high, low, ..] = *rest else { return None };
        match marker {
            0xff => rest = &rest[1..],
            0xc4 | 0xc8 | 0xcc => rest = rest.get(2 + usize::from(u16::from_be_bytes([high, low])).max(2)..)?,
            0xc0..=0xcf => {
                let number = |at: usize| Some(u32::from(u16::from_be_bytes(rest.get(at..at + 2)?.try_into().ok()?)));
                return Some((number(7)?, number(5)?));
            }
            _ => rest = rest.get(2 + usize::from(u16::from_be_bytes([high, low])).max(2)..)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_tell_the_size_and_others_nothing() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\0\0\0\x03\0\x08\x06\0\0\0";
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc4\0\x03a\xff\xc2\0\x0b\x08\x03\0\x04\0\x03\x01";
        for (bytes, expected) in [
            (&png[..], Some((1024, 768))),
            (jpeg, Some((1024, 768))),
            (&png[..18], None),
            (&jpeg[..12], None),
            (b"\xff\xd8\xff\xe0\0\0\xff\xe0\0\0", None),
            (b"RIFF", None),
            (b"", None),
        ] {
            assert_eq!(of(&STANDARD.encode(bytes)), expected, "{bytes:?}");
        }
    }
}
