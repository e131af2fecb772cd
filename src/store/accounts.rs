//! Credentials over all replicas: records are sealed with the encryption key before they leave, and change only while they have
//! the version that was read.

use super::limits::Limits;
use super::news::News;
use super::redis::{Answer, CredentialScripts, Edit, Fault, LeaseRow, Line, Names, Record, RestRow, Scripts, at};
use super::unread;
use crate::credentials::CredentialId;
use crate::credentials::shared::{
    Away, Block, Changed, Entry, Failed, Held, Kept, Known, Leased, Lift, Record as Item, Rest, Shared, With, Work,
};
use crate::keys::Quota;
use crate::message::Message;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) struct Accounts {
    limits: Arc<Limits>,
    /// Those for which this replica asks Google.
    held: Mutex<HashSet<(String, String)>>,
    /// Those that were asked for, and no answer came.
    unsure: Mutex<HashMap<String, String>>,
    /// The last change that this replica made.
    last: Mutex<Option<String>>,
    /// Fields of records that cannot be read.
    unread: Mutex<HashSet<String>>,
    news: OnceLock<Weak<News>>,
}

impl Accounts {
    pub(super) fn new(limits: Arc<Limits>) -> Accounts {
        Accounts {
            limits,
            held: Mutex::default(),
            unsure: Mutex::default(),
            last: Mutex::default(),
            unread: Mutex::default(),
            news: OnceLock::new(),
        }
    }

    /// Goes by what the news tell.
    pub(super) fn follow(&self, news: &Arc<News>) {
        let _ = self.news.set(Arc::downgrade(news));
    }

    fn news(&self) -> Option<Arc<News>> {
        self.news.get().and_then(Weak::upgrade)
    }

    fn is_emptied(&self) -> bool {
        self.news().is_some_and(|news| news.is_emptied())
    }

    /// Prolongs the turns that this replica has.
    pub(super) fn extend(&self) -> Result<(), Fault> {
        let held: Vec<(String, String)> = self.held.lock().iter().cloned().collect();
        if held.is_empty() {
            return Ok(());
        }
        let names = self.limits.link.names().ok_or(Fault::Down)?;
        let span = Duration::from_secs(30);
        self.limits.link.ask(|scripts, line, _| scripts.credentials.extend(line, &names, &held, span))
    }

    fn ask<T>(&self, ask: impl Fn(&CredentialScripts, &mut Line, &Names) -> Answer<T>) -> Result<T, Away> {
        if self.is_emptied() {
            return Err(Away::Emptied);
        }
        let names = self.limits.link.names().ok_or(Away::Down)?;
        let answer = self.limits.link.edit(|scripts: &Scripts, line, _| ask(&scripts.credentials, line, &names));
        answer.map_err(|fault| {
            if let Some(news) = self.news() {
                news.doubt();
            }
            Away::from(fault)
        })
    }

    /// How many changes of the store are known.
    fn seen(&self) -> u64 {
        self.news().map_or(0, |news| news.seen())
    }

    /// What was just changed is known here when [`Shared::wait`] returns.
    fn told(&self, cursor: String) {
        *self.last.lock() = Some(cursor);
    }

    fn print(&self, record: &Item) -> Result<String, Away> {
        let names = self.limits.link.names().ok_or(Away::Down)?;
        let text =
            record.identity().map_or_else(|| record.value().to_string(), |identity| identity.expose().to_owned());
        Ok(names.hidden(b"credential", text.as_bytes(), 12))
    }

    fn seal(&self, entry: &Entry) -> String {
        self.limits.link.cipher.encrypt(&entry.text())
    }

    /// `None`: it is gone, or it cannot be read, which is told once.
    pub(super) fn kept(&self, record: &Record) -> Option<Kept> {
        let kept = self.read_record(record);
        if kept.is_some() || record.text.is_none() {
            self.unread.lock().remove(&record.id);
        } else if self.unread.lock().insert(record.id.clone()) {
            log::warn!(
                "store: {} cannot be read; a replica that knew it goes on with what it knew, and one that starts has it not: \
                 restore it, or take it out (docs/operations.md, \"Damaged records in the store\")",
                unread::credential(&record.id)
            );
        }
        kept
    }

    /// `None`: it is gone or cannot be read.
    pub(super) fn read_record(&self, record: &Record) -> Option<Kept> {
        record.id.parse::<u64>().ok()?;
        let text = self.limits.link.cipher.decrypt(record.text.as_ref()?.as_bytes())?;
        Some(Kept { version: record.version, entry: Entry::read(&text)? })
    }

