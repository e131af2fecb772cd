//! Redis or Valkey, the only place that knows its client: lines to it, what things are called there, and the scripts that run
//! there (docs/scale-out.md "Traps of the Redis client").

/// A script out of these files of `scripts/`, one behind the other, as `build.rs` has copied them.
macro_rules! lua {
    ($($name:expr),*) => {
        redis::Script::new(concat!($(include_str!(concat!(env!("OUT_DIR"), "/scripts/", $name, ".lua"))),*))
    };
}

mod address;
mod credentials;
mod entry;
mod link;
mod names;
mod notes;
mod reader;
mod reseal;
mod scripts;
mod usage;

pub(super) use address::Address;
pub(super) use credentials::{CredentialScripts, Edit, LeaseRow, RestRow};
pub(super) use entry::Look;
pub(super) use link::{Fault, Link, Standing, jittered};
pub(super) use names::Names;
pub(super) use reader::{Event, Position, Reader, Record};
pub(super) use reseal::Reseal;
pub(super) use scripts::{KEYS, Scripts, at};

/// A connection to it.
pub(super) type Line = ::redis::Connection;
/// What the server says, or why it says nothing.
pub(super) type Answer<T> = ::redis::RedisResult<T>;
