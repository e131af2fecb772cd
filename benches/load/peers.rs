//! The same loads on other gateways: LiteLLM's proxy and Portkey's, beside nginx and the proxy. `make bench-peers` installs
//! them at the versions that benches/peers/ names. The method is that of a public board (onthebench); its loads are smaller here,
//! so that all of it takes less than ten minutes.

use crate::clients::{self, Dialect, Streams, Target};
use crate::process::{self, Folder, Server};
use crate::rates::{self, Load};
use crate::report::{self, Spread, Way, line_of, mib, micros};
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;
/// How long the upstream takes for an answer, in milliseconds.
const TAKES: [u64; 5] = [0, 1, 5, 20, 100];
const CONNECTIONS: [usize; 4] = [8, 64, 256, 1024];
/// What a rate must keep: the p99 in microseconds, and the share of failures.
const BOUND: f64 = 1_000_000.0;
const FAILURES: f64 = 0.001;
const ALONE: Load = Load { connections: 1, settle: Duration::from_millis(500), window: Duration::from_secs(2) };
const SETTLE: Duration = Duration::from_millis(500);
const WINDOW: Duration = Duration::from_millis(2500);
/// Their starts are spread over as long as one of them takes, which is how often so many that follow each other begin.
const STREAMS: Streams =
    Streams { count: 512, events: 64, every: Duration::from_millis(20), ramp: Duration::from_millis(1280) };
const RECOVERY: Duration = Duration::from_secs(15);
/// Python's imports alone take a minute on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

const HEADING: &str = "\n## Peers\n";

struct Gateway {
    name: &'static str,
    target: Target,
    /// None for the direct way.
    server: Option<Server>,
    /// Resident bytes after the start, among the streams, and after everything.
    memory: [u64; 3],
    /// By rounds.
    alone: Vec<Spread>,
    streams: Vec<Way>,
    /// The best for each of `TAKES`.
    rates: Vec<Option<Rate>>,
}

struct Rate {
    connections: usize,
    rate: f64,
    times: Spread,
    /// CPU time of the server per request.
    cpu: Duration,
}

pub struct Peers {
    gateways: Vec<Gateway>,
    /// The machine's load average before, at its highest, and after.
    load: [f64; 3],
}

/// Starts all of them, and loads one after the other.
pub fn measure(clock: Instant, program: &Path, folder: &Folder, google: SocketAddr) -> Peers {
    let before = load_average();
    let mut highest = before;
    let mut gateways = start(program, folder, google);
    eprintln!("idle ...");
    std::thread::park_timeout(Duration::from_secs(5));
    for gateway in &mut gateways {
        gateway.memory[0] = gateway.resident();
    }
    for gateway in &gateways {
        // Interpreters compile what is hot, and the second worker of LiteLLM may be still importing.
        let warm = Load { connections: 16, settle: Duration::ZERO, window: Duration::from_secs(3) };
        let seen = rates::ask(&gateway.target, "hello", &warm, || Duration::ZERO);
        assert!(seen.answers > seen.failures, "{} answers none of {} requests", gateway.name, seen.failures);
    }
    for round in 1..=ROUNDS {
        eprintln!("one connection, round {round} ...");
        for gateway in &mut gateways {
            let seen = rates::ask(&gateway.target, "hello", &ALONE, || Duration::ZERO);
            gateway.alone.push(Spread::of(seen.times));
        }
    }
    for takes in TAKES {
        for gateway in &mut gateways {
            eprintln!("rate, {takes} ms, {} ...", gateway.name);
            let best = gateway.highest_rate(takes);
            gateway.rates.push(best);
            highest = highest.max(load_average());
        }
    }
    for round in 1..=ROUNDS {
        eprintln!("streams, round {round} ...");
        for gateway in &mut gateways {
            let figures = || gateway.server.as_ref().map(Server::figures).unwrap_or_default();
            let cpu = figures().cpu;
            let seen = clients::stream(clock, &gateway.target, &STREAMS, figures);
            let way = Way::new(seen, figures().cpu.saturating_sub(cpu));
            gateway.memory[1] = gateway.memory[1].max(way.during.resident);
            gateway.streams.push(way);
        }
    }
    eprintln!("recovery ...");
    std::thread::park_timeout(RECOVERY);
    for gateway in &mut gateways {
        gateway.memory[2] = gateway.resident();
    }
    let after = load_average();
    Peers { gateways, load: [before, highest.max(after), after] }
}

