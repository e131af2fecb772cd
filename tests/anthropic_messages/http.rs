//! Anthropic's dialect through the whole program.

use crate::common::client::Client;
use crate::common::google::{FakeGoogle, Step, engine};
use crate::common::http::{Answer, ask};
use crate::common::proxy::{CLIENT_KEY, GEMINI_KEY, Pool, Proxy};
use crate::common::translation::{check, differs, models};
use crate::common::wire;
use gemini_openai_proxy::api::models::anthropic_list;
use serde_json::{Value, json};
use std::io::{Read, Write};

fn post(proxy: &Proxy, path: &str, body: &Value) -> Answer {
    ask(proxy, "POST", path, &[], body.to_string().as_bytes())
}

fn question() -> Value {
    json!({"model": "gemini-3.1-pro-preview", "max_tokens": 1000, "messages": [{"role": "user", "content": "Say hello"}]})
}

#[test]
fn messages_are_served_whole_and_streamed_by_either_service() {
    for pool in Pool::EACH {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, pool);
        let whole = post(&proxy, "/v1/messages?beta=true", &question());
        assert_eq!(whole.status, 200, "{pool:?}: {}", whole.text());
        let id = whole.header("x-request-id").unwrap();
        assert_eq!(whole.header("request-id"), Some(format!("req_{id}").as_str()));
        let message = whole.json();
        assert_eq!(message["content"][0]["text"], "You said: Say hello", "{message}");
        assert_eq!((&message["stop_reason"], &message["role"]), (&json!("end_turn"), &json!("assistant")));
        let mut body = question();
        body["stream"] = json!(true);
        let stream = post(&proxy, "/v1/messages", &body).text();
        assert!(stream.starts_with("event: message_start\ndata: {"), "{stream}");
        assert!(stream.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"), "{stream}");
    }
}

/// Anthropic's limit is 32 MB, and its SDKs send as much.
#[test]
fn a_body_of_the_size_that_anthropic_takes_is_taken() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    for (length, expected) in [(32 << 20, "HTTP/1.1 100 "), ((32 << 20) + 1, "HTTP/1.1 413 ")] {
        let mut socket = wire::connect(proxy.address()).unwrap();
        let head = format!(
            "POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CLIENT_KEY}\r\nContent-Length: {length}\r\n\
             Expect: 100-continue\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).unwrap();
        let mut status = [0; 13];
        socket.read_exact(&mut status).unwrap();
        assert_eq!(String::from_utf8_lossy(&status), expected, "{length}");
    }
}

/// The public API reads tools and instructions; Code Assist does not, and is not asked.
#[test]
fn google_counts_where_the_config_asks_for_it_and_an_api_key_can() {
    for (asked, pool, are_googles) in
        [(true, Pool::ApiKey, true), (false, Pool::ApiKey, false), (true, Pool::Oauth, false)]
    {
        let google = FakeGoogle::start();
        let proxy = Proxy::of(&google, pool, |config| config["count_tokens_at_google"] = json!(asked));
        let mut body = question();
        body["system"] = json!("Be brief.");
        body["tools"] = json!([{"name": "f", "input_schema": {"type": "object"}}]);
        let response = json!({"model": "gemini-3.1-pro-preview", "instructions": "Be brief.", "input": "Say hello",
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}]});
        for (path, body) in [("/v1/messages/count_tokens", &body), ("/v1/responses/input_tokens", &response)] {
            let counted = post(&proxy, path, body).json()["input_tokens"].as_u64().expect("a number");
            let requests = google.requests();
            let sent = requests.iter().rfind(|sent| sent.path.contains("countTokens"));
            assert_eq!(sent.is_some(), are_googles, "{path}");
            let Some(sent) = sent else { continue };
            let request = &sent.body["generateContentRequest"];
            assert_eq!(request["systemInstruction"]["parts"][0]["text"], "Be brief.", "{path}: {}", sent.body);
            assert_eq!(counted, engine::count_tokens(request), "{path}");
        }
        // Where nobody can be asked, the number is an estimate.
        google.remove_api_key(GEMINI_KEY);
        let estimate = post(&proxy, "/v1/messages/count_tokens", &body).json();
        assert!(estimate["input_tokens"].as_u64().is_some_and(|tokens| tokens > 10), "{estimate}");
        assert!(google.generations().is_empty());
    }
}

