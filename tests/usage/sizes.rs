//! Many keys and credentials in one process: memory, and what a change costs. Exact figures: docs/performance.md.

use crate::common::client::Client;
use crate::common::google::FakeGoogle;
use crate::common::program::{Folder, Program};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

const KEYS: usize = 20_000;
const CREDENTIALS: usize = 2_000;

fn resident(program: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// A key of the page as the first state files had it.
fn key(number: usize) -> Value {
    json!({"requests_per_minute": 60, "requests_per_day": null, "tokens_per_day": null, "concurrency": null, "expires_at": null,
        "id": format!("key-{number:08x}"), "name": format!("user {number}"), "masked": "sk-***", "sha256": format!("{number:08x}{:056x}", 0),
        "disabled": false, "models": []})
}

#[test]
fn twenty_thousand_keys_are_small_and_a_change_of_one_costs_its_own_record() {
    let google = FakeGoogle::start();
    let folder = Folder::new("sizes");
    let config = json!({
        "server": {"host": "127.0.0.1", "port": 0, "workers": 4}, "auth_keys": ["sk-client-of-programs"],
        "endpoints": google.endpoints_json(), "credentials_file": "c.json", "state_file": "state.json",
        "log_level": "info", "usage_logging": {"enabled": false},
    });
    let mut program = Program::start(&folder, &config, &[]);
    let small = resident(&program);
    program.signal("-TERM");
    program.wait(Duration::from_secs(20));

    let credentials: Vec<Value> =
        (0..CREDENTIALS).map(|number| json!({"api_key": format!("AIza-of-the-crowd-{number:06}")})).collect();
    folder.write("c.json", json!(credentials).to_string());
    let keys: Vec<Value> = (0..KEYS).map(key).collect();
    folder.write("state.json", json!({"keys": {"keys": keys, "meters": {}}}).to_string());
    let file = folder.join("state.json");
    for start in ["from an older file", "from a journal"] {
        let mut program = Program::start(&folder, &config, &[]);
        let mut client = Client::new(SocketAddr::from(([127, 0, 0, 1], program.port)));
        let page = client.get(&format!("/admin/keys?limit=2&q={}", KEYS - 1)).json();
        assert_eq!(
            (&page["found"], &page["total"].as_u64().is_some_and(|total| total > KEYS as u64)),
            (&json!(1), &true),
            "{page}"
        );
        let page = client.get("/admin/credentials?limit=100").json();
        assert_eq!(
            (page["total"].as_u64(), page["credentials"].as_array().unwrap().len()),
            (Some(CREDENTIALS as u64), 100)
        );
        let made = client.send("POST", "/admin/keys", &[], &json!({"name": start}).to_string()).unwrap();
        assert_eq!(made.status, 200, "{}", made.body);
        let whole = std::fs::metadata(&file).unwrap().len();
        let path = format!("/admin/keys/{}", made.json()["id"].as_str().unwrap());
        assert_eq!(client.send("POST", &path, &[], r#"{"disabled":true}"#).unwrap().status, 200);
        let cost = std::fs::metadata(&file).unwrap().len() - whole;
        // And what the saver counted meanwhile.
        assert!(cost < 4096, "{start}: {cost} bytes were written for one key");
        let grown = resident(&program).saturating_sub(small);
        assert!(grown < 60 << 20, "{start}: {grown} bytes more than with one of each");
        program.signal("-TERM");
        assert_eq!(program.wait(Duration::from_secs(30)), Some(0), "{}", program.log());
    }
}
