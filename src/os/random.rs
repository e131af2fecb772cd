//! Random numbers of the kernel, with one policy: where there are none, the caller's thread ends in a panic. That does not
//! happen on the systems this program runs on, and an id or a secret that repeats would be worse.

use super::platform;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};

pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    platform::fill_random(&mut bytes).expect("the system has random numbers");
    bytes
}

thread_local! {
    static UNIQUE: (RandomState, RandomState, Cell<u64>) = (RandomState::new(), RandomState::new(), Cell::new(0));
}

/// 128 bits that come once, for what is no secret: two keyed hashes of a number that rises, so that most threads ask the
/// kernel once.
pub(crate) fn unique() -> [u8; 16] {
    UNIQUE.with(|(high, low, number)| {
        number.set(number.get() + 1);
        let bits = u128::from(high.hash_one(number.get())) << 64 | u128::from(low.hash_one(number.get()));
        bits.to_ne_bytes()
    })
}

/// 256 bits as 43 characters that need no escape in addresses and headers.
pub(crate) fn secret() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<32>())
}

/// At most 43 letters and digits.
pub(crate) fn id(length: usize) -> String {
    // `-` and `_` are legal, but some clients take only letters and digits in ids.
    let mut text = secret().replace(['-', '_'], "0");
    text.truncate(length);
    text
}

/// From 0 up to 1.
pub(crate) fn fraction() -> f64 {
    f64::from(u32::from_ne_bytes(bytes())) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_twice() {
        assert_ne!(bytes::<16>(), bytes::<16>());
        let many = || (0..1000).map(|_| unique()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(many)).collect();
        let all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), 4000);
        assert_ne!(secret(), secret());
        assert_eq!(secret().len(), 43);
        let id = id(24);
        assert!(id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        assert!((0.0..=1.0).contains(&fraction()));
    }
}
