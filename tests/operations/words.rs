//! `health` and `ready`, variables in the config, and what a refusal says to whom.

use super::{CHAT, HI, ask, config};
use crate::common::google::{FakeGoogle, Step, User};
use crate::common::program::{Folder, Program, command, free_port, run};
use crate::common::{wire, written};
use serde_json::json;
use std::io::{Read, Write};
use std::process::Command;
use std::time::Duration;

#[test]
fn health_and_ready_ask_the_running_server_and_end_with_its_state() {
    let google = FakeGoogle::start();
    let folder = Folder::new("probe");
    let mut settings = config(&google, &["sk-client-of-probe"]);
    settings["server"]["port"] = json!(free_port());
    settings["server"]["drain_delay_sec"] = json!(20);
    let mut program = Program::start(&folder, &settings, &[]);
    let probe = |word: &str| {
        let output = run(&folder, &[word, "-c", "config.json"]);
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    assert_eq!(probe("health"), (Some(0), "alive; 0 of 0 credentials can be used\n".into()));
    assert_eq!(probe("ready").0, Some(0));
    program.signal("-TERM");
    program.wait_for_line("Application shutdown...");
    while probe("ready").0 == Some(0) {}
    assert!(probe("ready").1.contains("/readyz: stopping"), "{:?}", probe("ready"));
    assert_eq!(probe("health").0, Some(0), "it lives as long as it serves");
    program.signal("-KILL");
    program.wait(Duration::from_secs(20));
    let (code, text) = probe("health");
    assert!(code == Some(1) && text.contains("no answer"), "{text}");
}

#[test]
fn variables_of_the_environment_stand_in_the_config_and_are_shown_nowhere() {
    const KEY: &str = "AIza-of-the-environment-1";
    const CLIENT: &str = "sk-of-the-environment";
    const PASSWORD: &str = "pw-short-123";
    [CLIENT, PASSWORD].into_iter().for_each(written::secret);
    let google = FakeGoogle::start();
    google.add_api_key(KEY);
    let folder = Folder::new("variables");
    let mut settings = config(&google, &[]);
    settings["auth_keys"] = json!([{"key": "${CLIENT}", "name": "team", "requests_per_day": "${DAY}"}]);
    settings["gemini_api_keys"] = json!(["${GEMINI_KEY}"]);
    settings["admin_username"] = json!("a-${WHO}");
    settings["admin_password"] = json!("${PASSWORD}");
    settings["server"]["drain_sec"] = json!("${DRAIN}");
    settings["continue_text"] = json!("${PASSWORD}");
    let environment = [
        ("CLIENT", CLIENT),
        ("GEMINI_KEY", KEY),
        ("PASSWORD", PASSWORD),
        ("WHO", "dmin"),
        ("DRAIN", "1.5"),
        ("DAY", "2"),
    ];
    let program = Program::start_in(&folder, &settings, &[], &environment);
    let answers: Vec<u16> = (0..3).map(|_| ask(&program.base(), CLIENT, CHAT, HI).0).collect();
    assert_eq!(answers, [200, 200, 429]);
    let login = crate::common::wire::agent()
        .get(format!("{}/admin/status", program.base()))
        .header("Authorization", "Basic YS1kbWluOnB3LXNob3J0LTEyMw==");
    let page = login.call().unwrap().body_mut().read_to_string().unwrap();
    assert!(page.contains("${PASSWORD}") && page.contains(r#""value":"1 key""#) && page.contains("${DRAIN}"), "{page}");
    let checked = |password: &str| {
        let mut check = command(&folder, &["check", "-c", "config.json"]);
        check.envs(environment).env("PASSWORD", password);
        let output = check.output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let text = checked(PASSWORD);
    assert!(text.contains("is a good configuration"), "{text}");
    for secret in [CLIENT, KEY, PASSWORD] {
        assert!(!page.contains(secret) && !text.contains(secret) && !program.log().contains(secret), "{secret}");
    }
    settings["log_level"] = json!("${PASSWORD}");
    settings["server"]["workers"] = json!("${MISSING}");
    folder.write("config.json", settings.to_string());
    let text = checked(PASSWORD);
    assert!(text.contains("server.workers: the environment has no variable MISSING; set it"), "{text}");
    settings["server"]["workers"] = json!(4);
    folder.write("config.json", settings.to_string());
    let text = checked(PASSWORD);
    assert!(text.contains("log_level: expected DEBUG") && !text.contains(PASSWORD), "{text}");
}

#[test]
fn the_unit_copies_the_config_before_it_starts_and_before_it_reloads() {
    let google = FakeGoogle::start();
    let (etc, run) = (Folder::new("unit-etc"), Folder::new("unit-run"));
    let unit =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/gemini-openai-proxy.service")).unwrap();
    let script = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(key)).expect(key);
        let script = line.strip_prefix("+/bin/sh -ec '").and_then(|line| line.strip_suffix('\'')).expect(line);
        let script = script.replace("/etc/gemini-openai-proxy", &etc.path().display().to_string());
        let script = script.replace("%t/gemini-openai-proxy", &run.path().display().to_string());
        assert!(Command::new("sh").args(["-ec", &script]).status().unwrap().success(), "{script}");
    };
    assert!(unit.contains("ExecStart=/usr/local/bin/gemini-openai-proxy run -c %t/gemini-openai-proxy/config.json"));
    assert!(unit.contains("ExecReload=/bin/kill -HUP $MAINPID"));
    let mut settings = config(&google, &["sk-before-the-edit"]);
    settings["credentials_file"] = json!(run.join("credentials.json"));
    etc.write("config.json", settings.to_string());
    script("ExecStartPre=");
    let mut program = Program::spawn(&Folder::new("unit"), &settings, {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gemini-openai-proxy"));
        command.args(["run", "-c"]).arg(run.join("config.json"));
        command
    });
    settings["auth_keys"] = json!(["sk-after-the-edit"]);
    etc.write("config.json", settings.to_string());
    script("ExecReload=");
    program.signal("-HUP");
    program.wait_for_line("config: reloaded: auth_keys");
}

#[cfg(feature = "agents")]
#[test]
fn a_refused_model_is_named_in_the_log_and_in_the_list_and_the_client_hears_of_one_that_exists() {
    let google = FakeGoogle::start();
    google.add_api_key("AIza-one-0001");
    let folder = Folder::new("refused-model");
    let mut settings = config(&google, &["sk-client-of-words"]);
    settings["gemini_api_keys"] = json!(["AIza-one-0001"]);
    settings["models"] = json!([{"name": "mine", "alias_of": "gemini-99"}]);
    let mut program = Program::start(&folder, &settings, &[]);
    program.has_said("models: mine: gemini-99 is no model that is known here");
    let long = "x".repeat(100);
    let question = |model: &str, more: &str| {
        format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hi"}}]{more}}}"#)
    };
    for (path, body, name) in [
        (CHAT, question("gpt-4o", ""), "gpt-4o".to_owned()),
        (CHAT, question("gemini-2.5-flash", r#","n":0"#), "gemini-2.5-flash".into()),
        (CHAT, question(&long, ""), long[..64].into()),
        ("/v1/messages", question("gpt-5-x", r#","max_tokens":5"#), "gpt-5-x".into()),
        ("/v1/responses", r#"{"model":"o9","input":"Hi"}"#.into(), "o9".into()),
        ("/v1/completions", r#"{"model":"davinci","prompt":"Hi"}"#.into(), "davinci".into()),
        ("/v1/embeddings", r#"{"model":"ada","input":"Hi"}"#.into(), "ada".into()),
        ("/v1beta/models/llama:generateContent", "{}".into(), "llama".into()),
    ] {
        let (status, text) = ask(&program.base(), "sk-client-of-words", path, &body);
        assert!((400..=404).contains(&status), "{path}: {text}");
        if status == 404 && !path.contains("v1beta/") {
            assert!(text.contains("Try `gemini-") && text.contains("GET /v1/models lists all"), "{path}: {text}");
        }
        program.wait_for_line(&format!("model={name} "));
        let list = crate::common::wire::agent().get(format!("{}/admin/requests", program.base())).call();
        let list = list.unwrap().body_mut().read_to_string().unwrap();
        let newest = serde_json::from_str::<serde_json::Value>(&list).unwrap()["requests"][0]["model"].clone();
        assert_eq!(newest, name, "{path}");
    }
    let metrics = crate::common::wire::agent().get(format!("{}/metrics", program.base())).call();
    let metrics = metrics.unwrap().body_mut().read_to_string().unwrap();
    assert!(!metrics.contains("gpt-4o"), "names that clients invent take no place of others");
}

#[test]
fn a_key_that_google_answers_401_is_called_a_key_and_nobody_is_said_to_be_next() {
    let google = FakeGoogle::start();
    google.add_api_key("AIza-one-0001");
    google.always("AIza-one-0001", Step::status(401, "Request had invalid authentication credentials."));
    let folder = Folder::new("key-401");
    let mut settings = config(&google, &["sk-client-of-401"]);
    settings["gemini_api_keys"] = json!(["AIza-one-0001"]);
    let mut program = Program::start(&folder, &settings, &[]);
    let (status, text) = ask(&program.base(), "sk-client-of-401", CHAT, HI);
    assert!(status == 503 && text.contains("Google refuses this API key; make a new one."), "{status} {text}");
    let line = program.wait_for_line("[ApiClient] Request failed with status 401");
    assert!(!line.contains("Rotating"), "{line}");
    let page = crate::common::wire::agent().get(format!("{}/admin/credentials", program.base())).call();
    let page = page.unwrap().body_mut().read_to_string().unwrap();
    assert!(page.contains("api_key_refused") && page.contains("aistudio.google.com/apikey"), "{page}");
    let ready = crate::common::wire::agent().get(format!("{}/readyz?credentials=1", program.base())).call().unwrap();
    assert_eq!(ready.status(), 503);
    let ready = crate::common::wire::agent().get(format!("{}/readyz", program.base())).call().unwrap();
    assert_eq!(ready.status(), 200);
}

#[test]
fn the_log_says_whether_another_credential_is_asked_or_the_same_one() {
    for (count, expected) in
        [(1, ["Asking the same credential again."; 2]), (2, ["Rotating credential and retrying."; 2])]
    {
        let google = FakeGoogle::start();
        let keys: Vec<String> = (0..count).map(|at| format!("AIza-of-the-log-000{at}")).collect();
        for key in &keys {
            google.add_api_key(key);
            google.always(key, Step::status(503, "The service is currently unavailable."));
        }
        let folder = Folder::new("who-is-next");
        let mut settings = config(&google, &["sk-client-of-next"]);
        settings["gemini_api_keys"] = json!(keys);
        let mut program = Program::start(&folder, &settings, &[]);
        assert_eq!(ask(&program.base(), "sk-client-of-next", CHAT, HI).0, 503);
        let failed = "[ApiClient] Request failed with status 503";
        let lines: Vec<String> = (0..3).map(|_| program.wait_for_line(failed)).collect();
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.contains(expected), "{count}: {line}");
        }
        assert!(lines[2].contains("). ("), "{count}: {}", lines[2]);
        // The one that was asked last is not the next one where there are two.
        let asked: Vec<String> = google.generations().into_iter().filter_map(|call| call.who).collect();
        assert!(asked.windows(2).all(|pair| (pair[0] == pair[1]) == (count == 1)), "{asked:?}");
    }
}

#[test]
fn check_calls_credentials_by_the_ids_that_the_page_shows_also_after_a_restart() {
    let google = FakeGoogle::start();
    let folder = Folder::new("same-ids");
    let mut settings = config(&google, &["sk-client-of-ids"]);
    let keys: Vec<String> = (1..=3).map(|at| format!("AIza-of-the-config-000{at}")).collect();
    keys.iter().for_each(|key| google.add_api_key(key));
    settings["gemini_api_keys"] = json!(keys);
    let mut program = Program::start(&folder, &settings, &[]);
    // An account comes later than the keys, and one key is taken out of the config.
    google.add_user(User::licensed("ada@example.com", "project-1"));
    let account = google.oauth_credential("ada@example.com").to_string();
    let added = crate::common::wire::agent().post(format!("{}/admin/credentials/import", program.base()));
    let added = added.header("Content-Type", "application/json").send(json!({"text": account}).to_string()).unwrap();
    assert!(added.status().is_success(), "{}", added.status());
    program.signal("-TERM");
    program.wait(Duration::from_secs(20));
    settings["gemini_api_keys"] = json!([keys[2], keys[1]]);
    let program = Program::start(&folder, &settings, &[]);
    let page = crate::common::wire::agent().get(format!("{}/admin/credentials", program.base())).call();
    let page = page.unwrap().body_mut().read_to_string().unwrap();
    let shown: serde_json::Value = serde_json::from_str(&page).unwrap();
    let output = run(&folder, &["check", "-c", "config.json"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(shown.as_array().unwrap().len(), 3, "{page}");
    for credential in shown.as_array().unwrap() {
        let who = credential["label"].as_str().or(credential["email"].as_str()).unwrap();
        let line = format!("{} ({who}", credential["id"].as_str().unwrap());
        assert!(printed.contains(&line), "{line} is not in\n{printed}");
    }
}

#[test]
fn who_asks_for_a_reload_sees_it_in_a_quiet_log_too() {
    let google = FakeGoogle::start();
    let folder = Folder::new("quiet-reload");
    let mut settings = config(&google, &["sk-client-of-quiet"]);
    let mut program = Program::start(&folder, &settings, &[]);
    settings["log_level"] = json!("warning");
    folder.write("config.json", settings.to_string());
    program.signal("-HUP");
    program.wait_for_line("config: reloaded: log_level");
    settings["media_resolution"] = json!(true);
    folder.write("config.json", settings.to_string());
    program.signal("-HUP");
    let line = program.wait_for_line("config: reloaded: media_resolution");
    assert!(line.contains("WARN"), "{line}");
}

/// Health checkers speak HTTP/1.0 at times.
#[test]
fn who_names_no_host_is_told_how_it_is_and_sees_no_page() {
    let google = FakeGoogle::start();
    let folder = Folder::new("no-host");
    let program = Program::start(&folder, &config(&google, &["sk-client-of-probe"]), &[]);
    let ask = |path: &str, version: &str, host: &str| {
        let mut socket = wire::connect(("127.0.0.1", program.port)).unwrap();
        write!(socket, "GET {path} HTTP/{version}\r\nConnection: close\r\n{host}\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    for (version, host) in [("1.0", ""), ("1.0", "Host:\r\n"), ("1.1", "Host:\r\n")] {
        let found = ["/livez", "/readyz", "/health", "/admin/status"].map(|path| ask(path, version, host));
        assert_eq!(found, ["200", "200", "200", "403"], "{version} {host:?}");
    }
    assert_eq!(ask("/admin/status", "1.0", "Host: localhost\r\n"), "200");
}
