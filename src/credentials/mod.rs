//! The user's credentials: the file they live in, the pool that lends them out, login and refresh, project discovery.
//!
//! The file and its records are private to this folder. Others see a [`Lease`] (who was chosen), an [`Access`] (what a
//! request needs) and [`View`]s (what an admin may see).
//!
//! One short lock over the members, never held over I/O, logging or a refresh; what talks to Google is in `refresh`. The
//! file has a lock of its own, which puts its writes in order. Order: file, then members; nobody holding the members'
//! lock asks for the file's.

mod enrol;
mod file;
mod google;
mod health;
mod lease;
mod manage;
mod options;
mod pool;
mod refresh;

use self::file::record::Record;
use self::file::store::{Edit, Store};
use self::google::oauth::Google;
use self::google::setup::Block;
use self::pool::clock::{Deadline, Now};
use self::pool::member::{Cooling, Login, Member, Origin};
use crate::secret::Secret;
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub use enrol::{AddFault, Added, Candidate, exchange_code, label, untried};
pub use file::store::{Place, StoreError};
pub use file::{import, rekey};
pub use google::check::Check;
pub use google::consent;
pub use google::oauth::{TokenFault, Tokens};
pub use google::quota::{Bucket, Quota, QuotaFault};
pub use lease::*;
pub use manage::ManageFault;
pub use options::{Options, Timing};
pub use pool::view::{Resting, View};
pub use refresh::Refresher;

/// The pool. All methods take `&self`; one short lock inside, never held over I/O.
pub struct Credentials {
    pub(crate) google: Google,
    pub(crate) project_id_map: RwLock<HashMap<String, String>>,
    pub(crate) timing: Timing,
    /// Held over file I/O, and over nothing else.
    store: Mutex<Store>,
    /// What the store said last; beside it, so that a look waits for no write.
    unsaved: Mutex<Option<String>>,
    pub(crate) state: Mutex<State>,
    /// A flight has landed, or the program is stopping.
    pub(crate) landed: Condvar,
    /// There may be work for the refresher.
    pub(crate) work: Condvar,
    tell: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

pub(crate) struct State {
    /// By id, which is file order for those of the file's first reading.
    pub(crate) members: Vec<Member>,
    /// Whom the rotation chose last.
    last: Option<MemberId>,
    next: u64,
    /// When anybody was last lent out.
    pub(crate) lent: Option<Instant>,
    pub(crate) stopping: bool,
}

impl State {
    pub(crate) fn member(&mut self, id: MemberId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    /// The member, unless another login has taken this one's place.
    pub(crate) fn member_with(&mut self, login: Login) -> Option<&mut Member> {
        self.member(login.id).filter(|member| member.login() == login)
    }

    pub(crate) fn join(&mut self, origin: Origin, record: Record, timing: &Timing) -> &mut Member {
        let id = MemberId(self.next);
        self.next += 1;
        self.members.push(Member::new(id, origin, record, timing.ahead()));
        // Just pushed.
        self.members.last_mut().unwrap()
    }
}

impl Credentials {
    /// Reads the credentials file. Asks Google nothing: that is the refresher's work, and the requests'.
    pub fn open(options: Options) -> Result<Credentials, StoreError> {
        let (store, records) = Store::open(&options.credentials_file, options.encryption_key.as_ref())?;
        let timing = options.timing;
        let mut state = State { members: Vec::new(), last: None, next: 0, lent: None, stopping: false };
        let mut seen = HashSet::new();
        log::info!("[CredManager] Loading {} credentials from file.", records.len());
        for record in records {
            // The same login twice is one member, and one refresh; both items get the new token.
            if record.identity().is_none_or(|identity| seen.insert(identity)) {
                let member = state.join(Origin::File, record, &timing);
                if let Err(reason) = member.record.kind() {
                    log::warn!("[CredManager] {} cannot be used: {reason}", member.name());
                }
            }
        }
        log::info!("[CredManager] Loaded {} valid credentials.", seen.len());
        for key in &options.api_keys {
            let record = Record::api_key_item(&key.key, key.label.as_deref());
            if record.identity().is_some_and(|identity| seen.insert(identity)) {
                state.join(Origin::Config, record, &timing);
            }
        }
        let pool = Credentials {
            google: Google::new(options.agent, options.endpoints, options.oauth_client),
            project_id_map: RwLock::new(options.project_id_map),
            timing,
            unsaved: Mutex::new(store.unsaved().map(str::to_owned)),
            store: Mutex::new(store),
            state: Mutex::new(state),
            landed: Condvar::new(),
            work: Condvar::new(),
            tell: OnceLock::new(),
        };
        pool.state.lock().members.iter_mut().for_each(|member| pool.settle_project(member));
        Ok(pool)
    }

