//! A store that answers, but takes no changes, or does not let its replicas in any more.

use super::accounts::{add, licensed, replicas};
use super::entry::metric;
use super::programs::{address, begin, config};
use super::redis::{Redis, Relay};
use super::*;
use crate::common::program::{Folder, run};
use std::io::{Read, Write};
use std::net::TcpListener;

const ADA: &str = r#"{"name":"ada"}"#;

fn alert(replica: &mut Client, code: &str) -> Option<Value> {
    let status = replica.get("/admin/status").json();
    status["alerts"].as_array().unwrap().iter().find(|alert| alert["code"] == code).cloned()
}

fn state(client: &mut Client) -> String {
    client.get("/health?verbose=1").json()["store"]["state"].as_str().unwrap_or_default().to_owned()
}

/// What `check` says of the store.
fn checked(google: &FakeGoogle, store: Value) -> String {
    let folder = Folder::new("checked");
    folder.write("check.json", config(google, 0, store, &json!({})).to_string());
    let output = run(&folder, &["check", "-c", "check.json", "-ek", SEAL]);
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a key of the page: the status and the sentence.
fn make(client: &mut Client, body: &str) -> (u16, String) {
    let reply = client.send("POST", "/admin/keys", &[], body).unwrap();
    (reply.status, reply.body)
}

#[test]
fn a_store_that_takes_no_changes_any_more_is_away_and_told_once() {
    let (google, redis) = (google(), Redis::start());
    let folder = Folder::new("read-only");
    let store = json!({"url": redis.url()});
    let program = begin(&folder, &config(&google, 0, store.clone(), &json!({})));
    let mut client = Client::new(address(&program));
    wait_for("the store", || state(&mut client) == "up");
    for (on, off, reason) in [
        (&["replicaof", "127.0.0.1", "1"][..], &["replicaof", "no", "one"][..], "the copy of another server"),
        (
            &["config", "set", "min-replicas-to-write", "1"],
            &["config", "set", "min-replicas-to-write", "0"],
            "while too few copies follow it",
        ),
    ] {
        redis.cli(on);
        wait_for("the outage", || state(&mut client) == "down");
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            assert_eq!(state(&mut client), "down", "{reason}");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        let told = alert(&mut client, "store_away").expect("an alert");
        assert!(told["text"].as_str().unwrap().contains(reason), "{told}");
        assert_eq!(client.get("/readyz").status, 200);
        let said = checked(&google, store.clone());
        assert!(said.contains("[ERROR] store") && said.contains(reason), "{said}");
        let told = |text: &str| program.log().lines().filter(|line| line.contains(text)).count();
        assert_eq!(told(reason), 1, "{}", program.log());
        redis.cli(off);
        wait_for("the store", || state(&mut client) == "up");
    }
}

#[test]
fn a_full_store_is_told_and_what_it_holds_is_read() {
    let (google, redis) = (google(), Redis::start());
    let folder = Folder::new("full");
    let store = json!({"url": redis.url()});
    let program = begin(&folder, &config(&google, 0, store.clone(), &json!({"requests_per_day": 50})));
    let mut client = Client::new(address(&program));
    assert_eq!(make(&mut client, ADA).0, 200);
    let idle = replica(&google, "idle", store.clone(), &json!({}));
    redis.cli(&["config", "set", "maxmemory", "1"]);
    let (status, body) = make(&mut client, r#"{"name":"bob"}"#);
    assert!(status == 503 && body.contains("its memory or its disk is full; nothing was changed"), "{status}: {body}");
    let begun = client.get("/oauth2/login");
    assert!(begun.status == 503 && begun.body.contains("its memory or its disk is full"), "{}", begun.body);
    assert_eq!(state(&mut client), "full");
    let told = alert(&mut client, "store_full").expect("an alert");
    assert!(told["text"].as_str().unwrap().contains("it is out of memory (maxmemory)"), "{told}");
    assert_eq!(Client::new(address(&program)).chat(LIMITED, MODEL).unwrap().status, 200);
    wait_for("the trial", || health(&idle)["state"] == "full");
    // One that begins now reads what is there.
    let late = replica(&google, "late", store.clone(), &json!({}));
    let mut late_client = Client::new(late.address());
    assert_eq!((late_client.get("/readyz").status, state(&mut late_client).as_str()), (200, "full"));
    assert_eq!(metric(&late, "gemini_proxy_store_up"), "0");
    assert!(late_client.get("/admin/keys").body.contains("ada"));
    let said = checked(&google, store);
    assert!(said.contains("takes no changes: it is out of memory"), "{said}");
    redis.cli(&["config", "set", "maxmemory", "0"]);
    wait_for("the end of it", || state(&mut client) == "up" && state(&mut late_client) == "up");
    assert_eq!(make(&mut client, r#"{"name":"bob"}"#).0, 200);
    assert_eq!(program.log().matches("takes no changes").count(), 1, "{}", program.log());
}

#[test]
fn an_edit_in_a_store_that_was_emptied_says_so_at_once() {
    let ((google, item), redis) = (licensed("ada@example.com"), Redis::start());
    let replica = replicas(&google, &redis.url(), &["a"]).remove(0);
    let mut client = Client::new(replica.address());
    assert_eq!(add(&replica, &item).status, 200);
    let added = client.send("POST", "/admin/keys", &[], ADA).unwrap().json();
    redis.cli(&["flushall"]);
    let (status, body) = make(&mut client, r#"{"name":"bob"}"#);
    assert!(
        status == 503 && body.contains("The store has lost what it held; nothing was changed."),
        "{status}: {body}"
    );
    // Those who come again are counted as changes.
    redis.cli(&["hset", "gop:{g}:meta", "changes", "1000"]);
    let key = format!("/admin/keys/{}", added["id"].as_str().unwrap());
    for (method, path, body) in [
        ("POST", &*key, r#"{"disabled":true}"#),
        ("DELETE", &key, ""),
        ("POST", "/admin/credentials/cred-0/disable", ""),
        ("DELETE", "/admin/credentials/cred-0", ""),
    ] {
        let reply = client.send(method, path, &[], body).unwrap();
        let is_refused = reply.status == 503 && reply.body.contains("nothing was changed");
        assert!(is_refused, "{method} {path}: {} {}", reply.status, reply.body);
    }
}

/// A script that fails half-way is not taken back, so it must fail before it writes.
#[test]
fn an_edit_that_the_store_refuses_changes_nothing_and_the_reason_is_told() {
    const DAMAGE: &str = "redis.call('del', KEYS[1]); redis.call('set', KEYS[1], 'x')";
    let (google, redis) = (google(), Redis::start());
    let store = json!({"url": redis.url()});
    let replica = replica(&google, "a", store.clone(), &json!({}));
    let mut client = Client::new(replica.address());
    let added = client.send("POST", "/admin/keys", &[], ADA).unwrap().json();
    let ada = format!("/admin/keys/{}", added["id"].as_str().unwrap());
    let edits = [
        ("/admin/keys", r#"{"name":"bob"}"#),
        (&ada, r#"{"disabled":true}"#),
        (&ada, r#"{"name":"eve","disabled":true}"#),
    ];
    let tables = || {
        let tables = ["key", "name"].map(|table| redis.cli(&["hgetall", &format!("gop:{{g}}:{table}")]));
        let mut lines: Vec<String> = tables.join("\n").lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let denied =
        ["-xadd", "-hdel", "-hset", "-hincrby"].map(|right| (["acl", "setuser", "default", right], &edits[..]));
    // Edits do not need the last two.
    let damaged = [("gop:{g}:news", &edits[..]), ("gop:{g}:alive", &[]), ("gop:{u}:total", &[])];
    let damaged = damaged.map(|(table, edits)| (["eval", DAMAGE, "1", table], edits));
    for (words, edits) in denied.into_iter().chain(damaged) {
        let before = tables();
        redis.cli(&words);
        for (path, body) in edits {
            let reply = client.send("POST", path, &[], body).unwrap();
            assert!(reply.status == 503 && reply.body.contains("nothing was changed"), "{words:?}: {}", reply.body);
        }
        assert_eq!(tables(), before, "{words:?}");
        let is_damaged = words[0] == "eval";
        let reason = if is_damaged { "is something else than the pool has made it" } else { "its user may not do" };
        wait_for(words[3], || alert(&mut client, "store_away").is_some_and(|told| told.to_string().contains(reason)));
        assert_eq!((metric(&replica, "gemini_proxy_store_up"), client.get("/readyz").status), ("0".into(), 200));
        let said = checked(&google, store.clone());
        assert!(said.contains(reason), "{words:?}: {said}");
        assert_eq!(client.chat(FREE, MODEL).unwrap().status, 200, "{words:?}");
        match is_damaged {
            true => redis.cli(&["del", words[3]]),
            false => redis.cli(&["acl", "setuser", "default", "+@all"]),
        };
        wait_for("the store", || state(&mut client) == "up");
        assert_eq!(make(&mut client, &json!({"name": words[3]}).to_string()).0, 200);
    }
}

#[test]
fn a_replica_that_knows_the_store_stays_ready_when_it_is_let_in_no_more() {
    let (google, mut redis) = (google(), Redis::start_locked("first-word-of-the-store"));
    crate::common::written::secret("first-word-of-the-store");
    crate::common::written::secret("second-word-of-the-store");
    let folder = Folder::new("password");
    let file = folder.join("password");
    std::fs::write(&file, "first-word-of-the-store\n").unwrap();
    let store = json!({"url": redis.url(), "password_file": file});
    let known = replica(&google, "known", store.clone(), &json!({}));
    let mut client = Client::new(known.address());
    assert_eq!(client.get("/readyz").status, 200);
    redis.lock_anew("second-word-of-the-store");
    wait_for("the refusal", || state(&mut client) == "refused");
    assert_eq!(client.get("/readyz").status, 200, "no request may fail");
    assert_eq!(chat(&known, FREE).status, 200);
    let told = alert(&mut client, "store_away").expect("an alert");
    assert!(told["text"].as_str().unwrap().contains("the user name or password is wrong"), "{told}");
    let new = replica(&google, "new", store, &json!({}));
    assert_eq!(Client::new(new.address()).get("/readyz").status, 503, "it knows nothing");
    std::fs::write(&file, "second-word-of-the-store\n").unwrap();
    wait_for("the store", || state(&mut client) == "up");
    wait_for("the store", || Client::new(new.address()).get("/readyz").status == 200);
}

#[test]
fn a_replica_is_not_ready_when_the_store_became_another_pools() {
    let (google, mut redis) = (google(), Redis::start());
    let known = replica(&google, "known", json!({"url": redis.url()}), &json!({}));
    let mut client = Client::new(known.address());
    assert_eq!(client.get("/readyz").status, 200);
    redis.cli(&["hset", "gop:{g}:meta", "min_reader", "99"]);
    redis.kill();
    redis.begin();
    wait_for("the refusal", || state(&mut client) == "refused");
    let ready = client.get("/readyz");
    assert_eq!((ready.status, ready.json()["status"].as_str()), (503, Some("the store must not be used")));
}

/// A server that answers as those of the web do.
fn of_the_web() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // It ends with the process.
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let _ = client.read(&mut [0; 1024]);
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    address
}

#[test]
fn why_a_store_cannot_be_used_is_said_once_in_plain_words() {
    let (google, redis) = (google(), Redis::start());
    let (relay, web) = (Relay::start(&redis), of_the_web());
    let no_sentinel = relay.url().replace("redis://", "");
    let by = |sentinels: &[&str]| json!({"url": "redis://mymaster", "sentinels": sentinels});
    for (store, expected) in [
        (json!({"url": "redis://no-such-host.invalid"}), "the name cannot be resolved; check DNS".to_owned()),
        (json!({"url": format!("redis://{web}")}), format!("store {web}: what answers there is no Redis")),
        (
            by(&["127.0.0.1:1", &no_sentinel]),
            format!(
                "store mymaster of the Sentinels: Sentinel 127.0.0.1:1: the connection is refused; \
                 Sentinel {no_sentinel}: what answers there is no Sentinel"
            ),
        ),
        (json!({"url": "redis://127.0.0.1:99999"}), "store.url: the port is no number up to 65535".to_owned()),
    ] {
        let is_asked = !expected.starts_with("store.url");
        let said = checked(&google, store);
        assert!(said.contains(&expected) && said.matches("[ERROR]").count() == 1, "{said}");
        assert_eq!(said.contains("is a good configuration"), is_asked, "{said}");
    }
    let folder = Folder::new("away");
    folder
        .write("away.json", json!({"store": {"url": "redis://127.0.0.1:1"}, "credentials_file": "c.json"}).to_string());
    folder.write("c.json", "[]");
    for words in [&["store", "import"][..], &["store", "export", "--to", "."], &["rotate-key", "--store"]] {
        let output = run(&folder, &[words, &["-c", "away.json", "-ek", SEAL]].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("[ERROR] store 127.0.0.1:1: the connection is refused"), "{words:?}: {said}");
    }
    folder.write("c.json", r#"[{"type": "api_key""#);
    let output = run(&folder, &["store", "import", "-c", "away.json", "-ek", SEAL]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("c.json: invalid JSON at line 1, column 19; nothing was changed"), "{said}");
}
