//! HTTP to the letter: what RFC 9110 and RFC 9112 say of a request head and of every answer, by section.

use super::harness::{Client, ask, limits, start};
use std::time::{Duration, SystemTime};
use time::PrimitiveDateTime;
use time::macros::format_description;

/// The status of the one answer to `head`, and that nothing follows a refusal.
fn status(address: std::net::SocketAddr, head: &str) -> u16 {
    let mut client = Client::connect(address);
    client.send(format!("{head}\r\n\r\n"));
    let answer = client.answer();
    if answer.status >= 400 {
        assert_eq!(answer.header("connection"), Some("close"), "{head:?}");
        assert_eq!(client.rest(), Ok(String::new()), "{head:?}");
    }
    answer.status
}

#[test]
fn transfer_codings_are_refused_by_what_is_wrong_with_them() {
    let rig = start(limits());
    for (codings, expected, section) in [
        // "If a Transfer-Encoding header field is present in a request and the chunked transfer coding is not the final
        // encoding, the message body length cannot be determined reliably; the server MUST respond with the 400 (Bad
        // Request) status code and then close the connection."
        (&["gzip"][..], 400, "RFC 9112 section 6.3"),
        (&["chunked, gzip"], 400, "RFC 9112 section 6.3"),
        (&["chunked", "gzip"], 400, "RFC 9112 section 6.3"),
        (&["identity"], 400, "RFC 9112 section 6.3"),
        (&["xchunked"], 400, "RFC 9112 section 6.3"),
        (&["chunked, identity"], 400, "RFC 9112 section 6.3"),
        // "A server that receives a request message with a transfer coding it does not understand SHOULD respond with
        // 501 (Not Implemented)."
        (&["gzip, chunked"], 501, "RFC 9112 section 6.1"),
        (&["gzip", "chunked"], 501, "RFC 9112 section 6.1"),
        (&["x;a=\"b\", chunked"], 501, "RFC 9112 section 6.1"),
        // "A sender MUST NOT apply the chunked transfer coding more than once to a message body."
        (&["chunked, chunked"], 400, "RFC 9112 section 6.1"),
        (&["chunked", "chunked"], 400, "RFC 9112 section 6.1"),
        (&["chunked, gzip, chunked"], 400, "RFC 9112 section 6.1"),
        // "The chunked coding does not define any parameters. Their presence SHOULD be treated as an error."
        (&["chunked;q=1"], 400, "RFC 9112 section 7.1"),
        (&[""], 400, "RFC 9110 section 5.6.1"),
        (&[", chunked"], 400, "RFC 9110 section 5.6.1"),
        (&["chunked,"], 400, "RFC 9110 section 5.6.1"),
    ] {
        let fields: String = codings.iter().map(|coding| format!("\r\nTransfer-Encoding: {coding}")).collect();
        let head = format!("POST / HTTP/1.1\r\nHost: h{fields}");
        assert_eq!(status(rig.address, &head), expected, "{section}: {codings:?}");
    }
    let chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:  Chunked \r\n\r\n1\r\nx\r\n0\r\n\r\n";
    assert_eq!(ask(rig.address, chunked).body, "POST /  1 -");
}

