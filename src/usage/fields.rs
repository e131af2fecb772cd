//! Tables as fields with numbers, which add up wherever they are kept: a field is a row's three names and a counter's.

use super::{Counts, Histogram, Line, Table};
use std::collections::BTreeMap;

const BETWEEN: char = '\t';

type Plain = fn(&mut Counts) -> &mut u64;

/// Counters that are one number.
const PLAIN: [(&str, Plain); 11] = [
    ("answered", |counts| &mut counts.successful),
    ("refused", |counts| &mut counts.refused),
    ("tokens", |counts| &mut counts.total_tokens),
    ("prompt", |counts| &mut counts.prompt_tokens),
    ("candidates", |counts| &mut counts.candidates_tokens),
    ("thoughts", |counts| &mut counts.thoughts_tokens),
    ("cached", |counts| &mut counts.cached_tokens),
    ("images", |counts| &mut counts.images),
    ("audio_ms", |counts| &mut counts.audio_ms),
    ("cost", |counts| &mut counts.cost),
    ("unpriced", |counts| &mut counts.unpriced),
];

/// What the table says, without zeros.
pub fn fields(table: &Table) -> Vec<(String, u64)> {
    let mut fields = Vec::new();
    for (line, counts) in table.rows() {
        let clean = |name: &str| name.replace(BETWEEN, " ");
        let row = [clean(&line.key), clean(&line.credential), clean(&line.model)].join(&BETWEEN.to_string());
        let mut put = |counter: &str, number: u64| {
            if number > 0 {
                fields.push((format!("{row}{BETWEEN}{counter}"), number));
            }
        };
        let mut counts = counts.clone();
        PLAIN.iter().for_each(|(name, of)| put(name, *of(&mut counts)));
        counts.failed.iter().for_each(|(reason, count)| put(&format!("failed {reason}"), *count));
        counts.turned_away.iter().for_each(|(reason, count)| put(&format!("away {reason}"), *count));
        for (name, histogram) in [("latency", &counts.latency), ("first", &counts.first_token)] {
            put(name, histogram.sum_ms());
            let buckets = histogram.counts().iter().enumerate();
            buckets.for_each(|(bucket, count)| put(&format!("{name} {bucket}"), (*count).into()));
        }
    }
    fields
}

/// The table that these fields say, in the order of its names; a field that nobody knows is left out.
pub fn table<S: AsRef<str>>(fields: impl IntoIterator<Item = (S, u64)>) -> Table {
    let mut rows: BTreeMap<Line, Counts> = BTreeMap::new();
    for (field, number) in fields {
        let parts: Vec<&str> = field.as_ref().splitn(4, BETWEEN).collect();
        let [key, credential, model, counter] = parts[..] else { continue };
        let counts = rows.entry(Line::new(key, credential, model)).or_default();
        let (name, rest) = counter.split_once(' ').unwrap_or((counter, ""));
        match name {
            "failed" => counts.fail(rest, number),
            "away" => counts.turn_away(rest, number),
            "latency" => put(&mut counts.latency, rest, number),
            "first" => put(&mut counts.first_token, rest, number),
            _ => {
                let plain = PLAIN.iter().find(|(known, _)| *known == name);
                plain.into_iter().for_each(|(_, of)| *of(counts) = number);
            }
        }
    }
    let mut table = Table::default();
    rows.iter().for_each(|(line, counts)| table.row(line, usize::MAX).add(counts));
    table
}

/// What has to be added to the fields of a table, so that it has no more rows than this.
pub fn folded(whole: &Table, most: usize) -> Vec<(String, i64)> {
    let mut smaller = whole.clone();
    smaller.fold(most);
    let mut changes: BTreeMap<String, i64> = BTreeMap::new();
    for (sign, table) in [(-1, whole), (1, &smaller)] {
        for (field, number) in fields(table) {
            *changes.entry(field).or_default() += sign * i64::try_from(number).unwrap_or(i64::MAX);
        }
    }
    changes.into_iter().filter(|(_, change)| *change != 0).collect()
}

fn put(histogram: &mut Histogram, bucket: &str, number: u64) {
    match bucket.parse() {
        Ok(bucket) => histogram.set(bucket, number),
        Err(_) => histogram.set_sum(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemini::UsageMetadata;
    use std::time::Duration;

    #[test]
    fn a_table_that_is_folded_by_its_changes_has_the_same_sums_in_fewer_rows() {
        let mut whole = Table::default();
        for model in 0..50 {
            whole.row(&Line::new("key", "cred-0", &format!("m{model}")), 100).fail("429", model + 1);
        }
        let mut now: BTreeMap<String, i64> =
            fields(&whole).into_iter().map(|(field, number)| (field, i64::try_from(number).unwrap())).collect();
        for (field, change) in folded(&whole, 20) {
            *now.entry(field).or_default() += change;
        }
        now.retain(|_, number| *number != 0);
        let smaller = super::table(now.into_iter().map(|(field, number)| (field, u64::try_from(number).unwrap())));
        assert!(smaller.rows().len() <= 20, "{}", smaller.rows().len());
        let failures = |table: &Table| table.rows().iter().map(|(_, counts)| counts.failures()).sum::<u64>();
        assert_eq!(failures(&smaller), failures(&whole));
        assert!(folded(&smaller, 20).is_empty());
    }

    #[test]
    fn what_becomes_fields_is_read_back() {
        let usage = UsageMetadata { images: 2, audio_ms: 7, prompt_token_count: Some(3), ..UsageMetadata::default() };
        let mut table = Table::default();
        for (model, reason) in [("a", "429"), ("b c", "Denied: no\tway")] {
            let counts = table.row(&Line::new("0123456789abcdef", "cred-1", model), 10);
            counts.succeed(&usage, Duration::from_millis(300), Some(Duration::from_millis(9)));
            counts.pay(Some(12));
            counts.fail(reason, 2);
            counts.turn_away("key_expired", 1);
            counts.refused += 1;
        }
        let read = super::table(fields(&table));
        assert_eq!(read.rows(), table.rows());
        assert_eq!(super::table([("no row", 1), ("a\tb\tc\tof another version", 1)]).rows().len(), 1);
    }
}
