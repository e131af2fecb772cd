//! Thought signatures by tool call id, for clients that do not send them back (docs/thinking.md "How signatures travel
//! through clients").
//!
//! Owns the cache and what can be said about a signature without knowing its content. Where one goes in a request is
//! the surfaces' business.

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What Google accepts on a first functionCall whose real signature is lost.
pub const PLACEHOLDER: &str = "skip_thought_signature_validator";

/// Charged per entry on top of the texts: the key twice, the times, the tables' own slots. An estimate.
const ENTRY_OVERHEAD: usize = 192;

/// Hash of client key and call id: entries have a fixed size however long the ids are that clients invent.
type Key = [u8; 32];

/// A bounded cache: least recently used goes first, entries end after a while, and no client key sees another's.
pub struct SignatureCache {
    max_bytes: usize,
    ttl: Duration,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<Key, Entry>,
    /// Keys by the time of their last use, oldest first.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
}

struct Entry {
    family: Arc<str>,
    signature: Arc<str>,
    stored: Instant,
    last_use: u64,
}

impl SignatureCache {
    /// Holds at most `max_bytes` of keys and signatures, each for `ttl`.
    pub fn new(max_bytes: usize, ttl: Duration) -> SignatureCache {
        SignatureCache { max_bytes, ttl, entries: Mutex::default() }
    }

    /// Remembers the signature of a call that was answered to the client `key_name` by a model of `family`
    /// (see [`family`]).
    pub fn put(&self, key_name: &str, call_id: &str, family: &str, signature: &str) {
        self.put_at(Instant::now(), key_name, call_id, family, signature);
    }

    /// The signature, if it was made for the same client key and model family.
    pub fn get(&self, key_name: &str, call_id: &str, family: &str) -> Option<String> {
        self.get_at(Instant::now(), key_name, call_id, family)
    }

    fn put_at(&self, now: Instant, key_name: &str, call_id: &str, family: &str, signature: &str) {
        let key = key(key_name, call_id);
        let mut entry = Entry { family: family.into(), signature: signature.into(), stored: now, last_use: 0 };
        if signature.is_empty() || entry.size() > self.max_bytes {
            return;
        }
        let mut entries = self.entries.lock();
        entries.remove(&key);
        while let Some(oldest) = entries.oldest() {
            let expired = now.saturating_duration_since(entries.by_key[&oldest].stored) >= self.ttl;
            if !expired && entries.bytes + entry.size() <= self.max_bytes {
                break;
            }
            entries.remove(&oldest);
        }
        entries.uses += 1;
        entry.last_use = entries.uses;
        entries.bytes += entry.size();
        entries.by_use.insert(entry.last_use, key);
        entries.by_key.insert(key, entry);
    }

    fn get_at(&self, now: Instant, key_name: &str, call_id: &str, family: &str) -> Option<String> {
        let key = key(key_name, call_id);
        let signature = self.entries.lock().touch(&key, now, self.ttl, family)?;
        Some(signature.to_string())
    }
}

impl Entries {
    fn oldest(&self) -> Option<Key> {
        self.by_use.first_key_value().map(|(_, key)| *key)
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.by_key.remove(key) {
            self.by_use.remove(&entry.last_use);
            self.bytes -= entry.size();
        }
    }

    fn touch(&mut self, key: &Key, now: Instant, ttl: Duration, family: &str) -> Option<Arc<str>> {
        let entry = self.by_key.get_mut(key)?;
        if now.saturating_duration_since(entry.stored) >= ttl {
            self.remove(key);
            return None;
        }
        if &*entry.family != family {
            return None;
        }
        self.uses += 1;
        self.by_use.remove(&entry.last_use);
        self.by_use.insert(self.uses, *key);
        entry.last_use = self.uses;
        Some(entry.signature.clone())
    }
}

impl Entry {
    fn size(&self) -> usize {
        self.signature.len() + self.family.len() + ENTRY_OVERHEAD
    }
}

fn key(key_name: &str, call_id: &str) -> Key {
    let mut hash = Sha256::new();
    // The length keeps ("a", "bc") and ("ab", "c") apart.
    hash.update((key_name.len() as u64).to_le_bytes());
    hash.update(key_name);
    hash.update(call_id);
    hash.finalize().into()
}

/// The model family a signature belongs to: `gemini-3.1-pro-preview` -> `gemini-3.1-pro`; previews and dates are cut.
pub fn family(model: &str) -> &str {
    let mut name = model.rsplit('/').next().unwrap_or(model);
    for mark in ["-preview", "-exp", "-latest"] {
        if let Some(at) = name.match_indices(mark).map(|(at, _)| at).find(|at| ends_word(&name[at + mark.len()..])) {
            name = &name[..at];
        }
    }
    // `-001`, `-05-06`, `-09-2025`; a single digit is a generation, as in `gemini-4`.
    while let Some((rest, last)) = name.rsplit_once('-') {
        if last.len() < 2 || !last.bytes().all(|byte| byte.is_ascii_digit()) {
            break;
        }
        name = rest;
    }
    name
}

fn ends_word(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('-')
}

/// Whether a text can be a signature at all: non-empty base64 in either alphabet.
pub fn plausible(signature: &str) -> bool {
    let digits = signature.trim_end_matches('=');
    let padding = signature.len() - digits.len();
    if digits.is_empty() || digits.len() % 4 == 1 || padding > 2 || (padding > 0 && !signature.len().is_multiple_of(4))
    {
        return false;
    }
    let of = |extra: &[u8]| digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte));
    of(b"+/") || of(b"-_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_second_signature_for_the_same_call_replaces_the_first() {
        let cache = SignatureCache::new(1 << 20, HOUR);
        cache.put("k", "c", "f", "first");
        let bytes = cache.entries.lock().bytes;
        cache.put("k", "c", "f", "other");
        assert_eq!(cache.get("k", "c", "f").as_deref(), Some("other"));
        assert_eq!(cache.entries.lock().bytes, bytes);
    }

    #[test]
    fn entries_end_after_their_time_however_often_they_are_read() {
        let cache = SignatureCache::new(1 << 20, HOUR);
        let start = Instant::now();
        cache.put_at(start, "k", "c", "f", "U0lH");
        assert!(cache.get_at(start + HOUR / 2, "k", "c", "f").is_some());
        assert!(cache.get_at(start + HOUR, "k", "c", "f").is_none());
        assert_eq!(cache.entries.lock().bytes, 0);
    }

    #[test]
    fn the_least_recently_used_goes_first_and_the_bytes_stay_bounded() {
        let size = ENTRY_OVERHEAD + 1 + 100;
        let cache = SignatureCache::new(3 * size, HOUR);
        let signature = "s".repeat(100);
        for id in ["a", "b", "c"] {
            cache.put("k", id, "f", &signature);
        }
        assert!(cache.get("k", "a", "f").is_some());
        cache.put("k", "d", "f", &signature);
        let left: Vec<&str> = ["a", "b", "c", "d"].into_iter().filter(|id| cache.get("k", id, "f").is_some()).collect();
        assert_eq!(left, ["a", "c", "d"]);

        for number in 0..1000usize {
            cache.put("k", &number.to_string(), "f", &"x".repeat(number % 300));
            let entries = cache.entries.lock();
            assert!(entries.bytes <= 3 * size);
            assert_eq!(entries.by_key.len(), entries.by_use.len());
            assert_eq!(entries.bytes, entries.by_key.values().map(Entry::size).sum::<usize>());
        }
    }
}
