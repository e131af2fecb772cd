//! Thought signatures by tool call id, for clients that do not send them back (docs/thinking.md "How signatures travel
//! through clients").
//!
//! Owns the cache and what can be said about a signature without knowing its content. Where one goes in a request is
//! the surfaces' business.

use super::Content;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
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
    others: OnceLock<Arc<dyn Others>>,
}

/// Those who remember the same for requests that come to them.
pub trait Others: Send + Sync {
    /// Tells them, a moment later.
    fn tell(&self, signature: Kept);

    /// What they know of those with these hashes; who does not answer soon knows nothing.
    fn ask(&self, hashes: Vec<String>) -> Vec<Kept>;
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<Key, Entry>,
    /// Keys by the time of their last use, oldest first.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
    /// Rises with every signature.
    changes: u64,
}

struct Entry {
    family: Arc<str>,
    signature: Arc<str>,
    is_text: bool,
    stored: Instant,
    last_use: u64,
}

/// A signature as it is kept outside of the memory: the hash of client key and call id, the family, the signature or what else
/// was remembered without text, and its age in seconds. No text of a conversation.
#[derive(Serialize, Deserialize)]
pub struct Kept(String, String, String, u64);

impl Kept {
    /// The hash.
    pub fn hash(&self) -> &str {
        &self.0
    }
}

impl SignatureCache {
    /// Holds at most `max_bytes` of keys and signatures, each for `ttl`.
    pub fn new(max_bytes: usize, ttl: Duration) -> SignatureCache {
        SignatureCache { max_bytes, ttl, entries: Mutex::default(), others: OnceLock::new() }
    }

    /// Remembers the signature of a call that was answered to the client `key_name` by a model of `family`
    /// (see [`family`]).
    pub fn put(&self, key_name: &str, call_id: &str, family: &str, signature: &str) {
        let key = key(key_name, call_id);
        self.put_at(Instant::now(), key, family, signature, false);
        if let Some(others) = self.others.get().filter(|_| !signature.is_empty()) {
            others.tell(Kept(URL_SAFE_NO_PAD.encode(key), family.into(), signature.into(), 0));
        }
    }

    /// From now on others are told and asked.
    pub fn share(&self, others: Arc<dyn Others>) {
        let _ = self.others.set(others);
    }

    /// Has what others know of these calls where it is not known here, asked for at once.
    pub fn fetch(&self, key_name: &str, call_ids: impl Iterator<Item = String>) {
        let Some(others) = self.others.get() else { return };
        let entries = self.entries.lock();
        let unknown = call_ids.map(|id| key(key_name, &id)).filter(|key| !entries.by_key.contains_key(key));
        let unknown: Vec<String> = unknown.map(|key| URL_SAFE_NO_PAD.encode(key)).collect();
        drop(entries);
        if !unknown.is_empty() {
            self.restore(others.ask(unknown), Duration::ZERO);
        }
    }

    /// The same for what is text of the conversation, and so never leaves the memory.
    pub fn put_text(&self, key_name: &str, name: &str, family: &str, text: &str) {
        self.put_at(Instant::now(), key(key_name, name), family, text, true);
    }

    /// The signature, if it was made for the same client key and model family.
    pub fn get(&self, key_name: &str, call_id: &str, family: &str) -> Option<String> {
        self.get_at(Instant::now(), key_name, call_id, family)
    }

    /// Whether just this signature was made for this call by models of another family.
    pub fn is_of_others(&self, key_name: &str, call_id: &str, family: &str, signature: &str) -> bool {
        let entries = self.entries.lock();
        let made = entries.by_key.get(&key(key_name, call_id));
        made.is_some_and(|made| &*made.family != family && &*made.signature == signature)
    }

    /// Rises with every signature that is remembered.
    pub fn changes(&self) -> u64 {
        self.entries.lock().changes
    }

    /// The signatures used last, the latest first, of as many bytes as are wanted at most.
    pub fn kept(&self, max_bytes: usize) -> Vec<Kept> {
        let now = Instant::now();
        let entries = self.entries.lock();
        let mut bytes = 0;
        // Copied later, since requests wait for the lock.
        let latest = entries.by_use.values().rev().filter_map(|key| Some((key, entries.by_key.get(key)?)));
        let latest = latest.filter(|(_, entry)| !entry.is_text && now - entry.stored < self.ttl);
        let few = latest.take_while(|(_, entry)| {
            bytes += entry.size();
            bytes <= max_bytes
        });
        let shared = few.map(|(key, entry)| (*key, entry.family.clone(), entry.signature.clone(), entry.stored));
        let shared: Vec<_> = shared.collect();
        drop(entries);
        let kept = shared.into_iter().map(|(key, family, signature, stored)| {
            Kept(URL_SAFE_NO_PAD.encode(key), family.to_string(), signature.to_string(), (now - stored).as_secs())
        });
        kept.collect()
    }

