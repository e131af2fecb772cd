//! Answers that come compressed. None is asked for, so that no event waits in a compressor; but who asks for nothing takes
//! any coding (RFC 9110 section 12.5.3), and what stands between us and Google may choose one.

use super::error::Fault;
use std::io::Read;
use ureq::http::Response;
use ureq::{Body, BodyReader};

/// The body as it was before, piece by piece as it comes.
pub(super) fn undo(response: Response<Body>) -> Result<Box<dyn Read + Send>, Fault> {
    let coding = response.headers().get("content-encoding").and_then(|value| value.to_str().ok()).unwrap_or("");
    let coding = coding.to_ascii_lowercase();
    let body: BodyReader<'static> = response.into_body().into_reader();
    match coding.as_str() {
        "" | "identity" => Ok(Box::new(body)),
        #[cfg(feature = "codings")]
        "gzip" | "x-gzip" => Ok(gzip(Box::new(body))),
        _ => Err(Fault::Invalid(format!("it is compressed ({coding}), which was not asked for"))),
    }
}

#[cfg(feature = "codings")]
fn gzip(body: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    Box::new(flate2::read::MultiGzDecoder::new(body))
}

#[cfg(all(test, feature = "codings"))]
mod tests {
    use std::io::{self, Cursor, Read, Write};

    /// What nobody may ask for yet.
    struct TooEarly;

    impl Read for TooEarly {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("the first piece was there already");
        }
    }

    #[test]
    fn a_piece_is_given_when_it_has_come() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(b"data: {}\n\n").unwrap();
        encoder.flush().unwrap();
        let mut piece = [0; 100];
        let length =
            super::gzip(Box::new(Cursor::new(encoder.get_ref().clone()).chain(TooEarly))).read(&mut piece).unwrap();
        assert_eq!(&piece[..length], b"data: {}\n\n");
    }
}
