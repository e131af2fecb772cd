//! The keys that clients may use and their limits: those of config.json, which stay as the user wrote them, and those made
//! on the admin page, which live in the state file's section `keys`.
//!
//! Keys are known here by their SHA-256 only, and hashes are compared in constant time. A fast hash is right for what the
//! page makes: 256 random bits cannot be guessed, however fast a guess is tried; and the keys of config.json are never
//! written anywhere. What a key has used is kept under its mark, a part of a hash, so that names and places move no count.

mod edit;
mod list;
mod meter;

pub use edit::{Edit, EditError};
pub use meter::{Meter, Permit, RateHeaders, Today};

use crate::calendar;
use crate::config::{ClientKey, KeyLimits};
use crate::error::{ApiError, ErrorKind};
use crate::gemini::models::ModelTable;
use crate::mask;
use crate::message::Message;
use crate::os::random;
use list::List;
use parking_lot::{Mutex, RwLock};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

type Digest = [u8; 32];

/// Keys that are remembered until the end of the day after they have left the list.
const MOST_GONE: usize = 1000;

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// config.json: read-only here.
    Config,
    /// The admin page.
    Page,
}

/// One key. Edited by being replaced; the meter stays.
#[derive(Clone, Debug)]
pub struct Key {
    /// `config-0`, `key-1a2b3c4d`.
    pub id: String,
    /// What is counted for it goes by this: a part of a hash of the key.
    pub mark: String,
    /// Unique and safe to log.
    pub name: String,
    /// Beginning and end of the key.
    pub masked: String,
    /// Where it comes from.
    pub source: Source,
    /// Whether a person switched it off.
    pub disabled: bool,
    /// What it may do.
    pub limits: KeyLimits,
    digest: Digest,
    meter: Arc<Meter>,
}

impl Key {
    /// Why the key must not be used now.
    pub fn refusal(&self) -> Option<ApiError> {
        let expired = self.limits.expires_at.is_some_and(|end| end <= SystemTime::now());
        let sentence = match (self.disabled, expired) {
            (true, _) => "This API key is disabled.",
            (false, true) => "This API key has expired.",
            (false, false) => return None,
        };
        Some(ApiError::new(401, ErrorKind::InvalidRequest, sentence).with_code("invalid_api_key"))
    }

    /// Whether a request would be admitted now, whatever model it is for; with the headers of a refusal.
    pub fn room(&self) -> (Result<(), ApiError>, RateHeaders) {
        self.meter.room(&self.name, &self.limits, SystemTime::now())
    }

    /// Counts a request that is about these models (base names), or says which limit it breaks; with the headers for either
    /// answer.
    pub fn admit<'a>(
        &self,
        about: impl IntoIterator<Item = &'a str>,
        models: &ModelTable,
    ) -> (Result<Permit, ApiError>, RateHeaders) {
        self.admit_several(1, about, models)
    }

    /// The same for one that Google is asked several times for.
    pub fn admit_several<'a>(
        &self,
        requests: u64,
        about: impl IntoIterator<Item = &'a str>,
        models: &ModelTable,
    ) -> (Result<Permit, ApiError>, RateHeaders) {
        if let Some(model) = about.into_iter().find(|model| !self.may_use(model, models)) {
            let message = format!("The key {:?} may not use the model {model:?}.", self.name);
            let error = ApiError::new(403, ErrorKind::Permission, message).with_code("model_not_allowed");
            return (Err(error.with_param("model")), Vec::new());
        }
        self.meter.admit(&self.name, &self.limits, requests, SystemTime::now())
    }

    /// Entries are base names, aliases or names with suffixes; `gemini-2.5-*` stands for all that begin so.
    pub(crate) fn may_use(&self, model: &str, models: &ModelTable) -> bool {
        let allowed = &self.limits.models;
        allowed.is_empty()
            || allowed.iter().map(|entry| entry.strip_prefix("models/").unwrap_or(entry)).any(|entry| {
                match entry.strip_suffix('*') {
                    Some(beginning) => model.starts_with(beginning),
                    None => {
                        entry == model || models.resolve(entry).is_some_and(|resolved| resolved.model.name == model)
                    }
                }
            })
    }

    /// What it has used today.
    pub fn today(&self) -> Today {
        self.meter.today()
    }

    /// Bytes of request bodies that the listener holds for this key.
    pub fn held(&self) -> Arc<AtomicUsize> {
        self.meter.held()
    }
}

