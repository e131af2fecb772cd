//! What all dialects share, in Google's terms.

pub(crate) mod arguments;
pub mod asked;
pub mod attachments;
pub(crate) mod citations;
pub mod format;
pub mod history;
pub(crate) mod hold;
pub(crate) mod logprobs;
pub(crate) mod media;
pub mod names;
mod pairing;
pub mod plan;
pub mod signatures;
pub(crate) mod speech;
pub mod tools;
mod turns;
