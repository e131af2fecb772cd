//! The real binary in the hands of an operator: SIGHUP, two processes on one file, a proxy on the way out, and nothing
//! secret in anything it writes.

use crate::common::google::{FakeGoogle, Recorded, Step, Tier, User};
use crate::common::program::{Folder, Program};
use crate::common::wire::{agent, unled_agent};
use crate::common::written;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn config(google: &FakeGoogle, keys: &[&str]) -> Value {
    json!({"server": {"host": "127.0.0.1", "port": 0}, "auth_keys": keys, "credentials_file": "credentials.json",
        "log_level": "debug", "endpoints": google.endpoints_json(), "min_credentials": 0})
}

fn ask(base: &str, key: &str, path: &str, body: &str) -> (u16, String) {
    let request = agent().post(format!("{base}{path}")).header("Authorization", format!("Bearer {key}"));
    let mut answer = request.send(body).unwrap();
    let headers = format!("{:?}", answer.headers());
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), format!("{headers}\n{text}"))
}

const HI: &str = r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}]}"#;
const CHAT: &str = "/v1/chat/completions";

#[test]
fn sighup_takes_over_both_files_and_says_what_it_did() {
    let google = FakeGoogle::start();
    google.add_api_key("AIza-one-0001");
    google.add_api_key("AIza-two-0002");
    let folder = Folder::new("sighup");
    folder.write("credentials.json", "[]");
    let mut settings = config(&google, &["sk-old-client"]);
    let mut program = Program::start(&folder, &settings, &[]);
    let base = program.base();
    assert_eq!(ask(&base, "sk-old-client", CHAT, HI).0, 503);
    settings["auth_keys"] = json!(["sk-new-client"]);
    settings["gemini_api_keys"] = json!(["AIza-one-0001"]);
    settings["server"]["workers"] = json!(3);
    folder.write("config.json", settings.to_string());
    folder.write("credentials.json", json!([{"api_key": "AIza-two-0002"}]).to_string());
    program.signal("-HUP");
    let line = program.wait_for_line("config: reloaded");
    assert!(
        line.contains("auth_keys")
            && line.contains("gemini_api_keys")
            && line.contains("a restart is needed for: server"),
        "{line}"
    );
    // The last step of a reload is to serve with the new config.
    let end = Instant::now() + Duration::from_secs(20);
    while ask(&base, "sk-new-client", CHAT, HI).0 != 200 {
        assert!(Instant::now() < end, "{}", program.log());
    }
    assert_eq!(ask(&base, "sk-old-client", CHAT, HI).0, 401);
    assert_eq!(ask(&base, "sk-new-client", CHAT, HI).0, 200);
    let asked: std::collections::HashSet<_> =
        google.generations().into_iter().filter_map(|request| request.who).collect();
    assert_eq!(asked.len(), 2, "both new keys serve: {asked:?}");

    folder.write("config.json", "{\"log_level\": 7}");
    program.signal("-HUP");
    let line = program.wait_for_line("config: not reloaded");
    assert!(line.contains("log_level"), "{line}");
    assert_eq!(ask(&base, "sk-new-client", CHAT, HI).0, 200, "a file that does not read changes nothing");
    program.signal("-TERM");
    assert_eq!(program.wait(Duration::from_secs(20)), Some(0));
}

#[test]
fn a_reload_is_no_fresh_start_for_those_who_guess_passwords() {
    let google = FakeGoogle::start();
    let folder = Folder::new("guessing");
    let mut settings = config(&google, &["sk-client"]);
    (settings["admin_username"], settings["admin_password"]) = (json!("chef"), json!("right-password-0001"));
    let mut program = Program::start(&folder, &settings, &[]);
    let base = program.base();
    // chef:wrong and chef:right-password-0001
    let ask = |login: &str| {
        let request = agent().get(format!("{base}/admin/status")).header("Authorization", format!("Basic {login}"));
        request.call().unwrap().status().as_u16()
    };
    let statuses: Vec<u16> = (0..6).map(|_| ask("Y2hlZjp3cm9uZw==")).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
    settings["auth_keys"] = json!(["sk-other"]);
    folder.write("config.json", settings.to_string());
    program.signal("-HUP");
    program.wait_for_line("config: reloaded: auth_keys");
    let end = Instant::now() + Duration::from_secs(20);
    // The last step of a reload is to serve with the new config.
    let models = || {
        let request = agent().get(format!("{base}/v1/models")).header("Authorization", "Bearer sk-other");
        request.call().unwrap().status().as_u16()
    };
    while models() != 200 {
        assert!(Instant::now() < end, "{}", program.log());
    }
    assert_eq!(ask("Y2hlZjpyaWdodC1wYXNzd29yZC0wMDAx"), 429);
}

