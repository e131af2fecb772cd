//! Credentials that replicas share: who they are, their tokens, their rests.

use super::redis::Redis;
use super::*;
use crate::common::google::User;
use crate::common::google::errors::{Refusal, retry_info};
use crate::common::program::Folder;

const EMAIL: &str = "ada@example.com";
const KEYS: [&str; 2] = ["AIza-key-one-of-the-config", "AIza-key-two-of-the-config"];

/// Replicas of these names, with the accounts' Google.
pub fn replicas(google: &FakeGoogle, url: &str, names: &[&str]) -> Vec<Proxy> {
    let begin = |name: &&str| {
        Proxy::sealed(google, SEAL, |config| {
            config["store"] = json!({"url": url, "replica": name});
            config["auth_keys"] = json!([{"key": FREE, "name": "free"}]);
        })
        .expect("the replica starts")
    };
    names.iter().map(begin).collect()
}

pub fn post(replica: &Proxy, path: &str, body: &Value) -> Reply {
    let headers = [("Content-Type", "application/json")];
    Client::new(replica.address()).send("POST", path, &headers, &body.to_string()).expect("an answer")
}

pub fn add(replica: &Proxy, item: &Value) -> Reply {
    post(replica, "/admin/credentials/add", &json!({"credential": item}))
}

/// What the replica says of its credentials.
pub fn listed(replica: &Proxy) -> Vec<Value> {
    let list = Client::new(replica.address()).get("/admin/credentials").json();
    let list = if list.is_array() { list } else { list["credentials"].clone() };
    list.as_array().unwrap_or_else(|| panic!("a list: {list}")).clone()
}

pub fn one(replica: &Proxy, id: &str) -> Option<Value> {
    listed(replica).into_iter().find(|credential| credential["id"] == id)
}

fn ids(replica: &Proxy) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    listed(replica).iter().map(|credential| (text(&credential["id"]), text(&credential["label"]))).collect()
}

