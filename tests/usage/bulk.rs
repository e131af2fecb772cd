//! Changes of many credentials and keys at once.

use crate::common::client::{Client, Reply};
use crate::common::google::FakeGoogle;
use crate::common::proxy::Proxy;
use serde_json::{Value, json};

const GOOD: &str = "AIzaSyKnownToGoogleForBulk";

/// A key of the config, five of the page, one API key of the config, and four of the file, of which Google knows the first.
fn start(google: &FakeGoogle) -> (Proxy, Vec<String>) {
    google.add_api_key(GOOD);
    let proxy = Proxy::start(google, |config| {
        config["auth_keys"] = json!([{"key": "sk-of-the-config-file", "name": "fixed"}]);
        config["gemini_api_keys"] = json!([{"key": "AIzaSyOfTheConfigForBulk01", "label": "fixed"}]);
    });
    let mut client = Client::new(proxy.address());
    let made = (0..5).map(|n| post(&mut client, "/admin/keys", json!({"name": format!("team {n}")})).json());
    let keys = made.map(|made| made["key"].as_str().unwrap().to_owned()).collect();
    let text = format!("{GOOD}\n{}", (1..4).map(|n| format!("AIzaSyUnknownToGoogle{n:04}\n")).collect::<String>());
    google.add_api_key("AIzaSyUnknownToGoogle0001");
    google.add_api_key("AIzaSyUnknownToGoogle0002");
    google.add_api_key("AIzaSyUnknownToGoogle0003");
    let added = post(&mut client, "/admin/credentials/import", json!({"text": text})).json();
    assert_eq!(added["results"].as_array().unwrap().len(), 4, "{added}");
    (proxy, keys)
}

fn post(client: &mut Client, path: &str, body: Value) -> Reply {
    client.send("POST", path, &[], &body.to_string()).unwrap()
}

fn page(client: &mut Client, path: &str) -> Value {
    client.get(path).json()
}

fn status(client: &mut Client, key: &str) -> u16 {
    client.send("GET", "/v1/models", &[("Authorization", &format!("Bearer {key}"))], "").unwrap().status
}

#[test]
fn keys_that_a_search_finds_are_disabled_and_deleted_and_what_did_not_work_is_told() {
    let google = FakeGoogle::start();
    let (proxy, keys) = start(&google);
    let mut client = Client::new(proxy.address());
    let done = post(&mut client, "/admin/keys/bulk?q=", json!({"action": "disable", "expect": 6})).json();
    assert_eq!((&done["done"], &done["failed"]), (&json!(5), &json!(1)), "{done}");
    assert_eq!(done["failures"][0]["name"], "fixed");
    assert_eq!(done["failures"][0]["told"]["code"], "key_in_config");
    assert_eq!(status(&mut client, &keys[0]), 401);
    assert_eq!(status(&mut client, "sk-of-the-config-file"), 200);
    let done = post(&mut client, "/admin/keys/bulk?q=team&state=off", json!({"action": "enable", "expect": 5})).json();
    assert_eq!((&done["done"], &done["failed"]), (&json!(5), &json!(0)), "{done}");
    assert_eq!(status(&mut client, &keys[4]), 200);

    // Somebody else has changed the list meanwhile.
    let stale = post(&mut client, "/admin/keys/bulk?q=team", json!({"action": "delete", "expect": 4}));
    assert_eq!((stale.status, &stale.json()["told"]["params"]["found"]), (409, &json!("5")), "{}", stale.body);
    let list = page(&mut client, "/admin/keys?q=team&limit=3");
    let ids: Vec<&str> = list["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap()).collect();
    let gone = [&ids[..], &["key-00000000"]].concat();
    let done = post(&mut client, "/admin/keys/bulk", json!({"action": "delete", "ids": gone})).json();
    assert_eq!((&done["done"], &done["failed"]), (&json!(3), &json!(1)), "{done}");
    assert_eq!(
        done["failures"][0],
        json!({"name": "key-00000000", "detail": "it is not there any more",
        "told": {"code": "bulk_gone", "params": {}}})
    );
    assert_eq!(page(&mut client, "/admin/keys?limit=1")["total"], 3);
    assert_eq!([0, 2, 3].map(|at| status(&mut client, &keys[at])), [401, 401, 200]);
}

#[test]
fn credentials_are_checked_switched_and_removed_together() {
    let google = FakeGoogle::start();
    let (proxy, _) = start(&google);
    let mut client = Client::new(proxy.address());
    google.remove_api_key("AIzaSyUnknownToGoogle0002");
    google.remove_api_key("AIzaSyUnknownToGoogle0003");
    let all = json!({"action": "check", "expect": 5});
    let done = post(&mut client, "/admin/credentials/bulk?limit=1", all).json();
    assert_eq!((&done["done"], &done["failed"]), (&json!(2), &json!(3)), "{done}");
    assert!(done["failures"][0]["detail"].as_str().unwrap().contains("API key"), "{done}");
    let bad = page(&mut client, "/admin/credentials?state=bad");
    assert_eq!(bad["found"], 3, "{bad}");

    let done = post(&mut client, "/admin/credentials/bulk?state=bad", json!({"action": "reset", "expect": 3})).json();
    assert_eq!((&done["done"], &done["failed"]), (&json!(3), &json!(0)), "{done}");
    assert_eq!(page(&mut client, "/admin/credentials?state=good")["found"], 5);
    let done = post(&mut client, "/admin/credentials/bulk?q=api_key", json!({"action": "disable", "expect": 5})).json();
    assert_eq!((&done["done"], &done["failed"]), (&json!(5), &json!(0)), "{done}");
    assert_eq!(page(&mut client, "/admin/credentials?limit=1")["summary"]["states"], json!({"off": 5}));
    let done = post(&mut client, "/admin/credentials/bulk?q=", json!({"action": "delete", "expect": 5})).json();
    assert_eq!((&done["done"], &done["failed"]), (&json!(4), &json!(1)), "{done}");
    assert_eq!(done["failures"][0]["name"], "cred-0");
    assert_eq!(page(&mut client, "/admin/credentials?limit=9")["total"], 1);
}

#[test]
fn a_change_of_many_is_refused_when_it_does_not_say_of_which() {
    let google = FakeGoogle::start();
    let (proxy, _) = start(&google);
    let mut client = Client::new(proxy.address());
    let many: Vec<String> = (0..1001).map(|n| format!("cred-{n}")).collect();
    for list in ["keys", "credentials"] {
        for (query, body) in [
            ("", json!({"action": "disable"})),
            ("", json!({"action": "disable", "expect": 6})),
            ("", json!({"action": "disable", "ids": many})),
            ("", json!({"action": "disable", "ids": [1]})),
            ("", json!({"action": "explode", "ids": ["cred-0"]})),
            ("", json!({"ids": ["cred-0"]})),
        ] {
            let answer = post(&mut client, &format!("/admin/{list}/bulk{query}"), body.clone());
            assert_eq!(answer.status, 422, "{list} {body}: {}", answer.body);
        }
        let answer = post(&mut client, &format!("/admin/{list}/bulk?q="), json!({"action": "disable"}));
        assert_eq!(answer.status, 409, "{}", answer.body);
        let foreign = [("Origin", "http://evil.example"), ("X-Requested-With", "gemini-proxy")];
        let answer = client.send("POST", &format!("/admin/{list}/bulk"), &foreign, r#"{"action":"delete","ids":[]}"#);
        assert_eq!(answer.unwrap().status, 403, "{list}");
    }
}
