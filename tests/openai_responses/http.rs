//! The Responses dialect through the whole program.

use super::{events, is_well_formed};
use crate::common::google::{FakeGoogle, Step};
use crate::common::http::{Answer, ask};
use crate::common::proxy::{CLIENT_KEY, GEMINI_KEY, Pool, Proxy};
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
    let odd = json!({"model": "gemini-2.5-flash", "input": [{"type": 5}]});
    for (method, path, headers, body, status, code) in [
        ("POST", "/v1/responses", &[][..], &odd, 400, "missing_required_parameter"),
        ("GET", "/v1/responses", &[], &hi, 405, "method_not_allowed"),
        ("GET", "/v1/responses", &[("upgrade", "websocket")], &hi, 426, "upgrade_required"),
        ("POST", "/v1/responses", &[], &previous, 400, "previous_response_not_found"),
        ("POST", "/v1/responses", &[], &json!({"model": "gpt-9", "input": "q"}), 404, "model_not_found"),
    ] {
        let answer = ask(&proxy, method, path, headers, body.to_string().as_bytes());
        let error = answer.json();
        assert_eq!((answer.status, &error["error"]["code"]), (status, &json!(code)), "{method} {path}: {error}");
        assert_eq!(answer.header("upgrade"), (status == 426).then_some("HTTP/1.1"), "{method} {path}");
    }
    // Google's own words, as in a `response.failed`.
    google.always(GEMINI_KEY, Step::status(503, "overloaded"));
    let error = ask(&proxy, "POST", "/v1/responses", &[], hi.to_string().as_bytes()).json();
    assert_eq!(error["error"]["message"], "overloaded", "{error}");
}

/// What a conversation over three requests looks like to the last one.
#[test]
fn a_conversation_goes_on_from_a_response_by_its_id() {
    for pool in Pool::EACH {
        for (model, streams) in
            [("gemini-2.5-flash", false), ("gemini-3-flash-preview", false), ("gemini-3.1-pro-preview", true)]
        {
            let google = FakeGoogle::start();
            let proxy = Proxy::with_pool(&google, pool);
            let tools = json!([{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}}]);
            let say = |input: Value, previous: Option<&Value>| {
                let body = json!({"model": model, "input": input, "tools": tools, "instructions": "Be brief.",
                    "stream": streams, "previous_response_id": previous.map(|response| response["id"].clone())});
                let answer = post(&proxy, "/v1/responses", &body);
                assert_eq!(answer.status, 200, "{}", answer.text());
                if streams { is_well_formed(&events(&answer.text())) } else { answer.json() }
            };
            let first = say(json!("call:f{\"n\":1} call:f{\"n\":2}"), None);
            assert_eq!(first["store"], true, "{first}");
            let calls: Vec<&Value> =
                first["output"].as_array().unwrap().iter().filter(|item| item["type"] == "function_call").collect();
            assert_eq!(calls.len(), 2, "{first}");
            let results = calls
                .iter()
                .map(|call| json!({"type": "function_call_output", "call_id": call["call_id"], "output": "7"}));
            let second = say(results.collect(), Some(&first));
            let third = say(json!("and now?"), Some(&second));
            assert_eq!(third["previous_response_id"], second["id"]);
            let bodies: Vec<Value> = google.generations().into_iter().map(|generation| generation.body).collect();
            let request = |body: &Value| body.get("request").unwrap_or(body).clone();
            let [one, two, three] = &bodies.iter().map(request).collect::<Vec<_>>()[..] else {
                panic!("three, asked once each")
            };
            let contents = |request: &Value| request["contents"].as_array().unwrap().clone();
            assert_eq!(contents(two)[..1], contents(one)[..], "{pool:?} {model}");
            assert_eq!(contents(three)[..3], contents(two)[..], "{pool:?} {model}");
            assert_eq!(contents(three).len(), 5);
            assert_eq!(one["systemInstruction"], three["systemInstruction"]);

            let path = format!("/v1/responses/{}", second["id"].as_str().unwrap());
            let kept = ask(&proxy, "GET", &path, &[], b"").json();
            assert_eq!((&kept["output"], &kept["tools"]), (&second["output"], &tools), "{kept}");
            let items = ask(&proxy, "GET", &format!("{path}/input_items?order=asc"), &[], b"").json();
            let kinds: Vec<&str> =
                items["data"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
            let outputs = kinds.iter().filter(|kind| **kind == "function_call_output").count();
            assert_eq!((kinds[0], outputs, kinds.last()), ("message", 2, Some(&"function_call_output")), "{items}");
            assert!(items["data"].as_array().unwrap().iter().all(|item| item["id"].is_string()), "{items}");
        }
    }
}

