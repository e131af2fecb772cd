//! Keys of the page that several replicas hold together: changed in what they ask of ([`Registry`]), by comparing versions,
//! so that no change undoes another; and the copy of all of them that this replica goes by.

use super::registry::{Change, Expected, Outcome, Registry, Unwritten};
use super::{BulkDone, BulkEdit, Edit, EditError, Key, Keys, Meter, Source, change, edit};
use crate::message::Message;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

/// How often a change is tried while others change the same key.
const TRIES: usize = 100;
/// Keys that are changed with one question.
const PIECE: usize = 500;

/// Who holds the keys of the page, where it is not this program.
#[derive(Debug, Default)]
pub(super) struct Registered {
    registry: OnceLock<Arc<dyn Registry>>,
    /// The keys of the state file, which nobody uses meanwhile.
    of_file: OnceLock<Vec<Arc<Key>>>,
    /// Ids of those that this version cannot read.
    unread: Mutex<HashSet<String>>,
    observer: OnceLock<Observer>,
}

/// Is told when the copy has changed.
struct Observer(Box<dyn Fn(&Keys) + Send + Sync>);

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

impl From<Unwritten> for EditError {
    fn from(why: Unwritten) -> EditError {
        EditError::Away(Message::new(match why {
            Unwritten::Away => "store_unwritten",
            Unwritten::Unsure => "store_unsure",
            Unwritten::Full => "store_full_unwritten",
            Unwritten::Emptied => "store_emptied_unwritten",
        }))
    }
}

fn text(key: &Key) -> String {
    // Texts and numbers: nothing that could fail.
    serde_json::to_string(&edit::write(key)).unwrap_or_default()
}

/// A key as it was read, and what was written of it.
struct Found {
    version: u64,
    key: Key,
    /// What a later version of the program wrote and this one does not know.
    unknown: Map<String, Value>,
}

impl Found {
    fn read(version: u64, written: &str) -> Option<Found> {
        let key = edit::read(written, None)?;
        let mut unknown: Map<String, Value> = serde_json::from_str(written).ok()?;
        let known: Map<String, Value> = serde_json::from_str(&text(&key)).ok()?;
        unknown.retain(|name, _| !known.contains_key(name));
        Some(Found { version, key, unknown })
    }

    /// As it shall be.
    fn change(&self) -> Change {
        let mut fields = self.unknown.clone();
        fields.extend(serde_json::from_str::<Map<String, Value>>(&text(&self.key)).unwrap_or_default());
        Change {
            id: self.key.id(),
            expected: Expected::Version(self.version),
            name: self.key.name.to_string(),
            text: Value::Object(fields).to_string(),
        }
    }
}

/// Makes a key.
pub(super) fn create(
    keys: &Keys,
    registry: &dyn Registry,
    name: &str,
    edit: &Edit,
) -> Result<(Arc<Key>, String), EditError> {
    let is_of_config = |key: &&Arc<Key>| key.source == Source::Config;
    if keys.list.read().named(name).filter(is_of_config).is_some() {
        return Err(change::name_taken(name));
    }
    for _ in 0..TRIES {
        let (mut key, shown) = change::made(name, &keys.changes);
        edit.apply(&mut key);
        let change = Change { id: key.id(), expected: Expected::New, name: name.into(), text: text(&key) };
        match registry.write(&[change])?[..] {
            [Outcome::Done] => return Ok((Arc::new(key), shown)),
            // Half of a digest is the same once in billions of times.
            [Outcome::Exists] => {}
            _ => return Err(change::name_taken(name)),
        }
    }
    Err(Unwritten::Away.into())
}

/// One key as it is now.
fn read(registry: &dyn Registry, id: &str) -> Result<Found, EditError> {
    let found = registry.read(&[id.to_owned()])?.pop().flatten();
    if found.is_none() {
        // A store that was emptied says so to whoever would change it.
        registry.write(&[Change { expected: Expected::Version(u64::MAX), ..gone(id) }])?;
    }
    found.and_then(|(version, written)| Found::read(version, &written)).ok_or(EditError::Unknown)
}

