//! Counters by key, credential and model in order of first use, never more rows than a bound: beyond it the smallest rows
//! become one called [`OTHER`], so that sums stay right.

use super::Histogram;
use crate::gemini::UsageMetadata;
use serde_json::Value;
use std::cmp::Reverse;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// What stands for names that were folded together.
pub const OTHER: &str = "(other)";
/// Longest name kept; clients choose model names.
const LONGEST_NAME: usize = 128;
/// Different reasons kept per row; Google's reasons are about ten.
const MOST_REASONS: usize = 24;

/// Who used what.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Line {
    /// The mark of the client key.
    pub key: String,
    /// The credential's name, `cred-0`; empty when none was asked.
    pub credential: String,
    /// The model's base name.
    pub model: String,
}

impl Line {
    /// With names cut to a length that is fit to keep.
    pub fn new(key: &str, credential: &str, model: &str) -> Line {
        let kept = |name: &str| {
            let end = (0..=name.len().min(LONGEST_NAME)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
            name[..end].to_owned()
        };
        Line { key: kept(key), credential: kept(credential), model: kept(model) }
    }

    fn hashed(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// Counts of one [`Line`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were answered.
    pub successful: u64,
    /// Requests that ended in an error, after however many attempts, or none.
    pub refused: u64,
    /// Those of them for which Google was not asked, by the error's code: a limit of the key, a model that it may not use or
    /// that does not exist, a request that cannot be read.
    pub turned_away: Vec<(String, u64)>,
    /// Attempts that failed, by HTTP status, `Exception` or `Denied: <reason>`, in order of first occurrence.
    pub failed: Vec<(String, u64)>,
    /// Google's totals.
    pub total_tokens: u64,
    /// Prompt, cached part included.
    pub prompt_tokens: u64,
    /// Answer without thoughts.
    pub candidates_tokens: u64,
    /// Thinking.
    pub thoughts_tokens: u64,
    /// Cached part of the prompt.
    pub cached_tokens: u64,
    /// Pictures in answers.
    pub images: u64,
    /// Milliseconds of speech, made and written down.
    pub audio_ms: u64,
    /// What requests cost whose tokens Google counted, in nanodollars.
    pub cost: u64,
    /// Those of them for which no price is known.
    pub unpriced: u64,
    /// Answered requests: from the whole request to the end of the answer.
    pub latency: Histogram,
    /// Answered streams: from the whole request to the first piece of content.
    pub first_token: Histogram,
}

impl Counts {
    /// All requests that ended.
    pub fn requests(&self) -> u64 {
        self.successful + self.refused
    }

    /// Those that the proxy turned away itself.
    pub fn own_refusals(&self) -> u64 {
        self.turned_away.iter().map(|(_, count)| count).sum()
    }

    /// Those that it did not, as limits count them.
    pub fn admitted(&self) -> u64 {
        self.requests() - self.own_refusals()
    }

    /// Failed attempts in all.
    pub fn failures(&self) -> u64 {
        self.failed.iter().map(|(_, count)| count).sum()
    }

    pub(super) fn succeed(&mut self, usage: &UsageMetadata, latency: Duration, first_token: Option<Duration>) {
        self.successful += 1;
        self.spend(usage);
        self.latency.record(latency);
        if let Some(time) = first_token {
            self.first_token.record(time);
        }
    }

    /// Counts a request that was not answered, with what Google had counted of it.
    pub(super) fn break_off(&mut self, usage: &UsageMetadata, cost: Option<u64>) {
        self.refused += 1;
        if usage.has_tokens() {
            self.spend(usage);
            self.pay(cost);
        }
    }

    /// Adds what Google counted.
    fn spend(&mut self, usage: &UsageMetadata) {
        let count = |tokens: Option<u64>| tokens.unwrap_or(0);
        let prompt = count(usage.prompt_token_count);
        let candidates = count(usage.candidates_token_count);
        let thoughts = count(usage.thoughts_token_count);
        self.total_tokens += usage.total_token_count.unwrap_or(prompt + candidates + thoughts);
        self.prompt_tokens += prompt;
        self.candidates_tokens += candidates;
        self.thoughts_tokens += thoughts;
        self.cached_tokens += count(usage.cached_content_token_count);
        self.images += usage.images;
        self.audio_ms += usage.audio_ms;
    }

    /// Adds pictures and speech to a document, where there were any.
    pub(super) fn tell_media(&self, entry: &mut Value) {
        if self.images > 0 {
            entry["images"] = self.images.into();
        }
        if self.audio_ms > 0 {
            entry["audio_seconds"] = seconds(self.audio_ms).into();
        }
    }

    pub(super) fn pay(&mut self, cost: Option<u64>) {
        self.cost = self.cost.saturating_add(cost.unwrap_or(0));
        self.unpriced += u64::from(cost.is_none());
    }

    pub(super) fn fail(&mut self, reason: &str, times: u64) {
        count(&mut self.failed, MOST_REASONS, reason, times);
    }

    pub(super) fn turn_away(&mut self, reason: &str, times: u64) {
        count(&mut self.turned_away, MOST_REASONS, reason, times);
    }

    /// Adds all of another one.
    pub fn add(&mut self, other: &Counts) {
        self.successful += other.successful;
        self.refused += other.refused;
        self.total_tokens += other.total_tokens;
        self.prompt_tokens += other.prompt_tokens;
        self.candidates_tokens += other.candidates_tokens;
        self.thoughts_tokens += other.thoughts_tokens;
        self.cached_tokens += other.cached_tokens;
        self.images += other.images;
        self.audio_ms += other.audio_ms;
        self.cost = self.cost.saturating_add(other.cost);
        self.unpriced += other.unpriced;
        self.latency.add(&other.latency);
        self.first_token.add(&other.first_token);
        for (reason, count) in &other.failed {
            self.fail(reason, *count);
        }
        for (reason, count) in &other.turned_away {
            self.turn_away(reason, *count);
        }
    }
}

/// Milliseconds for readers.
pub fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// Counts a word; those beyond the first `most` are counted together.
pub(super) fn count(words: &mut Vec<(String, u64)>, most: usize, word: &str, times: u64) {
    let is_new = words.len() >= most && !words.iter().any(|(known, _)| known == word);
    let word = if is_new { OTHER } else { word };
    entry(words, |(known, _)| known == word, || (word.to_owned(), 0)).1 += times;
}

/// The item that is looked for, made when it is not in the list.
pub(super) fn entry<T>(list: &mut Vec<T>, is_it: impl FnMut(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    let at = list.iter().position(is_it).unwrap_or_else(|| {
        list.push(new());
        list.len() - 1
    });
    &mut list[at]
}

/// Sums by one of the names, in order of first use.
pub fn sum_by<'a>(
    rows: impl IntoIterator<Item = &'a (Line, Counts)>,
    name: impl Fn(&'a Line) -> &'a str,
) -> Vec<(String, Counts)> {
    let mut sums = Vec::new();
    for (line, counts) in rows {
        let name = name(line);
        entry(&mut sums, |(known, _)| known == name, || (name.to_owned(), Counts::default())).1.add(counts);
    }
    sums
}

/// Puts the heaviest first; those of one weight stay as they were.
pub fn most_first(sums: &mut [(String, Counts)], weight: fn(&Counts) -> (u64, u64)) {
    sums.sort_by_key(|(_, counts)| Reverse(weight(counts)));
}

/// Rows in order of first use.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<(Line, Counts)>,
    /// Of each row's line: a search compares numbers, and names only where they agree. No lookup allocates.
    hashes: Vec<u64>,
}

impl Table {
    /// The rows.
    pub fn rows(&self) -> &[(Line, Counts)] {
        &self.rows
    }

    /// The counts of `line`, made when they are new. With `most` rows already there the smallest are folded first.
    pub(super) fn row(&mut self, line: &Line, most: usize) -> &mut Counts {
        let hash = line.hashed();
        if let Some(at) = self.find(line, hash) {
            return &mut self.rows[at].1;
        }
        if self.rows.len() >= most {
            self.fold(most / 2);
        }
        self.rows.push((line.clone(), Counts::default()));
        self.hashes.push(hash);
        let last = self.rows.len() - 1;
        &mut self.rows[last].1
    }

    fn find(&self, line: &Line, hash: u64) -> Option<usize> {
        self.hashes.iter().zip(&self.rows).position(|(known, (owner, _))| *known == hash && owner == line)
    }

    /// Folds the smallest rows until at most `most` are left (at least one): first over keys and credentials, which keeps
    /// the sums by model; then over models too.
    pub(super) fn fold(&mut self, most: usize) {
        let most = most.max(1);
        if self.rows.len() > most {
            self.fold_into(most * 3 / 4, |line| Line { key: OTHER.into(), credential: OTHER.into(), ..line });
        }
        if self.rows.len() > most {
            self.fold_into(most - 1, |_| Line { key: OTHER.into(), credential: OTHER.into(), model: OTHER.into() });
        }
    }

    /// Keeps the `kept` largest rows; the others go where `place` says.
    fn fold_into(&mut self, kept: usize, place: impl Fn(Line) -> Line) {
        let mut sizes: Vec<(u64, usize)> = self.rows.iter().map(|(_, counts)| weight(counts)).zip(0..).collect();
        sizes.sort_unstable_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
        let mut keep = vec![false; self.rows.len()];
        sizes.iter().take(kept).for_each(|(_, at)| keep[*at] = true);
        let mut folded = Table::default();
        for ((line, counts), keep) in std::mem::take(&mut self.rows).into_iter().zip(keep) {
            let line = if keep { line } else { place(line) };
            folded.row(&line, usize::MAX).add(&counts);
        }
        *self = folded;
    }
}

fn weight(counts: &Counts) -> u64 {
    counts.requests() + counts.failures()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(table: &Table) -> Counts {
        let mut sum = Counts::default();
        table.rows().iter().for_each(|(_, counts)| sum.add(counts));
        sum
    }

    #[test]
    fn a_table_never_grows_beyond_its_bound_and_loses_no_count() {
        let mut table = Table::default();
        for round in 0..5000u32 {
            let line = Line::new("key", "cred-0", &format!("model-{}", round % 997));
            table.row(&line, 100).fail("429", 1);
            assert!(table.rows().len() <= 100, "round {round}");
        }
        assert_eq!(sum(&table).failures(), 5000);
    }

    #[test]
    fn folding_keeps_the_largest_rows_and_the_sums_by_model_as_long_as_it_can() {
        let mut table = Table::default();
        for key in 0..20u32 {
            for _ in 0..=key {
                table.row(&Line::new(&format!("key-{key}"), "cred-0", "gemini-2.5-pro"), 1000).fail("500", 1);
            }
        }
        table.fold(8);
        assert!(table.rows().len() <= 8);
        assert!(table.rows().iter().any(|(line, counts)| line.key == "key-19" && counts.failures() == 20));
        assert!(table.rows().iter().all(|(line, _)| line.model == "gemini-2.5-pro"));
        assert_eq!(sum(&table).failures(), 210);
    }

    #[test]
    fn reasons_are_bounded_too() {
        let mut counts = Counts::default();
        (0..100).for_each(|reason| counts.fail(&format!("Denied: {reason}"), 1));
        assert_eq!((counts.failed.len(), counts.failures()), (MOST_REASONS + 1, 100));
    }

    #[test]
    fn names_are_cut_at_a_character() {
        let line = Line::new("k", "c", &"é".repeat(100));
        assert_eq!(line.model, "é".repeat(64));
    }
}
