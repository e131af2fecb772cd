//! Responses that were given, in memory, for clients that go on from one by its id. Each client key sees its own only, and
//! all of it is bounded: in bytes together, in entries for each key, in age.
//!
//! What is kept is JSON text, a fraction of the memory that parsed values take.

use parking_lot::Mutex;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a response can be asked for after it was made or used last.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Responses of one client key.
const ENTRIES: usize = 4096;
/// Charged for each entry beside its texts. An estimate.
const OVERHEAD: usize = 256;
/// Characters of the random part of a response's id, which the ids of its items repeat.
pub(super) const ID: usize = 32;

/// The store of all client keys.
pub struct Store {
    most: AtomicUsize,
    shelves: Mutex<HashMap<String, Shelf>>,
}

/// What belongs to one client key.
#[derive(Default)]
struct Shelf {
    /// Those used last stand last.
    entries: VecDeque<Entry>,
    /// Bytes of all texts that are alive, also of those that only a later response or a running request still needs.
    bytes: Arc<AtomicUsize>,
}

/// A response and what led to it.
struct Entry {
    /// The whole conversation, this response last.
    turns: Vec<Arc<Turn>>,
    used: Instant,
}

/// A question and its answer.
pub(super) struct Turn {
    id: String,
    input: Arc<Text>,
    response: Text,
}

/// A text whose bytes are charged as long as it lives.
pub(super) struct Text {
    json: Vec<u8>,
    size: usize,
    charged: Arc<AtomicUsize>,
}

impl Drop for Text {
    fn drop(&mut self) {
        self.charged.fetch_sub(self.size, Ordering::Relaxed);
    }
}

impl Turn {
    /// The random part of the response's id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// What is kept, to be weighed before it is read.
    pub(super) fn texts(&self) -> [&[u8]; 2] {
        [&self.input.json, &self.response.json]
    }

    /// The items of the question, each with an id.
    pub(super) fn input(&self) -> Vec<Value> {
        serde_json::from_slice(&self.input.json).unwrap_or_default()
    }

    /// The response with all its items, also with what the client did not ask for.
    pub(super) fn response(&self) -> Value {
        serde_json::from_slice(&self.response.json).unwrap_or_default()
    }

    /// The items of the answer.
    pub(super) fn output(&self) -> Vec<Value> {
        match self.response()["output"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        }
    }
}

impl Store {
    /// Holds at most so many bytes; 0: nothing.
    pub fn new(most: usize) -> Store {
        Store { most: AtomicUsize::new(most), shelves: Mutex::default() }
    }

    /// Another limit, which holds at once.
    pub fn limit(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
        make_room(&mut self.shelves.lock(), most);
    }

    /// Whether anything is kept.
    pub(super) fn is_on(&self) -> bool {
        self.most.load(Ordering::Relaxed) > 0
    }

    /// Takes a text in; `None` if there is no room for it even without all that can be let go.
    pub(super) fn hold(&self, key: &str, json: Vec<u8>) -> Option<Arc<Text>> {
        self.charge(key, json, OVERHEAD).map(Arc::new)
    }

    fn charge(&self, key: &str, json: Vec<u8>, beside: usize) -> Option<Text> {
        let size = json.len() + beside;
        let mut shelves = self.shelves.lock();
        for shelf in shelves.values_mut() {
            let is_old = |entry: &Entry| entry.used.elapsed() >= LIFETIME;
            while shelf.entries.front().is_some_and(is_old) {
                shelf.entries.pop_front();
            }
        }
        if !make_room(&mut shelves, self.most.load(Ordering::Relaxed).checked_sub(size)?) {
            return None;
        }
        let charged = shelves.entry(key.to_owned()).or_default().bytes.clone();
        charged.fetch_add(size, Ordering::Relaxed);
        Some(Text { json, size, charged })
    }

    /// Keeps a response; `earlier` are the turns before it.
    pub(super) fn put(&self, key: &str, id: &str, earlier: &[Arc<Turn>], input: &Arc<Text>, response: &Value) {
        let links = (earlier.len() + 1) * size_of::<Arc<Turn>>();
        let Some(response) = self.charge(key, response.to_string().into_bytes(), links) else { return };
        let turn = Turn { id: id.to_owned(), input: input.clone(), response };
        let turns = earlier.iter().cloned().chain([Arc::new(turn)]).collect();
        let mut shelves = self.shelves.lock();
        let entries = &mut shelves.entry(key.to_owned()).or_default().entries;
        if entries.len() >= ENTRIES {
            entries.pop_front();
        }
        entries.push_back(Entry { turns, used: Instant::now() });
    }

    /// The conversation that ends with the response of this id.
    pub(super) fn turns(&self, key: &str, id: &str) -> Option<Vec<Arc<Turn>>> {
        self.turns_at(Instant::now(), key, id.strip_prefix("resp_")?)
    }

