//! Pairs: the same loads on nginx, the smallest relay and the proxy by turns, in rounds, so that what else the machine does
//! falls on all of them; the allocator as it is, without the setting of the unit in deploy/. `--only paired` prints the table; it takes about ten minutes.

use crate::clients::{self, Dialect, Streams, Target};
use crate::process::{self, Server};
use crate::report::{Spread, mib};
use crate::upstream::{self, Upstream};
use crate::{Folder, way};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
const CONNECTIONS: [usize; 3] = [8, 16, 64];
/// Short requests over all connections.
const SHORTS: usize = 24_000;
/// Streams, events of each, and milliseconds between two.
const STREAMS: [(usize, usize, u64); 2] = [(200, 250, 20), (1000, 60, 200)];

/// What each round found, by the figure's name.
#[derive(Default)]
pub struct Paired(BTreeMap<String, Vec<f64>>);

/// Measures all rounds.
pub fn measure(clock: Instant, program: &Path, folder: &Folder, google: &Upstream) -> Paired {
    let mut found = Paired::default();
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS} ...");
        found.shorts(program, folder, google);
        found.lone_streams(clock, program, folder, google);
        for plan in STREAMS {
            found.streams(clock, program, folder, google, plan);
        }
    }
    found
}

fn proxy(program: &Path, folder: &Folder, google: &Upstream) -> Server {
    process::proxy_with(program, folder, &format!("http://{}", google.plain), &[], |config| {
        config["server"]["workers"] = json!(1024);
    })
}

impl Paired {
    fn add(&mut self, name: impl Into<String>, value: f64) {
        self.0.entry(name.into()).or_default().push(value);
    }

    /// What the proxy costs beside nginx and beside the smallest relay.
    fn add_costs(&mut self, what: &str, [nginx, floor, own]: [Duration; 3]) {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        for (name, time) in [("nginx", nginx), ("smallest relay", floor), ("proxy", own)] {
            self.add(format!("{what}: {name}, us"), micros(time));
        }
        self.add(format!("{what}: proxy / nginx"), micros(own) / micros(nginx));
        self.add(format!("{what}: proxy / smallest relay"), micros(own) / micros(floor));
    }

    fn shorts(&mut self, program: &Path, folder: &Folder, google: &Upstream) {
        let (nginx, floor) = (process::nginx(folder, google.plain), process::floor(google.plain));
        let own = proxy(program, folder, google);
        let ways = [(&nginx, Dialect::Google), (&floor, Dialect::Chat), (&own, Dialect::Chat)];
        for connections in CONNECTIONS {
            let costs = ways.map(|(server, speaks)| {
                let target = Target { address: server.address, speaks };
                clients::ask(&target, connections, 50, "hello");
                let before = server.figures().cpu;
                let (_, failures) = clients::ask(&target, connections, SHORTS / connections, "hello");
                assert_eq!(failures, 0, "short requests must be answered");
                (server.figures().cpu - before) / (SHORTS / connections * connections) as u32
            });
            self.add_costs(&format!("short request, {connections} connections"), costs);
        }
        let one = |address, speaks| Spread::of(clients::ask(&Target { address, speaks }, 1, 2000, "hello").0);
        let (direct, own) = (one(google.plain, Dialect::Google), one(own.address, Dialect::Chat));
        self.add("short request, 1 connection: added p50, us", own.p50 - direct.p50);
        self.add("short request, 1 connection: added p99, us", own.p99 - direct.p99);
    }

    /// One stream at a time, each on a connection of its own; the first of a fresh process apart.
    fn lone_streams(&mut self, clock: Instant, program: &Path, folder: &Folder, google: &Upstream) {
        let own = proxy(program, folder, google);
        let plan = Streams { count: 1, events: 5, every: Duration::from_millis(5), ramp: Duration::ZERO };
        let first = |address, speaks| way(clock, None, Target { address, speaks }, &plan).first_byte.p50 * 1000.0;
        let fresh = first(own.address, Dialect::Chat);
        let (mut direct, mut passed) = (Vec::new(), Vec::new());
        for _ in 0..50 {
            direct.push(first(google.plain, Dialect::Google) as u64);
            passed.push(first(own.address, Dialect::Chat) as u64);
        }
        let (direct, passed) = (Spread::of(direct), Spread::of(passed));
        self.add("lone stream, the first of a process: first byte, added, us", fresh / 1000.0 - direct.p50);
        self.add("lone stream, later: first byte, added p50, us", passed.p50 - direct.p50);
    }

    fn streams(
        &mut self,
        clock: Instant,
        program: &Path,
        folder: &Folder,
        google: &Upstream,
        (count, events, every): (usize, usize, u64),
    ) {
        let ramp = Duration::from_millis(2) * count as u32;
        let plan = Streams { count, events, every: Duration::from_millis(every), ramp };
        let run = |server: &Server, speaks| way(clock, Some(server), Target { address: server.address, speaks }, &plan);
        let direct = way(clock, None, Target { address: google.plain, speaks: Dialect::Google }, &plan);
        let nginx = run(&process::nginx(folder, google.plain), Dialect::Google);
        let floor = run(&process::floor(google.plain), Dialect::Chat);
        let own = run(&proxy(program, folder, google), Dialect::Chat);
        let secure = format!("https://localhost:{}", google.tls.port());
        let tls = process::proxy_with(program, folder, &secure, &[], |config| {
            config["server"]["workers"] = json!(1024);
            config["ca_file"] = json!(upstream::AUTHORITY);
        });
        let tls = run(&tls, Dialect::Chat);
        assert_eq!([own.whole, tls.whole], [count; 2], "streams must be whole");
        self.add_costs(&format!("event, {count} streams"), [nginx.cpu, floor.cpu, own.cpu]);
        self.add(format!("{count} streams: event, added p50, us"), own.delay.p50 - direct.delay.p50);
        self.add(format!("{count} streams: event, added p99, us"), own.delay.p99 - direct.delay.p99);
        self.add(format!("{count} streams: first byte, added p50, us"), own.first_byte.p50 - direct.first_byte.p50);
        self.add(format!("{count} streams: first byte, added p99, us"), own.first_byte.p99 - direct.first_byte.p99);
        self.add(format!("{count} streams: memory, MB"), mib(own.during.resident));
        self.add(format!("{count} streams: memory with TLS to Google, MB"), mib(tls.during.resident));
    }

    /// A table: the median of the rounds, the least and the most.
    pub fn tell(&self, page: &mut String) {
        page.push_str("| figure | median | least | most |\n|--|--|--|--|\n");
        for (name, values) in &self.0 {
            let mut values = values.clone();
            values.sort_by(f64::total_cmp);
            let [least, median, most] = [0, values.len() / 2, values.len() - 1].map(|at| values[at]);
            let _ = writeln!(page, "| {name} | {median:.2} | {least:.2} | {most:.2} |");
        }
    }
}
