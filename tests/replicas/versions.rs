//! Replicas of another version beside these: what such a one writes is played here, as a later version may write it. Real
//! binaries of two versions restart beside each other in `rolling`, with `GEMINI_PROXY_OTHER_BINARY`.

use super::redis::Redis;
use super::*;

const META: &str = "gop:{g}:meta";

/// As a later version tells of a change of a table that this one may not know.
fn tell(redis: &Redis, table: &str, id: &str, write: impl FnOnce(&str)) {
    let version = redis.cli(&["hincrby", META, "changes", "1"]);
    write(&version);
    redis.cli(&["xadd", "gop:{g}:news", "*", "k", table, "id", id, "v", &version, "colour", "red"]);
}

fn change(replica: &Proxy, method: &str, path: &str, body: &Value) -> Value {
    let headers = [("Content-Type", "application/json")];
    let reply = Client::new(replica.address()).send(method, path, &headers, &body.to_string()).expect("an answer");
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    reply.json()
}

fn key(replica: &Proxy, name: &str) -> Option<Value> {
    let listed = Client::new(replica.address()).get("/admin/keys").json();
    listed["keys"].as_array().unwrap().iter().find(|key| key["name"] == name).cloned()
}

#[test]
fn what_a_later_version_writes_is_kept_and_stops_nobody() {
    let (google, redis) = (google(), Redis::start());
    let limits = json!({"requests_per_day": 50});
    let [a, b] = ["a", "b"].map(|name| replica(&google, name, json!({"url": redis.url()}), &limits));
    // Its layout is a later one, which this one may read.
    redis.cli(&["hset", META, "schema", "2", "shelf", "3"]);
    let made = change(&a, "POST", "/admin/keys", &json!({"name": "ada"}));
    crate::common::written::secret(made["key"].as_str().unwrap());
    wait_for("the key", || key(&b, "ada").is_some());
    // A table of which nobody knows here, a record of it, and a field more in one that is known.
    tell(&redis, "shelf", "7", |version| _ = redis.cli(&["hset", "gop:{g}:shelf", "7", &format!("{version}|x")]));
    let id = redis.cli(&["hkeys", "gop:{g}:key"]);
    let record = || redis.cli(&["hget", "gop:{g}:key", &id]);
    let text = record().split_once('|').unwrap().1.to_owned();
    let mut fields: Value = serde_json::from_str(&text).unwrap();
    fields["colour"] = json!({"of": "ada"});
    fields["name"] = json!("ada of later");
    tell(&redis, "key", &id, |version| {
        redis.cli(&["hset", "gop:{g}:key", &id, &format!("{version}|{fields}")]);
    });
    for replica in [&a, &b] {
        wait_for("the change", || key(replica, "ada of later").is_some());
        assert_eq!(Client::new(replica.address()).chat(made["key"].as_str().unwrap(), MODEL).unwrap().status, 200);
    }
    let shown = key(&b, "ada of later").unwrap();
    let path = format!("/admin/keys/{}", shown["id"].as_str().unwrap());
    change(&b, "POST", &path, &json!({"requests_per_day": 9}));
    wait_for("the limit", || key(&a, "ada of later").unwrap()["limits"]["requests_per_day"] == 9);
    let now: Value = serde_json::from_str(record().split_once('|').unwrap().1).unwrap();
    assert_eq!((&now["colour"], &now["requests_per_day"]), (&json!({"of": "ada"}), &json!(9)), "{now}");
    assert_eq!(redis.cli(&["hget", "gop:{g}:shelf", "7"]).split_once('|').unwrap().1, "x");
    // Who begins anew beside it reads all, and counts go on.
    let c = replica(&google, "c", json!({"url": redis.url()}), &limits);
    let limits_of = |replica: &Proxy| key(replica, "ada of later").unwrap()["limits"].clone();
    assert_eq!(limits_of(&c), limits_of(&a));
    for replica in [&a, &b, &c] {
        assert_eq!(chat(replica, LIMITED).status, 200);
        assert_eq!(Client::new(replica.address()).get("/readyz").status, 200);
    }
    assert_eq!(redis.cli(&["hmget", META, "schema", "min_reader", "shelf"]), "2\n1\n3");
}

/// One that this version may not read any more: who serves goes on with what is known, and who comes back writes nothing.
#[test]
fn a_layout_that_is_not_understood_any_more_is_left_alone() {
    let (google, mut redis) = (google(), Redis::start());
    let replica = replica(&google, "a", json!({"url": redis.url()}), &json!({"requests_per_day": 50}));
    assert_eq!(chat(&replica, LIMITED).status, 200);
    redis.cli(&["hset", META, "schema", "2", "min_reader", "2"]);
    redis.kill();
    wait_for("the end of the store", || health(&replica)["state"] == "down");
    redis.begin();
    wait_for("the refusal", || health(&replica)["state"] == "refused");
    let counted = redis.counted("r");
    assert_eq!(chat(&replica, FREE).status, 200);
    assert_eq!(chat(&replica, LIMITED).status, 200, "its part");
    assert_eq!(redis.counted("r"), counted);
    let ready = Client::new(replica.address()).get("/readyz");
    assert_eq!((ready.status, ready.json()["status"].as_str()), (503, Some("the store must not be used")));
    redis.cli(&["hset", META, "schema", "1", "min_reader", "1"]);
}
