//! `/v1/chat/completions` over HTTP, in front of the strict fake Google: what Google's failures become, answers that are
//! worth a second try, bytes on the wire, the life of a request, and requests that are broken at random.

mod errors;
mod lifecycle;
mod retries;
mod wire;

use crate::common::google::{FakeGoogle, Step};
use crate::common::http::{Answer, ask};
use crate::common::proxy::{GEMINI_KEY, Pool, Proxy};
use serde_json::{Value, json};

/// A fake, and a proxy in front of it that has one credential.
fn start(pool: Pool) -> (FakeGoogle, Proxy) {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, pool);
    (google, proxy)
}

/// A proxy with an API key, which answers with exactly the bytes of a step.
fn start_with(google: &FakeGoogle, change: impl FnOnce(&mut Value)) -> Proxy {
    google.add_api_key(GEMINI_KEY);
    Proxy::start(google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        change(config);
    })
}

fn hello(stream: bool) -> Value {
    json!({"model": "gemini-2.5-flash", "stream": stream, "messages": [{"role": "user", "content": "Hi"}]})
}

fn post(proxy: &Proxy, body: &Value) -> Answer {
    ask(proxy, "POST", "/v1/chat/completions", &[("Content-Type", "application/json")], body.to_string().as_bytes())
}

/// The cases of `fixtures/openai_chat/<name>.jsonl`.
fn cases(name: &str) -> Vec<Value> {
    let path = format!("{}/tests/fixtures/openai_chat/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The data of every event; comments are left out.
fn frames(answer: &Answer) -> Vec<String> {
    let text = answer.text();
    text.split("\n\n").filter_map(|frame| frame.strip_prefix("data: ")).map(str::to_owned).collect()
}

/// The text of a whole answer or of all chunks.
fn content(answer: &Answer) -> String {
    if answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return answer.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
    }
    let chunks = frames(answer).into_iter().filter(|data| data != "[DONE]");
    let texts = chunks.map(|data| serde_json::from_str::<Value>(&data).unwrap());
    texts.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

/// Every finish reason that was given.
fn finishes(answer: &Answer) -> Vec<String> {
    if answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return vec![answer.json()["choices"][0]["finish_reason"].as_str().unwrap_or_default().to_owned()];
    }
    let chunks = frames(answer).into_iter().filter(|data| data != "[DONE]");
    let chunks = chunks.map(|data| serde_json::from_str::<Value>(&data).unwrap());
    chunks.filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str().map(str::to_owned)).collect()
}

/// One event of Google with a text, the last one with a finish reason.
fn event(text: &str, finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": [{"text": text}]}});
    candidate.as_object_mut().unwrap().extend(finish.map(|finish| ("finishReason".to_owned(), json!(finish))));
    json!({"candidates": [candidate]})
}

/// The error object, after checking that it has its four keys and nothing else.
fn error(document: &Value) -> &Value {
    let error = &document["error"];
    let keys: Vec<&str> =
        error.as_object().unwrap_or_else(|| panic!("{document}")).keys().map(String::as_str).collect();
    assert_eq!(keys, ["message", "type", "param", "code"], "{document}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{document}");
    assert!(error["type"].is_string() && (error["param"].is_null() || error["param"].is_string()), "{document}");
    assert!(error["code"].is_null() || error["code"].is_string(), "{document}");
    error
}

/// A step that answers with `parts` and a finish reason.
fn parts(parts: Value, finish: &str) -> Step {
    Step::stream(vec![json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish}]})])
}
