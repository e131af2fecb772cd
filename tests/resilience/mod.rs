//! The pool over time, through the whole program: many bad credentials at once, a token endpoint that is down, restarts,
//! idle hours, conversations that stay where they are.

mod upkeep;

use crate::common::google::{FakeGoogle, Step, User};
use crate::common::proxy::{CLIENT_KEY, Pool, Proxy};
use crate::common::wire::agent;
use gemini_openai_proxy::config;
use gemini_openai_proxy::credentials::Timing;
use gemini_openai_proxy::serve::service::{Service, Tuning};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// Limit for what happens in another thread; a test that works needs a fraction.
const PATIENCE: Duration = Duration::from_secs(30);

struct Told {
    status: u16,
    retry_after: Option<u64>,
    body: Value,
}

fn post(base: &str, headers: &[(&str, &str)], body: &Value) -> Told {
    let mut request =
        agent().post(format!("{base}/v1/chat/completions")).header("Authorization", format!("Bearer {CLIENT_KEY}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    read(request.send(body.to_string()).unwrap())
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Told {
    let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
    let text = answer.body_mut().read_to_string().unwrap();
    Told { status: answer.status().as_u16(), retry_after, body: serde_json::from_str(&text).unwrap_or(Value::Null) }
}

fn hi() -> Value {
    json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Hi"}]})
}

fn ask(proxy: &Proxy) -> Told {
    post(&proxy.base(), &[], &hi())
}

fn get(proxy: &Proxy, path: &str) -> Told {
    read(
        agent()
            .get(format!("{}{path}", proxy.base()))
            .header("Authorization", format!("Bearer {CLIENT_KEY}"))
            .call()
            .unwrap(),
    )
}

/// Waits for what another thread does. The condition is what is waited for, the pause only keeps the CPU free.
fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "{what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

fn short() -> Tuning {
    let millis = Duration::from_millis;
    Tuning {
        timing: Timing {
            first_backoff: millis(20),
            longest_backoff: millis(200),
            blocked_probe: millis(300),
            onboarding_poll: millis(5),
            file_poll: millis(50),
            deprioritised: Duration::from_secs(600),
            ..Timing::default()
        },
        ..Tuning::default()
    }
}

/// Accounts, and keys named `AIza...`, in this order; all healthy.
fn start(google: &FakeGoogle, names: &[String], tuning: Tuning) -> Proxy {
    let items: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            if name.starts_with("AIza") {
                google.add_api_key(name);
                return json!({"api_key": name});
            }
            google.add_user(User::licensed(name, &format!("project-{at}")));
            let mut item = google.oauth_credential(name);
            item["email"] = json!(name);
            item["project_id"] = json!(format!("project-{at}"));
            item
        })
        .collect();
    Proxy::start_with(google, tuning, |config| {
        // One request may meet all of them.
        config["max_credentials_per_request"] = json!(names.len());
        std::fs::write(config["credentials_file"].as_str().unwrap(), json!(items).to_string()).unwrap();
    })
}

fn asked(google: &FakeGoogle) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for request in google.generations() {
        *counts.entry(request.who.unwrap_or_default()).or_default() += 1;
    }
    counts
}

