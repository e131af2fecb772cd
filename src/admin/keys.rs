//! The clients' keys as the admin sees them: masked, with limits and what was used today.

use crate::calendar;
use crate::config::dollars;
use crate::keys::{Key, Source, Used};
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /admin/keys`. One at a time: a tree of all of them would be many times its text.
pub fn keys(list: &[Arc<Key>]) -> String {
    format!("{{\"keys\":{}}}", super::joined(list.iter().map(|key| shown(key))))
}

/// One of them.
pub(super) fn shown(key: &Key) -> Value {
    let used = key.used();
    let figures =
        |used: Used| json!({"requests": used.requests, "tokens": used.tokens, "cost_usd": dollars(used.cost)});
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
        "today": figures(used.today),
        "month": figures(used.month),
        "last_used": used.last_used.map(calendar::iso),
    })
}
