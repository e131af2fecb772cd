//! What goes back to the client.

use super::harness::{Client, ask, limits, start, start_on, wait_until};
use std::io::ErrorKind;

#[test]
fn a_stream_is_chunked_and_the_connection_goes_on() {
    let rig = start(limits());
    let mut client = Client::connect(rig.address);
    for _ in 0..3 {
        client.get("/stream?n=3");
        let answer = client.answer();
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
        assert_eq!(answer.header("connection"), None);
        assert_eq!(answer.body, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
    }
    client.get("/stream?n=0");
    assert_eq!(client.answer().body, "");
}

#[test]
fn http_10_gets_no_chunks_and_a_close() {
    let rig = start(limits());
    let mut client = Client::connect(rig.address);
    client.send("GET /stream?n=2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let all = client.rest().unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("Transfer-Encoding") && head.contains("Connection: close"), "{head}");
    assert_eq!(body, "data: 0\n\ndata: 1\n\n");

    let mut client = Client::connect(rig.address);
    client.send("GET /x HTTP/1.0\r\n\r\n");
    assert!(client.rest().unwrap().ends_with("\r\n\r\nGET /x  0 -"));
}

#[test]
fn head_has_the_length_but_no_body() {
    let rig = start(limits());
    let mut client = Client::connect(rig.address);
    client.send("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    client.get("/none");
    client.get("/x");
    assert_eq!(client.head_answer().header("content-length"), Some("12"));
    assert_eq!(client.head_answer().header("transfer-encoding"), Some("chunked"));
    let none = client.answer();
    assert_eq!((none.status, none.header("content-length")), (204, None));
    assert_eq!(client.answer().body, "GET /x  0 -");
}

#[test]
fn connection_close_is_honoured() {
    let rig = start(limits());
    let mut client = Client::connect(rig.address);
    client.send("GET /stream?n=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    client.get("/never");
    let answer = client.answer();
    assert_eq!((answer.header("connection"), answer.body.as_str()), (Some("close"), "data: 0\n\n"));
    assert_eq!(client.rest(), Ok(String::new()));
}

#[test]
fn every_answer_has_a_request_id() {
    let rig = start(limits());
    let answer = ask(rig.address, "GET / HTTP/1.1\r\nHost: h\r\nX-Request-ID: my-id.1\r\n\r\n");
    assert_eq!(answer.header("x-request-id"), Some("my-id.1"));
    let answer = ask(rig.address, "GET /stream HTTP/1.1\r\nHost: h\r\nX-Request-ID: two words\r\n\r\n");
    assert_eq!(answer.header("x-request-id").map(str::len), Some(36));
}

#[test]
fn a_header_value_cannot_split_the_answer() {
    let rig = start(limits());
    let answer = ask(rig.address, "GET /split HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(!answer.head.contains("X-Evil") && !answer.head.contains("X-Added"), "{}", answer.head);
    assert_eq!(answer.header("x-fine"), Some("yes"));
}

#[test]
fn an_unanswered_request_is_answered_with_500() {
    let rig = start(limits());
    let mut client = Client::connect(rig.address);
    // More often than there are workers: none of them is lost to a panic.
    for path in ["/panic", "/silent", "/untouched"].iter().cycle().take(30) {
        client.get(path);
        let answer = client.answer();
        assert_eq!(answer.status, 500, "{path}");
        let expected = r#"{"error":{"message":"An internal server error occurred.","type":"internal_error"}}"#;
        assert_eq!(answer.body, expected);
        assert_eq!(answer.header("access-control-allow-origin"), None, "whose answer it is, only the handler knows");
    }
    client.get("/x");
    assert_eq!(client.answer().status, 200);
    wait_until(|| rig.running.snapshot().busy + rig.running.snapshot().queued == 0);
}

#[test]
fn an_answer_broken_off_is_cut_and_never_ended_properly() {
    let rig = start(limits());
    for path in ["/panic-late", "/unfinished"] {
        let mut client = Client::connect(rig.address);
        client.get(path);
        let seen = client.rest().unwrap();
        assert!(seen.ends_with("9\r\ndata: x\n\n\r\n"), "{seen}");

        let mut client = Client::connect(rig.address);
        client.send(format!("GET {path} HTTP/1.0\r\n\r\n"));
        assert_eq!(client.rest(), Err(ErrorKind::ConnectionReset), "HTTP/1.0 has no other sign of a cut");
    }
}

#[test]
fn a_stream_that_has_sent_nothing_can_become_a_plain_answer() {
    let rig = start(limits());
    let answer = ask(rig.address, "GET /replaced HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((answer.status, answer.body.as_str(), answer.header("content-length")), (429, "later", Some("5")));
}

#[test]
fn silence_is_broken_by_head_and_pings() {
    let rig = start(limits());
    let mut client = Client::connect(rig.address);
    client.get("/pinged");
    assert!(client.take_until(b"\r\n\r\n").unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
    for _ in 0..3 {
        assert_eq!(client.take_until(b"\n\n\r\n").unwrap(), "8\r\n: ping\n\n\r\n");
    }
    rig.release.send(()).unwrap();
    let rest = client.take_until(b"0\r\n\r\n").unwrap();
    assert!(rest.ends_with("c\r\ndata: real\n\n\r\n0\r\n\r\n"), "{rest}");
    client.get("/x");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_dual_stack_listener_sees_plain_ipv4_peers() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("this machine has no IPv6; the test has nothing to look at");
        return;
    }
    for host in ["::", "[::]"] {
        let rig = start_on(host, limits());
        for peer in ["127.0.0.1", "::1"] {
            let address = (peer.parse::<std::net::IpAddr>().unwrap(), rig.address.port()).into();
            assert_eq!(ask(address, "GET /peer HTTP/1.1\r\nHost: h\r\n\r\n").body, peer);
        }
    }
}
