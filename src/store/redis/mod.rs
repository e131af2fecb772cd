//! Redis or Valkey, the only place that knows its client: lines to it, what things are called there, and the scripts that run
//! there (docs/scale-out.md "Traps of the Redis client").

mod address;
mod entry;
mod link;
mod names;
mod reader;
mod scripts;

pub(super) use address::Address;
pub(super) use entry::Look;
pub(super) use link::{Fault, Link, Standing, jittered};
pub(super) use names::Names;
pub(super) use reader::{Event, Position, Reader, Record};
pub(super) use scripts::{KEYS, Scripts, at};

/// What the server says, or why it says nothing.
pub(super) type Answer<T> = ::redis::RedisResult<T>;