fn start(program: &Path, folder: &Folder, google: SocketAddr) -> Vec<Gateway> {
    let plain = format!("http://{google}");
    let gateway = |name, speaks, server: Option<Server>| {
        let target = Target { address: server.as_ref().map_or(google, |server| server.address), speaks };
        let (alone, streams, rates) = (Vec::new(), Vec::new(), Vec::new());
        Gateway { name, target, server, memory: [0; 3], alone, streams, rates }
    };
    let proxy = process::proxy(program, folder, &plain, |config| config["server"]["workers"] = json!(1024));
    eprintln!("LiteLLM starts ...");
    vec![
        gateway("direct", Dialect::Google, None),
        gateway("nginx", Dialect::Google, Some(process::nginx(folder, google))),
        gateway("proxy", Dialect::Chat, Some(proxy)),
        gateway("Portkey", Dialect::Portkey(google), Some(portkey(folder))),
        gateway("LiteLLM", Dialect::Chat, Some(litellm(folder, &plain))),
    ]
}

fn installed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(path)
}

/// One process, as it is published, without its page of logs.
fn portkey(folder: &Folder) -> Server {
    let port = process::free_port();
    let mut command = Command::new("node");
    command.arg("--require").arg(installed("loopback.cjs"));
    command.arg(installed("node_modules/@portkey-ai/gateway/build/start-server.js"));
    command.args([&format!("--port={port}"), "--headless"]).env("NODE_ENV", "production");
    process::start(command, folder, port, PATIENCE)
}

