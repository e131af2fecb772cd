//! Failover: who is asked in which order, what the pool remembers of it, what the client is told. Google is the fake.

mod requests;

use crate::common::google::{FakeGoogle, Step, User};
use crate::common::pool::{self, Scratch};
use gemini_openai_proxy::api::{Call, Operation};
use gemini_openai_proxy::config::{ProxyChoice, Timeouts};
use gemini_openai_proxy::credentials::{CoolingModel, Credentials, Kind, Lease, Report, View};
use gemini_openai_proxy::dispatch::{Bounds, Budget, Dispatched, Dispatcher};
use gemini_openai_proxy::error::ApiError;
use gemini_openai_proxy::http::{CancelToken, Headers};
use gemini_openai_proxy::message::Message;
use gemini_openai_proxy::upstream::Verdict;
use gemini_openai_proxy::upstream::agent::{self, AgentOptions};
use gemini_openai_proxy::upstream::{CodeAssist, Fault, GenerativeLanguage, RawReply, RawRequest};
use serde_json::{Value, json};
use std::io::Read;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

struct Bench {
    google: FakeGoogle,
    pool: Arc<Credentials>,
    dispatcher: Dispatcher,
    failures: Vec<String>,
    /// Of the request sent last.
    attempts: u32,
    _scratch: Scratch,
}

const BOUNDS: Bounds = Bounds { attempts: 3, credentials: 16, patience: Duration::from_secs(30) };
const KEY: &str = "AIzaTestKey";

const MODEL: &str = "gemini-2.5-flash";

/// `oauth` users `user-0@...` and, if asked for, one API key after them.
fn bench(oauth: usize, key: bool) -> Bench {
    let google = FakeGoogle::start();
    let users = (0..oauth).map(user);
    let mut items: Vec<Value> = users
        .map(|user| {
            let email = user.email.clone();
            google.add_user(user);
            google.oauth_credential(&email)
        })
        .collect();
    if key {
        google.add_api_key(KEY);
        items.push(json!({"api_key": KEY}));
    }
    bench_of(google, items, BOUNDS)
}

fn user(at: usize) -> User {
    User::licensed(&format!("user-{at}@example.com"), &format!("project-{at}"))
}

fn bench_of(google: FakeGoogle, items: Vec<Value>, bounds: Bounds) -> Bench {
    let scratch = Scratch::new();
    let pool = Arc::new(pool::open(&google, &scratch, &json!(items)));
    let second = Duration::from_secs(1);
    let agent = agent::build(&AgentOptions {
        timeouts: Timeouts { connect: Some(5 * second), read: Some(20 * second) },
        workers: 8,
        proxy: ProxyChoice::Direct,
        authorities: None,
    });
    let code_assist = Box::new(CodeAssist::new(agent.clone(), google.base()));
    let public = Box::new(GenerativeLanguage::new(agent, google.base()));
    let dispatcher = Dispatcher::new(pool.clone(), code_assist, public, bounds);
    Bench { google, pool, dispatcher, failures: Vec::new(), attempts: 0, _scratch: scratch }
}

impl Bench {
    fn script(&self, at: usize, step: Step) {
        self.google.script(&user(at).email, step);
    }

    fn always(&self, at: usize, step: Step) {
        self.google.always(&user(at).email, step);
    }

    fn send(&mut self) -> Result<Dispatched, ApiError> {
        self.send_call(&mut call())
    }

    fn send_call(&mut self, call: &mut Call) -> Result<Dispatched, ApiError> {
        let failures = &mut self.failures;
        let mut failed = |lease: &Lease, verdict: &Verdict| failures.push(format!("{} {}", lease.name, verdict.word));
        let mut budget = Budget::new();
        let result = self.dispatcher.send(call, &mut budget, &CancelToken::default(), &mut failed);
        self.attempts = budget.asked();
        result
    }

    fn asked(&self) -> Vec<String> {
        self.google.generations().into_iter().map(|request| request.who.unwrap_or_default()).collect()
    }

    /// What the pool thinks of each credential, in few words.
    fn states(&self) -> Vec<String> {
        self.pool.views().iter().map(state).collect()
    }

    /// The only cool-down of a credential, and what is left of it.
    fn cool_down(&self, at: usize) -> (CoolingModel, Duration) {
        let view = self.pool.views().swap_remove(at);
        let [cooling] = &view.cooling[..] else { panic!("{view:?}") };
        let left = cooling.until.duration_since(SystemTime::now()).unwrap_or_default();
        (cooling.clone(), left)
    }

