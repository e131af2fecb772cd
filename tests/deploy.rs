//! What stands in deploy/ works: the reverse proxies' files with the real nginx and Caddy, if they are installed (as
//! tests/setup.sh does), the unit with systemd's own check.

use crate::common::google::{FakeGoogle, Step};
use crate::common::program::{Folder, free_port};
use crate::common::proxy::{CLIENT_KEY, Pool, Proxy};
use crate::common::wire::agent_with;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

const LIMIT: Duration = Duration::from_secs(20);

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap()
}

/// Replaces what must be there.
fn replace(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old:?} is not in\n{text}");
    text.replace(old, new)
}

fn is_installed(program: &str, argument: &str) -> bool {
    let found = Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: {program} is not installed; tests/setup.sh installs it");
    }
    found
}

/// nginx in the foreground with this part of its configuration, which keeps its files in the folder.
pub(crate) fn nginx(folder: &Folder, site: &str) -> Command {
    let root = folder.path().display();
    let config = folder.write(
        "nginx.conf",
        format!(
            "daemon off; pid {root}/pid; error_log {root}/error.log; events {{ worker_connections 4096; }}\nhttp {{ access_log off;
            client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/f;
            uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n{site}\n}}"
        ),
    );
    let mut command = Command::new("nginx");
    command.arg("-c").arg(config);
    command
}

/// Ended politely when dropped, so that it ends its own children.
struct Front(Child);

impl Front {
    fn start(mut command: Command, port: u16) -> Front {
        let front = Front(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let deadline = Instant::now() + LIMIT;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "{command:?} does not listen");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        front
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

fn event(text: &str, finish: Option<&str>) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": finish}]})
}

/// The first event must arrive while Google still holds the second.
fn streams_unbuffered(google: &FakeGoogle, port: u16) {
    google.always("*", Step::stream(vec![event("one", None), event("two", Some("STOP"))]).hold_after(1));
    let authority = Certificate::from_pem(&std::fs::read(repository("tests/fixtures/tls/ca.pem")).unwrap()).unwrap();
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[authority])).build();
    let agent = agent_with(|config| config.tls_config(tls).timeout_per_read(Some(LIMIT)));
    let body = json!({"model": "gemini-2.5-flash", "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
    let answer = agent
        .post(format!("https://localhost:{port}/v1/chat/completions"))
        .header("Authorization", format!("Bearer {CLIENT_KEY}"))
        .send(body.to_string())
        .unwrap();
    assert_eq!(answer.status(), 200);
    let mut lines = BufReader::new(answer.into_body().into_reader()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains(r#""content":"one""#)), "the first event");
    google.release();
    assert!(lines.any(|line| line.contains(r#""content":"two""#)), "the second event");
    assert!(lines.any(|line| line == "data: [DONE]"), "the end");
}

#[test]
fn events_pass_through_the_nginx_site_at_once() {
    if !is_installed("nginx", "-v") {
        return;
    }
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let folder = Folder::new("nginx");
    let port = free_port();
    let fixture = |name: &str| repository(name).display().to_string();
    let site = read("deploy/nginx.conf");
    let site = replace(&site, "127.0.0.1:8888", &proxy.address().to_string());
    let site = replace(&site, "listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"));
    let site = replace(&site, "gemini.example.com;", "localhost;");
    let letsencrypt = "/etc/letsencrypt/live/gemini.example.com";
    let site = replace(&site, &format!("{letsencrypt}/fullchain.pem"), &fixture("tests/fixtures/tls/localhost.pem"));
    let site = replace(&site, &format!("{letsencrypt}/privkey.pem"), &fixture("tests/fixtures/tls/localhost.key"));
    let _front = Front::start(nginx(&folder, &site), port);
    streams_unbuffered(&google, port);
}

#[test]
fn events_pass_through_the_caddyfile_at_once() {
    if !is_installed("caddy", "version") {
        return;
    }
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let folder = Folder::new("caddy");
    let port = free_port();
    let fixture = |name: &str| repository(name).display().to_string();
    let (certificate, key) = (fixture("tests/fixtures/tls/localhost.pem"), fixture("tests/fixtures/tls/localhost.key"));
    let site = read("deploy/Caddyfile");
    let site = replace(&site, "127.0.0.1:8888", &proxy.address().to_string());
    let head = format!("https://localhost:{port} {{\n\ttls {certificate} {key}");
    let site = replace(&site, "\ngemini.example.com {", &format!("\n{head}"));
    let config = folder.write("Caddyfile", format!("{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}"));
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(config).env("HOME", folder.path());
    command.env("XDG_DATA_HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path()).stdout(Stdio::null());
    let _front = Front::start(command, port);
    streams_unbuffered(&google, port);
}

#[test]
fn systemd_takes_the_unit() {
    if !is_installed("systemd-analyze", "--version") {
        return;
    }
    let folder = Folder::new("unit");
    let binary = env!("CARGO_BIN_EXE_gemini-openai-proxy");
    let unit = replace(&read("deploy/gemini-openai-proxy.service"), "/usr/local/bin/gemini-openai-proxy", binary);
    let unit = folder.write("gemini-openai-proxy.service", unit);
    let output = Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(unit).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let complaints: Vec<&str> = said.lines().filter(|line| line.contains("gemini-openai-proxy.service")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}
