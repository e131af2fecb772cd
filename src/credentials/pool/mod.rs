//! What is known about each member, and the rules by which it can serve.

pub(crate) mod clock;
pub(crate) mod member;
mod snapshot;
pub(crate) mod view;
