//! Google's failures as a client sees them, and the errors of our own (docs/openai-chat.md "Error bodies and
//! statuses").

use super::{cases, content, error, hello, post, start, start_with};
use crate::common::google::{FakeGoogle, Step};
use crate::common::http::{Answer, ask};
use crate::common::proxy::{CLIENT_KEY, EMAIL, GEMINI_KEY, Pool, Proxy};
use crate::common::wire;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::time::Duration;

fn step(case: &Value) -> Step {
    let status = case["status"].as_u64().unwrap() as u16;
    match case["body"].as_str() {
        Some(_) => Step::html(status),
        None => Step::json(status, case["body"].clone()),
    }
}

fn check(answer: &Answer, expected: &Value, what: &str) {
    assert_eq!(answer.status, expected["status"].as_u64().unwrap() as u16, "{what}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
    assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()), "{what}");
    let document = answer.json();
    let error = error(&document);
    for name in ["type", "param", "code"] {
        assert_eq!(error[name], expected[name], "{what}: {name} in {document}");
    }
    if let Some(piece) = expected["message"].as_str() {
        assert!(error["message"].as_str().unwrap().contains(piece), "{what}: {document}");
    }
    for (name, value) in expected["headers"].as_object().into_iter().flatten() {
        assert_eq!(answer.header(name), value.as_str(), "{what}: {name}");
    }
    for name in expected["absent"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        assert_eq!(answer.header(name), None, "{what}: {name}");
    }
}

#[test]
fn failures_of_google_have_their_status_their_code_and_their_headers() {
    let cases = cases("errors");
    assert!(cases.len() > 15, "the fixtures are there");
    // Most of the time is spent on waits before repeats, so all cases go at once.
    std::thread::scope(|scope| {
        for case in &cases {
            scope.spawn(move || {
                for pool in Pool::EACH {
                    for stream in [false, true] {
                        let (google, proxy) = start(pool);
                        google.always("*", step(case));
                        let what = format!("{}, {pool:?}, stream={stream}", case["title"]);
                        check(&post(&proxy, &hello(stream)), &case["out"], &what);
                    }
                }
            });
        }
    });
}

#[test]
fn a_bad_api_key_is_the_proxys_trouble_and_the_next_credential_serves() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let proxy = Proxy::start(&google, |config| config["gemini_api_keys"] = json!(["AIza-unknown", GEMINI_KEY]));
    for _ in 0..4 {
        assert_eq!(post(&proxy, &hello(false)).status, 200);
    }
    let refused = google.generations().iter().filter(|call| call.status >= 400).count();
    assert!(refused <= 1, "a key that Google does not know is asked once");
    let lonely = Proxy::start(&google, |config| config["gemini_api_keys"] = json!(["AIza-unknown"]));
    let answer = post(&lonely, &hello(false));
    assert_eq!((answer.status, error(&answer.json())["code"].as_str()), (503, Some("no_available_account")));
}

#[test]
fn an_expired_token_is_refreshed_once_and_no_401_of_google_reaches_the_client() {
    let (google, proxy) = start(Pool::Oauth);
    google.expire(EMAIL);
    assert_eq!(post(&proxy, &hello(true)).status, 200);
    assert_eq!(google.refreshes(EMAIL), 1);
    google.revoke(EMAIL);
    let answer = post(&proxy, &hello(true));
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(error(&answer.json())["type"], "server_error");
}

#[test]
fn a_refused_signature_is_repaired_unseen() {
    let (google, proxy) = start(Pool::ApiKey);
    let refusal = "Function call `w` in the 2. content block is missing a `thought_signature`.";
    let history = json!({"model": "gemini-3.1-pro-preview", "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "w", "arguments": "{}"},
            "extra_content": {"google": {"thought_signature": "Zm9yZWlnbiBzaWduYXR1cmU="}}}]},
        {"role": "tool", "tool_call_id": "a", "content": "ok"}]});
    // The strict fake itself refuses a signature it did not give out.
    let answer = post(&proxy, &history);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = google.generations();
    assert_eq!(sent.len(), 2);
    let signature = |at: usize| sent[at].inner()["contents"][1]["parts"][0]["thoughtSignature"].clone();
    assert_eq!(signature(0), "Zm9yZWlnbiBzaWduYXR1cmU=");
    assert_eq!(signature(1), "skip_thought_signature_validator");
    // One retry, and what is refused all the same is the client's to hear.
    google.always(GEMINI_KEY, Step::status(400, refusal));
    let answer = post(&proxy, &history);
    assert_eq!((answer.status, error(&answer.json())["type"].as_str()), (400, Some("invalid_request_error")));
    assert_eq!(google.generations().len(), 4);
}

