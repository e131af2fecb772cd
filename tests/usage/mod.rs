//! What is counted is what happened, limits are exact, and the admin routes for both say so.

#[cfg(feature = "ledger")]
mod budgets;
#[cfg(feature = "console")]
mod bulk;
mod counters;
mod durable;
#[cfg(feature = "ledger")]
mod history;
mod keys;
mod kill;
mod limits;
mod lost;
#[cfg(feature = "ledger")]
mod me;
pub(crate) mod metrics;
mod pages;
mod passed_on;
mod revoked;
mod safety;
mod sizes;
