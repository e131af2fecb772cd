//! Credentials for Vertex AI: which items of the credentials file are, how each comes to a token, and whether Google serves it
//! (docs/vertex.md "Vertex credentials"). Behind the cargo feature `vertex`: without it these items are kept and not used.

mod federation;
mod item;
#[cfg_attr(not(feature = "vertex"), path = "no_key.rs")]
mod key;
mod token;

pub(crate) use item::{MACHINE, email, home, identity, is_key, kind, place};
pub(crate) use token::{check, project, token};
