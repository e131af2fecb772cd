//! Speech: Google sends bare samples (L16, 24 kHz, mono), players want a WAV file.

/// Samples a second.
pub(crate) const RATE: u32 = 24_000;
const BYTES_PER_SAMPLE: u16 = 2;

/// How long so many bytes of samples are.
pub(crate) fn milliseconds(bytes: usize, rate: u32) -> u64 {
    bytes as u64 * 1000 / u64::from(BYTES_PER_SAMPLE) / u64::from(rate.max(1))
}

/// Puts the header of a WAV file before the samples, unless it is there already.
pub(super) fn wav(mut samples: Vec<u8>) -> Vec<u8> {
    if !samples.starts_with(b"RIFF") {
        samples.splice(..0, head(Some(samples.len()), RATE));
    }
    samples
}

/// The 44 bytes before the samples of a WAV file; without a length they are those of a stream.
pub(crate) fn head(length: Option<usize>, rate: u32) -> Vec<u8> {
    let length = length.map_or(u32::MAX, |length| u32::try_from(length).unwrap_or(u32::MAX));
    let mut head = Vec::with_capacity(44);
    head.extend_from_slice(b"RIFF");
    head.extend_from_slice(&length.saturating_add(36).to_le_bytes());
    head.extend_from_slice(b"WAVEfmt ");
    head.extend_from_slice(&16u32.to_le_bytes());
    head.extend_from_slice(&1u16.to_le_bytes()); // PCM
    head.extend_from_slice(&1u16.to_le_bytes()); // mono
    head.extend_from_slice(&rate.to_le_bytes());
    head.extend_from_slice(&(rate * u32::from(BYTES_PER_SAMPLE)).to_le_bytes());
    head.extend_from_slice(&BYTES_PER_SAMPLE.to_le_bytes());
    head.extend_from_slice(&(BYTES_PER_SAMPLE * 8).to_le_bytes());
    head.extend_from_slice(b"data");
    head.extend_from_slice(&length.to_le_bytes());
    head
}

#[cfg(test)]
mod tests {
    use super::{RATE, head, wav};

    #[test]
    fn a_header_of_44_bytes_stands_before_the_samples() {
        let file = wav(vec![1, 2, 3, 4]);
        assert_eq!(file.len(), 48);
        assert_eq!(&file[..4], b"RIFF");
        assert_eq!(u32::from_le_bytes(file[4..8].try_into().unwrap()), 40);
        assert_eq!(u32::from_le_bytes(file[40..44].try_into().unwrap()), 4);
        assert_eq!(wav(file.clone()), file);
        let stream = head(None, RATE);
        assert_eq!((&stream[4..8], &stream[40..]), (&[0xff; 4][..], &[0xff; 4][..]));
    }
}
