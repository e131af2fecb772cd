//! A connection to Google: what ureq's own has and three things more, each measured (docs/performance.md "Tricks"). Head and
//! body of a request go out in one write; buffers are small while nothing flows, and grow with what comes; and whether a
//! kept connection is still open is one question to the system instead of three.

use crate::os::platform;
use parking_lot::Mutex;
use std::fmt;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use ureq::unversioned::transport::time::Duration as Limit;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, ShutdownHandle, Transport,
};
use ureq::{Error, Timeout};

/// Room for what is to be sent, beyond what waits to be sent already; each line of a request's head must fit.
const OUTPUT: usize = 4 << 10;
/// What waits for more before it is sent.
const HELD: usize = 16 << 10;
/// Rooms for what is to be sent that are kept for the next request; making one costs as much as filling it.
const SPARE: usize = 4;
/// Room for what comes: a usual event and its frame, the head of an answer.
const INPUT: usize = 1 << 10;
/// The room grows up to here while each read fills it.
const MOST_INPUT: usize = 16 << 10;
/// What cannot be used before more has come, such as the head of an answer, may be as long as this.
const LONGEST: usize = 64 << 10;

static SPARES: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Opens connections, unless a proxy did.
#[derive(Debug, Default)]
pub(super) struct TcpConnector;

impl<In: Transport> Connector<In> for TcpConnector {
    type Out = Either<In, Tcp>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Either<In, Tcp>>, Error> {
        if let Some(chained) = chained {
            return Ok(Some(Either::A(chained)));
        }
        let stream = Arc::new(open(&details.addrs, details.timeout)?);
        let handle: Weak<TcpStream> = Arc::downgrade(&stream);
        (details.register_shutdown)(handle as Weak<dyn ShutdownHandle>)?;
        stream.set_nodelay(true)?;
        Ok(Some(Either::B(Tcp { stream, read_limit: None, write_limit: None, buffers: Lent::default() })))
    }
}

/// Tries the addresses one after the other. Each but the last has half of the time that is left.
fn open(addresses: &[SocketAddr], timeout: NextTimeout) -> Result<TcpStream, Error> {
    let end = timeout.not_zero().and_then(|limit| Instant::now().checked_add(*limit));
    let mut failure = Error::ConnectionFailed;
    for (at, address) in addresses.iter().enumerate() {
        let is_last = at + 1 == addresses.len();
        let opened = match end.map(|end| end.saturating_duration_since(Instant::now())) {
            None => TcpStream::connect(address),
            Some(left) if left.is_zero() => return Err(Error::Timeout(timeout.reason)),
            Some(left) => TcpStream::connect_timeout(address, if is_last { left } else { left / 2 }),
        };
        failure = match opened {
            Ok(stream) => return Ok(stream),
            Err(error) if is_of_time(&error) => Error::Timeout(timeout.reason),
            Err(error) => Error::Io(error),
        };
    }
    Err(failure)
}

fn is_of_time(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

pub(super) struct Tcp {
    stream: Arc<TcpStream>,
    /// What the system was told last.
    read_limit: Option<Duration>,
    write_limit: Option<Duration>,
    buffers: Lent,
}

impl Tcp {
    /// Sends what waits.
    fn flush(&mut self, limit: Option<Limit>) -> Result<(), Error> {
        let limit = limit.filter(|limit| !limit.is_not_happening()).map(|limit| *limit);
        if limit != self.write_limit {
            self.stream.set_write_timeout(limit)?;
            self.write_limit = limit;
        }
        let held = std::mem::take(&mut self.buffers.held);
        match (&*self.stream).write_all(&self.buffers.output[..held]) {
            Err(error) if is_of_time(&error) => Err(Error::Timeout(Timeout::PerWrite)),
            sent => Ok(sent?),
        }
    }
}

impl Transport for Tcp {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.buffers.held += amount;
        if self.buffers.held < HELD { Ok(()) } else { self.flush(timeout.per_write) }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if self.buffers.held > 0 {
            self.flush(timeout.per_write)?;
        }
        self.buffers.give_back();
        let timeout = timeout.for_read();
        let limit = timeout.not_zero().map(|limit| *limit);
        if limit != self.read_limit {
            self.stream.set_read_timeout(limit)?;
            self.read_limit = limit;
        }
        let room = self.buffers.room();
        let read = loop {
            match (&*self.stream).read(room) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(count) => {
                self.buffers.input_appended(count);
                Ok(count > 0)
            }
            Err(error) if is_of_time(&error) => Err(Error::Timeout(timeout.reason)),
            Err(error) => Err(error.into()),
        }
    }

    /// Bytes that nobody asked for are as bad as an end.
    fn is_open(&mut self) -> bool {
        platform::is_quiet(self.stream.as_raw_fd())
    }
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcp").field("peer", &self.stream.peer_addr().ok()).finish()
    }
}

