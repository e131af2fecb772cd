//! Answers that are longer than one call of Google's gives: the client sees one, in every dialect (docs/gemini-4.md "Rules
//! for Gemini 4").

mod broken;
mod leased;

use crate::common::google::long::answer;
use crate::common::google::script::{End, Step};
use crate::common::google::{FakeGoogle, Outcome, User};
use crate::common::http::ask;
use crate::common::proxy::{CLIENT_KEY, EMAIL, GEMINI_KEY, Pool, Proxy};
use crate::common::wire;
use gemini_openai_proxy::usage::Query;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, Instant};

/// Makes a hop fail.
type Failing = fn() -> Step;

const LONG: usize = 200_000;
const LIMIT: Duration = Duration::from_secs(20);

/// What a client has at the end.
#[derive(Debug, PartialEq)]
struct Told {
    text: String,
    finish: String,
    prompt: u64,
    output: u64,
}

const ROUTES: [&str; 4] = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"];

fn body(route: &str, tokens: usize, limit: usize, stream: bool) -> Value {
    let said = format!("long:{tokens}");
    let turns = json!([{"role": "user", "content": said}]);
    let mut body = json!({"model": "gemini-4-argon", "stream": stream});
    let (name, input, most) = match route {
        "/v1/completions" => ("prompt", json!(said), "max_tokens"),
        "/v1/responses" => ("input", turns, "max_output_tokens"),
        _ => ("messages", turns, "max_tokens"),
    };
    body[name] = input;
    body[most] = json!(limit);
    if stream && route.ends_with("completions") {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Reads a whole answer.
fn whole(route: &str, answer: &Value) -> Told {
    let (text, finish, usage) = match route {
        "/v1/chat/completions" => {
            let choice = &answer["choices"][0];
            (&choice["message"]["content"], &choice["finish_reason"], ["prompt_tokens", "completion_tokens"])
        }
        "/v1/completions" => {
            let choice = &answer["choices"][0];
            (&choice["text"], &choice["finish_reason"], ["prompt_tokens", "completion_tokens"])
        }
        "/v1/responses" => {
            let output = answer["output"].as_array().unwrap().last().unwrap();
            (&output["content"][0]["text"], &answer["status"], ["input_tokens", "output_tokens"])
        }
        _ => (
            &answer["content"].as_array().unwrap().last().unwrap()["text"],
            &answer["stop_reason"],
            ["input_tokens", "output_tokens"],
        ),
    };
    let [prompt, output] = usage.map(|name| answer["usage"][name].as_u64().unwrap());
    Told { text: text_of(text), finish: text_of(finish), prompt, output }
}

/// Reads a streamed answer, which has one id, one finish and one usage.
fn streamed(route: &str, text: &str) -> Told {
    let events: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    if route == "/v1/responses" {
        let ends: Vec<&Value> = events.iter().filter(|event| event["response"]["usage"].is_object()).collect();
        let deltas = events.iter().filter(|event| event["type"] == "response.output_text.delta");
        let said: String = deltas.map(|event| text_of(&event["delta"])).collect();
        assert_eq!(ends.len(), 1);
        return Told { text: said, ..whole(route, &ends[0]["response"]) };
    }
    if route == "/v1/messages" {
        let texts = events.iter().filter(|event| event["delta"]["type"] == "text_delta");
        let ends: Vec<&Value> = events.iter().filter(|event| event["type"] == "message_delta").collect();
        let starts: Vec<&Value> = events.iter().filter(|event| event["type"] == "message_start").collect();
        assert_eq!((starts.len(), ends.len()), (1, 1));
        return Told {
            text: texts.map(|event| text_of(&event["delta"]["text"])).collect(),
            finish: text_of(&ends[0]["delta"]["stop_reason"]),
            prompt: starts[0]["message"]["usage"]["input_tokens"].as_u64().unwrap(),
            output: ends[0]["usage"]["output_tokens"].as_u64().unwrap(),
        };
    }
    assert!(events.iter().all(|event| event["id"] == events[0]["id"]), "one id");
    let choices: Vec<&Value> = events.iter().map(|event| &event["choices"][0]).collect();
    let finishes: Vec<String> = choices.iter().map(|choice| text_of(&choice["finish_reason"])).collect();
    let finishes: Vec<&String> = finishes.iter().filter(|finish| !finish.is_empty()).collect();
    let usages: Vec<&Value> = events.iter().map(|event| &event["usage"]).filter(|usage| usage.is_object()).collect();
    assert_eq!((finishes.len(), usages.len()), (1, 1), "{text:.400}");
    let said = choices.iter().map(|choice| match route {
        "/v1/completions" => text_of(&choice["text"]),
        _ => text_of(&choice["delta"]["content"]),
    });
    Told {
        text: said.collect(),
        finish: finishes[0].clone(),
        prompt: usages[0]["prompt_tokens"].as_u64().unwrap(),
        output: usages[0]["completion_tokens"].as_u64().unwrap(),
    }
}

fn told(proxy: &Proxy, route: &str, tokens: usize, limit: usize, stream: bool) -> Told {
    let body = body(route, tokens, limit, stream).to_string();
    let answer = ask(proxy, "POST", route, &[], body.as_bytes());
    assert_eq!(answer.status, 200, "{:.400}", answer.text());
    match stream {
        true => streamed(route, &answer.text()),
        false => whole(route, &serde_json::from_str(&answer.text()).unwrap()),
    }
}

fn finish(route: &str, complete: bool) -> String {
    let word = match (route, complete) {
        ("/v1/responses", true) => "completed",
        ("/v1/responses", false) => "incomplete",
        ("/v1/messages", true) => "end_turn",
        ("/v1/messages", false) => "max_tokens",
        (_, true) => "stop",
        (_, false) => "length",
    };
    word.to_owned()
}

/// `(google, proxy)` whose answers on Gemini 4 are of a few events.
fn pair() -> (FakeGoogle, Proxy) {
    let google = FakeGoogle::start();
    let proxy = Proxy::with_pool(&google, Pool::ApiKey);
    (google, proxy)
}

fn assert_same(route: &str, found: &Told, expected: &Told) {
    assert!(found.text == expected.text, "{route}: {} of {} bytes", found.text.len(), expected.text.len());
    let rest = |told: &Told| (told.finish.clone(), told.prompt, told.output);
    assert_eq!(rest(found), rest(expected), "{route}");
}

#[cfg(feature = "agents")]
#[test]
fn an_answer_of_four_hops_is_one_in_every_dialect() {
    let (google, proxy) = pair();
    for route in ROUTES {
        for stream in [true, false] {
            let before = google.generations().len();
            let found = told(&proxy, route, LONG, 300_000, stream);
            let expected = Told { text: answer(LONG), finish: finish(route, true), prompt: 3, output: LONG as u64 };
            assert_same(route, &found, &expected);
            let calls = google.generations().split_off(before);
            assert_eq!(calls.len(), 4, "{route}");
            assert!(
                calls.iter().all(|call| call.op == "streamGenerateContent"),
                "whole answers are asked for in events"
            );
            let plain = |call: &Value| {
                let mut call = call.clone();
                call.as_object_mut().unwrap().remove("continuationToken");
                call
            };
            assert!(
                calls.iter().all(|call| plain(&call.body) == calls[0].body),
                "the same body, and nothing before it"
            );
            assert_eq!(calls[3].body["generationConfig"]["maxOutputTokens"], 300_000);
        }
    }
    let (recent, _) = proxy.service().app().usage.requests(&Query::default(), 0, 200);
    let billed = 3 * 4 + 65_536 * (1 + 2 + 3);
    assert!(recent.iter().all(|entry| entry["prompt_tokens"] == billed), "every hop reads what there was before it");
    assert!(recent.iter().all(|entry| entry["completion_tokens"] == LONG as u64));
}

#[cfg(feature = "agents")]
#[test]
fn the_limit_of_the_client_holds_over_all_hops() {
    let (_google, proxy) = pair();
    for route in ROUTES {
        for stream in [true, false] {
            let found = told(&proxy, route, LONG, 150_000, stream);
            let expected = Told { text: answer(150_000), finish: finish(route, false), prompt: 3, output: 150_000 };
            assert_same(route, &found, &expected);
        }
    }
}

#[cfg(feature = "agents")]
#[test]
fn a_failure_of_a_later_hop_is_no_failure_of_the_answer() {
    let failures: [(&str, Failing); 5] = [
        ("trouble", || Step::status(503, "The model is overloaded.")),
        ("a limit", || Step::status(429, "Resource has been exhausted (e.g. check quota).")),
        ("a broken connection", Step::reset),
        ("a hop that breaks off in its middle", || Step::default_answer().cut_after_events(2, End::Reset)),
        ("a hop without a finish", || Step::default_answer().cut_after_events(2, End::Clean)),
    ];
    for (name, failure) in failures {
        for (route, stream) in [(ROUTES[0], true), (ROUTES[0], false), (ROUTES[2], true), (ROUTES[3], true)] {
            let (google, proxy) = pair();
            for step in [Step::default_answer(), Step::default_answer(), failure()] {
                google.script(GEMINI_KEY, step);
            }
            let found = told(&proxy, route, LONG, 300_000, stream);
            let expected = Told { text: answer(LONG), finish: finish(route, true), prompt: 3, output: LONG as u64 };
            assert_same(&format!("{name}, {route}"), &found, &expected);
            assert_eq!(google.generations().len(), 5, "{name}");
        }
    }
}

#[test]
fn an_answer_that_cannot_go_on_ends_where_it_is_and_on_its_credential() {
    let refusals: [(&str, Failing, usize); 2] = [
        ("a refusal", || Step::status(400, "The continuation token is invalid."), 3),
        ("trouble that stays", || Step::status(503, "The model is overloaded."), 6),
    ];
    for (name, refusal, calls) in refusals {
        let google = FakeGoogle::start();
        google.add_api_key(GEMINI_KEY);
        google.add_api_key("AIza-another-key-of-the-pool");
        let proxy = Proxy::start(&google, |config| {
            config["gemini_api_keys"] = json!([GEMINI_KEY, "AIza-another-key-of-the-pool"]);
        });
        for stream in [true, false] {
            let before = google.generations().len();
            let say = Step::default_answer;
            for step in [say(), say()].into_iter().chain((0..4).map(|_| refusal())) {
                google.script("*", step);
            }
            let found = told(&proxy, ROUTES[0], LONG, 300_000, stream);
            let expected = Told { text: answer(2 * 65_536), finish: "length".into(), prompt: 3, output: 2 * 65_536 };
            assert_same(name, &found, &expected);
            let calls_made = google.generations().split_off(before);
            assert_eq!(calls_made.len(), calls, "{name}");
            assert!(calls_made.iter().all(|call| call.who == calls_made[0].who), "{name}: one credential");
            google.clear_scripts();
        }
    }
}

/// Texts in hops of their own, the first ones with tokens.
fn hops(texts: &[(&str, Option<&str>, &str)]) -> Vec<Step> {
    let step = |(text, token, finish): &(&str, Option<&str>, &str)| {
        let mut candidate = json!({"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": finish});
        if let Some(token) = token {
            candidate["continuationToken"] = json!(token);
        }
        Step::answer(json!({"candidates": [candidate],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}}))
    };
    texts.iter().map(step).collect()
}

#[test]
fn a_token_that_is_missing_or_repeated_ends_the_answer() {
    for (texts, said, finish) in [
        (vec![("one ", None, "CONTINUATION")], "one ", "length"),
        (vec![("one ", Some("QQ=="), "CONTINUATION"), ("two", Some("QQ=="), "CONTINUATION")], "one two", "length"),
        (vec![("one ", Some("QQ=="), "MAX_TOKENS")], "one ", "length"),
        (vec![("one ", Some("QQ=="), "CONTINUATION"), ("two", None, "SAFETY")], "one two", "content_filter"),
    ] {
        for stream in [true, false] {
            let (google, proxy) = pair();
            hops(&texts).into_iter().for_each(|step| google.script(GEMINI_KEY, step));
            let found = told(&proxy, ROUTES[0], 9, 300_000, stream);
            assert_eq!((found.text.as_str(), found.finish.as_str()), (said, finish), "{texts:?}");
            assert_eq!(google.generations().len(), texts.len(), "{texts:?}");
        }
    }
}

#[test]
fn a_client_that_leaves_in_a_later_hop_ends_it() {
    let (google, proxy) = pair();
    for stream in [true, false] {
        let before = google.generations().len();
        google.script(GEMINI_KEY, Step::default_answer());
        google.script(GEMINI_KEY, Step::default_answer().hold_after(1));
        let body = body(ROUTES[0], LONG, 300_000, stream).to_string();
        let mut client = wire::connect(proxy.address()).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        write!(
            client,
            "POST {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CLIENT_KEY}\r\nContent-Length: {}\r\n\r\n{body}",
            ROUTES[0],
            body.len()
        )
        .unwrap();
        let mut client = BufReader::new(client);
        if stream {
            let mut line = String::new();
            while !line.contains(&answer(65_540)[65_536 * 4..]) {
                line.clear();
                assert!(client.read_line(&mut line).unwrap() > 0);
            }
        }
        assert!(google.wait_for(|state| state.generations().count() == before + 2, LIMIT));
        drop(client);
        let left = Instant::now();
        let gone = google.wait_for(
            |state| state.generations().skip(before).any(|call| call.outcome == Some(Outcome::ClientGone)),
            LIMIT,
        );
        assert!(gone && left.elapsed() < Duration::from_secs(1), "stream={stream}: {:?}", left.elapsed());
    }
}

/// Each hop counts its chunks, parts and bytes from its own beginning.
#[test]
fn what_later_hops_found_stands_where_they_say_it() {
    let grounded = |text: &str, token: Option<&str>, url: &str, start: usize| {
        let mut candidate = json!({"content": {"role": "model", "parts": [{"text": text}]},
            "finishReason": if token.is_some() { "CONTINUATION" } else { "STOP" },
            "groundingMetadata": {"groundingChunks": [{"web": {"uri": url, "title": "t"}}], "webSearchQueries": [url],
                "groundingSupports": [{"groundingChunkIndices": [0],
                    "segment": {"startIndex": start, "endIndex": text.len(), "text": &text[start..]}}]}});
        if let Some(token) = token {
            candidate["continuationToken"] = json!(token);
        }
        Step::answer(json!({"candidates": [candidate]}))
    };
    for stream in [true, false] {
        let (google, proxy) = pair();
        google.script(GEMINI_KEY, grounded("ö same", Some("QQ=="), "https://one.example", 3));
        google.script(GEMINI_KEY, grounded(" and same", None, "https://two.example", 5));
        let mut body = body(ROUTES[0], 9, 300_000, stream);
        body["web_search_options"] = json!({});
        let answer = ask(&proxy, "POST", ROUTES[0], &[], body.to_string().as_bytes()).text();
        let found = |url: &str, start: usize, end: usize| {
            let (start, end) = (format!("\"start_index\":{start}"), format!("\"end_index\":{end}"));
            answer.contains(url) && answer.contains(&start) && answer.contains(&end)
        };
        assert!(found("https://one.example", 2, 6) && found("https://two.example", 11, 15), "{answer}");
        assert!(answer.contains("\"groundingChunkIndices\":[1]"), "{answer}");
    }
}

/// Who speaks Google's dialect goes on by itself.
#[test]
fn native_clients_have_it_as_google_has_it() {
    let (google, proxy) = pair();
    let request = json!({"contents": [{"role": "user", "parts": [{"text": "long:200000"}]}],
        "generationConfig": {"maxOutputTokens": 200_000}});
    let path = "/v1beta/models/gemini-4-argon:generateContent";
    let answer = ask(&proxy, "POST", path, &[], request.to_string().as_bytes());
    let answer: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(answer["candidates"][0]["finishReason"], "CONTINUATION");
    assert!(answer["candidates"][0]["continuationToken"].is_string());
    let calls = google.generations();
    assert_eq!((calls.len(), calls[0].op.as_str()), (1, "generateContent"));
}

#[test]
fn a_login_goes_on_as_well() {
    let google = FakeGoogle::start();
    google.add_user(User::licensed(EMAIL, "project-1"));
    let proxy = Proxy::with_pool(&google, Pool::Oauth);
    let found = told(&proxy, ROUTES[0], 70_000, 100_000, false);
    assert!(found.text == answer(70_000) && found.finish == "stop", "{}", found.text.len());
}
