//! `{"type":"error","error":{"type","message"},"request_id"}`: Anthropic's words for what failed.

use crate::error::{ApiError, ErrorKind};
use crate::http::Response;
use serde_json::{Value, json};

/// Status and type as Anthropic has them. Its SDKs choose the exception by the status, its agents what to do next.
fn kind(error: &ApiError) -> (u16, &'static str) {
    match error.status {
        _ if error.kind == ErrorKind::Billing => (402, "billing_error"),
        401 => (401, "authentication_error"),
        402 => (402, "billing_error"),
        403 => (403, "permission_error"),
        404 => (404, "not_found_error"),
        413 => (413, "request_too_large"),
        429 => (429, "rate_limit_error"),
        503 | 529 => (529, "overloaded_error"),
        504 => (504, "timeout_error"),
        500.. => (500, "api_error"),
        status => (status, "invalid_request_error"),
    }
}

/// The sentence. Agents compact their conversation when they read the one about a prompt that is too long.
fn message(error: &ApiError) -> String {
    if error.code() != Some("context_length_exceeded") {
        return error.said().to_owned();
    }
    let mut numbers: Vec<&str> = error.message.split(|letter: char| !letter.is_ascii_digit()).collect();
    numbers.retain(|number| number.len() > 3);
    match numbers[..] {
        [tokens, maximum, ..] => format!("prompt is too long: {tokens} tokens > {maximum} maximum"),
        _ => format!("prompt is too long: {}", error.said()),
    }
}

/// Nobody keeps what a request goes on from.
pub(super) const THREAD_NOT_FOUND: &str = "thread_not_found";

/// The error object of an answer or an event.
pub(super) fn body(error: &ApiError) -> Value {
    let mut body = json!({"type": "error", "error": {"type": kind(error).1, "message": message(error)}});
    if error.code() == Some(THREAD_NOT_FOUND) {
        // The SDKs act on this code, and on no other.
        body["error"]["details"] = json!({"error_code": THREAD_NOT_FOUND});
    }
    body
}

/// What a request's id is called towards Anthropic's clients.
pub fn request_id(id: &str) -> String {
    format!("req_{id}")
}

/// An error as the whole answer to the request of this id.
pub fn response(error: &ApiError, id: &str) -> Response {
    let mut body = body(error);
    body["request_id"] = request_id(id).into();
    let response = Response::json(kind(error).0, &body);
    error.headers().into_iter().fold(response, |response, (name, value)| response.with_header(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_anthropics_type() {
        for (status, told, kind) in [
            (400, 400, "invalid_request_error"),
            (401, 401, "authentication_error"),
            (403, 403, "permission_error"),
            (404, 404, "not_found_error"),
            (405, 405, "invalid_request_error"),
            (413, 413, "request_too_large"),
            (429, 429, "rate_limit_error"),
            (500, 500, "api_error"),
            (502, 500, "api_error"),
            (503, 529, "overloaded_error"),
            (504, 504, "timeout_error"),
        ] {
            let response = response(&ApiError::new(status, ErrorKind::Server, "no"), "1");
            let body: Value = serde_json::from_slice(&response.body).unwrap();
            assert_eq!((response.status, body["error"]["type"].as_str()), (told, Some(kind)), "{status}");
            assert_eq!((&body["type"], &body["request_id"]), (&"error".into(), &"req_1".into()));
        }
        let unpaid = response(&ApiError::new(429, ErrorKind::Billing, "no"), "1");
        assert_eq!(
            (unpaid.status, unpaid.body.starts_with(br#"{"type":"error","error":{"type":"billing_error""#)),
            (402, true)
        );
    }

    #[test]
    fn a_prompt_that_is_too_long_is_told_in_the_words_that_agents_look_for() {
        let text = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).";
        let error = ApiError::bad_request(text).with_code("context_length_exceeded");
        assert_eq!(message(&error), "prompt is too long: 1200000 tokens > 1048576 maximum");
    }
}
