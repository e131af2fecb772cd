//! Usage of all replicas: what each has counted is added up in the store, once, and read from there by whoever asks.

use super::limits::Limits;
use super::news::News;
use super::redis::{Fault, Names, Scripts, at};
use crate::calendar;
use crate::credentials::shared::Away;
use crate::keys::{Keys, Quota as _, Used};
use crate::message::Message;
use crate::usage::{self, DETAILED, MOST_OLD, MOST_ROWS, Sums as Read, Table, Together, Usage};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

const INTERVAL: Duration = Duration::from_secs(2);
/// What was read is as good as new for so long.
const FRESH: Duration = Duration::from_secs(1);
/// Whoever looks waits no longer for another one who reads.
const PATIENCE: Duration = Duration::from_secs(1);
/// One replica makes tables smaller, in so long.
const TIDY: Duration = Duration::from_secs(600);
/// A row has as many fields or more.
const FIELDS_OF_ROW: usize = 2;
/// Changes of one call.
const CHANGES: usize = 1000;

pub(super) struct Sums {
    limits: Arc<Limits>,
    usage: Arc<Usage>,
    keys: Arc<Keys>,
    news: Arc<News>,
    /// Nobody reads while something is sent: a batch that arrives meanwhile would be seen twice.
    seen: Mutex<Seen>,
}

/// What was read last.
#[derive(Default)]
struct Seen {
    at: Option<Instant>,
    /// When counting began, and a word that is another one after each reset.
    since: Option<u64>,
    began: Option<String>,
    versions: HashMap<String, String>,
    tables: HashMap<String, Arc<Table>>,
}

impl Sums {
    pub(super) fn new(limits: Arc<Limits>, usage: Arc<Usage>, keys: Arc<Keys>, news: Arc<News>) -> Sums {
        Sums { limits, usage, keys, news, seen: Mutex::default() }
    }

    /// Sends what was counted, now and then, and at the end once more.
    pub(super) fn keep(&self, stopping: &AtomicBool) {
        let mut next_tidy = Instant::now() + TIDY;
        loop {
            let is_last = stopping.load(Ordering::Acquire);
            self.usage.set_ahead(self.limits.ahead.load(Ordering::Relaxed));
            let _ = self.send();
            if is_last {
                return self.usage.keep_owed();
            }
            if Instant::now() >= next_tidy {
                next_tidy = Instant::now() + TIDY;
                let _ = self.tidy();
            }
            std::thread::park_timeout(INTERVAL);
        }
    }

    fn names(&self) -> Result<Names, Fault> {
        self.limits.link.names().filter(|_| self.limits.link.is_up()).ok_or(Fault::Down)
    }

    fn send(&self) -> Result<(), Fault> {
        if !self.usage.owes() {
            return Ok(());
        }
        let (who, names, _seen) = (&*self.limits.who, self.names()?, self.seen.lock());
        // After another server took over it may be less than was counted before.
        let counted = self.limits.link.ask(|scripts, line, _| scripts.usage.numbered(line, &names, who))?;
        for batch in self.usage.owed(counted) {
            let counted = self.limits.link.ask(|scripts, line, _| scripts.usage.count(line, &names, &batch))?;
            self.usage.counted(&batch.who, counted);
            if counted < batch.number {
                break;
            }
        }
        Ok(())
    }

    fn read(&self, seen: &mut Seen) -> Result<(), Fault> {
        let (who, names) = (&*self.limits.who, self.names()?);
        let number = self.limits.link.ask(|scripts, line, _| scripts.usage.numbered(line, &names, who))?;
        let mut versions = self.limits.link.ask(|scripts, line, _| scripts.usage.versions(line, &names))?;
        let since = versions.remove("since").and_then(|since| since.parse().ok());
        let began = versions.remove("began");
        if (since, &began) != (seen.since, &seen.began) {
            *seen = Seen { since, began, ..Seen::default() };
        }
        seen.tables.retain(|name, _| versions.contains_key(name));
        for (name, version) in &versions {
            if seen.versions.get(name) != Some(version) {
                seen.tables.insert(name.clone(), Arc::new(self.table(&names, name)?));
                seen.versions.insert(name.clone(), version.clone());
            }
        }
        seen.at = Some(Instant::now());
        let of = |kind: char| {
            let tables = seen.tables.iter();
            // What is not there any more has ended by itself.
            let tables = tables.filter(|(_, table)| !table.rows().is_empty());
            let read =
                |(name, table): (&String, &Arc<Table>)| Some((name.strip_prefix(kind)?.parse().ok()?, table.clone()));
            let mut all = BTreeMap::new();
            all.extend(tables.filter_map(read));
            all
        };
        let total = seen.tables.get("total").cloned().unwrap_or_default();
        let since = seen.since.map_or_else(SystemTime::now, |since| at(since * 1000));
        let days = of('d');
        self.tell_keys(&days);
        self.usage.read(Read { since, total, days, hours: of('h') }, number);
        Ok(())
    }

