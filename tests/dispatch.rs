//! Failover: who is asked in which order, what the pool hears, what the client is told. The pool is a double that rests
//! its members for exactly as long as it is told and writes down every report; Google is the fake.

use crate::common::google::{FakeGoogle, Step, User};
use gemini_openai_proxy::api::{Call, Operation};
use gemini_openai_proxy::config::{ProxyChoice, Timeouts};
use gemini_openai_proxy::credentials::{Access, AccessFault, Kind, Lease, MemberId, Report, Unavailable, Want};
use gemini_openai_proxy::dispatch::{Bounds, Budget, Dispatched, Dispatcher, Lending};
use gemini_openai_proxy::error::ApiError;
use gemini_openai_proxy::http::{CancelToken, Headers};
use gemini_openai_proxy::secret::Secret;
use gemini_openai_proxy::upstream::agent::{self, AgentOptions};
use gemini_openai_proxy::upstream::{CodeAssist, Fault, GenerativeLanguage, RawReply, RawRequest};
use serde_json::json;
use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

struct Member {
    kind: Kind,
    email: String,
    access: Result<Access, AccessFault>,
    fresh: Option<Access>,
}

#[derive(Default)]
struct State {
    next: usize,
    resting: HashMap<u64, Duration>,
    reports: Vec<(u64, Report)>,
    renewals: u32,
}

struct Members {
    members: Vec<Member>,
    state: Mutex<State>,
}

impl Lending for Members {
    fn checkout(&self, want: &Want<'_>) -> Result<Lease, Unavailable> {
        let mut state = self.state.lock().unwrap();
        let fits = |at: &usize| want.kind.is_none_or(|kind| kind == self.members[*at].kind);
        let ids: Vec<usize> = (0..self.members.len()).filter(fits).collect();
        if ids.is_empty() {
            return Err(Unavailable::None);
        }
        let awake: Vec<usize> = ids.iter().copied().filter(|at| !state.resting.contains_key(&(*at as u64))).collect();
        let free = |at: &usize| !want.tried.contains(&MemberId(*at as u64));
        let next = state.next;
        let chosen = (0..self.members.len()).map(|step| (next + step) % self.members.len());
        match chosen.filter(|at| awake.contains(at)).find(free) {
            Some(at) => {
                state.next = at + 1;
                let (kind, label) = (self.members[at].kind, self.members[at].email.clone());
                Ok(Lease { id: MemberId(at as u64), kind, name: format!("cred-{at}"), label })
            }
            None => match state.resting.values().min() {
                Some(rest) => Err(Unavailable::Cooling(*rest)),
                None => Err(Unavailable::AllTried),
            },
        }
    }

    fn access(&self, id: MemberId) -> Result<Access, AccessFault> {
        self.members[id.0 as usize].access.clone()
    }

    fn renew(&self, id: MemberId, stale: &Secret) -> Result<Access, AccessFault> {
        self.state.lock().unwrap().renewals += 1;
        let fresh = self.members[id.0 as usize].fresh.clone().ok_or(AccessFault::Dead("revoked".into()))?;
        assert_ne!(&fresh.secret, stale);
        Ok(fresh)
    }

    fn report(&self, id: MemberId, _: &str, report: Report) {
        let mut state = self.state.lock().unwrap();
        match &report {
            Report::Success | Report::Deprioritise => {}
            Report::Cool { rest, .. } => drop(state.resting.insert(id.0, *rest)),
            Report::Block { rest, .. } => drop(state.resting.insert(id.0, rest.unwrap_or(Duration::from_secs(86_400)))),
        }
        state.reports.push((id.0, report));
    }
}

struct Bench {
    google: FakeGoogle,
    members: Arc<Members>,
    dispatcher: Dispatcher,
    failures: Vec<String>,
    /// Of the request sent last.
    attempts: u32,
}

const BOUNDS: Bounds = Bounds { attempts: 3, credentials: 16, patience: Duration::from_secs(30) };
const KEY: &str = "AIzaTestKey";

/// `oauth` users `user-0@...` and, if asked for, one API key after them.
fn bench(oauth: usize, key: bool) -> Bench {
    bench_with(oauth, key, |_| {})
}

fn bench_with(oauth: usize, key: bool, change: impl FnOnce(&mut Vec<Member>)) -> Bench {
    bounded(oauth, key, BOUNDS, change)
}

