//! Every row of docs/fields.md, cell by cell: what passes the native route is the same behind it on every service, what is mapped
//! has the value that a case says, what is refused is told by name, and what is left out is in no answer.

use crate::common::google::{FakeGoogle, Step};
use crate::common::http::ask;
use crate::common::proxy::{EMAIL, GEMINI_KEY, Pool, Proxy};
use crate::common::translation::{World, answer, at, differs};
use gemini_openai_proxy::api::Surface;
use gemini_openai_proxy::api::anthropic_messages::AnthropicMessages;
use gemini_openai_proxy::api::openai_chat::OpenAiChat;
use gemini_openai_proxy::api::openai_responses::{OpenAiResponses, Store, Task};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

const PAGE: &str = include_str!("../docs/fields.md");
const MODEL: &str = "gemini-3.5-flash";
static MESSAGES: AnthropicMessages = AnthropicMessages { id: String::new() };

static RESPONSES: LazyLock<OpenAiResponses> =
    LazyLock::new(|| OpenAiResponses { store: Arc::new(Store::new(0)), task: Task::Answer });

/// The columns behind the native one.
const DIALECTS: [&str; 3] = ["chat", "responses", "messages"];

fn surface(dialect: &str) -> &'static (dyn Surface + Send) {
    match dialect {
        "chat" => &OpenAiChat,
        "responses" => &*RESPONSES,
        _ => &MESSAGES,
    }
}

/// A question of this dialect with more fields.
fn question(dialect: &str, more: &Value) -> Value {
    let mut body = match dialect {
        "responses" => json!({"model": "gemini-2.5-flash", "input": "x"}),
        _ => json!({"model": "gemini-2.5-flash", "max_tokens": 5000, "messages": [{"role": "user", "content": "x"}]}),
    };
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn native_cases() -> Vec<Value> {
    lines(include_str!("fixtures/fields/native.jsonl"))
}

fn dialect_cases() -> Vec<Value> {
    lines(include_str!("fixtures/fields/dialects.jsonl"))
}

/// A field of a table, and what its cells say in their order: native and each dialect.
struct Row {
    table: &'static str,
    field: &'static str,
    cells: [&'static str; 4],
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for section in PAGE.split("\n## ").skip(1) {
        let table = section.lines().next().unwrap();
        for line in section.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [fields, native, chat, responses, messages] = cells[..] else { panic!("{line}") };
            let named = fields.split('`').skip(1).step_by(2);
            rows.extend(named.map(|field| Row { table, field, cells: [native, chat, responses, messages] }));
        }
    }
    assert!(rows.len() > 80, "{} rows", rows.len());
    rows
}

fn names(case: &Value) -> String {
    let text = |name: &str| case[name].as_str().unwrap_or("native").to_owned();
    format!("{}.{} {}", text("table"), text("field"), text("dialect"))
}

#[test]
fn every_cell_of_the_page_has_its_case() {
    let cases: BTreeSet<String> = native_cases().iter().chain(&dialect_cases()).map(names).collect();
    let mut wanted = BTreeSet::new();
    for row in rows() {
        for (dialect, cell) in ["native"].iter().chain(&DIALECTS).zip(row.cells) {
            let name = format!("{}.{} {dialect}", row.table, row.field);
            match cell.starts_with("passed") || cell.starts_with("mapped") {
                true => _ = wanted.insert(name),
                false => assert!(!cases.contains(&name), "{name} is {cell}"),
            }
        }
    }
    assert_eq!(cases, wanted);
}

fn said(text: &str) -> Value {
    json!({"content": {"role": "model", "parts": [{ "text": text }]}, "finishReason": "STOP"})
}

/// A proxy before each service, and who it is that the fake knows there.
fn services(google: &FakeGoogle) -> Vec<(&'static str, Proxy, &'static str)> {
    let mut services = vec![
        ("public", Proxy::with_pool(google, Pool::ApiKey), GEMINI_KEY),
        ("code_assist", Proxy::with_pool(google, Pool::Oauth), EMAIL),
    ];
    if cfg!(feature = "vertex") {
        const ROBOT: &str = "robot@project-v.iam.gserviceaccount.com";
        let account = google.add_service_account(ROBOT, "project-v");
        let vertex = Proxy::start(google, |config| {
            let file = config["credentials_file"].as_str().expect("a path").to_owned();
            std::fs::write(file, json!([account]).to_string()).expect("the credentials file");
        });
        services.push(("vertex", vertex, ROBOT));
    }
    services
}

/// Both ways of asking where it costs least.
fn methods(service: &str) -> &'static [&'static str] {
    let both = &["generateContent", "streamGenerateContent?alt=sse"];
    if service == "public" { both } else { &both[..1] }
}

