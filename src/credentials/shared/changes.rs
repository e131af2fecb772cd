//! What a person does to credentials that replicas share. The store is changed first; if it is away nothing is.

use super::errand::{again, change};
use super::{Away, Changed, Entry, Kept, Known, Lift, Sharing, With};
use crate::credentials::enrol::Candidate;
use crate::credentials::file::record::Record;
use crate::credentials::lease::{AccessFault, CredentialId, ManageFault};
use crate::credentials::pool::{self, Job, Origin};
use crate::credentials::{AddFault, Added, BulkEdit, Credentials};
use serde_json::Value;

/// How often a login is put in its place while others change it.
const TRIES: usize = 20;

impl Sharing {
    /// When what was changed is known here, so that who changed it sees it.
    pub(in crate::credentials) fn waited<T>(&self, result: T) -> T {
        self.store.wait();
        result
    }
}

impl Credentials {
    fn origin(&self, id: CredentialId) -> Result<Origin, ManageFault> {
        self.with(|pool, _| pool.origin(id)).ok_or(ManageFault::Unknown)
    }

    fn change_shared(&self, sharing: &Sharing, id: CredentialId, edit: impl Fn(&mut Entry)) -> Result<(), ManageFault> {
        let kept = change(&*sharing.store, id, edit)?.ok_or(ManageFault::Unknown)?;
        self.take_over(sharing, vec![Known { id, kept: Some(kept), is_gone: false, rests: None }]);
        Ok(())
    }

    pub(in crate::credentials) fn set_shared(
        &self,
        sharing: &Sharing,
        id: CredentialId,
        name: &'static str,
        value: Option<&Value>,
    ) -> Result<(), ManageFault> {
        match self.origin(id)? {
            // Each replica has its own config, and no other one would hear of it.
            Origin::Config => Err(ManageFault::InConfig),
            Origin::File if self.with(|pool, _| pool.kind(id)).is_some_and(|kind| kind.is_err()) => {
                Err(ManageFault::Unusable)
            }
            Origin::File => self.change_shared(sharing, id, |entry| entry.record.set(name, value.cloned())),
        }
    }

    pub(in crate::credentials) fn remove_shared(&self, sharing: &Sharing, id: CredentialId) -> Result<(), ManageFault> {
        if self.origin(id)? == Origin::Config {
            return Err(ManageFault::InConfig);
        }
        let store = &*sharing.store;
        let gone = || self.take_over(sharing, vec![Known { id, kept: None, is_gone: true, rests: None }]);
        let with = With { lease: None, lift: Some(Lift::All) };
        let mut kept = again(|| store.read(id))?.kept.ok_or(ManageFault::Unknown)?;
        for _ in 0..TRIES {
            match again(|| store.change(id, &kept, None, with))? {
                Changed::Newer(newer) => kept = newer,
                Changed::Done(_) | Changed::Gone => {
                    gone();
                    return Ok(());
                }
            }
        }
        Err(Away::Unsure.into())
    }

    pub(in crate::credentials) fn reset_shared(&self, sharing: &Sharing, id: CredentialId) -> Result<(), ManageFault> {
        let origin = self.origin(id)?;
        again(|| sharing.store.lift(id, Lift::All))?;
        if origin == Origin::File {
            self.change_shared(sharing, id, |entry| (entry.project, entry.tier) = (None, None))?;
        }
        sharing.forget(id);
        self.try_change(|pool, now| pool.reset(id, now))
    }

    pub(in crate::credentials) fn change_all_shared(
        &self,
        sharing: &Sharing,
        ids: &[CredentialId],
        edit: BulkEdit,
    ) -> Vec<Result<(), ManageFault>> {
        let change = |id: &CredentialId| match edit {
            BulkEdit::Enable => self.set_shared(sharing, *id, "disabled", None),
            BulkEdit::Disable => self.set_shared(sharing, *id, "disabled", Some(&true.into())),
            BulkEdit::Reset => self.reset_shared(sharing, *id),
            BulkEdit::Remove => self.remove_shared(sharing, *id),
        };
        ids.iter().map(change).collect()
    }

    /// A person wants it to be asked about again.
    pub(in crate::credentials) fn lift_shared(&self, id: CredentialId) -> Result<(), AccessFault> {
        let Some(sharing) = self.sharing.get() else { return Ok(()) };
        let lifted = again(|| sharing.store.lift(id, Lift::Block(None)));
        lifted.map_err(|away| AccessFault::Transient(away.message()))
    }

    /// A store that is away takes nobody in.
    pub(in crate::credentials) fn must_share(&self) -> Result<(), AddFault> {
        match self.sharing.get() {
            Some(sharing) => sharing.store.must_answer().map_err(Away::add_fault),
            None => Ok(()),
        }
    }

    /// Puts the candidate into the store, in the place of an older login of the same account or as a new one.
    pub(in crate::credentials) fn enrol_shared(
        &self,
        sharing: &Sharing,
        candidate: Candidate,
    ) -> Result<Added, AddFault> {
        let Candidate { record, found, doubt } = candidate;
        let (id, updated, kept) = self.put_shared(sharing, &record, found.as_ref()).map_err(Away::add_fault)?;
        let email = kept.entry.email.clone();
        let label = pool::label(&kept.entry.record, email.as_deref()).unwrap_or_default();
        let what = if updated { "Updating existing credential" } else { "Adding new credential" };
        log::info!(
            "[CredManager] {what} for {}.",
            if label.is_empty() { format!("cred-{}", id.0) } else { label.clone() }
        );
        self.take_over(sharing, vec![Known { id, kept: Some(kept), is_gone: false, rests: updated.then(Vec::new) }]);
        Ok(Added { id, updated, email, label, doubt })
    }

    fn put_shared(
        &self,
        sharing: &Sharing,
        record: &Record,
        found: Option<&Job>,
    ) -> Result<(CredentialId, bool, Kept), Away> {
        let store = &*sharing.store;
        let mut entry = Entry::new(record.clone(), found.and_then(|job| job.email.clone()), store.now());
        if let Some(job) = found {
            (entry.project, entry.tier) = (job.project.clone(), job.tier.clone());
        }
        let mut old = self.with(|pool, _| pool.known_as(record, found));
        for _ in 0..TRIES {
            let Some(id) = old else {
                let (id, kept, is_new) = again(|| store.create(&entry, None))?;
                if is_new {
                    return Ok((id, false, kept));
                }
                // Another replica has it already, and this one has not heard of it.
                old = Some(id);
                continue;
            };
            let Some(kept) = again(|| store.read(id))?.kept else {
                old = None;
                continue;
            };
            let mut next = entry.clone();
            next.record.keep_ours(&kept.entry.record);
            next.login = kept.entry.login + 1;
            let with = With { lease: None, lift: Some(Lift::All) };
            if let Changed::Done(kept) = again(|| store.change(id, &kept, Some(&next), with))? {
                return Ok((id, true, kept));
            }
        }
        Err(Away::Unsure)
    }
}
