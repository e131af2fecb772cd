//! The chat surface by itself, without sockets: requests into Google's terms, Google's events into answers. The checker and
//! what it reads are in `common/translation.rs`.

mod agreement;
mod completions;
mod conversations;
mod mutations;

use crate::common::numbers::Numbers;
use crate::common::translation::{World, answer, cases, check, differs, differs_error, fits, google_gets};
use gemini_openai_proxy::api::openai_chat::OpenAiChat;
use gemini_openai_proxy::api::{Exchange, Framing, Surface};
use gemini_openai_proxy::error::{ApiError, ErrorKind};
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn requests_become_what_google_expects() {
    check("openai_chat", "requests", |case| google_gets(&OpenAiChat, case));
}

#[test]
fn requests_beyond_the_sample_follow_the_same_rules() {
    check("openai_chat", "requests_more", |case| google_gets(&OpenAiChat, case));
}

#[test]
fn googles_tools_are_asked_for_in_every_spelling() {
    check("openai_chat", "tools", |case| google_gets(&OpenAiChat, case));
}

#[test]
fn foreign_parts_and_bodies_are_understood() {
    check("openai_chat", "foreign", |case| google_gets(&OpenAiChat, case));
}

fn exchange(given: &Value, stream: bool) -> Box<dyn Exchange> {
    let mut body =
        json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "x"}], "stream": stream});
    for (name, value) in given.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    World::new(&OpenAiChat).parse(body.to_string()).unwrap()
}

/// Fields without a value say nothing.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().filter(|(_, v)| !v.is_null()).map(|(name, v)| (name.clone(), without_nulls(v))).collect()
        }
        other => other.clone(),
    }
}

#[test]
fn answers_become_completions() {
    check("openai_chat", "answers", |case| {
        let exchange = exchange(&case["given"], false);
        assert_eq!(exchange.framing(), Framing::Whole);
        let text = match (answer(&*exchange, case["attempts"].as_array().unwrap()), case["out"]["__err__"] == true) {
            (Err(error), true) => return differs_error(&case["out"], &error).map_or(Ok(()), Err),
            (Err(error), false) => return Err(format!("{error:?}")),
            (Ok(text), true) => return Err(format!("no error: {text}")),
            (Ok(text), false) => text,
        };
        let document: Value = serde_json::from_str(&text).unwrap();
        if document["object"] != "chat.completion" || !document["id"].as_str().unwrap().starts_with("chatcmpl-") {
            return Err(format!("no completion: {document}"));
        }
        let message = &document["choices"][0]["message"];
        let expected = &case["out"]["choices"][0]["message"];
        if expected["tool_calls"] == "1 call" {
            return match (message["tool_calls"].as_array().map(Vec::len), &document["choices"][0]["finish_reason"]) {
                (Some(1), finish) if finish == "tool_calls" => Ok(()),
                _ => Err(document.to_string()),
            };
        }
        if !expected.is_null() {
            // Nothing that a client would show may be there beyond what is expected.
            let (expected, message) = (without_nulls(expected), without_nulls(message));
            let extra = message.as_object().unwrap().keys().find(|name| expected[name.as_str()].is_null());
            if let Some(name) = extra {
                return Err(format!("{name} was not expected: {message}"));
            }
        }
        if case["out"]["choices"][0]["message"]["content"].is_null()
            && !message["content"].is_null()
            && !expected.is_null()
        {
            return Err(format!("content must be null: {message}"));
        }
        let expected = without_nulls(&case["out"]);
        differs(&expected, &document, "").map_or(Ok(()), Err)
    });
}

/// What ran may be told in the first event or the last one.
#[test]
fn the_tier_that_ran_is_in_the_chunks() {
    let event = |word: &str, reason: Option<&str>| {
        json!({"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": reason}],
            "usageMetadata": {"promptTokenCount": 1, "serviceTier": word}})
    };
    let quiet = json!({"candidates": [{"content": {"parts": [{"text": "Hi"}]}}]});
    for (asked, events, first, last) in [
        (json!({"service_tier": "flex"}), [event("flex", None), event("flex", Some("STOP"))], "flex", "flex"),
        (json!({"service_tier": "priority"}), [quiet.clone(), event("standard", Some("STOP"))], "default", "default"),
        (json!({"service_tier": "flex"}), [quiet, event("FLEX", Some("STOP"))], "default", "flex"),
        (json!({}), [event("flex", None), event("flex", Some("STOP"))], "", ""),
    ] {
        let mut given = asked.clone();
        given["stream_options"] = json!({"include_usage": true});
        let text = answer(&*exchange(&given, true), &[json!(events)]).unwrap();
        let chunks = text.split_terminator("\n\n").filter_map(|frame| frame.strip_prefix("data: {"));
        let tiers: Vec<String> = chunks
            .map(|chunk| serde_json::from_str::<Value>(&format!("{{{chunk}")).unwrap()["service_tier"].take())
            .map(|tier| tier.as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!((tiers[0].as_str(), tiers[tiers.len() - 1].as_str()), (first, last), "{asked}: {text}");
        assert_eq!(tiers[tiers.len() - 2], last, "the chunk with the finish reason as well");
    }
}

