//! Bytes of an answer: the head as text, and writes to a socket that never waits longer than told.

use super::chunked::{is_field_byte, is_name_byte};
use super::date::Date;
use super::socket::Socket;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd as _;
use std::thread;
use std::time::{Duration, Instant};

/// A client must take this much of an answer in each write timeout, in bytes. So a large answer has its time and a
/// reader that takes a byte now and then has not.
pub(super) const BLOCK: usize = 64 * 1024;
/// Pause between two tries when no descriptor is left to wait with.
const RETRY: Duration = Duration::from_millis(20);

/// How the end of the body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// `Content-Length`.
    Length(usize),
    /// The chunked coding.
    Chunks,
    /// The end of the connection (HTTP/1.0).
    Close,
    /// The status has no body at all: 204, 304.
    NoBody,
}

/// The head of an answer: `ready` fields as they are, then others. Of these one whose name or value could end its line is
/// left out (response splitting), and so are framing fields, which are this module's own.
pub(super) fn head<'a>(
    status: u16,
    ready: &str,
    fields: impl Iterator<Item = (&'a str, &'a str)>,
    id: &str,
    end: BodyEnd,
    keep_alive: bool,
    date: &Date,
) -> Vec<u8> {
    let mut head = Vec::with_capacity(1024);
    put(&mut head, &["HTTP/1.1 ", &status.to_string(), " ", reason(status), "\r\n", ready]);
    let mut options = if keep_alive { Vec::new() } else { vec!["close"] };
    for (name, value) in fields {
        let own = ["content-length", "transfer-encoding", "connection", "x-request-id", "date"];
        let is_ours = own.iter().any(|own| name.eq_ignore_ascii_case(own));
        if !is_ours && !name.is_empty() && name.bytes().all(is_name_byte) && value.bytes().all(is_field_byte) {
            put(&mut head, &[name, ": ", value, "\r\n"]);
            // It is for the next hop alone (RFC 9110 section 7.8).
            if name.eq_ignore_ascii_case("upgrade") {
                options.push("Upgrade");
            }
        }
    }
    put(&mut head, &["X-Request-ID: ", id, "\r\n"]);
    date.put(&mut head);
    match end {
        BodyEnd::Length(length) => put(&mut head, &["Content-Length: ", &length.to_string(), "\r\n"]),
        BodyEnd::Chunks => put(&mut head, &["Transfer-Encoding: chunked\r\n"]),
        BodyEnd::Close | BodyEnd::NoBody => {}
    }
    if !options.is_empty() {
        put(&mut head, &["Connection: ", &options.join(", "), "\r\n"]);
    }
    head.extend_from_slice(b"\r\n");
    head
}

fn put(head: &mut Vec<u8>, words: &[&str]) {
    words.iter().for_each(|word| head.extend_from_slice(word.as_bytes()));
}

