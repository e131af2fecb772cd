//! Google's error bodies, in all the shapes that were seen (docs/google.md "Shape of an error body"), read into one
//! [`Details`].

use super::duration;
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// What an error body says. Everything may be missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The code in the body; counts where the HTTP status does not, as in an error inside a 200.
    pub code: Option<u16>,
    /// `RESOURCE_EXHAUSTED` and such.
    pub status: Option<String>,
    /// Google's sentence; empty when the body is no JSON.
    pub message: String,
    /// ErrorInfo's reason, or the reason of the legacy `errors` list.
    pub reason: Option<String>,
    /// The delay from the most trustworthy place that has one.
    pub delay: Option<Duration>,
    /// Quota ids, limits and units, in lower case and joined: `PerDay` and the like are searched in it.
    pub quota: String,
    /// Where the person can act.
    pub link: Option<String>,
    /// Whether the body was JSON at all.
    pub json: bool,
}

/// Reads a body. `retry_after` is the header of that name, which Google rarely sends.
pub fn read(body: &[u8], retry_after: Option<Duration>, now: SystemTime) -> Details {
    let text = String::from_utf8_lossy(body);
    let Ok(value) = serde_json::from_str::<Value>(text.trim()) else {
        return Details { delay: retry_after, ..Details::default() };
    };
    let mut details = read_value(&value, now);
    details.json = true;
    details.delay = details.delay.or(retry_after);
    details
}

fn read_value(value: &Value, now: SystemTime) -> Details {
    let value = match value {
        Value::Array(items) => items.first().unwrap_or(&Value::Null),
        other => other,
    };
    let error = match value.get("error") {
        // `{"error": "plain"}`, and `{"error": "invalid_grant", "error_description": "..."}`.
        Some(Value::String(word)) => {
            let message = value.get("error_description").and_then(Value::as_str).unwrap_or(word);
            return Details { message: message.into(), ..Details::default() };
        }
        Some(error @ Value::Object(_)) => error,
        _ => value,
    };
    let text = |key: &str| error.get(key).and_then(Value::as_str).map(str::to_string);
    let mut details = Details {
        code: error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()),
        status: text("status"),
        message: text("message").unwrap_or_default(),
        ..Details::default()
    };
    // An error that a gateway wrapped: the message is itself Google's JSON.
    if details.message.trim_start().starts_with(['{', '['])
        && let Ok(inner) = serde_json::from_str::<Value>(&details.message)
        && let Value::Object(_) | Value::Array(_) = inner
    {
        let nested = read_flat(&inner, now);
        if !nested.message.is_empty() {
            return Details {
                code: details.code.or(nested.code),
                status: details.status.or(nested.status.clone()),
                ..nested
            };
        }
    }
    let mut delays = Delays::default();
    for detail in error.get("details").and_then(Value::as_array).into_iter().flatten() {
        read_detail(detail, now, &mut details, &mut delays);
    }
    if details.reason.is_none() {
        let legacy = error.get("errors").and_then(Value::as_array).and_then(|errors| errors.first());
        details.reason = legacy.and_then(|error| error.get("reason")).and_then(Value::as_str).map(str::to_string);
    }
    details.delay = delays.retry.or(delays.reset).or(delays.stamp).or_else(|| duration::in_message(&details.message));
    details
}

/// One level of nesting is enough for every gateway seen; deeper ones are not followed.
fn read_flat(value: &Value, now: SystemTime) -> Details {
    let value = value.as_array().and_then(|items| items.first()).unwrap_or(value);
    let error = value.get("error").unwrap_or(value);
    match error.get("message").and_then(Value::as_str) {
        Some(message) if !message.trim_start().starts_with(['{', '[']) => read_value(value, now),
        _ => Details::default(),
    }
}

/// Delays by the place they were found in; the order of trust is docs/google.md "Durations in errors".
#[derive(Default)]
struct Delays {
    retry: Option<Duration>,
    reset: Option<Duration>,
    stamp: Option<Duration>,
}

