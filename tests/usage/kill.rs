//! Usage under `kill -9`: never behind by more than the saving's period, never more than what was sent, and the state file
//! always opens. The log's lines and limits over restarts are looked at here too, as they need the real program.

use super::counters::answer;
use crate::common::client::Client;
use crate::common::google::FakeGoogle;
use crate::common::program::{Folder, Program, run};
use serde_json::{Value, json};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Saving waits 2 s after a change; the rest is for a busy machine. The promise is 10 s.
const BEHIND: Duration = Duration::from_millis(4500);
const TOKENS: u64 = 15;

fn config(google: &FakeGoogle) -> Value {
    google.add_api_key("AIza-key-of-programs");
    google.always("*", answer());
    json!({
        "server": {"host": "127.0.0.1", "port": 0, "workers": 8},
        "auth_keys": [{"key": "sk-client-of-programs", "name": "test"}, {"key": "sk-day-client", "name": "day", "requests_per_day": 3}],
        "gemini_api_keys": ["AIza-key-of-programs"], "endpoints": google.endpoints_json(),
        "credentials_file": "c.json", "log_level": "info", "usage_logging": {"enabled": false},
    })
}

fn address(program: &Program) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], program.port))
}

/// Requests since the reset, after a check that they and their tokens belong together.
fn counted(program: &Program) -> u64 {
    let usage = Client::new(address(program)).get("/admin/usage").json();
    let Some(model) = usage.get("gemini-2.5-flash") else { return 0 };
    let requests = model["successful_requests"].as_u64().unwrap();
    assert_eq!(model["total_tokens"].as_u64().unwrap(), requests * TOKENS, "{usage}");
    let stats = Client::new(address(program)).get("/admin/stats?range=7d").json();
    let answered = |day: &Value| day["requests"].as_u64().unwrap() - day["turned_away"].as_u64().unwrap();
    let days: u64 = stats["buckets"].as_array().unwrap().iter().map(answered).sum();
    assert_eq!(days, requests, "days and sums are of one moment");
    requests
}

