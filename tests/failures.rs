//! Every failure that is known, through the whole program: what Google answers, and what follows for the credential, the
//! next request, the client and the person at the admin page. The cases are data:
//! `tests/fixtures/errors/google.jsonl` (Google's answers, one for each row of the table at least) with what follows in
//! `failures/answers.jsonl`, and `failures/other.jsonl` for connections, tokens and accounts.

use crate::common::google::{Cut, End, FakeGoogle, Step, Tier, User};
use crate::common::proxy::{CLIENT_KEY, Proxy};
use crate::common::wire::{agent, agent_with};
use gemini_openai_proxy::serve::service::Tuning;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const BAD: &str = "bad@example.com";
const GOOD: &str = "good@example.com";
const BAD_KEY: &str = "AIza-bad-0001";
const GOOD_KEY: &str = "AIza-good-0002";
const MODEL: &str = "gemini-2.5-flash";

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn lines(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(fixture(name)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}")))
        .collect()
}

/// What goes wrong for the bad credential.
enum Trouble {
    Answer(Step),
    Token(Step),
    Account(Tier),
    Revoked,
}

fn trouble(given: &Value) -> Trouble {
    let text = |name: &str| given[name].as_str().unwrap_or_default();
    if given["status"].is_u64() {
        let body = given["body"].as_str().map_or_else(|| given["body"].to_string(), str::to_owned);
        let step = Step::body(given["status"].as_u64().unwrap() as u16, &body);
        return if text("on") == "token" { Trouble::Token(step.on("token")) } else { Trouble::Answer(step) };
    }
    match text("kind") {
        "reset" => Trouble::Answer(Step::reset()),
        "cut in the first event" => Trouble::Answer(Step::text("hello").cut(Cut::Bytes(20, End::Close))),
        "token reset" => Trouble::Token(Step::reset().on("token")),
        "revoked" => Trouble::Revoked,
        "unsupported client" => Trouble::Account(Tier::UnsupportedClient),
        "to be verified" => Trouble::Account(Tier::ValidationRequired),
        "onboarding fails" => {
            Trouble::Account(Tier::NewFree { polls: 0, answer: crate::common::google::OnboardAnswer::Error })
        }
        other => panic!("unknown kind {other:?}"),
    }
}

struct Bench {
    google: FakeGoogle,
    proxy: Proxy,
    keys: bool,
}

/// The bad credential first, and a good one behind it if asked for.
fn bench(trouble: &Trouble, keys: bool, with_good: bool) -> Bench {
    let google = FakeGoogle::start();
    let names: &[&str] = match (keys, with_good) {
        (true, true) => &[BAD_KEY, GOOD_KEY],
        (true, false) => &[BAD_KEY],
        (false, true) => &[BAD, GOOD],
        (false, false) => &[BAD],
    };
    let mut items = Vec::new();
    for (at, name) in names.iter().enumerate() {
        if keys {
            google.add_api_key(name);
            items.push(json!({"api_key": name}));
            continue;
        }
        google.add_user(User::licensed(name, &format!("project-{at}")));
        let mut item = google.oauth_credential(name);
        item["email"] = json!(name);
        if at > 0 || !matches!(trouble, Trouble::Account(_)) {
            item["project_id"] = json!(format!("project-{at}"));
        }
        if at == 0 && matches!(trouble, Trouble::Token(_) | Trouble::Revoked) {
            item["expiry_date"] = json!(1_000_000_000_000_u64);
        }
        items.push(item);
    }
    match trouble {
        Trouble::Answer(step) => google.always(names[0], step.clone()),
        Trouble::Token(step) => google.always(names[0], step.clone()),
        Trouble::Account(tier) => google.set_tier(names[0], tier.clone()),
        Trouble::Revoked => google.revoke(names[0]),
    }
    // Long enough that no case sees the end of a rest.
    let mut tuning = Tuning::default();
    (tuning.timing.first_backoff, tuning.timing.longest_backoff) = (Duration::from_secs(60), Duration::from_secs(60));
    let proxy = Proxy::start_with(&google, tuning, |config| {
        fs::write(config["credentials_file"].as_str().unwrap(), json!(items).to_string()).unwrap();
    });
    if !matches!(trouble, Trouble::Answer(_)) {
        // The keeper finds it at the start; a request may be sooner, but what is told is for those that come after.
        let end = Instant::now() + Duration::from_secs(30);
        while proxy.service().app().pool.views()[0].failure_reason.is_none() {
            assert!(Instant::now() < end, "the keeper has found nothing");
            thread::park_timeout(Duration::from_millis(2));
        }
    }
    Bench { google, proxy, keys }
}

