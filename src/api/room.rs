//! What a request takes of the memory of all, weighed before anything is made of it.

use crate::error::{ApiError, ErrorKind};
use crate::gemini::{Request, weight};
use crate::os::room;

/// What a request may have when it is written beyond what was taken for it.
const BEYOND: usize = 8 << 20;

/// Takes what parsing these texts of one request may need, until it is answered.
pub(crate) fn take<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Result<(), ApiError> {
    let (mut length, mut sum) = (0, 0);
    for text in texts {
        (length, sum) = (length + text.len(), sum + weight::of(text));
    }
    let allowed = weight::allowed(length);
    if sum > allowed {
        return Err(too_large(format!(
            "The request holds too many JSON values for its size: they would take {sum} bytes of memory, and it may \
             take {allowed}. Send fewer and longer messages, parts or tools."
        )));
    }
    take_bytes(sum + 2 * length)
}

/// Takes what a request may need beyond what was taken for its texts and files: what is no JSON, a file or a field of a form, may grow
/// as it is written for Google.
pub(crate) fn take_written(request: &Request) -> Result<(), ApiError> {
    let (written, taken) = (weight::of_request(request), room::taken());
    let allowed = taken + BEYOND;
    if written > allowed {
        return Err(too_large(format!(
            "The texts of the request have too many control characters: as JSON they take {written} bytes, and they may \
             take {allowed}. Send what is no text as a file of its own media type."
        )));
    }
    take_bytes((2 * written).saturating_sub(taken))
}

fn too_large(sentence: String) -> ApiError {
    ApiError::new(413, ErrorKind::InvalidRequest, sentence).with_code("request_too_large")
}

/// Takes what a form of this length may need, whose files are no JSON: each of them in base64, and once more in the
/// request to Google.
pub(crate) fn take_form(length: usize) -> Result<(), ApiError> {
    take_bytes(3 * length)
}

fn take_bytes(bytes: usize) -> Result<(), ApiError> {
    match room::take(bytes) {
        true => Ok(()),
        false => Err(ApiError::no_room("a request")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::room::Room;
    use std::sync::Arc;

    #[test]
    fn conversations_of_thousands_of_short_messages_are_let_in() {
        let message = r#"{"role":"user","content":"0123456789"}"#;
        let of =
            |count: usize| format!(r#"{{"model":"gemini-2.5-flash","messages":[{}]}}"#, vec![message; count].join(","));
        assert!(take([of(3_500).as_bytes()]).is_ok());
        assert_eq!(take([of(4_000).as_bytes()]).unwrap_err().status, 413);
    }

    #[test]
    fn room_is_taken_and_given_back() {
        let room = Arc::new(Room::new(10_000, 10_000));
        let stay = room.enter(None);
        let text: &[u8] = br#"{"a":{"b":1}}"#;
        take([text]).unwrap();
        let refused = take([text]).unwrap_err();
        assert_eq!((refused.status, refused.retry_after.is_some()), (503, true));
        drop(stay);
        let _stay = room.enter(None);
        assert!(take([text]).is_ok());
        assert_eq!(take(["[".repeat(1 << 20).as_bytes()]).unwrap_err().status, 413);
        assert_eq!(take(vec![text; 10_000]).unwrap_err().status, 413, "together they are too many");
    }
}
