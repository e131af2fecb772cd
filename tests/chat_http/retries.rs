//! Answers that are of no use: asked for once more while nothing has gone out, then told with a true status
//! (docs/openai-chat.md "Finish reasons", docs/openai-chat.md "Empty and odd answers of Google").

use super::{content, error, event, finishes, frames, hello, parts, post, start};
use crate::common::google::{End, Step};
use crate::common::proxy::Pool;
use serde_json::{Value, json};

/// What a client gets in the end.
enum Expect {
    /// 200 with this text and finish.
    Answer(&'static str, &'static str),
    /// An error with this status and code.
    Error(u16, &'static str),
}
use Expect::{Answer, Error};

fn empty() -> Step {
    Step::stream(vec![json!({"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}]})])
}

fn only_usage() -> Step {
    Step::stream(vec![json!({"usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}})])
}

fn finish(word: &str) -> Step {
    Step::stream(vec![json!({"candidates": [{"finishReason": word}]})])
}

fn blocked(reason: &str) -> Step {
    Step::stream(vec![json!({"promptFeedback": {"blockReason": reason}})])
}

fn refused() -> Step {
    Step::stream(vec![json!({"error": {"code": 400, "message": "bad field", "status": "INVALID_ARGUMENT"}})])
}

fn thoughts() -> Step {
    parts(json!([{"text": "hm", "thought": true}]), "STOP")
}

#[test]
fn useless_answers_get_one_more_chance_before_the_first_byte() {
    let good = || Step::text("good");
    let cases: Vec<(&str, Vec<Step>, Expect, usize)> = vec![
        ("good", vec![good()], Answer("good", "stop"), 1),
        ("empty, then good", vec![empty(), good()], Answer("good", "stop"), 2),
        ("empty twice", vec![empty(), empty()], Answer("", "stop"), 2),
        ("only usage, then good", vec![only_usage(), good()], Answer("good", "stop"), 2),
        ("only usage twice", vec![only_usage(), only_usage()], Error(502, "empty_response"), 2),
        ("malformed, then good", vec![finish("MALFORMED_FUNCTION_CALL"), good()], Answer("good", "stop"), 2),
        ("unexpected call, then good", vec![finish("UNEXPECTED_TOOL_CALL"), good()], Answer("good", "stop"), 2),
        ("no room", vec![finish("MAX_TOKENS")], Answer("", "length"), 1),
        ("safety", vec![finish("SAFETY")], Answer("", "content_filter"), 1),
        (
            "partial text, then safety",
            vec![parts(json!([{"text": "par"}]), "SAFETY")],
            Answer("par", "content_filter"),
            1,
        ),
        ("blocked", vec![blocked("PROHIBITED_CONTENT")], Answer("", "content_filter"), 1),
        ("an unknown word", vec![parts(json!([{"text": "a"}]), "A_WORD_OF_2030")], Answer("a", "stop"), 1),
        ("an error within a 200", vec![refused()], Error(400, ""), 1),
        (
            "malformed twice, then good",
            vec![finish("MALFORMED_FUNCTION_CALL"), finish("MALFORMED_RESPONSE"), good()],
            Answer("good", "stop"),
            3,
        ),
    ];
    for (name, steps, expected, calls) in cases {
        for pool in Pool::EACH {
            for stream in [false, true] {
                let (google, proxy) = start(pool);
                steps.iter().for_each(|step| google.script("*", step.clone()));
                let answer = post(&proxy, &hello(stream));
                let what = format!("{name}, {pool:?}, stream={stream}: {}", answer.text());
                match &expected {
                    Answer(text, finish) => {
                        assert_eq!((answer.status, content(&answer).as_str()), (200, *text), "{what}");
                        assert_eq!(finishes(&answer), [*finish], "{what}");
                        assert!(!stream || answer.text().ends_with("data: [DONE]\n\n"), "{what}");
                    }
                    Error(status, code) => {
                        assert_eq!(answer.status, *status, "{what}");
                        assert_eq!(error(&answer.json())["code"].as_str().unwrap_or_default(), *code, "{what}");
                    }
                }
                assert_eq!(google.generations().len(), calls, "{what}");
            }
        }
    }
}

#[test]
fn an_event_that_is_no_json_gets_one_more_chance() {
    let (google, proxy) = start(Pool::ApiKey);
    let broken = || Step::raw_stream("data: {broken\n\n");
    google.script("*", broken());
    assert_eq!(content(&post(&proxy, &hello(true))), "You said: Hi");
    google.always("*", broken());
    let answer = post(&proxy, &hello(true));
    assert_eq!((answer.status, error(&answer.json())["code"].as_str()), (502, Some("upstream_invalid")));
    assert_eq!(google.generations().len(), 2 + 3, "nobody's fault, so dispatch asks twice more");
}

#[test]
fn malformed_calls_without_end_are_a_502() {
    for stream in [false, true] {
        let (google, proxy) = start(Pool::ApiKey);
        google.always("*", finish("MALFORMED_FUNCTION_CALL"));
        let answer = post(&proxy, &hello(stream));
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert_eq!(error(&answer.json())["code"], "malformed_function_call");
        assert_eq!(google.generations().len(), 3, "two more attempts, for a second try often can");
    }
}

#[test]
fn thoughts_alone_are_no_answer_while_they_can_be_taken_back() {
    let (google, proxy) = start(Pool::ApiKey);
    google.script("*", thoughts());
    google.script("*", Step::text("good"));
    assert_eq!(content(&post(&proxy, &hello(false))), "good");
    assert_eq!(google.generations().len(), 2);
    // In a stream they are out already.
    google.script("*", thoughts());
    let answer = post(&proxy, &hello(true));
    assert_eq!((content(&answer).as_str(), finishes(&answer)), ("", vec!["stop".to_owned()]));
    assert_eq!(google.generations().len(), 3);
}

#[test]
fn after_the_first_text_a_failure_is_an_error_event_and_nothing_follows() {
    let text = || event("par", None);
    let failure = |code: u16, status: &str| json!({"error": {"code": code, "message": "m", "status": status}});
    let malformed = json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]});
    for (name, step, code) in [
        ("cut cleanly", Step::stream(vec![text()]), Some("upstream_incomplete")),
        ("closed", Step::stream(vec![text(), text()]).cut_after_events(1, End::Close), None),
        ("reset", Step::stream(vec![text(), text()]).cut_after_events(1, End::Reset), None),
        ("an error event", Step::stream(vec![text(), failure(503, "UNAVAILABLE")]), Some("overloaded")),
        ("a limit", Step::stream(vec![text(), failure(429, "RESOURCE_EXHAUSTED")]), Some("rate_limit_exceeded")),
        ("a malformed call", Step::stream(vec![text(), malformed]), Some("malformed_function_call")),
        ("no JSON", Step::raw_stream(format!("data: {}\n\ndata: {{broken\n\n", text())), Some("upstream_invalid")),
    ] {
        let (google, proxy) = start(Pool::ApiKey);
        google.always("*", step);
        let answer = post(&proxy, &hello(true));
        let frames = frames(&answer);
        assert_eq!((answer.status, frames.len()), (200, 3), "{name}: {}", answer.text());
        assert!(frames[0].contains("\"role\":\"assistant\"") && frames[1].contains("\"par\""), "{name}");
        let document: Value = serde_json::from_str(&frames[2]).unwrap();
        let given = error(&document)["code"].as_str();
        assert!(code.is_none_or(|code| given == Some(code)), "{name}: {document}");
        assert!(given.is_some(), "{name}: {document}");
        assert_eq!(google.generations().len(), 1, "{name}: content is out, nobody else is asked");
        // A whole answer can be asked for again.
        let (google, proxy) = start(Pool::ApiKey);
        google.script("*", Step::stream(vec![text()]));
        assert_eq!(content(&post(&proxy, &hello(false))), "You said: Hi", "{name}");
    }
}
