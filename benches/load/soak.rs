//! Endurance: a moderate load of every kind for a long time. Memory, threads and descriptors must stay where they are, no
//! request may be lost, and tokens must be refreshed in time and no more often than that.

use crate::answers::{Account, LIFETIME};
use crate::clients::{self, Streams, Target};
use crate::mix::{Client, KINDS};
use crate::process::{self, Figures, Folder, Server};
use crate::report;
use crate::upstream::Upstream;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

/// From this length on it is the promised one, and its result is written down.
const WHOLE: Duration = Duration::from_secs(600);
const ACCOUNTS: u64 = 4;
/// Threads with a wave of streams each, out of step, so that some end while others begin.
const WAVES: u32 = 3;
const WAVE: Streams =
    Streams { count: 10, events: 200, every: Duration::from_millis(50), ramp: Duration::from_secs(1) };
/// The column of the streams is in front of those of [`KINDS`].
const COLUMNS: usize = 1 + KINDS.len();
/// More than ever run at the same time, so that all threads are there from the beginning.
const WORKERS: usize = 64;
/// The cache of signatures is full after a thousand uses of a tool. Only after its content was replaced some times, from
/// more than one thread, have the allocator's gaps between what lives long and what lives shortly come to their full number.
const TOOLS: usize = 4000;

/// Requests that went as they should, and those that did not.
#[derive(Default)]
struct Tally {
    well: [AtomicU64; COLUMNS],
    lost: [AtomicU64; COLUMNS],
}

/// One look at everything.
struct Sample {
    at: Duration,
    figures: Figures,
    well: [u64; COLUMNS],
    lost: u64,
    refreshes: u64,
}

/// One rule and whether it held.
struct Verdict {
    holds: bool,
    sentence: String,
}

/// Runs for `length`; false when a rule was broken.
pub fn run(clock: Instant, program: &Path, folder: &Folder, google: &Upstream, length: Duration) -> bool {
    let credentials = folder.0.join("oauth.json");
    std::fs::write(&credentials, accounts().to_string()).expect("the credentials file");
    let proxy = process::proxy(program, folder, &format!("http://{}", google.plain), |config| {
        config["credentials_file"] = json!(credentials);
        config["state_file"] = json!(folder.0.join("state.json"));
        config["server"]["workers"] = json!(WORKERS);
    });
    let (client, tally) = (Client::new(proxy.address), Tally::default());
    warm_up(clock, &proxy, &client);
    let begin = Instant::now();
    let before = books(google);
    let samples = load(clock, &proxy, &client, &tally, google, length);
    let verdicts = judge(&samples, &before, &books(google), begin.elapsed());
    let page = page(&samples, &verdicts, length);
    println!("{page}");
    if length >= WHOLE {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/soak.md");
        std::fs::write(file, page).expect("the report");
    }
    verdicts.iter().all(|verdict| verdict.holds)
}

/// Logins whose tokens are over.
fn accounts() -> Value {
    let login = |number| {
        json!({"access_token": "old", "refresh_token": format!("r{number}"), "token_type": "Bearer",
        "expiry_date": 1, "project_id": "project"})
    };
    (0..ACCOUNTS).map(login).collect()
}

fn books(google: &Upstream) -> Vec<Account> {
    (0..ACCOUNTS).map(|number| google.books.account(number)).collect()
}

/// Starts every worker and fills the cache: both are bounded, but this load would take hours to get there.
fn warm_up(clock: Instant, proxy: &Server, client: &Client) {
    let every = Duration::from_millis(20);
    let crowd = Streams { count: WORKERS, events: 50, every, ramp: Duration::from_millis(100) };
    let seen = clients::stream(clock, &target(proxy), &crowd, Figures::default);
    assert_eq!(seen.whole, WORKERS, "streams of the warm-up were lost");
    let use_tools = || (0..TOOLS / 2).for_each(|_| client.use_tool().expect("a tool is used"));
    std::thread::scope(|scope| (0..2).for_each(|_| _ = scope.spawn(use_tools)));
}

fn target(proxy: &Server) -> Target {
    Target { address: proxy.address, speaks: clients::Dialect::Chat }
}

fn load(
    clock: Instant,
    proxy: &Server,
    client: &Client,
    tally: &Tally,
    google: &Upstream,
    length: Duration,
) -> Vec<Sample> {
    let stop = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        for wave in 0..WAVES {
            scope.spawn(move || {
                park_timeout(WAVE.every * WAVE.events as u32 / WAVES * wave);
                while !stop.load(Ordering::Relaxed) {
                    let seen = clients::stream(clock, &target(proxy), &WAVE, Figures::default);
                    tally.well[0].fetch_add(seen.whole as u64, Ordering::Relaxed);
                    tally.lost[0].fetch_add((WAVE.count - seen.whole) as u64, Ordering::Relaxed);
                }
            });
        }
        for (kind, column) in KINDS.iter().zip(1..) {
            scope.spawn(move || {
                let mut due = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    match (kind.ask)(client) {
                        Ok(()) => _ = tally.well[column].fetch_add(1, Ordering::Relaxed),
                        Err(reason) => {
                            tally.lost[column].fetch_add(1, Ordering::Relaxed);
                            eprintln!("{}: {reason}", kind.name);
                        }
                    }
                    due += kind.every;
                    while due > Instant::now() && !stop.load(Ordering::Relaxed) {
                        park_timeout((due - Instant::now()).min(Duration::from_millis(200)));
                    }
                }
            });
        }
        let samples = watch(proxy, tally, google, length);
        stop.store(true, Ordering::Relaxed);
        samples
    })
}

