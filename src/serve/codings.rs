//! The content codings of request bodies that are undone here: gzip, deflate and zstd (RFC 9110 section 8.4.1, RFC 8878).

use crate::os::room;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use std::io::{Error, ErrorKind, Read, Result as Done};

/// For `Accept-Encoding`.
pub(super) const READ: &str = "gzip, deflate, zstd";

/// A frame of zstd whose decoder wants to remember more is refused (RFC 8878 section 3.1.1.1.2 recommends it).
const LARGEST_WINDOW: u64 = 8 << 20;
/// What a decoder of zstd holds whatever its window is.
const LEAST_RING: usize = 512 << 10;
/// Bodies grow by so much at least.
const STEP: usize = 64 << 10;

/// All of a body, or one byte more than `limit`; `None` for a coding that is not read. What the body takes of the room of all
/// is kept until its request is answered; [`ErrorKind::OutOfMemory`] where nothing is left.
pub(super) fn decode(coding: &str, coded: &[u8], limit: usize) -> Option<Done<Vec<u8>>> {
    let (mut body, before) = (Vec::new(), room::taken());
    let decoded = match coding {
        "gzip" | "x-gzip" => bounded(&mut MultiGzDecoder::new(coded), &mut body, limit),
        "deflate" if is_zlib(coded) => {
            let mut decoder = ZlibDecoder::new(coded);
            bounded(&mut decoder, &mut body, limit).and_then(|()| ended(decoder.get_ref(), &body, limit))
        }
        "deflate" => {
            let mut decoder = DeflateDecoder::new(coded);
            bounded(&mut decoder, &mut body, limit).and_then(|()| ended(decoder.get_ref(), &body, limit))
        }
        "zstd" => frames(coded, &mut body, limit),
        _ => return None,
    };
    room::give_back((room::taken() - before).saturating_sub(body.capacity()));
    Some(decoded.map(|()| body))
}

/// Whether it has the header that `deflate` means (RFC 1950 section 2.2). Some senders leave it out (RFC 9110 section 8.4.1.2).
fn is_zlib(coded: &[u8]) -> bool {
    matches!(coded, [method, flags, ..] if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31))
}

/// Nothing follows what was decoded, if it was decoded to its end.
fn ended(rest: &[u8], body: &[u8], limit: usize) -> Done<()> {
    if rest.is_empty() || body.len() > limit { Ok(()) } else { Err(Error::other("something follows its end")) }
}

fn take(bytes: usize) -> Done<()> {
    if room::take(bytes) { Ok(()) } else { Err(ErrorKind::OutOfMemory.into()) }
}

/// Adds all that a decoder gives, or until there is one byte more than `limit`.
fn bounded(decoder: &mut dyn Read, body: &mut Vec<u8>, limit: usize) -> Done<()> {
    loop {
        let left = (limit + 1).saturating_sub(body.len());
        if body.len() == body.capacity() && left > 0 {
            let more = body.len().max(STEP).min(left);
            take(more)?;
            body.reserve_exact(more);
        }
        let free = left.min(body.capacity() - body.len());
        // Of what fits, so that the body grows here alone.
        if Read::take(&mut *decoder, free as u64).read_to_end(body)? < free || free == left {
            return Ok(());
        }
    }
}

