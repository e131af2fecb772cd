//! Measures the release binary against a scripted Google on this machine, side by side with nginx as a plain pass-through,
//! with the smallest relay of its shape (`floor`), and with no proxy at all, and writes docs/benchmarks.md. `make bench` starts it, `make soak` its endurance test, `make bench-peers` the same loads on other gateways.
//!
//! All delays are differences to the direct way in the same run: clients, Google and proxy share the machine.

mod answers;
mod clients;
mod floor;
mod growth;
mod mix;
mod paired;
mod peers;
mod process;
mod rates;
mod report;
mod soak;
mod store;
#[path = "../translate.rs"]
#[allow(dead_code, reason = "its own `main`, for callgrind")]
mod translate;
mod upstream;

use clients::{Dialect, Seen, Streams, Target};
use process::{Folder, Server};
use report::{Abuse, Dialects, Phase, Report, Short, Way};
use serde_json::json;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use upstream::Upstream;

/// Streams at the same time, events each, and the pause between two events in milliseconds.
const PHASES: [(usize, usize, u64); 4] = [(1, 150, 20), (50, 200, 20), (200, 250, 20), (1000, 300, 200)];
const QUICK: [(usize, usize, u64); 2] = [(50, 50, 20), (200, 100, 20)];
/// Short requests on each connection.
const SHORT: usize = 4000;

