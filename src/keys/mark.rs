//! What is counted for a key goes by its mark: 64 bits of a hash of its hash, so that names and places move no count.

use super::Digest;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::ops::Deref;

/// Sixteen hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark([u8; 16]);

impl Mark {
    /// Of another hash than the one that a presented key is compared by.
    pub(super) fn of(digest: &Digest) -> Mark {
        let hash = Sha256::digest(digest);
        let number = u64::from_be_bytes(std::array::from_fn(|at| hash[at]));
        Mark(std::array::from_fn(|at| b"0123456789abcdef"[(number >> (60 - 4 * at)) as usize & 15]))
    }

    /// The number that it writes.
    pub fn number(self) -> u64 {
        u64::from_str_radix(&self, 16).unwrap_or(0)
    }
}

impl Deref for Mark {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}