/// Changes a key; returns it as it is now.
pub(super) fn change(keys: &Keys, registry: &dyn Registry, id: &str, edit: &Edit) -> Result<Arc<Key>, EditError> {
    of_page(id)?;
    for _ in 0..TRIES {
        let mut found = read(registry, id)?;
        edit.apply(&mut found.key);
        let is_of_config = |known: &&Arc<Key>| known.source == Source::Config;
        if let Some(name) = &edit.name
            && keys.list.read().named(name).filter(is_of_config).is_some()
        {
            return Err(change::name_taken(name));
        }
        match registry.write(&[found.change()])?[..] {
            [Outcome::Done] => return Ok(Arc::new(found.key)),
            [Outcome::NameTaken] => return Err(change::name_taken(&found.key.name)),
            [Outcome::Gone] => return Err(EditError::Unknown),
            _ => {}
        }
    }
    Err(Unwritten::Away.into())
}

/// Takes a key away.
pub(super) fn delete(registry: &dyn Registry, id: &str) -> Result<Arc<Key>, EditError> {
    of_page(id)?;
    let Found { key, .. } = read(registry, id)?;
    match registry.write(&[gone(id)])?[..] {
        [Outcome::Done] => Ok(Arc::new(key)),
        _ => Err(EditError::Unknown),
    }
}

fn gone(id: &str) -> Change {
    Change { id: id.into(), expected: Expected::Any, name: String::new(), text: String::new() }
}

fn of_page(id: &str) -> Result<(), EditError> {
    match id.strip_prefix("config-").is_some_and(|place| place.parse::<u32>().is_ok()) {
        true => Err(EditError::Conflict(Message::new("key_in_config"))),
        false => Ok(()),
    }
}

/// Changes many; what the store does not answer for is told of each.
pub(super) fn change_all(
    keys: &Keys,
    registry: &dyn Registry,
    wanted: impl Fn(&Key) -> bool,
    edit: BulkEdit,
) -> BulkDone {
    let found = keys.list().into_iter().filter(|key| wanted(key));
    let (of_page, of_config): (Vec<_>, Vec<_>) = found.partition(|key| key.source == Source::Page);
    let mut done = BulkDone { of_config, ..BulkDone::default() };
    for piece in of_page.chunks(PIECE) {
        let mut left: Vec<Arc<Key>> = piece.to_vec();
        for _ in 0..TRIES {
            match change_piece(registry, &left, edit, &mut done) {
                Ok(again) if again.is_empty() => break,
                Ok(again) => left = again,
                Err(why) => {
                    let EditError::Away(message) = EditError::from(why) else { break };
                    done.failed.extend(left.drain(..).map(|key| (key, message.clone())));
                    break;
                }
            }
        }
    }
    done
}

/// Returns those that somebody else has changed meanwhile.
fn change_piece(
    registry: &dyn Registry,
    keys: &[Arc<Key>],
    edit: BulkEdit,
    done: &mut BulkDone,
) -> Result<Vec<Arc<Key>>, Unwritten> {
    let ids: Vec<String> = keys.iter().map(|key| key.id()).collect();
    let (mut changes, mut meant) = (Vec::new(), Vec::new());
    for ((id, found), known) in ids.iter().zip(registry.read(&ids)?).zip(keys) {
        // Who is gone has nothing to be changed; the report says that it is not known.
        let Some(mut found) = found.and_then(|(version, written)| Found::read(version, &written)) else { continue };
        changes.push(match edit {
            BulkEdit::Delete => gone(id),
            BulkEdit::Enable | BulkEdit::Disable => {
                found.key.disabled = edit == BulkEdit::Disable;
                found.change()
            }
        });
        meant.push((known, found.key));
    }
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let mut again = Vec::new();
    for (outcome, (known, key)) in registry.write(&changes)?.into_iter().zip(meant) {
        match outcome {
            Outcome::Done => done.changed.push(Arc::new(key)),
            Outcome::Changed => again.push(known.clone()),
            Outcome::Gone | Outcome::NameTaken | Outcome::Exists => {}
        }
    }
    Ok(again)
}

impl Keys {
    /// From now on the keys of the page are those of all replicas; those of the state file stay in it and are not used.
    pub fn register(&self, registry: Arc<dyn Registry>) {
        let mut list = self.list.write();
        let of_file: Vec<(u32, Arc<Key>)> = list
            .places()
            .filter(|(_, key)| key.source == Source::Page)
            .map(|(place, key)| (place, key.clone()))
            .collect();
        if !of_file.is_empty() {
            let count = of_file.len();
            log::warn!(
                "keys: {count} keys that were made on the page before there was a store are not used: they stay in the \
                 state file of this replica, and `store import` brings them in"
            );
        }
        list.remove_all(of_file.iter().map(|(place, _)| *place));
        let _ = self.registered.of_file.set(of_file.into_iter().map(|(_, key)| key).collect());
        let _ = self.registered.registry.set(registry);
    }

