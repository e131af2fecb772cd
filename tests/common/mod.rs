//! What the integration tests share.

// Each test binary uses a part of this.
#![allow(dead_code)]

pub mod google;
pub mod pool;
pub mod program;
pub mod proxy;
pub mod python;
pub mod script;
