//! The configuration in force, for the admin page: each value with where it comes from, secrets as counts or stars.

use super::{Config, LogFormat};
use crate::upstream::agent::ProxyChoice;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// `{key: {"value", "source": "file" | "default"}}`. Holds no secret.
pub fn shown(config: &Config) -> Value {
    let seconds = |time: Option<Duration>| json!(time.map(|time| time.as_secs_f64()));
    let set = |is_set: bool| json!(is_set.then_some("***"));
    let values: [(&str, Value); 42] = [
        ("server.host", json!(config.host)),
        ("server.port", json!(config.port)),
        ("server.workers", json!(config.limits.workers)),
        ("server.max_connections", json!(config.limits.max_connections)),
        ("server.max_connections_per_address", json!(config.limits.max_connections_per_address)),
        ("server.max_body_mb", json!(config.limits.max_body / (1024 * 1024))),
        ("server.drain_sec", seconds(Some(config.drain).filter(|drain| *drain != Duration::MAX))),
        ("auth_keys", counted(config.auth_keys.len(), "key")),
        ("gemini_api_keys", counted(config.gemini_api_keys.len(), "key")),
        ("credentials_file", json!(config.credentials_file.display().to_string())),
        ("state_file", json!(config.state_file.display().to_string())),
        ("project_id_map", counted(config.project_id_map.len(), "project")),
        ("oauth_client", json!(config.oauth_client.id)),
        ("min_credentials", json!(config.min_credentials)),
        ("max_attempts", json!(config.max_attempts)),
        ("max_credentials_per_request", json!(config.max_credentials_per_request)),
        ("failover_sec", seconds(Some(config.failover).filter(|time| *time != Duration::MAX))),
        ("affinity", json!(format!("{:?}", config.settings.affinity).to_lowercase())),
        ("proxy_url", proxy(&config.proxy)),
        ("ca_file", set(config.authorities.is_some())),
        ("request_timeouts.connect", seconds(config.timeouts.connect)),
        ("request_timeouts.read", seconds(config.timeouts.read)),
        ("stream.early_head_after_sec", seconds(config.early_head_after)),
        ("stream.keep_alive_sec", seconds(config.keep_alive)),
        ("models", json!(config.models.iter().map(|model| &model.name).collect::<Vec<_>>())),
        ("mid_system", json!(format!("{:?}", config.settings.mid_system).to_lowercase())),
        ("media_resolution", json!(config.settings.media_resolution)),
        ("continue_text", json!(config.settings.continue_text)),
        ("admin_username", json!(config.admin.as_ref().map(|login| &login.username))),
        ("admin_password", set(config.admin.is_some())),
        ("public_url", json!(config.public_url)),
        ("log_level", json!(config.log_level.as_str().to_lowercase())),
        ("log_format", json!(if config.log_format == LogFormat::Json { "json" } else { "text" })),
        ("usage_logging.enabled", json!(config.usage_interval.is_some())),
        ("usage_logging.interval_sec", seconds(config.usage_interval)),
        ("metrics.enabled", json!(config.metrics.enabled)),
        ("metrics.token", set(config.metrics.token.is_some())),
        ("endpoints.code_assist", address(&config.endpoints.code_assist)),
        ("endpoints.generative_language", address(&config.endpoints.generative_language)),
        ("endpoints.oauth_authorize", address(&config.endpoints.oauth_authorize)),
        ("endpoints.oauth_token", address(&config.endpoints.oauth_token)),
        ("endpoints.userinfo", address(&config.endpoints.userinfo)),
    ];
    let mut shown = Map::new();
    for (key, value) in values {
        let source = if config.given.iter().any(|given| given == key) { "file" } else { "default" };
        shown.insert(key.into(), json!({"value": value, "source": source}));
    }
    Value::Object(shown)
}

fn counted(count: usize, what: &str) -> Value {
    json!(format!("{count} {what}{}", if count == 1 { "" } else { "s" }))
}

/// The address of a proxy may hold a password.
fn proxy(choice: &ProxyChoice) -> Value {
    match choice {
        ProxyChoice::Environment => Value::Null,
        ProxyChoice::Direct => json!(""),
        ProxyChoice::Fixed(_) => json!("***"),
    }
}

/// An address without the login that may stand in it.
fn address(url: &str) -> Value {
    match url.split_once("//").map(|(scheme, rest)| (scheme, rest.split_once('@'))) {
        Some((scheme, Some((_, rest)))) => json!(format!("{scheme}//***@{rest}")),
        _ => json!(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_names_its_source_and_no_secret_is_shown() {
        let text = r#"{"server":{"port":8888},"auth_keys":["sk-very-secret"],"gemini_api_keys":["AIza-secret"],
            "admin_username":"chef","admin_password":"secret-word","metrics":{"token":"secret-token"},"endpoints":{"code_assist":"http://me:secret@gate/x"},
            "oauth_client":{"client_id":"me","client_secret":"secret-half"},"proxy_url":"http://me:secret@proxy:1",
            "mid_system":"inplace"}"#;
        let value = shown(&crate::config::parse(text).unwrap().config);
        assert!(!value.to_string().contains("secret"), "{value}");
        for (key, expected) in [
            ("server.port", json!({"value": 8888, "source": "file"})),
            ("server.host", json!({"value": "0.0.0.0", "source": "default"})),
            ("auth_keys", json!({"value": "1 key", "source": "file"})),
            ("admin_password", json!({"value": "***", "source": "file"})),
            ("log_format", json!({"value": "text", "source": "default"})),
            ("mid_system", json!({"value": "inplace", "source": "file"})),
            ("affinity", json!({"value": "named", "source": "default"})),
            ("proxy_url", json!({"value": "***", "source": "file"})),
        ] {
            assert_eq!(value[key], expected, "{key}");
        }
    }
}
