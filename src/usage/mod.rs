//! What was used: counted once per request by the handler, per mark of a client key, credential and model: since the last reset, per
//! day and per hour of UTC. Kept in the state file's section `usage`. Knows not the pool, and of the config the prices only.
//!
//! Counting takes one short lock and allocates only for a row that is new. Whoever reads gets a [`Snapshot`] that
//! shares the tables; a table that changes while it is being read is copied first.

mod fields;
mod histogram;
mod history;
mod live;
mod older;
mod prices;
mod recent;
mod saved;
mod series;
mod shared;
mod table;

pub use crate::config::dollars;
pub use fields::{fields, folded, table};
pub use histogram::{BOUNDS_MS, Histogram};
pub use history::{History, Query};
pub use live::Live;
pub use prices::{cost, is_priced};
pub use recent::{Entry, Try};
pub use shared::{Batch, Sums, Together};
pub use table::{Counts, Line, OTHER, Table, most_first, seconds, sum_by};

use crate::calendar;
use crate::gemini::UsageMetadata;
use crate::storage::state::{Part, Section, Sink};
use parking_lot::Mutex;
use recent::{KEPT, Recent};
use serde_json::Value;
use series::{Bounds, Series};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// Days that are kept. The last 31 in detail, so that a month can be shown.
const DAYS: Bounds = Bounds { periods: 400, now: MOST_ROWS, over: 200, detailed: DETAILED as usize, old: MOST_OLD };
/// Rows of a day that is not over, and of all sums.
pub const MOST_ROWS: usize = 1000;
/// Days with more than [`MOST_OLD`] rows.
pub const DETAILED: u32 = 32;
/// Rows of a day that is long over.
pub const MOST_OLD: usize = 20;
/// Hours that are kept: the present one and 48 whole ones.
const HOURS: Bounds = Bounds { periods: 49, now: 200, over: 50, detailed: 49, old: 50 };

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
    /// In nanodollars, where a price is known.
    pub cost: Option<u64>,
}

/// All counters. Methods without a time count now.
#[derive(Debug)]
pub struct Usage {
    ledger: Mutex<Ledger>,
    /// Requests beyond the last ones.
    history: History,
    /// Those who add up what all replicas count.
    together: OnceLock<shared::Others>,
}

#[derive(Debug)]
struct Ledger {
    since: SystemTime,
    total: Arc<Table>,
    days: Series,
    hours: Series,
    live: Live,
    recent: Recent,
    names: Arc<Names>,
    /// Rises with every change, so that the report knows whether there is anything new.
    version: u64,
    unsaved: saved::Unsaved,
    /// Where others add it up, or once did.
    own: Option<Box<shared::Own>>,
}

/// What keys are called, by their marks.
#[derive(Clone, Debug, Default)]
struct Names {
    present: HashMap<u64, Arc<str>>,
    /// Keys that are not there any more have their last name.
    gone: BTreeMap<u64, String>,
}

impl Names {
    fn of(&self, mark: u64) -> Option<&str> {
        self.present.get(&mark).map(|name| &**name).or_else(|| Some(self.gone.get(&mark)?.as_str()))
    }

    /// Whoever had this name before has it no more.
    fn give(&mut self, given: &str) {
        self.gone.values_mut().filter(|name| *name == given).for_each(|name| name.push_str(" (removed)"));
    }
}

fn mark_of(text: &str) -> Option<u64> {
    u64::from_str_radix(Some(text).filter(|text| text.len() == 16)?, 16).ok()
}

/// The counters of one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When that is, by the clock that days and hours go by.
    pub now: SystemTime,
    /// When counting began.
    pub since: SystemTime,
    /// Since then.
    pub total: Arc<Table>,
    /// By number of the day ([`calendar::day`]), in order of time, days without requests left out.
    pub days: Vec<(u32, Arc<Table>)>,
    /// By number of the hour.
    pub hours: Vec<(u32, Arc<Table>)>,
    names: Arc<Names>,
}

impl Snapshot {
    /// What the key of this mark is called now, or was at last.
    pub fn key_name<'a>(&'a self, mark: &'a str) -> &'a str {
        mark_of(mark).and_then(|number| self.names.of(number)).unwrap_or(mark)
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
            unsaved: saved::Unsaved::default(),
            own: None,
        };
        Usage { ledger: Mutex::new(ledger), history: History::none(), together: OnceLock::new() }
    }
}

impl Ledger {
    /// Changes the row of `line` in the sums, the day and the hour.
    fn count(&mut self, line: &Line, now: SystemTime, change: impl Fn(&mut Counts)) {
        let change = &change;
        change(Arc::make_mut(&mut self.total).row(line, MOST_ROWS));
        let (day, hour) = (calendar::day(now), calendar::hour(now));
        for (series, number) in [(&mut self.days, day), (&mut self.hours, hour)] {
            let (table, most) = series.table(number);
            change(table.row(line, most));
        }
        if let Some(own) = &mut self.own {
            own.count(line, now, change);
        }
        self.unsaved.count(day, hour);
        self.version += 1;
    }

    fn reset(&mut self) {
        self.since = SystemTime::now();
        self.total = Arc::default();
        self.days.clear();
        self.hours.clear();
        self.unsaved.rename();
        self.version += 1;
    }
}

