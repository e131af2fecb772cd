//! What the pool wants to know again after a restart: numbers, cool-downs, blocks, and what Google said about accounts. Holds
//! no secret: a credential is named by a hash of its token or key.

use super::clock::{Deadline, Now};
use super::credential::{Blocked, CoolDown, Credential};
use super::ids::{NEXT, fingerprint};
use super::{CredentialId, Pool, Settings};
use crate::credentials::google::trouble::Block;
use crate::message::Message;
use crate::storage::state::{Part, Sink};
use serde_json::{Map, Value, json};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the state file has of each credential, and who may not be as it is there.
#[derive(Default)]
pub(super) struct Written {
    /// The record's name, and a hash of it.
    records: HashMap<CredentialId, (String, u64)>,
    pub(super) touched: BTreeSet<CredentialId>,
}

impl Written {
    /// Whether the record is another one than was written last.
    fn is_new(&mut self, id: CredentialId, name: &str, entry: &Value) -> bool {
        let mut hasher = DefaultHasher::new();
        entry.to_string().hash(&mut hasher);
        let record = (name.to_owned(), hasher.finish());
        let is_new = self.records.get(&id) != Some(&record);
        self.records.insert(id, record);
        is_new
    }
}

impl Pool {
    /// Writes the section for the state file. `Changed` looks only at those that something has happened to.
    pub(crate) fn save(&mut self, part: Part, sink: &mut Sink<'_>, now: Now) {
        self.advance(now);
        let mut touched = std::mem::take(&mut self.written.touched);
        if part == Part::Whole {
            touched.extend(self.credentials.keys());
            self.written.records.clear();
            self.ids.kept().for_each(|(name, id)| sink.put(name, &self.chosen.with(name, json!({"id": id.0}))));
        }
        sink.put(NEXT, &self.ids.next());
        for id in touched {
            let before = self.written.records.get(&id).map(|(name, _)| name.clone());
            let (name, entry) = match self.credentials.get(&id) {
                Some(credential) => self.entry(credential, now),
                // Its number is kept, unless too many are.
                None => match self.ids.name_of(id) {
                    Some(name) => (name.clone(), self.chosen.with(name, json!({"id": id.0}))),
                    None => {
                        self.written.records.remove(&id);
                        if let Some(name) = before {
                            sink.remove(&name);
                            self.chosen.forget(&name);
                        }
                        continue;
                    }
                },
            };
            // Another token is another name.
            before.filter(|before| *before != name).iter().for_each(|name| sink.remove(name));
            if self.written.is_new(id, &name, &entry) {
                sink.put(&name, &entry);
            }
        }
    }

    /// Its name in the section, and what stands there.
    fn entry(&self, credential: &Credential, now: Now) -> (String, Value) {
        let name = fingerprint(&credential.record);
        let entry = self.chosen.with(&name, describe(credential, now));
        (name, entry)
    }

    /// Takes over what was saved; what is as it was need not be written again.
    pub(super) fn restore(&mut self, saved: &Value, now: Now) {
        for id in self.credentials.keys().copied().collect::<Vec<_>>() {
            let Some(name) = self.credentials.get(&id).map(|credential| fingerprint(&credential.record)) else {
                continue;
            };
            let Some(known) = saved.get(&name) else { continue };
            self.change(id, now, |credential, settings| credential.remember(known, settings, now));
            if self.credentials.get(&id).is_some_and(|credential| self.entry(credential, now).1 == *known) {
                self.written.is_new(id, &name, known);
                self.written.touched.remove(&id);
            }
        }
    }
}

impl Credential {
    fn remember(&mut self, known: &Value, settings: &Settings, now: Now) {
        let text = |name| known.get(name).and_then(Value::as_str).map(str::to_owned);
        self.email = self.email.take().or(text("email"));
        self.project = self.project.take().or(text("project"));
        self.tier = text("tier");
        self.settle_project(settings);
        for (model, saved) in known.get("cooling").and_then(Value::as_object).into_iter().flatten() {
            if let Some(until) = time(saved, "until").and_then(|until| deadline(until, now)) {
                let (reason, message) = (word(saved, "reason"), message(saved));
                // Older files do not say it.
                let limit = saved.get("limit").and_then(Value::as_bool).unwrap_or(true);
                self.cooling.insert(model.clone(), CoolDown { until, limit, reason, message });
            }
        }
        // Another project in the config or the file is what the person was asked for.
        if text("project") == self.project {
            self.blocked = known.get("blocked").and_then(|blocked| blocked_again(blocked, now));
        }
    }
}

fn describe(credential: &Credential, now: Now) -> Value {
    let cool_down = |(model, cool_down): (&String, &CoolDown)| {
        let CoolDown { until, limit, reason, message } = cool_down;
        let until = millis(until.shown(now));
        (model.clone(), json!({"until": until, "limit": limit, "reason": reason, "sentence": message.json()}))
    };
    let cooling: Map<String, Value> = credential.cooling.iter().map(cool_down).collect();
    let blocked = credential.blocked.as_ref().map(|blocked| {
        let until = blocked.until.map(|until| millis(until.shown(now)));
        let why = &blocked.why;
        json!({"until": until, "at": millis(blocked.at), "reason": why.reason, "sentence": why.message.json(), "link": why.link})
    });
    let fields = [
        ("id", Some(credential.id.0.into())),
        ("email", credential.email.clone().map(Value::from)),
        ("project", credential.project.clone().map(Value::from)),
        ("tier", credential.tier.clone().map(Value::from)),
        ("cooling", (!cooling.is_empty()).then_some(cooling.into())),
        ("blocked", blocked),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// `None`: its time is over, or it is not understood.
fn blocked_again(saved: &Value, now: Now) -> Option<Blocked> {
    let until = match saved.get("until")? {
        Value::Null => None,
        _ => Some(deadline(time(saved, "until")?, now)?),
    };
    let link = saved.get("link").and_then(Value::as_str).map(str::to_owned);
    let why = Block { reason: word(saved, "reason"), message: message(saved), link };
    Some(Blocked { until, why, at: time(saved, "at").unwrap_or(now.wall) })
}

/// `None`: it has passed, or the clock was wrong: a week is the longest quota there is.
fn deadline(until: SystemTime, now: Now) -> Option<Deadline> {
    let left = until.duration_since(now.wall).ok()?;
    (left < Duration::from_secs(8 * 86_400)).then(|| Deadline::after(now, left))
}

fn time(saved: &Value, name: &str) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(saved.get(name)?.as_u64()?))
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn message(saved: &Value) -> Message {
    Message::from_json(saved.get("sentence").unwrap_or(&Value::Null))
}

fn word(saved: &Value, name: &str) -> String {
    saved.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
