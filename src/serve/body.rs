//! From the body as it came to a text that may be parsed: content codings are undone within the limit of bodies.

use crate::error;
use crate::error::ApiError;
use crate::http::Request;
use crate::serve::codings;
use std::io::ErrorKind;

/// Undoes the content coding of the body, whose bytes may be `limit` before and after.
pub(super) fn decode(request: &mut Request, limit: usize) -> Result<(), ApiError> {
    if request.body.is_empty() {
        return Ok(());
    }
    let mut names: Vec<String> = request
        .headers
        .all("content-encoding")
        .flat_map(|list| list.split(','))
        .map(|coding| coding.trim().to_ascii_lowercase())
        .filter(|coding| !coding.is_empty() && coding != "identity")
        .collect();
    let coded = std::mem::take(&mut request.body);
    // No JSON begins like this: somebody forgot to say it.
    if names.is_empty() && is_json(request) && coded.starts_with(b"\x1f\x8b\x08") {
        names.push("gzip".into());
    }
    let decoded = match &names[..] {
        [] => {
            request.body = coded;
            return Ok(());
        }
        [coding] => codings::decode(coding, &coded, limit),
        _ => None,
    };
    let Some(decoded) = decoded else { return Err(unknown(&names.join(", "))) };
    match decoded {
        Ok(body) if body.len() > limit => {
            let sentence = format!("The request body is too large: decoded, it may have {limit} bytes.");
            Err(ApiError::new(413, error::ErrorKind::InvalidRequest, sentence).with_code("request_too_large"))
        }
        Ok(body) => {
            request.body = body;
            request.headers.remove("content-encoding");
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::OutOfMemory => Err(ApiError::no_room("a request")),
        Err(error) => {
            let sentence = format!("The request body is not valid {}: {error}.", names[0]);
            Err(ApiError::bad_request(sentence).with_code("invalid_content_encoding"))
        }
    }
}

fn is_json(request: &Request) -> bool {
    request.headers.get("content-type").is_some_and(|media| media.to_ascii_lowercase().contains("json"))
}

/// The answer names what is taken (RFC 9110 section 15.5.16).
fn unknown(codings: &str) -> ApiError {
    let codings: String = codings.chars().take(60).collect();
    let sentence = format!("The content coding {codings:?} is not read here; what is: {}.", codings::READ);
    ApiError::new(415, error::ErrorKind::InvalidRequest, sentence).with_code("unsupported_content_encoding")
}
