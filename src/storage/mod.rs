//! Files that must survive: replacing one safely ([`disk`]), and the state file that the parts of the program share
//! ([`state`]).

pub(crate) mod disk;
mod records;
pub mod state;
