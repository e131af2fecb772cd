//! The clients: many streams on one thread, or a few connections that ask again as soon as they are answered.

use crate::upstream::{now, number};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde_json::json;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Who is asked, and in which dialect.
#[derive(Clone, Copy)]
pub struct Target {
    pub address: SocketAddr,
    pub speaks: Dialect,
}

#[derive(Clone, Copy, Debug)]
pub enum Dialect {
    Google,
    Chat,
    Responses,
    Messages,
    /// Chat by Portkey's gateway, which is told in each request where Google is.
    Portkey(SocketAddr),
}

/// Streams at the same time.
#[derive(Clone, Copy)]
pub struct Streams {
    pub count: usize,
    pub events: usize,
    pub every: Duration,
    /// Over how long their starts are spread.
    pub ramp: Duration,
}

/// What the clients saw, in nanoseconds.
#[derive(Default)]
pub struct Seen {
    /// From sending a request to the first byte of its answer.
    pub first_byte: Vec<u64>,
    /// From sending a request to the first event.
    pub first_token: Vec<u64>,
    /// From the upstream's writing of an event to its arrival; without the first ones.
    pub delays: Vec<u64>,
    /// Events in all.
    pub events: usize,
    /// Streams that ended as they should.
    pub whole: usize,
    /// Figures taken while all streams ran.
    pub during: Option<crate::process::Figures>,
}

struct Stream {
    socket: TcpStream,
    request: Vec<u8>,
    asked: u64,
    pending: Vec<u8>,
    events: usize,
    begun: bool,
}

const SYSTEM: &str = "You are terse.";
const KEY: &str = "Authorization: Bearer sk-load\r\n";

/// A request with a prompt that tells the upstream what to do.
pub fn request(target: &Target, prompt: &str, stream: bool) -> Vec<u8> {
    let google = |method: &str| format!("/v1beta/models/gemini-2.5-flash:{method}");
    let (path, mut body) = match target.speaks {
        Dialect::Google => (
            google(if stream { "streamGenerateContent?alt=sse" } else { "generateContent" }),
            json!({"systemInstruction": {"parts": [{"text": SYSTEM}]}, "contents": [{"role": "user", "parts": [{"text": prompt}]}]}),
        ),
        Dialect::Chat | Dialect::Portkey(_) => (
            "/v1/chat/completions".to_owned(),
            json!({"messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}]}),
        ),
        Dialect::Responses => {
            ("/v1/responses".to_owned(), json!({"store": false, "instructions": SYSTEM, "input": prompt}))
        }
        Dialect::Messages => (
            "/v1/messages".to_owned(),
            json!({"max_tokens": 64_000, "system": SYSTEM, "messages": [{"role": "user", "content": prompt}]}),
        ),
    };
    if !matches!(target.speaks, Dialect::Google) {
        (body["model"], body["stream"]) = (json!("gemini-2.5-flash"), json!(stream));
    }
    let own = match target.speaks {
        Dialect::Portkey(google) => {
            format!("x-portkey-provider: google\r\nx-portkey-custom-host: http://{google}\r\n")
        }
        _ => String::new(),
    };
    post_with(&own, &path, &body.to_string())
}

/// A request with this body.
pub fn post(path: &str, body: &str) -> Vec<u8> {
    post_with("", path, body)
}

fn post_with(fields: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: load\r\n{KEY}{fields}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Runs the streams to their end; `measure` is called once, when all have begun and half their time is over.
pub fn stream(
    clock: Instant,
    target: &Target,
    plan: &Streams,
    mut measure: impl FnMut() -> crate::process::Figures,
) -> Seen {
    let prompt = format!("events={} every_us={} please", plan.events, plan.every.as_micros());
    let whole_time = plan.every * plan.events as u32;
    let begin = Instant::now();
    let give_up = begin + plan.ramp + whole_time * 2 + Duration::from_secs(20);
    let half = begin + plan.ramp + (whole_time.saturating_sub(plan.ramp)) / 2;
    let mut poll = Poll::new().expect("a poll");
    let mut ready = Events::with_capacity(1024);
    let mut streams: Vec<Option<Stream>> = Vec::new();
    let mut seen = Seen::default();
    let mut open = 0;
    while streams.len() < plan.count || open > 0 {
        let at = Instant::now();
        if at > give_up {
            break;
        }
        let due = plan.count * (at - begin).as_micros() as usize / (plan.ramp.as_micros() as usize).max(1) + 1;
        while streams.len() < due.min(plan.count) {
            let mut stream = connect(target, request(target, &prompt, true));
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream.socket, Token(streams.len()), interest).expect("a registration");
            streams.push(Some(stream));
            open += 1;
        }
        if seen.during.is_none() && at >= half {
            seen.during = Some(measure());
        }
        let patience = if streams.len() < plan.count { Duration::from_millis(1) } else { Duration::from_millis(50) };
        match poll.poll(&mut ready, Some(patience)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => panic!("poll: {error}"),
            _ => {}
        }
        for event in &ready {
            let slot = &mut streams[event.token().0];
            let Some(stream) = slot else { continue };
            if event.is_writable() && !stream.request.is_empty() && event.token().0 < plan.count {
                stream.asked = now(clock);
                let request = std::mem::take(&mut stream.request);
                // A fresh socket takes a small request whole.
                if stream.socket.write(&request).ok() != Some(request.len()) {
                    (*slot, open) = (None, open - 1);
                    continue;
                }
            }
            if !stream.read(clock, plan.events, &mut seen) {
                if stream.events == plan.events && stream.pending.ends_with(b"0\r\n\r\n") {
                    seen.whole += 1;
                }
                (*slot, open) = (None, open - 1);
            }
        }
    }
    seen
}

fn connect(target: &Target, request: Vec<u8>) -> Stream {
    let socket = TcpStream::connect(target.address).expect("a connection");
    let _ = socket.set_nodelay(true);
    Stream { socket, request, asked: 0, pending: Vec::new(), events: 0, begun: false }
}

impl Stream {
    /// Takes in what has arrived; false at the end of the answer. The last events of a response repeat all of its text, so that
    /// stamps beyond those of `events` are old ones.
    fn read(&mut self, clock: Instant, events: usize, seen: &mut Seen) -> bool {
        let mut bytes = [0; 8192];
        loop {
            let count = match self.socket.read(&mut bytes) {
                Ok(0) => return false,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return false,
            };
            let at = now(clock);
            if !std::mem::replace(&mut self.begun, true) {
                seen.first_byte.push(at - self.asked);
            }
            self.pending.extend_from_slice(&bytes[..count]);
            let mut used = 0;
            // A stamp is whole when something stands behind it.
            while self.events < events
                && let Some(found) = self.pending[used..].iter().position(|byte| *byte == b'@')
            {
                let stamp = &self.pending[used + found + 1..];
                let Some(end) = stamp.iter().position(|byte| *byte == b' ') else { break };
                let sent = std::str::from_utf8(&stamp[..end]).ok().and_then(|text| number(text, ""));
                self.events += 1;
                seen.events += 1;
                match self.events {
                    1 => seen.first_token.push(at - self.asked),
                    _ => seen.delays.push(at.saturating_sub(sent.expect("a stamp"))),
                }
                used += found + 1 + end;
            }
            let over = self.pending.ends_with(b"0\r\n\r\n");
            // The tail is kept for the end of the body, which may come in a write of its own.
            let keep = used.max(self.pending.len().saturating_sub(256));
            self.pending.drain(..keep);
            if over {
                self.pending = b"0\r\n\r\n".to_vec();
                return false;
            }
        }
    }
}

/// Asks `count` times on each of `connections` connections, one request after the other; returns the times in
/// nanoseconds and how many were not answered with 200.
pub fn ask(target: &Target, connections: usize, count: usize, prompt: &str) -> (Vec<u64>, usize) {
    let request = request(target, prompt, false);
    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let (address, request) = (target.address, request.clone());
            std::thread::spawn(move || ask_one(address, &request, count))
        })
        .collect();
    let mut times = Vec::new();
    let mut failures = 0;
    for thread in threads {
        let (own, failed) = thread.join().expect("a client thread");
        times.extend(own);
        failures += failed;
    }
    (times, failures)
}

