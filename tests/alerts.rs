//! Alerts by webhook, with a receiver that answers as it is told: what is told, in which shape, how often, and what is not in it.

use crate::common::client::Client;
use crate::common::google::{FakeGoogle, Step};
use crate::common::program::{Folder, Program, run};
use crate::common::proxy::GEMINI_KEY;
use crate::common::written;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver as Channel, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);

/// What came in: path, header lines in lower case, body.
#[derive(Clone, Debug)]
struct Post {
    path: String,
    head: String,
    body: String,
}

/// An HTTP receiver: answers with the statuses it was given, then with 200.
struct Webhook {
    address: SocketAddr,
    posts: Channel<Post>,
    statuses: Arc<Mutex<VecDeque<u16>>>,
}

impl Webhook {
    fn start(statuses: &[u16]) -> Webhook {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (send, posts) = channel();
        let statuses = Arc::new(Mutex::new(statuses.iter().copied().collect::<VecDeque<_>>()));
        let queue = statuses.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream);
                let mut head = head_of(&mut reader);
                // As an outgoing proxy it is itself where the tunnel leads.
                let tunnel = head.strip_prefix("CONNECT ").and_then(|rest| Some(rest.split(' ').next()?.to_owned()));
                if tunnel.is_some() {
                    let _ = reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                    head = head_of(&mut reader);
                }
                let lower = head.to_lowercase();
                let length =
                    lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
                let mut body = vec![0; length];
                let _ = reader.read_exact(&mut body);
                let path = tunnel.unwrap_or_default() + head.split(' ').nth(1).unwrap_or_default();
                // Looks at an address are no messages.
                let next = || queue.lock().unwrap().pop_front();
                let status = if head.starts_with("POST ") { next() } else { None }.unwrap_or(200);
                let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = reader.into_inner().write_all(answer.as_bytes());
                let body = String::from_utf8_lossy(&body).into_owned();
                written::answer(&body);
                if head.starts_with("POST ") && send.send(Post { path, head: lower, body }).is_err() {
                    return;
                }
            }
        });
        Webhook { address, posts, statuses }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn next(&self) -> Post {
        self.posts.recv_timeout(LIMIT).expect("a message comes")
    }

    /// All that have come by now.
    fn rest(&self) -> Vec<Post> {
        self.posts.try_iter().collect()
    }
}

fn head_of(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
    head
}

fn config(google: &FakeGoogle, alerts: Value) -> Value {
    google.add_api_key(GEMINI_KEY);
    json!({
        "server": {"host": "127.0.0.1", "port": 0, "workers": 4}, "endpoints": google.endpoints_json(),
        "gemini_api_keys": [GEMINI_KEY], "credentials_file": "c.json", "log_level": "info", "proxy_url": "",
        "auth_keys": [{"key": "sk-client-with-budget", "name": "Ann <&>", "tokens_per_month": 100}],
        "alerts": alerts,
    })
}

fn chat(program: &Program) -> u16 {
    let address = SocketAddr::from(([127, 0, 0, 1], program.port));
    Client::new(address).chat("sk-client-with-budget", "gemini-2.5-flash").unwrap().status
}

fn tokens(count: u64) -> Step {
    Step::answer(json!({
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": count, "candidatesTokenCount": 0, "totalTokenCount": count},
    }))
}