#[test]
fn items_are_referred_to_by_their_id() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let tools = json!([{"type": "function", "name": "f"}]);
    let question = json!({"role": "user", "content": "call:f{}"});
    let first =
        post(&proxy, "/v1/responses", &json!({"model": "gemini-3-flash-preview", "input": [question], "tools": tools}))
            .json();
    let call = first["output"].as_array().unwrap().iter().find(|item| item["type"] == "function_call").expect("a call");
    let asked =
        ask(&proxy, "GET", &format!("/v1/responses/{}/input_items", first["id"].as_str().unwrap()), &[], b"").json();
    let input = json!([{"type": "item_reference", "id": asked["data"][0]["id"]}, {"id": call["id"]},
        {"type": "function_call_output", "call_id": call["call_id"], "output": "7"}]);
    let second =
        post(&proxy, "/v1/responses", &json!({"model": "gemini-3-flash-preview", "input": input, "tools": tools}));
    assert_eq!(second.status, 200, "{}", second.text());
    let generations = google.generations();
    let contents = |at: usize| generations[at].body["contents"].as_array().unwrap();
    assert_eq!((contents(1)[0].clone(), contents(1).len()), (contents(0)[0].clone(), 3));
    assert_eq!(generations.len(), 2, "the signature was good");
}

#[test]
fn what_is_kept_belongs_to_its_key_and_can_be_forgotten() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["auth_keys"] = json!([CLIENT_KEY, "sk-another-client"]);
    });
    let other = [("Authorization", "Bearer sk-another-client")];
    let make = |body: Value| post(&proxy, "/v1/responses", &body).json();
    let kept = make(json!({"model": "gemini-2.5-flash", "input": "hi", "metadata": {"a": "b"}}));
    let unkept = make(json!({"model": "gemini-2.5-flash", "input": "hi", "store": false}));
    assert_eq!(unkept["store"], false);
    let path = |response: &Value| format!("/v1/responses/{}", response["id"].as_str().unwrap());
    let next = |response: &Value| {
        json!({"model": "gemini-2.5-flash", "input": "q", "previous_response_id": response["id"]}).to_string()
    };
    for (method, target, headers, body, status, code) in [
        ("GET", path(&kept), &[][..], String::new(), 200, Value::Null),
        ("GET", path(&kept), &other, String::new(), 404, json!("not_found")),
        ("DELETE", path(&kept), &other, String::new(), 404, json!("not_found")),
        ("GET", path(&kept) + "/input_items", &other, String::new(), 404, json!("not_found")),
        ("POST", "/v1/responses".into(), &other, next(&kept), 400, json!("previous_response_not_found")),
        ("GET", path(&unkept), &[], String::new(), 404, json!("not_found")),
        ("POST", "/v1/responses".into(), &[], next(&unkept), 400, json!("previous_response_not_found")),
        ("GET", path(&kept) + "?stream=true", &[], String::new(), 400, json!("unsupported_value")),
        ("GET", path(&kept) + "/input_items?limit=0", &[], String::new(), 400, json!("invalid_value")),
        ("GET", path(&kept) + "/input_items?order=up", &[], String::new(), 400, json!("invalid_value")),
        ("GET", path(&kept) + "/input_items?after=msg_x", &[], String::new(), 400, json!("invalid_value")),
        ("POST", path(&kept) + "/cancel", &[], String::new(), 400, Value::Null),
        ("POST", path(&unkept) + "/cancel", &[], String::new(), 404, json!("not_found")),
        ("POST", path(&kept), &[], String::new(), 405, json!("method_not_allowed")),
        ("POST", "/v1/responses".into(), &[], next(&kept), 200, Value::Null),
        ("DELETE", path(&kept), &[], String::new(), 200, Value::Null),
        ("DELETE", path(&kept), &[], String::new(), 404, json!("not_found")),
        ("GET", path(&kept), &[], String::new(), 404, json!("not_found")),
    ] {
        let answer = ask(&proxy, method, &target, headers, body.as_bytes());
        let found = answer.json();
        assert_eq!((answer.status, &found["error"]["code"]), (status, &code), "{method} {target}: {found}");
        if answer.status == 200 && method == "DELETE" {
            assert_eq!(found, json!({"id": kept["id"], "object": "response", "deleted": true}));
        }
    }
}

#[test]
fn items_of_the_input_come_in_pages() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let input: Vec<Value> = (0..5).map(|number| json!({"role": "user", "content": number.to_string()})).collect();
    let response = post(&proxy, "/v1/responses", &json!({"model": "gemini-2.5-flash", "input": input})).json();
    let path = format!("/v1/responses/{}/input_items", response["id"].as_str().unwrap());
    let page = |query: &str| ask(&proxy, "GET", &format!("{path}?{query}"), &[], b"").json();
    let texts = |page: &Value| -> String {
        page["data"].as_array().unwrap().iter().map(|item| item["content"][0]["text"].as_str().unwrap()).collect()
    };
    let newest = page("limit=2");
    assert_eq!((texts(&newest).as_str(), &newest["has_more"]), ("43", &json!(true)), "{newest}");
    assert_eq!((&newest["first_id"], &newest["last_id"]), (&newest["data"][0]["id"], &newest["data"][1]["id"]));
    let after = newest["last_id"].as_str().unwrap();
    let rest = page(&format!("limit=10&after={after}"));
    assert_eq!((texts(&rest).as_str(), &rest["has_more"]), ("210", &json!(false)));
    assert_eq!(texts(&page("order=asc")), "01234");
}

