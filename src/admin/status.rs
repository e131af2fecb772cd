//! How the program is: figures of the moment, the configuration in force, and what a person should know or do, as
//! sentences in English and Chinese.

use super::accounts::unsaved;
use crate::calendar;
use crate::config;
use crate::credentials::View;
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
        "alerts": alerts(&app.config, &app.pool.views(), unsaved(app).as_deref(), app.state.is_failing()),
        "config": app.config.shown(),
    })
}

/// The most pressing first.
fn alerts(config: &config::Config, views: &[View], unsaved: Option<&str>, state_fails: bool) -> Vec<Value> {
    let mut alerts = Vec::new();
    let mut tell = |level: &str, code: &str, en: &str, zh: &str| {
        alerts.push(json!({"level": level, "code": code, "text_en": en, "text_zh": zh, "link": null}));
    };
    let available = views.iter().filter(|view| view.available).count();
    if views.is_empty() {
        tell(
            "error",
            "no_credentials",
            "There is no credential yet. Add a Gemini API key or an account below.",
            "还没有任何凭据。请在下方添加 Gemini API 密钥或账号。",
        );
    } else if available == 0 {
        match views.iter().filter_map(|view| view.exhausted_until).min() {
            Some(until) => {
                let until = calendar::iso(until);
                tell(
                    "error",
                    "all_cooling",
                    &format!("All credentials are resting; the earliest returns at {until}."),
                    &format!("所有凭据都在冷却中，最早于 {until} 恢复。"),
                );
            }
            None => tell(
                "error",
                "none_usable",
                "No credential can be used. The table below says why.",
                "没有可用的凭据，原因见下表。",
            ),
        }
    } else if (available as u64) < config.min_credentials {
        let wanted = config.min_credentials;
        tell(
            "warning",
            "few_credentials",
            &format!("{available} credentials can be used; min_credentials asks for {wanted}."),
            &format!("当前可用凭据 {available} 个，少于 min_credentials 要求的 {wanted} 个。"),
        );
    }
    if let Some(sentence) = unsaved {
        tell(
            "error",
            "credentials_unsaved",
            sentence,
            &format!("凭据照常使用，但最新的更改仅保存在内存中，重启后会丢失；代理每隔几秒会重试。{sentence}"),
        );
    }
    if state_fails {
        tell(
            "error",
            "state_readonly",
            "The state file cannot be written: usage, limits and keys made here are lost with a restart.",
            "状态文件无法写入：重启后用量、限额和在此创建的密钥都会丢失。",
        );
    }
    if config.default_keys {
        tell(
            "warning",
            "default_key",
            "The built-in key 123456 is in use; it answers this machine only. Set auth_keys to serve others.",
            "正在使用内置密钥 123456，仅限本机访问。要为他人服务，请设置 auth_keys。",
        );
    } else if config.auth_keys.iter().any(|key| key.is_example()) {
        tell(
            "warning",
            "example_key",
            "auth_keys holds an example key that everybody knows. Replace it.",
            "auth_keys 中含有众所周知的示例密钥，请更换。",
        );
    }
    if config.admin.is_none() {
        tell(
            "info",
            "admin_open",
            "This page has no password and answers this machine only. Set admin_username and admin_password to reach it \
             from elsewhere.",
            "本页面没有密码，仅限本机访问。要从别处访问，请设置 admin_username 和 admin_password。",
        );
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
            let unsaved = state_fails.then_some("The latest changes are in memory only.");
            alerts(&config, &[], unsaved, state_fails)
                .iter()
                .map(|alert| alert["code"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(codes("{}", false), ["no_credentials", "default_key", "admin_open"]);
        let closed = r#"{"auth_keys":["sk-own"],"admin_username":"a","admin_password":"b"}"#;
        assert_eq!(codes(closed, true), ["no_credentials", "credentials_unsaved", "state_readonly"]);
        let example = r#"{"auth_keys":["your-secret-key-1"],"admin_username":"a","admin_password":"b"}"#;
        assert_eq!(codes(example, false), ["no_credentials", "example_key"]);
    }
}
