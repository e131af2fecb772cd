//! The keys that clients may use and their limits: those of config.json, which stay as the user wrote them, and those made
//! on the admin page, which live in the state file's section `keys`.
//!
//! Keys are known here by their SHA-256 only, and hashes are compared in constant time. A fast hash is right for what the
//! page makes: 256 random bits cannot be guessed, however fast a guess is tried; and the keys of config.json are never
//! written anywhere.

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
use parking_lot::RwLock;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

type Digest = [u8; 32];

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
        if let Some(model) = about.into_iter().find(|model| !self.may_use(model, models)) {
            let message = format!("The key {:?} may not use the model {model:?}.", self.name);
            let error = ApiError::new(403, ErrorKind::Permission, message).with_code("model_not_allowed");
            return (Err(error.with_param("model")), Vec::new());
        }
        self.meter.admit(&self.name, &self.limits, SystemTime::now())
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
        let kept_meter = |value: &Value| kept_meter(value, &changes);
        let section = section.unwrap_or(&Value::Null);
        for (at, key) in config.iter().enumerate() {
            let name = list.free_name(&key.name);
            list.push(Arc::new(Key {
                id: format!("config-{at}"),
                meter: kept_meter(&section["used"][&name]),
                name,
                masked: mask::key(key.key.expose()),
                source: Source::Config,
                disabled: false,
                limits: key.limits.clone(),
                digest: digest(key.key.expose()),
            }));
        }
        for item in section["keys"].as_array().into_iter().flatten() {
            match edit::read(item) {
                Some(mut key) => {
                    key.name = list.free_name(&key.name);
                    key.meter = kept_meter(&section["used"][&key.name]);
                    list.push(Arc::new(key));
                }
                None => log::warn!("keys: one key of the state file cannot be read; it is left out"),
            }
        }
        Keys { list: RwLock::new(list), changes }
    }

    /// Takes over the keys of a config that was read again. What a key has used stays with it.
    pub fn reload(&self, config: &[ClientKey]) {
        // One lock from the first look to the end: a key that the page makes meanwhile waits and is not lost.
        let mut list = self.list.write();
        let fresh = Keys::read(config, Some(&saved(list.all())), self.changes.clone());
        let keep = |key: Arc<Key>| match list.find(&key.digest).filter(|old| old.source == key.source) {
            Some(same) => Arc::new(Key { meter: same.meter.clone(), ..Key::clone(&key) }),
            None => key,
        };
        *list = List::of(fresh.list().into_iter().map(keep));
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
        saved(&self.list())
    }

    /// All keys in order.
    pub fn list(&self) -> Vec<Arc<Key>> {
        self.list.read().all().to_vec()
    }

    /// The key with this text.
    pub fn find(&self, presented: &str) -> Option<Arc<Key>> {
        self.list.read().find(&digest(presented))
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

fn saved(list: &[Arc<Key>]) -> Value {
    let made: Vec<Value> = list.iter().filter(|key| key.source == Source::Page).map(|key| edit::write(key)).collect();
    let today = calendar::day(SystemTime::now());
    let mut used = Map::new();
    for key in list {
        let counts = key.today();
        if let Some(last) = counts.last_used {
            let last = last.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            used.insert(key.name.clone(), json!([today, counts.requests, counts.tokens, last]));
        }
    }
    json!({"keys": made, "used": used})
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

/// `[day, requests, tokens, last used]`.
fn kept_meter(value: &Value, changes: &Arc<AtomicU64>) -> Arc<Meter> {
    let number = |at: usize| value[at].as_u64().unwrap_or(0);
    let last_used = value[3].as_u64().map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds.min(1 << 40)));
    let day = u32::try_from(number(0)).unwrap_or(0);
    Arc::new(Meter::restore(day, Today { requests: number(1), tokens: number(2), last_used }, changes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn config(keys: &[(&str, &str)]) -> Vec<ClientKey> {
        let key = |(name, key): &(&str, &str)| ClientKey {
            name: (*name).into(),
            key: Secret::new(*key),
            limits: KeyLimits::default(),
        };
        keys.iter().map(key).collect()
    }

    fn edit(text: &str) -> Edit {
        Edit::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_key_of_the_page_lives_in_the_state_file_as_a_hash() {
        let keys = Keys::new(&config(&[("me", "sk-mine")]), None);
        let (id, text) =
            keys.create(edit(r#"{"name":"phone","requests_per_minute":5,"models":["gemini-2.5-*"]}"#)).unwrap();
        assert!(text.starts_with("sk-") && text.len() == 46, "{text}");
        let (result, _) = keys.find(&text).unwrap().admit(["gemini-2.5-pro"], &ModelTable::new(&[]));
        result.unwrap().spend(70);
        let section = keys.saved();
        assert!(!section.to_string().contains(&text[3..20]), "{section}");

        let back = Keys::new(&config(&[("me", "sk-mine")]), Some(&section));
        let key = back.find(&text).unwrap();
        assert_eq!((key.id.as_str(), key.name.as_str()), (id.as_str(), "phone"));
        assert_eq!(key.limits.requests_per_minute, Some(5));
        assert_eq!((key.today().requests, key.today().tokens), (1, 70));
        back.delete(&id).unwrap();
        assert!(back.find(&text).is_none());
        assert_eq!(back.delete(&id), Err(EditError::Unknown));
    }

    #[test]
    fn keys_of_the_config_stay_the_users() {
        let keys = Keys::new(&config(&[("same", "a"), ("same", "b")]), None);
        let names: Vec<String> = keys.list().iter().map(|key| key.name.clone()).collect();
        assert_eq!(names, ["same", "same (2)"]);
        assert!(matches!(keys.delete("config-0"), Err(EditError::Conflict(_))));
        assert!(matches!(keys.change("config-0", &edit(r#"{"disabled":true}"#)), Err(EditError::Conflict(_))));
        assert!(keys.find("").is_none() && keys.find("a").is_some());
    }

    #[test]
    fn a_reload_keeps_what_was_used_and_loses_no_key_that_is_made_meanwhile() {
        let keys = Keys::new(&config(&[("me", "sk-mine")]), None);
        let key = keys.find("sk-mine").unwrap();
        key.admit([], &ModelTable::new(&[])).0.unwrap().spend(7);
        std::thread::scope(|scope| {
            let made = scope.spawn(|| {
                for number in 0..200 {
                    keys.create(edit(&format!(r#"{{"name":"{number}"}}"#))).unwrap();
                }
            });
            loop {
                keys.reload(&config(&[("me too", "sk-mine")]));
                if made.is_finished() {
                    break;
                }
            }
        });
        assert_eq!(keys.list().iter().filter(|key| key.source == Source::Page).count(), 200);
        let renamed = keys.find("sk-mine").unwrap();
        assert_eq!((renamed.name.as_str(), renamed.today().tokens), ("me too", 7));
    }

    #[test]
    fn disabled_and_expired_keys_are_refused_in_words() {
        let keys = Keys::new(&[], None);
        let (id, text) = keys.create(edit(r#"{"name":"x"}"#)).unwrap();
        assert!(keys.find(&text).unwrap().refusal().is_none());
        keys.change(&id, &edit(r#"{"disabled":true}"#)).unwrap();
        assert_eq!(keys.find(&text).unwrap().refusal().unwrap().message, "This API key is disabled.");
        keys.change(&id, &edit(r#"{"disabled":false,"expires_at":"2020-01-01"}"#)).unwrap();
        let error = keys.find(&text).unwrap().refusal().unwrap();
        assert_eq!((error.status, error.message.as_str()), (401, "This API key has expired."));
        keys.change(&id, &edit(r#"{"expires_at":null}"#)).unwrap();
        assert!(keys.find(&text).unwrap().refusal().is_none());
    }

    #[test]
    fn a_key_may_be_held_to_some_models() {
        let keys = Keys::new(&[], None);
        let body = r#"{"name":"x","models":["models/gemini-2.5-flash","gemini-2.5-pro-maxthinking","gemma-*"]}"#;
        let (_, text) = keys.create(edit(body)).unwrap();
        let key = keys.find(&text).unwrap();
        let models = ModelTable::new(&[]);
        for (model, allowed) in [
            ("gemini-2.5-flash", true),
            ("gemini-2.5-pro", true),
            ("gemma-3-27b-it", true),
            ("gemini-2.5-flash-lite", false),
        ] {
            let (result, _) = key.admit([model], &models);
            assert_eq!(result.map_err(|error| error.status).err(), (!allowed).then_some(403), "{model}");
        }
        assert_eq!(key.today().requests, 3);
    }
}
