//! `/metrics` as Prometheus' own tool reads it.

use super::counters::answer;
use crate::common::client::Client;
use crate::common::google::{FakeGoogle, Step};
use crate::common::numbers::Numbers;
use crate::common::proxy::{CLIENT_KEY, GEMINI_KEY, Pool, Proxy};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The system's, or the one that tests/setup.sh put beside the tests.
pub(crate) fn promtool() -> PathBuf {
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

/// The sum of a column of CSV.
fn column(csv: &str, name: &str) -> u64 {
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let at = lines.next().unwrap().iter().position(|field| *field == name).unwrap();
    lines.map(|line| line[at].parse::<u64>().unwrap()).sum()
}

/// The sum of all series of a name whose labels hold `label`.
fn metric(text: &str, name: &str, label: &str) -> u64 {
    let series = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
    series.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

#[test]
fn page_json_csv_and_metrics_agree_after_random_requests() {
    const KEYS: [&str; 4] = ["sk-free-of-figures", "sk-day-of-figures", "sk-held-of-figures", "sk-wrong-of-figures"];
    const MODELS: [&str; 3] = ["gemini-2.5-flash", "gemini-2.5-pro", "gpt-of-nobody"];
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    google.always("*", answer());
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["auth_keys"] = json!([
            {"key": KEYS[0], "name": "free"},
            {"key": KEYS[1], "name": "day", "requests_per_day": 40},
            {"key": KEYS[2], "name": "held", "models": ["gemini-2.5-pro"]},
        ]);
    });
    let mut client = Client::new(proxy.address());
    let mut random = Numbers(0x5eed_f19e);
    // Answered, failed, and failed without Google, by key.
    let mut expected = [[0u64; 3]; 4];
    for _ in 0..2000 {
        let (key, model) = (random.below(4), MODELS[random.below(3)]);
        if random.below(10) == 0 {
            google.script(GEMINI_KEY, Step::status(400, "no"));
        }
        let asked = google.generations_count();
        let status = client.chat(KEYS[key], model).unwrap().status;
        let was_asked = google.generations_count() > asked;
        expected[key][0] += u64::from(status == 200);
        expected[key][1] += u64::from(status != 200);
        expected[key][2] += u64::from(status != 200 && !was_asked);
    }
    let sum = |at: usize| expected[..3].iter().map(|counts| counts[at]).sum::<u64>();
    let (requests, failed, turned_away) = (sum(0) + sum(1), sum(1), sum(2));
    assert!(turned_away > 100 && failed > turned_away, "the numbers bring little about");

    let stats = client.get("/admin/stats?range=7d").json();
    for list in ["buckets", "models", "keys", "credentials"] {
        let rows = stats[list].as_array().unwrap();
        let sum = |field: &str| rows.iter().map(|row| row[field].as_u64().unwrap()).sum::<u64>();
        assert_eq!((sum("requests"), sum("failed")), (requests, failed), "{list} {stats}");
    }
    for (name, [answered, failed, away]) in [("free", expected[0]), ("day", expected[1]), ("held", expected[2])] {
        let row = stats["keys"].as_array().unwrap().iter().find(|row| row["key"] == name).unwrap();
        let found = ["requests", "failed", "turned_away"].map(|field| row[field].as_u64().unwrap());
        assert_eq!(found, [answered + failed, failed, away], "{name}");
    }
    assert_eq!((&stats["today"]["requests"], &stats["today"]["failed"]), (&json!(requests), &json!(failed)));
    let by = |who: &str| {
        let reasons = stats["failures"].as_array().unwrap().iter().filter(|reason| reason["by"] == who);
        reasons.map(|reason| reason["count"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!((by("proxy"), by("google")), (turned_away, failed - turned_away), "{stats}");
    let csv = client.get("/admin/stats.csv?range=7d").body;
    assert_eq!((column(&csv, "requests"), column(&csv, "failed")), (requests, failed), "{csv}");
    let metrics = client.get("/metrics").body;
    let counted = |label: &str| metric(&metrics, "gemini_proxy_requests_total{", label);
    assert_eq!((counted(""), counted("status=\"200\"")), (requests, sum(0)), "{metrics}");
    assert_eq!(metric(&metrics, "gemini_proxy_wrong_keys_total", ""), expected[3][1]);
    let tokens = stats["today"]["total_tokens"].as_u64().unwrap();
    assert_eq!((tokens, column(&csv, "total_tokens")), (sum(0) * 15, sum(0) * 15));
}
