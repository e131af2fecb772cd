//! The words beside `run`, with the real program: auth, check, decrypt, rotate-key.

use crate::common::consent::{Auth, get};
use crate::common::google::{FakeGoogle, Tier, User};
use crate::common::program::{Folder, Program, run};
use crate::common::written;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const EMAIL: &str = "ada@example.com";
const ADDED: &str = "[SUCCESS] Credential for 'a*a*********@example.com' processed successfully: credential_added";

fn google() -> FakeGoogle {
    let google = FakeGoogle::start();
    google.add_user(User::licensed(EMAIL, "project-1"));
    google
}

/// A config that others may not read, in front of the fake Google.
fn configure(folder: &Folder, google: &FakeGoogle, change: impl FnOnce(&mut Value)) {
    let mut config = json!({
        "server": {"host": "127.0.0.1", "port": 1}, "auth_keys": ["sk-client-of-programs"], "log_level": "info",
        "credentials_file": "c.json", "endpoints": google.endpoints_json(),
        "admin_username": "chef", "admin_password": "pass-word",
    });
    change(&mut config);
    private(&folder.write("config.json", config.to_string()));
}

fn private(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn auth_hands_the_account_to_the_running_proxy() {
    let google = google();
    let served = Folder::new("auth-served");
    let settings = json!({
        "server": {"host": "127.0.0.1", "port": 0}, "credentials_file": "c.json", "endpoints": google.endpoints_json(),
        "admin_username": "chef", "admin_password": "pass-word", "log_level": "info",
    });
    let program = Program::start(&served, &settings, &[]);
    let folder = Folder::new("auth");
    configure(&folder, &google, |config| config["auth_client"] = json!({"proxy_url": program.base()}));

    let mut auth = Auth::start(&folder, &[]);
    let back = auth.agree();
    assert!(back.starts_with("http://127.0.0.1:"), "{back}");
    assert_eq!(get(&back.replace("state=", "state=x")).0, 400, "another login's answer does not end this one");
    assert_eq!(get(&back).0, 200);
    let (code, said, errors) = auth.end();
    assert_eq!(code, Some(0), "{errors}");
    assert!(said.contains(ADDED), "{said}");
    let file: Value = serde_json::from_slice(&std::fs::read(served.join("c.json")).unwrap()).unwrap();
    assert!(file["refresh_token"].is_string());
    assert!(!folder.join("c.json").exists(), "the file is the proxy's");

    google.settings(|settings| settings.deny_consent = true);
    let mut auth = Auth::start(&folder, &[]);
    assert_eq!(get(&auth.agree()).0, 200);
    let (code, _, errors) = auth.end();
    assert_eq!(code, Some(1));
    assert!(errors.starts_with("[ERROR] access was not granted (access_denied)"), "{errors}");

    google.settings(|settings| settings.deny_consent = false);
    google.set_tier(EMAIL, Tier::UnsupportedClient);
    google.add_user(User { tier: Tier::UnsupportedClient, ..User::licensed("eve@example.com", "p") });
    google.settings(|settings| settings.consent_as = Some("eve@example.com".into()));
    let mut auth = Auth::start(&folder, &["--paste"]);
    let back = auth.agree();
    auth.paste(&back);
    let (code, _, errors) = auth.end();
    assert_eq!(code, Some(1));
    assert!(errors.contains("[ERROR]") && errors.contains("failed_to_discover_project_id"), "{errors}");
    let log = program.log();
    for secret in ["4/0A", "4%2F0A", "ya29", "1//", "pass-word"] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}

#[test]
fn auth_says_when_the_account_could_not_be_saved() {
    let google = google();
    let served = Folder::new("auth-unsaved");
    let settings = json!({
        "server": {"host": "127.0.0.1", "port": 0}, "credentials_file": "not there/c.json", "log_level": "info",
        "state_file": "state.json", "endpoints": google.endpoints_json(), "auth_keys": ["sk-client"],
    });
    let program = Program::start(&served, &settings, &[]);
    let folder = Folder::new("auth-unsaved-here");
    configure(&folder, &google, |config| {
        config["auth_client"] = json!({"proxy_url": program.base()});
        config["credentials_file"] = json!("nor here/c.json");
    });
    let mut auth = Auth::start(&folder, &["--paste"]);
    let back = auth.agree();
    auth.paste(&back);
    let (code, said, errors) = auth.end();
    assert_eq!(code, Some(0), "{errors}");
    assert!(said.contains(ADDED), "{said}");
    assert!(errors.starts_with("[WARNING] ") && errors.contains("in memory only"), "{errors}");

    let mut auth = Auth::start(&folder, &["--paste", "--offline"]);
    let back = auth.agree();
    auth.paste(&back);
    let (code, said, errors) = auth.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        errors.contains("nor here/c.json cannot be written: No such file") && errors.contains("start again"),
        "{errors}"
    );
}

