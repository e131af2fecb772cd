//! A credential as all replicas know it: the item of a credentials file, with what was found out about it and its token. And
//! what a refresh brings, which is put into whatever the entry has become meanwhile.

use crate::credentials::file::record::Record;
use crate::secret::Secret;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Refresh tokens that an entry remembers to have had, as hashes.
const BEFORE: usize = 16;
/// Refresh tokens that are kept beside the one in use.
const SPARE: usize = 4;

/// An access token. Its end is in the store's time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Granted {
    pub(crate) access: Secret,
    pub(crate) until: SystemTime,
    /// That it was granted for.
    pub(crate) lifetime: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) record: Record,
    /// Rises when another login takes the place of this one.
    pub(crate) login: u64,
    pub(crate) email: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) tier: Option<String>,
    pub(crate) token: Option<Granted>,
    /// When Google gave the refresh token in the place of another.
    rotated: Option<SystemTime>,
    /// Those that it came after.
    before: Vec<String>,
    /// Given beside the one in use: two replicas asked at the same time.
    pub(crate) spare: Vec<Secret>,
    /// What a newer version has written.
    also: Map<String, Value>,
}

/// What a refresh has brought.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Landing {
    /// Of which login.
    pub(crate) login: u64,
    /// The refresh token that was sent, as a hash; of an item without one of the item.
    sent: String,
    /// The access token that there was, as a hash.
    over: Option<String>,
    refresh: Option<Secret>,
    token: Granted,
    at: SystemTime,
}

impl Entry {
    /// An item as it comes in, at this time of the store's.
    pub(crate) fn new(record: Record, email: Option<String>, store_now: SystemTime) -> Entry {
        let token = record.access_token().map(Secret::new).zip(record.expiry()).and_then(|(access, until)| {
            let lifetime = until.duration_since(SystemTime::now()).ok()?;
            Some(Granted { access, until: store_now + lifetime, lifetime })
        });
        let email = email.or(record.email().map(str::to_owned));
        let (before, spare, also) = (Vec::new(), Vec::new(), Map::new());
        Entry { record, login: 0, email, project: None, tier: None, token, rotated: None, before, spare, also }
    }

    /// The same, of this login.
    pub(crate) fn of_login(self, login: u64) -> Entry {
        Entry { login, ..self }
    }

    /// `None`: it is not understood.
    pub(crate) fn read(text: &[u8]) -> Option<Entry> {
        let Value::Object(mut also) = serde_json::from_slice(text).ok()? else { return None };
        let mut take = |name: &str| also.shift_remove(name);
        let text = |value: Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
        let texts = |value: Option<Value>| -> Vec<String> {
            let list = value.as_ref().and_then(Value::as_array).into_iter().flatten();
            list.filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        Some(Entry {
            record: Record::new(take("item")?),
            login: take("login").and_then(|login| login.as_u64()).unwrap_or_default(),
            email: text(take("email")),
            project: text(take("project")),
            tier: text(take("tier")),
            token: take("token").and_then(|token| Granted::read(&token)),
            rotated: take("rotated").and_then(|rotated| time(&rotated)),
            before: texts(take("before")),
            spare: texts(take("spare")).into_iter().map(Secret::new).collect(),
            also,
        })
    }

    /// With its secrets, for who encrypts it.
    pub(crate) fn text(&self) -> String {
        let mut fields = Map::new();
        let spare: Vec<&str> = self.spare.iter().map(Secret::expose).collect();
        for (name, value) in [
            ("item", Some(self.record.value().clone())),
            ("login", Some(self.login.into())),
            ("email", self.email.clone().map(Value::from)),
            ("project", self.project.clone().map(Value::from)),
            ("tier", self.tier.clone().map(Value::from)),
            ("token", self.token.as_ref().map(Granted::json)),
            ("rotated", self.rotated.map(|at| millis(at).into())),
            ("before", (!self.before.is_empty()).then(|| json!(self.before))),
            ("spare", (!spare.is_empty()).then(|| json!(spare))),
        ] {
            fields.extend(value.map(|value| (name.to_owned(), value)));
        }
        fields.extend(self.also.clone());
        Value::Object(fields).to_string()
    }

    /// The refresh token that is in use, as a hash.
    pub(crate) fn in_use(&self) -> String {
        hash(self.record.refresh_token().unwrap_or_default())
    }

    /// The token, unless it ends soon or is the one that is `known` to be of no use.
    pub(crate) fn fresh(&self, known: Option<&Secret>, now: SystemTime) -> Option<&Granted> {
        self.token.as_ref().filter(|token| known != Some(&token.access) && token.left(now) > token.margin())
    }

    /// Goes on with a refresh token that was kept beside; whether there is one.
    pub(crate) fn use_spare(&mut self) -> bool {
        let Some(spare) = self.spare.pop() else { return false };
        self.remember();
        let access = self.record.access_token().map(Secret::new).unwrap_or_default();
        self.record.set_tokens(&access, Some(&spare), UNIX_EPOCH);
        self.token = None;
        true
    }

    fn remember(&mut self) {
        let used = self.in_use();
        self.before.push(used);
        let more = self.before.len().saturating_sub(BEFORE);
        self.before.drain(..more);
    }
}

impl Granted {
    fn json(&self) -> Value {
        let lifetime = u64::try_from(self.lifetime.as_millis()).unwrap_or_default();
        json!({"access": self.access.expose(), "until": millis(self.until), "lifetime": lifetime})
    }