fn bounded(oauth: usize, key: bool, bounds: Bounds, change: impl FnOnce(&mut Vec<Member>)) -> Bench {
    let google = FakeGoogle::start();
    let mut members = Vec::new();
    for at in 0..oauth {
        let email = format!("user-{at}@example.com");
        let project = format!("project-{at}");
        let login = google.add_user(User::licensed(&email, &project));
        let access = |token| Access { secret: Secret::new(token), project: Some(project.clone()) };
        let fresh = Some(access(google.login(&email).access_token));
        members.push(Member { kind: Kind::Oauth, email, access: Ok(access(login.access_token)), fresh });
    }
    if key {
        google.add_api_key(KEY);
        let access = Ok(Access { secret: Secret::new(KEY), project: None });
        members.push(Member { kind: Kind::ApiKey, email: "AIz***tKey".into(), access, fresh: None });
    }
    change(&mut members);
    let members = Arc::new(Members { members, state: Mutex::default() });
    let second = Duration::from_secs(1);
    let agent = agent::build(&AgentOptions {
        timeouts: Timeouts { connect: Some(5 * second), read: Some(20 * second) },
        workers: 8,
        proxy: ProxyChoice::Direct,
        authorities: None,
    });
    let code_assist = Box::new(CodeAssist::new(agent.clone(), google.base()));
    let public = Box::new(GenerativeLanguage::new(agent, google.base()));
    let dispatcher = Dispatcher::new(members.clone(), code_assist, public, bounds);
    Bench { google, members, dispatcher, failures: Vec::new(), attempts: 0 }
}

impl Bench {
    fn script(&self, member: usize, step: Step) {
        self.google.script(&self.members.members[member].email, step);
    }

    fn always(&self, member: usize, step: Step) {
        self.google.always(&self.members.members[member].email, step);
    }

    fn send(&mut self) -> Result<Dispatched, ApiError> {
        self.send_call(&mut call())
    }

    fn send_call(&mut self, call: &mut Call) -> Result<Dispatched, ApiError> {
        let failures = &mut self.failures;
        let mut failed = |lease: &Lease, word: &str| failures.push(format!("{} {word}", lease.name));
        let mut budget = Budget::new();
        let result = self.dispatcher.send(call, &mut budget, &CancelToken::default(), &mut failed);
        self.attempts = budget.asked();
        result
    }

    fn asked(&self) -> Vec<String> {
        self.google.generations().into_iter().map(|request| request.who.unwrap_or_default()).collect()
    }

    fn reports(&self) -> Vec<(u64, Report)> {
        self.members.state.lock().unwrap().reports.clone()
    }
}

fn call() -> Call {
    let request = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    let request = serde_json::from_value(request).unwrap();
    Call { model: "gemini-2.5-flash".into(), operation: Operation::Stream, request, affinity: None }
}

#[test]
fn a_429_moves_to_the_next_credential_and_rests_the_first_for_googles_delay() {
    let mut bench = bench(2, false);
    bench.script(0, Step::rate_limited("RATE_LIMIT_EXCEEDED", "12.5s"));
    let done = bench.send().unwrap();
    assert_eq!((done.lease.name.as_str(), bench.attempts), ("cred-1", 2));
    assert_eq!(bench.failures, ["cred-0 429"]);
    let reports = bench.reports();
    let Report::Cool { rest, reason, .. } = &reports[0].1 else { panic!("{reports:?}") };
    assert_eq!((*rest, reason.as_str()), (Duration::from_millis(12_500), "RATE_LIMIT_EXCEEDED"));
    assert_eq!(reports[1], (1, Report::Success));
}

#[test]
fn limited_credentials_do_not_use_up_the_attempts_and_the_last_error_is_told() {
    let mut bench = bench(5, false);
    for member in 0..5 {
        bench.always(member, Step::rate_limited("RATE_LIMIT_EXCEEDED", "7s"));
    }
    let error = bench.send().unwrap_err();
    assert_eq!((error.status, error.code()), (429, Some("rate_limit_exceeded")));
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(bench.asked().len(), 5, "each is asked once, and rests then");
}

#[test]
fn three_attempts_are_made_where_nobody_rests() {
    let mut bench = bench(5, false);
    for member in 0..5 {
        bench.always(member, Step::status(404, "Requested entity was not found."));
    }
    assert_eq!(bench.send().unwrap_err().status, 404);
    assert_eq!(bench.asked().len(), 3);
}