/// Writes all of `pieces`, waiting at most `limit` for each block that the client must take.
pub(super) fn send_all(socket: &Socket, pieces: &mut [IoSlice], limit: Duration) -> io::Result<()> {
    let mut rest = pieces;
    let mut waiting = Waiting { poll: None, deadline: Instant::now() + limit };
    let mut block = 0;
    loop {
        IoSlice::advance_slices(&mut rest, 0); // drops empty pieces at the front
        let sent = if rest.is_empty() { socket.flush().map(|()| None) } else { socket.write_vectored(rest).map(Some) };
        match sent {
            Ok(None) => return Ok(()),
            Ok(Some(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(Some(sent)) => {
                IoSlice::advance_slices(&mut rest, sent);
                block += sent;
                if block >= BLOCK {
                    block = 0;
                    waiting.deadline = Instant::now() + limit;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => waiting.writable(socket)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes what the socket takes at once and returns what is left.
pub(super) fn send_now(socket: &Socket, pieces: &mut [IoSlice]) -> io::Result<Vec<u8>> {
    let mut rest = pieces;
    loop {
        IoSlice::advance_slices(&mut rest, 0); // drops empty pieces at the front
        if rest.is_empty() {
            return Ok(Vec::new());
        }
        match socket.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => IoSlice::advance_slices(&mut rest, sent),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut left = Vec::with_capacity(rest.iter().map(|piece| piece.len()).sum());
                rest.iter().for_each(|piece| left.extend_from_slice(piece));
                return Ok(left);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes what the socket takes at once and returns how much that was.
pub(super) fn send_some(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match socket.write_vectored(&[IoSlice::new(&bytes[sent..])]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

/// Waits for room in the socket's buffer. The poll is made only when a client is slow enough to need it: sockets stay
/// non-blocking, because that mode belongs to the open socket and the front shares it.
struct Waiting {
    poll: Option<(Poll, Events)>,
    deadline: Instant,
}

impl Waiting {
    fn writable(&mut self, socket: &Socket) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "client: does not read its answer"));
        }
        if self.poll.is_none() {
            self.poll = watch(socket).ok();
        }
        match &mut self.poll {
            Some((poll, events)) => match poll.poll(events, Some(left)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
                _ => Ok(()),
            },
            None => {
                thread::sleep(RETRY.min(left));
                Ok(())
            }
        }
    }
}

fn watch(socket: &Socket) -> io::Result<(Poll, Events)> {
    let poll = Poll::new()?;
    poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), Token(0), Interest::WRITABLE)?;
    Ok((poll, Events::with_capacity(1)))
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        424 => "Failed Dependency",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        499 => "Client Closed Request",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        529 => "Overloaded",
        _ => match status / 100 {
            2 => "Success",
            3 => "Redirect",
            4 => "Client Error",
            _ => "Server Error",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head_of(fields: &[(&str, &str)], end: BodyEnd, keep_alive: bool) -> String {
        let head = head(200, "", fields.iter().copied(), "id", end, keep_alive, &Date::default());
        let head = String::from_utf8(head).unwrap();
        let (before, after) = head.split_once("Date: ").unwrap();
        format!("{before}{}", after.split_once("\r\n").unwrap().1)
    }

    #[test]
    fn a_field_that_could_split_the_answer_is_left_out() {
        let fields = [
            ("X-Good", "yes\tplease"),
            ("X-Bad", "a\r\nSet-Cookie: b"),
            ("X-Bad\r\nY", "a"),
            ("X Bad", "a"),
            ("", "a"),
            ("X-Nul", "\0"),
            ("Content-Length", "7"),
            ("transfer-encoding", "chunked"),
            ("X-Request-Id", "another"),
            ("date", "yesterday"),
        ];
        let expected = "HTTP/1.1 200 OK\r\nX-Good: yes\tplease\r\nX-Request-ID: id\r\nContent-Length: 2\r\n\r\n";
        assert_eq!(head_of(&fields, BodyEnd::Length(2), true), expected);
    }

    #[test]
    fn an_upgrade_is_an_option_of_the_connection() {
        for (keep_alive, expected) in [(true, "Connection: Upgrade\r\n"), (false, "Connection: close, Upgrade\r\n")] {
            let head = head_of(&[("Upgrade", "HTTP/1.1"), ("Connection", "x")], BodyEnd::Length(0), keep_alive);
            assert!(head.contains("Upgrade: HTTP/1.1\r\n") && head.contains(expected), "{head}");
            assert_eq!(head.matches("Connection").count(), 1, "{head}");
        }
    }

    /// Those of this program, and those of Google's that are passed on as they are.
    #[test]
    fn every_status_that_is_sent_has_its_own_reason() {
        let statuses = [
            200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406,
            408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 424, 426, 428, 429, 431, 451, 499, 500, 501,
            502, 503, 504, 505, 529,
        ];
        let reasons: std::collections::BTreeSet<&str> = statuses.into_iter().map(reason).collect();
        assert_eq!(reasons.len(), statuses.len());
        assert!(!["Success", "Redirect", "Client Error", "Server Error"].iter().any(|word| reasons.contains(word)));
        assert_eq!(
            (reason(426), reason(499), reason(599)),
            ("Upgrade Required", "Client Closed Request", "Server Error")
        );
    }

    #[test]
    fn each_body_end_has_its_field() {
        let cases = [
            (BodyEnd::Chunks, true, "Transfer-Encoding: chunked\r\n\r\n"),
            (BodyEnd::Close, false, "X-Request-ID: id\r\nConnection: close\r\n\r\n"),
            (BodyEnd::NoBody, true, "X-Request-ID: id\r\n\r\n"),
        ];
        for (end, keep_alive, tail) in cases {
            let head = head_of(&[], end, keep_alive);
            assert!(head.ends_with(tail), "{head}");
        }
    }
}