/// All replicas answer with the account.
pub fn all_serve(replicas: &[Proxy]) {
    for replica in replicas {
        let reply = chat(replica, FREE);
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
}

pub fn licensed(email: &str) -> (FakeGoogle, Value) {
    let google = FakeGoogle::start();
    google.add_user(User::licensed(email, "project-of-ada"));
    let item = google.oauth_credential(email);
    (google, item)
}

#[test]
fn what_a_person_does_on_one_replica_is_so_on_all() {
    let (google, redis) = (FakeGoogle::start(), Redis::start());
    KEYS.iter().for_each(|key| google.add_api_key(key));
    google.add_user(User::licensed(EMAIL, "project-of-ada"));
    let begin = |name: &str, keys: Vec<&str>| {
        Proxy::sealed(&google, SEAL, |config| {
            config["store"] = json!({"url": redis.url(), "replica": name});
            config["gemini_api_keys"] = json!(keys);
        })
        .expect("the replica starts")
    };
    // In another order, and one more credential comes in between.
    let a = begin("a", KEYS.to_vec());
    assert_eq!(add(&a, &google.oauth_credential(EMAIL)).status, 200);
    let replicas = [a, begin("b", vec![KEYS[1], KEYS[0]]), begin("c", KEYS.to_vec())];
    let all = |what: &str, is_so: &dyn Fn(&Proxy) -> bool| {
        replicas.iter().for_each(|replica| wait_for(what, || is_so(replica)));
    };
    let [a, b, c] = &replicas;
    let first = ids(a);
    assert_eq!(first.len(), 3, "{first:?}");
    all("the same numbers", &|replica| ids(replica) == first);
    google.add_api_key("AIza-key-of-the-page");
    assert_eq!(add(b, &json!({"type": "api_key", "api_key": "AIza-key-of-the-page"})).status, 200);
    all("a fourth", &|replica| ids(replica).len() == 4);
    let all_ids = ids(a);
    all("the same numbers", &|replica| ids(replica) == all_ids);
    assert_eq!(post(c, "/admin/credentials/cred-2", &json!({"label": "mine"})).status, 200);
    all("the label", &|replica| one(replica, "cred-2").unwrap()["label"] == "mine");
    assert_eq!(post(b, "/admin/credentials/cred-2/disable", &json!({})).status, 200);
    all("it is disabled", &|replica| one(replica, "cred-2").unwrap()["disabled"] == true);
    let bulk = json!({"action": "enable", "ids": ["cred-2", "cred-3"]});
    assert_eq!(post(a, "/admin/credentials/bulk", &bulk).status, 200);
    all("it is enabled", &|replica| one(replica, "cred-2").unwrap()["disabled"] == false);
    // What stands in each config is no credential of all.
    for (path, body) in [("cred-0/disable", json!({})), ("cred-0", json!({"label": "mine"}))] {
        assert_eq!(post(a, &format!("/admin/credentials/{path}"), &body).status, 409, "{path}");
    }
    let all_ids = ids(a);
    let deleted = Client::new(c.address()).send("DELETE", "/admin/credentials/cred-3", &[], "").unwrap();
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    all("it is gone", &|replica| one(replica, "cred-3").is_none());
    // Who comes back has its number, and nobody else gets it.
    assert_eq!(add(a, &json!({"type": "api_key", "api_key": "AIza-key-of-the-page"})).status, 200);
    all("it is back", &|replica| ids(replica) == all_ids);
    // Nothing is in the files.
    for replica in &replicas {
        assert!(!replica.directory().join("credentials.json").exists());
    }
    drop(replicas);
    let again = begin("d", KEYS.to_vec());
    assert_eq!(ids(&again), all_ids, "after a restart of all");
}

#[test]
fn a_token_is_refreshed_once_for_all() {
    let ((google, item), redis) = (licensed(EMAIL), Redis::start());
    let replicas = replicas(&google, &redis.url(), &["a", "b", "c"]);
    assert_eq!(add(&replicas[0], &item).status, 200);
    replicas.iter().for_each(|replica| wait_for("the account", || listed(replica).len() == 1));
    all_serve(&replicas);
    let before = google.refreshes(EMAIL);
    let onboarded = google.count("/v1internal:loadCodeAssist");
    google.expire(EMAIL);
    let statuses: Vec<u16> = storm(&replicas, FREE, 9, 4).iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [200; 36]);
    assert_eq!(google.refreshes(EMAIL), before + 1);
    assert_eq!(google.count("/v1internal:loadCodeAssist"), onboarded, "its project is known to all");
}

#[test]
fn a_refresh_token_that_is_replaced_is_never_lost() {
    let ((google, item), redis) = (licensed(EMAIL), Redis::start());
    google.settings(|settings| (settings.rotate_refresh, settings.retire_refresh) = (true, true));
    let replicas = replicas(&google, &redis.url(), &["a", "b", "c"]);
    assert_eq!(add(&replicas[0], &item).status, 200);
    replicas.iter().for_each(|replica| wait_for("the account", || listed(replica).len() == 1));
    for _ in 0..4 {
        google.expire(EMAIL);
        let statuses: Vec<u16> = storm(&replicas, FREE, 6, 2).iter().map(|reply| reply.status).collect();
        assert_eq!(statuses, [200; 12]);
    }
    assert_eq!(google.refreshes(EMAIL), 4);
    // All of them restart, and there is only the store to know it from.
    drop(replicas);
    google.expire(EMAIL);
    all_serve(&self::replicas(&google, &redis.url(), &["d", "e"]));
    assert_eq!(google.refreshes(EMAIL), 5);
}