#[test]
fn every_failure_on_these_routes_has_anthropics_shape() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let exhausted = || Step::status(429, "Resource has been exhausted (e.g. check quota).");
    for (method, path, headers, body, status, kind) in [
        ("GET", "/v1/messages", &[][..], json!({}), 405, "invalid_request_error"),
        ("POST", "/v1/messages/batches", &[], json!({}), 404, "not_found_error"),
        ("POST", "/v1/messages", &[], json!({"model": "gemini-2.5-pro"}), 400, "invalid_request_error"),
        (
            "POST",
            "/v1/messages",
            &[],
            json!({"model": "gpt-9", "max_tokens": 1, "messages": []}),
            404,
            "not_found_error",
        ),
        ("POST", "/v1/messages/count_tokens", &[], json!({"model": "gemini-2.5-pro"}), 400, "invalid_request_error"),
        ("GET", "/v1/models/nobody", &[("anthropic-version", "2023-06-01")], json!({}), 404, "not_found_error"),
        ("GET", "/v1/files", &[("anthropic-version", "2023-06-01")], json!({}), 404, "not_found_error"),
        ("POST", "/v1/complete", &[("anthropic-version", "2023-06-01")], json!({}), 404, "not_found_error"),
    ] {
        let answer = ask(&proxy, method, path, headers, body.to_string().as_bytes());
        let error = answer.json();
        assert_eq!((answer.status, &error["error"]["type"]), (status, &json!(kind)), "{method} {path}: {error}");
        assert_eq!(error["type"], "error");
        assert_eq!(error["request_id"].as_str(), answer.header("request-id"), "{method} {path}");
        assert!(error["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    }
    let mut stranger = Client::new(proxy.address());
    let wrong = [("x-api-key", "a-key-of-nobody")];
    let answer = stranger.send("POST", "/v1/messages", &wrong, &question().to_string()).unwrap();
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (401, &json!("authentication_error")));
    google.script(GEMINI_KEY, exhausted().on("generateContent"));
    let answer = post(&proxy, "/v1/messages", &question());
    assert_eq!(
        (answer.status, &answer.json()["error"]["type"]),
        (429, &json!("rate_limit_error")),
        "{}",
        answer.text()
    );
}

/// `headers` and `path` where they are not the usual ones, `google` for what the fake does; `out` of a whole answer, `first` and
/// `last` of a stream's events, how often Google was `asked`.
#[test]
fn exchanges_are_what_anthropics_clients_expect() {
    check("anthropic_messages", "exchanges", |case| {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, Pool::ApiKey);
        match (case["google"]["status"].as_u64(), case["google"]["events"].as_array()) {
            (Some(status), _) => {
                let message = case["google"]["message"].as_str().expect("a message");
                google.always(GEMINI_KEY, Step::status(u16::try_from(status).unwrap(), message));
            }
            (None, Some(events)) => google.always(GEMINI_KEY, Step::stream(events.clone())),
            (None, None) => {}
        }
        let own = case["headers"].as_object();
        let headers: Vec<(&str, String)> = own
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap().replace("<key>", CLIENT_KEY)))
            .collect();
        let mut headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if own.is_some() && case["headers"].get("Authorization").is_none() {
            headers.push(("Authorization", ""));
        }
        let path = case["path"].as_str().unwrap_or("/v1/messages");
        let reply = ask(&proxy, "POST", path, &headers, case["in"].to_string().as_bytes());
        let asked = google.generations().len();
        if case["status"] != reply.status || case["asked"].as_u64().is_some_and(|expected| expected != asked as u64) {
            return Err(format!("{}, {asked} asked: {}", reply.status, reply.text()));
        }
        if case.get("out").is_some() {
            let mut body = reply.json();
            if body["input_tokens"].as_u64().is_some_and(|count| count > 0) {
                body["input_tokens"] = json!("<positive>");
            }
            return differs(&case["out"], &body, "body").map_or(Ok(()), Err);
        }
        let events = super::events(&reply.text());
        super::is_well_formed(&events);
        let ends = [("first", &events[0].1), ("last", &events[events.len() - 1].1)];
        let mut told = ends.into_iter().filter_map(|(name, event)| differs(case.get(name)?, event, name));
        told.next().map_or(Ok(()), Err)
    });
}

