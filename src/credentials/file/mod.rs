//! The credentials file: its items, its encryption, and how a person's text becomes items.

pub(crate) mod cipher;
pub(crate) mod edits;
pub(crate) mod identity;
pub mod import;
pub(crate) mod record;
pub mod rekey;
pub(crate) mod store;
