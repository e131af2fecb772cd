//! Bytes on the wire, from Google and to the client (docs/openai-chat.md "Writing events", docs/openai-chat.md "Reading
//! events"). The reader's own tests in `src/sse.rs` cut each of these bodies at every place; here they go through the
//! whole program.

use super::{cases, content, error, event, finishes, frames, hello, parts, post, start, start_with};
use crate::common::google::{FakeGoogle, Step};
use crate::common::proxy::{GEMINI_KEY, Pool};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn events_are_read_in_every_spelling_and_splitting() {
    let (google, proxy) = start(Pool::ApiKey);
    let cases = cases("wire");
    assert!(cases.len() > 5, "the fixtures are there");
    for case in cases {
        let wire = case["wire"].as_str().unwrap();
        let wire = wire.replace("{A}", &event("one ", None).to_string());
        let wire = wire.replace("{B}", &event("two", Some("STOP")).to_string());
        for bytes in [1, 7, usize::MAX] {
            google.script(GEMINI_KEY, Step::raw_stream(wire.clone()).split(bytes));
            let answer = post(&proxy, &hello(true));
            let what = format!("{}, {bytes} bytes at a time: {}", case["title"], answer.text());
            assert_eq!((content(&answer).as_str(), finishes(&answer)), ("one two", vec!["stop".to_owned()]), "{what}");
            assert_eq!(frames(&answer).last().map(String::as_str), Some("[DONE]"), "{what}");
        }
    }
}

#[test]
fn every_line_end_in_a_text_is_escaped_towards_the_client() {
    let (google, proxy) = start(Pool::ApiKey);
    let text = "a\u{2028}b\u{2029}c\u{85}d\ne\r";
    google.always(GEMINI_KEY, parts(json!([{"text": text}]), "STOP"));
    let answer = post(&proxy, &hello(true));
    let body = answer.text();
    assert!(body.contains("\"a\\u2028b\\u2029c\\u0085d\\ne\\r\""), "{body}");
    assert!(!body.contains(['\u{2028}', '\u{2029}', '\u{85}', '\r']), "{body}");
    assert_eq!(content(&answer), text);
    for (name, value) in [
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-cache"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
    assert_eq!(answer.header("content-length"), None);
}

#[test]
fn five_megabytes_in_one_event_are_one_event() {
    let (google, proxy) = start(Pool::ApiKey);
    let data = "iVBORw0K".repeat(5 << 17);
    google.always(GEMINI_KEY, parts(json!([{"inlineData": {"mimeType": "image/png", "data": data}}]), "STOP"));
    let begun = Instant::now();
    let answer = post(&proxy, &hello(true));
    let chunks: Vec<Value> = frames(&answer)
        .iter()
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let images: Vec<&Value> = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"].get("images")).collect();
    assert_eq!(images.len(), 1);
    assert_eq!(images[0][0]["image_url"]["url"].as_str().unwrap().len(), data.len() + "data:image/png;base64,".len());
    // Quadratic work would take minutes.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_line_without_end_stops_at_the_limit() {
    let (google, proxy) = start(Pool::ApiKey);
    let mut endless = b"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"".to_vec();
    endless.resize(66 << 20, b'x');
    google.always(GEMINI_KEY, Step::raw_stream(endless));
    let answer = post(&proxy, &hello(true));
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(error(&answer.json())["type"], "server_error");
}

#[test]
fn an_event_that_is_not_utf8_is_a_502_and_not_the_end() {
    let (google, proxy) = start(Pool::ApiKey);
    google.always(GEMINI_KEY, Step::raw_stream(b"data: \xff\n\n".to_vec()));
    let answer = post(&proxy, &hello(true));
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(error(&answer.json())["code"], "upstream_invalid");
    google.clear_scripts();
    assert_eq!(post(&proxy, &hello(true)).status, 200);
}

#[test]
fn compressed_answers_are_not_asked_for() {
    let (google, proxy) = start(Pool::ApiKey);
    assert_eq!(post(&proxy, &hello(true)).status, 200);
    let asked = google.last_generation();
    assert!(asked.header("accept-encoding").is_none_or(|coding| coding == "identity"), "{:?}", asked.headers);
}

#[test]
fn silence_in_the_middle_of_a_stream_is_bridged_by_comments() {
    let google = FakeGoogle::start();
    let proxy = start_with(&google, |config| config["stream"] = json!({"keep_alive_sec": 0.1}));
    let events = vec![event("one", None), event("two", Some("STOP"))];
    google.always(GEMINI_KEY, Step::stream(events).every(Duration::from_millis(450)));
    let answer = post(&proxy, &hello(true));
    let text = answer.text();
    let (one, two) = (text.find("\"one\"").unwrap(), text.find("\"two\"").unwrap());
    assert!(text[one..two].matches("\n\n: keepalive\n\n").count() >= 1, "{text}");
    assert_eq!((content(&answer).as_str(), finishes(&answer).len()), ("onetwo", 1));
}
