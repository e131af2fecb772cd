//! The memory of thought signatures outlives the program: conversations with tools go on after a stop and after a crash,
//! with clients that give no signature back and a Google that demands them.

use crate::common::google::{FakeGoogle, User};
use crate::common::program::{Folder, Program, run};
use crate::common::proxy::{CLIENT_KEY, GEMINI_KEY};
use crate::common::wire::agent;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const MODEL: &str = "gemini-3.1-pro-preview";
const PLACEHOLDER: &str = "skip_thought_signature_validator";
const WORDS: &str =
    r#"call:find{"city":"Oslo"} call:find{"city":"Rome"} then call:book{"city":"Oslo"} then call:pay{}"#;
const FILE: &str = "credentials.json.state.json.signatures";
const LIMIT: Duration = Duration::from_secs(30);
const KEY_VARIABLE: &str = "GEMINI_PROXY_ENCRYPTION_KEY";

fn config(google: &FakeGoogle) -> Value {
    google.add_api_key(GEMINI_KEY);
    json!({
        "server": {"host": "127.0.0.1", "port": 0}, "credentials_file": "credentials.json", "log_level": "info",
        "auth_keys": [CLIENT_KEY], "gemini_api_keys": [GEMINI_KEY], "endpoints": google.endpoints_json(),
    })
}

