//! HTTP/1.1 as data: `fixtures/http/requests.jsonl` has what a connection may hold, by section of the RFCs and by the kinds of
//! published smuggling payloads, and `differential.rs` compares what this listener reads from mutated requests with what
//! an independent parser does.
//!
//! Fields of a line: `send` (a letter up to U+00FF is a byte), `requests` (method, target, length of the body) that must be
//! read from it, `status` of the refusal that must end it, or none. A further request is always sent behind it: it is
//! read where nothing was refused, and never otherwise.

mod differential;
mod reader;

use reader::Reader;
use serde_json::Value;

const AFTER: &str = "GET /after HTTP/1.1\r\nHost: h\r\n\r\n";

/// The bytes that a text of the fixtures means.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).expect("a letter up to U+00FF")).collect()
}

#[test]
fn every_line_of_the_list_is_read_as_it_says() {
    let list = include_str!("../fixtures/http/requests.jsonl");
    let reader = Reader::start();
    let mut wrong = Vec::new();
    for line in list.lines() {
        let case: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let (title, status) = (case["title"].as_str().unwrap(), case["status"].as_u64());
        let sent = [bytes(case["send"].as_str().unwrap()), AFTER.into()].concat();
        let mut expected: Vec<String> = serde_json::from_value(case["requests"].clone()).unwrap();
        expected.extend(status.is_none().then(|| "GET /after 0".to_owned()));
        for pieces in [vec![&sent[..]], sent.chunks(1).collect()] {
            let found = reader.read(&pieces);
            let requests: Vec<String> =
                found.requests.iter().map(|it| format!("{} {} {}", it.method, it.target, it.length)).collect();
            let refused = found.refusal.as_ref().map(|(status, _)| u64::from(*status));
            if (&requests, refused) != (&expected, status) {
                wrong.push(format!("{title}: {requests:?}, {:?}", found.refusal));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
