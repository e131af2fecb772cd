//! `/metrics` as Prometheus' own tool reads it.

use super::counters::answer;
use crate::common::client::Client;
use crate::common::google::{FakeGoogle, Step};
use crate::common::proxy::{CLIENT_KEY, Pool, Proxy};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The system's, or the one that tests/setup.sh put beside the tests.
fn promtool() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.cache/promtool");
    if own.exists() { own } else { PathBuf::from("promtool") }
}

#[test]
fn promtool_finds_nothing_to_complain_of() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    google.script("*", Step::status(400, "no"));
    google.always("*", answer());
    let mut client = Client::new(proxy.address());
    for model in ["gemini-2.5-flash", "gemini-2.5-flash", "gemini-2.5-pro", "no-such-model"] {
        client.chat(CLIENT_KEY, model).unwrap();
    }
    let reply = client.get("/metrics");
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        r#"gemini_proxy_requests_total{surface="chat",model="gemini-2.5-pro",status="200"} 1"#,
        r#"gemini_proxy_requests_total{surface="chat",model="gemini-2.5-flash",status="400"} 1"#,
        r#"gemini_proxy_tokens_total{model="gemini-2.5-pro",kind="thinking"} 3"#,
        r#"gemini_proxy_upstream_errors_total{class="400"} 1"#,
        r#"gemini_proxy_credentials{state="active"} 1"#,
        r#"gemini_proxy_request_duration_seconds_count{surface="chat"} 2"#,
        "gemini_proxy_workers 16",
        "gemini_proxy_queue_depth 0",
    ] {
        assert!(reply.body.lines().any(|found| found == line), "{line} is not in\n{}", reply.body);
    }
    let mut tool = Command::new(promtool())
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, which tests/setup.sh gets");
    tool.stdin.take().unwrap().write_all(reply.body.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.is_empty(), "{said}\n{}", reply.body);
}

#[test]
fn metrics_can_be_switched_off() {
    let google = FakeGoogle::start();
    let proxy = Proxy::start(&google, |config| config["metrics"] = json!({"enabled": false}));
    assert_eq!(Client::new(proxy.address()).get("/metrics").status, 404);
}
