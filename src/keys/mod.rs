//! The keys that clients may use and their limits: those of config.json, which stay as the user wrote them, and those made
//! on the admin page, which live in the state file's section `keys`.
//!
//! Keys are known here by their SHA-256 only, and hashes are compared in constant time. A fast hash is right for what the
//! page makes: 256 random bits cannot be guessed, however fast a guess is tried; and the keys of config.json are never
//! written anywhere. What a key has used is kept under its mark, a part of a hash, so that names and places move no count.

mod allowance;
mod bulk;
mod change;
mod edit;
mod kept;
mod leave;
mod list;
mod mark;
mod meter;
#[cfg(feature = "replicas")]
mod moves;
mod permit;
#[cfg(feature = "replicas")]
mod quota;
#[cfg(feature = "replicas")]
mod registered;
#[cfg(feature = "replicas")]
mod registry;
#[cfg(feature = "replicas")]
mod shared;
#[cfg(feature = "replicas")]
mod told;

pub use allowance::Allowance;
pub use bulk::{BulkDone, BulkEdit};
pub use edit::{Edit, EditError};
pub use mark::Mark;
pub use meter::{Meter, RateHeaders, Reading, Used};
#[cfg(feature = "replicas")]
pub use moves::{BroughtKeys, bring};
pub use permit::Permit;
#[cfg(feature = "replicas")]
pub use quota::{Ask, Away, Batch, Counted, Numbers, Owed, Portion, Quota, Reached};
#[cfg(feature = "replicas")]
pub use registered::is_readable;
#[cfg(feature = "replicas")]
pub use registry::{Change, Expected, Outcome, Registry, Unwritten};

use crate::config::{ClientKey, KeyLimits};
use crate::error::{ApiError, ErrorKind};
use crate::gemini::models::ModelTable;
use crate::http::Caller;
use crate::mask;
use crate::storage::state::{Part, Section, Sink};
use kept::Kept;
use list::List;
use meter::Changes;
use parking_lot::{Mutex, RwLock};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

type Digest = [u8; 32];

/// Keys that are remembered until the end of the month after they have left the list.
const MOST_GONE: usize = 1000;

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// config.json: read-only here.
    Config,
    /// The admin page.
    Page,
}

/// One key. Edited by being replaced; the meter stays. There may be a hundred thousand of them, so they are small.
#[derive(Clone, Debug)]
pub struct Key {
    /// Of its id: the place in the config, or the beginning of the digest.
    number: u32,
    /// What is counted for it goes by this.
    pub mark: Mark,
    /// Unique and safe to log.
    pub name: Arc<str>,
    /// Beginning and end of the key.
    pub masked: Box<str>,
    /// Where it comes from.
    pub source: Source,
    /// Whether a person switched it off.
    pub disabled: bool,
    /// What it may do.
    pub limits: Arc<KeyLimits>,
    digest: Digest,
    meter: Arc<Meter>,
}

impl Key {
    /// `config-0`, `key-1a2b3c4d`.
    pub fn id(&self) -> String {
        match self.source {
            Source::Config => format!("config-{}", self.number),
            Source::Page => page_id(self.number),
        }
    }

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
        self.meter.room(&self.name, &self.limits, self.meter.now())
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
        self.meter.admit(&self.name, &self.limits, requests, self.meter.now())
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

    /// What it has used.
    pub fn used(&self) -> Reading {
        self.meter.read()
    }

    /// What the listener holds for it.
    pub fn caller(&self) -> Caller {
        self.meter.caller()
    }
}

/// All keys. Cheap to ask from every thread.
#[derive(Debug)]
pub struct Keys {
    list: RwLock<List>,
    /// Meters of keys that are not in the list any more; taken while the list is locked.
    gone: Mutex<HashMap<u64, Arc<Meter>>>,
    changes: Arc<Changes>,
    /// Numbers of the keys of the page that have changed since they were kept last.
    changed: Mutex<BTreeSet<u32>>,
    /// The state file has keys that cannot be read.
    is_spoilt: bool,
    #[cfg(feature = "replicas")]
    registered: registered::Registered,
}

