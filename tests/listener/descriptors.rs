//! Running out of file descriptors is survived. The limit belongs to the process, so the test runs alone
//! in one that has few.

use super::harness::{Client, limits, start, wait_until};
use crate::common::alone;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::time::Duration;

const FEW: u64 = 64;

#[test]
fn running_out_of_descriptors_is_survived() {
    let few = format!("ulimit -n {FEW} && exec \"$0\" \"$@\"");
    if !alone::is_alone(running_out_of_descriptors_is_survived, &["sh", "-c", &few]) {
        return;
    }
    assert_eq!(descriptor_limit(), FEW);
    let rig = start(limits());
    let mut before = Client::connect(rig.address);
    before.get("/before");
    assert_eq!(before.answer().status, 200);

    let mut hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    // One for the client's side of a connection, none for the server's.
    hoard.pop();
    let mut client = Client::connect(rig.address);
    client.get("/after");
    client.socket.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    let error = client.socket.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "there was a descriptor left after all");

    // Those that are connected already do not notice.
    before.get("/meanwhile");
    assert_eq!(before.answer().body, "GET /meanwhile  0 -");

    drop(hoard);
    client.socket.set_read_timeout(Some(super::harness::PATIENCE)).unwrap();
    assert_eq!(client.answer().body, "GET /after  0 -");
    drop((before, client));
    wait_until(|| rig.running.snapshot().connections == 0);
}

/// The soft limit of this process.
fn descriptor_limit() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap_or(u64::MAX)
}
