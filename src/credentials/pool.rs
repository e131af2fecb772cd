//! The pool: who is lent out next, who is cooling down, who needs a person.
//!
//! One short lock over the members, never held over I/O, logging or a refresh; what talks to Google is in `keeper`. The
//! file has a lock of its own, which puts its writes in order. Order: file, then members; nobody holding the members'
//! lock asks for the file's.

use super::clock::{Deadline, Now};
use super::member::{Cooling, Login, Member, Origin};
use super::oauth::Google;
use super::options::{PoolOptions, Timing};
use super::record::Record;
use super::setup::Block;
use super::store::{Edit, Store, StoreError};
use super::view::View;
use crate::secret::Secret;
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Which member of the pool, stable while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub u64);

/// Which of Google's services a member can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// OAuth credential: Code Assist.
    Oauth,
    /// API key: the public Generative Language API.
    ApiKey,
}

/// What a request needs of a member.
#[derive(Clone, Debug)]
pub struct Want<'a> {
    /// Google's model name; cool-downs are per member and model.
    pub model: &'a str,
    /// Only members of this kind.
    pub kind: Option<Kind>,
    /// Members that this request has tried already.
    pub tried: &'a [MemberId],
    /// The conversation's name, for affinity.
    pub affinity: Option<&'a str>,
}

/// A member that was chosen for one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who.
    pub id: MemberId,
    /// Which service.
    pub kind: Kind,
    /// `cred-0`, as in the admin list.
    pub name: String,
    /// The masked e-mail or key tail, safe to log.
    pub label: String,
}

/// Why nobody could be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The pool has no usable member of the wanted kind at all.
    None,
    /// All that could serve are cooling down, at least one for a limit; the earliest returns after this.
    Cooling(Duration),
    /// Nobody can serve for another reason that will pass: token endpoint in trouble, account blocked or model
    /// refused for a while. The earliest is tried again after this.
    Resting(Duration),
    /// Every usable member was tried by this request already.
    AllTried,
}

/// What a request to Google needs: the token or key, and the project for Code Assist.
#[derive(Clone, Debug)]
pub struct Access {
    /// OAuth access token or API key.
    pub secret: Secret,
    /// Code Assist's project, once known.
    pub project: Option<String>,
}

/// Why a member has no working token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessFault {
    /// It needs a person (revoked, no refresh token, no project). The sentence is for logs and the admin page.
    Dead(String),
    /// Google's token endpoint or the network has trouble; the member is fine and rests for a moment.
    Transient(String),
}

/// What an attempt says about the member that served it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It worked.
    Success,
    /// It failed for nobody's fault where another member then did well: others go first for a while.
    Suspect,
    /// It must rest for this model, this long.
    Cool {
        /// How long.
        rest: Duration,
        /// Whether a rate or quota was used up, and not the model refused to this member.
        limit: bool,
        /// A reason word such as `RATE_LIMIT_EXCEEDED`.
        reason: String,
        /// One sentence for the admin page.
        sentence: String,
    },
    /// It cannot serve anything until a person acts or the time is over.
    Block {
        /// How long before it is tried again; `None`: until a person acts.
        rest: Option<Duration>,
        /// A reason word such as `VALIDATION_REQUIRED`.
        reason: String,
        /// One sentence for the admin page.
        sentence: String,
        /// Where the person can act.
        link: Option<String>,
    },
}

/// The pool. All methods take `&self`; one short lock inside, never held over I/O.
pub struct Pool {
    pub(super) google: Google,
    pub(super) project_id_map: RwLock<HashMap<String, String>>,
    pub(super) timing: Timing,
    /// Held over file I/O, and over nothing else.
    store: Mutex<Store>,
    /// What the store said last; beside it, so that a look waits for no write.
    unsaved: Mutex<Option<String>>,
    pub(super) state: Mutex<State>,
    /// A flight has landed, or the program is stopping.
    pub(super) landed: Condvar,
    /// There may be work for the keeper.
    pub(super) work: Condvar,
    tell: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

pub(super) struct State {
    /// By id, which is file order for those of the file's first reading.
    pub(super) members: Vec<Member>,
    /// Whom the rotation chose last.
    last: Option<MemberId>,
    next: u64,
    /// When anybody was last lent out.
    pub(super) lent: Option<Instant>,
    pub(super) stopping: bool,
}

impl State {
    pub(super) fn member(&mut self, id: MemberId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    /// The member, unless another login has taken this one's place.
    pub(super) fn member_with(&mut self, login: Login) -> Option<&mut Member> {
        self.member(login.id).filter(|member| member.login() == login)
    }

    pub(super) fn join(&mut self, origin: Origin, record: Record, timing: &Timing) -> &mut Member {
        let id = MemberId(self.next);
        self.next += 1;
        self.members.push(Member::new(id, origin, record, timing.ahead()));
        // Just pushed.
        self.members.last_mut().unwrap()
    }
}

impl Pool {
    /// Reads the credentials file. Asks Google nothing: that is the keeper's work, and the requests'.
    pub fn open(options: PoolOptions) -> Result<Pool, StoreError> {
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
        let pool = Pool {
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

    /// Names who is told, on any thread, that [`Pool::snapshot`] has changed. Once, before the first request.
    pub fn on_change(&self, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.tell.set(Box::new(tell));
    }

    pub(super) fn changed(&self) {
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
    pub(super) fn write(&self, change: impl FnOnce(&mut State) -> Option<Edit>) {
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
    pub(super) fn settle_project(&self, member: &mut Member) {
        let told = self.told_project(member.email.as_deref(), member.email_settled, &member.record);
        if told.is_some() && told != member.project {
            (member.project, member.blocked) = (told, None);
        }
    }

    /// The project that is known without asking Google: the config's map wins over the file. As long as the e-mail is
    /// not known and may yet be, the map may have something to say.
    pub(super) fn told_project(&self, email: Option<&str>, settled: bool, record: &Record) -> Option<String> {
        let map = self.project_id_map.read();
        let mapped = email.and_then(|email| map.get(&email.to_lowercase()));
        let clear = email.is_some() || settled || map.is_empty();
        mapped.cloned().or_else(|| record.project().filter(|_| clear).map(str::to_owned))
    }
}
