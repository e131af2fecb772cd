//! The fake's own HTTP/1.1 server: one thread per connection, keep-alive, chunked answers, and answers that misbehave on
//! purpose. Knows no route and no Google; shares nothing with the program's listener, so a fault there cannot hide here.

use super::Shared;
use serde_json::Value;
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// One received request.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Percent-decoded.
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// One thing done on the wire.
#[derive(Clone, Debug)]
pub enum Act {
    /// Bytes in one write (one chunk once the head is out).
    Send(Vec<u8>),
    Pause(Duration),
    /// Wait until the test says go on.
    Hold,
    /// Drop the connection with a TCP reset.
    Reset,
    /// Close the connection without the end the framing promised.
    Close,
}

/// How the body is framed.
#[derive(Clone, Debug)]
pub enum Payload {
    Whole(Vec<u8>),
    Chunked(Vec<Act>),
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// Done before the head; only waits and resets make sense here.
    pub before: Vec<Act>,
    pub body: Payload,
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
        let headers = vec![("content-type".to_string(), content_type.to_string())];
        Reply { status, headers, before: Vec::new(), body: Payload::Whole(body.into()) }
    }

    /// Pretty-printed, as Google does.
    pub fn json(status: u16, body: &Value) -> Reply {
        let text = serde_json::to_vec_pretty(body).expect("a Value always prints");
        Reply::new(status, "application/json; charset=UTF-8", text)
    }

    pub fn html(status: u16, text: &str) -> Reply {
        let page = format!("<!DOCTYPE html>\n<html lang=en>\n<title>Error {status}</title>\n<p>{text}</p>\n</html>\n");
        Reply::new(status, "text/html; charset=UTF-8", page)
    }

    pub fn header(mut self, name: &str, value: &str) -> Reply {
        self.headers.retain(|(key, _)| key != name);
        self.headers.push((name.to_string(), value.to_string()));
        self
    }
}

/// How an answer ended, seen from the fake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was written.
    Sent,
    /// The client closed before the end.
    ClientGone,
    /// The script (or the fake's own end) cut it.
    Cut,
}

/// Accepts until the fake is dropped, then ends every connection.
pub fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let mut threads = Vec::new();
    let mut number = 0;
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::SeqCst) {
            break;
        }
        let Ok(stream) = stream else { continue };
        let Ok(twin) = stream.try_clone() else { continue };
        number += 1;
        let id = number;
        shared.open.lock().unwrap().insert(id, twin);
        let shared = shared.clone();
        let run = move || {
            connection(&shared, &stream);
            // The twin first: a reset goes out only when the last descriptor closes.
            shared.open.lock().unwrap().remove(&id);
            drop(stream);
        };
        threads.retain(|thread: &std::thread::JoinHandle<()>| !thread.is_finished());
        threads.push(std::thread::Builder::new().name(format!("fake-{id}")).spawn(run).expect("thread"));
    }
    for stream in shared.open.lock().unwrap().values() {
        let _ = stream.shutdown(Shutdown::Both);
    }
    for thread in threads {
        let _ = thread.join();
    }
}

fn connection(shared: &Shared, stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Some((request, keep)) = read_request(stream, &mut buffer) {
        let (index, reply) = super::routes::answer(shared, &request);
        let released = shared.change(|state| {
            let now = state.released;
            state.recorded(index).map_or(now, |recorded| recorded.released)
        });
        let outcome = Writer { shared, stream, released }.write(&reply, keep, request.method == "HEAD");
        shared.change(|state| state.recorded(index).map(|recorded| recorded.outcome = Some(outcome)));
        if outcome != Outcome::Sent || !keep {
            return;
        }
    }
}

/// The next request and whether the connection may be kept; `None` at the end or when it is not HTTP.
fn read_request(mut stream: &TcpStream, buffer: &mut Vec<u8>) -> Option<(Request, bool)> {
    let _ = stream.set_read_timeout(None);
    let (mut request, head) = loop {
        let mut slots = [httparse::EMPTY_HEADER; 100];
        let mut parsed = httparse::Request::new(&mut slots);
        if let httparse::Status::Complete(length) = parsed.parse(buffer).ok()? {
            break (from_head(&parsed)?, length);
        }
        fill(stream, buffer)?;
    };
    buffer.drain(..head);
    if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let chunked = request.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    if chunked {
        loop {
            let line = read_line(stream, buffer)?;
            let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
            if size == 0 {
                while !read_line(stream, buffer)?.is_empty() {}
                break;
            }
            request.body.extend(take(stream, buffer, size)?);
            take(stream, buffer, 2)?;
        }
    } else if let Some(length) = request.header("content-length") {
        let length = length.parse().ok()?;
        request.body = take(stream, buffer, length)?;
    }
    let keep = !request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Some((request, keep))
}

