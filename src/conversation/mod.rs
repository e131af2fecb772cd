//! What all dialects share, in Google's terms.

pub(crate) mod arguments;
pub(crate) mod citations;
pub(crate) mod hold;
pub(crate) mod logprobs;
pub(crate) mod media;
pub(crate) mod names;
pub(crate) mod pairing;
pub(crate) mod speech;
pub(crate) mod tools;
pub(crate) mod turns;
