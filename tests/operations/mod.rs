//! The real binary in the hands of an operator: SIGHUP, two processes on one file, a proxy on the way out, and nothing
//! secret in anything it writes.

mod proxies;
mod secrets;
mod service_manager;
mod versions;
mod words;

use crate::common::google::{FakeGoogle, User};
use crate::common::program::{Folder, Program};
use crate::common::wire::agent;
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

fn config(google: &FakeGoogle, keys: &[&str]) -> Value {
    json!({"server": {"host": "127.0.0.1", "port": 0}, "auth_keys": keys, "credentials_file": "credentials.json",
        "log_level": "debug", "endpoints": google.endpoints_json(), "min_credentials": 0})
}

fn ask(base: &str, key: &str, path: &str, body: &str) -> (u16, String) {
    let request = agent().post(format!("{base}{path}")).header("Authorization", format!("Bearer {key}"));
    let mut answer = request.send(body).unwrap();
    let headers = format!("{:?}", answer.headers());
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), format!("{headers}\n{text}"))
}

const HI: &str = r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}]}"#;
const CHAT: &str = "/v1/chat/completions";

#[test]
fn sighup_takes_over_both_files_and_says_what_it_did() {
    let google = FakeGoogle::start();
    google.add_api_key("AIza-one-0001");
    google.add_api_key("AIza-two-0002");
    let folder = Folder::new("sighup");
    folder.write("credentials.json", "[]");
    let mut settings = config(&google, &["sk-old-client"]);
    let mut program = Program::start(&folder, &settings, &[]);
    let base = program.base();
    assert_eq!(ask(&base, "sk-old-client", CHAT, HI).0, 503);
    settings["auth_keys"] = json!(["sk-new-client"]);
    settings["gemini_api_keys"] = json!(["AIza-one-0001"]);
    settings["server"]["workers"] = json!(3);
    folder.write("config.json", settings.to_string());
    folder.write("credentials.json", json!([{"api_key": "AIza-two-0002"}]).to_string());
    program.signal("-HUP");
    let line = program.wait_for_line("config: reloaded");
    assert!(
        line.contains("auth_keys")
            && line.contains("gemini_api_keys")
            && line.contains("a restart is needed for: server"),
        "{line}"
    );
    // The last step of a reload is to serve with the new config.
    let end = Instant::now() + Duration::from_secs(20);
    while ask(&base, "sk-new-client", CHAT, HI).0 != 200 {
        assert!(Instant::now() < end, "{}", program.log());
    }
    assert_eq!(ask(&base, "sk-old-client", CHAT, HI).0, 401);
    assert_eq!(ask(&base, "sk-new-client", CHAT, HI).0, 200);
    let asked: std::collections::HashSet<_> =
        google.generations().into_iter().filter_map(|request| request.who).collect();
    assert_eq!(asked.len(), 2, "both new keys serve: {asked:?}");

    folder.write("config.json", "{\"log_level\": 7}");
    program.signal("-HUP");
    let line = program.wait_for_line("config: not reloaded");
    assert!(line.contains("log_level"), "{line}");
    assert_eq!(ask(&base, "sk-new-client", CHAT, HI).0, 200, "a file that does not read changes nothing");
    program.signal("-TERM");
    assert_eq!(program.wait(Duration::from_secs(20)), Some(0));
}

#[test]
fn a_reload_is_no_fresh_start_for_those_who_guess_passwords() {
    let google = FakeGoogle::start();
    let folder = Folder::new("guessing");
    let mut settings = config(&google, &["sk-client"]);
    (settings["admin_username"], settings["admin_password"]) = (json!("chef"), json!("right-password-0001"));
    let mut program = Program::start(&folder, &settings, &[]);
    let base = program.base();
    // chef:wrong and chef:right-password-0001
    let ask = |login: &str| {
        let request = agent().get(format!("{base}/admin/status")).header("Authorization", format!("Basic {login}"));
        request.call().unwrap().status().as_u16()
    };
    let statuses: Vec<u16> = (0..6).map(|_| ask("Y2hlZjp3cm9uZw==")).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
    settings["auth_keys"] = json!(["sk-other"]);
    folder.write("config.json", settings.to_string());
    program.signal("-HUP");
    program.wait_for_line("config: reloaded: auth_keys");
    let end = Instant::now() + Duration::from_secs(20);
    // The last step of a reload is to serve with the new config.
    let models = || {
        let request = agent().get(format!("{base}/v1/models")).header("Authorization", "Bearer sk-other");
        request.call().unwrap().status().as_u16()
    };
    while models() != 200 {
        assert!(Instant::now() < end, "{}", program.log());
    }
    assert_eq!(ask("Y2hlZjpyaWdodC1wYXNzd29yZC0wMDAx"), 429);
}

