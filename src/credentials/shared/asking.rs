//! How this replica asks Google about credentials that are not its own alone.

use super::errand::{Begun, Landed, Wish, begin, end, exchange};
use super::{Failed, Kept, Known, Landing, Leased, Sharing, Work};
use crate::credentials::Credentials;
use crate::credentials::google::trouble::Trouble;
use crate::credentials::lease::{Access, CredentialId};
use crate::credentials::pool::{Grant, Job, Origin, doubled};
use crate::credentials::refresh::WAIT;
use crate::message::Message;
use crate::os::random;
use crate::secret::Secret;
use std::time::Duration;

impl Credentials {
    /// Whom to share with what comes of the job.
    fn sharing_of(&self, job: &Job) -> Option<&Sharing> {
        let sharing = self.sharing.get()?;
        let is_shared = self.with(|pool, _| pool.origin(job.login.id())) == Some(Origin::File);
        is_shared.then_some(sharing)
    }

    /// As [`Credentials::complete`], for all replicas.
    pub(in crate::credentials) fn complete_shared(&self, job: &mut Job) -> Result<Access, Trouble> {
        if let Some(sharing) = self.sharing_of(job) {
            self.begin_shared(sharing, job)?;
        }
        let result = self.complete(job);
        self.end_shared(job, result.as_ref().map(drop));
        result
    }

    /// Waits until it is this replica that asks, or takes over what another replica got. Without a store this one is alone.
    fn begin_shared(&self, sharing: &Sharing, job: &mut Job) -> Result<(), Trouble> {
        let id = job.login.id();
        // Else it would be asked with a token that Google has replaced.
        sharing.land(id);
        let common = &job.common;
        let wish = Wish {
            id,
            known: common.known.as_ref(),
            is_ahead: common.is_ahead,
            wants_project: common.wants_project,
            patience: WAIT,
        };
        match begin(&*sharing.store, &wish, &|span| self.pause(span))? {
            Begun::Mine(errand) => {
                self.take_kept(sharing, job, errand.kept.clone());
                job.common.errand = Some(errand);
            }
            Begun::Done(kept) => self.take_kept(sharing, job, kept),
            Begun::Alone => job.common.is_alone = true,
        }
        if self.with(|pool, _| pool.is_present(job.login)) {
            return Ok(());
        }
        // Another login has come in its place.
        let interrupted = Trouble::Transient(Message::new("refresh_interrupted"));
        self.end_shared(job, Ok(()));
        Err(interrupted)
    }

    fn take_kept(&self, sharing: &Sharing, job: &mut Job, kept: Kept) {
        let entry = &kept.entry;
        let fresh = entry.fresh(job.common.known.as_ref(), sharing.store.now());
        job.token = fresh.map(|token| token.access.clone()).or(job.token.take());
        job.record = entry.record.clone();
        job.email = entry.email.clone().or(job.email.take());
        job.project = job.project.take().or(entry.project.clone());
        job.tier = job.tier.take().or(entry.tier.clone());
        self.take_over(sharing, vec![Known { id: job.login.id(), kept: Some(kept), is_gone: false, rests: None }]);
    }

    /// A new token for all; `None`: this credential is nobody else's.
    pub(in crate::credentials) fn exchange_shared(&self, job: &mut Job) -> Result<Option<Secret>, Trouble> {
        let Some(sharing) = self.sharing_of(job) else { return Ok(None) };
        if job.common.errand.is_none() && !job.common.is_alone {
            // Of a token that another replica got, and that is refused.
            job.common.known = job.token.take().or(job.common.known.take());
            self.begin_shared(sharing, job)?;
            if let (Some(token), false) = (&job.token, job.common.is_alone) {
                return Ok(Some(token.clone()));
            }
        }
        let store = &*sharing.store;
        let Some(errand) = &mut job.common.errand else {
            let asked = store.now();
            let tokens = self.grant(&job.record)?;
            let entry = super::Entry::new(job.record.clone(), None, asked).of_login(job.login.number());
            let landing = Landing::new(&entry, tokens.access.clone(), tokens.refresh.clone(), tokens.lifetime, asked);
            return Ok(Some(self.keep_for_later(sharing, job, landing)));
        };
        let (landing, landed) = exchange(store, errand, &mut |record| self.grant(record))?;
        match landed {
            Landed::Kept(kept) => {
                let access = kept.entry.fresh(None, store.now()).unwrap_or(landing.token()).access.clone();
                log::info!("[CredManager] Refreshed credential for {} successfully.", job.log_name);
                job.common.known = None;
                self.take_kept(sharing, job, *kept);
                job.token = Some(access.clone());
                Ok(Some(access))
            }
            Landed::Later(landing) => Ok(Some(self.keep_for_later(sharing, job, landing))),
            Landed::Gone => Ok(Some(landing.token().access.clone())),
        }
    }

    fn keep_for_later(&self, sharing: &Sharing, job: &mut Job, landing: Landing) -> Secret {
        let token = landing.token().clone();
        let grant = Grant { access: token.access.clone(), refresh: landing.refresh(), lifetime: token.lifetime };
        self.keep_landing(sharing, job.login.id(), landing);
        self.change(|pool, now| ((), pool.granted(job, grant, now)));
        token.access
    }

    /// The errand is over.
    pub(in crate::credentials) fn end_shared(&self, job: &mut Job, result: Result<(), &Trouble>) {
        let Some((sharing, errand)) = self.sharing.get().zip(job.common.errand.take()) else { return };
        let timing = self.timing();
        let failed = |message: &Message, first: Duration| {
            let full = doubled(first, errand.times(), timing.longest_backoff);
            // As one replica's own back-off.
            let rest = full - full.mul_f64(random::fraction() / 4.0);
            Failed { rest, times: 0, message: message.clone() }
        };
        let failed = match result {
            Err(Trouble::Transient(message)) => Some(failed(message, timing.first_backoff)),
            Err(Trouble::Config(message)) => Some(failed(message, timing.longest_backoff)),
            Ok(()) | Err(_) => None,
        };
        let (email, project, tier) = (job.email.clone(), job.project.clone(), job.tier.clone());
        let found = |entry: &mut super::Entry| {
            entry.email = email.clone().or(entry.email.take());
            if result.is_ok() && project.is_some() && project.as_deref() != entry.record.project() {
                (entry.project, entry.tier) = (project.clone(), tier.clone().or(entry.tier.take()));
            }
        };
        end(&*sharing.store, errand, &found, failed);
    }

    /// Whether it is this replica that looks whether an idle credential works.
    pub(in crate::credentials) fn may_check(&self, id: CredentialId) -> bool {
        let Some(sharing) = self.sharing.get() else { return true };
        let span = self.timing().idle_check;
        matches!(sharing.store.lease(Work::Check, id, span), Ok(Leased::Mine(..)))
    }
}