/// RFC 9112 section 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that
/// lacks a Host header field and to any request message that contains more than one Host header field line or a Host
/// header field with an invalid field value." The value is uri-host and port of RFC 3986 sections 3.2.2 and 3.2.3.
#[test]
fn a_host_is_one_host_and_nothing_else() {
    let rig = start(limits());
    for host in [
        "[::1]evil",
        "[::1]:80:80",
        "[::1",
        "::1",
        "[]",
        "[h]",
        "[v1.x]",
        "[fe80::1%25eth0]",
        "h:80:80",
        "h:port",
        "h:-1",
        "h:65536",
        "h:99999999999999999999",
        ":80",
        "a b",
        "a,b",
        "user@h",
        "h/x",
        "h?x",
        "h#x",
        "h\\x",
        "h\"",
        "<h>",
        "h%zz",
        "h%2",
        "h%",
        "caf\u{e9}",
    ] {
        assert_eq!(status(rig.address, &format!("GET / HTTP/1.1\r\nHost: {host}")), 400, "{host:?}");
        assert_eq!(status(rig.address, &format!("GET / HTTP/1.0\r\nHost: {host}")), 400, "{host:?} in HTTP/1.0");
    }
    for head in [
        "GET / HTTP/1.1",
        "GET / HTTP/1.1\r\nHost: h\r\nHost: h",
        "GET / HTTP/1.1\r\nHost: h\r\nhost: other",
        "GET / HTTP/1.0\r\nHost: h\r\nHost: h",
        "GET http://h/ HTTP/1.1",
    ] {
        assert_eq!(status(rig.address, head), 400, "{head:?}");
    }
    for host in [
        "",
        "h",
        "h:",
        "h:0",
        "h:65535",
        "my_box.example.",
        "127.0.0.1:8888",
        "[::1]",
        "[::1]:8888",
        "[2001:db8::127.0.0.1]",
        "a%2db",
        "x!$&'()*+;=~-",
    ] {
        let answer = ask(rig.address, format!("GET /host HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!((answer.status, answer.body.as_str()), (200, host));
    }
}

/// RFC 9112 section 3.2.2: "When an origin server receives a request with an absolute-form of request-target, the origin
/// server MUST ignore the received Host header field (if any) and instead use the host information of the
/// request-target."
#[test]
fn the_authority_of_an_absolute_target_takes_the_place_of_host() {
    let rig = start(limits());
    for (target, host) in [
        ("http://asked.example/host", "asked.example"),
        ("http://asked.example:8080/host", "asked.example:8080"),
        ("HTTPS://[::1]:1/host", "[::1]:1"),
    ] {
        let answer = ask(rig.address, format!("GET {target} HTTP/1.1\r\nA: b\r\nHost: localhost\r\nC: d\r\n\r\n"));
        assert_eq!((answer.status, answer.body.as_str()), (200, host));
    }
    let mut old = Client::connect(rig.address);
    old.send("GET http://asked.example/host HTTP/1.0\r\n\r\n");
    assert!(old.rest().unwrap().ends_with("\r\n\r\nasked.example"));
    // RFC 9110 section 4.2.1 has no empty host, section 4.2.4 no user in it.
    for target in [
        "http:///host",
        "http://:80/host",
        "http://user@h/host",
        "http://user:pass@h/",
        "http://[::1]evil/",
        "http://h:x/",
        "ftp://h/",
        "http:/h/",
    ] {
        assert_eq!(status(rig.address, &format!("GET {target} HTTP/1.1\r\nHost: h")), 400, "{target:?}");
    }
}

/// RFC 9112 section 3.2: "Recipients of an invalid request-line SHOULD respond with either a 400 (Bad Request) error or a
/// 301 (Moved Permanently) redirect". What a path is made of says RFC 3986 section 3.3; a query may have what browsers
/// leave in one as well.
#[test]
fn odd_characters_in_a_target_are_refused() {
    let rig = start(limits());
    for part in [
        "\"",
        "<",
        ">",
        "\\",
        "^",
        "`",
        "{",
        "|",
        "}",
        "[",
        "]",
        "#",
        "#f",
        "%",
        "%2",
        "%zz",
        "%2g",
        "\u{e9}",
        "\u{1f600}",
        "\x7f",
    ] {
        let target = format!("/v1/{part}");
        assert_eq!(status(rig.address, &format!("GET {target} HTTP/1.1\r\nHost: h")), 400, "{target:?}");
    }
    for part in ["\"", "<", ">", "#", "\u{e9}", "\x7f"] {
        let target = format!("/v1?{part}");
        assert_eq!(status(rig.address, &format!("GET {target} HTTP/1.1\r\nHost: h")), 400, "{target:?}");
    }
    let fine = "/a-._~!$&'()*+,;=:@%2F%c3%A9/?a[]={|}^\\`%/?:@";
    let answer = ask(rig.address, format!("GET {fine} HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_eq!((answer.status, answer.body.as_str()), (200, "GET /a-._~!$&'()*+,;=:@%2F%c3%A9/ a[]={|}^\\`%/?:@ 0 -"));
}

/// RFC 9110 section 6.6.1: "An origin server with a clock MUST generate a Date header field in all 2xx (Successful), 3xx
/// (Redirection), and 4xx (Client Error) responses, and MAY generate a Date header field in 1xx (Informational) and 5xx
/// (Server Error) responses." Its form is IMF-fixdate of section 5.6.7.
#[test]
fn every_answer_has_a_date() {
    let rig = start(limits());
    let form =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    for request in [
        "GET /x",
        "HEAD /x",
        "GET /stream",
        "GET /none",
        "GET /silent",
        "GET /refused",
        "GET /replaced",
        "GET /dated",
        "BAD",
    ] {
        let before = SystemTime::now() - Duration::from_secs(1);
        let mut client = Client::connect(rig.address);
        client.send(format!("{request} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let answer = client.head_answer();
        let dates: Vec<&str> = answer.head.lines().filter_map(|line| line.strip_prefix("Date: ")).collect();
        assert_eq!(dates.len(), 1, "{request}: {}", answer.head);
        let date = SystemTime::from(PrimitiveDateTime::parse(dates[0], form).unwrap().assume_utc());
        assert!(before <= date && date <= SystemTime::now(), "{request}: {}", dates[0]);
    }
}
