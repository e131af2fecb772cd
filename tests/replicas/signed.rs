//! Thought signatures for clients that drop them, where each turn comes to another replica.

use super::redis::Redis;
use super::*;

const PLACEHOLDER: &str = "skip_thought_signature_validator";

fn ask(replica: &Proxy, key: &str, messages: &[Value]) -> Value {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}});
    let body = json!({"model": "gemini-3.1-pro-preview", "messages": messages, "tools": [tool("find"), tool("book"), tool("pay")]});
    let fields = [("Authorization", &*format!("Bearer {key}")), ("Content-Type", "application/json")];
    let client = &mut Client::new(replica.address());
    let reply = client.send("POST", "/v1/chat/completions", &fields, &body.to_string()).expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["choices"][0]["message"].clone()
}

/// The message as a client gives it back that keeps what it knows, and what its tools say.
fn go_on(messages: &mut Vec<Value>, message: &Value) {
    let calls = message["tool_calls"].as_array().expect("calls");
    let known = |call: &Value| json!({"id": call["id"], "type": "function", "function": call["function"]});
    messages.push(json!({"role": "assistant", "content": message["content"], "tool_calls": calls.iter().map(known).collect::<Vec<_>>()}));
    let said = |call: &Value| json!({"role": "tool", "tool_call_id": call["id"], "content": "done"});
    messages.extend(calls.iter().map(said));
}

/// Those of Google's last request, one for each step.
fn sent(google: &FakeGoogle) -> Vec<String> {
    let inner = google.last_generation().inner().clone();
    let turns = inner["contents"].as_array().unwrap().iter().filter(|turn| turn["role"] == "model");
    turns.map(|turn| turn["parts"][0]["thoughtSignature"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn calls_that_one_replica_gave_have_their_signatures_on_the_next() {
    let (google, mut redis) = (FakeGoogle::start(), Redis::start());
    google.add_api_key(GEMINI_KEY);
    let [a, b] = ["a", "b"].map(|name| replica(&google, name, json!({"url": redis.url()}), &json!({})));
    let notes = |redis: &Redis| redis.names().iter().filter(|name| name.starts_with("gop:{n:")).count();
    let words = r#"call:find{"city":"Oslo"} then call:book{"city":"Oslo"} then call:pay{}"#;
    let mut messages = vec![json!({"role": "user", "content": words})];
    for replica in [&a, &b, &a] {
        let before = notes(&redis);
        let message = ask(replica, FREE, &messages);
        go_on(&mut messages, &message);
        wait_for("the note", || notes(&redis) > before);
    }
    assert!(ask(&b, FREE, &messages)["content"].as_str().unwrap().contains("pay answered"));
    let signatures = sent(&google);
    assert_eq!(signatures.len(), 3);
    assert!(signatures.iter().all(|one| one.len() > 100), "{signatures:?}");
    let refused = google.generations().iter().filter(|call| call.refusal.is_some()).count();
    assert_eq!(refused, 0, "nothing had to be repaired");
    // They are this key's alone, sealed, and end.
    ask(&b, LIMITED, &messages);
    assert_eq!(sent(&google), [PLACEHOLDER; 3]);
    for name in redis.names().iter().filter(|name| name.starts_with("gop:{n:")) {
        let held = redis.cli(&["hget", name, "t"]);
        assert!(held.starts_with("gAAAA") && signatures.iter().all(|one| !held.contains(&one[..20])), "{held}");
        assert!((3_000_000..=3_600_000).contains(&redis.cli(&["pttl", name]).parse::<u64>().unwrap()), "{name}");
    }
    // What is not known costs the placeholder, and no time, where nobody answers.
    let mut messages = vec![json!({"role": "user", "content": r#"call:pay{}"#})];
    let message = ask(&a, FREE, &messages);
    go_on(&mut messages, &message);
    redis.kill();
    ask(&b, FREE, &messages);
    assert_eq!(sent(&google), [PLACEHOLDER]);
    ask(&a, FREE, &messages);
    assert_ne!(sent(&google), [PLACEHOLDER], "its own it knows");
}
