//! Anthropic's dialect by itself, without sockets. The checker and what it reads are in `common/translation.rs`; in `out`
//! of a stream an event is its data without `type` beside the name that its line gives.

mod http;

use crate::common::translation::{World, answer, check, differs, google_gets};
use gemini_openai_proxy::api::anthropic_messages::AnthropicMessages;
use gemini_openai_proxy::api::{Exchange, Framing, Surface};
use serde_json::{Value, json};

static SURFACE: AnthropicMessages = AnthropicMessages { id: String::new() };

#[test]
fn requests_become_what_google_expects() {
    check("anthropic_messages", "requests", |case| google_gets(&SURFACE, case));
    check("anthropic_messages", "refused", |case| google_gets(&SURFACE, case));
}

fn exchange(given: &Value, stream: bool) -> Box<dyn Exchange> {
    let mut body = json!({"model": "gemini-3.1-pro-preview", "max_tokens": 4096, "stream": stream,
        "messages": [{"role": "user", "content": "x"}]});
    for (name, value) in given.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    World::new(&SURFACE).parse(body.to_string()).unwrap()
}

fn attempts(case: &Value) -> &[Value] {
    case["attempts"].as_array().expect("attempts")
}

#[test]
fn answers_become_messages() {
    check("anthropic_messages", "answers", |case| {
        let exchange = exchange(&case["given"], false);
        assert_eq!(exchange.framing(), Framing::Whole);
        let message = match (answer(&*exchange, attempts(case)), case["out"].get("error")) {
            (Ok(message), _) => serde_json::from_str(&message).unwrap(),
            (Err(error), Some(_)) => serde_json::from_slice(&SURFACE.error(&error).body).unwrap(),
            (Err(error), None) => return Err(format!("{error:?}")),
        };
        differs(&case["out"], &message, "message").map_or(Ok(()), Err)
    });
}

/// The events of a stream. Each must have a line with its name before its data, or the official SDKs see nothing.
pub fn events(stream: &str) -> Vec<(String, Value)> {
    let event = |text: &str| {
        let (name, data) = text.split_once('\n').expect("two lines");
        let name = name.strip_prefix("event: ").expect("a name").to_owned();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).unwrap();
        assert_eq!(data["type"], name.as_str());
        (name, data)
    };
    stream.split_terminator("\n\n").map(event).collect()
}

/// What the SDKs' accumulators rely on, whatever the answer.
pub fn is_well_formed(events: &[(String, Value)]) {
    assert_eq!(events[0].0, "message_start");
    let (mut next, mut open) = (0, None);
    for (name, data) in &events[1..] {
        match name.as_str() {
            "content_block_start" => {
                assert_eq!((open, data["index"].as_u64()), (None, Some(next)), "one block at a time, without gaps");
                open = Some(next);
                next += 1;
            }
            "content_block_delta" => assert_eq!(data["index"].as_u64(), open),
            "content_block_stop" => assert_eq!(data["index"].as_u64(), open.take()),
            "message_delta" | "message_stop" | "error" => {}
            other => panic!("{other}"),
        }
    }
    if events.last().is_some_and(|(name, _)| name != "error") {
        assert_eq!(open, None);
        assert_eq!(events.iter().filter(|(name, _)| name == "message_delta").count(), 1);
        assert_eq!(events.last().unwrap().0, "message_stop");
    }
}

#[test]
fn streams_become_events() {
    check("anthropic_messages", "streams", |case| {
        let exchange = exchange(&case["given"], true);
        let stream = answer(&*exchange, attempts(case)).map_err(|error| format!("{error:?}"))?;
        let events = events(&stream);
        is_well_formed(&events);
        let actual: Vec<Value> = events.into_iter().map(|(_, data)| data).collect();
        differs(&case["out"], &json!(actual), "events").map_or(Ok(()), Err)
    });
}

/// What a client makes of the events: the message that a request without `stream` gets.
pub fn accumulated(events: &[(String, Value)]) -> Value {
    let mut message = events[0].1["message"].clone();
    let mut inputs = String::new();
    for (name, data) in &events[1..] {
        let content = message["content"].as_array_mut().unwrap();
        match name.as_str() {
            "content_block_start" => {
                content.push(data["content_block"].clone());
                inputs.clear();
            }
            "content_block_delta" => {
                let block = content.last_mut().unwrap();
                let delta = &data["delta"];
                let append =
                    |field: &Value, more: &Value| json!(field.as_str().unwrap().to_owned() + more.as_str().unwrap());
                match delta["type"].as_str().unwrap() {
                    "text_delta" => block["text"] = append(&block["text"], &delta["text"]),
                    "thinking_delta" => block["thinking"] = append(&block["thinking"], &delta["thinking"]),
                    "signature_delta" => block["signature"] = delta["signature"].clone(),
                    "input_json_delta" => {
                        inputs.push_str(delta["partial_json"].as_str().unwrap());
                        block["input"] = serde_json::from_str(&inputs).unwrap();
                    }
                    other => panic!("{other}"),
                }
            }
            "message_delta" => {
                message.as_object_mut().unwrap().extend(data["delta"].as_object().unwrap().clone());
                message["usage"] = data["usage"].clone();
            }
            _ => {}
        }
    }
    message
}

#[test]
fn a_stream_accumulates_to_the_message_of_a_whole_answer() {
    for name in ["streams", "answers"] {
        check("anthropic_messages", name, |case| {
            let whole = answer(&*exchange(&case["given"], false), attempts(case));
            let stream = answer(&*exchange(&case["given"], true), attempts(case));
            let (Ok(whole), Ok(stream)) = (whole, stream) else { return Ok(()) };
            let events = events(&stream);
            if events.iter().any(|(name, _)| name == "error") {
                return Ok(());
            }
            let mut whole: Value = serde_json::from_str(&whole).unwrap();
            let mut message = accumulated(&events);
            // What was searched is known in a stream when the text is out already.
            let at_the_end =
                |block: &Value| block["type"].as_str().is_some_and(|kind| kind.contains("tool_") && kind != "tool_use");
            for message in [&mut whole, &mut message] {
                message["content"].as_array_mut().unwrap().sort_by_key(at_the_end);
            }
            for message in [&mut whole, &mut message] {
                message["id"] = json!("…");
                for block in message["content"].as_array_mut().unwrap() {
                    // Made anew for each answer where Google gives none, and so is the envelope that names it.
                    for field in ["id", "tool_use_id", "signature"] {
                        if block.get(field).is_some_and(|value| value != "") {
                            block[field] = json!("…");
                        }
                    }
                }
            }
            differs(&whole, &message, "message").map_or(Ok(()), Err)
        });
    }
}

#[test]
fn the_ids_of_two_searches_differ() {
    let event = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "x"}]}, "finishReason": "STOP",
        "groundingMetadata": {"webSearchQueries": ["q"]}}]});
    let given = json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]});
    let id = || {
        let message: Value =
            serde_json::from_str(&answer(&*exchange(&given, false), &[json!([event])]).unwrap()).unwrap();
        assert_eq!(message["content"][0]["id"], message["content"][1]["tool_use_id"]);
        message["content"][0]["id"].as_str().unwrap().to_owned()
    };
    assert_ne!(id(), id());
}
