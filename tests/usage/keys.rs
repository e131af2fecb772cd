//! Keys of clients: limits to the last request, keys made and taken away while the program runs.

use super::counters::answer;
use crate::common::client::Client;
use crate::common::google::FakeGoogle;
use crate::common::proxy::{GEMINI_KEY, Proxy};
use serde_json::{Value, json};
use std::sync::Barrier;
use std::time::{Duration, Instant};

fn proxy(google: &FakeGoogle, keys: Value) -> Proxy {
    google.add_api_key(GEMINI_KEY);
    google.always("*", answer());
    Proxy::start(google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["auth_keys"] = keys;
    })
}

#[test]
fn five_per_minute_under_twenty_parallel_clients_are_five() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, json!([{"key": "sk-slow-client", "name": "slow", "requests_per_minute": 5}]));
    let start = Barrier::new(20);
    let began = Instant::now();
    let replies: Vec<_> = std::thread::scope(|scope| {
        let ask = || {
            let mut client = Client::new(proxy.address());
            start.wait();
            (0..5).map(|_| client.chat("sk-slow-client", "gemini-2.5-flash").unwrap()).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(began.elapsed() < Duration::from_secs(60), "all within one window");
    let (granted, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert_eq!((granted.len(), refused.len()), (5, 95));
    assert_eq!(google.generations().len(), 5);
    let mut left: Vec<&str> =
        granted.iter().filter_map(|reply| reply.header("x-ratelimit-remaining-requests")).collect();
    left.sort_unstable();
    assert_eq!(left, ["0", "1", "2", "3", "4"]);
    for reply in refused {
        assert_eq!(reply.status, 429);
        assert_eq!(reply.json()["error"]["type"], "rate_limit_error", "{}", reply.body);
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(reply.header("x-ratelimit-limit-requests"), Some("5"));
        assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("0"));
        assert!(reply.header("x-ratelimit-reset-requests").is_some());
    }
}

#[test]
fn every_surface_keeps_the_limits_in_its_own_words() {
    let google = FakeGoogle::start();
    let proxy = proxy(
        &google,
        json!([
            {"key": "sk-day-client", "requests_per_day": 0},
            {"key": "sk-flash-client", "models": ["gemini-2.5-flash"]},
            {"key": "sk-old-client", "expires_at": "2020-01-01T00:00:00Z"},
            {"key": "sk-tokens-client", "tokens_per_day": 20},
        ]),
    );
    let mut client = Client::new(proxy.address());
    let mut ask = |key: &str, path: &str, body: &str| {
        let key = format!("Bearer {key}");
        client.send("POST", path, &[("Authorization", &key)], body).unwrap()
    };
    let contents = r#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#;
    let chat = r#"{"model":"gemini-2.5-pro","messages":[{"role":"user","content":"Hi"}]}"#;
    let native = "/v1beta/models/gemini-2.5-pro:generateContent";
    let embeddings = r#"{"model":"gemini-embedding-001","input":"Hi"}"#;
    for (path, body) in [
        ("/v1/chat/completions", chat),
        (native, contents),
        ("/v1/embeddings", embeddings),
        ("/v1/completions", r#"{"model":"gemini-2.5-pro","prompt":"Hi"}"#),
        ("/v1beta/models/imagen-4.0-generate-001:predict", "{}"),
    ] {
        let reply = ask("sk-day-client", path, body);
        assert_eq!(reply.status, 429, "{path}: {}", reply.body);
        assert!(reply.body.contains("0 requests per day") && reply.header("retry-after").is_some(), "{}", reply.body);
        let reply = ask("sk-flash-client", path, body);
        assert_eq!(reply.status, 403, "{path}: {}", reply.body);
        assert_eq!(ask("sk-old-client", path, body).status, 401, "{path}");
    }
    assert_eq!(ask("sk-flash-client", "/v1/chat/completions", chat).json()["error"]["type"], "permission_error");
    assert_eq!(ask("sk-flash-client", native, contents).json()["error"]["status"], "PERMISSION_DENIED");
    assert_eq!(ask("sk-day-client", native, contents).json()["error"]["status"], "RESOURCE_EXHAUSTED");
    assert_eq!(ask("sk-flash-client", "/v1beta/models/gemini-2.5-flash:generateContent", contents).status, 200);
    // 15 tokens each: the second begins below the limit of 20, the third does not.
    let statuses: Vec<u16> = (0..3).map(|_| ask("sk-tokens-client", "/v1/chat/completions", chat).status).collect();
    assert_eq!(statuses, [200, 200, 429]);
}

#[test]
fn concurrency_counts_what_runs() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, json!([{"key": "sk-two-client", "concurrency": 2}]));
    google.clear_scripts();
    google.always("*", answer().hold());
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| Client::new(proxy.address()).chat("sk-two-client", "gemini-2.5-flash").unwrap().status)
            })
            .collect();
        assert!(google.wait_for(|state| state.generations().count() == 2, Duration::from_secs(20)));
        let mut client = Client::new(proxy.address());
        let refused = client.chat("sk-two-client", "gemini-2.5-flash").unwrap();
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{}", refused.body);
        google.clear_scripts();
        google.always("*", answer());
        google.release();
        running.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), 200));
        // One after the other never meets the limit, however soon the next comes.
        (0..50).for_each(|_| assert_eq!(client.chat("sk-two-client", "gemini-2.5-flash").unwrap().status, 200));
    });
}

#[test]
fn a_key_of_the_page_is_made_limited_disabled_and_deleted() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, json!(["sk-user-client"]));
    let mut client = Client::new(proxy.address());
    let mut call = |method: &str, path: &str, body: Value| client.send(method, path, &[], &body.to_string()).unwrap();
    let made = call("POST", "/admin/keys", json!({"name": "phone", "requests_per_day": 1}));
    assert_eq!(made.status, 200, "{}", made.body);
    let (id, key) = (made.json()["id"].as_str().unwrap().to_owned(), made.json()["key"].as_str().unwrap().to_owned());
    assert_eq!(call("POST", "/admin/keys", json!({"name": "phone"})).status, 409);
    assert_eq!(call("POST", "/admin/keys", json!({})).status, 400);

    let mut user = Client::new(proxy.address());
    let mut ask = || user.chat(&key, "gemini-2.5-flash").unwrap().status;
    assert_eq!((ask(), ask()), (200, 429));
    let path = format!("/admin/keys/{id}");
    assert_eq!(call("POST", &path, json!({"requests_per_day": null})).status, 200);
    assert_eq!(ask(), 200);
    let list = call("GET", "/admin/keys", Value::Null);
    assert!(!list.body.contains(&key), "shown once");
    let list = list.json();
    let shown = list["keys"].as_array().unwrap().iter().find(|shown| shown["id"] == id.as_str()).unwrap();
    let today = (&shown["today"]["requests"], &shown["today"]["tokens"]);
    assert_eq!((&shown["source"], today), (&json!("page"), (&json!(2), &json!(30))));
    assert!(shown["masked"].as_str().unwrap().starts_with("sk-***") && shown["last_used"].is_string());

    call("POST", &path, json!({"disabled": true}));
    assert_eq!(ask(), 401);
    call("POST", &path, json!({"disabled": false}));
    assert_eq!(ask(), 200);
    assert_eq!(call("DELETE", &path, Value::Null).status, 200);
    assert_eq!((ask(), call("DELETE", &path, Value::Null).status), (401, 404));
    let refused = call("DELETE", "/admin/keys/config-0", Value::Null);
    assert_eq!((refused.status, refused.json()["detail"].as_str().unwrap().contains("config.json")), (409, true));
}