    /// Takes back what [`SignatureCache::kept`] gave, that long ago.
    pub fn restore(&self, kept: Vec<Kept>, ago: Duration) {
        let now = Instant::now();
        for Kept(key, family, signature, age) in kept.into_iter().rev() {
            let stored = now.checked_sub(ago.saturating_add(Duration::from_secs(age)));
            let key = URL_SAFE_NO_PAD.decode(key).ok().and_then(|key| Key::try_from(key).ok());
            if let (Some(key), Some(stored)) = (key, stored.filter(|stored| now - *stored < self.ttl)) {
                self.put_at(stored, key, &family, &signature, false);
            }
        }
    }

    fn put_at(&self, now: Instant, key: Key, family: &str, signature: &str, is_text: bool) {
        let mut entry = Entry { family: family.into(), signature: signature.into(), is_text, stored: now, last_use: 0 };
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
        entries.changes += u64::from(!is_text);
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
    let name = model.rsplit('/').next().unwrap_or(model);
    let first = |at: &usize| name[at + 1..].split('-').next();
    let mut dashes = name.match_indices('-').map(|(at, _)| at);
    let end = dashes.find(|at| matches!(first(at), Some("preview" | "exp" | "latest")));
    let mut name = &name[..end.unwrap_or(name.len())];
    // `-001`, `-05-06`, `-09-2025`; a single digit is a generation, as in `gemini-4`.
    while let Some((rest, last)) = name.rsplit_once('-') {
        if last.len() < 2 || !last.bytes().all(|byte| byte.is_ascii_digit()) {
            break;
        }
        name = rest;
    }
    name
}

/// In the current turn, that is after the newest turn in which the user said something, Gemini 3 refuses a step whose
/// first call has no signature: a lost one becomes the placeholder.
pub fn sign_first_calls(turns: &mut [Content]) {
    let says_something = |turn: &Content| {
        turn.role.as_deref() == Some("user") && turn.parts.iter().any(|p| p.function_response.is_none())
    };
    let start = turns.iter().rposition(says_something).unwrap_or(0);
    for turn in turns[start..].iter_mut().filter(|turn| turn.role.as_deref() == Some("model")) {
        if let Some(first) = turn.parts.iter_mut().find(|part| part.function_call.is_some()) {
            first.thought_signature.get_or_insert_with(|| PLACEHOLDER.into());
        }
    }
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
        cache.put_at(start, key("k", "c"), "f", "U0lH", false);
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

    #[test]
    fn what_is_kept_comes_back_as_old_as_it_was_and_holds_no_text() {
        let cache = SignatureCache::new(1 << 20, HOUR);
        cache.put("k", "first", "f", "U0lH");
        cache.put("k", "second", "f", "TkVX");
        cache.put_text("k", "arguments", "f", "a text of the conversation");
        assert_eq!(cache.changes(), 2);
        let written = serde_json::to_string(&cache.kept(1 << 20)).unwrap();
        assert!(!written.contains("conversation") && !written.contains("first"), "{written}");
        let read = || serde_json::from_str::<Vec<Kept>>(&written).unwrap();

        let later = SignatureCache::new(1 << 20, HOUR);
        later.restore(read(), HOUR / 2);
        assert_eq!(later.get("k", "first", "f").as_deref(), Some("U0lH"));
        assert_eq!(later.get("other", "first", "f"), None);
        assert!(later.get_at(Instant::now() + HOUR / 2, "k", "first", "f").is_none(), "its time goes on");
        let too_late = SignatureCache::new(1 << 20, HOUR);
        too_late.restore(read(), HOUR);
        assert_eq!(too_late.entries.lock().by_key.len(), 0);

        let last = later.kept(ENTRY_OVERHEAD + 5);
        assert_eq!(
            last.iter().map(|kept| kept.2.as_str()).collect::<Vec<_>>(),
            ["TkVX"],
            "the latest first, few bytes"
        );
    }
}
