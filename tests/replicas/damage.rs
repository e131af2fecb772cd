//! Records of the store that cannot be read, whatever has damaged them, and a store that has lost all of them.

use super::keys::Admin;
use super::programs::{address, begin, config};
use super::redis::Redis;
use super::*;
use crate::common::program::{Folder, run};
use std::os::unix::fs::PermissionsExt;

const ITEMS: [&str; 3] = ["AIza-key-of-damage-0", "AIza-key-of-damage-1", "AIza-key-of-damage-2"];

fn said(folder: &Folder, words: &[&str]) -> (i32, String) {
    let output = run(folder, &[words, &["-c", "config.json", "-ek", SEAL]].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

/// Three credentials that were brought in, and two keys: `phone`, and one whose id and secret are returned.
fn filled(google: &FakeGoogle, redis: &Redis, folder: &Folder) -> (String, String) {
    let items = ITEMS.map(|key| json!({"type": "api_key", "api_key": key}));
    crate::common::written::secrets_in(&json!(items));
    ITEMS.iter().for_each(|key| google.add_api_key(key));
    folder.write("first.json", json!(items).to_string());
    let mut settings = config(google, 0, json!({"url": redis.url()}), &json!({}));
    (settings["credentials_file"], settings["state_file"]) = (json!("first.json"), json!("none.json"));
    settings.as_object_mut().unwrap().remove("gemini_api_keys");
    folder.write("config.json", settings.to_string());
    let (code, text) = said(folder, &["store", "import"]);
    assert!(code == 0 && text.contains("3 added"), "{text}");
    let replica = replica(google, "maker", json!({"url": redis.url()}), &json!({}));
    let mut admin = Admin::of(&replica);
    let ((id, key), _) = (admin.make(json!({"name": "laptop"})), admin.make(json!({"name": "phone"})));
    (id, key)
}

/// What somebody does by hand.
fn damage(redis: &Redis, id: &str) {
    redis.cli(&["hset", "gop:{g}:cred", "2", "garbage"]);
    redis.cli(&["hset", "gop:{g}:key", id, r#"{"v":1}"#]);
    redis.cli(&["hset", "gop:{g}:key", "rubbish", r#"7|{"name":"content-of-it"}"#]);
}

fn assert_named(text: &str, id: &str) {
    for name in ["the credential cred-2", &format!("the key {id}"), "the key rubbish"] {
        assert_eq!(text.matches(name).count(), 1, "{name}: {text}");
    }
    assert!(!text.contains("garbage") && !text.contains("content-of-it"), "{text}");
}

#[test]
fn what_cannot_be_read_is_named_by_each_command_and_the_rest_is_written() {
    let (google, redis, folder) = (google(), Redis::start(), Folder::new("damaged-store"));
    let (id, _) = filled(&google, &redis, &folder);
    let (code, text) = said(&folder, &["store", "export", "--to", "whole/out"]);
    assert!(code == 0 && text.contains("3 credentials are in") && text.contains("2 keys of the page are in"), "{text}");
    let mode = std::fs::metadata(folder.join("whole/out")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let (code, text) = said(&folder, &["check"]);
    assert!(code == 0 && !text.contains("[ERROR]"), "{text}");
    damage(&redis, &id);
    let (code, text) = said(&folder, &["store", "export", "--to", "out"]);
    assert!(code == 1 && text.contains("2 credentials are in") && text.contains("1 keys of the page are in"), "{text}");
    assert!(text.contains("[ERROR] 3 records of the store cannot be read"), "{text}");
    assert_named(&text, &id);
    let state = std::fs::read_to_string(folder.join("out/credentials.json.state.json")).unwrap();
    assert!(state.contains("phone") && !state.contains("content-of-it") && !state.contains(r#"{"v":1}"#), "{state}");
    let (code, text) = said(&folder, &["check"]);
    assert!(code == 1 && text.contains("[ERROR] 3 records") && text.contains("cred-1"), "{text}");
    assert_named(&text, &id);
    let (code, text) = said(&folder, &["rotate-key", "--store"]);
    assert!(code == 1 && text.contains("[ERROR]") && !text.contains("Everything in the store"), "{text}");
    assert_named(&text, &id);
    // It is well again without them.
    redis.cli(&["hdel", "gop:{g}:cred", "2"]);
    redis.cli(&["hdel", "gop:{g}:key", &id, "rubbish"]);
    let (code, text) = said(&folder, &["check"]);
    assert!(code == 0 && !text.contains("[ERROR]"), "{text}");
    let (code, text) = said(&folder, &["rotate-key", "--store"]);
    assert!(code == 0 && text.contains("Everything in the store has the present key already"), "{text}");
}

#[test]
fn what_is_no_text_and_what_another_key_has_sealed_is_damaged_as_well() {
    let (google, redis, folder) = (google(), Redis::start(), Folder::new("damaged-bytes"));
    filled(&google, &redis, &folder);
    redis.cli(&["eval", r"redis.call('HSET', 'gop:{g}:key', 'bytes', '1|\255\254')", "0"]);
    redis.cli(&["hset", "gop:{g}:cred", "1", "5|gAAAAABnotoursAAAA"]);
    redis.cli(&["hset", "gop:{g}:cool", "0", r#"9|{"gemini-2.5-pro":[1]}"#]);
    for words in [&["check"][..], &["store", "export", "--to", "out"], &["rotate-key", "--store"]] {
        let (code, text) = said(&folder, words);
        assert_eq!(code, 1, "{words:?}: {text}");
        for name in ["the credential cred-1", "the rests of the credential cred-0", "the key bytes"] {
            assert_eq!(text.matches(name).count(), 1, "{words:?}: {name}: {text}");
        }
        assert_eq!(text.contains("is not known here: 1 of gop:{g}:cred;"), words[0] == "rotate-key", "{text}");
    }
    let begun = replica(&google, "begun", json!({"url": redis.url()}), &json!({}));
    assert_eq!(Client::new(begun.address()).get("/readyz").status, 200);
}

#[test]
fn a_replica_that_meets_a_damaged_record_tells_it_once() {
    let (google, redis, folder) = (google(), Redis::start(), Folder::new("damage-told"));
    let (id, key) = filled(&google, &redis, &folder);
    let settings = config(&google, 0, json!({"url": redis.url()}), &json!({}));
    let known = begin(&folder, &settings);
    let ask = |at| Client::new(at).chat(&key, MODEL).unwrap().status;
    assert_eq!(ask(address(&known)), 200);
    damage(&redis, &id);
    let late_folder = Folder::new("damage-told-late");
    let late = begin(&late_folder, &settings);
    assert_eq!(ask(address(&late)), 401);
    // A change that was told makes who knew them read them as well, and many more change nothing.
    let tell = "for n = 1, 3 do local v = redis.call('HINCRBY', 'gop:{g}:meta', 'changes', 1) \
        redis.call('XADD', 'gop:{g}:news', '*', 'k', 'cred', 'id', '2', 'v', v) \
        v = redis.call('HINCRBY', 'gop:{g}:meta', 'changes', 1) \
        redis.call('XADD', 'gop:{g}:news', '*', 'k', 'key', 'id', ARGV[1] .. ' rubbish', 'v', v) end";
    let names = ["the credential cred-2 cannot be read", &format!("the key {id} "), "the key rubbish "];
    for _ in 0..3 {
        redis.cli(&["eval", tell, "0", &id]);
        for program in [&known, &late] {
            wait_for("the words", || names.iter().all(|name| program.log().contains(name)));
        }
    }
    // What was told before is known when this is.
    redis.cli(&["hset", "gop:{g}:key", "last", "rubbish"]);
    redis.cli(&["eval", &tell.replace(" rubbish", " last"), "0", &id]);
    for program in [&known, &late] {
        wait_for("the last one", || program.log().contains("the key last "));
        let log = program.log();
        names.iter().for_each(|name| assert_eq!(log.matches(name).count(), 1, "{name}: {log}"));
        assert!(!log.contains("garbage") && !log.contains("content-of-it"), "{log}");
    }
}

#[test]
fn a_store_that_was_emptied_is_not_called_well() {
    let (google, redis, folder) = (google(), Redis::start(), Folder::new("emptied-store"));
    filled(&google, &redis, &folder);
    let fits = "is this pool's, and the key fits";
    let (code, text) = said(&folder, &["check"]);
    assert!(code == 0 && text.contains(fits) && !text.contains("holds neither"), "{text}");
    let replica = replica(&google, "knows", json!({"url": redis.url()}), &json!({}));
    redis.cli(&["flushall"]);
    wait_for("the alert", || tells_loss(&replica));
    wait_for("the word of it", || redis.cli(&["zcard", "gop:{g}:lost"]) == "1");
    let (code, text) = said(&folder, &["check"]);
    assert!(code == 1 && text.contains("was emptied: replicas know what was in it") && !text.contains(fits), "{text}");
    drop(replica);
    drop(super::replica(&google, "new", json!({"url": redis.url()}), &json!({})));
    let (_, text) = said(&folder, &["check"]);
    assert!(text.contains(fits) && text.contains("it holds neither credentials nor keys of the page"), "{text}");
}
