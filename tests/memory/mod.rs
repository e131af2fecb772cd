//! Large bodies through the real program: its memory grows by at most three times the body, read as the peak the kernel
//! recorded (`VmHWM`), whatever its shape by four times and 16 MB; and a client that reads slowly holds Google back instead of filling memory.

#![cfg(target_os = "linux")]

mod answers;
#[cfg(feature = "codings")]
mod coded;
mod growing;
mod shapes;

use crate::common::google::{FakeGoogle, Outcome, Step};
use crate::common::program::{Folder, Program};
use crate::common::wire::{self, Wire};
use serde_json::{Value, json};
use shapes::{CHAT, SHAPES};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

const KEY: &str = "AIza-key-of-programs";
const BODY: usize = 20 << 20;

/// Behind a command of the shell, with these settings of the server.
fn start_with(google: &FakeGoogle, folder: &Folder, before: &str, server: &Value) -> Program {
    google.add_api_key(KEY);
    let mut config = json!({
        "server": server, "auth_keys": ["sk-client-of-programs"], "log_level": "info", "gemini_api_keys": [KEY],
        "endpoints": google.endpoints_json(), "usage_logging": {"enabled": false}, "min_credentials": 0,
    });
    (config["server"]["host"], config["server"]["port"]) = (json!("127.0.0.1"), json!(0));
    let mut command = std::process::Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_gemini-openai-proxy");
    command.current_dir(folder.path()).args(["-c", &format!("{before}; exec {binary} run -c config.json")]);
    Program::spawn(folder, &config, command)
}

