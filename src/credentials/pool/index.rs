//! The credentials sorted by what they can do, so that neither a choice nor the next refresh needs a walk over all of them.
//!
//! There is one [`Queue`] per kind for models that nobody cools down for, and one per kind for each model that somebody does.
//! A credential stands in each queue of its kind either among those that can be asked, best rank first, or among those that wait,
//! earliest first. What changes by time alone stands in `changes`, and is filed anew once that time has come.

use super::clock::{Clock, Now};
use super::credential::Credential;
use crate::credentials::lease::{CredentialId, Kind, Kinds, Unavailable, Want};
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;
use std::time::Instant;

/// Places on the ring that a conversation tries. It goes to the credential that follows one of them most closely, which spreads
/// conversations about as evenly as if each credential stood on the ring a hundred times.
const PROBES: u64 = 16;

pub(super) struct Index {
    pub(super) clock: Clock,
    entries: HashMap<CredentialId, Entry>,
    queues: Queues,
    models: HashMap<String, Model>,
    changes: BTreeSet<(Instant, CredentialId)>,
    /// Whose token or set-up has to be seen to, and when.
    due: BTreeSet<(Instant, CredentialId)>,
    /// The names of all items and accounts.
    names: BTreeSet<(u64, CredentialId)>,
}

/// Where a credential stands for models that it does not cool down for, and when to look at it again.
#[derive(Clone, Copy, Default, PartialEq)]
struct Entry {
    kind: Option<Kind>,
    standing: Standing,
    change: Option<Instant>,
    due: Option<Instant>,
    item: Option<u64>,
    account: Option<u64>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Standing {
    /// It cannot be used.
    #[default]
    Out,
    /// It can be asked; the least rank first.
    Free { rank: usize },
    /// It can be asked from then on.
    Waiting { until: Instant, limit: bool },
}

/// A model that somebody cools down for: until when, and whether for a limit.
struct Model {
    cooling: HashMap<CredentialId, (Instant, bool)>,
    queues: Queues,
}

/// By kind.
type Queues = [Queue; Kind::ALL.len()];

/// The credentials of one kind that can be used.
#[derive(Clone, Default)]
struct Queue {
    free: [Rank; 4],
    waiting: BTreeSet<(Instant, CredentialId)>,
    /// How many of those wait for the end of a limit of this model.
    limited: usize,
}

/// Credentials of which each is as good as any other.
#[derive(Clone, Default)]
struct Rank {
    turns: BTreeSet<CredentialId>,
    /// The same ones, by their places on the ring of conversations.
    ring: BTreeSet<(u64, CredentialId)>,
}

impl Index {
    pub(super) fn new(now: Now) -> Index {
        Index {
            clock: Clock::new(now),
            entries: HashMap::new(),
            queues: Queues::default(),
            models: HashMap::new(),
            changes: BTreeSet::new(),
            due: BTreeSet::new(),
            names: BTreeSet::new(),
        }
    }

    /// Files a settled credential as it is now.
    pub(super) fn file(&mut self, credential: &Credential, now: Now) {
        let entry = Entry::of(credential, &self.clock, now);
        for model in credential.cooling.keys() {
            if !self.models.contains_key(model) {
                let model_queues = Model { cooling: HashMap::new(), queues: self.queues.clone() };
                self.models.insert(model.clone(), model_queues);
            }
        }
        self.put(credential.id, entry, |clock, model| {
            credential.cooling.get(model).map(|cool_down| (clock.end(cool_down.until), cool_down.limit))
        });
    }

    pub(super) fn remove(&mut self, id: CredentialId) {
        self.put(id, Entry::default(), |_, _| None);
        self.entries.remove(&id);
    }

