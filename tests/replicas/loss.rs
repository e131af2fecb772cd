//! The store is emptied, and a replica begins anew while the others know what was in it.

use super::keys::{Admin, soon, status};
use super::redis::Redis;
use super::*;

fn ready(replica: &Proxy) -> u16 {
    Client::new(replica.address()).get("/readyz").status
}

/// A wrong password is told to all, whatever the store holds.
fn count_wrong_password(redis: &Redis) {
    let told = "local n = redis.call('HINCRBY', 'gop:{g}:meta', 'changes', 1) \
        redis.call('HSET', 'gop:{g}:brief', 'x', n .. '|9999999999999 1') \
        redis.call('XADD', 'gop:{g}:news', '*', 'k', 'brief', 'id', 'x', 'v', n)";
    redis.cli(&["eval", told, "0"]);
}

#[test]
fn who_begins_at_an_emptied_store_waits_as_long_as_others_know_what_was_in_it() {
    let (google, redis) = (google(), Redis::start());
    let mut replicas = three(&google, &redis.url(), json!({}));
    let (_, key) = Admin::of(&replicas[0]).make(json!({"name": "phone"}));
    soon(&replicas, &key, 200);
    count_wrong_password(&redis);
    redis.cli(&["flushall"]);
    count_wrong_password(&redis);
    drop(replicas.pop());
    let again = replica(&google, "c", json!({"url": redis.url()}), &json!({}));
    replicas.iter().for_each(|replica| wait_for("the alert", || tells_loss(replica)));
    wait_for("the other alert", || tells(&again, "store_emptied_elsewhere"));
    assert_eq!((ready(&again), status(&again, &key), status(&again, FREE)), (503, 503, 200), "no key is called wrong");
    let refused = Admin::of(&again).call("POST", "/admin/keys", json!({"name": "too early"}));
    assert_eq!(refused.status, 503, "{}", refused.body);
    for replica in &replicas {
        assert_eq!((ready(replica), status(replica, &key)), (200, 200));
    }
    // Nobody is left who knows.
    drop(replicas);
    wait_for("the replica", || ready(&again) == 200);
    assert_eq!(status(&again, &key), 401);
    Admin::of(&again).make(json!({"name": "phone"}));
}

#[test]
fn what_one_makes_at_an_emptied_store_takes_nothing_away_from_the_others() {
    let (google, redis) = (google(), Redis::start());
    let mut replicas = three(&google, &redis.url(), json!({}));
    let (_, key) = Admin::of(&replicas[0]).make(json!({"name": "phone"}));
    soon(&replicas, &key, 200);
    drop(replicas.pop());
    redis.cli(&["flushall"]);
    let again = replica(&google, "c", json!({"url": redis.url()}), &json!({}));
    // Whether anybody has told it of the loss is a matter of moments.
    let made = Admin::of(&again).call("POST", "/admin/keys", json!({"name": "too early"}));
    assert!(matches!(made.status, 200 | 503), "{}", made.body);
    for replica in &replicas {
        wait_for("the alert", || tells_loss(replica));
        assert_eq!((ready(replica), status(replica, &key)), (200, 200));
        assert_eq!(Admin::of(replica).call("POST", "/admin/keys", json!({"name": "too early"})).status, 503);
    }
}
