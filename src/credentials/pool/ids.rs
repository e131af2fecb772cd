//! The numbers of credentials (`cred-0`). A credential has the number of its token or key, over restarts, removals of others, and
//! while it is gone; a number is not given to another one as long as anybody remembers it.

use crate::credentials::file::record::Record;
use crate::credentials::lease::{CredentialId, PROVISIONAL};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

/// Where the snapshot of the pool, whose other names are fingerprints, keeps the next number.
pub(super) const NEXT: &str = "next_id";
/// Numbers that are kept for credentials that are gone.
const MOST: usize = 10_000;

pub(super) struct Ids {
    /// Of those who are gone, by fingerprint.
    kept: HashMap<String, CredentialId>,
    /// The same, the other way round.
    names: BTreeMap<CredentialId, String>,
    /// That nobody has had.
    next: u64,
    /// The same of the snapshot.
    read: u64,
    /// What is given out instead where the numbers are the store's, until it has said them.
    provisional: Option<u64>,
}

impl Ids {
    /// From a snapshot of the pool. Nobody has joined yet.
    pub(super) fn read(saved: &Value) -> Ids {
        // One that was provisional is nobody's.
        let number = |value: &Value| value.as_u64().filter(|number| *number < PROVISIONAL);
        let entries = saved.as_object().into_iter().flatten();
        let kept: HashMap<String, CredentialId> =
            entries.filter_map(|(name, entry)| Some((name.clone(), CredentialId(number(entry.get("id")?)?)))).collect();
        let next = kept.values().map(|id| id.0 + 1).chain(saved.get(NEXT).and_then(number)).max().unwrap_or(0);
        let mut names = BTreeMap::new();
        names.extend(kept.iter().map(|(name, id)| (*id, name.clone())));
        Ids { kept, names, next, read: next, provisional: None }
    }

    /// Where the store gives the numbers out. Nobody has joined yet.
    pub(super) fn of_store() -> Ids {
        Ids { provisional: Some(PROVISIONAL), ..Ids::read(&Value::Null) }
    }

    /// The number of an item that joins.
    pub(super) fn give(&mut self, record: &Record, is_taken: impl Fn(CredentialId) -> bool) -> CredentialId {
        let kept = self.kept.remove(&fingerprint(record));
        kept.iter().for_each(|id| drop(self.names.remove(id)));
        kept.filter(|id| !is_taken(*id)).unwrap_or_else(|| {
            let next = self.provisional.as_mut().unwrap_or(&mut self.next);
            *next += 1;
            CredentialId(*next - 1)
        })
    }

    /// Keeps the number of an item that leaves; returns the one that is forgotten for it.
    pub(super) fn keep(&mut self, record: &Record, id: CredentialId) -> Option<CredentialId> {
        let name = fingerprint(record);
        self.names.insert(id, name.clone());
        self.kept.insert(name, id);
        if self.kept.len() <= MOST {
            return None;
        }
        let (_, oldest) = self.names.pop_first()?;
        self.kept.remove(&oldest)
    }

    /// Whether numbers were given that the snapshot did not know.
    pub(super) fn are_new(&self) -> bool {
        self.next != self.read
    }

    /// Of those who are gone.
    pub(super) fn kept(&self) -> impl Iterator<Item = (&String, CredentialId)> {
        self.kept.iter().map(|(name, id)| (name, *id))
    }

