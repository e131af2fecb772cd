//! The way of a request through the program, from the head that [`crate::http`] hands over to the answer, and the start,
//! reload and end of the service around it.
//!
//! In the order of the way: [`route`] finds what a path means, `judge` checks the caller with [`access`] when the head has
//! come, [`endpoints`] answers what is short, `body` makes
//! a text of the body that may be parsed, [`generate`] runs one generation in any dialect (`output` is where its answer goes, `record` what is
//! counted of it, `money` what it costs), `count` says how many tokens one has, [`passthrough`] sends on what is not translated, `passing` says whose limits that would lead past, `tally` counts what it took, [`uploads`] with an address of ours.
//! [`app`] is what requests use, [`service`] starts and stops it, [`background`] works when nobody asks,
//! `ended` says why an answer ends before it is complete, `report` tells the log what was used, `alerts` whom the config names what needs a person, `me` who holds a key what is his, and `signature_file` keeps the signatures over a restart.

pub(crate) mod access;
pub(crate) mod affinity;
#[cfg(feature = "alerts")]
pub(crate) mod alerts;
pub(crate) mod app;
pub(crate) mod background;
pub(crate) mod body;
#[cfg(feature = "codings")]
mod codings;
/// Without the feature nothing is decoded.
#[cfg(not(feature = "codings"))]
mod codings {
    pub(super) const READ: &str = "identity";

    pub(super) fn decode(_: &str, _: &[u8], _: usize) -> Option<std::io::Result<Vec<u8>>> {
        None
    }
}
mod count;
mod ended;
pub(crate) mod endpoints;
pub(crate) mod generate;
mod judge;
#[cfg(feature = "ledger")]
mod me;
mod money;
mod output;
mod passing;
pub(crate) mod passthrough;
mod record;
mod report;
pub(crate) mod route;
pub mod service;
mod signature_file;
mod tally;
pub(crate) mod uploads;
mod watchdog;
