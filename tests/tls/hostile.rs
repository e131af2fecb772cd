//! Strangers of eight kinds at once, over TLS: those who mean well are served meanwhile, each on a connection of its own, and
//! the program's memory stays small. A gate takes 160 connections; `make conformance` 2,000, and then also looks at the time.

use super::{client_config, files};
use crate::common::google::{FakeGoogle, Step};
use crate::common::program::{Folder, Program};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::json;
use std::io::{BufRead as _, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const GOOD: &str = "sk-of-those-who-mean-well";
const HOSTILE: &str = "sk-of-one-who-does-not";
const CHAT: &str = r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}]}"#;

#[derive(Clone, Copy)]
enum Kind {
    NoKey,
    WrongKey,
    DrippingHead,
    DrippingBody,
    SlowReader,
    Idle,
    HalfOpen,
    Flood,
}

const KINDS: [Kind; 8] = [
    Kind::NoKey,
    Kind::WrongKey,
    Kind::DrippingHead,
    Kind::DrippingBody,
    Kind::SlowReader,
    Kind::Idle,
    Kind::HalfOpen,
    Kind::Flood,
];

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn open(port: u16, config: &Arc<ClientConfig>, patience: Duration) -> Option<Tls> {
    let socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    socket.set_write_timeout(Some(patience)).ok()?;
    let session = ClientConnection::new(config.clone(), ServerName::try_from("localhost").unwrap()).ok()?;
    let mut stream = StreamOwned::new(session, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).ok()?;
    }
    Some(stream)
}

fn post(key: &str, length: usize) -> String {
    let key = if key.is_empty() { String::new() } else { format!("Authorization: Bearer {key}\r\n") };
    format!("POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\n{key}Content-Length: {length}\r\n\r\n")
}

