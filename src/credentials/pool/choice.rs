//! Whom a request gets, and what follows from the time that has gone by.

use super::Pool;
use super::clock::Now;
use super::credential::Credential;
use super::index::Index;
use crate::credentials::lease::{Kind, Lease, Unavailable, Want};

impl Pool {
    /// Chooses a credential: round-robin over those that can serve `want` now, in the order of ids. One that first has to ask
    /// Google for a token or project is taken only when nobody is ready, a deprioritised one when nobody else is left.
    pub(crate) fn checkout(&mut self, want: &Want<'_>, now: Now) -> Result<Lease, Unavailable> {
        self.advance(now);
        let id = self.index.choose(want, &self.settings.prefer, self.last, now)?;
        let lease = self.change(id, now, |credential, _| {
            credential.last_used_at = now.wall;
            credential.last_active = now.monotonic;
            let kind = credential.record.kind().unwrap_or(Kind::Oauth);
            Lease { id, kind, name: credential.name(), label: credential.label() }
        });
        self.lent = Some(now.monotonic);
        if want.affinity.is_none() {
            self.last = Some(id);
        }
        lease.ok_or(Unavailable::None)
    }

    /// Why nobody can serve `want`: the reason word of who returns first, or else of one that waits for a person.
    pub(crate) fn reason(&self, want: &Want<'_>) -> Option<String> {
        let first = self.index.earliest(want).and_then(|id| self.credentials.get(&id));
        let is_wanted = |credential: &&Credential| credential.record.kind().is_ok_and(|kind| want.kinds.has(kind));
        let credential = first
            .or_else(|| self.credentials.values().filter(is_wanted).find(|credential| credential.blocked.is_some()))?;
        let blocked = credential.blocked.as_ref().map(|blocked| &blocked.why.reason);
        blocked.or_else(|| Some(&credential.cooling.get(want.model)?.reason)).cloned()
    }

    /// Whether somebody would be lent for this.
    pub(crate) fn can_serve(&mut self, want: &Want<'_>, now: Now) -> bool {
        self.advance(now);
        self.index.choose(want, &self.settings.prefer, self.last, now).is_ok()
    }

    /// Ends what has ended by now: cool-downs, blocks, tokens.
    pub(super) fn advance(&mut self, now: Now) {
        if self.index.clock.has_jumped(now) {
            self.index = Index::new(now);
            for credential in self.credentials.values_mut() {
                credential.settle(now);
                self.index.file(credential, now);
            }
        }
        for id in self.index.changed(now) {
            self.change(id, now, |_, _| ());
        }
    }
}
