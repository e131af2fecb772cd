//! The clients' keys as the admin sees them: masked, with limits and what was used today.

use crate::calendar;
use crate::keys::{Key, Source};
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /admin/keys`.
pub fn keys(list: &[Arc<Key>]) -> Value {
    json!({"keys": list.iter().map(|key| shown(key)).collect::<Vec<_>>()})
}

fn shown(key: &Key) -> Value {
    let today = key.today();
    json!({
        "id": key.id,
        "name": key.name,
        "masked": key.masked,
        "source": match key.source {
            Source::Config => "config",
            Source::Page => "page",
        },
        "disabled": key.disabled,
        "models": key.limits.models,
        "limits": key.limits.json(),
        "today": {"requests": today.requests, "tokens": today.tokens},
        "last_used": today.last_used.map(calendar::iso),
    })
}