impl Usage {
    /// With what the state file kept, and what the present keys are called; what is none of this program's is reported and
    /// left out.
    pub fn restore(section: &Section, names: HashMap<u64, Arc<str>>) -> Usage {
        let usage = Usage::default();
        let kept = saved::read(section, &names);
        {
            let mut ledger = usage.ledger.lock();
            ledger.since = kept.since.unwrap_or(ledger.since);
            ledger.total = Arc::new(kept.total);
            ledger.days.restore(kept.days);
            ledger.hours.restore(kept.hours);
            ledger.names = Arc::new(Names { present: HashMap::new(), gone: kept.names });
            ledger.unsaved = kept.unsaved;
            ledger.own = shared::Own::inherit(kept.owed);
        }
        usage.name_keys(names);
        usage
    }

    /// With requests that outlive a restart.
    #[must_use]
    pub fn with_history(self, history: History) -> Usage {
        Usage { history, ..self }
    }

    /// Writes the rest of the history.
    pub fn stop(&self) {
        self.history.stop();
    }

    /// Whether requests are missing in the history, and more will be.
    pub fn history_fails(&self) -> bool {
        self.history.fails()
    }

    /// Rises with every change of the section.
    pub fn version(&self) -> u64 {
        self.ledger.lock().version
    }

    /// Writes the section for the state file.
    pub fn save(&self, part: Part, sink: &mut Sink<'_>) {
        let (mut unsaved, snapshot, owed) = {
            let mut ledger = self.ledger.lock();
            let owed = ledger.own.iter().flat_map(|own| own.owed().cloned()).collect::<Vec<_>>();
            (std::mem::take(&mut ledger.unsaved), self.snapshot_of(&ledger), owed)
        };
        unsaved.write(part, &snapshot, &owed, sink);
        self.ledger.lock().unsaved.merge(unsaved);
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
                counts.pay(finished.cost);
            } else {
                counts.break_off(finished.usage, finished.cost);
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
        let entry = Arc::new(entry);
        self.history.push(&entry);
        self.ledger.lock().recent.push(entry);
    }

    /// The last requests of this run, newest first.
    pub fn recent(&self) -> Vec<Arc<Entry>> {
        self.ledger.lock().recent.list()
    }

    /// Requests that fit, newest first, behind the first `skip`; at most `limit`, and whether there are more. Who wants the
    /// last ones, as the page does all the time, is not kept waiting by a file.
    pub fn requests(&self, query: &Query, skip: usize, limit: usize) -> (Vec<Value>, bool) {
        let recent: Vec<Value> = self.recent().iter().map(|entry| entry.json()).collect();
        let known: HashSet<String> = recent.iter().filter_map(|entry| Some(entry["id"].as_str()?.to_owned())).collect();
        let recent = recent.into_iter().filter(|request| query.fits(request));
        let last = skip.saturating_add(limit);
        let is_plain = query.is_everything() && (last < KEPT || (last == KEPT && known.len() < KEPT));
        let older: Box<dyn Iterator<Item = Value>> = match is_plain {
            true => Box::new(self.history.last_of_earlier_runs(&known).into_iter()),
            false => Box::new(self.history.find(query, &known)),
        };
        let mut found: Vec<Value> = recent.chain(older).skip(skip).take(limit + 1).collect();
        let is_more = found.len() > limit;
        found.truncate(limit);
        (found, is_more)
    }

    /// What the present keys are called.
    pub fn name_keys(&self, names: HashMap<u64, Arc<str>>) {
        let ledger = &mut *self.ledger.lock();
        let old = Arc::make_mut(&mut ledger.names);
        let left = std::mem::replace(&mut old.present, names);
        let left = left.into_iter().filter(|(mark, _)| !old.present.contains_key(mark));
        old.gone.extend(left.map(|(mark, name)| (mark, name.to_string())));
        old.gone.retain(|mark, _| !old.present.contains_key(mark));
        let taken: HashSet<&str> = old.present.values().map(|name| &**name).collect();
        let of_others = old.gone.values_mut().filter(|name| taken.contains(name.as_str()));
        of_others.for_each(|name| name.push_str(" (removed)"));
        ledger.unsaved.rename();
        ledger.version += 1;
    }

    /// What one key is called that is new or has another name.
    pub fn name_key(&self, mark: u64, name: &Arc<str>) {
        let ledger = &mut *self.ledger.lock();
        let names = Arc::make_mut(&mut ledger.names);
        names.present.insert(mark, name.clone());
        names.give(name);
        ledger.unsaved.rename();
        ledger.version += 1;
    }

    /// A key was taken away.
    pub fn forget_key(&self, mark: u64) {
        let ledger = &mut *self.ledger.lock();
        let names = Arc::make_mut(&mut ledger.names);
        if let Some(name) = names.present.remove(&mark) {
            names.gone.insert(mark, name.to_string());
            ledger.unsaved.rename();
            ledger.version += 1;
        }
    }

    fn snapshot_of(&self, ledger: &Ledger) -> Snapshot {
        Snapshot {
            now: SystemTime::now(),
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

    /// What this replica alone has counted since the last reset, and the version of the counters.
    pub fn total(&self) -> (Arc<Table>, u64) {
        let ledger = self.ledger.lock();
        (ledger.total.clone(), ledger.version)
    }
}

#[cfg(test)]
mod tests;
