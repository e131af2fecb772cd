//! Usage of all replicas is one sum, whatever happens to Redis and to them.

use super::programs::{address, begin, config};
use super::redis::Redis;
use super::*;
use crate::common::program::Folder;

/// Answered requests with these keys, as this replica tells.
pub(super) fn told(replica: std::net::SocketAddr) -> u64 {
    let stats = Client::new(replica).get("/admin/stats?range=7d").json();
    stats["buckets"].as_array().into_iter().flatten().filter_map(|bucket| bucket["requests"].as_u64()).sum()
}

fn agree_on(replicas: &[std::net::SocketAddr], sent: usize) {
    let as_told = || replicas.iter().map(|replica| told(*replica)).collect::<Vec<_>>();
    let deadline = Instant::now() + Duration::from_secs(20);
    while as_told().iter().any(|told| *told != sent as u64) {
        assert!(Instant::now() < deadline, "{:?}, and {sent} were sent", as_told());
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn addresses(replicas: &[Proxy]) -> Vec<std::net::SocketAddr> {
    replicas.iter().map(Proxy::address).collect()
}

#[test]
fn sums_are_what_was_sent_after_redis_was_restarted_twice() {
    let (google, mut redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({}));
    let mut sent = storm(&replicas, FREE, 6, 10).len();
    agree_on(&addresses(&replicas), sent);
    for _ in 0..2 {
        redis.kill();
        sent += storm(&replicas, FREE, 6, 5).len();
        redis.begin();
        sent += storm(&replicas, FREE, 6, 5).len();
    }
    agree_on(&addresses(&replicas), sent);
    let of_key = Client::new(replicas[1].address()).send(
        "GET",
        "/dashboard/billing/usage",
        &[("Authorization", &format!("Bearer {FREE}"))],
        "",
    );
    assert_eq!(of_key.unwrap().status, 200);
    // Nobody's batches are waiting, and none is counted again.
    for replica in &replicas {
        let metrics = Client::new(replica.address()).get("/metrics").body;
        assert!(metrics.contains("gemini_proxy_store_pending_batches 0\n"), "{metrics}");
    }
    assert_eq!(google.generations_count(), sent);
}

#[test]
fn what_a_key_has_used_is_shown_by_replicas_that_never_served_it() {
    let (google, redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({"requests_per_day": 60}));
    let sent =
        |key: &str| (0..5).map(|_| chat(&replicas[0], key).json()["usage"]["total_tokens"].as_u64().unwrap()).sum();
    let tokens: [u64; 2] = [LIMITED, FREE].map(sent);
    assert!(tokens[0] > 0 && tokens[0] == tokens[1], "{tokens:?}");
    let tokens = tokens[0];
    let mut scraped = Client::new(replicas[2].address());
    wait_for("its limit in the metrics", || scraped.get("/metrics").body.contains("limit=\"requests_per_day\"} 5\n"));
    for replica in &replicas {
        let mut client = Client::new(replica.address());
        wait_for("what others have used", || {
            let keys = client.get("/admin/keys").json()["keys"].clone();
            keys.as_array()
                .unwrap()
                .iter()
                .all(|key| ["today", "month"].iter().all(|of| key[of]["requests"] == 5 && key[of]["tokens"] == tokens))
        });
        let own = client.send("GET", "/me/status", &[("Authorization", &format!("Bearer {LIMITED}"))], "");
        let own = own.unwrap().json();
        assert_eq!((&own["today"]["requests"], &own["month"]["tokens"]), (&json!(5), &json!(tokens)), "{own}");
        assert_eq!(own["allowances"][0]["used"], 5.0, "{own}");
    }
}

#[test]
fn a_reset_empties_all_and_is_refused_while_nobody_can_be_told() {
    let (google, mut redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({}));
    let sent = storm(&replicas, FREE, 3, 5).len();
    agree_on(&addresses(&replicas), sent);
    let reset = |replica: &Proxy| {
        Client::new(replica.address()).send("POST", "/admin/usage/reset", &[], "").expect("an answer")
    };
    assert_eq!(reset(&replicas[0]).status, 200);
    agree_on(&addresses(&replicas), 0);
    let sent = storm(&replicas, FREE, 3, 5).len();
    agree_on(&addresses(&replicas), sent);
    redis.kill();
    wait_for("the end of the store", || health(&replicas[0])["state"] == "down");
    let refused = reset(&replicas[0]);
    assert_eq!(refused.status, 503, "{}", refused.body);
    redis.begin();
    agree_on(&addresses(&replicas), sent);
}

/// What a replica could not tell would come back.
#[test]
fn a_reset_is_refused_while_the_store_is_full_and_when_it_has_just_been_emptied() {
    let (google, redis) = (google(), Redis::start());
    let replicas = three(&google, &redis.url(), json!({}));
    let reset = |replica: &Proxy| {
        let reply = Client::new(replica.address()).send("POST", "/admin/usage/reset", &[], "").expect("an answer");
        (reply.status, reply.body)
    };
    let mut sent = storm(&replicas, FREE, 3, 5).len();
    agree_on(&addresses(&replicas), sent);
    redis.cli(&["config", "set", "maxmemory", "1"]);
    for replica in &replicas {
        let (status, body) = reset(replica);
        assert!(status == 503 && body.contains("its memory or its disk is full; nothing was changed"), "{body}");
    }
    sent += storm(&replicas, FREE, 3, 5).len();
    redis.cli(&["config", "set", "maxmemory", "0"]);
    agree_on(&addresses(&replicas), sent);
    wait_for("the end of it", || reset(&replicas[0]).0 == 200);
    agree_on(&addresses(&replicas), 0);
    redis.cli(&["flushall"]);
    for replica in &replicas {
        let (status, body) = reset(replica);
        assert!(status == 503 && body.contains("The store has lost what it held; nothing was changed"), "{body}");
    }
}

#[test]
fn what_a_replica_counted_without_redis_is_sent_by_its_next_start() {
    let (google, mut redis) = (google(), Redis::start());
    let folder = Folder::new("usage-kept");
    let config = config(&google, 0, json!({"url": redis.url(), "replica": "kept"}), &json!({}));
    let mut program = begin(&folder, &config);
    redis.kill();
    for _ in 0..7 {
        assert_eq!(Client::new(address(&program)).chat(FREE, MODEL).unwrap().status, 200);
    }
    program.signal("-TERM");
    assert_eq!(program.wait(Duration::from_secs(30)), Some(0));
    redis.begin();
    let other = replica(&google, "other", json!({"url": redis.url()}), &json!({}));
    assert_eq!(told(other.address()), 0);
    let program = begin(&folder, &config);
    agree_on(&[other.address(), address(&program)], 7);
}
