//! The content codings of request bodies that are undone here: gzip, deflate and zstd (RFC 9110 section 8.4.1, RFC 8878).

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
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

/// The same of the frames of zstd, one behind the other. Those that hold nothing of the text are passed over (RFC 8878
/// section 3.1.2); one decoder reads all, since they may be many and tiny.
fn frames(mut coded: &[u8], limit: usize) -> Done<Vec<u8>> {
    let mut body = Vec::new();
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(LARGEST_WINDOW.max(limit as u64));
    while !coded.is_empty() && body.len() <= limit {
        let frame = match StreamingDecoder::new_with_decoder(&mut coded, &mut decoder) {
            Ok(frame) => frame,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                coded = coded.get(length as usize..).ok_or_else(|| Error::other("it is cut off"))?;
                continue;
            }
            Err(error) => return Err(Error::other(error)),
        };
        body.append(&mut bounded(frame, limit - body.len())?);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
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

    /// A frame of zstd with these bits, fields and text, which stands in it as it is.
    fn frame(descriptor: u8, fields: &[u8], text: &str) -> Vec<u8> {
        let block = (text.len() as u32) << 3 | 1;
        [&[0x28, 0xb5, 0x2f, 0xfd, descriptor], fields, &block.to_le_bytes()[..3], text.as_bytes()].concat()
    }

    #[test]
    fn a_frame_that_wants_a_large_window_or_a_dictionary_is_refused() {
        // One block of a window of 2 GiB, of 8 MiB, of one segment, with a dictionary.
        for (descriptor, fields, expected) in [
            (0x00, &[0xa8][..], Err(400)),
            (0x00, &[0x68], Ok("hello")),
            (0x20, &[5], Ok("hello")),
            (0xe0, &[0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0], Err(400)),
            (0x01, &[0x58, 7], Err(400)),
            (0x03, &[0x58, 7, 0, 0, 0], Err(400)),
        ] {
            let found = decoded("zstd", &frame(descriptor, fields, "hello"), 1 << 20);
            assert_eq!(found.as_deref(), expected.as_ref().map(|text| *text), "{descriptor:x} {fields:x?}");
        }
    }

    #[test]
    fn what_stands_between_frames_and_members_is_passed_over_or_refused() {
        let skipped =
            |text: &str| [&b"\x5a\x2a\x4d\x18"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
        let both =
            [skipped("of pzstd"), zstd("one and "), skipped(""), frame(0x20, &[0], ""), zstd("two"), skipped("x")];
        assert_eq!(decoded("zstd", &both.concat(), 100).as_deref(), Ok("one and two"));
        let cut = [zstd("one"), skipped("longer")[..10].to_vec()].concat();
        assert_eq!(decoded("zstd", &cut, 100), Err(400));
        let members = [gzip("one and "), gzip(""), gzip("two")].concat();
        assert_eq!(decoded("gzip", &members, 100).as_deref(), Ok("one and two"));
        assert_eq!(decoded("gzip", &members, 10), Err(413), "the limit is for all of them");
        for tail in [&b"x"[..], b"\x1f\x8b", &gzip("three")[..9]] {
            assert_eq!(decoded("gzip", &[&gzip("one"), tail].concat(), 100), Err(400), "{tail:?}");
        }
    }

    #[test]
    fn millions_of_empty_frames_and_members_take_a_moment() {
        for (coding, empty) in [("zstd", frame(0x20, &[0], "")), ("gzip", gzip(""))] {
            let many = empty.repeat((4 << 20) / empty.len());
            let begun = std::time::Instant::now();
            assert_eq!(decoded(coding, &many, 4 << 20).as_deref(), Ok(""), "{coding}");
            assert!(begun.elapsed().as_secs() < 20, "{coding}: {:?}", begun.elapsed());
            eprintln!("{coding}: {:?}", begun.elapsed());
        }
    }
}