#[test]
fn two_processes_on_one_file_lose_no_change() {
    const EACH: usize = 100;
    let google = FakeGoogle::start();
    let folder = Folder::new("two-processes");
    // Each refresh brings a new refresh token: a change that is lost would be a login that is lost.
    google.settings(|settings| settings.rotate_refresh = true);
    let mut items = Vec::new();
    for at in 0..2 * EACH {
        let email = format!("u{at}@example.com");
        google.add_user(User::licensed(&email, &format!("project-{at}")));
        let mut item = google.oauth_credential(&email);
        item["email"] = json!(email);
        item["project_id"] = json!(format!("project-{at}"));
        item["expiry_date"] = json!(1_000_000_000_000_u64);
        item["note"] = json!(at);
        items.push(item);
    }
    folder.write("credentials.json", json!(items).to_string());
    let settings = config(&google, &["sk-client"]);
    let one = Program::start(&folder, &settings, &[]);
    let two = Program::start(&folder, &settings, &[]);
    let file = folder.join("credentials.json");
    let read = || serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap();
    let end = Instant::now() + Duration::from_secs(120);
    let done = |items: &Value| {
        items.as_array().unwrap().iter().all(|item| item["expiry_date"].as_u64() > Some(1_000_000_000_000))
    };
    while !done(&read()) {
        assert!(Instant::now() < end, "{}\n{}", one.log(), two.log());
        thread::park_timeout(Duration::from_millis(50));
    }
    drop((one, two));
    let after = read();
    let after = after.as_array().unwrap();
    assert_eq!(after.len(), 2 * EACH, "nobody is lost, nobody is there twice");
    for (at, (before, after)) in items.iter().zip(after).enumerate() {
        assert_eq!(after["note"], json!(at), "the order stays");
        assert_ne!(before["refresh_token"], after["refresh_token"], "{at}");
        let token = after["refresh_token"].as_str().unwrap();
        let email = google.read(|state| state.refresh.get(token).map(|token| token.email.clone()));
        assert_eq!(email.as_deref(), before["email"].as_str(), "{at}: a token that Google gave to this login");
    }
    assert!(google.read(|state| state.refreshed.len()) == 2 * EACH);
}

