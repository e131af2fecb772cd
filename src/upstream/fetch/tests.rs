//! The fetcher against small servers on loopback. What a test allows is one port, so that everything else on loopback is
//! as forbidden as it is in earnest.

use super::{Fetcher, TOO_LARGE, TOO_SLOW, UNREACHABLE};
use crate::api::Fetch;
use crate::http::CancelToken;
use crate::upstream::cancel;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and the rest of it";

/// A server that answers each connection with what `answer` writes; counts them.
struct Server {
    address: SocketAddr,
    hits: Arc<AtomicUsize>,
}

impl Server {
    fn start(answer: impl Fn(&str, &mut TcpStream) + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let hits = Arc::new(AtomicUsize::new(0));
        let counted = hits.clone();
        // Ends with the test process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let mut head = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while !head.ends_with("\r\n\r\n") {
                    if reader.read_line(&mut head).unwrap() == 0 {
                        break;
                    }
                }
                answer(&head, &mut stream);
            }
        });
        Server { address, hits }
    }

    /// Answers everything with one head and body.
    fn fixed(head: &str, body: &[u8]) -> Server {
        let answer = [head.as_bytes(), b"Connection: close\r\n\r\n", body].concat();
        // A client that has seen enough closes first.
        Server::start(move |_, stream| _ = stream.write_all(&answer))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }
}

fn loopback() -> Fetcher {
    Fetcher::allowing(|address| address.ip().is_loopback())
}

#[test]
fn a_good_image_arrives_with_its_type() {
    let (seen, request) = mpsc::channel();
    let server = Server::start(move |head, stream| {
        seen.send(head.to_owned()).unwrap();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: image/png; charset=binary\r\nContent-Length: {}\r\n\r\n",
            PNG.len()
        );
        stream.write_all(&[head.as_bytes(), PNG].concat()).unwrap();
    });
    assert_eq!(loopback().fetch(&server.url("/a b.png?x=1#y")), Ok(("image/png".into(), PNG.to_vec())));
    let head = request.recv().unwrap().to_ascii_lowercase();
    assert!(head.starts_with("get /a%20b.png?x=1 http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nuser-agent: gemini-openai-proxy/"), "{head}");
    for name in ["cookie", "referer", "authorization", "accept-encoding"] {
        assert!(!head.contains(&format!("\r\n{name}:")), "{head}");
    }
}

#[test]
fn answers_that_are_no_media_are_refused_with_a_sentence() {
    for (head, body, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n", PNG, Err("does not lead to")),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n",
            b"<html>".as_slice(),
            Err("does not lead to"),
        ),
        ("HTTP/1.1 200 OK\r\n", b"<html>", Err("does not lead to")),
        ("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n", b"", Err("empty")),
        ("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Encoding: gzip\r\n", PNG, Err("compressed")),
        ("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 99\r\n", PNG, Err("broke")),
        ("HTTP/1.1 404 Not Found\r\nContent-Type: image/png\r\n", PNG, Err("status 404")),
        ("HTTP/1.1 206 Partial Content\r\nContent-Type: image/png\r\n", PNG, Err("status 206")),
        ("HTTP/1.1 302 Found\r\n", b"", Err("nowhere")),
        ("HTTP/1.1 302 Found\r\nLocation: ftp://a.test/x\r\n", b"", Err("only http")),
        ("SSH-2.0-OpenSSH_9.6\r\n", b"", Err("HTTP")),
        ("HTTP/1.1 200 OK\r\n", PNG, Ok("image/png")),
        ("HTTP/1.1 200 OK\r\nContent-Type: binary/octet-stream\r\n", PNG, Ok("image/png")),
    ] {
        let server = Server::fixed(head, body);
        let found = loopback().fetch(&server.url("/x"));
        match (&found, expected) {
            (Ok((name, _)), Ok(expected)) => assert_eq!(name, expected, "{head}"),
            (Err(sentence), Err(part)) => assert!(sentence.contains(part), "{head}: {sentence}"),
            _ => panic!("{head}: {found:?}"),
        }
    }
}

#[test]
fn loopback_is_refused_in_every_notation_and_never_connected_to() {
    let server = Server::fixed("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n", PNG);
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "127.0.0.2",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
        "[fd00:ec2::254]",
    ] {
        let found = Fetcher::new().fetch(&format!("http://{host}:{port}/x.png"));
        assert_eq!(found, Err(UNREACHABLE.to_owned()), "{host}");
    }
    assert_eq!(server.hits(), 0);
    // The same server answers when it may be asked, so it was the guard that refused.
    assert!(loopback().fetch(&server.url("/x.png")).is_ok());
}

