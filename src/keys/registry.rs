//! What keys ask of a store that holds the keys of the page for several replicas. Who answers is not their business.

use std::fmt;

/// What holds the keys of the page.
pub trait Registry: fmt::Debug + Send + Sync {
    /// Version and text of keys by their ids, as they are now; `None`: there is none.
    fn read(&self, ids: &[String]) -> Result<Vec<Option<(u64, String)>>, Unwritten>;
    /// Writes keys, each for itself, and says what came of each. When it returns they are written for good, and this replica
    /// knows of them or will within a moment.
    fn write(&self, changes: &[Change]) -> Result<Vec<Outcome>, Unwritten>;
    /// Whether what is known here is as new as can be asked for: a key that is not in it is none.
    fn is_current(&self) -> bool;
}

/// A key as it shall be.
#[derive(Clone, Debug)]
pub struct Change {
    /// Of which key.
    pub id: String,
    /// What it must be before.
    pub expected: Expected,
    /// Unique among all; empty for a key that is deleted.
    pub name: String,
    /// As the state file has it; empty for a key that is deleted.
    pub text: String,
}

/// What a key must be so that it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// There is none.
    New,
    /// Of this version.
    Version(u64),
    /// There is one.
    Any,
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is so now.
    Done,
    /// Somebody has changed it meanwhile.
    Changed,
    /// There is no such key.
    Gone,
    /// Another key has the name.
    NameTaken,
    /// There is a key of this id.
    Exists,
}

/// Why nothing is known of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritten {
    /// Nobody can be reached: nothing was changed.
    Away,
    /// It may have been changed or not.
    Unsure,
    /// The store has no place for changes: nothing was changed.
    Full,
    /// The store has lost what is known here: nothing was changed.
    Emptied,
}
