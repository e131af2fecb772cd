//! Replicas that are ended and begun again one after the other, while requests and streams come through a balancer.

use super::fronts::{self, Front};
use super::programs::{address, begin, config, sealed};
use super::redis::Redis;
use super::*;
use crate::common::program::{Folder, Program};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const SLOW: &str = "gemini-2.5-pro";
/// A replica that refused connections is left out for a second by the files in deploy/.
const APART: Duration = Duration::from_millis(1500);

/// How many of what come at once.
struct Load {
    streams: usize,
    /// Each asks ten times a second.
    clients: usize,
}

const PACE: Duration = Duration::from_millis(100);

/// What became of it.
#[derive(Default)]
struct Tally {
    stop: AtomicBool,
    answers: AtomicUsize,
    streams: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Tally {
    fn note(&self, good: &AtomicUsize, what: Result<(), String>) {
        match what {
            Ok(()) => _ = good.fetch_add(1, Ordering::Relaxed),
            Err(failure) => self.failures.lock().unwrap().push(failure),
        }
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Google streams for a second and a half when asked for this model.
fn slowly(google: &FakeGoogle) {
    let event = |text: &str, finish: Option<&str>| json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": finish}]});
    let mut events = vec![event("word ", None); 5];
    events.push(event("end", Some("STOP")));
    google.clear_scripts();
    google.always("*", Step::stream(events).every(Duration::from_millis(300)).for_model(SLOW));
    google.always("*", answer());
}

/// A stream, on a connection of its own, to its end.
fn stream(balancer: SocketAddr) -> io::Result<String> {
    let mut socket = TcpStream::connect(balancer)?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    let body = json!({"model": SLOW, "stream": true, "messages": [{"role": "user", "content": "Hi"}]}).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: balancer\r\nAuthorization: Bearer {FREE}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all((head + &body).as_bytes())?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    Ok(text)
}

fn streams(balancer: SocketAddr, tally: &Tally) {
    while !tally.is_over() {
        let ended = match stream(balancer) {
            Ok(text) if text.starts_with("HTTP/1.1 200") && text.contains("data: [DONE]") => Ok(()),
            Ok(text) => Err(format!("a stream: {}", text.lines().last().unwrap_or("nothing"))),
            Err(error) => Err(format!("a stream: {error}")),
        };
        tally.note(&tally.streams, ended);
    }
}

fn asks(balancer: SocketAddr, key: &str, tally: &Tally) {
    let mut client = Client::new(balancer);
    let mut next = Instant::now();
    while !tally.is_over() {
        std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
        next += PACE;
        let answered = match sure_of(&mut client, key) {
            Ok(reply) if reply.status == 200 => Ok(()),
            Ok(reply) => Err(format!("{}: {}", reply.status, reply.body.lines().next().unwrap_or_default())),
            Err(error) => {
                client = Client::new(balancer);
                Err(error.to_string())
            }
        };
        tally.note(&tally.answers, answered);
    }
}

/// On a machine that is too busy for the store's patience one of a limited key may be told to ask again, and does.
fn sure_of(client: &mut Client, key: &str) -> io::Result<Reply> {
    loop {
        let reply = client.chat(key, MODEL)?;
        if unsure(std::slice::from_ref(&reply)) == 0 {
            return Ok(reply);
        }
    }
}

/// In `make replicas`: how many restarts there are, by the files as they are in deploy/.
fn rounds() -> Option<usize> {
    std::env::var("GEMINI_PROXY_ROLLING").ok().and_then(|rounds| rounds.parse().ok())
}

/// A replica of this or, where one is given, of the other version.
fn start(folder: &Folder, config: &Value, is_other: bool) -> Program {
    match std::env::var_os("GEMINI_PROXY_OTHER_BINARY").filter(|_| is_other) {
        None => begin(folder, config),
        Some(other) => {
            let mut command = Command::new(other);
            command.current_dir(folder.path()).args(["run", "-c", "config.json"]);
            Program::spawn(folder, config, sealed(command))
        }
    }
}

type Balancer<'a> = &'a dyn Fn(&[SocketAddr]) -> (Folder, Front, SocketAddr);

/// Three of another version are ended and begun again in turn, first as this one, then as the other one again; after half of
/// the restarts a fourth comes, which leaves at the end. Nothing may fail.
fn roll(balancer: Balancer, load: &Load, delay: f64, rounds: usize) {
    let (google, redis) = (google(), Redis::start());
    slowly(&google);
    let folders: Vec<Folder> = (0..4).map(|_| Folder::new("rolling-replica")).collect();
    let of = |at: usize, port: u16| {
        let store = json!({"url": redis.url(), "replica": format!("rolling-{at}")});
        let mut config = config(&google, port, store, &json!({"requests_per_day": 1_000_000}));
        config["server"]["drain_delay_sec"] = json!(delay);
        config
    };
    let mut programs: Vec<Program> = (0..3).map(|at| start(&folders[at], &of(at, 0), true)).collect();
    let addresses: Vec<SocketAddr> = programs.iter().map(address).chain([fronts::free_address()]).collect();
    let (folder, front, balancer) = balancer(&addresses);
    let tally = Tally::default();
    std::thread::scope(|scope| {
        for _ in 0..load.streams {
            scope.spawn(|| streams(balancer, &tally));
        }
        for at in 0..load.clients {
            let tally = &tally;
            scope.spawn(move || asks(balancer, [LIMITED, FREE][at % 2], tally));
        }
        let end = |program: &mut Program| {
            let before = tally.answers.load(Ordering::Relaxed);
            wait_for("requests", || tally.answers.load(Ordering::Relaxed) > before + 20);
            program.signal("-TERM");
            let code = program.wait(Duration::from_secs(60));
            if code != Some(0) {
                tally.failures.lock().unwrap().push(format!("a replica ended with {code:?}"));
            }
        };
        let begin = |at: usize, is_other: bool| {
            let program = start(&folders[at], &of(at, addresses[at].port()), is_other);
            wait_for("the replica", || Client::new(addresses[at]).get("/readyz").status == 200);
            program
        };
        for round in 0..rounds {
            if round == rounds / 2 {
                programs.push(begin(3, false));
            }
            let at = round % 3;
            end(&mut programs[at]);
            programs[at] = begin(at, round / 3 % 2 == 1);
            std::thread::park_timeout(APART);
        }
        end(&mut programs[3]);
        // The three that are left have all of it again.
        let before = tally.answers.load(Ordering::Relaxed);
        wait_for("requests", || tally.answers.load(Ordering::Relaxed) > before + 20);
        tally.stop.store(true, Ordering::Relaxed);
    });
    drop(front);
    let (answers, streams) = (tally.answers.into_inner(), tally.streams.into_inner());
    let failures = tally.failures.into_inner().unwrap();
    let log = std::fs::read_to_string(folder.join("error.log")).unwrap_or_default();
    println!(
        "{rounds} restarts, and from 3 to 4 to 3: {answers} answers, {streams} streams, {} failed",
        failures.len()
    );
    assert!(failures.is_empty() && answers > 20 && streams > 0, "{answers}, {streams}: {failures:#?}\n{log}");
}

/// What `make replicas` does; 200 streams and 200 requests a second.
const FULL: Load = Load { streams: 200, clients: 20 };

/// nginx learns nothing but by refused connections, and keeps others for long; HAProxy has to see that a replica leaves, which
/// takes it two seconds.
#[test]
fn a_rolling_restart_fails_nobody() {
    if let Some(rounds) = rounds() {
        roll(&fronts::nginx, &FULL, 5.0, rounds);
        roll(&fronts::haproxy, &FULL, 5.0, rounds);
        return;
    }
    let quick = |replicas: &[SocketAddr]| {
        fronts::nginx_with(replicas, |site| fronts::changed(&site, "keepalive_timeout 4s", "keepalive_timeout 200ms"))
    };
    roll(&quick, &Load { streams: 10, clients: 10 }, 0.3, 1);
}
