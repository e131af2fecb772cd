//! What was used: counted once per request by the handler, per mark of a client key, credential and model: since the last reset, per
//! day and per hour of UTC. Kept in the state file's section `usage`. Knows neither the pool nor the config.
//!
//! Counting takes one short lock and allocates only for a row that is new. Whoever reads gets a [`Snapshot`] that
//! shares the tables; a table that changes while it is being read is copied first.

mod histogram;
mod live;
mod recent;
mod saved;
mod series;
mod table;

pub use histogram::{BOUNDS_MS, Histogram};
pub use live::Live;
pub use recent::Entry;
pub use table::{Counts, Line, OTHER, Table, sum_by};

use crate::calendar;
use crate::gemini::UsageMetadata;
use parking_lot::Mutex;
use recent::Recent;
use serde_json::{Map, Value, json};
use series::{Bounds, Series};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Days that are kept. The last 31 in detail, so that a month can be shown.
const DAYS: Bounds = Bounds { periods: 400, now: 1000, over: 200, detailed: 32, old: 20 };
/// Hours that are kept: the present one and 48 whole ones.
const HOURS: Bounds = Bounds { periods: 49, now: 200, over: 50, detailed: 49, old: 50 };
/// Rows of the sums since the last reset.
const TOTAL: usize = 1000;

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// Who asked whom for what; the credential is empty when nobody was asked.
    pub line: &'a Line,
    /// `chat`, `gemini`, ...
    pub surface: &'static str,
    /// The HTTP status, 499 for a client that left.
    pub status: u16,
    /// Whether Google answered; a client that left was answered too, for Google counted it.
    pub answered: bool,
    /// Google's last token counts.
    pub usage: &'a UsageMetadata,
    /// From the whole request to the end of the answer.
    pub latency: Duration,
    /// From the whole request to the first piece of content, for streams.
    pub first_token: Option<Duration>,
}

/// All counters. Methods without a time count now.
#[derive(Debug)]
pub struct Usage {
    ledger: Mutex<Ledger>,
}

#[derive(Debug)]
struct Ledger {
    since: SystemTime,
    total: Arc<Table>,
    days: Series,
    hours: Series,
    live: Live,
    recent: Recent,
    /// What keys are called, by their marks; those that are gone keep their last name.
    names: Arc<HashMap<String, String>>,
    /// Rises with every change, so that the report knows whether there is anything new.
    version: u64,
}

/// The counters of one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When counting began.
    pub since: SystemTime,
    /// Since then.
    pub total: Arc<Table>,
    /// By number of the day ([`calendar::day`]), in order of time, days without requests left out.
    pub days: Vec<(u32, Arc<Table>)>,
    /// By number of the hour.
    pub hours: Vec<(u32, Arc<Table>)>,
    names: Arc<HashMap<String, String>>,
}

impl Snapshot {
    /// What the key of this mark is called now, or was at last.
    pub fn key_name<'a>(&'a self, mark: &'a str) -> &'a str {
        self.names.get(mark).map_or(mark, String::as_str)
    }

    /// All since the last reset, with the names of keys instead of their marks.
    pub fn named_total(&self) -> Vec<(Line, Counts)> {
        let named = |(line, counts): &(Line, Counts)| {
            (Line { key: self.key_name(&line.key).to_owned(), ..line.clone() }, counts.clone())
        };
        self.total.rows().iter().map(named).collect()
    }
}

impl Default for Usage {
    fn default() -> Usage {
        let ledger = Ledger {
            since: SystemTime::now(),
            total: Arc::default(),
            days: Series::new(DAYS),
            hours: Series::new(HOURS),
            live: Live::default(),
            recent: Recent::default(),
            names: Arc::default(),
            version: 0,
        };
        Usage { ledger: Mutex::new(ledger) }
    }
}

impl Ledger {
    /// Changes the row of `line` in the sums, the day and the hour.
    fn count(&mut self, line: &Line, now: SystemTime, change: impl Fn(&mut Counts)) {
        change(Arc::make_mut(&mut self.total).row(line, TOTAL));
        for (series, number) in [(&mut self.days, calendar::day(now)), (&mut self.hours, calendar::hour(now))] {
            let (table, most) = series.table(number);
            change(table.row(line, most));
        }
        self.version += 1;
    }
}

impl Usage {
    /// With what the state file kept; a section that is none of this program's is reported and left out.
    pub fn restore(section: Option<&Value>, names: &HashMap<String, String>) -> Usage {
        let usage = Usage::default();
        let Some(section) = section else { return usage };
        match saved::read(section, names) {
            Some(kept) => {
                let mut ledger = usage.ledger.lock();
                ledger.names = Arc::new(kept.names);
                ledger.since = kept.since.unwrap_or(ledger.since);
                ledger.total = Arc::new(kept.total);
                ledger.days.restore(kept.days);
                ledger.hours.restore(kept.hours);
            }
            None => log::warn!("usage: the state file's section cannot be read; counting begins anew"),
        }
        usage
    }

