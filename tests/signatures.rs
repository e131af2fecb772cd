//! Gemini 3 refuses a step whose call comes back without its thought signature. A conversation of three steps of tools
//! goes through the strict fake whatever a client does with the signatures, on either service, whole and streamed.

use crate::common::google::{FakeGoogle, Step, User};
use crate::common::http::ask;
use crate::common::proxy::{CLIENT_KEY, EMAIL, GEMINI_KEY, Pool, Proxy};
use serde_json::{Map, Value, json};

const PLACEHOLDER: &str = "skip_thought_signature_validator";
const MODEL: &str = "gemini-3.1-pro-preview";

/// What a client does with what it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    /// Gives the message back as it came, as the official Python SDK does.
    Returns,
    /// Builds the message anew from the fields it knows.
    Drops,
}

fn tools() -> Value {
    let tool = |name: &str| {
        json!({"type": "function", "function": {"name": name,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}})
    };
    json!([tool("find"), tool("book"), tool("pay")])
}

fn proxy(google: &FakeGoogle, pool: Pool) -> Proxy {
    match pool {
        Pool::ApiKey => {
            google.add_api_key(GEMINI_KEY);
            Proxy::start(google, |config| config["gemini_api_keys"] = json!([GEMINI_KEY]))
        }
        Pool::Oauth => {
            let credential = google.oauth_credential(EMAIL);
            Proxy::start(google, |config| {
                std::fs::write(config["credentials_file"].as_str().unwrap(), credential.to_string()).unwrap();
            })
        }
    }
}

