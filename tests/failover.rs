//! The pool as clients feel it: whatever single credentials go through, requests are answered.

use crate::common::google::{FakeGoogle, Step, User};
use crate::common::http;
use crate::common::proxy::{CLIENT_KEY, Pool, Proxy};
use crate::common::wire::agent;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn ask(agent: &ureq::Agent, proxy: &Proxy) -> (u16, Value) {
    let body = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Hi"}]}).to_string();
    let mut answer = agent
        .post(format!("{}/v1/chat/completions", proxy.base()))
        .header("Authorization", format!("Bearer {CLIENT_KEY}"))
        .send(body)
        .unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap())
}

fn three_accounts(google: &FakeGoogle) -> Proxy {
    let emails = ["ada@example.com", "bob@example.com", "cyd@example.com"];
    for (at, email) in emails.iter().enumerate() {
        google.add_user(User::licensed(email, &format!("project-{at}")));
    }
    let list: Vec<Value> = emails.iter().map(|email| google.oauth_credential(email)).collect();
    Proxy::start(google, |config| {
        let file = config["credentials_file"].as_str().unwrap().to_owned();
        std::fs::write(file, Value::Array(list).to_string()).unwrap();
    })
}

#[test]
fn one_resting_and_one_expired_of_three_lose_no_request() {
    let google = FakeGoogle::start();
    let proxy = three_accounts(&google);
    google.always("ada@example.com", Step::rate_limited("RATE_LIMIT_EXCEEDED", "30s"));
    google.expire("bob@example.com");
    let agent = agent();
    let well_served = |number: usize| {
        let (status, body) = ask(&agent, &proxy);
        assert_eq!(status, 200, "request {number}: {body}");
        assert_eq!(body["choices"][0]["message"]["content"], "You said: Hi");
    };
    let asked = |email: &str| google.generations().iter().filter(|call| call.who.as_deref() == Some(email)).count();
    // While bob's token is refreshed, which may take as long as the machine is busy, cyd serves alone.
    let end = Instant::now() + Duration::from_secs(20);
    let mut number = 0;
    while asked("bob@example.com") == 0 {
        assert!(Instant::now() < end, "bob never serves");
        well_served(number);
        number += 1;
    }
    let before = [asked("bob@example.com"), asked("cyd@example.com")];
    (number..number + 100).for_each(well_served);
    assert_eq!(asked("ada@example.com"), 1, "a resting credential is left alone");
    let (bob, cyd) = (asked("bob@example.com") - before[0], asked("cyd@example.com") - before[1]);
    assert!(bob >= 45 && cyd >= 45, "the others take turns: {bob}, {cyd}");
    assert_eq!(google.refreshes("bob@example.com"), 1);
}

#[test]
fn when_all_rest_the_client_is_told_for_how_long() {
    let google = FakeGoogle::start();
    let proxy = three_accounts(&google);
    google.always("*", Step::rate_limited("RATE_LIMIT_EXCEEDED", "30s"));
    let agent = agent();
    ask(&agent, &proxy);
    let mut answer = agent
        .post(format!("{}/v1/chat/completions", proxy.base()))
        .header("Authorization", format!("Bearer {CLIENT_KEY}"))
        .send(r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}]}"#)
        .unwrap();
    assert_eq!(answer.status(), 429);
    let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((25..=30).contains(&wait), "{wait}");
    let body: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    assert_eq!(body["error"]["type"], "rate_limit_error");
    assert!(body["error"]["message"].as_str().unwrap().starts_with("No valid credentials available."), "{body}");
    assert_eq!(google.generations().len(), 3, "each was asked once");
}

#[test]
fn a_pool_without_credentials_says_what_to_do() {
    let google = FakeGoogle::start();
    let proxy = Proxy::start(&google, |_| {});
    let (status, body) = ask(&agent(), &proxy);
    assert_eq!(status, 503);
    assert_eq!(body["error"]["code"], "no_available_account", "{body}");
}

/// Eight keys of Google's, of which one serves, and eight clients, each of which prefers another key for its files.
fn eight_keys(google: &FakeGoogle, serves: usize, limited: &Step) -> Proxy {
    let keys: Vec<String> = (0..8).map(|n| format!("AIza-of-eight-{n}")).collect();
    for key in &keys {
        google.add_api_key(key);
    }
    for key in keys.iter().enumerate().filter(|(at, _)| *at != serves).map(|(_, key)| key) {
        google.always(key, limited.clone());
    }
    Proxy::start(google, |config| {
        config["gemini_api_keys"] = json!(keys);
        config["auth_keys"] = (0..8).map(|n| json!(format!("sk-client-number-{n}"))).collect();
    })
}

