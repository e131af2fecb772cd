//! The content codings of request bodies that are undone here: gzip, deflate and zstd (RFC 9110 section 8.4.1, RFC 8878).

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::StreamingDecoder;
use std::io::{Error, Read, Result as Done};

/// For `Accept-Encoding`.
pub(super) const READ: &str = "gzip, deflate, zstd";

/// A frame of zstd whose decoder wants to remember more is refused (RFC 8878 section 3.1.1.1.2 recommends it).
const LARGEST_WINDOW: u64 = 8 << 20;

/// All of a body, or one byte more than `limit`; `None` for a coding that is not read.
pub(super) fn decode(coding: &str, coded: &[u8], limit: usize) -> Option<Done<Vec<u8>>> {
    Some(match coding {
        "gzip" | "x-gzip" => bounded(MultiGzDecoder::new(coded), limit),
        "deflate" if is_zlib(coded) => bounded(ZlibDecoder::new(coded), limit),
        "deflate" => bounded(DeflateDecoder::new(coded), limit),
        "zstd" => frames(coded, limit),
        _ => return None,
    })
}

/// Whether it has the header that `deflate` means (RFC 1950 section 2.2). Some senders leave it out (RFC 9110 section 8.4.1.2).
fn is_zlib(coded: &[u8]) -> bool {
    matches!(coded, [method, flags, ..] if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31))
}

/// All that a decoder gives, or one byte more than `limit`.
fn bounded(decoder: impl Read, limit: usize) -> Done<Vec<u8>> {
    let mut body = Vec::new();
    decoder.take(limit as u64 + 1).read_to_end(&mut body)?;
    Ok(body)
}

/// The same of the frames of zstd, one behind the other.
fn frames(mut coded: &[u8], limit: usize) -> Done<Vec<u8>> {
    let mut body = Vec::new();
    while !coded.is_empty() && body.len() <= limit {
        if window(coded).is_none_or(|window| window > LARGEST_WINDOW.max(limit as u64)) {
            return Err(Error::other("its window is too large"));
        }
        let decoder = StreamingDecoder::new(&mut coded).map_err(Error::other)?;
        body.append(&mut bounded(decoder, limit - body.len())?);
    }
    Ok(body)
}

/// How many bytes the decoder of a frame must remember (RFC 8878 section 3.1.1.1).
fn window(frame: &[u8]) -> Option<u64> {
    let (descriptor, is_one_segment) = (*frame.get(4)?, frame.get(4)? & 0x20 != 0);
    if !is_one_segment {
        let byte = *frame.get(5)?;
        let base = 1_u64 << (10 + (byte >> 3));
        return Some(base + base / 8 * u64::from(byte & 7));
    }
    let begin = 5 + [0, 1, 2, 4][usize::from(descriptor & 3)];
    let length = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let field = frame.get(begin..begin + length)?;
    Some(field.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Request;
    use std::io::Write;

    fn decoded(coding: &str, body: &[u8], limit: usize) -> Result<String, u16> {
        let mut request =
            Request::sample("POST", "/", &[("Content-Encoding", coding), ("Content-Type", "application/json")]);
        request.body = body.to_vec();
        crate::serve::body::decode(&mut request, limit).map_err(|error| error.status)?;
        Ok(String::from_utf8(request.body).unwrap())
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn bare_deflate(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &str) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn codings_are_undone_up_to_the_limit() {
        let text = "some text that stands here, some text ".repeat(50);
        let bomb = "x".repeat(1 << 20);
        for (coding, code) in [
            ("gzip", gzip as fn(&str) -> Vec<u8>),
            ("X-GZip", gzip),
            ("deflate", deflate),
            ("deflate", bare_deflate),
            ("zstd", zstd),
        ] {
            assert_eq!(decoded(coding, &code(&text), text.len()).as_ref(), Ok(&text), "{coding}");
            assert_eq!(decoded(coding, &code(&text), text.len() - 1), Err(413), "{coding}");
            assert_eq!(decoded(coding, &code(&bomb), 1000), Err(413), "{coding}: a bomb");
            let cut = code(&text);
            assert_eq!(decoded(coding, &cut[..cut.len() - 9], 1 << 20), Err(400), "{coding}: cut off");
            assert_eq!(decoded(coding, b"plain text", 1 << 20), Err(400), "{coding}: not coded");
        }
        for coding in ["", "identity"] {
            assert_eq!(decoded(coding, &gzip("who forgot to say it"), 100).as_deref(), Ok("who forgot to say it"));
        }
        for coding in ["", "identity", "Identity, "] {
            assert_eq!(decoded(coding, b"as it is", 100).as_deref(), Ok("as it is"), "{coding}");
        }
        for coding in ["br", "gzip, gzip", "compress", "aws-chunked", "zstd;q=1"] {
            assert_eq!(decoded(coding, b"x", 100), Err(415), "{coding}");
        }
        let two = [zstd("one and "), zstd("two")].concat();
        assert_eq!(decoded("zstd", &two, 100).as_deref(), Ok("one and two"));
        assert_eq!(decoded("gzip", &[gzip("one and "), gzip("two")].concat(), 100).as_deref(), Ok("one and two"));
    }

    #[test]
    fn a_frame_that_wants_a_large_window_is_refused() {
        // Magic number, no single segment, a window of 2 GiB, an empty last block.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
        assert_eq!(window(&frame), Some(2 << 30));
        assert_eq!(decoded("zstd", &frame, 1 << 20), Err(400));
    }
}
