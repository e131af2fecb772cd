//! The clients' keys as the admin sees them: masked, with limits and what was used today.

use crate::calendar;
use crate::keys::{Key, Source};
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /admin/keys`. One at a time: a tree of all of them would be many times its text.
pub fn keys(list: &[Arc<Key>]) -> String {
    format!("{{\"keys\":{}}}", super::joined(list.iter().map(|key| shown(key))))
}

/// One of them.
pub(super) fn shown(key: &Key) -> Value {
    let today = key.today();
    json!({
        "id": key.id(),
        "name": *key.name,
        "masked": *key.masked,
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
