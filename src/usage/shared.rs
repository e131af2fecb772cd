//! Usage of all replicas. What is counted here is also put into numbered batches for those who add them up; what readers see is
//! what they said last, and what of this replica is not among it. It knows no store.

use super::saved::OWED;
use super::{Counts, DAYS, Line, Snapshot, Table, Usage};
use crate::calendar;
use crate::message::Message;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Batches that were counted stay so long: a server that takes the place of another may not have them all.
const REMEMBERED: Duration = Duration::from_secs(60);
/// A batch is one call, which holds up all others at the server.
const ROWS: usize = 100;
/// Hours that pile up while nobody takes them; older ones are added to the oldest.
const HOURS: usize = 49;
/// Rows of each.
const MOST: usize = 1000;

/// Those who add up the usage of all replicas.
pub trait Together: Send + Sync {
    /// Has [`Usage::read`] told what is known now, unless that was a moment ago or nobody answers.
    fn refresh(&self);

    /// Forgets the sums of all. The error says why nothing was done.
    fn reset(&self) -> Result<(), Message>;
}

/// What was counted in an hour. It has one number for ever, so that it counts once however often it is sent.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Who numbered it: a start of a replica.
    pub who: Arc<str>,
    /// From 1 on, without a gap.
    pub number: u64,
    /// As [`calendar::hour`].
    pub hour: u32,
    /// What is to be added.
    pub rows: Arc<Table>,
    /// What came before this one cannot be sent any more.
    pub oldest: u64,
    counted: Option<Instant>,
}

/// What all replicas have counted, as it was read.
#[derive(Clone, Debug)]
pub struct Sums {
    /// When counting began.
    pub since: SystemTime,
    /// Since then.
    pub total: Arc<Table>,
    /// By number of the day.
    pub days: BTreeMap<u32, Arc<Table>>,
    /// By number of the hour.
    pub hours: BTreeMap<u32, Arc<Table>>,
}

#[derive(Debug, Default)]
pub(super) struct Own {
    /// Empty where nobody adds up: only what was inherited is kept.
    who: Arc<str>,
    numbered: u64,
    /// Milliseconds that this machine's clock is ahead of that of all.
    ahead: i64,
    /// By hour, in no batch.
    fresh: BTreeMap<u32, Table>,
    batches: VecDeque<Batch>,
    /// Of earlier starts.
    inherited: Vec<Batch>,
    sums: Option<Sums>,
    /// Batches up to this one are among the sums.
    seen: u64,
}

impl Own {
    pub(super) fn count(&mut self, line: &Line, now: SystemTime, change: impl Fn(&mut Counts)) {
        if self.who.is_empty() {
            return;
        }
        let mut hour = calendar::hour(self.by_all(now));
        if self.fresh.len() >= HOURS && !self.fresh.contains_key(&hour) {
            let oldest = self.fresh.keys().next().copied().unwrap_or(hour);
            hour = hour.max(oldest);
            if let Some((_, table)) = self.fresh.pop_first()
                && let Some(mut next) = self.fresh.first_entry()
            {
                table.rows().iter().for_each(|(line, counts)| next.get_mut().row(line, MOST).add(counts));
            }
        }
        change(self.fresh.entry(hour).or_default().row(line, MOST));
    }

    /// A time of this machine's by the clock of all.
    fn by_all(&self, now: SystemTime) -> SystemTime {
        let ahead = Duration::from_millis(self.ahead.unsigned_abs());
        if self.ahead > 0 { now.checked_sub(ahead) } else { now.checked_add(ahead) }.unwrap_or(now)
    }

    /// Puts what was counted into batches.
    fn pack(&mut self) {
        for (hour, table) in std::mem::take(&mut self.fresh) {
            for rows in table.rows().chunks(ROWS) {
                let mut part = Table::default();
                rows.iter().for_each(|(line, counts)| part.row(line, usize::MAX).add(counts));
                self.numbered += 1;
                let (who, number, rows) = (self.who.clone(), self.numbered, Arc::new(part));
                self.batches.push_back(Batch { who, number, hour, rows, oldest: 0, counted: None });
            }
        }
    }

    /// What nobody has counted yet.
    pub(super) fn owed(&self) -> impl Iterator<Item = &Batch> {
        self.inherited.iter().chain(self.batches.iter().filter(|batch| batch.counted.is_none()))
    }

    fn snapshot(&self, names: Arc<super::Names>) -> Option<Snapshot> {
        let Sums { since, mut total, mut days, mut hours } = self.sums.clone()?;
        let unseen = self.batches.iter().filter(|batch| batch.number > self.seen).chain(&self.inherited);
        let unseen = unseen.map(|batch| (batch.hour, &*batch.rows));
        for (hour, rows) in unseen.chain(self.fresh.iter().map(|(hour, rows)| (*hour, rows))) {
            for table in [&mut total, days.entry(hour / 24).or_default(), hours.entry(hour).or_default()] {
                let table = Arc::make_mut(table);
                rows.rows().iter().for_each(|(line, counts)| table.row(line, usize::MAX).add(counts));
            }
        }
        let bounded = |(number, mut table): (u32, Arc<Table>)| {
            if table.rows().len() > DAYS.now {
                Arc::make_mut(&mut table).fold(DAYS.now);
            }
            (number, table)
        };
        let (_, total) = bounded((0, total));
        let (days, hours) = (days.into_iter().map(bounded).collect(), hours.into_iter().map(bounded).collect());
        Some(Snapshot { now: self.by_all(SystemTime::now()), since, total, days, hours, names })
    }
}

