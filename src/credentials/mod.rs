//! The user's credentials: the file they live in, the pool that lends them out, login and refresh, project discovery.
//!
//! The file and its records are private to this folder. Others see a [`Lease`] (who was chosen), an [`Access`] (what a
//! request needs) and [`View`]s (what an admin may see).

mod check;
mod cipher;
mod clock;
pub mod consent;
mod enrol;
mod health;
pub mod import;
mod keeper;
mod manage;
mod member;
mod oauth;
mod options;
mod pool;
mod quota;
mod record;
pub mod rekey;
mod setup;
mod snapshot;
mod store;
mod timestamp;
mod view;

pub use check::Check;
pub use enrol::{AddFault, Added, Candidate, exchange_code, label, untried};
pub use keeper::Keeper;
pub use manage::ManageFault;
pub use oauth::{TokenFault, Tokens};
pub use options::{PoolOptions, Timing};
pub use pool::*;
pub use quota::{Bucket, Quota, QuotaFault};
pub use store::{Place, StoreError};
pub use view::{Resting, View};
