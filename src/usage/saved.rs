//! How usage is written into the state file: a record for the sums, each day and each hour, in which names stand once and a
//! row is one line of numbers that refer to them. 2000 rows are about 150 kB. Only the tables that changed are written.

use super::{Batch, Counts, Histogram, Line, Snapshot, Table, mark_of};
use crate::calendar;
use crate::storage::state::{Part, Section, Sink};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The layout's number; another one is not read.
const VERSION: u64 = 1;
const TOTAL: &str = "total";
pub(super) const OWED: &str = "owed ";

/// What is kept.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) since: Option<SystemTime>,
    pub(super) total: Table,
    pub(super) days: Vec<(u32, Table)>,
    pub(super) hours: Vec<(u32, Table)>,
    pub(super) names: BTreeMap<u64, String>,
    pub(super) unsaved: Unsaved,
    /// Batches that nobody has counted yet.
    pub(super) owed: Vec<Batch>,
}

/// Which records the file has, and which of them are not as the counters are.
#[derive(Debug, Default)]
pub(super) struct Unsaved {
    written: BTreeSet<String>,
    days: BTreeSet<u32>,
    hours: BTreeSet<u32>,
    total: bool,
}

impl Unsaved {
    pub(super) fn count(&mut self, day: u32, hour: u32) {
        self.total = true;
        self.days.insert(day);
        self.hours.insert(hour);
    }

    /// Keys have other names, which stand with the sums; or all is forgotten.
    pub(super) fn rename(&mut self) {
        self.total = true;
    }

    /// What has changed while these were written.
    pub(super) fn merge(&mut self, written: Unsaved) {
        self.written = written.written;
    }