/// All keys. Cheap to ask from every thread.
#[derive(Debug)]
pub struct Keys {
    list: RwLock<List>,
    /// What keys have used today that are not in the list any more; taken while the list is locked.
    gone: Mutex<Map<String, Value>>,
    /// Rises with every change of what is kept.
    changes: Arc<AtomicU64>,
}

impl Keys {
    /// The keys of the config, and those of the state file's section with what all of them have used.
    pub fn new(config: &[ClientKey], section: Option<&Value>) -> Keys {
        Keys::read(config, section, Arc::default())
    }

    fn read(config: &[ClientKey], section: Option<&Value>, changes: Arc<AtomicU64>) -> Keys {
        let mut list = List::default();
        let section = section.unwrap_or(&Value::Null);
        let mut used = section["meters"].as_object().cloned().unwrap_or_default();
        // Older state files go by the name.
        let mut take_meter = |mark: &str, name: &str| match used.remove(mark) {
            Some(kept) => kept_meter(&kept, &changes),
            None => kept_meter(&section["used"][name], &changes),
        };
        for (at, key) in config.iter().enumerate() {
            let name = list.free_name(&key.name);
            let digest = digest(key.key.expose());
            let mark = mark(&digest);
            list.push(Arc::new(Key {
                id: format!("config-{at}"),
                meter: take_meter(&mark, &name),
                mark,
                name,
                masked: mask::key(key.key.expose()),
                source: Source::Config,
                disabled: false,
                limits: key.limits.clone(),
                digest,
            }));
        }
        for item in section["keys"].as_array().into_iter().flatten() {
            match edit::read(item) {
                Some(mut key) => {
                    key.name = list.free_name(&key.name);
                    key.meter = take_meter(&key.mark, &key.name);
                    list.push(Arc::new(key));
                }
                None => log::warn!("keys: one key of the state file cannot be read; it is left out"),
            }
        }
        let today = calendar::day(SystemTime::now());
        let is_fresh = |(_, kept): &(String, Value)| kept[0] == today;
        let gone = used.into_iter().filter(is_fresh).take(MOST_GONE).collect();
        Keys { list: RwLock::new(list), gone: Mutex::new(gone), changes }
    }

    /// Takes over the keys of a config that was read again. What a key has used stays with it.
    pub fn reload(&self, config: &[ClientKey]) {
        // One lock from the first look to the end: a key that the page makes meanwhile waits and is not lost.
        let mut list = self.list.write();
        let mut gone = self.gone.lock();
        let fresh = Keys::read(config, Some(&saved(list.all(), &gone)), self.changes.clone());
        let keep = |key: Arc<Key>| match list.find(&key.digest).filter(|old| old.source == key.source) {
            Some(same) => Arc::new(Key { meter: same.meter.clone(), ..Key::clone(&key) }),
            None => key,
        };
        *list = List::of(fresh.list().into_iter().map(keep));
        *gone = fresh.gone.into_inner();
    }

