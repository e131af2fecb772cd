//! State files of other versions: older ones are read and go on as today's, a newer one is left as it is, byte for byte, and
//! the program says so and serves.

use super::{CHAT, HI, ask};
use crate::common::client::Client;
use crate::common::google::FakeGoogle;
use crate::common::program::{Folder, Program};
use crate::common::proxy::GEMINI_KEY;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
/// SHA-256 of `sk-of-an-older-version`.
const HASH: &str = "3244b9f23c5225f991cffe59e4d01edc41b60b3015d33cef897d98d95a92ca31";
const OF_PAGE: &str = "sk-of-an-older-version";

/// A line of the journal, as docs/operations.md has it.
fn line(records: &Value) -> String {
    let text = records.to_string();
    let sum = text.bytes().fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{sum:08x} {text}\n")
}

fn start(folder: &Folder, google: &FakeGoogle) -> Program {
    let config = json!({
        "server": {"host": "127.0.0.1", "port": 0, "workers": 4}, "endpoints": google.endpoints_json(),
        "gemini_api_keys": [GEMINI_KEY], "credentials_file": "c.json", "state_file": "state.json", "log_level": "info",
        "auth_keys": ["sk-client-of-programs"], "usage_logging": {"enabled": false},
    });
    Program::start(folder, &config, &[])
}

fn client(program: &Program) -> Client {
    Client::new(SocketAddr::from(([127, 0, 0, 1], program.port)))
}

#[test]
fn a_state_file_of_a_newer_version_is_left_alone_and_the_program_says_so_and_serves() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let folder = Folder::new("newer");
    let newer = line(&json!([["file", "", 9]])) + &line(&json!([["keys", "of a later kind", {"a": 1}]]));
    folder.write("state.json", &newer);
    let mut program = start(&folder, &google);
    program.has_said("a newer version wrote it (layout 9); it is left as it is, and nothing is saved");
    assert_eq!(ask(&program.base(), "sk-client-of-programs", CHAT, HI).0, 200);
    let alerts = client(&program).get("/admin/status").json()["alerts"].clone();
    assert!(alerts.as_array().unwrap().iter().any(|alert| alert["code"] == "state_readonly"), "{alerts}");
    let made = client(&program).send("POST", "/admin/keys", &[], r#"{"name":"new"}"#).unwrap().json();
    assert!(made["warning"].is_string(), "a change says that it will be lost: {made}");
    program.signal("-TERM");
    assert_eq!(program.wait(LIMIT), Some(0));
    assert_eq!(fs::read_to_string(folder.join("state.json")).unwrap(), newer);
}

#[test]
fn keys_that_cannot_be_read_are_kept_in_a_copy_before_the_file_is_written_anew() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let unread = [
        json!({"keys": 5, "usage": {}}).to_string(),
        json!({"keys": {"keys": [{"name": "old phone"}]}}).to_string(),
        line(&json!([["file", "", 3]])) + &line(&json!([["keys", "key-00000001", {"name": "old phone"}]])),
        json!({"keys": null}).to_string(),
    ];
    for (at, text) in unread.iter().enumerate() {
        let folder = Folder::new("unread-keys");
        folder.write("state.json", text);
        let mut program = start(&folder, &google);
        client(&program).send("POST", "/admin/keys", &[], r#"{"name":"new"}"#).unwrap();
        program.signal("-TERM");
        assert_eq!(program.wait(LIMIT), Some(0));
        let copy = fs::read_to_string(folder.join("state.json.broken")).ok();
        assert_eq!(copy.as_ref(), Some(text).filter(|_| at < 3), "{text}");
        assert!(!fs::read_to_string(folder.join("state.json")).unwrap().contains("old phone"), "{text}");
    }
}

#[test]
fn state_files_of_older_versions_keep_their_keys_and_become_todays() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let key = json!({"name": "old phone", "masked": "sk-***sion", "sha256": HASH, "requests_per_day": 2});
    let older = [
        json!({"keys": {"keys": [key], "meters": {}}}).to_string(),
        line(&json!([["file", "", 2]])) + &line(&json!([["keys", "key-00000001", key]])),
    ];
    for (at, text) in older.iter().enumerate() {
        let folder = Folder::new("older");
        folder.write("state.json", text);
        for round in 0..2 {
            let mut program = start(&folder, &google);
            let statuses = [0, 1].map(|_| ask(&program.base(), OF_PAGE, CHAT, HI).0);
            assert_eq!(statuses, [[200, 200], [429, 429]][round], "file {at}, round {round}: {}", program.log());
            let keys = client(&program).get("/admin/keys").json()["keys"].clone();
            assert_eq!((&keys[1]["name"], &keys[1]["month"]["requests"]), (&json!("old phone"), &json!(2)), "{keys}");
            program.signal("-TERM");
            assert_eq!(program.wait(LIMIT), Some(0));
        }
        let first = fs::read_to_string(folder.join("state.json")).unwrap().lines().next().unwrap().to_owned() + "\n";
        assert_eq!(first, line(&json!([["file", "", 3]])), "an older program does not read it wrongly");
    }
}
