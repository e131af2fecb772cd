//! The keys in order, and found by what a caller presents without a look at each: a wrong key costs no more than a right
//! one, however many there are.

use super::{Digest, Key};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use subtle::ConstantTimeEq;

#[derive(Debug, Default)]
pub(super) struct List {
    /// By place, which rises with every key that joins and is given once.
    keys: BTreeMap<u32, Arc<Key>>,
    next: u32,
    /// Places by the first half of the digest, which tells nothing of the key and is nobody else's.
    by_digest: HashMap<u128, u32>,
    by_name: HashMap<Arc<str>, u32>,
}

impl List {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.values()
    }

    /// With their places.
    pub(super) fn places(&self) -> impl Iterator<Item = (u32, &Arc<Key>)> {
        self.keys.iter().map(|(place, key)| (*place, key))
    }

    pub(super) fn push(&mut self, key: Arc<Key>) {
        let place = self.next;
        self.next += 1;
        // Of two with one digest the first counts.
        if *self.by_digest.entry(half(&key.digest)).or_insert(place) == place {
            key.settle();
        }
        self.by_name.insert(key.name.clone(), place);
        self.keys.insert(place, key);
    }

    /// Replaces a key by another version of it.
    pub(super) fn replace(&mut self, place: u32, key: Key) {
        if let Some(old) = self.keys.get(&place) {
            self.by_name.remove(&old.name);
        }
        self.by_name.insert(key.name.clone(), place);
        if self.by_digest.get(&half(&key.digest)) == Some(&place) {
            key.settle();
        }
        self.keys.insert(place, Arc::new(key));
    }

    /// Puts keys into their places, or at the end, each by its name; names that are exchanged among them stay what they are.
    #[cfg(feature = "replicas")]
    pub(super) fn put_all(&mut self, keys: Vec<(Option<u32>, Key)>) {
        for place in keys.iter().filter_map(|(place, _)| *place) {
            let Some(known) = self.keys.get(&place) else { continue };
            if self.by_name.get(&known.name) == Some(&place) {
                self.by_name.remove(&known.name);
            }
        }
        for (place, mut key) in keys {
            key.name = self.free_name(&key.name);
            match place {
                Some(place) => {
                    self.by_name.insert(key.name.clone(), place);
                    if self.by_digest.get(&half(&key.digest)) == Some(&place) {
                        key.settle();
                    }
                    self.keys.insert(place, Arc::new(key));
                }
                None => self.push(Arc::new(key)),
            }
        }
    }

    pub(super) fn remove(&mut self, place: u32) -> Option<Arc<Key>> {
        let key = self.keys.remove(&place)?;
        self.by_name.remove(&key.name);
        if self.by_digest.get(&half(&key.digest)) == Some(&place) {
            self.by_digest.remove(&half(&key.digest));
            // The config may have the same text.
            match self.keys.iter().find(|(_, other)| other.digest == key.digest) {
                Some((place, other)) => {
                    self.by_digest.insert(half(&key.digest), *place);
                    other.settle();
                }
                None => key.end(),
            }
        }
        Some(key)
    }

    /// As [`List::remove`] for each, with one look at the others.
    pub(super) fn remove_all(&mut self, places: impl Iterator<Item = u32>) {
        let removed: Vec<_> = places.filter_map(|place| Some((place, self.keys.remove(&place)?))).collect();
        for (place, key) in &removed {
            self.by_name.remove(&key.name);
            if self.by_digest.get(&half(&key.digest)) == Some(place) {
                self.by_digest.remove(&half(&key.digest));
            }
        }
        for (place, key) in &self.keys {
            if *self.by_digest.entry(half(&key.digest)).or_insert(*place) == *place {
                key.settle();
            }
        }
        let is_gone = |key: &&Arc<Key>| !self.by_digest.contains_key(&half(&key.digest));
        removed.iter().map(|(_, key)| key).filter(is_gone).for_each(|key| key.end());
    }

    pub(super) fn named(&self, name: &str) -> Option<&Arc<Key>> {
        self.keys.get(self.by_name.get(name)?)
    }

    /// The first key with this digest, which is compared in constant time.
    pub(super) fn find(&self, digest: &Digest) -> Option<Arc<Key>> {
        let key = self.keys.get(self.by_digest.get(&half(digest))?)?;
        bool::from(key.digest.ct_eq(digest)).then(|| key.clone())
    }

    /// `wanted`, or with a number what nobody has: two keys of one name would share counters and the signature cache.
    pub(super) fn free_name(&self, wanted: &str) -> Arc<str> {
        let numbered = (2..).map(|number| format!("{wanted} ({number})"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        names.find(|name| !self.by_name.contains_key(name.as_str())).unwrap_or_default().into()
    }
}

fn half(digest: &Digest) -> u128 {
    u128::from_be_bytes(std::array::from_fn(|at| digest[at]))
}
