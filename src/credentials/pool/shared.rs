//! Credentials that replicas share: their numbers come from the store, and so does what others have changed.

use super::clock::{Deadline, Now};
use super::credential::{Blocked, CoolDown, Credential, Login, Origin};
use super::ids::fingerprint;
use super::token::Token;
use super::{Effects, Job, Pool, Settings};
use crate::credentials::file::record::Record;
use crate::credentials::google::trouble::Block;
use crate::credentials::lease::{CredentialId, PROVISIONAL};
use crate::credentials::shared::{Entry, Errand, Granted, Kept, Known, Moved, Rest, Resting, Tell};
use crate::message::Message;
use crate::secret::Secret;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What a credential has beside the rest where replicas share it.
#[derive(Default)]
pub(super) struct Copy {
    /// Of the record.
    version: u64,
    /// The access token that Google refused.
    refused: Option<Secret>,
    /// Another replica sees to it until then.
    pub(super) put_off: Option<Deadline>,
}

/// What a job has beside the rest.
#[derive(Default)]
pub(crate) struct Common {
    /// The access token that is of no use.
    pub(crate) known: Option<Secret>,
    /// Nobody waits for it.
    pub(crate) is_ahead: bool,
    pub(crate) wants_project: bool,
    pub(crate) errand: Option<Errand>,
    /// There is no store to ask.
    pub(crate) is_alone: bool,
}

impl Pool {
    pub(crate) fn is_present(&self, login: Login) -> bool {
        self.credentials.get(&login.id).is_some_and(|credential| credential.login() == login)
    }

    pub(crate) fn origin(&self, id: CredentialId) -> Option<Origin> {
        self.credentials.get(&id).map(|credential| credential.origin)
    }

    /// How many have records in the store.
    pub(crate) fn shared_count(&self) -> usize {
        self.credentials.values().filter(|credential| credential.origin == Origin::File).count()
    }

    /// The names of all by which the state file knows them.
    pub(crate) fn fingerprints(&self) -> HashSet<String> {
        self.credentials.values().map(|credential| fingerprint(&credential.record)).collect()
    }

    /// All that stand in the file or in the store, for who takes them elsewhere.
    pub(crate) fn moved(&self, store_now: SystemTime, now: Now) -> Vec<Moved> {
        let shared = self.credentials.values().filter(|credential| credential.origin == Origin::File);
        shared.map(|credential| credential.moved(store_now, now)).collect()
    }

    /// The store has given out the numbers before this one.
    pub(crate) fn know_next(&mut self, next: u64) {
        self.ids.know(next);
    }

    /// Items of the config that have no number of the store's.
    pub(crate) fn unnumbered(&self) -> Vec<(CredentialId, Record)> {
        let own = self.credentials.range(CredentialId(PROVISIONAL)..);
        own.map(|(id, credential)| (*id, credential.record.clone())).collect()
    }

    pub(crate) fn renumber(
        &mut self,
        numbers: impl Iterator<Item = (CredentialId, CredentialId)>,
        now: Now,
    ) -> Effects {
        for (old, id) in numbers {
            self.index.remove(old);
            let Some(mut credential) = self.credentials.remove(&old) else { continue };
            credential.id = id;
            self.ids.know(id.0 + 1);
            // The same key may be in the store, too.
            let credential = self.credentials.entry(id).or_insert(credential);
            self.index.file(credential, now);
        }
        Effects::of_change()
    }

    /// The credential that the item is, or is another login of, if its record is in the store.
    pub(crate) fn known_as(&self, record: &Record, found: Option<&Job>) -> Option<CredentialId> {
        let email = found.and_then(|job| job.email.as_deref()).or(record.email());
        let old = self.place_of(record, email, found.and_then(|job| job.project.as_deref()))?;
        (old.origin == Origin::File).then_some(old.id)
    }

