//! Idle and slow clients cost no thread and no time. Threads are counted in the whole process, so this test runs alone.

use super::harness::{Client, limits, start, wait_until};
use crate::common::alone;
use gemini_openai_proxy::http::Limits;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const IDLE: usize = 500;
const DRIPPING: usize = 200;

#[test]
fn idle_and_dripping_clients_cost_neither_threads_nor_time() {
    if !alone::is_alone(idle_and_dripping_clients_cost_neither_threads_nor_time, &[]) {
        return;
    }
    // Workers begin when they are needed; with one in each lane, none begins in between.
    let rig = start(Limits { workers: 1, short_workers: 1, ..limits() });
    let mut client = Client::connect(rig.address);
    let alone = typical_time(&mut client);
    let threads = thread_count();

    let idle: Vec<Client> = (0..IDLE).map(|_| Client::connect(rig.address)).collect();
    let mut dripping: Vec<Client> = (0..DRIPPING).map(|_| Client::connect(rig.address)).collect();
    for (n, slow) in dripping.iter_mut().enumerate() {
        let body = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n";
        slow.send(if n % 2 == 0 { "GET / HTTP/1.1\r\nX: " } else { body });
    }
    wait_until(|| rig.running.snapshot().connections == 1 + IDLE + DRIPPING);
    assert_eq!(thread_count(), threads, "a waiting client took a thread");

    let stop = AtomicBool::new(false);
    let among_them = thread::scope(|scope| {
        let drips = scope.spawn(|| {
            let mut rounds = 0;
            while !stop.load(Ordering::Relaxed) || rounds == 0 {
                dripping.iter_mut().for_each(|slow| slow.send("a"));
                rounds += 1;
                thread::park_timeout(Duration::from_millis(20));
            }
        });
        let time = typical_time(&mut client);
        stop.store(true, Ordering::Relaxed);
        drips.join().unwrap();
        time
    });
    // The dripping thread itself may take a moment to leave the list.
    wait_until(|| thread_count() == threads);
    assert!(among_them < alone + Duration::from_millis(20), "{among_them:?} among the others, {alone:?} alone");
    println!("a request took {alone:?} alone, {among_them:?} among {} others", idle.len() + dripping.len());
}

/// The median of 200 requests.
fn typical_time(client: &mut Client) -> Duration {
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            let begun = Instant::now();
            client.get("/x");
            assert_eq!(client.answer().status, 200);
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

fn thread_count() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}
