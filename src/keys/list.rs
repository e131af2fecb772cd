//! The keys in order, and found by what a caller presents without a look at each: a wrong key costs no more than a right
//! one, however many there are.

use super::{Digest, Key};
use std::collections::HashMap;
use std::sync::Arc;
use subtle::ConstantTimeEq;

#[derive(Debug, Default)]
pub(super) struct List {
    keys: Vec<Arc<Key>>,
    /// Places by the beginning of the digest, which tells nothing of the key.
    by_beginning: HashMap<[u8; 8], Vec<usize>>,
    by_name: HashMap<String, usize>,
}

impl List {
    pub(super) fn of(keys: impl IntoIterator<Item = Arc<Key>>) -> List {
        let mut list = List::default();
        keys.into_iter().for_each(|key| list.push(key));
        list
    }

    pub(super) fn all(&self) -> &[Arc<Key>] {
        &self.keys
    }

    pub(super) fn push(&mut self, key: Arc<Key>) {
        let place = self.keys.len();
        self.by_beginning.entry(beginning(&key.digest)).or_default().push(place);
        self.by_name.insert(key.name.clone(), place);
        self.keys.push(key);
    }

    /// Replaces a key by another version of it.
    pub(super) fn replace(&mut self, place: usize, key: Key) {
        self.by_name.remove(&self.keys[place].name);
        self.by_name.insert(key.name.clone(), place);
        self.keys[place] = Arc::new(key);
    }

    pub(super) fn remove(&mut self, place: usize) {
        self.keys.remove(place);
        *self = List::of(std::mem::take(&mut self.keys));
    }

    pub(super) fn named(&self, name: &str) -> Option<&Arc<Key>> {
        self.by_name.get(name).map(|place| &self.keys[*place])
    }

    /// The first key with this digest, which is compared in constant time.
    pub(super) fn find(&self, digest: &Digest) -> Option<Arc<Key>> {
        let places = self.by_beginning.get(&beginning(digest))?;
        places.iter().map(|place| &self.keys[*place]).find(|key| bool::from(key.digest.ct_eq(digest))).cloned()
    }

    /// `wanted`, or with a number what nobody has: two keys of one name would share counters and the signature cache.
    pub(super) fn free_name(&self, wanted: &str) -> String {
        let numbered = (2..).map(|number| format!("{wanted} ({number})"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        names.find(|name| !self.by_name.contains_key(name)).unwrap_or_default()
    }
}

fn beginning(digest: &Digest) -> [u8; 8] {
    std::array::from_fn(|at| digest[at])
}
