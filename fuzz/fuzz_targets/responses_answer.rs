//! Google's event stream made into a response: only known events, one item open at a time, indices and sequence numbers
//! without gaps, and exactly one last event, whose response has all items.
#![no_main]

mod world;

use gemini_openai_proxy::api::openai_responses::{OpenAiResponses, Store, Task};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

static STORE: LazyLock<Arc<Store>> = LazyLock::new(|| Arc::new(Store::new(1 << 16)));
const LAST: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];

/// Fields of the request that change how answers are made.
fn request(kind: u8) -> Value {
    let mut body = json!({"model": "gemini-2.5-flash", "input": "x"});
    body["stream"] = json!(kind & 1 == 0);
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    if kind & 2 != 0 {
        body["tools"] = json!([{"type": "function", "name": "f", "parameters": schema}, {"type": "custom", "name": "c"},
            {"type": "namespace", "name": "m", "tools": [{"type": "function", "name": "f"}]}, {"type": "local_shell"},
            {"type": "shell"}, {"type": "apply_patch"}, {"type": "web_search"}]);
    }
    if kind & 4 != 0 {
        body["text"] = json!({"format": {"type": "json_object"}});
    }
    if kind & 8 != 0 {
        body["include"] = json!(["reasoning.encrypted_content"]);
    }
    if kind & 16 != 0 {
        body["reasoning"] = json!({"summary": "auto"});
    }
    if kind & 32 != 0 {
        body["store"] = json!(false);
    }
    if kind & 64 != 0 {
        body["parallel_tool_calls"] = json!(false);
    }
    if kind & 128 != 0 {
        body["input"] = json!([{"role": "user", "content": "x"}, {"type": "compaction_trigger"}]);
    }
    body
}

fn check_stream(out: &[u8]) {
    let events = world::named_events(out);
    assert_eq!((events[0].0.as_str(), events[1].0.as_str()), ("response.created", "response.in_progress"));
    let mut open = None;
    let mut done = Vec::new();
    for (at, (name, data)) in events.iter().enumerate() {
        assert_eq!(data["sequence_number"], at);
        assert_eq!(LAST.contains(&name.as_str()), at + 1 == events.len(), "{name}");
        if let Some(response) = data.get("response") {
            assert_eq!(response["id"], events[0].1["response"]["id"]);
            continue;
        }
        assert_eq!(data["output_index"], done.len());
        match name.as_str() {
            "response.output_item.added" => assert!(open.replace(data["item"]["id"].clone()).is_none()),
            "response.output_item.done" => {
                assert_eq!(open.take().as_ref(), Some(&data["item"]["id"]));
                done.push(data["item"].clone());
            }
            _ => assert_eq!(open.as_ref(), Some(&data["item_id"]), "{name}"),
        }
    }
    let (last, data) = events.last().unwrap();
    let mut output = data["response"]["output"].as_array().unwrap().clone();
    // What was open when the answer broke off is told as far as it came.
    if last == "response.failed" && open.is_some() {
        assert_eq!(output.pop().map(|item| item["id"].clone()), open);
    }
    assert_eq!(output, done);
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, body)) = data.split_first() else { return };
    let request = request(*kind);
    let surface = OpenAiResponses { store: STORE.clone(), task: Task::Answer };
    match world::answer(&surface, &request, body) {
        Some(Ok(out)) if request["stream"] == true => check_stream(&out),
        Some(Ok(out)) => {
            let document: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(document["object"], "response");
            assert!(matches!(document["status"].as_str(), Some("completed" | "incomplete")));
        }
        _ => {}
    }
});
