//! What is counted is what happened, limits are exact, and the admin routes for both say so.

#[path = "../common/mod.rs"]
mod common;

mod counters;
mod keys;
mod kill;
mod metrics;
mod safety;
