//! Changes of the credentials file's items. Many at once cost a walk over the items for all of them, and not one for each.

use super::identity::{Identity, Key};
use super::record::Record;
use crate::secret::Secret;
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};
use std::time::SystemTime;

/// A change of one item.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// Appends the item, or puts it in the place of the same credential or of an older login.
    Add { record: Record, instead_of: Option<Identity> },
    /// New tokens after a refresh.
    Tokens { of: Identity, access: Secret, refresh: Option<Secret>, expiry: SystemTime },
    /// Sets or removes a field of our own.
    Field { of: Identity, name: &'static str, value: Option<Value> },
    /// Takes the item out.
    Remove(Record),
}

/// Makes the edits, in their order.
pub(crate) fn apply(edits: &[Edit], items: &mut Vec<Record>) {
    if edits.is_empty() {
        return;
    }
    let mut found = Items::of(std::mem::take(items));
    edits.iter().for_each(|edit| found.apply(edit));
    *items = found.slots.into_iter().flatten().collect();
}

/// Takes out edits that later ones make pointless. Keeps the waiting list short on a file that cannot be written.
pub(super) fn leave_out_outdated(edits: &mut Vec<Edit>) {
    let mut later = HashSet::new();
    edits.reverse();
    edits.retain(|edit| match edit {
        Edit::Tokens { of, refresh, .. } => later.insert((of.clone(), None)) || refresh.is_some(),
        Edit::Field { of, name, .. } => later.insert((of.clone(), Some(*name))),
        Edit::Add { .. } | Edit::Remove(_) => true,
    });
    edits.reverse();
}

/// The items by their names.
struct Items {
    /// `None`: taken out.
    slots: Vec<Option<Record>>,
    places: BTreeSet<(u64, usize)>,
}

impl Items {
    fn of(items: Vec<Record>) -> Items {
        let mut places = BTreeSet::new();
        places.extend(items.iter().enumerate().map(|(at, item)| (item.name(), at)));
        Items { slots: items.into_iter().map(Some).collect(), places }
    }

    /// Where items with this key are, in their order.
    fn find(&self, key: &Key) -> Vec<usize> {
        let name = key.name();
        let named = self.places.range((name, 0)..=(name, usize::MAX)).map(|(_, at)| *at);
        named.filter(|at| self.slots[*at].as_ref().is_some_and(|item| item.key() == *key)).collect()
    }

    fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::Add { record, instead_of } => {
                let older = instead_of.iter().flat_map(|older| self.find(&Key::Usable(older.clone())));
                let at = self.find(&record.key()).into_iter().chain(older).min();
                self.put(at.unwrap_or(self.slots.len()), Some(record.clone()));
            }
            Edit::Tokens { of, access, refresh, expiry } => {
                self.change(of, |item| item.set_tokens(access, refresh.as_ref(), *expiry));
            }
            Edit::Field { of, name, value } => self.change(of, |item| item.set(name, value.clone())),
            Edit::Remove(record) => self.find(&record.key()).into_iter().for_each(|at| self.put(at, None)),
        }
    }

    fn change(&mut self, of: &Identity, change: impl Fn(&mut Record)) {
        for at in self.find(&Key::Usable(of.clone())) {
            let mut item = self.slots[at].clone();
            item.iter_mut().for_each(&change);
            self.put(at, item);
        }
    }

    fn put(&mut self, at: usize, item: Option<Record>) {
        if at == self.slots.len() {
            self.slots.push(None);
        }
        if let Some(old) = &self.slots[at] {
            self.places.remove(&(old.name(), at));
        }
        self.places.extend(item.as_ref().map(|item| (item.name(), at)));
        self.slots[at] = item;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::UNIX_EPOCH;

    const TOKENS: [&str; 5] = ["a", "b", "c", "d", "e"];

    fn same(one: &Record, other: &Record) -> bool {
        one.key() == other.key()
    }

    /// What [`apply`] does, said as a walk over all items for each edit.
    fn walk(edit: &Edit, items: &mut Vec<Record>) {
        let is_of = |item: &Record, of: &Identity| item.identity().as_ref() == Some(of);
        match edit {
            Edit::Add { record, instead_of } => {
                let fits =
                    |item: &Record| same(item, record) || (instead_of.is_some() && item.identity() == *instead_of);
                match items.iter_mut().find(|item| fits(item)) {
                    Some(item) => *item = record.clone(),
                    None => items.push(record.clone()),
                }
            }
            Edit::Tokens { of, access, refresh, expiry } => {
                let those = items.iter_mut().filter(|item| is_of(item, of));
                those.for_each(|item| item.set_tokens(access, refresh.as_ref(), *expiry));
            }
            Edit::Field { of, name, value } => {
                items.iter_mut().filter(|item| is_of(item, of)).for_each(|item| item.set(name, value.clone()));
            }
            Edit::Remove(record) => items.retain(|item| !same(item, record)),
        }
    }

    #[test]
    fn any_edits_come_to_what_a_walk_for_each_comes_to() {
        let mut seed = 7_u64;
        let mut below = |end: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % end
        };
        for _ in 0..2_000 {
            let mut item = || match below(7) {
                0 => json!({"note": below(3)}),
                1 => json!({"api_key": TOKENS[below(5)]}),
                _ => json!({"refresh_token": TOKENS[below(5)], "label": below(9)}),
            };
            let items: Vec<Record> = (0..4).map(|_| Record::new(item())).collect();
            let edits: Vec<Edit> = (0..6)
                .map(|_| {
                    let (record, other) = (Record::new(item()), Record::new(item()));
                    let secret = || Secret::new(TOKENS[other.name() as usize % 5]);
                    match (other.name() % 4, record.identity()) {
                        (0, _) => Edit::Add { record, instead_of: other.identity() },
                        (1, Some(of)) => Edit::Tokens {
                            of,
                            access: secret(),
                            refresh: (other.name() % 3 > 0).then(secret),
                            expiry: UNIX_EPOCH,
                        },
                        (2, Some(of)) => Edit::Field { of, name: "label", value: other.value().get("label").cloned() },
                        _ => Edit::Remove(record),
                    }
                })
                .collect();
            let (mut found, mut expected) = (items.clone(), items.clone());
            apply(&edits, &mut found);
            edits.iter().for_each(|edit| walk(edit, &mut expected));
            assert_eq!(found, expected, "{items:?} {edits:?}");
        }
    }
}
