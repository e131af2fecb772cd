//! Why Google ended an answer, in every dialect, in the log's place and in the list of requests.

use crate::common::google::{FakeGoogle, Step};
use crate::common::http::{Answer, ask};
use crate::common::proxy::{Pool, Proxy};
use serde_json::{Value, json};

/// Each dialect's path and its shortest question.
fn dialects(stream: bool) -> [(&'static str, Value); 4] {
    let model = "gemini-2.5-flash";
    let messages = json!([{"role": "user", "content": "Hi"}]);
    [
        ("/v1/chat/completions", json!({"model": model, "stream": stream, "messages": messages})),
        ("/v1/completions", json!({"model": model, "stream": stream, "prompt": "Hi"})),
        ("/v1/responses", json!({"model": model, "stream": stream, "input": "Hi"})),
        ("/v1/messages", json!({"model": model, "stream": stream, "max_tokens": 99, "messages": messages})),
    ]
}

fn post(proxy: &Proxy, path: &str, body: &Value) -> Answer {
    ask(proxy, "POST", path, &[], body.to_string().as_bytes())
}

/// The last request as the admin page lists it.
fn listed(proxy: &Proxy) -> Value {
    ask(proxy, "GET", "/admin/requests", &[], b"").json()["requests"][0].clone()
}

fn finished(text: Option<&str>, word: &str, message: Option<&str>) -> Step {
    let mut candidate = json!({"finishReason": word});
    if let Some(text) = text {
        candidate["content"] = json!({"role": "model", "parts": [{"text": text}]});
    }
    if let Some(message) = message {
        candidate["finishMessage"] = message.into();
    }
    Step::stream(vec![
        json!({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}}),
    ])
}

#[test]
fn a_reason_that_repeats_is_told_once_and_asked_for_once() {
    for (word, message, code, told) in [
        (
            "NO_IMAGE",
            Some("No picture was made; ask for one."),
            "no_image",
            "No picture was made; ask for one. (NO_IMAGE)",
        ),
        ("NO_IMAGE", None, "no_image", "The model made no image"),
        ("TOO_MANY_TOOL_CALLS", None, "too_many_tool_calls", "(TOO_MANY_TOOL_CALLS)"),
    ] {
        for stream in [false, true] {
            for (path, body) in dialects(stream) {
                let google = FakeGoogle::start();
                let proxy = Proxy::with_pool(&google, Pool::ApiKey);
                google.always("*", finished(None, word, message));
                let answer = post(&proxy, path, &body);
                let what = format!("{word} {path} stream={stream}: {}", answer.text());
                assert_eq!(answer.status, 400, "{what}");
                assert_eq!(answer.header("x-should-retry"), Some("false"), "{what}");
                let error = answer.json()["error"].clone();
                assert!(error["message"].as_str().unwrap().contains(told), "{what}");
                assert!(path == "/v1/messages" || error["code"] == code, "{what}");
                assert_eq!(google.generations().len(), 1, "{what}");
                let entry = listed(&proxy)["error"].as_str().unwrap().to_owned();
                assert!(entry.contains(word), "{what}: {entry}");
            }
        }
    }
}

/// A word that Google's own front does not know comes as its number, and a second empty answer for the same reason is the last.
#[test]
fn an_answer_that_stays_empty_for_a_word_nobody_knows_is_not_asked_for_again() {
    for word in [json!("A_WORD_OF_2030"), json!(77), json!("IMAGE_OTHER")] {
        for (path, body) in dialects(false) {
            let google = FakeGoogle::start();
            let proxy = Proxy::with_pool(&google, Pool::ApiKey);
            google.always("*", Step::stream(vec![json!({"candidates": [{"finishReason": word}]})]));
            let answer = post(&proxy, path, &body);
            let what = format!("{word} {path}: {}", answer.text());
            let status = if path == "/v1/messages" { 500 } else { 502 };
            assert_eq!((answer.status, answer.header("x-should-retry")), (status, Some("false")), "{what}");
            assert!(answer.text().contains(&format!("({})", word.to_string().replace('"', ""))), "{what}");
            assert_eq!(google.generations().len(), 2, "{what}");
        }
    }
}

#[test]
fn a_prompt_that_a_filter_blocks_without_a_reason_is_blocked() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let ratings = json!([{"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": true}]);
    google.always("*", Step::stream(vec![json!({"promptFeedback": {"safetyRatings": ratings}})]));
    let (path, body) = &dialects(false)[0];
    let answer = post(&proxy, path, body);
    assert_eq!(answer.json()["choices"][0]["finish_reason"], "content_filter", "{}", answer.text());
    assert_eq!(answer.json()["choices"][0]["extra_content"]["google"]["finish_reason"], "SAFETY");
    assert_eq!(google.generations().len(), 1);
}