    fn put(&mut self, id: CredentialId, new: Entry, cooling: impl Fn(&Clock, &str) -> Option<(Instant, bool)>) {
        let old = self.entries.insert(id, new).unwrap_or_default();
        if old != new {
            replace(&mut self.changes, id, old.change, new.change);
            replace(&mut self.due, id, old.due, new.due);
            replace(&mut self.names, id, old.item, new.item);
            replace(&mut self.names, id, old.account, new.account);
            refile(&mut self.queues, id, (old.kind, old.standing), (new.kind, new.standing));
        }
        self.models.retain(|name, model| {
            let cool_down = cooling(&self.clock, name);
            let before = match cool_down {
                Some(cool_down) => model.cooling.insert(id, cool_down),
                None => model.cooling.remove(&id),
            };
            let (before, after) = (old.standing.with(before), new.standing.with(cool_down));
            if before != after || old.kind != new.kind {
                refile(&mut model.queues, id, (old.kind, before), (new.kind, after));
            }
            !model.cooling.is_empty()
        });
    }

    /// Who may be of this item or account: names are hashes. In the order of their ids.
    pub(super) fn named(&self, name: u64) -> impl Iterator<Item = CredentialId> {
        self.names.range((name, CredentialId(0))..=(name, CredentialId(u64::MAX))).map(|(_, id)| *id)
    }

    /// Those that have changed by time alone.
    pub(super) fn changed(&self, now: Now) -> Vec<CredentialId> {
        let over = self.changes.iter().take_while(|(at, _)| *at <= now.monotonic);
        over.map(|(_, id)| *id).collect()
    }

    /// Who has to be seen to first, and when.
    pub(super) fn first_due(&self) -> Option<(Instant, CredentialId)> {
        self.due.first().copied()
    }

    /// The credential for `want`, where `last` had the last turn. Among those who are equally good, the kinds in `prefer` come
    /// first, in their order.
    pub(super) fn choose(
        &self,
        want: &Want<'_>,
        prefer: &[Kind],
        last: Option<CredentialId>,
        now: Now,
    ) -> Result<CredentialId, Unavailable> {
        let queues = self.models.get(want.model).map_or(&self.queues, |model| &model.queues);
        let of = |kinds: Kinds| {
            Kind::ALL.into_iter().filter(move |kind| kinds.has(*kind)).map(|kind| &queues[kind as usize])
        };
        let is_new = |id: &CredentialId| !want.tried.contains(id);
        let preferred = prefer.iter().map(|kind| Kinds::only(*kind).and(want.kinds));
        for rank in 0..4 {
            for kinds in preferred.clone().chain([want.kinds]) {
                let ranks = of(kinds).map(|queue| &queue.free[rank]);
                let found = match want.affinity {
                    Some(affinity) => closest(ranks, affinity, is_new),
                    None => next_turn(ranks, last, is_new),
                };
                if let Some(id) = found {
                    return Ok(id);
                }
            }
        }
        let queues: Vec<&Queue> = of(want.kinds).collect();
        let earliest = queues.iter().filter_map(|queue| queue.waiting.first()).min();
        let is_anybody_free = || queues.iter().any(|queue| queue.free.iter().any(|rank| !rank.turns.is_empty()));
        Err(match earliest.map(|(until, _)| until.saturating_duration_since(now.monotonic)) {
            _ if is_anybody_free() => Unavailable::AllTried,
            None => Unavailable::None,
            Some(wait) if queues.iter().any(|queue| queue.limited > 0) => Unavailable::Cooling(wait),
            Some(wait) => Unavailable::Resting(wait),
        })
    }
}

impl Index {
    /// Who waits and returns first.
    pub(super) fn earliest(&self, want: &Want<'_>) -> Option<CredentialId> {
        let queues = self.models.get(want.model).map_or(&self.queues, |model| &model.queues);
        let wanted = Kind::ALL.into_iter().filter(|kind| want.kinds.has(*kind)).map(|kind| &queues[kind as usize]);
        wanted.filter_map(|queue| queue.waiting.first()).min().map(|(_, id)| *id)
    }
}

impl Entry {
    fn of(credential: &Credential, clock: &Clock, now: Now) -> Entry {
        let end = |deadline| clock.end(deadline);
        let is_ready = credential.is_ready(now);
        let blocked = credential.blocked.as_ref().and_then(|blocked| blocked.until).map(end);
        let backoff = credential.backoff.as_ref().map(|backoff| end(backoff.until));
        let standing = match blocked.max(backoff.filter(|_| !is_ready)) {
            _ if !credential.is_usable() => Standing::Out,
            Some(until) => Standing::Waiting { until, limit: false },
            None => Standing::Free { rank: usize::from(!is_ready) * 2 + usize::from(credential.is_deprioritised()) },
        };
        let token_end = credential.fresh_token(now).map(|token| end(token.fresh_until));
        let deprioritised = credential.deprioritised.map(end);
        let cooling = credential.cooling.values().map(|cool_down| end(cool_down.until)).min();
        let change = [blocked, backoff, token_end, deprioritised, cooling].into_iter().flatten().min();
        let due = credential.due().map(|due| blocked.max(backoff).max(due.map(end)).unwrap_or(clock.start()));
        let (item, account) = (Some(credential.record.name()), credential.email.as_deref().map(account));
        Entry { kind: credential.record.kind().ok(), standing, change, due, item, account }
    }
}

impl Standing {
    /// The same credential for a model that it cools down for.
    fn with(self, cooling: Option<(Instant, bool)>) -> Standing {
        match (self, cooling) {
            (Standing::Out, _) | (_, None) => self,
            (Standing::Free { .. }, Some((until, limit))) => Standing::Waiting { until, limit },
            (Standing::Waiting { until, .. }, Some((end, limit))) => Standing::Waiting { until: until.max(end), limit },
        }
    }
}

impl Queue {
    fn insert(&mut self, id: CredentialId, standing: Standing) {
        match standing {
            Standing::Out => {}
            Standing::Free { rank } => {
                self.free[rank].turns.insert(id);
                self.free[rank].ring.insert((place(&id), id));
            }
            Standing::Waiting { until, limit } => {
                self.waiting.insert((until, id));
                self.limited += usize::from(limit);
            }
        }
    }

