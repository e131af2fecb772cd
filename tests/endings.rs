//! How answers end that do not end well, before and after the first byte, in every dialect, whole and streamed. The cases are
//! data, `tests/fixtures/failures/endings.jsonl`: what Google does (`google`), and what each dialect's client then sees
//! (`whole` and `stream` by dialect), in one line each: the status, what was said, the last word, and how often Google was
//! asked. Those with `binary` are asked of the real program.

use crate::common::google::errors::{Refusal, retry_info};
use crate::common::google::{Cut, End, FakeGoogle, Step};
use crate::common::http::{Answer, ask_at};
use crate::common::program::{Folder, Program};
use crate::common::proxy::{CLIENT_KEY, Proxy};
use crate::{anthropic_messages, openai_responses};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const KEYS: [&str; 2] = ["AIza-ending-0001", "AIza-ending-0002"];
const PATHS: [&str; 3] = ["/v1/chat/completions", "/v1/responses", "/v1/messages"];
const SEEN: [&str; 2] = ["whole", "stream"];

/// The shortest question with a tool.
fn question(path: &str, stream: bool) -> String {
    let parameters = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let mut body = match path {
        "/v1/responses" => {
            json!({"input": "Hi", "tools": [{"type": "function", "name": "f", "parameters": parameters}]})
        }
        "/v1/messages" => json!({"max_tokens": 999, "messages": messages,
            "tools": [{"name": "f", "input_schema": parameters}]}),
        _ => json!({"messages": messages,
            "tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}]}),
    };
    (body["model"], body["stream"]) = (json!("gemini-2.5-flash"), json!(stream));
    body.to_string()
}

/// An event of Google's: `text`, `thought` or `call` is what it says, `finish` its reason, `block` the prompt's, `error` an error.
fn event(given: &Value) -> Value {
    if let Some(status) = given["error"].as_u64() {
        return Refusal::new(u16::try_from(status).unwrap(), "It broke.").body();
    }
    if given["block"].is_string() {
        return json!({"promptFeedback": {"blockReason": given["block"]}, "usageMetadata": {"promptTokenCount": 5}});
    }
    let mut parts = Vec::new();
    parts.extend(given["thought"].as_str().map(|text| json!({"text": text, "thought": true})));
    parts.extend(given["text"].as_str().map(|text| json!({ "text": text })));
    parts.extend(given["call"].as_str().map(|name| json!({"functionCall": {"name": name, "args": {"n": 1}}})));
    let mut candidate = json!({"content": {"role": "model", "parts": parts}});
    if given["finish"].is_string() {
        candidate["finishReason"] = given["finish"].clone();
    }
    json!({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}})
}

fn step(google: &Value) -> Step {
    if let Some(status) = google["status"].as_u64() {
        let message = google["message"].as_str().unwrap_or("It is so.");
        let refusal = Refusal::new(u16::try_from(status).unwrap(), message);
        let delay = google["delay"].as_str().map(retry_info);
        return Step::refusal(delay.into_iter().fold(refusal, Refusal::detail));
    }
    let step = Step::stream(google["events"].as_array().unwrap().iter().map(event).collect());
    match (google["cut"].as_str(), google["bytes"].as_u64()) {
        (Some("reset"), _) => step.cut_after_events(google["events"].as_array().unwrap().len(), End::Reset),
        (Some("close"), Some(bytes)) => step.cut(Cut::Bytes(usize::try_from(bytes).unwrap(), End::Close)),
        (Some("silence"), _) if google["events"] == json!([]) => Step::hang(),
        (Some("silence"), _) => step.hold_after(google["events"].as_array().unwrap().len()),
        _ => step,
    }
}

/// What a client sees of one case.
fn seen(google: &Value, path: &str, stream: bool) -> String {
    let fake = FakeGoogle::start();
    let keys = &KEYS[..usize::try_from(google["keys"].as_u64().unwrap_or(1)).unwrap()];
    keys.iter().for_each(|key| fake.add_api_key(key));
    let configure = |config: &mut Value| {
        config["gemini_api_keys"] = json!(keys);
        let read = match google["cut"] == "silence" {
            // What comes before the silence must come in time on a busy machine, too.
            true => 1 + google["events"].as_array().map_or(0, Vec::len),
            false => 30,
        };
        config["request_timeouts"] = json!({ "read": read });
    };
    let folder = Folder::new("ending");
    let _running: (Option<Program>, Option<Proxy>);
    let address = if google["binary"] == true {
        let mut config = json!({"server": {"host": "127.0.0.1", "port": 0}, "auth_keys": [CLIENT_KEY],
            "endpoints": fake.endpoints_json()});
        configure(&mut config);
        let program = Program::start(&folder, &config, &[]);
        let address = SocketAddr::from(([127, 0, 0, 1], program.port));
        _running = (Some(program), None);
        address
    } else {
        let proxy = Proxy::start(&fake, configure);
        let address = proxy.address();
        _running = (None, Some(proxy));
        address
    };
    match google["once"] == true {
        true => fake.script(KEYS[0], step(google)),
        false => fake.always(KEYS[0], step(google)),
    }
    let post = || ask_at(address, "POST", path, &[], question(path, stream).as_bytes());
    if google["before"] == true {
        post();
    }
    let answer = post();
    let asked = fake.generations().len();
    fake.release();
    format!("{}, {asked} asked", told(path, stream, &answer))
}

fn told(path: &str, stream: bool, answer: &Answer) -> String {
    let mut told = answer.status.to_string();
    let is_events = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
    assert_eq!(is_events, stream && answer.status == 200, "{path}: {:?}", answer.headers);
    for (name, shown) in [("retry-after", "retry"), ("x-should-retry", "should-retry")] {
        if let Some(value) = answer.header(name) {
            let value = if name == "retry-after" { "after" } else { value };
            write!(told, " {shown} {value}").unwrap();
        }
    }
    if answer.status != 200 {
        return format!("{told}: {}", error(path, &answer.json()["error"]));
    }
    let said = match (path, stream) {
        ("/v1/responses", false) => response(&answer.json()),
        ("/v1/responses", true) => {
            let events = openai_responses::events(&answer.text());
            let last = openai_responses::is_well_formed(&events);
            response(&last)
        }
        ("/v1/messages", false) => message(&answer.json()),
        ("/v1/messages", true) => {
            let events = anthropic_messages::events(&answer.text());
            anthropic_messages::is_well_formed(&events);
            let mut whole = message(&anthropic_messages::accumulated(&events));
            if let Some((_, data)) = events.last().filter(|(name, _)| name == "error") {
                write!(whole, " error {}", error(path, &data["error"])).unwrap();
            }
            whole
        }
        (_, false) => chat(&answer.json()["choices"][0]["message"], &answer.json()["choices"][0]["finish_reason"]),
        (_, true) => chunks(&answer.text()),
    };
    format!("{told}: {said}")
}

/// Type and code of an error, which has a message.
fn error(path: &str, error: &Value) -> String {
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 5), "{error}");
    match path {
        "/v1/messages" => error["type"].as_str().unwrap().to_owned(),
        _ => format!("{} {}", error["type"].as_str().unwrap_or("-"), error["code"]).replace('"', ""),
    }
}

