//! The pool as the admin sees it (docs/compatibility.md "The list of credentials"): the old fields in the old order and
//! words, ours after them.

use crate::calendar;
use crate::credentials::{CoolingModel, Kind, LocationView, View};
use crate::mask;
use crate::message::Message;
use serde_json::{Value, json};
use std::time::SystemTime;

/// `GET /admin/credentials`.
pub fn credentials(views: &[View]) -> String {
    super::joined(views.iter().map(credential))
}

/// One of them.
pub(super) fn credential(view: &View) -> Value {
    let models: Vec<Value> = view.cooling.iter().map(model).collect();
    json!({
        "id": view.name,
        "email": mask::email(view.email.as_deref()),
        "project_id": mask::project(view.project.as_deref()),
        "status": view.status,
        "is_available": view.available,
        "expiry": calendar::date(view.expiry),
        "usage_count": view.usage_count,
        "created_at": iso(Some(view.created_at)),
        "last_used_at": iso(Some(view.last_used_at)),
        "last_refreshed_at": iso(view.last_refreshed_at),
        "exhausted_until": iso(view.exhausted_until),
        "failed_at": iso(view.failed_at),
        "failure_reason": view.failure_reason.as_ref().map(Message::to_string),
        "rate_limited_until": iso(view.exhausted_until),
        "disabled": view.disabled,
        "source": if view.from_config { "config" } else { "file" },
        "kind": match view.kind {
            Kind::Oauth => "oauth",
            Kind::ApiKey => "api_key",
            Kind::Vertex => "vertex",
        },
        "label": view.label,
        "tier": view.tier,
        "reason_code": view.reason_code,
        "told": view.failure_reason.as_ref().map(Message::json),
        "link": view.link,
        "models": models,
        "locations": view.locations.iter().map(location).collect::<Vec<_>>(),
    })
}

fn location(view: &LocationView) -> Value {
    json!({"location": view.location, "model": view.model, "status": view.status, "at": iso(view.at)})
}

fn model(resting: &CoolingModel) -> Value {
    json!({
        "model": resting.model,
        "cooling_until": iso(Some(resting.until)),
        "reason": resting.reason,
        "refused": resting.refused,
        "detail": resting.message.to_string(),
        "told": resting.message.json(),
    })
}

/// ISO 8601 with microseconds and `+00:00`, or null.
pub(super) fn iso(time: Option<SystemTime>) -> Value {
    json!(time.map(calendar::iso_us))
}

/// Now, in the same notation.
pub(super) fn now() -> Value {
    iso(Some(SystemTime::now()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn the_old_fields_come_first_in_the_old_order_and_are_masked() {
        let view = View {
            name: "cred-0".into(),
            kind: Kind::Oauth,
            email: Some("alice@gmail.com".into()),
            project: Some("my-project-12345".into()),
            label: None,
            status: "active",
            available: true,
            disabled: false,
            from_config: false,
            expiry: Some(UNIX_EPOCH + Duration::from_secs(1_709_164_800)),
            usage_count: 3,
            created_at: UNIX_EPOCH,
            last_used_at: UNIX_EPOCH + Duration::from_micros(1_500_000),
            last_refreshed_at: None,
            exhausted_until: None,
            failed_at: None,
            failure_reason: None,
            reason_code: None,
            link: None,
            tier: None,
            locations: Vec::new(),
            cooling: Vec::new(),
        };
        let text = credentials(&[view]);
        assert!(
            text.starts_with(
                r#"[{"id":"cred-0","email":"a*i*e*******@gmail.com","project_id":"***-2345","status":"active","is_available":true,"expiry":"2024-02-29 00:00:00 UTC","usage_count":3,"created_at":"1970-01-01T00:00:00.000000+00:00","last_used_at":"1970-01-01T00:00:01.500000+00:00","last_refreshed_at":null,"exhausted_until":null,"failed_at":null,"failure_reason":null,"#
            ),
            "{text}"
        );
    }
}
