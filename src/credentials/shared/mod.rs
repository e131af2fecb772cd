//! What credentials ask of a store that several replicas share, and what follows from its answers. Who answers is not their
//! business. What a replica holds is a copy: changes go to the store first and come back from it, while rests and blocks, which
//! Google's answers bring, hold here at once and are told afterwards.

mod asking;
mod changes;
mod copy;
mod entry;
mod errand;
mod moves;
mod tell;

pub(crate) use entry::{Entry, Granted, Landing};
pub(crate) use errand::Errand;
#[cfg(test)]
pub(crate) use errand::{Begun, Landed, Wish, begin, end, exchange, land_later};
pub use moves::Brought;
pub(crate) use moves::Moved;
pub(crate) use tell::{Resting, Tell};

use super::AddFault;
pub(crate) use super::file::record::Record;
#[cfg(test)]
pub(crate) use super::google::oauth::Tokens;
pub(crate) use super::google::trouble::Block;
#[cfg(test)]
pub(crate) use super::google::trouble::Trouble;
use super::lease::{CredentialId, ManageFault};
use crate::message::Message;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};
use tell::Waiting;

/// What holds for all replicas. Whatever is asked again after a lost answer is done once.
pub(crate) trait Shared: fmt::Debug + Send + Sync {
    /// The time that all of it goes by.
    fn now(&self) -> SystemTime;
    /// Whether anybody answers.
    fn must_answer(&self) -> Result<(), Away>;
    /// One of it.
    fn read(&self, id: CredentialId) -> Result<Known, Away>;
    /// The numbers of items that stand in every replica's config, in their order.
    fn numbers(&self, items: &[Record]) -> Result<Vec<CredentialId>, Away>;
    /// Takes an entry in and says which number it has, and whether it is new: else it is what was there already.
    /// It gets the wished number if nobody has that.
    fn create(&self, entry: &Entry, wished: Option<CredentialId>) -> Result<(CredentialId, Kept, bool), Away>;
    /// Puts `next` into the place of what was, or takes it out.
    fn change(&self, id: CredentialId, was: &Kept, next: Option<&Entry>, with: With<'_>) -> Result<Changed, Away>;
    /// The right to do something about a credential, for a while and as long as this replica lives.
    fn lease(&self, work: Work, id: CredentialId, span: Duration) -> Result<Leased, Away>;
    /// Gives it back, after a failure with the rest that follows.
    fn release(&self, held: &Held, failed: Option<&Failed>);
    /// Lets a credential rest, the longer the better; `false`: the record has not this version any more.
    fn rest(&self, id: CredentialId, version: Option<u64>, rests: &[Rest]) -> Result<bool, Away>;
    /// Ends rests.
    fn lift(&self, id: CredentialId, what: Lift) -> Result<(), Away>;
    /// Until what was changed last is known here.
    fn wait(&self);
    /// There is something to tell.
    fn wake(&self);
}

/// An errand ends after so long without a sign of life.
const SPAN: Duration = Duration::from_secs(30);

/// An entry, which may be changed as long as it has this version.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    /// Rises with every change, also when it is removed and comes back.
    pub(crate) version: u64,
    pub(crate) entry: Entry,
}

/// What is known of a credential.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) id: CredentialId,
    /// `None`: nobody has looked, or there is none: it is gone, or stands in the config.
    pub(crate) kept: Option<Kept>,
    pub(crate) is_gone: bool,
    /// `None`: nobody has looked.
    pub(crate) rests: Option<Vec<Rest>>,
}

/// A rest, with its times in the store's.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    /// `None`: for all, a block.
    pub(crate) model: Option<String>,
    /// `None`: until a person acts.
    pub(crate) until: Option<SystemTime>,
    pub(crate) limit: bool,
    pub(crate) why: Block,
    pub(crate) at: SystemTime,
}

/// Why nothing was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Away {
    /// Nothing was done.
    Down,
    /// It may have been done.
    Unsure,
    /// The store has no place for changes, and nothing was done.
    Full,
    /// The store has lost what was in it, and nothing is changed.
    Emptied,
}

/// What goes with a change.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct With<'a> {
    /// That ends with it.
    pub(crate) lease: Option<&'a Held>,
    pub(crate) lift: Option<Lift>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lift {
    /// All rests.
    All,
    /// What a refused refresh token has earned.
    Grant,
    /// The block; `Some`: if it ends by itself, and not later than then.
    Block(Option<SystemTime>),
}

#[derive(Clone, Debug)]
pub(crate) enum Changed {
    Done(Kept),
    /// It has another version.
    Newer(Kept),
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Tokens and set-up.
    Ask,
    /// A look whether it works.
    Check,
}

#[derive(Clone, Debug)]
pub(crate) enum Leased {
    /// It is ours; with how often it has failed in a row.
    Mine(Held, Option<Kept>, u32),
    /// Another replica has it, for so long.
    Others(Duration, Option<Kept>),
    /// It has failed, and nobody asks for so long.
    Resting(Duration, Message),
    /// There is no such credential.
    Gone,
}

/// A lease that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) work: Work,
    pub(crate) id: CredentialId,
    pub(crate) holder: String,
}

/// How a lease ended that came to nothing.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) rest: Duration,
    pub(crate) times: u32,
    pub(crate) message: Message,
}

/// Other replicas, for [`super::Credentials`].
pub(super) struct Sharing {
    pub(super) store: Arc<dyn Shared>,
    /// What nobody was told of yet.
    waiting: Mutex<Waiting>,
    /// What was granted while the store was away.
    landings: Mutex<BTreeMap<CredentialId, Vec<Landing>>>,
    /// Rises with every change of them.
    version: AtomicU64,
    /// Saves them.
    save: Box<dyn Fn() + Send + Sync>,
}

impl Away {
    fn code(self) -> &'static str {
        match self {
            Away::Down => "store_unwritten",
            Away::Unsure => "store_unsure",
            Away::Full => "store_full_unwritten",
            Away::Emptied => "store_emptied_unwritten",
        }
    }

    /// For a person.
    pub(crate) fn message(self) -> Message {
        Message::new(self.code())
    }

    fn add_fault(self) -> AddFault {
        AddFault { reason: super::enrol::UNAVAILABLE, message: self.message(), passing: true }
    }
}

impl From<Away> for ManageFault {
    fn from(away: Away) -> ManageFault {
        ManageFault::Store(away.code())
    }
}
