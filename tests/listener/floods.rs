//! Clients that send too much: heads without end.

use super::harness::{PATIENCE, limits, start};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;

#[test]
fn heads_without_end_are_refused_at_the_limit() {
    let limits = limits();
    // What comes behind a refusal is thrown away up to about the largest body; the rest waits in the sockets.
    let most = limits.max_body + (8 << 20);
    let rig = start(limits);
    for (name, begin, piece, status) in [
        ("one endless field", "GET / HTTP/1.1\r\nX: ", "a".repeat(1024), 431),
        ("fields without end", "GET / HTTP/1.1\r\n", "X-Field: value\r\n".repeat(64), 431),
        ("an endless request line", "GET /", "a".repeat(1024), 414),
        ("nothing but empty lines", "\r\n", "\r\n".repeat(512), 400),
    ] {
        let mut socket = TcpStream::connect(rig.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut writer = socket.try_clone().unwrap();
        let sent = thread::spawn(move || {
            let mut sent = writer.write_all(begin.as_bytes()).map_or(0, |()| begin.len());
            // Ends when the server does not take more; 64 MiB would be taken by one that never says no.
            while sent < 64 << 20 && writer.write_all(piece.as_bytes()).is_ok() {
                sent += piece.len();
            }
            sent
        });
        let mut answer = Vec::new();
        let mut bytes = [0; 4096];
        loop {
            match socket.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => answer.extend_from_slice(&bytes[..count]),
                // The flood goes on after the refusal, so in the end the connection is reset.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => panic!("{name}: {error}"),
            }
        }
        let sent = sent.join().unwrap();
        assert!(sent < most, "{name}: {sent} bytes were taken");
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer:?}");
    }
}
