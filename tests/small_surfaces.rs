//! The smaller endpoints through the whole program: embeddings, legacy completions, billing, health, and what is
//! peculiar to the native one.

use crate::common::google::{FakeGoogle, Step};
use crate::common::http::{Answer, ask};
use crate::common::proxy::{GEMINI_KEY, Pool, Proxy};
use serde_json::{Value, json};

fn post(proxy: &Proxy, path: &str, body: Value) -> Answer {
    ask(proxy, "POST", path, &[], body.to_string().as_bytes())
}

#[test]
fn embeddings_of_many_texts_come_back_in_order_over_several_batches() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let texts: Vec<String> = (0..205).map(|n| format!("text {n}")).collect();
    let body = json!({"model": "text-embedding-3-small", "input": texts, "dimensions": 8});
    let answer = post(&proxy, "/v1/embeddings", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let list = answer.json();
    let data = list["data"].as_array().unwrap();
    assert_eq!(data.len(), 205);
    assert_eq!(google.count("/v1beta/models/gemini-embedding-001:batchEmbedContents"), 3);
    // The same text alone has the same vector, wherever it stood in the list.
    for at in [0, 99, 100, 204] {
        assert_eq!(data[at]["index"], at);
        let body = json!({"model": "text-embedding-3-small", "input": texts[at], "dimensions": 8});
        let alone = post(&proxy, "/embeddings", body).json();
        assert_eq!(alone["data"][0]["embedding"], data[at]["embedding"], "{at}");
    }
    assert_eq!(google.count("/v1beta/models/gemini-embedding-001:embedContent"), 4);
    let usage = proxy.service().app().usage.json();
    assert_eq!(usage["gemini-embedding-001"]["successful_requests"], 5, "one per answer, not per call: {usage}");
}

/// A hundred vectors of 3,072 short numbers are one event, and no event of a million pieces.
#[test]
fn the_largest_batch_of_the_longest_vectors_is_read() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let vector = format!("{{\"values\":[{}0.5]}}", "0.1,".repeat(3071));
    let answer = format!("{{\"embeddings\":[{}]}}", vec![vector; 100].join(","));
    google.script(GEMINI_KEY, Step::body(200, &answer).on("batchEmbedContents"));
    let answer = post(&proxy, "/v1/embeddings", json!({"model": "gemini-embedding-001", "input": vec!["a"; 100]}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["data"].as_array().unwrap().len(), 100);
}

/// OpenAI's published schema wants a text or nothing.
#[test]
fn no_answer_has_a_system_fingerprint() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    for stream in [false, true] {
        let hello =
            json!({"model": "gemini-2.5-flash", "stream": stream, "messages": [{"role": "user", "content": "Hi"}]});
        let prompt = json!({"model": "gemini-2.5-flash", "stream": stream, "prompt": "Hi"});
        for (path, body) in [("/v1/chat/completions", hello), ("/v1/completions", prompt)] {
            let answer = post(&proxy, path, body);
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(!answer.text().contains("system_fingerprint"), "{path}: {}", answer.text());
        }
    }
}

#[test]
fn a_failure_in_a_later_batch_fails_the_whole_answer() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let texts: Vec<String> = (0..150).map(|n| n.to_string()).collect();
    let vectors = json!({"embeddings": vec![json!({"values": [1.0]}); 100]});
    google.script(GEMINI_KEY, Step::json(200, vectors).on("batchEmbedContents"));
    google.script(GEMINI_KEY, Step::status(400, "Request contains an invalid argument.").on("batchEmbedContents"));
    let answer = post(&proxy, "/v1/embeddings", json!({"model": "gemini-embedding-001", "input": texts}));
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
}

#[test]
fn embeddings_without_an_api_key_say_what_is_missing() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::Oauth);
    let answer = post(&proxy, "/v1/embeddings", json!({"model": "gemini-embedding-001", "input": "a"}));
    assert_eq!(answer.status, 503);
    let error = &answer.json()["error"];
    assert!(error["message"].as_str().unwrap().contains("gemini_api_keys"), "{error}");
    assert_eq!(google.generations().len(), 0);
}