    /// Chooses a member: round-robin over those that can serve `want` now, in file order. One that first has to ask
    /// Google for a token or project is taken only when nobody is ready, a suspected one when nobody else is left.
    pub fn checkout(&self, want: &Want<'_>) -> Result<Lease, Unavailable> {
        let now = Now::read();
        let mut state = self.state.lock();
        let (mut usable, mut tried, mut cooling, mut earliest) = (false, false, false, None::<Duration>);
        let mut candidates = Vec::new();
        let after = state.last.map_or(0, |last| state.members.partition_point(|member| member.id <= last));
        let count = state.members.len();
        for index in (0..count).map(|step| (after + step) % count) {
            let member = &mut state.members[index];
            member.settle(now);
            if !member.is_usable() || want.kind.is_some_and(|kind| member.record.kind() != Ok(kind)) {
                continue;
            }
            usable = true;
            if let Some(wait) = member.wait(want.model, now) {
                cooling |= member.cooling.get(want.model).is_some_and(|cooling| cooling.limit);
                earliest = Some(earliest.map_or(wait, |earliest| earliest.min(wait)));
            } else if want.tried.contains(&member.id) {
                tried = true;
            } else {
                candidates.push(index);
            }
        }
        let rank = |index: usize| (state.members[index].is_ready(now), !state.members[index].is_suspected());
        let best = candidates.iter().map(|index| rank(*index)).max();
        candidates.retain(|index| Some(rank(*index)) == best);
        // The highest hash stays the same member as long as that one can serve, and needs no table of conversations.
        let preferred = want.affinity.and_then(|affinity| {
            candidates.iter().max_by_key(|index| {
                let mut hasher = DefaultHasher::new();
                (affinity, state.members[**index].identity()).hash(&mut hasher);
                hasher.finish()
            })
        });
        let Some(index) = preferred.or(candidates.first()).copied() else {
            return Err(match earliest {
                _ if !usable => Unavailable::None,
                Some(wait) if !tried && cooling => Unavailable::Cooling(wait),
                Some(wait) if !tried => Unavailable::Resting(wait),
                _ => Unavailable::AllTried,
            });
        };
        let member = &mut state.members[index];
        member.last_used_at = now.wall;
        member.touched = now.monotonic;
        let kind = if member.record.kind() == Ok(Kind::ApiKey) { Kind::ApiKey } else { Kind::Oauth };
        let lease = Lease { id: member.id, kind, name: member.name(), label: member.label() };
        state.lent = Some(now.monotonic);
        if want.affinity.is_none() {
            state.last = Some(lease.id);
        }
        Ok(lease)
    }

    /// The member's token or key, refreshed first when it is missing or about to end. Blocks on Google; one refresh per
    /// member at a time, other callers wait for its result.
    pub fn access(&self, id: MemberId) -> Result<Access, AccessFault> {
        self.obtain(id, None)
    }

    /// After a 401: a token other than `stale`, refreshed unless somebody already did.
    pub fn renew(&self, id: MemberId, stale: &Secret) -> Result<Access, AccessFault> {
        self.obtain(id, Some(stale))
    }

    /// Takes note of how an attempt ended.
    pub fn report(&self, id: MemberId, model: &str, report: Report) {
        let now = Now::read();
        let mut state = self.state.lock();
        let Some(member) = state.member(id) else { return };
        match report {
            Report::Success => {
                member.usage_count += 1;
                member.trust();
                // A block that would have ended by itself was wrong or is over. One that waits for a person stays: an
                // old access token may go on working for a while after its login was revoked.
                member.blocked.take_if(|blocked| blocked.until.is_some());
            }
            Report::Cool { rest, limit, reason, sentence } => {
                let cooling = member.cooling.get(model);
                if cooling.is_none_or(|cooling| cooling.until.left(now) < rest) {
                    let until = Deadline::after(now, rest);
                    member.cooling.insert(model.to_owned(), Cooling { until, limit, reason, sentence });
                }
            }
            Report::Suspect => member.suspect(self.timing.suspicion, self.timing.longest_suspicion),
            Report::Block { rest, reason, sentence, link } => {
                // The project that Google named may have been taken away; the next use asks again.
                member.project = None;
                self.settle_project(member);
                member.block(Block { reason, sentence, link }, rest);
            }
        }
        drop(state);
        self.changed();
    }