#[test]
fn a_redirect_is_checked_like_the_first_address() {
    let inner = Server::fixed("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n", PNG);
    let leads = inner.url("/x.png");
    let outer = Server::start(move |_, stream| {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {leads}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
    });
    // A function pointer cannot capture, so the one allowed port stands here.
    static ALLOWED: AtomicU16 = AtomicU16::new(0);
    ALLOWED.store(outer.address.port(), Ordering::SeqCst);
    let fetcher = Fetcher::allowing(|address| address.port() == ALLOWED.load(Ordering::SeqCst));
    assert_eq!(fetcher.fetch(&outer.url("/")), Err(UNREACHABLE.to_owned()));
    assert_eq!((outer.hits(), inner.hits()), (1, 0));
    assert!(loopback().fetch(&outer.url("/")).is_ok());
}

#[test]
fn three_redirects_are_followed_and_a_fourth_is_not() {
    let server = Server::start(|head, stream| {
        let left: usize = head.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        let answer = match left {
            0 => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", PNG.len()).into_bytes(),
            _ => format!("HTTP/1.1 307 x\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", left - 1).into_bytes(),
        };
        stream.write_all(&answer).unwrap();
        if left == 0 {
            stream.write_all(PNG).unwrap();
        }
    });
    assert!(loopback().fetch(&server.url("/3")).is_ok());
    assert_eq!(server.hits(), 4);
    assert_eq!(loopback().fetch(&server.url("/4")), Err("the address redirects too often".into()));
    assert_eq!(server.hits(), 8);
}

#[test]
fn a_huge_file_is_not_read_beyond_the_limit() {
    let declared = Server::fixed("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 1001\r\n", PNG);
    let fetcher = Fetcher { max_bytes: 1000, ..loopback() };
    assert_eq!(fetcher.fetch(&declared.url("/")), Err(TOO_LARGE.into()));

    let (cancel, written) = mpsc::channel();
    let endless = Server::start(move |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n").unwrap();
        let mut sum = 0;
        while stream.write_all(PNG).is_ok() {
            sum += PNG.len();
        }
        cancel.send(sum).unwrap();
    });
    assert_eq!(fetcher.fetch(&endless.url("/")), Err(TOO_LARGE.into()));
    assert!(written.recv().unwrap() > 1000, "the server saw the connection end");

    let exact = Server::fixed("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n", &[1; 1000]);
    assert_eq!(fetcher.fetch(&exact.url("/")).unwrap().1.len(), 1000);
}

#[test]
fn a_body_that_trickles_ends_at_the_deadline_of_the_whole() {
    let server = Server::start(|head, stream| {
        if head.starts_with("GET /start ") {
            stream.write_all(b"HTTP/1.1 302 x\r\nLocation: /slow\r\nContent-Length: 0\r\n\r\n").unwrap();
            return;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 100000\r\n\r\n").unwrap();
        // A read that waits is the clock of the trickle: it ends after its timeout, or when the client closes.
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        while stream.write_all(b"x").is_ok() {
            match stream.read(&mut [0]) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                _ => break,
            }
        }
    });
    let fetcher = Fetcher { max_time: Duration::from_millis(600), ..loopback() };
    let begin = Instant::now();
    assert_eq!(fetcher.fetch(&server.url("/start")), Err(TOO_SLOW.into()));
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(500) && took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_server_that_says_nothing_ends_at_the_deadline_or_when_the_client_leaves() {
    let (hold, held) = mpsc::channel::<TcpStream>();
    let (arrived, asked) = mpsc::channel();
    let server = Server::start(move |_, stream| {
        hold.send(stream.try_clone().unwrap()).unwrap();
        arrived.send(()).unwrap();
    });
    let fetcher = Fetcher { max_time: Duration::from_millis(300), ..loopback() };
    assert_eq!(fetcher.fetch(&server.url("/")), Err(TOO_SLOW.into()));
    asked.recv().unwrap();

    let cancel = CancelToken::default();
    let scope = cancel::scope(&cancel);
    let leaves = std::thread::spawn({
        let cancel = cancel.clone();
        move || {
            asked.recv().unwrap();
            cancel.cancel();
        }
    });
    let begin = Instant::now();
    assert!(loopback().fetch(&server.url("/")).is_err());
    assert!(begin.elapsed() < Duration::from_secs(5), "the whole limit is 10 s");
    leaves.join().unwrap();
    drop((scope, held));
}
