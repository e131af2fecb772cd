//! What service managers and load balancers see of a program that begins, lives and ends.

use crate::common::client::{Client, Reply};
use crate::common::google::FakeGoogle;
use crate::common::program::{Folder, Program, command};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

fn config(google: &FakeGoogle) -> Value {
    google.add_api_key("AIza-key-of-programs");
    json!({
        "server": {"host": "127.0.0.1", "port": 0, "drain_delay_sec": 1.5}, "auth_keys": ["sk-client-of-programs"],
        "gemini_api_keys": ["AIza-key-of-programs"], "endpoints": google.endpoints_json(), "log_level": "info",
        "usage_logging": {"enabled": false},
    })
}

fn address(program: &Program) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], program.port))
}

#[test]
fn a_server_that_stops_says_so_while_it_still_serves() {
    let google = FakeGoogle::start();
    let folder = Folder::new("leaving");
    let mut program = Program::start(&folder, &config(&google), &[]);
    let mut client = Client::new(address(&program));
    for (path, word) in [("/livez", "alive"), ("/readyz", "ready")] {
        let reply = client.get(path);
        assert_eq!((reply.status, reply.json()["status"].as_str()), (200, Some(word)), "{path}");
    }
    program.signal("-TERM");
    program.wait_for_line("Application shutdown...");
    let begun = std::time::Instant::now();
    while Client::new(address(&program)).get("/readyz").status != 503 {
        assert!(begun.elapsed() < Duration::from_secs(1), "/readyz never said it");
    }
    assert_eq!(client.get("/livez").status, 200);
    let reply = Client::new(address(&program)).chat("sk-client-of-programs", "gemini-2.5-flash").unwrap();
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")), "new connections are served");
    assert_eq!(program.wait(LIMIT), Some(0), "{}", program.log());
}

#[test]
fn systemd_is_told_when_it_serves_that_it_lives_and_when_it_ends() {
    let google = FakeGoogle::start();
    let folder = Folder::new("notify");
    let socket = UnixDatagram::bind(folder.join("notify.socket")).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let told = || {
        let mut bytes = [0; 64];
        let count = socket.recv(&mut bytes).expect("nothing was told");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    let mut run: Command = command(&folder, &["run", "-c", "config.json"]);
    run.env("NOTIFY_SOCKET", folder.join("notify.socket")).env("WATCHDOG_USEC", "200000");
    let mut program = Program::spawn(&folder, &config(&google), run);
    let first = [told(), told(), told()];
    assert!(first.contains(&"READY=1".into()) && first.contains(&"WATCHDOG=1".into()), "{first:?}");
    program.signal("-TERM");
    while told() != "STOPPING=1" {}
    assert_eq!(program.wait(LIMIT), Some(0), "{}", program.log());
}

#[test]
fn with_few_descriptors_some_are_left_for_files_and_for_google() {
    let google = FakeGoogle::start();
    let folder = Folder::new("few-descriptors");
    for few in [64, 80] {
        let mut config = config(&google);
        config["state_file"] = json!(format!("state-{few}.json"));
        let mut shell = Command::new("sh");
        let binary = env!("CARGO_BIN_EXE_gemini-openai-proxy");
        shell.current_dir(folder.path()).args(["-c", &format!("ulimit -n {few}; exec {binary} run -c config.json")]);
        let program = Program::spawn(&folder, &config, shell);
        // Each is owed an answer, so none of them gives way: their bodies do not come to an end.
        let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-client-of-programs\r\nContent-Length: 99\r\n\r\n";
        let mut held: Vec<_> = (0..few)
            .map(|_| {
                let mut socket = crate::common::wire::connect(address(&program)).unwrap();
                std::io::Write::write_all(&mut socket, head.as_bytes()).unwrap();
                socket
            })
            .collect();
        // As they end there is room again, and everything works.
        let begun = std::time::Instant::now();
        let mut served = |ask: &dyn Fn(&mut Client) -> std::io::Result<Reply>| loop {
            match ask(&mut Client::new(address(&program))) {
                Ok(reply) if reply.status == 200 => break reply,
                other => assert!(begun.elapsed() < LIMIT, "{few}: {:?}", other.map(|reply| reply.body)),
            }
            held.pop();
        };
        let made = served(&|client| client.send("POST", "/admin/keys", &[], r#"{"name":"phone"}"#));
        assert!(made.json().get("warning").is_none(), "{few}: {}", made.body);
        served(&|client| client.chat("sk-client-of-programs", "gemini-2.5-flash"));
        assert!(!program.log().contains("Too many open files"), "{few}: {}", program.log());
    }
}
