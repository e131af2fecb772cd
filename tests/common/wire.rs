//! The tests' ways to a proxy: an agent, a socket, and a relay for clients in other languages. What comes back by them is
//! kept by [`written`].

use super::written;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use ureq::config::ConfigBuilder;
use ureq::http::{Request, Response};
use ureq::middleware::MiddlewareNext;
use ureq::typestate::AgentScope;
use ureq::{Agent, Body, SendBody};

/// The fake Google's consent page leads on with an OAuth code, as Google's does: what it says is not the program's.
pub(super) const CONSENT: &str = "/o/oauth2/";
/// Kept of one connection; the end of a flood is of no interest.
const LONGEST: usize = 256 << 10;

/// An agent that takes every status for an answer and no proxy from the environment.
pub fn agent() -> Agent {
    agent_with(|config| config)
}

/// The same with more settings.
pub fn agent_with(change: impl FnOnce(ConfigBuilder<AgentScope>) -> ConfigBuilder<AgentScope>) -> Agent {
    let config = Agent::config_builder().http_status_as_error(false).proxy(None).middleware(keep);
    change(config).build().into()
}

/// As a browser that a test leads by the hand: no redirect is followed.
pub fn unled_agent() -> Agent {
    agent_with(|config| config.max_redirects(0))
}

fn keep(request: Request<SendBody>, next: MiddlewareNext) -> Result<Response<Body>, ureq::Error> {
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    written::secrets_of_request(target, headers);
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let (parts, mut body) = next.handle(request)?.into_parts();
    if path.starts_with(CONSENT) {
        return Ok(Response::from_parts(parts, body));
    }
    let head = format!("{method} {path}: {}\n{:?}\n", parts.status, parts.headers);
    let body = if written::shows_a_new_key(&method, &path) {
        let text = body.read_to_string()?;
        written::answer_with_new_key(&head, &text);
        Body::builder().data(text)
    } else {
        Body::builder().reader(Heard { from: body.into_reader(), text: head.into_bytes() })
    };
    Ok(Response::from_parts(parts, body))
}

/// Keeps what is read from it, as one text when it is dropped: pieces of several would stand between each other.
struct Heard<R> {
    from: R,
    text: Vec<u8>,
}

impl<R: Read> Read for Heard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        if self.text.len() < LONGEST {
            self.text.extend_from_slice(&buffer[..count]);
        }
        Ok(count)
    }
}

impl<R> Drop for Heard<R> {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            written::answer(&String::from_utf8_lossy(&self.text));
        }
    }
}

/// A socket to a proxy.
pub struct Wire(Heard<TcpStream>);

/// Connects to a proxy.
pub fn connect(address: impl ToSocketAddrs) -> io::Result<Wire> {
    Ok(Wire(Heard { from: TcpStream::connect(address)?, text: Vec::new() }))
}

impl Deref for Wire {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.0.from
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.from.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.from.flush()
    }
}

/// Stands before a proxy for clients that are programs of their own; when it is dropped, their connections end.
pub struct Relay {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    pub fn to(proxy: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut pumps = Vec::new();
            for client in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                pumps.extend(relay(client, proxy).into_iter().flatten());
            }
            pumps.into_iter().for_each(|pump| pump.join().expect("a pump does not panic"));
        });
        Relay { address, stop, thread: Some(thread) }
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the accept loop.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One thread for each direction; nothing when the proxy does not listen. A client that ends takes the proxy's side with it; what
/// the proxy has said last is read by a client that still sends.
fn relay(client: TcpStream, proxy: SocketAddr) -> Option<[JoinHandle<()>; 2]> {
    let wire = connect(proxy).ok()?;
    let pump = |mut from: Box<dyn Read + Send>, mut to: TcpStream, ends: [TcpStream; 2], is_answer: bool| {
        thread::spawn(move || {
            let ended = io::copy(&mut from, &mut to);
            if is_answer && ended.is_ok() {
                return drop(to.shutdown(Shutdown::Write));
            }
            ends.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)));
        })
    };
    for stream in [&client, &*wire] {
        stream.set_nodelay(true).ok()?;
    }
    let twins = || Some([client.try_clone().ok()?, wire.try_clone().ok()?]);
    let [ends, others, [from, to]] = [twins()?, twins()?, twins()?];
    Some([pump(Box::new(from), to, ends, false), pump(Box::new(wire), client, others, true)])
}
