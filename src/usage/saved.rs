//! How usage is written into the state file: names once, a row as one line of numbers that refer to them. 2000 rows are
//! about 150 kB.

use super::{Counts, Histogram, Line, Table};
use crate::calendar;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The layout's number; another one is not read.
const VERSION: u64 = 1;

/// What is kept.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) since: Option<SystemTime>,
    pub(super) total: Table,
    pub(super) days: Vec<(u32, Table)>,
    pub(super) hours: Vec<(u32, Table)>,
    pub(super) names: HashMap<String, String>,
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

/// The section of the state file.
pub(super) fn write(snapshot: &super::Snapshot) -> Value {
    let mut names = Names::default();
    let total = rows(&snapshot.total, &mut names);
    let mut periods = |periods: &[(u32, std::sync::Arc<Table>)]| -> Value {
        let entry = |(number, table): &(u32, std::sync::Arc<Table>)| (number.to_string(), rows(table, &mut names));
        Value::Object(periods.iter().map(entry).collect())
    };
    let (days, hours) = (periods(&snapshot.days), periods(&snapshot.hours));
    let since = snapshot.since.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let keys = names.list.iter().filter_map(|mark| Some((mark.clone(), json!(snapshot.names.get(mark)?))));
    let keys: Map<String, Value> = keys.collect();
    json!({
        "version": VERSION,
        "keys": keys,
        "since": since,
        "names": names.list,
        "total": total,
        "days": days,
        "hours": hours,
    })
}

fn rows(table: &Table, names: &mut Names) -> Value {
    Value::Array(table.rows().iter().map(|(line, counts)| Value::String(row(line, counts, names))).collect())
}

/// `key credential model|successful refused total prompt candidates thoughts cached|reason count ...|latency|first token`
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
    ] {
        let _ = write!(text, " {tokens}");
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

/// Reads the section; what cannot be read is left out. `None` when it is none of this program's.
pub(super) fn read(section: &Value, present: &HashMap<String, String>) -> Option<Kept> {
    if section["version"].as_u64() != Some(VERSION) {
        return None;
    }
    let names: Vec<&str> = section["names"].as_array()?.iter().map(|name| name.as_str().unwrap_or_default()).collect();
    let kept = section["keys"].as_object();
    // Older files have the name of a key in the place of its mark.
    let marks: HashMap<&str, &str> = match kept {
        Some(_) => HashMap::new(),
        None => present.iter().map(|(mark, name)| (name.as_str(), mark.as_str())).collect(),
    };
    let table = |rows: &Value| table(rows, &names, &marks);
    let periods = |value: &Value| -> Vec<(u32, Table)> {
        let empty = Map::new();
        let entries = value.as_object().unwrap_or(&empty).iter();
        entries.filter_map(|(number, rows)| Some((number.parse().ok()?, table(rows)))).collect()
    };
    let since = section["since"].as_u64().map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
    Some(Kept {
        since: since.filter(|since| calendar::day(*since) < u32::MAX),
        total: table(&section["total"]),
        days: periods(&section["days"]),
        hours: periods(&section["hours"]),
        names: kept
            .into_iter()
            .flatten()
            .filter_map(|(mark, name)| Some((mark.clone(), name.as_str()?.to_owned())))
            .collect(),
    })
}

fn table(rows: &Value, names: &[&str], marks: &HashMap<&str, &str>) -> Table {
    let mut table = Table::default();
    for text in rows.as_array().into_iter().flatten().filter_map(Value::as_str) {
        if let Some((mut line, counts)) = parsed(text, names) {
            if let Some(mark) = marks.get(line.key.as_str()) {
                line.key = (*mark).to_owned();
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
    let [successful, refused, total, prompt, candidates, thoughts, cached] = numbers.as_slice() else { return None };
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
        latency: Histogram::read(latency)?,
        first_token: Histogram::read(first_token)?,
    };
    Some((line, counts))
}

fn all(text: &str) -> Option<Vec<u64>> {
    text.split_ascii_whitespace().map(|number| number.parse().ok()).collect()
}
