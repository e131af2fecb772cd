//! OpenAI's Responses dialect by itself, without sockets. The checker and what it reads are in `common/translation.rs`; in
//! `out` of a stream are `events` (their names in order, with the type of an item that is added), `items` (the output),
//! `last` (the last event) and fields of the last response.

mod http;

use crate::common::translation::{World, answer, check, differs, google_gets};
use gemini_openai_proxy::api::openai_responses::{OpenAiResponses, Store, Task};
use gemini_openai_proxy::api::{Exchange, Framing};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// Nothing is kept.
static SURFACE: LazyLock<OpenAiResponses> =
    LazyLock::new(|| OpenAiResponses { store: Arc::new(Store::new(0)), task: Task::Answer });

/// All that the SDKs know; openai-node throws at others.
const KNOWN: [&str; 31] = [
    "created",
    "in_progress",
    "completed",
    "incomplete",
    "failed",
    "output_item.added",
    "output_item.done",
    "content_part.added",
    "content_part.done",
    "output_text.delta",
    "output_text.done",
    "output_text.annotation.added",
    "refusal.delta",
    "refusal.done",
    "reasoning_summary_part.added",
    "reasoning_summary_part.done",
    "reasoning_summary_text.delta",
    "reasoning_summary_text.done",
    "reasoning_text.delta",
    "reasoning_text.done",
    "function_call_arguments.delta",
    "function_call_arguments.done",
    "custom_tool_call_input.delta",
    "custom_tool_call_input.done",
    "web_search_call.in_progress",
    "web_search_call.searching",
    "web_search_call.completed",
    "image_generation_call.in_progress",
    "image_generation_call.generating",
    "image_generation_call.completed",
    "image_generation_call.partial_image",
];

#[test]
fn requests_become_what_google_expects() {
    check("openai_responses", "requests", |case| google_gets(&*SURFACE, case));
    check("openai_responses", "refused", |case| google_gets(&*SURFACE, case));
}

fn exchange(given: &Value, stream: bool) -> Box<dyn Exchange> {
    let mut body = json!({"model": "gemini-3.1-pro-preview", "input": "x", "stream": stream,
        "include": ["reasoning.encrypted_content"], "reasoning": {"summary": "auto"}});
    for (name, value) in given.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    World::new(&*SURFACE).parse(body.to_string()).unwrap()
}

fn attempts(case: &Value) -> &[Value] {
    case["attempts"].as_array().expect("attempts")
}

/// The events of a stream without `response.` in their names.
pub fn events(stream: &str) -> Vec<(String, Value)> {
    let comments = |frame: &&str| !frame.starts_with(':');
    let stream: String = stream.split_inclusive("\n\n").filter(comments).collect();
    let named = crate::anthropic_messages::events(&stream).into_iter();
    named.map(|(name, data)| (name.strip_prefix("response.").expect("the prefix of all").to_owned(), data)).collect()
}

/// What the SDKs' accumulators and Codex rely on, whatever the answer. Returns the last response.
pub fn is_well_formed(events: &[(String, Value)]) -> Value {
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..2], ["created", "in_progress"]);
    let is_last = |name: &&&str| ["completed", "incomplete", "failed"].contains(*name);
    assert_eq!(names.iter().filter(is_last).count(), 1, "{names:?}");
    let last = &events.last().unwrap().1["response"];
    assert_eq!(last["status"], names[names.len() - 1]);
    let mut open: Option<(Value, Value)> = None;
    let mut done: Vec<Value> = Vec::new();
    let mut texts: HashMap<String, String> = HashMap::new();
    for (index, (name, data)) in events.iter().enumerate() {
        assert!(KNOWN.contains(&name.as_str()), "{name}");
        assert_eq!(data["sequence_number"], index);
        if let Some(response) = data.get("response") {
            assert_eq!(response["id"], last["id"]);
            for field in ["object", "created_at", "model", "output", "parallel_tool_calls", "tool_choice", "tools"] {
                assert!(!response[field].is_null(), "{field} in {response}");
            }
            continue;
        }
        assert_eq!(data["output_index"], done.len(), "{name}: one item at a time, without gaps");
        match name.as_str() {
            "output_item.added" => {
                let item = &data["item"];
                let status = if item["type"] == "compaction" { None } else { Some("in_progress") };
                assert_eq!((item["status"].as_str(), &open), (status, &None), "{item}");
                assert!(item["type"] != "message" || item["content"] == json!([]));
                open = Some((item["id"].clone(), item["type"].clone()));
            }
            "output_item.done" => {
                let item = &data["item"];
                assert_eq!(open.take(), Some((item["id"].clone(), item["type"].clone())));
                let said = texts.remove(item["id"].as_str().unwrap());
                let whole = match item["type"].as_str().unwrap() {
                    "message" => item["content"][0]["text"].as_str(),
                    "reasoning" => item["summary"][0]["text"].as_str(),
                    "function_call" => item["arguments"].as_str(),
                    "custom_tool_call" => item["input"].as_str(),
                    _ => None,
                };
                assert_eq!(said.as_deref(), whole, "{item}");
                done.push(item.clone());
            }
            _ => {
                let id = data["item_id"].as_str().unwrap();
                assert_eq!(open.as_ref().map(|(id, _)| id.as_str().unwrap()), Some(id));
                if name.ends_with(".delta") {
                    texts.entry(id.to_owned()).or_default().push_str(data["delta"].as_str().unwrap());
                }
            }
        }
    }
    // What was being said when it failed is in the last response, and done for nobody.
    if let Some((id, kind)) = open {
        let said = &last["output"][done.len()];
        assert_eq!((&last["status"], &said["status"]), (&json!("failed"), &json!("incomplete")), "{last}");
        assert_eq!((&said["id"], &said["type"]), (&id, &kind));
        let text = said["content"][0]["text"].as_str().or(said["summary"][0]["text"].as_str());
        assert_eq!(text, texts.get(id.as_str().unwrap()).map(String::as_str));
        done.push(said.clone());
    }
    assert_eq!(last["output"], json!(done), "the last response has all items");
    last.clone()
}

