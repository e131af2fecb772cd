//! How the program is: figures of the moment, the configuration in force, and what a person should know or do.

use super::accounts::unsaved;
use crate::calendar;
use crate::config;
use crate::credentials::View;
use crate::message::Message;
use crate::serve::app::App;
use serde_json::{Value, json};
use std::time::SystemTime;

/// `GET /admin/status`.
pub fn status(app: &App) -> Value {
    let server = app.server.get().map(|server| server.snapshot()).unwrap_or_default();
    json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": app.started.elapsed().as_secs(),
        "now": calendar::iso(SystemTime::now()),
        "memory_bytes": crate::os::platform::resident_memory(),
        "server": {
            "connections": server.connections,
            "busy": server.busy,
            "queued": server.queued,
            "workers": server.workers,
        },
        "address": app.config.base_url(app.port),
        "alerts": alerts(
            &app.config,
            &app.pool.views(),
            unsaved(app),
            app.state.is_failing(),
            app.usage.history_fails(),
            app.replicas.as_ref().and_then(|replicas| replicas.alert()),
        ),
        "replicas": app.replicas.as_ref().map(|replicas| replicas.all()),
        "config": app.config.shown(),
    })
}

/// The most pressing first.
fn alerts(
    config: &config::Config,
    views: &[View],
    unsaved: Option<Message>,
    state_fails: bool,
    history_fails: bool,
    of_store: Option<Message>,
) -> Vec<Value> {
    let mut alerts = Vec::new();
    let mut tell = |level: &str, message: Message| {
        let mut alert = message.json();
        alert["level"] = level.into();
        alert["text"] = message.to_string().into();
        alerts.push(alert);
    };
    let available = views.iter().filter(|view| view.available).count();
    if views.is_empty() {
        tell("error", Message::new("no_credentials"));
    } else if available == 0 {
        let earliest = views.iter().filter_map(|view| view.exhausted_until).min();
        let cooling = |until| Message::new("all_cooling").with("until", calendar::iso(until));
        tell("error", earliest.map_or_else(|| Message::new("none_usable"), cooling));
    } else if (available as u64) < config.min_credentials {
        let wanted = config.min_credentials;
        tell("warning", Message::new("few_credentials").with("available", available).with("wanted", wanted));
    }
    for message in [unsaved, of_store].into_iter().flatten() {
        tell("error", message);
    }
    if state_fails {
        tell("error", Message::new("state_readonly"));
    }
    if history_fails {
        tell("warning", Message::new("history_readonly"));
    }
    if config.default_keys {
        tell("warning", Message::new("default_key"));
    } else if config.auth_keys.iter().any(|key| config::is_example_key(key.key.expose())) {
        tell("warning", Message::new("example_key"));
    }
    if config.admin.is_none() {
        tell("info", Message::new("admin_open"));
    }
    alerts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_come_with_their_cause_only() {
        let codes = |text: &str, state_fails: bool| -> Vec<String> {
            let config = config::parse(text).unwrap().config;
            let unsaved = state_fails.then(|| Message::new("credentials_unsaved").with("reason", "disk full"));
            alerts(&config, &[], unsaved, state_fails, state_fails, None)
                .iter()
                .map(|alert| alert["code"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(codes("{}", false), ["no_credentials", "default_key", "admin_open"]);
        let closed = r#"{"auth_keys":["sk-own"],"admin_username":"a","admin_password":"b"}"#;
        assert_eq!(
            codes(closed, true),
            ["no_credentials", "credentials_unsaved", "state_readonly", "history_readonly"]
        );
        let example = r#"{"auth_keys":["your-secret-key-1"],"admin_username":"a","admin_password":"b"}"#;
        assert_eq!(codes(example, false), ["no_credentials", "example_key"]);
    }
}
