//! Who is lent out next, who is cooling down, who needs a person: memory alone, without a lock, a file, a thread or Google.
//!
//! Every method is given the time. What changes something says in its [`Effects`] what has to be saved and whom to wake.

mod check;
mod choice;
mod chosen;
mod clock;
mod credential;
mod edit;
mod ids;
mod index;
#[cfg(feature = "replicas")]
mod shared;
mod snapshot;
mod token;
mod view;

pub(crate) use check::CheckUp;
#[cfg(feature = "replicas")]
pub(crate) use clock::Deadline;
pub(crate) use clock::Now;
#[cfg(feature = "replicas")]
pub(crate) use credential::doubled;
pub(crate) use credential::{Login, Origin, label};
#[cfg(feature = "replicas")]
pub(crate) use ids::fingerprint;
pub(crate) use token::{Grant, Job, Step};
pub use view::{CoolingModel, View};

use crate::credentials::file::edits::Edit;
use crate::credentials::file::record::Record;
use crate::credentials::google::quota::Quota;
use crate::credentials::google::trouble::Block;
use crate::credentials::lease::{CredentialId, Kind, Report};
use crate::credentials::options::Timing;
use crate::message::Message;
use crate::secret::Secret;
use chosen::Chosen;
#[cfg(not(feature = "replicas"))]
use clock::Deadline;
use credential::{CoolDown, Credential};
use ids::Ids;
use index::Index;
use serde_json::Value;
use snapshot::Written;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

/// The credentials, and what is known of them.
pub(crate) struct Pool {
    /// In the order of their ids, which is that of the file until something is removed or put in between.
    credentials: BTreeMap<CredentialId, Credential>,
    index: Index,
    pub(crate) settings: Settings,
    /// Whom the rotation chose last.
    last: Option<CredentialId>,
    ids: Ids,
    chosen: Chosen,
    written: Written,
    /// When anybody was last lent out.
    lent: Option<Instant>,
}

/// What holds for all credentials.
#[derive(Default)]
pub(crate) struct Settings {
    /// E-mail (lower case) -> project.
    pub(crate) project_id_map: HashMap<String, String>,
    /// Kinds that go before others, in this order.
    pub(crate) prefer: Vec<Kind>,
    pub(crate) timing: Timing,
    /// The numbers are those of the store that replicas share.
    pub(crate) is_shared: bool,
}

impl Settings {
    /// The project that is known without asking Google: the config's map wins over the file. As long as the e-mail is
    /// not known and may yet be, the map may have something to say.
    pub(crate) fn project_of(&self, email: Option<&str>, settled: bool, record: &Record) -> Option<String> {
        let map = &self.project_id_map;
        let mapped = email.and_then(|email| map.get(&email.to_lowercase()));
        let clear = email.is_some() || settled || map.is_empty();
        mapped.cloned().or_else(|| record.project().filter(|_| clear).map(str::to_owned))
    }
}

/// What a change of the pool asks of the rest of the program.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Effects {
    /// For the credentials file.
    pub(crate) edits: Vec<Edit>,
    /// The snapshot has changed.
    pub(crate) save: bool,
    /// Threads that wait for a refresh, or for one to be due, have to look again.
    pub(crate) wake: bool,
    /// For the log.
    pub(crate) lines: Vec<(log::Level, String)>,
    /// For other replicas.
    #[cfg(feature = "replicas")]
    pub(crate) tells: Vec<crate::credentials::shared::Tell>,
}

impl Effects {
    /// Of a change that is remembered and may be followed by a refresh.
    fn of_change() -> Effects {
        Effects { save: true, wake: true, ..Effects::default() }
    }

    /// With those of another change.
    pub(crate) fn add(&mut self, other: Effects) {
        self.edits.extend(other.edits);
        self.lines.extend(other.lines);
        #[cfg(feature = "replicas")]
        self.tells.extend(other.tells);
        (self.save, self.wake) = (self.save || other.save, self.wake || other.wake);
    }

