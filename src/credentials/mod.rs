//! The user's credentials: the file they live in, the pool that lends them out, login and refresh, project discovery.
//!
//! The file and its records are private to this folder. Others see a [`Lease`] (who was chosen), an [`Access`] (what a
//! request needs) and [`View`]s (what an admin may see).

mod pool;

pub use pool::*;