/// The same on one connection.
pub fn ask_one(address: SocketAddr, request: &[u8], count: usize) -> (Vec<u64>, usize) {
    let mut socket = std::net::TcpStream::connect(address).expect("a connection");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    socket.set_nodelay(true).expect("no delay");
    let mut times = Vec::with_capacity(count);
    let mut failures = 0;
    let mut answer = Vec::new();
    for _ in 0..count {
        let begin = Instant::now();
        if socket.write_all(request).is_err() || !read_answer(&mut socket, &mut answer) {
            return (times, failures + 1);
        }
        times.push(begin.elapsed().as_nanos() as u64);
        failures += usize::from(!answer.starts_with(b"HTTP/1.1 200"));
    }
    (times, failures)
}

/// Asks for one stream and reads it to its end; false when it breaks off.
pub fn ask_streamed(target: &Target, prompt: &str) -> bool {
    let mut socket = std::net::TcpStream::connect(target.address).expect("a connection");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let (mut bytes, mut last) = (vec![0; 65536], Vec::new());
    if socket.write_all(&request(target, prompt, true)).is_err() {
        return false;
    }
    while !last.ends_with(b"0\r\n\r\n") {
        match socket.read(&mut bytes) {
            Ok(0) | Err(_) => return false,
            Ok(count) => last.extend_from_slice(&bytes[..count]),
        }
        last.drain(..last.len().saturating_sub(5));
    }
    true
}

/// Reads one answer with a length; false when the connection ends before it does.
pub fn read_answer(socket: &mut std::net::TcpStream, answer: &mut Vec<u8>) -> bool {
    answer.clear();
    let mut bytes = [0; 16384];
    let mut whole = None;
    loop {
        match socket.read(&mut bytes) {
            Ok(0) | Err(_) => return false,
            Ok(count) => answer.extend_from_slice(&bytes[..count]),
        }
        whole = whole.or_else(|| whole_length(answer));
        if whole.is_some_and(|whole| answer.len() >= whole) {
            return true;
        }
    }
}

/// The length of head and body, as soon as the head is there.
pub fn whole_length(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&answer[..head + 2]).to_lowercase();
    Some(head + 4 + number(&text, "content-length: ").unwrap_or(0) as usize)
}
