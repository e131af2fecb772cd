//! `/v1/completions` by itself: requests into Google's terms, events into completions.

use crate::common::translation::{World, check, google_gets};
use gemini_openai_proxy::api::Exchange;
use gemini_openai_proxy::api::openai_completions::OpenAiCompletions;
use gemini_openai_proxy::error::ApiError;
use gemini_openai_proxy::gemini::surrogates::mark;
use serde_json::{Value, json};

fn parse(body: &str) -> Result<Box<dyn Exchange>, ApiError> {
    World::new(&OpenAiCompletions).parse(body)
}

/// Google's request, without the thinking that the model table plans.
fn google(fields: &str) -> Value {
    let body = format!(r#"{{"model":"gemini-2.5-flash",{fields}}}"#);
    let mut exchange = parse(&body).unwrap_or_else(|error| panic!("{body}: {error:?}"));
    let mut request = serde_json::to_value(&exchange.call().request).unwrap();
    if let Some(config) = request.get_mut("generationConfig").and_then(Value::as_object_mut) {
        config.remove("thinkingConfig");
    }
    request
}

/// What a request and these events give: the bytes that go out before and at the end, and how it ended.
fn run(fields: &str, events: &[Value]) -> (String, Result<(), ApiError>) {
    let mut translator = parse(&format!(r#"{{"model":"gemini-2.5-flash",{fields}}}"#)).unwrap().translator();
    let mut out = Vec::new();
    for event in events {
        let json = event.to_string();
        translator.event(&json, &serde_json::from_str(&json).unwrap(), &mut out).unwrap();
    }
    let end = translator.end(&mut out);
    (String::from_utf8(out).unwrap(), end)
}

fn chunks(stream: &str) -> Vec<Value> {
    let frames: Vec<&str> =
        stream.split_terminator("\n\n").map(|frame| frame.strip_prefix("data: ").unwrap()).collect();
    let (last, frames) = frames.split_last().unwrap();
    assert_eq!(*last, "[DONE]");
    frames.iter().map(|frame| serde_json::from_str(frame).unwrap()).collect()
}

fn said(text: &str) -> Value {
    json!({"candidates": [{"content": {"parts": [{"text": text}]}}]})
}

fn ended(word: &str) -> Value {
    json!({
        "candidates": [{"finishReason": word}],
        "usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 3, "totalTokenCount": 5},
    })
}

#[test]
fn token_probabilities_are_told_to_be_chats() {
    for (fields, is_told) in [(r#""logprobs":3"#, true), (r#""logprobs":0"#, false), (r#""logprobs":null"#, false)] {
        let exchange = parse(&format!(r#"{{"model":"gemini-2.5-flash","prompt":"x",{fields}}}"#)).unwrap();
        assert_eq!(exchange.notices().len(), usize::from(is_told), "{fields}: {:?}", exchange.notices());
    }
}

#[test]
fn a_prompt_is_one_user_turn() {
    let turn = |text: &str| json!([{"role": "user", "parts": [{"text": text}]}]);
    for (prompt, text) in [(r#""Hi ""#, "Hi "), (r#"["Hi"]"#, "Hi"), (r#""""#, " "), (r#"[""]"#, " ")] {
        assert_eq!(google(&format!(r#""prompt":{prompt}"#))["contents"], turn(text), "{prompt}");
    }
    let search = parse(r#"{"model":"gemini-2.5-flash-search","prompt":"a"}"#).unwrap().call().request.clone();
    assert_eq!(serde_json::to_value(&search.tools).unwrap(), json!([{"googleSearch": {}}]));
}

#[test]
fn what_a_completion_does_not_have_is_left_out() {
    for fields in [
        r#""n":1,"best_of":1,"suffix":"","logprobs":3,"top_logprobs":2,"logit_bias":{},"user":"u","unknown":1"#,
        r#""stop":null,"n":null,"best_of":null,"suffix":null,"echo":null,"stream":null,"logprobs":null,"messages":5"#,
        r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required","modalities":["audio"]"#,
        r#""functions":[{"name":"f"}],"function_call":{"name":"g"},"audio":{"format":"mp3"}"#,
    ] {
        let expected = json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}], "generationConfig": {}});
        assert_eq!(google(&format!(r#""prompt":"a",{fields}"#)), expected, "{fields}");
    }
}

#[test]
fn thoughts_are_never_asked_for() {
    let mut exchange = parse(r#"{"model":"gemini-2.5-pro-maxthinking","prompt":"a"}"#).unwrap();
    let config = exchange.call().request.generation_config.clone().unwrap();
    assert_eq!(config.thinking_config.unwrap().include_thoughts, Some(false));
}

#[test]
fn what_cannot_be_served_is_refused_by_its_field() {
    check("openai_completions", "refused", |case| google_gets(&OpenAiCompletions, case));
}

#[test]
fn a_whole_answer_is_one_object() {
    let thought = json!({"candidates": [{"content": {"parts": [{"text": "hm", "thought": true}, {"text": "He"}]}}]});
    let (body, end) = run(r#""prompt":"Say: ","echo":true"#, &[thought, said("llo"), ended("STOP")]);
    end.unwrap();
    let mut found: Value = serde_json::from_str(&body).unwrap();
    assert!(found["id"].as_str().unwrap().starts_with("cmpl-") && found["created"].as_u64().unwrap() > 1_700_000_000);
    found["id"] = "i".into();
    found["created"] = 1.into();
    assert_eq!(
        found.to_string(),
        r#"{"id":"i","object":"text_completion","created":1,"model":"gemini-2.5-flash","choices":[{"text":"Say: Hello","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}"#
    );
}

#[test]
fn a_stream_is_text_then_one_finish_then_usage_then_done() {
    let fields = r#""prompt":"P ","stream":true,"stream_options":{"include_usage":true},"echo":true"#;
    let (stream, end) = run(fields, &[said("a"), said(""), said("b"), ended("STOP"), ended("MAX_TOKENS")]);
    end.unwrap();
    let chunks = chunks(&stream);
    let seen: Vec<(&Value, &Value)> =
        chunks[..3].iter().map(|chunk| (&chunk["choices"][0]["text"], &chunk["choices"][0]["finish_reason"])).collect();
    assert_eq!(seen, [(&json!("P a"), &Value::Null), (&json!("b"), &Value::Null), (&json!(""), &json!("length"))]);
    assert!(chunks[..3].iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
    assert_eq!(chunks[3]["choices"], json!([]));
    assert_eq!(chunks[3]["usage"]["total_tokens"], 5);
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"] && chunk["object"] == "text_completion"));

    let (stream, _) = run(r#""prompt":"P","stream":true"#, &[said("a"), ended("STOP")]);
    assert!(!stream.contains("usage"), "usage is sent to those who ask: {stream}");
}

#[test]
fn halves_of_a_character_in_two_events_become_one() {
    let half = |text: &str| {
        let json = format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}}}}]}}"#);
        serde_json::from_str::<Value>(&mark(&json)).unwrap()
    };
    let (stream, _) = run(r#""prompt":"P","stream":true"#, &[half(r"a\ud83d"), half(r"\ude00b"), ended("STOP")]);
    let text: String =
        chunks(&stream).iter().map(|chunk| chunk["choices"][0]["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(text, "a\u{1f600}b");
}

#[test]
fn odd_ends_are_told_apart() {
    let blocked = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}});
    let usage = json!({"usageMetadata": {"promptTokenCount": 1}});
    for (events, expected) in [
        (vec![ended("STOP")], Err("empty_response")),
        (vec![ended("MAX_TOKENS")], Ok("length")),
        (vec![said("a"), ended("SAFETY")], Ok("content_filter")),
        (vec![blocked], Ok("content_filter")),
        (vec![ended("MALFORMED_RESPONSE")], Err("malformed_response")),
        (vec![usage], Err("empty_response")),
        (vec![], Err("empty_response")),
        (vec![said("a")], Err("upstream_incomplete")),
    ] {
        let (body, end) = run(r#""prompt":"a""#, &events);
        match expected {
            Ok(reason) => {
                assert_eq!(end, Ok(()), "{events:?}");
                let found: Value = serde_json::from_str(&body).unwrap();
                assert_eq!(found["choices"][0]["finish_reason"], reason, "{events:?}");
            }
            Err(code) => {
                let error = end.unwrap_err();
                assert_eq!((error.status, error.code()), (502, Some(code)), "{events:?}");
                assert_eq!(body, "");
            }
        }
    }
}

#[test]
fn an_error_in_a_stream_is_one_event_and_no_done() {
    let mut translator = parse(r#"{"model":"gemini-2.5-flash","prompt":"a","stream":true}"#).unwrap().translator();
    let mut out = Vec::new();
    translator.fail(&ApiError::server(503, "overloaded", "busy"), &mut out);
    let expected = r#"{"error":{"message":"busy","type":"server_error","param":null,"code":"overloaded"}}"#;
    assert_eq!(String::from_utf8(out).unwrap(), format!("data: {expected}\n\n"));
}
