//! Whatever clients make of a history (results lost, doubled, early, late or of calls that are gone), Google gets one
//! it accepts.

use super::{List, Numbers, World};
use gemini_openai_proxy::api::MidSystem;
use gemini_openai_proxy::api::openai_chat::OpenAiChat;
use serde_json::{Value, json};

#[test]
fn any_history_becomes_one_that_google_accepts() {
    let mut world = World::new(&OpenAiChat);
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for round in 0..4000 {
        world.settings.mid_system = if round % 2 == 0 { MidSystem::Hoist } else { MidSystem::InPlace };
        let messages: Value = (0..=numbers.below(9)).map(|_| random_message(&mut numbers)).collect();
        for model in ["gemini-2.5-flash", "gemini-3-pro-preview"] {
            let google = world.google(&json!({"model": model, "messages": messages}));
            if let Some(fault) = fault(&google["contents"], model.starts_with("gemini-3")) {
                panic!("{model}: {fault}\n  {messages}\n  {}", google["contents"]);
            }
            let said = google.to_string();
            for lost in ["said-by-user", "said-by-system", "said-by-model"] {
                assert_eq!(messages.to_string().contains(lost), said.contains(lost), "{lost}: {messages}\n  {said}");
            }
        }
    }
}

fn random_message(numbers: &mut Numbers) -> Value {
    let ids = ["a", "b", "c", ""];
    let content = |numbers: &mut Numbers, text: &str| match numbers.below(4) {
        0 => Value::Null,
        1 => json!(""),
        2 => json!([{"type": "text", "text": text}, null]),
        _ => json!(text),
    };
    match numbers.below(10) {
        0 => json!({"role": "system", "content": content(numbers, "said-by-system")}),
        1 | 2 => json!({"role": "user", "content": content(numbers, "said-by-user")}),
        3 => json!({"role": "assistant", "content": content(numbers, "said-by-model")}),
        4 => json!({"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}),
        5 => json!({"role": "function", "name": "f", "content": "result"}),
        6 | 7 => {
            let calls: Value = (0..=numbers.below(3))
                .map(|_| {
                    let name = ["f", "g", "g", ""][numbers.below(4)];
                    json!({"id": ids[numbers.below(4)], "function": {"name": name, "arguments": "{}"}})
                })
                .collect();
            json!({"role": "assistant", "content": content(numbers, "said-by-model"), "tool_calls": calls})
        }
        _ => {
            let content = content(numbers, "result");
            json!({"role": "tool", "tool_call_id": ids[numbers.below(4)], "content": content})
        }
    }
}

/// What Google would refuse (docs/google.md "Rules for contents", docs/thinking.md "Signature rules of Gemini").
fn fault(turns: &Value, gemini3: bool) -> Option<String> {
    let turns = turns.list();
    let is = |turn: Option<&Value>, role: &str| turn.is_some_and(|turn| turn["role"] == role);
    if !is(turns.first(), "user") || !is(turns.last(), "user") {
        return Some("does not begin and end with the user".into());
    }
    let says_something = |turn: &Value| turn["parts"].list().iter().any(|part| part.get("functionResponse").is_none());
    let current = turns.iter().rposition(|turn| turn["role"] == "user" && says_something(turn)).unwrap_or(0);
    for (index, turn) in turns.iter().enumerate() {
        let parts = turn["parts"].list();
        if parts.is_empty() || parts.iter().any(|part| part.as_object().unwrap().is_empty() || part["text"] == "") {
            return Some(format!("turn {index} has nothing to say"));
        }
        if index > 0 && turn["role"] == turns[index - 1]["role"] {
            return Some(format!("turn {index} has the role of the one before"));
        }
        let named = |turn: &Value, kind: &str| -> Vec<(Value, Value)> {
            let found = turn["parts"].list().iter().filter_map(|part| part.get(kind));
            found.map(|found| (found["name"].clone(), found["id"].clone())).collect()
        };
        let calls = named(turn, "functionCall");
        let results = turns.get(index + 1).map(|next| named(next, "functionResponse")).unwrap_or_default();
        if turn["role"] == "model" && calls != results {
            return Some(format!("turn {index} has calls {calls:?} and results {results:?}"));
        }
        if turn["role"] == "user" && !calls.is_empty() {
            return Some(format!("turn {index}: the user calls"));
        }
        let mut ids: Vec<&str> = calls.iter().filter_map(|(_, id)| id.as_str()).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        if count != if gemini3 { calls.len() } else { 0 } || ids.len() != count {
            return Some(format!("turn {index} has the ids {calls:?}"));
        }
        let responds = |part: &Value| part.get("functionResponse").is_some();
        if parts.iter().skip_while(|part| responds(part)).any(responds) {
            return Some(format!("turn {index} has something before a result"));
        }
        let first = parts.iter().find(|part| part.get("functionCall").is_some());
        let signed = first.is_none_or(|part| part.get("thoughtSignature").is_some());
        if gemini3 && index > current && !signed {
            return Some(format!("turn {index} lacks a signature"));
        }
    }
    None
}
