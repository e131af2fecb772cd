//! Each limit of a key on every route that a key opens, forwarded ones included: a table.

use crate::common::client::Client;
use crate::common::google::FakeGoogle;
use crate::common::http::ask;
use crate::common::proxy::{GEMINI_KEY, Proxy};
use serde_json::json;

/// Whether the route asks Google for something, or counts tokens in its place, and so counts.
#[derive(Clone, Copy, PartialEq)]
enum Asks {
    Google,
    Nobody,
}

const CHAT: &str = r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}]}"#;
const STREAM: &str = r#"{"model":"gemini-2.5-flash","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
const MESSAGE: &str = r#"{"model":"gemini-2.5-flash","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
const CONTENTS: &str = r#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#;
const RESPONSE: &str = r#"{"model":"gemini-2.5-flash","input":"Hi"}"#;

const ROUTES: [(&str, &str, &str, Asks); 29] = [
    ("POST", "/v1/chat/completions", CHAT, Asks::Google),
    ("POST", "/v1/chat/completions", STREAM, Asks::Google),
    ("POST", "/v1/completions", r#"{"model":"gemini-2.5-flash","prompt":"Hi"}"#, Asks::Google),
    ("POST", "/v1/embeddings", r#"{"model":"gemini-embedding-001","input":"Hi"}"#, Asks::Google),
    ("POST", "/v1/responses", RESPONSE, Asks::Google),
    ("POST", "/v1/responses/input_tokens", RESPONSE, Asks::Google),
    ("POST", "/v1/messages", MESSAGE, Asks::Google),
    ("POST", "/v1/messages/count_tokens", MESSAGE, Asks::Google),
    ("POST", "/v1/images/generations", r#"{"model":"gemini-2.5-flash-image","prompt":"A cat"}"#, Asks::Google),
    (
        "POST",
        "/v1/audio/speech",
        r#"{"model":"gemini-2.5-flash-preview-tts","input":"Hi","voice":"alloy"}"#,
        Asks::Google,
    ),
    ("POST", "/v1beta/models/gemini-2.5-flash:generateContent", CONTENTS, Asks::Google),
    ("POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", CONTENTS, Asks::Google),
    ("POST", "/v1beta/models/gemini-2.5-flash:countTokens", CONTENTS, Asks::Google),
    (
        "POST",
        "/v1beta/models/gemini-embedding-001:embedContent",
        r#"{"content":{"parts":[{"text":"Hi"}]}}"#,
        Asks::Google,
    ),
    ("POST", "/v1beta/models/gemini-embedding-001:batchEmbedContents", r#"{"requests":[]}"#, Asks::Google),
    ("POST", "/v1beta/models/imagen-4.0-generate-001:predict", "{}", Asks::Google),
    ("POST", "/v1/models/gemini-2.5-flash:generateContent", CONTENTS, Asks::Google),
    ("POST", "/v1beta/openai/chat/completions", CHAT, Asks::Google),
    ("GET", "/v1beta/files", "", Asks::Google),
    ("GET", "/v1beta/files/x", "", Asks::Google),
    ("DELETE", "/v1beta/files/x", "", Asks::Google),
    ("POST", "/upload/v1beta/files", "{}", Asks::Google),
    ("POST", "/v1beta/cachedContents", "{}", Asks::Google),
    ("GET", "/v1beta/cachedContents", "", Asks::Google),
    ("GET", "/v1/models", "", Asks::Nobody),
    ("GET", "/v1/models/gemini-2.5-flash", "", Asks::Nobody),
    ("GET", "/v1beta/models", "", Asks::Nobody),
    ("GET", "/v1beta/models/gemini-2.5-flash", "", Asks::Nobody),
    ("GET", "/v1/responses/resp_unknown", "", Asks::Nobody),
];

#[cfg(all(feature = "agents", feature = "media"))]
#[test]
fn every_limit_holds_on_every_route() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let limits = [
        ("sk-client-minute", "requests_per_minute", json!(0)),
        ("sk-client-day", "requests_per_day", json!(0)),
        ("sk-client-tokens", "tokens_per_day", json!(0)),
        ("sk-client-month", "tokens_per_month", json!(0)),
        ("sk-client-together", "concurrency", json!(0)),
        ("sk-client-expired", "expires_at", json!("2020-01-01")),
        ("sk-client-free", "requests_per_minute", json!(1000)),
    ];
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        let key = |(key, limit, value): &(&str, &str, serde_json::Value)| json!({"key": key, "name": &key[10..], *limit: value});
        config["auth_keys"] = limits.iter().map(key).collect();
    });
    // The list of models is asked for in the background.
    let calls = || google.requests().iter().filter(|request| request.path != "/v1beta/models").count();
    let mut wrong = Vec::new();
    for (method, path, body, asks) in ROUTES {
        for (key, limit, _) in &limits {
            let asked = calls();
            let reply = ask(&proxy, method, path, &[("Authorization", &format!("Bearer {key}"))], body.as_bytes());
            let was_asked = calls() > asked;
            let is_right = match *limit {
                "expires_at" => reply.status == 401 && !was_asked,
                _ if *key == "sk-client-free" => !matches!(reply.status, 401 | 429 | 502..=503),
                _ if asks == Asks::Nobody => !matches!(reply.status, 401 | 429 | 502..=503),
                _ => reply.status == 429 && !was_asked && reply.header("retry-after").is_some(),
            };
            if !is_right {
                wrong.push(format!("{method} {path} with {key}: {} {was_asked} {}", reply.status, reply.text()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What one that may do it has used is counted once for each.
    let used = Client::new(proxy.address()).get("/admin/keys").json();
    let used = used["keys"].as_array().unwrap().iter().find(|key| key["name"] == "free").unwrap().clone();
    let counted = ROUTES.iter().filter(|(.., asks)| *asks == Asks::Google).count();
    assert_eq!(used["today"]["requests"], counted, "{used}");
}

/// What the head tells is enough: nothing is made of the body of a key that has used up its day.
#[test]
fn who_has_used_up_the_day_is_told_so_before_the_body_is_read() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["auth_keys"] = json!([{"key": "sk-client-of-yesterday", "name": "yesterday", "requests_per_day": 0}]);
    });
    for path in
        ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1beta/models/gemini-2.5-flash:generateContent"]
    {
        let reply = ask(&proxy, "POST", path, &[("Authorization", "Bearer sk-client-of-yesterday")], b"{ no JSON");
        assert_eq!(reply.status, 429, "{path}: {}", reply.text());
    }
}