#[test]
fn two_processes_with_a_hundred_changes_each_lose_none() {
    const EACH: usize = 100;
    let google = FakeGoogle::start();
    let folder = Folder::new("hundred-each");
    folder.write("credentials.json", "[]");
    let settings = config(&google, &["sk-client"]);
    let programs = [Program::start(&folder, &settings, &[]), Program::start(&folder, &settings, &[])];
    // Every fourth is a login, which is written with its project and e-mail.
    let item = |process: usize, at: usize| {
        let name = format!("{process}-{at:03}");
        if at.is_multiple_of(4) {
            let email = format!("u{name}@example.com");
            google.add_user(User::licensed(&email, &format!("project-{name}")));
            google.oauth_credential(&email)
        } else {
            let key = format!("AIza-of-process-{name}");
            google.add_api_key(&key);
            json!({"api_key": key})
        }
    };
    let name = |item: &Value| {
        let name = item["api_key"].as_str().or(item["refresh_token"].as_str());
        name.unwrap_or_else(|| panic!("{item} has no name")).to_owned()
    };
    let mut wanted = Vec::new();
    let lists: Vec<Vec<Value>> = (0..2).map(|process| (0..EACH).map(|at| item(process, at)).collect()).collect();
    wanted.extend(lists.iter().flatten().map(name));
    thread::scope(|scope| {
        for (program, list) in programs.iter().zip(&lists) {
            let base = program.base();
            scope.spawn(move || {
                for item in list {
                    let body = json!({"credential": item}).to_string();
                    let (status, text) = ask(&base, "sk-client", "/admin/credentials/add", &body);
                    assert!(status == 200 && text.contains("credential_added"), "{text}");
                }
            });
        }
    });
    let stored = std::fs::read(folder.join("credentials.json")).unwrap();
    let mut found: Vec<String> =
        serde_json::from_slice::<Value>(&stored).unwrap().as_array().unwrap().iter().map(name).collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted, "all are in the file, each once");
    let end = Instant::now() + Duration::from_secs(60);
    for program in &programs {
        let count = || {
            let mut answer = agent().get(format!("{}/admin/credentials", program.base())).call().unwrap();
            let list: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
            list.as_array().unwrap().len()
        };
        while count() != 2 * EACH {
            assert!(Instant::now() < end, "it serves {} only: {}", count(), program.log());
            thread::park_timeout(Duration::from_millis(50));
        }
    }
}

/// What a proxy in between has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
}

fn relay(mut one: TcpStream, mut other: TcpStream) {
    let (mut back_from, mut back_to) = (other.try_clone().unwrap(), one.try_clone().unwrap());
    let back = thread::spawn(move || {
        let _ = std::io::copy(&mut back_from, &mut back_to);
        let _ = back_to.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut one, &mut other);
    let _ = other.shutdown(Shutdown::Both);
    let _ = back.join();
}

fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// CONNECT with `user:proxy-password`, and everything else refused.
fn http_proxy(mut stream: TcpStream) -> Option<()> {
    let head = head(&mut stream)?;
    let target = head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    // base64 of user:proxy-password, in lower case
    if !head.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpwcm94es1wyxnzd29yza") {
        return stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").ok();
    }
    let google = TcpStream::connect(target).ok()?;
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
    relay(stream, google);
    Some(())
}

/// SOCKS5 without a login (RFC 1928), IPv4 and names.
fn socks_proxy(mut stream: TcpStream) -> Option<()> {
    let mut greeting = [0; 2];
    stream.read_exact(&mut greeting).ok()?;
    let mut methods = vec![0; usize::from(greeting[1])];
    stream.read_exact(&mut methods).ok()?;
    stream.write_all(&[5, 0]).ok()?;
    let mut request = [0; 4];
    stream.read_exact(&mut request).ok()?;
    let host = match request[3] {
        1 => {
            let mut address = [0; 4];
            stream.read_exact(&mut address).ok()?;
            std::net::Ipv4Addr::from(address).to_string()
        }
        _ => {
            let mut length = [0];
            stream.read_exact(&mut length).ok()?;
            let mut name = vec![0; usize::from(length[0])];
            stream.read_exact(&mut name).ok()?;
            String::from_utf8(name).ok()?
        }
    };
    let mut port = [0; 2];
    stream.read_exact(&mut port).ok()?;
    let google = TcpStream::connect((host, u16::from_be_bytes(port))).ok()?;
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    relay(stream, google);
    Some(())
}

/// A proxy on a free port; its thread ends with the test's process.
fn proxy(serve: fn(TcpStream) -> Option<()>) -> (u16, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Seen::default());
    let count = seen.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            count.connections.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || serve(stream));
        }
    });
    (port, seen)
}

