//! Thought signatures for clients that drop them, of all replicas: each remembers what it gave out, tells the store a moment
//! later, and asks it for what it does not know.

use super::Replicas;
use super::limits::Limits;
use super::redis::Fault;
use crate::gemini::signatures::{Kept, Others, SignatureCache};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SIGNATURE: &str = "signature";
/// How long the store has one. A loop of tools asks again within minutes.
const SPAN: Duration = Duration::from_secs(3600);
/// Bytes that a replica gives the store in that time, and as many at once. More are its own.
const MOST_BYTES: usize = 16 << 20;
/// Those of one call.
const MOST: usize = 100;

pub(super) struct Signed {
    limits: Arc<Limits>,
    untold: Mutex<Untold>,
}

struct Untold {
    notes: Vec<(String, String)>,
    room: usize,
    /// Until when room was given.
    given: Instant,
}

impl Signed {
    pub(super) fn new(limits: Arc<Limits>) -> Signed {
        Signed { limits, untold: Mutex::new(Untold { notes: Vec::new(), room: MOST_BYTES, given: Instant::now() }) }
    }

    /// Sends what waits. What does not arrive is lost: it costs placeholders.
    pub(super) fn send(&self) -> Result<(), Fault> {
        let notes = std::mem::take(&mut self.untold.lock().notes);
        notes.chunks(MOST).try_for_each(|some| self.limits.link.keep_all(SIGNATURE, some, SPAN))
    }
}

impl Others for Signed {
    fn tell(&self, signature: Kept) {
        // Texts and a number: nothing that could fail.
        let text = serde_json::to_string(&signature).unwrap_or_default();
        let (mut untold, now) = (self.untold.lock(), Instant::now());
        let seconds = now.duration_since(untold.given).as_secs();
        untold.room = untold.room.saturating_add(seconds as usize * (MOST_BYTES / 3600)).min(MOST_BYTES);
        untold.given += Duration::from_secs(seconds);
        let Some(room) = untold.room.checked_sub(text.len()).filter(|_| self.limits.link.is_up()) else { return };
        untold.room = room;
        untold.notes.push((signature.hash().to_owned(), text));
        self.limits.wake();
    }

    fn ask(&self, mut hashes: Vec<String>) -> Vec<Kept> {
        // Those of the current turn are the last ones.
        hashes.drain(..hashes.len().saturating_sub(MOST));
        let found = self.limits.link.find(SIGNATURE, &hashes).unwrap_or_default();
        found.iter().filter_map(|text| serde_json::from_slice(text).ok()).collect()
    }
}

impl Replicas {
    /// From now on what one replica remembers is known to the others.
    pub fn share_signatures(&self, cache: &SignatureCache) {
        cache.share(self.signed.clone());
    }
}