#[test]
fn all_resting_is_a_429_with_the_earliest_return_and_nobody_is_a_503() {
    let mut resting = bench(2, false);
    for (member, seconds) in [(0, 40), (1, 20)] {
        resting.members.state.lock().unwrap().resting.insert(member, Duration::from_secs(seconds));
    }
    let error = resting.send().unwrap_err();
    assert_eq!((error.status, error.code()), (429, Some("rate_limit_exceeded")));
    assert_eq!(error.retry_after, Some(Duration::from_secs(20)));
    assert!(error.message.starts_with("No valid credentials available."), "{}", error.message);
    assert_eq!(resting.asked().len(), 0);

    let error = bench(0, false).send().unwrap_err();
    assert_eq!((error.status, error.code()), (503, Some("no_available_account")));
    assert!(error.message.starts_with("No valid credentials available."), "{}", error.message);
}

#[test]
fn a_short_rest_elsewhere_outweighs_a_long_quota() {
    let mut bench = bench(2, false);
    bench.members.state.lock().unwrap().resting.insert(0, Duration::from_secs(15));
    bench.script(1, Step::quota_exhausted("13h"));
    let error = bench.send().unwrap_err();
    assert_eq!((error.status, error.retry_after), (429, Some(Duration::from_secs(15))));
    assert_eq!(error.should_retry, None);

    let mut alone = self::bench(1, false);
    alone.script(0, Step::quota_exhausted("13h"));
    let error = alone.send().unwrap_err();
    assert_eq!((error.code(), error.should_retry), (Some("insufficient_quota"), Some(false)));
    assert_eq!(error.retry_after, Some(Duration::from_secs(13 * 3600)));
}

#[test]
fn a_401_is_refreshed_once_on_the_same_credential() {
    let mut bench = bench(2, false);
    bench.script(0, Step::status(401, "expired"));
    let done = bench.send().unwrap();
    assert_eq!((done.lease.name.as_str(), bench.attempts), ("cred-0", 1));
    assert_eq!(bench.members.state.lock().unwrap().renewals, 1);
}

#[test]
fn a_second_401_blocks_the_credential_and_the_client_never_sees_it() {
    let mut bench = bench(1, false);
    bench.always(0, Step::status(401, "expired"));
    let error = bench.send().unwrap_err();
    assert_eq!(error.status, 429, "it is tried again later: {}", error.message);
    assert_eq!(bench.asked().len(), 2);
    assert!(matches!(&bench.reports()[..], [(0, Report::Block { rest: Some(_), .. })]));
    assert_eq!(bench.failures, ["cred-0 401", "cred-0 401"]);
}

#[test]
fn blocked_credentials_do_not_use_up_the_attempts() {
    let mut bench = bench(6, false);
    for member in 0..5 {
        bench.always(member, Step::status(403, "This service has been disabled for violation of Terms of Service."));
    }
    for round in 0..10 {
        assert_eq!(bench.send().unwrap().lease.name, "cred-5", "round {round}");
    }
    assert_eq!(bench.asked().len(), 15, "each blocked one is asked once");
    assert!(matches!(&bench.reports()[0].1, Report::Block { rest: None, .. }));
}

#[test]
fn no_capacity_gets_two_quick_retries_and_blames_nobody() {
    let mut bench = bench(1, false);
    bench.script(0, Step::capacity(503, "gemini-2.5-flash"));
    bench.script(0, Step::status(503, "The model is overloaded. Please try again later."));
    assert_eq!((bench.send().is_ok(), bench.attempts), (true, 3));
    assert_eq!(bench.reports(), [(0, Report::Success)]);

    bench.always(0, Step::status(503, "The model is overloaded. Please try again later."));
    let before = bench.asked().len();
    let error = bench.send().unwrap_err();
    assert_eq!((error.status, error.code()), (503, Some("overloaded")));
    assert_eq!(bench.asked().len() - before, 3);
    // Right after that, the next request does not repeat what just failed.
    assert_eq!(bench.send().unwrap_err().status, 503);
    assert_eq!(bench.asked().len() - before, 4);
    assert_eq!(bench.reports().len(), 1);
}

