//! What one of several callers may have of workers, places in the queue and connections: the others find something.

use super::harness::{Client, Rig, limits, start, wait_until};
use gemini_openai_proxy::http::Limits;

fn request(caller: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\nX-Caller: {caller}\r\n\r\n")
}

/// So many requests of a caller at once, none of which is answered yet.
fn crowd(rig: &Rig, caller: &str, count: usize) -> Vec<Client> {
    let ask = |_| {
        let mut client = Client::connect(rig.address);
        client.send(request(caller, "/wait"));
        client
    };
    (0..count).map(ask).collect()
}

/// Waits until so many requests are with workers and so many wait for one.
fn counted(rig: &Rig, busy: usize, queued: usize) {
    wait_until(|| (rig.running.snapshot().busy, rig.running.snapshot().queued) == (busy, queued));
}

/// Lets all of them be answered.
fn released(rig: &Rig, clients: Vec<Client>) {
    clients.iter().for_each(|_| rig.release.send(()).unwrap());
    for mut client in clients {
        assert_eq!(client.answer().body, "waited");
    }
}

fn get(rig: &Rig, caller: &str) -> u16 {
    let mut client = Client::connect(rig.address);
    client.send(request(caller, "/x"));
    client.answer().status
}

#[test]
fn one_caller_takes_three_quarters_of_the_workers_and_the_rest_of_its_requests_wait() {
    let rig = start(limits());
    let mut greedy = crowd(&rig, "greedy", 20);
    counted(&rig, 6, 14);
    assert_eq!((get(&rig, "modest"), get(&rig, "modest")), (200, 200));
    // The next one finds something, too.
    let mut second = crowd(&rig, "second", 3);
    counted(&rig, 7, 16);
    assert_eq!(get(&rig, "modest"), 200);
    greedy.append(&mut second);
    released(&rig, greedy);
}

#[test]
fn who_is_alone_has_all_workers_and_the_whole_queue() {
    let rig = start(Limits { backlog: 4, ..limits() });
    let all = crowd(&rig, "", 12);
    counted(&rig, 8, 4);
    let mut over = Client::connect(rig.address);
    over.get("/x");
    assert_eq!(over.answer().status, 503);
    released(&rig, all);
}

#[test]
fn what_waits_leaves_places_in_the_queue_and_makes_room_when_its_client_leaves() {
    let rig = start(Limits { backlog: 4, ..limits() });
    let greedy = crowd(&rig, "greedy", 9);
    counted(&rig, 6, 3);
    let mut over = Client::connect(rig.address);
    over.send(request("greedy", "/x"));
    let refused = over.answer();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert!(refused.body.contains("requests of this key"), "{}", refused.body);
    assert_eq!(get(&rig, "modest"), 200);
    drop(greedy);
    counted(&rig, 0, 0);
    assert_eq!(get(&rig, "greedy"), 200);
}

#[test]
fn one_caller_takes_three_quarters_of_the_connections_with_bodies_that_come() {
    let rig = start(Limits { max_connections: 8, ..limits() });
    let head = |caller: &str| {
        format!(
            "POST /x HTTP/1.1\r\nHost: h\r\nX-Caller: {caller}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let coming = |caller: &str| {
        let mut client = Client::connect(rig.address);
        client.send(head(caller));
        (client.head_answer().status == 100).then_some(client)
    };
    let mut greedy: Vec<Client> = std::iter::from_fn(|| coming("greedy")).collect();
    assert_eq!(greedy.len(), 6);
    let mut modest = coming("modest").expect("a place");
    for client in greedy.iter_mut().chain([&mut modest]) {
        client.send("hello");
        assert_eq!(client.answer().body, "POST /x  5 -");
    }
}

/// A proxy's connection carries what many callers ask, one after the other.
#[test]
fn a_worker_that_stays_with_a_connection_keeps_to_the_part_of_each_caller() {
    let rig = start(limits());
    let greedy = crowd(&rig, "greedy", 6);
    counted(&rig, 6, 0);
    let mut proxy = Client::connect(rig.address);
    for _ in 0..50 {
        proxy.send(request("modest", "/x"));
        assert_eq!(proxy.answer().status, 200);
    }
    proxy.send(request("greedy", "/x"));
    counted(&rig, 6, 1);
    assert_eq!(get(&rig, "modest"), 200);
    released(&rig, greedy);
    assert_eq!(proxy.answer().status, 200);
}
