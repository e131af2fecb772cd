//! What other replicas have to be told: rests, blocks, and that a block has ended. It waits here while the store is away.

use super::{Lift, Rest, Shared, Sharing};
use crate::credentials::Credentials;
use crate::credentials::google::trouble::Block;
use crate::credentials::lease::CredentialId;
use crate::credentials::pool::{Deadline, Login, Now};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// What waits at most; beyond it the others find out by themselves.
const MOST: usize = 10_000;

/// A rest of a credential, with its times on this machine's clocks.
#[derive(Clone, Debug)]
pub(crate) struct Resting {
    /// `None`: for all, a block.
    pub(crate) model: Option<String>,
    /// `None`: until a person acts.
    pub(crate) until: Option<Deadline>,
    pub(crate) limit: bool,
    pub(crate) why: Block,
    pub(crate) at: SystemTime,
}

#[derive(Clone, Debug)]
pub(crate) enum Tell {
    /// It rests. A block may also be about the project that was found.
    Rests(Login, Resting),
    /// It is not blocked any more; `Some`: if the block was this one, which ends by itself.
    Works(Login, Option<Deadline>),
}

/// By credential and model; the block has none.
pub(super) type Waiting = BTreeMap<(CredentialId, Option<String>), Tell>;

impl Tell {
    fn login(&self) -> Login {
        match self {
            Tell::Rests(login, _) | Tell::Works(login, _) => *login,
        }
    }
}

impl Sharing {
    pub(in crate::credentials) fn tell(&self, tells: Vec<Tell>) {
        if tells.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock();
        for tell in tells {
            let model = match &tell {
                Tell::Rests(_, rest) => rest.model.clone(),
                Tell::Works(..) => None,
            };
            let key = (tell.login().id(), model);
            if waiting.len() < MOST || waiting.contains_key(&key) {
                waiting.insert(key, tell);
            }
        }
        drop(waiting);
        self.store.wake();
    }

    /// What of the credential nobody was told of yet.
    pub(super) fn untold(&self, id: CredentialId) -> Vec<Tell> {
        let waiting = self.waiting.lock();
        waiting.range((id, None)..).take_while(|((of, _), _)| *of == id).map(|(_, tell)| tell.clone()).collect()
    }

    /// Of how many credentials and models the others were not told.
    pub(super) fn untold_count(&self) -> usize {
        self.waiting.lock().len()
    }
}

impl Credentials {
    /// Tells the others what waits, until the store does not answer.
    pub(super) fn tell_all(&self, sharing: &Sharing) {
        let mut tells = std::mem::take(&mut *sharing.waiting.lock());
        while let Some((key, tell)) = tells.pop_first() {
            // A rest of a login in whose place there is another one is nobody's.
            let is_same = self.with(|pool, _| pool.is_present(tell.login()));
            if is_same && tell_one(&*sharing.store, key.0, &tell).is_err() {
                let mut waiting = sharing.waiting.lock();
                waiting.entry(key).or_insert(tell);
                // What came meanwhile is newer.
                tells.append(&mut waiting);
                *waiting = tells;
                return;
            }
        }
    }
}

fn tell_one(store: &dyn Shared, id: CredentialId, tell: &Tell) -> Result<(), super::Away> {
    let now = Now::read();
    let shared = |until: &Deadline| store.now() + until.left(now);
    match tell {
        Tell::Rests(_, rest) if rest.until.is_some_and(|until| until.is_over(now)) => Ok(()),
        Tell::Rests(_, rest) => {
            let Resting { model, until, limit, why, at } = rest;
            let until = until.as_ref().map(shared);
            if model.is_none() {
                super::errand::forget_project(store, id)?;
            }
            let rest = Rest { model: model.clone(), until, limit: *limit, why: why.clone(), at: *at };
            store.rest(id, None, &[rest]).map(drop)
        }
        Tell::Works(_, until) => store.lift(id, Lift::Block(until.as_ref().map(shared))),
    }
}

impl Sharing {
    /// What was to be told of it is over.
    pub(super) fn forget(&self, id: CredentialId) {
        self.waiting.lock().retain(|(of, _), _| *of != id);
    }
}