    fn info(&mut self, line: String) {
        self.lines.push((log::Level::Info, format!("[CredManager] {line}")));
    }
}

impl Pool {
    /// A pool of these items, in this order. The same login twice is one credential, and one refresh. `saved` is an earlier
    /// snapshot; what does not fit is ignored.
    pub(crate) fn new(
        items: impl IntoIterator<Item = (Origin, Record)>,
        settings: Settings,
        saved: &Value,
        now: Now,
    ) -> (Pool, Effects) {
        let ids = if settings.is_shared { Ids::of_store() } else { Ids::read(saved) };
        let (chosen, written) = (Chosen::read(saved), Written::default());
        let (credentials, index) = (BTreeMap::new(), Index::new(now));
        let mut pool = Pool { credentials, index, settings, ids, chosen, written, last: None, lent: None };
        let (mut effects, mut seen, mut usable) = (Effects::default(), HashSet::new(), 0);
        for (origin, record) in items {
            let fault = record.kind().err().map(Message::new);
            if record.identity().is_some_and(|identity| !seen.insert(identity)) {
                continue;
            }
            let credential = pool.join(origin, record, now);
            usable += usize::from(fault.is_none() && origin == Origin::File);
            if let Some(reason) = fault {
                let line = format!("[CredManager] {} cannot be used: {reason}", credential.name());
                effects.lines.push((log::Level::Warn, line));
            }
        }
        effects.info(format!("Loaded {usable} valid credentials."));
        // The line above is the old program's, which had no keys.
        let keys = pool.credentials.values().filter(|credential| credential.record.kind() == Ok(Kind::ApiKey)).count();
        let accounts =
            pool.credentials.values().filter(|credential| credential.record.kind() == Ok(Kind::Oauth)).count();
        effects.info(format!("The pool has {keys} API keys and {accounts} accounts."));
        effects.save = pool.ids.are_new();
        pool.restore(saved, now);
        (pool, effects)
    }

    fn join(&mut self, origin: Origin, mut record: Record, now: Now) -> &Credential {
        match origin {
            Origin::Config => self.chosen.apply(&mut record),
            Origin::File => self.chosen.leave_to_file(&record),
        }
        let id = self.ids.give(&record, |id| self.credentials.contains_key(&id));
        let credential = Credential::new(id, origin, record, &self.settings, now);
        self.index.file(&credential, now);
        self.written.touched.insert(id);
        self.credentials.entry(id).or_insert(credential)
    }

    fn leave(&mut self, id: CredentialId) -> Option<Credential> {
        self.index.remove(id);
        let credential = self.credentials.remove(&id)?;
        self.written.touched.insert(id);
        self.written.touched.extend(self.ids.keep(&credential.record, id));
        Some(credential)
    }

    /// The only way to change a credential: the index has to know.
    fn change<T>(
        &mut self,
        id: CredentialId,
        now: Now,
        change: impl FnOnce(&mut Credential, &Settings) -> T,
    ) -> Option<T> {
        let credential = self.credentials.get_mut(&id)?;
        credential.settle(now);
        let value = change(credential, &self.settings);
        self.index.file(credential, now);
        self.written.touched.insert(id);
        Some(value)
    }

    /// Changes the credential, unless another login has taken this one's place.
    fn change_login<T>(
        &mut self,
        login: Login,
        now: Now,
        change: impl FnOnce(&mut Credential, &Settings) -> T,
    ) -> Option<T> {
        let is_same = self.credentials.get(&login.id).is_some_and(|credential| credential.login() == login);
        if is_same { self.change(login.id, now, change) } else { None }
    }