fn read_detail(detail: &Value, now: SystemTime, details: &mut Details, delays: &mut Delays) {
    let text = |key: &str| detail.get(key).and_then(Value::as_str);
    // The type is not looked at: damaged ones occur (" @type"), and the fields tell the messages apart.
    if let Some(reason) = text("reason") {
        details.reason.get_or_insert_with(|| reason.to_string());
    }
    if let Some(delay) = text("retryDelay") {
        delays.retry = delays.retry.or_else(|| duration::parse(delay));
    }
    let metadata = |key: &str| detail.get("metadata").and_then(|metadata| metadata.get(key)).and_then(Value::as_str);
    delays.reset = delays.reset.or_else(|| duration::parse(metadata("quotaResetDelay")?));
    delays.stamp = delays.stamp.or_else(|| duration::until(metadata("quotaResetTimeStamp")?, now));
    for key in ["quota_limit", "quota_unit", "service"] {
        note_quota(metadata(key), details);
    }
    // The link made for this account wins over those of Help, which may come first.
    if let Some(link) = metadata("validation_url").or_else(|| metadata("activationUrl")) {
        details.link = Some(link.to_string());
    }
    for violation in detail.get("violations").and_then(Value::as_array).into_iter().flatten() {
        for key in ["quotaId", "quotaMetric", "type"] {
            note_quota(violation.get(key).and_then(Value::as_str), details);
        }
    }
    for link in detail.get("links").and_then(Value::as_array).into_iter().flatten() {
        if let Some(url) = link.get("url").and_then(Value::as_str) {
            details.link.get_or_insert_with(|| url.to_string());
        }
    }
}

fn note_quota(text: Option<&str>, details: &mut Details) {
    if let Some(text) = text {
        details.quota.push_str(&text.to_ascii_lowercase());
        details.quota.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_json(value: Value) -> Details {
        read(value.to_string().as_bytes(), None, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn every_shape_gives_the_message() {
        let object = json!({"error": {"code": 400, "message": "bad field", "status": "INVALID_ARGUMENT"}});
        let nested = json!({"error": {"code": 502, "message": object.to_string()}});
        let listed = json!({"error": {"message": "bad field", "errors": [{"reason": "badRequest"}]}});
        for shape in [
            object.clone(),
            json!([object]),
            nested,
            listed,
            json!({"error": "bad field"}),
            json!({"message": "bad field"}),
        ] {
            assert_eq!(read_json(shape.clone()).message, "bad field", "{shape}");
        }
        assert_eq!(
            read_json(json!({"error": "invalid_grant", "error_description": "Bad Request"})).message,
            "Bad Request"
        );
        for body in ["", "<html>bad gateway</html>", "null", "[]", "7", "\"text\"", "{\"error\":null}", "\u{FFFD}{"] {
            assert_eq!(read(body.as_bytes(), None, SystemTime::UNIX_EPOCH).message, "", "{body}");
        }
    }

    #[test]
    fn the_most_trustworthy_delay_wins() {
        let info = json!({"metadata": {"quotaResetDelay": "20s", "quotaResetTimeStamp": "1970-01-01T00:00:30Z"}});
        let stamp = json!({"metadata": {"quotaResetDelay": "soon", "quotaResetTimeStamp": "1970-01-01T00:00:30Z"}});
        for (details, seconds) in [
            (json!([info, {"retryDelay": "10s"}]), 10),
            (json!([info, {"retryDelay": "?"}]), 20),
            (json!([stamp]), 30),
            (json!([]), 40),
            (json!(null), 40),
        ] {
            let body = json!({"error": {"message": "Please retry in 40s.", "details": details}});
            let found = read(body.to_string().as_bytes(), Some(Duration::from_secs(50)), SystemTime::UNIX_EPOCH);
            assert_eq!(found.delay, Some(Duration::from_secs(seconds)), "{details}");
        }
        let header = read(b"<html>", Some(Duration::from_secs(50)), SystemTime::UNIX_EPOCH);
        assert_eq!(header.delay, Some(Duration::from_secs(50)));
    }

    #[test]
    fn deeply_nested_messages_end() {
        let mut body = json!({"error": {"message": "x"}});
        for _ in 0..12 {
            body = json!({"error": {"message": body.to_string()}});
        }
        read_json(body);
    }

    #[test]
    fn the_validation_link_wins_over_help() {
        let help = json!({"links": [{"url": "https://help"}, {"url": "https://more"}]});
        let info = json!({"reason": "VALIDATION_REQUIRED", "metadata": {"validation_url": "https://verify"}});
        for details in [json!([help, info]), json!([info, help])] {
            let found = read_json(json!({"error": {"details": details}}));
            assert_eq!(found.link.as_deref(), Some("https://verify"));
        }
        assert_eq!(read_json(json!({"error": {"details": [help]}})).link.as_deref(), Some("https://help"));
    }
}
