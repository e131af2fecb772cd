//! Arguments of calls as the model writes them, where the client and the service can do that.

use super::*;
use crate::common::script;

const CALL: &str =
    r#"call:write{"path":"src/a.rs","lines":[{"n":1,"text":"fn a() {}"},{"n":2.5,"text":""}],"new":true,"mode":null}"#;

fn body(said: &str) -> Value {
    let integer = json!({"type": "object", "properties": {"path": {"type": "string"}, "lines": {"type": "array", "items":
        {"type": "object", "properties": {"n": {"type": "number"}, "text": {"type": "string"}}}},
        "new": {"type": "boolean"}, "mode": {"type": "string", "nullable": true}}});
    json!({"model": MODEL, "stream": true, "messages": [{"role": "user", "content": said}],
        "tools": [{"type": "function", "function": {"name": "write", "parameters": integer}},
            {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]})
}

/// The deltas of calls, each as its index, id, name and arguments.
fn deltas(answer: &Answer) -> Vec<(u64, String, String, String)> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for event in events(answer) {
        for call in event["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let (index, function) = (call["index"].as_u64().unwrap(), &call["function"]);
            found.push((index, text(&call["id"]), text(&function["name"]), text(&function["arguments"])));
        }
    }
    found
}

fn finish(answer: &Answer) -> Value {
    events(answer)
        .iter()
        .rev()
        .find_map(|event| Some(event["choices"][0]["finish_reason"].clone()).filter(|word| !word.is_null()))
        .unwrap()
}

fn flag(google: &FakeGoogle) -> Value {
    google.last_generation().body["toolConfig"]["functionCallingConfig"]["streamFunctionCallArguments"].clone()
}

#[test]
fn arguments_come_in_pieces_where_config_or_request_ask_for_them() {
    let google = FakeGoogle::start();
    let always = proxy_with(&google, &json!([account(&google, &["global"])]), |config| {
        config["stream_function_arguments"] = json!(true)
    });
    let never = proxy(&google, &json!([account(&google, &["global"])]));
    let plain = body(CALL);
    let with = |name: &str, value: Value| {
        let mut body = plain.clone();
        body[name] = value;
        body
    };
    let ours = json!({"stream_function_arguments": true});
    let googles = json!({"tool_config": {"function_calling_config": {"stream_function_call_arguments": true}}});
    for (proxy, body, is_asked) in [
        (&always, plain.clone(), true),
        (&never, plain.clone(), false),
        (&never, with("stream_function_arguments", json!(true)), true),
        (&never, with("extra_body", ours.clone()), true),
        (&never, with("extra_body", json!({"google": ours})), true),
        (&never, with("google", googles), true),
        (&always, with("extra_body", json!({"stream_function_arguments": false})), false),
        (&always, with("model", json!("gemini-2.5-flash")), false),
        (&always, with("stream", json!(false)), false),
        (&always, with("tools", Value::Null), false),
    ] {
        let answer = ask(proxy, &body);
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        assert_eq!(flag(&google), if is_asked { json!(true) } else { Value::Null }, "{body}");
        if body["stream"] == true && body["tools"].is_array() {
            let deltas = deltas(&answer);
            assert_eq!(deltas.len() > 1, is_asked, "{deltas:?}");
            let text: String = deltas.iter().map(|(.., text)| text.as_str()).collect();
            assert_eq!(
                serde_json::from_str::<Value>(&text).unwrap(),
                serde_json::from_str::<Value>(&CALL[10..]).unwrap()
            );
            assert_eq!(finish(&answer), "tool_calls");
            let (first, rest) = deltas.split_first().unwrap();
            assert!(!first.1.is_empty() && first.2 == "write", "{first:?}");
            assert!(rest.iter().all(|(_, id, name, _)| id.is_empty() && name.is_empty()), "{rest:?}");
            if is_asked {
                assert_eq!(deltas[1].3, r#"{"path":"src/"#, "a piece as soon as it is there");
            }
        }
    }
}

#[test]
fn several_calls_keep_their_places_and_their_signatures_come_back() {
    let google = FakeGoogle::start();
    let proxy = proxy_with(&google, &json!([account(&google, &["global"])]), |config| {
        config["stream_function_arguments"] = json!(true)
    });
    // Which model serves the name is learned of the first answer, and signatures are for one.
    assert_eq!(chat(&proxy, MODEL).status, 200);
    let said = format!("{CALL} call:look{{}}");
    let answer = ask(&proxy, &body(&said));
    let mut calls = vec![json!({}), json!({})];
    for (index, id, name, text) in deltas(&answer) {
        let call = &mut calls[index as usize];
        if !id.is_empty() {
            *call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": ""}});
        }
        let joined = format!("{}{text}", call["function"]["arguments"].as_str().unwrap());
        call["function"]["arguments"] = json!(joined);
    }
    assert_eq!(calls[1]["function"]["arguments"], "{}");
    let mut next = body(&said);
    let results = calls.iter().map(|call| json!({"role": "tool", "tool_call_id": call["id"], "content": "done"}));
    let messages = next["messages"].as_array_mut().unwrap();
    let results: Vec<Value> = results.collect();
    messages.push(json!({"role": "assistant", "tool_calls": calls}));
    messages.extend(results);
    let answer = ask(&proxy, &next);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let history = google.last_generation().body["contents"][1]["parts"].clone();
    assert!(history[0]["thoughtSignature"].as_str().is_some_and(|signature| signature.len() > 100), "{history}");
    assert_eq!(history[0]["functionCall"]["args"]["lines"][0]["text"], "fn a() {}");
}

#[test]
fn who_serves_no_pieces_is_not_asked_and_a_model_that_refuses_them_is_asked_once_more() {
    let google = FakeGoogle::start();
    google.add_api_key("AIzaNoPieces");
    let keys = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!(["AIzaNoPieces"]);
        config["stream_function_arguments"] = json!(true);
    });
    assert_eq!(deltas(&ask(&keys, &body(CALL))).len(), 1, "whole");
    let proxy = proxy_with(&google, &json!([account(&google, &["global"])]), |config| {
        config["stream_function_arguments"] = json!(true)
    });
    let words = "Invalid value at 'tool_config.function_calling_config.stream_function_call_arguments'.";
    google.script(ACCOUNT, Step::status(400, words));
    let before = google.generations_count();
    assert_eq!(deltas(&ask(&proxy, &body(CALL))).len(), 1);
    assert_eq!(google.generations_count(), before + 2);
    assert_eq!(flag(&google), Value::Null);
    // A native client's own wish is passed on, and its refusal is the client's.
    let native = json!({"contents": [{"role": "user", "parts": [{"text": CALL}]}], "tools": [{"functionDeclarations": [{"name": "write"}]}],
        "toolConfig": {"functionCallingConfig": {"streamFunctionCallArguments": true}}});
    let path = format!("/v1beta/models/{MODEL}:streamGenerateContent?alt=sse");
    let answer = http::ask(&proxy, "POST", &path, &[], native.to_string().as_bytes());
    assert!(answer.text().contains("partialArgs"), "{}", answer.text());
}