    /// Takes over what all replicas know of a credential, but for what was not told them yet.
    pub(crate) fn take_over(&mut self, known: Known, untold: &[Tell], store_now: SystemTime, now: Now) -> Effects {
        let Known { id, kept, is_gone, rests } = known;
        let mut effects = Effects::of_change();
        match kept {
            Some(kept) => self.take_record(id, kept, store_now, now, &mut effects),
            None if is_gone && self.origin(id) == Some(Origin::File) => {
                if let Some(credential) = self.leave(id) {
                    effects.info(format!("{} was removed on another replica.", credential.log_name()));
                }
            }
            None => {}
        }
        if let Some(rests) = rests {
            self.change(id, now, |credential, _| {
                credential.take_rests(&rests, store_now, now);
                untold.iter().for_each(|tell| credential.hold(tell, now));
            });
        }
        effects
    }

    fn take_record(&mut self, id: CredentialId, kept: Kept, store_now: SystemTime, now: Now, effects: &mut Effects) {
        let Kept { version, entry } = kept;
        match self.credentials.get(&id) {
            Some(known) if known.origin == Origin::File && known.copy.version >= version => return,
            Some(_) => {}
            None => {
                let credential = Credential::new(id, Origin::File, entry.record.clone(), &self.settings, now);
                self.index.file(&credential, now);
                self.ids.know(id.0 + 1);
                self.credentials.insert(id, credential);
                effects.info(format!("cred-{} comes from the store.", id.0));
            }
        }
        self.change(id, now, |credential, settings| {
            let login = Login::of(id, entry.login);
            if credential.login() != login || credential.origin == Origin::Config {
                credential.replace(entry.record.clone(), settings, now);
                credential.set_login(login);
            }
            credential.copy.version = version;
            credential.take_entry(entry, store_now, settings, now);
        });
    }

    /// Another replica asks, or has just failed: for so long.
    pub(super) fn put_off(credential: &mut Credential, message: Message, left: Duration, is_rest: bool, now: Now) {
        let until = Deadline::after(now, left);
        match is_rest {
            true => credential.rest_for(message, until, now),
            false => credential.copy.put_off = Some(until),
        }
    }
}

impl Credential {
    /// When it is due, unless another replica sees to it.
    pub(super) fn later(&self, due: Option<Deadline>) -> Option<Deadline> {
        match (due, self.copy.put_off) {
            (Some(due), Some(put_off)) => Some(due.later(put_off)),
            (due, put_off) => due.or(put_off),
        }
    }

    /// Google has refused this token.
    pub(super) fn refuse(&mut self, stale: Option<&Secret>) {
        if let Some(token) = self.token.take_if(|token| stale == Some(&token.secret)) {
            self.copy.refused = Some(token.secret);
        }
    }

    pub(super) fn common(&self, is_ahead: bool) -> Box<Common> {
        let known = self.copy.refused.clone().or(self.token.as_ref().map(|token| token.secret.clone()));
        let wants_project = self.project.is_none();
        Box::new(Common { known, is_ahead, wants_project, errand: None, is_alone: false })
    }

    fn take_entry(&mut self, entry: Entry, store_now: SystemTime, settings: &Settings, now: Now) {
        let Entry { record, email, project, tier, token, .. } = entry;
        if let Some(granted) = token.filter(|token| self.copy.refused.as_ref() != Some(&token.access)) {
            if self.token.as_ref().is_none_or(|token| token.secret != granted.access) {
                if self.token.is_some() {
                    self.last_refreshed_at = Some(now.wall);
                }
                self.token = Some(Token::shared(granted, settings.timing.ahead(), store_now, now));
                self.recover();
                // Of another token, and perhaps known here alone.
                drop(self.blocked.take_if(|blocked| blocked.why.reason == "INVALID_GRANT"));
            }
            self.copy.put_off = None;
        }
        self.record = record;
        self.email_settled |= email.is_none() && project.is_some();
        self.email = email.or(self.record.email().map(str::to_owned));
        let place = self.record.place();
        if !place.as_ref().zip(self.place.as_ref()).is_some_and(|(new, old)| new.is_same(old)) {
            self.place = place.map(Arc::new);
        }
        let known = settings.project_of(self.email.as_deref(), self.email_settled, &self.record);
        (self.project, self.tier) = (known.or(project), tier);
    }

