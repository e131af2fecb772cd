//! The rules of docs/gemini-4.md "Rules for Gemini 4", each by its number, through the whole program against the strict fake.
//! More cases of a rule stand in the modules about its matter.

use crate::common::google::script::Step;
use crate::common::google::{FakeGoogle, Outcome};
use crate::common::http::ask;
use crate::common::proxy::{CLIENT_KEY, GEMINI_KEY, Pool, Proxy};
use crate::common::wire;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

const CHAT: &str = "/v1/chat/completions";
const ARGON: &str = "gemini-4-argon";

fn pair() -> (FakeGoogle, Proxy) {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    (google, proxy)
}

/// A chat with more fields; its answer.
fn chat(proxy: &Proxy, model: &str, more: Value) -> Value {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = ask(proxy, "POST", CHAT, &[], body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{model} {more}: {}", answer.text());
    if body["stream"] == true { Value::String(answer.text()) } else { answer.json() }
}

/// A chat whose answer has so many tokens.
fn long(proxy: &Proxy, tokens: usize, limit: usize) -> Value {
    let messages = json!([{"role": "user", "content": format!("long:{tokens}")}]);
    chat(proxy, ARGON, json!({"messages": messages, "max_tokens": limit}))
}

fn config(google: &FakeGoogle) -> Value {
    google.last_generation().inner()["generationConfig"].clone()
}

/// One call's answer.
fn hop(parts: Value, more: Value) -> Step {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}});
    candidate.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Step::answer(json!({"candidates": [candidate],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}}))
}

fn goes_on(token: &str) -> Value {
    json!({"finishReason": "CONTINUATION", "continuationToken": token})
}

fn level(google: &FakeGoogle, proxy: &Proxy, model: &str, effort: &str) -> Value {
    chat(proxy, model, json!({"reasoning_effort": effort}));
    config(google)["thinkingConfig"]["thinkingLevel"].clone()
}

/// The models that the fake does not have, from one that it has.
fn add(google: &FakeGoogle, like: &str, names: &[&str]) {
    let model = google.read(|state| state.models.iter().find(|model| model.id == like).unwrap().clone());
    names
        .iter()
        .for_each(|name| google.add_model(crate::common::google::Model { id: (*name).into(), ..model.clone() }));
}

const OTHERS: [&str; 4] =
    ["gemini-4-carbon", "gemini-4-neon", "gemini-4-argon-cyber-permissive", "gemini-5-unheard-of"];

#[test]
fn rule_01_levels_are_low_medium_and_high() {
    let (google, proxy) = pair();
    add(&google, ARGON, &OTHERS);
    for model in OTHERS.iter().copied().chain([ARGON, "gemini-4-hydrogen"]) {
        for (effort, wanted) in [("low", "LOW"), ("medium", "MEDIUM"), ("high", "HIGH")] {
            assert_eq!(level(&google, &proxy, model, effort), wanted, "{model}");
        }
        chat(&proxy, model, json!({}));
        assert_eq!(config(&google)["thinkingConfig"].get("thinkingLevel"), None, "{model}: its own default");
    }
}

#[test]
fn rule_02_xhigh_goes_where_the_table_has_it() {
    let (google, proxy) = pair();
    for (model, wanted) in [(ARGON, "HIGH"), ("gemini-4-hydrogen", "XHIGH"), ("gemini-3.8-flash", "HIGH")] {
        for effort in ["xhigh", "max"] {
            assert_eq!(level(&google, &proxy, model, effort), wanted, "{model}");
        }
        chat(&proxy, &format!("{model}-maxthinking"), json!({}));
        assert_eq!(config(&google)["thinkingConfig"]["thinkingLevel"], wanted, "{model}-maxthinking");
    }
}

#[test]
fn rule_03_no_budget_and_no_minimal_level() {
    let (google, proxy) = pair();
    for model in ["gemini-3.8-flash", ARGON, "gemini-4-hydrogen"] {
        for more in [
            json!({"reasoning_effort": "minimal"}),
            json!({"reasoning_effort": "none"}),
            json!({"reasoning": {"max_tokens": 100}}),
            json!({"extra_body": {"google": {"thinking_config": {"thinking_budget": 100}}}}),
        ] {
            chat(&proxy, model, more.clone());
            let thinking = &config(&google)["thinkingConfig"];
            assert!(
                thinking["thinkingLevel"] == "LOW" && thinking.get("thinkingBudget").is_none(),
                "{more}: {thinking}"
            );
            assert_eq!(more["reasoning_effort"] == "none", thinking["includeThoughts"] == false, "{more}: {thinking}");
        }
    }
}

