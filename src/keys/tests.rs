//! The keys as a whole.

use super::*;
use crate::calendar;
use crate::secret::Secret;
use crate::storage::state::reread;
use serde_json::json;

fn config(keys: &[(&str, &str)]) -> Vec<ClientKey> {
    let key = |(name, key): &(&str, &str)| ClientKey {
        name: (*name).into(),
        key: Secret::new(*key),
        limits: KeyLimits::default(),
    };
    keys.iter().map(key).collect()
}

fn edit(text: &str) -> Edit {
    Edit::parse(text.as_bytes()).unwrap()
}

fn whole(keys: &Keys) -> Section {
    reread(|sink| keys.save(Part::Whole, sink))
}

#[test]
fn a_key_of_the_page_lives_in_the_state_file_as_a_hash() {
    let keys = Keys::new(&config(&[("me", "sk-mine")]), &Section::default());
    let (made, text) =
        keys.create(edit(r#"{"name":"phone","requests_per_minute":5,"models":["gemini-2.5-*"]}"#)).unwrap();
    let id = made.id();
    assert!(text.starts_with("sk-") && text.len() == 46, "{text}");
    let (result, _) = keys.find(&text).unwrap().admit(["gemini-2.5-pro"], &ModelTable::new(&[]));
    result.unwrap().spend(70, 0);
    let section = whole(&keys);
    assert!(!section.value().to_string().contains(&text[3..20]), "{}", section.value());

    let back = Keys::new(&config(&[("me", "sk-mine")]), &section);
    let key = back.find(&text).unwrap();
    assert_eq!((key.id(), &*key.name), (id.clone(), "phone"));
    assert_eq!(key.limits.requests_per_minute, Some(5));
    assert_eq!((key.used().today.requests, key.used().today.tokens), (1, 70));
    back.delete(&id).unwrap();
    assert!(back.find(&text).is_none());
    assert_eq!(back.delete(&id).err(), Some(EditError::Unknown));
}

#[test]
fn what_a_key_has_used_stays_with_it_whatever_becomes_of_names_and_order() {
    let spend = |keys: &Keys, text: &str, tokens: u64| {
        keys.find(text).unwrap().admit([], &ModelTable::new(&[])).0.unwrap().spend(tokens, 0);
    };
    let tokens = |keys: &Keys, text: &str| keys.find(text).unwrap().used().today.tokens;
    let first = Keys::new(&config(&[("***", "sk-a"), ("***", "sk-b"), ("Team", "sk-c")]), &Section::default());
    [("sk-a", 1), ("sk-b", 2), ("sk-c", 3)].into_iter().for_each(|(text, count)| spend(&first, text, count));
    let next = [
        vec![("***", "sk-b"), ("TEAM 2", "sk-c"), ("new", "sk-d")],
        vec![("***", "sk-c"), ("***", "sk-a"), ("*** (2)", "sk-b")],
    ];
    let mut section = whole(&first);
    for list in next {
        let restarted = Keys::new(&config(&list), &section);
        first.reload(&config(&list));
        for keys in [&restarted, &first] {
            for (_, text) in &list {
                let expected = match *text {
                    "sk-a" => 1,
                    "sk-b" => 2,
                    "sk-c" => 3,
                    _ => 0,
                };
                assert_eq!(tokens(keys, text), expected, "{list:?} {text}");
            }
        }
        section = whole(&restarted);
    }
    assert!(!section.value().to_string().contains("sk-"), "{}", section.value());
    let older = json!({"keys": [], "used": {"Team": [calendar::day(SystemTime::now()), 1, 9, 5]}});
    let older = reread(|sink| sink.put("", &older));
    assert_eq!(tokens(&Keys::new(&config(&[("Team", "sk-c")]), &older), "sk-c"), 9, "an older file");
}

#[test]
fn keys_of_the_config_stay_the_users() {
    let keys = Keys::new(&config(&[("same", "a"), ("same", "b")]), &Section::default());
    let names: Vec<Arc<str>> = keys.list().iter().map(|key| key.name.clone()).collect();
    assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), ["same", "same (2)"]);
    assert!(matches!(keys.delete("config-0"), Err(EditError::Conflict(_))));
    assert!(matches!(keys.change("config-0", &edit(r#"{"disabled":true}"#)), Err(EditError::Conflict(_))));
    assert!(keys.find("").is_none() && keys.find("a").is_some());
}

#[test]
fn a_reload_keeps_what_was_used_and_loses_no_key_that_is_made_meanwhile() {
    let keys = Keys::new(&config(&[("me", "sk-mine")]), &Section::default());
    let key = keys.find("sk-mine").unwrap();
    key.admit([], &ModelTable::new(&[])).0.unwrap().spend(7, 0);
    std::thread::scope(|scope| {
        let made = scope.spawn(|| {
            for number in 0..200 {
                keys.create(edit(&format!(r#"{{"name":"{number}"}}"#))).unwrap();
            }
        });
        loop {
            keys.reload(&config(&[("me too", "sk-mine")]));
            if made.is_finished() {
                break;
            }
        }
    });
    assert_eq!(keys.list().iter().filter(|key| key.source == Source::Page).count(), 200);
    let renamed = keys.find("sk-mine").unwrap();
    assert_eq!((&*renamed.name, renamed.used().today.tokens), ("me too", 7));
}

#[test]
fn disabled_and_expired_keys_are_refused_in_words() {
    let keys = Keys::new(&[], &Section::default());
    let (made, text) = keys.create(edit(r#"{"name":"x"}"#)).unwrap();
    let id = made.id();
    assert!(keys.find(&text).unwrap().refusal().is_none());
    keys.change(&id, &edit(r#"{"disabled":true}"#)).unwrap();
    assert_eq!(keys.find(&text).unwrap().refusal().unwrap().message, "This API key is disabled.");
    keys.change(&id, &edit(r#"{"disabled":false,"expires_at":"2020-01-01"}"#)).unwrap();
    let error = keys.find(&text).unwrap().refusal().unwrap();
    assert_eq!((error.status, error.message.as_str()), (401, "This API key has expired."));
    keys.change(&id, &edit(r#"{"expires_at":null}"#)).unwrap();
    assert!(keys.find(&text).unwrap().refusal().is_none());
}

#[test]
fn a_key_may_be_held_to_some_models() {
    let keys = Keys::new(&[], &Section::default());
    let body = r#"{"name":"x","models":["models/gemini-2.5-flash","gemini-2.5-pro-maxthinking","gemma-*"]}"#;
    let (_, text) = keys.create(edit(body)).unwrap();
    let key = keys.find(&text).unwrap();
    let models = ModelTable::new(&[]);
    for (model, allowed) in [
        ("gemini-2.5-flash", true),
        ("gemini-2.5-pro", true),
        ("gemma-3-27b-it", true),
        ("gemini-2.5-flash-lite", false),
    ] {
        let (result, _) = key.admit([model], &models);
        assert_eq!(result.map_err(|error| error.status).err(), (!allowed).then_some(403), "{model}");
    }
    assert_eq!(key.used().today.requests, 3);
}

#[test]
fn a_change_is_kept_by_its_own_record() {
    let keys = Keys::new(&config(&[("me", "sk-mine")]), &Section::default());
    let changed = || reread(|sink| keys.save(Part::Changed, sink)).value();
    let made: Vec<(Arc<Key>, String)> =
        (0..20).map(|number| keys.create(edit(&format!(r#"{{"name":"{number}"}}"#))).unwrap()).collect();
    assert_eq!(changed().as_object().unwrap().len(), 20);
    assert_eq!(changed(), json!(null), "nothing since");
    keys.change(&made[3].0.id(), &edit(r#"{"disabled":true}"#)).unwrap();
    let only = changed();
    assert_eq!(only.as_object().unwrap().keys().collect::<Vec<_>>(), [&made[3].0.id()]);
    assert_eq!(only[made[3].0.id()]["disabled"], true);
    keys.find(&made[4].1).unwrap().admit([], &ModelTable::new(&[])).0.unwrap().spend(7, 0);
    let used = changed();
    assert_eq!(used.as_object().unwrap().len(), 1, "{used}");
    assert_eq!((&used[&*made[4].0.mark][1], &used[&*made[4].0.mark][2]), (&json!(1), &json!(7)));
    keys.delete(&made[5].0.id()).unwrap();
    let gone = reread(|sink| {
        keys.save(Part::Whole, sink);
        sink.put(&made[5].0.id(), &edit::write(&made[5].0));
        keys.changed(made[5].0.number);
        keys.save(Part::Changed, sink);
    });
    let back = Keys::new(&[], &gone);
    assert_eq!(back.list().len(), 19);
    assert!(back.find(&made[5].1).is_none() && back.find(&made[4].1).unwrap().used().today.tokens == 7);
    assert!(back.find(&made[3].1).unwrap().disabled);
}
