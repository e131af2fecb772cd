//! `GET /metrics` in Prometheus' text format, written by hand: it is a page of lines. Labels are bounded by what counts
//! them (`usage::Live`) and by the words of the pool.

use crate::credentials::View;
use crate::http::Snapshot;
use crate::keys::{Allowance, Key, Keys};
use crate::store::StoreFigures;
use crate::usage::{BOUNDS_MS, Histogram, Live, dollars};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// What is shown.
pub struct Figures {
    /// Counters of this run.
    pub live: Live,
    /// The listener.
    pub server: Snapshot,
    /// The credentials.
    pub pool: Vec<View>,
    /// Limits of keys, by the keys' names.
    pub allowances: Vec<(Arc<str>, Allowance)>,
    /// Since the start.
    pub uptime: Duration,
    /// Resident bytes.
    pub memory: u64,
    /// The store that replicas share.
    pub store: Option<StoreFigures>,
}

/// Limits that are shown, those first of which the most is used.
const MOST_ALLOWANCES: usize = 500;

/// A limit, or what is used of it.
type Figure = fn((f64, f64)) -> f64;

/// The limits of all keys that are shown.
pub(super) fn allowances(keys: &Keys) -> Vec<(Arc<str>, Allowance)> {
    if !cfg!(feature = "ledger") {
        return Vec::new();
    }
    let keys = keys.list();
    let of_key = |key: &Arc<Key>| key.allowances().into_iter().map(|allowance| (key.name.clone(), allowance)).collect();
    let mut all: Vec<_> = keys.iter().flat_map(|key| -> Vec<_> { of_key(key) }).collect();
    all.sort_by_key(|(_, allowance)| std::cmp::Reverse(allowance.percent()));
    all.truncate(MOST_ALLOWANCES);
    all
}

/// The whole text.
pub fn text(figures: &Figures) -> String {
    let mut page = Page::default();
    let (live, server) = (&figures.live, &figures.server);
    page.head("gemini_proxy_build_info", "gauge", "Version of the program; always 1.");
    page.line("gemini_proxy_build_info", &[("version", env!("CARGO_PKG_VERSION"))], "1");
    page.single("gemini_proxy_uptime_seconds", "gauge", "Seconds since the start.", figures.uptime.as_secs());
    page.single("process_resident_memory_bytes", "gauge", "Resident memory in bytes.", figures.memory);
    page.single("gemini_proxy_connections", "gauge", "Open client connections.", server.connections as u64);
    page.single(
        "gemini_proxy_requests_in_flight",
        "gauge",
        "Generation requests admitted and not yet answered.",
        (server.busy + server.queued) as u64,
    );
    page.single("gemini_proxy_queue_depth", "gauge", "Requests waiting for a worker.", server.queued as u64);
    page.single("gemini_proxy_workers_busy", "gauge", "Workers that answer a request.", server.busy as u64);
    page.single("gemini_proxy_workers", "gauge", "Workers for generation requests.", server.workers as u64);

    page.head("gemini_proxy_requests_total", "counter", "Generation requests that ended; status 499: the client left.");
    for (surface, model, status, count) in &live.requests {
        let labels = [("surface", *surface), ("model", model), ("status", &status.to_string())];
        page.line("gemini_proxy_requests_total", &labels, &count.to_string());
    }
    page.single(
        "gemini_proxy_wrong_keys_total",
        "counter",
        "Requests without a client key that is known and may be used.",
        live.wrong_keys,
    );
    page.head("gemini_proxy_tokens_total", "counter", "Tokens as Google counts them.");
    for (model, counts, _) in &live.tokens {
        for (kind, count) in ["prompt", "completion", "thinking", "cached"].iter().zip(counts) {
            page.line("gemini_proxy_tokens_total", &[("model", model), ("kind", kind)], &count.to_string());
        }
    }
    if cfg!(feature = "ledger") {
        page.money(live, &figures.allowances);
    }
    page.head("gemini_proxy_images_total", "counter", "Pictures that clients got.");
    for (model, [images, _]) in live.media.iter().filter(|(_, [images, _])| *images > 0) {
        page.line("gemini_proxy_images_total", &[("model", model)], &images.to_string());
    }
    page.head("gemini_proxy_audio_seconds_total", "counter", "Speech that was made or written down.");
    for (model, [_, audio]) in live.media.iter().filter(|(_, [_, audio])| *audio > 0) {
        page.line("gemini_proxy_audio_seconds_total", &[("model", model)], &seconds(*audio));
    }
    page.head("gemini_proxy_upstream_errors_total", "counter", "Failed attempts at Google by class.");
    for (class, count) in &live.upstream_errors {
        page.line("gemini_proxy_upstream_errors_total", &[("class", class)], &count.to_string());
    }
    page.head("gemini_proxy_credentials", "gauge", "Credentials of the pool by state.");
    for (state, count) in states(&figures.pool) {
        page.line("gemini_proxy_credentials", &[("state", state)], &count.to_string());
    }
    let available = figures.pool.iter().filter(|view| view.available).count() as u64;
    page.single("gemini_proxy_credentials_available", "gauge", "Credentials that can be used now.", available);

    page.head(
        "gemini_proxy_request_duration_seconds",
        "histogram",
        "Answered requests, from the whole request to the end.",
    );
    for (surface, latency, _) in &live.times {
        page.histogram("gemini_proxy_request_duration_seconds", surface, latency);
    }
    page.head(
        "gemini_proxy_time_to_first_token_seconds",
        "histogram",
        "Answered streams, from the whole request to the first piece of content.",
    );
    for (surface, _, first_token) in &live.times {
        page.histogram("gemini_proxy_time_to_first_token_seconds", surface, first_token);
    }
    if let Some(store) = &figures.store {
        shared(&mut page, store);
    }
    page.0
}

