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
fn a_stop_of_an_idle_server_takes_no_time() {
    let rig = start(limits());
    let _idle = Client::connect(rig.address);
    let begun = Instant::now();
    assert_eq!(rig.running.stop(PATIENCE), 0);
    assert!(begun.elapsed() < Duration::from_secs(1));
}
