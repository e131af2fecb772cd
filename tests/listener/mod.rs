//! The listener over raw sockets: everything that docs/crates.md "What a listener must survive" says it must survive,
//! and what clients rely on.

mod answers;
mod bursts;
mod crowds;
mod descriptors;
mod floods;
mod framing;
mod hang_up;
pub mod harness;
mod letter;
mod limits;
mod memory;
mod parts;
mod proxied;
mod staying;
mod stopping;
mod threads;
