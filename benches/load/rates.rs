//! How much a server answers: connections that ask again as soon as they are answered, all on one thread, for a fixed time.

use crate::clients::{Target, request, whole_length};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// So many connections; what is answered before they have settled does not count.
#[derive(Clone, Copy)]
pub struct Load {
    pub connections: usize,
    pub settle: Duration,
    pub window: Duration,
}

/// What was seen in the window.
#[derive(Default)]
pub struct Answered {
    /// Of whole answers, in nanoseconds; those that did not come count with how long they were waited for.
    pub times: Vec<u64>,
    pub answers: usize,
    /// Not 200, or broken off.
    pub failures: usize,
    /// CPU time of the server.
    pub cpu: Duration,
}

struct Line {
    socket: TcpStream,
    /// None until the socket takes the first request.
    asked: Option<Instant>,
    answer: Vec<u8>,
    length: Option<usize>,
}

enum Step {
    Waits,
    Answered(bool),
    Broken,
}

/// Puts `load` on `target`, and reads the server's CPU time by `cpu` at the window's beginning and end.
pub fn ask(target: &Target, prompt: &str, load: &Load, cpu: impl Fn() -> Duration) -> Answered {
    let request = request(target, prompt, false);
    let mut poll = Poll::new().expect("a poll");
    let mut ready = Events::with_capacity(1024);
    let mut lines: Vec<Line> = (0..load.connections).map(|at| Line::open(&poll, target.address, at)).collect();
    let begin = Instant::now() + load.settle;
    let end = begin + load.window;
    let mut before = None;
    let mut seen = Answered::default();
    loop {
        let now = Instant::now();
        if now >= end {
            break;
        }
        if now >= begin && before.is_none() {
            before = Some(cpu());
        }
        match poll.poll(&mut ready, Some(Duration::from_millis(10))) {
            Err(error) if error.kind() != ErrorKind::Interrupted => panic!("poll: {error}"),
            _ => {}
        }
        for event in &ready {
            let at = event.token().0;
            let line = &mut lines[at];
            if event.is_writable() && line.asked.is_none() && !line.ask(&request) {
                continue;
            }
            let counts = before.is_some();
            match line.read() {
                Step::Waits => {}
                Step::Answered(well) => {
                    let asked = line.asked.take();
                    if counts {
                        seen.times.extend(asked.map(|asked| asked.elapsed().as_nanos() as u64));
                        seen.answers += 1;
                        seen.failures += usize::from(!well);
                    }
                    line.ask(&request);
                }
                Step::Broken => {
                    seen.failures += usize::from(counts);
                    *line = Line::open(&poll, target.address, at);
                }
            }
        }
    }
    seen.cpu = cpu().saturating_sub(before.unwrap_or_default());
    // Otherwise a server that answers a few and lets all others wait would look quick.
    let waiting = lines.iter().filter_map(|line| Some(line.asked?.elapsed()));
    seen.times.extend(waiting.filter(|age| *age > load.window / 2).map(|age| age.as_nanos() as u64));
    seen
}

impl Line {
    fn open(poll: &Poll, address: SocketAddr, at: usize) -> Line {
        let mut socket = TcpStream::connect(address).expect("a connection");
        let _ = socket.set_nodelay(true);
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut socket, Token(at), interest).expect("a registration");
        Line { socket, asked: None, answer: Vec::new(), length: None }
    }

    /// A socket whose last request was answered takes the next one whole.
    fn ask(&mut self, request: &[u8]) -> bool {
        (self.length, self.asked) = (None, Some(Instant::now()));
        self.answer.clear();
        self.socket.write(request).is_ok_and(|count| count == request.len())
    }

    fn read(&mut self) -> Step {
        let mut bytes = [0; 16384];
        loop {
            match self.socket.read(&mut bytes) {
                Ok(0) => return Step::Broken,
                Ok(count) => self.answer.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::Waits,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Step::Broken,
            }
            self.length = self.length.or_else(|| whole_length(&self.answer));
            if self.length.is_some_and(|length| self.answer.len() >= length) {
                return Step::Answered(self.answer.starts_with(b"HTTP/1.1 200"));
            }
        }
    }
}
