//! Bodies that come compressed: requests, as Codex sends them, on every surface, and answers that a gateway compresses.

use crate::common::google::{FakeGoogle, Step, User};
use crate::common::http::ask;
use crate::common::proxy::{EMAIL, GEMINI_KEY, Proxy};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::json;
use std::io::Write as _;

fn coded(coding: &str, text: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => compress_to_vec(text, CompressionLevel::Fastest),
        _ => text.to_vec(),
    }
}

#[test]
fn compressed_bodies_are_read_on_every_surface_and_bombs_and_unknown_codings_are_refused() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["server"]["max_body_mb"] = json!(1);
    });
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let bomb = vec![b' '; 8 << 20];
    for (path, body) in [
        ("/v1/chat/completions", json!({"model": "gemini-2.5-flash", "messages": messages})),
        ("/v1/completions", json!({"model": "gemini-2.5-flash", "prompt": "Hi"})),
        ("/v1/embeddings", json!({"model": "gemini-embedding-001", "input": "Hi"})),
        ("/v1/responses", json!({"model": "gemini-2.5-flash", "input": "Hi"})),
        ("/v1/messages", json!({"model": "gemini-2.5-flash", "max_tokens": 9, "messages": messages})),
        ("/v1/messages/count_tokens", json!({"model": "gemini-2.5-flash", "messages": messages})),
        ("/v1beta/models/gemini-2.5-flash:generateContent", json!({"contents": [{"parts": [{"text": "Hi"}]}]})),
        ("/upload/v1beta/files", json!({"file": {"display_name": "notes"}})),
    ] {
        let json = body.to_string();
        let post = |coding: &str, body: &[u8]| {
            let fields = [
                ("Content-Encoding", coding),
                ("Content-Type", "application/json"),
                ("X-Goog-Upload-Protocol", "resumable"),
                ("X-Goog-Upload-Command", "start"),
            ];
            ask(&proxy, "POST", path, &fields, body)
        };
        for coding in ["gzip", "deflate", "zstd", "identity"] {
            let answer = post(coding, &coded(coding, json.as_bytes()));
            assert_eq!(answer.status, 200, "{path} {coding}: {}", answer.text());
        }
        for coding in ["gzip", "deflate", "zstd"] {
            let answer = post(coding, &coded(coding, &bomb));
            assert_eq!(answer.status, 413, "{path} {coding}: {}", answer.text());
            assert!(answer.text().contains("1048576"), "{path} {coding}: {}", answer.text());
            let answer = post(coding, json.as_bytes());
            assert_eq!(answer.status, 400, "{path} {coding}: {}", answer.text());
        }
        // RFC 9110 section 15.5.16.
        let answer = post("br", json.as_bytes());
        assert_eq!((answer.status, answer.header("accept-encoding")), (415, Some("gzip, deflate, zstd")), "{path}");
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains("br"), "{path}: {}", answer.text());
    }
}