/// A stream in the short form of the fixtures, with the id all chunks share.
fn compact(text: &str) -> (Vec<Value>, String) {
    let mut short = Vec::new();
    let mut heads = Vec::new();
    assert!(text.ends_with("\n\n"), "{text:?}");
    for frame in text.split_terminator("\n\n") {
        let data = frame.strip_prefix("data: ").unwrap_or_else(|| panic!("{frame:?}"));
        assert!(!data.contains('\n'));
        if data == "[DONE]" {
            short.push(json!("[DONE]"));
            continue;
        }
        let chunk: Value = serde_json::from_str(data).unwrap();
        if chunk.get("error").is_some() {
            for key in ["message", "type", "param", "code"] {
                assert!(chunk["error"].get(key).is_some(), "{key} in {chunk}");
            }
            short.push(chunk);
            continue;
        }
        assert_eq!(chunk["object"], "chat.completion.chunk");
        heads.push(json!([chunk["id"], chunk["created"], chunk["model"]]));
        match chunk["choices"].list() {
            [] => short.push(json!({"usage": chunk["usage"]})),
            [choice] if choice["finish_reason"].is_null() => short.push(json!({"d": choice["delta"]})),
            [choice] => {
                assert_eq!(choice["delta"], json!({}));
                short.push(json!({"fin": choice["finish_reason"]}));
            }
            more => panic!("{more:?}"),
        }
    }
    assert!(heads.windows(2).all(|pair| pair[0] == pair[1]), "{heads:?}");
    let id = heads.first().map_or(String::new(), |head| head[0].as_str().unwrap().to_owned());
    (short, id)
}

trait List {
    fn list(&self) -> &[Value];
}

impl List for Value {
    fn list(&self) -> &[Value] {
        self.as_array().map_or(&[], Vec::as_slice)
    }
}

#[test]
fn streams_become_chunks() {
    check("openai_chat", "streams", client_gets);
}

#[test]
fn streams_beyond_the_sample_follow_the_same_rules() {
    check("openai_chat", "streams_more", client_gets);
}

fn client_gets(case: &Value) -> Result<(), String> {
    let exchange = exchange(&case["given"], true);
    assert_eq!(exchange.framing(), Framing::Events);
    let text = match (answer(&*exchange, case["attempts"].as_array().unwrap()), case["out"]["__err__"] == true) {
        (Err(error), true) => return differs_error(&case["out"], &error).map_or(Ok(()), Err),
        (Err(error), false) => return Err(format!("{error:?}")),
        (Ok(text), true) => return Err(format!("no error: {text}")),
        (Ok(text), false) => text,
    };
    let (mut short, id) = compact(&text);
    let expected = case["out"].list();
    if short.len() != expected.len() {
        return Err(format!("{} chunks: {short:?}", short.len()));
    }
    // Both are good before a call.
    if short[0] == json!({"d": {"role": "assistant", "content": null}}) {
        assert!(["tool_calls", "function_call"].iter().any(|name| short[1]["d"].get(name).is_some()), "{short:?}");
        short[0]["d"]["content"] = json!("");
    }
    for (expected, short) in expected.iter().zip(&short) {
        // Usage has more details than a case names; deltas must match in both directions.
        if let Some(problem) = differs(expected, short, "") {
            return Err(problem);
        }
        if expected.get("usage").is_none() && anything(short, expected) != *expected {
            return Err(format!("more than expected: {short}"));
        }
    }
    match case["id"].as_str() {
        Some(expected) if expected != id => Err(format!("id {id}")),
        _ => Ok(()),
    }
}

/// `actual` with every text that a placeholder of `expected` covers replaced by it, for comparing the other way round.
fn anything(actual: &Value, expected: &Value) -> Value {
    match (actual, expected) {
        (Value::Object(fields), _) => {
            fields.iter().map(|(name, value)| (name.clone(), anything(value, &expected[name]))).collect()
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            items.iter().zip(others).map(|(item, other)| anything(item, other)).collect()
        }
        (Value::String(text), Value::String(other)) if fits(other, text) => expected.clone(),
        _ => actual.clone(),
    }
}

#[test]
fn results_of_many_calls_stand_in_the_order_of_the_calls() {
    let calls: Vec<Value> = (0..20)
        .map(|i| {
            json!({"id": format!("c{i}"), "type": "function",
            "function": {"name": "w", "arguments": format!("{{\"city\":\"C{i}\"}}")}})
        })
        .collect();
    let mut messages = vec![json!({"role": "user", "content": "q"}), json!({"role": "assistant", "tool_calls": calls})];
    // 7 and 20 have no common divisor: every result once, out of order.
    messages.extend(
        (0..20)
            .map(|i| i * 7 % 20)
            .map(|i| json!({"role": "tool", "tool_call_id": format!("c{i}"), "content": format!("{i}")})),
    );
    let google = World::new(&OpenAiChat).google(&json!({"model": "gemini-3.1-pro-preview", "messages": messages}));
    assert_eq!(google["contents"].list().len(), 3);
    for i in 0..20 {
        assert_eq!(google["contents"][1]["parts"][i]["functionCall"]["args"]["city"], format!("C{i}"));
        let response = &google["contents"][2]["parts"][i]["functionResponse"];
        assert_eq!(
            (&response["id"], &response["response"]["output"]),
            (&json!(format!("c{i}")), &json!(format!("{i}")))
        );
    }
}

