//! Who sent wrong passwords of late: a small table by address. Nobody is made to wait on a thread; those who guess are
//! sent away with 429.

use crate::http::Request;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Wrong passwords of an address in [`WINDOW`]; more are not looked at.
const ALLOWED: u32 = 5;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered. With more of them the oldest is forgotten.
const MOST: usize = 1024;

/// Wrong passwords by address: how many since when.
#[derive(Debug, Default)]
pub(super) struct Wrong(Mutex<HashMap<IpAddr, (u32, Instant)>>);

impl Wrong {
    /// How long this address must wait, if it must.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let (count, began) = *self.0.lock().get(&address)?;
        let left = WINDOW.checked_sub(now.saturating_duration_since(began)).filter(|left| !left.is_zero())?;
        (count >= ALLOWED).then_some(left)
    }

    pub(super) fn count(&self, address: IpAddr, now: Instant) {
        let mut table = self.0.lock();
        if table.len() >= MOST && !table.contains_key(&address) {
            table.retain(|_, (_, began)| now.saturating_duration_since(*began) < WINDOW);
            let oldest = table.iter().min_by_key(|(_, (_, began))| *began).map(|(address, _)| *address);
            if let Some(oldest) = oldest.filter(|_| table.len() >= MOST) {
                table.remove(&oldest);
            }
        }
        let entry = table.entry(address).or_insert((0, now));
        if now.saturating_duration_since(entry.1) >= WINDOW {
            *entry = (0, now);
        }
        entry.0 += 1;
    }

    pub(super) fn forget(&self, address: IpAddr) {
        self.0.lock().remove(&address);
    }
}

/// Whose guesses these are: the peer, or whom a proxy on this machine names last. An IPv6 host owns a /64 at least.
pub(super) fn address(request: &Request) -> IpAddr {
    let named = request.headers.all("x-forwarded-for").last().and_then(|list| list.rsplit(',').next());
    let named = named.and_then(|name| name.trim().parse().ok()).filter(|_| request.peer.is_loopback());
    match named.unwrap_or(request.peer) {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        },
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_and_the_table_stays_small() {
        let wrong = Wrong::default();
        let start = Instant::now();
        let guesser: IpAddr = "203.0.113.9".parse().unwrap();
        (0..ALLOWED).for_each(|_| wrong.count(guesser, start));
        assert_eq!(wrong.wait(guesser, start + Duration::from_secs(20)), Some(Duration::from_secs(40)));
        assert_eq!(wrong.wait(guesser, start + WINDOW), None);
        for number in 0..5000u32 {
            wrong.count(IpAddr::from(number.to_be_bytes()), start + Duration::from_secs(1));
        }
        assert!(wrong.0.lock().len() <= MOST);
    }
}
