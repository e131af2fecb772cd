//! What things are called in the store. What is named by a key of a client is named by an HMAC, so that who reads the store
//! cannot guess keys; its own key is made once, when the store is, and lies there sealed.

use crate::credentials::Cipher;
use crate::os::random;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::collections::HashMap;

/// The layout of what is written, and the oldest program that may read it.
const SCHEMA: u32 = 1;
const ROUNDS: u8 = 4;
const CHECK: &str = "gemini-openai-proxy store";

#[derive(Clone)]
pub(in crate::store) struct Names {
    prefix: String,
    key: [u8; 32],
    /// Of the pool, to know it again.
    pub(in crate::store) pool: String,
}

impl Names {
    /// The record that says whose store it is.
    pub(super) fn meta(prefix: &str) -> String {
        Names::table(prefix, "meta")
    }

    /// What all share, each with what it is; by the slots of a cluster, each with a name that nothing has.
    pub(super) fn tables(prefix: &str) -> [(String, Vec<(String, &'static str)>); 2] {
        const OF_ALL: &[(&str, &str)] = &[
            ("meta", "hash"),
            ("key", "hash"),
            ("name", "hash"),
            ("cred", "hash"),
            ("print", "hash"),
            ("cool", "hash"),
            ("brief", "hash"),
            ("news", "stream"),
            ("alive", "zset"),
            ("lost", "zset"),
        ];
        const OF_USAGE: &[(&str, &str)] = &[("versions", "hash"), ("total", "hash")];
        [("g", OF_ALL), ("u", OF_USAGE)].map(|(slot, tables)| {
            let name = |what: &str| format!("{prefix}{{{slot}}}:{what}");
            (name("trial"), tables.iter().map(|(what, is)| (name(what), *is)).collect())
        })
    }

    /// The same as [`Names::of_all`], of a store that was not entered.
    pub(super) fn table(prefix: &str, what: &str) -> String {
        format!("{prefix}{{g}}:{what}")
    }

    /// What makes a store of what was none; with `known` as the one that it was.
    pub(super) fn fresh(known: Option<&Names>, cipher: &Cipher) -> Vec<(&'static str, String)> {
        let key = known.map_or_else(random::bytes, |names| names.key);
        let pool = known.map_or_else(|| random::id(16), |names| names.pool.clone());
        vec![
            ("schema", SCHEMA.to_string()),
            ("min_reader", SCHEMA.to_string()),
            ("pool", pool),
            ("check", cipher.encrypt(CHECK)),
            ("names", cipher.encrypt(&URL_SAFE_NO_PAD.encode(key))),
        ]
    }

    /// The error is a sentence for the operator.
    pub(super) fn read(prefix: &str, meta: &HashMap<String, String>, cipher: &Cipher) -> Result<Names, String> {
        let field = |name: &str| meta.get(name).map(String::as_str).unwrap_or_default();
        if field("min_reader").parse().is_ok_and(|oldest: u32| oldest > SCHEMA) {
            return Err("the store was written by a newer version of this program; update this replica".into());
        }
        let opened = |name: &str| cipher.decrypt(field(name).as_bytes());
        if opened("check").as_deref() != Some(CHECK.as_bytes()) {
            return Err(WRONG_KEY.into());
        }
        let key = opened("names").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let key = key.and_then(|bytes| bytes.try_into().ok()).ok_or("the store's own record cannot be read")?;
        Ok(Names { prefix: prefix.into(), key, pool: field("pool").into() })
    }

    /// The counts of a key, and who runs with it.
    pub(super) fn of_key(&self, mark: u64) -> [String; 2] {
        let name = self.hidden(b"key", &mark.to_be_bytes(), 10);
        ["q", "run"].map(|what| format!("{}{{k:{name}}}:{what}", self.prefix))
    }

    /// What is counted for all.
    pub(super) fn of_usage(&self, what: &str) -> String {
        format!("{}{{u}}:{what}", self.prefix)
    }

    /// What is small and changes together.
    pub(in crate::store) fn of_all(&self, what: &str) -> String {
        Names::table(&self.prefix, what)
    }

    /// What names of notes begin with.
    pub(super) fn of_notes(&self) -> String {
        format!("{}{{n:", self.prefix)
    }

    /// What ends by itself and belongs to a secret.
    pub(super) fn of_note(&self, kind: &str, secret: &str) -> String {
        format!("{}{{n:{}}}", self.prefix, self.hidden(kind.as_bytes(), secret.as_bytes(), 16))
    }

    /// A name made from a secret, which tells nothing of it: hexadecimal digits of so many bytes.
    pub(in crate::store) fn hidden(&self, kind: &[u8], secret: &[u8], bytes: usize) -> String {
        // A key of 32 bytes is one of HMAC's.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length");
        mac.update(kind);
        mac.update(secret);
        mac.finalize().into_bytes()[..bytes].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A mark of a key that says nothing of the key; [`Names::opened`] is the way back. Four rounds make any 64 bits of it that
    /// nobody else can tell from random ones.
    pub(super) fn sealed(&self, mark: u64) -> u64 {
        (0..ROUNDS).fold(mark, |mark, round| self.mixed(mark, round)).rotate_left(32)
    }

    pub(super) fn opened(&self, sealed: u64) -> u64 {
        (0..ROUNDS).rev().fold(sealed, |sealed, round| self.mixed(sealed, round)).rotate_left(32)
    }

    /// Changes one half by the other one, and has them change places.
    fn mixed(&self, mark: u64, round: u8) -> u64 {
        let (left, right) = (mark >> 32, mark & 0xffff_ffff);
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length");
        mac.update(b"mark");
        mac.update(&[round]);
        mac.update(&right.to_be_bytes());
        let hash = mac.finalize().into_bytes();
        let by = u64::from(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]));
        right << 32 | (left ^ by)
    }

    pub(super) fn alive(&self) -> String {
        self.of_all("alive")
    }

    pub(super) fn replica(&self, who: &str) -> String {
        self.of_all(&format!("replica:{who}"))
    }
}

/// Also the process's last word, with the exit code of an encrypted file that does not open.
pub(super) const WRONG_KEY: &str = "the store belongs to another encryption key; give every replica the same one";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_store_opens_with_its_key_only_and_names_stay() {
        let [key, other] = ["one", "two"].map(|key| Cipher::new(&Secret::new(key)));
        let meta: HashMap<String, String> =
            Names::fresh(None, &key).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let names = Names::read("gop:", &meta, &key).unwrap();
        assert_eq!(Names::read("gop:", &meta, &other).err().unwrap(), WRONG_KEY);
        let again: HashMap<String, String> =
            Names::fresh(Some(&names), &other).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let again = Names::read("gop:", &again, &other).unwrap();
        assert_eq!((again.of_key(7), again.pool), (names.of_key(7), names.pool.clone()));
        assert_ne!(names.of_key(7), names.of_key(8));
        for mark in [0, 7, 0x0123_4567_89ab_cdef, u64::MAX] {
            assert_eq!(names.opened(names.sealed(mark)), mark);
            assert_ne!(names.sealed(mark), mark);
            assert_ne!(names.sealed(mark), names.sealed(mark ^ 1));
        }
        let mut newer = meta.clone();
        newer.insert("min_reader".into(), "2".into());
        assert!(Names::read("gop:", &newer, &key).err().unwrap().contains("newer version"));
    }
}