/// Buffers that are there while something is in them.
#[derive(Default)]
struct Lent {
    output: Vec<u8>,
    /// So much of it waits to be sent.
    held: usize,
    input: Vec<u8>,
    /// What has come and was not used yet: from, up to.
    used: usize,
    filled: usize,
    /// How much came last.
    came: usize,
    progress: bool,
}

impl Lent {
    /// All is sent.
    fn give_back(&mut self) {
        if self.output.is_empty() {
            return;
        }
        let output = std::mem::take(&mut self.output);
        let mut spares = SPARES.lock();
        if spares.len() < SPARE {
            spares.push(output);
        }
    }

    /// The free part of the input.
    fn room(&mut self) -> &mut [u8] {
        let left = self.filled - self.used;
        let has_filled = self.came > 0 && self.filled == self.input.len();
        let size = match left {
            0 if has_filled => (self.input.len() * 2).min(MOST_INPUT),
            0 if self.came <= INPUT / 2 => INPUT,
            0 => self.input.len().max(INPUT),
            _ if left * 2 > self.input.len() => (self.input.len() * 2).min(LONGEST),
            _ => self.input.len(),
        };
        if size != self.input.len() || self.filled == self.input.len() {
            let mut input = vec![0; size];
            input[..left].copy_from_slice(&self.input[self.used..self.filled]);
            (self.input, self.used, self.filled) = (input, 0, left);
        } else if left == 0 {
            (self.used, self.filled) = (0, 0);
        }
        &mut self.input[self.filled..]
    }
}

impl Buffers for Lent {
    fn output(&mut self) -> &mut [u8] {
        if self.output.is_empty() {
            self.output = SPARES.lock().pop().unwrap_or_else(|| vec![0; HELD + OUTPUT]);
        }
        &mut self.output[self.held..][..OUTPUT]
    }

    fn input(&self) -> &[u8] {
        &self.input[self.used..self.filled]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.room()
    }

    fn input_appended(&mut self, amount: usize) {
        self.came = amount;
        self.filled += amount;
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.used += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.output();
        self.room();
        (&mut self.input[self.filled..], &mut self.output[self.held..][..OUTPUT])
    }