    fn remove(&mut self, id: CredentialId, standing: Standing) {
        match standing {
            Standing::Out => {}
            Standing::Free { rank } => {
                self.free[rank].turns.remove(&id);
                self.free[rank].ring.remove(&(place(&id), id));
            }
            Standing::Waiting { until, limit } => {
                self.waiting.remove(&(until, id));
                self.limited -= usize::from(limit);
            }
        }
    }
}

fn refile(queues: &mut Queues, id: CredentialId, old: (Option<Kind>, Standing), new: (Option<Kind>, Standing)) {
    if let (Some(kind), standing) = old {
        queues[kind as usize].remove(id, standing);
    }
    if let (Some(kind), standing) = new {
        queues[kind as usize].insert(id, standing);
    }
}

fn replace<T: Copy + Ord>(set: &mut BTreeSet<(T, CredentialId)>, id: CredentialId, old: Option<T>, new: Option<T>) {
    if old != new {
        old.map(|at| set.remove(&(at, id)));
        set.extend(new.map(|at| (at, id)));
    }
}

/// The first one after `last`, or else the first of all.
fn next_turn<'a>(
    ranks: impl Iterator<Item = &'a Rank> + Clone,
    last: Option<CredentialId>,
    is_new: impl Fn(&CredentialId) -> bool,
) -> Option<CredentialId> {
    let first =
        |from| ranks.clone().filter_map(|rank| rank.turns.range((from, Bound::Unbounded)).find(|id| is_new(id))).min();
    let after = last.and_then(|last| first(Bound::Excluded(last)));
    after.or_else(|| first(Bound::Unbounded)).copied()
}

/// The credential that follows one of the conversation's places most closely. It stays the same one as long as that one can
/// serve: others that come and go are either farther away, or are the one.
fn closest<'a>(
    ranks: impl Iterator<Item = &'a Rank> + Clone,
    affinity: &str,
    is_new: impl Fn(&CredentialId) -> bool,
) -> Option<CredentialId> {
    let probes = (0..PROBES).map(|number| place(&(affinity, number)));
    let found = probes.flat_map(|probe| {
        let is_new = &is_new;
        ranks.clone().filter_map(move |rank| {
            let from_there = rank.ring.range((probe, CredentialId(0))..).chain(&rank.ring);
            let (place, id) = from_there.into_iter().find(|(_, id)| is_new(id))?;
            Some((place.wrapping_sub(probe), *id))
        })
    });
    found.min().map(|(_, id)| id)
}

/// The name of an account.
pub(super) fn account(email: &str) -> u64 {
    place(&email.to_lowercase())
}

fn place(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
