//! The end of a server.

use super::harness::{Client, PATIENCE, limits, start, wait_until};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_stop_lets_running_answers_finish_however_long_it_may_take() {
    for limit in [PATIENCE, Duration::MAX] {
        let rig = start(limits());
        let mut idle = Client::connect(rig.address);
        idle.get("/x");
        idle.answer();
        let mut busy = Client::connect(rig.address);
        busy.get("/wait");
        let cancel = rig.entered.recv_timeout(PATIENCE).unwrap();
        let running = rig.running;
        let stop = thread::spawn(move || running.stop(limit));
        assert_eq!(idle.rest(), Ok(String::new()));
        wait_until(|| TcpStream::connect(rig.address).is_err());
        assert!(!cancel.is_cancelled());
        rig.release.send(()).unwrap();
        let answer = busy.answer();
        assert_eq!((answer.body.as_str(), answer.header("connection")), ("waited", Some("close")));
        assert_eq!(stop.join().unwrap(), 0);
    }
}

#[test]
fn a_stop_cuts_what_does_not_finish_in_time() {
    let rig = start(limits());
    // One heeds its cancel token, one only a failed write.
    let mut heeding = Client::connect(rig.address);
    heeding.get("/wait");
    rig.entered.recv_timeout(PATIENCE).unwrap();
    let mut reader = Client::connect(rig.address);
    reader.get("/endless");
    rig.entered.recv_timeout(PATIENCE).unwrap();
    let reading = thread::spawn(move || std::io::copy(&mut reader.socket, &mut std::io::sink()));
    let begun = Instant::now();
    assert_eq!(rig.running.stop(Duration::from_millis(100)), 2);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(heeding.answer().body, "waited");
    assert!(rig.ended.recv_timeout(PATIENCE).unwrap().1.is_some());
    let _ = reading.join().unwrap();
}

#[test]
fn a_request_that_is_on_its_way_at_a_stop_is_answered() {
    let mut rig = start(limits());
    let mut uploader = Client::connect(rig.address);
    uploader.send("POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
    wait_until(|| !rig.judged.lock().unwrap().is_empty());
    rig.running.leave(Duration::from_millis(20));
    // Connected, and silent until nobody can connect any more.
    let mut late = Client::connect(rig.address);
    let running = rig.running;
    let stop = thread::spawn(move || running.stop(PATIENCE));
    wait_until(|| TcpStream::connect_timeout(&rig.address, Duration::from_millis(20)).is_err());
    uploader.send("cd");
    late.get("/late");
    for (client, said) in [(&mut uploader, "POST /upload  4 -"), (&mut late, "GET /late  0 -")] {
        let answer = client.answer();
        assert_eq!((answer.body.as_str(), answer.header("connection")), (said, Some("close")));
        assert_eq!(client.rest(), Ok(String::new()));
    }
    assert_eq!(stop.join().unwrap(), 0);
}

/// Also those that the kernel has connected and the front has not seen yet.
#[test]
fn whoever_connects_to_a_server_that_leaves_is_answered() {
    let mut rig = start(limits());
    let address = rig.address;
    let clients: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(move || {
                let mut answers = 0;
                while let Ok(socket) = TcpStream::connect(address) {
                    socket.set_read_timeout(Some(PATIENCE)).unwrap();
                    let mut client = Client::over(socket);
                    client.get("/x");
                    assert_eq!(client.answer().status, 200);
                    answers += 1;
                }
                answers
            })
        })
        .collect();
    rig.running.leave(Duration::from_millis(200));
    assert_eq!(rig.running.stop(PATIENCE), 0);
    let answers: usize = clients.into_iter().map(|client| client.join().expect("each is answered")).sum();
    assert!(answers >= 8, "{answers}");
}

/// Whoever balances load would lose the request that it sends on a connection while that is closed.
#[test]
fn an_idle_connection_of_a_proxy_is_closed_by_the_proxy_or_by_an_answer() {
    let mut rig = start(limits());
    let [mut asks, mut closes] = [(); 2].map(|()| {
        let mut client = Client::connect(rig.address);
        client.get("/x");
        client.answer();
        client
    });
    rig.running.leave(Duration::from_millis(1100));
    let running = rig.running;
    let stop = thread::spawn(move || running.stop(PATIENCE));
    wait_until(|| TcpStream::connect_timeout(&rig.address, Duration::from_millis(20)).is_err());
    asks.get("/late");
    let answer = asks.answer();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(!stop.is_finished(), "the other may ask, too");
    closes.half_close();
    assert_eq!(closes.rest(), Ok(String::new()));
    assert_eq!(stop.join().unwrap(), 0);
}

/// Its head was sent before, so that whoever balances load takes the connection for one that is kept.
#[test]
fn a_stream_that_outlasts_the_stop_leaves_a_connection_on_which_one_may_ask() {
    let mut rig = start(limits());
    let mut client = Client::connect(rig.address);
    client.get("/pinged");
    rig.entered.recv_timeout(PATIENCE).unwrap();
    assert!(client.take_until(b": ping\n\n").is_some());
    rig.running.leave(Duration::from_millis(20));
    let (gauge, running) = (rig.running.gauge(), rig.running);
    let stop = thread::spawn(move || running.stop(PATIENCE));
    wait_until(|| TcpStream::connect_timeout(&rig.address, Duration::from_millis(20)).is_err());
    rig.release.send(()).unwrap();
    assert!(client.take_until(b"0\r\n\r\n").is_some());
    wait_until(|| gauge.snapshot().busy == 0);
    client.get("/late");
    let answer = client.answer();
    assert_eq!((answer.body.as_str(), answer.header("connection")), ("GET /late  0 -", Some("close")));
    drop(client);
    assert_eq!(stop.join().unwrap(), 0);
}

#[test]
fn a_stop_of_an_idle_server_takes_no_time() {
    let rig = start(limits());
    let _idle = Client::connect(rig.address);
    let begun = Instant::now();
    assert_eq!(rig.running.stop(PATIENCE), 0);
    assert!(begun.elapsed() < Duration::from_secs(1));
}
