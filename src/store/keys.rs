//! The keys of the page over all replicas: what the store holds of them, and the copy of it that this replica goes by.

use super::news::{Copies, News};
use super::redis::{Fault, KEYS, Link, Names, Record, Scripts};
use crate::keys::{Change, Keys, Outcome, Registry, Unwritten};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A copy that is older does not say that a key is wrong which it does not know.
const CURRENT: Duration = Duration::from_secs(60);

pub(super) struct KeyRegistry {
    pub(super) link: Arc<Link>,
    pub(super) news: Arc<News>,
}

impl KeyRegistry {
    fn names(&self) -> Result<Names, Unwritten> {
        if self.news.is_emptied() {
            return Err(Unwritten::Emptied);
        }
        self.link.names().ok_or(Unwritten::Away)
    }
}

impl From<Fault> for Unwritten {
    fn from(fault: Fault) -> Unwritten {
        match fault {
            Fault::Down => Unwritten::Away,
            Fault::Unsure => Unwritten::Unsure,
            Fault::Full => Unwritten::Full,
            Fault::Behind => Unwritten::Emptied,
        }
    }
}

impl Registry for KeyRegistry {
    fn read(&self, ids: &[String]) -> Result<Vec<Option<(u64, String)>>, Unwritten> {
        let names = self.names()?;
        let read = self.link.edit(|_, line, _| Scripts::keys_of(line, &names, ids));
        // Nothing is changed by that.
        let records = read.map_err(|_| Unwritten::Away)?;
        Ok(records.into_iter().map(|record| Some((record.version, record.text?))).collect())
    }

    fn write(&self, changes: &[Change]) -> Result<Vec<Outcome>, Unwritten> {
        let names = self.names()?;
        let seen = self.news.seen();
        let written = self.link.edit(|scripts, line, is_sent| scripts.keys(line, &names, changes, is_sent, seen));
        let (cursor, outcomes) = written.inspect_err(|_| self.news.doubt())?;
        self.news.wait_for_own(&cursor);
        Ok(outcomes)
    }

    fn is_current(&self) -> bool {
        self.news.age().is_some_and(|age| age < CURRENT)
    }
}

impl fmt::Debug for KeyRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRegistry({:?})", self.link.address())
    }
}

/// The copy.
pub(super) struct KeyCopies(pub(super) Arc<Keys>);

impl Copies for KeyCopies {
    fn table(&self) -> &'static str {
        KEYS
    }

    fn replace(&self, all: Vec<Record>) {
        self.0.replace(all.into_iter().map(|record| (record.id, record.text)).collect());
    }

    fn update(&self, changed: Vec<Record>) {
        self.0.update(changed.into_iter().map(|record| (record.id, record.text)).collect());
    }

    fn count(&self) -> u64 {
        self.0.registered()
    }
}