#[test]
fn rule_04_the_window_is_the_limit_of_an_answer() {
    let (google, proxy) = pair();
    for (model, asked, sent) in [
        (ARGON, 200_000, 200_000),
        (ARGON, 9_999_999, 1_048_576),
        ("gemini-4-hydrogen", 70_000, 70_000),
        ("gemini-3.8-flash", 70_000, 65_536),
    ] {
        chat(&proxy, model, json!({"max_tokens": asked}));
        assert_eq!(config(&google)["maxOutputTokens"], sent, "{model}");
    }
}

#[test]
fn rule_05_whole_answers_are_asked_for_in_events() {
    let (google, proxy) = pair();
    for (model, op) in [
        (ARGON, "streamGenerateContent"),
        ("gemini-4-hydrogen", "streamGenerateContent"),
        ("gemini-3.8-flash", "generateContent"),
    ] {
        let answer = chat(&proxy, model, json!({}));
        assert_eq!((answer["object"].as_str(), google.last_generation().op.as_str()), (Some("chat.completion"), op));
    }
    let answer = long(&proxy, 60_000, 65_000);
    assert_eq!(answer["usage"]["completion_tokens"], 60_000, "twice what one document holds");
}

#[test]
fn rule_06_a_continuation_is_the_same_request_with_a_token_on_the_same_credential() {
    let google = FakeGoogle::start();
    let keys = [GEMINI_KEY, "AIza-another-key-of-the-pool"];
    keys.iter().for_each(|key| google.add_api_key(key));
    let proxy = Proxy::start(&google, |config| config["gemini_api_keys"] = json!(keys));
    long(&proxy, 200_000, 300_000);
    let sent = google.generations();
    assert_eq!(sent.len(), 4);
    for (at, call) in sent.iter().enumerate() {
        let mut body = call.body.clone();
        let token = body.as_object_mut().unwrap().remove("continuationToken");
        assert_eq!((token.is_some(), &body, &call.who), (at > 0, &sent[0].body, &sent[0].who));
    }
}

