//! More requests than workers and queue can take, at the real program: who comes too late is told so at once, who was
//! admitted is served, and the short lane does not notice.

use crate::common::google::{FakeGoogle, Step};
use crate::common::program::{Folder, Program};
use crate::common::wire::{self, Wire};
use serde_json::json;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);
const WORKERS: usize = 4;
/// The listener's fixed queue.
const BACKLOG: usize = 64;

fn begin(port: u16, request: &str) -> Wire {
    let mut socket = wire::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    socket
}

fn end(mut socket: Wire) -> String {
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text
}

fn chat() -> String {
    let body = r#"{"model":"gemini-2.5-flash","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-client-of-programs\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The fastest of some tries: on a loaded machine a single one measures the machine.
fn fastest(port: u16, request: &str, expected: &str) -> (Duration, String) {
    let mut best = (LIMIT, String::new());
    for _ in 0..10 {
        let begun = Instant::now();
        let text = end(begin(port, request));
        assert!(text.starts_with(expected), "{text}");
        if begun.elapsed() < best.0 {
            best = (begun.elapsed(), text);
        }
    }
    best
}

#[test]
fn beyond_workers_and_queue_the_answer_is_503_at_once_and_the_admitted_finish() {
    let folder = Folder::new("overload");
    let google = FakeGoogle::start();
    google.add_api_key("AIza-key-of-programs");
    google.always("*", Step::default_answer().hold());
    let config = json!({
        "server": {"host": "127.0.0.1", "port": 0, "workers": WORKERS, "max_connections": 500}, "auth_keys": ["sk-client-of-programs"],
        "gemini_api_keys": ["AIza-key-of-programs"], "endpoints": google.endpoints_json(),
        "log_level": "info",
    });
    let program = Program::start(&folder, &config, &[]);
    let admitted: Vec<Wire> = (0..WORKERS + BACKLOG).map(|_| begin(program.port, &chat())).collect();
    let generations = |count| google.wait_for(move |state| state.generations().count() == count, LIMIT);
    assert!(generations(WORKERS), "all workers are taken");

    let (time, text) = fastest(program.port, &chat(), "HTTP/1.1 503 ");
    assert!(text.contains("Retry-After: 1\r\n") && text.contains("\"overloaded\""), "{text}");
    assert!(time < Duration::from_millis(100), "the refusal took {time:?}");
    let health = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let (time, _) = fastest(program.port, health, "HTTP/1.1 200 ");
    assert!(time < Duration::from_millis(50), "the short lane took {time:?}");

    google.clear_scripts();
    google.release();
    for socket in admitted {
        let text = end(socket);
        assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("[DONE]"), "{text}");
    }
}