impl Keys {
    /// The keys of the config, and those of the state file's section with what all of them have used.
    pub fn new(config: &[ClientKey], section: &Section) -> Keys {
        let changes: Arc<Changes> = Arc::default();
        let mut kept = Kept::read(section);
        let mut list = List::default();
        list.extend_config(config, |mark, name| {
            // Older state files go by the name.
            let used = kept.meters.remove(&mark).or_else(|| kept.by_name.remove(name)).unwrap_or_default();
            Arc::new(Meter::restore(mark, &used, &changes))
        });
        let (mut last, mut is_spoilt): (Option<Arc<Key>>, bool) = (None, kept.is_spoilt);
        for item in &kept.keys {
            let Some(mut key) = edit::read(item, last.as_deref()) else {
                log::warn!("keys: one key of the state file cannot be read; it is left out");
                is_spoilt = true;
                continue;
            };
            key.name = list.free_name(&key.name);
            let used =
                kept.meters.remove(&key.mark.number()).or_else(|| kept.by_name.remove(&*key.name)).unwrap_or_default();
            key.meter = Arc::new(Meter::restore(key.mark.number(), &used, &changes));
            let key = Arc::new(key);
            list.push(key.clone());
            last = Some(key);
        }
        let gone = kept.meters.into_iter().map(|(mark, used)| (mark, Arc::new(Meter::restore(mark, &used, &changes))));
        let gone = gone.filter(used_lately).take(MOST_GONE).collect();
        Keys {
            list: RwLock::new(list),
            gone: Mutex::new(gone),
            changes,
            changed: Mutex::default(),
            is_spoilt,
            #[cfg(feature = "replicas")]
            registered: registered::Registered::default(),
        }
    }

    /// Whether the state file's section has keys that cannot be read.
    pub fn is_spoilt(&self) -> bool {
        self.is_spoilt
    }

    /// Takes over the keys of a config that was read again. What a key has used stays with it.
    pub fn reload(&self, config: &[ClientKey]) {
        // One lock from the first look to the end: a key that the page makes meanwhile waits and is not lost.
        let mut list = self.list.write();
        let mut gone = self.gone.lock();
        let old = std::mem::take(&mut *list);
        let mut meters = std::mem::take(&mut *gone);
        meters.extend(old.iter().map(|key| (key.mark.number(), key.meter.clone())));
        list.extend_config(config, |mark, _| {
            let meter = meters.get(&mark).cloned();
            meter.unwrap_or_else(|| Arc::new(Meter::restore(mark, &[], &self.changes)))
        });
        for key in old.iter().filter(|key| key.source == Source::Page) {
            let name = list.free_name(&key.name);
            match name == key.name {
                true => list.push(key.clone()),
                false => list.push(Arc::new(Key { name, ..Key::clone(key) })),
            }
        }
        list.iter().for_each(|key| _ = meters.remove(&key.mark.number()));
        meters.values().for_each(|meter| meter.end());
        *gone = meters.into_iter().filter(used_lately).take(MOST_GONE).collect();
    }

    /// Rises with every change of the section.
    pub fn version(&self) -> u64 {
        self.changes.count.load(Ordering::Acquire)
    }

    fn changed(&self, number: u32) {
        self.changed.lock().insert(number);
        self.changes.count.fetch_add(1, Ordering::Release);
    }

    /// Writes the section for the state file: a key by its id, what one has used by its mark.
    pub fn save(&self, part: Part, sink: &mut Sink<'_>) {
        let list = self.list.read();
        let changed = std::mem::take(&mut *self.changed.lock());
        let mut meters = self.changes.take_meters();
        if part == Part::Whole {
            self.of_file(&list).for_each(|key| sink.put(&key.id(), &edit::write(key)));
            meters = list.iter().map(|key| key.meter.clone()).chain(self.gone.lock().values().cloned()).collect();
        } else if !changed.is_empty() {
            let mut removed = changed.clone();
            let is_changed = |key: &&Arc<Key>| key.source == Source::Page && changed.contains(&key.number);
            for key in list.iter().filter(is_changed) {
                sink.put(&key.id(), &edit::write(key));
                removed.remove(&key.number);
            }
            removed.into_iter().for_each(|number| sink.remove(&page_id(number)));
        }
        for meter in meters {
            if let Some(kept) = meter.kept() {
                sink.put(&format!("{:016x}", meter.mark()), &kept);
            }
        }
    }

