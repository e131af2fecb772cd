//! One replica asks Google about a credential for all: it takes a lease, reads the record again, asks, and lands what it got by
//! comparing versions. The lease saves work, and the versions keep it right: a lease may be lost at any moment.

use super::{Away, Changed, Failed, Held, Kept, Known, Landing, Leased, Lift, Rest, SPAN, Shared, With, Work};
use crate::credentials::file::record::Record;
use crate::credentials::google::oauth::Tokens;
use crate::credentials::google::trouble::{Block, Trouble};
use crate::credentials::lease::CredentialId;
use crate::message::Message;
use crate::secret::Secret;
use std::time::{Duration, Instant};

/// How often a record that others change is tried again.
const TRIES: usize = 20;
/// Between two looks whether another replica is done.
const LOOK: Duration = Duration::from_millis(150);
/// A store that gives no answer is asked for so long.
const PATIENCE: Duration = Duration::from_secs(1);
/// Refreshes ahead of time wait for so long while the store is away.
const LATER: Duration = Duration::from_secs(2);
/// Refresh tokens that are tried in one errand.
const TOKENS: usize = 6;

/// The right to ask about a credential for all.
#[derive(Debug)]
pub(crate) struct Errand {
    held: Held,
    pub(crate) kept: Kept,
    /// Failures in a row before it.
    times: u32,
}

/// What is wanted.
pub(crate) struct Wish<'a> {
    pub(crate) id: CredentialId,
    /// The access token that is of no use.
    pub(crate) known: Option<&'a Secret>,
    /// Nobody waits for it.
    pub(crate) is_ahead: bool,
    /// A project is needed beside the token.
    pub(crate) wants_project: bool,
    pub(crate) patience: Duration,
}

pub(crate) enum Begun {
    /// It is ours to ask.
    Mine(Errand),
    /// Another replica has done it.
    Done(Kept),
    /// Nobody is there to share with, or it is in nobody's store any more: the news will tell.
    Alone,
}

/// What came of asking.
#[derive(Debug)]
pub(crate) enum Landed {
    /// It stands in the store, or something newer does.
    Kept(Box<Kept>),
    /// The store does not answer, and must be told later.
    Later(Landing),
    Gone,
}

impl Wish<'_> {
    fn is_granted(&self, kept: &Kept, store: &dyn Shared) -> bool {
        let entry = &kept.entry;
        entry.fresh(self.known, store.now()).is_some()
            && (!self.wants_project || entry.project.is_some() || entry.record.project().is_some())
    }
}

/// `wait` says whether to go on.
pub(crate) fn begin(store: &dyn Shared, wish: &Wish<'_>, wait: &dyn Fn(Duration) -> bool) -> Result<Begun, Trouble> {
    let began = Instant::now();
    loop {
        let pause = match store.lease(Work::Ask, wish.id, SPAN) {
            Ok(Leased::Mine(held, Some(kept), times)) => return Ok(Begun::Mine(Errand { held, kept, times })),
            Ok(Leased::Others(_, Some(kept))) if wish.is_granted(&kept, store) => {
                return Ok(Begun::Done(kept));
            }
            Ok(Leased::Others(left, _)) if wish.is_ahead => return Err(elsewhere(left)),
            Ok(Leased::Others(..)) if began.elapsed() > wish.patience => {
                return Err(Trouble::Transient(Message::new("refresh_slow")));
            }
            Ok(Leased::Others(left, _)) => LOOK.min(left),
            Ok(Leased::Resting(left, message)) => return Err(Trouble::Later { message, left, is_rest: true }),
            Ok(Leased::Gone | Leased::Mine(_, None, _)) => return Ok(Begun::Alone),
            Err(_) if wish.is_ahead => return Err(elsewhere(LATER)),
            Err(Away::Unsure) if began.elapsed() < PATIENCE => LOOK,
            Err(_) => return Ok(Begun::Alone),
        };
        if !wait(pause) {
            return Err(Trouble::Transient(Message::new("stopping")));
        }
    }
}

fn elsewhere(left: Duration) -> Trouble {
    Trouble::Later { message: Message::new("refresh_slow"), left, is_rest: false }
}

/// Asks for tokens with what the record has, and lands them.
pub(crate) fn exchange(
    store: &dyn Shared,
    errand: &mut Errand,
    ask: &mut dyn FnMut(&Record) -> Result<Tokens, Trouble>,
) -> Result<(Landing, Landed), Trouble> {
    let mut last = None;
    for _ in 0..TOKENS {
        // Its life begins when Google answers, which may be long before this replica goes on.
        let asked = store.now();
        match ask(&errand.kept.entry.record) {
            Ok(tokens) => {
                let Tokens { access, refresh, lifetime, .. } = tokens;
                let landing = Landing::new(&errand.kept.entry, access, refresh, lifetime, asked);
                let landed = land(store, errand.held.id, errand.kept.clone(), landing.clone());
                if let Landed::Kept(kept) = &landed {
                    errand.kept = (**kept).clone();
                }
                return Ok((landing, landed));
            }
            Err(Trouble::Revoked(message)) => {
                last = Some(message.clone());
                if !is_doubtful(store, errand, &message)? {
                    return Err(Trouble::Revoked(message));
                }
            }
            Err(trouble) => return Err(trouble),
        }
    }
    Err(Trouble::Transient(last.unwrap_or_else(|| Message::new("refresh_slow"))))
}

