//! What was used: counted once per request by the handler, per API key, credential and model, in order of first use.

mod report;

pub use report::Reporter;

use crate::gemini::UsageMetadata;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Who used what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// The API key's name, safe to show.
    pub key: String,
    /// The credential's name, `cred-0`.
    pub credential: String,
    /// The model's base name.
    pub model: String,
}

/// Counts of one [`Line`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were answered.
    pub successful: u64,
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
}

impl Counts {
    fn succeed(&mut self, usage: &UsageMetadata) {
        let count = |tokens: Option<u64>| tokens.unwrap_or(0);
        let prompt = count(usage.prompt_token_count);
        let candidates = count(usage.candidates_token_count);
        let thoughts = count(usage.thoughts_token_count);
        self.successful += 1;
        self.total_tokens += usage.total_token_count.unwrap_or(prompt + candidates + thoughts);
        self.prompt_tokens += prompt;
        self.candidates_tokens += candidates;
        self.thoughts_tokens += thoughts;
        self.cached_tokens += count(usage.cached_content_token_count);
    }

    fn fail(&mut self, reason: &str) {
        match self.failed.iter_mut().find(|(known, _)| known == reason) {
            Some((_, count)) => *count += 1,
            None => self.failed.push((reason.to_owned(), 1)),
        }
    }

    fn add(&mut self, other: &Counts) {
        self.successful += other.successful;
        self.total_tokens += other.total_tokens;
        self.prompt_tokens += other.prompt_tokens;
        self.candidates_tokens += other.candidates_tokens;
        self.thoughts_tokens += other.thoughts_tokens;
        self.cached_tokens += other.cached_tokens;
        for (reason, count) in &other.failed {
            match self.failed.iter_mut().find(|(known, _)| known == reason) {
                Some((_, mine)) => *mine += count,
                None => self.failed.push((reason.clone(), *count)),
            }
        }
    }
}

/// All counters.
#[derive(Debug, Default)]
pub struct Usage {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    rows: Vec<(Line, Counts)>,
    index: HashMap<Line, usize>,
    /// Rises with every change, so that the report knows whether there is anything new.
    version: u64,
}

impl Table {
    fn row(&mut self, line: Line) -> &mut Counts {
        self.version += 1;
        let at = *self.index.entry(line.clone()).or_insert_with(|| {
            self.rows.push((line, Counts::default()));
            self.rows.len() - 1
        });
        &mut self.rows[at].1
    }
}

impl Usage {
    /// Counts an answered request with Google's last token counts.
    pub fn success(&self, line: Line, usage: &UsageMetadata) {
        self.table.lock().row(line).succeed(usage);
    }

    /// Counts a failed attempt.
    pub fn failure(&self, line: Line, reason: &str) {
        self.table.lock().row(line).fail(reason);
    }

    /// Forgets everything.
    pub fn reset(&self) {
        let mut table = self.table.lock();
        table.rows.clear();
        table.index.clear();
        table.version += 1;
    }

    /// All rows in order of first use, and the version of the counters.
    pub fn rows(&self) -> (Vec<(Line, Counts)>, u64) {
        let table = self.table.lock();
        (table.rows.clone(), table.version)
    }

    /// Sums by model, in order of first use.
    pub fn by_model(&self) -> Vec<(String, Counts)> {
        sum_by_model(&self.rows().0)
    }

    /// The old program's `GET /admin/usage` (drop_in_contract.md 6.9); scripts take its top-level keys for models.
    pub fn json(&self) -> Value {
        let mut models = Map::new();
        for (model, counts) in self.by_model() {
            let failed: Map<String, Value> =
                counts.failed.iter().map(|(reason, count)| (reason.clone(), json!(count))).collect();
            let entry = json!({
                "successful_requests": counts.successful,
                "failed_requests": failed,
                "total_tokens": counts.total_tokens,
                "prompt_tokens": counts.prompt_tokens,
                "candidates_tokens": counts.candidates_tokens,
                "thoughts_tokens": counts.thoughts_tokens,
                "cached_content_token_count": counts.cached_tokens,
            });
            models.insert(model, entry);
        }
        Value::Object(models)
    }
}

fn sum_by_model(rows: &[(Line, Counts)]) -> Vec<(String, Counts)> {
    let mut models: Vec<(String, Counts)> = Vec::new();
    for (line, counts) in rows {
        match models.iter_mut().find(|(model, _)| *model == line.model) {
            Some((_, sum)) => sum.add(counts),
            None => models.push((line.model.clone(), counts.clone())),
        }
    }
    models
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(key: &str, credential: &str, model: &str) -> Line {
        Line { key: key.into(), credential: credential.into(), model: model.into() }
    }

    #[test]
    fn the_old_shape_sums_over_keys_and_credentials() {
        let usage = Usage::default();
        let tokens = UsageMetadata {
            prompt_token_count: Some(10),
            candidates_token_count: Some(5),
            thoughts_token_count: Some(3),
            cached_content_token_count: Some(4),
            total_token_count: Some(18),
            ..UsageMetadata::default()
        };
        usage.success(line("a", "cred-0", "gemini-2.5-flash"), &tokens);
        usage.success(line("b", "cred-1", "gemini-2.5-flash"), &tokens);
        usage.failure(line("b", "cred-0", "gemini-2.5-flash"), "429");
        usage.failure(line("b", "cred-1", "gemini-2.5-flash"), "429");
        assert_eq!(
            usage.json().to_string(),
            r#"{"gemini-2.5-flash":{"successful_requests":2,"failed_requests":{"429":2},"total_tokens":36,"prompt_tokens":20,"candidates_tokens":10,"thoughts_tokens":6,"cached_content_token_count":8}}"#
        );
        usage.reset();
        assert_eq!(usage.json().to_string(), "{}");
    }
}
