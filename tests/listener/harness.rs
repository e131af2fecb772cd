//! A server with a small scripted handler, and a client that sees every byte.

use crossbeam_channel::{Receiver, Sender, unbounded};
use gemini_openai_proxy::http::{
    Admitted, Caller, CancelToken, Lane, Limits, Pings, Refusal, Request, Responder, Response, Running, Server,
};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longer than anything here takes, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer that no socket buffer holds whole.
pub const LARGE: usize = 24 << 20;

/// A running server and the handler's side of it.
pub struct Rig {
    pub running: Running,
    pub address: SocketAddr,
    /// Cancel tokens of requests for `/wait` and `/short-wait`, as they begin.
    pub entered: Receiver<CancelToken>,
    /// One message lets one waiting request answer.
    pub release: Sender<()>,
    /// What an event writer said at the end of `/endless` and `/big`, and when.
    pub ended: Receiver<(Instant, Option<ErrorKind>)>,
    /// The paths of all requests in the order in which they were judged.
    pub judged: Arc<Mutex<Vec<String>>>,
}

pub fn limits() -> Limits {
    Limits { workers: 8, short_workers: 2, ..Limits::default() }
}

pub fn start(limits: Limits) -> Rig {
    start_on("127.0.0.1", limits)
}

pub fn start_on(host: &str, limits: Limits) -> Rig {
    start_as(host, limits, |server| server)
}

/// With what else the listener is told before it starts.
pub fn start_as(host: &str, limits: Limits, prepare: impl FnOnce(Server) -> Server) -> Rig {
    let (enter, entered) = unbounded();
    let (release, released) = unbounded();
    let (end, ended) = unbounded();
    let server = prepare(Server::bind(host, 0, limits).unwrap());
    let address = server.local_addr();
    let hands = Arc::new((enter, released, end));
    let judged = Arc::new(Mutex::new(Vec::new()));
    let order = judged.clone();
    let callers: Mutex<HashMap<String, Caller>> = Mutex::default();
    let judge = move |request: &Request| {
        order.lock().unwrap().push(request.path.clone());
        if request.path == "/gate" {
            hands.0.send(request.cancel.clone()).unwrap();
            hands.1.recv_timeout(PATIENCE).unwrap();
        }
        if request.path == "/refused" {
            assert!(request.body.is_empty(), "the body is not there yet");
            return Err(Response::new(403, "text/plain", "refused").with_header("X-Judged", "yes"));
        }
        let caller = request.headers.get("x-caller").unwrap_or_default().to_owned();
        let is_alone = caller.is_empty();
        let caller = callers.lock().unwrap().entry(caller).or_default().clone();
        let (lane, hands) = (if request.path.starts_with("/short") { Lane::Short } else { Lane::Long }, hands.clone());
        let judge = std::thread::current().name().unwrap_or_default().to_owned();
        let answer = move |request: Request, responder: Responder| {
            if request.path == "/judged-by" {
                return responder.respond(Response::new(200, "text/plain", judge));
            }
            handle(request, responder, &hands.0, &hands.1, &hands.2);
        };
        let refuse = |refusal: &Refusal| refusal.response().with_header("X-Judged", "yes");
        let named = request.headers.get("x-forwarded-for").and_then(|address| address.parse().ok());
        let address = named.unwrap_or(request.peer);
        let is_of_stranger = request.path == "/stranger";
        Ok(Admitted {
            lane,
            address,
            is_of_stranger,
            caller,
            is_alone,
            refuse: Box::new(refuse),
            answer: Box::new(answer),
        })
    };
    let running = server.start(Box::new(judge)).unwrap();
    assert_eq!(running.local_addr(), address);
    Rig { running, address, entered, release, ended, judged }
}

