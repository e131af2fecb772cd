//! The scripted Google's sockets: one thread per listener, which is never the slow part. What it says is `answers`'
//! business.

use crate::answers::{Answer, Books, Script};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An authority made for tests and a certificate for `localhost` and 127.0.0.1 under it; both end in a century.
pub const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("../../tests/fixtures/tls/localhost.pem");
const KEY: &[u8] = include_bytes!("../../tests/fixtures/tls/localhost.key");

const LISTENER: Token = Token(0);

/// The addresses of a running Google.
pub struct Upstream {
    pub plain: SocketAddr,
    pub tls: SocketAddr,
    pub books: Arc<Books>,
}

/// Starts a plain and a TLS listener; both serve until the process ends.
pub fn start(clock: Instant) -> Upstream {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = CertificateDer::pem_slice_iter(CERTIFICATE).collect::<Result<Vec<_>, _>>().expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the protocol versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a matching key");
    let books = Arc::new(Books::default());
    let (plain, tls) = (serve(clock, &books, None), serve(clock, &books, Some(Arc::new(tls))));
    Upstream { plain, tls, books }
}

fn serve(clock: Instant, books: &Arc<Books>, tls: Option<Arc<ServerConfig>>) -> SocketAddr {
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    let poll = Poll::new().expect("a poll");
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).expect("a registration");
    let books = books.clone();
    let google = Google { clock, books, tls, listener, poll, peers: HashMap::new(), due: BinaryHeap::new(), next: 1 };
    std::thread::Builder::new().name("google".into()).spawn(move || google.run()).expect("a thread");
    address
}

struct Google {
    clock: Instant,
    books: Arc<Books>,
    tls: Option<Arc<ServerConfig>>,
    listener: TcpListener,
    poll: Poll,
    peers: HashMap<usize, Peer>,
    /// Whose next event is due when.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    next: usize,
}

struct Peer {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    input: Vec<u8>,
    output: Vec<u8>,
    /// The stream that is being sent.
    script: Option<Script>,
    /// The answer that is not due yet.
    late: Option<String>,
}

impl Google {
    fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        loop {
            let now = Instant::now();
            let patience = self.due.peek().map(|Reverse((due, _))| due.saturating_duration_since(now));
            match self.poll.poll(&mut events, patience) {
                Err(error) if error.kind() != ErrorKind::Interrupted => panic!("poll: {error}"),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    Token(token) => self.drive(token),
                }
            }
            self.send_due();
        }
    }

    fn accept(&mut self) {
        while let Ok((mut socket, _)) = self.listener.accept() {
            let _ = socket.set_nodelay(true);
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut socket, Token(self.next), interest).expect("a registration");
            let tls = self.tls.clone().map(|tls| Box::new(ServerConnection::new(tls).expect("a TLS session")));
            let peer = Peer { socket, tls, input: Vec::new(), output: Vec::new(), script: None, late: None };
            self.peers.insert(self.next, peer);
            self.next += 1;
        }
    }

    fn drive(&mut self, token: usize) {
        let Some(peer) = self.peers.get_mut(&token) else { return };
        let open = peer.receive();
        while let Some(request) = take_request(&mut peer.input) {
            if let Some(wait) = peer.answer(self.books.answer(&request, self.clock), self.clock) {
                self.due.push(Reverse((Instant::now() + wait, token)));
            }
        }
        if !open || peer.flush().is_err() {
            self.peers.remove(&token);
        }
    }

    fn send_due(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((due, token))) = self.due.peek().copied().filter(|Reverse((due, _))| *due <= now) {
            self.due.pop();
            let Some(peer) = self.peers.get_mut(&token) else { continue };
            match peer.late.take() {
                Some(body) => peer.whole("200 OK", &body),
                None => peer.event(self.clock),
            }
            if peer.flush().is_err() {
                self.peers.remove(&token);
            } else if let Some(script) = &peer.script {
                self.due.push(Reverse((due + script.every, token)));
            }
        }
    }
}

impl Peer {
    /// Reads what is there; false at the end of the connection.
    fn receive(&mut self) -> bool {
        let mut bytes = [0; 16384];
        loop {
            let got = match &mut self.tls {
                None => self.socket.read(&mut bytes),
                Some(tls) => read_tls(tls, &mut self.socket, &mut bytes),
            };
            match got {
                Ok(0) => return false,
                Ok(count) => self.input.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// Begins the answer; says when there is more to send.
    fn answer(&mut self, answer: Answer, clock: Instant) -> Option<Duration> {
        match answer {
            Answer::Whole(status, body) => {
                self.whole(status, &body);
                None
            }
            Answer::Late(after, body) => {
                self.late = Some(body);
                Some(after)
            }
            Answer::Stream(script) => {
                self.output.extend_from_slice(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
                );
                self.script = Some(script);
                self.event(clock);
                self.script.map(|script| script.every)
            }
        }
    }

    fn whole(&mut self, status: &str, body: &str) {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
        self.output.extend_from_slice(head.as_bytes());
        self.output.extend_from_slice(body.as_bytes());
    }

    /// One event as one chunk; the last one ends the body.
    fn event(&mut self, clock: Instant) {
        let Some(mut script) = self.script.take() else { return };
        script.left = script.left.saturating_sub(1);
        let json = script.event(clock);
        let end = if script.left == 0 { "0\r\n\r\n" } else { "" };
        let frame = format!("{:x}\r\ndata: {json}\r\n\r\n\r\n{end}", json.len() + 10);
        self.output.extend_from_slice(frame.as_bytes());
        self.script = (script.left > 0).then_some(script);
    }

    fn flush(&mut self) -> io::Result<()> {
        let Peer { socket, tls, output, .. } = self;
        if let Some(tls) = tls {
            tls.writer().write_all(output)?;
            output.clear();
            while tls.wants_write() {
                match tls.write_tls(socket) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    result => result?,
                };
            }
            return Ok(());
        }
        while !output.is_empty() {
            match socket.write(output) {
                Ok(sent) => drop(output.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn read_tls(tls: &mut ServerConnection, socket: &mut TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
    match tls.reader().read(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        done => return done,
    }
    if tls.read_tls(socket)? == 0 {
        return Ok(0);
    }
    tls.process_new_packets().map_err(io::Error::other)?;
    while tls.wants_write() {
        tls.write_tls(socket)?;
    }
    match tls.reader().read(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ErrorKind::Interrupted.into()),
        done => done,
    }
}

/// Nanoseconds since the program's start.
pub fn now(clock: Instant) -> u64 {
    clock.elapsed().as_nanos() as u64
}

/// Takes one whole request out of `input`.
fn take_request(input: &mut Vec<u8>) -> Option<String> {
    let head = input.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&input[..head]).to_lowercase();
    let length = number(&text, "content-length: ").unwrap_or(0) as usize;
    if input.len() < head + length {
        return None;
    }
    let request = input.drain(..head + length).collect();
    Some(String::from_utf8(request).expect("requests are text"))
}

/// The number behind `name`.
pub fn number(text: &str, name: &str) -> Option<u64> {
    let rest = &text[text.find(name)? + name.len()..];
    rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}
