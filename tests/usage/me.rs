//! `/me`: what a key holder is told, to whom it is told, and what a stranger meets. How it looks is in `browser.rs`.

use super::counters::answer;
use crate::common::client::{Client, Reply};
use crate::common::google::FakeGoogle;
use crate::common::proxy::{GEMINI_KEY, Proxy};
use serde_json::{Value, json};

fn proxy(google: &FakeGoogle) -> Proxy {
    google.add_api_key(GEMINI_KEY);
    google.always("*", answer());
    Proxy::start(google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["admin_username"] = json!("admin");
        config["admin_password"] = json!("only-for-the-admin");
        config["prices"] = json!({"gemini-2.5-flash": {"input": 1000, "output": 2000, "cached": 500}});
        config["auth_keys"] = json!([
            {"key": "sk-client-ann", "name": "Ann", "dollars_per_month": 1, "requests_per_day": 3, "requests_per_minute": 100,
             "models": ["gemini-2.5-flash", "gemini-2.5-pro"], "expires_at": "2099-01-31"},
            {"key": "sk-client-bob", "name": "Bob"},
            {"key": "sk-client-old", "name": "Old", "expires_at": "2020-01-31"},
        ]);
    })
}

fn get(proxy: &Proxy, path: &str, key: &str) -> Reply {
    Client::new(proxy.address()).send("GET", path, &[("Authorization", &format!("Bearer {key}"))], "").unwrap()
}

#[test]
fn a_key_sees_its_own_use_limits_and_models_and_nothing_of_others() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google);
    let chat = |key: &str, model: &str| Client::new(proxy.address()).chat(key, model).unwrap().status;
    assert_eq!([chat("sk-client-ann", "gemini-2.5-flash"), chat("sk-client-ann", "gemini-2.5-flash")], [200, 200]);
    assert_eq!(chat("sk-client-ann", "gemini-3.1-pro-preview"), 403);
    assert_eq!(chat("sk-client-bob", "gemini-2.5-pro"), 200);
    let reply = get(&proxy, "/me/status", "sk-client-ann");
    let me = reply.json();
    let each = 5.0 * 0.001 + 2.0 * 0.0005 + 8.0 * 0.002;
    for period in ["today", "month"] {
        assert_eq!((&me[period]["requests"], &me[period]["tokens"]), (&json!(2), &json!(30)), "{me}");
        assert!((me[period]["cost_usd"].as_f64().unwrap() - 2.0 * each).abs() < 1e-9, "{me}");
    }
    assert_eq!(
        (&me["name"], &me["refused"], &me["limits"]["requests_per_minute"]),
        (&json!("Ann"), &json!(1), &json!(100))
    );
    assert_eq!(me["expires_at"], "2099-01-31T00:00:00Z");
    let left: Vec<(&str, f64)> = me["allowances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["limit_name"].as_str().unwrap(), one["left"].as_f64().unwrap()))
        .collect();
    assert_eq!(left[0], ("requests_per_day", 1.0));
    assert!(left[1].0 == "dollars_per_month" && (left[1].1 - (1.0 - 2.0 * each)).abs() < 1e-9, "{left:?}");
    assert_eq!((&me["models"], &me["days"][0]["tokens"]), (&json!(["gemini-2.5-flash", "gemini-2.5-pro"]), &json!(30)));
    let used: Vec<&Value> = me["by_model"].as_array().unwrap().iter().map(|one| &one["model"]).collect();
    assert!(used.contains(&&json!("gemini-2.5-flash")) && !used.contains(&&json!("gemini-2.5-pro")), "{used:?}");
    for text in ["Bob", "Old", "sk-client", GEMINI_KEY, "cred-", "only-for-the-admin"] {
        assert!(!reply.body.contains(text), "{text}: {}", reply.body);
    }
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

#[test]
fn the_page_is_open_with_the_admin_pages_policy_and_its_data_want_a_key_that_is_braked() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google);
    let mut stranger = Client::new(proxy.address());
    let page = stranger.get("/me").body;
    let own = page.split('"').find(|word| word.ends_with("/me.js")).unwrap().to_owned();
    let beside = |name: &str| format!("/{}", own.replace("me.js", name));
    let files = ["me.js", "page.css", "theme.js", "frame.js", "text.js", "clients.js", "messages.js"].map(beside);
    let below = format!("/me/{own}");
    for path in ["/me", "/me/", &below].into_iter().chain(files.iter().map(String::as_str)) {
        let reply = stranger.get(path);
        assert_eq!(reply.status, 200, "{path}");
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!reply.body.contains("Ann"), "{path}");
    }
    // The admin's own files and figures stay where they were.
    let keys = beside("keys.js");
    for (path, status) in [
        ("/me/nothing", 404),
        (&keys, 401),
        ("/static/page.js", 401),
        ("/admin/keys", 401),
        ("/admin/status", 401),
        ("/me/status", 401),
    ] {
        assert_eq!(stranger.get(path).status, status, "{path}");
    }
    assert_eq!(get(&proxy, "/me/status", "sk-client-old").status, 401);
    let basic = [("Authorization", "Basic YWRtaW46b25seS1mb3ItdGhlLWFkbWlu")];
    assert_eq!(stranger.send("GET", "/me/status", &basic, "").unwrap().status, 401, "the admin's password is no key");
    assert_eq!(stranger.send("POST", "/me/status", &[], "{}").unwrap().status, 405);
}

#[test]
fn who_guesses_keys_there_is_braked_as_on_the_api() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google);
    let statuses: Vec<u16> = (0..70).map(|at| get(&proxy, "/me/status", &format!("sk-guess-{at}")).status).collect();
    assert!(statuses[0] == 401 && statuses.last() == Some(&429), "{statuses:?}");
    let braked = get(&proxy, "/me/status", "sk-guess");
    assert!(braked.header("retry-after").is_some() && braked.header("www-authenticate").is_none(), "{}", braked.body);
}
