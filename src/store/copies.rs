//! The copies of credentials and of their rests that this replica holds.

use super::accounts::Accounts;
use super::news::Copies;
use super::redis::Record;
use crate::credentials::shared::Known;
use crate::credentials::{CredentialId, Credentials};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;

/// Credentials.
pub(super) struct Records(Table);

/// Their rests and blocks.
pub(super) struct Rests(Table);

struct Table {
    accounts: Arc<Accounts>,
    pool: Arc<Credentials>,
    /// Those that are there, whether they can be read or not.
    ids: Mutex<HashSet<String>>,
}

impl Table {
    fn new(accounts: Arc<Accounts>, pool: Arc<Credentials>) -> Table {
        Table { accounts, pool, ids: Mutex::default() }
    }

    /// Those that are gone.
    fn replace(&self, all: &[Record]) -> Vec<Record> {
        let all: HashSet<String> = all.iter().map(|record| record.id.clone()).collect();
        let gone = self.ids.lock().difference(&all).cloned().collect::<Vec<_>>();
        *self.ids.lock() = all;
        gone.into_iter().map(|id| Record { id, version: 0, text: None }).collect()
    }

    fn update(&self, changed: &[Record]) {
        let mut ids = self.ids.lock();
        for record in changed {
            match record.text {
                Some(_) => ids.insert(record.id.clone()),
                None => ids.remove(&record.id),
            };
        }
    }

    fn count(&self) -> u64 {
        self.ids.lock().len() as u64
    }

    fn hear(&self, records: Vec<Record>, known: impl Fn(CredentialId, &Record) -> Known) {
        self.pool.hear_shared(records.iter().filter_map(|record| Some(known(number(record)?, record))).collect());
    }
}

fn number(record: &Record) -> Option<CredentialId> {
    record.id.parse().ok().map(CredentialId)
}

impl Records {
    pub(super) fn new(accounts: Arc<Accounts>, pool: Arc<Credentials>) -> Records {
        Records(Table::new(accounts, pool))
    }

    fn hear(&self, records: Vec<Record>) {
        let accounts = &self.0.accounts;
        // Nobody has a number that is none, and it is told all the same.
        records.iter().filter(|record| number(record).is_none()).for_each(|record| _ = accounts.kept(record));
        self.0.hear(records, |id, record| {
            let kept = accounts.kept(record);
            Known { id, kept, is_gone: record.text.is_none(), rests: None }
        });
    }
}

impl Copies for Records {
    fn table(&self) -> &'static str {
        "cred"
    }

    fn replace(&self, all: Vec<Record>) {
        let gone = self.0.replace(&all);
        self.hear(all);
        self.hear(gone);
    }

    fn update(&self, changed: Vec<Record>) {
        self.0.update(&changed);
        self.hear(changed);
    }

    fn count(&self) -> u64 {
        self.0.count()
    }
}

impl Rests {
    pub(super) fn new(accounts: Arc<Accounts>, pool: Arc<Credentials>) -> Rests {
        Rests(Table::new(accounts, pool))
    }

    fn hear(&self, records: Vec<Record>) {
        let accounts = &self.0.accounts;
        self.0.hear(records, |id, record| {
            let rests = accounts.rests(record.text.as_deref().unwrap_or("{}"));
            Known { id, kept: None, is_gone: false, rests: Some(rests) }
        });
    }
}

impl Copies for Rests {
    fn table(&self) -> &'static str {
        "cool"
    }

    fn replace(&self, all: Vec<Record>) {
        let gone = self.0.replace(&all);
        self.hear(all);
        self.hear(gone);
    }

    fn update(&self, changed: Vec<Record>) {
        self.0.update(&changed);
        self.hear(changed);
    }

    fn count(&self) -> u64 {
        self.0.count()
    }
}
