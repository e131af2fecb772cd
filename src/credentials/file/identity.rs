//! What makes two items the same credential, and a short name by which an item is found among many.

use crate::secret::Secret;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The token or key of an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity(Secret);

/// What an item has in common with others that are the same credential; those that cannot be used are the same if all of
/// them is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Usable(Identity),
    Unusable(String),
}

impl Identity {
    pub(super) fn of(secret: Secret) -> Identity {
        Identity(secret)
    }

    /// The token or key itself.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl Key {
    /// A hash, good in this process. Others may have it too.
    pub(crate) fn name(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}