/// A worker for each core and few log lines, as its page on production says.
fn litellm(folder: &Folder, google: &str) -> Server {
    let port = process::free_port();
    let config = json!({
        "model_list": [{"model_name": "gemini-2.5-flash",
            "litellm_params": {"model": "gemini/gemini-2.5-flash", "api_base": google, "api_key": "AIza-load"}}],
        "general_settings": {"master_key": "sk-load"},
    });
    // JSON is YAML.
    let file = folder.0.join("litellm.yaml");
    fs::write(&file, config.to_string()).expect("LiteLLM's config");
    let mut command = Command::new(installed(".venv/bin/litellm"));
    command.arg("--config").arg(file).args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    // Workers that still import after five seconds would be killed and started again, for ever.
    command.args(["--num_workers", &cores().to_string(), "--timeout_worker_healthcheck", "180"]);
    for (name, value) in [
        ("LITELLM_MODE", "PRODUCTION"),
        ("LITELLM_LOG", "ERROR"),
        ("LITELLM_TELEMETRY", "False"),
        // Otherwise it fetches a list of prices.
        ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
    ] {
        command.env(name, value);
    }
    process::start(command, folder, port, PATIENCE)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

impl Gateway {
    fn resident(&self) -> u64 {
        self.server.as_ref().map_or(0, |server| server.figures().resident)
    }

    /// With more and more connections, until more do not help or too much fails.
    fn highest_rate(&self, takes: u64) -> Option<Rate> {
        let prompt = if takes == 0 { "hello".to_owned() } else { format!("after_us={} please", takes * 1000) };
        let mut best: Option<Rate> = None;
        for connections in CONNECTIONS {
            let load = Load { connections, settle: SETTLE, window: WINDOW };
            let cpu = || self.server.as_ref().map(|server| server.figures().cpu).unwrap_or_default();
            let seen = rates::ask(&self.target, &prompt, &load, cpu);
            let asked = (seen.answers + seen.failures).max(1);
            let times = Spread::of(seen.times);
            let rate = seen.answers as f64 / WINDOW.as_secs_f64();
            let keeps = times.p99 < BOUND && seen.failures as f64 <= FAILURES * asked as f64;
            if !keeps || best.as_ref().is_some_and(|best| rate < best.rate) {
                break;
            }
            best = Some(Rate { connections, rate, times, cpu: seen.cpu / seen.answers.max(1) as u32 });
        }
        best
    }
}

/// The middle one of what the rounds say.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// p50 and p99 in milliseconds, of a gateway beyond the direct way of the same round; the direct way's own in brackets.
fn added<T>(own: &[T], direct: Option<&[T]>, spread: impl Fn(&T) -> Spread) -> String {
    let figure = |of: fn(Spread) -> f64| {
        let values = own.iter().enumerate().map(|(round, own)| {
            let base = direct.map_or(0.0, |direct| of(spread(&direct[round])));
            (of(spread(own)) - base) / 1000.0
        });
        median(values.collect())
    };
    let (p50, p99) = (figure(|spread| spread.p50), figure(|spread| spread.p99));
    if direct.is_some() { format!("{p50:.2} / {p99:.2}") } else { format!("({p50:.2} / {p99:.2})") }
}

/// The section of a page that `make bench-peers` wrote; it is the last one.
pub fn section(page: &str) -> &str {
    page.find(HEADING).map_or("", |at| &page[at..])
}

impl Peers {
    pub fn section(&self) -> String {
        let mut page = format!("{HEADING}\n");
        self.circumstances(&mut page);
        self.alone_and_memory(&mut page);
        self.rates(&mut page);
        self.streams(&mut page);
        page.push_str(LEADERS);
        page.push_str(LEFT_OUT);
        page
    }

    /// Each with the direct way to compare it with, which has none itself.
    fn ways(&self) -> impl Iterator<Item = (&Gateway, Option<&Gateway>)> {
        let direct = &self.gateways[0];
        self.gateways.iter().map(move |gateway| (gateway, gateway.server.as_ref().map(|_| direct)))
    }

    fn circumstances(&self, page: &mut String) {
        let version = |file: &str, name: &str| {
            let text = fs::read_to_string(installed(file)).unwrap_or_default();
            let line = text.lines().find(|line| line.contains(name)).unwrap_or("").to_owned();
            line.chars().filter(|letter| letter.is_ascii_digit() || *letter == '.').collect::<String>()
        };
        let _ = writeln!(
            page,
            "Written by `make bench-peers`: the same loads on LiteLLM's proxy {} ({}, {} workers), on Portkey's gateway {} (Node.js {}, one \
             process) and on the proxy, which translate OpenAI's chat, and on nginx, which passes through. {}. Load average {:.1} before, \
             which is other work on the machine, up to {:.1} between and {:.1} after, its own included. Each figure is the median of {ROUNDS} rounds, which were run by turns, \
             but for the rates, which were looked for once. *Added* is the difference to the direct way in the same round, whose own times are in brackets.\n",
            version("requirements.txt", "litellm=="),
            line_of(&installed(".venv/bin/python").display().to_string(), &["--version"]),
            cores(),
            version("package.json", "@portkey-ai/gateway"),
            line_of("node", &["--version"]),
            report::circumstances(),
            self.load[0],
            self.load[1],
            self.load[2],
        );
    }

    fn alone_and_memory(&self, page: &mut String) {
        page.push_str(
            "Short requests over one connection to an upstream that answers at once, and resident memory in MB: after the start, among \
             the streams below, and 15 s after everything.\n\n\
             | way | added p50 / p99 ms | idle | steady | recovered |\n|--|--|--|--|--|\n",
        );
        for (gateway, direct) in self.ways() {
            let memory = match direct {
                Some(_) => gateway.memory.map(|bytes| format!("{:.1}", mib(bytes))).join(" | "),
                None => "| |".to_owned(),
            };
            let times = added(&gateway.alone, direct.map(|direct| &direct.alone[..]), |times| *times);
            let _ = writeln!(page, "| {} | {times} | {memory} |", gateway.name);
        }
    }

    fn rates(&self, page: &mut String) {
        let cores = cores();
        let _ = write!(
            page,
            "\nThe highest rate of short requests with a p99 under 1 s and less than 0.1 % of failures, of {} connections that ask again as \
             soon as they are answered, each number for {:.1} s. The {cores} cores are shared with upstream and load generator: *per core* is the \
             rate by {cores}, *per CPU second* is what a core that did nothing else would do by the CPU time that the server took.\n\n\
             | upstream takes | way | requests/s | connections | p50 / p99 ms | CPU us/request | per core | per CPU second |\n\
             |--|--|--|--|--|--|--|--|\n",
            CONNECTIONS.map(|count| count.to_string()).join(", "),
            WINDOW.as_secs_f64()
        );
        for (at, takes) in TAKES.iter().enumerate() {
            for gateway in &self.gateways {
                let _ = write!(page, "| {takes} ms | {} | ", gateway.name);
                let Some(best) = &gateway.rates[at] else {
                    page.push_str("none | | | | | |\n");
                    continue;
                };
                let cpu = micros(best.cpu);
                let by_cpu = match gateway.server {
                    Some(_) => format!("{cpu:.0} | {:.0} | {:.0}", best.rate / cores as f64, 1e6 / cpu.max(1.0)),
                    None => "| |".to_owned(),
                };
                let (p50, p99) = (best.times.p50 / 1000.0, best.times.p99 / 1000.0);
                let _ = writeln!(page, "{:.0} | {} | {p50:.1} / {p99:.1} | {by_cpu} |", best.rate, best.connections);
            }
        }
    }

    fn streams(&self, page: &mut String) {
        let Streams { count, events, every, ramp } = STREAMS;
        let _ = write!(
            page,
            "\n{count} streams of {events} deltas, {} ms apart, which begin within {:.2} s; what has not ended 20 s later than it should is cut \
             off. A token's time is that from Google's writing of it to its arrival.\n\n\
             | way | whole | added to the first token p50 / p99 ms | added per token p50 / p99 ms | CPU us/event |\n|--|--|--|--|--|\n",
            every.as_millis(),
            ramp.as_secs_f64()
        );
        for (gateway, direct) in self.ways() {
            let (own, base) = (&gateway.streams, direct.map(|direct| &direct.streams[..]));
            let whole: Vec<String> = own.iter().map(|way| way.whole.to_string()).collect();
            let cpu = median(own.iter().map(|way| micros(way.cpu)).collect());
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {} |",
                gateway.name,
                whole.join(", "),
                added(own, base, |way| way.first_token),
                added(own, base, |way| way.delay),
                if direct.is_some() { format!("{cpu:.0}") } else { String::new() }
            );
        }
    }
}

