//! What the thread of the news asks, over a connection of its own: it waits there.

use super::entry::{self, Entered};
use super::link::Link;
use super::scripts::{LOST, ms};
use super::{Names, Run, Scripts};
use redis::{Connection, RedisResult, Value, cmd, from_redis_value};
use std::collections::HashMap;
use std::time::Duration;

/// How long an answer may take beyond what is waited for.
const PATIENCE: Duration = Duration::from_millis(500);
/// Records that are read at once: the server does nothing else meanwhile.
const PIECE: usize = 1000;

/// Where the next piece of a table begins, and fields and values of this one, which may be no text.
pub(super) type Piece = (String, Vec<(Vec<u8>, Vec<u8>)>);

/// A record of a table of all replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Record {
    pub(in crate::store) id: String,
    /// Rises with every change of any record.
    pub(in crate::store) version: u64,
    /// `None`: it is gone.
    pub(in crate::store) text: Option<String>,
}

impl Record {
    /// As it is written there. What has no version, or is no text, is there and empty: nobody can read that.
    pub(in crate::store) fn of(id: String, value: Option<&[u8]>) -> Record {
        let written = value.map(|value| std::str::from_utf8(value).unwrap_or_default());
        let parts = written.and_then(|written| written.split_once('|'));
        let parts = parts.and_then(|(version, text)| Some((version.parse().ok()?, text)));
        let (version, text) = parts.unwrap_or_default();
        Record { id, version, text: written.map(|_| text.to_owned()) }
    }
}

/// A change that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Event {
    pub(in crate::store) cursor: String,
    pub(in crate::store) version: u64,
    pub(in crate::store) table: String,
    pub(in crate::store) ids: Vec<String>,
}

/// Up to where the news go.
#[derive(Clone, Debug)]
pub(in crate::store) struct Position {
    pub(in crate::store) version: u64,
    pub(in crate::store) cursor: String,
    /// The server's time in ms.
    pub(in crate::store) now: u64,
    /// Whose it is; empty: nobody has made it.
    pub(in crate::store) pool: String,
    /// How many replicas know what it has lost.
    pub(in crate::store) lost: u64,
    /// Records of each table.
    pub(in crate::store) counts: Vec<u64>,
}

pub(in crate::store) struct Reader<'a> {
    pub(super) connection: Connection,
    pub(super) names: Names,
    pub(super) scripts: &'a Scripts,
}

impl Link {
    /// A connection for who waits. A server that refuses connections, or must not be used, is away for all.
    pub(in crate::store) fn reader(&self, wait: Duration) -> Option<Reader<'_>> {
        match entry::enter(&self.address, &self.scripts, &self.prefix, &self.cipher, self.names()) {
            Ok(Entered { connection, names, .. }) => {
                // One that was emptied and made anew may have others.
                *self.names.lock() = Some(names.clone());
                connection.set_read_timeout(Some(wait + PATIENCE)).ok()?;
                Some(Reader { connection, names, scripts: &self.scripts })
            }
            Err(entry) => {
                self.doubt(entry);
                None
            }
        }
    }
}

