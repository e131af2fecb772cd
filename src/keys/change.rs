//! Keys of the page made, changed and taken away one by one: in the list and, by what it says has changed, in the state file.

use super::list::List;
use super::meter::Changes;
use super::{Edit, EditError, Key, Keys, Mark, Meter, Source, digest, number};
use crate::mask;
use crate::message::Message;
use crate::os::random;
use std::sync::Arc;

impl Keys {
    /// Makes a key; with its text, which nobody can see again.
    pub fn create(&self, edit: Edit) -> Result<(Arc<Key>, String), EditError> {
        let name = edit.name.clone().ok_or_else(|| EditError::Wrong(Message::new("key_name_missing")))?;
        #[cfg(feature = "replicas")]
        if let Some(registry) = self.registry() {
            return super::registered::create(self, registry, &name, &edit);
        }
        let (mut key, text) = made(&name, &self.changes);
        let mut list = self.list.write();
        let has_id = |other: &Arc<Key>| other.source == Source::Page && other.number == key.number;
        if list.named(&name).is_some() || list.iter().any(has_id) {
            return Err(name_taken(&name));
        }
        edit.apply(&mut key);
        let key = Arc::new(key);
        list.push(key.clone());
        self.changed(key.number);
        Ok((key, text))
    }

    /// Changes a key of the page; returns it as it is now.
    pub fn change(&self, id: &str, edit: &Edit) -> Result<Arc<Key>, EditError> {
        #[cfg(feature = "replicas")]
        if let Some(registry) = self.registry() {
            return super::registered::change(self, registry, id, edit);
        }
        let mut list = self.list.write();
        let (at, key) = editable(&list, id)?;
        if let Some(name) = &edit.name
            && list.named(name).is_some_and(|other| other.number != key.number || other.source != key.source)
        {
            return Err(name_taken(name));
        }
        let mut key = Key::clone(&key);
        edit.apply(&mut key);
        list.replace(at, key.clone());
        self.changed(key.number);
        Ok(Arc::new(key))
    }

    /// Takes a key of the page away; answers under way end.
    pub fn delete(&self, id: &str) -> Result<Arc<Key>, EditError> {
        #[cfg(feature = "replicas")]
        if let Some(registry) = self.registry() {
            return super::registered::delete(registry, id);
        }
        let mut list = self.list.write();
        let (at, key) = editable(&list, id)?;
        list.remove(at);
        self.changed(key.number);
        Ok(key)
    }
}

/// A new key, and its text.
pub(super) fn made(name: &str, changes: &Arc<Changes>) -> (Key, String) {
    let text = format!("sk-{}", random::secret());
    let digest = digest(&text);
    let mark = Mark::of(&digest);
    let key = Key {
        number: number(&digest),
        mark,
        name: name.into(),
        masked: mask::key(&text).into(),
        source: Source::Page,
        disabled: false,
        limits: Arc::default(),
        digest,
        meter: Arc::new(Meter::restore(mark.number(), &[], changes)),
    };
    (key, text)
}

pub(super) fn name_taken(name: &str) -> EditError {
    EditError::Conflict(Message::new("key_name_taken").with("name", name))
}

fn editable(list: &List, id: &str) -> Result<(u32, Arc<Key>), EditError> {
    let (source, number) = match (id.strip_prefix("config-"), id.strip_prefix("key-")) {
        (Some(place), _) => (Source::Config, place.parse().ok()),
        (None, Some(number)) => (Source::Page, u32::from_str_radix(number, 16).ok()),
        (None, None) => return Err(EditError::Unknown),
    };
    let is_it = |key: &Key| key.source == source && Some(key.number) == number && key.id() == id;
    let (at, key) = list.places().find(|(_, key)| is_it(key)).ok_or(EditError::Unknown)?;
    match source {
        Source::Page => Ok((at, key.clone())),
        Source::Config => Err(EditError::Conflict(Message::new("key_in_config"))),
    }
}