#[test]
fn completions_are_served_whole_and_streamed_by_either_service() {
    for pool in Pool::EACH {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, pool);
        let body = json!({"model": "gemini-2.5-flash", "prompt": "Say hello", "max_tokens": 50});
        let whole = post(&proxy, "/v1/completions", body).json();
        assert_eq!(whole["choices"][0]["text"], "You said: Say hello", "{pool:?}: {whole}");
        assert_eq!(whole["choices"][0]["finish_reason"], "stop");

        let body = json!({"model": "gemini-2.5-flash", "prompt": ["Say hello"], "stream": true});
        let stream = post(&proxy, "/completions", body);
        assert_eq!(stream.header("content-type"), Some("text/event-stream; charset=utf-8"));
        let text = stream.text();
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
        let said: String = text
            .split("\n\n")
            .filter_map(|frame| serde_json::from_str::<Value>(frame.strip_prefix("data: ")?).ok())
            .map(|chunk| chunk["choices"][0]["text"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(said, "You said: Say hello", "{pool:?}");
    }
}

#[test]
fn billing_is_for_key_holders_and_says_that_nothing_was_spent() {
    let google = FakeGoogle::start();
    let proxy = Proxy::start(&google, |_| ());
    for prefix in ["", "/v1"] {
        let usage = ask(&proxy, "GET", &format!("{prefix}/dashboard/billing/usage?start_date=2026-01-01"), &[], b"");
        assert_eq!((usage.status, &usage.json()["total_usage"]), (200, &json!(0)));
        let subscription = ask(&proxy, "GET", &format!("{prefix}/dashboard/billing/subscription"), &[], b"").json();
        assert!(subscription["hard_limit_usd"].as_f64().unwrap() > 0.0, "{subscription}");
    }
    let stranger = ask(&proxy, "GET", "/dashboard/billing/usage", &[("Authorization", "Bearer sk-wrong-client")], b"");
    assert_eq!(stranger.status, 401);
}

#[cfg(feature = "ledger")]
#[test]
fn billing_says_what_the_key_has_spent_by_the_prices_of_the_config_and_of_the_table() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["prices"] = json!({"gemini-2.5-pro": {"input": 10, "output": 100, "cached": 1}});
    });
    let counts = json!({"promptTokenCount": 1000, "candidatesTokenCount": 50, "thoughtsTokenCount": 50,
        "cachedContentTokenCount": 400, "totalTokenCount": 1100});
    google.always(
        GEMINI_KEY,
        Step::answer(json!({"candidates": [{"content": {"role": "model",
        "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}], "usageMetadata": counts})),
    );
    for model in ["gemini-2.5-pro", "gemini-2.5-pro", "gemini-2.5-flash", "gemma-4-31b-it"] {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]});
        assert_eq!(post(&proxy, "/v1/chat/completions", body).status, 200, "{model}");
    }
    // By hand: 600 fresh, 400 cached and 100 answered tokens; the table's 0.3 and 2.5 dollars, and nothing for what has no price.
    let (pro, flash) = (0.006 + 0.0004 + 0.01, 0.0003 + 0.000_25);
    let usage = ask(&proxy, "GET", "/dashboard/billing/usage", &[], b"").json();
    let is = |found: &Value, expected: f64| (found.as_f64().unwrap() - expected).abs() < 1e-9;
    assert!(is(&usage["total_usage"], (2.0 * pro + flash) * 100.0), "{usage}");
    assert_eq!(usage["daily_costs"][0]["line_items"].as_array().unwrap().len(), 2, "{usage}");
    let past =
        ask(&proxy, "GET", "/dashboard/billing/usage?start_date=2020-01-01&end_date=2020-02-01", &[], b"").json();
    assert_eq!(past["total_usage"], 0);
    let stats = ask(&proxy, "GET", "/admin/stats", &[("Authorization", "")], b"").json();
    assert!(
        is(&stats["today"]["cost_usd"], 2.0 * pro + flash) && stats["today"]["unpriced"] == 1,
        "{}",
        stats["today"]
    );
    let requests = ask(&proxy, "GET", "/admin/requests", &[("Authorization", "")], b"").json();
    assert_eq!(requests["requests"][0]["cost_usd"], Value::Null);
    assert!(is(&requests["requests"][3]["cost_usd"], pro), "{requests}");
}

#[test]
fn health_is_one_word_for_everybody_and_figures_on_request() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    for path in ["/health", "/health/", "/health?verbose=0", "/health?x"] {
        assert_eq!(ask(&proxy, "GET", path, &[], b"").text(), r#"{"status":"healthy"}"#, "{path}");
    }
    let health = ask(&proxy, "GET", "/health?verbose=1", &[], b"").json();
    assert_eq!((&health["status"], &health["version"]), (&json!("healthy"), &json!(env!("CARGO_PKG_VERSION"))));
    assert_eq!(health["credentials"], json!({"total": 1, "available": 1}));
}

#[test]
fn the_short_spellings_of_googles_examples_are_served_by_either_service() {
    let example =
        json!({"system_instruction": {"parts": {"text": "Be brief."}}, "contents": {"parts": {"text": "Say hello"}}});
    for pool in Pool::EACH {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, pool);
        for path in ["/v1beta/models/gemini-2.5-flash:generateContent", "/v1beta/models/gemini-2.5-flash:countTokens"] {
            let answer = post(&proxy, path, example.clone());
            assert_eq!(answer.status, 200, "{pool:?} {path}: {}", answer.text());
        }
    }
}

#[test]
fn a_blocked_prompt_is_an_answer_that_usage_counts_as_denied() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let blocked =
        json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 4}});
    google.script(GEMINI_KEY, Step::json(200, blocked.clone()));
    let path = "/v1beta/models/gemini-2.5-flash:generateContent";
    let answer = post(&proxy, path, json!({"contents": [{"parts": [{"text": "x"}]}]}));
    assert_eq!((answer.status, answer.json()), (200, blocked));
    let usage = proxy.service().app().usage.json();
    assert_eq!(usage["gemini-2.5-flash"]["failed_requests"], json!({"Denied: PROHIBITED_CONTENT": 1}), "{usage}");
}