fn response(response: &Value) -> String {
    let mut said = String::new();
    for item in response["output"].as_array().unwrap() {
        match item["type"].as_str().unwrap() {
            "message" => {
                let content = &item["content"][0];
                let text = content["text"].as_str().or(content["refusal"].as_str()).unwrap();
                write!(said, "{text:?} ({}) ", item["status"].as_str().unwrap()).unwrap();
            }
            "function_call" => write!(said, "{}{} ", item["name"].as_str().unwrap(), item["arguments"]).unwrap(),
            other => write!(said, "{other} ").unwrap(),
        }
    }
    let status = response["status"].as_str().unwrap();
    match (status, &response["error"], &response["incomplete_details"]["reason"]) {
        ("failed", failure, Value::Null) => {
            assert!(failure["message"].as_str().is_some_and(|message| message.len() > 5), "{failure}");
            format!("{said}failed {}", failure["code"].as_str().unwrap())
        }
        ("incomplete", Value::Null, reason) => format!("{said}incomplete {}", reason.as_str().unwrap()),
        ("completed", Value::Null, Value::Null) => said + "completed",
        _ => panic!("{response}"),
    }
}

fn message(message: &Value) -> String {
    let mut said = String::new();
    for block in message["content"].as_array().unwrap() {
        match block["type"].as_str().unwrap() {
            "text" => write!(said, "{:?} ", block["text"].as_str().unwrap()).unwrap(),
            "tool_use" => write!(said, "{}{} ", block["name"].as_str().unwrap(), block["input"]).unwrap(),
            other => write!(said, "{other} ").unwrap(),
        }
    }
    said + message["stop_reason"].as_str().unwrap_or("-")
}

