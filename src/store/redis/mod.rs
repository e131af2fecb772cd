//! Redis or Valkey, the only place that knows its client: lines to it, what things are called there, and the scripts that run
//! there (docs/scale-out.md "Traps of the Redis client").

use ::redis::{FromRedisValue, ScriptInvocation, Value, from_redis_value};

/// A script out of these files of `scripts/`, one behind the other, as `build.rs` has copied them.
macro_rules! lua {
    ($($name:expr),*) => {
        $crate::store::redis::script(concat!($(include_str!(concat!(env!("OUT_DIR"), "/scripts/", $name, ".lua"))),*))
    };
}

/// Apart, since it has much in it, as [`Run`] has: a copy for each script and each kind of answer would be 30 kB.
#[inline(never)]
fn script(text: &str) -> ::redis::Script {
    ::redis::Script::new(text)
}

/// Runs a script with its names and arguments.
trait Run {
    fn run<T: FromRedisValue>(&self, line: &mut Line) -> Answer<T>;
}

impl Run for ScriptInvocation<'_> {
    fn run<T: FromRedisValue>(&self, line: &mut Line) -> Answer<T> {
        Ok(from_redis_value(answer(self, line)?)?)
    }
}

#[inline(never)]
fn answer(call: &ScriptInvocation<'_>, line: &mut Line) -> Answer<Value> {
    call.invoke(line)
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
pub(super) use link::{Fault, Link, Standing, Trouble, jittered};
pub(super) use names::Names;
pub(super) use reader::{Event, Position, Reader, Record};
pub(super) use reseal::Reseal;
pub(super) use scripts::{Beat, KEYS, Scripts, at};

/// A connection to it.
pub(super) type Line = ::redis::Connection;
/// What the server says, or why it says nothing.
pub(super) type Answer<T> = ::redis::RedisResult<T>;