impl Reader<'_> {
    /// Whose store it was when it was entered.
    pub(in crate::store) fn pool(&self) -> &str {
        &self.names.pool
    }

    /// A replica that was silent for so long counts as gone.
    pub(in crate::store) fn position(&mut self, tables: &[&str], silence: Duration) -> RedisResult<Position> {
        let mut call = self.scripts.position.key(self.names.of_all("meta"));
        call.key(self.names.of_all("news")).key(self.names.of_all(LOST)).arg(ms(silence));
        tables.iter().for_each(|table| _ = call.key(self.names.of_all(table)));
        let [version, cursor, now, pool, lost, counts @ ..] = &*call.run::<Vec<String>>(&mut self.connection)? else {
            return Err((redis::ErrorKind::Client, "a position of another form").into());
        };
        let number = |text: &String| text.parse().unwrap_or(0);
        let counts = counts.iter().map(number).collect();
        Ok(Position {
            version: number(version),
            cursor: cursor.clone(),
            now: number(now),
            pool: pool.clone(),
            lost: number(lost),
            counts,
        })
    }

    /// Of a credential that comes.
    pub(in crate::store) fn next_number(&mut self) -> RedisResult<u64> {
        let number = cmd("HGET").arg(self.names.of_all("meta")).arg("next").query::<Option<u64>>(&mut self.connection);
        Ok(number?.unwrap_or(0))
    }

    /// What was told since; waits for it.
    pub(in crate::store) fn news(&mut self, since: &str, wait: Duration) -> RedisResult<Vec<Event>> {
        let mut call = cmd("XREAD");
        call.arg("COUNT").arg(PIECE).arg("BLOCK").arg(wait.as_millis() as u64);
        let answer = call.arg("STREAMS").arg(self.names.of_all("news")).arg(since).query(&mut self.connection)?;
        let entries = match answer {
            Value::Map(mut streams) => streams.pop().map(|(_, entries)| entries),
            Value::Array(mut streams) => match streams.pop() {
                Some(Value::Array(mut stream)) => stream.pop(),
                _ => None,
            },
            _ => None,
        };
        let Some(entries) = entries else { return Ok(Vec::new()) };
        let entries: Vec<(String, HashMap<String, String>)> = from_redis_value(entries)?;
        let event = |(cursor, mut fields): (String, HashMap<String, String>)| {
            let mut field = |name: &str| fields.remove(name).unwrap_or_default();
            let ids = field("id").split(' ').filter(|id| !id.is_empty()).map(str::to_owned).collect();
            Event { cursor, version: field("v").parse().unwrap_or(0), table: field("k"), ids }
        };
        Ok(entries.into_iter().map(event).collect())
    }

    /// A whole table. What changes meanwhile is told afterwards.
    pub(in crate::store) fn all(&mut self, table: &str) -> RedisResult<Vec<Record>> {
        let (mut records, mut at) = (HashMap::new(), String::from("0"));
        loop {
            let mut call = cmd("HSCAN");
            call.arg(self.names.of_all(table)).arg(&at).arg("COUNT").arg(PIECE);
            let (next, piece): Piece = call.query(&mut self.connection)?;
            // One may come twice.
            records.extend(piece);
            if next == "0" {
                break;
            }
            at = next;
        }
        Ok(records
            .into_iter()
            .map(|(id, value)| Record::of(String::from_utf8_lossy(&id).into(), Some(&value)))
            .collect())
    }

    /// These, as they are now.
    pub(in crate::store) fn some(&mut self, table: &str, ids: Vec<String>) -> RedisResult<Vec<Record>> {
        let mut records = Vec::with_capacity(ids.len());
        for some in ids.chunks(PIECE) {
            records.extend(records_of(&mut self.connection, &self.names, table, some)?);
        }
        Ok(records)
    }
}

/// These, as they are now.
pub(super) fn records_of(
    connection: &mut Connection,
    names: &Names,
    table: &str,
    ids: &[String],
) -> RedisResult<Vec<Record>> {
    let values: Vec<Option<Vec<u8>>> = cmd("HMGET").arg(names.of_all(table)).arg(ids).query(connection)?;
    Ok(ids.iter().zip(values).map(|(id, value)| Record::of(id.clone(), value.as_deref())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_damaged_is_not_gone() {
        for (value, version, text) in [
            (Some(&b"7|text"[..]), 7, Some("text")),
            (Some(b"garbage"), 0, Some("")),
            (Some(b"seven|text"), 0, Some("")),
            (Some(b"7|\xff"), 0, Some("")),
            (None, 0, None),
        ] {
            let expected = Record { id: "1".into(), version, text: text.map(str::to_owned) };
            assert_eq!(Record::of("1".into(), value), expected, "{value:?}");
        }
    }
}