    /// Lets a credential rest for a limit.
    fn cool(&self, at: usize, seconds: u64) {
        let id = self.pool.find(&format!("cred-{at}")).unwrap();
        let (reason, message) = ("RATE_LIMIT_EXCEEDED".to_owned(), Message::said(""));
        let rest = Duration::from_secs(seconds);
        self.pool.report(id, MODEL, Report::Cool { rest, limit: true, reason, message });
    }
}

fn state(view: &View) -> String {
    match (&view.cooling[..], view.reason_code.as_deref()) {
        ([cooling, ..], _) => format!("cools {}", cooling.reason),
        ([], Some("SUSPECTED")) => "goes last".to_owned(),
        ([], Some(reason)) => format!("blocked {reason}"),
        ([], None) => format!("used {}", view.usage_count),
    }
}

/// Time passes while a test runs, but not a second.
#[track_caller]
fn about(left: Duration, wanted: Duration) {
    assert!(left <= wanted && left + Duration::from_secs(1) > wanted, "{left:?} instead of {wanted:?}");
}

fn call() -> Call {
    let request = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    let request = serde_json::from_value(request).unwrap();
    Call::new(MODEL, Operation::Stream, request)
}

#[test]
fn a_429_moves_to_the_next_credential_and_rests_the_first_for_googles_delay() {
    let mut bench = bench(2, false);
    bench.script(0, Step::rate_limited("RATE_LIMIT_EXCEEDED", "12.5s"));
    let done = bench.send().unwrap();
    assert_eq!((done.lease.name.as_str(), bench.attempts), ("cred-1", 2));
    assert_eq!(bench.failures, ["cred-0 429"]);
    assert_eq!(bench.states(), ["cools RATE_LIMIT_EXCEEDED", "used 1"]);
    about(bench.cool_down(0).1, Duration::from_millis(12_500));
}

#[test]
fn limited_credentials_do_not_use_up_the_attempts_and_the_last_error_is_told() {
    let mut bench = bench(5, false);
    for credential in 0..5 {
        bench.always(credential, Step::rate_limited("RATE_LIMIT_EXCEEDED", "7s"));
    }
    let error = bench.send().unwrap_err();
    assert_eq!((error.status, error.code()), (429, Some("rate_limit_exceeded")));
    about(error.retry_after.unwrap(), Duration::from_secs(7));
    assert_eq!(bench.asked().len(), 5, "each is asked once, and rests then");
}

#[test]
fn three_attempts_are_made_where_nobody_rests() {
    let mut bench = bench(5, false);
    for credential in 0..5 {
        bench.always(credential, Step::status(404, "Requested entity was not found."));
    }
    assert_eq!(bench.send().unwrap_err().status, 404);
    assert_eq!(bench.asked().len(), 3);
}

#[test]
fn all_resting_is_a_429_with_the_earliest_return_and_nobody_is_a_503() {
    let mut resting = bench(2, false);
    resting.cool(0, 40);
    resting.cool(1, 20);
    let error = resting.send().unwrap_err();
    assert_eq!((error.status, error.code()), (429, Some("rate_limit_exceeded")));
    about(error.retry_after.unwrap(), Duration::from_secs(20));
    assert!(error.message.starts_with("No valid credentials available."), "{}", error.message);
    assert_eq!(resting.asked().len(), 0);

    let error = bench(0, false).send().unwrap_err();
    assert_eq!((error.status, error.code()), (503, Some("no_available_account")));
    assert!(error.message.starts_with("No valid credentials available."), "{}", error.message);
}

#[test]
fn a_short_rest_elsewhere_outweighs_a_long_quota() {
    let mut bench = bench(2, false);
    bench.cool(0, 15);
    bench.script(1, Step::quota_exhausted("13h"));
    let error = bench.send().unwrap_err();
    assert_eq!(error.status, 429);
    about(error.retry_after.unwrap(), Duration::from_secs(15));
    assert_eq!(error.should_retry, None);

    let mut alone = self::bench(1, false);
    alone.script(0, Step::quota_exhausted("13h"));
    let error = alone.send().unwrap_err();
    assert_eq!((error.code(), error.should_retry), (Some("insufficient_quota"), Some(false)));
    about(error.retry_after.unwrap(), Duration::from_secs(13 * 3600));
}