impl Usage {
    /// From now on what is counted is also put into batches, numbered by `who`, and readers see the sums of all.
    pub fn share(&self, who: &str, together: Arc<dyn Together>) {
        self.ledger.lock().own.get_or_insert_default().who = who.into();
        let _ = self.together.set(Others(together));
    }

    /// How far this machine's clock is ahead of that by which hours are counted, in milliseconds.
    pub fn set_ahead(&self, ahead: i64) {
        if let Some(own) = &mut self.ledger.lock().own {
            own.ahead = ahead;
        }
    }

    /// What is to be counted, in order; of this start only what is numbered beyond `counted`, which is what has arrived.
    pub fn owed(&self, counted: u64) -> Vec<Batch> {
        let ledger = &mut *self.ledger.lock();
        let Some(own) = &mut ledger.own else { return Vec::new() };
        own.pack();
        own.batches.retain(|batch| batch.counted.is_none_or(|at| at.elapsed() < REMEMBERED));
        let batches = || own.inherited.iter().chain(&own.batches);
        let oldest = |who: &str| batches().filter(|batch| &*batch.who == who).map(|batch| batch.number).min();
        let is_owed = |batch: &&Batch| batch.who != own.who || batch.number > counted;
        let with_oldest = |batch: &Batch| Batch { oldest: oldest(&batch.who).unwrap_or_default(), ..batch.clone() };
        batches().filter(is_owed).map(with_oldest).collect()
    }

    /// Whether anything is to be counted, or may have to be counted again.
    pub fn owes(&self) -> bool {
        let ledger = self.ledger.lock();
        let own = ledger.own.as_ref();
        own.is_some_and(|own| !own.fresh.is_empty() || !own.batches.is_empty() || !own.inherited.is_empty())
    }

    /// Batches that nobody has counted yet.
    pub fn waiting(&self) -> u64 {
        let ledger = self.ledger.lock();
        ledger.own.as_ref().map_or(0, |own| (own.fresh.len() + own.owed().count()) as u64)
    }

    /// The batches of `who` up to this number were counted.
    pub fn counted(&self, who: &str, number: u64) {
        let ledger = &mut *self.ledger.lock();
        let Some(own) = &mut ledger.own else { return };
        let now = Instant::now();
        own.batches
            .iter_mut()
            .filter(|batch| &*batch.who == who && batch.number <= number)
            .for_each(|batch| _ = batch.counted.get_or_insert(now));
        let inherited = own.inherited.len();
        own.inherited.retain(|batch| &*batch.who != who || batch.number > number);
        if own.inherited.len() < inherited {
            ledger.version += 1;
        }
    }

    /// What all have counted, among it the batches of this start up to `seen`.
    pub fn read(&self, sums: Sums, seen: u64) {
        if let Some(own) = &mut self.ledger.lock().own {
            (own.sums, own.seen) = (Some(sums), seen);
        }
    }

    /// Ends: what nobody took is put into batches, which are saved.
    pub fn keep_owed(&self) {
        let ledger = &mut *self.ledger.lock();
        if let Some(own) = &mut ledger.own {
            own.pack();
            ledger.version += 1;
        }
    }

    /// Has it, and the meters of keys, told what all replicas have counted, unless that was a moment ago.
    pub fn refresh(&self) {
        if let Some(Others(together)) = self.together.get() {
            together.refresh();
        }
    }

    /// The counters of all replicas, as far as they are known; of this one where it is alone.
    pub fn snapshot(&self) -> Snapshot {
        self.refresh();
        let ledger = self.ledger.lock();
        let shared = ledger.own.as_ref().and_then(|own| own.snapshot(ledger.names.clone()));
        shared.unwrap_or_else(|| self.snapshot_of(&ledger))
    }

    /// Forgets everything but the figures of this run and the last requests, on all replicas. The error says why nothing was
    /// done.
    pub fn reset(&self) -> Result<(), Message> {
        if let Some(Others(together)) = self.together.get() {
            together.reset()?;
        }
        let mut ledger = self.ledger.lock();
        if let Some(own) = &mut ledger.own {
            own.sums = None;
        }
        ledger.reset();
        Ok(())
    }
}

pub(super) struct Others(Arc<dyn Together>);

impl fmt::Debug for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Others")
    }
}

/// As the state file has them: who numbered them, number and hour in the name.
impl Batch {
    pub(super) fn name(&self) -> String {
        format!("{OWED}{} {} {}", self.who, self.number, self.hour)
    }

    pub(super) fn read(name: &str, rows: Table) -> Option<Batch> {
        let [who, number, hour] = name.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let (number, hour) = (number.parse().ok()?, hour.parse().ok()?);
        Some(Batch { who: who.into(), number, hour, rows: Arc::new(rows), oldest: 0, counted: None })
    }
}

impl Own {
    pub(super) fn inherit(batches: Vec<Batch>) -> Option<Box<Own>> {
        let inherited = batches;
        (!inherited.is_empty()).then(|| Box::new(Own { inherited, ..Own::default() }))
    }
}

#[cfg(test)]
mod tests;
