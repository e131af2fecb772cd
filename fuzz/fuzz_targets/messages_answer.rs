//! Google's event stream made into a message: one block open at a time, indices without gaps, inputs of tools that are
//! objects, and at the end either a reason and `message_stop` or an error.
#![no_main]

mod world;

use gemini_openai_proxy::api::anthropic_messages::AnthropicMessages;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

/// Fields of the request that change how answers are made.
fn request(kind: u8) -> Value {
    let mut body = json!({"model": "gemini-2.5-flash", "max_tokens": 99, "messages": [{"role": "user", "content": "x"}]});
    body["stream"] = json!(kind & 1 == 0);
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    if kind & 2 != 0 {
        body["tools"] = json!([{"name": "f", "input_schema": schema}, {"type": "bash_20250124", "name": "bash"},
            {"type": "web_search_20250305", "name": "web_search"}]);
    }
    if kind & 4 != 0 {
        body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
    }
    if kind & 8 != 0 {
        body["thinking"] = json!({"type": "adaptive"});
    }
    if kind & 16 != 0 {
        body["stop_sequences"] = json!(["1", "2", "3", "4", "5", "END", "EN", "ä"]);
    }
    if kind & 32 != 0 {
        body["thinking"] = json!({"type": "adaptive", "display": "omitted"});
    }
    if kind & 64 != 0 {
        body["tool_choice"] = json!({"type": "auto", "disable_parallel_tool_use": true});
    }
    body
}

fn check_stream(out: &[u8]) {
    let events = world::named_events(out);
    let (mut next, mut open, mut input) = (0, None, None::<String>);
    for (at, (name, data)) in events.iter().enumerate() {
        let is_last = at + 1 == events.len();
        match name.as_str() {
            "message_start" => assert_eq!(at, 0),
            "content_block_start" => {
                assert_eq!((open, data["index"].as_u64()), (None, Some(next)));
                open = Some(next);
                next += 1;
                input = (data["content_block"]["type"] == "tool_use").then(String::new);
            }
            "content_block_delta" => {
                assert_eq!(data["index"].as_u64(), open);
                if let (Some(input), Some(piece)) = (&mut input, data["delta"]["partial_json"].as_str()) {
                    input.push_str(piece);
                }
            }
            "content_block_stop" => {
                assert_eq!(data["index"].as_u64(), open.take());
                if let Some(input) = input.take() {
                    assert!(serde_json::from_str::<Value>(&input).unwrap().is_object(), "{input}");
                }
            }
            "message_delta" => {
                assert!(open.is_none() && data["delta"]["stop_reason"].is_string() && data["usage"].is_object());
                assert!(next > 0, "a message without a block is taken for a failure");
                assert_eq!(events[at + 1].0, "message_stop");
            }
            "message_stop" => assert!(is_last && events[at - 1].0 == "message_delta"),
            "error" => assert!(is_last),
            other => panic!("{other}"),
        }
    }
    assert!(matches!(events.last().unwrap().0.as_str(), "message_stop" | "error"));
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, body)) = data.split_first() else { return };
    let request = request(*kind);
    match world::answer(&AnthropicMessages { id: String::new() }, &request, body) {
        Some(Ok(out)) if request["stream"] == true => check_stream(&out),
        Some(Ok(out)) => {
            let message: Value = serde_json::from_slice(&out).unwrap();
            assert!(message["stop_reason"].is_string());
            let blocks = message["content"].as_array().unwrap();
            assert!(!blocks.is_empty());
            assert!(blocks.iter().all(|block| block["type"] != "tool_use" || block["input"].is_object()));
        }
        _ => {}
    }
});
