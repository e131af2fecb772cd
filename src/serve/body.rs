//! From the body as it came to a text that may be parsed: content codings are undone within the limit of bodies, and what
//! parsing may take is held against one budget of the whole program.

use crate::error::{ApiError, ErrorKind};
use crate::gemini::weight;
use crate::http::Request;
use crate::serve::codings;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Undoes the content coding of the body, whose bytes may be `limit` before and after.
pub(super) fn decode(request: &mut Request, limit: usize) -> Result<(), ApiError> {
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
            Err(ApiError::new(413, ErrorKind::InvalidRequest, sentence).with_code("request_too_large"))
        }
        Ok(body) => {
            request.body = body;
            request.headers.remove("content-encoding");
            Ok(())
        }
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
    ApiError::new(415, ErrorKind::InvalidRequest, sentence).with_code("unsupported_content_encoding")
}

/// The memory that parsed requests may take together.
#[derive(Debug)]
pub struct Room {
    taken: AtomicUsize,
    all: usize,
}

/// A part of the room; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Load {
    room: Arc<Room>,
    amount: usize,
}

impl Room {
    /// Room for `all` bytes.
    pub fn new(all: usize) -> Room {
        Room { taken: AtomicUsize::new(0), all }
    }

    /// Takes what parsing this text may need.
    pub(super) fn take(self: &Arc<Room>, json: &[u8]) -> Result<Load, ApiError> {
        let (weight, allowed) = (weight::of(json), weight::allowed(json.len()));
        if weight > allowed {
            let sentence = format!(
                "The request holds too many JSON values for its size: they would take {weight} bytes of memory, and it may \
                 take {allowed}. Send fewer and longer messages, parts or tools."
            );
            return Err(ApiError::new(413, ErrorKind::InvalidRequest, sentence).with_code("request_too_large"));
        }
        let amount = weight + 2 * json.len();
        let add = |taken: usize| taken.checked_add(amount).filter(|taken| *taken <= self.all);
        match self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, add) {
            Ok(_) => Ok(Load { room: self.clone(), amount }),
            Err(_) => {
                let sentence = "The server has no memory left for a request of this size; try again in a moment.";
                let error = ApiError::server(503, "overloaded", sentence);
                Err(error.with_retry_after(Duration::from_secs(1)))
            }
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.amount, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_and_given_back() {
        let room = Arc::new(Room::new(10_000));
        let first = room.take(br#"{"a":{"b":1}}"#).unwrap();
        let refused = room.take(br#"{"a":{"b":1}}"#).unwrap_err();
        assert_eq!((refused.status, refused.retry_after.is_some()), (503, true));
        drop(first);
        assert!(room.take(br#"{"a":{"b":1}}"#).is_ok());
        assert_eq!(room.take("[".repeat(1 << 20).as_bytes()).unwrap_err().status, 413);
    }
}
