//! What goes to Google and what comes back, against the fake: latency, timeouts, cancelling, cut and broken answers.

use crate::common::google::{End, FakeGoogle, Outcome, Step, User};
use gemini_openai_proxy::api::{Call, Operation};
use gemini_openai_proxy::config::{ProxyChoice, Timeouts};
use gemini_openai_proxy::credentials::Access;
use gemini_openai_proxy::http::{CancelToken, Headers};
use gemini_openai_proxy::secret::Secret;
use gemini_openai_proxy::upstream::agent::{self, AgentOptions};
use gemini_openai_proxy::upstream::{CodeAssist, EventStream, Fault, GenerativeLanguage, RawRequest, Upstream, cancel};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const USER: &str = "a@example.com";
const KEY: &str = "AIzaTestKey";

fn agent(read: Duration) -> ureq::Agent {
    agent::build(&AgentOptions {
        timeouts: Timeouts { connect: Some(Duration::from_secs(5)), read: Some(read) },
        workers: 8,
        proxy: ProxyChoice::Direct,
        authorities: None,
    })
}

struct Bench {
    google: FakeGoogle,
    code_assist: CodeAssist,
    public: GenerativeLanguage,
    access: Access,
    key: Access,
}

fn bench_with(read: Duration) -> Bench {
    let google = FakeGoogle::start();
    let login = google.add_user(User::licensed(USER, "project-a"));
    google.add_api_key(KEY);
    let agent = agent(read);
    Bench {
        code_assist: CodeAssist::new(agent.clone(), google.base()),
        public: GenerativeLanguage::new(agent, google.base()),
        access: Access { secret: Secret::new(login.access_token), project: Some("project-a".into()), place: None },
        key: Access { secret: Secret::new(KEY), project: None, place: None },
        google,
    }
}

fn bench() -> Bench {
    bench_with(Duration::from_secs(20))
}

fn call(operation: Operation) -> Call {
    let request = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    let request = serde_json::from_value(request).unwrap();
    Call::new("gemini-2.5-flash", operation, request)
}

fn text_event(text: &str) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}]})
}

fn rest(mut answer: EventStream) -> (Vec<Value>, Option<Fault>) {
    let mut events = Vec::new();
    loop {
        match answer.next_event() {
            Ok(Some(event)) => events.push(serde_json::from_str(event.json()).unwrap()),
            Ok(None) => return (events, None),
            Err(fault) => return (events, Some(fault)),
        }
    }
}

#[test]
fn both_services_answer_every_operation_in_one_shape() {
    let bench = bench();
    for (service, access) in [(&bench.code_assist as &dyn Upstream, &bench.access), (&bench.public, &bench.key)] {
        for operation in [Operation::Generate, Operation::Stream] {
            bench.google.script("*", Step::text("hello"));
            let (events, fault) = rest(service.send(access, &call(operation)).unwrap());
            assert!(fault.is_none(), "{operation:?}: {fault:?}");
            assert_eq!(events[0]["candidates"][0]["content"]["parts"][0]["text"], "hello", "{operation:?}");
            let sent = bench.google.last_generation();
            let agent = sent.headers.iter().find(|(name, _)| name == "user-agent").map(|(_, value)| value.as_str());
            assert_eq!(agent, Some(agent::USER_AGENT));
        }
        let (counts, fault) = rest(service.send(access, &call(Operation::CountTokens)).unwrap());
        assert!(fault.is_none(), "{fault:?}");
        assert!(counts[0]["totalTokens"].as_u64().unwrap() > 0);
    }
    assert!(matches!(bench.code_assist.send(&bench.access, &call(Operation::Embed)), Err(Fault::Unsupported(_))));
}

#[test]
fn code_assists_trace_id_comes_with_the_event() {
    let bench = bench();
    let mut answer = bench.code_assist.send(&bench.access, &call(Operation::Stream)).unwrap();
    assert!(answer.next_event().unwrap().unwrap().trace_id.is_some());
}

/// A delay of ours would be there in every round, one of a busy machine is not.
#[test]
fn each_event_arrives_within_50_ms() {
    const ROUNDS: usize = 5;
    let bench = bench();
    let mut seen = Vec::new();
    let in_time = (0..ROUNDS).any(|_| {
        seen.push(worst_delay(&bench));
        seen.last() < Some(&Duration::from_millis(50))
    });
    assert!(in_time, "{seen:?}");
}