fn start(google: &FakeGoogle, folder: &Folder) -> Program {
    google.add_api_key(KEY);
    let config = json!({
        "server": {"host": "127.0.0.1", "port": 0, "workers": 4}, "auth_keys": ["sk-client-of-programs"], "log_level": "warning",
        "gemini_api_keys": [KEY], "endpoints": google.endpoints_json(), "log_level": "info",
        "usage_logging": {"enabled": false}, "min_credentials": 0,
    });
    let program = Program::start(folder, &config, &[]);
    // Threads and buffers that every request needs are there after the first one.
    ask(&program, &json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Hi"}]}), true);
    program
}

/// Peak resident memory in bytes.
fn peak(program: &Program) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

/// Has the kernel record the peak anew, from what is resident now.
fn forget_peak(program: &Program) {
    std::fs::write(format!("/proc/{}/clear_refs", program.id()), "5").unwrap();
}

fn send(program: &Program, body: &[u8]) -> Wire {
    let mut stream = wire::connect(("127.0.0.1", program.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-client-of-programs\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    if let Err(error) = stream.write_all(body) {
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        panic!("{error}: {answer}");
    }
    stream
}

fn ask(program: &Program, body: &Value, stream: bool) -> String {
    let mut body = body.clone();
    body["stream"] = json!(stream);
    let mut answer = String::new();
    send(program, body.to_string().as_bytes()).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{}", &answer[..answer.len().min(500)]);
    answer
}

fn check(what: &str, program: &Program, before: usize) {
    let growth = peak(program).saturating_sub(before);
    println!("{what}: peak memory grew by {:.2} times the body", growth as f64 / BODY as f64);
    assert!(growth <= 3 * BODY, "{what}: {} MB for a body of {} MB", growth >> 20, BODY >> 20);
}

#[test]
fn a_request_with_twenty_megabytes_of_pictures_takes_three_times_its_size_at_most() {
    let google = FakeGoogle::start();
    let folder = Folder::new("memory-request");
    let program = start(&google, &folder);
    let before = peak(&program);
    // With what is beside them they are no larger than what Google takes.
    let length = BODY / 4 - 1024;
    let picture = format!("data:image/png;base64,{}", "iVBORw0K".repeat(length / 8));
    let content: Vec<Value> = (0..4).map(|_| json!({"type": "image_url", "image_url": {"url": picture}})).collect();
    let body = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": content}]});
    ask(&program, &body, true);
    let sent = google.last_generation();
    assert_eq!(sent.inner()["contents"][0]["parts"][3]["inlineData"]["data"].as_str().unwrap().len(), length);
    check("request", &program, before);
}

#[test]
fn an_event_of_twenty_megabytes_takes_three_times_its_size_at_most() {
    let google = FakeGoogle::start();
    let folder = Folder::new("memory-event");
    let program = start(&google, &folder);
    let hello = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Hi"}]});
    let before = peak(&program);
    google.script(KEY, Step::huge_event(BODY));
    assert!(ask(&program, &hello, true).len() > BODY);
    check("text event", &program, before);
    let data = "iVBORw0K".repeat(BODY / 8);
    google.script(
        KEY,
        Step::answer(json!({"candidates": [{"content": {"role": "model", "parts": [
            {"inlineData": {"mimeType": "image/png", "data": data}}]}, "finishReason": "STOP"}]})),
    );
    assert!(ask(&program, &hello, true).len() > BODY);
    check("picture event", &program, before);
}

#[test]
fn a_whole_answer_of_twenty_megabytes_takes_three_times_its_size_at_most() {
    let google = FakeGoogle::start();
    let folder = Folder::new("memory-answer");
    let program = start(&google, &folder);
    let before = peak(&program);
    google.script(KEY, Step::huge_event(BODY));
    let hello = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Hi"}]});
    assert!(ask(&program, &hello, false).len() > BODY);
    check("whole answer", &program, before);
}

#[test]
fn a_slow_reader_holds_google_back_and_fills_no_memory() {
    let google = FakeGoogle::start();
    let folder = Folder::new("memory-slow");
    let program = start(&google, &folder);
    // More than all sockets between Google and the client can hold.
    let text = "x".repeat(64 << 10);
    let event = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}]});
    google.script(KEY, Step::stream(vec![event; 640]));
    let before = peak(&program);
    let body = json!({"model": "gemini-2.5-flash", "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
    let calls = google.generations().len();
    let mut stream = send(&program, body.to_string().as_bytes());
    // About 1 kB a second.
    let begun = Instant::now();
    let mut piece = [0; 100];
    while begun.elapsed() < Duration::from_secs(2) {
        stream.read_exact(&mut piece).unwrap();
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert_eq!(google.generations()[calls].outcome, None, "Google must wait with the rest");
    let growth = peak(&program).saturating_sub(before);
    assert!(growth < 8 << 20, "{} MB for a client that does not read", growth >> 20);
    drop(stream);
    let gone = |call: &crate::common::google::Recorded| call.outcome == Some(Outcome::ClientGone);
    assert!(google.wait_for(|state| state.generations().any(gone), Duration::from_secs(10)), "the call is ended");
}

/// Sends a body that may be refused before all of it is taken; the status.
fn status_of(port: u16, path: &str, body: &str) -> u16 {
    answer_of(port, path, body).0
}

/// The same with the body of the answer.
fn answer_of(port: u16, path: &str, body: &str) -> (u16, String) {
    answer_to(port, path, "application/json", body)
}

/// The same for a body of another media type.
fn answer_to(port: u16, path: &str, media: &str, body: &str) -> (u16, String) {
    let mut stream = wire::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(300))).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-client-of-programs\r\nConnection: close\r\n\
         Content-Type: {media}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status.unwrap_or_else(|| panic!("{path}: {answer:?}")), body)
}

/// With 256 MB for the process, which is told by `ulimit -d`, requests of the worst shapes and the largest size, many at a time.
#[test]
fn nothing_that_clients_send_ends_a_small_process() {
    let google = FakeGoogle::start();
    let folder = Folder::new("memory-limit");
    let program = start_with(&google, &folder, "ulimit -d 262144", &json!({}));
    std::thread::scope(|scope| {
        for (path, piece, before, after) in SHAPES {
            let port = program.port;
            scope.spawn(move || {
                for size in [20_usize << 20, 3 << 20, 100 << 10] {
                    let pieces = (0..size / (piece.len() + 1)).map(|n| piece.replace('#', &n.to_string()));
                    let body = format!("{before}{}{after}", pieces.collect::<Vec<_>>().join(","));
                    status_of(port, path, &body);
                }
            });
        }
        for _ in 0..6 {
            let port = program.port;
            scope.spawn(move || {
                let text = "a".repeat(20 << 20);
                let body = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": text}]});
                let status = status_of(port, CHAT, &body.to_string());
                assert!([200, 503].contains(&status), "{status}");
            });
        }
    });
    let hello = r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}]}"#;
    assert_eq!(status_of(program.port, CHAT, hello), 200, "{}", program.log());
}
