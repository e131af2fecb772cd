//! The scripts that run in the server. What must be atomic is one of them, and each is sent with all that it needs, so there is
//! one answer to wait for.

use super::link::Ticket;
use super::reader::records_of;
use super::usage::UsageScripts;
use super::{CredentialScripts, Names, Record, Run};
use crate::calendar;
use crate::keys::{Ask, Batch, Change, Counted, Expected, Numbers, Outcome, Reached, Used};
use redis::{Connection, RedisResult, Script};
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(in crate::store) struct Scripts {
    admit: Script,
    settle: Script,
    hold: Script,
    beat: Script,
    open: Script,
    trial: Script,
    keys: Script,
    brief: Script,
    pub(super) keep: Script,
    pub(super) take: Script,
    pub(super) find: Script,
    pub(super) position: Script,
    pub(super) reseal: Script,
    pub(in crate::store) credentials: CredentialScripts,
    pub(in crate::store) usage: UsageScripts,
}

/// What a replica says when it tells that it lives.
pub(in crate::store) struct Beat<'a> {
    pub(in crate::store) who: &'a str,
    pub(in crate::store) what: &'a str,
    /// After so much one counts as gone.
    pub(in crate::store) silence: Duration,
    /// How many changes it knows.
    pub(in crate::store) seen: u64,
    /// It knows what the store has lost.
    pub(in crate::store) knows_loss: bool,
}

/// The replicas that know what the store has lost.
pub(super) const LOST: &str = "lost";
/// The table of the keys of the page.
pub(in crate::store) const KEYS: &str = "key";
/// After so much silence a place among the running requests is free.
const PLACE: Duration = Duration::from_secs(30);

impl Scripts {
    pub(super) fn new() -> Scripts {
        Scripts {
            admit: lua!("calendar", "admit"),
            settle: lua!("calendar", "settle"),
            hold: lua!("hold"),
            beat: lua!("news", "beat"),
            open: lua!("open"),
            trial: lua!("trial"),
            keys: lua!("seen", "news", "keys"),
            brief: lua!("news", "brief"),
            keep: lua!("keep"),
            take: lua!("take"),
            find: lua!("find"),
            position: lua!("news", "position"),
            reseal: lua!("reseal"),
            credentials: CredentialScripts::new(),
            usage: UsageScripts::new(),
        }
    }

