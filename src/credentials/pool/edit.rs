//! What comes from outside: items that a person or another program puts into the file or the config, and what a person does
//! to a credential. What was done to one of the config stands in the state file ([`super::chosen`]).

use super::clock::Now;
use super::credential::{Credential, Origin};
use super::index::account;
use super::token::Job;
use super::{Effects, Pool};
use crate::credentials::Added;
use crate::credentials::file::edits::Edit;
use crate::credentials::file::identity::Key;
use crate::credentials::file::record::Record;
use crate::credentials::lease::{CredentialId, ManageFault};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

impl Pool {
    /// Takes an item in: in the place of an older login of the same account, or behind all others. `found` is what Google
    /// said about it.
    pub(crate) fn enrol(&mut self, mut record: Record, found: Option<Job>, now: Now) -> (Added, Effects) {
        let email = found.as_ref().and_then(|job| job.email.clone()).or(record.email().map(str::to_owned));
        let project = found.as_ref().and_then(|job| job.project.clone());
        let old = self.place_of(&record, email.as_deref(), project.as_deref());
        let (updated, instead_of) = (old.is_some(), old.and_then(Credential::identity));
        let id = match old {
            Some(old) => {
                record.keep_ours(&old.record);
                let id = old.id;
                self.chosen.leave_to_file(&record);
                id
            }
            None => self.join(Origin::File, record.clone(), now).id,
        };
        let mut effects = Effects::of_change();
        let label = self.change(id, now, |credential, settings| {
            if updated {
                credential.replace(record.clone(), settings, now);
            }
            if let Some(job) = found {
                (credential.email, credential.project, credential.tier) = (job.email, job.project, job.tier);
                credential.settle_project(settings);
            }
            let what = if updated { "Updating existing credential" } else { "Adding new credential" };
            effects.info(format!("{what} for {}.", credential.log_name()));
            credential.label()
        });
        effects.edits.push(Edit::Add { record, instead_of });
        (Added { id, updated, email, label: label.unwrap_or_default(), doubt: None }, effects)
    }

    /// The credential that the item is, or is another login of: the same secret; the same account and project; the same account
    /// with a project that a person chose here, when the item names none.
    pub(super) fn place_of(&self, record: &Record, email: Option<&str>, project: Option<&str>) -> Option<&Credential> {
        let is_chosen = |credential: &Credential| record.project().is_none() && credential.record.project().is_some();
        let mut same = self.named(record.name(), record).filter(|credential| credential.record.key() == record.key());
        same.next()
            .or_else(|| self.logins(email, record).find(|credential| credential.project.as_deref() == project))
            .or_else(|| self.logins(email, record).find(|credential| is_chosen(credential)))
    }

    /// Whether the pool has another login of the account that the item names.
    pub(crate) fn has_other_login(&self, record: &Record) -> bool {
        self.logins(record.email(), record).any(|credential| credential.record.key() != record.key())
    }

    /// Credentials of the item's kind with this name.
    fn named(&self, name: u64, record: &Record) -> impl Iterator<Item = &Credential> {
        let found = self.index.named(name).filter_map(|id| self.credentials.get(&id));
        found.filter(|credential| credential.record.kind() == record.kind())
    }

    /// Credentials of the item's kind that are logins of the account.
    fn logins(&self, email: Option<&str>, record: &Record) -> impl Iterator<Item = &Credential> {
        let named = email.into_iter().flat_map(|email| self.named(account(email), record));
        named.filter(move |credential| has_email(credential, email))
    }

    /// Brings the credentials in line with the file's items.
    pub(crate) fn adopt(&mut self, records: Vec<Record>, now: Now) -> Effects {
        let mut effects = Effects::of_change();
        let items: HashSet<Key> = records.iter().map(Record::key).collect();
        let (mut known, mut gone) = (HashMap::new(), Vec::new());
        for credential in self.credentials.values() {
            let key = credential.record.key();
            if credential.origin == Origin::Config || items.contains(&key) {
                known.insert(key, credential.id);
            } else {
                gone.push(credential.id);
            }
        }
        for credential in gone.into_iter().filter_map(|id| self.leave(id)) {
            effects.info(format!("{} is no longer in the credentials file.", credential.log_name()));
        }
        for record in records {
            let key = record.key();
            match known.get(&key) {
                Some(id) => {
                    self.chosen.leave_to_file(&record);
                    self.change(*id, now, |credential, settings| {
                        // A key of the config that a person has put into the file too stays when the config loses it.
                        credential.origin = Origin::File;
                        credential.update(record, settings, now);
                    });
                }
                None => {
                    let credential = self.join(Origin::File, record, now);
                    effects.info(format!("Adding new credential for {}.", credential.log_name()));
                    known.insert(key, credential.id);
                }
            }
        }
        effects
    }

