//! Keys of the page are those of all replicas: made, changed, disabled and deleted on one, and so on each.

use super::redis::{Redis, Relay};
use super::*;
use crate::common::program::Folder;

/// What the page sends on a replica, and the cursor that it was told.
pub struct Admin {
    client: Client,
    cursor: Option<String>,
}

impl Admin {
    pub fn of(replica: &Proxy) -> Admin {
        Admin { client: Client::new(replica.address()), cursor: None }
    }

    pub fn call(&mut self, method: &str, path: &str, body: Value) -> Reply {
        let cursor = self.cursor.clone().unwrap_or_default();
        let headers: &[(&str, &str)] = if cursor.is_empty() { &[] } else { &[("X-Store-Cursor", &cursor)] };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.client.send(method, path, headers, &body).expect("an answer");
        self.cursor = reply.header("x-store-cursor").map(str::to_owned).or(self.cursor.take());
        reply
    }

    /// Id and text of a new key.
    pub fn make(&mut self, fields: Value) -> (String, String) {
        let made = self.call("POST", "/admin/keys", fields);
        assert_eq!(made.status, 200, "{}", made.body);
        let text = |name: &str| made.json()[name].as_str().unwrap().to_owned();
        (text("id"), text("key"))
    }

    fn change(&mut self, id: &str, fields: Value) -> Reply {
        self.call("POST", &format!("/admin/keys/{id}"), fields)
    }

    /// The keys of the page as they are listed, by their ids.
    fn listed(&mut self) -> Vec<Value> {
        let list = self.call("GET", "/admin/keys", Value::Null).json();
        list["keys"].as_array().unwrap().iter().filter(|key| key["source"] == "page").cloned().collect()
    }
}

/// What a replica says to a key, once; how fast is another matter.
pub fn status(replica: &Proxy, key: &str) -> u16 {
    Client::new(replica.address()).chat(key, MODEL).expect("an answer").status
}

/// Within how long each replica says so; a second is promised, to people on machines that are not busy.
pub fn soon(replicas: &[Proxy], key: &str, wanted: u16) -> Duration {
    let began = Instant::now();
    replicas.iter().for_each(|replica| wait_for("the change", || status(replica, key) == wanted));
    began.elapsed()
}

#[test]
fn a_key_is_made_changed_and_revoked_on_all_replicas() {
    let (google, redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({}));
    let mut admins: Vec<Admin> = replicas.iter().map(Admin::of).collect();
    let (id, key) = admins[0].make(json!({"name": "phone", "requests_per_day": 500}));
    assert_eq!(status(&replicas[0], &key), 200, "here at once");
    let mut took = vec![soon(&replicas, &key, 200)];
    // Who was told of it on one replica sees it on the others.
    for (at, change) in
        [json!({"name": "tablet"}), json!({"disabled": true}), json!({"disabled": false})].into_iter().enumerate()
    {
        let (one, other) = (at % 3, (at + 1) % 3);
        admins[one].cursor = admins[at.max(1) - 1].cursor.clone();
        assert_eq!(admins[one].change(&id, change.clone()).status, 200);
        admins[other].cursor = admins[one].cursor.clone();
        let listed = admins[other].listed();
        let (field, value) = change.as_object().unwrap().iter().next().unwrap();
        assert_eq!((listed.len(), &listed[0][field]), (1, value), "{change} on {one}, seen on {other}");
        if field == "disabled" {
            took.push(soon(&replicas, &key, if value == true { 401 } else { 200 }));
        }
    }
    assert_eq!(admins[2].call("DELETE", &format!("/admin/keys/{id}"), Value::Null).status, 200);
    assert_eq!(status(&replicas[2], &key), 401, "here at once");
    took.push(soon(&replicas, &key, 401));
    assert!(took.iter().all(|took| *took < Duration::from_secs(5)), "{took:?}");
    println!("after {took:?} on all three");
    admins.iter_mut().for_each(|admin| assert!(admin.listed().is_empty()));
    assert_eq!(admins[1].change(&id, json!({"disabled": true})).status, 404);
    assert_eq!(redis.cli(&["hlen", "gop:{g}:name"]), "0", "its names are free");
    for (path, method) in [("/admin/keys/config-0", "DELETE"), ("/admin/keys/config-0", "POST")] {
        assert_eq!(admins[0].call(method, path, json!({"disabled": true})).status, 409, "{method}");
    }
    assert_eq!(admins[0].call("POST", "/admin/keys", json!({"name": "free"})).status, 409, "the config has the name");
}

