//! `{"error":{"message","type","param","code"}}` (docs/openai-chat.md "Error bodies and statuses").

use crate::api::frame;
use crate::error::ApiError;
use crate::http::Response;
use serde_json::{Value, json};

/// The error object; `code` is a string or null, never a number.
pub fn body(error: &ApiError) -> Value {
    json!({"error": {
        "message": error.message,
        "type": error.kind.openai_type(),
        "param": error.param,
        "code": error.code(),
    }})
}

/// An error as a whole answer.
pub fn response(error: &ApiError) -> Response {
    let response = Response::json(error.status, &body(error));
    error.headers().into_iter().fold(response, |response, (name, value)| response.with_header(name, value))
}

/// The same in a dialect that has another field for the conversation than `messages`.
pub fn response_about(error: &ApiError, field: &str) -> Response {
    match error.code() {
        Some("context_length_exceeded") => response(&error.clone().with_param(field)),
        _ => response(error),
    }
}

/// An error in a stream that has begun; nothing may follow it.
pub fn frame(error: &ApiError, out: &mut Vec<u8>) {
    frame::event(&body(error), out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_error_has_all_four_fields_and_its_headers() {
        let error = ApiError::invalid("input", "invalid_value", "no").with_retry_after(Duration::from_millis(1500));
        let answer = response(&error);
        let expected =
            r#"{"error":{"message":"no","type":"invalid_request_error","param":"input","code":"invalid_value"}}"#;
        assert_eq!(String::from_utf8(answer.body).unwrap(), expected);
        assert_eq!(answer.status, 400);
        assert!(answer.headers.contains(&("Retry-After".into(), "2".into())));
        let bare = body(&ApiError::bad_request("x"));
        assert_eq!(bare["error"]["param"], Value::Null);
        assert_eq!(bare["error"]["code"], Value::Null);
    }
}
