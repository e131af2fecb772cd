//! The promises to clients in clear hold for encrypted ones.

use super::{connect, start};
use crate::listener::harness::{LARGE, PATIENCE, limits, reset, wait_until};
use gemini_openai_proxy::http::Limits;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

#[test]
fn a_thousand_events_come_whole_and_in_order() {
    let rig = start(limits());
    let mut client = connect(rig.address);
    client.get("/stream?n=1000");
    let expected: String = (0..1000).map(|n| format!("data: {n}\n\n")).collect();
    assert_eq!(client.answer().body, expected);
    client.get("/echo");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_client_that_leaves_is_noticed_within_a_second() {
    let rig = start(limits());
    for path in ["/wait", "/pinged-until-gone"] {
        for goodbye in [true, false] {
            let mut client = connect(rig.address);
            client.get(path);
            let cancel = rig.entered.recv_timeout(PATIENCE).unwrap();
            let left = Instant::now();

            if goodbye {
                client.socket.conn.send_close_notify();
                client.socket.flush().unwrap();
                drop(client);
            } else {
                reset(client.socket.sock);
            }
            wait_until(|| cancel.is_cancelled());
            assert!(left.elapsed() < Duration::from_secs(1), "{path}: {:?}", left.elapsed());
        }
    }
    wait_until(|| rig.running.snapshot().connections == 0);
}

#[test]
fn a_silent_stream_gets_comments() {
    let rig = start(limits());
    let mut client = connect(rig.address);
    client.get("/pinged");
    client.take_until(b": ping\n\n").unwrap();
    client.take_until(b": ping\n\n").unwrap();
    rig.release.send(()).unwrap();
    client.take_until(b"data: real\n\n").unwrap();
    client.take_until(b"0\r\n\r\n").unwrap();
}

#[test]
fn a_broken_answer_does_not_end_like_a_whole_one() {
    let rig = start(limits());
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        let mut client = connect(rig.address);
        client.send(format!("GET /unfinished {version}\r\nHost: h\r\n\r\n"));
        client.take_until(b"data: x\n\n").unwrap();
        let error = client.socket.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{version} {error}");
    }
}

#[test]
fn a_client_that_does_not_read_costs_its_write_deadline() {
    let rig = start(Limits { write_timeout: Duration::from_millis(300), ..limits() });
    let mut client = connect(rig.address);
    client.get("/big");
    rig.entered.recv_timeout(PATIENCE).unwrap();
    let (_, error) = rig.ended.recv_timeout(PATIENCE).unwrap();
    assert_eq!(error, Some(ErrorKind::TimedOut));
}

#[test]
fn a_large_short_answer_waits_for_its_reader_without_a_worker() {
    let rig = start(Limits { short_workers: 1, ..limits() });
    let mut slow = connect(rig.address);
    slow.get("/short-large");
    let mut quick = connect(rig.address);
    quick.get("/short");
    assert_eq!(quick.answer().status, 200);
    assert_eq!(slow.answer().body.len(), LARGE);
    slow.get("/echo");
    assert_eq!(slow.answer().status, 200, "the connection goes on after it");
}

#[test]
fn requests_behind_each_other_are_answered_in_order() {
    let rig = start(limits());
    let mut client = connect(rig.address);
    let request = |n: usize| format!("POST /echo?{n} HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab");
    client.send((0..100).map(request).collect::<String>());
    for n in 0..100 {
        assert_eq!(client.answer().body, format!("POST /echo {n} 2 -"));
    }
}

#[test]
fn a_stop_lets_answers_end() {
    let rig = start(limits());
    let mut idle = connect(rig.address);
    idle.get("/echo");
    idle.answer();
    let mut client = connect(rig.address);
    client.get("/wait");
    rig.entered.recv_timeout(PATIENCE).unwrap();
    let stopping = std::thread::spawn(move || rig.running.stop(PATIENCE));
    assert_eq!(idle.rest(), Ok(String::new()), "closed, and told so");
    rig.release.send(()).unwrap();
    let answer = client.answer();
    assert_eq!((answer.body.as_str(), answer.header("connection")), ("waited", Some("close")));
    assert_eq!(client.rest(), Ok(String::new()));
    assert_eq!(stopping.join().unwrap(), 0);
}