#[test]
fn auth_says_what_is_wrong_before_anybody_logs_in() {
    let google = google();
    let folder = Folder::new("auth-wrong");
    configure(&folder, &google, |_| {});
    let output = run(&folder, &["auth", "-c", "config.json"]);
    let errors = text(output.stderr);
    assert_eq!((output.status.code(), text(output.stdout).as_str()), (Some(1), ""));
    assert!(
        errors.starts_with("[ERROR] no proxy answers at http://127.0.0.1:1") && errors.contains("--offline"),
        "{errors}"
    );

    let program = Program::start(
        &Folder::new("auth-other"),
        &json!({"server": {"host": "127.0.0.1", "port": 0}, "admin_username": "chef", "admin_password": "other-password"}),
        &[],
    );
    configure(&folder, &google, |config| config["auth_client"] = json!({"proxy_url": program.base()}));
    let errors = text(run(&folder, &["auth", "-c", "config.json"]).stderr);
    assert!(errors.contains("does not accept the admin login; correct admin_username"), "{errors}");
    assert_eq!(run(&folder, &["auth"]).status.code(), Some(2), "it needs a config");

    folder.write("c.json", "gAAAAA");
    let errors = text(run(&folder, &["auth", "-c", "config.json", "--offline"]).stderr);
    assert!(errors.starts_with("[ERROR] FATAL: Failed to decode credentials file."), "{errors}");
}

#[test]
fn auth_offline_writes_the_file_and_a_running_proxy_takes_it_over() {
    let google = google();
    let folder = Folder::new("auth-offline");
    configure(&folder, &google, |config| config["server"]["port"] = json!(0));
    let config: Value = serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    let mut program = Program::start(&folder, &config, &["-ek", "first-file-key"]);
    let mut auth = Auth::start(&folder, &["--paste", "--offline", "-ek", "first-file-key"]);
    let back = auth.agree();
    assert!(back.starts_with("https://codeassist.google.com/authcode?"), "{back}");
    let code = back.split("code=").nth(1).unwrap().split('&').next().unwrap();
    auth.paste(&format!("  {code} "));
    let (status, said, errors) = auth.end();
    assert_eq!(status, Some(0), "{errors}");
    assert!(said.contains(ADDED), "{said}");
    assert!(std::fs::read_to_string(folder.join("c.json")).unwrap().starts_with("gAAAAA"), "encrypted");
    program.wait_for_line("[CredManager] Adding new credential for");
}

