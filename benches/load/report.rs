//! What was measured, as a page and a plot.

use crate::clients::{Dialect, Seen, Streams};
use crate::growth::Growth;
use crate::process::Figures;
use crate::store::Store;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Everything of one run.
pub struct Report {
    pub start: Vec<Duration>,
    pub idle: Figures,
    pub shorts: Vec<Short>,
    pub phases: Vec<Phase>,
    pub dialects: Dialects,
    pub growth: Growth,
    pub store: Store,
    pub abuse: Abuse,
    /// What was measured, and how large it is.
    pub program: PathBuf,
    pub bytes: u64,
}

/// Short requests each way.
pub struct Short {
    pub direct: Asked,
    pub nginx: Asked,
    pub floor: Asked,
    pub proxy: Asked,
}

pub struct Asked {
    /// CPU time of the server per request.
    pub cpu: Duration,
    /// Requests per second over eight connections.
    pub rate: f64,
    /// Over one connection.
    pub times: Spread,
}

/// One number of streams each way.
pub struct Phase {
    pub plan: Streams,
    pub direct: Way,
    pub nginx: Way,
    pub floor: Way,
    pub proxy: Way,
    pub tls: Way,
}

pub struct Way {
    pub whole: usize,
    pub first_byte: Spread,
    pub first_token: Spread,
    pub delay: Spread,
    /// CPU time of the server per event, everything else of the stream included.
    pub cpu: Duration,
    pub during: Figures,
}

/// The same streams in each dialect, and what the translation alone takes.
pub struct Dialects {
    pub plan: Streams,
    pub names: [Dialect; 3],
    /// The direct way and each dialect, in rounds.
    pub rounds: Vec<(Way, [Way; 3])>,
    /// A table.
    pub translation: String,
}

pub struct Abuse {
    pub quiet: Spread,
    pub loaded: Spread,
    pub failures: usize,
    pub figures: Figures,
}

/// Percentiles in microseconds.
#[derive(Clone, Copy, Default)]
pub struct Spread {
    pub p50: f64,
    pub p99: f64,
}

impl Spread {
    /// Of nanoseconds.
    pub fn of(mut times: Vec<u64>) -> Spread {
        times.sort_unstable();
        let at = |share: f64| {
            let index = (times.len() as f64 * share) as usize;
            times.get(index.min(times.len().saturating_sub(1))).map_or(0.0, |time| *time as f64 / 1000.0)
        };
        Spread { p50: at(0.5), p99: at(0.99) }
    }
}

impl Way {
    pub fn new(seen: Seen, cpu: Duration) -> Way {
        Way {
            whole: seen.whole,
            cpu: cpu / seen.events.max(1) as u32,
            first_byte: Spread::of(seen.first_byte),
            first_token: Spread::of(seen.first_token),
            delay: Spread::of(seen.delays),
            during: seen.during.unwrap_or_default(),
        }
    }
}

pub fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

pub fn line_of(command: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(command).args(arguments).output() else { return String::new() };
    // nginx tells its version on standard error.
    let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&said).trim().to_owned()
}

fn machine() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("an unknown system");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores, {}, load generator, upstream and server on the same machine", name.trim_matches('"'))
}

/// Day, commit and machine.
pub fn circumstances() -> String {
    let day = line_of("date", &["-u", "+%Y-%m-%d"]);
    let commit = line_of("git", &["rev-parse", "--short", "HEAD"]);
    format!("{day}, commit {commit}. {}", machine())
}

impl Report {
    /// The program's path inside the repository: `target/TARGET/release/...` is what `make static` builds and releases have.
    fn shown(&self) -> &Path {
        self.program.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(&self.program)
    }

    pub fn markdown(&self) -> String {
        let mut page = String::from(
            "# Benchmarks\n\nWritten by `make bench`; run it to get the figures of your own machine. A scripted Google on \
             loopback answers with events of about 600 bytes; the same load goes to it directly, through nginx as a plain \
             pass-through (no translation, no buffering), through a floor, which is the smallest relay of the proxy's shape \
             (a thread per client, blocking sockets, parse, translate, write; no keys, limits, counts, log, failover or \
             hang-ups; `benches/load/floor.rs`), and through the proxy, which translates OpenAI's chat. *Added* is the \
             difference to the direct way.\n\n",
        );
        let _ = writeln!(page, "{}. {}.\n", circumstances(), line_of("nginx", &["-v"]));
        self.streams(&mut page);
        self.dialects.tell(&mut page);
        self.growth.tell(&mut page);
        self.store.tell(&mut page);
        self.short_requests(&mut page);
        self.rest(&mut page);
        page
    }