    /// Of a record as the scripts return it.
    fn kept_of(&self, id: CredentialId, have: &str) -> Option<Kept> {
        let have = Some(have.as_bytes()).filter(|have| !have.is_empty());
        self.kept(&Record::of(id.0.to_string(), have))
    }

    /// Whether all of a record's rests can be read.
    pub(super) fn has_whole_rests(&self, text: &str) -> bool {
        let written = serde_json::from_str::<Map<String, Value>>(text);
        written.is_ok_and(|written| written.len() == self.rests(text).len())
    }

    pub(super) fn rests(&self, text: &str) -> Vec<Rest> {
        let rests: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
        rests.into_iter().filter_map(|(model, rest)| self.read_rest(model, &rest)).collect()
    }

    fn read_rest(&self, model: String, rest: &Value) -> Option<Rest> {
        let until = rest[0].as_u64()?;
        let text = self.limits.link.cipher.decrypt(rest[2].as_str()?.as_bytes())?;
        let text: Value = serde_json::from_slice(&text).ok()?;
        let why = Block {
            reason: rest[3].as_str().unwrap_or_default().to_owned(),
            message: Message::from_json(&text["sentence"]),
            link: text["link"].as_str().map(str::to_owned),
        };
        Some(Rest {
            model: Some(model).filter(|model| !model.is_empty()),
            until: (until > 0).then(|| at(until)),
            limit: rest[1] == 1,
            why,
            at: at(text["at"].as_u64().unwrap_or_default()),
        })
    }

    fn row(&self, rest: &Rest) -> RestRow {
        let Rest { model, until, limit, why, at } = rest;
        let text = json!({"sentence": why.message.json(), "link": why.link, "at": ms(*at)});
        let until = until.map_or(0, |until| ms(until).max(1));
        let sealed = self.limits.link.cipher.encrypt(&text.to_string());
        (model.clone().unwrap_or_default(), until, *limit, sealed, why.reason.clone())
    }
}

impl From<Fault> for Away {
    fn from(fault: Fault) -> Away {
        match fault {
            Fault::Down => Away::Down,
            Fault::Unsure => Away::Unsure,
            Fault::Full => Away::Full,
            Fault::Behind => Away::Emptied,
        }
    }
}

impl Shared for Accounts {
    fn now(&self) -> SystemTime {
        self.limits.now()
    }

    fn must_answer(&self) -> Result<(), Away> {
        match self.limits.link.is_up() {
            _ if self.is_emptied() => Err(Away::Emptied),
            true => Ok(()),
            false => Err(Away::Down),
        }
    }

    fn read(&self, id: CredentialId) -> Result<Known, Away> {
        let (now, have, rests) = self.ask(|scripts, line, names| scripts.read(line, names, id.0, self.seen()))?;
        self.limits.set_clock(at(now));
        let kept = self.kept_of(id, &have);
        let rests = rests.split_once('|').map_or("{}", |(_, text)| text);
        Ok(Known { id, kept, is_gone: have.is_empty(), rests: Some(self.rests(rests)) })
    }

    fn numbers(&self, items: &[Item]) -> Result<Vec<CredentialId>, Away> {
        let prints = items.iter().map(|item| self.print(item)).collect::<Result<Vec<_>, _>>()?;
        let numbers = self.ask(|scripts, line, names| scripts.number(line, names, &prints, self.seen()))?;
        Ok(numbers.into_iter().map(CredentialId).collect())
    }

    fn create(&self, entry: &Entry, wished: Option<CredentialId>) -> Result<(CredentialId, Kept, bool), Away> {
        let wished = wished.map(|id| id.0);
        let (print, text) = (self.print(&entry.record)?, self.seal(entry));
        let (id, have, is_new, cursor) =
            self.ask(|scripts, line, names| scripts.create(line, names, &print, &text, wished, self.seen()))?;
        self.told(cursor);
        // A record that cannot be read is nobody's to change.
        let kept = self.kept_of(CredentialId(id), &have).ok_or(Away::Down)?;
        Ok((CredentialId(id), kept, is_new))
    }