#[cfg(feature = "replicas")]
fn shared(page: &mut Page, store: &StoreFigures) {
    page.head("gemini_proxy_replica_info", "gauge", "This replica; always 1.");
    let labels = [("replica", &*store.replica), ("version", env!("CARGO_PKG_VERSION"))];
    page.line("gemini_proxy_replica_info", &labels, "1");
    page.single(
        "gemini_proxy_store_up",
        "gauge",
        "Whether the store of the replicas answers and takes changes.",
        store.is_up.into(),
    );
    page.head("gemini_proxy_store_errors_total", "counter", "Calls of the store that failed.");
    for (kind, count) in &store.errors {
        page.line("gemini_proxy_store_errors_total", &[("kind", kind)], &count.to_string());
    }
    page.single(
        "gemini_proxy_admissions_local_total",
        "counter",
        "Requests with a limited key that this replica judged alone.",
        store.alone,
    );
    page.single(
        "gemini_proxy_store_pending_batches",
        "gauge",
        "Keys and batches of usage whose counts are not sent yet.",
        store.waiting,
    );
    page.single("gemini_proxy_replicas", "gauge", "Replicas that lived when they were counted last.", store.replicas);
    page.head(
        "gemini_proxy_store_clock_skew_seconds",
        "gauge",
        "How far this machine's clock is ahead of the store's.",
    );
    page.line("gemini_proxy_store_clock_skew_seconds", &[], &store.ahead.to_string());
}

#[cfg(not(feature = "replicas"))]
fn shared(_: &mut Page, store: &StoreFigures) {
    match *store {}
}

/// All states, so that one without credentials is a zero and not a gap.
fn states(views: &[View]) -> BTreeMap<&'static str, u64> {
    let words = ["active", "expired", "refreshing", "exhausted", "error", "disabled"];
    let mut states = BTreeMap::new();
    states.extend(words.map(|word| (word, 0)));
    for view in views {
        *states.entry(if view.disabled { "disabled" } else { view.status }).or_default() += 1;
    }
    states
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.head(name, kind, help);
        self.line(name, &[], &value.to_string());
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if at == 0 { "{" } else { "," }, escaped(text));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn money(&mut self, live: &Live, allowances: &[(Arc<str>, Allowance)]) {
        self.head("gemini_proxy_cost_dollars_total", "counter", "US dollars by the prices that are known.");
        for (model, _, cost) in &live.tokens {
            self.line("gemini_proxy_cost_dollars_total", &[("model", model)], &dollars(*cost).to_string());
        }
        let kinds: [(&str, &str, Figure); 2] = [
            ("gemini_proxy_key_limit", "A key's limit of a day or a month of UTC.", |(limit, _)| limit),
            ("gemini_proxy_key_used", "What the key has used of that limit.", |(_, used)| used),
        ];
        for (name, help, figure) in kinds {
            self.head(name, "gauge", help);
            for (key, allowance) in allowances {
                let labels = [("key", &**key), ("limit", allowance.name)];
                self.line(name, &labels, &figure(allowance.figures()).to_string());
            }
        }
    }

    fn histogram(&mut self, name: &str, surface: &str, histogram: &Histogram) {
        let mut below = 0;
        for (at, count) in histogram.counts().iter().enumerate() {
            below += u64::from(*count);
            let bound = BOUNDS_MS.get(at).map_or_else(|| "+Inf".to_owned(), |bound| seconds(*bound));
            self.line(&format!("{name}_bucket"), &[("surface", surface), ("le", &bound)], &below.to_string());
        }
        self.line(&format!("{name}_sum"), &[("surface", surface)], &seconds(histogram.sum_ms()));
        self.line(&format!("{name}_count"), &[("surface", surface)], &below.to_string());
    }
}

fn seconds(ms: u64) -> String {
    (ms as f64 / 1000.0).to_string()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_rise_and_labels_are_escaped() {
        let mut histogram = Histogram::default();
        [3, 5, 600_000].iter().for_each(|ms| histogram.record(Duration::from_millis(*ms)));
        let live = Live {
            requests: vec![("chat", "a\"b\\c\nd".into(), 200, 3)],
            times: vec![("chat", histogram, Histogram::default())],
            ..Live::default()
        };
        let figures = Figures {
            live,
            server: Snapshot::default(),
            pool: Vec::new(),
            allowances: Vec::new(),
            uptime: Duration::from_secs(5),
            memory: 1,
            store: None,
        };
        let text = text(&figures);
        for line in [
            r#"gemini_proxy_requests_total{surface="chat",model="a\"b\\c\nd",status="200"} 3"#,
            r#"gemini_proxy_request_duration_seconds_bucket{surface="chat",le="0.004"} 1"#,
            r#"gemini_proxy_request_duration_seconds_bucket{surface="chat",le="262.144"} 2"#,
            r#"gemini_proxy_request_duration_seconds_bucket{surface="chat",le="+Inf"} 3"#,
            r#"gemini_proxy_request_duration_seconds_sum{surface="chat"} 600.008"#,
            r#"gemini_proxy_time_to_first_token_seconds_count{surface="chat"} 0"#,
            r#"gemini_proxy_credentials{state="active"} 0"#,
            "gemini_proxy_uptime_seconds 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
