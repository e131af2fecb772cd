//! What the tested programs wrote and answered, and the secrets they were given, for the search in `tests/written.rs`.
//!
//! Collected only while the folder is there, which `make test` makes: a single `cargo test` writes nothing. Each process
//! appends to files of its own. A secret's one legitimate place (a new key is shown once) is blanked before it is kept, so
//! that the same secret anywhere else is found.

use serde_json::Value;
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

/// Less is not told from an ordinary word; a test that needs a secret gives it a value of its own.
const SHORTEST: usize = 8;
/// What is kept of one answer: heads, errors and pages are whole, a flood is not.
const LONGEST: usize = 256 << 10;
/// Fields of configs, credentials and requests whose text is secret, at any depth.
const SECRET_FIELDS: [&str; 11] = [
    "access_token",
    "refresh_token",
    "accessToken",
    "refreshToken",
    "api_key",
    "key",
    "token",
    "client_secret",
    "private_key",
    "admin_password",
    "encryption_key",
];
/// Fields that hold a list of secrets.
const SECRET_LISTS: [&str; 3] = ["auth_keys", "gemini_api_keys", "old_encryption_keys"];
/// Headers in which a client shows who it is.
const SECRET_HEADERS: [&str; 5] = ["authorization", "x-goog-api-key", "x-api-key", "api-key", "proxy-authorization"];

/// Where everything goes; none in an example, which is no test.
pub fn folder() -> Option<PathBuf> {
    option_env!("CARGO_TARGET_TMPDIR").map(|target| Path::new(target).join("written"))
}

/// A line of a program's log, or what it printed.
pub fn log(text: &str) {
    if let Some(files) = files() {
        files.logs.append(&format!("{text}\n"));
    }
}

/// What a client received, with the status line and the headers.
pub fn answer(text: &str) {
    if let Some(files) = files() {
        let end = (0..=text.len().min(LONGEST)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        let test = std::thread::current().name().unwrap_or("-").to_owned();
        files.answers.append(&format!("--- {test}\n{}\n", &text[..end]));
    }
}

/// Whether the answer may show a secret: the one that tells a new key.
pub fn shows_a_new_key(method: &str, target: &str) -> bool {
    method == "POST" && target == "/admin/keys"
}

/// An answer that may: the key is a secret from here on.
pub fn answer_with_new_key(head: &str, body: &str) {
    let document: Value = serde_json::from_str(body).unwrap_or_default();
    match document["key"].as_str() {
        Some(key) => {
            secret(key);
            answer(&format!("{head}\n{}", body.replacen(key, "(shown once)", 1)));
        }
        None => answer(&format!("{head}\n{body}")),
    }
}

/// The fields of an answer's head, without the session that it sets: that is a secret from here on.
pub fn head(fields: &[(String, String)]) -> String {
    let mut head = format!("{fields:?}");
    for (_, cookie) in fields.iter().filter(|(name, _)| name == "set-cookie") {
        let session = cookie.split(';').next().and_then(|pair| pair.split_once('=')).map_or("", |(_, session)| session);
        if !session.is_empty() {
            secret(session);
            head = head.replacen(session, "(set once)", 1);
        }
    }
    head
}

/// What must not be written or answered anywhere. Empty texts are none.
pub fn secret(text: &str) {
    if text.is_empty() {
        return;
    }
    assert!(text.len() >= SHORTEST, "the secret {text:?} is too short to be searched for: give the test a longer one");
    let Some(files) = files() else { return };
    if files.known.lock().unwrap().insert(text.to_owned()) {
        files.secrets.append(&format!("{}\n", Value::from(text)));
    }
}

/// The secrets in a config, in credentials, or in a request with either.
pub fn secrets_in(value: &Value) {
    each_secret(value, &mut secret);
}

pub fn each_secret(value: &Value, found: &mut dyn FnMut(&str)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| each_secret(item, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    // The name of a variable stands for the secret, the one of a file for its key, and a mask for what it hides.
                    Value::String(text) if text.starts_with("${") || text.ends_with(".key") || text.contains("***") => {
                    }
                    Value::String(text) if SECRET_FIELDS.contains(&name.as_str()) => found(text),
                    Value::String(url) if name == "proxy_url" => password(url).into_iter().for_each(&mut *found),
                    Value::String(text) if name == "text" => pasted(text, found),
                    Value::Array(items) if SECRET_LISTS.contains(&name.as_str()) => {
                        items.iter().filter_map(Value::as_str).for_each(&mut *found);
                    }
                    _ => {}
                }
                each_secret(value, found);
            }
        }
        _ => {}
    }
}

