//! What Google sends may be bad, too: whatever the pieces and however many, an answer takes a bounded part of the memory
//! that is set, and the others are served.

use super::shapes::CHAT;
use super::{KEY, forget_peak, peak, start_with, status_of};
use crate::common::google::{FakeGoogle, Step};
use crate::common::program::Folder;
use serde_json::json;
use std::time::{Duration, Instant};

const ROOM: usize = 32 << 20;

/// Answers that grow: a name, the beginning, pieces, and what stands between them.
fn answers() -> Vec<(&'static str, String)> {
    let event = |parts: &str| format!("data: {{\"candidates\":[{{\"content\":{{\"parts\":[{parts}]}}}}]}}\r\n\r\n");
    let many = |parts: &str, bytes: usize| {
        let event = event(parts);
        event.repeat(bytes / event.len()) + &self::event_of_the_end()
    };
    let picture = format!(r#"{{"inlineData":{{"mimeType":"image/png","data":"{}"}}}}"#, "iVBORw0K".repeat(20_000));
    let sound = picture.replace("image/png", "audio/pcm");
    let call = r#"{"functionCall":{"name":"f","args":{"a":[1,2,3],"b":"c"}}}"#;
    let thoughts = r#"{"text":"a","thought":true},{"text":"b"},"#.repeat(200);
    let signed = r#"{"text":"a","thoughtSignature":"QUJD"}"#;
    let tool = format!(r#"{{"toolResponse":{{"response":"{}"}}}}"#, "a".repeat(10_000));
    let long = |inside: &str, count: usize| event(&inside.repeat(count)) + &self::event_of_the_end();
    let argument = |args: &str| event(&format!(r#"{{"functionCall":{{"name":"f","args":{args}}}}}"#));
    let list = |item: &str, count: usize| format!("[{}0]", format!("{item},").repeat(count));
    let path = format!("$.{}", vec!["a"; 100_000].join("."));
    let piece =
        format!(r#"{{"functionCall":{{"name":"f","partialArgs":[{{"jsonPath":"{path}","stringValue":"x"}}]}}}}"#);
    let metadata = format!(
        "data: {{\"candidates\":[{{\"citationMetadata\":{{\"citations\":{}}}}}]}}\r\n\r\n",
        list(r#"{"uri":"https://a.test/"}"#, 1000)
    );
    let candidates = format!("data: {{\"candidates\":[{}{{}}]}}\r\n\r\n", "{},".repeat(1_000_000));
    vec![
        ("texts", many(&format!(r#"{{"text":"{}"}}"#, "a".repeat(10_000)), 20 << 20)),
        ("pictures", many(&picture, 20 << 20)),
        ("sounds", many(&sound, 20 << 20)),
        ("calls", many(call, 6 << 20)),
        ("thoughts and texts", many(thoughts.trim_end_matches(','), 6 << 20)),
        ("signatures", many(signed, 5 << 20)),
        ("what tools answered", many(&tool, 20 << 20)),
        ("sources", metadata.repeat(1000) + &self::event_of_the_end()),
        ("a million candidates", candidates + &self::event_of_the_end()),
        ("a million parts", long("{},", 1_000_000).replace(",]", "]")),
        ("texts in one event", long(r#"{"text":"a"},"#, 300_000).replace(",]", "]")),
        (
            "an argument of text",
            argument(&format!(r#"{{"a":"{}"}}"#, "x".repeat(20 << 20))) + &self::event_of_the_end(),
        ),
        (
            "an argument of escapes",
            argument(&format!(r#"{{"a":"{}"}}"#, r"\u0001".repeat(1 << 20))) + &self::event_of_the_end(),
        ),
        (
            "an argument of little text",
            argument(&format!(r#"{{"a":"{}"}}"#, "x".repeat(8 << 20))) + &self::event_of_the_end(),
        ),
        ("a text of escapes", many(&format!(r#"{{"text":"{}"}}"#, r"\u0001".repeat(1 << 20)), 12 << 20)),
        ("an argument of numbers", argument(&format!(r#"{{"a":{}}}"#, list("7", 700_000))) + &self::event_of_the_end()),
        (
            "an argument of lists",
            argument(&format!(r#"{{"a":{}}}"#, list("[[]]", 150_000))) + &self::event_of_the_end(),
        ),
        ("an argument that goes deep", event(&piece) + &self::event_of_the_end()),
    ]
}

fn event_of_the_end() -> String {
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"end\"}]},\"finishReason\":\"STOP\"}]}\r\n\r\n".into()
}

/// Each shape goes to two ways of asking in turn; `make conformance` tries each with all seven.
#[test]
fn an_answer_of_any_shape_takes_a_bounded_part_of_the_memory_in_every_dialect() {
    let google = FakeGoogle::start();
    let folder = Folder::new("memory-answers");
    // What it may have is half of what the process has.
    let program = start_with(&google, &folder, "ulimit -d 262144", &json!({"memory_mb": ROOM >> 20, "max_body_mb": 4}));
    let hello = r#""model":"gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}]"#;
    let streamed = |body: &str| body.replacen('{', r#"{"stream":true,"#, 1);
    let chat = format!("{{{hello}}}");
    let messages = format!(r#"{{"max_tokens":9,{hello}}}"#);
    let responses = r#"{"model":"gemini-2.5-flash","input":"Hi"}"#;
    let asked = [
        (CHAT, chat.clone()),
        (CHAT, streamed(&chat)),
        ("/v1/responses", responses.into()),
        ("/v1/responses", streamed(responses)),
        ("/v1/messages", messages.clone()),
        ("/v1/messages", streamed(&messages)),
        ("/v1beta/models/gemini-2.5-flash:streamGenerateContent", r#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#.into()),
    ];
    let is_served =
        |path: &str| cfg!(feature = "agents") || !path.ends_with("/responses") && !path.ends_with("/messages");
    let asked: Vec<_> = asked.into_iter().filter(|(path, _)| is_served(path)).collect();
    let some = if std::env::var_os("GEMINI_PROXY_VALUES").is_some() { asked.len() } else { 2 };
    for (turn, (name, answer)) in answers().into_iter().enumerate() {
        for (path, body) in asked.iter().cycle().skip(turn * some).take(some) {
            google.script(KEY, Step::body(200, &answer));
            forget_peak(&program);
            let floor = peak(&program);
            let (status, said) = super::answer_of(program.port, path, body);
            let growth = peak(&program).saturating_sub(floor);
            let said = if status == 200 { "" } else { &said };
            println!("{name} in {path} {}: {status}, {} MB {said}", &body[..10], growth >> 20);
            assert!([200, 502, 503, 529].contains(&status), "{name} in {path}: {status}");
            assert!(growth <= ROOM + (24 << 20), "{name} in {path}: {} MB", growth >> 20);
        }
        // Who has answered may still be giving back what it took.
        let deadline = Instant::now() + Duration::from_secs(20);
        while status_of(program.port, CHAT, &chat) != 200 {
            assert!(Instant::now() < deadline, "after {name}: {}", program.log());
        }
    }
}

#[cfg(feature = "agents")]
#[test]
fn what_a_response_goes_on_from_is_weighed_like_what_is_sent() {
    let google = FakeGoogle::start();
    let folder = Folder::new("memory-history");
    let server = json!({"memory_mb": ROOM >> 20, "max_body_mb": 4});
    let program = start_with(&google, &folder, "ulimit -d 262144", &server);
    let text = "a".repeat(2 << 20);
    let mut previous = json!(null);
    let mut statuses = Vec::new();
    forget_peak(&program);
    let floor = peak(&program);
    for _ in 0..12 {
        let body = json!({"model": "gemini-2.5-flash", "input": text, "previous_response_id": previous});
        let (status, answer) = super::answer_of(program.port, "/v1/responses", &body.to_string());
        statuses.push(status);
        if status != 200 {
            break;
        }
        previous = serde_json::from_str::<serde_json::Value>(&answer).unwrap()["id"].clone();
    }
    let growth = peak(&program).saturating_sub(floor);
    println!("{statuses:?}, {} MB", growth >> 20);
    assert!(statuses.len() > 2 && statuses.iter().all(|status| [200, 413, 503].contains(status)), "{statuses:?}");
    // What is kept is a part of its own.
    assert!(growth <= 2 * ROOM + (24 << 20), "{} MB", growth >> 20);
    let body = json!({"model": "gemini-2.5-flash", "input": "Hi"});
    assert_eq!(status_of(program.port, "/v1/responses", &body.to_string()), 200, "{}", program.log());
}

#[cfg(feature = "agents")]
#[test]
fn an_item_that_is_named_ten_thousand_times_is_there_once() {
    let google = FakeGoogle::start();
    let folder = Folder::new("memory-items");
    let program = start_with(&google, &folder, "true", &json!({"memory_mb": ROOM >> 20, "max_body_mb": 4}));
    let body = json!({"model": "gemini-2.5-flash", "input": [{"role": "user", "content": "a".repeat(1 << 20)}]});
    let (status, answer) = super::answer_of(program.port, "/v1/responses", &body.to_string());
    assert_eq!(status, 200);
    let id = serde_json::from_str::<serde_json::Value>(&answer).unwrap()["id"].as_str().unwrap().to_owned();
    let item = json!({"type": "item_reference", "id": format!("msg_{}i0", id.strip_prefix("resp_").unwrap())});
    forget_peak(&program);
    let floor = peak(&program);
    let body = json!({"model": "gemini-2.5-flash", "input": vec![item; 2_000]});
    let status = status_of(program.port, "/v1/responses", &body.to_string());
    let growth = peak(&program).saturating_sub(floor);
    assert!([200, 400].contains(&status), "{status}");
    assert!(growth <= 32 << 20, "{} MB", growth >> 20);
}

#[test]
fn an_event_of_a_million_parts_is_refused() {
    let google = FakeGoogle::start();
    let folder = Folder::new("memory-parts");
    let program = super::start(&google, &folder);
    let before = peak(&program);
    let parts = vec!["{}"; 1_000_000].join(",");
    // It is asked for once more, as other broken answers are.
    google.always(KEY, Step::body(200, format!(r#"{{"candidates":[{{"content":{{"parts":[{parts}]}}}}]}}"#)));
    let hello = r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}]}"#;
    assert_eq!(status_of(program.port, CHAT, hello), 502);
    let growth = peak(&program).saturating_sub(before);
    assert!(growth <= 4 * parts.len() + (16 << 20), "{growth} bytes for {}", parts.len());
}