#[test]
fn twenty_credentials_in_every_bad_state_and_one_good_lose_no_request() {
    let google = FakeGoogle::start();
    let names: Vec<String> = (0..21)
        .map(|at| if (15..20).contains(&at) { format!("AIza-bad-{at:04}") } else { format!("u{at}@example.com") })
        .collect();
    let proxy = start(&google, &names, short());
    let error = |status: u16, reason: &str, message: &str| {
        let details = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason,
            "domain": "cloudcode-pa.googleapis.com", "metadata": {}}]);
        Step::json(status, json!({"error": {"code": status, "message": message, "details": details}}))
    };
    let bad = [
        Step::rate_limited("RATE_LIMIT_EXCEEDED", "120s"),
        Step::quota_exhausted("13h"),
        Step::status(429, "Resource has been exhausted (e.g. check quota)."),
        Step::status(401, "expired"),
        error(403, "VALIDATION_REQUIRED", "Verify your account to continue."),
        error(403, "SUBSCRIPTION_REQUIRED", "(#3501)"),
        Step::status(403, "This service has been disabled in this account for violation of Terms of Service."),
        error(403, "SERVICE_DISABLED", "not been used"),
        error(403, "SECURITY_POLICY_VIOLATED", "prohibited"),
        error(403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "scopes"),
        Step::status(404, "Requested entity was not found."),
        Step::status(400, "User location is not supported for the API use."),
        Step::status(500, "Internal error encountered."),
        // These two are dead before they are asked; see below.
        Step::status(401, "revoked"),
        Step::status(401, "token endpoint down"),
        error(400, "API_KEY_INVALID", "API key not valid."),
        Step::status(403, "Your API key was reported as leaked."),
        error(403, "CONSUMER_SUSPENDED", "suspended"),
        error(403, "API_KEY_IP_ADDRESS_BLOCKED", "blocked"),
        Step::status(429, "Quota exceeded, limit: 0"),
    ];
    for (name, step) in names.iter().zip(bad) {
        google.always(name, step);
    }
    google.revoke(&names[13]);
    google.always(&names[14], Step::html(500).on("token"));

    for number in 0..200 {
        let told = ask(&proxy);
        assert_eq!(told.status, 200, "request {number}: {}", told.body);
    }
    let counts = asked(&google);
    for (at, name) in names.iter().take(20).enumerate() {
        let count = counts.get(name).copied().unwrap_or(0);
        // A 401 is answered with a fresh token, once.
        let most = if at == 3 { 2 } else { 1 };
        assert!(count <= most, "{name} was asked {count} times");
    }
    assert!(counts[&names[20]] >= 200);

    google.clear_scripts();
    for name in names.iter().filter(|name| !name.starts_with("AIza")) {
        google.change(|state| {
            state.refresh.values_mut().filter(|token| token.email == *name).for_each(|token| token.revoked = false);
        });
    }
    let pool = proxy.service().app().pool.clone();
    for name in &names {
        let at = names.iter().position(|other| other == name).unwrap();
        pool.reset(pool.find(&format!("cred-{at}")).unwrap()).unwrap();
    }
    wait_for("all are ready", || pool.views().iter().all(|view| view.status == "active"));
    let before = google.generations().len();
    for _ in 0..63 {
        assert_eq!(ask(&proxy).status, 200);
    }
    let back: HashSet<_> = google.generations()[before..]
        .iter()
        .filter(|request| request.status == 200)
        .filter_map(|r| r.who.clone())
        .collect();
    assert_eq!(back.len(), 21, "all are back: {back:?}");
    assert!(pool.views().iter().all(|view| view.available));
}

#[test]
fn what_ends_by_itself_needs_no_reset() {
    let google = FakeGoogle::start();
    let names = ["u0@example.com".to_owned(), "u1@example.com".to_owned()];
    let proxy = start(&google, &names, short());
    google.script(&names[0], Step::rate_limited("RATE_LIMIT_EXCEEDED", "1s"));
    assert_eq!(ask(&proxy).status, 200);
    let service = proxy.service();
    let rests = || service.app().pool.views()[0].status == "exhausted";
    assert!(rests(), "it rests");
    wait_for("the rest is over", || !rests());
    let before = asked(&google)[&names[0]];
    (0..4).for_each(|_| assert_eq!(ask(&proxy).status, 200));
    assert_eq!(asked(&google)[&names[0]] - before, 2, "it takes its turns again");
}

