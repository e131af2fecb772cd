//! A key that is taken away while answers of it are under way: they end, in the words of their dialect.

use crate::common::client::Client;
use crate::common::google::{FakeGoogle, Step};
use crate::common::http::ask;
use crate::common::proxy::{GEMINI_KEY, Proxy};
use crate::common::wire::{self, Wire};
use gemini_openai_proxy::config;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) const CHAT: &str = "/v1/chat/completions";
pub(super) const GEMINI: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";
/// It says nothing.
const SLOW: &str = "gemini-2.5-pro";
pub(super) const WORDS: &str = "has been taken away, switched off or has expired";

/// Each dialect's path, and what its stream ends with.
const DIALECTS: [(&str, &str); 5] = [
    (CHAT, "\"code\":\"invalid_api_key\""),
    ("/v1/completions", "\"code\":\"invalid_api_key\""),
    ("/v1/responses", "\"type\":\"response.failed\""),
    ("/v1/messages", "\"type\":\"authentication_error\""),
    (GEMINI, "\"code\":401"),
];

fn event(text: &str) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}]})
}

fn body(path: &str, stream: bool) -> String {
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let mut body = match path {
        "/v1/completions" => json!({"prompt": "Hi"}),
        "/v1/responses" => json!({"input": "Hi"}),
        "/v1/messages" => json!({"max_tokens": 99, "messages": messages}),
        CHAT => json!({ "messages": messages }),
        _ => return json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}).to_string(),
    };
    let model = if stream { "gemini-2.5-flash" } else { SLOW };
    (body["model"], body["stream"]) = (json!(model), json!(stream));
    body.to_string()
}

fn send(proxy: &Proxy, key: &str, path: &str, stream: bool) -> Wire {
    let body = body(path, stream);
    let mut socket = wire::connect(proxy.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nx-api-key: {key}\r\nConnection: close\r\n");
    write!(socket, "{head}Content-Length: {length}\r\n\r\n{body}").unwrap();
    socket
}

/// A stream whose first piece is here.
pub(super) fn begin(proxy: &Proxy, key: &str, path: &str) -> BufReader<Wire> {
    let mut stream = BufReader::new(send(proxy, key, path, true));
    let mut line = String::new();
    while !line.contains("one") {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "{path}");
    }
    stream
}

pub(super) fn rest(mut stream: impl Read) -> String {
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    rest
}

pub(super) fn start(google: &FakeGoogle) -> Proxy {
    google.add_api_key(GEMINI_KEY);
    google.always(GEMINI_KEY, Step::stream(vec![event("one"), event("two")]).hold_after(1));
    (0..2).for_each(|_| google.script(GEMINI_KEY, Step::hang().for_model(SLOW)));
    Proxy::start(google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["auth_keys"] = json!(["sk-of-somebody-else", "sk-that-the-config-loses"]);
    })
}

/// The field by which a key ends then.
pub(super) fn expires(at: SystemTime) -> Value {
    json!({"expires_at": at.duration_since(UNIX_EPOCH).unwrap().as_secs()})
}

/// Makes a key of the page; its id and text.
pub(super) fn make(proxy: &Proxy, fields: Value) -> (String, String) {
    let mut client = Client::new(proxy.address());
    let made = client.send("POST", "/admin/keys", &[], &fields.to_string()).expect("an answer");
    let made: Value = serde_json::from_str(&made.body).unwrap();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

pub(super) fn change(proxy: &Proxy, method: &str, path: &str, body: &Value) {
    let answer = ask(proxy, method, path, &[], body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// With these keys in the config.
fn reload(google: &FakeGoogle, proxy: &Proxy, keys: &[&str]) {
    let config = json!({
        "auth_keys": keys, "gemini_api_keys": [GEMINI_KEY], "endpoints": google.endpoints_json(), "log_level": "warning",
        "usage_logging": {"enabled": false}, "min_credentials": 0,
    });
    proxy.service().reload(&config::parse(&config.to_string()).unwrap().config);
}

#[cfg(feature = "agents")]
#[test]
fn streams_of_a_key_end_in_the_words_of_their_dialect_when_it_is_taken_away() {
    let google = FakeGoogle::start();
    let proxy = start(&google);
    let (id, key) = make(&proxy, json!({"name": "gone"}));
    let mut others = begin(&proxy, "sk-of-somebody-else", CHAT);
    let streams: Vec<_> = DIALECTS.iter().map(|(path, _)| begin(&proxy, &key, path)).collect();
    change(&proxy, "DELETE", &format!("/admin/keys/{id}"), &Value::Null);
    for (stream, (path, end)) in streams.into_iter().zip(DIALECTS) {
        let rest = rest(stream);
        assert!(rest.contains(end) && rest.contains(WORDS), "{path}: {rest}");
        assert!(!rest.contains("two") && !rest.contains("[DONE]"), "{path}: {rest}");
    }
    google.release();
    let mut line = String::new();
    while !line.contains("two") {
        line.clear();
        assert!(others.read_line(&mut line).unwrap() > 0, "the stream of another key goes on");
    }
}

#[cfg(feature = "console")]
#[test]
fn answers_end_whichever_way_their_key_is_lost_and_only_then() {
    let google = FakeGoogle::start();
    let proxy = start(&google);
    let far = SystemTime::now() + Duration::from_secs(9999);
    for (way, whole) in [("off", false), ("together", true), ("ended", false), ("in time", false), ("config", true)] {
        let mut fields = expires(far);
        fields["name"] = json!(format!("{way} {whole}"));
        let (id, key) = match way {
            "config" => (String::new(), "sk-that-the-config-loses".to_owned()),
            _ => make(&proxy, fields),
        };
        let path = format!("/admin/keys/{id}");
        let before = google.generations_count();
        let mut answer =
            if whole { BufReader::new(send(&proxy, &key, CHAT, false)) } else { begin(&proxy, &key, CHAT) };
        assert!(google.wait_for(|state| state.generations().count() > before, Duration::from_secs(20)), "{way}");
        match way {
            "off" => {
                // What takes nothing away ends nothing.
                change(&proxy, "POST", &path, &json!({"name": "renamed", "requests_per_day": 1}));
                change(&proxy, "POST", &path, &json!({"disabled": true}));
            }
            "together" => change(&proxy, "POST", "/admin/keys/bulk", &json!({"action": "delete", "ids": [id]})),
            "ended" => change(&proxy, "POST", &path, &expires(UNIX_EPOCH + Duration::from_secs(9))),
            "config" => {
                reload(&google, &proxy, &["sk-of-somebody-else"]);
            }
            _ => change(&proxy, "POST", &path, &expires(SystemTime::now() + Duration::from_secs(1))),
        }
        let mut rest = String::new();
        answer.read_to_string(&mut rest).unwrap();
        assert!(rest.contains(WORDS), "{way}: {rest}");
        assert_eq!(rest.starts_with("HTTP/1.1 401"), whole, "{way}: {rest}");
    }
}

#[test]
fn the_same_key_in_config_and_page_lasts_as_long_as_one_of_both() {
    let google = FakeGoogle::start();
    let proxy = start(&google);
    let (id, key) = make(&proxy, json!({"name": "twice"}));
    reload(&google, &proxy, &["sk-of-somebody-else", &key]);
    let mut stream = begin(&proxy, &key, CHAT);
    change(&proxy, "DELETE", &format!("/admin/keys/{id}"), &Value::Null);
    google.release();
    let mut line = String::new();
    while !line.contains("two") {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the config still has it");
    }
}
