//! What the integration tests share.

pub mod agents;
pub mod alone;
pub mod client;
pub mod consent;
pub mod google;
pub mod http;
pub mod long_talk;
pub mod numbers;
pub mod pool;
pub mod program;
pub mod proxy;
pub mod python;
pub mod script;
pub mod translation;
pub mod wire;
pub mod written;