#[test]
fn ten_simultaneous_401s_are_one_refresh() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::Oauth);
    assert_eq!(ask(&proxy).status, 200);
    let email = crate::common::proxy::EMAIL;
    google.expire(email);
    let start = Barrier::new(10);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let one = || {
            start.wait();
            ask(&proxy).status
        };
        let threads: Vec<_> = (0..10).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses, [200; 10]);
    assert_eq!(google.refreshes(email), 1);
}

#[test]
fn a_token_endpoint_that_is_down_kills_nobody() {
    let google = FakeGoogle::start();
    let names: Vec<String> = (0..3).map(|at| format!("u{at}@example.com")).collect();
    let proxy = start(&google, &names, short());
    google.always("*", Step::html(503).on("token"));
    names.iter().for_each(|name| google.expire(name));
    for number in 0..10 {
        let told = ask(&proxy);
        assert_eq!(told.status, 503, "request {number}: {}", told.body);
        assert!(told.retry_after.is_some_and(|seconds| (1..=10).contains(&seconds)), "{:?}", told.retry_after);
    }
    let views = proxy.service().app().pool.views();
    assert!(
        views.iter().all(|view| view.reason_code.as_deref() != Some("INVALID_GRANT") && view.status != "error"),
        "{views:?}"
    );
    google.clear_scripts();
    wait_for("it heals", || ask(&proxy).status == 200);
    wait_for("all heal", || proxy.service().app().pool.views().iter().all(|view| view.status == "active"));
}

#[test]
fn rests_outlive_a_restart_and_can_be_counted_down() {
    let google = FakeGoogle::start();
    let scratch = crate::common::pool::Scratch::new();
    google.add_api_key("AIza-one-0001");
    let text = json!({"server": {"host": "127.0.0.1", "port": 0}, "auth_keys": [CLIENT_KEY], "log_level": "warning",
        "credentials_file": scratch.file(), "gemini_api_keys": ["AIza-one-0001"], "endpoints": google.endpoints_json(),
        "usage_logging": {"enabled": false}});
    let run = || Service::start(config::parse(&text.to_string()).unwrap().config).unwrap();
    google.script("*", Step::rate_limited("RATE_LIMIT_EXCEEDED", "250s"));
    let service = run();
    let base = format!("http://{}", service.address());
    assert_eq!(post(&base, &[], &hi()).status, 429);
    service.stop();
    let service = run();
    let base = format!("http://{}", service.address());
    let told = post(&base, &[], &hi());
    assert_eq!(told.status, 429);
    assert!(told.retry_after.is_some_and(|seconds| (200..=250).contains(&seconds)), "{:?}", told.retry_after);
    assert_eq!(google.generations().len(), 1, "after the restart nobody was asked");
    let list = read(agent().get(format!("{base}/admin/credentials")).call().unwrap()).body;
    assert_eq!((&list[0]["status"], &list[0]["models"][0]["model"]), (&json!("exhausted"), &json!("gemini-2.5-flash")));
    assert!(list[0]["models"][0]["cooling_until"].is_string() && list[0]["failure_reason"].is_string(), "{list}");
    service.stop();
}

