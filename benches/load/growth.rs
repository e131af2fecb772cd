//! How the cost of a request and of an event grows: with streams, keys and credentials it is flat, with tools, history and
//! event size it goes by bytes. `make bench` writes the table and a plot; `--only growth` prints the table alone.

use crate::clients::{self, Dialect, Streams, Target};
use crate::process::{self, Folder, Server};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// What the cost should follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Law {
    Flat,
    Bytes,
}

/// The cost in nanoseconds for each size of one thing.
struct Row {
    what: &'static str,
    /// Of what a cost is.
    each: &'static str,
    law: Law,
    /// How many there were, bytes of the whole, cost.
    points: Vec<(usize, usize, f64)>,
}

pub struct Growth(Vec<Row>);

/// Starts a proxy whose config is changed so.
type Start<'a> = dyn Fn(&dyn Fn(&mut Value)) -> Server + 'a;

impl Row {
    /// How far the last point is from its law: as a multiple of the first one, and by bytes of what the cost rose by for each
    /// byte before. 1 is on the line.
    fn excess(&self) -> f64 {
        let slope = |(_, from, least): (usize, usize, f64), (_, to, most): (usize, usize, f64)| {
            (most - least).max(0.0) / (to - from).max(1) as f64
        };
        match (self.law, &self.points[..]) {
            (Law::Flat, [first, .., last]) => last.2 / first.2,
            (Law::Bytes, [first, .., before, last]) => slope(*before, *last) / slope(*first, *before).max(0.001),
            _ => 1.0,
        }
    }
}

/// Measures all of it, in about two minutes.
pub fn measure(clock: Instant, program: &Path, folder: &Folder, google: SocketAddr) -> Growth {
    let start = |change: &dyn Fn(&mut Value)| process::proxy(program, folder, &format!("http://{google}"), change);
    let mut rows = vec![streams(clock, &start)];
    let names =
        |count: usize| (0..count).map(|at| format!("sk-other-{at}")).chain(["sk-load".into()]).collect::<Vec<_>>();
    let accounts = |count: usize| (0..count).map(|at| format!("AIza-load-{at}")).collect::<Vec<_>>();
    for (what, field, list) in [
        ("client keys", "auth_keys", &names as &dyn Fn(usize) -> Vec<String>),
        ("credentials", "gemini_api_keys", &accounts),
    ] {
        let point = |count: usize| {
            let proxy = start(&|config| config[field] = json!(list(count)));
            (count, count, cost(&proxy, &body(&[], "hello"), 1000))
        };
        rows.push(Row { what, each: "request", law: Law::Flat, points: [1, 100, 10_000].map(point).into() });
    }
    let proxy = start(&|_| {});
    let tools = |count: usize| {
        let body = body(&(0..count).map(tool).collect::<Vec<_>>(), "hello");
        (count, body.len(), cost(&proxy, &body, 200))
    };
    rows.push(Row { what: "tools", each: "request", law: Law::Bytes, points: [0, 10, 50, 200].map(tools).into() });
    let history = |bytes: usize| {
        let body = conversation(bytes);
        (bytes, body.len(), cost(&proxy, &body, (4_000_000 / bytes).clamp(4, 400)))
    };
    let sizes = [1_000, 10_000, 100_000, 1_000_000, 8_000_000];
    rows.push(Row { what: "bytes of history", each: "request", law: Law::Bytes, points: sizes.map(history).into() });
    let event = |bytes: usize| {
        let of = |events: usize| {
            let prompt = format!("events={events} every_us=1000 pad={bytes} please");
            cpu(&proxy, || _ = clients::ask_streamed(&target(&proxy), &prompt))
        };
        of(2);
        // What else the process does in between may fall into one of them.
        let mut rounds = [(); 3].map(|()| of(60) - of(20));
        rounds.sort_by(f64::total_cmp);
        (bytes, bytes, rounds[1].max(1.0) / 40.0)
    };
    let sizes = [50, 500, 5_000, 50_000, 1_000_000];
    rows.push(Row { what: "bytes of an event", each: "event", law: Law::Bytes, points: sizes.map(event).into() });
    Growth(rows)
}

/// Events of many streams at once, at 4,000 a second or less: what a longer run took beyond a shorter one.
fn streams(clock: Instant, start: &Start<'_>) -> Row {
    let point = |count: usize| {
        let every = Duration::from_micros((250 * count as u64).max(10_000));
        let proxy = start(&|config| config["server"]["workers"] = json!(count + 24));
        // To begin thousands of streams costs seconds: their events have to be much beside what that differs by.
        let (few, more) = (2, 42.max(32_000 / count.max(160)));
        let of = |events: usize| {
            let plan = Streams { count, events, every, ramp: Duration::from_millis(1) * count as u32 };
            cpu(&proxy, || _ = clients::stream(clock, &target(&proxy), &plan, Default::default))
        };
        of(few);
        (count, count, (of(more) - of(few)).max(1.0) / ((more - few) * count) as f64)
    };
    let points = [1, 10, 100, 1000, 4000].map(point).into();
    Row { what: "streams", each: "event", law: Law::Flat, points }
}