/// Of July 2026; nothing of them was measured here.
const LEADERS: &str = "
The leaders of the board whose method this is (onthebench, GetBusbar/benchmarking, July 2026) as they were quoted, not measured here. Their four cores (Graviton3) \
were the gateway's alone; upstream and load generator had others.

| what | quoted | per core |
|--|--|--|
| added p99 at one connection | 107 to 186 us | |
| requests/s | 29,000 to 46,000 | 7,250 to 11,500 |
| translated requests/s | 26,000 to 34,000 | 6,500 to 8,500 |
| added to the first token | 219 to 332 us | |
| added per token | 1 to 10 us | |
";

const LEFT_OUT: &str = "
What this leaves out:

- Upstream and load generator share the cores with the server. A rate is what is left of the machine, and whoever is quick is held back by them: compare CPU time per request.
- Each connection waits for its answer before it asks again, so that a slow server is asked less. An open load would punish it more.
- What the three do differs, and only the proxy ran with all of it: client keys, counts, failover, a log line per request. LiteLLM ran without its database, its spend \
logs, callbacks and guardrails, and logged errors alone; Portkey's gateway checks no key, logs nothing here, and was told Google's address in each request. Both speak to many providers.
- Portkey's gateway is one process on one core, as it is published; several behind a balancer would do more. LiteLLM's workers are processes, and memory is their \
sum, shared pages counted in each; its supervisor is in it.
- No TLS, loopback alone, one model, events of 600 bytes; the loads last seconds, so that what grows over hours is not seen.
";
