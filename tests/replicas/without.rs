//! Without `store` in its config nothing of all this is there.

use super::programs::sealed;
use super::redis::{Redis, Relay};
use super::*;
use crate::common::program::{self, Folder, Program};
use std::collections::BTreeSet;

/// The names of a program's threads, and the far ends of its connections but those of clients: ports.
fn seen(program: &Program) -> (BTreeSet<String>, BTreeSet<u16>) {
    let at = format!("/proc/{}", program.id());
    let threads = std::fs::read_dir(format!("{at}/task")).unwrap().flatten();
    let name = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
    let files = std::fs::read_dir(format!("{at}/fd")).unwrap().flatten();
    let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    let inode =
        |link: std::path::PathBuf| Some(link.to_string_lossy().strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    let own: BTreeSet<String> = links.filter_map(inode).collect();
    let table = |name: &str| std::fs::read_to_string(format!("{at}/net/{name}")).unwrap();
    let port = |place: &str| u16::from_str_radix(place.rsplit(':').next().unwrap(), 16).unwrap();
    let far = |line: &str| -> Option<u16> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_connected = words[3] == "01" && own.contains(words[9]) && port(words[1]) != program.port;
        is_connected.then(|| port(words[2]))
    };
    let ends = table("tcp").lines().skip(1).filter_map(far).collect();
    (threads.map(|thread| name(thread).trim().to_owned()).collect(), ends)
}

#[test]
fn without_a_store_there_is_no_thread_no_connection_and_no_other_file() {
    let (google, redis) = (google(), Redis::start());
    let relay = Relay::start(&redis);
    let run = |store: bool| {
        let folder = Folder::new("without");
        let credentials = json!([{"type": "api_key", "api_key": GEMINI_KEY, "of": ["another", "program"]}]).to_string();
        folder.write("credentials.json", &credentials);
        let mut config = programs::config(&google, 0, json!({"url": relay.url()}), &json!({"requests_per_day": 5}));
        config["credentials_file"] = json!("credentials.json");
        config["gemini_api_keys"] = json!([]);
        if !store {
            config.as_object_mut().unwrap().shift_remove("store");
        } else {
            config["gemini_api_keys"] = json!([GEMINI_KEY]);
        }
        let command = program::command(&folder, &["run", "-c", "config.json"]);
        let command = if store { sealed(command) } else { command };
        let mut program = Program::spawn(&folder, &config, command);
        let mut client = Client::new(programs::address(&program));
        wait_for("an answer", || client.chat(LIMITED, MODEL).unwrap().status == 200);
        drop(client);
        let seen = seen(&program);
        program.signal("-TERM");
        assert_eq!(program.wait(Duration::from_secs(20)), Some(0));
        assert_eq!(std::fs::read_to_string(folder.join("credentials.json")).unwrap(), credentials);
        let files = std::fs::read_dir(folder.path()).unwrap().flatten();
        let files: BTreeSet<String> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
        let state = std::fs::read_to_string(folder.join("credentials.json.state.json")).unwrap();
        (seen, files, state, program.log())
    };
    let ((with, ends), ..) = run(true);
    let ((without, fewer), files, state, log) = run(false);
    let only: Vec<&String> = with.difference(&without).collect();
    assert!(["news", "store", "sums"].iter().all(|name| only.contains(&&(*name).to_owned())), "{with:?}, {without:?}");
    let of_google = google.address().port();
    assert!(ends.len() == 2 && ends.contains(&of_google), "{ends:?}");
    assert!(fewer.iter().all(|port| *port == of_google), "{fewer:?}");
    let known = ["", ".state.json", ".state.json.requests.jsonl"].map(|ending| format!("credentials.json{ending}"));
    assert_eq!(files, known.into_iter().chain(["config.json".to_owned()]).collect());
    assert!(!log.contains("store") && !state.contains("landings") && !state.contains("owed"), "{log}\n{state}");
}
