//! Events reach the client as they come, and a client that leaves takes its upstream call with it.

use crate::common::google::{FakeGoogle, Outcome, Step};
use crate::common::program::{Folder, Program};
use crate::common::proxy::{CLIENT_KEY, GEMINI_KEY, Pool, Proxy};
use crate::common::wire::{self, Wire};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(10);

fn post(proxy: &Proxy, path: &str, body: &Value) -> BufReader<Wire> {
    send(proxy.address(), path, body, "close")
}

fn send(address: SocketAddr, path: &str, body: &Value, connection: &str) -> BufReader<Wire> {
    let body = body.to_string();
    let mut stream = wire::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CLIENT_KEY}\r\nConnection: {connection}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    BufReader::new(stream)
}

fn chat(stream: bool) -> Value {
    json!({"model": "gemini-2.5-flash", "stream": stream, "messages": [{"role": "user", "content": "Hi"}]})
}

/// The same question in each dialect that makes its own answers, as far as it is built.
fn questions(stream: bool) -> Vec<(&'static str, Value)> {
    let mut message = chat(stream);
    message["max_tokens"] = json!(99);
    let response = json!({"model": "gemini-2.5-flash", "stream": stream, "input": "Hi"});
    let mut all = vec![("/v1/chat/completions", chat(stream)), ("/v1/responses", response), ("/v1/messages", message)];
    all.truncate(if cfg!(feature = "agents") { 3 } else { 1 });
    all
}

fn events(texts: &[&str]) -> Vec<Value> {
    let last = texts.len() - 1;
    let event = |(at, text): (usize, &&str)| {
        let mut candidate = json!({"content": {"role": "model", "parts": [{"text": text}]}});
        if at == last {
            candidate["finishReason"] = json!("STOP");
        }
        json!({"candidates": [candidate]})
    };
    texts.iter().enumerate().map(event).collect()
}

/// The fake sends an event every 200 ms, so what is held back breaks the rhythm. A delay of ours would be there in every
/// round, one of a busy machine is not.
#[test]
fn each_event_arrives_within_50_ms_of_being_sent() {
    const ROUNDS: usize = 5;
    let google = FakeGoogle::start();
    for pool in Pool::EACH {
        let proxy = Proxy::with_pool(&google, pool);
        let mut seen = Vec::new();
        let in_time = (0..ROUNDS).any(|_| {
            seen.push(worst_delay(&google, &proxy));
            seen.last() < Some(&Duration::from_millis(50))
        });
        assert!(in_time, "{pool:?}: {seen:?}");
    }
}

/// How far an event of one stream came off the rhythm, at worst.
fn worst_delay(google: &FakeGoogle, proxy: &Proxy) -> Duration {
    const BEAT: Duration = Duration::from_millis(200);
    let texts = ["one ", "two ", "three ", "four "];
    google.always("*", Step::stream(events(&texts)).every(BEAT));
    let mut stream = post(proxy, "/v1/chat/completions", &chat(true));
    let mut arrivals = Vec::new();
    let mut line = String::new();
    while stream.read_line(&mut line).unwrap() > 0 {
        if texts.iter().any(|text| line.contains(&format!("{{\"content\":\"{text}\"}}"))) {
            arrivals.push(Instant::now());
        }
        line.clear();
    }
    assert_eq!(arrivals.len(), texts.len());
    let off = |pair: &[Instant]| (pair[1] - pair[0]).abs_diff(BEAT);
    arrivals.windows(2).map(off).max().unwrap()
}

/// Each write is a chunk of its own on the wire.
#[test]
fn an_event_of_googles_is_one_write_in_every_dialect() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let texts: Vec<String> = (0..20).map(|number| format!("piece {number} ")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    google.always("*", Step::stream(events(&texts)));
    for (path, body) in questions(true) {
        let mut answer = String::new();
        post(&proxy, path, &body).read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let writes = chunks(body);
        // What ends the answer goes out when Google's stream has ended.
        assert!(writes.len() <= texts.len() + 1, "{path}: {} writes for {} events", writes.len(), texts.len());
        for text in &texts {
            assert!(writes.iter().any(|write| write.contains(text)), "{path}: {text:?} is in one write\n{answer}");
        }
    }
}

#[test]
fn a_client_that_leaves_ends_the_upstream_call() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    leaves_behind_the_first_event(&google, proxy.address());
    leaves_before_the_first_event(&google, proxy.address());
    let app = proxy.service().app();
    assert_eq!(app.pool.views()[0].status, "active", "nobody is at fault");
    drop(proxy);
    assert_eq!(app.usage.live().upstream_errors, [], "nobody is at fault");
    let recent = app.usage.recent();
    assert_eq!(recent.len(), 2 * questions(true).len() + questions(false).len());
    for entry in recent {
        assert_eq!((entry.tries.len(), entry.credential.is_empty()), (1, false), "{entry:?}");
    }
}

#[test]
fn a_call_that_a_stop_ends_is_an_attempt_of_its_credential() {
    let google = FakeGoogle::start();
    let proxy = Proxy::of(&google, Pool::ApiKey, |config| config["server"]["drain_sec"] = json!(0.1));
    google.always(GEMINI_KEY, Step::hang());
    let _client = post(&proxy, "/v1/chat/completions", &chat(true));
    assert!(google.wait_for(|state| state.generations().count() > 0, LIMIT));
    let app = proxy.service().app();
    drop(proxy);
    let entry = app.usage.recent().remove(0);
    assert_eq!((entry.status, entry.tries.len(), entry.credential.is_empty()), (503, 1, false), "{entry:?}");
    assert_eq!(app.usage.live().upstream_errors, [], "nobody is at fault");
}

