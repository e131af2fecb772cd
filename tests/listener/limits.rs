//! Sizes and deadlines.

use super::harness::{Client, ask, limits, start, wait_until};
use gemini_openai_proxy::http::Limits;
use std::io::Write as _;
use std::time::{Duration, Instant};

fn impatient() -> Limits {
    let short = Duration::from_millis(200);
    Limits {
        head_timeout: short,
        body_idle_timeout: short,
        body_timeout: Duration::from_millis(600),
        idle_timeout: short,
        ..limits()
    }
}

#[test]
fn slow_requests_are_told_408() {
    let rig = start(impatient());
    let whole = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n";
    for bytes in ["G", "\r\n", "GET / HTTP/1.1\r\nHost: h\r\n", whole] {
        let begun = Instant::now();
        let answer = ask(rig.address, bytes);
        assert_eq!(answer.status, 408, "{bytes:?}");
        assert!(begun.elapsed() >= Duration::from_millis(150), "{bytes:?}");
    }
}

#[test]
fn dripping_does_not_buy_time() {
    let rig = start(impatient());
    for start in ["GET / HTTP/1.1\r\nHost: h\r\nX: ", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000\r\n\r\n"] {
        let mut client = Client::connect(rig.address);
        client.send(start);
        let begun = Instant::now();
        client.socket.set_nonblocking(true).unwrap();
        let mut peeked = [0; 1];
        // A byte whenever the last one is 20 ms old, until the server answers.
        while client.socket.peek(&mut peeked).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(5), "dripping was suffered");
            let _ = client.socket.write(b"a");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        client.socket.set_nonblocking(false).unwrap();
        assert_eq!(client.answer().status, 408);
    }
}

#[test]
fn silent_connections_are_closed_without_a_word() {
    let rig = start(impatient());
    let mut fresh = Client::connect(rig.address);
    let mut kept = Client::connect(rig.address);
    kept.get("/x");
    assert_eq!(kept.answer().status, 200);
    assert_eq!(fresh.rest(), Ok(String::new()));
    assert_eq!(kept.rest(), Ok(String::new()));
    wait_until(|| rig.running.snapshot().connections == 0);
}

#[test]
fn a_refused_upload_still_sees_its_refusal() {
    let rig = start(Limits { max_body: 1000, ..limits() });
    let mut client = Client::connect(rig.address);
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\n");
    // The write may fail once the server has discarded enough; the answer must be there all the same.
    let _ = client.socket.write_all(&vec![b'x'; 8 << 20]);
    assert_eq!(client.answer().status, 413);

    let mut client = Client::connect(rig.address);
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    let _ = client.socket.write_all(format!("300\r\n{}\r\n", "x".repeat(0x300)).repeat(2).as_bytes());
    assert_eq!(client.answer().status, 413);
}

#[test]
fn a_body_of_the_largest_size_arrives_whole() {
    let rig = start(limits());
    let size = 20 * 1024 * 1024;
    let mut client = Client::connect(rig.address);
    client.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n"));
    client.send(vec![b'x'; size]);
    assert_eq!(client.answer().body, format!("POST /  {size} -"));
}

#[test]
fn a_huge_content_length_costs_nothing() {
    let rig = start(Limits { max_body: usize::MAX, body_budget: usize::MAX, ..limits() });
    for length in ["1000000000000000", "9223372036854775807", "18446744073709551614"] {
        let mut client = Client::connect(rig.address);
        client.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\nabc"));
        client.half_close();
        assert_eq!(client.answer().status, 400, "the body ended early");
    }
}

/// A request with a body of this size from one of the callers.
fn post(caller: &str, path: &str, size: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: h\r\nX-Caller: {caller}\r\nContent-Length: {size}\r\n\r\n{}",
        "x".repeat(size)
    )
}

#[test]
fn the_byte_budget_is_shared_and_given_back() {
    let rig = start(Limits { max_body: 1000, body_budget: 1500, ..limits() });
    let mut first = Client::connect(rig.address);
    first.send(post("a", "/wait", 1000));
    rig.entered.recv_timeout(super::harness::PATIENCE).unwrap();
    let refused = ask(rig.address, post("b", "/x", 900));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.header("x-judged"), Some("yes"), "in the words of its dialect");
    let chunked =
        format!("POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n300\r\n{}", "x".repeat(768));
    assert_eq!(ask(rig.address, chunked).status, 503);
    assert_eq!(ask(rig.address, post("b", "/x", 400)).status, 200);
    rig.release.send(()).unwrap();
    assert_eq!(first.answer().status, 200);
    assert_eq!(ask(rig.address, post("b", "/x", 900)).status, 200);
}

#[test]
fn one_caller_holds_three_quarters_of_the_budget_at_most() {
    let rig = start(Limits { max_body: 1000, body_budget: 2000, ..limits() });
    // Bodies that never come to an end are held as well as those that wait for their answer.
    let mut waiting = Client::connect(rig.address);
    waiting.send(post("greedy", "/wait", 800));
    rig.entered.recv_timeout(super::harness::PATIENCE).unwrap();
    let mut dripping = Client::connect(rig.address);
    let whole = post("greedy", "/x", 700);
    dripping.send(&whole[..whole.len() - 8]);
    wait_until(|| ask(rig.address, post("greedy", "/x", 100)).status == 503);
    assert_eq!(ask(rig.address, post("modest", "/x", 400)).status, 200);
    dripping.send(&whole[whole.len() - 8..]);
    assert_eq!(dripping.answer().status, 200);
    assert_eq!(ask(rig.address, post("greedy", "/x", 100)).status, 200);
    rig.release.send(()).unwrap();
}