#[test]
fn of_two_who_want_one_name_one_gets_it() {
    let (google, redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({}));
    for round in 0..5 {
        let name = json!({"name": format!("name {round} \"quoted\" ü")});
        let replies: Vec<u16> = std::thread::scope(|scope| {
            let threads: Vec<_> = replicas
                .iter()
                .map(|replica| {
                    let name = name.clone();
                    scope.spawn(move || Admin::of(replica).call("POST", "/admin/keys", name).status)
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(replies.iter().filter(|status| **status == 200).count(), 1, "{replies:?}");
        assert_eq!(replies.iter().filter(|status| **status == 409).count(), 2, "{replies:?}");
    }
    let mut admin = Admin::of(&replicas[1]);
    admin.cursor = Some(format!("{}-0", u64::MAX));
    let began = Instant::now();
    assert_eq!(admin.listed().len(), 5);
    assert!(began.elapsed() < Duration::from_secs(5), "what never comes is waited for once: {:?}", began.elapsed());
    // A name that is taken, and one that was given up.
    let (id, _) = admin.make(json!({"name": "mine"}));
    let renamed = |admin: &mut Admin, name: &str| admin.change(&id, json!({ "name": name })).status;
    assert_eq!(renamed(&mut admin, "name 0 \"quoted\" ü"), 409);
    assert_eq!(renamed(&mut admin, "yours"), 200);
    Admin::of(&replicas[2]).make(json!({"name": "mine"}));
    assert_eq!(renamed(&mut admin, "mine"), 409);
}

#[test]
fn no_change_of_a_key_undoes_another() {
    let (google, redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({}));
    let (id, key) = Admin::of(&replicas[0]).make(json!({"name": "busy"}));
    const ROUNDS: u64 = 15;
    let fields = ["requests_per_day", "tokens_per_day", "requests_per_minute"];
    std::thread::scope(|scope| {
        for (replica, field) in replicas.iter().zip(fields) {
            let id = &id;
            scope.spawn(move || {
                let mut admin = Admin::of(replica);
                for round in 1..=ROUNDS {
                    let reply = admin.change(id, json!({field: 1_000_000 + round}));
                    assert_eq!(reply.status, 200, "{}", reply.body);
                }
            });
            let key = &key;
            scope.spawn(move || (0..ROUNDS).for_each(|_| _ = status(replica, key)));
        }
    });
    for replica in &replicas {
        let limits = |admin: &mut Admin| admin.listed()[0]["limits"].clone();
        let mut admin = Admin::of(replica);
        wait_for("all changes", || fields.iter().all(|field| limits(&mut admin)[field] == 1_000_000 + ROUNDS));
    }
}

#[test]
fn many_keys_are_changed_at_once_on_all_replicas() {
    if !cfg!(feature = "console") {
        return;
    }
    let (google, redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({}));
    let mut admins: Vec<Admin> = replicas.iter().map(Admin::of).collect();
    let made: Vec<(String, String)> =
        (0..12).map(|at| admins[at % 3].make(json!({"name": format!("key {at}")}))).collect();
    let ids: Vec<&str> = made.iter().map(|(id, _)| id.as_str()).collect();
    let told = admins.iter().filter_map(|admin| admin.cursor.clone()).max().unwrap();
    admins.iter_mut().for_each(|admin| admin.cursor = Some(told.clone()));
    let mut bulk = |at: usize, action: &str, ids: &[&str]| {
        admins[at].call("POST", "/admin/keys/bulk", json!({"action": action, "ids": ids})).json()
    };
    let done = bulk(0, "disable", &[&ids[..8], &["key-ffffffff", "config-1"]].concat());
    assert_eq!((&done["done"], &done["failed"]), (&json!(8), &json!(2)), "{done}");
    soon(&replicas, &made[7].1, 401);
    soon(&replicas, &made[8].1, 200);
    assert_eq!(bulk(1, "enable", &ids[..2])["done"], 2);
    assert_eq!(bulk(2, "delete", &ids[4..])["done"], 8);
    soon(&replicas, &made[0].1, 200);
    soon(&replicas, &made[11].1, 401);
    assert_eq!(admins[0].listed().len(), 4);
}

#[test]
fn while_the_store_is_away_keys_are_as_they_were_and_nothing_is_changed() {
    let (google, mut redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({}));
    let mut admin = Admin::of(&replicas[0]);
    let (id, key) = admin.make(json!({"name": "phone"}));
    let (off, revoked) = admin.make(json!({"name": "old", "disabled": true}));
    soon(&replicas, &key, 200);
    redis.kill();
    for replica in &replicas {
        wait_for("the outage", || health(replica)["state"] == "down");
        assert_eq!([&key, &revoked].map(|key| status(replica, key)), [200, 401]);
        assert_eq!(status(replica, "sk-nobody-has-this-key"), 401, "the copy is new enough to say so");
    }
    let expected = "The store cannot be reached; nothing was changed.";
    let (key_path, many) = (format!("/admin/keys/{off}"), json!({"action": "enable", "ids": [off]}));
    for (method, path, body) in [
        ("POST", "/admin/keys", json!({"name": "new"})),
        ("POST", key_path.as_str(), json!({"disabled": false})),
        ("DELETE", &key_path, Value::Null),
        ("POST", "/admin/keys/bulk", many),
    ] {
        if path.ends_with("bulk") && !cfg!(feature = "console") {
            continue;
        }
        let reply = admin.call(method, path, body);
        assert_eq!((reply.status, reply.json()["detail"].as_str()), (503, Some(expected)), "{method} {path}");
    }
    assert_eq!(status(&replicas[0], &revoked), 401);
    redis.begin();
    wait_for("the store", || admin.change(&id, json!({"disabled": true})).status == 200);
    soon(&replicas, &key, 401);
    assert_eq!(admin.listed().len(), 2);
}

#[test]
fn what_was_told_while_a_replica_was_cut_off_is_read_afterwards() {
    let (google, redis) = (google(), Redis::start());
    let relay = Relay::start(&redis);
    let store = |url: String| json!({"url": url});
    let [a, b] =
        [("a", redis.url()), ("b", relay.url())].map(|(name, url)| replica(&google, name, store(url), &json!({})));
    let mut admin = Admin::of(&a);
    let (kept, _) = admin.make(json!({"name": "kept"}));
    let (gone, revoked) = admin.make(json!({"name": "gone"}));
    wait_for("the key", || status(&b, &revoked) == 200);
    relay.cut(true);
    assert_eq!(admin.call("DELETE", &format!("/admin/keys/{gone}"), Value::Null).status, 200);
    let (_, made) = admin.make(json!({"name": "made meanwhile"}));
    assert_eq!(admin.change(&kept, json!({"name": "gone"})).status, 200, "the name is free again");
    // The stream forgets what it was told, as it does after ten thousand changes.
    redis.cli(&["xtrim", "gop:{g}:news", "MAXLEN", "1"]);
    relay.cut(false);
    wait_for("what was told", || status(&b, &made) == 200);
    assert_eq!(status(&b, &revoked), 401);
    let names: Vec<Value> = Admin::of(&b).listed().iter().map(|key| key["name"].clone()).collect();
    assert_eq!(names, ["gone", "made meanwhile"]);
}

#[test]
fn a_store_that_was_emptied_takes_nothing_away() {
    let (google, mut redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({}));
    let mut admin = Admin::of(&replicas[0]);
    let (id, key) = admin.make(json!({"name": "phone"}));
    soon(&replicas, &key, 200);
    let files = redis.file("appendonlydir");
    let aside = redis.file("aside");
    redis.kill();
    std::fs::rename(&files, &aside).unwrap();
    redis.begin();
    for replica in &replicas {
        wait_for("the alert", || tells_loss(replica));
        assert_eq!(status(replica, &key), 200);
    }
    let refused = admin.change(&id, json!({"disabled": true}));
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(refused.json()["detail"], "The store has lost what it held; nothing was changed.");
    assert_eq!(redis.cli(&["exists", "gop:{g}:key"]), "0");
    // It is restored from its files.
    redis.kill();
    std::fs::remove_dir_all(&files).unwrap();
    std::fs::rename(&aside, &files).unwrap();
    redis.begin();
    wait_for("the store", || admin.change(&id, json!({"disabled": true})).status == 200);
    soon(&replicas, &key, 401);
}

#[test]
fn a_store_that_is_emptied_while_it_answers_is_not_filled_by_the_next_change() {
    let (google, redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({}));
    let mut admin = Admin::of(&replicas[0]);
    let (_, key) = admin.make(json!({"name": "phone"}));
    soon(&replicas, &key, 200);
    redis.cli(&["flushall"]);
    let refused = admin.call("POST", "/admin/keys", json!({"name": "too early"}));
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(redis.cli(&["exists", "gop:{g}:key"]), "0");
    // A wrong password is told to all, so the store has changes again, and still it has lost what it held.
    let told = "local n = redis.call('HINCRBY', 'gop:{g}:meta', 'changes', 1) \
        redis.call('XADD', 'gop:{g}:news', '*', 'k', 'brief', 'id', 'x', 'v', n)";
    redis.cli(&["eval", told, "0"]);
    for replica in &replicas {
        wait_for("the alert", || tells_loss(replica));
        assert_eq!(status(replica, &key), 200);
    }
    assert_eq!(admin.call("POST", "/admin/keys", json!({"name": "too early"})).status, 503);
}

#[test]
fn a_replica_that_begins_without_the_store_does_not_call_a_key_wrong() {
    let (google, mut redis) = (google(), Redis::start());
    let (_, key) =
        Admin::of(&replica(&google, "a", json!({"url": redis.url()}), &json!({}))).make(json!({"name": "phone"}));
    redis.kill();
    let replica = replica(&google, "b", json!({"url": redis.url()}), &json!({}));
    let unknown = Client::new(replica.address()).chat(&key, MODEL).unwrap();
    assert_eq!((unknown.status, unknown.header("retry-after")), (503, Some("2")), "{}", unknown.body);
    assert_eq!(unknown.json()["error"]["code"], "store_unavailable");
    assert_eq!(status(&replica, FREE), 200, "the config's are known");
    assert_eq!(Admin::of(&replica).call("POST", "/admin/keys", json!({"name": "x"})).status, 503);
    redis.begin();
    wait_for("the key", || status(&replica, &key) == 200);
    assert_eq!(status(&replica, "sk-nobody-has-this-key"), 401);
}

#[test]
fn keys_of_the_state_file_stay_in_it_while_there_is_a_store() {
    let (google, redis) = (google(), Redis::start());
    let folder = Folder::new("keys-before");
    let begin = |store: Option<String>| {
        let state = folder.join("state.json");
        Proxy::sealed(&google, SEAL, |settings| {
            settings["gemini_api_keys"] = json!([GEMINI_KEY]);
            settings["state_file"] = json!(state);
            store.into_iter().for_each(|url| settings["store"] = json!({"url": url, "replica": "a"}));
        })
        .expect("it starts")
    };
    let proxy = begin(None);
    let (_, before) = Admin::of(&proxy).make(json!({"name": "before"}));
    drop(proxy);
    let proxy = begin(Some(redis.url()));
    assert_eq!(status(&proxy, &before), 401);
    let (_, shared) = Admin::of(&proxy).make(json!({"name": "before"}));
    assert_eq!(status(&proxy, &shared), 200);
    drop(proxy);
    let proxy = begin(None);
    assert_eq!([&before, &shared].map(|key| status(&proxy, key)), [200, 401]);
}
