//! Samples as an MP3 file (docs/media.md "Speech"): MPEG-2 Layer III, mono, at a constant rate.

use super::speech::RATE;
use rusty_mp3::{Mp3Encoder, Mp3EncoderConfig};

/// Enough for a voice at 24 kHz.
const KBIT_A_SECOND: u32 = 96;

/// Writes MP3 frame by frame.
pub(crate) struct Mp3 {
    encoder: Mp3Encoder,
    /// The first frame says how long the file is, which a stream does not know when it begins.
    leaves_out_first: bool,
    /// Nothing is given out before the end, so that the first frame can be right.
    is_whole: bool,
}

impl Mp3 {
    /// Of samples that come piece by piece.
    pub fn stream() -> Mp3 {
        Mp3 { is_whole: false, leaves_out_first: true, ..Mp3::whole() }
    }

    /// Of samples that are all there.
    pub fn whole() -> Mp3 {
        let config = Mp3EncoderConfig { bitrate_kbps: KBIT_A_SECOND, vbr_quality: None };
        Mp3 { encoder: Mp3Encoder::new(config), leaves_out_first: false, is_whole: true }
    }

    /// Takes samples of 16 bits off the front, and the end of the file, too, when they are the last. `None`: the format
    /// does not know the rate.
    pub fn push(&mut self, samples: &mut Vec<u8>, rate: u32, is_last: bool, out: &mut Vec<u8>) -> Option<()> {
        let even = samples.len() & !1;
        self.encoder.push_pcm_s16le(&samples[..even], 1, rate).ok()?;
        samples.drain(..even);
        if is_last {
            self.encoder.finish();
        } else if self.is_whole {
            return Some(());
        }
        while let Ok(frame) = self.encoder.next_packet() {
            if !std::mem::take(&mut self.leaves_out_first) {
                out.extend_from_slice(&frame);
            }
        }
        Some(())
    }
}

/// Google's samples as a file.
pub(super) fn file(mut samples: Vec<u8>) -> Vec<u8> {
    let mut file = Vec::new();
    Mp3::whole().push(&mut samples, RATE, true, &mut file);
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusty_mp3::Mp3Decoder;

    /// Two seconds of three tones.
    fn tones() -> Vec<i16> {
        let wave = |at: u32, hertz: f32| (at as f32 * hertz * std::f32::consts::TAU / RATE as f32).sin();
        (0..RATE * 2).map(|at| ((wave(at, 220.0) + wave(at, 700.0) + wave(at, 2500.0)) * 8000.0) as i16).collect()
    }

    fn encoded(mut mp3: Mp3, samples: &[i16], piece: usize) -> Vec<u8> {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let (mut left, mut out) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            left.extend_from_slice(piece);
            mp3.push(&mut left, RATE, false, &mut out).unwrap();
        }
        mp3.push(&mut left, RATE, true, &mut out).unwrap();
        out
    }

    fn decoded(file: &[u8]) -> Vec<f32> {
        let mut decoder = Mp3Decoder::new();
        decoder.push(file);
        decoder.flush();
        let mut samples = Vec::new();
        while let Ok(frame) = decoder.next_frame() {
            assert_eq!((frame.sample_rate, frame.channels), (RATE, 1));
            samples.extend_from_slice(&frame.samples);
        }
        samples
    }

    #[test]
    fn what_is_decoded_again_is_what_was_said() {
        let samples = tones();
        for (mp3, piece) in [(Mp3::whole(), usize::MAX), (Mp3::stream(), 1001)] {
            let heard = decoded(&encoded(mp3, &samples, piece));
            assert!(heard.len() >= samples.len(), "{} samples", heard.len());
            // The codec's own delay stands before the first sample.
            let off = |delay: usize| -> f32 {
                (4000..12_000).map(|at| (heard[at + delay] - f32::from(samples[at]) / 32768.0).powi(2)).sum()
            };
            let noise = (0..3000).map(off).fold(f32::MAX, f32::min);
            let sound: f32 = (4000..12_000).map(|at| (f32::from(samples[at]) / 32768.0).powi(2)).sum();
            assert!(sound / noise > 100.0, "20 dB at least, not {}", 10.0 * (sound / noise).log10());
        }
    }

    #[test]
    fn a_stream_is_the_same_whatever_pieces_it_comes_in_and_grows_with_them() {
        let samples = tones();
        assert_eq!(encoded(Mp3::stream(), &samples, 777), encoded(Mp3::stream(), &samples, usize::MAX));
        let mut out = Vec::new();
        let mut bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        Mp3::stream().push(&mut bytes, RATE, false, &mut out).unwrap();
        assert!(out.len() > 20_000 && out.starts_with(&[0xff, 0xf3]), "{} bytes", out.len());
    }

    #[test]
    fn a_file_tells_its_length_and_a_rate_that_is_none_is_refused() {
        let file = encoded(Mp3::whole(), &tones(), 4096);
        assert!(file[..200].windows(4).any(|word| word == b"Info"), "the first frame");
        assert!(Mp3::whole().push(&mut vec![0; 100], 24_001, true, &mut Vec::new()).is_none());
    }
}