    pub(in crate::store) fn admit(
        &self,
        connection: &mut Connection,
        names: &Names,
        who: &str,
        ask: &Ask<'_>,
        ticket: Ticket,
    ) -> RedisResult<Counted> {
        let limits = ask.limits;
        let mut call = self.admit.prepare_invoke();
        names.of_key(ask.mark).iter().for_each(|name| _ = call.key(name));
        for limit in [
            limits.tokens_per_month,
            limits.dollars_per_month,
            limits.dollars_per_day,
            limits.requests_per_day,
            limits.tokens_per_day,
            limits.requests_per_minute,
            limits.concurrency,
        ] {
            call.arg(limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX)));
        }
        call.arg(place(who, ask.place.unwrap_or_default())).arg(ms(PLACE));
        let (day, month) = (ask.owed.of_day, ask.owed.of_month);
        call.arg(day.requests).arg(day.tokens).arg(day.cost).arg(month.tokens).arg(month.cost).arg(ask.requests);
        call.arg(format!("c{who}.{}", ticket.line)).arg(ticket.number);
        let [why, wait, numbers @ ..]: [u64; 12] = call.run(connection)?;
        let numbers = read(numbers);
        let wait = Duration::from_millis(wait);
        let month_left = calendar::day_start(calendar::next_month(numbers.day)).duration_since(numbers.at);
        let month_left = month_left.unwrap_or_default();
        let refused = match why {
            1 => Some((Reached::MonthTokens, month_left)),
            2 => Some((Reached::MonthMoney, month_left)),
            3 => Some((Reached::DayMoney, wait)),
            4 => Some((Reached::DayRequests, wait)),
            5 => Some((Reached::DayTokens, wait)),
            6 => Some((Reached::MinuteRequests, wait)),
            7 => Some((Reached::Running, wait)),
            _ => None,
        };
        Ok(Counted { refused, numbers })
    }

    pub(in crate::store) fn settle(
        &self,
        connection: &mut Connection,
        names: &Names,
        who: &str,
        mark: u64,
        batch: Option<&Batch>,
        places: &[u64],
    ) -> RedisResult<Numbers> {
        let mut call = self.settle.prepare_invoke();
        names.of_key(mark).iter().for_each(|name| _ = call.key(name));
        call.arg(format!("i{who}"));
        let owed = batch.map_or([0; 5], |batch| {
            [batch.number, u64::from(batch.day), batch.used.requests, batch.used.tokens, batch.used.cost]
        });
        owed.iter().for_each(|number| _ = call.arg(*number));
        places.iter().for_each(|number| _ = call.arg(place(who, *number)));
        call.run(connection).map(read)
    }

    pub(in crate::store) fn hold(
        &self,
        connection: &mut Connection,
        names: &Names,
        who: &str,
        mark: u64,
        places: &[u64],
    ) -> RedisResult<()> {
        let [_, running] = names.of_key(mark);
        let mut call = self.hold.key(running);
        call.arg(ms(PLACE));
        places.iter().for_each(|number| _ = call.arg(place(who, *number)));
        call.run::<i64>(connection).map(drop)
    }

    /// The server's time in ms, how many replicas live, how many of them come before this one, how many know what it has lost,
    /// and when the one beat that was silent for longest.
    pub(in crate::store) fn beat(
        &self,
        connection: &mut Connection,
        names: &Names,
        beat: &Beat<'_>,
    ) -> RedisResult<[u64; 5]> {
        let Beat { who, what, silence, seen, knows_loss } = *beat;
        let mut call = self.beat.key(names.of_all("meta"));
        call.key(names.of_all("news")).key(names.alive()).key(names.replica(who)).key(names.of_all(LOST));
        call.arg(who).arg(what).arg(ms(silence)).arg(seen).arg(i64::from(knows_loss));
        call.run(connection)
    }

    /// What the replicas of the last hour said with their last beats, and who and when in ms that was; the last two hundred.
    pub(in crate::store) fn replicas(connection: &mut Connection, names: &Names) -> RedisResult<Vec<(String, String)>> {
        let mut call = redis::cmd("ZREVRANGE");
        let beats: Vec<(String, String)> =
            call.arg(names.alive()).arg(0).arg(199).arg("WITHSCORES").query(connection)?;
        if beats.is_empty() {
            return Ok(beats);
        }
        let mut call = redis::cmd("MGET");
        beats.iter().for_each(|(who, _)| _ = call.arg(names.replica(who)));
        let said: Vec<Option<String>> = call.query(connection)?;
        let known =
            said.into_iter().zip(beats).filter_map(|(said, (who, beat))| Some((said?, format!("{who} {beat}"))));
        Ok(known.collect())
    }

    /// How many changes the store knows of.
    pub(in crate::store) fn changes(connection: &mut Connection, names: &Names) -> RedisResult<u64> {
        let mut call = redis::cmd("HGET");
        let changes: Option<u64> = call.arg(names.of_all("meta")).arg("changes").query(connection)?;
        Ok(changes.unwrap_or_default())
    }

    /// Who leaves is not waited for.
    pub(in crate::store) fn leave(connection: &mut Connection, names: &Names, who: &str) -> RedisResult<()> {
        for table in [names.alive(), names.of_all(LOST)] {
            redis::cmd("ZREM").arg(table).arg(who).query::<i64>(connection)?;
        }
        redis::cmd("DEL").arg(names.replica(who)).query::<i64>(connection).map(drop)
    }

    /// Writes keys of the page; the cursor from which on all know of it, and what came of each.
    pub(in crate::store) fn keys(
        &self,
        connection: &mut Connection,
        names: &Names,
        changes: &[Change],
        is_sent: bool,
        seen: u64,
    ) -> RedisResult<(String, Vec<Outcome>)> {
        let mut call = self.keys.prepare_invoke();
        ["meta", "news", KEYS, "name"].iter().for_each(|what| _ = call.key(names.of_all(what)));
        call.arg(u8::from(is_sent));
        for change in changes {
            call.arg(&change.id);
            match change.expected {
                Expected::New => call.arg("new"),
                Expected::Any => call.arg("any"),
                Expected::Version(version) => call.arg(version),
            };
            call.arg(&change.name).arg(&change.text);
        }
        call.arg(seen);
        let mut words = call.run::<Vec<String>>(connection)?.into_iter();
        let cursor = words.next().unwrap_or_default();
        let outcome = |word: String| match word.as_str() {
            "done" => Outcome::Done,
            "gone" => Outcome::Gone,
            "taken" => Outcome::NameTaken,
            "there" => Outcome::Exists,
            _ => Outcome::Changed,
        };
        Ok((cursor, words.map(outcome).collect()))
    }

    /// Counts these for as long as each says, or forgets them.
    pub(in crate::store) fn brief(
        &self,
        connection: &mut Connection,
        names: &Names,
        counted: &[(String, Duration)],
    ) -> RedisResult<()> {
        let mut call = self.brief.prepare_invoke();
        ["meta", "news", "brief"].iter().for_each(|what| _ = call.key(names.of_all(what)));
        counted.iter().for_each(|(id, span)| _ = call.arg(id).arg(ms(*span)));
        call.run::<i64>(connection).map(drop)
    }

    /// Keys of the page as they are now.
    pub(in crate::store) fn keys_of(
        connection: &mut Connection,
        names: &Names,
        ids: &[String],
    ) -> RedisResult<Vec<Record>> {
        records_of(connection, names, KEYS, ids)
    }

    /// Whether changes are taken: an error says that they are not.
    /// `enters`: also what cannot be tried without a place.
    pub(super) fn trial(&self, connection: &mut Connection, prefix: &str, enters: bool) -> RedisResult<()> {
        for (trial, tables) in Names::tables(prefix) {
            let mut call = self.trial.key(trial);
            call.arg(i64::from(enters));
            tables.into_iter().for_each(|(name, is)| _ = call.key(name).arg(is));
            call.run::<i64>(connection)?;
        }
        Ok(())
    }

    pub(super) fn open(
        &self,
        connection: &mut Connection,
        name: &str,
        fields: &[(&str, String)],
    ) -> RedisResult<HashMap<String, String>> {
        let mut call = self.open.key(name);
        fields.iter().for_each(|(field, value)| _ = call.arg(*field).arg(value));
        call.run(connection)
    }
}

fn place(who: &str, number: u64) -> String {
    format!("{who}.{number}")
}

pub(super) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(in crate::store) fn at(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

fn read([now, began, minute_requests, day, of_day @ .., requests, tokens, cost]: [u64; 10]) -> Numbers {
    let [day_requests, day_tokens, day_cost] = of_day;
    Numbers {
        at: at(now),
        minute_began: at(began),
        minute_requests,
        day: u32::try_from(day).unwrap_or(u32::MAX),
        of_day: Used { requests: day_requests, tokens: day_tokens, cost: day_cost },
        of_month: Used { requests, tokens, cost },
    }
}