impl Bench {
    fn ask(&self) -> (u16, Value) {
        let agent = agent_with(|config| config.timeout_global(Some(Duration::from_secs(60))));
        let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}).to_string();
        let mut answer = agent
            .post(format!("{}/v1/chat/completions", self.proxy.base()))
            .header("Authorization", format!("Bearer {CLIENT_KEY}"))
            .send(body)
            .unwrap();
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (retry_after, should_retry) = (header("retry-after"), header("x-should-retry"));
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        let mut told = Map::new();
        told.insert("http".into(), status.into());
        if status != 200 {
            for field in ["type", "code"] {
                told.insert(field.into(), body["error"][field].clone());
            }
            assert!(body["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
        }
        if let Some(seconds) = retry_after {
            told.insert("retry_after".into(), rounded(seconds.parse().unwrap()).into());
        }
        if let Some(word) = should_retry {
            told.insert("should_retry".into(), word.into());
        }
        (status, Value::Object(told))
    }

    /// Generations that the bad credential was asked for.
    fn asked(&self) -> usize {
        let bad = if self.keys { BAD_KEY } else { BAD };
        self.google.generations().iter().filter(|request| request.who.as_deref() == Some(bad)).count()
    }

    /// How the admin sees the bad credential.
    fn admin(&self) -> Value {
        let mut answer = agent().get(format!("{}/admin/credentials", self.proxy.base())).call().unwrap();
        let list: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        let bad = &list[0];
        let rests: Vec<u64> = self.proxy.service().app().pool.views()[0]
            .cooling
            .iter()
            .map(|resting| {
                assert_eq!(resting.model, MODEL);
                rounded(resting.until.duration_since(std::time::SystemTime::now()).unwrap().as_secs_f64().ceil() as u64)
            })
            .collect();
        // What is refused for one model stands with the model.
        let model = &bad["models"][0];
        let (reason, sentence) = match model["refused"] == true {
            true => (&model["reason"], &model["detail"]),
            false => (&bad["reason_code"], &bad["failure_reason"]),
        };
        json!({"status": bad["status"], "available": bad["is_available"], "reason": reason, "sentence": sentence,
            "link": bad["link"], "rests": rests.first()})
    }
}

/// Seconds that are counted down while the test runs, to the next step of 5 above 10.
fn rounded(seconds: u64) -> u64 {
    if seconds <= 10 { seconds } else { seconds.div_ceil(5) * 5 }
}

/// All that follows from one trouble.
fn outcome(given: &Value) -> Value {
    let trouble = trouble(given);
    let keys = given["keys"] == true;
    let alone = bench(&trouble, keys, false);
    let (_, first) = alone.ask();
    let asked = alone.asked();
    let admin = alone.admin();
    let (_, second) = alone.ask();
    let asked_again = alone.asked() - asked;
    if asked_again == 0 {
        let told = |told: &Value| ["http", "type", "code"].map(|field| told[field].clone());
        assert_eq!(told(&first), told(&second), "who comes while all rest learns the same: {given}");
    }
    drop(alone);
    let beside = bench(&trouble, keys, true);
    let statuses: Vec<u16> = (0..4).map(|_| beside.ask().0).collect();
    json!({"first": first, "asked": asked, "then": second, "asked_again": asked_again, "admin": admin,
        "beside": {"http": statuses, "asked": beside.asked()}})
}

/// Every case of the list; with `GEMINI_PROXY_GOLDEN` set the expectations are written anew, to be read as a diff.
fn check(name: &str, cases: &[(String, Value)], expected: &BTreeMap<String, Value>) {
    let found = Mutex::new(BTreeMap::new());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some((name, given)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = outcome(given);
                    found.lock().unwrap().insert(name.clone(), outcome);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    assert_eq!(found.len(), cases.len(), "a case panicked");
    if std::env::var_os("GEMINI_PROXY_GOLDEN").is_some() {
        let line = |(case, given): &(String, Value)| {
            let mut line = json!({"name": case});
            if name.ends_with("other.jsonl") {
                line["given"] = given.clone();
            } else if given["keys"] == true {
                line["keys"] = json!(true);
            }
            let kept = expected.get(case).filter(|expected| agrees(&found[case], expected));
            line["expect"] = kept.unwrap_or(&found[case]).clone();
            format!("{line}\n")
        };
        fs::write(fixture(name), cases.iter().map(line).collect::<String>()).unwrap();
        return;
    }
    let mut wrong = Vec::new();
    for (case, _) in cases {
        let expected = expected.get(case).unwrap_or_else(|| panic!("{case}: nothing is expected in {name}"));
        if !agrees(&found[case], expected) {
            wrong.push(format!("{case}\n  expected {expected}\n  found    {}", found[case]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Equal, but for seconds that were counted down meanwhile.
fn agrees(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| {
                    let Some(wanted) = other.get(name) else { return false };
                    // A rest with jitter is expected as [least, most].
                    if let (Some(value), Some(least), Some(most)) =
                        (value.as_u64(), wanted[0].as_u64(), wanted[1].as_u64())
                    {
                        return (least..=most).contains(&value);
                    }
                    match (name.as_str(), value.as_u64(), wanted.as_u64()) {
                        ("retry_after" | "rests", Some(value), Some(wanted)) => {
                            value <= wanted && wanted - value <= (wanted / 5).clamp(2, 30)
                        }
                        _ => agrees(value, wanted),
                    }
                })
        }
        _ => found == expected,
    }
}

fn expectations(name: &str) -> BTreeMap<String, Value> {
    lines(name).into_iter().map(|line| (line["name"].as_str().unwrap().to_owned(), line["expect"].clone())).collect()
}

#[test]
fn every_answer_of_google_has_its_consequences() {
    let keys: Vec<Value> = lines("failures/answers.jsonl").into_iter().filter(|line| line["keys"] == true).collect();
    let is_key = |name: &Value| keys.iter().any(|line| line["name"] == *name);
    let cases: Vec<(String, Value)> = lines("errors/google.jsonl")
        .into_iter()
        .map(|case| {
            let keys = is_key(&case["name"]);
            let given = json!({"status": case["status"], "body": case["body"], "keys": keys});
            (case["name"].as_str().unwrap().to_owned(), given)
        })
        .collect();
    check("failures/answers.jsonl", &cases, &expectations("failures/answers.jsonl"));
}

#[test]
fn connections_tokens_and_accounts_have_theirs() {
    let cases: Vec<(String, Value)> = lines("failures/other.jsonl")
        .into_iter()
        .map(|line| (line["name"].as_str().unwrap().to_owned(), line["given"].clone()))
        .collect();
    check("failures/other.jsonl", &cases, &expectations("failures/other.jsonl"));
}