#[test]
fn rule_07_what_ends_the_loop() {
    let blocked = Step::answer(json!({"promptFeedback": {"blockReason": "SAFETY"}}));
    let text = |text: &str| json!([{ "text": text }]);
    for (name, last, calls) in [
        ("another finish", hop(text("two"), json!({"finishReason": "SAFETY"})), 2),
        ("a block of the prompt", blocked, 2),
        ("no token", hop(text("two"), json!({"finishReason": "CONTINUATION"})), 2),
        ("the same token", hop(text("two"), goes_on("QQ==")), 2),
    ] {
        let (google, proxy) = pair();
        google.script(GEMINI_KEY, hop(text("one "), goes_on("QQ==")));
        google.script(GEMINI_KEY, last);
        chat(&proxy, ARGON, json!({"max_tokens": 100_000}));
        assert_eq!(google.generations().len(), calls, "{name}");
    }
    let (google, proxy) = pair();
    (0..40).for_each(|at| google.script(GEMINI_KEY, hop(text("more "), goes_on(&format!("QQ{at:02}")))));
    let answer = chat(&proxy, ARGON, json!({"max_tokens": 1_000_000}));
    assert_eq!((google.generations().len(), answer["choices"][0]["finish_reason"].as_str()), (16, Some("length")));
    let (google, proxy) = pair();
    google.script(GEMINI_KEY, Step::default_answer());
    google.script(GEMINI_KEY, Step::default_answer().hold_after(1));
    let body = json!({"model": ARGON, "max_tokens": 300_000, "messages": [{"role": "user", "content": "long:200000"}]})
        .to_string();
    let mut client = wire::connect(proxy.address()).unwrap();
    let head = format!("POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CLIENT_KEY}\r\n");
    write!(client, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let limit = Duration::from_secs(20);
    assert!(google.wait_for(|state| state.holding == 1, limit));
    drop(client);
    let is_gone =
        google.wait_for(|state| state.generations().any(|call| call.outcome == Some(Outcome::ClientGone)), limit);
    assert!(is_gone && google.generations().len() == 2, "the client has gone");
}

#[test]
fn rule_08_a_spent_limit_or_a_continuation_that_fails_is_length() {
    let part = || json!([{"text": "one "}]);
    let spent = json!({"finishReason": "MAX_TOKENS", "continuationToken": "QQ=="});
    let refused = Step::status(400, "The continuation token is invalid.");
    for (first, second, calls, goes_on) in [
        (hop(part(), spent), None, 1, false),
        (hop(part(), json!({"finishReason": "CONTINUATION"})), None, 1, true),
        (hop(part(), goes_on("QQ==")), Some(refused), 2, true),
    ] {
        for stream in [false, true] {
            let (google, proxy) = pair();
            google.script(GEMINI_KEY, first.clone());
            second.iter().for_each(|step| google.script(GEMINI_KEY, step.clone()));
            let answer = chat(&proxy, ARGON, json!({"max_tokens": 100_000, "stream": stream}));
            let text = answer.as_str().map_or(answer.to_string(), str::to_owned);
            assert!(text.contains(r#""finish_reason":"length""#) && !text.contains(r#""error""#), "{text}");
            let is_told = text.contains(r#""finish_reason":"CONTINUATION""#);
            assert_eq!(is_told, goes_on, "that there could be more is told: {text}");
            assert_eq!(google.generations().len(), calls);
        }
    }
}

#[test]
fn rule_09_the_client_gets_one_answer_with_all_its_parts() {
    for stream in [false, true] {
        let (google, proxy) = pair();
        google.script(GEMINI_KEY, hop(json!([{"text": "hm", "thought": true}, {"text": "one "}]), goes_on("QQ==")));
        google.script(
            GEMINI_KEY,
            hop(json!([{"text": "two"}, {"text": "", "thoughtSignature": "c2lnbg=="}]), goes_on("Qg==")),
        );
        let call = json!([{"functionCall": {"name": "f", "args": {}, "id": "c1"}, "thoughtSignature": "Y2FsbA=="}]);
        google.script(GEMINI_KEY, hop(call, json!({"finishReason": "STOP"})));
        let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]);
        let answer = chat(&proxy, ARGON, json!({"max_tokens": 100_000, "stream": stream, "tools": tools}));
        let Value::String(text) = &answer else {
            let choice = &answer["choices"][0];
            assert_eq!(
                (choice["message"]["content"].as_str(), choice["finish_reason"].as_str()),
                (Some("one two"), Some("tool_calls"))
            );
            let signature = &choice["message"]["tool_calls"][0]["extra_content"]["google"]["thought_signature"];
            assert_eq!(signature, "Y2FsbA==", "{answer}");
            assert!(answer.to_string().contains("c2lnbg=="), "the empty part's as well: {answer}");
            continue;
        };
        let events: Vec<Value> =
            text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
        assert!(events.iter().all(|event| event["id"] == events[0]["id"]));
        assert_eq!(text.matches(r#""finish_reason":"tool_calls""#).count(), 1);
        assert!(text.contains("Y2FsbA==") && text.contains("c2lnbg=="), "{text}");
    }
}

#[test]
fn rule_10_output_is_the_sum_and_the_prompt_is_the_first_hops() {
    let (_google, proxy) = pair();
    let usage = &long(&proxy, 200_000, 300_000)["usage"];
    assert_eq!((usage["prompt_tokens"].as_u64(), usage["completion_tokens"].as_u64()), (Some(3), Some(200_000)));
    assert_eq!(usage["total_tokens"], 200_003);
    let billed = proxy.service().app().usage.recent().remove(0);
    assert_eq!((billed.prompt_tokens, billed.completion_tokens), (4 * 3 + 65_536 * (1 + 2 + 3), 200_000));
}

#[test]
fn rule_11_sources_of_later_hops_are_shifted() {
    let (google, proxy) = pair();
    let grounded = |text: &str, mut more: Value| {
        more["groundingMetadata"] = json!({"groundingChunks": [{"web": {"uri": "https://x.example", "title": text}}],
            "groundingSupports": [{"groundingChunkIndices": [0], "segment": {"startIndex": 0, "endIndex": 3, "text": text}}]});
        hop(json!([{ "text": text }]), more)
    };
    google.script(GEMINI_KEY, grounded("one", goes_on("QQ==")));
    google.script(GEMINI_KEY, grounded("two", json!({"finishReason": "STOP"})));
    let answer = chat(&proxy, ARGON, json!({"max_tokens": 100_000, "web_search_options": {}}));
    let places: Vec<(u64, u64)> = (answer["choices"][0]["message"]["annotations"].as_array().unwrap().iter())
        .map(|note| &note["url_citation"])
        .map(|note| (note["start_index"].as_u64().unwrap(), note["end_index"].as_u64().unwrap()))
        .collect();
    assert_eq!(places, [(0, 3), (3, 6)]);
}

#[test]
fn rule_12_no_sampling_and_one_candidate() {
    let (google, proxy) = pair();
    for (model, takes) in [
        ("gemini-3.6-flash", false),
        ("gemini-3.5-flash-lite", false),
        ("gemini-3.8-flash", false),
        (ARGON, false),
        ("gemini-3.1-pro-preview", true),
    ] {
        chat(&proxy, model, json!({"temperature": 0.5, "top_p": 0.5, "top_k": 5, "n": 2}));
        let config = config(&google);
        for name in ["temperature", "topP", "topK"] {
            assert_eq!(config.get(name).is_some(), takes, "{model} {name}");
        }
        assert_eq!(config.get("candidateCount"), None, "{model}: two answers are two calls");
    }
}

#[test]
fn rule_13_functions_and_search_are_both_sent_or_the_client_is_told() {
    let (google, proxy) = pair();
    let function =
        json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}});
    let body = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "hi"}], "tools": [function], "web_search_options": {}});
    let post = |model: &str| ask(&proxy, "POST", CHAT, &[], body(model).to_string().as_bytes());
    for model in [ARGON, "gemini-3.8-flash"] {
        assert_eq!(post(model).header("x-proxy-notice"), None, "{model}");
        let inner = google.last_generation().inner().clone();
        assert_eq!(inner["toolConfig"]["includeServerSideToolInvocations"], true, "{model}");
        assert_eq!(inner["toolConfig"]["functionCallingConfig"]["mode"], "VALIDATED", "{model}");
        assert!(inner["tools"].to_string().contains("googleSearch"), "{inner}");
    }
    let answer = post("gemini-2.5-flash-lite");
    assert!(answer.status == 200 && answer.header("x-proxy-notice").is_some(), "{}", answer.text());
}

