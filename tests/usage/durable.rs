//! What a person changed on the page and was told to be so, after a `kill -9` at any moment and on a full disk.

use crate::common::client::Client;
use crate::common::google::{FakeGoogle, State, User};
use crate::common::numbers::Numbers;
use crate::common::program::{Folder, Program};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

fn config(google: &FakeGoogle) -> Value {
    json!({
        "server": {"host": "127.0.0.1", "port": 0, "workers": 4}, "auth_keys": ["sk-client-of-programs"],
        "gemini_api_keys": [CONFIG_KEY],
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

/// What is known of a key, or of a credential by its label: `None` was taken away.
type Known = BTreeMap<String, Option<Value>>;

/// A key of the config, and what it is called here: its item is not ours to write.
const CONFIG_KEY: &str = "AIza-config-0001";
const OF_CONFIG: &str = "config";

/// Every kind of answer with which a change is acknowledged.
const KINDS: [&str; 11] =
    ["make", "name", "limit", "switch key", "revoke", "label", "switch", "reset", "import", "remove", "rotate"];

const NAMES: [&str; 3] = ["ann", "bob", "eve"];

fn address_of(name: &str) -> String {
    format!("{name}@example.com")
}

/// A change, and what is so once it is acknowledged.
struct Change {
    kind: &'static str,
    method: &'static str,
    path: String,
    body: Value,
    id: String,
    then: Option<Value>,
}

/// A program that is killed, and what it was told.
struct Lives {
    google: FakeGoogle,
    folder: Folder,
    random: Numbers,
    known: Known,
    /// Ids of credentials, by their names here: an e-mail, or the label of one that was imported.
    ids: BTreeMap<String, String>,
    /// The number of the refresh token that was acknowledged last, by e-mail.
    rotated: BTreeMap<String, u64>,
    made: usize,
}

/// What of a key or a credential is compared.
fn shown(thing: &Value) -> Value {
    match thing["masked"].is_string() {
        true => json!([thing["name"], thing["disabled"], thing["limits"]["requests_per_day"]]),
        false => json!([thing["label"], thing["disabled"]]),
    }
}

/// The number of a refresh token of the fake Google.
fn number(token: &str) -> u64 {
    token.split('-').nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl Lives {
    fn start() -> Lives {
        let google = FakeGoogle::start();
        google.settings(|settings| settings.rotate_refresh = true);
        let folder = Folder::new("durable");
        let accounts = NAMES.map(|name| {
            let email = address_of(name);
            google.add_user(User::licensed(&email, "project-1"));
            let mut item = google.oauth_credential(&email);
            item["email"] = json!(email);
            item["label"] = json!(name);
            item
        });
        folder.write("c.json", json!(accounts).to_string());
        let (known, ids, rotated) = Default::default();
        Lives { google, folder, random: Numbers(0x9e37_79b9_7f4a_7c15), known, ids, rotated, made: 0 }
    }

    fn one_of(&mut self, fits: impl Fn(&str) -> bool) -> Option<String> {
        let living = self.known.iter().filter(|(id, now)| now.is_some() && fits(id)).map(|(id, _)| id.clone());
        let living: Vec<String> = living.collect();
        living.get(self.random.below(living.len())).cloned()
    }

    /// A change of this kind; `None`: there is nothing to be changed so.
    fn change(&mut self, kind: &'static str) -> Option<Change> {
        let (is_key, is_imported) = (|id: &str| id.starts_with("key-"), |id: &str| id.starts_with("imported"));
        self.made += 1;
        let number = self.made;
        let change =
            |method, path: String, body, id: &str, then| Change { kind, method, path, body, id: id.into(), then };
        Some(match kind {
            "make" => change("POST", "/admin/keys".into(), json!({"name": format!("made {number}")}), "", None),
            "import" => {
                let (key, label) = (format!("AIza-imported-{number:06}"), format!("imported {number}"));
                self.google.add_api_key(&key);
                let text = json!({"api_key": key, "label": label}).to_string();
                change(
                    "POST",
                    "/admin/credentials/import".into(),
                    json!({"text": text}),
                    &label,
                    Some(json!([label, false])),
                )
            }
            "name" | "limit" | "switch key" | "revoke" => {
                let id = self.one_of(is_key)?;
                let mut then = self.known[&id].clone()?;
                let (at, field, value) = match kind {
                    "name" => (0, "name", json!(format!("{id} {number}"))),
                    "limit" => (2, "requests_per_day", json!(number)),
                    _ => (1, "disabled", json!(!then[1].as_bool()?)),
                };
                then[at] = value.clone();
                let path = format!("/admin/keys/{id}");
                match kind {
                    "revoke" => change("DELETE", path, json!({}), &id, None),
                    _ => change("POST", path, json!({field: value}), &id, Some(then)),
                }
            }
            _ => {
                let id = self.one_of(|id| !is_key(id) && is_imported(id) == (kind == "remove"))?;
                let mut then = self.known[&id].clone()?;
                if kind == "rotate" && (then[1] == true || id == OF_CONFIG) {
                    return None;
                }
                // That of one which was just imported is not known before the next list.
                let path = format!("/admin/credentials/{}", self.ids.get(&id)?);
                match kind {
                    "label" => {
                        then[0] = json!(format!("label {number}"));
                        change("POST", path, json!({"label": then[0]}), &id, Some(then))
                    }
                    "switch" => {
                        then[1] = json!(!then[1].as_bool()?);
                        let word = if then[1] == true { "disable" } else { "enable" };
                        change("POST", format!("{path}/{word}"), json!({}), &id, Some(then))
                    }
                    "remove" => change("DELETE", path, json!({}), &id, None),
                    "rotate" => change("POST", format!("{path}/refresh"), json!({}), &id, Some(then)),
                    _ => change("POST", format!("{path}/reset"), json!({}), &id, Some(then)),
                }
            }
        })
    }

    /// The highest refresh token that Google gave this account.
    fn newest(&self, email: &str) -> u64 {
        let of = |state: &State| {
            let mine = state.refresh.iter().filter(|(_, known)| known.email == email);
            mine.map(|(token, _)| number(token)).max().unwrap_or(0)
        };
        self.google.read(of)
    }

    /// Looks that a program that has just started has all that was acknowledged, and what `unsure` may have done.
    fn check(&mut self, client: &mut Client, unsure: Option<&Change>) {
        let mut there: Known = BTreeMap::new();
        self.ids.clear();
        for thing in list(client, "keys").iter().chain(&list(client, "credentials")) {
            let (id, label) = (thing["id"].as_str().unwrap(), thing["label"].as_str().unwrap_or_default());
            let name = match thing["email"].as_str() {
                _ if id.starts_with("config-") => continue,
                _ if id.starts_with("key-") => id.to_owned(),
                _ if thing["source"] == "config" => OF_CONFIG.to_owned(),
                _ if label.starts_with("imported") => label.to_owned(),
                // E-mails are masked, and begin with different letters.
                email => {
                    let first = &email.unwrap()[..1];
                    NAMES.iter().find(|name| name.starts_with(first)).map(|name| address_of(name)).unwrap()
                }
            };
            let now = shown(thing);
            self.ids.insert(name.clone(), id.to_owned());
            there.insert(name, Some(now));
        }
        for (id, now) in &self.known {
            let may_be = unsure.filter(|change| change.id == *id).map(|change| &change.then);
            let found = there.get(id).cloned().flatten();
            let is_so = &found == now || may_be.is_some_and(|then| *then == found);
            assert!(is_so, "{id} is {found:?} and was told to be {now:?}, or {may_be:?}");
        }
        let file = std::fs::read_to_string(self.folder.join("c.json")).unwrap();
        for (email, acknowledged) in &self.rotated {
            let items: Vec<Value> = serde_json::from_str(&file).unwrap();
            let item = items.iter().find(|item| item["email"] == email.as_str()).unwrap();
            assert!(number(item["refresh_token"].as_str().unwrap()) >= *acknowledged, "{email}: {item}");
        }
        self.known.retain(|_, now| now.is_none());
        self.known.extend(there);
    }

    /// Makes some changes, one of `kind` as the last that is surely acknowledged, and goes on until the program is dead.
    fn life(&mut self, client: &mut Client, pid: u32, kind: &'static str) -> (bool, Option<Change>) {
        let mut killer = None;
        let before = self.random.below(3);
        let mut was_made = false;
        for turn in 0.. {
            let wanted = if turn == before { kind } else { KINDS[self.random.below(KINDS.len())] };
            let Some(change) = self.change(wanted) else { continue };
            let reply = match client.send(change.method, &change.path, &[], &change.body.to_string()) {
                Ok(reply) => reply,
                Err(_) => {
                    killer.into_iter().for_each(|killer: JoinHandle<()>| killer.join().unwrap());
                    return (was_made, Some(change));
                }
            };
            assert_eq!(reply.status, 200, "{} {}: {}", change.method, change.path, reply.body);
            assert!(reply.json().get("warning").is_none(), "{}", reply.body);
            if turn >= before && killer.is_none() {
                was_made = change.kind == kind;
                let after = Duration::from_micros(self.random.below(20_000) as u64);
                killer = Some(std::thread::spawn(move || {
                    std::thread::park_timeout(after);
                    let killed = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
                    assert!(killed.unwrap().success());
                }));
            }
            if change.kind == "rotate" {
                self.rotated.insert(change.id.clone(), self.newest(&change.id));
            }
            let (id, then) = match reply.json()["key"].is_string() {
                true => {
                    (reply.json()["id"].as_str().unwrap().to_owned(), Some(json!([change.body["name"], false, null])))
                }
                false => (change.id, change.then),
            };
            self.known.insert(id, then);
        }
        unreachable!()
    }
}

/// How often each kind of answer is followed by the end: once in the suite, fifty times by `make durability`.
fn moments() -> usize {
    std::env::var("GEMINI_PROXY_MOMENTS").ok().and_then(|number| number.parse().ok()).unwrap_or(1)
}

#[test]
fn what_a_person_was_told_to_be_so_survives_kill_9_at_any_moment() {
    let mut lives = Lives::start();
    let config = config(&lives.google);
    let mut unsure: Option<Change> = None;
    let mut counts: BTreeMap<&str, usize> = KINDS.iter().map(|kind| (*kind, 0)).collect();
    while let Some((kind, _)) = counts.iter().filter(|(_, count)| **count < moments()).min_by_key(|(_, count)| **count)
    {
        let kind = *kind;
        let mut program = Program::start(&lives.folder, &config, &[]);
        let mut client = Client::new(address(&program));
        lives.check(&mut client, unsure.as_ref());
        let (was_made, last) = lives.life(&mut client, program.id(), kind);
        counts.entry(kind).and_modify(|count| *count += usize::from(was_made));
        unsure = last;
        program.wait(Duration::from_secs(20));
    }
    let mut program = Program::start(&lives.folder, &config, &[]);
    lives.check(&mut Client::new(address(&program)), unsure.as_ref());
    program.signal("-TERM");
    assert_eq!(program.wait(Duration::from_secs(20)), Some(0), "{}", program.log());
    eprintln!("killed after {counts:?}, of {} changes", lives.made);
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
