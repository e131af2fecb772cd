//! Keys over a registry that is made up: others change it between two questions.

use super::*;
use crate::storage::state::Section;
use std::collections::BTreeMap;
use std::sync::Weak;

#[derive(Debug, Default)]
struct Shelf {
    kept: Mutex<BTreeMap<String, (u64, String)>>,
    /// Somebody else's changes, each between a reading and what is written after it.
    others: Mutex<Vec<(String, String)>>,
    fails: Mutex<Option<Unwritten>>,
    keys: Mutex<Weak<Keys>>,
}

impl Shelf {
    fn put(&self, id: &str, text: &str) {
        let mut kept = self.kept.lock();
        let version = kept.values().map(|(version, _)| *version).max().unwrap_or(0) + 1;
        kept.insert(id.to_owned(), (version, text.to_owned()));
    }

    fn tell(&self) {
        let all = self.kept.lock().iter().map(|(id, (_, text))| (id.clone(), Some(text.clone()))).collect();
        if let Some(keys) = self.keys.lock().upgrade() {
            keys.replace(all);
        }
    }
}

impl Registry for Shelf {
    fn read(&self, ids: &[String]) -> Result<Vec<Option<(u64, String)>>, Unwritten> {
        let found = ids.iter().map(|id| self.kept.lock().get(id).cloned()).collect();
        if let Some((id, text)) = self.others.lock().pop() {
            self.put(&id, &text);
        }
        Ok(found)
    }

    fn write(&self, changes: &[Change]) -> Result<Vec<Outcome>, Unwritten> {
        if let Some(why) = *self.fails.lock() {
            return Err(why);
        }
        let mut outcomes = Vec::new();
        for change in changes {
            let present = self.kept.lock().get(&change.id).map(|(version, _)| *version);
            outcomes.push(match (change.expected, present) {
                (Expected::New, Some(_)) => Outcome::Exists,
                (Expected::New, None) => Outcome::Done,
                (_, None) => Outcome::Gone,
                (Expected::Version(wanted), Some(version)) if wanted != version => Outcome::Changed,
                _ => Outcome::Done,
            });
            match outcomes.last() {
                Some(Outcome::Done) if change.text.is_empty() => _ = self.kept.lock().remove(&change.id),
                Some(Outcome::Done) => self.put(&change.id, &change.text),
                _ => {}
            }
        }
        self.tell();
        Ok(outcomes)
    }

    fn is_current(&self) -> bool {
        true
    }
}

