//! Google's own tools beside the client's functions: both are sent where both are taken, what Google's tools did comes back
//! in the history though no client keeps it, and where it cannot be done the client is told.

use crate::common::google::{FakeGoogle, Step, User};
use crate::common::http::ask;
use crate::common::proxy::{EMAIL, GEMINI_KEY, Pool, Proxy};
use serde_json::{Value, json};

const THREE: &str = "gemini-3.1-pro-preview";
const NOTICE: &str = "x-proxy-notice";

/// A function for each dialect, and a search.
fn tools(route: &str) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    match route {
        "/v1/chat/completions" => json!([
            {"type": "function", "function": {"name": "find", "parameters": schema}}, {"google_search": {}}]),
        "/v1/responses" => json!([{"type": "function", "name": "find", "parameters": schema}, {"type": "web_search"}]),
        _ => json!([{"name": "find", "input_schema": schema}, {"type": "web_search_20250305", "name": "web_search"}]),
    }
}

fn body(route: &str, model: &str, messages: Value, stream: bool) -> Value {
    let history = if route == "/v1/responses" { "input" } else { "messages" };
    json!({"model": model, "max_tokens": 9000, "stream": stream, "tools": tools(route), (history): messages})
}

/// The call of an answer and the same call as a client says it again, from nothing but the fields it knows.
fn call(route: &str, answer: &Value) -> (String, Value) {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    match route {
        "/v1/chat/completions" => {
            let call = &answer["choices"][0]["message"]["tool_calls"][0];
            let again = json!({"role": "assistant", "content": null,
                "tool_calls": [{"id": call["id"], "type": "function", "function": call["function"]}]});
            (text(&call["id"]), again)
        }
        "/v1/responses" => {
            let output = answer["output"].as_array().unwrap();
            let call = output.iter().find(|item| item["type"] == "function_call").unwrap();
            let again = json!({"type": "function_call", "call_id": call["call_id"], "name": call["name"],
                "arguments": call["arguments"]});
            (text(&call["call_id"]), again)
        }
        _ => {
            let call = answer["content"].as_array().unwrap().iter().find(|block| block["type"] == "tool_use").unwrap();
            let again = json!({"role": "assistant", "content": [
                {"type": "tool_use", "id": call["id"], "name": call["name"], "input": call["input"]}]});
            (text(&call["id"]), again)
        }
    }
}

fn result(route: &str, id: &str) -> Value {
    match route {
        "/v1/chat/completions" => json!({"role": "tool", "tool_call_id": id, "content": "sunny"}),
        "/v1/responses" => json!({"type": "function_call_output", "call_id": id, "output": "sunny"}),
        _ => json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "sunny"}]}),
    }
}

const ROUTES: [&str; 3] = ["/v1/chat/completions", "/v1/responses", "/v1/messages"];

/// The parts of Google's tools among the contents, in their order.
fn invoked(request: &Value) -> Vec<Value> {
    let contents = request["contents"].as_array().unwrap().iter();
    let parts = contents.flat_map(|content| content["parts"].as_array().unwrap());
    parts.filter(|part| part.get("toolCall").or(part.get("toolResponse")).is_some()).cloned().collect()
}

#[test]
fn what_google_searched_comes_back_before_its_call() {
    for route in ROUTES {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, Pool::ApiKey);
        let question = json!({"role": "user", "content": "call:find {\"city\": \"Oslo\"}"});
        let first =
            ask(&proxy, "POST", route, &[], body(route, THREE, json!([question]), false).to_string().as_bytes());
        assert_eq!(first.status, 200, "{route}: {}", first.text());
        let request = &google.generations()[0].body;
        assert_eq!(request["tools"].as_array().unwrap().len(), 2, "{request}");
        assert_eq!(request["tools"][1], json!({"googleSearch": {}}));
        assert_eq!(request["toolConfig"]["includeServerSideToolInvocations"], true);
        assert_eq!(request["toolConfig"]["functionCallingConfig"]["mode"], "VALIDATED");

        let (id, again) = call(route, &first.json());
        let history = json!([question, again, result(route, &id)]);
        let second = ask(&proxy, "POST", route, &[], body(route, THREE, history, false).to_string().as_bytes());
        assert_eq!(second.status, 200, "{route}: {}", second.text());
        let request = &google.generations()[1].body;
        let parts = request["contents"][1]["parts"].as_array().unwrap();
        let kinds: Vec<bool> = parts.iter().map(|part| part.get("functionCall").is_some()).collect();
        assert_eq!(kinds, [false, false, true], "{route}: {request}");
        assert!(invoked(request).iter().all(|part| part["thoughtSignature"].is_string()), "{request}");
        assert_eq!(invoked(request)[1]["toolResponse"]["toolType"], "GOOGLE_SEARCH_WEB");
    }
}

