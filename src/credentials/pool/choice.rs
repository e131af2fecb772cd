//! Whom a request gets.

use super::Pool;
use super::clock::Now;
use super::member::Member;
use crate::credentials::lease::{Kind, Lease, MemberId, Unavailable, Want};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

impl Pool {
    /// Chooses a member: round-robin over those that can serve `want` now, in the order of ids. One that first has to ask
    /// Google for a token or project is taken only when nobody is ready, a deprioritised one when nobody else is left.
    pub(crate) fn checkout(&mut self, want: &Want<'_>, now: Now) -> Result<Lease, Unavailable> {
        let id = self.choose(want, now)?;
        let lease = self.change(id, now, |member, _| {
            member.last_used_at = now.wall;
            member.last_active = now.monotonic;
            let kind = if member.record.kind() == Ok(Kind::ApiKey) { Kind::ApiKey } else { Kind::Oauth };
            Lease { id, kind, name: member.name(), label: member.label() }
        });
        self.lent = Some(now.monotonic);
        if want.affinity.is_none() {
            self.last = Some(id);
        }
        lease.ok_or(Unavailable::None)
    }

    fn choose(&mut self, want: &Want<'_>, now: Now) -> Result<MemberId, Unavailable> {
        let (mut usable, mut tried, mut cooling, mut earliest) = (false, false, false, None::<Duration>);
        let mut candidates: Vec<&Member> = Vec::new();
        self.members.values_mut().for_each(|member| member.settle(now));
        let (before, after): (Vec<_>, Vec<_>) =
            self.members.values().partition(|member| self.last.is_some_and(|last| member.id <= last));
        for member in after.into_iter().chain(before) {
            if !member.is_usable() || want.kind.is_some_and(|kind| member.record.kind() != Ok(kind)) {
                continue;
            }
            usable = true;
            if let Some(wait) = member.wait(want.model, now) {
                cooling |= member.cooling.get(want.model).is_some_and(|cool_down| cool_down.limit);
                earliest = Some(earliest.map_or(wait, |earliest| earliest.min(wait)));
            } else if want.tried.contains(&member.id) {
                tried = true;
            } else {
                candidates.push(member);
            }
        }
        let rank = |member: &Member| (member.is_ready(now), !member.is_deprioritised());
        let best = candidates.iter().map(|member| rank(member)).max();
        candidates.retain(|member| Some(rank(member)) == best);
        // The highest hash stays the same member as long as that one can serve, and needs no table of conversations.
        let preferred = want.affinity.and_then(|affinity| {
            candidates.iter().max_by_key(|member| {
                let mut hasher = DefaultHasher::new();
                (affinity, member.identity()).hash(&mut hasher);
                hasher.finish()
            })
        });
        match preferred.or(candidates.first()) {
            Some(member) => Ok(member.id),
            None => Err(match earliest {
                _ if !usable => Unavailable::None,
                Some(wait) if !tried && cooling => Unavailable::Cooling(wait),
                Some(wait) if !tried => Unavailable::Resting(wait),
                _ => Unavailable::AllTried,
            }),
        }
    }
}