/// One answer as a message, put together from chunks when it is streamed.
fn turn(proxy: &Proxy, messages: &[Value], stream: bool) -> Value {
    let body = json!({"model": MODEL, "messages": messages, "tools": tools(), "stream": stream}).to_string();
    let answer = ask(proxy, "POST", "/v1/chat/completions", &[], body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    if !stream {
        return answer.json()["choices"][0]["message"].clone();
    }
    let mut message = Map::from_iter([("role".to_owned(), json!("assistant"))]);
    let mut calls = Vec::new();
    let mut content = String::new();
    for frame in answer.text().split("\n\n").filter_map(|frame| frame.strip_prefix("data: {")) {
        let chunk: Value = serde_json::from_str(&format!("{{{frame}")).unwrap();
        let delta = &chunk["choices"][0]["delta"];
        content += delta["content"].as_str().unwrap_or_default();
        calls.extend(delta["tool_calls"].as_array().cloned().unwrap_or_default());
        message.extend(delta.get("extra_content").map(|extra| ("extra_content".to_owned(), extra.clone())));
    }
    message.insert("content".into(), json!(content));
    if !calls.is_empty() {
        message.insert("tool_calls".into(), json!(calls));
    }
    Value::Object(message)
}

/// The message as `client` gives it back.
fn returned(message: &Value, client: Client) -> Value {
    if client == Client::Returns {
        return message.clone();
    }
    let calls: Vec<Value> = message["tool_calls"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|call| json!({"id": call["id"], "type": "function", "function": call["function"]}))
        .collect();
    json!({"role": "assistant", "content": message["content"], "tool_calls": calls})
}

/// Runs the conversation to its end; `between` may change the proxy after each step. Returns the signatures Google was
/// sent with the last request, one per step.
fn converse(
    google: &FakeGoogle,
    mut proxy: Proxy,
    client: Client,
    stream: bool,
    between: impl Fn(Proxy) -> Proxy,
) -> Vec<String> {
    let words = r#"call:find{"city":"Oslo"} call:find{"city":"Rome"} then call:book{"city":"Oslo"} then call:pay{}"#;
    let mut messages = vec![json!({"role": "user", "content": words})];
    let mut steps = 0;
    let last = loop {
        let message = turn(&proxy, &messages, stream);
        let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
        if calls.is_empty() {
            break message;
        }
        steps += 1;
        assert!(steps <= 3, "{message}");
        assert_eq!(calls.len(), if steps == 1 { 2 } else { 1 });
        let signature = |call: &Value| call["extra_content"]["google"]["thought_signature"].is_string();
        assert!(
            signature(&calls[0]) && !calls[1..].iter().any(signature),
            "the first call of a step is signed: {message}"
        );
        messages.push(returned(&message, client));
        for call in calls {
            messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "done"}));
        }
        proxy = between(proxy);
    };
    assert_eq!(steps, 3);
    assert!(last["content"].as_str().unwrap().contains("pay answered"), "{last}");
    let sent = google.generations();
    let refused: Vec<_> = sent.iter().filter_map(|call| call.refusal.as_ref()).collect();
    assert!(refused.is_empty(), "nothing had to be repaired: {refused:?}");
    let inner = google.last_generation().inner().clone();
    let turns = inner["contents"].as_array().unwrap().iter().filter(|turn| turn["role"] == "model");
    turns.map(|turn| turn["parts"][0]["thoughtSignature"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Every client, service and framing.
fn every(check: impl Fn(&FakeGoogle, Pool, Client, bool)) {
    for pool in Pool::EACH {
        for client in [Client::Returns, Client::Drops] {
            for stream in [false, true] {
                let google = FakeGoogle::start();
                google.add_user(User::licensed(EMAIL, "project-1"));
                check(&google, pool, client, stream);
            }
        }
    }
}

#[test]
fn three_steps_of_tools_keep_their_signatures_whether_the_client_returns_them_or_not() {
    every(|google, pool, client, stream| {
        let signatures = converse(google, proxy(google, pool), client, stream, |proxy| proxy);
        assert_eq!(signatures.len(), 3, "{pool:?} {client:?}");
        assert!(signatures.iter().all(|one| one.len() > 100), "{pool:?} {client:?} {stream}: {signatures:?}");
    });
}

#[test]
fn after_a_restart_only_what_nobody_knows_any_more_is_replaced_by_the_placeholder() {
    every(|google, pool, client, stream| {
        let signatures = converse(google, proxy(google, pool), client, stream, |old| {
            drop(old);
            proxy(google, pool)
        });
        assert_eq!(signatures.len(), 3);
        let replaced = signatures.iter().filter(|one| *one == PLACEHOLDER).count();
        assert_eq!(
            replaced,
            if client == Client::Drops { 3 } else { 0 },
            "{pool:?} {client:?} {stream}: {signatures:?}"
        );
    });
}

#[test]
fn another_clients_key_gets_no_signature_of_this_one() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    // Two keys that look alike once they are masked.
    let other = CLIENT_KEY.replace("client", "coient");
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["auth_keys"] = json!([CLIENT_KEY, other]);
    });
    let mut messages = vec![json!({"role": "user", "content": "call:pay{}"})];
    let message = turn(&proxy, &messages, false);
    messages.push(returned(&message, Client::Drops));
    messages.push(json!({"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "ok"}));
    let body = json!({"model": MODEL, "messages": messages, "tools": tools()}).to_string();
    let bearer = format!("Bearer {other}");
    let answer = ask(&proxy, "POST", "/v1/chat/completions", &[("Authorization", &bearer)], body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(google.last_generation().inner()["contents"][1]["parts"][0]["thoughtSignature"], PLACEHOLDER);
}

#[test]
fn a_history_without_signatures_gets_placeholders_where_a_model_misses_them() {
    let messages = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "draw a cat"}]);
    let body = json!({"model": "gemini-3-pro-image-preview", "messages": messages});
    let missing = "Text part is missing a thought_signature in content position 2, part position 1.";
    let finished = json!({"candidates": [{"finishReason": "MISSING_THOUGHT_SIGNATURE"}]});
    for refusal in [Step::status(400, missing), Step::stream(vec![finished])] {
        let google = FakeGoogle::start();
        let proxy = proxy(&google, Pool::ApiKey);
        google.script("*", refusal);
        let answer = ask(&proxy, "POST", "/v1/chat/completions", &[], body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let calls = google.generations();
        assert_eq!(calls.len(), 2);
        let signature = |at: usize| calls[at].body["contents"][1]["parts"][0]["thoughtSignature"].clone();
        assert_eq!((signature(0), signature(1)), (Value::Null, json!(PLACEHOLDER)));
    }
}

#[test]
fn whatever_google_says_of_signatures_an_unsigned_history_gets_placeholders() {
    let messages = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "draw a cat"}]);
    let body = json!({"model": "gemini-3-pro-image-preview", "messages": messages}).to_string();
    for sentence in [
        "Thought signature is required for part 1",
        "Required field thought_signature is not set",
        "No thought signature was provided",
        "The thoughtSignature field is not there.",
    ] {
        let google = FakeGoogle::start();
        let proxy = proxy(&google, Pool::ApiKey);
        google.script("*", Step::status(400, sentence));
        let answer = ask(&proxy, "POST", "/v1/chat/completions", &[], body.as_bytes());
        assert_eq!(answer.status, 200, "{sentence}: {}", answer.text());
        let calls = google.generations();
        assert_eq!(calls.len(), 2, "{sentence}");
        assert_eq!(calls[1].body["contents"][1]["parts"][0]["thoughtSignature"], PLACEHOLDER, "{sentence}");
    }
}

