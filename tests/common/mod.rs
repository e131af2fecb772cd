//! What the integration tests share.

pub mod google;
pub mod pool;
pub mod python;