    fn streams(&self, page: &mut String) {
        page.push_str("## Streams\n\n![CPU time per event](benchmarks.svg)\n\n");
        page.push_str(
            "| streams | one event per | way | whole | CPU us/event | added per event p50 / p99 ms | added to the first \
             byte p50 / p99 ms | RSS MB | threads |\n|--|--|--|--|--|--|--|--|--|\n",
        );
        for phase in &self.phases {
            let ways = [
                ("direct", &phase.direct),
                ("nginx", &phase.nginx),
                ("floor", &phase.floor),
                ("proxy", &phase.proxy),
                ("proxy, TLS", &phase.tls),
            ];
            for (name, way) in ways {
                let added = |own: Spread, base: Spread| {
                    format!("{:.2} / {:.2}", (own.p50 - base.p50) / 1000.0, (own.p99 - base.p99) / 1000.0)
                };
                let (delay, first) = match name {
                    "direct" => (
                        format!("({:.2} / {:.2})", way.delay.p50 / 1000.0, way.delay.p99 / 1000.0),
                        format!("({:.2} / {:.2})", way.first_byte.p50 / 1000.0, way.first_byte.p99 / 1000.0),
                    ),
                    _ => (added(way.delay, phase.direct.delay), added(way.first_byte, phase.direct.first_byte)),
                };
                let own = match name {
                    "direct" => ["", "", ""].map(str::to_owned),
                    _ => [
                        format!("{:.0}", micros(way.cpu)),
                        format!("{:.1}", mib(way.during.resident)),
                        way.during.threads.to_string(),
                    ],
                };
                let _ = writeln!(
                    page,
                    "| {} | {} ms | {name} | {}/{} | {} | {delay} | {first} | {} | {} |",
                    phase.plan.count,
                    phase.plan.every.as_millis(),
                    way.whole,
                    phase.plan.count,
                    own[0],
                    own[1],
                    own[2]
                );
            }
        }
        page.push_str(
            "\nDirect delays are in brackets. RSS and threads were read while all streams ran, with `server.workers` 1024; \
             nginx's are the sum over its processes, shared pages counted in each. CPU time is counted by the kernel in \
             hundredths of a second, which is too coarse for the row of one stream. What the figures mean, and which of them \
             were wanted lower: [performance.md](performance.md).\n\n",
        );
    }

    fn short_requests(&self, page: &mut String) {
        page.push_str("## Short requests\n\nA chat that is answered whole, twice. CPU and rate over 8 connections, times over 1.\n\n");
        page.push_str("| way | CPU us/request | requests/s | p50 / p99 ms |\n|--|--|--|--|\n");
        for short in &self.shorts {
            for (name, asked) in
                [("direct", &short.direct), ("nginx", &short.nginx), ("floor", &short.floor), ("proxy", &short.proxy)]
            {
                let _ = writeln!(
                    page,
                    "| {name} | {:.0} | {:.0} | {:.2} / {:.2} |",
                    micros(asked.cpu),
                    asked.rate,
                    asked.times.p50 / 1000.0,
                    asked.times.p99 / 1000.0
                );
            }
        }
        page.push('\n');
    }

    fn rest(&self, page: &mut String) {
        page.push_str("## Start, size, abuse\n\n| what | figure |\n|--|--|\n");
        let milliseconds = |time: Duration| micros(time) / 1000.0;
        let (median, last) = (self.start[self.start.len() / 2], self.start[self.start.len() - 1]);
        let _ = writeln!(
            page,
            "| start to the first answered /health | {:.1} ms (median of {}), {:.1} ms (slowest) |",
            milliseconds(median),
            self.start.len(),
            milliseconds(last)
        );
        let _ = writeln!(
            page,
            "| after the start, default workers | {:.1} MB RSS, {} threads |",
            mib(self.idle.resident),
            self.idle.threads
        );
        let _ = writeln!(page, "| the binary, `{}` | {:.2} MB |", self.shown().display(), mib(self.bytes));
        let abuse = &self.abuse;
        let _ = writeln!(
            page,
            "| one short request after the other, alone | p50 {:.2}, p99 {:.2} ms |",
            abuse.quiet.p50 / 1000.0,
            abuse.quiet.p99 / 1000.0
        );
        let _ = writeln!(
            page,
            "| the same among 500 dripping and 500 silent connections | p50 {:.2}, p99 {:.2} ms ({:.1} x), {} failed, \
             {:.1} MB RSS, {} threads |",
            abuse.loaded.p50 / 1000.0,
            abuse.loaded.p99 / 1000.0,
            abuse.loaded.p99 / abuse.quiet.p99.max(1.0),
            abuse.failures,
            mib(abuse.figures.resident),
            abuse.figures.threads
        );
    }

