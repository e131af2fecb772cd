//! One answer made of a stream's events.

use super::engine::{list, text};
use serde_json::{Value, json};

/// A unary answer out of a stream's events: neighbouring texts joined, the last usage, a lone signature on the text before.
pub fn merge(events: &[Value]) -> Value {
    let mut whole = events.first().cloned().unwrap_or_else(|| json!({}));
    for event in events.iter().skip(1) {
        for (key, value) in event.as_object().into_iter().flatten() {
            if key != "candidates" {
                whole[key] = value.clone();
            }
        }
        let Some(candidate) = list(&event["candidates"]).first() else { continue };
        let target = &mut whole["candidates"][0];
        for (key, value) in candidate.as_object().into_iter().flatten() {
            if key != "content" {
                target[key] = value.clone();
            }
        }
        let Some(parts) = candidate["content"]["parts"].as_array() else { continue };
        if !target["content"]["parts"].is_array() {
            target["content"]["parts"] = json!([]);
        }
        let all = target["content"]["parts"].as_array_mut().expect("just made");
        parts.iter().for_each(|part| join(all, part));
    }
    whole
}

fn join(all: &mut Vec<Value>, part: &Value) {
    let plain = |part: &Value| {
        part.get("text").is_some() && part.get("thoughtSignature").or(part.get("transcription")).is_none()
    };
    let fits = all.last().is_some_and(|last| plain(last) && last["thought"] == part["thought"]);
    if !fits || part.get("text").is_none() {
        if part != &json!({"text": ""}) {
            all.push(part.clone());
        }
        return;
    }
    let last = all.last_mut().expect("it fits");
    last["text"] = json!(format!("{}{}", text(&last["text"]), text(&part["text"])));
    if let Some(signature) = part.get("thoughtSignature") {
        last["thoughtSignature"] = signature.clone();
    }
}