/// The same of the frames of zstd, one behind the other. Those that hold nothing of the text are passed over (RFC 8878
/// section 3.1.2). Each has a decoder of its own: one that is used again makes room for a whole window at its head.
fn frames(mut coded: &[u8], body: &mut Vec<u8>, limit: usize) -> Done<()> {
    while !coded.is_empty() && body.len() <= limit {
        let begin = body.len();
        let [descriptor, exponent] = [4, 5].map(|at| coded.get(at).copied().unwrap_or_default());
        let window = LARGEST_WINDOW.max(limit as u64);
        let mut frame = match StreamingDecoder::new_with_max_window_size(&mut coded, window) {
            Ok(frame) => frame,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                coded = coded.get(length as usize..).ok_or_else(|| Error::other("it is cut off"))?;
                continue;
            }
            Err(error) => return Err(Error::other(error)),
        };
        // A single segment is its own window (RFC 8878 section 3.1.1.1.2).
        let is_single = descriptor & 0x20 != 0;
        let window = match is_single {
            true => frame.decoder.content_size() as usize,
            false => (8 + (usize::from(exponent) & 7)) << (7 + (exponent >> 3)),
        };
        // The window is a ring that doubles as it fills, and both are there when it does.
        let ring = window.next_power_of_two() / 2 * 3 + LEAST_RING;
        take(ring)?;
        bounded(&mut frame, body, limit)?;
        let (decoder, content) = (frame.into_frame_decoder(), &body[begin..]);
        room::give_back(ring);
        // A size of one byte is told by a single segment alone (RFC 8878 section 3.1.1.1.4).
        let tells_size = descriptor >> 6 != 0 || is_single;
        if body.len() > limit {
            return Ok(());
        } else if tells_size && decoder.content_size() != content.len() as u64 {
            return Err(Error::other("it is not as long as it says"));
        } else if decoder.get_checksum_from_data().is_some_and(|told| decoder.get_calculated_checksum() != Some(told)) {
            return Err(Error::other("its checksum is another one"));
        }
    }
    Ok(())
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
    fn a_frame_that_lies_about_its_content_is_refused() {
        // As libzstd 1.5 writes it.
        const HELLO: &[u8] = &[0xa3, 0x6d, 0x9f, 0x88];
        let with = |flags: u8, fields: &[u8], sum: &[u8]| [&frame(flags, fields, "hello")[..], sum].concat();
        for (coded, expected) in [
            // The size in one byte, in four, in eight; a sum as libzstd writes it.
            (with(0x20, &[6], b""), Err(400)),
            (with(0x20, &[4], b""), Err(400)),
            (with(0x80, &[0x58, 5, 0, 0, 0], b""), Ok("hello")),
            (with(0x80, &[0x58, 4, 0, 0, 0], b""), Err(400)),
            (with(0x80, &[0x58, 0, 0, 0, 0], b""), Err(400)),
            (with(0xc0, &[0x58, 5, 0, 0, 0, 0, 0, 0, 0], b""), Ok("hello")),
            (with(0xc0, &[0x58, 5, 0, 0, 0, 0, 0, 0, 1], b""), Err(400)),
            (with(0x24, &[5], HELLO), Ok("hello")),
            (with(0x24, &[5], b"what"), Err(400)),
            (with(0x24, &[5], b"wha"), Err(400)),
            // Two of them, of which the second one is wrong.
            ([with(0x24, &[5], HELLO), with(0x24, &[5], b"what")].concat(), Err(400)),
        ] {
            let found = decoded("zstd", &coded, 1 << 20);
            assert_eq!(found.as_deref(), expected.as_ref().map(|text| *text), "{coded:x?}");
        }
    }

    #[test]
    fn what_follows_the_end_of_deflate_is_refused() {
        for code in [deflate as fn(&str) -> Vec<u8>, bare_deflate] {
            for tail in [&b"x"[..], &[0], &code("again")] {
                assert_eq!(decoded("deflate", &[&code("one"), tail].concat(), 100), Err(400), "{tail:?}");
            }
            assert_eq!(decoded("deflate", &code(""), 100).as_deref(), Ok(""));
        }
    }

    #[test]
    fn fields_of_a_gzip_header_are_passed_over() {
        let plain = gzip("hello");
        let named =
            |flags: u8, fields: &[u8]| [&[0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 3], fields, &plain[10..]].concat();
        let with_sum = |flags: u8, fields: &[u8]| {
            let mut head = named(flags | 2, fields);
            head.truncate(10 + fields.len());
            let mut crc = flate2::Crc::new();
            crc.update(&head);
            [&head, &(crc.sum() as u16).to_le_bytes()[..], &plain[10..]].concat()
        };
        for coded in [
            named(1, b""),
            named(4, b"\x04\x00A\x00\x00\x00"),
            named(8, b"notes.json\0"),
            named(0x10, b"a comment\0"),
            named(0x1c, b"\x02\x00xxnotes\0comment\0"),
            with_sum(0, b""),
            with_sum(0x1c, b"\x02\x00xxnotes\0comment\0"),
        ] {
            assert_eq!(decoded("gzip", &coded, 100).as_deref(), Ok("hello"), "{coded:x?}");
        }
        for coded in [
            named(8, b"no end of the name")[..20].to_vec(),
            named(4, b"\xff\xffx"),
            [&[0x1f, 0x8b, 7], &plain[3..]].concat(),
            named(2, b"no"),
        ] {
            assert_eq!(decoded("gzip", &coded, 100), Err(400), "{coded:x?}");
        }
    }

    #[test]
    fn what_is_decoded_takes_of_the_room_of_all_what_it_holds() {
        let text = "x".repeat(1 << 20);
        for (coding, code) in [("gzip", gzip as fn(&str) -> Vec<u8>), ("deflate", deflate), ("zstd", zstd)] {
            for (all, expected) in [(8 << 20, Ok(&text)), (1 << 19, Err(503))] {
                let room = std::sync::Arc::new(crate::os::room::Room::new(all, all));
                let _stay = room.enter(None);
                assert_eq!(
                    decoded(coding, &code(&text), 4 << 20).as_ref().map_err(|status| *status),
                    expected,
                    "{coding}"
                );
                let taken = crate::os::room::taken();
                assert!(expected.is_err() || (text.len()..=2 * text.len()).contains(&taken), "{coding}: {taken}");
            }
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
