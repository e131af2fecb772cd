//! What the integration tests share.

pub mod google;
pub mod pool;
pub mod proxy;
pub mod program;
pub mod python;
pub mod script;