/// How late an event of one stream came, at worst.
fn worst_delay(bench: &Bench) -> Duration {
    const BEAT: Duration = Duration::from_millis(200);
    let events = (0..4).map(|n| text_event(&n.to_string())).collect();
    bench.google.script("*", Step::stream(events).every(BEAT));
    let mut answer = bench.code_assist.send(&bench.access, &call(Operation::Stream)).unwrap();
    let mut arrivals = Vec::new();
    while answer.next_event().unwrap().is_some() {
        arrivals.push(Instant::now());
    }
    assert_eq!(arrivals.len(), 4);
    arrivals.windows(2).map(|pair| (pair[1] - pair[0]).saturating_sub(BEAT)).max().unwrap()
}

#[test]
fn a_held_back_stream_gives_what_has_come() {
    let bench = bench();
    bench.google.script("*", Step::stream(vec![text_event("a"), text_event("b")]).hold_after(1));
    let mut answer = bench.public.send(&bench.key, &call(Operation::Stream)).unwrap();
    assert!(answer.next_event().unwrap().unwrap().json().contains("\"a\""));
    assert!(bench.google.wait_for(|state| state.holding == 1, Duration::from_secs(5)));
    bench.google.release();
    assert!(answer.next_event().unwrap().unwrap().json().contains("\"b\""));
}

/// Sets the flag once Google holds an answer back, and says how long after it the call ended.
fn cancelled_after(google: &FakeGoogle, cancel: &CancelToken, call: impl FnOnce() -> Result<(), Fault>) -> Duration {
    thread::scope(|scope| {
        let setter = scope.spawn(|| {
            assert!(google.wait_for(|state| state.holding == 1, Duration::from_secs(5)));
            cancel.cancel();
            Instant::now()
        });
        let result = call();
        let ended = Instant::now();
        assert!(matches!(result, Err(Fault::Cancelled)), "{result:?}");
        ended.saturating_duration_since(setter.join().unwrap())
    })
}

#[test]
fn a_client_that_left_cancels_the_wait_for_the_head_and_for_an_event() {
    let bench = bench();
    bench.google.script("*", Step::hang());
    let cancel = CancelToken::default();
    let scope = cancel::scope(&cancel);
    let head = || bench.code_assist.send(&bench.access, &call(Operation::Stream)).map(drop);
    let took = cancelled_after(&bench.google, &cancel, head);
    assert!(took < Duration::from_secs(1), "head: {took:?}");
    drop(scope);
    assert!(bench.google.wait_for(|state| state.holding == 0, Duration::from_secs(5)));

    bench.google.script("*", Step::stream(vec![text_event("a"), text_event("b")]).hold_after(1));
    let cancel = CancelToken::default();
    let _scope = cancel::scope(&cancel);
    let mut answer = bench.code_assist.send(&bench.access, &call(Operation::Stream)).unwrap();
    answer.next_event().unwrap();
    let took = cancelled_after(&bench.google, &cancel, || answer.next_event().map(drop));
    assert!(took < Duration::from_secs(1), "stream: {took:?}");
    drop(answer);
    let closed = |state: &crate::common::google::State| {
        state.requests.iter().filter(|request| request.outcome == Some(Outcome::ClientGone)).count() == 2
    };
    assert!(bench.google.wait_for(closed, Duration::from_secs(5)), "Google still serves those who left");
}

