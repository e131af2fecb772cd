//! Runs last in `make test`: no secret of the whole suite is in anything that the tested programs wrote or answered.
//!
//! `make test` makes the folder that [`common::written`] collects in, and this target empties it when all is well. `cargo test`
//! alone leaves this target out, since there would be nothing to search.

#[allow(dead_code)] // the suite uses the rest
#[path = "common/written.rs"]
mod written;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;

/// Fewer of them than the suite makes by far: then the collecting is broken, not the program secretive.
const FLOORS: [(&str, usize); 3] = [("log", 5000), ("answers", 2500), ("secrets", 500)];
/// Modules of the suite that speak to a proxy and so must have contributed answers.
const MODULES: [&str; 13] = [
    "accounts",
    "binary",
    "browser",
    "chat_http",
    "commands",
    "failover",
    "faults",
    "operations",
    "sdk_node",
    "sdk_python",
    "streaming",
    "usage",
    "vertex",
];

/// Every form of every secret, found by its first eight bytes.
struct Search {
    /// Which hashes of eight bytes any form begins with: most places of a text are passed over by one look.
    begins: Vec<bool>,
    forms: HashMap<u64, Vec<Form>>,
}

struct Form {
    text: Vec<u8>,
    secret: usize,
}

/// Where a secret stands: the number of the line, from 1, and of the secret.
#[derive(Debug, PartialEq)]
struct Hit {
    line: usize,
    secret: usize,
}

impl Search {
    fn new(secrets: &[String]) -> Search {
        let mut search = Search { begins: vec![false; 1 << 16], forms: HashMap::new() };
        for (number, secret) in secrets.iter().enumerate() {
            for text in forms(secret) {
                let first = u64::from_le_bytes(*text.first_chunk().expect("forms are not shorter"));
                search.begins[slot(first)] = true;
                search.forms.entry(first).or_default().push(Form { text, secret: number });
            }
        }
        search
    }

    /// The first place of each secret that `text` holds.
    fn hits(&self, text: &[u8]) -> Vec<Hit> {
        let mut found = BTreeMap::new();
        let (mut latest, mut end) = (0, 0);
        // Tests are built without optimization, and this loop sees every byte: no more than it must.
        for byte in text {
            latest = latest >> 8 | u64::from(*byte) << 56;
            end += 1;
            if end >= 8 && self.begins[slot(latest)] {
                let at = end - 8;
                let forms = self.forms.get(&latest).into_iter().flatten();
                for form in forms.filter(|form| text[at..].starts_with(&form.text)) {
                    found.entry(form.secret).or_insert(at);
                }
            }
        }
        let line = |at: usize| 1 + text[..at].iter().filter(|byte| **byte == b'\n').count();
        found.into_iter().map(|(secret, at)| Hit { line: line(at), secret }).collect()
    }
}

fn slot(first: u64) -> usize {
    (first.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
}

/// As it is, in an address, in JSON that escapes slashes or all that is not ASCII, and in base64 wherever it stands in what
/// was encoded.
fn forms(secret: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::from([secret.to_owned()]);
    let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    // Most encoders leave these as they are.
    let usual = percent.replace("%2D", "-").replace("%2E", ".").replace("%5F", "_").replace("%7E", "~");
    forms.extend([usual.replace("%2F", "/"), usual, percent]);
    let quoted = serde_json::to_string(secret).expect("a text");
    let quoted = quoted.trim_matches('"');
    let ascii = quoted.encode_utf16().map(|unit| match u8::try_from(unit) {
        Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
        _ => format!("\\u{unit:04x}"),
    });
    forms.extend([quoted.to_owned(), quoted.replace('/', "\\/"), ascii.collect()]);
    for before in 0..3 {
        let bytes = [&b"\0\0"[..before], secret.as_bytes()].concat();
        // Characters that depend on the neighbours are left out.
        let (start, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for engine in [STANDARD, URL_SAFE] {
            forms.insert(engine.encode(&bytes)[start..end].to_owned());
        }
    }
    let forms = forms.into_iter().map(String::into_bytes).chain(forms_of_key(secret));
    forms.filter(|form| form.len() >= 8).collect()
}

/// A private key is known by any line of its PEM file, and by pieces of the bytes that those say, as they are and in hex.
fn forms_of_key(secret: &str) -> Vec<Vec<u8>> {
    let text = secret.replace("\\n", "\n");
    let Some((_, body)) = text.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----")) else {
        return Vec::new();
    };
    let body = body.split("-----END").next().unwrap_or_default();
    let lines = body.split_whitespace().map(|line| line.as_bytes().to_vec());
    let whole: String = body.split_whitespace().collect();
    let Ok(bytes) = STANDARD.decode(&whole) else { return lines.collect() };
    // What stands before is the same in every key.
    let pieces = bytes[26.min(bytes.len())..].chunks(32).filter(|piece| piece.len() == 32);
    let hex = |piece: &[u8]| piece.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes();
    let pieces = pieces.flat_map(|piece| [piece.to_vec(), hex(piece)]);
    lines.chain([whole.into_bytes()]).chain(pieces).collect()
}

/// The beginning, so that the reader knows which it is.
fn masked(secret: &str) -> String {
    format!("{}... ({} bytes)", secret.chars().take(6).collect::<String>(), secret.len())
}

/// The collected files of that kind.
fn files(kind: &str) -> Vec<PathBuf> {
    let folder = written::folder().expect("cargo names a folder to tests");
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| {
        panic!("{}: {error}; `make test` collects there what this test searches", folder.display())
    });
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == kind));
    files.sort();
    files
}

