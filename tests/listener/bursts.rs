//! Many clients at once.

use super::harness::{Client, PATIENCE, limits, start, wait_until};
use gemini_openai_proxy::http::Limits;
use std::time::{Duration, Instant};

#[test]
fn every_connection_of_a_burst_is_answered() {
    let rig = start(Limits { workers: 8, backlog: 1000, ..limits() });
    for count in [8, 50, 500] {
        let mut clients: Vec<Client> = (0..count).map(|_| Client::connect(rig.address)).collect();
        for round in 0..2 {
            clients.iter_mut().enumerate().for_each(|(n, client)| client.get(&format!("/{round}/{n}")));
            for (n, client) in clients.iter_mut().enumerate() {
                assert_eq!(client.answer().body, format!("GET /{round}/{n}  0 -"), "of {count}");
            }
        }
    }
}

#[test]
fn a_full_queue_is_answered_with_503_at_once() {
    let rig = start(Limits { workers: 2, backlog: 1, ..limits() });
    let mut waiting: Vec<Client> = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(rig.address);
        client.get("/wait");
        waiting.push(client);
    }
    for _ in 0..2 {
        rig.entered.recv_timeout(PATIENCE).unwrap();
    }
    wait_until(|| rig.running.snapshot().queued == 1);
    assert_eq!(rig.running.snapshot().busy, 2);

    let begun = Instant::now();
    let mut client = Client::connect(rig.address);
    client.send("POST /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nX-Request-ID: mine\r\n\r\n{}");
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(answer.header("x-request-id"), Some("mine"));
    assert!(answer.body.contains(r#""code":"overloaded""#), "{}", answer.body);
    assert!(begun.elapsed() < Duration::from_millis(500));

    // The short lane has its own threads.
    let mut client = Client::connect(rig.address);
    client.get("/short");
    assert_eq!(client.answer().status, 200);

    for _ in 0..3 {
        rig.release.send(()).unwrap();
    }
    for client in &mut waiting {
        assert_eq!(client.answer().body, "waited");
    }
    let mut client = Client::connect(rig.address);
    client.get("/x");
    assert_eq!(client.answer().status, 200);
    wait_until(|| (rig.running.snapshot().busy, rig.running.snapshot().queued) == (0, 0));
}

#[test]
fn all_workers_and_the_whole_queue_are_used_before_anyone_is_refused() {
    let rig = start(Limits { workers: 16, backlog: 16, ..limits() });
    let mut clients: Vec<Client> = (0..32).map(|_| Client::connect(rig.address)).collect();
    clients.iter_mut().for_each(|client| client.get("/wait"));
    (0..32).for_each(|_| rig.release.send(()).unwrap());
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
}
