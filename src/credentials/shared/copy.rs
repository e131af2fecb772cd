//! The copy that this replica holds of what all share, and what it owes them.

use super::errand::land_later;
use super::{Away, Known, Landing, Shared, Sharing};
use crate::credentials::lease::CredentialId;
use crate::credentials::pool::{Effects, Now};
use crate::credentials::{Credentials, VIEWS_AT_ONCE};
use crate::storage::state::Sink;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// In the section of the state file.
const WAITING: &str = "waiting";

impl Credentials {
    /// From now on this replica is one of several. `save` writes what [`Credentials::save_landings`] says; `saved` is what it
    /// said before.
    pub(crate) fn share(&self, store: Arc<dyn Shared>, saved: &Value, save: Box<dyn Fn() + Send + Sync>) {
        let landings = self.read_landings(saved).unwrap_or_default();
        let (version, waiting) = (AtomicU64::new(0), Mutex::default());
        let _ = self.sharing.set(Sharing { store, waiting, landings: Mutex::new(landings), version, save });
    }

    /// Takes over what the store says. Who is gone from it is looked for again: this replica may have put him there since.
    pub(crate) fn hear_shared(&self, known: Vec<Known>) {
        let Some(sharing) = self.sharing.get() else { return };
        let mut known = known.into_iter().filter_map(|known| match known.is_gone {
            true => sharing.store.read(known.id).ok(),
            false => Some(known),
        });
        loop {
            let some: Vec<Known> = known.by_ref().take(VIEWS_AT_ONCE).collect();
            if some.is_empty() {
                return;
            }
            self.take_over(sharing, some);
        }
    }

    /// Tells the others what they do not know, as far as they can be reached.
    pub(crate) fn settle_shared(&self) {
        let Some(sharing) = self.sharing.get() else { return };
        if sharing.store.must_answer().is_err() || self.number_shared(sharing).is_err() {
            return;
        }
        self.tell_all(sharing);
        self.land_all(sharing);
    }

    /// What waits to be told.
    pub(crate) fn untold_shared(&self) -> usize {
        self.sharing.get().map_or(0, |sharing| sharing.untold_count() + sharing.landings.lock().len())
    }

    pub(in crate::credentials) fn take_over(&self, sharing: &Sharing, mut known: Vec<Known>) {
        known.iter_mut().for_each(|known| sharing.add_landings(known));
        let store_now = sharing.store.now();
        let effects = {
            let memory = &mut *self.memory.lock();
            let mut effects = Effects::default();
            for known in known {
                let untold = sharing.untold(known.id);
                effects.add(memory.pool.take_over(known, &untold, store_now, Now::read()));
            }
            effects
        };
        self.carry_out(effects);
    }

    /// Gives the items of the config the numbers that they have everywhere.
    fn number_shared(&self, sharing: &Sharing) -> Result<(), Away> {
        let (ids, items): (Vec<_>, Vec<_>) = self.with(|pool, _| pool.unnumbered()).into_iter().unzip();
        if items.is_empty() {
            return Ok(());
        }
        let numbers = sharing.store.numbers(&items)?;
        let effects = {
            let pool = &mut self.memory.lock().pool;
            pool.renumber(ids.into_iter().zip(numbers.iter().copied()), Now::read())
        };
        self.carry_out(effects);
        // Their rests may have been read before.
        for id in numbers {
            let rests = sharing.store.read(id)?.rests;
            self.take_over(sharing, vec![Known { id, kept: None, is_gone: false, rests }]);
        }
        Ok(())
    }

    /// Keeps what was granted while the store is away, on disk at once: nobody else has it.
    pub(in crate::credentials) fn keep_landing(&self, sharing: &Sharing, id: CredentialId, landing: Landing) {
        let is_rotated = landing.is_rotated();
        {
            let mut landings = sharing.landings.lock();
            let of = landings.entry(id).or_default();
            // An access token alone is outdated by the next one.
            of.retain(Landing::is_rotated);
            of.push(landing);
        }
        sharing.version.fetch_add(1, Ordering::Release);
        if is_rotated {
            (sharing.save)();
        }
        sharing.store.wake();
    }

    fn land_all(&self, sharing: &Sharing) {
        loop {
            let first = sharing.landings.lock().first_key_value().map(|(id, _)| *id);
            let Some(id) = first else { return };
            if !sharing.land(id) {
                return;
            }
        }
    }

    /// Rises when [`Credentials::save_landings`] says something else.
    pub(crate) fn landings_version(&self) -> u64 {
        self.sharing.get().map_or(0, |sharing| sharing.version.load(Ordering::Acquire))
    }

    /// Writes the section of the state file that holds what was granted while the store was away, encrypted.
    pub(crate) fn save_landings(&self, sink: &mut Sink<'_>) {
        let Some((sharing, cipher)) = self.sharing.get().zip(self.cipher.as_ref()) else { return };
        let landings = sharing.landings.lock();
        let all: serde_json::Map<String, Value> = landings
            .iter()
            .map(|(id, landings)| (id.0.to_string(), landings.iter().map(Landing::json).collect()))
            .collect();
        match all.is_empty() {
            true => sink.remove(WAITING),
            false => sink.put(WAITING, &json!(cipher.encrypt(&Value::Object(all).to_string()))),
        }
    }

    fn read_landings(&self, saved: &Value) -> Option<BTreeMap<CredentialId, Vec<Landing>>> {
        let sealed = saved.get(WAITING)?.as_str()?;
        let Some(text) = self.cipher.as_ref()?.decrypt(sealed.as_bytes()) else {
            log::error!(
                "[CredManager] tokens that wait in the state file for the store are sealed with another encryption key; \
                 name it in store.old_encryption_keys and start again"
            );
            return None;
        };
        let all: BTreeMap<String, Value> = serde_json::from_slice(&text).ok()?;
        let read = |(id, landings): (String, Value)| {
            let landings = landings.as_array()?.iter().filter_map(Landing::read).collect();
            Some((CredentialId(id.parse().ok()?), landings))
        };
        let mut waiting = BTreeMap::new();
        waiting.extend(all.into_iter().filter_map(read));
        Some(waiting)
    }
}

impl Sharing {
    /// Lands what waits for this credential; whether it is done.
    pub(super) fn land(&self, id: CredentialId) -> bool {
        let landings = self.landings.lock().get(&id).cloned().unwrap_or_default();
        for landing in &landings {
            if land_later(&*self.store, id, landing) != Ok(true) {
                return false;
            }
            let mut waiting = self.landings.lock();
            if let Some(of) = waiting.get_mut(&id) {
                of.retain(|waiting| waiting != landing);
            }
            waiting.retain(|_, of| !of.is_empty());
            self.version.fetch_add(1, Ordering::Release);
        }
        true
    }

    /// The store does not have what waits to land: of the two that is the newer.
    fn add_landings(&self, known: &mut Known) {
        let landings = self.landings.lock();
        if let (Some(kept), Some(waiting)) = (&mut known.kept, landings.get(&known.id)) {
            waiting.iter().for_each(|landing| _ = landing.merge(&mut kept.entry));
        }
    }
}
