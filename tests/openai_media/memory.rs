//! What large recordings and pictures take: many at once stay within what the server may take for requests.

#![cfg(target_os = "linux")]

use super::form;
use crate::common::google::engine::PNG;
use crate::common::google::{FakeGoogle, Step};
use crate::common::numbers::Numbers;
use crate::common::program::{Folder, Program};
use crate::common::wire;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::time::Duration;

const KEY: &str = "AIza-key-of-large-media";
const AT_ONCE: usize = 16;
const ROOM_MB: usize = 320;

fn start(google: &FakeGoogle, folder: &Folder) -> Program {
    start_with(google, folder, ROOM_MB)
}

fn start_with(google: &FakeGoogle, folder: &Folder, room: usize) -> Program {
    google.add_api_key(KEY);
    let config = json!({
        "server": {"host": "127.0.0.1", "port": 0, "workers": AT_ONCE, "memory_mb": room},
        "auth_keys": ["sk-client-of-programs"], "gemini_api_keys": [KEY], "endpoints": google.endpoints_json(),
        "usage_logging": {"enabled": false}, "log_level": "info",
    });
    Program::start(folder, &config, &[])
}

fn peak(program: &Program) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

/// Status and body.
fn ask(port: u16, path: &str, kind: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = wire::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-client-of-programs\r\nConnection: close\r\n\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let head = String::from_utf8_lossy(&answer[..answer.len().min(4096)]).into_owned();
    let status =
        head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{path}: {head:?}"));
    (status, answer)
}

/// The bytes of real recordings look like any: many of them are those that stand for values in JSON.
fn recording(bytes: usize) -> Vec<u8> {
    let mut random = Numbers(17);
    let mut file = b"ID3".to_vec();
    file.resize_with(bytes, || random.below(256) as u8);
    file
}

#[test]
fn recordings_of_twenty_megabytes_are_written_down_sixteen_at_once() {
    let google = FakeGoogle::start();
    let folder = Folder::new("media-memory-uploads");
    let program = start(&google, &folder);
    let port = program.port;
    let file = recording(20 << 20);
    let body = form(&[("model", None, b"whisper-1"), ("file", Some("a.mp3"), &file)]);
    let kind = "multipart/form-data; boundary=xYz";
    let before = peak(&program);
    let (status, answer) = ask(port, "/v1/audio/transcriptions", kind, &body);
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    let one = peak(&program) - before;
    assert!(one <= 4 * body.len() + (16 << 20), "{} MB for one", one >> 20);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asking: Vec<_> =
            (0..AT_ONCE).map(|_| scope.spawn(|| ask(port, "/v1/audio/transcriptions", kind, &body).0)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let all = peak(&program) - before;
    println!("one took {} MB, {AT_ONCE} at once {} MB: {statuses:?}", one >> 20, all >> 20);
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&200), "{statuses:?}");
    // What has come of those that wait stands beside the room for those that are worked on.
    assert!(all <= (ROOM_MB << 20) + AT_ONCE * body.len() + (32 << 20), "{} MB", all >> 20);
}

#[test]
fn a_picture_of_twenty_five_megabytes_takes_twice_its_size_also_sixteen_at_once() {
    let google = FakeGoogle::start();
    let folder = Folder::new("media-memory-pictures");
    // An answer is counted four times, and none of them is to be refused.
    let program = start_with(&google, &folder, AT_ONCE * 4 * 30);
    let port = program.port;
    let size = 25 << 20;
    let head = &PNG[..40];
    let data = format!("{head}{}", "iVBORw0K".repeat((size - 40) / 8));
    google.always(
        KEY,
        Step::answer(json!({"candidates": [{"content": {"role": "model", "parts": [
            {"inlineData": {"mimeType": "image/png", "data": data}}]}, "finishReason": "STOP"}]})),
    );
    let body = json!({"model": "gemini-3.1-flash-image", "prompt": "a fox"}).to_string();
    let before = peak(&program);
    let ask = || {
        let (status, answer) = ask(port, "/v1/images/generations", "application/json", body.as_bytes());
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer[..answer.len().min(400)]));
        assert!(answer.len() > size, "{} bytes", answer.len());
    };
    ask();
    let one = peak(&program) - before;
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(ask))));
    let all = peak(&program) - before;
    println!(
        "one took {:.2} times its size, {AT_ONCE} at once {:.2} times",
        one as f64 / size as f64,
        all as f64 / (AT_ONCE * size) as f64
    );
    assert!(one <= 2 * size + (8 << 20), "{} MB for one of {} MB", one >> 20, size >> 20);
    assert!(all <= AT_ONCE * 2 * size + (32 << 20), "{} MB", all >> 20);
}

#[test]
fn a_picture_goes_through_every_dialect_without_copies_that_add_up() {
    let google = FakeGoogle::start();
    let size = 25 << 20;
    let data = format!("{}{}", &PNG[..40], "iVBORw0K".repeat((size - 40) / 8));
    let picture = json!({"inlineData": {"mimeType": "image/png", "data": data}});
    let event = json!({"candidates": [{"content": {"role": "model", "parts": [picture]}, "finishReason": "STOP"}]});
    google.always(KEY, Step::answer(event));
    let said = json!([{"role": "user", "content": "a fox"}]);
    // A stream of responses says it twice, and has to keep it until then.
    for (path, stream, times) in [
        ("chat/completions", false, 2),
        ("chat/completions", true, 2),
        ("messages", false, 2),
        ("messages", true, 2),
        ("responses", false, 2),
        ("responses", true, 3),
    ] {
        let folder = Folder::new("media-memory-dialects");
        let program = start(&google, &folder);
        let body = json!({"model": "gemini-3.1-flash-image", "max_tokens": 9000, "stream": stream, "messages": said,
            "input": said, "store": false});
        let before = peak(&program);
        let (status, answer) =
            ask(program.port, &format!("/v1/{path}"), "application/json", body.to_string().as_bytes());
        let text = String::from_utf8_lossy(&answer);
        assert_eq!(status, 200, "{path}: {}", &text[..text.len().min(400)]);
        assert!(text.contains(&data), "{path}, stream {stream}: the picture is whole");
        let taken = peak(&program) - before;
        println!("{path}, stream {stream}: {:.2} times", taken as f64 / size as f64);
        assert!(taken <= times * size + (8 << 20), "{path}, stream {stream}: {} MB", taken >> 20);
    }
}

#[test]
fn json_in_the_name_of_a_form_is_weighed_all_the_same() {
    let google = FakeGoogle::start();
    let folder = Folder::new("media-memory-forms");
    let program = start(&google, &folder);
    let port = program.port;
    let kind = "multipart/form-data; boundary=xYz";
    let values: Value = json!(vec![json!({}); 1 << 19]);
    let chat = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": values}]}).to_string();
    assert_eq!(ask(port, "/v1/chat/completions", kind, chat.as_bytes()).0, 413);
    let images = json!({"model": "gemini-3.1-flash-image", "prompt": "x", "images": values}).to_string();
    assert_eq!(ask(port, "/v1/images/edits", "application/json", images.as_bytes()).0, 413);
    assert_eq!(ask(port, "/v1/images/edits", kind, images.as_bytes()).0, 400, "it is no form");
}
