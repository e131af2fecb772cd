//! Counters against the fake Google's own count; statistics, CSV, reset, the last requests.

use crate::common::client::Client;
use crate::common::google::{FakeGoogle, Step};
use crate::common::proxy::{CLIENT_KEY, GEMINI_KEY, Pool, Proxy};
use serde_json::json;

/// An answer whose every token count is different.
pub fn answer() -> Step {
    Step::answer(json!({
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": 7, "candidatesTokenCount": 5, "thoughtsTokenCount": 3,
            "cachedContentTokenCount": 2, "totalTokenCount": 15,
        },
    }))
}

#[test]
fn ten_thousand_requests_are_counted_as_google_counts_them() {
    const CLIENTS: usize = 8;
    const EACH: usize = 1250;
    const REFUSED: usize = 40;
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    (0..REFUSED).for_each(|_| google.script(GEMINI_KEY, Step::status(400, "no")));
    google.always(GEMINI_KEY, answer());
    let answered: usize = std::thread::scope(|scope| {
        let run = |client: usize| {
            let mut connection = Client::new(proxy.address());
            let model = ["gemini-2.5-flash", "gemini-2.5-pro"][client % 2];
            (0..EACH).filter(|_| connection.chat(CLIENT_KEY, model).unwrap().status == 200).count()
        };
        let threads: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || run(client))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(answered, CLIENTS * EACH - REFUSED);
    let seen = google.generations_count();

    let mut admin = Client::new(proxy.address());
    let usage = admin.get("/admin/usage").json();
    let sum =
        |field: &str| -> u64 { usage.as_object().unwrap().values().map(|model| model[field].as_u64().unwrap()).sum() };
    let failed: u64 =
        usage.as_object().unwrap().values().filter_map(|model| model["failed_requests"]["400"].as_u64()).sum();
    assert_eq!(sum("successful_requests"), answered as u64);
    assert_eq!(sum("successful_requests") + failed, seen as u64, "{usage}");
    for (field, tokens) in [
        ("total_tokens", 15),
        ("prompt_tokens", 7),
        ("candidates_tokens", 5),
        ("thoughts_tokens", 3),
        ("cached_content_token_count", 2),
    ] {
        assert_eq!(sum(field), tokens * answered as u64, "{field}");
    }

    for range in ["24h", "7d", "30d"] {
        let stats = admin.get(&format!("/admin/stats?range={range}")).json();
        let total = |field: &str| -> u64 {
            stats["buckets"].as_array().unwrap().iter().map(|bucket| bucket[field].as_u64().unwrap()).sum()
        };
        assert_eq!((total("requests"), total("failed")), (10_000, REFUSED as u64), "{range}");
        assert_eq!(total("completion_tokens"), 5 * answered as u64);
        assert_eq!(stats["keys"][0]["requests"], 10_000);
        assert_eq!(stats["credentials"][0]["credential"], "cred-0");
        assert_eq!(stats["failures"], json!([{"reason": "400", "count": failed, "by": "google"}]));
        let latency = &stats["models"][0]["latency_ms"];
        assert!(latency["p50"].as_u64().unwrap() <= latency["p95"].as_u64().unwrap(), "{latency}");
    }
    let metrics = admin.get("/metrics").body;
    let requests: u64 = metrics
        .lines()
        .filter(|line| line.starts_with("gemini_proxy_requests_total{surface=\"chat\""))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(requests, 10_000);
}

#[test]
fn statistics_can_be_taken_as_csv_and_reset() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::Oauth);
    google.always("*", answer());
    let mut client = Client::new(proxy.address());
    for _ in 0..3 {
        assert_eq!(client.chat(CLIENT_KEY, "gemini-2.5-flash").unwrap().status, 200);
    }
    let csv = client.get("/admin/stats.csv?range=7d");
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(csv.header("content-disposition").unwrap().contains("usage-7d.csv"));
    let rows: Vec<&str> = csv.body.lines().collect();
    assert!(rows[0].starts_with("day,key,credential,model,requests,failed,"), "{}", rows[0]);
    assert!(rows[1].contains(",cred-0,gemini-2.5-flash,3,0,0,21,15,9,6,45,"), "{}", rows[1]);
    assert_eq!(rows.len(), 2);
    let wrong = client.get("/admin/stats?range=1y");
    assert_eq!((wrong.status, wrong.json()["detail"].as_str().unwrap().contains("24h, 7d or 30d")), (400, true));

    assert_eq!(client.get("/admin/usage/reset").status, 405, "never by a GET");
    let reset = client.send("POST", "/admin/usage/reset", &[], "").unwrap();
    assert_eq!(reset.body, r#"{"status":"success","message":"Usage statistics have been reset."}"#);
    assert_eq!(client.get("/admin/usage").body, "{}");
    assert_eq!(client.get("/admin/stats").json()["today"]["requests"], 0);
    assert_eq!(client.get("/admin/stats.csv").body.lines().count(), 1);
}

#[test]
fn the_last_requests_are_listed_without_their_bodies() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    google.always("*", answer());
    let mut client = Client::new(proxy.address());
    let key = format!("Bearer {CLIENT_KEY}");
    let headers = [("Authorization", key.as_str()), ("X-Request-ID", "my-id")];
    let body = r#"{"model":"gemini-2.5-flash","stream":true,"messages":[{"role":"user","content":"a secret prompt"}]}"#;
    client.send("POST", "/v1/chat/completions", &headers, body).unwrap();
    client = Client::new(proxy.address());
    client.chat(CLIENT_KEY, "no-such-model").unwrap();
    (0..210).for_each(|_| assert_eq!(client.chat(CLIENT_KEY, "gemini-2.5-pro").unwrap().status, 200));
    let list = client.get("/admin/requests");
    assert!(!list.body.contains("secret prompt"));
    let list = list.json()["requests"].as_array().unwrap().clone();
    assert_eq!(list.len(), 200);
    let newest = &list[0];
    for (field, expected) in [
        ("surface", json!("chat")),
        ("model", json!("gemini-2.5-pro")),
        ("credential", json!("cred-0")),
        ("status", json!(200)),
        ("attempts", json!(1)),
        ("prompt_tokens", json!(7)),
        ("completion_tokens", json!(8)),
        ("error", json!(null)),
    ] {
        assert_eq!(newest[field], expected, "{field}");
    }
    client.chat(CLIENT_KEY, "no-such-model").unwrap();
    let newest = client.get("/admin/requests").json()["requests"][0].clone();
    assert_eq!((&newest["status"], &newest["attempts"]), (&json!(404), &json!(0)));
    assert_eq!(newest["error"], "model_not_found");
}