/// Looks every second.
fn watch(proxy: &Server, tally: &Tally, google: &Upstream, length: Duration) -> Vec<Sample> {
    let begin = Instant::now();
    let mut samples = Vec::new();
    while begin.elapsed() < length {
        std::thread::sleep(Duration::from_secs(1));
        samples.push(Sample {
            at: begin.elapsed(),
            figures: proxy.figures(),
            well: std::array::from_fn(|column| tally.well[column].load(Ordering::Relaxed)),
            lost: tally.lost.iter().map(|lost| lost.load(Ordering::Relaxed)).sum(),
            refreshes: books(google).iter().map(|account| account.refreshes).sum(),
        });
    }
    samples
}

/// The mean of what was seen in a part of the time, `from` and `to` as shares of it.
fn mean(samples: &[Sample], from: f64, to: f64, of: impl Fn(&Figures) -> f64) -> f64 {
    let at = |share: f64| (samples.len() as f64 * share) as usize;
    let part = &samples[at(from)..at(to)];
    part.iter().map(|sample| of(&sample.figures)).sum::<f64>() / part.len().max(1) as f64
}

fn judge(samples: &[Sample], before: &[Account], after: &[Account], length: Duration) -> Vec<Verdict> {
    // Of ten minutes the last beside the third, of a shorter run the last fifth beside the one before the middle.
    let (early, late, names) = if length >= WHOLE {
        ((0.2, 0.3), (0.9, 1.0), ["minute three", "the last minute"])
    } else {
        ((0.3, 0.5), (0.8, 1.0), ["the fifth before the middle", "the last fifth"])
    };
    let mut verdicts = Vec::new();
    let mut rule = |holds: bool, sentence: String| verdicts.push(Verdict { holds, sentence });
    // A refresh, and a request more or less at the same time, are no growth.
    for (name, of, room) in [
        ("RSS, MB", (|figures| report::mib(figures.resident)) as fn(&Figures) -> f64, 0.0),
        ("threads", |figures| figures.threads as f64, 1.0),
        ("descriptors", |figures| figures.descriptors as f64, 2.0),
    ] {
        let [before, now] = [early, late].map(|(from, to)| mean(samples, from, to, of));
        let text = format!("{name}: {before:.1} in {}, {now:.1} in {}", names[0], names[1]);
        rule(now <= before * 1.05 + room, text);
    }
    let last = samples.last().expect("at least one look");
    let idle = last.well.iter().filter(|count| **count == 0).count();
    let sum: u64 = last.well.iter().sum();
    rule(last.lost == 0 && idle == 0, format!("requests: {sum} as they should be, {} lost", last.lost));
    // Whether a request meets an account or the key is left to the rotation, so a short run may take none back.
    let revoked: u64 = before.iter().zip(after).map(|(before, after)| after.revoked - before.revoked).sum();
    rule(length < WHOLE || revoked > 0, format!("tokens taken back in the middle of their life: {revoked}"));
    // A token is replaced at half of its life, and once for each that was taken back.
    let lives = length.as_secs_f64() / LIFETIME.as_secs_f64();
    for (number, (before, after)) in before.iter().zip(after).enumerate() {
        let (refreshes, revoked) = (after.refreshes - before.refreshes, after.revoked - before.revoked);
        let (least, most) = ((lives - 1.0).max(0.0) as u64 + revoked, (2.0 * lives) as u64 + 2 + revoked);
        rule(
            (least..=most).contains(&refreshes) && after.stale == before.stale,
            format!(
                "account {number}: {refreshes} refreshes ({least} to {most} wanted, {revoked} tokens taken back), {} \
                 requests with a token that was over",
                after.stale - before.stale
            ),
        );
    }
    verdicts
}

/// A row per minute, or per fifth of a short run.
fn page(samples: &[Sample], verdicts: &[Verdict], length: Duration) -> String {
    let mut page = String::from(
        "# Endurance\n\nWritten by `make soak`. A mixed load on the proxy, whose pool is four accounts with tokens of 20 seconds \
         and one API key: what each kind of request came to as it should, since the row before. A *masked* failure is Google's \
         at the first attempt and must not be seen by the client, a *told* one is Google's at all attempts. *Left* are clients \
         that go away in the middle of a stream.\n\n",
    );
    let _ = writeln!(page, "{}. {} seconds.\n", report::circumstances(), length.as_secs());
    let names: Vec<&str> = std::iter::once("streams").chain(KINDS.iter().map(|kind| kind.name)).collect();
    let _ = writeln!(page, "| second | RSS MB | threads | descriptors | {} | lost | refreshes |", names.join(" | "));
    let _ = writeln!(page, "|{}", "--|".repeat(6 + COLUMNS));
    let step = (length.as_secs() / 5).clamp(1, 60) as usize;
    let (mut well, mut lost, mut refreshes) = ([0; COLUMNS], 0, samples.first().map_or(0, |sample| sample.refreshes));
    for sample in samples.iter().skip(step - 1).step_by(step) {
        let counts: Vec<String> = (0..COLUMNS).map(|at| (sample.well[at] - well[at]).to_string()).collect();
        let _ = writeln!(
            page,
            "| {} | {:.1} | {} | {} | {} | {} | {} |",
            sample.at.as_secs(),
            report::mib(sample.figures.resident),
            sample.figures.threads,
            sample.figures.descriptors,
            counts.join(" | "),
            sample.lost - lost,
            sample.refreshes - refreshes
        );
        (well, lost, refreshes) = (sample.well, sample.lost, sample.refreshes);
    }
    page.push('\n');
    for Verdict { holds, sentence } in verdicts {
        let _ = writeln!(page, "- {}: {sentence}", if *holds { "held" } else { "**broken**" });
    }
    page
}
