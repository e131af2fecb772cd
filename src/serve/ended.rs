//! Answers that must end before they are complete though their clients still listen, and what these are told.

use crate::error::{ApiError, ErrorKind};
use crate::http::{CancelToken, Leave};
use crate::keys::Key;

/// Who presented a key has an answer as long as the key may be used.
impl Leave for Key {
    fn has_ended(&self) -> bool {
        Key::has_ended(self)
    }
}

/// The error with which such an answer ends; `None` where nobody listens any more.
pub(super) fn early(cancel: &CancelToken) -> Option<ApiError> {
    if cancel.is_stopped() {
        let sentence = "The server is shutting down; the answer is not complete.";
        return Some(ApiError::server(503, "shutting_down", sentence));
    }
    cancel.has_no_leave().then(|| {
        let sentence = "This API key has been taken away, switched off or has expired; the answer is not complete.";
        ApiError::new(401, ErrorKind::InvalidRequest, sentence).with_code("invalid_api_key")
    })
}