#[test]
fn trouble_of_google_and_the_network_is_retried_on_another_credential() {
    for step in [Step::status(500, "Internal error encountered."), Step::html(502), Step::raw_stream("")] {
        let mut bench = bench(2, false);
        bench.script(0, step);
        let done = bench.send().unwrap();
        assert_eq!((done.lease.name.as_str(), bench.attempts), ("cred-1", 2));
        assert_eq!(bench.reports(), [(0, Report::Deprioritise), (1, Report::Success)], "nobody rests");
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
    assert_eq!((bench.asked().len(), bench.reports().len()), (1, 0));
}

#[test]
fn an_unknown_model_rests_nobody_unless_another_credential_knows_it() {
    let mut bench = bench(2, false);
    bench.script(0, Step::status(404, "Requested entity was not found."));
    bench.send().unwrap();
    assert!(matches!(&bench.reports()[..], [(0, Report::Cool { .. }), (1, Report::Success)]), "{:?}", bench.reports());

    let mut bench = self::bench(2, false);
    for member in 0..2 {
        bench.always(member, Step::status(404, "Requested entity was not found."));
    }
    let error = bench.send().unwrap_err();
    assert_eq!((error.status, error.code(), error.param.as_deref()), (404, Some("model_not_found"), Some("model")));
    assert_eq!(bench.reports(), []);
}

#[test]
fn a_refused_signature_is_taken_out_once() {
    let mut bench = bench(1, false);
    let request = json!({"contents": [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [{"text": "hello", "thoughtSignature": "AAAA"}]},
        {"role": "user", "parts": [{"text": "more"}]},
    ]});
    let mut call = Call { request: serde_json::from_value(request).unwrap(), ..call() };
    bench.always(0, Step::status(400, "Corrupted thought signature."));
    let error = bench.send_call(&mut call).unwrap_err();
    assert_eq!(error.status, 400);
    let bodies: Vec<String> = bench.google.generations().iter().map(|request| request.body.to_string()).collect();
    assert_eq!(bodies.len(), 2, "once with, once without");
    assert!(bodies[0].contains("AAAA") && !bodies[1].contains("AAAA"));
}

#[test]
fn refused_schemas_are_simplified_once() {
    let mut bench = bench(1, false);
    let schema = json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "^x$"}}});
    let tools = json!([{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}]);
    let mut call = call();
    call.request.tools = serde_json::from_value(tools).unwrap();
    // The fake refuses `pattern` as Google does, with its bare 400.
    bench.send_call(&mut call).unwrap();
    let bodies: Vec<String> = bench.google.generations().iter().map(|request| request.body.to_string()).collect();
    assert!(bodies[0].contains("pattern") && !bodies[1].contains("pattern"), "{bodies:?}");

    bench.script(0, Step::status(400, "Request contains an invalid argument."));
    assert_eq!(bench.send().unwrap_err().status, 400, "without schemas there is nothing to simplify");
    assert_eq!(bench.asked().len(), 3);
}

#[test]
fn a_client_that_left_stops_everything_and_no_credential_is_blamed() {
    let bench = bench(2, false);
    bench.always(0, Step::hang());
    let cancel = CancelToken::default();
    let flag = cancel.clone();
    let google = &bench.google;
    thread::scope(|scope| {
        scope.spawn(move || {
            assert!(google.wait_for(|state| state.generations().count() == 1, Duration::from_secs(10)));
            flag.cancel();
        });
        let began = Instant::now();
        let mut failed = |_: &Lease, _: &str| panic!("nothing failed");
        bench.dispatcher.send(&mut call(), &mut Budget::new(), &cancel, &mut failed).unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(10));
    });
    assert_eq!((bench.asked().len(), bench.reports().len()), (1, 0));
}

#[test]
fn embeddings_go_to_keys_only() {
    let mut embed = Call { operation: Operation::Embed, ..call() };
    embed.model = "gemini-embedding-001".into();
    embed.request = serde_json::from_value(json!({"content": {"parts": [{"text": "hi"}]}})).unwrap();
    let mut both = bench(2, true);
    assert_eq!(both.send_call(&mut embed).unwrap().lease.kind, Kind::ApiKey);
    let error = bench(2, false).send_call(&mut embed).unwrap_err();
    assert_eq!(error.status, 503);
    assert!(error.message.contains("API key"), "{}", error.message);
}

#[test]
fn a_raw_request_goes_on_to_the_next_key_and_keeps_googles_own_reply() {
    let wrong = || Member {
        kind: Kind::ApiKey,
        email: "wrong".into(),
        access: Ok(Access { secret: Secret::new("AIzaWrong"), project: None }),
        fresh: None,
    };
    let headers = Headers::default();
    let get = |path| RawRequest { method: "GET", path, query: "", headers: &headers, body: b"" };
    let read = |mut reply: RawReply| {
        let mut body = String::new();
        reply.reader.read_to_string(&mut body).unwrap();
        (reply.status, body)
    };
    let pair = bench_with(0, true, |members| members.insert(0, wrong()));
    let cancel = CancelToken::default();
    let (lease, reply) =
        pair.dispatcher.send_raw(&get("/v1beta/models/gemini-2.5-flash"), "models", None, &cancel).unwrap();
    assert_eq!((lease.name.as_str(), reply.status), ("cred-1", 200));
    assert!(matches!(&pair.reports()[..], [(0, Report::Block { .. }), (1, Report::Success)]), "{:?}", pair.reports());

    let (_, reply) = pair.dispatcher.send_raw(&get("/v1beta/models/no-such-model"), "models", None, &cancel).unwrap();
    let (status, body) = read(reply);
    assert_eq!(status, 404);
    assert!(body.contains("\"NOT_FOUND\""), "{body}");
    assert_eq!(pair.reports().len(), 2, "a thing that is not there is nobody's fault");

    let alone = bench_with(0, false, |members| members.push(wrong()));
    let error = alone.dispatcher.send_raw(&get("/v1beta/models"), "models", None, &cancel).unwrap_err();
    assert!(error.status == 503 || error.status == 429, "{error:?}");
}