/// What of a request reaches Google, whatever it answers; the fake refuses what Google does.
#[test]
fn every_field_of_a_request_passes_the_native_route_untouched() {
    let google = FakeGoogle::start();
    let mut wrong = Vec::new();
    for (service, proxy, _) in services(&google) {
        let is_tried = |case: &Value| case["only"].as_str().is_none_or(|only| only.contains(service));
        for case in native_cases().iter().filter(|case| case["request"].is_object() && is_tried(case)) {
            let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
            body.as_object_mut().unwrap().extend(case["request"].as_object().unwrap().clone());
            for method in methods(service) {
                let before = google.generations().len();
                let path = format!("/v1beta/models/{MODEL}:{method}");
                let answer = ask(&proxy, "POST", &path, &[], body.to_string().as_bytes());
                let problem = match google.generations().get(before) {
                    Some(sent) => differs(&case["request"], sent.inner(), "sent"),
                    None => Some(format!("{} {}", answer.status, answer.text())),
                };
                wrong.extend(problem.map(|problem| format!("{} by {service}: {problem}", names(case))));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_field_of_an_answer_passes_the_native_route_untouched() {
    let google = FakeGoogle::start();
    let mut wrong = Vec::new();
    for (service, proxy, who) in services(&google) {
        for case in native_cases().iter().filter(|case| case["answer"].is_object()) {
            let mut said = case["answer"].clone();
            // The fake says these where a script does not.
            for name in ["modelVersion", "responseId", "createTime"] {
                said[name] = json!("the answer's own");
            }
            google.clear_scripts();
            google.always(who, Step::answer(said.clone()));
            for method in methods(service) {
                let path = format!("/v1beta/models/{MODEL}:{method}");
                let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
                let answer = ask(&proxy, "POST", &path, &[], body.to_string().as_bytes()).text();
                let text = answer.split("data: ").nth(1).unwrap_or(&answer);
                let told: Value = serde_json::from_str(text).unwrap_or_default();
                if told != said {
                    wrong.push(format!("{} by {service}: {told} for {said}", names(case)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_mapped_field_has_its_value_in_every_dialect() {
    let mut wrong = Vec::new();
    for case in dialect_cases() {
        let dialect = case["dialect"].as_str().unwrap();
        let mut world = World::new(surface(dialect));
        world.settings.media_resolution = case["settings"]["media_resolution"] == true;
        let problem = if case["in"].is_null() {
            let exchange = world.parse(question(dialect, &case["given"]).to_string()).unwrap();
            match answer(&*exchange, std::slice::from_ref(&case["events"])) {
                Ok(text) => differs(&case["answer"], &serde_json::from_str(&text).unwrap(), "answer"),
                Err(error) => Some(format!("{error:?}")),
            }
        } else {
            match world.parse(case["in"].to_string()) {
                Ok(mut exchange) => {
                    let google = serde_json::to_value(&exchange.call().request).unwrap();
                    let absent = case["absent"].as_array().into_iter().flatten().filter_map(Value::as_str);
                    let there = absent.into_iter().find(|path| !at(&google, path).is_null());
                    let there = there.map(|path| format!("{path} is there"));
                    differs(&case["out"], &google, "request").or(there).or_else(|| {
                        let told = exchange.notices();
                        (!told.is_empty()).then(|| format!("{told:?}"))
                    })
                }
                Err(error) => Some(format!("{error:?}")),
            }
        };
        wrong.extend(problem.map(|problem| format!("{}: {problem}", names(&case))));
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), dialect_cases().len(), wrong.join("\n"));
}

#[test]
fn every_refused_field_is_told_by_its_name() {
    let mut told = 0;
    for row in rows() {
        for (dialect, cell) in DIALECTS.iter().zip(&row.cells[1..]).filter(|(_, cell)| cell.starts_with("refused")) {
            for name in [row.field.to_owned(), camel(row.field)] {
                let body = question(dialect, &json!({"extra_body": {"google": {&name: {"a": "b"}}}}));
                let exchange = World::new(surface(dialect)).parse(body.to_string()).unwrap();
                let notices = exchange.notices();
                assert!(
                    notices.iter().any(|notice| notice.starts_with(&format!("{name} among Google's extensions"))),
                    "{dialect} {name} ({cell}): {notices:?}"
                );
                told += 1;
            }
        }
    }
    assert!(told > 20, "{told} were told");
}

/// The words are in the answer's fields by name or by value; the text beside them is there.
#[test]
fn what_is_left_out_is_in_no_answer() {
    for row in rows().iter().filter(|row| row.table != "GenerateContentConfig") {
        for (dialect, _) in DIALECTS.iter().zip(&row.cells[1..]).filter(|(_, cell)| cell.starts_with("left out")) {
            let natives = native_cases();
            let is_it = |case: &&Value| case["table"] == row.table && case["field"] == row.field;
            let case = natives.iter().find(is_it).expect("a native case");
            let body = question(dialect, &json!({}));
            let exchange = World::new(surface(dialect)).parse(body.to_string()).unwrap();
            let events = json!([case["answer"], {"candidates": [said("The end.")]}]);
            let text = answer(&*exchange, &[events]).unwrap();
            assert!(text.contains("The end."), "{text}");
            let name = camel(row.field);
            assert!(!text.contains(&name) && !text.contains(&format!("\"{}\"", row.field)), "{dialect} {name}: {text}");
        }
    }
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap().to_owned();
    first + &words.map(|word| word[..1].to_uppercase() + &word[1..]).collect::<String>()
}

/// Google says what ran beside the counts, or in the head of the answer alone; its SDKs show their users the head.
#[test]
fn the_tier_that_ran_is_told_where_only_the_head_of_googles_answer_has_it() {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    let native = format!("/v1beta/models/{MODEL}");
    let contents = json!([{"role": "user", "parts": [{"text": "x"}]}]);
    let cases = [
        ("/v1/chat/completions".into(), json!({"service_tier": "flex"}), "\"service_tier\":\"priority\""),
        (
            "/v1/chat/completions".into(),
            json!({"service_tier": "flex", "stream": true}),
            "\"service_tier\":\"priority\"",
        ),
        ("/v1/responses".into(), json!({"input": "x"}), "\"service_tier\":\"priority\""),
        ("/v1/messages".into(), json!({}), "\"service_tier\":\"priority\""),
        (format!("{native}:generateContent"), json!({"contents": contents}), ""),
        (format!("{native}:streamGenerateContent?alt=sse"), json!({"contents": contents}), ""),
    ];
    for (path, more, expected) in cases {
        // The first event has no counts at all.
        let event = |text: &str| json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}]});
        let mut last = event("b");
        last["candidates"][0]["finishReason"] = json!("STOP");
        last["usageMetadata"] = json!({"promptTokenCount": 1, "candidatesTokenCount": 2});
        google.script(GEMINI_KEY, Step::stream(vec![event("a"), last]).header("X-Gemini-Service-Tier", "PRIORITY"));
        let mut body = json!({"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": "x"}]});
        match more.get("contents") {
            Some(_) => body = more,
            None => body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone()),
        }
        let answer = ask(&proxy, "POST", &path, &[], body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.header("x-gemini-service-tier"), Some("priority"), "{path}");
        assert!(
            answer.text().contains(expected) && !answer.text().contains("\"default\""),
            "{path}: {}",
            answer.text()
        );
    }
    let answer =
        ask(&proxy, "POST", &format!("{native}:generateContent"), &[], br#"{"contents":[{"parts":[{"text":"x"}]}]}"#);
    assert_eq!(answer.header("x-gemini-service-tier"), None, "Google said nothing of it");
}