/// A refresh token was refused. Whether there is another to try: one that came meanwhile, or one that was kept. Only if it is
/// the record's still, and the only one, it is blocked for all.
fn is_doubtful(store: &dyn Shared, errand: &mut Errand, message: &Message) -> Result<bool, Trouble> {
    let sent = errand.kept.entry.in_use();
    let unsure = |away: Away| Trouble::Transient(away.message());
    for _ in 0..TRIES {
        let Known { kept: Some(kept), .. } = store.read(errand.held.id).map_err(unsure)? else { return Ok(false) };
        errand.kept = kept;
        if errand.kept.entry.in_use() != sent {
            return Ok(true);
        }
        let mut next = errand.kept.entry.clone();
        if next.use_spare() {
            match store.change(errand.held.id, &errand.kept, Some(&next), With::default()).map_err(unsure)? {
                Changed::Done(kept) => {
                    errand.kept = kept;
                    return Ok(true);
                }
                Changed::Newer(_) => continue,
                Changed::Gone => return Ok(false),
            }
        }
        let why = Block::new("INVALID_GRANT", message.clone());
        let block = Rest { model: None, until: None, limit: false, why, at: store.now() };
        if store.rest(errand.held.id, Some(errand.kept.version), &[block]).map_err(unsure)? {
            return Ok(false);
        }
    }
    Err(unsure(Away::Unsure))
}

/// Puts what was granted into the record, whatever has become of that.
pub(crate) fn land(store: &dyn Shared, id: CredentialId, mut kept: Kept, landing: Landing) -> Landed {
    for _ in 0..TRIES {
        let mut next = kept.entry.clone();
        if !landing.merge(&mut next) {
            return Landed::Kept(Box::new(kept));
        }
        let with = With { lift: Some(Lift::Grant), ..With::default() };
        match store.change(id, &kept, Some(&next), with) {
            Ok(Changed::Done(kept)) => return Landed::Kept(Box::new(kept)),
            Ok(Changed::Newer(newer)) => kept = newer,
            Ok(Changed::Gone) => return Landed::Gone,
            Err(_) => break,
        }
    }
    Landed::Later(landing)
}

/// The same for what was granted while the store was away; `false`: it is away still.
pub(crate) fn land_later(store: &dyn Shared, id: CredentialId, landing: &Landing) -> Result<bool, Away> {
    let Known { kept: Some(kept), .. } = store.read(id)? else { return Ok(true) };
    Ok(!matches!(land(store, id, kept, landing.clone()), Landed::Later(_)))
}

/// Ends it; what was found out about the account goes with it.
pub(crate) fn end(store: &dyn Shared, errand: Errand, found: &dyn Fn(&mut super::Entry), failed: Option<Failed>) {
    let Errand { held, mut kept, times } = errand;
    for _ in 0..TRIES {
        let mut next = kept.entry.clone();
        found(&mut next);
        if next == kept.entry || next.login != kept.entry.login {
            break;
        }
        let with = With { lease: Some(&held).filter(|_| failed.is_none()), lift: None };
        match store.change(held.id, &kept, Some(&next), with) {
            Ok(Changed::Newer(newer)) if newer.entry.login == kept.entry.login => kept = newer,
            Ok(Changed::Done(_)) if failed.is_none() => return,
            _ => break,
        }
    }
    let failed = failed.map(|failed| Failed { times: times + 1, ..failed });
    store.release(&held, failed.as_ref());
}

impl Errand {
    /// How often it has failed in a row.
    pub(crate) fn times(&self) -> u32 {
        self.times
    }
}

/// Google has blocked an account: the project that it named may have been taken away.
pub(super) fn forget_project(store: &dyn Shared, id: CredentialId) -> Result<(), Away> {
    change(store, id, |entry| entry.project = None).map(drop)
}

/// Changes a record, whoever else does; `None`: there is none.
pub(super) fn change(
    store: &dyn Shared,
    id: CredentialId,
    change: impl Fn(&mut super::Entry),
) -> Result<Option<Kept>, Away> {
    let Some(mut kept) = store.read(id)?.kept else { return Ok(None) };
    for _ in 0..TRIES {
        let mut next = kept.entry.clone();
        change(&mut next);
        if next == kept.entry {
            return Ok(Some(kept));
        }
        match again(|| store.change(id, &kept, Some(&next), With::default()))? {
            Changed::Done(kept) => return Ok(Some(kept)),
            Changed::Newer(newer) => kept = newer,
            Changed::Gone => return Ok(None),
        }
    }
    Err(Away::Unsure)
}

/// Asks again where the answer was lost: whatever is asked here is done once.
pub(super) fn again<T>(ask: impl Fn() -> Result<T, Away>) -> Result<T, Away> {
    let began = Instant::now();
    loop {
        match ask() {
            Err(Away::Unsure) if began.elapsed() < PATIENCE => {}
            answer => return answer,
        }
    }
}