#[cfg(not(feature = "media"))]
#[test]
fn routes_of_pictures_and_speech_say_what_this_program_was_built_without() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    for path in ["/v1/images/generations", "/v1/images/edits", "/v1/audio/speech", "/v1/audio/transcriptions"] {
        let answer = post(&proxy, path, json!({}));
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        assert!(answer.text().contains("its feature `media`"), "{path}: {}", answer.text());
    }
}

/// LangChain.js gives the results of calls that were made at once back in one turn each, which Google refuses.
#[test]
fn results_in_several_turns_are_put_into_one() {
    for pool in Pool::EACH {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, pool);
        let call = |name: &str| json!({"functionCall": {"name": name, "args": {}}});
        let result =
            |name: &str| json!({"role": "user", "parts": [{"functionResponse": {"name": name, "response": {"a": 1}}}]});
        let ask = json!({"role": "user", "parts": [{"text": "x"}]});
        let body = json!({"contents": [ask, {"role": "model", "parts": [call("a"), call("b")]}, result("a"), result("b"),
            {"role": "model", "parts": [call("c")]}, result("c")]});
        let answer = post(&proxy, "/v1beta/models/gemini-2.5-flash:generateContent", body);
        assert_eq!(answer.status, 200, "{pool:?}: {}", answer.text());
        assert_eq!(google.generations().len(), 2, "{pool:?}");
        let sent = google.last_generation();
        let turns = sent.inner()["contents"].as_array().unwrap();
        assert_eq!(
            turns.iter().map(|turn| turn["parts"].as_array().unwrap().len()).collect::<Vec<_>>(),
            [1, 2, 2, 1, 1]
        );
    }
}
