//! Moving in and out: a credentials file with its state file, and the store that replicas share.

use super::errand::again;
use super::{Away, Changed, Entry, Lift, Rest, Shared, With};
use crate::credentials::Credentials;
use crate::credentials::lease::CredentialId;
use crate::credentials::pool::{Now, fingerprint};
use crate::message::Message;
use serde_json::Value;
use std::collections::HashSet;
use std::time::Duration;

/// How often a record that others change is tried again.
const TRIES: usize = 20;

/// What is moved: who, and how it rests.
pub(crate) struct Moved {
    pub(crate) id: CredentialId,
    pub(crate) entry: Entry,
    pub(crate) rests: Vec<Rest>,
}

/// What came of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// New in the store.
    pub added: usize,
    /// Newer than what the store had.
    pub updated: usize,
    /// As new in the store.
    pub known: usize,
}

impl Credentials {
    /// How many credentials have their records in the store.
    pub fn in_store(&self) -> usize {
        self.with(|pool, _| pool.shared_count())
    }

    /// The store has given out the numbers before this one.
    pub(crate) fn know_next(&self, next: u64) {
        self.with(|pool, _| pool.know_next(next));
    }

    /// Brings credentials of a file into the store that this replica shares; those that are there stay, unless the file has a
    /// token that ends later. A dry run only counts. The error is for the person.
    pub fn bring(&self, of_file: &Credentials, is_dry: bool) -> Result<Brought, Message> {
        let store = self.sharing.get().map(|sharing| &*sharing.store);
        let now = store.map_or_else(std::time::SystemTime::now, Shared::now);
        let mut brought = Brought::default();
        let known: HashSet<String> = self.with(|pool, _| pool.fingerprints());
        for moved in of_file.with(|pool, _| pool.moved(now, Now::read())) {
            match store.filter(|_| !is_dry) {
                None if known.contains(&fingerprint(&moved.entry.record)) => brought.known += 1,
                None => brought.added += 1,
                Some(store) => bring_one(store, &moved, &mut brought).map_err(Away::message)?,
            }
        }
        Ok(brought)
    }

    /// The items of the store, in the order of their numbers, as a credentials file holds them.
    pub fn items(&self) -> Vec<Value> {
        let moved = self.with(|pool, now| pool.moved(now.wall, now));
        moved.into_iter().map(|moved| moved.entry.record.value().clone()).collect()
    }
}

fn bring_one(store: &dyn Shared, moved: &Moved, brought: &mut Brought) -> Result<(), Away> {
    let Moved { id, entry, rests } = moved;
    let (id, mut kept, is_new) = again(|| store.create(entry, Some(*id)))?;
    if is_new {
        brought.added += 1;
        return again(|| store.rest(id, None, rests)).map(drop);
    }
    for _ in 0..TRIES {
        let until = |entry: &Entry| entry.token.as_ref().map(|token| token.until);
        // Ends went by two clocks.
        if until(entry) <= until(&kept.entry).map(|until| until + Duration::from_secs(1)) {
            brought.known += 1;
            return Ok(());
        }
        let mut next = kept.entry.clone();
        next.token.clone_from(&entry.token);
        let with = With { lift: Some(Lift::Grant), ..With::default() };
        match again(|| store.change(id, &kept, Some(&next), with))? {
            Changed::Newer(newer) => kept = newer,
            Changed::Done(_) | Changed::Gone => {
                brought.updated += 1;
                return Ok(());
            }
        }
    }
    Err(Away::Unsure)
}