#[test]
fn media_of_an_older_turn_that_a_model_refuses_stop_no_conversation() {
    let (google, proxy) = start(Pool::ApiKey);
    let picture = |mime: &str| json!({"type": "image_url", "image_url": {"url": format!("data:{mime};base64,AAAA")}});
    let body = json!({"model": "gemini-2.5-flash", "messages": [
        {"role": "user", "content": [picture("image/heif"), picture("image/png")]}, {"role": "assistant", "content": "y"},
        {"role": "user", "content": "and now?"}]});
    google.script(GEMINI_KEY, Step::status(400, "Unsupported MIME type: image/heif"));
    let answer = post(&proxy, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = google.generations();
    let parts = sent[1].inner()["contents"][0]["parts"].clone();
    assert_eq!((sent.len(), &parts[1]["inlineData"]["mimeType"]), (2, &json!("image/png")), "{parts}");
    assert!(parts[0]["text"].as_str().unwrap().contains("image/heif"), "{parts}");
    google.always(GEMINI_KEY, Step::status(400, "Unsupported MIME type: image/heif"));
    let new = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": [picture("image/heif")]}]});
    assert_eq!(post(&proxy, &new).status, 400);
    assert_eq!(google.generations().len(), 3, "what is new is the client's to change");
}

#[test]
fn a_system_text_that_a_model_refuses_is_said_as_the_users() {
    let (google, proxy) = start(Pool::ApiKey);
    let refusal = "Developer instruction is not enabled for models/gemini-2.5-flash-image";
    google.script(GEMINI_KEY, Step::status(400, refusal));
    let body = json!({"model": "gemini-2.5-flash-image", "messages": [{"role": "system", "content": "Be terse."},
        {"role": "user", "content": "hi"}]});
    let answer = post(&proxy, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = google.generations();
    assert_eq!((sent.len(), sent[1].inner().get("systemInstruction")), (2, None));
    let parts = json!([{"text": "Be terse."}, {"text": "hi"}]);
    assert_eq!(sent[1].inner()["contents"], json!([{"role": "user", "parts": parts}]));
}

#[test]
fn a_bare_400_is_tried_once_more_with_plain_schemas() {
    let (google, proxy) = start(Pool::ApiKey);
    let mut body = hello(false);
    body["tools"] = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 5}}}}}]);
    google.script(GEMINI_KEY, Step::status(400, "Request contains an invalid argument."));
    let answer = post(&proxy, &body);
    assert_eq!((answer.status, content(&answer).as_str()), (200, "You said: Hi"));
    let sent = google.generations();
    let schema = |at: usize| sent[at].inner()["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"].clone();
    assert_eq!(sent.len(), 2);
    assert!(schema(0)["properties"]["n"]["minimum"] == 1 && schema(1)["properties"]["n"].get("minimum").is_none());
    // Without a schema there is nothing to repair.
    google.script(GEMINI_KEY, Step::status(400, "Request contains an invalid argument."));
    assert_eq!(post(&proxy, &hello(false)).status, 400);
    assert_eq!(google.generations().len(), 3);
}

#[test]
fn a_penalty_that_a_model_refuses_is_left_out_unseen() {
    for pool in Pool::EACH {
        let (google, proxy) = start(pool);
        let mut body = hello(false);
        body["presence_penalty"] = json!(0.5);
        // The strict fake refuses it as Google does since 2.5.
        assert_eq!(content(&post(&proxy, &body)), "You said: Hi");
        let sent = google.generations();
        let penalty = |at: usize| sent[at].inner()["generationConfig"].get("presencePenalty").is_some();
        assert_eq!((sent.len(), penalty(0), penalty(1)), (2, true, false));
    }
}