/// Sends requests from two connections until the program dies; when each was answered.
fn load(address: SocketAddr, stop: &AtomicBool) -> Vec<Instant> {
    std::thread::scope(|scope| {
        let run = || {
            let mut client = Client::new(address);
            let mut answered = Vec::new();
            while !stop.load(Ordering::Acquire) {
                match client.chat("sk-client-of-programs", "gemini-2.5-flash") {
                    Ok(reply) if reply.status == 200 => answered.push(Instant::now()),
                    _ => break,
                }
            }
            answered
        };
        let threads = [scope.spawn(run), scope.spawn(run)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn usage_survives_kill_9_at_any_moment() {
    let google = FakeGoogle::start();
    let folder = Folder::new("kill");
    let config = config(&google);
    let random: [u8; 20] = std::array::from_fn(|_| RandomState::new().build_hasher().finish() as u8);
    // Twenty lives of up to 1.6 s, two of them long enough for several savings.
    let lives: Vec<u64> = random
        .iter()
        .map(|byte| 60 + u64::from(*byte) * 6)
        .enumerate()
        .map(|(at, ms)| if at % 10 == 4 { 5500 + ms } else { ms })
        .collect();
    let mut kept = 0;
    for (round, life) in lives.iter().enumerate() {
        let mut program = Program::start(&folder, &config, &[]);
        let before = counted(&program);
        assert!(before >= kept, "round {round}: {kept} were kept once, {before} came back");
        let sent_before = google.generations_count();
        let stop = AtomicBool::new(false);
        let (answered, killed) = std::thread::scope(|scope| {
            let (to, stop) = (address(&program), &stop);
            let loading = scope.spawn(move || load(to, stop));
            std::thread::park_timeout(Duration::from_millis(*life));
            let killed = Instant::now();
            program.signal("-KILL");
            stop.store(true, Ordering::Release);
            program.wait(Duration::from_secs(20));
            (loading.join().unwrap(), killed)
        });
        let sent = (google.generations_count() - sent_before) as u64;
        if let Ok(bytes) = std::fs::read(folder.join("c.json.state.json")) {
            let state = String::from_utf8(bytes).unwrap();
            let lines = state.lines().filter(|line| line.ends_with(']')).count();
            assert!(lines + 1 >= state.lines().count(), "only the last line may be in pieces: {state}");
        }
        let program = Program::start(&folder, &config, &[]);
        kept = counted(&program);
        let due = answered.iter().filter(|time| killed.saturating_duration_since(**time) > BEHIND).count() as u64;
        assert!(kept >= before + due, "round {round}, {life} ms: {before} + {due} due, {kept} kept");
        assert!(kept <= before + sent, "round {round}, {life} ms: {before} + {sent} sent, {kept} kept");
        assert!(!program.log().contains("state:"), "{}", program.log());
    }
    assert!(kept > 0, "nothing was ever kept");
    let leftovers: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".broken"))
        .collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

#[test]
fn an_orderly_end_loses_nothing_and_limits_of_the_day_go_on() {
    let google = FakeGoogle::start();
    let folder = Folder::new("orderly");
    let config = config(&google);
    let mut made = String::new();
    for (round, expected) in [(0, [200, 200, 200, 429]), (1, [429; 4])] {
        let mut program = Program::start(&folder, &config, &[]);
        assert_eq!(counted(&program), 3 * round);
        let mut client = Client::new(address(&program));
        let statuses = [(); 4].map(|()| client.chat("sk-day-client", "gemini-2.5-flash").unwrap().status);
        assert_eq!(statuses, expected, "round {round}");
        if round == 0 {
            let reply = client.send("POST", "/admin/keys", &[], r#"{"name":"phone"}"#).unwrap();
            made = reply.json()["key"].as_str().unwrap().to_owned();
        } else {
            assert_eq!(client.chat(&made, "gemini-2.5-flash").unwrap().status, 200);
        }
        program.signal("-TERM");
        assert_eq!(program.wait(Duration::from_secs(20)), Some(0), "{}", program.log());
    }
    let state = std::fs::read_to_string(folder.join("c.json.state.json")).unwrap();
    assert!(!state.contains(&made) && !state.contains("sk-client-of-programs"), "{state}");
}

#[test]
fn counts_stay_with_their_key_when_the_list_is_edited() {
    let google = FakeGoogle::start();
    let folder = Folder::new("edited-keys");
    let mut config = config(&google);
    let key = |key: &str, name: &str| json!({"key": key, "name": name, "requests_per_day": 3});
    let steps = [
        (json!([key("sk-team-one-2026", "***"), key("sk-team-two-2026", "***")]), [4, 0], "*** 3"),
        (json!([key("sk-team-two-2026", "***"), key("sk-team-one-2026", "TEAM A")]), [1, 1], "TEAM A 3, *** 1"),
        (json!([key("sk-team-two-2026", "***")]), [0, 1], "TEAM A 3, *** 2"),
        (json!([key("sk-team-one-2026", "again")]), [1, 0], "again 3, *** 2"),
    ];
    let mut answered = [0; 2];
    for (list, [one, two], expected) in steps {
        config["auth_keys"] = list;
        let mut program = Program::start(&folder, &config, &[]);
        let mut client = Client::new(address(&program));
        for (at, (key, count)) in [("sk-team-one-2026", one), ("sk-team-two-2026", two)].into_iter().enumerate() {
            for _ in 0..count {
                let status = client.chat(key, "gemini-2.5-flash").unwrap().status;
                assert_eq!(status, if answered[at] < 3 { 200 } else { 429 }, "{key}, {config}");
                answered[at] += u32::from(status == 200);
            }
        }
        let stats = client.get("/admin/stats?range=7d").json();
        let key = |key: &Value| {
            format!("{} {}", key["key"].as_str().unwrap(), key["total_tokens"].as_u64().unwrap() / TOKENS)
        };
        let keys: Vec<String> = stats["keys"].as_array().unwrap().iter().map(key).collect();
        assert_eq!(keys.join(", "), expected, "{stats}");
        program.signal("-TERM");
        assert_eq!(program.wait(Duration::from_secs(20)), Some(0), "{}", program.log());
    }
    assert_eq!(answered, [3, 2]);
}

#[test]
fn a_credential_has_the_same_number_after_a_restart() {
    let google = FakeGoogle::start();
    let folder = Folder::new("numbers");
    let mut config = config(&google);
    let keys = ["AIza-first-of-programs", "AIza-second-of-programs", "AIza-third-of-programs"];
    keys.iter().for_each(|key| google.add_api_key(key));
    folder.write("c.json", json!(keys.map(|key| json!({"api_key": key, "label": &key[5..8]}))).to_string());
    config["auth_keys"][0]["name"] = json!("test");
    let who = |client: &mut Client| -> Vec<String> {
        let list = client.get("/admin/credentials").json();
        let name = |item: &Value| format!("{} {}", item["id"].as_str().unwrap(), item["label"].as_str().unwrap());
        list.as_array().unwrap().iter().map(name).collect()
    };
    let used = |client: &mut Client| -> Vec<(String, u64)> {
        let stats = client.get("/admin/stats?range=7d").json();
        let row = |row: &Value| (row["credential"].as_str().unwrap().to_owned(), row["requests"].as_u64().unwrap());
        let mut rows: Vec<(String, u64)> = stats["credentials"].as_array().unwrap().iter().map(row).collect();
        rows.sort();
        rows
    };
    let after = ["cred-1 sec", "cred-2 thi", "cred-3 AIz***rams"];
    let expected = [0, 1, 2, 3].map(|number| (format!("cred-{number}"), 1));
    for round in 0..2 {
        let mut program = Program::start(&folder, &config, &[]);
        let mut client = Client::new(address(&program));
        if round == 0 {
            for _ in 0..4 {
                assert_eq!(client.chat("sk-client-of-programs", "gemini-2.5-flash").unwrap().status, 200);
            }
            let names = ["cred-0 fir", after[0], after[1], after[2]];
            assert_eq!(who(&mut client), names);
            assert_eq!(client.send("DELETE", "/admin/credentials/cred-0", &[], "").unwrap().status, 200);
        }
        assert_eq!(who(&mut client), after);
        assert_eq!(used(&mut client), expected);
        program.signal("-TERM");
        assert_eq!(program.wait(Duration::from_secs(20)), Some(0), "{}", program.log());
    }
    let checked = String::from_utf8(run(&folder, &["check", "-c", "config.json"]).stdout).unwrap();
    assert!(checked.contains("cred-1 (sec)") && !checked.contains("cred-0"), "{checked}");
    let mut program = Program::start(&folder, &config, &[]);
    let mut client = Client::new(address(&program));
    let first = json!({"credential": {"api_key": keys[0], "label": "back"}}).to_string();
    assert_eq!(client.send("POST", "/admin/credentials/add", &[], &first).unwrap().status, 200);
    assert_eq!(who(&mut client), ["cred-0 back", after[0], after[1], after[2]]);
    program.signal("-TERM");
    program.wait(Duration::from_secs(20));
}

#[test]
fn the_access_log_is_one_line_of_json_per_request() {
    let google = FakeGoogle::start();
    let folder = Folder::new("json-log");
    let mut config = config(&google);
    config["log_format"] = json!("json");
    let mut program = Program::start(&folder, &config, &[]);
    let mut client = Client::new(address(&program));
    assert_eq!(client.chat("sk-client-of-programs", "gemini-2.5-flash").unwrap().status, 200);
    assert_eq!(client.chat("sk-wrong-client", "gemini-2.5-flash").unwrap().status, 401);
    program.signal("-TERM");
    program.wait(Duration::from_secs(20));
    let log = program.log();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    let of_the_first = lines.iter().filter(|line| line["level"] == "INFO" && line["request"].is_string()).count();
    assert_eq!(of_the_first, 2, "one line per request: {log}");
    let mut access: Vec<&Value> = lines.iter().filter(|line| line["status"].is_number()).collect();
    // Written when the client has its answer already: the second request's may come first.
    access.sort_by_key(|line| line["status"].as_u64());
    assert_eq!(access.len(), 2, "{log}");
    for (field, expected) in [
        ("level", json!("INFO")),
        ("message", json!("request")),
        ("key", json!("test")),
        ("surface", json!("chat")),
        ("model", json!("gemini-2.5-flash")),
        ("credential", json!("cred-0")),
        ("status", json!(200)),
        ("attempts", json!(1)),
        ("prompt_tokens", json!(7)),
        ("thinking_tokens", json!(3)),
    ] {
        assert_eq!(access[0][field], expected, "{field}");
    }
    assert!(access[0]["request"].is_string() && access[0]["ms"].is_number());
    assert_eq!((&access[1]["status"], &access[1]["key"]), (&json!(401), &json!("")));
    assert!(!log.contains("sk-client-of-programs") && !log.contains("sk-wrong-client"), "{log}");
}
