//! What is passed on to Google as it is counts for its key, and leads past none of its limits.

use crate::common::google::FakeGoogle;
use crate::common::http::{Answer, ask};
use crate::common::proxy::{GEMINI_KEY, Proxy};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

const TOKENS_KEY: &str = "sk-tokens-client";

/// Answers every POST with a count, an interaction's or a generation's, whole or in events.
struct Upstream {
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    fn start() -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || while answer(&listener.accept().unwrap().0) {});
        Upstream { address, thread: Some(thread) }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = TcpStream::connect(self.address).and_then(|mut socket| socket.write_all(b"GET /end HTTP/1.1\r\n\r\n"));
        self.thread.take().into_iter().for_each(|thread| _ = thread.join());
    }
}

/// Answers one request; whether there will be more.
fn answer(socket: &TcpStream) -> bool {
    let mut reader = BufReader::new(socket);
    let head: Vec<String> = reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let length = head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    let _ = reader.read_exact(&mut body);
    let first = head.first().map_or("", String::as_str);
    let count = match first.contains("interactions") {
        true => json!({"event_type": "interaction.complete", "interaction": {"usage": {"total_tokens": 50}}}),
        false => json!({"candidates": [], "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 12}}),
    };
    let (kind, text) = match String::from_utf8_lossy(&body).contains("stream") || first.contains("stream") {
        true => {
            ("text/event-stream", format!("data: {{\"usageMetadata\":{{\"totalTokenCount\":4}}}}\n\ndata: {count}\n\n"))
        }
        false => ("application/json", count.to_string()),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        text.len()
    );
    let _ = { socket }.write_all((head + &text).as_bytes());
    !first.contains("/end")
}

fn start(google: &FakeGoogle, upstream: &Upstream) -> Proxy {
    google.add_api_key(GEMINI_KEY);
    Proxy::start(google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["endpoints"]["generative_language"] = json!(format!("http://{}", upstream.address));
        config["auth_keys"] = json!([
            {"key": TOKENS_KEY, "tokens_per_day": 1000}, {"key": "sk-flash-client", "models": ["gemini-2.5-flash"]},
            {"key": "sk-requests-client", "requests_per_day": 50}, "sk-free-client",
        ]);
    })
}

fn post(proxy: &Proxy, key: &str, path: &str, body: &Value, fields: &[(&str, &str)]) -> Answer {
    let all =
        [&[("x-goog-api-key", key), ("Authorization", ""), ("Content-Type", "application/json")], fields].concat();
    ask(proxy, "POST", path, &all, body.to_string().as_bytes())
}

fn used(proxy: &Proxy) -> u64 {
    let keys = ask(proxy, "GET", "/admin/keys", &[], b"").json();
    keys["keys"][0]["today"]["tokens"].as_u64().unwrap()
}

#[test]
fn the_tokens_of_what_is_passed_on_count_for_the_key() {
    let (google, upstream) = (FakeGoogle::start(), Upstream::start());
    let proxy = start(&google, &upstream);
    let mut before = 0;
    for (path, body, tokens) in [
        ("/v1beta/interactions", json!({"model": "gemini-2.5-flash", "input": "x"}), 50),
        ("/v1beta/interactions", json!({"model": "gemini-2.5-flash", "input": "x", "stream": true}), 50),
        ("/v1beta/dynamic/a:generateContent", json!({"contents": []}), 12),
        ("/v1beta/tunedModels/a:generateContent", json!({"contents": []}), 12),
        ("/v1beta/tunedModels/a:streamGenerateContent?alt=sse", json!({"contents": []}), 12),
    ] {
        let answer = post(&proxy, TOKENS_KEY, path, &body, &[]);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(used(&proxy) - before, tokens, "{path} {body}");
        before = used(&proxy);
    }
    ask(&proxy, "GET", "/v1beta/interactions/x", &[("x-goog-api-key", TOKENS_KEY), ("Authorization", "")], b"");
    assert_eq!(used(&proxy), before, "who reads an answer again is not charged again");

    // What would hide the count is not passed on.
    let body = json!({"model": "gemini-2.5-flash", "input": "x"});
    for (path, fields) in [
        ("/v1beta/interactions?fields=outputs", &[][..]),
        ("/v1beta/interactions?%24fields=outputs", &[]),
        ("/v1beta/interactions?alt=sse&alt=proto", &[]),
        ("/v1beta/interactions?$httpHeaders=x", &[]),
        ("/v1beta/interactions", &[("X-Goog-FieldMask", "outputs")]),
        ("/v1beta/interactions", &[("Content-Type", "application/x-protobuf")]),
    ] {
        let answer = post(&proxy, TOKENS_KEY, path, &body, fields);
        assert_eq!(answer.status, 403, "{path} {fields:?}: {}", answer.text());
        assert!(answer.text().contains("limit in tokens"), "{}", answer.text());
        assert_eq!(post(&proxy, "sk-free-client", path, &body, fields).status, 200, "{path} {fields:?}");
    }
    assert_eq!(used(&proxy), before);
}

#[test]
fn nothing_that_is_passed_on_leads_past_the_models_and_limits_of_a_key() {
    let (google, upstream) = (FakeGoogle::start(), Upstream::start());
    let proxy = start(&google, &upstream);
    let contents = json!({"contents": []});
    for path in [
        "/v1beta/dynamic/x:generateContent",
        "/v1beta/dynamic/x:streamGenerateContent?alt=sse",
        "/v1beta/%64ynamic/x:generateContent",
        "/v1beta/tunedModels/x:generateContent",
        "/v1beta/kindsOfTomorrow/x:generateContent",
    ] {
        assert_eq!(post(&proxy, "sk-flash-client", path, &contents, &[]).status, 403, "{path}");
        assert_eq!(post(&proxy, "sk-free-client", path, &contents, &[]).status, 200, "{path}");
    }
    let uses = json!({"uses": 1});
    for path in ["/v1alpha/auth_tokens", "/v1beta/auth_tokens", "/v1alpha/%61uth_tokens"] {
        for key in [TOKENS_KEY, "sk-flash-client", "sk-requests-client"] {
            let answer = post(&proxy, key, path, &uses, &[]);
            assert_eq!((answer.status, answer.text().contains("revocation")), (403, true), "{path}: {}", answer.text());
        }
        assert_eq!(post(&proxy, "sk-free-client", path, &uses, &[]).status, 200, "{path}");
    }
}