#[test]
fn requests_that_never_reach_google_are_refused_in_openais_shape() {
    let (google, proxy) = start(Pool::ApiKey);
    let hi = hello(false).to_string();
    let unknown = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}).to_string();
    for (method, path, key, body, status, kind, code) in [
        ("POST", "/v1/chat/completions", "", hi.as_str(), 401, "invalid_request_error", Some("invalid_api_key")),
        (
            "POST",
            "/v1/chat/completions",
            "Bearer sk-wrong-client",
            &hi,
            401,
            "invalid_request_error",
            Some("invalid_api_key"),
        ),
        ("POST", "/v1/chat/completions", "ok", "{\"model\":", 400, "invalid_request_error", None),
        ("POST", "/v1/chat/completions", "ok", "[]", 400, "invalid_request_error", None),
        ("POST", "/v1/chat/completions", "ok", "", 400, "invalid_request_error", None),
        ("POST", "/v1/chat/completions", "ok", &unknown, 404, "invalid_request_error", Some("model_not_found")),
        ("GET", "/v1/chat/completions", "ok", "", 405, "invalid_request_error", Some("method_not_allowed")),
        ("PUT", "/v1/chat/completions", "ok", "{}", 405, "invalid_request_error", Some("method_not_allowed")),
        ("POST", "/v1/chat/nothing", "ok", "{}", 404, "invalid_request_error", Some("unknown_url")),
        ("GET", "/v1/models/x", "ok", "", 404, "invalid_request_error", Some("model_not_found")),
    ] {
        let bearer = format!("Bearer {CLIENT_KEY}");
        let key = if key == "ok" { bearer.as_str() } else { key };
        let answer = ask(&proxy, method, path, &[("Authorization", key)], body.as_bytes());
        let what = format!("{method} {path} {body}: {}", answer.text());
        assert_eq!(answer.status, status, "{what}");
        let document = answer.json();
        assert_eq!(
            (error(&document)["type"].as_str(), error(&document)["code"].as_str()),
            (Some(kind), code),
            "{what}"
        );
        assert!(status != 405 || answer.header("allow").is_some_and(|methods| methods.contains("POST")), "{what}");
    }
    assert_eq!(google.generations().len(), 0);
}

#[test]
fn two_hundred_megabytes_are_refused_before_they_are_sent() {
    let (_google, proxy) = start(Pool::ApiKey);
    let mut stream = wire::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CLIENT_KEY}\r\nContent-Length: {}\r\n\r\n{{",
        200 << 20
    )
    .unwrap();
    // Nothing more is sent: the answer comes all the same.
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
    let document: Value = serde_json::from_str(body).unwrap();
    assert_eq!(error(&document)["code"], "request_too_large");
}

#[test]
fn pictures_from_private_addresses_are_refused_and_never_fetched() {
    let (google, proxy) = start(Pool::ApiKey);
    let picture = google.base();
    for url in [&format!("{picture}/x.png"), "http://169.254.169.254/latest/meta-data", "http://[::1]/x.png"] {
        let body = json!({"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": [
            {"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": url}}]}]});
        let answer = post(&proxy, &body);
        assert_eq!(answer.status, 400, "{url}: {}", answer.text());
        let document = answer.json();
        assert_eq!(error(&document)["code"], "invalid_image_url", "{url}");
        assert_eq!(error(&document)["param"], "messages[0].content[1].image_url.url", "{url}");
    }
    assert!(google.requests().iter().all(|request| !request.path.contains("x.png")), "nobody was asked for a picture");
}

#[test]
fn a_stalled_google_is_a_504() {
    let google = FakeGoogle::start();
    let proxy = start_with(&google, |config| config["request_timeouts"] = json!({"read": 0.3}));
    google.always(GEMINI_KEY, Step::hang());
    let answer = post(&proxy, &hello(false));
    assert_eq!((answer.status, error(&answer.json())["code"].as_str()), (504, Some("timeout")), "{}", answer.text());
}