    fn turns_at(&self, now: Instant, key: &str, id: &str) -> Option<Vec<Arc<Turn>>> {
        let mut shelves = self.shelves.lock();
        let entries = &mut shelves.get_mut(key)?.entries;
        let mut entry = take(entries, id)?;
        if now.saturating_duration_since(entry.used) >= LIFETIME {
            return None;
        }
        entry.used = now;
        let turns = entry.turns.clone();
        entries.push_back(entry);
        Some(turns)
    }

    /// The question and the answer of a response; the ids of their items have its own in them.
    pub(super) fn turn(&self, key: &str, id: &str) -> Option<Arc<Turn>> {
        self.turns_at(Instant::now(), key, id)?.pop()
    }

    /// Forgets a response, if it is there; those that went on from it keep what they need of it.
    pub(super) fn remove(&self, key: &str, id: &str) -> bool {
        let mut shelves = self.shelves.lock();
        let entries = shelves.get_mut(key).map(|shelf| &mut shelf.entries);
        entries.zip(id.strip_prefix("resp_")).and_then(|(entries, id)| take(entries, id)).is_some()
    }
}

fn take(entries: &mut VecDeque<Entry>, id: &str) -> Option<Entry> {
    let at = entries.iter().rposition(|entry| entry.turns.last().is_some_and(|turn| turn.id == id))?;
    entries.remove(at)
}

/// Lets the oldest go, of the key that holds the most, until no more than `most` bytes are held; false if they cannot be.
fn make_room(shelves: &mut HashMap<String, Shelf>, most: usize) -> bool {
    let held = |shelf: &Shelf| shelf.bytes.load(Ordering::Relaxed);
    while shelves.values().map(held).sum::<usize>() > most {
        let largest = shelves.values_mut().filter(|shelf| !shelf.entries.is_empty()).max_by_key(|shelf| held(shelf));
        let Some(largest) = largest else { return false };
        largest.entries.pop_front();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keep(store: &Store, key: &str, id: &str, before: Option<&str>, bytes: usize) -> bool {
        let earlier = before.map_or_else(Vec::new, |id| store.turns(key, id).expect("it is there"));
        let input = store.hold(key, vec![b' '; bytes]);
        let response = json!({"output": [{"id": format!("msg_{id:0>32}0")}]});
        input.map(|input| store.put(key, id, &earlier, &input, &response)).is_some()
    }

    fn held(store: &Store) -> usize {
        store.shelves.lock().values().map(|shelf| shelf.bytes.load(Ordering::Relaxed)).sum()
    }

    #[test]
    fn the_bytes_are_bounded_whatever_comes_and_what_goes_is_given_back() {
        let store = Store::new(10_000);
        for number in 0..200 {
            keep(&store, "one", &number.to_string(), None, number * 37 % 3000);
            assert!(held(&store) <= 10_000, "{}", held(&store));
        }
        assert!(!keep(&store, "one", "huge", None, 10_000), "more than all of it");
        let running = store.hold("one", vec![0; 6_000]).expect("room");
        assert!(store.hold("two", vec![0; 6_000]).is_none(), "what runs cannot be let go");
        drop(running);
        store.limit(0);
        assert_eq!((held(&store), store.is_on()), (0, false));
    }

    #[test]
    fn a_key_that_keeps_much_takes_nothing_from_others() {
        let store = Store::new(20_000);
        assert!(keep(&store, "quiet", "a", None, 100));
        for number in 0..100 {
            keep(&store, "loud", &number.to_string(), None, 1_000);
        }
        assert!(store.turns("quiet", "resp_a").is_some());
        assert!(store.turns("loud", "resp_a").is_none(), "another key's");
        assert!(store.turns("loud", "resp_0").is_none(), "the oldest");
        assert!(store.turns("loud", "resp_99").is_some());
    }

    #[test]
    fn a_conversation_goes_on_without_its_beginning_and_ends_after_a_day() {
        let store = Store::new(1 << 20);
        keep(&store, "k", "a", None, 10);
        keep(&store, "k", "b", Some("resp_a"), 10);
        assert!(store.remove("k", "resp_a") && !store.remove("k", "resp_a"));
        assert_eq!(store.turns("k", "resp_b").expect("it is there").len(), 2);
        let later = |time| store.turns_at(Instant::now() + time, "k", "b").is_some();
        assert!(later(LIFETIME / 2), "and is used by that");
        assert!(later(LIFETIME));
        assert!(!later(LIFETIME * 3));
        assert_eq!(held(&store), 0);
    }

    #[test]
    fn a_key_has_a_bounded_number_of_entries() {
        let store = Store::new(usize::MAX);
        (0..=ENTRIES).for_each(|number| _ = keep(&store, "k", &number.to_string(), None, 1));
        assert_eq!(store.shelves.lock()["k"].entries.len(), ENTRIES);
        assert!(store.turns("k", "resp_0").is_none());
    }
}