    fn can_use_input(&self) -> bool {
        self.progress && self.filled > self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const NO_LIMIT: NextTimeout =
        NextTimeout { after: Limit::NotHappening, reason: Timeout::Global, per_read: None, per_write: None };

    fn pair() -> (Tcp, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = open(&[listener.local_addr().unwrap()], NO_LIMIT).unwrap();
        let tcp = Tcp { stream: Arc::new(stream), read_limit: None, write_limit: None, buffers: Lent::default() };
        (tcp, listener.accept().unwrap().0)
    }

    fn send(tcp: &mut Tcp, bytes: &[u8]) {
        tcp.buffers.output()[..bytes.len()].copy_from_slice(bytes);
        tcp.transmit_output(bytes.len(), NO_LIMIT).unwrap();
    }

    /// Takes all that has come.
    fn take(tcp: &mut Tcp) -> Vec<u8> {
        assert!(tcp.await_input(NO_LIMIT).unwrap());
        let taken = tcp.buffers.input().to_vec();
        tcp.buffers.input_consume(taken.len());
        taken
    }

    #[test]
    fn what_is_sent_goes_out_with_the_wait_for_an_answer_and_much_of_it_before() {
        let (mut tcp, mut peer) = pair();
        send(&mut tcp, b"head ");
        send(&mut tcp, b"body");
        peer.set_nonblocking(true).unwrap();
        assert_eq!(peer.read(&mut [0; 9]).unwrap_err().kind(), ErrorKind::WouldBlock);
        peer.set_nonblocking(false).unwrap();
        peer.write_all(b"answer").unwrap();
        assert_eq!(take(&mut tcp), b"answer");
        let mut came = [0; 9];
        peer.read_exact(&mut came).unwrap();
        assert_eq!(&came, b"head body");
        (0..HELD / OUTPUT).for_each(|_| send(&mut tcp, &[7; OUTPUT]));
        peer.read_exact(&mut [0; HELD]).unwrap();
        assert_eq!(tcp.buffers.held, 0);
    }

    #[test]
    fn buffers_grow_with_what_comes_and_are_small_again_after_it() {
        let (mut tcp, mut peer) = pair();
        let all: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
        let sent = all.clone();
        let writer = std::thread::spawn(move || {
            peer.write_all(&sent).unwrap();
            peer
        });
        let mut came = Vec::new();
        while came.len() < all.len() {
            came.extend(take(&mut tcp));
            assert!(tcp.buffers.input.len() <= MOST_INPUT);
        }
        assert_eq!(came, all);
        let mut peer = writer.join().unwrap();
        for _ in 0..2 {
            peer.write_all(b"event").unwrap();
            assert_eq!(take(&mut tcp), b"event");
        }
        assert_eq!((tcp.buffers.input.len(), tcp.buffers.output.len()), (INPUT, 0));
    }

    #[test]
    fn what_cannot_be_used_yet_finds_room_up_to_a_bound() {
        let (mut tcp, mut peer) = pair();
        let head: Vec<u8> = (0..40_000_u32).map(|number| (number % 251) as u8).collect();
        peer.write_all(&head).unwrap();
        while tcp.buffers.input().len() < head.len() {
            assert!(tcp.await_input(NO_LIMIT).unwrap());
        }
        assert_eq!(tcp.buffers.input(), head);
        tcp.buffers.input_consume(1);
        assert!(tcp.buffers.can_use_input());
        tcp.buffers.input_consume(0);
        assert!(!tcp.buffers.can_use_input());
        peer.write_all(&vec![7; 2 * LONGEST]).unwrap();
        while tcp.await_input(NO_LIMIT).unwrap() {}
        assert!(tcp.buffers.input.len() <= LONGEST);
    }

    #[test]
    fn a_connection_with_an_end_or_with_bytes_that_nobody_asked_for_is_not_open() {
        let (mut tcp, peer) = pair();
        assert!(tcp.is_open());
        drop(peer);
        tcp.stream.set_read_timeout(None).unwrap();
        assert!(!tcp.await_input(NO_LIMIT).unwrap());
        assert!(!tcp.is_open());
        let (mut tcp, mut peer) = pair();
        peer.write_all(b"x").unwrap();
        tcp.stream.peek(&mut [0]).unwrap();
        assert!(!tcp.is_open());
    }

    #[test]
    fn silence_ends_with_the_limit_and_no_address_with_its_own_fault() {
        let (mut tcp, _peer) = pair();
        let limited = NextTimeout { per_read: Some(Limit::from_millis(20)), ..NO_LIMIT };
        assert!(matches!(tcp.await_input(limited), Err(Error::Timeout(Timeout::PerRead))));
        assert!(matches!(open(&[], NO_LIMIT), Err(Error::ConnectionFailed)));
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let both = [gone, listener.local_addr().unwrap()];
        let second = open(&both, NextTimeout { after: Limit::from_secs(5), ..NO_LIMIT }).unwrap();
        assert_eq!(second.peer_addr().unwrap(), both[1]);
        assert!(matches!(open(&[gone], NO_LIMIT), Err(Error::Io(_))));
    }
}