fn post(program: &Program, path: &str, body: &Value) -> Value {
    let request =
        agent().post(format!("{}{path}", program.base())).header("Authorization", format!("Bearer {CLIENT_KEY}"));
    let mut answer = request.send(body.to_string()).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    assert_eq!(answer.status(), 200, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// A conversation in one dialect, by a client that gives back calls and results alone.
#[derive(Clone, Copy, Debug)]
enum Dialect {
    Chat,
    Messages,
    Responses,
    /// Its clients give back the parts as they came.
    Native,
}

impl Dialect {
    const EACH: [Dialect; 4] = [Dialect::Chat, Dialect::Messages, Dialect::Responses, Dialect::Native];

    fn question(self) -> Value {
        match self {
            Dialect::Native => json!({"role": "user", "parts": [{"text": WORDS}]}),
            _ => json!({"role": "user", "content": WORDS}),
        }
    }

    /// Asks, and gives how many calls came and what the client adds to the conversation for them.
    fn step(self, program: &Program, said: &[Value]) -> (usize, Vec<Value>) {
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        let names = ["find", "book", "pay"];
        let tools = |tool: &dyn Fn(&str) -> Value| names.map(tool);
        match self {
            Dialect::Chat => {
                let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": schema}});
                let body = json!({"model": MODEL, "messages": said, "tools": tools(&tool)});
                let message = post(program, "/v1/chat/completions", &body)["choices"][0]["message"].take();
                let calls = list(&message["tool_calls"]);
                let kept = calls
                    .iter()
                    .map(|call| json!({"id": call["id"], "type": "function", "function": call["function"]}));
                let mut added =
                    vec![json!({"role": "assistant", "content": null, "tool_calls": kept.collect::<Vec<_>>()})];
                added.extend(
                    calls.iter().map(|call| json!({"role": "tool", "tool_call_id": call["id"], "content": "done"})),
                );
                (calls.len(), added)
            }
            Dialect::Messages => {
                let tool = |name: &str| json!({"name": name, "input_schema": schema});
                let body = json!({"model": MODEL, "messages": said, "tools": tools(&tool), "max_tokens": 1000});
                let content = list(&post(program, "/v1/messages", &body)["content"]);
                let mut calls: Vec<Value> = content.into_iter().filter(|block| block["type"] == "tool_use").collect();
                // As Claude Code does.
                calls.iter_mut().for_each(|call| call["input"]["replace_all"] = json!(false));
                let result =
                    |call: &Value| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "done"});
                let results: Vec<Value> = calls.iter().map(result).collect();
                (
                    calls.len(),
                    vec![json!({"role": "assistant", "content": calls}), json!({"role": "user", "content": results})],
                )
            }
            Dialect::Responses => {
                let tool = |name: &str| json!({"type": "function", "name": name, "parameters": schema});
                let body = json!({"model": MODEL, "input": said, "tools": tools(&tool), "store": false});
                let items = list(&post(program, "/v1/responses", &body)["output"]);
                let calls: Vec<Value> = items.into_iter().filter(|item| item["type"] == "function_call").collect();
                let kept = calls.iter().map(|call| {
                    json!({"type": "function_call", "call_id": call["call_id"], "name": call["name"], "arguments": call["arguments"]})
                });
                let results = calls
                    .iter()
                    .map(|call| json!({"type": "function_call_output", "call_id": call["call_id"], "output": "done"}));
                (calls.len(), kept.chain(results).collect())
            }
            Dialect::Native => {
                let tool = |name: &str| json!({"name": name, "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}});
                let body = json!({"contents": said, "tools": [{"functionDeclarations": tools(&tool)}]});
                let path = format!("/v1beta/models/{MODEL}:generateContent");
                let content = post(program, &path, &body)["candidates"][0]["content"].take();
                let calls: Vec<Value> = list(&content["parts"])
                    .into_iter()
                    .filter_map(|mut part| Some(part.get_mut("functionCall")?.take()))
                    .collect();
                let results: Vec<Value> = (calls.iter())
                    .map(|call| json!({"functionResponse": {"name": call["name"], "id": call["id"], "response": {"r": "done"}}}))
                    .collect();
                (calls.len(), vec![content, json!({"role": "user", "parts": results})])
            }
        }
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// The content of the file once it is another one than before.
fn written_since(folder: &Folder, before: &[u8]) -> Vec<u8> {
    let end = Instant::now() + LIMIT;
    loop {
        match fs::read(folder.join(FILE)) {
            Ok(content) if content != before => return content,
            _ => assert!(Instant::now() < end, "the file is not written"),
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Runs the conversation; the program ends by `signal` after each step and starts again.
fn converse(dialect: Dialect, signal: &str, environment: &[(&str, &str)]) -> (FakeGoogle, Folder) {
    let google = FakeGoogle::start();
    let folder = Folder::new("signature-file");
    let start = || Program::start_in(&folder, &config(&google), &[], environment);
    let mut program = start();
    let mut said = vec![dialect.question()];
    let mut written = Vec::new();
    for expected in [2, 1, 1, 0] {
        let (calls, added) = dialect.step(&program, &said);
        assert_eq!(calls, expected, "{dialect:?} {signal}");
        if calls == 0 {
            break;
        }
        said.extend(added);
        if signal == "-KILL" && !matches!(dialect, Dialect::Native) {
            written = written_since(&folder, &written);
        }
        program.signal(signal);
        program.wait(LIMIT);
        program = start();
    }
    let sent = google.generations();
    assert!(sent.iter().all(|call| call.refusal.is_none()), "{dialect:?} {signal}: nothing had to be repaired");
    let last = google.last_generation().inner().to_string();
    assert!(!last.contains(PLACEHOLDER), "{dialect:?} {signal}: {last}");
    assert_eq!(last.matches("thoughtSignature").count(), 3, "{dialect:?} {signal}: one for each step: {last}");
    (google, folder)
}

#[test]
fn a_conversation_with_tools_goes_on_after_a_stop_with_its_own_signatures() {
    for dialect in Dialect::EACH {
        converse(dialect, "-TERM", &[]);
    }
}

#[test]
fn a_conversation_with_tools_goes_on_after_a_crash_with_its_own_signatures() {
    std::thread::scope(|scope| {
        for dialect in Dialect::EACH {
            scope.spawn(move || converse(dialect, "-KILL", &[]));
        }
    });
}

#[test]
fn the_file_is_private_and_holds_no_word_of_a_conversation() {
    let (_google, folder) = converse(Dialect::Chat, "-TERM", &[]);
    let path = folder.join(FILE);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    for word in ["Oslo", "Rome", "city", "find", "call_", CLIENT_KEY, GEMINI_KEY] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

#[test]
fn with_an_encryption_key_the_file_is_sealed_with_it() {
    let (google, folder) = converse(Dialect::Messages, "-TERM", &[(KEY_VARIABLE, "the key of this test")]);
    let path = folder.join(FILE);
    let sealed = fs::read(&path).unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("signatures"));
    // Another key cannot read it, which stops nothing.
    let mut program = Program::start(&folder, &config(&google), &["-e", "another key of this test"]);
    program.signal("-TERM");
    assert_eq!(program.wait(LIMIT), Some(0));
    assert!(
        program.log().contains(&format!("signatures: {FILE}: it is none of this program's, or sealed with another"))
    );
    assert_eq!(fs::read(folder.join(&format!("{FILE}.broken"))).unwrap(), sealed);
    assert!(!path.exists());
}

/// Runs a word of the program that changes the encryption of the credentials.
fn rekey(folder: &Folder, arguments: &[&str]) {
    let output = run(folder, arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("{FILE} went with it.")), "{said}");
}

#[test]
fn the_file_goes_with_the_key_of_the_credentials() {
    let (google, folder) = converse(Dialect::Chat, "-TERM", &[(KEY_VARIABLE, "first-signature-key")]);
    google.add_user(User::licensed("rekey@example.com", "project-1"));
    folder.write("credentials.json", google.oauth_credential("rekey@example.com").to_string());
    let mut program = Program::start(&folder, &config(&google), &["-e", "first-signature-key"]);
    program.signal("-TERM");
    assert_eq!(program.wait(LIMIT), Some(0));
    let read = || fs::read(folder.join(FILE)).unwrap();
    let rotate = ["rotate-key", "-c", "config.json", "-ek", "first-signature-key", "--new-key", "second-signature-key"];
    let first = read();
    rekey(&folder, &rotate);
    assert!(read() != first && read().starts_with(b"gAAAAA"));
    rekey(&folder, &["decrypt", "-c", "config.json", "-ek", "second-signature-key"]);
    assert!(read().starts_with(b"{\"saved\":"));
    let mut program = Program::start(&folder, &config(&google), &[]);
    program.signal("-TERM");
    assert_eq!(program.wait(LIMIT), Some(0));
    assert!(!program.log().contains("signatures:"), "{}", program.log());
    assert!(!folder.join(&format!("{FILE}.broken")).exists());
}

#[test]
fn a_plain_file_is_sealed_once_there_is_a_key() {
    let (google, folder) = converse(Dialect::Chat, "-TERM", &[]);
    let plain = fs::read(folder.join(FILE)).unwrap();
    let _program = Program::start(&folder, &config(&google), &["-e", "the late key of this test"]);
    let sealed = written_since(&folder, &plain);
    assert!(!String::from_utf8_lossy(&sealed).contains("signatures"));
}

#[test]
fn a_file_that_is_broken_or_too_large_or_none_at_all_is_put_aside() {
    let google = FakeGoogle::start();
    for (content, reason) in [
        (b"{\"saved\":".to_vec(), "it is none of this program's"),
        (b"[]".to_vec(), "it is none of this program's"),
        (vec![b' '; (2 << 20) + 1], "it has more than 2 MiB"),
    ] {
        let folder = Folder::new("signature-file-broken");
        folder.write(FILE, &content);
        let mut settings = config(&google);
        settings["signatures"] = json!({"saved_mb": 1});
        let program = Program::start(&folder, &settings, &[]);
        program.has_said(&format!("signatures: {FILE}: {reason}"));
        assert_eq!(fs::read(folder.join(&format!("{FILE}.broken"))).unwrap(), content);
    }
    let folder = Folder::new("signature-file-folder");
    fs::create_dir(folder.join(FILE)).unwrap();
    Program::start(&folder, &config(&google), &[]).has_said(".broken");
}

#[test]
fn nothing_is_saved_where_nothing_is_wanted() {
    let (google, folder) = converse(Dialect::Chat, "-TERM", &[]);
    let mut settings = config(&google);
    settings["signatures"] = json!({"saved_mb": 0});
    let mut program = Program::start(&folder, &settings, &[]);
    assert!(!folder.join(FILE).exists(), "what was there is removed");
    Dialect::Chat.step(&program, &[Dialect::Chat.question()]);
    program.signal("-TERM");
    program.wait(LIMIT);
    assert!(!folder.join(FILE).exists());
}
