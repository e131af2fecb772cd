//! The life of a request beyond its answer: credentials that fail on the way, a Google that resets or stalls, the end of the
//! program. Clients that leave are in `tests/streaming.rs`, a slow reader in `tests/memory.rs`.

use super::{content, error, event, frames, hello, post, start, start_with};
use crate::common::google::{FakeGoogle, Outcome, Step};
use crate::common::http::ask;
use crate::common::proxy::{CLIENT_KEY, GEMINI_KEY, Pool, Proxy};
use crate::common::wire;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_reset_before_the_head_is_tried_again_and_then_a_502() {
    for stream in [false, true] {
        let (google, proxy) = start(Pool::ApiKey);
        google.script("*", Step::reset());
        let answer = post(&proxy, &hello(stream));
        assert_eq!((answer.status, content(&answer).as_str()), (200, "You said: Hi"), "{}", answer.text());
        google.always("*", Step::reset());
        let answer = post(&proxy, &hello(stream));
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert_eq!(error(&answer.json())["code"], "bad_gateway");
    }
}

#[test]
fn a_google_that_stalls_in_the_middle_is_left_and_told_as_timeout() {
    let google = FakeGoogle::start();
    let proxy = start_with(&google, |config| config["request_timeouts"] = json!({"read": 0.3}));
    google.always(GEMINI_KEY, Step::stream(vec![event("one", None), event("two", Some("STOP"))]).hold_after(1));
    let answer = post(&proxy, &hello(true));
    let frames = frames(&answer);
    let last: Value = serde_json::from_str(frames.last().unwrap()).unwrap();
    assert_eq!(error(&last)["code"], "timeout");
    assert!(!answer.text().contains("[DONE]") && answer.text().contains("\"one\""));
    let left = |call: &crate::common::google::Recorded| call.outcome == Some(Outcome::ClientGone);
    assert!(google.wait_for(|state| state.generations().any(left), LIMIT), "the upstream call is closed");
}

#[test]
fn a_credential_that_fails_first_leaves_no_trace_in_the_stream() {
    let google = FakeGoogle::start();
    google.add_api_key("AIza-second");
    let proxy = start_with(&google, |config| config["gemini_api_keys"] = json!([GEMINI_KEY, "AIza-second"]));
    google.script("*", Step::rate_limited("RATE_LIMIT_EXCEEDED", "30s"));
    let answer = post(&proxy, &hello(true));
    assert_eq!((answer.status, content(&answer).as_str()), (200, "You said: Hi"));
    assert_eq!(frames(&answer).iter().filter(|data| data.contains("\"role\"")).count(), 1);
    assert_eq!(google.generations().len(), 2);
}

#[test]
fn the_model_list_speaks_anthropics_shape_when_asked_to() {
    let (_google, proxy) = start(Pool::ApiKey);
    let list = ask(&proxy, "GET", "/v1/models", &[("anthropic-version", "2023-06-01")], b"").json();
    let models = list["data"].as_array().unwrap();
    assert!(models.iter().all(|model| model["type"] == "model" && model["display_name"].is_string()));
    assert_eq!(
        (&list["has_more"], &list["first_id"], &list["last_id"]),
        (&json!(false), &models[0]["id"], &models.last().unwrap()["id"])
    );
    let answer = ask(&proxy, "GET", "/v1/models/gemini-2.5-pro", &[], b"");
    assert_eq!((answer.status, answer.json()["id"].as_str()), (200, Some("gemini-2.5-pro")));
}