#[test]
fn calls_to_google_take_the_proxy_of_the_config() {
    for (name, serve) in [("http", http_proxy as fn(TcpStream) -> Option<()>), ("socks5", socks_proxy)] {
        let google = FakeGoogle::start();
        google.add_api_key("AIza-one-0001");
        let (port, seen) = proxy(serve);
        let folder = Folder::new("outgoing");
        let mut settings = config(&google, &["sk-client"]);
        settings["gemini_api_keys"] = json!(["AIza-one-0001"]);
        let login = if name == "http" { "user:proxy-password@" } else { "" };
        settings["proxy_url"] = json!(format!("{name}://{login}127.0.0.1:{port}"));
        let program = Program::start(&folder, &settings, &[]);
        let (status, body) = ask(&program.base(), "sk-client", CHAT, HI);
        assert_eq!(status, 200, "{name}: {body}\n{}", program.log());
        assert!(seen.connections.load(Ordering::SeqCst) >= 1, "{name}");
        assert!(!program.log().contains("proxy-password"), "the proxy's password is in the log");
    }
}

#[test]
fn without_one_the_environment_names_the_proxy_and_what_goes_past_it() {
    let google = FakeGoogle::start();
    google.add_api_key("AIza-one-0001");
    for (past, expected) in [("", true), ("127.0.0.1", false)] {
        let (port, seen) = proxy(socks_proxy);
        let folder = Folder::new("environment");
        let mut settings = config(&google, &["sk-client"]);
        settings["gemini_api_keys"] = json!(["AIza-one-0001"]);
        let address = format!("socks5://127.0.0.1:{port}");
        let environment = [("ALL_PROXY", address.as_str()), ("NO_PROXY", past)];
        let program = Program::start_in(&folder, &settings, &[], &environment);
        let (status, body) = ask(&program.base(), "sk-client", CHAT, HI);
        assert_eq!(status, 200, "{body}\n{}", program.log());
        assert_eq!(seen.connections.load(Ordering::SeqCst) > 0, expected, "NO_PROXY={past}");
    }
}