#[test]
fn rule_14_strict_functions_are_validated() {
    let (google, proxy) = pair();
    let tool = |strict: bool| {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
        json!({"type": "function", "function": {"name": "f", "strict": strict, "parameters": schema}})
    };
    for (strict, mode) in [(true, json!("VALIDATED")), (false, Value::Null)] {
        chat(&proxy, ARGON, json!({"tools": [tool(strict)]}));
        assert_eq!(google.last_generation().inner()["toolConfig"]["functionCallingConfig"]["mode"], mode);
    }
}

#[test]
fn rule_15_unknown_words_are_no_length_and_silence_is_waited_out() {
    let (google, proxy) = pair();
    for (word, finish) in [
        ("MAX_TOKENS", "length"),
        ("ESCALATION", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("PUP_LIMITED_DISABLED", "content_filter"),
        ("A_WORD_OF_TOMORROW", "stop"),
    ] {
        google.script(GEMINI_KEY, hop(json!([{"text": "one"}]), json!({ "finishReason": word })));
        assert_eq!(chat(&proxy, ARGON, json!({}))["choices"][0]["finish_reason"], finish, "{word}");
    }
    drop(proxy);
    let proxy = Proxy::start(&google, |config| {
        config["gemini_api_keys"] = json!([GEMINI_KEY]);
        config["request_timeouts"] = json!({"read": 1});
    });
    let slow = || Step::default_answer().every(Duration::from_millis(1300));
    google.script(GEMINI_KEY, slow());
    assert_eq!(chat(&proxy, ARGON, json!({}))["choices"][0]["finish_reason"], "stop");
    assert_eq!(google.generations().len(), 6, "no second try");
}

/// Each rule of the page names the test that holds it, and each test here is named.
#[test]
fn the_page_names_the_test_of_each_rule() {
    let page = include_str!("../docs/gemini-4.md");
    let rules = page.split("## Rules for Gemini 4\n").nth(1).unwrap().split("\n### ").next().unwrap();
    let own = include_str!("gemini_4.rs");
    for number in 1..=15 {
        let rule = rules.split(&format!("\n{number}. ")).nth(1).unwrap_or_else(|| panic!("rule {number}"));
        let rule = rule.split(&format!("\n{}. ", number + 1)).next().unwrap();
        let name = rule.split("`gemini_4::").nth(1).and_then(|rest| rest.split('`').next()).unwrap_or_default();
        assert!(name.starts_with(&format!("rule_{number:02}_")), "rule {number} names its test: {name}");
        assert!(own.contains(&format!("\n#[test]\nfn {name}() {{")), "{name}");
    }
    assert_eq!(own.matches("\nfn rule_").count(), 15);
}
