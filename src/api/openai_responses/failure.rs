//! What a failed response says.

use crate::error::{ApiError, ErrorKind};
use serde_json::{Value, json};

/// The `error` of a failed response.
pub(super) fn error(error: &ApiError) -> Value {
    json!({"code": code(error), "message": message(error)})
}

/// The code of a failed response. Programs act on these; others than OpenAI's mean nothing to them.
fn code(error: &ApiError) -> &'static str {
    match (error.kind, error.code()) {
        (_, Some("context_length_exceeded")) => "context_length_exceeded",
        (ErrorKind::RateLimit, _) => "rate_limit_exceeded",
        (ErrorKind::InsufficientQuota | ErrorKind::Billing, _) => "insufficient_quota",
        (ErrorKind::InvalidRequest | ErrorKind::ImageRefused, _) => "invalid_prompt",
        (ErrorKind::Server | ErrorKind::Authentication | ErrorKind::Permission, _) => "server_error",
    }
}

/// Codex reads out of the message how long to wait.
fn message(error: &ApiError) -> String {
    match error.retry_after.filter(|_| error.kind == ErrorKind::RateLimit) {
        Some(wait) => format!("{} Please try again in {}s.", error.said(), wait.as_millis() as f64 / 1000.0),
        None => error.said().to_owned(),
    }
}
