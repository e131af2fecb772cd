//! Where a request begins and ends.

use super::harness::{Client, ask, limits, start};
use gemini_openai_proxy::http::Limits;
use serde_json::Value;

#[test]
fn requests_that_break_the_rules_are_refused_in_the_same_shape() {
    let rig = start(limits());
    let long_line = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(17_000));
    let large_head = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "a".repeat(40_000));
    let many_fields = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(150));
    let cases: [(&str, u16); 29] = [
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\nhello", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\nabc", 413),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000000000\r\n\r\nabc", 413),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxGET /", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", 413),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: a\nb\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: a\x01b\r\n\r\n", 400),
        ("GET /\x1b[31m HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: h\n\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET nonsense HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("\x16\x03\x01\x02\r\n\r\n", 400),
        ("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", 405),
        ("POST / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n", 417),
        (&long_line, 414),
        (&large_head, 431),
        (&many_fields, 431),
    ];
    for (bytes, status) in cases {
        let mut client = Client::connect(rig.address);
        client.send(bytes);
        let answer = client.answer();
        let shown: String = bytes.chars().take(80).collect();
        assert_eq!(answer.status, status, "{shown:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{shown:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("x-request-id").map(str::len), Some(36));
        let error: Value = serde_json::from_str(&answer.body).unwrap();
        assert!(error["error"]["message"].is_string() && error["error"]["param"].is_null(), "{error}");
        let kind = if status >= 500 { "server_error" } else { "invalid_request_error" };
        assert_eq!(error["error"]["type"], kind);
        assert_eq!(client.rest(), Ok(String::new()), "nothing may follow a refusal: {shown:?}");
    }
    rig.running.stop(std::time::Duration::ZERO);
}