fn main() -> ExitCode {
    // Else its own table of open files would grow among the streams, and the delay would count as the proxy's.
    gemini_openai_proxy::os::platform::make_room_for_descriptors();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| arguments.iter().position(|word| word == name);
    let value = |name: &str| option(name).and_then(|at| arguments.get(at + 1)).cloned();
    if let Some(port) = value("--floor") {
        let google = value("--google").and_then(|address| address.parse().ok()).expect("--google ADDRESS");
        floor::run(port.parse().expect("--floor PORT"), google);
    }
    let program = PathBuf::from(value("--program").unwrap_or_else(|| env!("CARGO_BIN_EXE_gemini-openai-proxy").into()));
    let clock = Instant::now();
    let google = upstream::start(clock);
    let folder = Folder::new();
    if let Some(seconds) = value("--soak") {
        let seconds = seconds.parse().expect("--soak SECONDS");
        let rules_hold = soak::run(clock, &program, &folder, &google, Duration::from_secs(seconds));
        return if rules_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks.md");
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    let (own, of_peers) = written.split_at(written.len() - peers::section(&written).len());
    if option("--peers").is_some() {
        let section = peers::measure(clock, &program, &folder, google.plain).section();
        println!("{section}");
        std::fs::write(&page, format!("{own}{section}")).expect("the report");
        return ExitCode::SUCCESS;
    }
    if let Some(kind) = value("--only") {
        let count = value("--streams").map_or(200, |count| count.parse().expect("--streams COUNT"));
        let mut page = String::new();
        match kind.as_str() {
            "growth" => growth::measure(clock, &program, &folder, google.plain).tell(&mut page),
            "paired" => paired::measure(clock, &program, &folder, &google).tell(&mut page),
            "store" => store::measure(&program, &folder, google.plain, SHORT).tell(&mut page),
            // As many replicas as `--streams` says, which are more than a usual run starts.
            "fleet" => page = store::Fleet::table(&[store::fleet(&program, &folder, google.plain, count)]),
            _ => only(clock, &program, &folder, google.plain, &kind, count),
        }
        println!("{page}");
        return ExitCode::SUCCESS;
    }
    let quick = option("--quick").is_some();
    let report = measure(clock, &program, &folder, &google, quick);
    let table = report.markdown();
    println!("{table}");
    if !quick {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        std::fs::create_dir_all(&docs).expect("the folder for the report");
        std::fs::write(&page, format!("{table}{of_peers}")).expect("the report");
        std::fs::write(docs.join("benchmarks.svg"), report.svg()).expect("the plot");
        std::fs::write(docs.join("growth.svg"), report.growth.svg()).expect("the plot");
    }
    ExitCode::SUCCESS
}

fn measure(clock: Instant, program: &Path, folder: &Folder, google: &Upstream, quick: bool) -> Report {
    let (plain, google, tls_port) = (format!("http://{}", google.plain), google.plain, google.tls.port());
    let start = start_times(program, folder, &plain, if quick { 3 } else { 15 });
    let idle = process::proxy(program, folder, &plain, |_| {}).figures();

    let nginx = process::nginx(folder, google);
    let floor = process::floor(google);
    let many = |config: &mut serde_json::Value| config["server"]["workers"] = json!(1024);
    let mut shorts = Vec::new();
    let mut phases = Vec::new();
    {
        let proxy = process::proxy(program, folder, &plain, many);
        shorts.push(short(google, [&nginx, &floor, &proxy], if quick { 1000 } else { SHORT }));
        shorts.push(short(google, [&nginx, &floor, &proxy], if quick { 1000 } else { SHORT }));
    }
    for &(count, events, every) in if quick { &QUICK[..] } else { &PHASES[..] } {
        eprintln!("{count} streams ...");
        let every = Duration::from_millis(every);
        let ramp = Duration::from_millis(2) * count as u32;
        let plan = Streams { count, events, every, ramp };
        // A process of its own, so that memory is what this many streams take.
        let proxy = process::proxy(program, folder, &plain, many);
        let tls = process::proxy(program, folder, &format!("https://localhost:{tls_port}"), |config| {
            many(config);
            config["ca_file"] = json!(upstream::AUTHORITY);
        });
        let direct = way(clock, None, Target { address: google, speaks: Dialect::Google }, &plan);
        let nginx = way(clock, Some(&nginx), Target { address: nginx.address, speaks: Dialect::Google }, &plan);
        // For half the time, which is enough for a yardstick.
        let half = Streams { events: events / 2, ..plan };
        let floor = process::floor(google);
        let floor = way(clock, Some(&floor), Target { address: floor.address, speaks: Dialect::Chat }, &half);
        let proxy = way(clock, Some(&proxy), Target { address: proxy.address, speaks: Dialect::Chat }, &plan);
        let tls = way(clock, Some(&tls), Target { address: tls.address, speaks: Dialect::Chat }, &plan);
        phases.push(Phase { plan, direct, nginx, floor, proxy, tls });
    }
    eprintln!("dialects ...");
    let dialects = dialects(clock, program, folder, google, quick);
    eprintln!("growth ...");
    let growth = growth::measure(clock, program, folder, google);
    eprintln!("store ...");
    let store = store::measure(program, folder, google, if quick { 500 } else { SHORT });
    eprintln!("abuse ...");
    let proxy = process::proxy(program, folder, &plain, many);
    let abuse = abuse(&proxy, if quick { 500 } else { 3000 });
    Report {
        start,
        idle,
        shorts,
        phases,
        dialects,
        growth,
        store,
        abuse,
        program: program.to_owned(),
        bytes: std::fs::metadata(program).map_or(0, |found| found.len()),
    }
}

/// The same streams in each dialect, by turns so that all have their share of what else the machine does.
fn dialects(clock: Instant, program: &Path, folder: &Folder, google: SocketAddr, quick: bool) -> Dialects {
    const EACH: [Dialect; 3] = [Dialect::Chat, Dialect::Responses, Dialect::Messages];
    let proxy = process::proxy(program, folder, &format!("http://{google}"), |_| {});
    let (count, events, every) = (16, if quick { 50 } else { 400 }, Duration::from_millis(20));
    let plan = Streams { count, events, every, ramp: every };
    let direct = Target { address: google, speaks: Dialect::Google };
    let mut rounds = Vec::new();
    for _ in 0..if quick { 1 } else { 3 } {
        let own = |speaks| way(clock, Some(&proxy), Target { address: proxy.address, speaks }, &plan);
        rounds.push((way(clock, None, direct, &plan), EACH.map(own)));
    }
    Dialects { plan, names: EACH, rounds, translation: translate::table() }
}

/// One load on the proxy alone, for profilers: `--only short` or `--only streams [--streams COUNT]`; prints the proxy's process id first.
fn only(clock: Instant, program: &Path, folder: &Folder, google: SocketAddr, kind: &str, count: usize) {
    let proxy = process::proxy(program, folder, &format!("http://{google}"), |config| {
        config["server"]["workers"] = json!(1024)
    });
    println!("{}", proxy.id());
    let target = Target { address: proxy.address, speaks: Dialect::Chat };
    if kind == "short" {
        let before = proxy.figures().cpu;
        clients::ask(&target, 8, 5000, "hello");
        println!("{} us per request", (proxy.figures().cpu - before).as_micros() / 40000);
        return;
    }
    // The same number of events a second for all counts; two cores can pass on no more than that of 200.
    let every = Duration::from_millis(count.div_ceil(10).max(20) as u64);
    let plan =
        Streams { count, events: 100_000 / count.max(200), every, ramp: Duration::from_millis(2) * count as u32 };
    let way = way(clock, Some(&proxy), target, &plan);
    println!("{:?} per event, {:?}, first byte {:.0} us", way.cpu, way.during, way.first_byte.p50);
}

fn way(clock: Instant, server: Option<&Server>, target: Target, plan: &Streams) -> Way {
    let figures = || server.map(Server::figures).unwrap_or_default();
    let before = figures();
    let seen: Seen = clients::stream(clock, &target, plan, figures);
    let cpu = figures().cpu.saturating_sub(before.cpu);
    Way::new(seen, cpu)
}

/// Short requests over eight busy connections for the CPU time, over one for the delay.
fn short(google: SocketAddr, [nginx, floor, proxy]: [&Server; 3], count: usize) -> Short {
    let one = |server: Option<&Server>, target: Target| {
        clients::ask(&target, 8, count / 16, "hello");
        let cpu = || server.map(|server| server.figures().cpu).unwrap_or_default();
        let before = cpu();
        let begin = Instant::now();
        let (_, failures) = clients::ask(&target, 8, count, "hello");
        assert_eq!(failures, 0, "short requests must be answered");
        let rate = (8 * count) as f64 / begin.elapsed().as_secs_f64();
        let each = cpu().saturating_sub(before) / (8 * count) as u32;
        let (times, _) = clients::ask(&target, 1, count, "hello");
        report::Asked { cpu: each, rate, times: report::Spread::of(times) }
    };
    Short {
        direct: one(None, Target { address: google, speaks: Dialect::Google }),
        nginx: one(Some(nginx), Target { address: nginx.address, speaks: Dialect::Google }),
        floor: one(Some(floor), Target { address: floor.address, speaks: Dialect::Chat }),
        proxy: one(Some(proxy), Target { address: proxy.address, speaks: Dialect::Chat }),
    }
}

/// From the start of the process to its first answered /health.
fn start_times(program: &Path, folder: &Folder, google: &str, runs: usize) -> Vec<Duration> {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let begin = Instant::now();
            let _server = process::proxy(program, folder, google, |_| {});
            begin.elapsed()
        })
        .collect();
    times.sort();
    times
}