#[test]
fn a_signature_comes_back_from_the_cache_for_its_own_key_only() {
    let mut world = World::new(&OpenAiChat);
    let ask = |messages: Value| json!({"model": "gemini-3.1-pro-preview", "messages": messages}).to_string();
    let exchange = world.parse(ask(json!([{"role": "user", "content": "q"}]))).unwrap();
    let event = json!({"candidates": [{"content": {"parts": [
        {"functionCall": {"name": "w", "args": {}}, "thoughtSignature": "U0lH"}]}, "finishReason": "STOP"}]});
    let document: Value = serde_json::from_str(&answer(&*exchange, &[json!([event])]).unwrap()).unwrap();
    let call = &document["choices"][0]["message"]["tool_calls"][0];
    let id = call["id"].as_str().unwrap();
    // A client that rebuilds messages from what it knows.
    let replay = json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": call["function"]}]},
        {"role": "tool", "tool_call_id": id, "content": "ok"},
    ]);
    let signature = |world: &World| {
        let mut exchange = world.parse(ask(replay.clone())).unwrap();
        exchange.call().request.contents[1].parts[0].thought_signature.clone().unwrap()
    };
    assert_eq!(signature(&world), "U0lH");
    world.key = "key-2";
    assert_eq!(signature(&world), "skip_thought_signature_validator");
}

#[test]
fn the_models_name_comes_back_as_it_was_sent() {
    let exchange = World::new(&OpenAiChat)
        .parse(
            json!({"model": "models/gemini-2.5-flash-nothinking", "messages": [{"role": "user", "content": "x"}]})
                .to_string(),
        )
        .unwrap();
    let event = json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]});
    let document: Value = serde_json::from_str(&answer(&*exchange, &[json!([event])]).unwrap()).unwrap();
    assert_eq!(document["model"], "models/gemini-2.5-flash-nothinking");
}

#[test]
fn half_an_emoji_waits_for_the_other_half() {
    use gemini_openai_proxy::gemini::surrogates;
    let exchange = exchange(&json!({}), true);
    let mut translator = exchange.translator();
    let mut out = Vec::new();
    for text in [r#"a\ud83d"#, r#"\ude00b"#, r#"c\ud83d"#] {
        let event =
            format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}},"finishReason":"STOP"}}]}}"#);
        let marked = surrogates::mark(&event);
        translator.event(&marked, &serde_json::from_str(&marked).unwrap(), &mut out).unwrap();
    }
    translator.end(&mut out).unwrap();
    let (short, _) = compact(&String::from_utf8(out).unwrap());
    let content: String = short.iter().filter_map(|chunk| chunk["d"]["content"].as_str()).collect();
    assert_eq!(content, "a\u{1f600}bc\u{fffd}");
}

#[test]
fn errors_have_four_keys_and_the_headers_sdks_read() {
    let error = ApiError::new(429, ErrorKind::RateLimit, "wait")
        .with_code("rate_limit_exceeded")
        .with_retry_after(Duration::from_millis(900))
        .with_should_retry(true);
    let response = OpenAiChat.error(&error);
    assert_eq!(response.status, 429);
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    let expected = json!({"message": "wait", "type": "rate_limit_error", "param": null, "code": "rate_limit_exceeded"});
    assert_eq!(body, json!({"error": expected}));
    for (name, value) in [("Retry-After", "1"), ("retry-after-ms", "900"), ("x-should-retry", "true")] {
        assert!(response.headers.contains(&(name.into(), value.into())), "{name}");
    }
}

#[test]
fn speech_comes_as_a_wav_file() {
    let world = World::new(&OpenAiChat);
    let Some(model) = world.models.list().into_iter().find(|model| model.speech_output) else {
        panic!("the table has a speech model");
    };
    let body = json!({"model": model.name, "messages": [{"role": "user", "content": "x"}], "audio": {"voice": "Kore", "format": "wav"}});
    let mut exchange = world.parse(body.to_string()).unwrap();
    let google = serde_json::to_value(&exchange.call().request).unwrap();
    assert_eq!(google["generationConfig"]["responseModalities"], json!(["AUDIO"]));
    assert_eq!(google["generationConfig"]["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"], "Kore");
    let event = json!({"candidates": [{"content": {"parts": [
        {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": "AAAA"}}]}, "finishReason": "STOP"}]});
    let document: Value = serde_json::from_str(&answer(&*exchange, &[json!([event])]).unwrap()).unwrap();
    let audio = document["choices"][0]["message"]["audio"]["data"].as_str().unwrap();
    assert!(audio.starts_with("UklGR"), "{audio}");
}