#[test]
fn decrypt_and_rotate_key_keep_everything_and_touch_nothing_with_a_wrong_key() {
    let google = google();
    let folder = Folder::new("rekey");
    configure(&folder, &google, |_| {});
    let mut auth = Auth::start(&folder, &["--paste", "--offline", "-ek", "first-file-key"]);
    let back = auth.agree();
    auth.paste(&back);
    assert_eq!(auth.end().0, Some(0));
    let content = || std::fs::read_to_string(folder.join("c.json")).unwrap();
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    let (first, count) = (content(), files());
    for (arguments, code) in [
        (&["decrypt", "-c", "config.json", "-ek", "wrong-file-key"][..], 3),
        (&["decrypt", "-c", "config.json", "-ek", "wrong-file-key", "--output", "plain.json"], 3),
        (&["decrypt", "-c", "config.json"], 1),
        (&["rotate-key", "-c", "config.json", "-ek", "wrong-file-key", "--new-key", "second-file-key"], 3),
        (&["rotate-key", "-c", "config.json", "-ek", "first-file-key", "--new-key", "first-file-key"], 1),
        (&["rotate-key", "-c", "config.json", "-ek", "first-file-key", "--new-key-file", "none"], 1),
        (&["rotate-key", "-c", "config.json", "-ek", "first-file-key"], 2),
    ] {
        let output = run(&folder, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(output.stderr));
        assert_eq!((content(), files()), (first.clone(), count), "{arguments:?}");
    }
    let shown = text(run(&folder, &["decrypt", "-c", "config.json", "-ek", "first-file-key", "--output", "-"]).stdout);
    assert!(shown.contains("refresh_token"), "{shown}");
    assert_eq!(content(), first);

    folder.write("new.key", "Generated new encryption key. Please store it securely:\nsecond-file-key\n");
    let rotated =
        run(&folder, &["rotate-key", "-c", "config.json", "-ek", "first-file-key", "--new-key-file", "new.key"]);
    assert_eq!(rotated.status.code(), Some(0));
    let warned = text(rotated.stderr);
    assert!(warned.starts_with("[WARNING] the new key is short") && warned.lines().count() == 1, "{warned}");
    assert_eq!(std::fs::read_to_string(folder.join("c.json.bak")).unwrap(), first, "the backup stays encrypted");
    assert!(content().starts_with("gAAAAA") && content() != first);
    assert_eq!(run(&folder, &["decrypt", "-c", "config.json", "-ek", "first-file-key"]).status.code(), Some(3));
    assert_eq!(run(&folder, &["decrypt", "-c", "config.json", "-ek", "second-file-key"]).status.code(), Some(0));
    assert_eq!(content(), shown);
    assert!(std::fs::read_to_string(folder.join("c.json.bak2")).unwrap().starts_with("gAAAAA"));
    let again = run(&folder, &["decrypt", "-c", "config.json", "-ek", "second-file-key"]);
    assert!(again.status.code() == Some(1) && text(again.stderr).contains("is not encrypted"));
}

/// Runs `check`; its exit code and its lines.
fn check(folder: &Folder, options: &[&str]) -> (Option<i32>, String) {
    let mut arguments = vec!["check", "-c", "config.json"];
    arguments.extend(options);
    let output = run(folder, &arguments);
    assert_eq!(text(output.stderr), "", "findings are the output");
    (output.status.code(), text(output.stdout))
}

#[test]
fn a_good_set_up_is_found_good() {
    let google = google();
    google.add_api_key("AIza-good-key-0001");
    let folder = Folder::new("check-good");
    configure(&folder, &google, |config| config["gemini_api_keys"] = json!(["AIza-good-key-0001"]));
    private(&folder.write("c.json", google.oauth_credential(EMAIL).to_string()));
    let (code, lines) = check(&folder, &[]);
    assert_eq!(code, Some(0), "{lines}");
    assert!(lines.lines().all(|line| line.starts_with("[OK] ")), "{lines}");
    for words in [
        "config.json is a good configuration",
        "c.json is readable, and in clear",
        "cred-0 (a*a*********@example.com): Code Assist serves this account (standard-tier)",
        "cred-1 (AIz***0001): Google accepts this API key",
    ] {
        assert!(lines.contains(words), "{words}: {lines}");
    }
    let answers = lines.lines().filter(|line| line.ends_with(" answers")).count();
    assert_eq!(answers, 1, "one address is told once: {lines}");
    assert!(google.generations().is_empty());
    let (code, lines) = check(&folder, &["-ek", "first-file-key"]);
    assert_eq!(code, Some(0), "{lines}");
    assert!(lines.contains("[WARNING] c.json is in clear although a key is given"), "{lines}");
    assert!(
        std::fs::read_to_string(folder.join("c.json")).unwrap().contains("refresh_token"),
        "a look encrypts nothing"
    );
}

