//! Moving credentials and keys of the page from files into the store, and out of it.

use super::redis::Redis;
use super::*;
use crate::common::program::{Folder, Program, run};

fn said(folder: &Folder, words: &[&str]) -> (i32, String) {
    let output = run(folder, words);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

/// A proxy of one machine made these keys on its page. Returns what the import says while it runs.
fn make_keys(google: &FakeGoogle, redis: &Redis, folder: &Folder, names: &[&str]) -> (i32, String) {
    let config = json!({
        "server": {"host": "127.0.0.1", "port": 0},
        "credentials_file": "none.json",
        "state_file": "first.state.json",
        "endpoints": google.endpoints_json(),
    });
    let mut program = Program::start(folder, &config, &[]);
    let mut client = Client::new(([127, 0, 0, 1], program.port).into());
    for name in names {
        let made = client.send("POST", "/admin/keys", &[], &json!({"name": name, "requests_per_day": 7}).to_string());
        crate::common::written::secret(made.unwrap().json()["key"].as_str().unwrap());
    }
    let config = json!({
        "server": {"host": "127.0.0.1", "port": program.port},
        "store": {"url": redis.url()},
        "credentials_file": "none.json",
        "state_file": "first.state.json",
    });
    folder.write("running.json", config.to_string());
    let refused = said(folder, &["store", "import", "-c", "running.json", "-ek", SEAL]);
    program.signal("-TERM");
    program.wait(Duration::from_secs(20));
    refused
}

/// A line of a state file.
fn line(records: &str) -> String {
    let sum = records.bytes().fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{sum:08x} {records}\n")
}

#[test]
fn a_state_file_that_is_not_whole_is_not_brought_in() {
    let (google, redis) = (FakeGoogle::start(), Redis::start());
    let folder = Folder::new("damaged");
    make_keys(&google, &redis, &folder, &["one", "two", "three"]);
    let config = json!({
        "server": {"host": "127.0.0.1", "port": 0},
        "store": {"url": redis.url()},
        "credentials_file": "none.json",
        "state_file": "first.state.json",
    });
    folder.write("import.json", config.to_string());
    let import = || said(&folder, &["store", "import", "-c", "import.json", "-ek", SEAL]);
    let whole = std::fs::read(folder.join("first.state.json")).unwrap();
    let half = whole.len() / 2;
    let mut flipped = whole.clone();
    flipped[half] ^= 1;
    let newer = [line(r#"[["file","",9]]"#).into_bytes(), whole.clone()].concat();
    let cut = if whole[half - 1] == b'\n' { &whole[..half - 1] } else { &whole[..half] };
    for (bytes, expected) in [
        (cut.to_vec(), "it ends in the middle of a line"),
        (Vec::new(), "it is empty"),
        (b"garbage\n".to_vec(), "it is no state file of this program"),
        (flipped, "1 of its lines are damaged"),
        (newer, "a newer version wrote it (layout 9)"),
    ] {
        folder.write("first.state.json", &bytes);
        let (code, text) = import();
        assert!(code == 1 && text.contains(expected) && text.contains("Nothing was changed"), "{expected}: {text}");
        assert!(redis.names().is_empty(), "{:?}", redis.names());
        assert_eq!(std::fs::read(folder.join("first.state.json")).unwrap(), bytes, "it stays as it is");
    }
    folder.write("first.state.json", &whole);
    let (code, text) = import();
    assert!(code == 0 && text.contains("keys of the page: 3 added"), "{text}");
}

#[test]
fn what_is_brought_in_and_taken_out_is_the_same() {
    let (google, redis) = (FakeGoogle::start(), Redis::start());
    let folder = Folder::new("moves");
    let items = json!([
        {"refresh_token": "refresh-token-of-moves-1", "access_token": "access-token-of-moves-1", "expiry_date": 4_102_444_800_000_u64, "email": "moves@example.com", "label": "first"},
        {"type": "api_key", "api_key": "AIza-key-of-moves-1", "disabled": true},
        {"type": "api_key", "api_key": "AIza-key-of-moves-2", "label": "二"},
    ]);
    crate::common::written::secrets_in(&items);
    folder.write("first.json", items.to_string());
    let (code, text) = make_keys(&google, &redis, &folder, &["ada", "二"]);
    assert!(code == 1 && text.contains("stop it first") && redis.names().is_empty(), "{text}");
    let config = |name: &str, file: &str, prefix: &str| {
        let state = if file == "first.json" { "first.state.json".into() } else { format!("{file}.state.json") };
        let config = json!({
            "server": {"host": "127.0.0.1", "port": 0},
            "credentials_file": file,
            "state_file": state,
            "store": {"url": redis.url(), "prefix": prefix},
            "endpoints": google.endpoints_json(),
        });
        folder.write(name, config.to_string());
    };
    config("one.json", "first.json", "one:");
    let import =
        |config: &str, more: &[&str]| said(&folder, &[&["store", "import", "-c", config, "-ek", SEAL], more].concat());
    for without_key in [&["store", "import"][..], &["store", "export", "--to", "."], &["auth", "--offline"], &["check"]]
    {
        let (code, text) = said(&folder, &[without_key, &["-c", "one.json"]].concat());
        assert!(code == 1 && text.matches("an encryption key is needed").count() == 1, "{without_key:?}: {text}");
    }
    let (code, text) = import("one.json", &["--dry-run"]);
    assert!(code == 0 && text.contains("3 added, 0 updated, 0 known already (nothing was changed)"), "{text}");
    assert!(text.contains("keys of the page: 2 added, 0 known already (nothing was changed)"), "{text}");
    assert!(redis.names().is_empty(), "{:?}", redis.names());
    let (code, text) = import("one.json", &[]);
    assert!(code == 0 && text.contains("3 added, 0 updated, 0 known already"), "{text}");
    assert!(text.contains("keys of the page: 2 added, 0 known already"), "{text}");
    let (code, text) = import("one.json", &[]);
    assert!(code == 1 && text.contains("--merge"), "{text}");
    let tables =
        |prefix: &str| ["cred", "key", "name"].map(|table| redis.cli(&["hgetall", &format!("{prefix}:{{g}}:{table}")]));
    let before = tables("one");
    let (code, text) = import("one.json", &["--merge"]);
    assert!(code == 0 && text.contains("0 added, 0 updated, 3 known already"), "{text}");
    assert!(text.contains("keys of the page: 0 added, 2 known already"), "{text}");
    assert_eq!(tables("one"), before, "a second time changes nothing");
    assert_eq!(
        std::fs::read_to_string(folder.join("first.json")).unwrap(),
        items.to_string(),
        "the file stays as it is"
    );
    let out = |config: &str, to: &str| {
        std::fs::create_dir(folder.join(to)).unwrap();
        said(&folder, &["store", "export", "-c", config, "-ek", SEAL, "--to", to])
    };
    let (code, text) = out("one.json", "out");
    assert!(code == 0 && text.contains("3 credentials") && text.contains("2 keys of the page"), "{text}");
    config("two.json", "out/credentials.json", "two:");
    let (code, text) = import("two.json", &[]);
    assert!(code == 0 && text.contains("3 added") && text.contains("keys of the page: 2 added"), "{text}");
    let keys = |prefix: &str| {
        let text = redis.cli(&["hvals", &format!("{prefix}:{{g}}:key")]);
        let mut keys: Vec<_> = text.lines().map(|line| line.split_once('|').unwrap().1.to_owned()).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys("two"), keys("one"));
    assert_eq!(keys("two").len(), 2);
    let (code, text) = out("two.json", "again");
    assert_eq!(code, 0, "{text}");
    config("three.json", "again/credentials.json", "three:");
    let clear = |config: &str| said(&folder, &["decrypt", "-c", config, "-ek", SEAL, "--output", "-"]).1;
    let first: Value = serde_json::from_str(&clear("two.json")).unwrap();
    assert_eq!(first, items);
    assert_eq!(clear("three.json"), clear("two.json"));
    let state = |folder_name: &str| {
        std::fs::read_to_string(folder.join(folder_name).join("credentials.json.state.json")).unwrap()
    };
    assert_eq!(state("again"), state("out"), "numbers");
    // A replica of that store has both, and another key of a name that is there gets a number.
    let replica = replica(&google, "a", json!({"url": redis.url(), "prefix": "one:"}), &json!({}));
    let names = |listed: Value| -> Vec<String> {
        listed["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
    };
    let mut client = Client::new(replica.address());
    let listed = client.get("/admin/keys").json();
    assert!(["ada", "二"].iter().all(|name| names(listed.clone()).iter().any(|known| known == name)), "{listed}");
    std::fs::remove_file(folder.join("first.state.json")).unwrap();
    make_keys(&google, &redis, &folder, &["ada"]);
    let (code, text) = import("one.json", &["--merge"]);
    assert!(
        code == 0 && text.contains("keys of the page: 1 added, 0 known already") && text.contains("number"),
        "{text}"
    );
    let (code, text) = import("one.json", &["--merge"]);
    assert!(code == 0 && text.contains("keys of the page: 0 added, 1 known already"), "{text}");
    wait_for("the key", || names(client.get("/admin/keys").json()).iter().any(|name| name == "ada (2)"));
}

/// What was taken out serves on one machine, gets more there, and comes back whole.
#[test]
fn credentials_keep_their_numbers_from_the_store_to_one_machine_and_back() {
    let (google, redis) = (FakeGoogle::start(), Redis::start());
    let folder = Folder::new("numbers");
    let write = |name: &str, file: &str, prefix: &str| {
        let config = json!({
            "credentials_file": file,
            "state_file": format!("{file}.state.json"),
            "store": {"url": redis.url(), "prefix": prefix},
            "endpoints": google.endpoints_json(),
        });
        folder.write(name, config.to_string());
    };
    let key = |name: &str| json!({"type": "api_key", "api_key": format!("AIza-key-of-numbers-{name}")});
    let all = |names: &[&str]| json!(names.iter().map(|name| key(name)).collect::<Vec<_>>()).to_string();
    let numbers = |prefix: &str| {
        let text = redis.cli(&["hkeys", &format!("{prefix}{{g}}:cred")]);
        let mut numbers: Vec<u64> = text.lines().map(|line| line.parse().expect("a number")).collect();
        numbers.sort_unstable();
        numbers
    };
    let import = |config: &str, more: &[&str]| {
        let (code, text) = said(&folder, &[&["store", "import", "-c", config, "-ek", SEAL], more].concat());
        assert_eq!(code, 0, "{text}");
        text
    };
    folder.write("first.json", all(&["a", "b"]));
    write("one.json", "first.json", "one:");
    import("one.json", &[]);
    // A third one was there, and may come back.
    redis.cli(&["hset", "one:{g}:meta", "next", "3"]);
    std::fs::create_dir(folder.join("out")).unwrap();
    let (code, text) = said(&folder, &["store", "export", "-c", "one.json", "-ek", SEAL, "--to", "out"]);
    assert_eq!(code, 0, "{text}");
    let state = std::fs::read_to_string(folder.join("out/credentials.json.state.json")).unwrap();
    assert!(state.contains(r#"["pool","next_id",3]"#), "{state}");
    folder.write("out/credentials.json", all(&["a", "b", "c", "d"]));
    write("two.json", "out/credentials.json", "two:");
    let text = import("two.json", &[]);
    assert!(text.contains("4 added, 0 updated, 0 known already"), "{text}");
    assert_eq!(numbers("two:"), [0, 1, 3, 4]);
    // What earlier versions wrote there is nobody's number.
    let other = r#"{"pool":{"next_id":140737488355328}}"#;
    folder.write("out/credentials.json.state.json", other);
    write("three.json", "out/credentials.json", "three:");
    import("three.json", &[]);
    assert_eq!(numbers("three:"), [0, 1, 2, 3]);
    // Nor does anybody get the number of another one that is gone, or of an item of a config.
    redis.cli(&["hdel", "three:{g}:cred", "0"]);
    folder.write("other.json", all(&["e"]));
    write("four.json", "other.json", "three:");
    import("four.json", &["--merge"]);
    assert_eq!(numbers("three:"), [1, 2, 3, 4]);
    // Numbers that are larger than any pool stay what they are.
    folder.write("large.json", all(&["a", "b"]));
    folder.write("large.json.state.json", r#"{"pool":{"next_id":100000000000001}}"#);
    write("five.json", "large.json", "five:");
    let text = import("five.json", &[]);
    assert!(text.contains("2 added, 0 updated, 0 known already"), "{text}");
    assert_eq!(numbers("five:"), [100_000_000_000_001, 100_000_000_000_002]);
}