/// Normal requests alone, then among 500 connections that drip a head and 500 that say nothing.
fn abuse(proxy: &Server, count: usize) -> Abuse {
    let target = Target { address: proxy.address, speaks: Dialect::Chat };
    clients::ask(&target, 1, count / 4, "hello");
    let (quiet, _) = clients::ask(&target, 1, count, "hello");
    let connect = || TcpStream::connect(proxy.address).expect("a connection");
    let idle: Vec<TcpStream> = (0..500).map(|_| connect()).collect();
    let mut slow: Vec<TcpStream> = (0..500).map(|_| connect()).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::Write as _;
            for socket in &mut slow {
                let _ = socket.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nX-Slow: ");
            }
            while !stop.load(Ordering::Relaxed) {
                for socket in &mut slow {
                    // Those whose time is over have been closed; they come again.
                    if socket.write_all(b"a").is_err()
                        && let Ok(fresh) = TcpStream::connect(proxy.address)
                    {
                        *socket = fresh;
                        let _ = socket.write_all(b"POST / HTTP/1.1\r\nX-Slow: ");
                    }
                }
                std::thread::park_timeout(Duration::from_millis(100));
            }
        });
        let (loaded, failures) = clients::ask(&target, 1, count, "hello");
        let figures = proxy.figures();
        stop.store(true, Ordering::Relaxed);
        drop(idle);
        Abuse { quiet: report::Spread::of(quiet), loaded: report::Spread::of(loaded), failures, figures }
    })
}