#[test]
fn the_read_timeout_is_exact_and_bounds_no_total() {
    let bench = bench_with(Duration::from_millis(700));
    let events = (0..5).map(|n| text_event(&n.to_string())).collect();
    bench.google.script("*", Step::stream(events).every(Duration::from_millis(300)));
    let (events, fault) = rest(bench.code_assist.send(&bench.access, &call(Operation::Stream)).unwrap());
    assert!(fault.is_none() && events.len() == 5, "1.2 s in all pass: {fault:?}");

    bench.google.script("*", Step::hang());
    let began = Instant::now();
    let result = bench.code_assist.send(&bench.access, &call(Operation::Stream));
    assert!(matches!(result, Err(Fault::Timeout)), "{result:?}");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(690) && took < Duration::from_millis(1500), "head: {took:?}");

    bench.google.script("*", Step::stream(vec![text_event("a"), text_event("b")]).hold_after(1));
    let began = Instant::now();
    let (events, fault) = rest(bench.code_assist.send(&bench.access, &call(Operation::Stream)).unwrap());
    assert!(events.len() == 1 && matches!(fault, Some(Fault::Timeout)), "{fault:?}");
    assert!(began.elapsed() < Duration::from_millis(1600));
    bench.google.release();
}

#[test]
fn cut_streams_are_seen() {
    let bench = bench();
    let frame = |text| format!("data: {{\"response\":{}}}\r\n\r\n", text_event(text));
    let (first, second) = (frame("a"), frame("b"));
    let both = || Step::raw_stream(format!("{first}{second}"));
    for (name, step, whole) in [
        ("reset between events", both().cut_after_bytes(first.len(), End::Reset), 1),
        ("closed between events", both().cut_after_bytes(first.len(), End::Close), 1),
        ("closed within an event", both().cut_after_bytes(first.len() + 20, End::Close), 1),
        ("ended within an event", both().cut_after_bytes(first.len() + 20, End::Clean), 1),
        ("ended before any event", Step::raw_stream(""), 0),
    ] {
        bench.google.script("*", step);
        let (events, fault) = rest(bench.code_assist.send(&bench.access, &call(Operation::Stream)).unwrap());
        assert!(matches!(fault, Some(Fault::Incomplete(_))), "{name}: {fault:?}");
        // A reset may overtake what was sent before it.
        assert!(events.len() == whole || name.starts_with("reset"), "{name}: {events:?}");
    }
    // A proper end of HTTP between events: only the missing finish reason tells, which is the translators' business.
    bench.google.script("*", both());
    let (events, fault) = rest(bench.code_assist.send(&bench.access, &call(Operation::Stream)).unwrap());
    assert!(events.len() == 2 && fault.is_none(), "{fault:?}");
}

#[test]
fn odd_framing_gives_the_same_events() {
    let bench = bench();
    let events = || Step::stream(vec![text_event("über 😀"), text_event("b")]);
    for (name, step) in [
        ("lf", events().lf()),
        ("one byte at a time", events().split(1)),
        ("three bytes at a time", events().split(3)),
        ("together", events().together()),
        ("no final blank line", events().without_final_blank_line()),
        (
            "an array",
            Step::raw_stream(format!(
                "[{{\"response\":{}}}\n,\n{{\"response\":{}}}]",
                text_event("über 😀"),
                text_event("b")
            )),
        ),
    ] {
        bench.google.script("*", step);
        let (found, fault) = rest(bench.code_assist.send(&bench.access, &call(Operation::Stream)).unwrap());
        assert!(fault.is_none(), "{name}: {fault:?}");
        let texts: Vec<&Value> =
            found.iter().map(|event| &event["candidates"][0]["content"]["parts"][0]["text"]).collect();
        assert_eq!(texts, ["über 😀", "b"], "{name}");
    }
}

#[test]
fn errors_of_every_shape_are_refusals() {
    let bench = bench();
    for (name, step, status) in [
        ("object", Step::status(503, "overloaded"), 503),
        ("array", Step::status(429, "no").in_array(), 429),
        ("page", Step::html(502), 502),
        ("in the stream", Step::raw_stream("data: {\"error\":{\"code\":503,\"message\":\"m\"}}\r\n\r\n"), 503),
        ("array in the stream", Step::raw_stream("data: [{\"error\":{\"code\":503}}]\r\n\r\n"), 503),
    ] {
        bench.google.script("*", step);
        let fault = match bench.code_assist.send(&bench.access, &call(Operation::Stream)) {
            Ok(answer) => rest(answer).1,
            Err(fault) => Some(fault),
        };
        let Some(Fault::Refused(refusal)) = fault else { panic!("{name}: {fault:?}") };
        assert_eq!(refusal.status, status, "{name}");
    }
    bench.google.script("*", Step::html(200));
    let page = bench.code_assist.send(&bench.access, &call(Operation::Generate));
    assert!(matches!(page, Err(Fault::Invalid(_))), "{page:?}");
}

