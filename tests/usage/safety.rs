//! Who may look and who may change things.

use crate::common::client::Client;
use crate::common::google::FakeGoogle;
use crate::common::proxy::Proxy;
use serde_json::json;

/// Base64 of `chef:right-password` and `chef:wrong-password`.
const RIGHT: (&str, &str) = ("Authorization", "Basic Y2hlZjpyaWdodC1wYXNzd29yZA==");
const WRONG: (&str, &str) = ("Authorization", "Basic Y2hlZjp3cm9uZy1wYXNzd29yZA==");

fn closed(google: &FakeGoogle) -> Proxy {
    Proxy::start(google, |config| {
        config["admin_username"] = json!("chef");
        config["admin_password"] = json!("right-password");
        config["metrics"] = json!({"token": "metrics-token-0001"});
    })
}

#[test]
fn admin_routes_grant_nothing_to_other_sites() {
    let google = FakeGoogle::start();
    let proxy = closed(&google);
    let mut client = Client::new(proxy.address());
    let evil = ("Origin", "http://evil.example");
    for path in [
        "/admin/usage",
        "/admin/stats",
        "/admin/stats.csv",
        "/admin/status",
        "/admin/keys",
        "/admin/requests",
        "/metrics",
    ] {
        for method in ["GET", "OPTIONS"] {
            let reply = client.send(method, path, &[RIGHT, evil], "").unwrap();
            let granted: Vec<_> = reply.headers.iter().filter(|(name, _)| name.starts_with("access-control")).collect();
            assert!(granted.is_empty(), "{method} {path}: {granted:?}");
        }
        let reply = client.send("GET", path, &[], "").unwrap();
        assert_eq!(reply.status, 401, "{path}");
        let reply = client.send("GET", path, &[RIGHT], "").unwrap();
        assert_eq!((reply.status, reply.header("x-frame-options")), (200, Some("DENY")), "{path}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
    }
    let own = format!("http://{}", proxy.address());
    let mark = ("X-Requested-With", "gemini-proxy");
    for (method, path) in [
        ("POST", "/admin/usage/reset"),
        ("POST", "/admin/keys"),
        ("POST", "/admin/keys/key-1"),
        ("DELETE", "/admin/keys/key-1"),
    ] {
        for headers in [
            vec![RIGHT, evil],
            vec![RIGHT, evil, mark],
            vec![RIGHT, mark, ("Sec-Fetch-Site", "cross-site")],
            vec![RIGHT, ("Origin", own.as_str())],
        ] {
            let reply = client.send(method, path, &headers, "{}").unwrap();
            assert_eq!(reply.status, 403, "{method} {path} {headers:?}: {}", reply.body);
            assert!(reply.json()["detail"].is_string());
        }
        let page = [RIGHT, mark, ("Origin", own.as_str()), ("Sec-Fetch-Site", "same-origin")];
        assert_ne!(client.send(method, path, &page, "{}").unwrap().status, 403, "{method} {path}");
        assert_eq!(client.send("PUT", path, &page, "{}").unwrap().status, 405, "{path}");
    }
}

#[test]
fn wrong_passwords_are_slowed_down() {
    let google = FakeGoogle::start();
    let proxy = closed(&google);
    let mut client = Client::new(proxy.address());
    let mut ask = |headers: &[(&str, &str)], path: &str| client.send("GET", path, headers, "").unwrap();
    for _ in 0..5 {
        assert_eq!(ask(&[WRONG], "/admin/usage").status, 401);
    }
    let slowed = ask(&[RIGHT], "/admin/usage");
    assert_eq!(slowed.status, 429);
    assert!((1..=60).contains(&slowed.header("retry-after").unwrap().parse::<u64>().unwrap()));
    let other = ("X-Forwarded-For", "203.0.113.7");
    assert_eq!(ask(&[RIGHT, other], "/admin/usage").status, 200, "somebody else behind the same proxy");
    assert_eq!(
        ask(&[("Authorization", "Bearer metrics-token-0001")], "/metrics").status,
        200,
        "the token is no password"
    );
    assert_eq!(ask(&[("Authorization", "Bearer another-token-0001")], "/metrics").status, 401);
}

#[test]
fn the_status_says_what_to_do_and_shows_no_secret() {
    let google = FakeGoogle::start();
    let proxy = closed(&google);
    let mut client = Client::new(proxy.address());
    let reply = client.send("GET", "/admin/status", &[RIGHT], "").unwrap();
    let status = reply.json();
    assert_eq!(status["name"], "gemini-openai-proxy");
    assert_eq!(status["server"]["workers"], 16);
    assert!(status["memory_bytes"].as_u64().unwrap() > 1_000_000);
    assert_eq!(status["alerts"][0]["code"], "no_credentials");
    assert_eq!(status["config"]["metrics.token"], json!({"value": "***", "source": "file"}));
    assert!(!reply.body.contains("tick\"") && !reply.body.contains("right\""), "{}", reply.body);
    let log = client.send("GET", "/admin/log?after=0", &[RIGHT], "").unwrap().json();
    assert!(log["lines"].is_array() && log["next"].is_number(), "{log}");
}
