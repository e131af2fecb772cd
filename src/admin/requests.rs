//! The last requests as JSON.

use crate::calendar;
use crate::usage::Entry;
use serde_json::{Value, json};

/// `GET /admin/requests`, newest first.
pub fn requests(entries: &[Entry]) -> Value {
    json!({"requests": entries.iter().map(request).collect::<Vec<_>>()})
}

fn request(entry: &Entry) -> Value {
    json!({
        "time": calendar::iso_ms(entry.time),
        "id": entry.id,
        "key": entry.key,
        "surface": entry.surface,
        "model": entry.model,
        "credential": entry.credential,
        "status": entry.status,
        "attempts": entry.attempts,
        "ms": entry.latency.as_millis() as u64,
        "ttft_ms": entry.first_token.map(|time| time.as_millis() as u64),
        "prompt_tokens": entry.prompt_tokens,
        "completion_tokens": entry.completion_tokens,
        "error": Some(&entry.error).filter(|error| !error.is_empty()),
    })
}
