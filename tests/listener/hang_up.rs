//! Clients that leave, and clients that only seem to.

use super::harness::{Client, LARGE, PATIENCE, Rig, limits, reset, start, wait_until};
use gemini_openai_proxy::http::Limits;
use std::time::{Duration, Instant};

#[test]
fn a_client_that_leaves_is_noticed_at_once() {
    let rig = start(limits());
    for path in ["/wait", "/pinged-until-gone"] {
        for with_reset in [false, true] {
            let mut client = Client::connect(rig.address);
            client.get(path);
            let cancel = rig.entered.recv_timeout(PATIENCE).unwrap();
            let left = Instant::now();
            if with_reset {
                reset(client.socket)
            } else {
                drop(client)
            }
            wait_until(|| cancel.is_cancelled());
            assert!(left.elapsed() < Duration::from_secs(1), "{path}: {:?}", left.elapsed());
        }
    }
    wait_until(|| rig.running.snapshot().connections == 0);
}

#[test]
fn a_reset_is_noticed_on_the_short_lane_too() {
    let rig = start(limits());
    let mut client = Client::connect(rig.address);
    client.get("/short-wait");
    let cancel = rig.entered.recv_timeout(PATIENCE).unwrap();
    reset(client.socket);
    wait_until(|| cancel.is_cancelled());
}

#[test]
fn a_client_that_only_closes_its_sending_side_is_answered() {
    let rig = start(limits());
    for request in ["GET /short-wait HTTP/1.1\r\nHost: h\r\n\r\n", "GET /wait HTTP/1.0\r\n\r\n"] {
        let mut client = Client::connect(rig.address);
        client.send(request);
        client.half_close();
        let cancel = rig.entered.recv_timeout(PATIENCE).unwrap();
        rig.release.send(()).unwrap();
        assert!(client.rest().unwrap().ends_with("waited"), "{request}");
        assert!(!cancel.is_cancelled());
    }
}

#[test]
fn writing_to_a_client_that_left_fails() {
    let rig = start(limits());
    let mut client = Client::connect(rig.address);
    client.get("/endless");
    client.take_until(b"data: x").unwrap();
    reset(client.socket);
    assert!(rig.ended.recv_timeout(PATIENCE).unwrap().1.is_some());
}

#[test]
fn a_client_that_does_not_read_costs_a_worker_one_write_timeout() {
    let rig = start(Limits { write_timeout: Duration::from_millis(300), ..limits() });
    let mut client = Client::connect(rig.address);
    client.get("/big");
    let cancel = rig.entered.recv_timeout(PATIENCE).unwrap();
    let begun = Instant::now();
    let (ended, error) = rig.ended.recv_timeout(PATIENCE).unwrap();
    assert_eq!(error, Some(std::io::ErrorKind::TimedOut));
    assert!(cancel.is_cancelled());
    assert!(ended - begun < Duration::from_secs(2), "{:?}", ended - begun);
}

#[test]
fn a_client_that_reads_slowly_but_steadily_gets_a_large_answer() {
    use std::io::Read as _;
    let rig = start(Limits { write_timeout: Duration::from_millis(300), ..limits() });
    let mut client = Client::connect(rig.address);
    client.get("/big");
    let mut bytes = vec![0; 256 * 1024];
    let begun = Instant::now();
    // One piece is 4 MiB and takes longer than the write timeout in all, but each block of it does not.
    let mut seen = 0;
    while seen < 12 << 20 {
        seen += client.socket.read(&mut bytes).unwrap();
        while begun.elapsed() < Duration::from_millis(80) * (seen >> 20) as u32 {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
    assert!(rig.ended.is_empty(), "the answer was cut");
    assert!(begun.elapsed() > Duration::from_millis(600));
}

/// Clients that have asked for a large answer and taken its first byte alone: more than there are short workers.
fn those_who_do_not_read(rig: &Rig) -> Vec<Client> {
    let ask = |_| {
        let mut client = Client::connect(rig.address);
        client.get("/short-large");
        client
    };
    let clients: Vec<Client> = (0..4).map(ask).collect();
    for client in &clients {
        assert_eq!(client.socket.peek(&mut [0]).unwrap(), 1);
    }
    clients
}

#[test]
fn clients_that_do_not_read_keep_no_short_worker() {
    let rig = start(limits());
    let mut slow = those_who_do_not_read(&rig);
    slow.iter_mut().for_each(|client| client.get("/short-after"));
    let mut other = Client::connect(rig.address);
    let times = (0..10).map(|_| {
        let begun = Instant::now();
        other.get("/short");
        assert_eq!(other.answer().status, 200);
        begun.elapsed()
    });
    let fastest = times.min().unwrap();
    assert!(fastest < Duration::from_millis(100), "{fastest:?}");
    for mut client in slow {
        assert_eq!(client.answer().body.len(), LARGE);
        assert!(client.answer().body.contains("/short-after"), "the connection goes on");
    }
}

#[test]
fn a_short_answer_that_nobody_takes_ends_with_the_write_timeout() {
    let rig = start(Limits { write_timeout: Duration::from_millis(300), ..limits() });
    let begun = Instant::now();
    let slow = those_who_do_not_read(&rig);
    wait_until(|| rig.running.snapshot().connections == 0);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    for mut client in slow {
        assert!(client.try_answer(false).is_none(), "it was cut");
    }
}

#[test]
fn a_stop_waits_for_a_short_answer_that_is_being_taken() {
    let rig = start(limits());
    let mut slow = those_who_do_not_read(&rig);
    let stop = std::thread::spawn(move || rig.running.stop(PATIENCE));
    for client in &mut slow {
        assert_eq!(client.answer().body.len(), LARGE);
    }
    assert_eq!(stop.join().unwrap(), 0);
}

#[test]
fn a_flood_of_resets_leaves_nothing_behind() {
    // Room for all of them: whether the dead fill the queue for a moment is not the question here.
    let rig = start(Limits { backlog: 1000, ..limits() });
    for _ in 0..300 {
        let mut client = Client::connect(rig.address);
        client.get("/x");
        reset(client.socket);
    }
    let mut client = Client::connect(rig.address);
    client.get("/x");
    assert_eq!(client.answer().status, 200);
    drop(client);
    wait_until(|| rig.running.snapshot().connections == 0);
}