    pub(super) fn write(&mut self, part: Part, snapshot: &Snapshot, owed: &[Batch], sink: &mut Sink<'_>) {
        let mut there = BTreeSet::new();
        for (kind, tables, changed) in [("day", &snapshot.days, &self.days), ("hour", &snapshot.hours, &self.hours)] {
            // A new period makes older ones smaller, so all are written.
            let is_new = changed.iter().any(|changed| !self.written.contains(&format!("{kind} {changed}")));
            for (number, table) in tables {
                let name = format!("{kind} {number}");
                if part == Part::Whole || is_new || changed.contains(number) {
                    sink.put(&name, &record(table, &snapshot.names));
                }
                there.insert(name);
            }
        }
        for batch in owed {
            let name = batch.name();
            if part == Part::Whole || !self.written.contains(&name) {
                sink.put(&name, &record(&batch.rows, &snapshot.names));
            }
            there.insert(name);
        }
        if part == Part::Whole || self.total {
            let mut total = record(&snapshot.total, &snapshot.names);
            total["since"] = json!(snapshot.since.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
            sink.put(TOTAL, &total);
        }
        if part == Part::Changed {
            self.written.difference(&there).for_each(|name| sink.remove(name));
        }
        *self = Unsaved { written: there, ..Unsaved::default() };
    }
}

/// Names by number.
#[derive(Default)]
struct Names {
    list: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Names {
    fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.list.push(name.to_owned());
        self.numbers.insert(name.to_owned(), self.list.len() - 1);
        self.list.len() - 1
    }
}

fn record(table: &Table, called: &super::Names) -> Value {
    let mut names = Names::default();
    let rows: Vec<String> = table.rows().iter().map(|(line, counts)| row(line, counts, &mut names)).collect();
    let keys = names.list.iter().filter_map(|mark| Some((mark.clone(), json!(called.of(mark_of(mark)?)?))));
    let keys: Map<String, Value> = keys.collect();
    json!({"names": names.list, "keys": keys, "rows": rows})
}

/// `key credential model|successful refused total prompt candidates thoughts cached cost unpriced [images audio-ms]|reason count ...|latency|first token`
fn row(line: &Line, counts: &Counts, names: &mut Names) -> String {
    let mut text = String::new();
    let who = [&line.key, &line.credential, &line.model].map(|name| names.number(name));
    let _ = write!(text, "{} {} {}|{} {}", who[0], who[1], who[2], counts.successful, counts.refused);
    for tokens in [
        counts.total_tokens,
        counts.prompt_tokens,
        counts.candidates_tokens,
        counts.thoughts_tokens,
        counts.cached_tokens,
        counts.cost,
        counts.unpriced,
    ] {
        let _ = write!(text, " {tokens}");
    }
    if counts.images + counts.audio_ms > 0 {
        let _ = write!(text, " {} {}", counts.images, counts.audio_ms);
    }
    text.push('|');
    reasons(&counts.failed, names, &mut text);
    text.push('|');
    counts.latency.write(&mut text);
    text.push('|');
    counts.first_token.write(&mut text);
    if !counts.turned_away.is_empty() {
        text.push('|');
        reasons(&counts.turned_away, names, &mut text);
    }
    text
}

fn reasons(counts: &[(String, u64)], names: &mut Names, text: &mut String) {
    for (at, (reason, count)) in counts.iter().enumerate() {
        let _ = write!(text, "{}{} {count}", if at == 0 { "" } else { " " }, names.number(reason));
    }
}

/// Reads the section; what cannot be read is left out.
pub(super) fn read(section: &Section, present: &HashMap<u64, Arc<str>>) -> Kept {
    let mut kept = Kept::default();
    for (name, json) in section.records() {
        let value: Value = serde_json::from_str(json).unwrap_or_default();
        let table = || table(&value["rows"], &names(&value), &HashMap::new());
        kept.owed.extend(name.strip_prefix(OWED).and_then(|name| Batch::read(name, table())));
        match name.split_once(' ').map_or((name, None), |(kind, number)| (kind, number.parse().ok())) {
            ("", _) => match older(&value, present) {
                Some(older) => return older,
                None => log::warn!("usage: the state file's section cannot be read; counting begins anew"),
            },
            (TOTAL, _) => (kept.total, kept.since) = (table(), since(&value)),
            ("day", Some(number)) => kept.days.push((number, table())),
            ("hour", Some(number)) => kept.hours.push((number, table())),
            _ if name.starts_with(OWED) => {}
            _ => log::warn!("usage: a record of the state file cannot be read; it is left out"),
        }
        kept.names.extend(called(&value["keys"]));
        kept.unsaved.written.extend(name.contains(' ').then(|| name.to_owned()));
    }
    kept
}

/// The section of an older file; `None` when it is none of this program's.
fn older(section: &Value, present: &HashMap<u64, Arc<str>>) -> Option<Kept> {
    if section["version"].as_u64() != Some(VERSION) {
        return None;
    }
    section["names"].as_array()?;
    let names = names(section);
    // The oldest have the name of a key in the place of its mark.
    let marks: HashMap<&str, u64> = match section["keys"].is_object() {
        true => HashMap::new(),
        false => present.iter().map(|(mark, name)| (&**name, *mark)).collect(),
    };
    let table = |rows: &Value| table(rows, &names, &marks);
    let periods = |value: &Value| -> Vec<(u32, Table)> {
        let entries = value.as_object().into_iter().flatten();
        entries.filter_map(|(number, rows)| Some((number.parse().ok()?, table(rows)))).collect()
    };
    Some(Kept {
        since: since(section),
        total: table(&section["total"]),
        days: periods(&section["days"]),
        hours: periods(&section["hours"]),
        names: called(&section["keys"]),
        unsaved: Unsaved::default(),
        owed: Vec::new(),
    })
}

fn names(value: &Value) -> Vec<&str> {
    value["names"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap_or_default()).collect()
}

fn since(value: &Value) -> Option<SystemTime> {
    let since = UNIX_EPOCH.checked_add(Duration::from_secs(value["since"].as_u64()?))?;
    Some(since).filter(|since| calendar::day(*since) < u32::MAX)
}

fn called(value: &Value) -> BTreeMap<u64, String> {
    let (names, mut called) = (value.as_object().into_iter().flatten(), BTreeMap::new());
    called.extend(names.filter_map(|(mark, name)| Some((mark_of(mark)?, name.as_str()?.to_owned()))));
    called
}

fn table(rows: &Value, names: &[&str], marks: &HashMap<&str, u64>) -> Table {
    let mut table = Table::default();
    for text in rows.as_array().into_iter().flatten().filter_map(Value::as_str) {
        if let Some((mut line, counts)) = parsed(text, names) {
            if let Some(mark) = marks.get(line.key.as_str()) {
                line.key = format!("{mark:016x}");
            }
            table.row(&line, usize::MAX).add(&counts);
        }
    }
    table
}

fn parsed(text: &str, names: &[&str]) -> Option<(Line, Counts)> {
    let parts: Vec<&str> = text.split('|').collect();
    let (who, numbers, reasons, latency, first_token, turned_away) = match parts.as_slice() {
        [who, numbers, reasons, latency, first_token] => (who, numbers, reasons, latency, first_token, &""),
        [who, numbers, reasons, latency, first_token, away] => (who, numbers, reasons, latency, first_token, away),
        _ => return None,
    };
    let who = all(who)?;
    let name = |number: &u64| names.get(usize::try_from(*number).ok()?).copied();
    let line = match who.as_slice() {
        [key, credential, model] => Line::new(name(key)?, name(credential)?, name(model)?),
        _ => return None,
    };
    let numbers = all(numbers)?;
    let [successful, refused, total, prompt, candidates, thoughts, cached, money @ ..] = numbers.as_slice() else {
        return None;
    };
    // Older rows have none.
    let (cost, unpriced) = (money.first().copied().unwrap_or(0), money.get(1).copied().unwrap_or(*successful));
    let counted = |text: &str| -> Option<Vec<(String, u64)>> {
        let pair = |pair: &[u64]| match pair {
            [reason, count] => Some((name(reason)?.to_owned(), *count)),
            _ => None,
        };
        all(text)?.chunks(2).map(pair).collect()
    };
    let counts = Counts {
        successful: *successful,
        refused: *refused,
        failed: counted(reasons)?,
        turned_away: counted(turned_away)?,
        total_tokens: *total,
        prompt_tokens: *prompt,
        candidates_tokens: *candidates,
        thoughts_tokens: *thoughts,
        cached_tokens: *cached,
        images: money.get(2).copied().unwrap_or(0),
        audio_ms: money.get(3).copied().unwrap_or(0),
        cost,
        unpriced,
        latency: Histogram::read(latency)?,
        first_token: Histogram::read(first_token)?,
    };
    Some((line, counts))
}

fn all(text: &str) -> Option<Vec<u64>> {
    text.split_ascii_whitespace().map(|number| number.parse().ok()).collect()
}
