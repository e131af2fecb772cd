//! Files of bare samples without a codec: WAV, and FLAC with samples as they are.

pub(super) use crate::conversation::answer::speech::{RATE, head as wav, milliseconds};

/// Samples of a FLAC frame.
const BLOCK: usize = 4096;

/// The samples a second that a media type such as `audio/L16;codec=pcm;rate=24000` tells.
pub(super) fn rate(mime: &str) -> u32 {
    let told = mime.split(';').find_map(|field| field.trim().strip_prefix("rate=")?.parse().ok());
    told.filter(|rate| (8_000..=192_000).contains(rate)).unwrap_or(RATE)
}

/// Writes FLAC frame by frame (RFC 9639), with verbatim subframes.
pub(super) struct Flac {
    rate: u32,
    frame: u64,
}

impl Flac {
    pub fn new(rate: u32) -> Flac {
        Flac { rate, frame: 0 }
    }

    /// The mark and the only block of metadata; without a number of samples it is that of a stream.
    pub fn head(&self, samples: Option<usize>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"fLaC");
        out.extend_from_slice(&[0x80, 0, 0, 34]);
        let block = u16::try_from(BLOCK).unwrap_or(u16::MAX).to_be_bytes();
        out.extend_from_slice(&[block, block].concat());
        out.extend_from_slice(&[0; 6]);
        let samples = samples.map_or(0, |samples| samples as u64) & 0xf_ffff_ffff;
        let fields = u64::from(self.rate) << 44 | 15 << 36 | samples;
        out.extend_from_slice(&fields.to_be_bytes());
        // The checksum of the samples may be left out.
        out.extend_from_slice(&[0; 16]);
    }

    /// Takes whole frames off the front of `samples`, and the rest, too, when it is the last.
    pub fn frames(&mut self, samples: &mut Vec<u8>, is_last: bool, out: &mut Vec<u8>) {
        let whole = samples.len() / (BLOCK * 2) * (BLOCK * 2);
        let end = if is_last { samples.len() & !1 } else { whole };
        samples[..end].chunks(BLOCK * 2).for_each(|block| self.block(block, out));
        samples.drain(..end);
    }

    fn block(&mut self, samples: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        // Blocks of equal size, whose size stands behind the number; rate and width as the file's head says; mono.
        out.extend_from_slice(&[0xff, 0xf8, 0x70, 0x00]);
        number(self.frame, out);
        let count = u16::try_from(samples.len() / 2 - 1).unwrap_or(u16::MAX);
        out.extend_from_slice(&count.to_be_bytes());
        out.push(crc8(&out[start..]));
        out.push(0x02); // verbatim
        samples.chunks_exact(2).for_each(|sample| out.extend_from_slice(&[sample[1], sample[0]]));
        let checksum = crc16(&out[start..]);
        out.extend_from_slice(&checksum.to_be_bytes());
        self.frame += 1;
    }
}

/// A number as UTF-8 would write it, up to 36 bits.
fn number(value: u64, out: &mut Vec<u8>) {
    if value < 0x80 {
        return out.push(value as u8);
    }
    let more = (1..=6u32).find(|more| value < 1 << (5 * more + 6)).unwrap_or(6);
    let mark = (0xff00u64 >> (more + 1)) as u8;
    out.push(mark | (value >> (6 * more)) as u8);
    (0..more).rev().for_each(|at| out.push(0x80 | (value >> (6 * at) & 0x3f) as u8));
}

fn crc8(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x07 }))
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let crc = crc ^ u16::from(*byte) << 8;
        (0..8).fold(crc, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x8005 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_googles_unless_the_type_tells_another() {
        for (mime, expected) in [
            ("audio/L16;codec=pcm;rate=24000", 24_000),
            ("audio/L16; rate=16000", 16_000),
            ("audio/L16", 24_000),
            ("audio/L16;rate=0", 24_000),
            ("audio/L16;rate=x", 24_000),
        ] {
            assert_eq!(rate(mime), expected, "{mime}");
        }
    }

    #[test]
    fn numbers_of_frames_are_written_as_utf8_writes_letters() {
        for letter in ['\0', '\x7f', '\u{80}', '\u{7ff}', '\u{800}', '\u{ffff}', '\u{10000}', '\u{10ffff}'] {
            let mut out = Vec::new();
            number(u64::from(u32::from(letter)), &mut out);
            assert_eq!(out, letter.to_string().as_bytes(), "{letter:?}");
        }
    }

    #[test]
    fn checksums_are_those_of_the_format() {
        assert_eq!((crc8(b"123456789"), crc16(b"123456789")), (0xf4, 0xfee8));
    }

    #[test]
    fn frames_hold_the_samples_whatever_pieces_they_come_in() {
        let samples: Vec<u8> = (0..BLOCK * 5 + 6).map(|at| (at * 7) as u8).collect();
        let whole = |pieces: usize| {
            let (mut flac, mut left, mut out) = (Flac::new(RATE), Vec::new(), Vec::new());
            for piece in samples.chunks(pieces) {
                left.extend_from_slice(piece);
                flac.frames(&mut left, false, &mut out);
            }
            flac.frames(&mut left, true, &mut out);
            assert!(left.is_empty());
            out
        };
        let out = whole(samples.len());
        assert_eq!(whole(1000), out);
        // Each of the three has a head of 8 bytes, one for the subframe, and two for the checksum.
        assert_eq!(out.len(), samples.len() + 3 * 11);
    }
}