#[test]
fn what_google_searched_for_a_text_comes_back_before_it() {
    for stream in [false, true] {
        let google = FakeGoogle::start();
        let proxy = Proxy::with_pool(&google, Pool::ApiKey);
        let route = ROUTES[0];
        let question = json!({"role": "user", "content": "news?"});
        let first =
            ask(&proxy, "POST", route, &[], body(route, THREE, json!([question]), stream).to_string().as_bytes());
        assert_eq!(first.status, 200, "{}", first.text());
        // Clients trim what they show.
        let said = json!({"role": "assistant", "content": "You said: news?\n"});
        let history = json!([question, said, {"role": "user", "content": "and today's?"}]);
        ask(&proxy, "POST", route, &[], body(route, THREE, history, stream).to_string().as_bytes());
        let request = &google.generations()[1].body;
        assert_eq!(invoked(request).len(), 2, "{request}");
        assert!(request["contents"][1]["parts"][2]["text"].is_string(), "{request}");

        // The same words to another question are another answer.
        let other = json!({"role": "user", "content": "weather?"});
        let history = json!([other, said, {"role": "user", "content": "and today's?"}]);
        ask(&proxy, "POST", route, &[], body(route, THREE, history, stream).to_string().as_bytes());
        assert!(invoked(&google.generations()[2].body).is_empty());

        // Another key's memory is its own, and so is another family's of models.
        let history = json!([question, said, {"role": "user", "content": "and today's?"}]);
        ask(&proxy, "POST", route, &[], body(route, "gemini-3.6-flash", history, stream).to_string().as_bytes());
        assert!(invoked(&google.generations()[3].body).is_empty());
    }
}

#[test]
fn where_both_are_not_taken_the_client_is_told() {
    for route in ROUTES {
        for stream in [false, true] {
            for (pool, model) in [(Pool::Oauth, THREE), (Pool::ApiKey, "gemini-2.5-flash")] {
                let google = FakeGoogle::start();
                let proxy = Proxy::with_pool(&google, pool);
                let body = body(route, model, json!([{"role": "user", "content": "hi"}]), stream).to_string();
                let answer = ask(&proxy, "POST", route, &[], body.as_bytes());
                assert_eq!(answer.status, 200, "{}", answer.text());
                let notice = answer.header(NOTICE).unwrap_or_else(|| panic!("{route} {model}"));
                assert!(notice.contains("left out") && notice.contains("beside functions"), "{notice}");
                let request = google.generations()[0].body.clone();
                let request = request.get("request").cloned().unwrap_or(request);
                assert_eq!(request["tools"].as_array().unwrap().len(), 1, "{request}");
                assert!(request["tools"][0]["functionDeclarations"].is_array(), "{request}");
                assert!(request["toolConfig"].get("includeServerSideToolInvocations").is_none(), "{request}");
            }
        }
    }
}

#[test]
fn an_api_key_is_asked_before_logins_that_cannot_search_beside_functions() {
    let google = FakeGoogle::start();
    google.add_api_key(GEMINI_KEY);
    google.add_user(User::licensed(EMAIL, "project-1"));
    let credential = google.oauth_credential(EMAIL);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        std::fs::write(config["credentials_file"].as_str().unwrap(), credential.to_string()).unwrap();
    });
    let ask = || {
        let body = body(ROUTES[0], THREE, json!([{"role": "user", "content": "hi"}]), false).to_string();
        ask(&proxy, "POST", ROUTES[0], &[], body.as_bytes())
    };
    for _ in 0..3 {
        assert_eq!(ask().header(NOTICE), None);
    }
    assert!(google.generations().iter().all(|generation| generation.path.starts_with("/v1beta/")));
    // When the key is at its limit, an answer without search is better than none.
    google.always(GEMINI_KEY, Step::status(429, "Quota exceeded."));
    let answer = ask();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header(NOTICE).is_some());
}

#[test]
fn what_of_googles_fields_cannot_be_passed_on_is_told() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    for route in ROUTES {
        let mut body = body(route, THREE, json!([{"role": "user", "content": "hi"}]), false);
        body["extra_body"] = json!({"mine": 1, "google": {"labels": {"a": "b"}, "media_resolution": "low"}});
        let answer = ask(&proxy, "POST", route, &[], body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let notice = answer.header(NOTICE).unwrap_or_else(|| panic!("{route}"));
        assert!(notice.starts_with("labels "), "{notice}");
        body["extra_body"] = json!({"google": {"tool_config": {"function_calling_config": {"mode": "ANY"}}}});
        let answer = ask(&proxy, "POST", route, &[], body.to_string().as_bytes());
        let notice = answer.header(NOTICE).unwrap_or_else(|| panic!("{route}"));
        assert!(notice.starts_with("tool_config.function_calling_config "), "{notice}");
        let first = google.generations().len() - 2;
        let config = google.generations()[first].body["generationConfig"].clone();
        assert_eq!(config["mediaResolution"], "MEDIA_RESOLUTION_LOW", "{route}: {config}");
    }
}