fn handle(
    request: Request,
    mut responder: Responder,
    enter: &Sender<CancelToken>,
    released: &Receiver<()>,
    end: &Sender<(Instant, Option<ErrorKind>)>,
) {
    let count = request.query.strip_prefix("n=").and_then(|count| count.parse().ok()).unwrap_or(3);
    let fields = vec![("Content-Type".to_owned(), "text/event-stream".to_owned())];
    let silent = Pings { piece: b"", first_after: None, every: None };
    match request.path.as_str() {
        "/stream" => {
            let mut writer = responder.events(200, fields, silent);
            for n in 0..count {
                writer.write(format!("data: {n}\n\n").as_bytes()).unwrap();
                writer.write(b"").unwrap();
            }
            writer.finish().unwrap();
        }
        "/pinged" => {
            let often = Some(Duration::from_millis(50));
            let writer =
                responder.events(200, fields, Pings { piece: b": ping\n\n", first_after: often, every: often });
            enter.send(request.cancel.clone()).unwrap();
            released.recv_timeout(PATIENCE).unwrap();
            assert!(writer.head_sent());
            let mut writer = writer.replace_with(Response::empty(500)).unwrap_err();
            writer.write(b"data: real\n\n").unwrap();
            writer.finish().unwrap();
        }
        "/pinged-until-gone" => {
            let often = Some(Duration::from_millis(50));
            let _writer =
                responder.events(200, fields, Pings { piece: b": ping\n\n", first_after: often, every: often });
            enter.send(request.cancel.clone()).unwrap();
            wait_until(|| request.cancel.is_cancelled());
        }
        "/replaced" => {
            let writer = responder.events(200, fields, silent);
            assert!(!writer.head_sent());
            assert!(writer.replace_with(Response::new(429, "text/plain", "later")).is_ok());
        }
        "/wait" | "/short-wait" => {
            enter.send(request.cancel.clone()).unwrap();
            while released.recv_timeout(Duration::from_millis(5)).is_err() && !request.cancel.is_cancelled() {}
            responder.respond(Response::new(200, "text/plain", "waited"));
        }
        "/endless" | "/big" => {
            let piece = if request.path == "/big" { vec![b'x'; 4 << 20] } else { b"data: x\n\n".to_vec() };
            let mut writer = responder.events(200, fields, silent);
            enter.send(request.cancel.clone()).unwrap();
            let error = loop {
                if let Err(error) = writer.write(&piece) {
                    break error.kind();
                }
            };
            // The test may be over already.
            let _ = end.send((Instant::now(), Some(error)));
        }
        "/panic" => panic!("scripted"),
        "/panic-late" => {
            let mut writer = responder.events(200, fields, silent);
            writer.write(b"data: x\n\n").unwrap();
            panic!("scripted");
        }
        "/silent" => drop(responder),
        "/unfinished" => responder.events(200, fields, silent).write(b"data: x\n\n").unwrap(),
        "/untouched" => drop(responder.events(200, fields, silent)),
        "/split" => {
            responder.add_header("X-Added", "a\r\nX-Evil: 1");
            let response = Response::new(200, "text/plain", "ok").with_header("X-Evil: 1\r\nX", "y");
            responder.respond(response.with_header("X-Fine", "yes"));
        }
        "/host" => {
            let hosts: Vec<&str> = request.headers.all("host").collect();
            responder.respond(Response::new(200, "text/plain", hosts.join("|")));
        }
        "/dated" => {
            responder.add_header("Date", "Thu, 01 Jan 1970 00:00:00 GMT");
            responder.respond(Response::new(200, "text/plain", "dated"));
        }
        "/peer" => responder.respond(Response::new(200, "text/plain", request.peer.to_string())),
        "/short-large" => responder.respond(Response::new(200, "text/plain", "x".repeat(LARGE))),
        "/none" => responder.respond(Response::new(204, "text/plain", "never sent")),
        _ => {
            let echo = format!(
                "{} {} {} {} {}",
                request.method,
                request.path,
                request.query,
                request.body.len(),
                request.headers.get("x-echo").unwrap_or("-")
            );
            responder.respond(Response::new(200, "text/plain", echo));
        }
    }
}

/// Waits for a condition that another thread brings about; panics when it does not come.
pub fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "the condition never came true");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

/// A client connection; in clear, unless something else stands between it and the socket.
pub struct Client<S = TcpStream> {
    pub socket: S,
    buffer: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Client::over(socket)
    }

    pub fn half_close(&self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }
}

impl<S: Read + Write> Client<S> {
    pub fn over(socket: S) -> Client<S> {
        Client { socket, buffer: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).unwrap();
    }

    pub fn get(&mut self, target: &str) {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
    }

    /// Reads one answer with a length or chunks; panics when it is cut.
    pub fn answer(&mut self) -> Answer {
        self.try_answer(false).expect("a whole answer")
    }

    /// Reads one answer without its body, as to HEAD.
    pub fn head_answer(&mut self) -> Answer {
        self.try_answer(true).expect("a whole head")
    }

    /// Reads one answer; `None` when the connection ends before it does.
    pub fn try_answer(&mut self, head_only: bool) -> Option<Answer> {
        let head = self.take_until(b"\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut answer = Answer { status, head, body: String::new() };
        if head_only || status == 204 || status == 100 {
            return Some(answer);
        }
        answer.body = match (answer.header("content-length"), answer.header("transfer-encoding")) {
            (Some(length), _) => self.take(length.parse().unwrap())?,
            (_, Some("chunked")) => self.chunks()?,
            _ => panic!("no framing: {}", answer.head),
        };
        Some(answer)
    }

    /// Everything until the server closes; the error when it resets instead.
    pub fn rest(&mut self) -> Result<String, ErrorKind> {
        let mut bytes = std::mem::take(&mut self.buffer);
        match self.socket.read_to_end(&mut bytes) {
            Ok(_) => Ok(String::from_utf8(bytes).unwrap()),
            Err(error) => Err(error.kind()),
        }
    }

    fn chunks(&mut self) -> Option<String> {
        let mut body = String::new();
        loop {
            let line = self.take_until(b"\r\n")?;
            let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
            let chunk = self.take(size + 2)?;
            if size == 0 {
                return Some(body);
            }
            body.push_str(&chunk[..size]);
        }
    }

    pub fn take_until(&mut self, mark: &[u8]) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                return self.take(at + mark.len());
            }
            self.read_more()?;
        }
    }

    pub fn take(&mut self, count: usize) -> Option<String> {
        while self.buffer.len() < count {
            self.read_more()?;
        }
        Some(String::from_utf8(self.buffer.drain(..count).collect()).unwrap())
    }

    fn read_more(&mut self) -> Option<()> {
        let mut bytes = [0; 16384];
        match self.socket.read(&mut bytes) {
            Ok(0) => None,
            Ok(count) => {
                self.buffer.extend_from_slice(&bytes[..count]);
                Some(())
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("the server is silent: {error}"),
        }
    }
}

/// One request on its own connection.
pub fn ask(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Answer {
    let mut client = Client::connect(address);
    client.send(bytes);
    client.answer()
}

/// The same at a listener that may be full, where some are closed without a word.
pub fn try_ask(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Option<Answer> {
    let mut client = Client::connect(address);
    client.socket.write_all(bytes.as_ref()).ok()?;
    client.try_answer(false)
}

/// Closes with a reset, as a client that is killed with unread data does.
pub fn reset(socket: TcpStream) {
    socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
}
