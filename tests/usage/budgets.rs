//! Budgets of keys in tokens and money: refused before the request in every dialect, counted once, kept over a restart, and
//! told alike by headers, billing, metrics and the list of keys.

use super::counters::answer;
use crate::common::client::{Client, Reply};
use crate::common::google::{End, FakeGoogle, Step};
use crate::common::http::ask_at;
use crate::common::program::{Folder, Program};
use crate::common::proxy::{GEMINI_KEY, Proxy};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// US dollars of one [`answer`] by [`prices`]: 5 fresh, 2 cached and 5 + 3 answered tokens.
const EACH: f64 = 5.0 * 0.001 + 2.0 * 0.0005 + 8.0 * 0.002;

fn prices() -> Value {
    json!({"gemini-2.5-flash": {"input": 1000, "output": 2000, "cached": 500}})
}

fn proxy(google: &FakeGoogle, keys: Value) -> Proxy {
    google.add_api_key(GEMINI_KEY);
    google.always("*", answer());
    Proxy::start(google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["prices"] = prices();
        config["auth_keys"] = keys;
    })
}

const CHAT: (&str, &str) =
    ("/v1/chat/completions", r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}]}"#);
const MESSAGE: (&str, &str) =
    ("/v1/messages", r#"{"model":"gemini-2.5-flash","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#);
const NATIVE: (&str, &str) =
    ("/v1beta/models/gemini-2.5-flash:generateContent", r#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#);
const RESPONSE: (&str, &str) = ("/v1/responses", r#"{"model":"gemini-2.5-flash","input":"Hi"}"#);

fn ask(address: SocketAddr, key: &str, method: &str, (path, body): (&str, &str)) -> Reply {
    Client::new(address).send(method, path, &[("Authorization", &format!("Bearer {key}"))], body).unwrap()
}

fn is(found: &Value, expected: f64) -> bool {
    (found.as_f64().unwrap() - expected).abs() < 1e-9
}

#[test]
fn a_budget_that_is_used_up_refuses_in_every_dialect_and_says_when_it_begins_anew() {
    let google = FakeGoogle::start();
    let budgets = [
        ("sk-client-tokens-month", "tokens_per_month", json!(30), "30 tokens per month"),
        ("sk-client-dollars-day", "dollars_per_day", json!(0.03), "0.03 dollars per day"),
        ("sk-client-dollars-month", "dollars_per_month", json!("0.044"), "0.044 dollars per month"),
    ];
    let keys = budgets.iter().map(|(key, limit, value, _)| json!({"key": key, "name": &key[10..], *limit: value}));
    let proxy = proxy(&google, keys.collect());
    for (key, limit, _, words) in &budgets {
        // Two requests begin below the limit and reach it.
        for _ in 0..2 {
            assert_eq!(ask(proxy.address(), key, "POST", CHAT).status, 200, "{limit}");
        }
        let before = google.generations_count();
        let refusals = [CHAT, MESSAGE, NATIVE, RESPONSE].map(|route| ask(proxy.address(), key, "POST", route));
        assert_eq!(google.generations_count(), before, "{limit}: Google was asked");
        for reply in &refusals {
            assert_eq!(reply.status, 429, "{}", reply.body);
            let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
            let longest = if limit.ends_with("month") { 31 } else { 1 } * 86_400;
            assert!((1..=longest).contains(&wait), "{limit}: {wait}");
            assert_eq!(reply.header("x-should-retry"), Some("false"));
            for part in [*words, "T00:00:00Z", "can raise the limit"] {
                assert!(reply.body.contains(part), "{limit}: {}", reply.body);
            }
        }
        let [chat, message, native, response] = refusals.map(|reply| reply.json());
        assert_eq!(
            (&chat["error"]["type"], &chat["error"]["code"]),
            (&json!("insufficient_quota"), &json!("insufficient_quota"))
        );
        assert_eq!((&message["type"], &message["error"]["type"]), (&json!("error"), &json!("rate_limit_error")));
        assert_eq!(native["error"]["status"], "RESOURCE_EXHAUSTED");
        assert_eq!(response["error"]["code"], "insufficient_quota");
    }
    // Who is refused is counted as such, and the refusal costs nothing.
    let keys = Client::new(proxy.address()).get("/admin/keys").json()["keys"].clone();
    for key in keys.as_array().unwrap() {
        assert_eq!((&key["month"]["requests"], &key["month"]["tokens"]), (&json!(2), &json!(30)), "{key}");
        assert!(is(&key["month"]["cost_usd"], 2.0 * EACH) && is(&key["today"]["cost_usd"], 2.0 * EACH), "{key}");
    }
    let requests = Client::new(proxy.address()).get("/admin/requests").json();
    assert_eq!(requests["requests"][0]["error"], "insufficient_quota", "{requests}");
}

#[test]
fn headers_billing_and_metrics_say_what_is_left() {
    let google = FakeGoogle::start();
    let proxy = proxy(
        &google,
        json!([
            {"key": "sk-client-both", "name": "both", "tokens_per_day": 1000, "tokens_per_month": 100,
             "dollars_per_day": 1, "dollars_per_month": 20, "expires_at": "2099-01-31T00:00:00Z"},
            {"key": "sk-client-free", "name": "free"},
        ]),
    );
    let first = ask(proxy.address(), "sk-client-both", "POST", CHAT);
    let second = ask(proxy.address(), "sk-client-both", "POST", CHAT);
    for (name, expected) in [
        ("x-ratelimit-limit-tokens", ["100", "100"]),
        ("x-ratelimit-remaining-tokens", ["100", "85"]),
        ("x-ratelimit-limit-dollars", ["1", "1"]),
        ("x-ratelimit-remaining-dollars", ["1", "0.978"]),
    ] {
        assert_eq!([&first, &second].map(|reply| reply.header(name).unwrap()), expected, "{name}");
    }
    assert!(first.header("x-ratelimit-reset-dollars").is_some() && first.header("x-ratelimit-reset-tokens").is_some());
    let free = ask(proxy.address(), "sk-client-free", "POST", CHAT);
    assert!(free.header("x-ratelimit-limit-tokens").or(free.header("x-ratelimit-limit-dollars")).is_none());

    // A program that shows a balance takes what the month has cost from the limit.
    let get = |key: &str, path: &str| ask(proxy.address(), key, "GET", (path, "")).json();
    let subscription = get("sk-client-both", "/dashboard/billing/subscription");
    let usage = get("sk-client-both", "/dashboard/billing/usage");
    let left = subscription["hard_limit_usd"].as_f64().unwrap() - usage["total_usage"].as_f64().unwrap() / 100.0;
    assert!((left - (1.0 - 2.0 * EACH)).abs() < 1e-9, "{subscription} {usage}");
    assert_eq!(subscription["access_until"], 4_073_500_800_u64);
    assert_eq!(get("sk-client-free", "/dashboard/billing/subscription")["hard_limit_usd"], 1_000_000.0);

    let metrics = Client::new(proxy.address()).get("/metrics").body;
    for line in [
        r#"gemini_proxy_key_limit{key="both",limit="dollars_per_month"} 20"#.to_owned(),
        format!(r#"gemini_proxy_key_used{{key="both",limit="dollars_per_day"}} {}"#, 0.044),
        r#"gemini_proxy_key_used{key="both",limit="tokens_per_month"} 30"#.to_owned(),
        format!(r#"gemini_proxy_cost_dollars_total{{model="gemini-2.5-flash"}} {}"#, 0.066),
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
}

#[test]
fn a_key_with_a_budget_in_money_asks_for_nothing_that_has_no_price() {
    let google = FakeGoogle::start();
    let proxy =
        proxy(&google, json!([{"key": "sk-client-money", "name": "money", "dollars_per_month": 5}, "sk-client-free"]));
    let unpriced = CHAT.1.replace("2.5-flash", "99-flash");
    let asked = google.generations_count();
    for (method, path, body) in [
        ("POST", CHAT.0, unpriced.as_str()),
        ("POST", "/v1beta/models/gemini-99-flash:generateContent", NATIVE.1),
        ("POST", "/v1beta/models/veo-3.1-generate-preview:predictLongRunning", "{}"),
        ("POST", "/v1beta/cachedContents", "{}"),
        ("POST", "/v1beta/interactions", r#"{"model":"gemini-2.5-flash","input":"Hi"}"#),
    ] {
        let reply = ask(proxy.address(), "sk-client-money", method, (path, body));
        assert_eq!(reply.status, 403, "{path}: {}", reply.body);
        assert!(reply.body.contains("has a budget in money") && reply.body.contains("price"), "{}", reply.body);
    }
    assert_eq!(google.generations_count(), asked);
    for (method, path) in [("GET", "/v1beta/files"), ("GET", "/v1beta/cachedContents"), ("DELETE", "/v1beta/files/x")] {
        let reply = ask(proxy.address(), "sk-client-money", method, (path, ""));
        assert!(!reply.body.contains("budget"), "{path}: {}", reply.body);
    }
    assert_ne!(ask(proxy.address(), "sk-client-free", "POST", (CHAT.0, &unpriced)).status, 403);
    assert_eq!(ask(proxy.address(), "sk-client-money", "POST", CHAT).status, 200);
}

#[test]
fn budgets_go_on_after_a_restart_and_a_crash_and_a_key_of_the_page_has_them() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    google.always("*", answer());
    let folder = Folder::new("budgets");
    let config = json!({
        "server": {"host": "127.0.0.1", "port": 0, "workers": 4}, "endpoints": google.endpoints_json(),
        "gemini_api_keys": [GEMINI_KEY], "credentials_file": "c.json", "log_level": "info", "prices": prices(),
        "auth_keys": [{"key": "sk-client-in-config", "name": "config", "dollars_per_month": 0.06}],
    });
    let start = || Program::start(&folder, &config, &[]);
    let address = |program: &Program| SocketAddr::from(([127, 0, 0, 1], program.port));
    let mut program = start();
    let made = Client::new(address(&program))
        .send("POST", "/admin/keys", &[], r#"{"name":"page","dollars_per_day":0.05,"tokens_per_month":1000}"#)
        .unwrap()
        .json();
    let of_page = made["key"].as_str().unwrap().to_owned();
    for round in 0..3 {
        for key in ["sk-client-in-config", &of_page] {
            assert_eq!(ask(address(&program), key, "POST", CHAT).status, 200, "{round} {key}");
        }
        if round == 0 {
            program.signal("-TERM");
            assert_eq!(program.wait(Duration::from_secs(20)), Some(0), "{}", program.log());
            program = start();
        }
    }
    let check = |program: &Program| {
        for (key, words) in [("sk-client-in-config", "0.06 dollars per month"), (&of_page, "0.05 dollars per day")] {
            let reply = ask(address(program), key, "POST", CHAT);
            assert!(reply.status == 429 && reply.body.contains(words), "{}", reply.body);
        }
        let keys = Client::new(address(program)).get("/admin/keys").json()["keys"].clone();
        for key in &keys.as_array().unwrap()[..2] {
            assert!(is(&key["month"]["cost_usd"], 3.0 * EACH) && key["month"]["tokens"] == 45, "{key}");
        }
        assert_eq!(keys[1]["limits"]["dollars_per_day"], 0.05);
    };
    check(&program);
    // What was counted is on disk two seconds later, and a change that was acknowledged takes the counts with it.
    Client::new(address(&program)).send("POST", "/admin/keys", &[], r#"{"name":"another"}"#).unwrap();
    program.signal("-KILL");
    program.wait(Duration::from_secs(20));
    check(&start());
}

#[test]
fn an_answer_that_breaks_off_costs_what_google_had_counted_of_it() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, json!([{"key": "sk-client-broken", "name": "broken", "dollars_per_month": 0.03}]));
    let begun = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "One"}]}}],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 12, "totalTokenCount": 19}});
    google.script(GEMINI_KEY, Step::stream(vec![begun.clone(), begun]).cut_after_events(1, End::Close));
    let cost = 7.0 * 0.001 + 12.0 * 0.002;
    let streamed = CHAT.1.replacen('{', r#"{"stream":true,"#, 1);
    let key = [("Authorization", "Bearer sk-client-broken")];
    let answer = ask_at(proxy.address(), "POST", CHAT.0, &key, streamed.as_bytes()).text();
    assert!(answer.contains("One") && answer.contains("\"error\""), "{answer}");
    let mut admin = Client::new(proxy.address());
    let key = admin.get("/admin/keys").json()["keys"][0].clone();
    assert_eq!(key["month"]["tokens"], 19, "{key}");
    assert!(is(&key["month"]["cost_usd"], cost), "{key}");
    let stats = admin.get("/admin/stats").json();
    for of in [&stats["keys"][0], &stats["models"][0], &stats["today"]] {
        assert_eq!(
            (&of["failed"], &of["prompt_tokens"], &of["completion_tokens"]),
            (&json!(1), &json!(7), &json!(12)),
            "{of}"
        );
        assert!(is(&of["cost_usd"], cost), "{of}");
    }
    let request = admin.get("/admin/requests").json()["requests"][0].clone();
    assert!(is(&request["cost_usd"], cost), "{request}");
    let metrics = admin.get("/metrics").body;
    assert!(metrics.contains(r#"gemini_proxy_cost_dollars_total{model="gemini-2.5-flash"} 0.031"#), "{metrics}");
    assert_eq!(ask(proxy.address(), "sk-client-broken", "POST", CHAT).status, 429, "the budget is used up");
}