#[test]
fn tokens_are_counted_without_asking_google() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::Oauth);
    let mut body = question();
    body["tools"] = json!([{"name": "A", "input_schema": {"type": "object"}}]);
    let answer = post(&proxy, "/v1/messages/count_tokens?beta=true", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.json()["input_tokens"].as_u64().is_some_and(|count| count > 5), "{}", answer.text());
    assert_eq!(google.generations().len(), 0);
}

#[test]
fn models_are_listed_and_looked_up_in_anthropics_shape() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let version = [("anthropic-version", "2023-06-01")];
    let list = ask(&proxy, "GET", "/v1/models?limit=1000", &version, b"").json();
    assert_eq!(list["data"][0]["type"], "model", "{list}");
    let one = ask(&proxy, "GET", "/v1/models/gemini-2.5-pro", &version, b"").json();
    assert_eq!((&one["type"], &one["id"]), (&json!("model"), &json!("gemini-2.5-pro")), "{one}");
}

#[test]
fn a_thread_begins_and_who_goes_on_from_one_is_told_to_send_all() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let mut body = question();
    body["thread"] = json!({"type": "create"});
    let begun = post(&proxy, "/v1/messages", &body);
    assert_eq!(begun.status, 200, "{}", begun.text());
    for stream in [false, true] {
        body["stream"] = json!(stream);
        body["thread"] = json!({"type": "continue", "previous_message_id": begun.json()["id"]});
        let answer = post(&proxy, "/v1/messages", &body);
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status, &error["type"]), (404, &json!("not_found_error")), "{error}");
        assert_eq!(error["details"], json!({"error_code": "thread_not_found"}), "what the SDKs act on");
        assert!(error["message"].as_str().unwrap().contains("send the whole conversation"), "{error}");
    }
    assert_eq!(google.generations().len(), 1, "Google is not asked half of a conversation");
}

#[test]
fn models_come_in_pages_where_pages_are_asked_for() {
    let table = models();
    let list = |query: &str| {
        let list = anthropic_list(&table, query);
        let ids: Vec<String> =
            list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect();
        let ends = (list["first_id"].as_str(), list["last_id"].as_str());
        assert_eq!(ends, (ids.first().map(String::as_str), ids.last().map(String::as_str)));
        (ids, list["has_more"].as_bool().unwrap())
    };
    let (all, more) = list("");
    assert!(!more && all.len() > 10);
    assert_eq!(list("limit=1000"), (all.clone(), false));
    let (mut paged, mut query) = (Vec::new(), "limit=7".to_owned());
    while let (ids, true) = list(&query) {
        assert_eq!(ids.len(), 7);
        query = format!("limit=7&after_id={}", ids[6]);
        paged.extend(ids);
    }
    paged.extend(list(&query).0);
    assert_eq!(paged, all);
    assert_eq!(list(&format!("limit=2&before_id={}", all[5])), (all[3..5].to_vec(), true));
    assert_eq!(list(&format!("after_id={}", all[all.len() - 1])), (vec![], false));
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let answer = ask(&proxy, "GET", "/v1/models?limit=2", &[("anthropic-version", "2023-06-01")], b"").json();
    assert_eq!((answer["data"].as_array().map(Vec::len), &answer["has_more"]), (Some(2), &json!(true)));
}

#[test]
fn what_is_left_out_is_told_in_a_header() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    for stream in [false, true] {
        let content = json!([{"type": "text", "text": "Hi"}, {"type": "hologram\r\nX-Evil: 1\u{e9}"}]);
        let mut body = question();
        (body["stream"], body["messages"][0]["content"]) = (json!(stream), content);
        let answer = post(&proxy, "/v1/messages", &body);
        assert_eq!((answer.status, answer.header("x-evil")), (200, None));
        let notice = answer.header("x-proxy-notice").unwrap_or_else(|| panic!("{:?}", answer.headers));
        assert!(notice.starts_with("messages.0.content.1 was left out: its type hologram"), "{notice}");
    }
}