#[test]
fn budgets_and_dead_credentials_are_told_once_in_every_shape_over_failures_and_a_restart() {
    let google = FakeGoogle::start();
    // The first receiver fails twice, then takes everything.
    let (first, others) = (Webhook::start(&[500, 503]), Webhook::start(&[]));
    let config = config(
        &google,
        json!([
            {"url": first.url("/hook/secret-of-the-address"), "token": "token-of-the-receiver"},
            {"url": others.url("/slack"), "template": "slack"},
            {"url": others.url("/botsecret/sendMessage"), "template": "telegram", "chat_id": -100, "language": "zh"},
            {"url": others.url("/topic"), "template": "ntfy", "token": "token-of-ntfy"},
        ]),
    );
    ["secret-of-the-address", "token-of-the-receiver", "token-of-ntfy"].iter().for_each(|text| written::secret(text));
    let folder = Folder::new("alerts");
    let mut program = Program::start(&folder, &config, &[]);
    google.script(GEMINI_KEY, tokens(85));
    assert_eq!(chat(&program), 200);

    let tries = [first.next(), first.next(), first.next()];
    assert!(tries.iter().all(|post| post.path == "/hook/secret-of-the-address" && post.body == tries[0].body));
    assert!(tries[0].head.contains("authorization: bearer token-of-the-receiver"), "{}", tries[0].head);
    let body: Value = serde_json::from_str(&tries[0].body).unwrap();
    assert_eq!(
        (&body["code"], &body["level"], &body["params"]["percent"]),
        (&json!("alert_budget"), &json!("warning"), &json!("80"))
    );
    assert_eq!((&body["params"]["name"], &body["params"]["limit"]), (&json!("Ann <&>"), &json!("tokens_per_month")));
    assert!(body["text"].as_str().unwrap().contains("80 %") && body["server"].is_string() && body["time"].is_string());

    let mut shapes = [others.next(), others.next(), others.next()];
    shapes.sort_by(|one, other| one.path.cmp(&other.path));
    let [telegram, slack, ntfy] = shapes;
    let said: Value = serde_json::from_str(&telegram.body).unwrap();
    assert_eq!(said["chat_id"], "-100");
    assert!(
        said["text"].as_str().unwrap().contains("Ann <&>") && said["text"].as_str().unwrap().contains("密钥"),
        "{said}"
    );
    let said: Value = serde_json::from_str(&slack.body).unwrap();
    assert!(said["text"].as_str().unwrap().contains("Ann &lt;&amp;&gt;"), "{said}");
    assert!(
        ntfy.head.contains("priority: 3") && ntfy.head.contains("authorization: bearer token-of-ntfy"),
        "{}",
        ntfy.head
    );
    assert!(ntfy.body.contains("tokens_per_month"), "{}", ntfy.body);

    // The budget is used up, and Google has blocked the key: each is told once, whatever happens after.
    google.script(GEMINI_KEY, tokens(20));
    assert_eq!(chat(&program), 200);
    let full: Value = serde_json::from_str(&first.next().body).unwrap();
    assert_eq!((&full["params"]["percent"], &full["level"]), (&json!("100"), &json!("error")));
    assert_eq!(chat(&program), 429);
    // A matter of which a message is still under way at the end is told again.
    for _ in 0..3 {
        others.next();
    }
    let noted = || std::fs::read_to_string(folder.join("c.json.state.json")).unwrap().contains("tokens_per_month 100 ");
    let begun = Instant::now();
    while !noted() {
        assert!(begun.elapsed() < LIMIT, "what was told is not noted");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    program.signal("-TERM");
    program.wait(LIMIT);
    let mut program = Program::start(&folder, &config, &[]);
    google.always(GEMINI_KEY, Step::status(403, "Your API key was reported as leaked. Please use another API key."));
    let made = Client::new(SocketAddr::from(([127, 0, 0, 1], program.port)))
        .send("POST", "/admin/keys", &[], r#"{"name":"free"}"#)
        .unwrap()
        .json();
    let free = made["key"].as_str().unwrap().to_owned();
    let status =
        Client::new(SocketAddr::from(([127, 0, 0, 1], program.port))).chat(&free, "gemini-2.5-flash").unwrap().status;
    assert!(status >= 400, "{status}");
    let mut codes: Vec<String> = (0..2)
        .map(|_| serde_json::from_str::<Value>(&first.next().body).unwrap()["code"].as_str().unwrap().to_owned())
        .collect();
    codes.sort();
    assert_eq!(codes, ["alert_credential", "alert_pool"], "and no budget again");
    program.signal("-TERM");
    program.wait(LIMIT);
    assert!(first.rest().is_empty() && others.statuses.lock().unwrap().is_empty());
    let log = program.log();
    for text in ["secret-of-the-address", "botsecret", "token-of"] {
        assert!(!log.contains(text), "{log}");
    }
    for post in others.rest() {
        assert!(!post.body.contains(GEMINI_KEY) && !post.body.contains("sk-client"), "{}", post.body);
    }
}

#[test]
fn a_receiver_that_refuses_is_given_up_and_one_that_is_silent_delays_no_request() {
    let google = FakeGoogle::start();
    let refusing = Webhook::start(&[404]);
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = config(&google, json!([format!("http://{}/x", silent.local_addr().unwrap()), refusing.url("/gone")]));
    let folder = Folder::new("alerts-refused");
    let program = Program::start(&folder, &config, &[]);
    google.script(GEMINI_KEY, tokens(100));
    google.always(GEMINI_KEY, tokens(1));
    assert_eq!(chat(&program), 200);
    let (_held, _) = silent.accept().unwrap();
    // The thread waits for the silent one now.
    let free = config["auth_keys"][0]["key"].as_str().unwrap();
    assert_eq!(
        Client::new(SocketAddr::from(([127, 0, 0, 1], program.port))).chat(free, "gemini-2.5-flash").unwrap().status,
        429
    );
    assert_eq!(Client::new(SocketAddr::from(([127, 0, 0, 1], program.port))).get("/livez").status, 200);
    refusing.next();
    program.has_said("alerts: a message is given up: the receiver answers 404");
}

#[test]
fn check_sends_a_message_of_trial_through_the_outgoing_proxy_and_says_what_became_of_it() {
    let google = FakeGoogle::start();
    // As a proxy it is given the whole address.
    let proxy = Webhook::start(&[]);
    let mut config = config(&google, json!([{"url": "http://alerts.invalid/hook", "template": "slack"}]));
    config["proxy_url"] = json!(format!("http://{}", proxy.address));
    let folder = Folder::new("alerts-check");
    folder.write("config.json", config.to_string());
    let output = run(&folder, &["check", "--alerts", "-c", "config.json"]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("[OK] alerts[0]"), "{printed}");
    let post = proxy.next();
    assert_eq!(post.path, "alerts.invalid:80/hook");
    proxy.statuses.lock().unwrap().extend([403]);
    let output = run(&folder, &["check", "--alerts", "-c", "config.json"]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("[ERROR] alerts[0]") && printed.contains("403"), "{printed}");
    assert!(!printed.contains("/hook"), "{printed}");
}

#[test]
fn files_that_cannot_be_written_are_told_one_by_one() {
    let google = FakeGoogle::start();
    let receiver = Webhook::start(&[]);
    let config = config(&google, json!([receiver.url("/files")]));
    let folder = Folder::new("alerts-files");
    // A state file of a newer version is left alone, and a folder is no history.
    folder.write("c.json.state.json", "7551470a [[\"file\",\"\",9]]\n");
    std::fs::create_dir(folder.join("c.json.state.json.requests.jsonl")).unwrap();
    let program = Program::start(&folder, &config, &[]);
    google.always(GEMINI_KEY, tokens(1));
    assert_eq!(chat(&program), 200);
    let mut codes: Vec<String> = (0..2)
        .map(|_| serde_json::from_str::<Value>(&receiver.next().body).unwrap()["code"].as_str().unwrap().to_owned())
        .collect();
    codes.sort();
    assert_eq!(codes, ["history_readonly", "state_readonly"]);
}

#[test]
fn a_hundred_matters_at_once_are_eleven_messages() {
    let google = FakeGoogle::start();
    let receiver = Webhook::start(&[]);
    let mut config = config(&google, json!([receiver.url("/many")]));
    let keys: Vec<String> = (0..100).map(|at| format!("AIza-of-the-many-{at:04}")).collect();
    let items: Vec<Value> = keys.iter().map(|key| json!({"type": "api_key", "api_key": key})).collect();
    config["gemini_api_keys"] = json!([]);
    config["max_credentials_per_request"] = json!(200);
    config["failover_sec"] = json!(0);
    let folder = Folder::new("alerts-many");
    folder.write("c.json", json!(items).to_string());
    let program = Program::start(&folder, &config, &[]);
    // Google knows none of them.
    assert!(chat(&program) >= 400);
    let mut codes = std::collections::BTreeMap::<String, usize>::new();
    let mut told = 0;
    while told < 101 {
        let body: Value = serde_json::from_str(&receiver.next().body).unwrap();
        let code = body["code"].as_str().unwrap();
        told +=
            if code == "alert_many" { body["params"]["count"].as_str().unwrap().parse::<usize>().unwrap() } else { 1 };
        *codes.entry(code.to_owned()).or_default() += 1;
    }
    assert!(codes["alert_credential"] <= 20 && codes.contains_key("alert_many"), "{codes:?}");
}