fn keys() -> (Arc<Keys>, Arc<Shelf>) {
    let config = crate::config::parse(r#"{"auth_keys":[{"key":"sk-of-config","name":"config"}]}"#).unwrap().config;
    let keys = Arc::new(Keys::new(&config.auth_keys, &Section::default()));
    let shelf = Arc::new(Shelf::default());
    *shelf.keys.lock() = Arc::downgrade(&keys);
    keys.register(shelf.clone());
    (keys, shelf)
}

fn edit(json: &str) -> Edit {
    Edit::parse(json.as_bytes()).unwrap()
}

fn names(keys: &Keys) -> Vec<String> {
    let mut names: Vec<String> = keys.list().iter().map(|key| key.name.to_string()).collect();
    names.sort();
    names
}

#[test]
fn what_somebody_else_changed_meanwhile_stays() {
    let (keys, shelf) = keys();
    let (made, text) = keys.create(edit(r#"{"name":"phone","tokens_per_day":5}"#)).unwrap();
    let other = |json: &str| {
        let mut key = Key::clone(&keys.find(&text).unwrap());
        edit(json).apply(&mut key);
        super::text(&key)
    };
    *shelf.others.lock() = vec![(made.id(), other(r#"{"disabled":true}"#))];
    keys.change(&made.id(), &edit(r#"{"tokens_per_day":7}"#)).unwrap();
    let now = keys.find(&text).unwrap();
    assert_eq!((now.disabled, now.limits.tokens_per_day), (true, Some(7)));
    *shelf.others.lock() = vec![(made.id(), other(r#"{"tokens_per_day":9}"#))];
    let done = keys.change_all(|_| true, BulkEdit::Enable);
    assert_eq!((done.changed.len(), done.of_config.len(), done.failed.len()), (1, 1, 0));
    let now = keys.find(&text).unwrap();
    assert_eq!((now.disabled, now.limits.tokens_per_day), (false, Some(9)));
    // What a later version has written stays as well.
    shelf.put(&made.id(), &super::text(&now).replacen('{', r#"{"of_a_later_version":[1],"#, 1));
    keys.change(&made.id(), &edit(r#"{"tokens_per_day":null}"#)).unwrap();
    let written = shelf.kept.lock()[&made.id()].1.clone();
    assert!(written.contains("of_a_later_version") && !written.contains("tokens_per_day"), "{written}");
}

#[test]
fn what_is_not_written_is_said_and_not_taken_over() {
    let (keys, shelf) = keys();
    let (made, text) = keys.create(edit(r#"{"name":"phone"}"#)).unwrap();
    for (why, code) in [
        (Unwritten::Away, "store_unwritten"),
        (Unwritten::Unsure, "store_unsure"),
        (Unwritten::Full, "store_full_unwritten"),
        (Unwritten::Emptied, "store_emptied_unwritten"),
    ] {
        *shelf.fails.lock() = Some(why);
        let expected = EditError::Away(Message::new(code));
        let off = edit(r#"{"disabled":true}"#);
        assert_eq!(keys.create(edit(r#"{"name":"new"}"#)).err(), Some(expected.clone()));
        assert_eq!(keys.change(&made.id(), &off).err(), Some(expected.clone()));
        assert_eq!(keys.delete(&made.id()).err(), Some(expected));
        let done = keys.change_all(|_| true, BulkEdit::Disable);
        assert_eq!((done.changed.len(), done.failed.len()), (0, 1));
        assert!(keys.find(&text).is_some_and(|key| !key.disabled));
    }
}

fn named(keys: &Keys, name: &str) -> Arc<Key> {
    keys.list.read().named(name).cloned().unwrap()
}

#[test]
fn names_that_are_exchanged_stay_what_they_are_and_what_cannot_be_read_is_counted() {
    let (keys, shelf) = keys();
    let [one, other] = ["one", "other"].map(|name| keys.create(edit(&format!(r#"{{"name":"{name}"}}"#))).unwrap().0);
    let written = |key: &Key, name: &str| super::text(&Key { name: name.into(), ..key.clone() });
    let unchanged = keys.find("sk-of-config").unwrap();
    keys.update(vec![(one.id(), Some(written(&one, "other"))), (other.id(), Some(written(&other, "one")))]);
    assert_eq!(names(&keys), ["config", "one", "other"]);
    assert_eq!(named(&keys, "one").id(), other.id());
    // The config has a name first.
    keys.update(vec![(one.id(), Some(written(&one, "config")))]);
    assert_eq!(names(&keys), ["config", "config (2)", "one"]);
    keys.update(vec![
        (one.id(), Some(r#"{"of a later version":1}"#.into())),
        ("something".into(), Some(written(&other, "x"))),
        (other.id(), None),
    ]);
    assert_eq!((names(&keys), keys.registered()), (vec!["config".to_owned()], 2));
    keys.replace(vec![(other.id(), Some(written(&other, "other")))]);
    assert_eq!((names(&keys).len(), keys.registered()), (2, 1));
    assert!(Arc::ptr_eq(&unchanged, &keys.find("sk-of-config").unwrap()));
    let same = named(&keys, "other");
    keys.replace(vec![(other.id(), Some(written(&other, "other")))]);
    assert!(Arc::ptr_eq(&same, &named(&keys, "other")), "nothing has changed");
    drop(shelf);
}
