//! A whole answer and a stream say the same of the same events: what the chunks add up to is the message.

use super::{List, Numbers, answer, cases, compact, exchange};
use serde_json::{Value, json};

/// What a client has in the end, without what is random in it: message, finish reason and usage, or the error's code.
#[derive(Debug, PartialEq)]
enum Outcome {
    Answer { message: Value, finish: Value, usage: Value },
    Error(String),
}

fn whole(given: &Value, attempts: &[Value]) -> Outcome {
    let document: Value = match answer(&*exchange(given, false), attempts) {
        Ok(text) => serde_json::from_str(&text).unwrap(),
        Err(error) => return Outcome::Error(error.code().unwrap_or_default().to_owned()),
    };
    let choice = &document["choices"][0];
    let mut message = empty();
    for (name, value) in choice["message"].as_object().unwrap() {
        add(&mut message, name, value);
    }
    Outcome::Answer { message, finish: choice["finish_reason"].clone(), usage: document["usage"].clone() }
}

fn streamed(given: &Value, attempts: &[Value]) -> Outcome {
    let mut given = given.clone();
    given["stream_options"] = json!({"include_usage": true});
    let text = match answer(&*exchange(&given, true), attempts) {
        Ok(text) => text,
        Err(error) => return Outcome::Error(error.code().unwrap_or_default().to_owned()),
    };
    let (chunks, _) = compact(&text);
    let (mut message, mut finish, mut usage) = (empty(), Value::Null, Value::Null);
    for chunk in &chunks {
        if let Some(error) = chunk.get("error") {
            assert_eq!(Some(chunk), chunks.last(), "nothing comes after an error");
            return Outcome::Error(error["code"].as_str().unwrap().to_owned());
        }
        for (name, value) in chunk["d"].as_object().into_iter().flatten() {
            add(&mut message, name, value);
        }
        for (name, slot) in [("fin", &mut finish), ("usage", &mut usage)] {
            if let Some(value) = chunk.get(name) {
                assert!(slot.is_null(), "{name} comes once: {chunks:?}");
                *slot = value.clone();
            }
        }
    }
    assert_eq!(chunks.last().unwrap(), "[DONE]");
    Outcome::Answer { message, finish, usage }
}

/// Both ways begin with it, so that what is empty and what is absent are the same.
fn empty() -> Value {
    json!({"content": "", "reasoning_content": "", "tool_calls": [], "images": [], "annotations": []})
}

/// Adds a field of a message or of a delta as the official helpers do: texts are joined, lists extended.
fn add(message: &mut Value, name: &str, value: &Value) {
    match (name, value) {
        (_, Value::Null) => {}
        ("content" | "reasoning_content", Value::String(text)) => {
            message[name] = format!("{}{text}", message[name].as_str().unwrap()).into();
        }
        ("tool_calls" | "images" | "annotations", Value::Array(items)) => {
            for item in items {
                let mut item = item.clone();
                let place = message[name].list().len();
                let fields = item.as_object_mut().unwrap();
                assert!(fields.remove("index").is_none_or(|index| index == place), "{name} at {place}: {items:?}");
                if fields.get("id").is_some_and(|id| id.as_str().unwrap().starts_with("call_")) {
                    fields["id"] = "random".into();
                }
                message[name].as_array_mut().unwrap().push(item);
            }
        }
        ("audio", audio) => message[name] = audio["data"].clone(),
        (name, value) => {
            assert!(message.get(name).is_none(), "{name} comes once");
            message[name] = value.clone();
        }
    }
}

/// What is wrong, if anything. Every attempt gets the same events, because a whole answer may be worth more attempts than
/// a stream whose beginning is out.
fn differs(given: &Value, events: &Value) -> Option<String> {
    let attempts = vec![events.clone(); 3];
    let (whole, streamed) = (whole(given, &attempts), streamed(given, &attempts));
    // A stream of thoughts is out when it turns out that nothing follows; a whole answer can still be called empty.
    let only_thoughts = |outcome: &Outcome| match outcome {
        Outcome::Answer { message, finish, .. } => {
            finish == "stop" && message["content"] == "" && message["reasoning_content"] != ""
        }
        Outcome::Error(_) => false,
    };
    if whole == streamed || (whole == Outcome::Error("empty_response".into()) && only_thoughts(&streamed)) {
        return None;
    }
    Some(format!("given {given}\n  {events}\n  whole    {whole:?}\n  streamed {streamed:?}"))
}

fn show(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.iter().min_by_key(|text| text.len()).unwrap());
}

#[test]
fn every_answer_of_the_fixtures_is_the_same_streamed_and_whole() {
    let answers = ["answers", "streams", "streams_more"].into_iter().flat_map(|name| cases("openai_chat", name));
    let attempts = answers.flat_map(|case| {
        let given = case["given"].clone();
        case["attempts"].list().to_vec().into_iter().map(move |events| (given.clone(), events))
    });
    let plain = attempts.filter(|(_, events)| {
        // Failures between events and envelopes are tested where they are made.
        events.list().iter().all(|event| event.get("__fail__").is_none() && event.get("traceId").is_none())
    });
    show(plain.filter_map(|(given, events)| differs(&or_empty(given), &events)).collect());
}

fn or_empty(given: Value) -> Value {
    if given.is_null() { json!({}) } else { given }
}

#[test]
fn any_sequence_of_events_is_the_same_streamed_and_whole() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut wrong = Vec::new();
    for _ in 0..1000 {
        let given = random_given(&mut numbers);
        let events: Value = (0..numbers.below(5)).map(|_| random_event(&mut numbers)).collect();
        wrong.extend(differs(&given, &events));
    }
    show(wrong);
}