    /// CPU time per event as bars, nginx beside the proxy.
    pub fn svg(&self) -> String {
        const WIDTH: usize = 640;
        const HEIGHT: usize = 300;
        const FLOOR: f64 = 250.0;
        let ways = |phase: &Phase| [phase.nginx.cpu, phase.proxy.cpu, phase.tls.cpu].map(micros);
        let highest = self.phases.iter().flat_map(ways).fold(1.0, f64::max);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"20\" y=\"22\" font-size=\"14\">CPU time per stream event, microseconds</text>\n"
        );
        let colours = [("nginx", "#9aa5b1"), ("proxy", "#2f6fde"), ("proxy, TLS", "#123a7a")];
        for (at, (name, colour)) in colours.into_iter().enumerate() {
            let x = 330 + at * 95;
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"12\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{}\" y=\"22\">{name}</text>",
                x + 17
            );
        }
        let room = (WIDTH - 40) as f64 / self.phases.len().max(1) as f64;
        for (group, phase) in self.phases.iter().enumerate() {
            let left = 20.0 + room * group as f64;
            for (at, value) in ways(phase).into_iter().enumerate() {
                let (x, height) = (left + 10.0 + at as f64 * 42.0, value / highest * 190.0);
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x:.0}\" y=\"{:.0}\" width=\"36\" height=\"{height:.0}\" fill=\"{}\"/>\
                     <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{value:.0}</text>",
                    FLOOR - height,
                    colours[at].1,
                    x + 18.0,
                    FLOOR - height - 5.0
                );
            }
            let _ = writeln!(svg, "<text x=\"{:.0}\" y=\"272\">{} streams</text>", left + 25.0, phase.plan.count);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

impl Dialects {
    fn tell(&self, page: &mut String) {
        let Streams { count, every, .. } = self.plan;
        let _ = write!(
            page,
            "## Dialects\n\n{count} streams, an event each {} ms, through the proxy in each dialect; each cell has {} rounds, which were \
             run by turns. CPU time holds the whole stream: the last events of a response repeat its text three times.\n\n\
             | dialect | whole | added per event p50 ms | p99 ms | added to the first byte p50 ms | CPU us/event |\n|--|--|--|--|--|--|\n",
            every.as_millis(),
            self.rounds.len()
        );
        for (at, name) in self.names.iter().enumerate() {
            let cell = |figure: &dyn Fn(&Way, &Way) -> String| {
                let cells: Vec<String> = self.rounds.iter().map(|(direct, ways)| figure(&ways[at], direct)).collect();
                cells.join(", ")
            };
            let added = |own: f64, base: f64| format!("{:.3}", (own - base) / 1000.0);
            let _ = writeln!(
                page,
                "| {name:?} | {} | {} | {} | {} | {} |",
                cell(&|way, _| format!("{}/{count}", way.whole)),
                cell(&|way, direct| added(way.delay.p50, direct.delay.p50)),
                cell(&|way, direct| added(way.delay.p99, direct.delay.p99)),
                cell(&|way, direct| added(way.first_byte.p50, direct.first_byte.p50)),
                cell(&|way, _| format!("{:.0}", micros(way.cpu))),
            );
        }
        let _ = writeln!(
            page,
            "\nThe translation alone, without sockets: a conversation of 200 turns with thoughts, signed calls, their results and 40 tools, \
             from the client's bytes to Google's (wanted: under 10 ms of CPU per MB), and an event of text from Google's JSON to the \
             client's frames. Medians.\n\n{}",
            self.translation
        );
    }
}
