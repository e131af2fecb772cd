//! The real program: what it says and how it ends when something is wrong, and that it serves and stops properly.

use crate::common::google::{FakeGoogle, Step};
use crate::common::program::{Folder, Program, run};
use crate::common::wire::{self, Wire};
use gemini_openai_proxy::commands::args::RunOptions;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Runs the program, which must refuse to start with this code and exactly one line on standard error.
fn refuses(folder: &Folder, arguments: &[&str], code: i32) -> String {
    let output = run(folder, arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
    assert_eq!(errors.trim_end().lines().count(), 1, "{arguments:?}: {errors}");
    errors.trim_end().to_owned()
}

#[test]
fn words_and_help_are_the_old_programs() {
    let folder = Folder::new("words");
    let key = run(&folder, &["generate-key"]);
    let text = String::from_utf8(key.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "Generated new encryption key. Please store it securely:");
    assert_eq!((lines[1].len(), lines.len(), key.status.code()), (44, 2, Some(0)));
    folder.write("made", &text);
    let options = RunOptions { encryption_key_file: Some(folder.join("made")), ..RunOptions::default() };
    assert_eq!(options.key(None).unwrap().unwrap().expose(), lines[1], "what is printed is a key file");
    let help = run(&folder, &["--help"]);
    assert!(String::from_utf8(help.stdout).unwrap().starts_with(
        "Gemini API Proxy Server v2. Use 'run' to start the server or 'generate-key' to create a new encryption key."
    ));
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8(run(&folder, &["--version"]).stdout).unwrap().starts_with("gemini-openai-proxy 0."));
    for nonsense in [&["serve"][..], &["run", "--frob"], &["-c"]] {
        let output = run(&folder, nonsense);
        assert_eq!(output.status.code(), Some(2), "{nonsense:?}");
        assert!(String::from_utf8(output.stderr).unwrap().starts_with("usage: "), "{nonsense:?}");
    }
}

