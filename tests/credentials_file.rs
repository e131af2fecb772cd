//! The credentials file: shared with Python, safe against crashes, untouched when it cannot be understood.

use crate::common::google::{FakeGoogle, User};
use crate::common::pool::{Scratch, anybody, options};
use crate::common::python::venv_python;
use crate::common::written;
use gemini_openai_proxy::credentials::{Credentials, Kind, Kinds, Options, Want};
use gemini_openai_proxy::secret::Secret;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

/// No Google behind it: the tests that use it must not ask.
const NOWHERE: &str = "http://127.0.0.1:9";
/// Not ASCII, so that both sides have to agree on UTF-8.
const PASSPHRASE: &str = "密钥 with spaces";
/// `<file>|<address of the fake Google>`, set for the child process that is killed.
const REWRITER: &str = "GEMINI_PROXY_TEST_REWRITER";

fn with_key(file: PathBuf, base: &str, key: Option<&str>) -> Options {
    key.into_iter().for_each(written::secret);
    Options { encryption_key: key.map(Secret::new), ..options(base, file) }
}

fn python(action: &str, passphrase: &str, input: &[u8]) -> Vec<u8> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py/fernet_check.py");
    let mut child = Command::new(venv_python())
        .arg(script)
        .args([action, passphrase])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "python could not {action}");
    output.stdout
}

#[test]
fn what_python_encrypted_opens_here() {
    let scratch = Scratch::new();
    let items =
        json!([{"refresh_token": "1//refresh", "备注": "保留"}, {"type": "api_key", "api_key": "AIza-key-0001"}]);
    let mut token = python("encrypt", PASSPHRASE, items.to_string().as_bytes());
    token.extend_from_slice(b"\r\n");
    fs::write(scratch.file(), &token).unwrap();
    let pool = Credentials::open(with_key(scratch.file(), NOWHERE, Some(PASSPHRASE))).unwrap();
    assert_eq!(pool.view(pool.find("cred-0").unwrap()).unwrap().kind, Kind::Oauth);
    let lease = pool.checkout(&Want { kinds: Kinds::only(Kind::ApiKey), ..anybody() }).unwrap();
    assert_eq!(pool.access(lease.id).unwrap().secret.expose(), "AIza-key-0001");
    assert_eq!(fs::read(scratch.file()).unwrap(), token, "nothing changed, so nothing is written");
}

#[test]
fn what_is_encrypted_here_opens_in_python() {
    let scratch = Scratch::new();
    let items = json!([{"refresh_token": "1//refresh", "备注": "保留\u{1F511}"}, null, {"api_key": "AIza-key-0001"}]);
    scratch.put(&items);
    Credentials::open(with_key(scratch.file(), NOWHERE, Some(PASSPHRASE))).unwrap();
    let token = fs::read(scratch.file()).unwrap();
    assert!(token.starts_with(b"gAAAA"));
    let decrypted = python("decrypt", PASSPHRASE, &token);
    assert_eq!(String::from_utf8(decrypted).unwrap(), serde_json::to_string_pretty(&items).unwrap());
}

#[test]
fn a_file_that_cannot_be_understood_stops_the_start_and_stays_as_it_is() {
    let whole = python("encrypt", PASSPHRASE, br#"{"refresh_token":"1//refresh"}"#);
    let no_json = python("encrypt", PASSPHRASE, b"not json");
    let cut = whole[..whole.len() / 2].to_vec();
    for (name, content, key, words) in [
        ("wrong key", &whole, Some("another-passphrase"), "the provided key is incorrect or the file is corrupted."),
        ("no key", &whole, None, "no encryption key was provided."),
        ("cut", &cut, Some(PASSPHRASE), "the provided key is incorrect or the file is corrupted."),
        ("no JSON inside", &no_json, Some(PASSPHRASE), "after decryption. The file is likely corrupted."),
        ("broken JSON", &b"[{\"refresh_token\":".to_vec(), None, "no encryption key was provided."),
    ] {
        let scratch = Scratch::new();
        fs::write(scratch.file(), content).unwrap();
        let error = Credentials::open(with_key(scratch.file(), NOWHERE, key)).err().expect(name);
        let text = error.to_string();
        assert!(text.starts_with("FATAL: ") && text.contains(words) && !text.contains('\n'), "{name}: {text}");
        assert_eq!(error.exit_code(), 3);
        assert_eq!(&fs::read(scratch.file()).unwrap(), content, "{name}");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "{name}");
    }
}

/// Refreshes for as long as it is let; one line for each time the file was written.
fn rewrite(file: &Path, base: &str, rounds: usize) {
    let pool = Credentials::open(with_key(file.to_owned(), base, Some(PASSPHRASE))).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    let id = pool.checkout(&anybody()).unwrap().id;
                    let stale = pool.access(id).unwrap().secret;
                    pool.renew(id, &stale).unwrap();
                    println!("rewritten");
                }
            });
        }
    });
}

fn put_accounts(google: &FakeGoogle, scratch: &Scratch) {
    let account = |at| {
        let email = format!("u{at}@example.com");
        google.add_user(User::licensed(&email, "project"));
        let mut item = google.oauth_credential(&email);
        item["note"] = format!("keep {at}").into();
        item
    };
    scratch.put(&(0..4).map(account).collect::<Vec<Value>>().into());
}

/// What the file says, which must be everything that was put in.
fn check(scratch: &Scratch) {
    let token = fs::read(scratch.file()).unwrap();
    let pool = Credentials::open(with_key(scratch.file(), NOWHERE, Some(PASSPHRASE))).unwrap();
    assert_eq!(pool.views().len(), 4);
    assert!(token.starts_with(b"gAAAA"));
}

/// By itself a test of concurrent refreshes; the crash test starts it a second time as the process to kill.
#[test]
fn refreshes_at_once_leave_a_whole_file() {
    if let Some((file, base)) = std::env::var(REWRITER).ok().as_deref().and_then(|told| told.split_once('|')) {
        return rewrite(Path::new(file), base, 10_000);
    }
    let google = FakeGoogle::start();
    let scratch = Scratch::new();
    put_accounts(&google, &scratch);
    rewrite(&scratch.file(), &google.base(), 5);
    check(&scratch);
    let text = python("decrypt", PASSPHRASE, &fs::read(scratch.file()).unwrap());
    let items: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let notes: Vec<_> = items.iter().map(|item| item["note"].as_str().unwrap()).collect();
    assert_eq!(notes, ["keep 0", "keep 1", "keep 2", "keep 3"]);
    let tokens = google.requests().iter().filter(|request| request.op == "token" && request.status == 200).count();
    assert!((4..=20).contains(&tokens), "{tokens}");
}

#[test]
fn a_kill_at_any_moment_leaves_a_file_that_opens() {
    let google = FakeGoogle::start();
    google.settings(|settings| settings.keep_records = false);
    let scratch = Scratch::new();
    put_accounts(&google, &scratch);
    let mut rewritten = 0;
    for round in 0.. {
        if rewritten >= 200 {
            break;
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "credentials_file::refreshes_at_once_leave_a_whole_file", "--nocapture"])
            .env(REWRITER, format!("{}|{}", scratch.file().display(), google.base()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // Another number of writes each time, so that the kill meets every stage of one.
        let wanted = 5 + round % 7;
        let seen = lines.filter(|line| line.ends_with("rewritten")).take(wanted).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen, wanted, "the child ended by itself");
        rewritten += seen;
        check(&scratch);
    }
}