    fn change(&self, id: CredentialId, was: &Kept, next: Option<&Entry>, with: With<'_>) -> Result<Changed, Away> {
        let before = self.print(&was.entry.record)?;
        let after = next.map_or(Ok(String::new()), |next| self.print(&next.record))?;
        let text = next.map(|next| self.seal(next)).unwrap_or_default();
        let lease = with.lease.map(|held| (name(held.work, held.id), held.holder.clone()));
        let edit = Edit {
            id: id.0,
            version: was.version,
            text: &text,
            prints: [&before, &after],
            lease: lease.as_ref().map(|(lease, holder)| [lease.as_str(), holder.as_str()]),
            lift: match with.lift {
                Some(Lift::All) => "all",
                Some(Lift::Grant) => "grant",
                Some(Lift::Block(_)) | None => "",
            },
        };
        let (have, is_done, cursor) =
            self.ask(|scripts, line, names| scripts.change(line, names, &edit, self.seen()))?;
        self.told(cursor);
        if let Some(lease) = lease.filter(|_| is_done) {
            self.held.lock().remove(&lease);
        }
        Ok(match (have.is_empty(), is_done) {
            (true, true) => Changed::Done(was.clone()),
            (true, false) => Changed::Gone,
            (false, true) => Changed::Done(self.kept_of(id, &have).ok_or(Away::Down)?),
            (false, false) => Changed::Newer(self.kept_of(id, &have).ok_or(Away::Down)?),
        })
    }

    fn lease(&self, work: Work, id: CredentialId, span: Duration) -> Result<Leased, Away> {
        let lease = name(work, id);
        // It may be ours, and nobody knows.
        let again = self.unsure.lock().remove(&lease);
        let holder = again.unwrap_or_else(|| format!("{}#{}", self.limits.who, self.limits.next()));
        let lease = (lease, holder);
        let is_of_record = work == Work::Ask;
        let asked =
            self.ask(|scripts, line, names| scripts.lease(line, names, id.0, [&lease.0, &lease.1], span, is_of_record));
        if asked == Err(Away::Unsure) {
            self.unsure.lock().insert(lease.0.clone(), lease.1.clone());
            let _ = self.ask(|scripts, line, names| scripts.release(line, names, id.0, [&lease.0, &lease.1], None));
        }
        let (now, standing, left, have, rest): LeaseRow = asked?;
        self.limits.set_clock(at(now));
        let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
        let mut rest = rest.splitn(3, '|').skip(1);
        let times = rest.next().and_then(|times| times.parse().ok()).unwrap_or(0);
        Ok(match standing {
            0 => {
                if is_of_record {
                    self.held.lock().insert(lease.clone());
                }
                Leased::Mine(Held { work, id, holder: lease.1 }, self.kept_of(id, &have), times)
            }
            1 => Leased::Others(left, self.kept_of(id, &have)),
            2 => {
                let text =
                    rest.next().and_then(|text| self.limits.link.cipher.decrypt(text.as_bytes())).unwrap_or_default();
                let message = serde_json::from_slice(&text).unwrap_or_default();
                Leased::Resting(left, Message::from_json(&message))
            }
            _ => Leased::Gone,
        })
    }

    fn release(&self, held: &Held, failed: Option<&Failed>) {
        let lease = (name(held.work, held.id), held.holder.clone());
        self.held.lock().remove(&lease);
        let text = failed
            .map(|failed| self.limits.link.cipher.encrypt(&failed.message.json().to_string()))
            .unwrap_or_default();
        let rest = failed.map(|failed| (failed.rest, failed.times, text.as_str()));
        // If nobody answers it ends by itself.
        let _ = self.ask(|scripts, line, names| scripts.release(line, names, held.id.0, [&lease.0, &lease.1], rest));
    }

    fn rest(&self, id: CredentialId, version: Option<u64>, rests: &[Rest]) -> Result<bool, Away> {
        let rows: Vec<RestRow> = rests.iter().map(|rest| self.row(rest)).collect();
        self.ask(|scripts, line, names| scripts.cool(line, names, id.0, version, &rows, self.seen()))
    }

    fn lift(&self, id: CredentialId, what: Lift) -> Result<(), Away> {
        let until = match what {
            Lift::All => None,
            Lift::Grant | Lift::Block(None) => Some(0),
            Lift::Block(Some(until)) => Some(ms(until).max(1)),
        };
        let cursor = self.ask(|scripts, line, names| scripts.lift(line, names, id.0, until, self.seen()))?;
        self.told(cursor);
        Ok(())
    }

    fn wait(&self) {
        if let Some((news, cursor)) = self.news().zip(self.last.lock().take()) {
            news.wait_for_own(&cursor);
        }
    }

    fn wake(&self) {
        self.limits.wake();
    }
}

/// What a lease is called.
fn name(work: Work, id: CredentialId) -> String {
    match work {
        Work::Ask => format!("lease:{}", id.0),
        Work::Check => format!("lease:check:{}", id.0),
    }
}

pub(super) fn ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accounts({:?})", self.limits)
    }
}

#[cfg(test)]
mod tests;