    /// The name by which a credential that is gone is kept.
    pub(super) fn name_of(&self, id: CredentialId) -> Option<&String> {
        self.names.get(&id)
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The store has given out the numbers before this one.
    #[cfg(feature = "replicas")]
    pub(super) fn know(&mut self, next: u64) {
        self.next = self.next.max(next);
    }
}

/// A hash of the token or key, or of all of an item that has none. Tells nothing of it.
pub(crate) fn fingerprint(record: &Record) -> String {
    let digest = match record.identity() {
        Some(identity) => Sha256::digest(identity.expose()),
        None => Sha256::digest(record.value().to_string()),
    };
    digest[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Effects, Now, Origin, Pool, Settings};
    use super::*;
    use crate::secret::Secret;
    use crate::storage::state::{Part, reread};
    use serde_json::json;
    use std::time::Duration;

    fn snapshot(pool: &mut Pool, now: Now) -> Value {
        reread(|sink| pool.save(Part::Whole, sink, now)).value()
    }

    fn key(name: &str) -> Record {
        Record::new(json!({"api_key": name}))
    }

    fn open(file: &[&str], config: &[&str], saved: &Value) -> (Pool, Effects) {
        let items = file.iter().map(|name| (Origin::File, key(name)));
        let items = items.chain(config.iter().map(|name| (Origin::Config, key(name))));
        Pool::new(items, Settings::default(), saved, Now::read())
    }

    /// Who is who, such as `0:a 2:c`.
    fn who(pool: &Pool) -> String {
        let credential = |credential: &super::super::Credential| {
            format!("{}:{}", credential.id.0, credential.record.api_key().unwrap_or("?"))
        };
        pool.credentials.values().map(credential).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_number_stays_with_its_key_over_restarts_removals_and_returns() {
        let now = Now::read();
        let (mut pool, effects) = open(&["a", "b", "c"], &["k"], &Value::Null);
        assert_eq!((who(&pool).as_str(), effects.save), ("0:a 1:b 2:c 3:k", true));
        let _ = pool.remove(CredentialId(1)).unwrap();
        let saved = snapshot(&mut pool, now);
        let (mut pool, effects) = open(&["a", "c"], &["k"], &saved);
        assert_eq!((who(&pool).as_str(), effects.save), ("0:a 2:c 3:k", false), "after a restart");
        let _ = pool.adopt(vec![key("d"), key("c")], now);
        assert_eq!(who(&pool), "2:c 3:k 4:d", "the file was changed by hand");
        let _ = pool.reload(HashMap::new(), Vec::new(), now);
        let saved = snapshot(&mut pool, now);
        let (mut pool, effects) = open(&["e", "d", "a", "c"], &["k"], &saved);
        assert_eq!((who(&pool).as_str(), effects.save), ("0:a 2:c 3:k 4:d 5:e", true), "some are back, one is new");
        let (added, _) = pool.enrol(key("b"), None, now);
        assert_eq!(added.id, CredentialId(1), "the removed one comes back");
    }

    #[test]
    fn another_token_of_the_same_login_keeps_the_number() {
        let now = Now::read();
        let login = |token: &str| Record::new(json!({"refresh_token": token, "email": "u@example.com"}));
        let start = |tokens: &[&str], saved: &Value| {
            let items = tokens.iter().map(|token| (Origin::File, login(token)));
            Pool::new(items, Settings::default(), saved, now).0
        };
        let mut pool = start(&["one", "two"], &Value::Null);
        let Ok(mut job) = pool.next_due(now) else { panic!("nobody has a token") };
        let (access, refresh) = (Secret::new("a"), Some(Secret::new("three")));
        let _ = pool.granted(&mut job, super::super::Grant { access, refresh, lifetime: Duration::from_secs(60) }, now);
        let saved = snapshot(&mut pool, now);
        let tokens = |pool: &Pool| -> Vec<String> {
            pool.credentials.values().map(|credential| credential.record.refresh_token().unwrap().to_owned()).collect()
        };
        assert_eq!(tokens(&start(&["two", "three"], &saved)), ["three", "two"]);
    }

    #[test]
    fn an_item_that_cannot_be_used_has_a_number_too() {
        let items = || [json!(null), json!({"note": "x"})].map(|item| (Origin::File, Record::new(item)));
        let (mut pool, _) = Pool::new(items(), Settings::default(), &Value::Null, Now::read());
        let saved = snapshot(&mut pool, Now::read());
        let (pool, effects) = Pool::new(items().into_iter().skip(1), Settings::default(), &saved, Now::read());
        assert_eq!((pool.credentials.keys().next(), effects.save), (Some(&CredentialId(1)), false));
    }

    #[test]
    fn a_damaged_snapshot_gives_nobody_the_number_of_another() {
        let mut saved = snapshot(&mut open(&["a", "b"], &[], &Value::Null).0, Now::read());
        for (name, entry) in saved.as_object_mut().unwrap() {
            *entry = if name == NEXT { json!("x") } else { json!({"id": 1}) };
        }
        assert_eq!(who(&open(&["a", "b"], &[], &saved).0), "1:a 2:b");
        for id in [json!(u64::MAX), json!(PROVISIONAL), json!(-1), json!("1"), json!(null)] {
            saved.as_object_mut().unwrap().values_mut().for_each(|entry| *entry = json!({"id": id}));
            assert_eq!(who(&open(&["a", "b"], &[], &saved).0), "0:a 1:b");
        }
        assert_eq!(who(&open(&["a"], &[], &json!([1])).0), "0:a");
        assert_eq!(
            who(&open(&["a"], &[], &json!({NEXT: PROVISIONAL})).0),
            "0:a",
            "no number comes from a replica's own"
        );
    }
}