    fn read(value: &Value) -> Option<Granted> {
        Some(Granted {
            access: Secret::new(value.get("access")?.as_str()?),
            until: time(value.get("until")?)?,
            lifetime: Duration::from_millis(value.get("lifetime")?.as_u64()?),
        })
    }

    pub(crate) fn left(&self, now: SystemTime) -> Duration {
        self.until.duration_since(now).unwrap_or_default()
    }

    /// The end of its time in which it is not used any more.
    fn margin(&self) -> Duration {
        Duration::from_secs(60).min(self.lifetime / 4)
    }
}

impl Landing {
    /// What was granted at `at`, in the store's time, for what the entry had.
    pub(crate) fn new(
        entry: &Entry,
        access: Secret,
        refresh: Option<Secret>,
        lifetime: Duration,
        at: SystemTime,
    ) -> Landing {
        let token = Granted { access, until: at + lifetime, lifetime };
        let is_new = |refresh: &Secret| Some(refresh.expose()) != entry.record.refresh_token();
        let over = entry.token.as_ref().map(|token| hash(token.access.expose()));
        Landing { login: entry.login, sent: entry.in_use(), over, refresh: refresh.filter(is_new), token, at }
    }

    /// Whether it brings a new refresh token, which nobody else has.
    pub(crate) fn is_rotated(&self) -> bool {
        self.refresh.is_some()
    }

    /// It.
    pub(crate) fn refresh(&self) -> Option<Secret> {
        self.refresh.clone()
    }

    /// The access token.
    pub(crate) fn token(&self) -> &Granted {
        &self.token
    }

    /// Puts what is new of it into an entry that may have changed since; `false`: nothing is. A new refresh token is never
    /// lost: it is the one in use unless a later one is, and else it is kept beside.
    pub(crate) fn merge(&self, entry: &mut Entry) -> bool {
        if entry.login != self.login {
            return false;
        }
        let used = entry.in_use();
        let is_later = entry
            .token
            .as_ref()
            .is_none_or(|token| self.over == Some(hash(token.access.expose())) || token.until < self.token.until);
        match &self.refresh {
            None if used == self.sent && is_later => self.grant(entry, None),
            None => return false,
            Some(new) if used == hash(new.expose()) => match is_later {
                true => self.grant(entry, None),
                false => return false,
            },
            Some(new) if used == self.sent => {
                entry.remember();
                entry.rotated = Some(self.at);
                self.grant(entry, Some(new));
            }
            Some(new) if entry.before.contains(&hash(new.expose())) || entry.spare.contains(new) => return false,
            // Two came of one, or of a way that is not known any more.
            Some(new) if entry.rotated.is_some_and(|rotated| rotated > self.at) => entry.put_aside(new.clone()),
            Some(new) => {
                let other = entry.record.refresh_token().map(Secret::new);
                entry.remember();
                entry.rotated = Some(self.at);
                self.grant(entry, Some(new));
                other.into_iter().for_each(|other| entry.put_aside(other));
            }
        }
        true
    }

    fn grant(&self, entry: &mut Entry, refresh: Option<&Secret>) {
        entry.record.set_tokens(&self.token.access, refresh, self.token.until);
        entry.token = Some(self.token.clone());
    }

    /// With its secrets, for who encrypts it.
    pub(crate) fn json(&self) -> Value {
        json!({
            "login": self.login,
            "sent": self.sent,
            "over": self.over,
            "refresh": self.refresh.as_ref().map(Secret::expose),
            "token": self.token.json(),
            "at": millis(self.at),
        })
    }

    /// `None`: it is not understood.
    pub(crate) fn read(value: &Value) -> Option<Landing> {
        Some(Landing {
            login: value.get("login")?.as_u64()?,
            sent: value.get("sent")?.as_str()?.to_owned(),
            over: value.get("over").and_then(Value::as_str).map(str::to_owned),
            refresh: value.get("refresh").and_then(Value::as_str).map(Secret::new),
            token: Granted::read(value.get("token")?)?,
            at: time(value.get("at")?)?,
        })
    }
}

impl Entry {
    fn put_aside(&mut self, refresh: Secret) {
        self.spare.retain(|spare| *spare != refresh);
        self.spare.push(refresh);
        let more = self.spare.len().saturating_sub(SPARE);
        self.spare.drain(..more);
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text)[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or_default())
}

fn time(value: &Value) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(value.as_u64()?))
}
