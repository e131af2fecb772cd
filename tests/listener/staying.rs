//! Clients that ask again at once: their worker waits for them (docs/http.md "A worker that stays"), and nothing else changes.

use super::harness::{Client, PATIENCE, Rig, limits, reset, start, wait_until};
use gemini_openai_proxy::http::Limits;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Asks until a request was read by the worker that had answered the one before; on a busy machine a client is seldom quick
/// enough.
fn stay(client: &mut Client<TcpStream>) {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < 6 * PATIENCE, "no worker stays");
        if ask(client, "GET /judged-by HTTP/1.1\r\nHost: h\r\n\r\n").contains("\r\n\r\nlong-") {
            return;
        }
    }
}

/// The whole answer to this request.
fn ask(client: &mut Client<TcpStream>, request: &str) -> String {
    client.send(request);
    answer(client)
}

fn answer(client: &mut Client<TcpStream>) -> String {
    let head = client.take_until(b"\r\n\r\n").expect("a head");
    let length = head.split("Content-Length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let length: usize = length.unwrap().parse().unwrap();
    head + &client.take(length).expect("a body")
}

fn staying(limits: Limits) -> (Rig, Client<TcpStream>) {
    let rig = start(limits);
    let mut client = Client::connect(rig.address);
    stay(&mut client);
    (rig, client)
}

#[test]
fn whatever_comes_next_is_answered_as_ever() {
    let (rig, mut client) = staying(limits());
    let large = format!("POST /large HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
    for (request, expected) in [
        ("POST /a?b HTTP/1.1\r\nHost: h\r\nX-Echo: e\r\nContent-Length: 3\r\n\r\nabc", "POST /a b 3 e"),
        ("POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", "POST /c  2 -"),
        ("\r\nGET /empty-line HTTP/1.1\r\nHost: h\r\n\r\n", "GET /empty-line  0 -"),
        ("GET /short HTTP/1.1\r\nHost: h\r\n\r\n", "GET /short  0 -"),
        ("GET /refused HTTP/1.1\r\nHost: h\r\n\r\n", "refused"),
        (&large, "POST /large  100000 -"),
        ("GET /panic HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", "}"),
    ] {
        let got = ask(&mut client, request);
        assert!(got.ends_with(expected), "{request:?}: {got}");
        stay(&mut client);
    }
    let judged = rig.judged.lock().unwrap().clone();
    assert_eq!(judged.iter().filter(|path| *path == "/refused").count(), 1, "who is refused is judged once");
}

#[test]
fn pieces_pipelines_and_last_requests_are_answered_in_order() {
    let (_rig, mut client) = staying(limits());
    for cut in [1, 10, 40, 52] {
        let request = "POST /cut HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody";
        client.send(&request[..cut]);
        std::thread::yield_now();
        client.send(&request[cut..]);
        assert!(answer(&mut client).ends_with("POST /cut  4 -"), "{cut}");
        stay(&mut client);
    }
    client
        .send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
    for number in 1..=3 {
        assert!(answer(&mut client).ends_with(&format!("GET /{number}  0 -")));
    }
    stay(&mut client);
    client.send("GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert!(client.rest().unwrap().ends_with("GET /last  0 -"));
}

#[test]
fn a_refused_request_with_a_body_is_the_last() {
    let (_rig, mut client) = staying(limits());
    client.send("POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
    let rest = client.rest().unwrap();
    assert!(rest.contains(" 403 ") && rest.contains("Connection: close") && rest.ends_with("refused"), "{rest}");
}

#[test]
fn who_leaves_is_noticed_between_requests_and_in_one() {
    for with_reset in [false, true] {
        let (rig, client) = staying(limits());
        if with_reset {
            reset(client.socket);
        } else {
            drop(client);
        }
        wait_until(|| rig.running.snapshot().connections == 0);
        let mut client = Client::connect(rig.address);
        stay(&mut client);
        client.get("/wait");
        let cancel = rig.entered.recv_timeout(PATIENCE).unwrap();
        if with_reset {
            reset(client.socket);
        } else {
            drop(client);
        }
        wait_until(|| cancel.is_cancelled());
    }
}

#[test]
fn others_wait_no_longer_for_a_worker_or_for_room() {
    let (rig, mut first) = staying(Limits { workers: 1, max_connections: 1, ..limits() });
    let begun = Instant::now();
    for _ in 0..20 {
        // The answer may be here before the front knows that it is out.
        let mut other = loop {
            let mut other = Client::connect(rig.address);
            if ask(&mut other, "GET /other HTTP/1.1\r\nHost: h\r\n\r\n").ends_with("GET /other  0 -") {
                break other;
            }
            assert!(begun.elapsed() < 6 * PATIENCE);
        };
        stay(&mut other);
        first = other;
    }
    drop(first);
}

#[test]
fn one_worker_serves_two_clients_that_ask_without_a_pause() {
    let (rig, mut one) = staying(Limits { workers: 1, ..limits() });
    let address = rig.address;
    let other = std::thread::spawn(move || {
        let mut other = Client::connect(address);
        (0..200).for_each(|_| _ = ask(&mut other, "GET /other HTTP/1.1\r\nHost: h\r\n\r\n"));
    });
    while !other.is_finished() {
        ask(&mut one, "GET /one HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    other.join().unwrap();
}

#[test]
fn a_stop_cuts_nobody_who_is_owed_nothing() {
    for _ in 0..5 {
        let (rig, mut client) = staying(limits());
        assert_eq!(rig.running.stop(Duration::ZERO), 0);
        assert_eq!(client.rest().unwrap_or_default(), "");
    }
}