    /// Takes note of how an attempt ended.
    pub(crate) fn report(&mut self, id: CredentialId, model: &str, report: Report, now: Now) -> Effects {
        let effects = self.change(id, now, |credential, settings| match report {
            Report::Success => {
                credential.usage_count += 1;
                credential.restore_priority();
                // A block that would have ended by itself was wrong or is over. One that waits for a person stays: an
                // old access token may go on working for a while after its login was revoked.
                let ended = credential.blocked.take_if(|blocked| blocked.until.is_some());
                #[cfg_attr(not(feature = "replicas"), expect(unused_mut))]
                let mut effects = Effects { save: ended.is_some(), ..Effects::default() };
                #[cfg(feature = "replicas")]
                effects.tells.extend(ended.map(|ended| credential.tell_end(ended.until)));
                effects
            }
            Report::Cool { rest, limit, reason, message } => {
                let until = Deadline::after(now, rest);
                credential.cool_down(model, CoolDown { until, limit, reason, message }, now);
                Effects {
                    save: true,
                    #[cfg(feature = "replicas")]
                    tells: credential.tell_rest(model, now).into_iter().collect(),
                    ..Effects::default()
                }
            }
            Report::Deprioritise => {
                credential.deprioritise(settings, now);
                Effects::default()
            }
            Report::Block { rest, reason, message, link } => {
                // The project that Google named may have been taken away; the next use asks again.
                credential.project = None;
                credential.settle_project(settings);
                credential.block(Block { reason, message, link }, rest, now);
                Effects {
                    #[cfg(feature = "replicas")]
                    tells: credential.tell_block().into_iter().collect(),
                    ..Effects::of_change()
                }
            }
        });
        effects.unwrap_or_default()
    }

    /// The credential of this name (`cred-0`).
    pub(crate) fn find(&self, name: &str) -> Option<CredentialId> {
        let id = CredentialId(name.strip_prefix("cred-")?.parse().ok()?);
        self.credentials.get(&id).filter(|credential| credential.name() == name).map(|credential| credential.id)
    }

    /// Keys that may be used now.
    pub(crate) fn free_keys(&self, count: usize) -> Vec<Secret> {
        let free =
            self.credentials.values().filter(|credential| credential.is_usable() && credential.blocked.is_none());
        let keys = free.filter(|credential| credential.record.kind() == Ok(Kind::ApiKey));
        keys.filter_map(|credential| credential.record.api_key().map(Secret::new)).take(count).collect()
    }

    /// The credential that was left alone for longest, if nobody asks for anything and somebody is due: for `idle_check`, or
    /// at once after it was deprioritised. Counts as active from now on.
    pub(crate) fn next_idle(&mut self, now: Now) -> Option<CredentialId> {
        let span = self.settings.timing.idle_check;
        let since = |at: Instant| now.monotonic.saturating_duration_since(at);
        // Requests tell more than a check, and are not to be slowed down by one.
        if self.lent.is_some_and(|lent| since(lent) < span / 6) {
            return None;
        }
        self.advance(now);
        let free = |credential: &&Credential| {
            credential.is_usable() && credential.blocked.is_none() && credential.in_flight.is_none()
        };
        let is_due = |credential: &&Credential| credential.is_deprioritised() || since(credential.last_active) >= span;
        let idle = self.credentials.values().filter(free).filter(is_due);
        let id = idle.min_by_key(|credential| (!credential.is_deprioritised(), credential.last_active))?.id;
        self.change(id, now, |credential, _| credential.last_active = now.monotonic);
        Some(id)
    }

    /// The figures of the quota that are not older than `age`.
    pub(crate) fn quota(&self, id: CredentialId, age: Duration, now: Now) -> Option<Quota> {
        let (since, quota) = self.credentials.get(&id)?.quota.as_ref()?;
        (now.monotonic.saturating_duration_since(*since) < age).then(|| quota.clone())
    }

    pub(crate) fn set_quota(&mut self, id: CredentialId, quota: Quota, now: Now) {
        self.change(id, now, |credential, _| credential.quota = Some((now.monotonic, quota)));
    }
}