#[test]
fn what_only_openai_or_anthropic_could_do_is_told_by_its_name() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let hi = json!([{"role": "user", "content": "hi"}]);
    let function = json!({"type": "function", "name": "f"});
    for (route, given, told) in [
        (
            "/v1/responses",
            json!({"tools": [function, {"type": "mcp", "server_label": "s"}]}),
            Some("tool mcp was left out"),
        ),
        ("/v1/responses", json!({"tools": [{"type": "mcp", "name": "x"}]}), Some("tool mcp was left out")),
        ("/v1/responses", json!({"tools": [{"type": "image_generation"}]}), Some("tool image_generation was left out")),
        (
            "/v1/responses",
            json!({"tools": [{"type": "computer_use_preview"}]}),
            Some("computer_use_preview was left out"),
        ),
        (
            "/v1/responses",
            json!({"tools": [function], "tool_choice": {"type": "mcp", "name": "x"}}),
            Some("no tool mcp"),
        ),
        (
            "/v1/responses",
            json!({"tools": [function], "tool_choice": {"type": "file_search"}}),
            Some("no tool file_search"),
        ),
        ("/v1/responses", json!({"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}}), None),
        (
            "/v1/responses",
            json!({"context_management": [{"type": "compaction"}]}),
            Some("context_management was left out"),
        ),
        ("/v1/responses", json!({"context_management": [], "moderation": null, "client_metadata": {"a": "b"}}), None),
        (
            "/v1/messages",
            json!({"tools": [{"type": "computer_20250124", "name": "computer"}]}),
            Some("computer_20250124"),
        ),
        (
            "/v1/messages",
            json!({"tools": [{"type": "tool_search_tool_regex_20251119", "name": "t"}]}),
            Some("tool_search"),
        ),
        ("/v1/messages", json!({"tools": [{"type": "mcp_toolset", "mcp_server_name": "s"}]}), Some("tool mcp_toolset")),
        ("/v1/messages", json!({"tools": [{"type": "bash_20250124", "name": "bash"}]}), None),
        (
            "/v1/messages",
            json!({"mcp_servers": [{"type": "url", "url": "https://x.test"}]}),
            Some("mcp_servers was left out"),
        ),
        ("/v1/messages", json!({"container": {"skills": [{"skill_id": "pdf"}]}}), Some("container was left out")),
        (
            "/v1/messages",
            json!({"context_management": {"edits": [{"type": "compact_20260112"}]}}),
            Some("context_management"),
        ),
        ("/v1/messages", json!({"context_management": {"edits": [{"type": "clear_thinking_20251015"}]}}), None),
    ] {
        let mut body = json!({"model": THREE, "max_tokens": 99});
        body[if route == "/v1/messages" { "messages" } else { "input" }] = hi.clone();
        body.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        let answer = ask(&proxy, "POST", route, &[], body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{given}: {}", answer.text());
        match (told, answer.header(NOTICE)) {
            (Some(told), Some(notice)) => assert!(notice.contains(told), "{given}: {notice}"),
            (told, notice) => assert_eq!(told, notice, "{given}"),
        }
    }
}

#[test]
fn notices_are_few_and_short_and_break_no_header() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let mut tools: Vec<Value> = (0..2_000).map(|number| json!({"type": format!("tool_{number}")})).collect();
    let odd = "x\r\nSet-Cookie: a=b\u{e9}".repeat(100);
    tools.insert(0, json!({"type": "web_search", (odd.clone()): 1}));
    let body =
        json!({"model": THREE, "tools": tools, "google": {(odd): 1}, "messages": [{"role": "user", "content": "hi"}]});
    let answer = ask(&proxy, "POST", ROUTES[0], &[], body.to_string().as_bytes());
    assert_eq!((answer.status, answer.header("set-cookie")), (200, None), "{}", answer.text());
    let notices: Vec<&str> =
        answer.headers.iter().filter(|(name, _)| name == NOTICE).map(|(_, value)| value.as_str()).collect();
    assert_eq!(notices.len(), 8);
    assert!(notices.iter().all(|notice| notice.len() <= 300 && notice.is_ascii()), "{notices:?}");
}
