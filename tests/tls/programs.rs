//! The program with `server.tls`, as an operator sets it up and real clients meet it.

use super::{files, fixture};
use crate::common::consent::{Auth, get};
use crate::common::google::{FakeGoogle, User};
use crate::common::program::{Folder, Program, run};
use crate::common::{python, script};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

const KEY: &str = "sk-client-over-tls";

fn config(google: &FakeGoogle) -> Value {
    google.add_api_key("AIza-key-behind-tls");
    json!({"server": {"host": "127.0.0.1", "port": 0, "tls": {"cert": "listener.pem", "key": "listener.key"}},
        "auth_keys": [KEY], "gemini_api_keys": ["AIza-key-behind-tls"], "credentials_file": "credentials.json",
        "log_level": "info", "endpoints": google.endpoints_json(), "min_credentials": 0})
}

/// What curl printed, and whether it was content.
fn curl(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("curl").args(["-sS", "--max-time", "20", "--noproxy", "*"]).args(arguments).output();
    let output = output.expect("curl is installed");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), text)
}

#[test]
fn real_clients_are_served() {
    let google = FakeGoogle::start();
    let folder = Folder::new("tls-clients");
    files(&folder, "first");
    let program = Program::start(&folder, &config(&google), &[]);
    let base = format!("https://localhost:{}", program.port());
    let authority = fixture("ca.pem");
    let authority = authority.to_str().unwrap();

    for version in [&["--tls-max", "1.2"][..], &["--tlsv1.3"], &["--http1.0"], &["--http2"]] {
        let url = format!("{base}/health");
        let (is_good, text) = curl(&[&["--cacert", authority], version, &[&url]].concat());
        assert!(is_good && text.contains("healthy"), "{version:?}: {text}");
    }
    let (is_good, text) = curl(&[&format!("http://localhost:{}/health", program.port())]);
    assert!(is_good && text.contains("https://"), "{text}");
    let (is_good, text) = curl(&[&format!("{base}/health")]);
    assert!(!is_good && text.contains("certificate"), "an authority that nobody knows: {text}");

    let path = script::file("py/tls.py");
    let variables = [("PROXY_URL", base.as_str()), ("PROXY_KEY", KEY)];
    let (is_good, printed) = python::run(&[path.to_str().unwrap(), authority], &variables);
    assert!(is_good, "{printed}");

    let node = Command::new("timeout")
        .args(["60", "node"])
        .arg(script::file("js/tls.mjs"))
        .envs(variables)
        .env("NODE_EXTRA_CA_CERTS", authority)
        .output()
        .unwrap();
    assert!(node.status.success(), "{}", String::from_utf8_lossy(&node.stderr));
    assert!(google.generations().len() >= 6);
}

#[test]
fn sighup_takes_over_the_files_and_says_what_it_did() {
    let google = FakeGoogle::start();
    let folder = Folder::new("tls-sighup");
    let [certificate, key] = files(&folder, "first");
    let mut program = Program::start(&folder, &config(&google), &[]);
    fs::copy(fixture("second.pem"), &certificate).unwrap();
    program.signal("-HUP");
    program.wait_for_line("tls: the old certificate stays in use: listener.key is not the key of the certificate in");
    fs::copy(fixture("second.key"), &key).unwrap();
    program.signal("-HUP");
    program.wait_for_line("tls: new connections are shown the certificate that is now in listener.pem");
    let authority = fixture("ca.pem");
    let url = format!("https://localhost:{}/health", program.port());
    let (is_good, text) = curl(&["-v", "--cacert", authority.to_str().unwrap(), &url]);
    assert!(is_good && text.contains("CN=second"), "{text}");
}

#[test]
fn health_and_ready_know_their_own_listener_by_its_certificate() {
    let google = FakeGoogle::start();
    let folder = Folder::new("tls-health");
    let [certificate, _] = files(&folder, "first");
    let program = Program::start(&folder, &config(&google), &[]);
    // An authority that nobody knows has signed it for `localhost`.
    let mut settings = config(&google);
    settings["server"]["port"] = json!(program.port());
    folder.write("asked.json", settings.to_string());
    let probe = |word: &str| {
        let output = run(&folder, &[word, "-c", "asked.json"]);
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (output.status.code(), text)
    };
    assert_eq!(probe("health"), (Some(0), "alive; 1 of 1 credentials can be used\n".into()));
    assert_eq!(probe("ready"), (Some(0), "ready; 1 of 1 credentials can be used\n".into()));
    fs::copy(fixture("second.pem"), &certificate).unwrap();
    let (code, text) = probe("health");
    assert!(code == Some(1) && text.contains("certificate"), "who shows another certificate is another one: {text}");
    fs::remove_file(&certificate).unwrap();
    let (code, text) = probe("health");
    assert!(code == Some(1) && text.contains("listener.pem cannot be read"), "{text}");
}

#[test]
fn auth_hands_the_account_to_the_listener_that_has_the_certificate() {
    let google = FakeGoogle::start();
    google.add_user(User::licensed("ada@example.com", "project-1"));
    let folder = Folder::new("tls-auth");
    files(&folder, "first");
    let mut settings = config(&google);
    settings["admin_username"] = json!("chef");
    settings["admin_password"] = json!("pass-word");
    let program = Program::start(&folder, &settings, &[]);
    settings["server"]["port"] = json!(program.port());
    let config = folder.write("config.json", settings.to_string());
    fs::set_permissions(config, fs::Permissions::from_mode(0o600)).unwrap();
    let mut auth = Auth::start(&folder, &[]);
    assert_eq!(get(&auth.agree()).0, 200);
    let (code, said, errors) = auth.end();
    assert!(code == Some(0) && said.contains("[SUCCESS]") && said.contains("credential_added"), "{said}{errors}");
    let file = fs::read_to_string(folder.join("credentials.json")).unwrap();
    assert!(file.contains("refresh_token"), "the listener has saved it");
}

#[test]
fn mistakes_are_named_at_the_start_and_by_check() {
    let google = FakeGoogle::start();
    let folder = Folder::new("tls-mistakes");
    files(&folder, "first");
    let mut settings = config(&google);
    folder.write("config.json", settings.to_string());
    let checked = |expected: &str| {
        let output = run(&folder, &["check", "-c", "config.json"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(expected), "{text}");
    };
    checked("[OK] server.tls: listener.pem and listener.key fit together");
    fs::copy(fixture("second.key"), folder.join("listener.key")).unwrap();
    checked("[ERROR] server.tls: listener.key is not the key of the certificate in listener.pem");
    let refused = run(&folder, &["run", "-c", "config.json"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && said.contains("server.tls: listener.key is not the key"), "{said}");
    settings["server"]["tls"] = json!({"cert": "listener.pem"});
    folder.write("config.json", settings.to_string());
    let said = String::from_utf8_lossy(&run(&folder, &["run", "-c", "config.json"]).stderr).into_owned();
    assert!(said.contains("server.tls.key: expected the path of a file beside cert"), "{said}");
}
