//! Alerts: when the program needs a person, whom the config names is told by webhook. One thread looks every few seconds
//! ([`watch`]) and sends ([`outbox`]), so no request waits for it. Each matter is told once; what was told outlives a restart
//! in the state file's section `alerts`. Cargo feature `alerts`.

mod outbox;
mod watch;

use crate::config::{AlertTarget, Config};
use crate::message::Message;
use crate::serve::app::Current;
use crate::storage::state::{Part, Section, Sink, State};
use crate::upstream::Poster;
use crossbeam_channel::{RecvTimeoutError, Sender, TryRecvError, bounded};
use outbox::Outbox;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What is over for less than this and comes again is the same matter.
const QUIET: Duration = Duration::from_secs(3600);
/// Matters that are told one by one when many come at once.
const SINGLE: usize = 10;
/// A ureq call through rustls needs up to 192 KiB in debug builds (docs/crates.md "Stacks of threads").
const STACK: usize = 512 * 1024;

/// Something that a person should know.
pub(super) struct Alert {
    /// What it is the same matter by.
    pub id: String,
    pub is_error: bool,
    pub message: Message,
    /// Where a person can act.
    pub link: Option<String>,
}

/// What was told, and since when each matter was not seen any more.
#[derive(Debug, Default)]
struct Told {
    /// When it was told, in seconds since 1970.
    matters: Mutex<BTreeMap<String, u64>>,
    version: AtomicU64,
}

impl Told {
    fn restore(section: &Section) -> Told {
        let mut matters = BTreeMap::new();
        matters.extend(section.records().filter_map(|(id, json)| Some((id.to_owned(), json.parse().ok()?))));
        Told { matters: Mutex::new(matters), version: AtomicU64::new(0) }
    }

    fn save(&self, part: Part, written: &mut Vec<String>, sink: &mut Sink<'_>) {
        let matters = self.matters.lock();
        matters.iter().for_each(|(id, at)| sink.put(id, at));
        if part == Part::Changed {
            written.iter().filter(|id| !matters.contains_key(*id)).for_each(|id| sink.remove(id));
        }
        *written = matters.keys().cloned().collect();
    }

    fn has(&self, id: &str) -> bool {
        self.matters.lock().contains_key(id)
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, u64>)) {
        change(&mut self.matters.lock());
        self.version.fetch_add(1, Ordering::Release);
    }
}

/// The thread.
pub struct Alerts {
    stop: Sender<()>,
    thread: JoinHandle<()>,
    poster: Poster,
}

impl Alerts {
    /// Starts it. It looks once in a `period`.
    pub fn start(current: Arc<Current>, state: &State, config: &Config, period: Duration) -> io::Result<Alerts> {
        let told = Arc::new(Told::restore(&state.take("alerts")));
        let written = Mutex::new(told.matters.lock().keys().cloned().collect::<Vec<_>>());
        let (changed, kept) = (told.clone(), told.clone());
        let version = move || changed.version.load(Ordering::Acquire);
        state.own("alerts", version, move |part, sink| kept.save(part, &mut written.lock(), sink));
        let poster = Poster::new(config);
        let mine = poster.clone();
        let (stop, stopped) = bounded(0);
        let thread = std::thread::Builder::new().name("alerts".into()).stack_size(STACK).spawn(move || {
            let mut outbox = Outbox::new(mine);
            let mut gone = BTreeMap::new();
            let mut look_at = Instant::now();
            loop {
                if Instant::now() >= look_at {
                    look_at = Instant::now() + period;
                    look(&current, &told, &mut gone, &mut outbox);
                }
                let settled = outbox.send_due(|| stopped.try_recv() == Err(TryRecvError::Disconnected));
                if !settled.is_empty() {
                    told.change(|matters| matters.extend(settled.into_iter().map(|id| (id, seconds()))));
                }
                let next = outbox.next_due().map_or(look_at, |due| due.min(look_at));
                let wait = next.saturating_duration_since(Instant::now());
                if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        Ok(Alerts { stop, thread, poster })
    }

    /// Ends it; what is not sent is told after the next start.
    pub fn stop(self) {
        drop(self.stop);
        self.poster.shutdown();
        // A panic was reported by the panic hook already.
        let _ = self.thread.join();
    }
}

/// Puts what is new into the outbox, and forgets what is over for a while.
fn look(current: &Current, told: &Told, gone: &mut BTreeMap<String, Instant>, outbox: &mut Outbox) {
    let app = current.get();
    let targets = &app.config.alerts;
    if targets.is_empty() {
        return;
    }
    let alerts = watch::alerts(&app);
    let server = app.config.base_url(app.port);
    let is_new = |alert: &&Alert| !told.has(&alert.id) && !outbox.holds(&alert.id);
    let new: Vec<&Alert> = alerts.iter().filter(is_new).collect();
    let (single, rest) = new.split_at(new.len().min(SINGLE));
    let many = Alert {
        id: format!("{} more", rest.first().map_or("", |alert| &alert.id)),
        is_error: true,
        message: Message::new("alert_many").with("count", rest.len()),
        link: None,
    };
    let summary = (!rest.is_empty()).then_some(&many);
    for alert in single.iter().copied().chain(summary) {
        // What finds no room is new again at the next look.
        if outbox.room() < targets.len() {
            break;
        }
        targets.iter().for_each(|target| outbox.put(target, alert, &server));
        if alert.id == many.id {
            told.change(|matters| matters.extend(rest.iter().map(|alert| (alert.id.clone(), seconds()))));
        }
    }
    let now = Instant::now();
    let is_there = |id: &String| alerts.iter().any(|alert| alert.id == *id);
    let absent: Vec<String> = told.matters.lock().keys().filter(|id| !is_there(id)).cloned().collect();
    gone.retain(|id, _| absent.contains(id));
    absent.iter().for_each(|id| _ = gone.entry(id.clone()).or_insert(now));
    let over: Vec<String> =
        gone.iter().filter(|(_, since)| now.duration_since(**since) >= QUIET).map(|(id, _)| id.clone()).collect();
    if !over.is_empty() {
        told.change(|matters| over.iter().for_each(|id| _ = matters.remove(id)));
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Sends one message of trial to each target; what became of it, with whom it was for.
pub fn try_out(config: &Config) -> Vec<(String, Result<(), String>)> {
    let poster = Poster::new(config);
    let alert = Alert { id: "test".into(), is_error: false, message: Message::new("alert_test"), link: None };
    let server = config.base_url(config.port);
    let send = |(at, target): (usize, &AlertTarget)| {
        (
            format!("alerts[{at}]"),
            outbox::send(&poster, target, &outbox::Letter::new(target, &alert, &server)).map_err(|failure| failure.why),
        )
    };
    config.alerts.iter().enumerate().map(send).collect()
}