/// As many members that Google does not know as wanted.
fn strangers(count: usize, bounds: Bounds) -> Bench {
    bounded(0, false, bounds, |members| {
        members.extend((0..count).map(|at| Member {
            kind: Kind::ApiKey,
            email: format!("stranger-{at}"),
            access: Ok(Access { secret: Secret::new(format!("AIzaStranger{at}")), project: None }),
            fresh: None,
        }));
    })
}

#[test]
fn a_request_ends_after_16_credentials_or_30_seconds_and_says_that_others_are_left() {
    let late = Bounds { patience: Duration::ZERO, ..BOUNDS };
    for (count, bounds, calls) in [(40, BOUNDS, 16), (40, late, 1), (16, BOUNDS, 16), (1, late, 1)] {
        for passed_on in [false, true] {
            let mut bench = strangers(count, bounds);
            let error = match passed_on {
                false => bench.send().unwrap_err(),
                true => {
                    let headers = Headers::default();
                    let request =
                        RawRequest { method: "GET", path: "/v1beta/files", query: "", headers: &headers, body: b"" };
                    bench.dispatcher.send_raw(&request, "files", None, &CancelToken::default()).unwrap_err()
                }
            };
            assert_eq!(bench.google.requests().len(), calls, "{count} members, passed on: {passed_on}");
            if count == 40 {
                assert_eq!((error.status, error.code()), (503, Some("no_available_account")));
                assert_eq!(error.retry_after, Some(Duration::from_secs(1)));
                assert!(error.message.contains(&format!("{calls} were asked")), "{}", error.message);
            } else {
                assert!(!error.message.contains("were asked"), "nobody is left: {}", error.message);
            }
        }
    }
}

#[test]
fn the_bound_counts_over_all_attempts_of_a_request() {
    let bench = strangers(40, BOUNDS);
    let mut budget = Budget::new();
    for asked in [16, 17] {
        bench.dispatcher.send(&mut call(), &mut budget, &CancelToken::default(), &mut |_, _| {}).unwrap_err();
        assert_eq!(bench.google.requests().len(), asked, "a request that goes on makes one more attempt at least");
        assert!(!bench.dispatcher.may_ask_again(&budget));
    }
}

#[test]
fn a_member_without_a_token_is_passed_over() {
    for (fault, alone) in [
        (AccessFault::Dead("revoked".into()), "no_available_account"),
        (AccessFault::Transient("down".into()), "upstream_auth_error"),
    ] {
        let mut pair = bench_with(2, false, |members| members[0].access = Err(fault.clone()));
        let done = pair.send().unwrap();
        assert_eq!(done.lease.name, "cred-1");
        let mut single = bench_with(1, false, |members| members[0].access = Err(fault));
        let error = single.send().unwrap_err();
        assert_eq!((error.status, error.code()), (503, Some(alone)));
        assert_eq!(single.reports(), [], "the pool knows about tokens itself");
    }
}

#[test]
fn a_fault_in_the_stream_is_judged_and_reported() {
    let mut bench = bench(1, false);
    let done = bench.send().unwrap();
    let error = bench.dispatcher.judge(&done.lease, "gemini-2.5-flash", &Fault::Timeout);
    assert_eq!((error.status, error.code()), (504, Some("timeout")));
    let body = br#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"m"}}"#;
    let fault = gemini_openai_proxy::upstream::error::Refusal::within(body).fault();
    for seconds in [30, 60] {
        assert_eq!(bench.dispatcher.judge(&done.lease, "gemini-2.5-flash", &fault).status, 429);
        let last = bench.reports().pop().unwrap().1;
        assert!(matches!(last, Report::Cool { rest, .. } if rest == Duration::from_secs(seconds)), "{last:?}");
    }
}
