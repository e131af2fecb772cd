use super::{Edit, NO_KEY, NOT_JSON, Record, Store, WRONG_KEY};
use crate::credentials::file::cipher::Cipher;
use crate::secret::Secret;
use crate::storage::disk::{self, Scratch};
use serde_json::json;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

fn tokens(of: &Record, access: &str) -> Edit {
    Edit::Tokens {
        of: of.identity().unwrap(),
        access: Secret::new(access),
        refresh: None,
        expiry: UNIX_EPOCH + Duration::from_millis(1_795_387_466_000),
    }
}

fn add(item: serde_json::Value) -> Edit {
    Edit::Add { record: Record::new(item), instead_of: None }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn missing_and_empty_files_hold_no_credentials() {
    let scratch = Scratch::new("store-empty");
    for (name, content) in [("a", None), ("b", Some("")), ("c", Some("\u{feff} \r\n"))] {
        let path = scratch.0.join(name);
        content.inspect(|content| fs::write(&path, content).unwrap());
        let (_store, items) = Store::open(&path, Some(&Secret::new("k"))).unwrap();
        assert_eq!((items.len(), path.exists()), (0, content.is_some()));
    }
}

#[test]
fn one_plain_credential_is_written_as_the_old_program_wrote_it() {
    let scratch = Scratch::new("store-single");
    let path = scratch.0.join("credentials.json");
    fs::write(&path, "\u{feff}[{\"refresh_token\": \"r\\u00fc\"}]\r\n").unwrap();
    let (mut store, items) = Store::open(&path, None).unwrap();
    store.sync(vec![tokens(&items[0], "a")]);
    let expected = "{\n  \"access_token\": \"a\",\n  \"refresh_token\": \"rü\",\n  \"token_type\": \"Bearer\",\n  \"expiry_date\": 1795387466000\n}";
    assert_eq!(text(&path), expected);
    store.sync(vec![Edit::Remove(items[0].clone())]);
    assert_eq!(text(&path), "[]");
}

#[test]
fn unknown_fields_and_unusable_items_keep_their_place() {
    let scratch = Scratch::new("store-unknown");
    let path = scratch.0.join("credentials.json");
    let items =
        json!([null, {"note": "no token"}, {"x": {"y": [1.5]}, "refresh_token": "r"}, "text", {"api_key": "k"}]);
    fs::write(&path, items.to_string()).unwrap();
    let (mut store, items) = Store::open(&path, None).unwrap();
    store.sync(vec![tokens(&items[2], "a")]);
    let expected = json!([
        null, {"note": "no token"},
        {"x": {"y": [1.5]}, "refresh_token": "r", "access_token": "a", "expiry_date": 1_795_387_466_000_i64},
        "text", {"api_key": "k"}
    ]);
    assert_eq!(text(&path), serde_json::to_string_pretty(&expected).unwrap());
}

#[test]
fn an_edit_that_changes_nothing_writes_nothing() {
    let scratch = Scratch::new("store-same");
    let path = scratch.0.join("credentials.json");
    fs::write(&path, "[ {\"refresh_token\":\"r\",\"label\":\"x\"} ]").unwrap();
    let (mut store, items) = Store::open(&path, None).unwrap();
    store.sync(vec![Edit::Field { of: items[0].identity().unwrap(), name: "label", value: Some("x".into()) }]);
    assert_eq!(text(&path), "[ {\"refresh_token\":\"r\",\"label\":\"x\"} ]");
}

#[test]
fn a_plain_file_is_encrypted_at_once_when_there_is_a_key() {
    let scratch = Scratch::new("store-encrypt");
    let path = scratch.0.join("credentials.json");
    fs::write(&path, "[{\"refresh_token\":\"1//plain\"}]").unwrap();
    let key = Secret::new("secret");
    let (_, items) = Store::open(&path, Some(&key)).unwrap();
    assert_eq!(items.len(), 1);
    let token = text(&path);
    assert!(token.starts_with("gAAAA"), "{token}");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    for entry in fs::read_dir(&scratch.0).unwrap() {
        assert!(!text(&entry.unwrap().path()).contains("1//plain"));
    }
    assert_eq!(Store::open(&path, Some(&key)).unwrap().1, items);
}

#[test]
fn a_file_that_cannot_be_understood_is_left_alone_byte_for_byte() {
    let encrypt = |text| Cipher::new(&Secret::new("secret")).encrypt(text).into_bytes();
    let whole = encrypt("[{\"refresh_token\":\"r\"}]");
    let scratch = Scratch::new("store-broken");
    let path = scratch.0.join("credentials.json");
    for (name, content, key, expected) in [
        ("wrong key", whole.clone(), Some("other"), WRONG_KEY.to_owned()),
        ("no key", whole.clone(), None, NO_KEY.to_owned()),
        ("cut", whole[..whole.len() - 9].to_vec(), Some("secret"), WRONG_KEY.to_owned()),
        ("not JSON inside", encrypt("hello"), Some("secret"), NOT_JSON.to_owned()),
        ("scalar inside", encrypt("5"), Some("secret"), NOT_JSON.to_owned()),
        ("broken JSON", b"[{]".to_vec(), None, format!("{NO_KEY} (invalid JSON at line 1, column 3)")),
        (
            "broken JSON and a key",
            b"{".to_vec(),
            Some("secret"),
            format!("{WRONG_KEY} (invalid JSON at line 1, column 1)"),
        ),
        ("scalar", b"5".to_vec(), None, NO_KEY.to_owned()),
        ("binary", vec![0xff, 0xfe, 0], None, NO_KEY.to_owned()),
    ] {
        fs::write(&path, &content).unwrap();
        let error = Store::open(&path, key.map(Secret::new).as_ref()).err().expect(name);
        assert_eq!((error.to_string(), error.exit_code()), (expected, 3), "{name}");
        assert_eq!(fs::read(&path).unwrap(), content, "{name}");
    }
    let error = Store::open(&scratch.0, None).err().unwrap();
    assert!(error.to_string().contains(" cannot be read: "), "{error}");
}

#[test]
fn changes_of_others_are_merged_and_told() {
    let scratch = Scratch::new("store-merge");
    let path = scratch.0.join("credentials.json");
    fs::write(&path, "[{\"refresh_token\":\"a\"},{\"refresh_token\":\"b\"}]").unwrap();
    let (mut mine, items) = Store::open(&path, None).unwrap();
    let (mut theirs, _) = Store::open(&path, None).unwrap();
    assert_eq!(theirs.sync(vec![Edit::Remove(items[1].clone())]), None);
    theirs.sync(vec![Edit::Field { of: items[0].identity().unwrap(), name: "label", value: Some("mine".into()) }]);
    theirs.sync(vec![add(json!({"api_key": "k"}))]);
    let merged = mine.sync(vec![tokens(&items[0], "new")]).expect("the change of the other process");
    let values: Vec<_> = merged.iter().map(Record::value).collect();
    assert_eq!(values.len(), 2);
    assert_eq!((&values[0]["access_token"], &values[0]["label"]), (&json!("new"), &json!("mine")));
    assert_eq!(values[1], &json!({"api_key": "k"}));
    assert!(theirs.sync(vec![]).is_some());
    assert_eq!((theirs.sync(vec![]), mine.sync(vec![])), (None, None));
}

#[test]
fn two_stores_on_one_file_lose_nothing() {
    let scratch = Scratch::new("store-two");
    let path = scratch.0.join("credentials.json");
    std::thread::scope(|scope| {
        for name in ["a", "b"] {
            let path = &path;
            scope.spawn(move || {
                let (mut store, _) = Store::open(path, None).unwrap();
                for at in 0..100 {
                    store.sync(vec![add(json!({"refresh_token": format!("{name}{at}")}))]);
                }
            });
        }
    });
    assert_eq!(Store::open(&path, None).unwrap().1.len(), 200);
}

#[test]
fn a_file_broken_while_running_is_left_alone_until_it_can_be_read_again() {
    let scratch = Scratch::new("store-hand");
    let path = scratch.0.join("credentials.json");
    fs::write(&path, "[{\"refresh_token\":\"a\"}]").unwrap();
    let (mut store, items) = Store::open(&path, None).unwrap();
    fs::write(&path, "[{\"refresh_token\":\"a\"},").unwrap();
    assert_eq!(store.sync(vec![tokens(&items[0], "new")]), None);
    assert_eq!(text(&path), "[{\"refresh_token\":\"a\"},");
    fs::write(&path, "[{\"refresh_token\":\"a\"},{\"refresh_token\":\"b\"}]").unwrap();
    assert_eq!(store.sync(vec![]).map(|items| items.len()), Some(2));
    assert!(text(&path).contains("\"new\""));
}

#[test]
fn a_file_that_vanished_while_running_comes_back_with_the_next_write() {
    let scratch = Scratch::new("store-gone");
    let path = scratch.0.join("credentials.json");
    fs::write(&path, "[{\"refresh_token\":\"a\"},{\"refresh_token\":\"b\"}]").unwrap();
    let (mut store, items) = Store::open(&path, None).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(store.sync(vec![]), None);
    store.sync(vec![tokens(&items[0], "new")]);
    assert_eq!(Store::open(&path, None).unwrap().1.len(), 2);
}

#[test]
fn a_write_that_fails_is_made_up_for_later() {
    let scratch = Scratch::new("store-fail");
    let folder = scratch.0.join("folder");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("credentials.json");
    fs::write(&path, "[{\"refresh_token\":\"a\"}]").unwrap();
    let (mut store, items) = Store::open(&path, None).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    store.sync(vec![tokens(&items[0], "one")]);
    store.sync(vec![tokens(&items[0], "two")]);
    assert_eq!(store.waiting.len(), 1);
    fs::create_dir(&folder).unwrap();
    store.sync(vec![]);
    assert!(text(&path).contains("\"two\""));
}

#[test]
fn what_the_file_was_before_the_first_write_stays_beside_it_once() {
    let scratch = Scratch::new("store-backup");
    let (path, backup) = (scratch.0.join("credentials.json"), scratch.0.join("credentials.json.bak"));
    let original = "[ {\"refresh_token\":\"r\"},\r\n 7 ]";
    fs::write(&path, original).unwrap();
    for access in ["one", "two"] {
        let (mut store, items) = Store::open(&path, None).unwrap();
        store.sync(vec![]);
        store.sync(vec![tokens(&items[0], access)]);
        store.sync(vec![tokens(&items[0], "three")]);
        assert_eq!(text(&backup), original);
    }
    assert_eq!(fs::metadata(&backup).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 2);

    let own = scratch.0.join("own.json");
    let (mut store, _) = Store::open(&own, None).unwrap();
    store.sync(vec![add(json!({"refresh_token": "a"}))]);
    store.sync(vec![add(json!({"refresh_token": "b"}))]);
    assert!(!disk::beside(&own, ".bak").exists(), "what this program made itself was nothing before");
}

#[test]
fn with_a_key_no_backup_stays_in_clear() {
    let key = Secret::new("secret");
    let original = "[ {\"refresh_token\":\"1//plain\"} ]";
    for made_without_key in [false, true] {
        let scratch = Scratch::new("store-backup-key");
        let (path, backup) = (scratch.0.join("credentials.json"), scratch.0.join("credentials.json.bak"));
        fs::write(&path, original).unwrap();
        if made_without_key {
            let (mut store, items) = Store::open(&path, None).unwrap();
            store.sync(vec![tokens(&items[0], "one")]);
            assert_eq!(text(&backup), original);
        }
        Store::open(&path, Some(&key)).unwrap();
        assert_eq!(Cipher::new(&key).decrypt(text(&backup).as_bytes()).unwrap(), original.as_bytes());
        for entry in fs::read_dir(&scratch.0).unwrap() {
            assert!(!text(&entry.unwrap().path()).contains("1//plain"));
        }
    }
}

#[test]
fn why_edits_wait_is_told_until_they_are_written() {
    let scratch = Scratch::new("store-unsaved");
    let folder = scratch.0.join("folder");
    let path = folder.join("credentials.json");
    let (mut store, _) = Store::open(&path, None).unwrap();
    assert_eq!(store.unsaved(), None);
    store.sync(vec![add(json!({"refresh_token": "a"}))]);
    let reason = store.unsaved().unwrap().to_owned();
    assert!(reason.contains("credentials.json cannot be written: No such file"), "{reason}");
    fs::create_dir(&folder).unwrap();
    store.sync(vec![]);
    assert_eq!(store.unsaved(), None);

    fs::write(&path, "{broken").unwrap();
    store.sync(vec![]);
    assert_eq!(store.unsaved(), None, "nothing waits for a file that somebody else broke");
    store.sync(vec![add(json!({"refresh_token": "b"}))]);
    assert!(store.unsaved().unwrap().contains("is left alone"));
}