#[test]
fn requests_within_the_rules_are_understood() {
    let rig = start(limits());
    let cases: [(&[u8], &str); 15] = [
        (b"GET /a%2Fb?x=1 HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a%2Fb x=1 0 -"),
        (b"GET http://other/p?q HTTP/1.1\r\nHost: h\r\n\r\n", "GET /p q 0 -"),
        (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS /  0 -"),
        (b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET /  0 -"),
        (b"POST / HTTP/1.1\r\nHost: h\r\n\r\n", "POST /  0 -"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "POST /  0 -"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "POST /  5 -"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "POST /  5 -"),
        (
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;e=f\r\nx\r\n0\r\nT: v\r\n\r\n",
            "POST /  1 -",
        ),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX-Echo: caf\xe9\r\n\r\n", "GET /  0 caf\u{e9}"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX-Echo: caf\xc3\xa9\r\n\r\n", "GET /  0 caf\u{e9}"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET /  0 -"),
        (b"DELETE /x HTTP/1.1\r\nHost: h\r\n\r\n", "DELETE /x  0 -"),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET /  0 -"),
        (b"GET / HTTP/1.0\r\n\r\n", "GET /  0 -"),
    ];
    for (bytes, expected) in cases {
        let mut client = Client::connect(rig.address);
        client.send(bytes);
        assert_eq!(client.answer().body, expected, "{}", bytes.escape_ascii());
        if bytes.windows(8).any(|word| word == b"HTTP/1.0") {
            continue;
        }
        // Whatever came before: the next request on the same connection is read as one.
        client.get("/next");
        assert_eq!(client.answer().body, "GET /next  0 -", "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_request_in_single_bytes_is_the_same_request() {
    let rig = start(limits());
    let mut client = Client::connect(rig.address);
    client.socket.set_nodelay(true).unwrap();
    for byte in b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.answer().body, "POST /x  5 -");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let rig = start(limits());
    let mut client = Client::connect(rig.address);
    let all: String = (0..200).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n")).collect();
    client.send(all);
    for n in 0..200 {
        assert_eq!(client.answer().body, format!("GET /{n}  0 -"));
    }
}

#[test]
fn a_body_is_never_read_as_the_next_request() {
    let rig = start(limits());
    let mut client = Client::connect(rig.address);
    // `/silent` reads nothing of its body and does not even answer.
    client.send("POST /silent HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    let inner = "GET /SMUGGLED HTTP/1.1\r\nHost: h\r\n\r\n";
    client.send(format!("{:x}\r\n{inner}\r\n0\r\n\r\nGET /real HTTP/1.1\r\nHost: h\r\n\r\n", inner.len()));
    assert_eq!(client.answer().status, 500);
    assert_eq!(client.answer().body, "GET /real  0 -");
}

#[test]
fn a_body_is_asked_for_only_when_it_is_wanted() {
    let rig = start(Limits { max_body: 100, ..limits() });
    let mut client = Client::connect(rig.address);
    client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.try_answer(true).unwrap().status, 100);
    client.send("hello");
    assert_eq!(client.answer().body, "POST /  5 -");

    let answer = ask(rig.address, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 500\r\n\r\n");
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains("request_too_large"));
}

#[test]
fn a_request_that_ends_early_is_told_so() {
    let rig = start(limits());
    for bytes in ["GET / HT", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel"] {
        let mut client = Client::connect(rig.address);
        client.send(bytes);
        client.half_close();
        assert_eq!(client.answer().status, 400, "{bytes}");
    }
}

#[test]
fn a_head_that_is_refused_is_answered_before_its_body() {
    let rig = start(limits());
    // Without a body the connection goes on, also to a request that came right behind.
    let mut client = Client::connect(rig.address);
    client.send("GET /refused HTTP/1.1\r\nHost: h\r\nX-Request-ID: mine\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.as_str()), (403, "refused"));
    assert_eq!((answer.header("x-judged"), answer.header("x-request-id")), (Some("yes"), Some("mine")));
    assert!(client.answer().body.starts_with("GET /next"));
    client.send("HEAD /refused HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.head_answer().header("content-length"), Some("7"));
    assert!(client.answer().body.starts_with("GET /next"));
    client.send("GET /refused HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_eq!(client.answer().header("connection"), Some("close"));
    assert_eq!(client.rest(), Ok(String::new()));

    // Where one is announced, it is neither waited for nor taken for a request.
    for framing in
        ["Content-Length: 1000", "Expect: 100-continue\r\nContent-Length: 1000", "Transfer-Encoding: chunked"]
    {
        let mut client = Client::connect(rig.address);
        client.send(format!("POST /refused HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n"));
        let answer = client.answer();
        assert_eq!((answer.status, answer.header("connection")), (403, Some("close")), "{framing}");
        client.send("GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(client.rest(), Ok(String::new()), "{framing}");
    }
    rig.running.stop(std::time::Duration::ZERO);
}

#[test]
fn what_is_no_http_is_answered_at_once() {
    let rig = start(limits());
    for (what, bytes, status) in [
        ("a hello of TLS", &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], 400),
        ("one of SSL 2", b"\x80\x2e\x01\x00\x02", 400),
        ("SOCKS 5", b"\x05\x01\x00", 400),
        ("SOCKS 4", b"\x04\x01\x00\x50", 400),
        ("the binary PROXY protocol", b"\r\n\r\n\x00\r\nQUIT\n", 400),
        ("the PROXY protocol", b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n", 400),
        ("the banner of SSH", b"SSH-2.0-OpenSSH_9.9\r\n", 400),
        ("SMTP", b"EHLO x\r\n", 400),
        ("HTTP/0.9", b"GET /\r\n", 400),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ] {
        let begun = std::time::Instant::now();
        let mut client = Client::connect(rig.address);
        client.send(bytes);
        assert_eq!(client.answer().status, status, "{what}");
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{what}");
    }
    let answer = ask(rig.address, "PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(answer.body.contains("not_http") && answer.body.contains("server.proxy_protocol"), "{}", answer.body);
}