#[test]
fn a_proxy_that_is_none_is_told_without_its_password() {
    let folder = Folder::new("proxy-url");
    for url in ["ftp://u:hunter22@proxy", "proxy:3128", "http://", "http://u:hunter22@proxy/path", "socks5://"] {
        folder.write("config.json", json!({"proxy_url": url}).to_string());
        let output = crate::common::program::run(&folder, &["run", "-c", "config.json"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{url}: {text}");
        assert!(text.contains("proxy_url: expected") && !text.contains("hunter22"), "{text}");
    }
}

/// A change as the admin page makes it; the answer's body.
fn change(base: &str, login: &str, path: &str, body: &Value) -> String {
    written::secrets_in(body);
    let request = agent().post(format!("{base}{path}")).header("Authorization", login);
    let mut answer = request.header("X-Requested-With", "gemini-proxy").send(body.to_string()).unwrap();
    answer.body_mut().read_to_string().unwrap()
}

/// One login by redirect and one by paste, each to its end and once more. Gives their states.
fn logins(base: &str, login: &str, answers: &mut Vec<String>) -> Vec<String> {
    let agent = unled_agent();
    let next = |url: &str| {
        let answer = agent.get(url).header("Authorization", login).call().unwrap();
        answer.headers()["location"].to_str().unwrap().to_owned()
    };
    let state = |url: &str| url.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let back = next(&next(&format!("{base}/oauth2/login")));
    for _ in 0..2 {
        let mut answer = agent.get(&back).header("Authorization", login).call().unwrap();
        answers.push(format!("{:?}", answer.headers()) + &answer.body_mut().read_to_string().unwrap());
    }
    let started = change(base, login, "/admin/oauth/start", &json!({"mode": "paste"}));
    let started: Value = serde_json::from_str(&started).unwrap();
    let carried = next(started["url"].as_str().unwrap());
    for _ in 0..2 {
        answers.push(change(base, login, "/admin/oauth/finish", &json!({"text": carried})));
    }
    vec![state(&back), state(&carried)]
}

#[test]
fn nothing_secret_is_written_or_answered() {
    let google = FakeGoogle::start();
    let folder = Folder::new("secrecy");
    let names: Vec<String> = (0..6).map(|at| format!("u{at}@example.com")).collect();
    let mut items = Vec::new();
    for (at, name) in names.iter().enumerate() {
        google.add_user(User::licensed(name, &format!("project-{at}")));
        items.push(google.oauth_credential(name));
    }
    items[1]["expiry_date"] = json!(1);
    items[2]["expiry_date"] = json!(1);
    google.revoke(&names[2]);
    google.set_tier(&names[3], Tier::UnsupportedClient);
    google.always(&names[4], Step::quota_exhausted("13h"));
    items.push(json!({"api_key": "AIza-file-secret-0001"}));
    items.push(json!({"api_key": "AIza-unknown-secret-0002"}));
    google.add_api_key("AIza-file-secret-0001");
    google.add_api_key("AIza-config-secret-0003");
    folder.write("credentials.json", json!(items).to_string());
    let mut settings = config(&google, &["sk-client-secret-0004"]);
    settings["gemini_api_keys"] = json!(["AIza-config-secret-0003"]);
    settings["admin_username"] = json!("chef");
    settings["admin_password"] = json!("admin-secret-0005");
    settings["oauth_client"] = json!({"client_id": "client", "client_secret": "client-secret-0006"});
    let mut program = Program::start(&folder, &settings, &["-e", "encryption-secret-0007"]);
    let base = program.base();
    let key = "sk-client-secret-0004";
    let prompt = "prompt-secret-0008";
    let chat = |stream: bool| {
        json!({"model": "gemini-2.5-flash", "stream": stream, "messages": [{"role": "user", "content": prompt}]})
            .to_string()
    };
    let mut answers = Vec::new();
    for step in [
        Step::status(500, "Internal error encountered."),
        Step::status(503, "The model is overloaded."),
        Step::status(401, "expired"),
        Step::status(403, "brand new"),
        Step::rate_limited("RATE_LIMIT_EXCEEDED", "5s"),
        Step::reset(),
        Step::body(200, "nonsense answer-secret-0009"),
        Step::status(404, "Requested entity was not found."),
    ] {
        google.script("*", step);
    }
    google.always("*", Step::text("answer-secret-0009"));
    for number in 0..24 {
        let (_, text) = ask(&base, key, CHAT, &chat(number % 2 == 0));
        // The client's own answer is no leak.
        answers.push(text.replace("answer-secret-0009", ""));
    }
    for (key, path, body) in [
        ("sk-wrong-secret-0010", CHAT, chat(false)),
        (key, "/v1beta/models/gemini-2.5-flash:generateContent?key=AIza-query-secret-0011", "{}".into()),
        ("sk-wrong-secret-0010", "/v1/models/x:generateContent?key=AIza-query-secret-0011", "{}".into()),
        (key, CHAT, format!("{{\"model\": \"gemini-2.5-flash\", \"{prompt}\": ")),
        (key, CHAT, format!("{{\"model\": \"gemini-2.5-flash\", \"messages\": \"{prompt}\"}}")),
    ] {
        answers.push(ask(&base, key, path, &body).1);
    }
    let admin = "Basic Y2hlZjphZG1pbi1zZWNyZXQtMDAwNQ==";
    let made = change(&base, admin, "/admin/keys", &json!({"name": "guest"}));
    let made: Value = serde_json::from_str(&made).unwrap();
    let made = made["key"].as_str().expect("a new key is told once");
    assert_eq!(ask(&base, made, "/v1/chat/completions", &chat(false)).0, 200);
    answers.push(change(&base, admin, "/admin/keys", &json!({"name": "guest", "key": "secret-0013"})));
    let states = logins(&base, admin, &mut answers);
    for (path, body) in [
        ("/admin/credentials/add", json!({"credential": {"refresh_token": "1//dead-secret-0014"}})),
        ("/admin/credentials/add", json!({"credential": {"access_token": "ya29.secret-0015"}})),
        ("/admin/credentials/add", json!({"credential": {"api_key": "AIza-unknown-secret-0016"}})),
        (
            "/admin/credentials/import",
            json!({"text": "{\"type\": \"service_account\", \"private_key\": \"secret-0017\"}"}),
        ),
        ("/admin/credentials/import", json!({"text": "{\"refresh_token\": \"1//secret-0018\""})),
        ("/admin/oauth/finish", json!({"text": "4/0A-secret-0019", "state": "state-secret-0020"})),
        ("/admin/oauth/finish", json!({"text": "http://localhost:1/cb?code=4/0A-secret-0019&state=state-secret-0020"})),
    ] {
        answers.push(change(&base, admin, path, &body));
    }
    for name in ["x-goog-api-key", "x-api-key", "api-key", "Authorization", "Cookie", "Proxy-Authorization"] {
        for path in ["/v1/models", "/v1beta/models?key=sk-wrong-secret-0010", "/admin/status?token=secret-0012"] {
            let request = agent().get(format!("{base}{path}")).header(name, "sk-wrong-secret-0010");
            let mut answer = request.call().unwrap();
            answers.push(format!("{:?}", answer.headers()) + &answer.body_mut().read_to_string().unwrap());
        }
    }
    for path in [
        "/",
        "/admin/credentials",
        "/admin/usage",
        "/admin/credentials/cred-0/quota",
        "/admin/credentials/cred-2/check",
        "/admin/credentials/cred-6/check",
        "/admin/status",
        "/admin/log",
        "/admin/keys",
        "/admin/requests",
        "/admin/stats",
        "/admin/stats.csv",
        "/metrics",
        "/oauth2/callback?code=4/0A-secret-0019&state=state-secret-0020",
        "/oauth2/callback?error=access_denied&state=state-secret-0020",
        "/nowhere?key=AIza-query-secret-0011",
        "/health",
        "/v1/models",
    ] {
        for login in [admin, "Basic Y2hlZjp3cm9uZy1zZWNyZXQtMDAxMg==", "Bearer sk-client-secret-0004"] {
            let mut answer = agent().get(format!("{base}{path}")).header("Authorization", login).call().unwrap();
            let status = answer.status().as_u16();
            if login == admin && path.starts_with("/admin/") {
                assert_eq!(status, 200, "{path} is there to be read");
            }
            answers.push(format!("{:?}", answer.headers()) + &answer.body_mut().read_to_string().unwrap());
        }
    }
    program.signal("-HUP");
    program.wait_for_line("config: reloaded");
    program.signal("-TERM");
    assert_eq!(program.wait(Duration::from_secs(30)), Some(0));
    let log = program.log();
    let state = std::fs::read_to_string(folder.join("credentials.json.state.json")).unwrap();
    let stored = std::fs::read_to_string(folder.join("credentials.json")).unwrap();
    assert!(log.contains("DEBUG") && log.contains("Refreshed credential"), "the log is at its most talkative:\n{log}");

    // The piece of each secret that tells it from the others.
    let mut secrets: Vec<String> = (1..=20).map(|number| format!("secret-{number:04}")).collect();
    google.read(|state| {
        secrets.extend(state.access.keys().cloned());
        secrets.extend(state.refresh.keys().cloned());
        secrets.extend(state.codes.keys().map(|code| code.replace("4/", "")));
        let field = |recorded: &Recorded, name: &str| recorded.body[name].as_str().map(str::to_owned);
        let verifiers: Vec<_> = state.requests.iter().filter_map(|request| field(request, "code_verifier")).collect();
        assert_eq!(verifiers.len(), 2, "both logins went as far as the exchange");
        secrets.extend(verifiers);
    });
    assert!(answers.iter().any(|answer| answer.contains("Authentication Successful")));
    for state in states {
        assert!(!log.contains(&state), "a login's state is in the log");
    }
    secrets.push(made.into());
    secrets.push("Y2hlZjphZG1pbi1zZWNyZXQtMDAwNQ".into());
    for secret in secrets {
        for (name, text) in [("the log", &log), ("the state file", &state), ("the encrypted file", &stored)] {
            assert!(!text.contains(&secret), "{secret} is in {name}");
        }
        for answer in &answers {
            assert!(!answer.contains(&secret), "{secret} is in an answer: {answer}");
        }
    }
    for name in &names {
        assert!(!log.contains(name.as_str()), "an e-mail in clear is in the log");
    }
}
