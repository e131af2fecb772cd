//! Names of models that lead to several of Google's: the next one serves where no credential serves the first, on every
//! surface, and never after something was said.

use crate::common::google::{End, FakeGoogle, Step};
use crate::common::http::{Answer, ask};
use crate::common::proxy::{CLIENT_KEY, GEMINI_KEY, Proxy};
use serde_json::{Value, json};

const FIRST: &str = "gemini-3.1-pro-preview";
const SECOND: &str = "gemini-2.5-flash";

fn start(google: &FakeGoogle, change: impl FnOnce(&mut Value)) -> Proxy {
    google.add_api_key(GEMINI_KEY);
    Proxy::start(google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["model_routes"] =
            json!({"gpt-*": [FIRST, SECOND], "o1": SECOND, "both": [FIRST, "gemini-3-flash-preview", SECOND]});
        change(config);
    })
}

/// One question on each surface, whole and streamed.
fn questions(model: &str) -> Vec<(String, Value)> {
    let message = json!([{"role": "user", "content": "hi"}]);
    let mut questions = Vec::new();
    for stream in [false, true] {
        questions.extend([
            ("/v1/chat/completions".into(), json!({"model": model, "messages": message, "stream": stream})),
            ("/v1/completions".into(), json!({"model": model, "prompt": "hi", "stream": stream})),
            ("/v1/responses".into(), json!({"model": model, "input": "hi", "stream": stream})),
            ("/v1/messages".into(), json!({"model": model, "max_tokens": 99, "messages": message, "stream": stream})),
        ]);
    }
    let native = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    questions.push((format!("/v1beta/models/{model}:generateContent"), native.clone()));
    questions.push((format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"), native));
    questions
}

fn post(proxy: &Proxy, path: &str, body: &Value) -> Answer {
    ask(proxy, "POST", path, &[], body.to_string().as_bytes())
}

fn models(google: &FakeGoogle) -> Vec<String> {
    // API keys ask at `/v1beta/models/{model}:{method}`.
    let model = |path: &str| path.rsplit('/').next()?.split(':').next().map(str::to_owned);
    google.generations().iter().filter_map(|generation| model(&generation.path)).collect()
}

#[test]
fn the_next_model_serves_where_every_credential_rests_or_the_first_is_gone() {
    for (path, body) in questions("gpt-5") {
        for failure in [Step::rate_limited("RATE_LIMIT_EXCEEDED", "30s"), Step::status(404, "models/x is not found")] {
            let google = FakeGoogle::start();
            let proxy = start(&google, |_| {});
            google.always("*", failure.for_model(FIRST));
            for number in ["first", "next"] {
                let answer = post(&proxy, &path, &body);
                assert_eq!(answer.status, 200, "{path} {number}: {}", answer.text());
                assert!(answer.text().contains(": hi"), "{path}: {}", answer.text());
                assert_eq!(answer.header("x-served-model"), Some(SECOND), "{path} {number}");
                if !path.starts_with("/v1beta") {
                    assert!(answer.text().contains(r#""model":"gpt-5""#), "{path}: the client's own name");
                }
            }
            assert_eq!(models(&google).last().map(String::as_str), Some(SECOND));
        }
    }
}

#[test]
fn the_first_model_serves_as_long_as_it_can() {
    let google = FakeGoogle::start();
    let proxy = start(&google, |_| {});
    for (path, body) in questions("gpt-5") {
        assert_eq!(post(&proxy, &path, &body).header("x-served-model"), Some(FIRST), "{path}");
    }
    assert!(models(&google).iter().all(|model| model == FIRST));
}

#[test]
fn what_is_no_ones_rest_does_not_change_the_model() {
    for failure in
        [Step::status(400, "Request contains an invalid argument."), Step::status(500, "Internal error encountered.")]
    {
        let google = FakeGoogle::start();
        let proxy = start(&google, |_| {});
        google.always("*", failure.for_model(FIRST));
        let answer = post(&proxy, "/v1/responses", &json!({"model": "gpt-5", "input": "hi"}));
        assert!(answer.status >= 400 && answer.header("x-served-model").is_none(), "{}", answer.text());
        assert!(models(&google).iter().all(|model| model == FIRST));
    }
}

#[test]
fn nothing_changes_once_something_was_said() {
    let google = FakeGoogle::start();
    let proxy = start(&google, |_| {});
    // A thought, then two of three pieces of text.
    google.always("*", Step::default_answer().cut_after_events(3, End::Reset).for_model(FIRST));
    for (path, body) in questions("gpt-5").into_iter().filter(|(_, body)| body["stream"] == true) {
        let answer = post(&proxy, &path, &body);
        assert_eq!(answer.header("x-served-model"), Some(FIRST), "{path}");
        assert!(answer.text().contains("error"), "{path}: {}", answer.text());
    }
    assert!(models(&google).iter().all(|model| model == FIRST));
}

#[test]
fn when_all_of_them_rest_the_client_is_told_of_the_one_that_is_back_first() {
    let google = FakeGoogle::start();
    let proxy = start(&google, |_| {});
    google.always("*", Step::rate_limited("RATE_LIMIT_EXCEEDED", "50s").for_model(FIRST));
    google.always("*", Step::rate_limited("RATE_LIMIT_EXCEEDED", "20s").for_model("gemini-3-flash-preview"));
    google.always("*", Step::rate_limited("RATE_LIMIT_EXCEEDED", "40s").for_model(SECOND));
    let answer = post(
        &proxy,
        "/v1/messages",
        &json!({"model": "both", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
    );
    assert_eq!(answer.status, 429, "{}", answer.text());
    let wait: u64 = answer.header("retry-after").and_then(|wait| wait.parse().ok()).expect("a wait");
    assert!((15..=20).contains(&wait), "{wait}");
    assert_eq!(models(&google).len(), 3, "each was asked once");
}

#[test]
fn a_key_gets_no_model_that_it_may_not_use() {
    let google = FakeGoogle::start();
    let proxy = start(&google, |config| {
        config["auth_keys"] = json!([{"key": CLIENT_KEY, "models": [FIRST, "gemini-3-flash-preview"]}]);
    });
    google.always("*", Step::rate_limited("RATE_LIMIT_EXCEEDED", "50s").for_model(FIRST));
    let ask = |model: &str| post(&proxy, "/v1/responses", &json!({"model": model, "input": "hi"}));
    assert_eq!(ask("gpt-5").status, 429);
    assert_eq!(ask("both").header("x-served-model"), Some("gemini-3-flash-preview"));
}
