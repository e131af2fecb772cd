//! The scripts that add up usage, and what reads it.

use super::{Names, Run};
use crate::usage::{Batch, fields};
use redis::{Connection, RedisResult, Script, cmd};
use std::collections::HashMap;
use std::time::Duration;

pub(in crate::store) struct UsageScripts {
    count: Script,
    reset: Script,
    fold: Script,
}

/// Fields of one answer, so that a large table holds up nobody.
const FIELDS: usize = 1000;

/// A field with the mark of its key, if it has one, changed.
fn named(field: &str, change: impl Fn(u64) -> u64) -> String {
    let mark = field.split_once('\t').filter(|(mark, _)| mark.len() == 16);
    match mark.and_then(|(mark, rest)| Some((u64::from_str_radix(mark, 16).ok()?, rest))) {
        Some((mark, rest)) => format!("{:016x}\t{rest}", change(mark)),
        None => field.to_owned(),
    }
}

fn name(names: &Names, what: &str) -> String {
    names.of_usage(what)
}

impl UsageScripts {
    pub(super) fn new() -> UsageScripts {
        UsageScripts { count: lua!("usage/count"), reset: lua!("usage/reset"), fold: lua!("usage/fold") }
    }

    /// Up to which number all batches of this replica were counted.
    pub(in crate::store) fn numbered(&self, line: &mut Connection, names: &Names, who: &str) -> RedisResult<u64> {
        cmd("GET").arg(name(names, &format!("number:{who}"))).query::<Option<u64>>(line).map(Option::unwrap_or_default)
    }

    /// The same, after this one.
    pub(in crate::store) fn count(&self, line: &mut Connection, names: &Names, batch: &Batch) -> RedisResult<u64> {
        let (day, hour) = (format!("d{}", batch.hour / 24), format!("h{}", batch.hour));
        let mut call = self.count.key(name(names, &format!("number:{}", batch.who)));
        ["versions", "total", &day, &hour].iter().for_each(|what| _ = call.key(name(names, what)));
        call.arg(batch.number).arg(batch.oldest).arg(day).arg(hour);
        for (field, number) in fields(&batch.rows) {
            call.arg(named(&field, |mark| names.sealed(mark))).arg(number);
        }
        call.run(line)
    }

    /// Which tables there are, and numbers that rise with each change of them; `since` is no table.
    pub(in crate::store) fn versions(
        &self,
        line: &mut Connection,
        names: &Names,
    ) -> RedisResult<HashMap<String, String>> {
        cmd("HGETALL").arg(name(names, "versions")).query(line)
    }

    /// Some fields of a table, and where to go on; 0: that was all.
    pub(in crate::store) fn some(
        &self,
        line: &mut Connection,
        names: &Names,
        table: &str,
        from: u64,
    ) -> RedisResult<(u64, Vec<(String, i64)>)> {
        let mut call = cmd("HSCAN");
        call.arg(name(names, table)).arg(from).arg("COUNT").arg(FIELDS);
        let (next, fields): (u64, Vec<(String, i64)>) = call.query(line)?;
        let opened = fields.into_iter().map(|(field, number)| (named(&field, |mark| names.opened(mark)), number));
        Ok((next, opened.collect()))
    }

    /// How many fields a table has.
    pub(in crate::store) fn size(&self, line: &mut Connection, names: &Names, table: &str) -> RedisResult<usize> {
        cmd("HLEN").arg(name(names, table)).query(line)
    }

    /// A table that is not there any more is not looked for any more.
    pub(in crate::store) fn forget(&self, line: &mut Connection, names: &Names, table: &str) -> RedisResult<i64> {
        cmd("HDEL").arg(name(names, "versions")).arg(table).query(line)
    }

    pub(in crate::store) fn reset(&self, line: &mut Connection, names: &Names) -> RedisResult<i64> {
        self.reset.key(name(names, "versions")).arg(name(names, "")).run(line)
    }

    pub(in crate::store) fn fold(
        &self,
        line: &mut Connection,
        names: &Names,
        table: &str,
        changes: &[(String, i64)],
    ) -> RedisResult<i64> {
        let mut call = self.fold.key(name(names, "versions"));
        call.key(name(names, table)).arg(table);
        for (field, change) in changes {
            call.arg(named(field, |mark| names.sealed(mark))).arg(*change);
        }
        call.run(line)
    }

    /// Whether it is this replica's turn to tidy, for so long.
    pub(in crate::store) fn turn(
        &self,
        line: &mut Connection,
        names: &Names,
        who: &str,
        span: Duration,
    ) -> RedisResult<bool> {
        let mut call = cmd("SET");
        call.arg(name(names, "tidy")).arg(who).arg("NX").arg("PX").arg(super::scripts::ms(span));
        call.query::<Option<String>>(line).map(|answer| answer.is_some())
    }
}
