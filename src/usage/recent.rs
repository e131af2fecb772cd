//! The last requests, in memory only: who asked what and how it ended, never a body.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

/// How many are kept.
pub const KEPT: usize = 200;

/// One generation request.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When it ended.
    pub time: SystemTime,
    /// `X-Request-ID`.
    pub id: String,
    /// The client key's name.
    pub key: String,
    /// `chat`, `gemini`, ...
    pub surface: &'static str,
    /// The model's base name; empty when the request could not be read.
    pub model: String,
    /// Who answered or failed last; empty when nobody was asked.
    pub credential: String,
    /// The HTTP status, 499 for a client that left.
    pub status: u16,
    /// Attempts.
    pub attempts: u32,
    /// From the whole request to the end of the answer.
    pub latency: Duration,
    /// From the whole request to the first piece of content, for streams.
    pub first_token: Option<Duration>,
    /// Prompt tokens.
    pub prompt_tokens: u64,
    /// Answer and thinking.
    pub completion_tokens: u64,
    /// The error's code or the word `gone`, and Google's reason; empty for a good answer.
    pub error: String,
}

/// The ring.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Entry>);

impl Recent {
    pub(super) fn push(&mut self, entry: Entry) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    /// Newest first.
    pub(super) fn list(&self) -> Vec<Entry> {
        self.0.iter().rev().cloned().collect()
    }
}