    /// The pool's patience.
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// Names who is told, on any thread, that [`Credentials::snapshot`] has changed. Once, before the first request.
    pub fn on_change(&self, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.tell.set(Box::new(tell));
    }

    pub(crate) fn changed(&self) {
        if let Some(tell) = self.tell.get() {
            tell();
        }
    }

    /// Whether there is any member of this kind, usable or not.
    pub fn has(&self, kind: Kind) -> bool {
        self.state.lock().members.iter().any(|member| member.record.kind() == Ok(kind))
    }

    /// Members that can serve something, now or after a rest.
    pub fn usable_count(&self) -> usize {
        self.state.lock().members.iter().filter(|member| member.is_usable()).count()
    }

    /// All members, in file order.
    pub fn views(&self) -> Vec<View> {
        let now = Now::read();
        let mut state = self.state.lock();
        let view = |member: &mut Member| {
            member.settle(now);
            member.view(now)
        };
        state.members.iter_mut().map(view).collect()
    }

    /// Looks whether somebody else changed the file, and takes it over. Also tries again what could not be written.
    pub fn poll_file(&self) {
        let mut store = self.store.lock();
        let records = store.poll();
        self.took(&store, records);
    }

    /// Changes the members and then the file. The change is made under the file's lock, so that nobody compares a changed
    /// file with members that do not know the change yet, and so that no other change comes between a look and its edit.
    /// `None` changes nothing.
    pub(crate) fn write(&self, change: impl FnOnce(&mut State) -> Option<Edit>) {
        let mut store = self.store.lock();
        let Some(edit) = change(&mut self.state.lock()) else { return };
        let records = store.apply(edit);
        self.took(&store, records);
    }

    /// Why changes are not in the file yet, so that a restart would lose them; `None`: all are. Does not wait for a write.
    pub fn unsaved(&self) -> Option<String> {
        self.unsaved.lock().clone()
    }

    fn took(&self, store: &Store, records: Option<Vec<Record>>) {
        *self.unsaved.lock() = store.unsaved().map(str::to_owned);
        if let Some(records) = records {
            self.adopt(records);
        }
    }

    /// Brings the members in line with the file's items.
    fn adopt(&self, records: Vec<Record>) {
        let mut lines = Vec::new();
        let mut state = self.state.lock();
        let known = |member: &Member, record: &Record| match record.identity() {
            Some(identity) => member.identity() == Some(identity),
            None => member.record == *record,
        };
        state.members.retain(|member| {
            let stays = member.origin == Origin::Config || records.iter().any(|record| known(member, record));
            if !stays {
                lines.push(format!("[CredManager] {} is no longer in the credentials file.", member.log_name()));
            }
            stays
        });
        for record in records {
            let member = match state.members.iter_mut().find(|member| known(member, &record)) {
                Some(member) => {
                    // A key of the config that a person has put into the file too stays when the config loses it.
                    member.origin = Origin::File;
                    member.update(record, self.timing.ahead());
                    member
                }
                None => {
                    let member = state.join(Origin::File, record, &self.timing);
                    lines.push(format!("[CredManager] Adding new credential for {}.", member.log_name()));
                    member
                }
            };
            self.settle_project(member);
        }
        drop(state);
        self.work.notify_all();
        self.changed();
        lines.iter().for_each(|line| log::info!("{line}"));
    }

    /// Takes over the project of config or file. Another one than before is a reason to ask Google again about a member
    /// that is blocked.
    pub(crate) fn settle_project(&self, member: &mut Member) {
        let told = self.told_project(member.email.as_deref(), member.email_settled, &member.record);
        if told.is_some() && told != member.project {
            (member.project, member.blocked) = (told, None);
        }
    }

    /// The project that is known without asking Google: the config's map wins over the file. As long as the e-mail is
    /// not known and may yet be, the map may have something to say.
    pub(crate) fn told_project(&self, email: Option<&str>, settled: bool, record: &Record) -> Option<String> {
        let map = self.project_id_map.read();
        let mapped = email.and_then(|email| map.get(&email.to_lowercase()));
        let clear = email.is_some() || settled || map.is_empty();
        mapped.cloned().or_else(|| record.project().filter(|_| clear).map(str::to_owned))
    }
}