fn read(path: &PathBuf) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The module in the line before an answer, which names the test that received it.
fn module(line: &str) -> Option<&str> {
    line.strip_prefix("--- ")?.split_once("::").map(|(module, _)| module)
}

#[test]
fn no_secret_of_the_suite_was_written_or_answered() {
    const CANARY: &str = "canary-that-must-be-found";
    written::secret(CANARY);
    written::log(CANARY);
    written::answer(CANARY);

    let mut secrets = BTreeSet::new();
    for path in files("secrets") {
        let text = String::from_utf8(read(&path)).expect("JSON");
        secrets.extend(text.lines().map(|line| serde_json::from_str::<String>(line).expect("a string of JSON")));
    }
    let secrets = Vec::from_iter(secrets);
    let search = Search::new(&secrets);
    let mut counts = BTreeMap::from([("secrets", secrets.len())]);
    let (mut canaries, mut leaks) = (Vec::new(), Vec::new());
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for kind in ["log", "answers"] {
        for path in files(kind) {
            let text = read(&path);
            let lines = String::from_utf8_lossy(&text);
            seen.extend(lines.lines().filter_map(module).map(str::to_owned));
            *counts.entry(kind).or_default() +=
                lines.lines().filter(|line| kind == "log" || line.starts_with("--- ")).count();
            for Hit { line, secret } in search.hits(&text) {
                match secrets[secret].as_str() {
                    CANARY => canaries.push(kind),
                    secret => leaks.push(format!("{}:{line}: {}", path.display(), masked(secret))),
                }
            }
        }
    }
    let first = leaks.len().min(20);
    assert!(leaks.is_empty(), "{} secrets came out, at first:\n{}", leaks.len(), leaks[..first].join("\n"));
    assert_eq!(canaries, ["log", "answers"], "what was put there to be found is found there and nowhere else");
    for (kind, floor) in FLOORS {
        assert!(counts[kind] >= floor, "too little was collected to prove anything: {counts:?}");
    }
    let silent: Vec<&str> = MODULES.into_iter().filter(|module| !seen.contains(*module)).collect();
    assert!(silent.is_empty(), "these collected no answer: {silent:?}");
    println!("searched {counts:?}");
    fs::remove_dir_all(written::folder().expect("searched just now")).expect("the folder can go");
}

#[test]
fn a_secret_is_found_in_every_form_and_its_mask_is_none() {
    let secret = "1//0key \"of\" 密钥/x";
    let search = Search::new(&["another-secret".into(), secret.into()]);
    let quoted = serde_json::to_string(secret).unwrap();
    for text in [
        format!("token {secret} in clear"),
        format!("{{\"a\": {quoted}}}"),
        quoted.replace('/', "\\/"),
        quoted.replace("密钥", "\\u5bc6\\u94a5"),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        STANDARD.encode(secret),
        STANDARD.encode(format!("u:{secret}")),
        URL_SAFE.encode(format!("user:{secret}\n")),
        STANDARD.encode(format!("chief:{secret}tail")),
    ] {
        let hits = search.hits(format!("first line\n{text}\nlast {text}").as_bytes());
        assert_eq!(hits, [Hit { line: 2, secret: 1 }], "{text}");
    }
    for text in ["", "1//0key", "1//***钥/x", "another***", "another-secre t"] {
        assert_eq!(search.hits(text.as_bytes()), [], "{text}");
    }
}

#[test]
fn a_private_key_is_found_by_any_piece_of_it() {
    let pem = include_str!("fixtures/vertex/key.pem");
    let lines: Vec<&str> = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let bytes = STANDARD.decode(lines.concat()).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    for secret in [pem.to_owned(), pem.replace('\n', "\\n"), pem.replace('\n', "\r\n")] {
        let search = Search::new(&[secret]);
        for text in [
            pem.as_bytes(),
            lines[0].as_bytes(),
            lines[9].as_bytes(),
            lines.concat().as_bytes(),
            &bytes,
            hex.as_bytes(),
        ] {
            assert_eq!(search.hits(text).len(), 1);
        }
        assert_eq!(search.hits(b"-----BEGIN PRIVATE KEY-----"), []);
        assert_eq!(search.hits(include_bytes!("fixtures/vertex/other_key.pem")), [], "another key is another secret");
    }
}

#[test]
fn secrets_are_taken_from_configs_requests_and_credentials() {
    let mut found = Vec::new();
    let documents = json!([
        {"auth_keys": ["a", {"key": "b", "name": "laptop"}], "admin_username": "chef", "admin_password": "c"},
        {"gemini_api_keys": ["d"], "metrics": {"token": "e"}, "proxy_url": "socks5://user:f@host:1"},
        {"oauth_client": {"client_id": "id", "client_secret": "g"}, "proxy_url": "http://host:1"},
        [{"token": {"access_token": "h", "refresh_token": "i", "expiry_date": 1}}],
        {"text": "{\"refresh_token\": \"j\", \"scope\": \"openid\"}"},
        {"text": "AIza-k my key"},
    ]);
    written::each_secret(&documents, &mut |secret| found.push(secret.to_owned()));
    assert_eq!(found.join(" "), "a b c d e f g h i j AIza-k");
}
