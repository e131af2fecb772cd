//! The chunked transfer coding, request side, strict (RFC 9112 section 7.1). Pure: bytes in, bytes out, any splitting.
//!
//! Stock parsers were found to leave unread chunks to be parsed as the next request and to read size lines without end
//! (docs/crates.md "What a listener must survive"); so every line here has a limit and every byte has its place.

/// Longest chunk-size line, extensions included, in bytes.
const MAX_SIZE_LINE: usize = 256;
/// All trailer fields together, in bytes.
const MAX_TRAILERS: usize = 8 * 1024;

/// Why a chunked body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkError {
    /// Not the chunked coding.
    Malformed,
    /// More than the body limit.
    TooLarge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLineFeed,
    LastLineFeed,
    Done,
}

/// Decodes one body.
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
    /// Size of the current chunk while its line is read, then what is left of it.
    size: u64,
    has_digit: bool,
    line: usize,
    trailers: usize,
    limit: u64,
}

impl Decoder {
    /// A decoder for a body of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Decoder {
        Decoder { state: State::Size, size: 0, has_digit: false, line: 0, trailers: 0, limit: limit as u64 }
    }

    /// Whether the last chunk and its trailers have been read.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads from `input`, appends to `body`, and returns how many bytes of `input` belonged to this body. Stops at the
    /// end of the body; what follows is the next request.
    pub(super) fn decode(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<usize, ChunkError> {
        let mut at = 0;
        while at < input.len() && !self.is_done() {
            if self.state == State::Data {
                let take = (input.len() - at).min(usize::try_from(self.size).unwrap_or(usize::MAX));
                body.extend_from_slice(&input[at..at + take]);
                at += take;
                self.size -= take as u64;
                if self.size == 0 {
                    self.state = State::DataReturn;
                }
                continue;
            }
            self.state = self.step(input[at], body.len() as u64)?;
            at += 1;
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8, held: u64) -> Result<State, ChunkError> {
        let next = match (self.state, byte) {
            (State::Size, b'\r') if self.has_digit => State::SizeLineFeed,
            (State::Size, b';') if self.has_digit => self.count_line(State::Extension)?,
            (State::Size, _) => {
                let digit = (byte as char).to_digit(16).ok_or(ChunkError::Malformed)?;
                let size = self.size.checked_mul(16).and_then(|size| size.checked_add(u64::from(digit)));
                self.size = size.filter(|size| *size <= self.limit).ok_or(ChunkError::TooLarge)?;
                self.has_digit = true;
                self.count_line(State::Size)?
            }
            (State::Extension, b'\r') => State::SizeLineFeed,
            (State::Extension, _) if is_field_byte(byte) => self.count_line(State::Extension)?,
            (State::SizeLineFeed, b'\n') if self.size == 0 => State::TrailerStart,
            (State::SizeLineFeed, b'\n') if held + self.size > self.limit => return Err(ChunkError::TooLarge),
            (State::SizeLineFeed, b'\n') => State::Data,
            (State::DataReturn, b'\r') => State::DataLineFeed,
            (State::DataLineFeed, b'\n') => {
                (self.size, self.has_digit, self.line) = (0, false, 0);
                State::Size
            }
            (State::TrailerStart, b'\r') => State::LastLineFeed,
            (State::TrailerStart | State::TrailerName, _) if is_name_byte(byte) => {
                self.count_trailer(State::TrailerName)?
            }
            (State::TrailerName, b':') => self.count_trailer(State::TrailerValue)?,
            (State::TrailerValue, b'\r') => State::TrailerLineFeed,
            (State::TrailerValue, _) if is_field_byte(byte) => self.count_trailer(State::TrailerValue)?,
            (State::TrailerLineFeed, b'\n') => State::TrailerStart,
            (State::LastLineFeed, b'\n') => State::Done,
            _ => return Err(ChunkError::Malformed),
        };
        Ok(next)
    }

    fn count_line(&mut self, next: State) -> Result<State, ChunkError> {
        self.line += 1;
        if self.line > MAX_SIZE_LINE { Err(ChunkError::Malformed) } else { Ok(next) }
    }

    fn count_trailer(&mut self, next: State) -> Result<State, ChunkError> {
        self.trailers += 1;
        if self.trailers > MAX_TRAILERS { Err(ChunkError::Malformed) } else { Ok(next) }
    }
}

/// A byte of a field value: no control character but tab.
pub(super) fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// A byte of a field name (RFC 9110 `tchar`).
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(input: &[u8], step: usize, limit: usize) -> Result<(Vec<u8>, usize, bool), ChunkError> {
        let (mut decoder, mut body, mut used) = (Decoder::new(limit), Vec::new(), 0);
        for piece in input.chunks(step) {
            let taken = decoder.decode(piece, &mut body)?;
            used += taken;
            if taken < piece.len() {
                break;
            }
        }
        Ok((body, used, decoder.is_done()))
    }

    #[test]
    fn bodies_decode_whatever_the_splitting() {
        let cases: [(&[u8], &[u8]); 5] = [
            (b"0\r\n\r\n", b""),
            (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
            (b"5;name=value\r\nhello\r\n00\r\n\r\n", b"hello"),
            (b"A\r\n0123456789\r\n1\r\n\n\r\n0\r\n\r\n", b"0123456789\n"),
            (b"1\r\nx\r\n0\r\nX-Sum: 1\r\nOther:\r\n\r\n", b"x"),
        ];
        for (input, expected) in cases {
            for step in 1..=input.len() {
                let (body, used, done) = decode(input, step, 100).unwrap();
                assert_eq!((body.as_slice(), used, done), (expected, input.len(), true), "{step}");
            }
        }
    }

    #[test]
    fn what_follows_the_body_is_left_for_the_next_request() {
        let input = b"1\r\nx\r\n0\r\n\r\nGET /next HTTP/1.1\r\n";
        let (body, used, done) = decode(input, input.len(), 100).unwrap();
        assert_eq!((body.as_slice(), done), (&b"x"[..], true));
        assert_eq!(&input[used..], b"GET /next HTTP/1.1\r\n");
    }

    #[test]
    fn anything_but_the_coding_is_malformed() {
        let cases: [&[u8]; 16] = [
            b"\r\n",
            b";x\r\n",
            b"-1\r\n",
            b"+1\r\n",
            b"0x1\r\n",
            b" 1\r\n",
            b"1 \r\nx\r\n",
            b"1\nx\r\n",
            b"1\r\nxy\r\n",
            b"1\r\nx\n0\r\n\r\n",
            b"1;a\nb\r\n",
            b"1;a\x00b\r\n",
            b"0\r\n: nameless\r\n\r\n",
            b"0\r\n folded\r\n\r\n",
            b"0\r\nno colon\r\n\r\n",
            b"0\r\nA: b\nC: d\r\n\r\n",
        ];
        for input in cases {
            assert_eq!(decode(input, 1, 100), Err(ChunkError::Malformed), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn sizes_lines_and_trailers_have_limits() {
        assert_eq!(decode(b"65\r\n", 1, 100), Err(ChunkError::TooLarge));
        assert_eq!(decode(b"ffffffffffffffffffff\r\n", 1, 100), Err(ChunkError::TooLarge));
        assert!(!decode(b"3c\r\n", 1, 100).unwrap().2);
        let mut two = b"3c\r\n".to_vec();
        two.extend([b'x'; 60]);
        two.extend(b"\r\n3c\r\n");
        assert_eq!(decode(&two, 7, 100), Err(ChunkError::TooLarge));
        assert_eq!(decode(&[b'0'; 300], 1, 100), Err(ChunkError::Malformed));
        assert_eq!(decode(&[&b"1;"[..], &[b'e'; 300]].concat(), 1, 100), Err(ChunkError::Malformed));
        assert_eq!(decode(&[&b"0\r\nT: "[..], &[b'v'; 9000]].concat(), 9000, 100), Err(ChunkError::Malformed));
    }

    #[test]
    fn random_bytes_never_panic_nor_exceed_the_limit() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let alphabet = b"0019af;:\r\n\r\n\r\nxT \t\x00\xff";
        for _ in 0..20_000 {
            let mut input = Vec::new();
            for _ in 0..40 {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                input.push(alphabet[(seed % alphabet.len() as u64) as usize]);
            }
            if let Ok((body, used, _)) = decode(&input, 3, 16) {
                assert!(body.len() <= 16 && used <= input.len());
            }
        }
    }
}