/// What a person pastes on the admin page: JSON, or keys between other words.
fn pasted(text: &str, found: &mut dyn FnMut(&str)) {
    match serde_json::from_str(text) {
        Ok(value) => each_secret(&value, found),
        Err(_) => text.split_whitespace().filter(|word| word.starts_with("AIza")).for_each(found),
    }
}

fn password(url: &str) -> Option<&str> {
    let (user, _) = url.split_once("://")?.1.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

/// The keys and passwords that a request shows.
pub fn secrets_of_request<'a>(target: &str, headers: impl Iterator<Item = (&'a str, &'a str)>) {
    for (_, value) in headers.filter(|(name, _)| SECRET_HEADERS.contains(&name.to_ascii_lowercase().as_str())) {
        // A scheme stands before the secret, or nothing does.
        secret(value.rsplit(' ').next().unwrap_or(value));
    }
    let query = target.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter_map(|pair| pair.strip_prefix("key=")).for_each(secret);
}

/// The keys among a command line's arguments.
pub fn secrets_of_arguments(arguments: &[&str]) {
    let options = ["-e", "-ek", "--encryption-key", "--new-key"];
    arguments.windows(2).filter(|pair| options.contains(&pair[0])).for_each(|pair| secret(pair[1]));
}

/// The folder of a program that has ended: its state, and its credentials if they are encrypted, are written texts; other
/// JSON is a config or credentials in clear, where secrets come from.
pub fn files_of(folder: &Path) {
    if files().is_none() {
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        if name.contains(".state.json") || text.starts_with("gAAAA") {
            answer(&format!("{name}\n{text}"));
        } else {
            file(&name, &text);
        }
    }
}

/// A file as a test puts it into a program's folder.
pub fn file(name: &str, text: &str) {
    if name.ends_with(".key") {
        secret(text.trim());
    } else if let Ok(value) = serde_json::from_str(text) {
        secrets_in(&value);
    }
}

struct Files {
    logs: Kept,
    answers: Kept,
    secrets: Kept,
    known: Mutex<HashSet<String>>,
}

struct Kept(Mutex<File>);

impl Kept {
    fn open(folder: &Path, kind: &str) -> Kept {
        let program = std::env::current_exe().expect("this program's path");
        // Without cargo's hash: `accounts`.
        let stem = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = stem.rsplit_once('-').map_or(stem.as_str(), |(name, _)| name);
        let path = folder.join(format!("{name}-{}.{kind}", std::process::id()));
        Kept(Mutex::new(OpenOptions::new().create(true).append(true).open(path).expect("a file in the folder")))
    }

    fn append(&self, text: &str) {
        self.0.lock().unwrap().write_all(text.as_bytes()).expect("room for what the tests collect");
    }
}

/// Opened by the first record of the process, which also makes it hear what the library logs.
fn files() -> Option<&'static Files> {
    static FILES: OnceLock<Option<Files>> = OnceLock::new();
    FILES
        .get_or_init(|| {
            let folder = folder().filter(|folder| folder.is_dir())?;
            if log::set_logger(&Ear).is_ok() {
                log::set_max_level(log::LevelFilter::Debug);
            }
            Some(Files {
                logs: Kept::open(&folder, "log"),
                answers: Kept::open(&folder, "answers"),
                secrets: Kept::open(&folder, "secrets"),
                known: Mutex::default(),
            })
        })
        .as_ref()
}

/// Keeps what the program's own logger would write at its most talkative.
struct Ear;

impl log::Log for Ear {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.target().starts_with("gemini_openai_proxy") || metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) {
            log(&format!("{} {}: {}", record.level(), record.target(), record.args()));
        }
    }

    fn flush(&self) {}
}
