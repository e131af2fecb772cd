//! Who guessed wrong of late: a small table by address, and a count of all together, since addresses are cheap. Nobody is
//! made to wait on a thread; those who guess are sent away with 429. Who was right from an address lately is not kept out
//! by what others guess.

use super::address::network;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// How long it is remembered who was right.
const KNOWN: Duration = Duration::from_secs(24 * 3600);
/// Addresses that are remembered of each kind. With more of them the oldest is forgotten.
const MOST: usize = 1024;

/// Wrong guesses at one kind of secret.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Guesses of an address in [`WINDOW`]; more are not looked at.
    pub(super) each: u32,
    /// Guesses of all addresses in the same time.
    pub(super) all: u32,
    /// Who was right lately may guess as often as he likes: many callers may share his address.
    trusts_known: bool,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// How many wrong ones since when.
    guesses: HashMap<IpAddr, (u32, Instant)>,
    together: Option<(u32, Instant)>,
    /// Who was right, and when.
    right: HashMap<IpAddr, Instant>,
}

impl Wrong {
    /// Passwords: a person types them.
    pub(super) fn passwords() -> Wrong {
        Wrong { each: 5, all: 30, trusts_known: false, table: Mutex::default() }
    }

    /// Keys: a program that is set up wrongly sends the same one again and again, maybe from behind the proxy of all others.
    pub(super) fn keys() -> Wrong {
        Wrong { each: 60, all: 3000, trusts_known: true, table: Mutex::default() }
    }

    /// How long this address must wait, if it must.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let address = network(address);
        let left = |(count, began): (u32, Instant), most: u32| {
            let left = WINDOW.checked_sub(now.saturating_duration_since(began)).filter(|left| !left.is_zero())?;
            (count >= most).then_some(left)
        };
        let table = self.table.lock();
        let is_known = table.knows(&address, now);
        let own = table.guesses.get(&address).and_then(|guesses| left(*guesses, self.each));
        let together = table.together.and_then(|together| left(together, self.all));
        own.filter(|_| !(is_known && self.trusts_known)).or(together.filter(|_| !is_known))
    }

    /// Whether somebody was right from this address lately.
    pub(super) fn was_right(&self, address: IpAddr, now: Instant) -> bool {
        self.table.lock().knows(&network(address), now)
    }

    pub(super) fn count(&self, address: IpAddr, now: Instant) {
        let mut table = self.table.lock();
        let address = network(address);
        make_room(&mut table.guesses, &address, |(_, began)| *began);
        add(table.guesses.entry(address).or_insert((0, now)), now);
        add(table.together.get_or_insert((0, now)), now);
    }

    /// The address knows the secret.
    pub(super) fn is_right(&self, address: IpAddr, now: Instant) {
        let mut table = self.table.lock();
        let address = network(address);
        table.guesses.remove(&address);
        if table.right.get(&address).is_some_and(|when| now.saturating_duration_since(*when) < WINDOW) {
            return;
        }
        make_room(&mut table.right, &address, |when| *when);
        table.right.insert(address, now);
    }
}

impl Table {
    fn knows(&self, address: &IpAddr, now: Instant) -> bool {
        self.right.get(address).is_some_and(|when| now.saturating_duration_since(*when) < KNOWN)
    }
}

/// One more; a window that is over begins anew.
fn add(guesses: &mut (u32, Instant), now: Instant) {
    if now.saturating_duration_since(guesses.1) >= WINDOW {
        *guesses = (0, now);
    }
    guesses.0 += 1;
}

/// Forgets the oldest where the table is full and the address is new.
fn make_room<T>(table: &mut HashMap<IpAddr, T>, address: &IpAddr, when: impl Fn(&T) -> Instant) {
    if table.len() >= MOST && !table.contains_key(address) {
        let oldest = table.iter().min_by_key(|(_, entry)| when(entry)).map(|(address, _)| *address);
        oldest.map(|oldest| table.remove(&oldest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn a_window_ends_and_the_table_stays_small() {
        let wrong = Wrong { all: u32::MAX, ..Wrong::passwords() };
        let start = Instant::now();
        let guesser: IpAddr = "203.0.113.9".parse().unwrap();
        (0..5).for_each(|_| wrong.count(guesser, start));
        assert_eq!(wrong.wait(guesser, start + Duration::from_secs(20)), Some(Duration::from_secs(40)));
        assert_eq!(wrong.wait(guesser, start + WINDOW), None);
        for number in 0..5000u32 {
            wrong.count(address(number), start + Duration::from_secs(1));
            wrong.is_right(address(number + 1), start);
        }
        let table = wrong.table.lock();
        assert!(table.guesses.len() <= MOST && table.right.len() <= MOST);
    }

    #[test]
    fn who_has_so_many_addresses_that_one_is_forgotten_guesses_no_more_often() {
        for wrong in [Wrong::passwords(), Wrong::keys()] {
            let now = Instant::now();
            let mut looked_at = 0;
            // As soon as it is braked, an address is pushed out by others.
            for number in 0..u32::try_from(20 * MOST).unwrap() {
                for guesser in [address(1), address(number + 2)] {
                    if wrong.wait(guesser, now).is_none() {
                        wrong.count(guesser, now);
                        looked_at += 1;
                    }
                }
            }
            assert_eq!(looked_at, wrong.all);
        }
    }

    #[test]
    fn many_addresses_are_braked_together_but_not_those_who_were_right() {
        let wrong = Wrong::passwords();
        let now = Instant::now();
        let (owner, stranger) = (address(1), address(2));
        wrong.is_right(owner, now);
        (100..129).for_each(|number| wrong.count(address(number), now));
        assert_eq!(wrong.wait(stranger, now), None);
        wrong.count(address(129), now);
        assert_eq!((wrong.wait(stranger, now), wrong.wait(owner, now)), (Some(WINDOW), None));
        assert_eq!(wrong.wait(stranger, now + WINDOW), None);
        (0..5).for_each(|_| wrong.count(owner, now));
        assert!(wrong.wait(owner, now).is_some(), "its own guesses count");
    }
}