#[test]
fn the_model_list_says_what_each_model_can() {
    let google = FakeGoogle::start();
    let proxy = start_with(&google, |config| config["models"] = json!([{"name": "aurora-2"}]));
    let read = |path: &str| ask(&proxy, "GET", path, &[], b"").json();
    let of = |list: &Value, id: &str| {
        let found = list["data"].as_array().unwrap().iter().find(|model| model["id"] == id);
        found.unwrap_or_else(|| panic!("{id}")).clone()
    };
    // What Google lists comes once, at any moment: both are read before it or after it.
    let both = || (read("/v1/models"), read("/v1/models/gemini-4-hydrogen"));
    let is_at_once = |(list, one): &(Value, Value)| of(list, "gemini-4-hydrogen")["source"] == one["source"];
    let (list, one) = std::iter::repeat_with(both).find(is_at_once).unwrap();
    let entry = |id: &str| of(&list, id);
    let argon = entry("gemini-4-hydrogen");
    for name in ["context_length", "context_window", "max_model_len", "max_input_tokens"] {
        assert_eq!(argon[name], 1_048_576, "{name}");
    }
    assert_eq!(
        (&argon["max_output_tokens"], &argon["top_provider"]["max_completion_tokens"]),
        (&json!(65_536), &json!(65_536))
    );
    assert_eq!(argon["thinking_levels"], json!(["low", "medium", "high", "xhigh"]));
    assert_eq!(argon["architecture"]["input_modalities"], json!(["text", "image", "file", "audio", "video"]));
    let has =
        |model: &Value, name: &str| model["supported_parameters"].as_array().unwrap().iter().any(|one| one == name);
    assert!(has(&argon, "tools") && has(&argon, "reasoning") && !has(&argon, "temperature"), "{argon}");
    assert!(has(&entry("gemini-2.5-flash"), "temperature"));
    assert_eq!(entry("gemini-2.5-flash")["thinking_budget"], json!({"min": 1, "max": 24576, "can_be_off": true}));
    let picture = entry("gemini-3-pro-image");
    assert_eq!(picture["architecture"]["output_modalities"], json!(["text", "image"]));
    assert!(!has(&picture, "tools") && has(&picture, "modalities"), "{picture}");
    assert_eq!(entry("gemini-2.5-flash-preview-tts")["architecture"]["output_modalities"], json!(["audio"]));
    // Of a model that is only named nothing is known, and nothing is said.
    let named = entry("aurora-2");
    let names: Vec<&String> = named.as_object().unwrap().keys().collect();
    assert_eq!(names, ["id", "object", "created", "owned_by", "name"]);
    assert_eq!(one, argon);
    let anthropic = ask(&proxy, "GET", "/v1/models/gemini-2.5-pro", &[("anthropic-version", "2023-06-01")], b"").json();
    assert_eq!((&anthropic["max_input_tokens"], &anthropic["max_tokens"]), (&json!(1_048_576), &json!(65_536)));
}

#[test]
fn the_end_of_the_program_is_an_error_event_for_streams_that_do_not_end_in_time() {
    let google = FakeGoogle::start();
    let proxy = start_with(&google, |config| config["server"]["drain_sec"] = json!(0.2));
    google.always(GEMINI_KEY, Step::stream(vec![event("one", None), event("two", Some("STOP"))]).hold_after(1));
    let body = hello(true).to_string();
    let mut stream = wire::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CLIENT_KEY}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while !line.contains("\"one\"") {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0);
    }
    let stopped = std::thread::spawn(move || drop(proxy));
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    stopped.join().unwrap();
    assert!(rest.contains("data: {\"error\":{\"message\":") && rest.contains("\"shutting_down\""), "{rest}");
    assert!(!rest.contains("[DONE]"), "{rest}");
}

#[test]
fn signatures_of_one_client_are_not_given_to_another() {
    let google = FakeGoogle::start();
    let proxy = start_with(&google, |config| config["auth_keys"] = json!([CLIENT_KEY, "sk-other-client"]));
    let part = json!([{"functionCall": {"id": "call_1", "name": "w", "args": {}}, "thoughtSignature": "U0lH"}]);
    google.script(GEMINI_KEY, super::parts(part, "STOP"));
    let mut body = json!({"model": "gemini-3.1-pro-preview", "messages": [{"role": "user", "content": "q"}],
        "tools": [{"type": "function", "function": {"name": "w"}}]});
    assert_eq!(post(&proxy, &body).json()["choices"][0]["message"]["tool_calls"][0]["id"], "call_1");
    body["messages"] = json!([{"role": "user", "content": "q"},
        {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "w", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "ok"}]);
    let sent = |proxy: &Proxy, key: &str| {
        let key = format!("Bearer {key}");
        let answer =
            ask(proxy, "POST", "/v1/chat/completions", &[("Authorization", &key)], body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        google.last_generation().inner()["contents"][1]["parts"][0]["thoughtSignature"].clone()
    };
    assert_eq!(sent(&proxy, "sk-other-client"), "skip_thought_signature_validator");
    assert_eq!(sent(&proxy, CLIENT_KEY), "U0lH");
}