#[test]
fn every_dialect_says_why_an_answer_was_filtered() {
    let blocked = |reason: &str| Step::stream(vec![json!({"promptFeedback": {"blockReason": reason}})]);
    for (word, step) in [
        ("IMAGE_SAFETY", finished(None, "IMAGE_SAFETY", None)),
        ("MODEL_ARMOR", finished(Some("par"), "MODEL_ARMOR", Some("Blocked by a template."))),
        ("ESCALATION", finished(None, "ESCALATION", None)),
        ("PUP_LIMITED_DISABLED", finished(None, "PUP_LIMITED_DISABLED", None)),
        ("JAILBREAK", blocked("JAILBREAK")),
        ("A_BLOCK_OF_2030", blocked("A_BLOCK_OF_2030")),
    ] {
        for stream in [false, true] {
            for (path, body) in dialects(stream) {
                let google = FakeGoogle::start();
                let proxy = Proxy::with_pool(&google, Pool::ApiKey);
                google.always("*", step.clone());
                let answer = post(&proxy, path, &body);
                let text = answer.text();
                assert_eq!((answer.status, google.generations().len()), (200, 1), "{word} {path}: {text}");
                let filtered = if path == "/v1/messages" { "refusal" } else { "content_filter" };
                assert!(text.contains(&format!("\"{filtered}\"")), "{word} {path}: {text}");
                assert!(text.contains(&format!("\"finish_reason\":\"{word}\"")), "{word} {path}: {text}");
                assert!(text.contains("\"finish_message\":\""), "{word} {path}: {text}");
                assert_eq!(listed(&proxy)["error"], word, "{word} {path}");
            }
        }
    }
}

#[test]
fn a_new_reason_behind_a_text_is_no_limit_and_is_told() {
    for stream in [false, true] {
        for (path, body) in dialects(stream) {
            let google = FakeGoogle::start();
            let proxy = Proxy::with_pool(&google, Pool::ApiKey);
            google.always("*", finished(Some("par"), "A_WORD_OF_2030", Some("It is new.")));
            let text = post(&proxy, path, &body).text();
            assert!(text.contains("A_WORD_OF_2030") && text.contains("It is new."), "{path}: {text}");
            let limits = ["\"length\"", "max_output_tokens\"}", "\"max_tokens\""];
            assert!(limits.iter().all(|limit| !text.contains(limit)), "{path}: {text}");
        }
    }
}

#[test]
fn a_plain_end_and_the_clients_own_limit_need_no_word() {
    for word in ["STOP", "MAX_TOKENS"] {
        for (path, body) in dialects(false) {
            let google = FakeGoogle::start();
            let proxy = Proxy::with_pool(&google, Pool::ApiKey);
            google.always("*", finished(Some("par"), word, None));
            let text = post(&proxy, path, &body).text();
            assert!(!text.contains("extra_content") && !text.contains(word), "{path}: {text}");
        }
    }
}

#[test]
fn what_is_no_function_call_is_not_called_one() {
    for (word, code) in [("MALFORMED_RESPONSE", "malformed_response"), ("UNEXPECTED_TOOL_CALL", "unexpected_tool_call")]
    {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, Pool::ApiKey);
        google.always("*", finished(None, word, None));
        let (path, body) = &dialects(false)[0];
        let answer = post(&proxy, path, body);
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status, &error["code"]), (502, &json!(code)), "{error}");
        assert!(!error["message"].as_str().unwrap().contains("malformed function call"), "{error}");
        assert_eq!(google.generations().len(), 3, "a second try often helps");
    }
}

#[test]
fn a_call_inside_a_thought_and_a_call_in_pieces_arrive_whole() {
    let call = |call: Value| json!({"candidates": [{"content": {"parts": [{"thought": true, "functionCall": call}]}}]});
    let piece = |text: &str| {
        call(
            json!({"partialArgs": [{"jsonPath": "$.city", "stringValue": text, "willContinue": true}], "willContinue": true}),
        )
    };
    let end = json!({"candidates": [{"finishReason": "STOP"}]});
    for events in [
        vec![call(json!({"name": "weather", "args": {"city": "Oslo"}})), end.clone()],
        vec![call(json!({"name": "weather", "willContinue": true})), piece("Os"), piece("lo"), call(json!({})), end],
    ] {
        for stream in [false, true] {
            let google = FakeGoogle::start();
            let proxy = Proxy::with_pool(&google, Pool::ApiKey);
            google.always("*", Step::stream(events.clone()));
            let (path, mut body) = dialects(stream)[0].clone();
            body["tools"] = json!([{"type": "function", "function": {"name": "weather"}}]);
            let text = post(&proxy, path, &body).text();
            assert!(text.contains(r#""arguments":"{\"city\":\"Oslo\"}""#), "{text}");
            assert!(text.contains("\"finish_reason\":\"tool_calls\""), "{text}");
        }
    }
}
