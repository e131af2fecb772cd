//! The encryption of the credentials file: one Fernet token, readable by and from Python's `cryptography`.
//!
//! Knows no file. docs/crates.md "fernet" has the differences between the Rust crate and Python that are evened out
//! here.

use crate::config::Config;
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use fernet::Fernet;
use sha2::{Digest, Sha256};

/// A key, made from the text the user typed; replicas may have others beside it, which open what they have sealed.
pub(crate) struct Cipher {
    key: Fernet,
    old: Vec<Fernet>,
}

impl Cipher {
    /// The key is the SHA-256 of the text, also for a text that looks like a Fernet key (docs/compatibility.md
    /// "Encryption of the credentials file").
    pub(crate) fn new(passphrase: &Secret) -> Cipher {
        Cipher::with_old(passphrase, &[])
    }

    /// The same, and these open what it does not.
    pub(crate) fn with_old(passphrase: &Secret, old: &[Secret]) -> Cipher {
        // 32 bytes in URL-safe base64 are a Fernet key by definition.
        let fernet = |passphrase: &Secret| Fernet::new(&derive(passphrase)).unwrap();
        Cipher { key: fernet(passphrase), old: old.iter().map(fernet).collect() }
    }

    /// As the config says; `None`: nothing is to be sealed.
    pub(crate) fn of(config: &Config) -> Option<Cipher> {
        let old = config.store.as_ref().map(|store| &*store.old_keys).unwrap_or_default();
        config.encryption_key.as_ref().map(|key| Cipher::with_old(key, old))
    }

    pub(crate) fn encrypt(&self, text: &str) -> String {
        self.key.encrypt(text.as_bytes())
    }

    /// `None`: another key, or not a whole token.
    pub(crate) fn decrypt(&self, token: &[u8]) -> Option<Vec<u8>> {
        let token = normalise(token)?;
        open(&self.key, &token).or_else(|| self.old.iter().find_map(|key| open(key, &token)))
    }

    /// Whether another key than the first has sealed it.
    pub(crate) fn is_old(&self, token: &[u8]) -> bool {
        let token = normalise(token);
        token.is_some_and(|token| open(&self.key, &token).is_none())
    }
}

fn open(key: &Fernet, token: &str) -> Option<Vec<u8>> {
    // The crate refuses tokens from the future; Python does not look, and a VPS may have a wrong clock.
    key.decrypt_at_time(token, None, u64::MAX / 2).ok()
}

fn derive(passphrase: &Secret) -> String {
    URL_SAFE.encode(Sha256::digest(passphrase.expose().as_bytes()))
}

/// Python ignores whitespace and takes the standard alphabet; the crate does neither.
fn normalise(token: &[u8]) -> Option<String> {
    let bytes = token.iter().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| match byte {
        b'+' => b'-',
        b'/' => b'_',
        byte => *byte,
    });
    String::from_utf8(bytes.collect()).ok()
}

#[cfg(test)]
mod tests {
    use super::{Cipher, derive};
    use crate::secret::Secret;

    #[test]
    fn keys_are_derived_as_the_old_program_did() {
        for (text, expected) in [
            ("secret", "K7gNU3sdo-OL0wNhqoVWhr3g6s1xYv72ol_pe_Unols="),
            ("密钥", "9nvKj0K88HNzqe0es9zUXVJ6GOPC0YA9K3bXQjTLFAM="),
        ] {
            assert_eq!(derive(&Secret::new(text)), expected);
        }
    }

    #[test]
    fn whitespace_alphabet_and_date_of_a_token_do_not_matter() {
        let cipher = Cipher::new(&Secret::new("secret"));
        // A token dated in the year 2100.
        let token = cipher.key.encrypt_at_time("[\"ü\"]".as_bytes(), 4_102_444_800);
        let (head, tail) = token.split_at(20);
        let standard = token.replace('-', "+").replace('_', "/");
        for variant in [token.clone(), format!(" {head}\r\n {tail}\n\n"), standard] {
            assert_eq!(cipher.decrypt(variant.as_bytes()).as_deref(), Some("[\"ü\"]".as_bytes()), "{variant}");
        }
        assert_eq!(Cipher::new(&Secret::new("other")).decrypt(token.as_bytes()), None);
        assert_eq!(cipher.decrypt(&token.as_bytes()[..token.len() - 8]), None);
    }

    #[test]
    fn old_keys_open_and_do_not_seal() {
        let [one, two] = ["one", "two"].map(Secret::new);
        let (before, both, after) = (Cipher::new(&one), Cipher::with_old(&two, &[one]), Cipher::new(&two));
        let old = before.encrypt("text");
        assert_eq!(both.decrypt(old.as_bytes()).as_deref(), Some(&b"text"[..]));
        assert!(both.is_old(old.as_bytes()) && after.decrypt(old.as_bytes()).is_none());
        let new = both.encrypt("text");
        assert_eq!(after.decrypt(new.as_bytes()).as_deref(), Some(&b"text"[..]));
        assert!(!both.is_old(new.as_bytes()) && before.decrypt(new.as_bytes()).is_none());
    }
}
