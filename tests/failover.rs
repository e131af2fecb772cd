//! The pool as clients feel it: whatever single credentials go through, requests are answered.

mod common;

use common::google::{FakeGoogle, Step, User};
use common::proxy::{CLIENT_KEY, Proxy};
use common::wire::agent;
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
fn a_pool_without_members_says_what_to_do() {
    let google = FakeGoogle::start();
    let proxy = Proxy::start(&google, |_| {});
    let (status, body) = ask(&agent(), &proxy);
    assert_eq!(status, 503);
    assert_eq!(body["error"]["code"], "no_available_account", "{body}");
}