#[test]
fn a_model_that_takes_no_placeholder_is_asked_once_more_without_any() {
    let google = FakeGoogle::start();
    google.settings(|settings| settings.strict = false);
    let proxy = proxy(&google, Pool::ApiKey);
    let refusal = r#"Invalid value at 'contents[1].parts[0].thought_signature' (TYPE_BYTES), Base64 decoding failed"#;
    google.script("*", Step::status(400, refusal));
    let call = json!({"id": "a", "type": "function", "function": {"name": "find", "arguments": "{}"}});
    let body = json!({"model": "gemini-3.1-pro-preview", "tools": tools(), "messages": [{"role": "user", "content": "q"},
        {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "a", "content": "ok"}]});
    let answer = ask(&proxy, "POST", "/v1/chat/completions", &[], body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let calls = google.generations();
    let signature = |at: usize| calls[at].body["contents"][1]["parts"][0]["thoughtSignature"].clone();
    assert_eq!((calls.len(), signature(0), signature(1)), (2, json!(PLACEHOLDER), Value::Null));
}

#[test]
fn a_signature_that_stays_missing_is_told_after_two_repairs() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, Pool::ApiKey);
    google.always("*", Step::status(400, "Text part is missing a thought_signature in content position 2."));
    let messages = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "draw a cat"}]);
    let body = json!({"model": "gemini-3-pro-image-preview", "messages": messages}).to_string();
    let answer = ask(&proxy, "POST", "/v1/chat/completions", &[], body.as_bytes());
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(google.generations().len(), 3, "as it came, with placeholders, without any");
}

#[test]
fn arguments_that_a_client_fills_or_thins_go_back_as_the_model_wrote_them() {
    let changes: [fn(&mut Value); 3] = [
        |args| args["replace_all"] = json!(false),
        |args| _ = args.as_object_mut().unwrap().remove("city"),
        |args| args["nested"] = json!({"deep": [1]}),
    ];
    for client in [Client::Returns, Client::Drops] {
        for change in changes {
            let google = FakeGoogle::start();
            let proxy = proxy(&google, Pool::ApiKey);
            let mut messages = vec![json!({"role": "user", "content": r#"call:find{"city":"Oslo"}"#})];
            let message = turn(&proxy, &messages, false);
            let mut message = returned(&message, client);
            let function = &mut message["tool_calls"][0]["function"];
            let mut args: Value = serde_json::from_str(function["arguments"].as_str().unwrap()).unwrap();
            change(&mut args);
            function["arguments"] = json!(args.to_string());
            let id = message["tool_calls"][0]["id"].clone();
            messages.extend([message, json!({"role": "tool", "tool_call_id": id, "content": "done"})]);
            turn(&proxy, &messages, false);
            let refused: Vec<_> = google.generations().iter().filter_map(|call| call.refusal.clone()).collect();
            assert!(refused.is_empty(), "{client:?}: {refused:?}");
            let call = google.last_generation().inner()["contents"][1]["parts"][0].clone();
            assert_eq!(call["functionCall"]["args"], json!({"city": "Oslo"}), "{client:?}");
            assert!(call["thoughtSignature"].as_str().unwrap().len() > 100, "{client:?}");
        }
    }
}

#[test]
fn arguments_that_a_person_changed_stay_changed() {
    let google = FakeGoogle::start();
    let proxy = proxy(&google, Pool::ApiKey);
    let mut messages = vec![json!({"role": "user", "content": r#"call:find{"city":"Oslo"}"#})];
    let mut message = turn(&proxy, &messages, false);
    message["tool_calls"][0]["function"]["arguments"] = json!(r#"{"city":"Rome"}"#);
    let id = message["tool_calls"][0]["id"].clone();
    messages.extend([message, json!({"role": "tool", "tool_call_id": id, "content": "done"})]);
    turn(&proxy, &messages, false);
    let call = google.last_generation().inner()["contents"][1]["parts"][0]["functionCall"].clone();
    assert_eq!(call["args"], json!({"city": "Rome"}));
}
