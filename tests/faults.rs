//! What breaks between the program and Google, or under it, with the real binary: each fault has its promised outcome,
//! and the program serves on afterwards.

use crate::common::google::{Cut, End, FakeGoogle, Step, User};
use crate::common::program::{self, Folder, Program};
use crate::common::wire;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

/// One key in the pool and one attempt per request, so that each fault shows.
fn config(google: &FakeGoogle) -> Value {
    google.add_api_key("AIza-key-of-programs");
    json!({
        "server": {"host": "127.0.0.1", "port": 0}, "auth_keys": ["sk-client-of-programs"], "log_level": "info",
        "gemini_api_keys": ["AIza-key-of-programs"], "max_attempts": 1, "endpoints": google.endpoints_json(),
        "request_timeouts": {"connect": 2, "read": 1},
    })
}

/// Status, and everything that came; a cut connection counts as the end.
fn ask(port: u16, stream: bool) -> (u16, String) {
    let body = json!({"model": "gemini-2.5-flash", "stream": stream, "messages": [{"role": "user", "content": "Hi"}]});
    let body = body.to_string();
    let mut socket = wire::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    write!(
        socket,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-client-of-programs\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = socket.read(&mut bytes) {
        answer.extend_from_slice(&bytes[..count]);
    }
    let text = String::from_utf8(answer).unwrap();
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    (status.unwrap_or_else(|| panic!("no status in {text:?}")), text)
}

/// Three events of text; the last one has the finish reason only if `finished`.
fn events(finished: bool) -> Vec<Value> {
    let event = |text: &str, last: bool| {
        let mut candidate = json!({"content": {"role": "model", "parts": [{"text": text}]}});
        if last {
            candidate["finishReason"] = json!("STOP");
        }
        json!({"candidates": [candidate]})
    };
    vec![event("one ", false), event("two ", false), event("three", finished)]
}

#[test]
fn each_fault_of_the_connection_to_google_has_its_outcome() {
    let folder = Folder::new("faults");
    let google = FakeGoogle::start();
    let program = Program::start(&folder, &config(&google), &[]);
    let stream = || Step::stream(events(true));
    // Before the first event of a good answer there is a true status; after it an error event and no [DONE].
    for (name, step, status) in [
        ("reset before the head", Step::reset(), Some(502)),
        ("nothing for the read timeout", Step::hang(), Some(504)),
        ("reset inside the first event", stream().cut(Cut::Bytes(20, End::Reset)), Some(502)),
        ("closed inside the first event", stream().cut(Cut::Bytes(20, End::Close)), Some(502)),
        ("reset after two events", stream().cut_after_events(2, End::Reset), None),
        ("closed inside the second event", stream().cut(Cut::Bytes(200, End::Close)), None),
        ("a proper end without a finish reason", Step::stream(events(false)), None),
        ("silence after two events", stream().hold_after(2), None),
    ] {
        google.clear_scripts();
        google.always("*", step);
        let begun = Instant::now();
        let (found, text) = ask(program.port, true);
        assert!(begun.elapsed() < Duration::from_secs(10), "{name}: took {:?}", begun.elapsed());
        google.release();
        assert!(!text.contains("[DONE]"), "{name}: {text}");
        assert!(text.contains(r#""error":{"#), "{name}: {text}");
        match status {
            Some(status) => assert_eq!(found, status, "{name}: {text}"),
            None => {
                assert_eq!(found, 200, "{name}: {text}");
                assert!(text.contains(r#""content":"one ""#), "{name}: {text}");
                assert!(text.trim_end().ends_with("0"), "{name}: the body itself ends properly: {text}");
            }
        }
        google.clear_scripts();
        let (status, text) = ask(program.port, false);
        assert_eq!(status, 200, "after {name}: {text}");
    }
}

/// Answers the next generation with `bytes` and a reset; whatever else the program wants to know is not answered.
fn answer_and_reset(listener: &TcpListener, bytes: &[u8]) {
    loop {
        let (mut socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let mut request = Vec::new();
        let mut piece = [0; 4096];
        while !request.starts_with(b"GET ") && !String::from_utf8_lossy(&request).contains("\"Hi\"") {
            let count = socket.read(&mut piece).unwrap();
            assert!(count > 0, "the request breaks off");
            request.extend_from_slice(&piece[..count]);
        }
        if request.starts_with(b"POST ") {
            socket.write_all(bytes).unwrap();
            return socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
}

#[test]
fn a_reset_inside_the_head_is_a_502() {
    let folder = Folder::new("head");
    let google = FakeGoogle::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config(&google);
    config["endpoints"]["generative_language"] = json!(format!("http://{}", listener.local_addr().unwrap()));
    let program = Program::start(&folder, &config, &[]);
    std::thread::scope(|scope| {
        // A connection that ends before an answer is tried once more, in case it was an old one.
        scope.spawn(|| (0..2).for_each(|_| answer_and_reset(&listener, b"HTTP/1.1 200 OK\r\nContent-Ty")));
        let (status, text) = ask(program.port, true);
        assert_eq!(status, 502, "{text}");
    });
}

#[test]
fn a_name_or_a_proxy_that_does_not_work_is_a_502_with_a_reason_in_the_log() {
    let google = FakeGoogle::start();
    for (name, endpoint, proxy) in [
        ("dns", "http://no-such-host.invalid", None),
        ("refused", "http://127.0.0.1:1", None),
        ("proxy", "http://192.0.2.1", Some("http://127.0.0.1:1")),
    ] {
        let folder = Folder::new(name);
        let mut config = config(&google);
        config["endpoints"]["generative_language"] = json!(endpoint);
        let program = match proxy {
            None => Program::start(&folder, &config, &[]),
            Some(proxy) => Program::start_in(&folder, &config, &[], &[("ALL_PROXY", proxy)]),
        };
        let begun = Instant::now();
        let (status, text) = ask(program.port, true);
        assert_eq!(status, 502, "{name}: {text}");
        assert!(text.contains("\"error\""), "{name}: {text}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{name}: {:?}", begun.elapsed());
        program.has_said("Request failed");
        assert_eq!(health(program.port), 200, "{name}");
    }
}

fn health(port: u16) -> u16 {
    let mut socket = wire::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text[9..12].parse().unwrap()
}

/// A folder on a filesystem of its own; unmounted when dropped. `None`, with a printed reason, when it cannot be had.
struct Mount<'a>(&'a Folder);

impl Mount<'_> {
    fn new<'a>(folder: &'a Folder, options: &str) -> Option<Mount<'a>> {
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            println!("skipped: a tmpfs cannot be mounted here (it takes root)");
        }
        mounted.then_some(Mount(folder))
    }

    fn remount(&self, options: &str) {
        let status = std::process::Command::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(self.0.path())
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// An account whose token is over, so that the first request refreshes it and the file is to be written.
fn expired_account(google: &FakeGoogle, disk: &Folder) -> Value {
    google.add_user(User::licensed("ada@example.com", "project-1"));
    let mut credential = google.oauth_credential("ada@example.com");
    credential["expiry_date"] = json!(1);
    disk.write("c.json", credential.to_string());
    let mut config = config(google);
    config["gemini_api_keys"] = json!([]);
    config["credentials_file"] = json!(disk.join("c.json"));
    config["state_file"] = json!(disk.join("state.json"));
    config
}

#[test]
fn a_full_or_read_only_disk_costs_no_request_and_no_credential() {
    for (name, options, full) in [("full", "size=64k", true), ("read-only", "size=1m", false)] {
        let (folder, disk) = (Folder::new("faults-work"), Folder::new(name));
        let Some(mount) = Mount::new(&disk, options) else { return };
        let google = FakeGoogle::start();
        let config = expired_account(&google, &disk);
        let before = std::fs::read_to_string(disk.join("c.json")).unwrap();
        if full {
            let filled = std::fs::write(disk.join("ballast"), vec![0; 1 << 20]);
            assert!(filled.is_err(), "the disk is full now");
        } else {
            mount.remount("ro");
        }
        let mut program = Program::start(&folder, &config, &[]);
        for _ in 0..3 {
            let (status, text) = ask(program.port, true);
            assert_eq!(status, 200, "{name}: {text}\n{}", program.log());
            assert!(text.contains("[DONE]"), "{name}: {text}");
        }
        assert_eq!(std::fs::read_to_string(disk.join("c.json")).unwrap(), before, "{name}: whole, if old");
        program.has_said("ERROR");

        // With room again, the token that is in memory reaches the file at the latest when the program ends.
        if full {
            std::fs::remove_file(disk.join("ballast")).unwrap();
        } else {
            mount.remount("rw");
        }
        program.signal("-TERM");
        assert_eq!(program.wait(LIMIT), Some(0), "{name}: {}", program.log());
        let after = std::fs::read_to_string(disk.join("c.json")).unwrap();
        let token = |text: &str| serde_json::from_str::<Value>(text).unwrap().to_string();
        assert_ne!(token(&after), token(&before), "{name}: the refreshed token was lost; the log:\n{}", program.log());
    }
}

#[test]
fn a_log_that_nobody_reads_stops_nobody() {
    let google = FakeGoogle::start();
    google.add_api_key("AIza-key-of-a-mute-log");
    for format in ["text", "json"] {
        let folder = Folder::new("mute-log");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = json!({"server": {"host": "127.0.0.1", "port": port}, "auth_keys": ["sk-of-a-mute-log"],
            "gemini_api_keys": ["AIza-key-of-a-mute-log"], "credentials_file": "credentials.json", "log_level": "debug",
            "log_format": format, "endpoints": google.endpoints_json(), "min_credentials": 0});
        folder.write("config.json", config.to_string());
        let mut command = program::command(&folder, &["run", "-c", "config.json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while wire::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline);
        }
        let ask = |key: &str, path: &str, body: &str| {
            let mut socket = wire::connect(("127.0.0.1", port)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n"
            );
            socket.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).unwrap();
            answer.split(' ').nth(1).unwrap_or_default().to_owned()
        };
        // Many times what a pipe holds, from the thread that owns all connections, in lines of every length.
        for n in 0..400 {
            let path = format!("/v1/nowhere/{}", "x".repeat(n * 37 % 15_000));
            assert_eq!(ask("sk-wrong", &path, ""), "404");
        }
        let chat = r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}]}"#;
        assert_eq!(ask("sk-of-a-mute-log", "/v1/chat/completions", chat), "200");
        // The reader is back, and hears of what it has missed.
        let mut log = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let missed = std::thread::spawn(move || log.find(|line| line.contains("lines before this one were lost")));
        while !missed.is_finished() {
            assert!(Instant::now() < deadline + Duration::from_secs(60));
            assert_eq!(ask("sk-wrong", "/nowhere", ""), "404");
        }
        assert!(missed.join().unwrap().is_some(), "{format}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
