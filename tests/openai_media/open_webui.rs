//! The requests that Open WebUI makes of its engines for pictures, speech and transcripts (docs/media.md "Requests for images",
//! "Speech", "Transcription"), as data.

use super::send;
use crate::common::google::FakeGoogle;
use crate::common::google::engine::PNG;
use crate::common::http::ask;
use crate::common::proxy::{GEMINI_KEY, Proxy};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Stands in a fixture for a picture or a recording.
fn filled(text: &str) -> String {
    match text {
        "PNG" => PNG.to_owned(),
        "WAV" => STANDARD.encode(b"RIFF\x04\0\0\0WAVE"),
        other => other.to_owned(),
    }
}

fn fill(value: &mut Value) {
    match value {
        Value::String(text) => *text = filled(text),
        Value::Object(fields) => fields.values_mut().for_each(fill),
        Value::Array(items) => items.iter_mut().for_each(fill),
        _ => {}
    }
}

#[test]
fn open_webui_gets_what_it_reads() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let mut wrong = Vec::new();
    for line in include_str!("../fixtures/openai_media/open_webui.jsonl").lines() {
        let case: Value = serde_json::from_str(line).expect(line);
        let (title, path) = (case["title"].as_str().unwrap(), case["path"].as_str().unwrap());
        let proxy = Proxy::start(&google, |config| {
            config["gemini_api_keys"] = json!([GEMINI_KEY]);
            if let Some(alias) = case["alias"].as_str() {
                config["models"] = json!([{"name": alias, "alias_of": "gemini-3.1-flash-image"}]);
            }
        });
        let answer = match (&case["form"], case["method"].as_str()) {
            (Value::Array(fields), _) => {
                let field = |field: &Value| {
                    let text = filled(field[1].as_str().unwrap());
                    let file = field[2].as_str().map(str::to_owned);
                    let data = if file.is_some() { STANDARD.decode(text).unwrap() } else { text.into_bytes() };
                    (field[0].as_str().unwrap().to_owned(), file, data)
                };
                let fields: Vec<_> = fields.iter().map(field).collect();
                let fields: Vec<_> =
                    fields.iter().map(|(name, file, data)| (name.as_str(), file.as_deref(), data.as_slice())).collect();
                send(&proxy, path, &fields)
            }
            (_, Some(method)) => ask(&proxy, method, path, &[], b""),
            _ => {
                let mut body = case["json"].clone();
                fill(&mut body);
                super::post(&proxy, path, &body)
            }
        };
        if answer.status != 200 {
            wrong.push(format!("{title}: {} {}", answer.status, answer.text()));
            continue;
        }
        if let Some(media) = case["media"].as_str().filter(|media| answer.header("content-type") != Some(media)) {
            wrong.push(format!("{title}: {:?}, not {media}", answer.header("content-type")));
        }
        let sent = case["sent"].as_object().map(|_| google.last_generation().inner().clone()).unwrap_or_default();
        let document = if case["answer"].is_null() { Value::Null } else { answer.json() };
        for (what, found) in [("sent", &sent), ("answer", &document)] {
            for (pointer, expected) in case[what].as_object().into_iter().flatten() {
                let mut expected = expected.clone();
                fill(&mut expected);
                let value = found.pointer(pointer).cloned().unwrap_or_default();
                if value != expected {
                    wrong.push(format!("{title}: {what} {pointer} is {value}, not {expected}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