fn target(proxy: &Server) -> Target {
    Target { address: proxy.address, speaks: Dialect::Chat }
}

/// CPU time in nanoseconds that `work` takes of the server. Its threads count in nanoseconds, but of one that ends the last
/// is lost; the process counts all, in hundredths of a second. So the latter says it where it is much.
fn cpu(server: &Server, work: impl FnOnce()) -> f64 {
    let of_threads = || -> HashMap<OsString, u64> {
        let tasks = fs::read_dir(format!("/proc/{}/task", server.id())).into_iter().flatten().flatten();
        let time = |task: &Path| fs::read_to_string(task.join("schedstat")).ok()?.split(' ').next()?.parse().ok();
        tasks.filter_map(|task| Some((task.file_name(), time(&task.path())?))).collect()
    };
    let before = (of_threads(), server.figures().cpu);
    work();
    let of_process = server.figures().cpu.saturating_sub(before.1);
    if of_process > Duration::from_millis(300) {
        return of_process.as_nanos() as f64;
    }
    of_threads().iter().map(|(id, time)| time - before.0.get(id).unwrap_or(&0)).sum::<u64>() as f64
}

/// One request after the other on one connection.
fn cost(proxy: &Server, body: &str, count: usize) -> f64 {
    let request = clients::post("/v1/chat/completions", body);
    let ask = |count: usize| {
        let (times, failures) = clients::ask_one(proxy.address, &request, count);
        assert_eq!((times.len(), failures), (count, 0), "each request must be answered");
    };
    ask(count / 4 + 1);
    cpu(proxy, || ask(count)) / count as f64
}

fn body(tools: &[Value], prompt: &str) -> String {
    let mut body = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": prompt}]});
    if !tools.is_empty() {
        (body["tools"], body["tool_choice"]) = (json!(tools), json!("none"));
    }
    body.to_string()
}

fn tool(at: usize) -> Value {
    json!({"type": "function", "function": {"name": format!("tool_{at}"), "description": "Tells what the weather will be at a place.",
        "parameters": {"type": "object", "required": ["place"], "properties": {
            "place": {"type": "string", "description": "The name of the place."},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
            "units": {"type": "string", "enum": ["metric", "imperial"]}}}}})
}

/// Turns of 2,000 bytes; many short ones are refused (docs/http.md "What a body may weigh").
fn conversation(bytes: usize) -> String {
    let said =
        "The keeper wrote down what he had seen, in a small and careful hand. ".repeat((bytes / 70).clamp(1, 28));
    let turns = (bytes / (said.len() + 40)).max(1) | 1;
    let turn = |at: usize| json!({"role": if at.is_multiple_of(2) { "user" } else { "assistant" }, "content": said});
    json!({"model": "gemini-2.5-flash", "messages": (0..turns).map(turn).collect::<Vec<_>>()}).to_string()
}

impl Growth {
    /// A section of the page.
    pub fn tell(&self, page: &mut String) {
        page.push_str(
            "## Growth\n\n![Cost by size](growth.svg)\n\nCPU time of the proxy, one client for requests. *Excess* is 1 on the line: the \
             last cost by the first where it should be flat, else what each further byte costs at the end by what it cost before.\n\n\
             | what | of | cost in us by size | excess |\n|--|--|--|--|\n",
        );
        for row in &self.0 {
            let points = row.points.iter().map(|(size, _, cost)| format!("{size}: {:.0}", cost / 1000.0));
            let points = points.collect::<Vec<_>>().join(", ");
            let _ = writeln!(page, "| {} | {} | {points} | {:.2} |", row.what, row.each, row.excess());
        }
        page.push('\n');
    }

    /// Cost by size, both in powers of ten.
    pub fn svg(&self) -> String {
        const COLOURS: [&str; 6] = ["#2f6fde", "#123a7a", "#9aa5b1", "#d9822b", "#3d9a50", "#a33f7a"];
        let mut svg = String::from(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 340\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"640\" height=\"340\" fill=\"#fff\"/>\n<text x=\"50\" y=\"20\" font-size=\"14\">CPU time in microseconds by size</text>\n",
        );
        let x = |size: usize| 50.0 + (size.max(1) as f64).log10() * 60.0;
        let y = |cost: f64| 310.0 - ((cost / 1000.0).max(1.0).log10() * 50.0);
        for power in 0..=5_i32 {
            let (at, size) = (y(10_f64.powi(power) * 1000.0), 10_usize.pow(power as u32));
            let _ = writeln!(
                svg,
                "<path d=\"M50 {at:.0}H480\" stroke=\"#ddd\"/><text x=\"8\" y=\"{:.0}\">{size}</text><text x=\"{:.0}\" y=\"328\">{size}</text>",
                at + 4.0,
                x(size) - 4.0
            );
        }
        for (at, (row, colour)) in self.0.iter().zip(COLOURS).enumerate() {
            let points = row.points.iter().map(|(size, _, cost)| format!("{:.0},{:.0}", x(*size), y(*cost)));
            let points = points.collect::<Vec<_>>().join(" ");
            let _ = writeln!(
                svg,
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
                 <text x=\"500\" y=\"{}\" fill=\"{colour}\">{}</text>",
                60 + at * 22,
                row.what
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}
