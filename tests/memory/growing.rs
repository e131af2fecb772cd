//! Texts that are longer as JSON than what a client sent: those of files and of forms, which a request may have as they are. A
//! control character takes six bytes for one.

use super::shapes::CHAT;
use super::{KEY, answer_to, forget_peak, peak, start, start_with};
use crate::common::google::{FakeGoogle, Step};
use crate::common::program::Folder;
use serde_json::json;

const MB: usize = 1 << 20;
const FORM: &str = "multipart/form-data; boundary=B";

fn field(name: &str, text: &str) -> String {
    format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
}

fn file(name: &str, media: &str, text: &str) -> String {
    format!(
        "--B\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\nContent-Type: {media}\r\n\r\n{text}\r\n"
    )
}

/// Bodies of about so many bytes: where they go, what they are.
fn bodies(bytes: usize) -> Vec<(&'static str, &'static str, String)> {
    // Three characters U+0001.
    let coded = format!("data:text/plain;base64,{}", "AQEB".repeat(bytes / 4));
    let raw = "\u{1}".repeat(bytes);
    let json = "application/json";
    let user = |part: &str| format!(r#"[{{"role":"user","content":[{part}]}}]"#);
    let part = format!(r#"{{"type":"file","file":{{"filename":"a.txt","file_data":"{coded}"}}}}"#);
    let mut bodies = vec![
        (CHAT, json, format!(r#"{{"model":"gemini-2.5-flash","messages":{}}}"#, user(&part))),
        // A private character is quoted with more letters than it has bytes.
        (
            "/v1beta/models/gemini-2.5-flash:generateContent",
            json,
            format!(r#"{{"contents":"{}"}}"#, "\u{e000}".repeat(bytes / 3)),
        ),
    ];
    if cfg!(feature = "agents") {
        let part = format!(r#"{{"type":"input_file","filename":"a.txt","file_data":"{coded}"}}"#);
        let data = &coded["data:text/plain;base64,".len()..];
        let document =
            format!(r#"{{"type":"document","source":{{"type":"base64","media_type":"text/plain","data":"{data}"}}}}"#);
        let result = format!(r#"{{"type":"tool_result","tool_use_id":"t","content":[{document}]}}"#);
        let call = r#"{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]}"#;
        let messages = |turns: &str| format!(r#"{{"model":"gemini-2.5-flash","max_tokens":9,"messages":{turns}}}"#);
        bodies.extend([
            ("/v1/responses", json, format!(r#"{{"model":"gemini-2.5-flash","input":{}}}"#, user(&part))),
            ("/v1/messages", json, messages(&user(&document))),
            (
                "/v1/messages",
                json,
                messages(&format!("[{{\"role\":\"user\",\"content\":\"a\"}},{call},{}", &user(&result)[1..])),
            ),
        ]);
    }
    if cfg!(feature = "media") {
        let sound = file("file", "audio/wav", "RIFF1234WAVE");
        let picture = file("image", "image/png", "\u{89}PNG\r\n\u{1a}\n");
        for (path, model, file, name) in [
            ("/v1/audio/transcriptions", "gemini-2.5-flash", &sound, "prompt"),
            ("/v1/audio/transcriptions", "gemini-2.5-flash", &sound, "language"),
            ("/v1/images/edits", "gemini-2.5-flash-image", &picture, "prompt"),
        ] {
            bodies.push((path, FORM, format!("{}{}{file}--B--\r\n", field("model", model), field(name, &raw))));
        }
    }
    bodies
}

#[test]
fn texts_of_files_and_forms_take_four_times_the_body_and_sixteen_megabytes_at_most() {
    let google = FakeGoogle::start();
    let folder = Folder::new("memory-growing");
    let program = start(&google, &folder);
    google.always(KEY, Step::text("short"));
    for megabytes in [2, 8, 24] {
        for (path, media, body) in bodies(megabytes * MB) {
            forget_peak(&program);
            let floor = peak(&program);
            let (status, said) = answer_to(program.port, path, media, &body);
            let growth = peak(&program).saturating_sub(floor);
            println!("{path}: {} bytes took {growth}: {status}, {} bytes said", body.len(), said.len());
            assert!(growth <= 4 * body.len() + 16 * MB, "{path}: {growth} bytes for {}", body.len());
            assert!(status == 200 || said.len() <= 4096, "{path}: {} bytes said", said.len());
            assert!(megabytes < 24 || [400, 413].contains(&status), "{path}: {status}");
        }
    }
}

#[test]
fn they_end_no_small_process() {
    let google = FakeGoogle::start();
    let folder = Folder::new("memory-growing");
    let program = start_with(&google, &folder, "ulimit -d 262144", &json!({}));
    google.always(KEY, Step::text("short"));
    std::thread::scope(|scope| {
        for megabytes in [5, 8, 15, 30] {
            for (path, media, body) in bodies(megabytes * MB) {
                let port = program.port;
                scope.spawn(move || answer_to(port, path, media, &body));
            }
        }
    });
    let hello = r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}]}"#;
    assert_eq!(answer_to(program.port, CHAT, "application/json", hello).0, 200, "{}", program.log());
}
