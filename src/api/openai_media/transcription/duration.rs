//! How long a recording is, where its head tells.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Seconds of a WAV file in base64.
pub(super) fn of_wav(data: &str) -> Option<f64> {
    let end = data.len().min(16 << 10) / 4 * 4;
    let bytes = STANDARD.decode(data.get(..end)?).ok()?;
    let mut rest = bytes.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    let mut bytes_a_second = 0;
    loop {
        let length = u32::from_le_bytes(rest.get(4..8)?.try_into().ok()?);
        match rest.get(..4)? {
            b"fmt " => bytes_a_second = u32::from_le_bytes(rest.get(16..20)?.try_into().ok()?),
            b"data" => {
                let head = bytes.len() - rest.len() + 8;
                // The head of a stream tells no length.
                let padding = data.len() - data.trim_end_matches('=').len();
                let all = (data.len() / 4 * 3).saturating_sub(head + padding);
                let all = u32::try_from(all).unwrap_or(u32::MAX);
                return (bytes_a_second > 0).then(|| f64::from(length.min(all)) / f64::from(bytes_a_second));
            }
            _ => {}
        }
        let next = usize::try_from(length).ok()?.checked_add(8 + usize::from(length % 2 == 1))?;
        rest = rest.get(next..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::answer::speech;

    #[test]
    fn the_head_of_a_wav_file_tells_how_long_it_is() {
        let wav = |length| [speech::head(length, 24_000), vec![0; 48_000 + 24_000]].concat();
        for (bytes, expected) in [
            (wav(Some(72_000)), Some(1.5)),
            (wav(None), Some(1.5)),
            (wav(Some(48_000)), Some(1.0)),
            (b"RIFF\0\0\0\0WAVE".to_vec(), None),
            (b"RIFF\0\0\0\0WAVEdata\0\0\0\0".to_vec(), None),
            ([b"RIFF\0\0\0\0WAVEjunk".as_slice(), &[0xff; 4]].concat(), None),
            (b"ID3".to_vec(), None),
        ] {
            assert_eq!(of_wav(&STANDARD.encode(&bytes)), expected, "{:?}", &bytes[..bytes.len().min(20)]);
        }
    }
}