#[test]
fn a_dead_end_outlives_a_restart_and_a_person_ends_it_for_good() {
    let google = FakeGoogle::start();
    let scratch = crate::common::pool::Scratch::new();
    let names = ["tos@example.com", "revoked@example.com"];
    let mut items = Vec::new();
    for name in names {
        google.add_user(User::licensed(name, "project"));
        let mut item = google.oauth_credential(name);
        (item["email"], item["project_id"]) = (json!(name), json!("project"));
        items.push(item);
    }
    items[1]["expiry_date"] = json!(1_000_000_000_000_u64);
    items.push(json!({"api_key": "AIza-leaked-0001"}));
    google.add_api_key("AIza-leaked-0001");
    google.always(names[0], Step::status(403, "disabled in this account for violation of Terms of Service."));
    google.always("AIza-leaked-0001", Step::status(403, "Your API key was reported as leaked."));
    google.revoke(names[1]);
    scratch.put(&json!(items));
    let text = json!({"server": {"host": "127.0.0.1", "port": 0}, "auth_keys": [CLIENT_KEY], "log_level": "error",
        "credentials_file": scratch.file(), "endpoints": google.endpoints_json(), "min_credentials": 0,
        "usage_logging": {"enabled": false}});
    let run = || Service::start(config::parse(&text.to_string()).unwrap().config).unwrap();
    let views = |service: &Service| {
        let reasons = service.app().pool.views().into_iter().map(|view| view.reason_code.unwrap_or_default());
        reasons.collect::<Vec<_>>()
    };
    let dead = ["TOS_VIOLATION", "INVALID_GRANT", "API_KEY_LEAKED"];
    let service = run();
    wait_for("the login is found dead", || views(&service)[1] == "INVALID_GRANT");
    assert_ne!(post(&format!("http://{}", service.address()), &[], &hi()).status, 200);
    assert_eq!(views(&service), dead);
    service.stop();

    // The state file names nobody by a secret.
    let saved = std::fs::read_to_string(scratch.path().join("credentials.json.state.json")).unwrap();
    assert!(dead.iter().all(|reason| saved.contains(reason)) && !saved.contains("AIza-leaked"), "{saved}");
    let calls = || google.requests().iter().filter(|request| !request.path.ends_with("/models")).count();
    let before = calls();
    let service = run();
    let base = format!("http://{}", service.address());
    assert_eq!(post(&base, &[], &hi()).status, 403);
    assert_eq!((calls(), views(&service)), (before, dead.map(str::to_owned).to_vec()), "nobody was asked again");

    google.clear_scripts();
    google.change(|state| state.refresh.values_mut().for_each(|token| token.revoked = false));
    for (name, word) in [("cred-0", "reset"), ("cred-1", "check"), ("cred-2", "check")] {
        let answer = agent().post(format!("{base}/admin/credentials/{name}/{word}")).send_empty().unwrap();
        assert_eq!(answer.status().as_u16(), 200);
    }
    service.stop();
    let service = run();
    assert_eq!(views(&service), ["", "", ""], "what a person ended stays ended");
    assert_eq!(post(&format!("http://{}", service.address()), &[], &hi()).status, 200);
    service.stop();
}

#[test]
fn a_conversation_stays_with_its_credential_and_all_else_rotates() {
    let google = FakeGoogle::start();
    let names: Vec<String> = (0..8).map(|at| format!("AIza-key-{at:04}")).collect();
    let proxy = start(&google, &names, Tuning::default());
    let who = |headers: &[(&str, &str)], extra: Value| {
        let mut body = hi();
        extra.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        assert_eq!(post(&proxy.base(), headers, &body).status, 200);
        google.last_generation().who.unwrap()
    };
    for (headers, extra) in [
        (vec![("X-OpenWebUI-Chat-Id", "chat-1")], json!({})),
        (vec![("session_id", "s-1")], json!({})),
        (vec![], json!({"prompt_cache_key": "talk"})),
        (vec![], json!({"metadata": {"user_id": "user_1_account__session_2"}})),
    ] {
        let turns: HashSet<String> = (0..4).map(|_| who(&headers, extra.clone())).collect();
        assert_eq!(turns.len(), 1, "{headers:?} {extra}");
    }
    let turns: HashSet<String> = (0..8).map(|_| who(&[], json!({"user": "me"}))).collect();
    assert_eq!(turns.len(), 8, "everything else takes turns");
    let home = who(&[], json!({"prompt_cache_key": "talk"}));
    google.script(&home, Step::rate_limited("RATE_LIMIT_EXCEEDED", "60s"));
    let next: HashSet<String> = (0..4).map(|_| who(&[], json!({"prompt_cache_key": "talk"}))).collect();
    assert!(next.len() == 1 && !next.contains(&home), "failover moves it as a whole");
}