fn chat(message: &Value, finish: &Value) -> String {
    let mut said = String::new();
    if let Some(text) = message["content"].as_str() {
        write!(said, "{text:?} ").unwrap();
    }
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        write!(said, "{}{} ", call["function"]["name"].as_str().unwrap(), call["function"]["arguments"]).unwrap();
    }
    said + finish.as_str().unwrap_or("-")
}

/// A streamed chat: what was said, the finish, and whether `[DONE]` or an error stands last, which exclude each other.
fn chunks(text: &str) -> String {
    let (mut content, mut calls, mut finish, mut last) = (None::<String>, Vec::new(), Value::Null, String::new());
    for data in text.split_terminator("\n\n").filter_map(|frame| frame.strip_prefix("data: ")) {
        assert_eq!(last, "", "something follows the last word: {text}");
        if data == "[DONE]" {
            last = " [DONE]".into();
            continue;
        }
        let chunk: Value = serde_json::from_str(data).unwrap();
        if chunk["error"].is_object() {
            last = format!(" error {}", error("chat", &chunk["error"]));
            continue;
        }
        let choice = &chunk["choices"][0];
        if let Some(text) = choice["delta"]["content"].as_str().filter(|text| !text.is_empty()) {
            content.get_or_insert_default().push_str(text);
        }
        calls.extend(choice["delta"]["tool_calls"].as_array().cloned().unwrap_or_default());
        if choice["finish_reason"].is_string() {
            assert!(finish.is_null(), "two finishes: {text}");
            finish = choice["finish_reason"].clone();
        }
    }
    chat(&json!({"content": content, "tool_calls": calls}), &finish) + &last
}

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/failures/endings.jsonl")
}

/// With `GEMINI_PROXY_GOLDEN` set the expectations are written anew, to be read as a diff.
#[test]
fn every_ending_is_told_in_the_dialects_own_words() {
    let text = fs::read_to_string(fixture()).unwrap();
    let cases: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(vec![Value::Null; cases.len()]));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((at, case)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, cases.get(at)?)))
                {
                    let mut outcome = json!({"name": case["name"], "google": case["google"]});
                    for path in PATHS {
                        for (stream, kind) in SEEN.into_iter().enumerate() {
                            outcome[path][kind] = json!(seen(&case["google"], path, stream == 1));
                        }
                    }
                    found.lock().unwrap()[at] = outcome;
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    if std::env::var_os("GEMINI_PROXY_GOLDEN").is_some() {
        fs::write(fixture(), found.iter().map(|case| format!("{case}\n")).collect::<String>()).unwrap();
        return;
    }
    let mut wrong = String::new();
    for (case, found) in cases.iter().zip(&found) {
        for path in PATHS {
            for kind in SEEN {
                let (expected, found) = (&case[path][kind], &found[path][kind]);
                if expected != found {
                    writeln!(wrong, "{} {path} {kind}\n  expected {expected}\n  found    {found}", case["name"])
                        .unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