    fn take_rests(&mut self, rests: &[Rest], store_now: SystemTime, now: Now) {
        (self.blocked, self.cooling) = (None, HashMap::new());
        for rest in rests {
            let left = rest.until.map(|until| until.duration_since(store_now).unwrap_or_default());
            if left == Some(Duration::ZERO) {
                continue;
            }
            let until = left.map(|left| Deadline::after(now, left));
            let Rest { model, limit, why, at, .. } = rest;
            self.rest(&Resting { model: model.clone(), until, limit: *limit, why: why.clone(), at: *at }, now);
        }
    }

    fn rest(&mut self, rest: &Resting, now: Now) {
        let Resting { model, until, limit, why, at } = rest.clone();
        match (model, until) {
            (None, until) => self.blocked = Some(Blocked { until, why, at }),
            (Some(model), Some(until)) => {
                let cool_down = CoolDown { until, limit, reason: why.reason, message: why.message };
                self.cool_down(&model, cool_down, now);
            }
            (Some(_), None) => {}
        }
    }

    fn hold(&mut self, tell: &Tell, now: Now) {
        match tell {
            Tell::Rests(login, rest) if *login == self.login() => {
                if !rest.until.is_some_and(|until| until.is_over(now)) {
                    self.rest(rest, now);
                }
            }
            Tell::Works(login, until) if *login == self.login() => {
                let is_this = |blocked: &mut Blocked| until.is_none() || blocked.until.is_some();
                drop(self.blocked.take_if(is_this));
            }
            Tell::Rests(..) | Tell::Works(..) => {}
        }
    }

    fn moved(&self, store_now: SystemTime, now: Now) -> Moved {
        let mut entry = Entry::new(self.record.clone(), self.email.clone(), store_now);
        (entry.project, entry.tier) = (self.project.clone(), self.tier.clone());
        let end = |until: Deadline| store_now + until.left(now);
        let block = self.blocked.iter().map(|blocked| {
            let Blocked { until, why, at } = blocked.clone();
            Rest { model: None, until: until.map(end), limit: false, why, at }
        });
        let cooling = self.cooling.iter().map(|(model, cool_down)| {
            let CoolDown { until, limit, reason, message } = cool_down.clone();
            let why = Block { reason, message, link: None };
            Rest { model: Some(model.clone()), until: Some(end(until)), limit, why, at: now.wall }
        });
        Moved { id: self.id, entry, rests: block.chain(cooling).collect() }
    }

    /// What to tell of its block.
    pub(super) fn tell_block(&self) -> Option<Tell> {
        let Blocked { until, why, at } = self.blocked.clone()?;
        Some(Tell::Rests(self.login(), Resting { model: None, until, limit: false, why, at }))
    }

    /// What to tell of a block that has ended; `None`: whichever it was.
    pub(super) fn tell_end(&self, until: Option<Deadline>) -> Tell {
        Tell::Works(self.login(), until)
    }

    /// What to tell of its rest for a model.
    pub(super) fn tell_rest(&self, model: &str, now: Now) -> Option<Tell> {
        let CoolDown { until, limit, reason, message } = self.cooling.get(model)?.clone();
        let why = Block { reason, message, link: None };
        let (model, until) = (Some(model.to_owned()), Some(until));
        Some(Tell::Rests(self.login(), Resting { model, until, limit, why, at: now.wall }))
    }
}

impl Token {
    fn shared(granted: Granted, ahead: Duration, store_now: SystemTime, now: Now) -> Token {
        let (left, lifetime) = (granted.left(store_now), granted.lifetime);
        Token {
            secret: granted.access,
            expiry: now.wall + left,
            fresh_until: Deadline::after(now, left.saturating_sub(super::token::MARGIN.min(lifetime / 4))),
            refresh_at: Deadline::after(now, left.saturating_sub(ahead.min(lifetime / 2))),
        }
    }
}
