//! Which stores are used, and what a replica says that may not.

use super::redis::{Redis, Relay};
use super::*;
use crate::common::program::{Folder, Program, run};
use gemini_openai_proxy::serve::service::StartError;

pub(super) fn metric(replica: &Proxy, name: &str) -> String {
    let page = Client::new(replica.address()).get("/metrics").body;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.unwrap_or_else(|| panic!("{name} is not in {page}"))
}

#[test]
fn a_replica_that_begins_without_the_store_waits_for_it() {
    let (google, mut redis) = (google(), Redis::start());
    redis.kill();
    let replica = replica(&google, "a", json!({"url": redis.url()}), &json!({"requests_per_day": 5}));
    let mut client = Client::new(replica.address());
    assert_eq!(client.get("/livez").status, 200);
    let ready = client.get("/readyz");
    assert_eq!((ready.status, ready.json()["status"].as_str()), (503, Some("waiting for the store")));
    assert_eq!(metric(&replica, "gemini_proxy_store_up"), "0");
    assert_eq!(chat(&replica, LIMITED).json()["error"]["code"], "store_unavailable", "how many others there are?");
    assert_eq!(chat(&replica, FREE).status, 200);
    redis.begin();
    wait_for("the store", || client.get("/readyz").status == 200);
    assert_eq!(chat(&replica, LIMITED).status, 200);
    assert_eq!(metric(&replica, "gemini_proxy_store_up"), "1");
    assert_eq!(metric(&replica, "gemini_proxy_replicas"), "1");
}

#[test]
fn another_encryption_key_ends_the_program_and_writes_nothing() {
    let (google, redis) = (google(), Redis::start());
    drop(replica(&google, "a", json!({"url": redis.url()}), &json!({})));
    let before = redis.cli(&["hgetall", "gop:{g}:meta"]);
    assert!(before.contains("schema"), "{before}");
    let store = json!({"url": redis.url()});
    let fault = Proxy::sealed(&google, "another-key-of-a-store", |config| config["store"] = store.clone())
        .err()
        .expect("a fault");
    assert_eq!(fault.exit_code(), 3);
    assert_eq!(
        fault.to_string(),
        "FATAL: store: the store belongs to another encryption key; give every replica the same one"
    );
    assert_eq!(redis.cli(&["hgetall", "gop:{g}:meta"]), before);
    let mut names = redis.names();
    names.sort();
    assert_eq!(names, ["gop:{g}:meta", "gop:{g}:news", "gop:{g}:print"], "who has left is not there any more");
    // Another prefix is another pool.
    let store = json!({"url": redis.url(), "prefix": "other:"});
    drop(Proxy::sealed(&google, "another-key-of-a-store", |config| config["store"] = store).expect("its own store"));
    assert_eq!(redis.names().len(), 5);
}

#[test]
fn without_an_encryption_key_there_is_no_store() {
    let (google, redis) = (google(), Redis::start());
    let store = json!({"url": redis.url()});
    let fault = Proxy::sealed(&google, "", |config| config["store"] = store).err();
    let fault = fault.expect("a fault");
    assert!(matches!(&fault, StartError::Store(_)) && fault.exit_code() == 1);
    assert!(fault.to_string().starts_with("store: an encryption key is needed"), "{fault}");
    assert!(redis.names().is_empty());
}

#[test]
fn a_server_that_must_not_be_used_is_said_and_left_alone() {
    let google = google();
    let refusing: [(&[&str], &[&[&str]]); 4] = [
        (&["--maxmemory-policy", "allkeys-lru"], &[]),
        (&["--requirepass", "another"], &[]),
        (&[], &[&["acl", "setuser", "default", "-@scripting"]]),
        (&[], &[&["hset", "gop:{g}:meta", "schema", "2", "min_reader", "2"]]),
    ];
    for (arguments, words) in refusing {
        let redis = match arguments {
            ["--requirepass", password] => Redis::start_locked(password),
            arguments => Redis::start_with(arguments),
        };
        words.iter().for_each(|words| _ = redis.cli(words));
        let before = redis.names();
        let replica = replica(&google, "a", json!({"url": redis.url()}), &json!({}));
        let ready = Client::new(replica.address()).get("/readyz");
        assert_eq!(
            (ready.status, ready.json()["status"].as_str()),
            (503, Some("the store must not be used")),
            "{words:?} {arguments:?}"
        );
        assert_eq!(health(&replica)["state"], "refused");
        assert_eq!(chat(&replica, FREE).status, 200, "but who asks is answered");
        assert_eq!(redis.names(), before, "{words:?} {arguments:?}");
    }
}