#[test]
fn a_client_that_leaves_the_real_program_ends_the_upstream_call() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let folder = Folder::new("leaving");
    let config = json!({"server": {"host": "127.0.0.1", "port": 0}, "auth_keys": [CLIENT_KEY],
        "gemini_api_keys": [GEMINI_KEY], "endpoints": google.endpoints_json()});
    let program = Program::start(&folder, &config, &[]);
    let address = SocketAddr::from(([127, 0, 0, 1], program.port));
    leaves_behind_the_first_event(&google, address);
    leaves_before_the_first_event(&google, address);
}

fn leaves_behind_the_first_event(google: &FakeGoogle, address: SocketAddr) {
    google.always(GEMINI_KEY, Step::stream(events(&["one", "two"])).hold_after(1));
    for (before, (path, body)) in questions(true).into_iter().enumerate() {
        let mut stream = send(address, path, &body, "keep-alive");
        let mut line = String::new();
        while !line.contains("one") {
            line.clear();
            stream.read_line(&mut line).unwrap();
        }
        drop(stream);
        let left = Instant::now();
        // A closed connection is seen by the fake when it writes; it looks every few milliseconds while it holds.
        let gone = |call: &crate::common::google::Recorded| call.outcome == Some(Outcome::ClientGone);
        assert!(google.wait_for(|state| state.generations().skip(before).any(gone), LIMIT), "{path}: the call goes on");
        assert!(left.elapsed() < Duration::from_secs(1), "{path}: {:?}", left.elapsed());
    }
}

fn leaves_before_the_first_event(google: &FakeGoogle, address: SocketAddr) {
    google.clear_scripts();
    for (path, body) in questions(true).into_iter().chain(questions(false)) {
        google.always(GEMINI_KEY, Step::hang());
        let before = google.generations().len();
        let client = send(address, path, &body, "keep-alive");
        assert!(google.wait_for(|state| state.generations().count() > before, LIMIT));
        drop(client);
        let left = Instant::now();
        let gone = |call: &crate::common::google::Recorded| call.outcome == Some(Outcome::ClientGone);
        assert!(google.wait_for(|state| state.generations().skip(before).any(gone), LIMIT), "{path}: {body}");
        assert!(left.elapsed() < Duration::from_secs(1), "{path}: {body}: {:?}", left.elapsed());
    }
}

#[test]
fn a_native_stream_without_alt_sse_is_a_json_array() {
    let google = FakeGoogle::start();
    for pool in Pool::EACH {
        let proxy = Proxy::with_pool(&google, pool);
        google.always("*", Step::stream(events(&["one", "two"])));
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]});
        let mut answer = String::new();
        let mut stream = post(&proxy, "/v1beta/models/gemini-2.5-flash:streamGenerateContent", &body);
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let array: Value = serde_json::from_str(&unchunked(body)).unwrap();
        assert_eq!(array[0]["candidates"][0]["content"]["parts"][0]["text"], "one", "{pool:?}: no envelope");
        assert_eq!(array[1]["candidates"][0]["finishReason"], "STOP");
        assert_eq!(array.as_array().unwrap().len(), 2);
    }
}

#[test]
fn compat_answers_a_native_request_in_openais_shape() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::Oauth);
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]});
    let ask = |path: &str| {
        let mut answer = String::new();
        post(&proxy, path, &body).read_to_string(&mut answer).unwrap();
        answer
    };
    let stream = ask("/v1beta/models/gemini-2.5-flash:streamGenerateContent?compat=OPENAI");
    assert!(stream.contains("\"object\":\"chat.completion.chunk\"") && stream.contains("data: [DONE]"), "{stream}");
    let whole = ask("/v1beta/models/gemini-2.5-flash:generateContent?openai_compat=1");
    assert!(whole.contains("\"object\":\"chat.completion\"") && whole.contains("You said: Hi"), "{whole}");
}

fn unchunked(body: &str) -> String {
    chunks(body).concat()
}

fn chunks(mut body: &str) -> Vec<&str> {
    let mut chunks = Vec::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        chunks.extend(Some(&rest[..size]).filter(|chunk| !chunk.is_empty()));
        body = rest[size..].trim_start_matches("\r\n");
    }
    chunks
}

#[test]
fn silence_before_the_first_event_is_bridged_by_a_comment() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["stream"] = json!({"early_head_after_sec": 0.2, "keep_alive_sec": 0.2});
    });
    google.script(GEMINI_KEY, Step::default_answer().after(Duration::from_millis(900)));
    let mut answer = String::new();
    post(&proxy, "/v1/chat/completions", &chat(true)).read_to_string(&mut answer).unwrap();
    let comments = answer.matches(": keepalive\n\n").count();
    assert!(comments >= 2, "{comments} comments in\n{answer}");
    assert!(answer.find(": keepalive").unwrap() < answer.find("\"delta\"").unwrap());
    assert!(answer.contains("data: [DONE]"));

    // After such a head a failure can only be an event, and must still be one.
    for ((path, body), told) in questions(true).into_iter().zip([
        "data: {\"error\":{\"message\":",
        "event: response.failed\n",
        "event: error\ndata: {\"type\":\"error\",\"error\":{",
    ]) {
        google.script(GEMINI_KEY, Step::status(400, "bad field").after(Duration::from_millis(500)));
        let mut answer = String::new();
        post(&proxy, path, &body).read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains(told) && answer.contains("bad field"), "{answer}");
        assert!(!answer.contains("[DONE]"), "{answer}");
    }
}