/// What it sends first, and then again and again.
fn words(kind: Kind) -> (Vec<u8>, Vec<u8>) {
    let stream = CHAT.replacen('{', r#"{"stream":true,"#, 1);
    match kind {
        Kind::NoKey => (post("", 1 << 20).into_bytes(), vec![b'x'; 1000]),
        Kind::WrongKey => {
            ((post("sk-wrong", CHAT.len()) + CHAT).into_bytes(), (post("sk-wrong", CHAT.len()) + CHAT).into())
        }
        Kind::DrippingHead => (b"GET /".to_vec(), b"x".to_vec()),
        Kind::DrippingBody => (post(HOSTILE, 1 << 20).into_bytes(), b"x".to_vec()),
        Kind::SlowReader => ((post(HOSTILE, stream.len()) + &stream).into_bytes(), Vec::new()),
        Kind::Idle | Kind::HalfOpen => (Vec::new(), Vec::new()),
        Kind::Flood => {
            let many = "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n".repeat(100).into_bytes();
            (many.clone(), many)
        }
    }
}

/// Goes on with `count` connections of a kind until told to stop; who is closed comes again.
fn trouble(kind: Kind, count: usize, port: u16, config: &Arc<ClientConfig>, opened: &AtomicUsize, stop: &AtomicBool) {
    let patience = Duration::from_millis(5);
    let (first, again) = words(kind);
    let mut halves: Vec<TcpStream> = Vec::new();
    let mut all: Vec<Tls> = Vec::new();
    while !stop.load(Ordering::Acquire) {
        if matches!(kind, Kind::HalfOpen) {
            if halves.len() == count {
                halves.remove(0);
            }
            if let Ok(mut half) = TcpStream::connect(("127.0.0.1", port)) {
                let _ = half.write_all(b"\x16\x03\x01\x02\0\x01\0");
                halves.push(half);
                opened.fetch_add(1, Ordering::AcqRel);
            }
            thread::park_timeout(Duration::from_millis(2));
            continue;
        }
        if all.len() < count
            && let Some(mut new) = open(port, config, patience)
        {
            let _ = new.write_all(&first);
            all.push(new);
            opened.fetch_add(1, Ordering::AcqRel);
        }
        let few = all.len().min(16);
        for stream in all.iter_mut().rev().take(few) {
            let _ = stream.write_all(&again);
        }
        all.rotate_left(few);
        all.retain_mut(|stream| stream.sock.take_error().is_ok_and(|error| error.is_none()));
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// How long one took that means well, from its connection on.
fn ask(port: u16, config: &Arc<ClientConfig>) -> Duration {
    let begun = Instant::now();
    let mut stream = open(port, config, Duration::from_secs(20)).expect("a handshake");
    let head = post(GOOD, CHAT.len()).replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
    stream.write_all((head + CHAT).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a whole answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    begun.elapsed()
}

fn p99(port: u16, config: &Arc<ClientConfig>, count: usize) -> Duration {
    let mut times: Vec<Duration> = (0..count).map(|_| ask(port, config)).collect();
    times.sort();
    times[count * 99 / 100 - 1]
}

/// What those are told who come: where to, and how many.
const COME: &str = "GEMINI_PROXY_STRANGERS";

/// The strangers, in a process of their own that gives way to all others: they share the machine with those who are measured.
/// They go on until nobody listens to them any more.
#[test]
fn strangers_come_when_they_are_called() {
    let Ok(told) = std::env::var(COME) else { return };
    let (port, all) = told.split_once(' ').expect("a port and a number");
    let (port, all): (u16, usize) = (port.parse().unwrap(), all.parse().unwrap());
    let client = Arc::new(client_config(rustls::ALL_VERSIONS));
    let (opened, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for kind in KINDS {
            let (client, opened, stop) = (&client, &opened, &stop);
            scope.spawn(move || trouble(kind, all / KINDS.len(), port, client, opened, stop));
        }
        // Told in a line of its own, which the harness does not begin.
        while writeln!(std::io::stdout(), "\nopened {}", opened.load(Ordering::Acquire)).is_ok() {
            thread::park_timeout(Duration::from_millis(100));
        }
        stop.store(true, Ordering::Release);
    });
}

/// Calls them and waits until all are there, while others are served. They leave when the result is dropped.
struct Strangers(std::process::Child, usize);

impl Strangers {
    fn call(port: u16, all: usize, meanwhile: impl Fn()) -> Strangers {
        let mut command = std::process::Command::new("nice");
        command.args(["-n", "19"]).arg(std::env::current_exe().unwrap());
        command.args(["--exact", "tls::hostile::strangers_come_when_they_are_called", "--nocapture"]);
        let child = command.env(COME, format!("{port} {all}")).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut strangers = Strangers(child, 0);
        let said = std::io::BufReader::new(strangers.0.stdout.take().unwrap());
        let deadline = Instant::now() + Duration::from_secs(120);
        let mut lines = said.lines().map_while(Result::ok);
        while let Some(line) = lines.next()
            && Instant::now() < deadline
        {
            let opened = line.strip_prefix("opened ").and_then(|count| count.parse().ok());
            strangers.1 = opened.unwrap_or(strangers.1);
            if strangers.1 >= all {
                break;
            }
            meanwhile();
        }
        // What they say from now on is read, so that they do not wait.
        thread::spawn(move || lines.for_each(drop));
        strangers
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Seconds of a processor that a process has used.
fn processor_time(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

#[test]
fn strangers_of_eight_kinds_keep_nobody_waiting() {
    let all = std::env::var("GEMINI_PROXY_HOSTILE").map_or(160, |count| count.parse().unwrap());
    let google = FakeGoogle::start();
    google.add_api_key("AIza-key-in-a-crowd");
    google.always("AIza-key-in-a-crowd", Step::text(&"word ".repeat(200)));
    let folder = Folder::new("hostile");
    files(&folder, "first");
    let config = json!({"server": {"host": "127.0.0.1", "port": 0, "workers": 64, "max_connections": 4000,
            "tls": {"cert": "listener.pem", "key": "listener.key"}},
        "auth_keys": [GOOD, {"name": "hostile", "key": HOSTILE, "concurrency": 8}], "log_level": "info",
        "gemini_api_keys": ["AIza-key-in-a-crowd"], "credentials_file": "credentials.json",
        "endpoints": google.endpoints_json(), "min_credentials": 0});
    let program = Program::start(&folder, &config, &[]);
    let (port, client) = (program.port(), Arc::new(client_config(rustls::ALL_VERSIONS)));
    // Of 200 it would be the second longest, which says nothing.
    let count = if all < 1000 { 200 } else { 2000 };
    let quiet = p99(port, &client, count);
    let strangers = Strangers::call(port, all, || _ = ask(port, &client));
    assert!(strangers.1 >= all, "{} came of {all}", strangers.1);
    let busy = p99(port, &client, count);
    let spent = [program.id(), strangers.0.id()].map(processor_time);
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: usize = peak.split_whitespace().next().unwrap().parse().unwrap();
    println!(
        "{all} connections, p99 {quiet:?} quiet and {busy:?} among them, peak {kilobytes} kB; {spent:?} s of processor"
    );
    assert!(kilobytes < 128 << 10, "{kilobytes} kB");
    // How fast it is on a machine that others use, no gate can tell.
    assert!(all < 1000 || busy < quiet * 3, "{busy:?} after {quiet:?}");
}