#[test]
fn two_processes_on_one_file_lose_no_change() {
    const EACH: usize = 100;
    let google = FakeGoogle::start();
    let folder = Folder::new("two-processes");
    // Each refresh brings a new refresh token: a change that is lost would be a login that is lost.
    google.settings(|settings| settings.rotate_refresh = true);
    let mut items = Vec::new();
    for at in 0..2 * EACH {
        let email = format!("u{at}@example.com");
        google.add_user(User::licensed(&email, &format!("project-{at}")));
        let mut item = google.oauth_credential(&email);
        item["email"] = json!(email);
        item["project_id"] = json!(format!("project-{at}"));
        item["expiry_date"] = json!(1_000_000_000_000_u64);
        item["note"] = json!(at);
        items.push(item);
    }
    folder.write("credentials.json", json!(items).to_string());
    let settings = config(&google, &["sk-client"]);
    let one = Program::start(&folder, &settings, &[]);
    let two = Program::start(&folder, &settings, &[]);
    let file = folder.join("credentials.json");
    let read = || serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap();
    let end = Instant::now() + Duration::from_secs(120);
    let done = |items: &Value| {
        items.as_array().unwrap().iter().all(|item| item["expiry_date"].as_u64() > Some(1_000_000_000_000))
    };
    while !done(&read()) {
        assert!(Instant::now() < end, "{}\n{}", one.log(), two.log());
        thread::park_timeout(Duration::from_millis(50));
    }
    drop((one, two));
    let after = read();
    let after = after.as_array().unwrap();
    assert_eq!(after.len(), 2 * EACH, "nobody is lost, nobody is there twice");
    for (at, (before, after)) in items.iter().zip(after).enumerate() {
        assert_eq!(after["note"], json!(at), "the order stays");
        assert_ne!(before["refresh_token"], after["refresh_token"], "{at}");
        let token = after["refresh_token"].as_str().unwrap();
        let email = google.read(|state| state.refresh.get(token).map(|token| token.email.clone()));
        assert_eq!(email.as_deref(), before["email"].as_str(), "{at}: a token that Google gave to this login");
    }
    assert!(google.read(|state| state.refreshed.len()) == 2 * EACH);
}

#[test]
fn two_processes_with_a_hundred_changes_each_lose_none() {
    const EACH: usize = 100;
    let google = FakeGoogle::start();
    let folder = Folder::new("hundred-each");
    folder.write("credentials.json", "[]");
    let settings = config(&google, &["sk-client"]);
    let programs = [Program::start(&folder, &settings, &[]), Program::start(&folder, &settings, &[])];
    // Every fourth is a login, which is written with its project and e-mail.
    let item = |process: usize, at: usize| {
        let name = format!("{process}-{at:03}");
        if at.is_multiple_of(4) {
            let email = format!("u{name}@example.com");
            google.add_user(User::licensed(&email, &format!("project-{name}")));
            google.oauth_credential(&email)
        } else {
            let key = format!("AIza-of-process-{name}");
            google.add_api_key(&key);
            json!({"api_key": key})
        }
    };
    let name = |item: &Value| {
        let name = item["api_key"].as_str().or(item["refresh_token"].as_str());
        name.unwrap_or_else(|| panic!("{item} has no name")).to_owned()
    };
    let mut wanted = Vec::new();
    let lists: Vec<Vec<Value>> = (0..2).map(|process| (0..EACH).map(|at| item(process, at)).collect()).collect();
    wanted.extend(lists.iter().flatten().map(name));
    thread::scope(|scope| {
        for (program, list) in programs.iter().zip(&lists) {
            let base = program.base();
            scope.spawn(move || {
                for item in list {
                    let body = json!({"credential": item}).to_string();
                    let (status, text) = ask(&base, "sk-client", "/admin/credentials/add", &body);
                    assert!(status == 200 && text.contains("credential_added"), "{text}");
                }
            });
        }
    });
    let stored = std::fs::read(folder.join("credentials.json")).unwrap();
    let mut found: Vec<String> =
        serde_json::from_slice::<Value>(&stored).unwrap().as_array().unwrap().iter().map(name).collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted, "all are in the file, each once");
    let end = Instant::now() + Duration::from_secs(60);
    for program in &programs {
        let count = || {
            let mut answer = agent().get(format!("{}/admin/credentials", program.base())).call().unwrap();
            let list: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
            list.as_array().unwrap().len()
        };
        while count() != 2 * EACH {
            assert!(Instant::now() < end, "it serves {} only: {}", count(), program.log());
            thread::park_timeout(Duration::from_millis(50));
        }
    }
}