#[test]
fn nothing_is_kept_where_the_config_says_so() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["responses"] = json!({"store_mb": 0});
    });
    let response = post(&proxy, "/v1/responses", &json!({"model": "gemini-2.5-flash", "input": "hi"})).json();
    assert_eq!(response["store"], false);
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    assert_eq!(ask(&proxy, "GET", &path, &[], b"").status, 404);
}

#[test]
fn a_response_that_failed_does_not_say_that_it_is_kept() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    google.always(
        GEMINI_KEY,
        Step::stream(vec![json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "One"}]}}]})]),
    );
    let body = json!({"model": "gemini-2.5-flash", "input": "q", "stream": true});
    let failed = is_well_formed(&events(&post(&proxy, "/v1/responses", &body).text()));
    assert_eq!((&failed["status"], &failed["store"]), (&json!("failed"), &json!(false)), "{failed}");
    let path = format!("/v1/responses/{}", failed["id"].as_str().unwrap());
    assert_eq!(ask(&proxy, "GET", &path, &[], b"").status, 404);
}

#[test]
fn tokens_are_counted_without_google() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let count = |body: Value| {
        let answer = post(&proxy, "/v1/responses/input_tokens", &body).json();
        assert_eq!(answer["object"], "response.input_tokens", "{answer}");
        answer["input_tokens"].as_u64().expect("a number")
    };
    let bare = count(json!({"model": "gemini-2.5-flash", "input": "The quick brown fox jumps over the lazy dog."}));
    assert!((10..20).contains(&bare), "{bare}");
    let more = count(json!({"model": "gemini-2.5-flash", "input": "x", "instructions": "Be brief.",
        "tools": [{"type": "function", "name": "f", "description": "Does something or other."}]}));
    assert!(more > 15, "{more}");
    let picture =
        json!([{"role": "user", "content": [{"type": "input_image", "image_url": "https://img.test/a.png"}]}]);
    assert_eq!(count(json!({"model": "gemini-2.5-flash", "input": picture})), 261);
    assert_eq!(post(&proxy, "/v1/responses/input_tokens", &json!({"model": "gpt-9", "input": "x"})).status, 404);
    assert!(google.generations().is_empty());
}

#[test]
fn a_conversation_is_compacted_by_its_route_or_an_item_and_goes_on_from_the_summary() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let model = "gemini-3-flash-preview";
    let tools = json!([{"type": "function", "name": "f"}]);
    let input = json!([{"role": "user", "content": "Count sheep"}, {"role": "assistant", "content": "One."}]);
    let compacted =
        post(&proxy, "/v1/responses/compact", &json!({"model": model, "input": input, "tools": tools})).json();
    assert_eq!(compacted["object"], "response.compaction", "{compacted}");
    let output = compacted["output"].as_array().unwrap();
    assert_eq!(
        (output.len(), &output[0]["role"], &output[1]["type"]),
        (2, &json!("user"), &json!("compaction")),
        "{compacted}"
    );
    // As the types of OpenAI's SDKs have it, whose users walk through the parts.
    assert_eq!(output[0]["content"], json!([{"type": "input_text", "text": "Count sheep"}]), "{compacted}");
    assert!(output[0]["id"].as_str().is_some_and(|id| id.starts_with("msg_")), "{compacted}");
    assert!(compacted["usage"]["input_tokens"].as_u64() > Some(0), "{compacted}");

    let mut triggered = input.as_array().unwrap().clone();
    triggered.push(json!({"type": "compaction_trigger"}));
    let answer =
        post(&proxy, "/v1/responses", &json!({"model": model, "input": triggered, "tools": tools, "stream": true}));
    assert_eq!(answer.header("x-proxy-notice"), None, "{:?}", answer.headers);
    let stream = answer.text();
    let response = is_well_formed(&events(&stream));
    assert_eq!(
        (response["output"].as_array().unwrap().len(), &response["output"][0]["type"]),
        (1, &json!("compaction")),
        "{response}"
    );
    assert!(google.generations().iter().all(|generation| generation.body.get("tools").is_none()));

    let mut next = output.clone();
    next.push(json!({"role": "user", "content": "go on"}));
    next.push(json!({"type": "compaction", "id": "cmp_x", "encrypted_content": "gAAAA-of-another-vendor"}));
    post(&proxy, "/v1/responses", &json!({"model": model, "input": next}));
    let last = google.generations().last().unwrap().body.to_string();
    assert!(last.contains("replaced by this summary") && last.contains("You said:"), "{last}");
    assert!(!last.contains("gAAAA"), "{last}");
}
