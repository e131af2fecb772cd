//! The last requests: who asked what and how it ended, never a body.

use super::dollars;
use crate::calendar;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use serde_json::Value;
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
    /// Its mark, which stays when the name changes.
    pub key_id: String,
    /// `chat`, `gemini`, ...
    pub surface: &'static str,
    /// The model's base name; what the client wrote when it is none.
    pub model: String,
    /// Who answered or failed last; empty when nobody was asked.
    pub credential: String,
    /// The HTTP status, 499 for a client that left.
    pub status: u16,
    /// Who was asked, one after the other.
    pub tries: Vec<Try>,
    /// From the whole request to the end of the answer.
    pub latency: Duration,
    /// From the whole request to the first piece of content, for streams.
    pub first_token: Option<Duration>,
    /// Prompt tokens.
    pub prompt_tokens: u64,
    /// Of these, from Google's cache.
    pub cached_tokens: u64,
    /// Answer and thinking.
    pub completion_tokens: u64,
    /// In nanodollars, where it was answered and a price is known.
    pub cost: Option<u64>,
    /// The error's code or the word `gone`, and Google's reason; empty for a good answer.
    pub error: String,
}

/// One attempt.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Try {
    /// The credential.
    pub credential: String,
    /// A status of Google's, or a word such as `TIMEOUT`.
    pub status: String,
    /// The reason word, where it failed.
    pub reason: String,
    /// What Google said, or what we say of it where that would name an account.
    pub said: String,
    /// Since the beginning of the request.
    #[serde(rename = "ms", serialize_with = "as_ms")]
    pub at: Duration,
}

impl Default for Entry {
    fn default() -> Entry {
        Entry {
            time: SystemTime::UNIX_EPOCH,
            id: String::new(),
            key: String::new(),
            key_id: String::new(),
            surface: "",
            model: String::new(),
            credential: String::new(),
            status: 0,
            tries: Vec::new(),
            latency: Duration::ZERO,
            first_token: None,
            prompt_tokens: 0,
            cached_tokens: 0,
            completion_tokens: 0,
            cost: None,
            error: String::new(),
        }
    }
}

impl Entry {
    /// For the page.
    pub fn json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// A line of the history is written for each request, so no tree is made of it.
impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut line = to.serialize_struct("Entry", 17)?;
        line.serialize_field("time", &calendar::iso_ms(self.time))?;
        line.serialize_field("id", &self.id)?;
        line.serialize_field("key", &self.key)?;
        line.serialize_field("key_id", &self.key_id)?;
        line.serialize_field("surface", &self.surface)?;
        line.serialize_field("model", &self.model)?;
        line.serialize_field("credential", &self.credential)?;
        line.serialize_field("status", &self.status)?;
        line.serialize_field("attempts", &self.tries.len())?;
        line.serialize_field("ms", &ms(self.latency))?;
        line.serialize_field("ttft_ms", &self.first_token.map(ms))?;
        line.serialize_field("prompt_tokens", &self.prompt_tokens)?;
        line.serialize_field("cached_tokens", &self.cached_tokens)?;
        line.serialize_field("completion_tokens", &self.completion_tokens)?;
        line.serialize_field("cost_usd", &self.cost.map(dollars))?;
        line.serialize_field("error", &Some(&self.error).filter(|error| !error.is_empty()))?;
        line.serialize_field("tries", &self.tries)?;
        line.end()
    }
}

fn as_ms<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    ms(*time).serialize(to)
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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
