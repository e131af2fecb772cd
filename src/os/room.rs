//! The memory that requests under way may take together. A thread enters the room to answer a request, and what it takes from
//! then on, wherever it learns that something grows, is given back when it leaves. Threads outside take what they like.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    static HERE: RefCell<Option<Entered>> = const { RefCell::new(None) };
}

/// So many bytes for all requests together.
#[derive(Debug)]
pub struct Room {
    taken: AtomicUsize,
    all: usize,
}

struct Entered {
    room: Arc<Room>,
    taken: usize,
}

/// While this lives, its thread takes from the room.
#[derive(Debug)]
pub struct Stay(());

impl Room {
    /// Room for `all` bytes.
    pub fn new(all: usize) -> Room {
        Room { taken: AtomicUsize::new(0), all }
    }

    /// Has this thread take from the room.
    pub fn enter(self: &Arc<Room>) -> Stay {
        HERE.set(Some(Entered { room: self.clone(), taken: 0 }));
        Stay(())
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        give_back(usize::MAX);
        HERE.set(None);
    }
}

/// Takes so many bytes for the request of this thread. False: they are not there.
pub fn take(bytes: usize) -> bool {
    HERE.with_borrow_mut(|here| {
        let Some(Entered { room, taken }) = here else { return true };
        let add = |all: usize| all.checked_add(bytes).filter(|all| *all <= room.all);
        #[allow(deprecated, reason = "its new name, try_update, is not in the oldest Rust that we build with")]
        let fits = room.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok();
        *taken += if fits { bytes } else { 0 };
        fits
    })
}

/// How much this thread has taken.
pub fn taken() -> usize {
    HERE.with_borrow(|here| here.as_ref().map_or(0, |here| here.taken))
}

/// Gives some of it back, or all that there is.
pub fn give_back(bytes: usize) {
    HERE.with_borrow_mut(|here| {
        if let Some(Entered { room, taken }) = here {
            let bytes = bytes.min(*taken);
            *taken -= bytes;
            room.taken.fetch_sub(bytes, Ordering::AcqRel);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_bounded_and_given_back_at_the_end() {
        let room = Arc::new(Room::new(100));
        assert!(take(1000), "outside");
        let stay = room.enter();
        assert!(take(60) && !take(41) && take(40));
        give_back(50);
        assert_eq!(taken(), 50);
        let others = room.clone();
        let other = std::thread::spawn(move || {
            let _stay = others.enter();
            take(50) && !take(1)
        });
        assert!(other.join().unwrap());
        assert!(take(50), "who left has given back");
        drop(stay);
        assert_eq!((room.taken.load(Ordering::Acquire), taken()), (0, 0));
    }
}