fn from_head(parsed: &httparse::Request) -> Option<Request> {
    let target = parsed.path?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = parsed
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();
    Some(Request {
        method: parsed.method?.to_string(),
        path: path.to_string(),
        query: parse_form(query),
        headers,
        body: Vec::new(),
    })
}

/// `a=b&c=d` with percent and plus decoding.
pub fn parse_form(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn fill(mut stream: &TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 16 * 1024];
    let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
    buffer.extend_from_slice(&piece[..count]);
    Some(())
}

fn take(stream: &TcpStream, buffer: &mut Vec<u8>, length: usize) -> Option<Vec<u8>> {
    while buffer.len() < length {
        fill(stream, buffer)?;
    }
    Some(buffer.drain(..length).collect())
}

fn read_line(stream: &TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = buffer.windows(2).position(|pair| pair == b"\r\n") {
            let line = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 2);
            return Some(line);
        }
        fill(stream, buffer)?;
    }
}

/// Writes one answer.
struct Writer<'a> {
    shared: &'a Shared,
    stream: &'a TcpStream,
    /// The releases that its holds have seen.
    released: u64,
}

impl Writer<'_> {
    fn write(&mut self, reply: &Reply, keep: bool, head_only: bool) -> Outcome {
        let mut stream = self.stream;
        for act in &reply.before {
            if let Some(end) = self.perform(act, false) {
                return end;
            }
        }
        let mut head = format!("HTTP/1.1 {} {}\r\n", reply.status, super::errors::status_name(reply.status));
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("server: ESF\r\nvary: Origin, X-Origin, Referer\r\nx-content-type-options: nosniff\r\n");
        if !keep {
            head.push_str("connection: close\r\n");
        }
        match &reply.body {
            Payload::Whole(body) => {
                head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
                let mut bytes = head.into_bytes();
                if !head_only {
                    bytes.extend_from_slice(body);
                }
                if stream.write_all(&bytes).is_err() { Outcome::ClientGone } else { Outcome::Sent }
            }
            Payload::Chunked(acts) => {
                head.push_str("transfer-encoding: chunked\r\n\r\n");
                if stream.write_all(head.as_bytes()).is_err() {
                    return Outcome::ClientGone;
                }
                for act in acts {
                    if let Some(end) = self.perform(act, true) {
                        return end;
                    }
                }
                if stream.write_all(b"0\r\n\r\n").is_err() { Outcome::ClientGone } else { Outcome::Sent }
            }
        }
    }

    /// Does one act; `Some` ends the connection.
    fn perform(&mut self, act: &Act, framed: bool) -> Option<Outcome> {
        let Writer { shared, mut stream, .. } = *self;
        match act {
            Act::Send(bytes) if bytes.is_empty() => None,
            Act::Send(bytes) => {
                let mut wire = Vec::with_capacity(bytes.len() + 16);
                if framed {
                    wire.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
                }
                wire.extend_from_slice(bytes);
                if framed {
                    wire.extend_from_slice(b"\r\n");
                }
                stream.write_all(&wire).err().map(|_| Outcome::ClientGone)
            }
            Act::Pause(length) => {
                let end = Instant::now() + *length;
                wait(shared, stream, || end.saturating_duration_since(Instant::now()))
            }
            Act::Hold => {
                shared.change(|state| state.holding += 1);
                let (seen, poll) = (self.released, Duration::from_millis(10));
                let end = wait(shared, stream, || {
                    if shared.read(|state| state.released) > seen { Duration::ZERO } else { poll }
                });
                self.released = shared.change(|state| {
                    state.holding -= 1;
                    state.released
                });
                end
            }
            Act::Reset => {
                let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
                Some(Outcome::Cut)
            }
            Act::Close => Some(Outcome::Cut),
        }
    }
}

/// Waits while `left` says so, watching for a client that closes: that is how a cancelled stream is noticed.
fn wait(shared: &Shared, stream: &TcpStream, left: impl Fn() -> Duration) -> Option<Outcome> {
    loop {
        let rest = left();
        if shared.stop.load(Ordering::SeqCst) {
            return Some(Outcome::Cut);
        }
        if rest.is_zero() {
            return None;
        }
        // The kernel rounds receive timeouts up to its clock tick, which would distort short pauses.
        if rest < Duration::from_millis(10) {
            std::thread::sleep(rest);
            continue;
        }
        let _ = stream.set_read_timeout(Some(rest.min(Duration::from_millis(200))));
        match stream.peek(&mut [0]) {
            Ok(0) => return Some(Outcome::ClientGone),
            Ok(_) => std::thread::sleep(rest.min(Duration::from_millis(10))),
            Err(err) if matches!(err.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => return Some(Outcome::ClientGone),
        }
    }
}
