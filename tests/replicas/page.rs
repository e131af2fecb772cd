//! The admin page behind a balancer: who has signed in at one replica, and who guesses passwords at several.

use super::redis::Redis;
use super::*;

const PASSWORD: &str = "right-password";

fn guarded(google: &FakeGoogle, redis: &Redis, name: &str, password: &str) -> Proxy {
    Proxy::sealed(google, SEAL, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["admin_username"] = json!("chef");
        config["admin_password"] = json!(password);
        config["store"] = json!({"url": redis.url(), "replica": name});
    })
    .expect("the replica starts")
}

fn sign_in(replica: &Proxy) -> String {
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let body = format!("username=chef&password={PASSWORD}");
    let reply = Client::new(replica.address()).send("POST", "/admin/sign-in", &form, &body).unwrap();
    assert_eq!(reply.status, 303, "{}", reply.body);
    reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

fn status_with(replica: &Proxy, fields: &[(&str, &str)]) -> u16 {
    Client::new(replica.address()).send("GET", "/admin/status", fields, "").unwrap().status
}

fn of_session(replica: &Proxy, cookie: &str) -> u16 {
    status_with(replica, &[("Cookie", cookie)])
}

/// As somebody behind a proxy that is trusted.
fn guess(replica: &Proxy, from: &str, password: &str) -> u16 {
    use base64::Engine;
    let login = base64::engine::general_purpose::STANDARD.encode(format!("chef:{password}"));
    status_with(replica, &[("Authorization", &format!("Basic {login}")), ("X-Forwarded-For", from)])
}

#[test]
fn who_signs_in_at_one_replica_is_known_to_all_and_who_signs_out_to_none() {
    let (google, mut redis) = (google(), Redis::start());
    let [a, b] = ["a", "b"].map(|name| guarded(&google, &redis, name, PASSWORD));
    let cookie = sign_in(&a);
    assert_eq!([&a, &b].map(|replica| of_session(replica, &cookie)), [200, 200]);
    // Nobody makes one up, and another password ends it.
    let (name, value) = cookie.split_once('=').unwrap();
    let (token, voucher) = value.split_once('.').unwrap();
    let (until, proof) = voucher.split_once('.').unwrap();
    let later = until.parse::<u64>().unwrap() + 1;
    for made_up in [
        format!("{name}={token}"),
        format!("{name}=x{value}"),
        format!("{name}={token}.{later}.{proof}"),
        format!("{name}={token}.{until}.{}{}", if proof.starts_with('a') { "b" } else { "a" }, &proof[1..]),
    ] {
        assert_eq!(of_session(&b, &made_up), 401, "{made_up}");
    }
    let c = guarded(&google, &redis, "c", "another-password");
    assert_eq!(of_session(&c, &cookie), 401);
    // One that begins anew knows it, and while the store is away it goes on.
    drop(b);
    let b = guarded(&google, &redis, "b", PASSWORD);
    redis.kill();
    wait_for("the outage", || status_with(&b, &[("Cookie", &cookie)]) == 200 && is_away(&b, &cookie));
    assert_eq!([&a, &b].map(|replica| of_session(replica, &cookie)), [200, 200]);
    redis.begin();
    wait_for("the store", || [&a, &b].iter().all(|replica| !is_away(replica, &cookie)));
    sign_out(&b, &cookie);
    assert_eq!(of_session(&b, &cookie), 401);
    wait_for("the end", || of_session(&a, &cookie) == 401);
    let late = guarded(&google, &redis, "late", PASSWORD);
    assert_eq!(of_session(&late, &cookie), 401, "also to who begins later");
    assert_eq!(of_session(&a, &sign_in(&b)), 200);
    let held: String = redis.names().iter().map(|name| redis.cli(&["hgetall", name])).collect();
    assert!(!held.contains(&token[..16]) && !held.contains(PASSWORD), "{held}");
}

fn sign_out(replica: &Proxy, cookie: &str) {
    let fields = [("Cookie", cookie), ("X-Requested-With", "gemini-proxy")];
    let out = Client::new(replica.address()).send("POST", "/admin/sign-out", &fields, "").unwrap();
    assert_eq!((out.status, &out.json()["session"]), (200, &json!(true)), "{}", out.body);
}

/// Each hears what was told before once it hears of a session that is ended now.
fn wait_until_all_heard(replicas: &[Proxy]) {
    let cookie = sign_in(&replicas[0]);
    sign_out(&replicas[0], &cookie);
    wait_for("the news", || replicas.iter().all(|replica| of_session(replica, &cookie) == 401));
}

fn is_away(replica: &Proxy, cookie: &str) -> bool {
    let reply = Client::new(replica.address()).send("GET", "/admin/status", &[("Cookie", cookie)], "").unwrap();
    reply.json()["alerts"].as_array().unwrap().iter().any(|alert| alert["code"] == "store_away")
}

#[test]
fn wrong_passwords_are_counted_over_all_replicas() {
    let (google, mut redis) = (google(), Redis::start());
    let replicas = ["a", "b", "c"].map(|name| guarded(&google, &redis, name, PASSWORD));
    let [a, b, c] = &replicas;
    let guesser = "203.0.113.9";
    // Who types it right in the end begins anew.
    (0..4).for_each(|_| assert_eq!(guess(a, guesser, "wrong"), 401));
    let brief = |count: &str| redis.cli(&["hvals", "gop:{g}:brief"]).lines().any(|record| record.ends_with(count));
    wait_for("the count", || brief(" 4"));
    assert_eq!(guess(a, guesser, PASSWORD), 200);
    wait_for("its end", || redis.cli(&["hlen", "gop:{g}:brief"]) == "1");
    wait_until_all_heard(&replicas);
    for replica in [a, a, b, b, c] {
        assert_eq!(guess(replica, guesser, "wrong"), 401);
    }
    // None has seen five of them, and none looks at another one, also who begins later.
    wait_for("the counts, of all and its own", || brief(" 9") && brief(" 5"));
    let late = guarded(&google, &redis, "late", PASSWORD);
    assert_eq!([guess(&late, guesser, PASSWORD), guess(&late, "203.0.113.10", PASSWORD)], [429, 200]);
    for replica in [a, b, c] {
        wait_for("the brake", || guess(replica, guesser, "wrong") == 429);
        assert_eq!(guess(replica, guesser, PASSWORD), 429);
        assert_eq!(guess(replica, "203.0.113.10", PASSWORD), 200);
    }
    // Thirty of all addresses are enough for all strangers, and for nobody who was right of late.
    let counted = || {
        redis.cli(&["hvals", "gop:{g}:brief"]).lines().filter_map(|record| record.split(' ').nth(1)?.parse().ok()).max()
    };
    for number in 0..27 {
        let status = guess(&replicas[number % 3], &format!("198.51.100.{number}"), "wrong");
        assert!(matches!(status, 401 | 429), "{number}: {status}");
    }
    wait_for("the count", || counted().is_some_and(|times: u32| times >= 30));
    let last = guarded(&google, &redis, "last", PASSWORD);
    assert_eq!(guess(&last, "192.0.2.7", PASSWORD), 429);
    for replica in &replicas {
        wait_for("the brake of all", || guess(replica, "192.0.2.7", "wrong") == 429);
        assert_eq!(guess(replica, "203.0.113.10", PASSWORD), 200);
    }
    // Where nobody answers each goes by what it knows.
    redis.kill();
    assert_eq!(guess(b, guesser, PASSWORD), 429);
    assert_eq!(guess(b, "203.0.113.10", PASSWORD), 200);
}