/// A stream as the client sees it, also where nothing but the failure goes out.
fn streamed(case: &Value) -> Vec<(String, Value)> {
    let exchange = exchange(&case["given"], true);
    assert_eq!(exchange.framing(), Framing::Events);
    let stream = answer(&*exchange, attempts(case)).unwrap_or_else(|error| {
        let mut out = Vec::new();
        exchange.translator().fail(&error, &mut out);
        String::from_utf8(out).unwrap()
    });
    events(&stream)
}

#[test]
fn streams_become_events() {
    check("openai_responses", "streams", |case| {
        let events = streamed(case);
        let response = is_well_formed(&events);
        let name = |(name, data): &(String, Value)| match name.as_str() {
            "output_item.added" => format!("{name}({})", data["item"]["type"].as_str().unwrap()),
            _ => name.clone(),
        };
        let mut actual = response.clone();
        actual["events"] = events.iter().map(name).collect();
        actual["items"] = response["output"].clone();
        actual["last"] = json!(format!("response.{}", response["status"].as_str().unwrap()));
        differs(&case["out"], &actual, "stream").map_or(Ok(()), Err)
    });
}

/// A response without what is made anew for each answer.
fn comparable(mut response: Value) -> Value {
    for name in ["id", "created_at", "completed_at", "output", "tools", "instructions"] {
        response.as_object_mut().unwrap().remove(name);
    }
    response
}

#[test]
fn a_whole_answer_has_what_a_stream_has() {
    check("openai_responses", "streams", |case| {
        if attempts(case)
            .iter()
            .flat_map(|events| events.as_array().unwrap())
            .any(|event| event.get("__fail__").is_some())
        {
            return Ok(());
        }
        let whole = exchange(&case["given"], false);
        assert_eq!(whole.framing(), Framing::Whole);
        let stream = is_well_formed(&streamed(case));
        let whole: Value = match answer(&*whole, attempts(case)) {
            Ok(document) => serde_json::from_str(&document).unwrap(),
            Err(_) if stream["status"] == "failed" => return Ok(()),
            Err(error) => return Err(format!("{error:?}")),
        };
        // What Google says last stands first where it is known.
        let items = |response: &Value| {
            let mut items: Vec<String> = response["output"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| {
                    let mut item = item.clone();
                    for field in ["id", "call_id", "encrypted_content"] {
                        if item.get(field).is_some() {
                            item[field] = json!("…");
                        }
                    }
                    item.to_string()
                })
                .collect();
            items.sort();
            items
        };
        assert_eq!(items(&whole), items(&stream), "{}", case["title"]);
        assert_eq!(comparable(whole), comparable(stream), "{}", case["title"]);
        Ok(())
    });
}

#[test]
fn what_a_client_gives_back_is_what_google_said() {
    let parts = json!([{"text": "hm", "thought": true},
        {"functionCall": {"name": "ma__spawn", "args": {"n": 1}}, "thoughtSignature": "U0lH"},
        {"functionCall": {"name": "p", "args": {"input": "x"}}},
        {"functionCall": {"name": "local_shell", "args": {"command": ["ls"]}}}]);
    let event = json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]});
    let tools = json!([{"type": "namespace", "name": "ma", "tools": [{"type": "function", "name": "spawn"}]},
        {"type": "custom", "name": "p"}, {"type": "local_shell"}]);
    let first = exchange(&json!({ "tools": tools }), false);
    let response: Value = serde_json::from_str(&answer(&*first, &[json!([event])]).unwrap()).unwrap();
    let mut input = vec![json!({"role": "user", "content": "x"})];
    let output = response["output"].as_array().unwrap();
    input.extend(output.iter().cloned());
    for item in output.iter().filter(|item| item.get("call_id").is_some()) {
        let kind = format!("{}_output", item["type"].as_str().unwrap());
        input.push(json!({"type": kind, "call_id": item["call_id"], "output": "done"}));
    }
    let body = json!({"model": "gemini-3.1-pro-preview", "input": input, "tools": tools});
    let google = World::new(&*SURFACE).google(&body);
    let said = &google["contents"][1]["parts"];
    assert_eq!(said[0]["functionCall"]["name"], "ma__spawn");
    assert_eq!((&said[0]["functionCall"]["args"], &said[0]["thoughtSignature"]), (&json!({"n": 1}), &json!("U0lH")));
    assert_eq!(said[1]["functionCall"]["args"], json!({"input": "x"}));
    assert_eq!(said[2]["functionCall"]["args"]["command"], json!(["ls"]));
    assert_eq!(google["contents"][2]["parts"].as_array().unwrap().len(), 3);
}
