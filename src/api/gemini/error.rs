//! Errors in Google's own shape, which the google-genai SDKs read.

use crate::error::ApiError;
use crate::http::Response;
use serde_json::{Value, json};

/// `{"error":{"code","message","status","details"?}}`.
pub fn error_body(error: &ApiError) -> Value {
    let mut body = json!({"code": error.status, "message": error.message, "status": status_word(error.status)});
    let mut details = Vec::new();
    if let Some(code) = error.code() {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": code.to_ascii_uppercase(),
            "domain": "gemini-openai-proxy",
        }));
    }
    if let Some(wait) = error.retry_after {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", wait.as_secs_f64()),
        }));
    }
    if !details.is_empty() {
        body["details"] = Value::Array(details);
    }
    json!({"error": body})
}

/// The same as a whole answer.
pub fn response(error: &ApiError) -> Response {
    let mut response = Response::json(error.status, &error_body(error));
    for (name, value) in error.headers() {
        response = response.with_header(name, value);
    }
    response
}

/// google.rpc.Code by HTTP status.
fn status_word(status: u16) -> &'static str {
    match status {
        400 | 413 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        500 | 502 => "INTERNAL",
        405 | 501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "UNKNOWN",
    }
}
