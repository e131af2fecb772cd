//! What all dialects share, in Google's terms.

pub mod answer;
pub(crate) mod arguments;
pub mod asked;
pub mod attachments;
pub mod format;
pub mod history;
pub(crate) mod media;
pub mod names;
mod pairing;
pub mod plan;
pub mod signatures;
pub mod tools;
mod turns;
