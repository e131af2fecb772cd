//! What is asked of Google about a credential: login, tokens, set-up, checks and quota.

pub(crate) mod check;
pub mod consent;
pub(crate) mod oauth;
pub(crate) mod quota;
pub(crate) mod setup;
pub(crate) mod trouble;
pub(crate) mod vertex;