#[test]
fn a_stream_keeps_no_long_text_for_citations_nobody_asked_for() {
    for (given, length, start) in
        [(json!({}), 2000, 1), (json!({}), 2100, 1051), (json!({"web_search_options": {}}), 9000, 1)]
    {
        let text = "é".repeat(length / 2);
        let grounding = json!({"groundingChunks": [{"web": {"uri": "u"}}], "groundingSupports": [
            {"segment": {"startIndex": 2, "endIndex": 4}, "groundingChunkIndices": [0]}]});
        let events = json!([
            {"candidates": [{"content": {"parts": [{"text": text}]}}]},
            {"candidates": [{"content": {"parts": [{"text": "."}]}, "groundingMetadata": grounding, "finishReason": "STOP"}]},
        ]);
        let Outcome::Answer { message, .. } = streamed(&given, &[events]) else { panic!("{given}") };
        let starts: Vec<&Value> =
            message["annotations"].list().iter().map(|a| &a["url_citation"]["start_index"]).collect();
        assert_eq!(starts, vec![start], "{given} {length}: where the text is not kept, at its end");
    }
}

fn random_given(numbers: &mut Numbers) -> Value {
    let weather = json!({"name": "w", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}});
    let tools = json!([{"type": "function", "function": weather}, {"type": "custom", "custom": {"name": "p"}},
        {"type": "function", "function": {"name": "a b", "parameters": {"type": "array", "items": {"type": "integer"}}}}]);
    let choices = json!([
        {}, {}, {"tools": tools}, {"tools": tools, "parallel_tool_calls": false}, {"functions": [weather]},
        {"google": {"thought_tag_marker": "think"}}, {"stop": ["1", "2", "3", "4", "5", "END", "😀é"]},
        {"web_search_options": {}}, {"web_search_options": {}, "google": {"thought_tag_marker": "think"}},
        {"model": "gemini-2.5-flash-image"}, {"model": "gemini-3-pro-preview"}, {"model": "gemini-2.5-flash-preview-tts"},
        {"tools": tools, "stop": ["1", "2", "3", "4", "5", "END"], "google": {"thought_tag_marker": "think"}},
    ]);
    choices[numbers.below(choices.list().len())].clone()
}

fn random_event(numbers: &mut Numbers) -> Value {
    let parts: Value = (0..numbers.below(4)).map(|_| random_part(numbers)).collect();
    let finishes =
        json!([null, null, null, "STOP", "STOP", "MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL", "OTHER", "NEW"]);
    let contents = [json!({"role": "model", "parts": parts}), json!({"parts": parts}), json!({}), Value::Null];
    let citation = json!({"groundingChunks": [{"web": {"uri": "u", "title": "T"}}], "groundingSupports": [
        {"segment": {"startIndex": 1, "endIndex": 4, "text": "é"}, "groundingChunkIndices": [0]},
        {"segment": {"partIndex": 1, "endIndex": 3}, "groundingChunkIndices": [0]}]});
    let candidate = json!({
        "content": contents[numbers.below(6).saturating_sub(2)],
        "finishReason": finishes[numbers.below(10)],
        "groundingMetadata": if numbers.below(4) == 0 { citation } else { Value::Null },
    });
    let mut event = json!({"candidates": [candidate], "responseId": "r"});
    match numbers.below(12) {
        0 => event["candidates"] = json!([]),
        1 => event["candidates"] = json!([{"index": 1, "content": {"parts": [{"text": "other"}]}}, candidate]),
        2 => event["promptFeedback"] = json!({"blockReason": "SAFETY"}),
        3 => event["promptFeedback"] = json!({}),
        _ => {}
    }
    let count = |numbers: &mut Numbers| if numbers.below(3) == 0 { Value::Null } else { numbers.below(50).into() };
    if numbers.below(2) == 0 {
        event["usageMetadata"] = json!({"promptTokenCount": count(numbers), "candidatesTokenCount": count(numbers),
            "thoughtsTokenCount": count(numbers), "totalTokenCount": count(numbers), "cachedContentTokenCount": count(numbers)});
    }
    event
}

fn random_part(numbers: &mut Numbers) -> Value {
    let texts = ["", " ", "a", "é", "😀", "x E", "ND y", "END", "😀é", "\n```\n", "\u{2028}"];
    let text = texts[numbers.below(texts.len())];
    let (ids, media) = (["x", "y", ""], ["image/png", "audio/L16", "text/plain"]);
    let names = ["w", "p", "a_b", "default_api.w", "unknown", ""];
    let arguments = json!([{}, {"n": 3.0}, {"input": [1.0]}, {"input": "é"}, null, [1], "{\"n\":1}", 7]);
    let mut part = match numbers.below(10) {
        0..=2 => json!({"text": text}),
        3 | 4 => json!({"text": text, "thought": true}),
        5 => json!({"functionCall": {"name": names[numbers.below(6)], "args": arguments[numbers.below(8)]}}),
        6 => json!({"functionCall": {"name": "w", "id": ids[numbers.below(3)]}}),
        7 => {
            json!({"inlineData": {"mimeType": media[numbers.below(3)], "data": "AAAA"}})
        }
        8 => json!({"executableCode": {"language": "PYTHON", "code": text}}),
        _ => json!({"codeExecutionResult": {"output": text}}),
    };
    if numbers.below(5) == 0 {
        part["thoughtSignature"] = ["U0lH", "QUJD", ""][numbers.below(3)].into();
    }
    part
}