#[test]
fn what_goes_back_is_complete_in_the_end_and_what_is_cut_off_says_so() {
    let google = FakeGoogle::start();
    let proxy = proxy_with(&google, &json!([account(&google, &["global"])]), |config| {
        config["stream_function_arguments"] = json!(true)
    });
    let event =
        |call: Value| json!({"candidates": [{"content": {"role": "model", "parts": [{"functionCall": call}]}}]});
    let piece = |path: &str, text: &str| {
        event(
            json!({"partialArgs": [{"jsonPath": path, "stringValue": text, "willContinue": true}], "willContinue": true}),
        )
    };
    let open = event(json!({"name": "write", "id": "7", "willContinue": true}));
    let end = |word: &str| json!({"candidates": [{"finishReason": word}]});
    let back = [open.clone(), piece("$.path", "a"), piece("$.text", "b"), piece("$.path", "c")];
    for (rest, finished) in [
        (vec![event(json!({})), end("STOP")], "tool_calls"),
        (vec![end("STOP")], "tool_calls"),
        (vec![event(json!({"name": "look", "args": {}})), end("STOP")], "tool_calls"),
    ] {
        google.script(ACCOUNT, Step::stream([back.to_vec(), rest].concat()));
        let answer = ask(&proxy, &body("x"));
        let text: String =
            deltas(&answer).iter().filter(|delta| delta.0 == 0).map(|(.., text)| text.as_str()).collect();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({"path": "ac", "text": "b"}), "{text}");
        assert_eq!(finish(&answer), finished);
    }
    google.script(ACCOUNT, Step::stream(vec![open, piece("$.path", "a"), end("MAX_TOKENS")]));
    let answer = ask(&proxy, &body("x"));
    assert_eq!(deltas(&answer).iter().map(|(.., text)| text.as_str()).collect::<String>(), r#"{"path":"a"#);
    assert_eq!(finish(&answer), "length");
}

#[test]
fn the_sdks_put_the_pieces_together() {
    let google = FakeGoogle::start();
    let proxy = proxy_with(&google, &json!([account(&google, &["global"])]), |config| {
        config["stream_function_arguments"] = json!(true)
    });
    script::python("openai_tool_loop.py", &["gemini-3.5-flash"], &proxy);
    script::node("run_tools.mjs", &["gemini-3.5-flash"], &proxy);
}
