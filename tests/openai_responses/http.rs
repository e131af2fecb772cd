//! The Responses dialect through the whole program.

use super::{events, is_well_formed};
use crate::common::google::FakeGoogle;
use crate::common::http::{Answer, ask};
use crate::common::proxy::{Pool, Proxy};
use serde_json::{Value, json};

fn post(proxy: &Proxy, path: &str, body: &Value) -> Answer {
    ask(proxy, "POST", path, &[], body.to_string().as_bytes())
}

#[test]
fn responses_are_served_whole_and_streamed_by_either_service() {
    for pool in Pool::EACH {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, pool);
        let mut body = json!({"model": "gemini-3.1-pro-preview", "input": "Say hello"});
        let whole = post(&proxy, "/v1/responses", &body);
        assert_eq!(whole.status, 200, "{pool:?}: {}", whole.text());
        let response = whole.json();
        assert_eq!(response["output"][0]["content"][0]["text"], "You said: Say hello", "{response}");
        assert_eq!((&response["status"], &response["object"]), (&json!("completed"), &json!("response")));
        body["stream"] = json!(true);
        let stream = post(&proxy, "/v1/responses", &body).text();
        let response = is_well_formed(&events(&stream));
        assert_eq!(response["output"][0]["content"][0]["text"], "You said: Say hello", "{response}");
    }
}

#[test]
fn failures_have_openais_shape() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let hi = json!({"model": "gemini-2.5-flash", "input": "q"});
    let previous = json!({"model": "gemini-2.5-flash", "input": "q", "previous_response_id": "resp_x"});
    for (method, path, headers, body, status, code) in [
        ("GET", "/v1/responses", &[][..], &hi, 405, "method_not_allowed"),
        ("GET", "/v1/responses", &[("upgrade", "websocket")], &hi, 426, "upgrade_required"),
        ("POST", "/v1/responses", &[], &previous, 400, "previous_response_not_found"),
        ("POST", "/v1/responses", &[], &json!({"model": "gpt-9", "input": "q"}), 404, "model_not_found"),
    ] {
        let answer = ask(&proxy, method, path, headers, body.to_string().as_bytes());
        let error = answer.json();
        assert_eq!((answer.status, &error["error"]["code"]), (status, &json!(code)), "{method} {path}: {error}");
    }
}
