//! Google's event stream made into an answer for a chat client: every frame is one line of JSON, there is at most one
//! finish, nothing follows it but usage and `[DONE]`, and call indices have no gaps.
#![no_main]

mod world;

use gemini_openai_proxy::api::openai_chat::OpenAiChat;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

/// Fields of the request that change how answers are made.
fn request(kind: u8) -> Value {
    let mut body = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "x"}]});
    body["stream"] = json!(kind & 1 == 0);
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    if kind & 2 != 0 {
        body["tools"] = json!([{"type": "function", "function": {"name": "f", "parameters": schema}},
                               {"type": "custom", "custom": {"name": "c"}}]);
    }
    if kind & 4 != 0 {
        body["response_format"] = json!({"type": "json_object"});
    }
    if kind & 8 != 0 {
        body["google"] = json!({"thought_tag_marker": "thought"});
    }
    if kind & 16 != 0 {
        body["stop"] = json!(["1", "2", "3", "4", "5", "END", "EN", "ä"]);
    }
    if kind & 32 != 0 {
        body["stream_options"] = json!({"include_usage": true});
        body["logprobs"] = json!(true);
    }
    if kind & 64 != 0 {
        body["parallel_tool_calls"] = json!(false);
    }
    if kind & 128 != 0 {
        body["functions"] = json!([{"name": "f", "parameters": schema}]);
    }
    body
}

fn check_stream(out: &[u8]) {
    let text = std::str::from_utf8(out).unwrap();
    let mut finished = false;
    let mut calls = 0;
    for frame in text.split_terminator("\n\n") {
        let data = frame.strip_prefix("data: ").unwrap();
        assert!(!data.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']));
        if data == "[DONE]" {
            assert!(finished);
            continue;
        }
        let chunk: Value = serde_json::from_str(data).unwrap();
        let Some(choice) = chunk["choices"].get(0) else {
            assert!(finished && chunk["usage"].is_object() || chunk["error"].is_object());
            continue;
        };
        assert!(!finished, "a chunk after the finish");
        finished = !choice["finish_reason"].is_null();
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            assert_eq!(call["index"], calls);
            assert!(!call["id"].as_str().unwrap().is_empty());
            calls += 1;
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, body)) = data.split_first() else { return };
    let request = request(*kind);
    match world::answer(&OpenAiChat, &request, body) {
        Some(Ok(out)) if request["stream"] == true => check_stream(&out),
        Some(Ok(out)) => {
            let document: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(document["object"], "chat.completion");
            assert!(document["choices"][0]["finish_reason"].is_string());
        }
        _ => {}
    }
});