#[test]
fn what_is_broken_is_named_with_its_remedy() {
    let google = google();
    let folder = Folder::new("check-broken");
    let item = google.oauth_credential(EMAIL);
    let credentials = |content: &str| private(&folder.write("c.json", content));
    let is_found = |options: &[&str], words: &str| {
        let (code, lines) = check(&folder, options);
        let found = lines.lines().any(|line| line.starts_with("[ERROR] ") && line.contains(words));
        assert!(code == Some(1) && found, "{words}: {code:?} {lines}");
        lines
    };

    is_found(&[], "config.json: no such file; copy config.example.json there and edit it");
    folder.write("config.json", "{\"server\": {\"port\": \"x\"}}");
    is_found(&[], "server.port: expected a whole number");
    configure(&folder, &google, |_| {});
    is_found(&[], "no credential is loaded; run `gemini-openai-proxy auth -c config.json`");

    credentials("gAAAAABm");
    is_found(&[], "c.json is encrypted and no key is given; give it with --encryption-key-file");
    is_found(&["-ek", "wrong-file-key"], "Give the key that c.json was encrypted with, or restore a backup");
    credentials("{\"refresh_token\": ");
    is_found(&[], "Correct c.json, or restore a backup");

    credentials(&item.to_string());
    let nowhere = {
        // Bound and let go: nobody listens there.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    configure(&folder, &google, |config| config["endpoints"]["code_assist"] = json!(nowhere));
    is_found(&[], &format!("{nowhere} (endpoints.code_assist): no connection"));
    configure(&folder, &google, |config| config["endpoints"]["code_assist"] = json!("http://no-such-host.invalid"));
    is_found(&[], "the name cannot be resolved; check DNS and the network");

    configure(&folder, &google, |config| {
        config["server"]["host"] = json!("0.0.0.0");
        for name in ["auth_keys", "admin_username", "admin_password"] {
            config.as_object_mut().unwrap().remove(name);
        }
    });
    for name in ["config.json", "c.json"] {
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let (code, lines) = check(&folder, &[]);
    assert_eq!(code, Some(0), "warnings do not fail: {lines}");
    for words in [
        "set auth_keys to serve others",
        "set admin_username and admin_password",
        "run `chmod 600 config.json`",
        "run `chmod 600 c.json`",
    ] {
        let found = lines.lines().any(|line| line.starts_with("[WARNING] ") && line.contains(words));
        assert!(found, "{words}: {lines}");
    }

    configure(&folder, &google, |config| config["gemini_api_keys"] = json!(["AIza-unknown-0001"]));
    google.set_tier(EMAIL, Tier::UnsupportedClient);
    let lines = is_found(&[], "an API key works for everybody");
    assert!(lines.contains("[ERROR] cred-1 (AIz***0001): API key not valid"), "{lines}");
    google.revoke(EMAIL);
    is_found(&[], "connect the account again");
    assert_eq!(google.count("/v1internal:onboardUser"), 0);
}

/// A file for Vertex AI needs no browser, offline and with a running proxy, and `check` looks at it without a generation.
#[cfg(feature = "vertex")]
#[test]
fn auth_takes_a_file_for_vertex_and_check_looks_at_it() {
    const ROBOT: &str = "robot@project-v.iam.gserviceaccount.com";
    let google = google();
    let account = google.add_service_account(ROBOT, "project-v");
    let mut login = google.oauth_credential(EMAIL);
    login["type"] = json!("authorized_user");
    login["quota_project_id"] = json!("project-1");
    let folder = Folder::new("auth-vertex");
    configure(&folder, &google, |_| {});
    for (file, content) in [("robot.json", &account), ("gcloud.json", &login)] {
        written::secrets_in(content);
        folder.write(file, content.to_string());
        let output = run(&folder, &["auth", "-c", "config.json", "--offline", "--vertex", file]);
        assert!(output.status.success(), "{file}: {}", text(output.stderr));
        assert!(text(output.stdout).contains("credential_added"), "{file}");
    }
    folder.write("wrong.json", json!({"type": "service_account"}).to_string());
    let output = run(&folder, &["auth", "-c", "config.json", "--offline", "--vertex", "wrong.json"]);
    assert!(!output.status.success());
    assert!(text(output.stderr).contains("client_email"), "the part is named");
    let output = run(&folder, &["check", "-c", "config.json"]);
    let said = text(output.stdout);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("Vertex AI serves this credential in global").count(), 2, "{said}");
    assert!(google.generations().is_empty() && google.count("/v1internal") == 0);
}