    /// Is told whenever the copy of what all replicas hold has changed.
    pub fn observe(&self, observer: impl Fn(&Keys) + Send + Sync + 'static) {
        let _ = self.registered.observer.set(Observer(Box::new(observer)));
    }

    pub(super) fn registry(&self) -> Option<&dyn Registry> {
        self.registered.registry.get().map(|registry| &**registry)
    }

    /// The keys that stay in the state file while others count.
    pub(super) fn kept_in_file(&self) -> &[Arc<Key>] {
        self.registered.of_file.get().map_or(&[], |keys| keys)
    }

    /// How many keys of the page this replica holds a copy of.
    pub fn registered(&self) -> u64 {
        let of_page = self.list.read().iter().filter(|key| key.source == Source::Page).count();
        (of_page + self.registered.unread.lock().len()) as u64
    }

    /// Takes over all keys that there are, by their ids.
    pub fn replace(&self, all: Vec<(String, Option<String>)>) {
        let known: HashSet<&str> = all.iter().map(|(id, _)| id.as_str()).collect();
        let mut lost: Vec<String> = {
            let list = self.list.read();
            list.iter().filter(|key| key.source == Source::Page).map(|key| key.id()).collect()
        };
        lost.extend(self.registered.unread.lock().iter().cloned());
        lost.retain(|id| !known.contains(id.as_str()));
        self.update(all.into_iter().chain(lost.into_iter().map(|id| (id, None))).collect());
    }

    /// Takes over keys as they are now, by their ids.
    pub fn update(&self, changed: Vec<(String, Option<String>)>) {
        let wanted: HashSet<u32> = changed.iter().filter_map(|(id, _)| number_of(id)).collect();
        let mut list = self.list.write();
        let mut gone = self.gone.lock();
        let mut unread = self.registered.unread.lock();
        let of_page = |(_, key): &(u32, &Arc<Key>)| key.source == Source::Page && wanted.contains(&key.number);
        let mut places: HashMap<u32, (u32, Arc<Key>)> =
            list.places().filter(of_page).map(|(place, key)| (key.number, (place, key.clone()))).collect();
        let of_file: HashMap<u64, &Arc<Meter>> =
            self.kept_in_file().iter().map(|key| (key.mark.number(), &key.meter)).collect();
        let (mut removed, mut put, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        let mut last: Option<Arc<Key>> = None;
        for (id, text) in changed {
            let mut present = number_of(&id).and_then(|number| places.remove(&number));
            let read = text.as_deref().and_then(|text| edit::read(text, last.as_deref()));
            let read = read.filter(|key| key.id() == id);
            if text.is_none() || read.is_some() {
                unread.remove(&id);
            } else if unread.insert(id.clone()) {
                wrong.push(id);
            }
            present.take_if(|(place, known)| match &read {
                Some(key) if key.digest == known.digest => false,
                _ => {
                    removed.push(*place);
                    true
                }
            });
            let Some(mut key) = read else { continue };
            let is_same =
                |known: &Key| (&known.name, known.disabled, &known.limits) == (&key.name, key.disabled, &key.limits);
            if present.as_ref().is_some_and(|(_, known)| is_same(known)) {
                continue;
            }
            let mark = key.mark.number();
            let meter = present.as_ref().map(|(_, known)| known.meter.clone());
            let meter = meter.or_else(|| gone.remove(&mark)).or_else(|| of_file.get(&mark).copied().cloned());
            key.meter = meter.unwrap_or_else(|| Arc::new(Meter::restore(mark, &[], &self.changes)));
            last = Some(Arc::new(key.clone()));
            put.push((present.map(|(place, _)| place), key));
        }
        if !removed.is_empty() {
            list.remove_all(removed.into_iter());
        }
        list.put_all(put);
        drop((list, gone, unread));
        for id in wrong {
            log::warn!(
                "keys: the key {} of the store cannot be read; it is not used: restore it, or take it out \
                 (docs/operations.md, \"Damaged records in the store\")",
                id.escape_debug()
            );
        }
        if let Some(Observer(observer)) = self.registered.observer.get() {
            observer(self);
        }
    }
}

/// Whether this is the text of the key of this id.
pub fn is_readable(id: &str, text: &str) -> bool {
    edit::read(text, None).is_some_and(|key| key.id() == id)
}

fn number_of(id: &str) -> Option<u32> {
    u32::from_str_radix(id.strip_prefix("key-")?, 16).ok()
}

#[cfg(test)]
mod tests;