#[test]
fn admin_routes_go_by_the_same_rule() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    google.add_user(User::licensed(EMAIL, "project-1"));
    let proxy = Proxy::start(&google, |config| {
        config["server"]["max_body_mb"] = json!(1);
        config["admin_username"] = json!("chef");
        config["admin_password"] = json!("right-password");
    });
    let bomb = vec![b' '; 8 << 20];
    let form = "application/x-www-form-urlencoded";
    for (path, media, plain, limit) in [
        ("/admin/keys", "application/json", r#"{"name":"by CODING"}"#.to_owned(), 1 << 20),
        ("/admin/keys/bulk", "application/json", r#"{"action":"enable","ids":[]}"#.to_owned(), 1 << 20),
        (
            "/admin/credentials/add",
            "application/json",
            json!({"credential": google.oauth_credential(EMAIL)}).to_string(),
            1 << 20,
        ),
        ("/admin/credentials/import", "application/json", json!({"text": GEMINI_KEY}).to_string(), 1 << 20),
        ("/admin/oauth/start", "application/json", r#"{"mode":"paste"}"#.to_owned(), 1 << 20),
        ("/admin/sign-in", form, "username=chef&password=right-password".to_owned(), 4096),
    ] {
        let post = |coding: &str, body: &[u8]| {
            let login = ("Authorization", "Basic Y2hlZjpyaWdodC1wYXNzd29yZA==");
            let fields = [login, ("Content-Encoding", coding), ("Content-Type", media)];
            ask(&proxy, "POST", path, if path == "/admin/sign-in" { &fields[1..] } else { &fields }, body)
        };
        for coding in ["identity", "gzip", "deflate", "zstd"] {
            let answer = post(coding, &coded(coding, plain.replace("CODING", coding).as_bytes()));
            assert!((200..=303).contains(&answer.status), "{path} {coding}: {} {}", answer.status, answer.text());
        }
        for coding in ["gzip", "deflate", "zstd"] {
            // A form is refused by its length before it is read.
            let small = vec![b' '; if limit == 4096 { 5000 } else { bomb.len() }];
            let answer = post(coding, &coded(coding, &small));
            assert_eq!(answer.status, 413, "{path} {coding}: {}", answer.text());
            let told = answer.json()["detail"].as_str().expect("a sentence").to_owned();
            assert!(told.contains(&limit.to_string()), "{path} {coding}: {told}");
            let answer = post(coding, plain.as_bytes());
            assert_eq!(answer.status, 400, "{path} {coding}: {}", answer.text());
        }
        if path == "/admin/keys" {
            let answer = post("identity", &vec![b' '; 65537]);
            assert_eq!(answer.status, 413, "{path}: {}", answer.text());
            assert!(answer.text().contains("65536"), "{path}: {}", answer.text());
        }
        let answer = post("br", plain.as_bytes());
        assert_eq!((answer.status, answer.header("accept-encoding")), (415, Some("gzip, deflate, zstd")), "{path}");
        assert!(answer.header("content-security-policy").is_some(), "{path}");
        assert!(answer.json()["detail"].as_str().expect("a sentence").contains("br"), "{path}: {}", answer.text());
    }
}

#[test]
fn answers_and_refusals_that_a_gateway_compresses_are_read() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let proxy = Proxy::start(&google, |config| config["gemini_api_keys"] = json!([GEMINI_KEY]));
    let event = |text: &str, more: &str| {
        let part = json!({"text": text});
        format!("data: {{\"candidates\":[{{\"content\":{{\"role\":\"model\",\"parts\":[{part}]}}{more}}}]}}\r\n\r\n")
    };
    let stream = event("Hello ", "") + &event("there", ",\"finishReason\":\"STOP\"");
    let body = json!({"model": "gemini-2.5-flash", "stream": true, "messages": [{"role": "user", "content": "Hi"}]})
        .to_string();
    let chat = || ask(&proxy, "POST", "/v1/chat/completions", &[], body.as_bytes());
    for coding in ["gzip", "X-GZip"] {
        google
            .script(GEMINI_KEY, Step::raw_stream(coded("gzip", stream.as_bytes())).header("Content-Encoding", coding));
        let answer = chat();
        assert!(answer.text().contains("\"Hello \"") && answer.text().contains("\"there\""), "{}", answer.text());
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    }
    let refused =
        json!({"error": {"code": 400, "message": "A part is too odd.", "status": "INVALID_ARGUMENT"}}).to_string();
    google.script(GEMINI_KEY, Step::body(400, coded("gzip", refused.as_bytes())).header("Content-Encoding", "gzip"));
    let answer = chat();
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("A part is too odd."), "{}", answer.text());
    google.always(GEMINI_KEY, Step::raw_stream("x").header("Content-Encoding", "br"));
    let answer = chat();
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(answer.text().contains("compressed (br)"), "{}", answer.text());
}
