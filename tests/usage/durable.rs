//! What a person changed on the page and was told to be so, after a `kill -9` at any moment and on a full disk.

use crate::common::client::Client;
use crate::common::google::FakeGoogle;
use crate::common::numbers::Numbers;
use crate::common::program::{Folder, Program};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

fn config(google: &FakeGoogle) -> Value {
    json!({
        "server": {"host": "127.0.0.1", "port": 0, "workers": 4}, "auth_keys": ["sk-client-of-programs"],
        "endpoints": google.endpoints_json(),
        "credentials_file": "c.json", "log_level": "info", "usage_logging": {"enabled": false},
    })
}

fn address(program: &Program) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], program.port))
}

fn list(client: &mut Client, of: &str) -> Vec<Value> {
    let answer = client.get(&format!("/admin/{of}")).json();
    answer.get(of).unwrap_or(&answer).as_array().unwrap().clone()
}

/// What is known of a thing of the page: `None` is a thing that was taken away.
type Known = BTreeMap<String, Option<Value>>;

/// A change of a key or a credential, and what is so once it is acknowledged.
struct Change {
    method: &'static str,
    path: String,
    body: Value,
    id: String,
    then: Option<Value>,
}

/// What of a key or a credential is compared.
fn shown(thing: &Value) -> Value {
    match thing["masked"].is_string() {
        true => json!([thing["name"], thing["disabled"], thing["limits"]["requests_per_day"]]),
        false => json!([thing["label"], thing["disabled"]]),
    }
}

fn next(known: &Known, credentials: &[String], random: &mut Numbers) -> Change {
    let living: Vec<&String> = known.iter().filter(|(_, now)| now.is_some()).map(|(id, _)| id).collect();
    let number = random.below(1000);
    let keys: Vec<&&String> = living.iter().filter(|id| id.starts_with("key-")).collect();
    let change = |method, path: String, body, id: &str, then| Change { method, path, body, id: id.into(), then };
    match random.below(8) {
        0..=2 if !keys.is_empty() => {
            let id = keys[random.below(keys.len())].as_str();
            let mut then = known[id].clone().unwrap();
            let path = format!("/admin/keys/{id}");
            match random.below(4) {
                0 => change("DELETE", path, json!({}), id, None),
                1 => {
                    then[1] = json!(!then[1].as_bool().unwrap());
                    change("POST", path, json!({"disabled": then[1]}), id, Some(then))
                }
                2 => {
                    then[0] = json!(format!("{id} {number}"));
                    change("POST", path, json!({"name": then[0]}), id, Some(then))
                }
                _ => {
                    then[2] = json!(number);
                    change("POST", path, json!({"requests_per_day": number}), id, Some(then))
                }
            }
        }
        3..=5 => {
            let id = credentials[random.below(credentials.len())].as_str();
            let mut then = known[id].clone().unwrap();
            let path = format!("/admin/credentials/{id}");
            match random.below(2) {
                0 => {
                    then[1] = json!(!then[1].as_bool().unwrap());
                    let word = if then[1] == true { "disable" } else { "enable" };
                    change("POST", format!("{path}/{word}"), json!({}), id, Some(then))
                }
                _ => {
                    then[0] = json!(format!("label {number}"));
                    change("POST", path, json!({"label": then[0]}), id, Some(then))
                }
            }
        }
        _ => change("POST", "/admin/keys".into(), json!({"name": format!("made {number}")}), "", None),
    }
}

#[test]
fn what_a_person_was_told_to_be_so_survives_kill_9_at_any_moment() {
    let google = FakeGoogle::start();
    let folder = Folder::new("durable");
    let accounts = ["ann", "bob", "eve"].map(|name| {
        json!({"client_id": "client-of-programs", "client_secret": "secret-of-the-client", "refresh_token": format!("1//refresh-of-{name}"),
            "token": "", "email": format!("{name}@example.com"), "label": name})
    });
    folder.write("c.json", json!(accounts).to_string());
    let config = config(&google);
    let mut random = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut known, mut unsure): (Known, Option<Change>) = Default::default();
    let mut acknowledged = 0;
    for round in 0..12 {
        let mut program = Program::start(&folder, &config, &[]);
        let mut client = Client::new(address(&program));
        let mut there: Known = BTreeMap::new();
        for thing in list(&mut client, "keys").iter().chain(&list(&mut client, "credentials")) {
            let id = thing["id"].as_str().unwrap();
            if !id.starts_with("config-") {
                there.insert(id.into(), Some(shown(thing)));
            }
        }
        for (id, now) in &known {
            let may_be = unsure.as_ref().filter(|change| change.id == *id).map(|change| &change.then);
            let found = there.get(id).cloned().flatten();
            let is_so = &found == now || may_be.is_some_and(|then| *then == found);
            assert!(is_so, "round {round}: {id} is {found:?} and was told to be {now:?}, or {may_be:?}");
        }
        known.retain(|_, now| now.is_none());
        known.extend(there);
        let credentials: Vec<String> = known.keys().filter(|id| !id.starts_with("key-")).cloned().collect();
        assert_eq!(credentials.len(), 3, "{known:?}");
        let end = Instant::now() + Duration::from_millis(random.below(150) as u64);
        let pid = program.id();
        let killer = std::thread::spawn(move || {
            std::thread::park_timeout(end.saturating_duration_since(Instant::now()));
            assert!(std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
        });
        unsure = loop {
            let change = next(&known, &credentials, &mut random);
            let reply = match client.send(change.method, &change.path, &[], &change.body.to_string()) {
                Ok(reply) => reply,
                Err(_) => break Some(change),
            };
            if reply.status == 409 {
                continue;
            }
            assert_eq!(reply.status, 200, "{} {}: {}", change.method, change.path, reply.body);
            assert!(reply.json().get("warning").is_none(), "{}", reply.body);
            acknowledged += 1;
            let (id, then) = match reply.json()["key"].is_string() {
                true => {
                    (reply.json()["id"].as_str().unwrap().to_owned(), Some(json!([change.body["name"], false, null])))
                }
                false => (change.id, change.then),
            };
            known.insert(id, then);
        };
        killer.join().unwrap();
        program.wait(Duration::from_secs(20));
    }
    assert!(acknowledged > 12, "{acknowledged} changes were made");
}

#[test]
fn a_change_that_cannot_be_written_says_so() {
    let google = FakeGoogle::start();
    let folder = Folder::new("not-durable");
    let mut config = config(&google);
    config["state_file"] = json!("gone/state.json");
    std::fs::create_dir(folder.join("gone")).unwrap();
    let program = Program::start(&folder, &config, &[]);
    let mut client = Client::new(address(&program));
    let made = client.send("POST", "/admin/keys", &[], r#"{"name":"phone"}"#).unwrap().json();
    assert!(made["key"].is_string() && made.get("warning").is_none());
    std::fs::remove_dir_all(folder.join("gone")).unwrap();
    let path = format!("/admin/keys/{}", made["id"].as_str().unwrap());
    let refused = client.send("POST", &path, &[], r#"{"disabled":1}"#).unwrap().json();
    assert!(refused.get("warning").is_none(), "{refused}");
    for (method, path, body) in [
        ("POST", path.as_str(), r#"{"disabled":true}"#),
        ("POST", "/admin/keys", r#"{"name":"tablet"}"#),
        ("POST", "/admin/usage/reset", ""),
        ("DELETE", path.as_str(), ""),
    ] {
        let reply = client.send(method, path, &[], body).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert!(reply.json()["warning"].as_str().unwrap().contains("state file"), "{method} {path}: {}", reply.body);
    }
}