    /// Takes over what a person changed in the config: the map of projects, and the keys beside the file.
    pub(crate) fn reload(&mut self, projects: HashMap<String, String>, keys: Vec<Record>, now: Now) -> Effects {
        self.settings.project_id_map = projects;
        let mut effects = Effects::of_change();
        let wanted: HashSet<Key> = keys.iter().map(Record::key).collect();
        let is_wanted = |credential: &Credential| wanted.contains(&credential.record.key());
        let config = self.credentials.values().filter(|credential| credential.origin == Origin::Config);
        let gone: Vec<CredentialId> =
            config.filter(|credential| !is_wanted(credential)).map(|credential| credential.id).collect();
        for credential in gone.into_iter().filter_map(|id| self.leave(id)) {
            effects.info(format!("{} is no longer in gemini_api_keys.", credential.name()));
        }
        for mut key in keys {
            self.chosen.apply(&mut key);
            let known = self.named(key.name(), &key).find(|credential| credential.record.key() == key.key());
            match known.map(|credential| (credential.id, credential.origin)) {
                Some((id, Origin::Config)) => {
                    self.change(id, now, |credential, _| credential.record.set("label", key.label().map(Into::into)));
                }
                Some(_) => {}
                None => {
                    let name = self.join(Origin::Config, key, now).name();
                    effects.info(format!("{name} comes from gemini_api_keys."));
                }
            }
        }
        for id in self.credentials.keys().copied().collect::<Vec<_>>() {
            self.change(id, now, |credential, settings| credential.settle_project(settings));
        }
        effects
    }

    /// Takes the credential out of the pool and the file.
    pub(crate) fn remove(&mut self, id: CredentialId) -> Result<Effects, ManageFault> {
        let credential = self.credentials.get(&id).ok_or(ManageFault::Unknown)?;
        if credential.origin == Origin::Config {
            return Err(ManageFault::InConfig);
        }
        let edit = Edit::Remove(credential.record.clone());
        self.leave(id);
        Ok(Effects { edits: vec![edit], ..Effects::of_change() })
    }

    /// Sets or removes a field of our own of the credential's item.
    pub(crate) fn set_field(
        &mut self,
        id: CredentialId,
        name: &'static str,
        value: Option<Value>,
        now: Now,
    ) -> Result<Effects, ManageFault> {
        let credential = self.credentials.get(&id).ok_or(ManageFault::Unknown)?;
        let of = credential.identity().ok_or(ManageFault::Unusable)?;
        if credential.origin == Origin::Config {
            self.chosen.set(&credential.record, name, value.clone());
        }
        let edit = (credential.origin == Origin::File).then(|| Edit::Field { of, name, value: value.clone() });
        self.change(id, now, |credential, _| credential.record.set(name, value));
        Ok(Effects { edits: edit.into_iter().collect(), ..Effects::of_change() })
    }

    /// Forgets cool-downs, blocks and what is known of the project: the credential starts anew.
    pub(crate) fn reset(&mut self, id: CredentialId, now: Now) -> Result<Effects, ManageFault> {
        let reset = self.change(id, now, |credential, settings| {
            credential.cooling.clear();
            credential.blocked = None;
            credential.recover();
            credential.restore_priority();
            (credential.project, credential.tier, credential.email_settled) = (None, None, false);
            credential.settle_project(settings);
        });
        reset.map(|()| Effects::of_change()).ok_or(ManageFault::Unknown)
    }
}

fn has_email(credential: &Credential, email: Option<&str>) -> bool {
    email.is_some_and(|email| {
        credential.email.as_ref().is_some_and(|known| known.to_lowercase() == email.to_lowercase())
    })
}