/// One whole request; its length is in its head.
fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "the client closed");
        request.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        if body.len() >= length.parse::<usize>().unwrap() {
            return;
        }
    }
}

#[test]
fn a_connection_that_google_closed_is_replaced_once() {
    // Answers one request per connection, then closes it while the client thinks it may be used again.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let answer = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        // First connection: one answer; the second request is read and the connection dropped without a byte.
        let (mut first, _) = listener.accept().unwrap();
        read_request(&mut first);
        first.write_all(answer("{\"totalTokens\":1}").as_bytes()).unwrap();
        read_request(&mut first);
        drop(first);
        let (mut second, _) = listener.accept().unwrap();
        read_request(&mut second);
        second.write_all(answer("{\"totalTokens\":2}").as_bytes()).unwrap();
        // Third request: both tries fail.
        read_request(&mut second);
        drop(second);
        let (mut third, _) = listener.accept().unwrap();
        read_request(&mut third);
    });
    let service = GenerativeLanguage::new(agent(Duration::from_secs(10)), base);
    let key = Access { secret: Secret::new(KEY), project: None, place: None };
    for expected in [1, 2] {
        let (events, fault) = rest(service.send(&key, &call(Operation::CountTokens)).unwrap());
        assert!(fault.is_none(), "{fault:?}");
        assert_eq!(events[0]["totalTokens"], expected);
    }
    let result = service.send(&key, &call(Operation::CountTokens));
    assert!(matches!(result, Err(Fault::Broken(_))), "{result:?}");
    server.join().unwrap();
}

#[test]
fn nobody_listening_is_a_connect_fault() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let service = CodeAssist::new(agent(Duration::from_secs(10)), format!("http://{free}"));
    let result =
        service.send(&Access { secret: Secret::new("t"), project: None, place: None }, &call(Operation::Generate));
    assert!(matches!(result, Err(Fault::Connect(_))), "{result:?}");
}

#[test]
fn a_20_mb_event_and_a_20_mb_request_pass() {
    let bench = bench();
    bench.google.script("*", Step::huge_event(20 << 20));
    let mut answer = bench.code_assist.send(&bench.access, &call(Operation::Stream)).unwrap();
    let began = Instant::now();
    assert!(answer.next_event().unwrap().unwrap().json().len() > 20 << 20);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());

    let mut large = call(Operation::Generate);
    let part = gemini_openai_proxy::gemini::Part::inline("image/png", "A".repeat(20 << 20));
    large.request.contents[0].parts.push(part);
    bench.google.script("*", Step::text("seen"));
    let (events, fault) = rest(bench.code_assist.send(&bench.access, &large).unwrap());
    assert!(fault.is_none() && events.len() == 1, "{fault:?}");
    let sent = &bench.google.last_generation().body["request"]["contents"][0]["parts"][1]["inlineData"]["data"];
    assert_eq!(sent.as_str().unwrap().len(), 20 << 20);
}

#[test]
fn a_raw_request_passes_with_our_key_and_without_the_clients() {
    let bench = bench();
    let mut headers = Headers::default();
    headers.push("x-goog-api-key", "client-key");
    headers.push("Authorization", "Bearer client-key");
    headers.push("Accept", "application/json");
    let request = RawRequest {
        method: "GET",
        path: "/v1beta/models/gemini-2.5-flash",
        query: "key=client-key&a=1",
        headers: &headers,
        body: b"",
    };
    let mut reply = bench.public.send_raw(&bench.key, &request).unwrap();
    let mut body = String::new();
    reply.reader.read_to_string(&mut body).unwrap();
    assert_eq!(reply.status, 200, "{body}");
    assert!(body.contains("gemini-2.5-flash"), "{body}");
    assert!(reply.headers.iter().any(|(name, _)| name == "content-type"));
    let sent = bench.google.requests().pop().unwrap();
    assert_eq!(sent.query, [("a".to_string(), "1".to_string())]);
    assert!(!format!("{:?}", sent.headers).contains("client-key"), "{:?}", sent.headers);
}