    /// The keys of the page that the state file has.
    fn of_file<'a>(&'a self, list: &'a List) -> Box<dyn Iterator<Item = &'a Arc<Key>> + 'a> {
        #[cfg(feature = "replicas")]
        if self.registry().is_some() {
            return Box::new(self.kept_in_file().iter());
        }
        Box::new(list.iter().filter(|key| key.source == Source::Page))
    }

    /// The name of each mark.
    pub fn names(&self) -> HashMap<u64, Arc<str>> {
        self.list.read().iter().map(|key| (key.mark.number(), key.name.clone())).collect()
    }

    /// All keys in order.
    pub fn list(&self) -> Vec<Arc<Key>> {
        self.list.read().iter().cloned().collect()
    }

    /// All keys in order, each with a number that rises and stays with it.
    pub fn numbered(&self) -> Vec<(u32, Arc<Key>)> {
        self.list.read().places().map(|(place, key)| (place, key.clone())).collect()
    }

    /// Whether there is more than one.
    pub fn are_several(&self) -> bool {
        self.list.read().iter().nth(1).is_some()
    }

    /// Whether a key that is not known here is known nowhere.
    pub fn knows_all(&self) -> bool {
        #[cfg(feature = "replicas")]
        return self.registry().is_none_or(Registry::is_current);
        #[cfg(not(feature = "replicas"))]
        true
    }

    /// The key with this text.
    pub fn find(&self, presented: &str) -> Option<Arc<Key>> {
        self.list.read().find(&digest(presented))
    }

    /// Whether this is a key as it stands in the list, and may be used now.
    pub fn still_has(&self, key: &Arc<Key>) -> bool {
        self.present(key).is_some_and(|present| Arc::ptr_eq(&present, key))
    }

    /// What has become of a key, when it may be used now.
    pub fn present(&self, key: &Key) -> Option<Arc<Key>> {
        self.list.read().find(&key.digest).filter(|key| key.refusal().is_none())
    }

    /// The key of this mark, when it may be used now. It looks at each.
    pub fn marked(&self, mark: &str) -> Option<Arc<Key>> {
        self.list.read().iter().find(|key| *key.mark == *mark).filter(|key| key.refusal().is_none()).cloned()
    }
}

impl List {
    /// Adds the keys of the config, each with the meter of its mark.
    fn extend_config(&mut self, config: &[ClientKey], mut meter: impl FnMut(u64, &str) -> Arc<Meter>) {
        for (at, key) in config.iter().enumerate() {
            let name = self.free_name(&key.name);
            let digest = digest(key.key.expose());
            let mark = Mark::of(&digest);
            self.push(Arc::new(Key {
                number: u32::try_from(at).unwrap_or(u32::MAX),
                meter: meter(mark.number(), &name),
                mark,
                name,
                masked: mask::key(key.key.expose()).into(),
                source: Source::Config,
                disabled: false,
                limits: Arc::new(key.limits.clone()),
                digest,
            }));
        }
    }
}

/// Whether what it has used would count, if it came back.
fn used_lately((_, meter): &(u64, Arc<Meter>)) -> bool {
    meter.read().month.requests > 0
}

fn digest(text: &str) -> Digest {
    Sha256::digest(text.as_bytes()).into()
}

/// What a key of the page is known by.
fn number(digest: &Digest) -> u32 {
    u32::from_be_bytes(std::array::from_fn(|at| digest[at]))
}

fn page_id(number: u32) -> String {
    format!("key-{number:08x}")
}

#[cfg(test)]
mod tests;
