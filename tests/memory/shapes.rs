//! Shapes of requests that hold more pieces than letters: whatever the surface, the field and the piece, a request takes four
//! times its size and 16 MB at most.

use super::{forget_peak, peak, start, status_of};
use crate::common::google::FakeGoogle;
use crate::common::program::Folder;
use std::time::{Duration, Instant};

/// Bodies of very many small pieces: where they stand, one of them (`#` is its number), and what stands around them.
#[rustfmt::skip] // A table reads better in lines.
pub const SHAPES: [(&str, &str, &str, &str); 19] = [
    (CHAT, "{}", r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":["#, "]}]}"),
    (
        CHAT,
        r#"{"type":"text","text":"a"}"#,
        r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":["#,
        "]}]}",
    ),
    (CHAT, r#"{"role":"user","content":"a"}"#, r#"{"model":"gemini-2.5-flash","messages":["#, "]}"),
    (
        CHAT,
        r#"{"role":"user","content":"a"},{"role":"assistant","content":"a"}"#,
        r#"{"model":"gemini-2.5-flash","messages":["#,
        "]}",
    ),
    (
        CHAT,
        r#"{"role":"assistant","tool_calls":[{"id":"c#","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c#","content":"a"}"#,
        r#"{"model":"gemini-3-flash-preview","messages":["#,
        "]}",
    ),
    (
        CHAT,
        r#"{"type":"function","function":{"name":"f#"}}"#,
        r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"a"}],"tools":["#,
        "]}",
    ),
    (
        CHAT,
        r#""p#":{"type":"string"}"#,
        r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"#,
        "}}}}]}",
    ),
    (
        CHAT,
        "0",
        r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":["#,
        r#"]}"}}]}]}"#,
    ),
    (CHAT, "{}", r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"a"}],"unknown":["#, "]}"),
    (CHAT, r#""k#":0"#, r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"a"}],"unknown":{"#, "}}"),
    ("/v1/completions", r#""a""#, r#"{"model":"gemini-2.5-flash","prompt":"a","stop":["#, "]}"),
    ("/v1/embeddings", r#""a""#, r#"{"model":"gemini-embedding-001","dimensions":1,"input":["#, "]}"),
    ("/v1/responses", r#"{"role":"user","content":"a"}"#, r#"{"model":"gemini-2.5-flash","input":["#, "]}"),
    (
        "/v1/messages",
        r#"{"role":"user","content":"a"}"#,
        r#"{"model":"gemini-2.5-flash","max_tokens":9,"messages":["#,
        "]}",
    ),
    (
        "/v1/messages",
        r#"{"name":"f#","input_schema":{}}"#,
        r#"{"model":"gemini-2.5-flash","max_tokens":9,"messages":[{"role":"user","content":"a"}],"tools":["#,
        "]}",
    ),
    (
        "/v1/messages/count_tokens",
        r#"{"role":"user","content":"a"}"#,
        r#"{"model":"gemini-2.5-flash","messages":["#,
        "]}",
    ),
    (NATIVE, "{}", r#"{"contents":[{"parts":["#, "]}]}"),
    (NATIVE, r#"{"parts":[{"text":"a"}]}"#, r#"{"contents":["#, "]}"),
    (
        "/v1beta/models/gemini-embedding-001:batchEmbedContents",
        r#"{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"a"}]}}"#,
        r#"{"requests":["#,
        "]}",
    ),
];
pub const CHAT: &str = "/v1/chat/completions";
const NATIVE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";

#[test]
fn a_request_of_any_shape_takes_four_times_its_size_and_sixteen_megabytes_at_most() {
    let google = FakeGoogle::start();
    for (path, piece, before, after) in SHAPES {
        let folder = Folder::new("memory-shapes");
        let program = start(&google, &folder);
        let (floor, mut answered) = (peak(&program), 0);
        for doubled in 8.. {
            let pieces: Vec<String> = (0..1 << doubled).map(|n| piece.replace('#', &n.to_string())).collect();
            let body = format!("{before}{}{after}", pieces.join(","));
            let status = status_of(program.port, path, &body);
            let (growth, allowed) = (peak(&program).saturating_sub(floor), 4 * body.len() + (16 << 20));
            println!("{path} {piece}: {} of them, {} bytes, took {growth}: {status}", pieces.len(), body.len());
            assert!(growth <= allowed, "{path} {piece}: {growth} bytes for {} of {}", body.len(), pieces.len());
            if status == 413 {
                break;
            }
            answered = pieces.len();
        }
        assert!(answered >= 1024, "{path} {piece}: {answered} of them are not many");
    }
}

/// Values of about so many bytes, made of one piece again and again.
fn values(bytes: usize) -> Vec<(&'static str, String)> {
    let list = |piece: &str| format!("[{}]", vec![piece; bytes / (piece.len() + 1)].join(","));
    let numbered = |piece: &str| {
        let pieces = (0..bytes / (piece.len() + 5)).map(|number| piece.replace('#', &number.to_string()));
        pieces.collect::<Vec<_>>().join(",")
    };
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    let objects = format!("{}0{}", r#"{"a":"#.repeat(50), "}".repeat(50));
    let text = |piece: &str| format!("\"{}\"", piece.repeat(bytes / piece.len()));
    vec![
        ("objects", list("{}")),
        ("lists", list("[]")),
        ("lists in lists", list(&deep)),
        ("objects in objects", list(&objects)),
        ("numbers", list("0")),
        ("long numbers", list("0.12345678901234567")),
        ("texts", list(r#""""#)),
        ("letters", list(r#""a""#)),
        ("keys", format!("{{{}}}", numbered(r##""k#":0"##))),
        ("keys of objects", format!("{{{}}}", numbered(r##""k#":{}"##))),
        ("parts", list(r#"{"type":"text","text":"a"}"#)),
        ("properties", format!(r#"{{"type":"object","properties":{{{}}}}}"#, numbered(r##""p#":{"type":"string"}"##))),
        ("choices", format!(r#"{{"anyOf":{}}}"#, list(r#"{"type":"string"}"#))),
        ("escapes", text(r"\u0001")),
        ("surrogates", text(r"\ud83d")),
        ("line ends", text(r"\n")),
    ]
}

#[rustfmt::skip] // A table reads better in lines.
/// Where a value may stand, as `@`; or as `$` where it is JSON in a text.
const PLACES: [(&str, &str); 22] = [
    (CHAT, r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":@}]}"#),
    (CHAT, r#"{"model":"gemini-2.5-flash","messages":@}"#),
    (CHAT, r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":$}}]},{"role":"tool","tool_call_id":"c","content":"a"}]}"#),
    (CHAT, r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f","parameters":@}}]}"#),
    (CHAT, r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":@}}}"#),
    (CHAT, r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"a"}],"n":8,"metadata":@}"#),
    (CHAT, r#"{"messages":[{"role":"user","content":"a"}],"model":@}"#),
    ("/v1/completions", r#"{"model":"gemini-2.5-flash","prompt":@}"#),
    ("/v1/embeddings", r#"{"model":"gemini-embedding-001","input":@}"#),
    ("/v1/responses", r#"{"model":"gemini-2.5-flash","input":[{"role":"user","content":@}]}"#),
    ("/v1/responses", r#"{"model":"gemini-2.5-flash","input":"a","metadata":@}"#),
    ("/v1/responses", r#"{"model":"gemini-2.5-flash","input":"a","tools":[{"type":"function","name":"f","parameters":@}]}"#),
    ("/v1/responses/input_tokens", r#"{"model":"gemini-2.5-flash","input":@}"#),
    ("/v1/responses/compact", r#"{"model":"gemini-2.5-flash","input":@}"#),
    ("/v1/messages", r#"{"model":"gemini-2.5-flash","max_tokens":9,"messages":[{"role":"user","content":@}]}"#),
    ("/v1/messages", r#"{"model":"gemini-2.5-flash","max_tokens":9,"messages":[{"role":"user","content":"a"}],"tools":[{"name":"f","input_schema":@}]}"#),
    ("/v1/messages/count_tokens", r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":@}]}"#),
    (NATIVE, r#"{"contents":[{"parts":@}]}"#),
    (NATIVE, r#"{"contents":[{"parts":[{"functionResponse":{"name":"f","response":@}}]}]}"#),
    (NATIVE, r#"{"contents":[{"parts":[{"text":"a"}]}],"tools":[{"functionDeclarations":[{"name":"f","parameters":@}]}]}"#),
    ("/v1beta/models/gemini-2.5-flash:countTokens", r#"{"generateContentRequest":{"model":"models/gemini-2.5-flash","contents":[{"parts":@}]}}"#),
    ("/v1beta/cachedContents", r#"{"model":"models/gemini-2.5-flash","contents":[{"parts":@}]}"#),
];

/// Each value in each place, with sizes about that at which the most pieces are let through. `make conformance` tries the
/// larger ones, which take ten times as long.
#[test]
fn no_value_in_any_field_of_any_surface_takes_more_than_a_request_may() {
    let google = FakeGoogle::start();
    let folder = Folder::new("memory-values");
    let program = start(&google, &folder);
    let largest = std::env::var("GEMINI_PROXY_VALUES").map_or(100, |largest| largest.parse().unwrap());
    for bytes in [100 << 10, 300 << 10, 1 << 20].into_iter().filter(|bytes| *bytes <= largest << 10) {
        for (name, value) in values(bytes) {
            for (path, place) in PLACES {
                let body = place.replace('@', &value).replace('$', &serde_json::to_string(&value).unwrap());
                forget_peak(&program);
                let floor = peak(&program);
                let begun = Instant::now();
                let status = status_of(program.port, path, &body);
                let (growth, allowed) = (peak(&program).saturating_sub(floor), 4 * body.len() + (16 << 20));
                let what = format!("{name} in {path} {}", &place[place.len().saturating_sub(50)..]);
                assert!(growth <= allowed, "{what}: {growth} bytes for {}: {status}", body.len());
                assert!(status != 500, "{what}: {status}");
                assert!(begun.elapsed() < Duration::from_secs(15), "{what}: {:?}", begun.elapsed());
            }
        }
    }
}
