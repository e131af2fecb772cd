//! How long a key lasts, for answers that are under way when it ends.

use super::{Key, Meter};
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

impl Key {
    /// Whether the key may not be used any more, whatever has become of it since this version of it was current.
    pub fn has_ended(&self) -> bool {
        match self.meter.ends.load(Ordering::Acquire) {
            0 => false,
            end => end <= millis(SystemTime::now()),
        }
    }

    /// The key is in the list: it lasts until its end, unless it is switched off.
    pub(super) fn settle(&self) {
        self.meter.set_end(if self.disabled { Some(UNIX_EPOCH) } else { self.limits.expires_at });
    }

    /// The key has left the list.
    pub(super) fn end(&self) {
        self.meter.end();
    }
}

impl Meter {
    /// The key may not be used any more.
    pub(super) fn end(&self) {
        self.set_end(Some(UNIX_EPOCH));
    }

    fn set_end(&self, end: Option<SystemTime>) {
        self.ends.store(end.map_or(0, |end| millis(end).max(1)), Ordering::Release);
    }
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
