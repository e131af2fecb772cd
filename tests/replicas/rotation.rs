//! The encryption key of all replicas becomes another one while they serve.

use super::accounts::{add, listed, one};
use super::notes::{agreed, get};
use super::redis::{Redis, Relay};
use super::usage::told;
use super::*;
use crate::common::google::User;
use crate::common::google::errors::{Refusal, retry_info};
use crate::common::program::{self, Folder};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const NEW: &str = "the other key of all replicas";
const ACCOUNTS: usize = 12;
/// For which one credential rests.
const RESTING: &str = "gemini-2.5-pro";

fn email(at: usize) -> String {
    format!("account-{at}@example.com")
}

fn store(redis: &Redis, name: &str, old: &[&str]) -> Value {
    json!({"url": redis.url(), "replica": name, "old_encryption_keys": old})
}

fn begin(google: &FakeGoogle, key: &str, store: Value) -> Result<Proxy, u8> {
    let begun = Proxy::sealed(google, key, |config| {
        config["auth_keys"] = json!([{"key": LIMITED, "name": "limited", "requests_per_day": 1_000_000}, FREE]);
        config["store"] = store;
    });
    begun.map_err(|fault| fault.exit_code())
}

#[derive(Default)]
struct Tally {
    stop: AtomicBool,
    /// With a limited key, and with the other one.
    answers: [AtomicUsize; 2],
    unsure: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

/// Asks all replicas in turn, as a balancer does: the next one where nobody listens any more.
fn asks(replicas: &Mutex<Vec<Proxy>>, tally: &Tally, first: usize) {
    for turn in first.. {
        if tally.stop.load(Ordering::Relaxed) {
            return;
        }
        let address = replicas.lock().unwrap()[turn % 3].address();
        let at = turn / 3 % 2;
        let Ok(reply) = Client::new(address).chat([LIMITED, FREE][at], MODEL) else { continue };
        match reply.status {
            200 => tally.answers[at].fetch_add(1, Ordering::Relaxed),
            _ if unsure(std::slice::from_ref(&reply)) > 0 => tally.unsure.fetch_add(1, Ordering::Relaxed),
            status => {
                tally.failures.lock().unwrap().push(format!("{status}: {}", reply.body));
                return;
            }
        };
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Each replica has these keys from now on; its successor is there before it leaves.
fn roll(google: &FakeGoogle, redis: &Redis, replicas: &Mutex<Vec<Proxy>>, key: &str, old: &[&str]) {
    for (at, name) in ["a", "b", "c"].iter().enumerate() {
        let next = begin(google, key, store(redis, name, old)).expect("the replica starts");
        let before = std::mem::replace(&mut replicas.lock().unwrap()[at], next);
        drop(before);
    }
}

fn rotate(folder: &Folder, key: &str) -> std::process::Command {
    let mut command = program::command(folder, &["rotate-key", "--store", "-c", "rotate.json"]);
    command.env("GEMINI_PROXY_ENCRYPTION_KEY", key);
    command
}

fn said(folder: &Folder, key: &str) -> (i32, String) {
    let output = rotate(folder, key).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

#[test]
fn the_key_of_a_file_that_is_not_used_is_not_changed_in_its_place() {
    let folder = Folder::new("unused");
    let config = json!({"store": {"url": "redis://127.0.0.1:1"}, "credentials_file": "unused.json"});
    folder.write("config.json", config.to_string());
    folder.write("unused.json", "[]");
    let output = program::run(&folder, &["rotate-key", "-c", "config.json", "-ek", SEAL, "--new-key", NEW]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("`rotate-key --store` changes the key"), "{said}");
    assert_eq!(std::fs::read_to_string(folder.join("unused.json")).unwrap(), "[]");
}

#[test]
fn the_encryption_key_is_changed_beside_replicas_under_load() {
    let (google, redis) = (FakeGoogle::start(), Redis::start());
    google.settings(|settings| (settings.rotate_refresh, settings.retire_refresh) = (true, true));
    google.always("*", answer());
    crate::common::written::secret(NEW);
    let begun = ["a", "b", "c"].map(|name| begin(&google, SEAL, store(&redis, name, &[])).expect("the replica starts"));
    for at in 0..ACCOUNTS {
        google.add_user(User::licensed(&email(at), "project-1"));
        assert_eq!(add(&begun[0], &google.oauth_credential(&email(at))).status, 200);
    }
    begun.iter().for_each(|replica| wait_for("the accounts", || listed(replica).len() == ACCOUNTS));
    let limited = Refusal::new(429, "Quota exceeded.").detail(retry_info("3000s"));
    google.script("*", Step::refusal(limited).for_model(RESTING));
    assert_eq!(Client::new(begun[0].address()).chat(FREE, RESTING).unwrap().status, 200, "another one serves it");
    wait_for("the rest", || redis.cli(&["hlen", "gop:{g}:cool"]) == "1");
    let resting = redis.cli(&["hkeys", "gop:{g}:cool"]);
    let back = agreed(&begun[0]);
    let made = Client::new(begun[0].address()).send("POST", "/admin/keys", &[], r#"{"name":"of the page"}"#).unwrap();
    let of_page = made.json()["key"].as_str().unwrap().to_owned();
    crate::common::written::secret(&of_page);
    let (folder, relay) = (Folder::new("rotation"), Relay::start(&redis));
    let config = json!({"store": {"url": relay.url(), "old_encryption_keys": [SEAL]}});
    folder.write("rotate.json", config.to_string());
    let (replicas, tally) = (Mutex::new(Vec::from(begun)), Tally::default());
    std::thread::scope(|scope| {
        (0..3).for_each(|first| {
            _ = scope.spawn({
                let (replicas, tally) = (&replicas, &tally);
                move || asks(replicas, tally, first)
            })
        });
        let tokens_end = || {
            for at in (0..ACCOUNTS).cycle() {
                if tally.stop.load(Ordering::Relaxed) {
                    return;
                }
                google.expire(&email(at));
                std::thread::park_timeout(Duration::from_millis(100));
            }
        };
        scope.spawn(tokens_end);
        roll(&google, &redis, &replicas, SEAL, &[NEW]);
        roll(&google, &redis, &replicas, NEW, &[SEAL]);
        let meta = redis.cli(&["hgetall", "gop:{g}:meta"]);
        assert_eq!(begin(&google, NEW, store(&redis, "d", &[])).err(), Some(3), "it is not its store yet");
        // Killed in the middle.
        relay.delay(20);
        let before = relay.asked();
        let mut killed = rotate(&folder, NEW).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        wait_for("a part of it", || relay.asked() > before + 20);
        assert!(killed.try_wait().unwrap().is_none(), "it is not done");
        killed.kill().unwrap();
        killed.wait().unwrap();
        relay.delay(0);
        let is_same = |field: &str| meta.contains(&redis.cli(&["hget", "gop:{g}:meta", field]));
        assert!(is_same("check") && is_same("names"));
        let (code, text) = said(&folder, NEW);
        assert!(code == 0 && text.contains("values in the store have the present key now"), "{code} {text}");
        let (code, text) = said(&folder, NEW);
        assert!(code == 0 && text.contains("has the present key already"), "{code} {text}");
        assert!(!is_same("check") && !is_same("names") && is_same("pool"));
        roll(&google, &redis, &replicas, NEW, &[]);
        let done = tally.answers[0].load(Ordering::Relaxed);
        wait_for("more answers", || {
            tally.answers[0].load(Ordering::Relaxed) > done + 20 || !tally.failures.lock().unwrap().is_empty()
        });
        tally.stop.store(true, Ordering::Relaxed);
    });
    let replicas = replicas.into_inner().unwrap();
    let (failures, unsure) = (tally.failures.into_inner().unwrap(), tally.unsure.into_inner() as u64);
    let [limited, free] = tally.answers.map(|answers| answers.into_inner() as u64);
    println!(
        "{limited} and {free} answers, {unsure} that nobody was sure of; {} refreshes",
        (0..ACCOUNTS).map(|at| google.refreshes(&email(at))).sum::<u64>()
    );
    assert_eq!(failures, [""; 0]);
    assert_eq!(begin(&google, SEAL, store(&redis, "d", &[])).err(), Some(3), "the old key is of no use");
    // Nobody is lost: not a token, a rest, a login that had begun, a key, a count.
    for at in 0..ACCOUNTS {
        google.expire(&email(at));
    }
    for replica in &replicas {
        (0..ACCOUNTS).for_each(|_| assert_eq!(chat(replica, FREE).status, 200));
        let is_well =
            |credential: &Value| credential["status"] == "active" || credential["models"][0]["model"] == RESTING;
        let listed = listed(replica);
        assert!(listed.len() == ACCOUNTS && listed.iter().all(is_well), "{listed:#?}");
        let rests = one(replica, &format!("cred-{resting}")).unwrap()["models"].clone();
        assert!(rests[0]["model"] == RESTING && rests[0]["detail"].as_str().unwrap().len() > 10, "{rests}");
        assert_eq!(chat(replica, &of_page).status, 200);
    }
    assert_eq!(get(&format!("{}{back}", replicas[1].base())).status, 200, "the login goes on");
    let counted = redis.counted("r");
    assert!((limited..=limited + unsure).contains(&counted), "{counted} counted, {limited} answered, {unsure} unsure");
    let sent = limited + free + 1 + 13 * 3;
    wait_for("the sums", || replicas.iter().all(|replica| (sent..=sent + unsure).contains(&told(replica.address()))));
}
