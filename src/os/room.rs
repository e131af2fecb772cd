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
    part: usize,
}

struct Entered {
    room: Arc<Room>,
    /// What all requests of one caller have taken.
    own: Option<Arc<AtomicUsize>>,
    taken: usize,
}

/// While this lives, its thread takes from the room.
#[derive(Debug)]
pub struct Stay(());

impl Room {
    /// Room for `all` bytes, or for one request of the largest size if that is more; one of several callers has three quarters of
    /// it, or as much as such a request.
    pub fn new(all: usize, largest: usize) -> Room {
        let all = all.max(largest);
        Room { taken: AtomicUsize::new(0), all, part: (all / 4 * 3).max(largest) }
    }

    /// Has this thread take from the room; `own` counts what one of several callers has taken.
    pub fn enter(self: &Arc<Room>, own: Option<Arc<AtomicUsize>>) -> Stay {
        HERE.set(Some(Entered { room: self.clone(), own, taken: 0 }));
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
        let Some(Entered { room, own, taken }) = here else { return true };
        if own.as_ref().is_some_and(|own| !grow(own, bytes, room.part)) {
            return false;
        }
        let fits = grow(&room.taken, bytes, room.all);
        match (fits, own) {
            (true, _) => *taken += bytes,
            (false, Some(own)) => _ = own.fetch_sub(bytes, Ordering::AcqRel),
            (false, None) => {}
        }
        fits
    })
}

/// Adds to a number that stays within `limit`; else changes nothing and returns false.
fn grow(number: &AtomicUsize, more: usize, limit: usize) -> bool {
    let add = |number: usize| number.checked_add(more).filter(|sum| *sum <= limit);
    #[allow(deprecated, reason = "its new name, try_update, is not in the oldest Rust that we build with")]
    number.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok()
}

/// How much this thread has taken.
pub fn taken() -> usize {
    HERE.with_borrow(|here| here.as_ref().map_or(0, |here| here.taken))
}

/// Gives some of it back, or all that there is.
pub fn give_back(bytes: usize) {
    HERE.with_borrow_mut(|here| {
        if let Some(Entered { room, own, taken }) = here {
            let bytes = bytes.min(*taken);
            *taken -= bytes;
            for number in own.as_deref().into_iter().chain([&room.taken]) {
                number.fetch_sub(bytes, Ordering::AcqRel);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_bounded_and_given_back_at_the_end() {
        let room = Arc::new(Room::new(100, 0));
        assert!(take(1000), "outside");
        let stay = room.enter(None);
        assert!(take(60) && !take(41) && take(40));
        give_back(50);
        assert_eq!(taken(), 50);
        let others = room.clone();
        let other = std::thread::spawn(move || {
            let _stay = others.enter(None);
            take(50) && !take(1)
        });
        assert!(other.join().unwrap());
        assert!(take(50), "who left has given back");
        drop(stay);
        assert_eq!((room.taken.load(Ordering::Acquire), taken()), (0, 0));
    }

    #[test]
    fn one_of_several_callers_takes_its_part() {
        let room = Arc::new(Room::new(100, 10));
        let (greedy, modest): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
        let stay = room.enter(Some(greedy.clone()));
        assert!(take(50) && !take(26) && take(25));
        let others = room.clone();
        std::thread::spawn(move || {
            let _stay = others.enter(Some(greedy));
            assert!(!take(1), "all requests of a caller have one part");
            let _stay = others.enter(Some(modest.clone()));
            assert!(take(25) && !take(1));
            assert_eq!(modest.load(Ordering::Acquire), 25, "what was not there is not taken");
        })
        .join()
        .unwrap();
        drop(stay);
        assert_eq!(room.taken.load(Ordering::Acquire), 0);
    }
}