#[test]
fn rests_and_blocks_are_everybodys_and_so_is_their_end() {
    let ((google, item), redis) = (licensed(EMAIL), Redis::start());
    let replicas = replicas(&google, &redis.url(), &["a", "b"]);
    let [a, b] = &replicas[..] else { unreachable!() };
    assert_eq!(add(a, &item).status, 200);
    wait_for("the account", || listed(b).len() == 1);
    let limited = Refusal::new(429, "Quota exceeded.")
        .reason("RATE_LIMIT_EXCEEDED", "cloudcode-pa.googleapis.com", json!({}))
        .detail(retry_info("40s"));
    google.script("*", Step::refusal(limited));
    assert_eq!(Client::new(a.address()).chat(FREE, MODEL).unwrap().status, 429);
    let models = |replica: &Proxy| one(replica, "cred-0").unwrap()["models"].as_array().unwrap().clone();
    wait_for("the rest", || models(b).len() == 1);
    assert_eq!(models(b)[0]["model"], MODEL);
    assert_eq!(models(a)[0]["detail"], models(b)[0]["detail"]);
    let asked = google.generations_count();
    let refused = Client::new(b.address()).chat(FREE, MODEL).unwrap();
    assert_eq!((refused.status, google.generations_count()), (429, asked), "Google is not asked: {}", refused.body);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((30..=41).contains(&wait), "{wait}");
    assert_eq!(post(b, "/admin/credentials/cred-0/reset", &json!({})).status, 200);
    wait_for("its end", || models(a).is_empty());
    all_serve(&replicas);
    // The login is revoked: one finds out, and all know.
    google.revoke(EMAIL);
    assert_ne!(Client::new(b.address()).chat(FREE, MODEL).unwrap().status, 200);
    wait_for("the block", || one(a, "cred-0").unwrap()["status"] == "error");
    let view = one(a, "cred-0").unwrap();
    assert_eq!(view["reason_code"], "INVALID_GRANT", "{view}");
    // Another login of the account ends it.
    google.login(EMAIL);
    assert_eq!(add(a, &google.oauth_credential(EMAIL)).status, 200);
    wait_for("the new login", || one(b, "cred-0").unwrap()["status"] == "active");
    all_serve(&replicas);
}

#[test]
fn without_the_store_tokens_are_refreshed_and_nothing_is_changed() {
    let ((google, item), mut redis) = (licensed(EMAIL), Redis::start());
    google.settings(|settings| (settings.rotate_refresh, settings.retire_refresh) = (true, true));
    let mut replicas = replicas(&google, &redis.url(), &["a", "b"]);
    assert_eq!(add(&replicas[0], &item).status, 200);
    replicas.iter().for_each(|replica| wait_for("the account", || listed(replica).len() == 1));
    all_serve(&replicas);
    redis.kill();
    google.expire(EMAIL);
    all_serve(&replicas[..1]);
    for (path, body) in [
        ("/admin/credentials/add", json!({"credential": item})),
        ("/admin/credentials/cred-0", json!({"label": "mine"})),
        ("/admin/credentials/cred-0/disable", json!({})),
        ("/admin/credentials/cred-0/reset", json!({})),
    ] {
        let refused = post(&replicas[0], path, &body);
        assert_eq!(refused.status, 503, "{path}: {}", refused.body);
        assert!(refused.body.contains("The store cannot be reached; nothing was changed."), "{path}: {}", refused.body);
    }
    assert_eq!(one(&replicas[0], "cred-0").unwrap()["disabled"], false);
    // The new refresh token is on disk, and nobody can read it.
    let state = std::fs::read_to_string(replicas[0].directory().join("credentials.json.state.json")).unwrap();
    assert!(state.contains("landings") && !state.contains("1//0fake"), "{state}");
    redis.begin();
    replicas.iter().for_each(|replica| wait_for("the store", || health(replica)["state"] == "up"));
    wait_for("the new refresh token", || metric(&replicas[0], "gemini_proxy_store_pending_batches") == "0");
    // Its access token is the other's as well, before both are dead.
    wait_for("the news", || !one(&replicas[1], "cred-0").unwrap()["last_refreshed_at"].is_null());
    google.expire(EMAIL);
    all_serve(&replicas[1..]);
    all_serve(&replicas[..1]);
    assert_eq!(one(&replicas[1], "cred-0").unwrap()["status"], "active");
    drop(replicas.remove(0));
}