    /// Rises with every change of the section.
    pub fn version(&self) -> u64 {
        self.ledger.lock().version
    }

    /// The section for the state file.
    pub fn saved(&self) -> Value {
        saved::write(&self.snapshot())
    }

    /// Counts a request that ended.
    pub fn finish(&self, finished: &Finished<'_>) {
        self.finish_at(finished, SystemTime::now());
    }

    fn finish_at(&self, finished: &Finished<'_>, now: SystemTime) {
        let mut ledger = self.ledger.lock();
        ledger.live.finish(finished);
        ledger.count(finished.line, now, |counts| {
            if finished.answered {
                counts.succeed(finished.usage, finished.latency, finished.first_token);
            } else {
                counts.refused += 1;
            }
        });
    }

    /// Counts a request for which Google was not asked, by the code of its error.
    pub fn turn_away(&self, line: &Line, surface: &'static str, status: u16, reason: &str) {
        let mut ledger = self.ledger.lock();
        ledger.live.request(surface, &line.model, status);
        ledger.count(line, SystemTime::now(), |counts| {
            counts.refused += 1;
            counts.turn_away(reason, 1);
        });
    }

    /// Counts a request with no key or one that is not known.
    pub fn note_wrong_key(&self) {
        self.ledger.lock().live.wrong_keys += 1;
    }

    /// Counts a request among the figures of this run only: one that was passed through.
    pub fn note(&self, surface: &'static str, model: &str, status: u16) {
        self.ledger.lock().live.request(surface, model, status);
    }

    /// Counts a failed attempt.
    pub fn failure(&self, line: &Line, reason: &str) {
        self.failure_at(line, reason, SystemTime::now());
    }

    fn failure_at(&self, line: &Line, reason: &str, now: SystemTime) {
        let mut ledger = self.ledger.lock();
        ledger.live.fail(reason);
        ledger.count(line, now, |counts| counts.fail(reason, 1));
    }

    /// Remembers a request for the list of the last ones.
    pub fn remember(&self, entry: Entry) {
        self.ledger.lock().recent.push(entry);
    }

    /// The last requests, newest first.
    pub fn recent(&self) -> Vec<Entry> {
        self.ledger.lock().recent.list()
    }

    /// What the present keys are called.
    pub fn name_keys(&self, names: HashMap<String, String>) {
        let mut ledger = self.ledger.lock();
        let taken: HashSet<&String> = names.values().collect();
        let gone = ledger.names.iter().filter(|(mark, _)| !names.contains_key(*mark));
        let gone = gone.map(|(mark, name)| match taken.contains(name) {
            true => (mark.clone(), format!("{name} (removed)")),
            false => (mark.clone(), name.clone()),
        });
        let gone: Vec<(String, String)> = gone.collect();
        let names: HashMap<String, String> = names.into_iter().chain(gone).collect();
        if names != *ledger.names {
            ledger.names = Arc::new(names);
            ledger.version += 1;
        }
    }

    /// Forgets everything but the figures of this run and the last requests.
    pub fn reset(&self) {
        let mut ledger = self.ledger.lock();
        ledger.since = SystemTime::now();
        ledger.total = Arc::default();
        ledger.days.clear();
        ledger.hours.clear();
        ledger.version += 1;
    }

    /// The counters of this moment.
    pub fn snapshot(&self) -> Snapshot {
        let ledger = self.ledger.lock();
        Snapshot {
            since: ledger.since,
            total: ledger.total.clone(),
            days: ledger.days.periods().to_vec(),
            hours: ledger.hours.periods().to_vec(),
            names: ledger.names.clone(),
        }
    }

    /// The figures of this run.
    pub fn live(&self) -> Live {
        self.ledger.lock().live.clone()
    }

    /// The sums since the last reset and the version of the counters.
    pub fn total(&self) -> (Arc<Table>, u64) {
        let ledger = self.ledger.lock();
        (ledger.total.clone(), ledger.version)
    }

    /// The old program's `GET /admin/usage` (docs/compatibility.md "The usage counts"); scripts take its top-level keys
    /// for models.
    pub fn json(&self) -> Value {
        let mut models = Map::new();
        for (model, counts) in sum_by(self.total().0.rows(), |line| &line.model) {
            // Requests for which nobody could be asked count nothing here, as in the old program.
            if counts.successful == 0 && counts.failed.is_empty() {
                continue;
            }
            let failed: Map<String, Value> =
                counts.failed.iter().map(|(reason, count)| (reason.clone(), json!(count))).collect();
            let entry = json!({
                "successful_requests": counts.successful,
                "failed_requests": failed,
                "total_tokens": counts.total_tokens,
                "prompt_tokens": counts.prompt_tokens,
                "candidates_tokens": counts.candidates_tokens,
                "thoughts_tokens": counts.thoughts_tokens,
                "cached_content_token_count": counts.cached_tokens,
            });
            models.insert(model, entry);
        }
        Value::Object(models)
    }
}

#[cfg(test)]
mod tests;
