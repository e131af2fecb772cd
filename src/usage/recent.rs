//! The last requests: who asked what and how it ended, never a body.

use super::{dollars, seconds};
use crate::calendar;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
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
    /// Pictures that the client got.
    pub images: u64,
    /// Milliseconds of speech, made or written down.
    pub audio_ms: u64,
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
            images: 0,
            audio_ms: 0,
            cost: None,
            error: String::new(),
        }
    }
}

impl Entry {
    /// For the page.
    pub fn json(&self) -> Value {
        let mut text = Vec::new();
        self.write(&mut text);
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Appends it as a line of the history without its end. There is one for each request, so names are written as they are
    /// rather than escaped, and no tree is made.
    pub(super) fn write(&self, line: &mut Vec<u8>) {
        put(line, "{\"time\":", &calendar::iso_ms(self.time));
        put(line, ",\"id\":", &self.id);
        put(line, ",\"key\":", &self.key);
        put(line, ",\"key_id\":", &self.key_id);
        put(line, ",\"surface\":", self.surface);
        put(line, ",\"model\":", &self.model);
        put(line, ",\"credential\":", &self.credential);
        put(line, ",\"status\":", &self.status);
        put(line, ",\"attempts\":", &self.tries.len());
        put(line, ",\"ms\":", &ms(self.latency));
        put(line, ",\"ttft_ms\":", &self.first_token.map(ms));
        put(line, ",\"prompt_tokens\":", &self.prompt_tokens);
        put(line, ",\"cached_tokens\":", &self.cached_tokens);
        put(line, ",\"completion_tokens\":", &self.completion_tokens);
        if self.images > 0 {
            put(line, ",\"images\":", &self.images);
        }
        if self.audio_ms > 0 {
            put(line, ",\"audio_seconds\":", &seconds(self.audio_ms));
        }
        put(line, ",\"cost_usd\":", &self.cost.map(dollars));
        put(line, ",\"error\":", &Some(&self.error).filter(|error| !error.is_empty()));
        put(line, ",\"tries\":", &self.tries);
        line.push(b'}');
    }
}

fn put<T: Serialize + ?Sized>(line: &mut Vec<u8>, name: &str, value: &T) {
    line.extend_from_slice(name.as_bytes());
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(line, value);
}

fn as_ms<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    ms(*time).serialize(to)
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The ring.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Arc<Entry>>);

impl Recent {
    pub(super) fn push(&mut self, entry: Arc<Entry>) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    /// Newest first.
    pub(super) fn list(&self) -> Vec<Arc<Entry>> {
        self.0.iter().rev().cloned().collect()
    }
}