/// The store has no memory left: what Google gave last is in a file of the replica's, which goes on with it.
#[test]
fn a_token_that_has_not_landed_serves_after_a_restart_and_ends_every_block_when_it_lands() {
    let ((google, item), redis) = (licensed(EMAIL), Redis::start());
    google.settings(|settings| (settings.rotate_refresh, settings.retire_refresh) = (true, true));
    let folder = Folder::new("waiting-token");
    let begin = || {
        Proxy::sealed(&google, SEAL, |config| {
            config["store"] = json!({"url": redis.url(), "replica": "a"});
            config["state_file"] = json!(folder.join("state.json"));
            config["auth_keys"] = json!([{"key": FREE, "name": "free"}]);
        })
        .expect("the replica starts")
    };
    let (a, b) = (begin(), replicas(&google, &redis.url(), &["b"]).remove(0));
    assert_eq!(add(&a, &item).status, 200);
    wait_for("the account", || listed(&b).len() == 1);
    [&a, &b].iter().for_each(|replica| assert_eq!(chat(replica, FREE).status, 200));
    redis.cli(&["config", "set", "maxmemory", "1"]);
    let before = google.refreshes(EMAIL);
    google.expire(EMAIL);
    assert_eq!(chat(&a, FREE).status, 200);
    assert_ne!(chat(&b, FREE).status, 200, "Google has replaced the token that it has");
    assert_eq!(one(&b, "cred-0").unwrap()["reason_code"], "INVALID_GRANT");
    drop(a);
    let a = begin();
    assert_eq!(chat(&a, FREE).status, 200, "with the access token that waits");
    google.expire(EMAIL);
    assert_eq!(chat(&a, FREE).status, 200, "with the refresh token that waits");
    assert_eq!(google.refreshes(EMAIL), before + 2);
    redis.cli(&["config", "set", "maxmemory", "0"]);
    wait_for("what has landed", || chat(&b, FREE).status == 200);
    assert_eq!(google.refreshes(EMAIL), before + 2);
    assert_eq!(chat(&a, FREE).status, 200);
}

fn metric(replica: &Proxy, name: &str) -> String {
    let page = Client::new(replica.address()).get("/metrics").body;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.unwrap_or_else(|| panic!("{name} is not in {page}"))
}

#[test]
fn an_emptied_store_is_not_taken_over() {
    let ((google, item), redis) = (licensed(EMAIL), Redis::start());
    let replicas = replicas(&google, &redis.url(), &["a", "b"]);
    assert_eq!(add(&replicas[0], &item).status, 200);
    replicas.iter().for_each(|replica| wait_for("the account", || listed(replica).len() == 1));
    let mut redis = redis;
    redis.lose_all();
    replicas.iter().for_each(|replica| wait_for("the loss", || tells_loss(replica)));
    all_serve(&replicas);
    google.expire(EMAIL);
    all_serve(&replicas);
    assert_eq!(add(&replicas[0], &item).status, 503);
    // A person confirms it: who begins anew knows of nobody.
    drop(replicas);
    let again = self::replicas(&google, &redis.url(), &["c"]);
    assert!(listed(&again[0]).is_empty());
    assert_eq!(add(&again[0], &item).status, 200);
}

#[test]
fn no_secret_of_an_account_is_in_the_store() {
    let ((google, item), redis) = (licensed(EMAIL), Redis::start());
    let replicas = replicas(&google, &redis.url(), &["a"]);
    let watch = redis.watch();
    google.settings(|settings| settings.rotate_refresh = true);
    assert_eq!(add(&replicas[0], &item).status, 200);
    google.add_api_key(KEYS[0]);
    assert_eq!(
        add(&replicas[0], &json!({"type": "api_key", "api_key": KEYS[0], "label": "label-of-mine"})).status,
        200
    );
    all_serve(&replicas);
    google.expire(EMAIL);
    all_serve(&replicas);
    google.script(
        "*",
        Step::refusal(Refusal::new(429, "Quota of ada@example.com in project-of-ada.").detail(retry_info("40s"))),
    );
    let _ = Client::new(replicas[0].address()).chat(FREE, MODEL).unwrap();
    wait_for("the rest", || redis.cli(&["hlen", "gop:{g}:cool"]) != "0");
    let said = watch.end();
    assert!(said.contains("gop:{g}:cred"), "{said}");
    let secrets =
        ["ya29.", "1//0fake", "AIza", "ada@", "ada-at", "project-of-ada", "label-of-mine", FREE, SEAL, "Hello"];
    for secret in secrets {
        assert!(!said.contains(secret), "{secret} was sent: {said}");
        let dump = redis.dump();
        assert!(!dump.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret} is on the store's disk");
    }
}
