//! Endurance: mixed load for a long time; memory, threads and descriptors must stay where they are.

use crate::clients::{self, Streams, Target};
use crate::process::{self, Figures, Folder, Server};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Runs for `length` and panics when something grew or a request was lost.
pub fn run(clock: Instant, program: &Path, folder: &Folder, google: SocketAddr, length: Duration) {
    let credentials = folder.0.join("oauth.json");
    let account = json!([{"access_token": "a", "refresh_token": "r", "token_type": "Bearer", "expiry_date": 1,
        "project_id": "project"}]);
    std::fs::write(&credentials, account.to_string()).expect("the credentials file");
    let proxy = process::proxy(program, folder, &format!("http://{google}"), |config| {
        config["credentials_file"] = json!(credentials);
    });
    let target = Target { address: proxy.address, openai: true };
    let (stop, lost, done) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let going = || !stop.load(Ordering::Relaxed);
    let samples = std::thread::scope(|scope| {
        scope.spawn(|| {
            let every = Duration::from_millis(20);
            let plan = Streams { count: 50, events: 150, every, ramp: Duration::from_millis(500) };
            while going() {
                let seen = clients::stream(clock, &target, &plan, Figures::default);
                lost.fetch_add(plan.count - seen.whole, Ordering::Relaxed);
                done.fetch_add(plan.count, Ordering::Relaxed);
            }
        });
        scope.spawn(|| {
            while going() {
                let (times, failures) = clients::ask(&target, 4, 50, "hello");
                lost.fetch_add(failures + 200 - times.len().min(200), Ordering::Relaxed);
                done.fetch_add(200, Ordering::Relaxed);
                std::thread::park_timeout(Duration::from_millis(200));
            }
        });
        scope.spawn(|| {
            while going() {
                leave(&target);
                poll(proxy.address, "/admin/credentials");
                poll(proxy.address, "/health");
                poll(proxy.address, "/nowhere");
                std::thread::park_timeout(Duration::from_millis(100));
            }
        });
        let samples = watch(&proxy, length);
        stop.store(true, Ordering::Relaxed);
        samples
    });
    judge(&samples, lost.into_inner(), done.into_inner());
}

/// Ten figures a minute.
fn watch(proxy: &Server, length: Duration) -> Vec<Figures> {
    let begin = Instant::now();
    let mut samples = Vec::new();
    while begin.elapsed() < length {
        std::thread::sleep(Duration::from_secs(6).min(length));
        let figures = proxy.figures();
        if samples.len() % 5 == 0 {
            println!(
                "{:4} s: {:.1} MB, {} threads, {} descriptors",
                begin.elapsed().as_secs(),
                figures.resident as f64 / 1048576.0,
                figures.threads,
                figures.descriptors
            );
        }
        samples.push(figures);
    }
    samples
}

fn judge(samples: &[Figures], lost: usize, done: usize) {
    let tenth = (samples.len() / 10).max(1);
    let mean = |part: &[Figures], of: fn(&Figures) -> f64| part.iter().map(of).sum::<f64>() / part.len().max(1) as f64;
    let early = &samples[(2 * tenth).min(samples.len() - 1)..(3 * tenth).min(samples.len())];
    let late = &samples[samples.len() - tenth..];
    println!("{done} requests, {lost} lost");
    assert_eq!(lost, 0, "requests were lost");
    for (name, of, room) in [
        ("memory", (|f| f.resident as f64) as fn(&Figures) -> f64, 1.05),
        ("threads", |f| f.threads as f64, 1.05),
        ("descriptors", |f| f.descriptors as f64, 1.25),
    ] {
        let (early, late) = (mean(early, of), mean(late, of));
        println!("{name}: {early:.0} early, {late:.0} late");
        assert!(late <= early * room, "{name} grew from {early:.0} to {late:.0}");
    }
}

/// Begins a stream and goes away in its middle.
fn leave(target: &Target) {
    let Ok(mut socket) = TcpStream::connect(target.address) else { return };
    let _ = socket.write_all(&clients::request(target, "events=50 every_us=20000", true));
    let _ = socket.read(&mut [0; 512]);
}

fn poll(address: SocketAddr, path: &str) {
    let Ok(mut socket) = TcpStream::connect(address) else { return };
    let mut answer = Vec::new();
    if socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: load\r\n\r\n").as_bytes()).is_ok() {
        clients::read_answer(&mut socket, &mut answer);
    }
}