    /// Rises with every change of the section.
    pub fn version(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// The section for the state file.
    pub fn saved(&self) -> Value {
        let list = self.list.read();
        saved(list.all(), &self.gone.lock())
    }

    /// The name of each mark.
    pub fn names(&self) -> HashMap<String, String> {
        self.list().iter().map(|key| (key.mark.clone(), key.name.clone())).collect()
    }

    /// All keys in order.
    pub fn list(&self) -> Vec<Arc<Key>> {
        self.list.read().all().to_vec()
    }

    /// The key with this text.
    pub fn find(&self, presented: &str) -> Option<Arc<Key>> {
        self.list.read().find(&digest(presented))
    }

    /// Whether this is a key as it stands in the list, and may be used now.
    pub fn still_has(&self, key: &Arc<Key>) -> bool {
        self.usable(&key.name).is_some_and(|now| Arc::ptr_eq(&now, key))
    }

    /// The key of this name, when it may be used now.
    pub fn usable(&self, name: &str) -> Option<Arc<Key>> {
        self.list.read().named(name).filter(|key| key.refusal().is_none()).cloned()
    }

    /// Makes a key and returns its id and text; nobody can see the text again.
    pub fn create(&self, edit: Edit) -> Result<(String, String), EditError> {
        let name = edit.name.clone().ok_or_else(|| EditError::Wrong(Message::new("key_name_missing")))?;
        let text = format!("sk-{}", random::secret());
        let digest = digest(&text);
        let id = format!("key-{:08x}", u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]));
        let mut list = self.list.write();
        if list.named(&name).is_some() || list.all().iter().any(|key| key.id == id) {
            return Err(EditError::Conflict(Message::new("key_name_taken").with("name", name)));
        }
        let mut key = Key {
            id: id.clone(),
            mark: mark(&digest),
            name,
            masked: mask::key(&text),
            source: Source::Page,
            disabled: false,
            limits: KeyLimits::default(),
            digest,
            meter: kept_meter(&Value::Null, &self.changes),
        };
        edit.apply(&mut key);
        list.push(Arc::new(key));
        self.changed();
        Ok((id, text))
    }

    /// Changes a key of the page.
    pub fn change(&self, id: &str, edit: &Edit) -> Result<(), EditError> {
        let mut list = self.list.write();
        let at = editable(list.all(), id)?;
        if let Some(name) = &edit.name
            && list.named(name).is_some_and(|key| key.id != id)
        {
            return Err(EditError::Conflict(Message::new("key_name_taken").with("name", name)));
        }
        let mut key = Key::clone(&list.all()[at]);
        edit.apply(&mut key);
        list.replace(at, key);
        self.changed();
        Ok(())
    }

    /// Takes a key of the page away; requests that run with it end well.
    pub fn delete(&self, id: &str) -> Result<(), EditError> {
        let mut list = self.list.write();
        let at = editable(list.all(), id)?;
        list.remove(at);
        self.changed();
        Ok(())
    }
}

fn saved(list: &[Arc<Key>], gone: &Map<String, Value>) -> Value {
    let made: Vec<Value> = list.iter().filter(|key| key.source == Source::Page).map(|key| edit::write(key)).collect();
    let today = calendar::day(SystemTime::now());
    let mut meters = gone.clone();
    for key in list {
        let counts = key.today();
        if let Some(last) = counts.last_used {
            let last = last.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            meters.insert(key.mark.clone(), json!([today, counts.requests, counts.tokens, last]));
        }
    }
    json!({"keys": made, "meters": meters})
}

fn editable(list: &[Arc<Key>], id: &str) -> Result<usize, EditError> {
    let at = list.iter().position(|key| key.id == id).ok_or(EditError::Unknown)?;
    match list[at].source {
        Source::Page => Ok(at),
        Source::Config => Err(EditError::Conflict(Message::new("key_in_config"))),
    }
}

fn digest(text: &str) -> Digest {
    Sha256::digest(text.as_bytes()).into()
}

/// 64 bits, of another hash than the one that a presented key is compared by.
fn mark(digest: &Digest) -> String {
    Sha256::digest(digest)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `[day, requests, tokens, last used]`.
fn kept_meter(value: &Value, changes: &Arc<AtomicU64>) -> Arc<Meter> {
    let number = |at: usize| value[at].as_u64().unwrap_or(0);
    let last_used = value[3].as_u64().map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds.min(1 << 40)));
    let day = u32::try_from(number(0)).unwrap_or(0);
    Arc::new(Meter::restore(day, Today { requests: number(1), tokens: number(2), last_used }, changes))
}

#[cfg(test)]
mod tests;