#[test]
fn a_wrong_config_is_one_clear_line_and_exit_1() {
    let folder = Folder::new("config");
    assert!(refuses(&folder, &["-c", "none.json"], 1).contains("none.json: no such file"));
    for (text, expected) in [
        (
            "{\"server\":",
            "not valid JSON: EOF while parsing a value at line 1 column 10; a bracket, brace or quote is not closed",
        ),
        ("[]", "expected an object {...}, found a list"),
        (r#"{"server":{"port":"x"}}"#, "server.port: expected a whole number from 0 to 65535, found \"x\""),
        (r#"{"log_level":"loud"}"#, "log_level: expected DEBUG, INFO, WARNING, ERROR or CRITICAL, found \"loud\""),
        (r#"{"server":{"tls":{}}}"#, "server.tls.cert: expected the path of a file, found null"),
    ] {
        folder.write("config.json", text);
        assert_eq!(refuses(&folder, &["-c", "config.json"], 1), format!("config.json: {expected}"));
    }
    assert!(!folder.join("credentials1.json").exists(), "nothing is opened before the config is right");
}

#[test]
fn a_port_in_use_is_exit_1() {
    let folder = Folder::new("port");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    folder
        .write("config.json", json!({"server": {"host": "127.0.0.1", "port": port}, "log_level": "error"}).to_string());
    assert!(refuses(&folder, &["-c", "config.json"], 1).contains("in use"));
}

#[test]
fn credentials_that_cannot_be_read_are_exit_3_and_untouched() {
    let folder = Folder::new("credentials");
    folder.write(
        "config.json",
        json!({"server": {"host": "127.0.0.1", "port": 0}, "credentials_file": "c.json", "log_level": "error"})
            .to_string(),
    );
    let plain =
        r#"{"access_token":"ya29.plain-token","refresh_token":"1//plain-token","token_type":"Bearer","expiry_date":1}"#;
    let encrypted = encrypt(&folder, plain, "right-file-key");
    const WRONG: &str =
        "FATAL: Credentials file is encrypted, but the provided key is incorrect or the file is corrupted.";
    const NO_KEY: &str =
        "FATAL: Failed to decode credentials file. It might be encrypted, but no encryption key was provided.";
    let half = &encrypted[..encrypted.len() / 2];
    for (content, key, expected) in [
        (encrypted.as_str(), Some("wrong-file-key"), WRONG),
        (half, Some("right-file-key"), WRONG),
        (encrypted.as_str(), None, NO_KEY),
        (r#"{"access_token":"a","#, None, NO_KEY),
    ] {
        folder.write("c.json", content);
        let mut arguments = vec!["-c", "config.json"];
        arguments.extend(key.iter().flat_map(|key| ["-ek", key]));
        let line = refuses(&folder, &arguments, 3);
        assert!(line.starts_with(expected), "{line}");
        assert_eq!(std::fs::read_to_string(folder.join("c.json")).unwrap(), content, "byte for byte");
    }
}

/// Lets the program itself encrypt a plain file, which it does at its first start with a key.
fn encrypt(folder: &Folder, plain: &str, key: &str) -> String {
    folder.write("c.json", plain);
    let config = json!({
        "server": {"host": "127.0.0.1", "port": 0}, "credentials_file": "c.json",
        "endpoints": {"oauth_token": "http://127.0.0.1:9/token", "code_assist": "http://127.0.0.1:9"},
    });
    let mut program = Program::start(folder, &config, &["-ek", key]);
    program.has_said("[CredManager] Encryption key provided. Encrypting credentials file.");
    program.signal("-TERM");
    assert_eq!(program.wait(Duration::from_secs(20)), Some(0));
    let text = std::fs::read_to_string(folder.join("c.json")).unwrap();
    assert!(text.starts_with("gAAAAA"), "a Fernet token");
    folder.write("config.json", {
        let mut config = config;
        config["log_level"] = json!("error");
        config.to_string()
    });
    text
}

fn config(google: &FakeGoogle) -> Value {
    google.add_api_key("AIza-key-of-programs");
    json!({
        "server": {"host": "127.0.0.1", "port": 0}, "auth_keys": ["sk-client-of-programs"], "log_level": "info",
        "gemini_api_keys": ["AIza-key-of-programs"], "endpoints": google.endpoints_json(),
    })
}

fn post_stream(port: u16) -> BufReader<Wire> {
    let body = r#"{"model":"gemini-2.5-flash","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    let mut stream = wire::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-client-of-programs\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    BufReader::new(stream)
}

fn read_until(stream: &mut BufReader<Wire>, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the answer ended before {text:?}");
    }
}

#[test]
fn sigterm_lets_running_streams_finish_and_exits_0() {
    let google = FakeGoogle::start();
    let folder = Folder::new("drain");
    let mut program = Program::start(&folder, &config(&google), &[]);
    google.always("AIza-key-of-programs", Step::default_answer().hold_after(1));
    let mut streams: Vec<_> = (0..5).map(|_| post_stream(program.port)).collect();
    for stream in &mut streams {
        read_until(stream, "\"delta\"");
    }
    program.signal("-TERM");
    program.wait_for_line("Application shutdown...");
    google.release();
    for stream in &mut streams {
        read_until(stream, "data: [DONE]");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
    }
    assert_eq!(program.wait(Duration::from_secs(20)), Some(0), "{}", program.log());
    assert!(TcpStream::connect(("127.0.0.1", program.port)).is_err());
}

#[test]
fn answers_that_outlive_the_limit_are_cut() {
    let google = FakeGoogle::start();
    let folder = Folder::new("limit");
    let mut config = config(&google);
    config["server"]["drain_sec"] = json!(0.3);
    let mut program = Program::start(&folder, &config, &[]);
    google.always("AIza-key-of-programs", Step::default_answer().hold_after(1));
    let mut stream = post_stream(program.port);
    read_until(&mut stream, "\"delta\"");
    program.signal("-INT");
    assert_eq!(program.wait(Duration::from_secs(20)), Some(0), "{}", program.log());
}

#[test]
fn no_secret_reaches_the_log_at_any_level() {
    let google = FakeGoogle::start();
    let folder = Folder::new("secrets");
    let mut config = config(&google);
    config["log_level"] = json!("debug");
    let mut program = Program::start(&folder, &config, &[]);
    let mut stream = post_stream(program.port);
    read_until(&mut stream, "data: [DONE]");
    program.signal("-TERM");
    program.wait(Duration::from_secs(20));
    let log = program.log();
    assert!(log.contains("model=gemini-2.5-flash"), "{log}");
    for secret in ["sk-client-of-programs", "AIza-key-of-programs", "\"Hi\"", "You said"] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[test]
fn the_first_lines_say_what_there_is_and_what_to_do() {
    let folder = Folder::new("first-lines");
    let config = json!({"server": {"host": "127.0.0.1", "port": 0}, "credentials_file": "c.json", "auth_keys": ["sk-of-first-lines"]});
    let log = |config: &Value| {
        let mut program = Program::start(&folder, config, &[]);
        program.signal("-TERM");
        program.wait(Duration::from_secs(20));
        program.log()
    };
    let empty = log(&config);
    assert!(empty.contains("The pool has 0 API keys and 0 accounts.") && empty.contains("/#add"), "{empty}");
    folder.write("c.json", json!([{"note": "nothing"}]).to_string());
    let mut with_key = config.clone();
    with_key["gemini_api_keys"] = json!(["AIza-of-first-lines"]);
    let log = log(&with_key);
    assert!(log.contains("cred-0 cannot be used: it has no refresh_token and no api_key"), "{log}");
    assert!(log.contains("The pool has 1 API keys and 0 accounts.") && !log.contains("/#add"), "{log}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_table_of_open_files_does_not_grow_among_streams() {
    let google = FakeGoogle::start();
    let folder = Folder::new("descriptors");
    let program = Program::start(&folder, &config(&google), &[]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap().trim();
    assert!(size.parse::<u64>().unwrap() >= 1024, "{status}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_crash_leaves_no_core_with_the_keys_in_it() {
    let google = FakeGoogle::start();
    let folder = Folder::new("core");
    let pem = include_str!("fixtures/vertex/key.pem");
    let account = json!({"type": "service_account", "project_id": "p", "private_key_id": "k", "private_key": pem,
        "client_email": "robot@p.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token"});
    folder.write("credentials.json", account.to_string());
    let config = json!({"server": {"host": "127.0.0.1", "port": 0}, "auth_keys": ["sk-client-of-programs"],
        "credentials_file": "credentials.json", "endpoints": google.endpoints_json()});
    let run = format!("ulimit -c unlimited; exec {} run -c config.json", env!("CARGO_BIN_EXE_gemini-openai-proxy"));
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &run]).current_dir(folder.path());
    let mut program = Program::spawn(&folder, &config, command);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", program.id())).unwrap();
    let limit = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().split_whitespace().nth(4);
    assert!(matches!(limit, Some("0" | "1")), "{limits}");
    program.signal("-ABRT");
    program.wait(Duration::from_secs(20));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("core")), "{left:?}");
}