#[test]
fn one_of_eight_keys_serves_calls_files_and_uploads_of_every_client() {
    let start = [("X-Goog-Upload-Command", "start"), ("X-Goog-Upload-Protocol", "resumable")];
    let text = br#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#.as_slice();
    let ways = [
        ("POST", "/v1beta/models/gemini-2.5-flash:generateContent", "generateContent", &[][..], text),
        ("GET", "/v1beta/files", "files", &[], b""),
        ("POST", "/upload/v1beta/files", "files", &start, br#"{"file":{"display_name":"notes"}}"#),
    ];
    for (method, path, operation, headers, body) in ways {
        let limited = Step::rate_limited("RATE_LIMIT_EXCEEDED", "30s").on(operation);
        // A new pool for each client: the first request that meets the limits is the one that counts.
        for client in 0..8 {
            let google = FakeGoogle::start();
            let proxy = eight_keys(&google, client, &limited);
            let key = format!("Bearer sk-client-number-{client}");
            let headers: Vec<(&str, &str)> = headers.iter().copied().chain([("Authorization", key.as_str())]).collect();
            let answer = http::ask(&proxy, method, path, &headers, body);
            assert_eq!(answer.status, 200, "{method} {path} of client {client}: {}", answer.text());
            let Some(target) = answer.header("x-goog-upload-url").and_then(|url| url.strip_prefix(&proxy.base()))
            else {
                continue;
            };
            let piece = [("X-Goog-Upload-Command", "upload, finalize"), ("X-Goog-Upload-Offset", "0")];
            let done = http::ask(&proxy, "POST", target, &piece, b"hello");
            assert_eq!(done.status, 200, "the end of the upload of client {client}: {}", done.text());
        }
    }
}

#[test]
fn a_thousand_refused_keys_cost_a_request_sixteen_calls() {
    for (method, path) in [("POST", "/v1beta/models/gemini-2.5-flash:generateContent"), ("GET", "/v1beta/files")] {
        let google = FakeGoogle::start();
        let keys: Vec<String> = (0..1000).map(|n| format!("AIza-unknown-{n}")).collect();
        let proxy = Proxy::start(&google, |config| config["gemini_api_keys"] = json!(keys));
        let calls = || google.requests().iter().filter(|request| request.path == path).count();
        let answer = http::ask(&proxy, method, path, &[], br#"{"contents":[{"parts":[{"text":"hi"}]}]}"#);
        assert_eq!((answer.status, calls()), (503, 16), "{}", answer.text());
        assert_eq!(answer.header("retry-after"), Some("1"), "the next credentials can be asked at once");
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("16 were asked and none could serve this request"), "{message}");
    }
}

#[test]
fn a_rest_is_as_long_as_googles_retry_after_says() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let refusal =
        json!({"error": {"code": 429, "message": "Resource has been exhausted.", "status": "RESOURCE_EXHAUSTED"}});
    google.always("*", Step::json(429, refusal).header("retry-after", "41"));
    let body = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Hi"}]}).to_string();
    let answer = http::ask(&proxy, "POST", "/v1/chat/completions", &[], body.as_bytes());
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("41")), "{}", answer.text());
}

#[test]
fn a_403_that_may_be_about_one_request_rests_nobody_until_another_request_meets_it() {
    let google = FakeGoogle::start();
    let keys = ["AIza-first-key-of-two", "AIza-other-key-of-two"];
    keys.iter().for_each(|key| google.add_api_key(key));
    let proxy = Proxy::start(&google, |config| config["gemini_api_keys"] = json!(keys));
    let post = |text: &str| {
        let body = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": text}]}).to_string();
        http::ask(&proxy, "POST", "/v1/chat/completions", &[], body.as_bytes())
    };
    google.always("*", Step::status(403, "The caller does not have permission"));
    for _ in 0..2 {
        let answer = post("about this alone");
        assert_eq!(answer.status, 403, "{}", answer.text());
    }
    assert_eq!(google.generations().len(), 4, "both keys are asked each time, for neither rests");
    let answer = post("another one");
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(google.generations().len(), 6);
    let answer = post("a third one");
    assert_eq!(answer.status, 403, "both rest, and who comes learns why: {}", answer.text());
    assert_eq!(google.generations().len(), 6);
}

#[test]
fn a_403_of_one_key_where_another_serves_is_the_keys_own() {
    let google = FakeGoogle::start();
    let keys = ["AIza-key-that-may-not", "AIza-key-that-may"];
    keys.iter().for_each(|key| google.add_api_key(key));
    let proxy = Proxy::start(&google, |config| config["gemini_api_keys"] = json!(keys));
    google.always(keys[0], Step::status(403, "The caller does not have permission"));
    let agent = agent();
    (0..6).for_each(|_| assert_eq!(ask(&agent, &proxy).0, 200));
    let refused = google.generations().iter().filter(|call| call.who.as_deref() == Some(keys[0])).count();
    assert_eq!(refused, 1, "it rests from then on");
}

#[cfg(feature = "agents")]
#[test]
fn a_context_that_is_too_long_is_about_the_field_of_its_dialect() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    google
        .always("*", Step::status(400, "The input token count (9) exceeds the maximum number of tokens allowed (8)."));
    let messages = json!([{"role": "user", "content": "Hi"}]);
    for (path, field, value) in [
        ("/v1/chat/completions", "messages", messages),
        ("/v1/completions", "prompt", json!("Hi")),
        ("/v1/responses", "input", json!("Hi")),
    ] {
        let body = json!({"model": "gemini-2.5-flash", field: value}).to_string();
        let error = http::ask(&proxy, "POST", path, &[], body.as_bytes()).json()["error"].clone();
        assert_eq!((&error["code"], &error["param"]), (&json!("context_length_exceeded"), &json!(field)), "{path}");
    }
}