    fn tell_keys(&self, days: &BTreeMap<u32, Arc<Table>>) {
        let today = calendar::day(self.limits.now());
        let mut used: HashMap<String, [Used; 2]> = HashMap::new();
        for (day, table) in days.range(calendar::first_of_month(today)..=today) {
            for (line, counts) in table.rows() {
                let [of_day, of_month] = used.entry(line.key.clone()).or_default();
                let row = Used { requests: counts.admitted(), tokens: counts.total_tokens, cost: counts.cost };
                of_month.plus(row);
                if *day == today {
                    of_day.plus(row);
                }
            }
        }
        self.keys.tell_used(today, &used);
    }

    /// Forgets the sums. What a store that takes no changes, or has lost some, was not told yet would come back.
    fn forget(&self) -> Result<(), Fault> {
        let (link, names) = (&self.limits.link, self.names()?);
        if link.trouble().is_some() {
            return Err(Fault::Full);
        }
        if self.news.is_emptied() || link.edit(|_, line, _| Scripts::changes(line, &names))? < self.news.seen() {
            self.news.doubt();
            return Err(Fault::Behind);
        }
        link.edit(|scripts, line, _| scripts.usage.reset(line, &names)).map(drop)
    }

    fn table(&self, names: &Names, name: &str) -> Result<Table, Fault> {
        let mut fields: HashMap<String, u64> = HashMap::new();
        let mut from = 0;
        loop {
            let (next, some) = self.limits.link.ask(|scripts, line, _| scripts.usage.some(line, names, name, from))?;
            fields.extend(some.into_iter().filter_map(|(field, number)| Some((field, u64::try_from(number).ok()?))));
            from = next;
            if from == 0 {
                return Ok(usage::table(fields));
            }
        }
    }

    /// Makes tables smaller that have too many rows: of all replicas together, or of days that are long over.
    fn tidy(&self) -> Result<(), Fault> {
        let (who, names) = (&*self.limits.who, self.names()?);
        if !self.limits.link.ask(|scripts, line, _| scripts.usage.turn(line, &names, who, TIDY))? {
            return Ok(());
        }
        let today = calendar::day(self.limits.now());
        let versions = self.limits.link.ask(|scripts, line, _| scripts.usage.versions(line, &names))?;
        for name in versions.keys().filter(|name| !matches!(name.as_str(), "since" | "began")) {
            let day: Option<u32> = name.strip_prefix('d').and_then(|day| day.parse().ok());
            let is_old = day.is_some_and(|day| day.saturating_add(DETAILED) < today);
            let most = if is_old { MOST_OLD } else { MOST_ROWS };
            let size = self.limits.link.ask(|scripts, line, _| scripts.usage.size(line, &names, name))?;
            if size == 0 {
                self.limits.link.ask(|scripts, line, _| scripts.usage.forget(line, &names, name))?;
            } else if size > most * FIELDS_OF_ROW {
                let table = self.table(&names, name)?;
                for some in usage::folded(&table, most).chunks(CHANGES) {
                    self.fold(&names, name, some)?;
                }
            }
        }
        Ok(())
    }

    /// Not asked again where the answer is lost: it would count twice.
    fn fold(&self, names: &Names, name: &str, changes: &[(String, i64)]) -> Result<(), Fault> {
        let asked = AtomicBool::new(false);
        let fold = |scripts: &Scripts, line: &mut _, _| match asked.swap(true, Ordering::Relaxed) {
            false => scripts.usage.fold(line, names, name, changes),
            true => Ok(0),
        };
        self.limits.link.ask(fold).map(drop)
    }
}

impl Together for Sums {
    fn refresh(&self) {
        let Some(mut seen) = self.seen.try_lock_for(PATIENCE) else { return };
        if seen.at.is_none_or(|at| at.elapsed() > FRESH) {
            // What was known stays where nobody answers.
            let _ = self.read(&mut seen);
        }
    }

    fn reset(&self) -> Result<(), Message> {
        let mut seen = self.seen.lock();
        self.forget().map_err(|fault| Away::from(fault).message())?;
        *seen = Seen::default();
        Ok(())
    }
}
