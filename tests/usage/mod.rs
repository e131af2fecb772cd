//! What is counted is what happened, limits are exact, and the admin routes for both say so.

mod budgets;
mod bulk;
mod counters;
mod durable;
mod history;
mod keys;
mod kill;
mod limits;
mod me;
pub(crate) mod metrics;
mod pages;
mod revoked;
mod safety;
mod sizes;