#[test]
fn the_rights_that_the_page_names_are_enough_and_a_password_may_stand_in_a_file() {
    let (google, redis) = (google(), Redis::start());
    let page = include_str!("../../docs/scale-out.md");
    let rights = page.split("`on >pw ").nth(1).and_then(|rest| rest.split_once('`')).expect("the rights").0;
    let rights: Vec<&str> = rights.split_whitespace().collect();
    let mut words = vec!["acl", "setuser", "gop", "on", ">word-of-the-store"];
    words.extend(rights);
    assert_eq!(redis.cli(&words), "OK");
    let relay = Relay::start(&redis);
    let folder = Folder::new("store");
    crate::common::written::secret("word-of-the-store");
    let file = folder.join("password");
    std::fs::write(&file, "word-of-the-store\n").unwrap();
    let url = relay.url().replace("redis://", "redis://gop@");
    let store = json!({"url": url, "password_file": file});
    let replica = replica(&google, "a", store, &json!({"requests_per_day": 2, "concurrency": 1}));
    let statuses: Vec<u16> = (0..3).map(|_| chat(&replica, LIMITED).status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(Client::new(replica.address()).get("/readyz").status, 200);
    let shown = Client::new(replica.address()).get("/admin/status").json()["config"]["store"]["value"].clone();
    assert!(shown["url"].as_str().unwrap().starts_with("redis://***@127.0.0.1:"), "{shown}");
}

#[test]
fn nothing_that_is_secret_is_in_the_store() {
    let (google, redis) = (google(), Redis::start());
    let limits = json!({"requests_per_day": 50, "requests_per_minute": 50, "tokens_per_day": 5000, "concurrency": 2});
    let replica = replica(&google, "a", json!({"url": redis.url()}), &limits);
    (0..3).for_each(|_| assert_eq!(chat(&replica, LIMITED).status, 200));
    wait_for("the tokens", || redis.counted("t") == 21);
    wait_for("usage", || redis.names().iter().any(|name| name.ends_with(":total")));
    let mut held = String::new();
    for name in redis.names() {
        let read = match redis.cli(&["type", &name]).as_str() {
            "hash" => redis.cli(&["hgetall", &name]),
            "zset" => redis.cli(&["zrange", &name, "0", "-1", "withscores"]),
            _ => redis.cli(&["get", &name]),
        };
        held += &format!("{name}\n{read}\n");
    }
    assert!(held.contains("min_reader") && held.contains(":q\n"), "{held}");
    // A mark is made from a key, and who reads it could try keys.
    let listed = Client::new(replica.address()).get("/admin/requests").json();
    let mark = listed["requests"][0]["key_id"].as_str().expect("a mark");
    assert!(held.contains(MODEL) && mark.len() == 16, "{held}");
    for secret in [LIMITED, FREE, GEMINI_KEY, SEAL, "limited", "Yes.", mark] {
        assert!(!held.contains(secret), "{secret} is in {held}");
    }
}

#[test]
fn the_variable_names_the_store_and_check_looks_at_it() {
    let (google, redis) = (google(), Redis::start_with(&[]));
    let folder = Folder::new("replica");
    let config = json!({
        "server": {"host": "127.0.0.1", "port": 0},
        "auth_keys": [LIMITED],
        "gemini_api_keys": [GEMINI_KEY],
        "endpoints": google.endpoints_json(),
    });
    let environment = [("GEMINI_PROXY_STORE_URL", &*redis.url()), ("GEMINI_PROXY_ENCRYPTION_KEY", SEAL)];
    let mut named = config.clone();
    named["store"] = json!({"url": redis.url()});
    folder.write("named.json", named.to_string());
    let said = |key: &str| {
        let output = run(&folder, &["check", "-c", "named.json", "-ek", key]);
        String::from_utf8(output.stdout).unwrap()
    };
    let before = said(SEAL);
    assert!(before.contains("not in the store yet (AIz***") && !before.contains("cred-"), "{before}");
    let program = Program::start_in(&folder, &config, &[], &environment);
    let mut client = Client::new(([127, 0, 0, 1], program.port).into());
    assert_eq!(client.get("/health?verbose=1").json()["store"]["state"], "up");
    assert_eq!(redis.names().len(), 5, "{:?}", redis.names());
    drop(program);
    let good = said(SEAL);
    assert!(
        good.contains("version 7.0.15, and is this pool's, and the key fits")
            || good.contains("is this pool's, and the key fits"),
        "{good}"
    );
    assert!(good.contains("keeps nothing over a restart"), "{good}");
    assert!(said("another-key-of-a-store").contains("[ERROR] store"), "{}", said("another-key-of-a-store"));
    drop(redis);
    assert!(said(SEAL).contains("[ERROR] store"), "{}", said(SEAL));
}