#[test]
fn a_401_is_refreshed_once_on_the_same_credential() {
    let mut bench = bench(2, false);
    bench.script(0, Step::status(401, "expired"));
    let done = bench.send().unwrap();
    assert_eq!((done.lease.name.as_str(), bench.attempts), ("cred-0", 1));
    assert_eq!(bench.google.refreshes(&user(0).email), 1);
}

#[test]
fn a_second_401_blocks_the_credential_and_the_client_never_sees_it() {
    let mut bench = bench(1, false);
    bench.always(0, Step::status(401, "expired"));
    let error = bench.send().unwrap_err();
    assert_eq!(error.status, 503, "the proxy's own trouble: {error:?}");
    assert_eq!(bench.asked().len(), 2);
    assert_eq!(bench.states(), ["blocked UNAUTHENTICATED"]);
    assert_eq!(bench.failures, ["cred-0 401", "cred-0 401"]);
}

#[test]
fn blocked_credentials_do_not_use_up_the_attempts() {
    let mut bench = bench(6, false);
    for credential in 0..5 {
        bench
            .always(credential, Step::status(403, "This service has been disabled for violation of Terms of Service."));
    }
    for round in 0..10 {
        assert_eq!(bench.send().unwrap().lease.name, "cred-5", "round {round}");
    }
    assert_eq!(bench.asked().len(), 15, "each blocked one is asked once");
    assert_eq!(bench.states()[0], "blocked TOS_VIOLATION");
    assert_eq!(bench.states()[5], "used 10");
}

#[test]
fn no_capacity_gets_two_quick_retries_and_blames_nobody() {
    let mut bench = bench(1, false);
    bench.script(0, Step::capacity(503, "gemini-2.5-flash"));
    bench.script(0, Step::status(503, "The model is overloaded. Please try again later."));
    assert_eq!((bench.send().is_ok(), bench.attempts), (true, 3));
    assert_eq!(bench.states(), ["used 1"]);

    bench.always(0, Step::status(503, "The model is overloaded. Please try again later."));
    let before = bench.asked().len();
    let error = bench.send().unwrap_err();
    assert_eq!((error.status, error.code()), (503, Some("overloaded")));
    assert_eq!(bench.asked().len() - before, 3);
    // Right after that, the next request does not repeat what just failed.
    assert_eq!(bench.send().unwrap_err().status, 503);
    assert_eq!(bench.asked().len() - before, 4);
    assert_eq!(bench.states(), ["used 1"]);
}

#[test]
fn trouble_of_google_and_the_network_is_retried_on_another_credential() {
    for step in [Step::status(500, "Internal error encountered."), Step::html(502), Step::raw_stream("")] {
        let mut bench = bench(2, false);
        bench.script(0, step);
        let done = bench.send().unwrap();
        assert_eq!((done.lease.name.as_str(), bench.attempts), ("cred-1", 2));
        assert_eq!(bench.states(), ["goes last", "used 1"], "nobody rests");
    }
    let mut bench = bench(1, false);
    bench.always(0, Step::raw_stream("data: nonsense\n\n"));
    let error = bench.send().unwrap_err();
    assert_eq!((error.status, error.code()), (502, Some("upstream_invalid")));
    assert_eq!(bench.failures, ["cred-0 Exception"; 3]);
}

#[test]
fn the_requests_own_fault_is_told_at_once() {
    let mut bench = bench(3, false);
    bench.script(0, Step::status(400, "Invalid value at 'request.generation_config.top_k' (TYPE_INT32), \"x\""));
    let error = bench.send().unwrap_err();
    assert_eq!((error.status, error.code()), (400, None));
    assert!(error.message.starts_with("API request failed: Invalid value"), "{}", error.message);
    assert_eq!((bench.asked().len(), bench.states()), (1, vec!["used 0".to_owned(); 3]));
}

#[test]
fn an_unknown_model_rests_nobody_unless_another_credential_knows_it() {
    let mut bench = bench(2, false);
    bench.script(0, Step::status(404, "Requested entity was not found."));
    bench.send().unwrap();
    assert_eq!(bench.states(), ["cools NOT_FOUND", "used 1"]);
    assert!(bench.cool_down(0).0.refused, "that is no limit");

    let mut bench = self::bench(2, false);
    for credential in 0..2 {
        bench.always(credential, Step::status(404, "Requested entity was not found."));
    }
    let error = bench.send().unwrap_err();
    assert_eq!((error.status, error.code(), error.param.as_deref()), (404, Some("model_not_found"), Some("model")));
    assert_eq!(bench.states(), ["used 0", "used 0"]);
}
