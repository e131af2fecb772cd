//! What the translation itself costs, without sockets: a conversation of 200 turns to Google's terms, and an event of Google's to a
//! client's frames, in each dialect. `make bench` prints it. `translate DIALECT KIND COUNT` does one thing so often, for callgrind: `events`, `middle` (without the
//! end of a stream) or `requests`.

#[path = "../tests/common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests use the rest")]
mod common;

use self::common::long_talk::{Dialect, Talk};
use gemini_openai_proxy::api::Translator;
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;

const MODEL: &str = "gemini-3-flash-preview";
const TURNS: usize = 200;
const ROUNDS: usize = 30;
const EVENTS: usize = 2_000;

/// CPU time of this thread in milliseconds.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").expect("a kernel that counts it");
    let nanoseconds: f64 = stat.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
    nanoseconds / 1e6
}

/// The median of what each round took.
fn median(mut round: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = cpu();
            round();
            cpu() - start
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

/// From the client's bytes to Google's.
fn request(talk: &Talk, body: &[u8]) {
    black_box(serde_json::to_vec(&talk.translate(body.to_vec())).expect("JSON"));
}

/// An event of Google's.
fn event(text: &str, reason: Option<&str>) -> String {
    let candidate =
        json!({"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, "finishReason": reason});
    let usage = json!({"promptTokenCount": 9000, "candidatesTokenCount": 40, "totalTokenCount": 9040});
    json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": MODEL, "responseId": "an-id"}).to_string()
}

/// From Google's events to the client's stream, which still goes on.
fn middle(talk: &Talk, count: usize) -> Box<dyn Translator> {
    let json = event("A piece of text as long as those that Google sends in an event of its own. ", None);
    let mut translator = talk.first(true).translator();
    let mut out = Vec::new();
    for _ in 0..count {
        let parsed = serde_json::from_str(&json).expect("an event");
        out.clear();
        translator.event(&json, &parsed, &mut out).expect("an event");
        black_box(&out);
    }
    translator
}

/// A whole stream: its end repeats all that was said in some dialects.
fn events(talk: &Talk, count: usize) {
    let mut translator = middle(talk, count);
    let (json, mut out) = (event("The end.", Some("STOP")), Vec::new());
    translator.event(&json, &serde_json::from_str(&json).expect("an event"), &mut out).expect("an event");
    translator.end(&mut out).expect("an end");
    black_box(&out);
}

fn long(dialect: Dialect, turns: usize) -> Talk {
    let mut talk = Talk::new(dialect, MODEL);
    (0..turns).for_each(|_| talk.advance());
    talk
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [dialect, kind, count] = &arguments[..] {
        let named = |one: &Dialect| format!("{one:?}").eq_ignore_ascii_case(dialect);
        let dialect = Dialect::EACH.into_iter().find(named).expect("chat, responses or messages");
        let count: usize = count.parse().expect("a number");
        match kind.as_str() {
            "events" => events(&long(dialect, 0), count),
            "middle" => drop(middle(&long(dialect, 0), count)),
            _ => {
                let talk = long(dialect, TURNS);
                let body = talk.body().to_string();
                (0..count).for_each(|_| request(&talk, body.as_bytes()));
            }
        }
        return;
    }
    print!("{}", table());
}

/// What each dialect takes.
pub fn table() -> String {
    let mut table = String::from("| dialect | body MB | CPU ms/MB | CPU us/event |\n|--|--|--|--|\n");
    for dialect in Dialect::EACH {
        let talk = long(dialect, TURNS);
        let body = talk.body().to_string();
        let megabytes = body.len() as f64 / 1e6;
        let per_megabyte = median(|| request(&talk, body.as_bytes())) / megabytes;
        let per_event = median(|| events(&talk, EVENTS)) * 1e3 / EVENTS as f64;
        let _ = writeln!(table, "| {dialect:?} | {megabytes:.2} | {per_megabyte:.1} | {per_event:.1} |");
    }
    table
}
