//! Names of models move: Google serves one with a newer model from a day on, and says so in `modelVersion` or not at all. A
//! conversation with tools survives it in every dialect, and each credential is asked as what serves it there wants.

use crate::common::google::{FakeGoogle, User};
use crate::common::http::ask;
use crate::common::program::Folder;
use crate::common::proxy::{GEMINI_KEY, Proxy, today};
use gemini_openai_proxy::credentials::Kind;
use gemini_openai_proxy::serve::service::Tuning;
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime};

const PRO: &str = "gemini-2.5-pro";
const NEWER: &str = "gemini-3.8-flash";
const NATIVE: &str = "/v1beta/models/gemini-2.5-pro";
const ROUTES: [&str; 4] = ["/v1/chat/completions", "/v1/responses", "/v1/messages", NATIVE];
const EMAIL: &str = "robot@project-v.iam.gserviceaccount.com";

/// 2026-12-02, when the 2.5 names lead to newer models by the table.
fn after() -> SystemTime {
    today() + Duration::from_secs(6 * 86_400)
}

fn proxy(google: &FakeGoogle, keys: &[&str], day: SystemTime) -> Proxy {
    keys.iter().for_each(|key| google.add_api_key(key));
    let tuning = Tuning { models_of: Some(day), ..Tuning::default() };
    Proxy::start_with(google, tuning, |config| config["gemini_api_keys"] = json!(keys))
}

/// With one credential of this service.
fn of_service(google: &FakeGoogle, kind: Kind, day: SystemTime) -> Proxy {
    let credential = match kind {
        Kind::ApiKey => return proxy(google, &[GEMINI_KEY], day),
        Kind::Oauth => {
            google.add_user(User::licensed(EMAIL, "project-v"));
            google.oauth_credential(EMAIL)
        }
        Kind::Vertex => google.add_service_account(EMAIL, "project-v"),
    };
    Proxy::start_with(google, Tuning { models_of: Some(day), ..Tuning::default() }, |config| {
        let file = config["credentials_file"].as_str().unwrap();
        std::fs::write(file, json!([credential]).to_string()).unwrap();
    })
}

/// A conversation of a client, in the terms of its dialect.
struct Client<'a> {
    proxy: &'a Proxy,
    route: &'static str,
    stream: bool,
    history: Vec<Value>,
    /// Goes on from a response that the server keeps.
    previous: Option<Value>,
}

impl Client<'_> {
    /// Says what is to be done: three calls one after the other.
    fn begin(&mut self) {
        let words = r#"call:find{"city":"Oslo"} then call:book{"city":"Oslo"} then call:pay{}"#;
        self.history.push(match self.route {
            NATIVE => json!({"role": "user", "parts": [{"text": words}]}),
            _ => json!({"role": "user", "content": words}),
        });
    }

    /// One turn; whether a tool was called.
    fn turn(&mut self) -> bool {
        let tool = |name: &str| {
            let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
            match self.route {
                "/v1/responses" => json!({"type": "function", "name": name, "parameters": schema}),
                "/v1/messages" => json!({"name": name, "input_schema": schema}),
                NATIVE => json!({"functionDeclarations": [{"name": name, "parametersJsonSchema": schema}]}),
                _ => json!({"type": "function", "function": {"name": name, "parameters": schema}}),
            }
        };
        let mut body = json!({"model": PRO, "stream": self.stream, "tools": [tool("find"), tool("book"), tool("pay")]});
        let (history, effort) = match self.route {
            "/v1/responses" => ("input", json!({"reasoning": {"effort": "medium"}, "store": false})),
            "/v1/messages" => {
                ("messages", json!({"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 30_000}))
            }
            NATIVE => {
                body = json!({"tools": body["tools"]});
                ("contents", json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": 2048}}}))
            }
            _ => ("messages", json!({"reasoning_effort": "medium"})),
        };
        body[history] = json!(self.history);
        body.as_object_mut().unwrap().extend(effort.as_object().unwrap().clone());
        if let Some(previous) = &self.previous {
            body["store"] = json!(true);
            body["previous_response_id"] = previous.clone();
        }
        let answer = ask(self.proxy, "POST", &self.path(), &[], body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{} {}", self.route, answer.text());
        match self.route {
            "/v1/responses" => self.responses(&answer.text()),
            "/v1/messages" => self.messages(&answer.text()),
            NATIVE => self.native(&answer.text()),
            _ => self.chat(&answer.text()),
        }
    }

    fn path(&self) -> String {
        match (self.route, self.stream) {
            (NATIVE, true) => format!("{NATIVE}:streamGenerateContent?alt=sse"),
            (NATIVE, false) => format!("{NATIVE}:generateContent"),
            _ => self.route.to_owned(),
        }
    }

    fn events(text: &str) -> impl Iterator<Item = Value> {
        text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
    }

    /// A client that keeps only what it knows when it streams.
    fn chat(&mut self, text: &str) -> bool {
        let mut message = Map::from_iter([("role".to_owned(), json!("assistant"))]);
        if self.stream {
            let calls: Vec<Value> = Self::events(text)
                .flat_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].as_array().cloned().unwrap_or_default())
                .map(|call| json!({"id": call["id"], "type": "function", "function": call["function"]}))
                .collect();
            message.insert("tool_calls".into(), json!(calls));
        } else {
            let answer: Value = serde_json::from_str(text).unwrap();
            message = answer["choices"][0]["message"].as_object().unwrap().clone();
        }
        let calls = message.get("tool_calls").and_then(Value::as_array).cloned().unwrap_or_default();
        self.history.push(Value::Object(message));
        let results = calls.iter().map(|call| json!({"role": "tool", "tool_call_id": call["id"], "content": "done"}));
        self.history.extend(results);
        !calls.is_empty()
    }

    /// As Google's SDKs do it, which know signatures; those of others that stream keep the calls only.
    fn native(&mut self, text: &str) -> bool {
        let events: Vec<Value> = match self.stream {
            true => Self::events(text).collect(),
            false => vec![serde_json::from_str(text).unwrap()],
        };
        let parts = events.iter().flat_map(|event| event["candidates"][0]["content"]["parts"].as_array()).flatten();
        let mut parts: Vec<Value> = parts.cloned().collect();
        if self.stream {
            parts.retain(|part| part.get("functionCall").is_some());
            parts.iter_mut().for_each(|part| _ = part.as_object_mut().unwrap().remove("thoughtSignature"));
        }
        let calls = parts.iter().filter_map(|part| part.get("functionCall"));
        let results: Vec<Value> = calls
            .map(|call| {
                let mut result = json!({"name": call["name"], "response": {"output": "done"}});
                call.get("id").into_iter().for_each(|id| result["id"] = id.clone());
                json!({"functionResponse": result})
            })
            .collect();
        if results.is_empty() {
            return false;
        }
        self.history.push(json!({"role": "model", "parts": parts}));
        self.history.push(json!({"role": "user", "parts": results}));
        true
    }

    fn responses(&mut self, text: &str) -> bool {
        let response = match self.stream {
            true => Self::events(text).find(|event| event["type"] == "response.completed").unwrap()["response"].clone(),
            false => serde_json::from_str(text).unwrap(),
        };
        let output = response["output"].as_array().unwrap();
        let calls: Vec<&Value> = output.iter().filter(|item| item["type"] == "function_call").collect();
        let results = calls
            .iter()
            .map(|call| json!({"type": "function_call_output", "call_id": call["call_id"], "output": "done"}));
        let kept: Vec<Value> =
            output.iter().filter(|item| !self.stream || item["type"] == "function_call").cloned().collect();
        let results: Vec<Value> = results.collect();
        if self.previous.is_some() {
            self.previous = Some(response["id"].clone());
            self.history = results;
            return !self.history.is_empty();
        }
        self.history.extend(kept);
        self.history.extend(results);
        !calls.is_empty()
    }

    fn messages(&mut self, text: &str) -> bool {
        let blocks: Vec<Value> = if self.stream {
            let mut blocks: Vec<Value> = Vec::new();
            for event in Self::events(text) {
                match event["type"].as_str().unwrap() {
                    "content_block_start" => blocks.push(event["content_block"].clone()),
                    "content_block_delta" if event["delta"]["type"] == "input_json_delta" => {
                        let written = event["delta"]["partial_json"].as_str().unwrap();
                        if let Ok(input) = serde_json::from_str::<Value>(written) {
                            blocks.last_mut().unwrap()["input"] = input;
                        }
                    }
                    _ => {}
                }
            }
            blocks.into_iter().filter(|block| block["type"] == "tool_use").collect()
        } else {
            serde_json::from_str::<Value>(text).unwrap()["content"].as_array().unwrap().clone()
        };
        let calls = blocks.iter().filter(|block| block["type"] == "tool_use");
        let results: Vec<Value> =
            calls.map(|call| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "done"})).collect();
        if results.is_empty() {
            return false;
        }
        self.history.push(json!({"role": "assistant", "content": blocks}));
        self.history.push(json!({"role": "user", "content": results}));
        true
    }
}

/// What Google refused so far.
fn refusals(google: &FakeGoogle) -> Vec<String> {
    google.generations().into_iter().filter_map(|call| call.refusal).collect()
}

#[test]
fn a_conversation_with_tools_survives_the_day_on_which_its_model_moves() {
    for kind in [Kind::ApiKey, Kind::Oauth, Kind::Vertex] {
        for route in ROUTES {
            for case in (0..16_u8).filter(|case| kind == Kind::ApiKey || case.count_ones() % 2 == 0) {
                survives(kind, route, [1, 2, 4, 8].map(|bit| case & bit != 0));
            }
        }
    }
}

fn survives(kind: Kind, route: &'static str, [stream, tells, signs, by_clock]: [bool; 4]) {
    let google = FakeGoogle::start();
    google.settings(|settings| (settings.tells_version, settings.older_sign) = (tells, signs));
    let proxy = of_service(&google, kind, if by_clock { after() } else { today() });
    let mut client = Client { proxy: &proxy, route, stream, history: Vec::new(), previous: None };
    client.begin();
    assert!(client.turn() && client.turn());
    let before = refusals(&google).len();
    google.serve("*", PRO, NEWER);
    assert!(client.turn());
    let at_the_change = refusals(&google).len() - before;
    assert!(!client.turn(), "the fourth turn is the answer");
    let what =
        format!("{kind:?} {route}, streamed: {stream}, told: {tells}, signed: {signs}, by the clock: {by_clock}");
    let all = refusals(&google);
    if route == NATIVE {
        // It goes as its client wrote it, so each turn is repaired; twice where nobody knows that another model serves.
        assert!(all.len() <= if tells || by_clock { 3 } else { 4 }, "{what}: {all:?}");
        return;
    }
    assert!(before <= 1 && at_the_change <= 1, "{what}: {all:?}");
    assert_eq!(all.len(), before + at_the_change, "{what}: nothing is repaired twice: {all:?}");
    let sent = google.last_generation();
    let thinking = &sent.inner()["generationConfig"]["thinkingConfig"];
    assert!(thinking["thinkingLevel"] == "MEDIUM" && thinking["thinkingBudget"].is_null(), "{what}: {thinking}");
    let signatures =
        ["1", "3", "5"].map(|at| sent.inner().pointer(&format!("/contents/{at}/parts/0/thoughtSignature")));
    let signatures = signatures.map(|signature| signature.and_then(Value::as_str).unwrap_or_default());
    let are_real = signatures.map(|signature| signature.len() > 64);
    assert_eq!(are_real, [false, false, true], "{what}: the newer model's own comes back: {signatures:?}");
}

/// What the server keeps of a conversation has the signatures of the model before.
#[test]
fn a_conversation_that_is_kept_here_survives_it_as_well() {
    for case in 0..8 {
        let [stream, tells, signs] = [1, 2, 4].map(|bit| case & bit != 0);
        let google = FakeGoogle::start();
        google.settings(|settings| (settings.tells_version, settings.older_sign) = (tells, signs));
        let proxy = proxy(&google, &[GEMINI_KEY], today());
        let previous = Some(Value::Null);
        let mut client = Client { proxy: &proxy, route: "/v1/responses", stream, history: Vec::new(), previous };
        client.begin();
        assert!(client.turn() && client.turn());
        google.serve("*", PRO, NEWER);
        assert!(client.turn() && !client.turn());
        assert_eq!(refusals(&google).len(), 1, "{stream} {tells} {signs}: {:?}", refusals(&google));
        assert_eq!(google.last_generation().inner()["contents"].as_array().unwrap().len(), 7);
    }
}

/// The first answer of a program that knows nothing yet says which model it is of, and its signature is good for that one.
#[test]
fn the_signature_of_the_first_answer_comes_back_though_its_model_was_not_known() {
    for route in ROUTES.into_iter().filter(|route| *route != NATIVE) {
        let google = FakeGoogle::start();
        google.serve("*", PRO, NEWER);
        let proxy = proxy(&google, &[GEMINI_KEY], today());
        let mut client = Client { proxy: &proxy, route, stream: true, history: Vec::new(), previous: None };
        client.begin();
        assert!(client.turn() && client.turn());
        let sent = google.last_generation();
        let signed =
            sent.inner()["contents"][1]["parts"][0]["thoughtSignature"].as_str().unwrap_or_default().to_owned();
        assert!(!signed.is_empty() && !signed.contains("skip_thought"), "{route}: {}", sent.inner()["contents"]);
    }
}

fn thinking_of(google: &FakeGoogle, proxy: &Proxy, model: &str, status: u16) -> Value {
    let body = json!({"model": model, "reasoning_effort": "high", "temperature": 0.5,
        "messages": [{"role": "user", "content": "hi"}]});
    let answer = ask(proxy, "POST", "/v1/chat/completions", &[], body.to_string().as_bytes());
    assert_eq!(answer.status, status, "{}", answer.text());
    google.last_generation().inner()["generationConfig"].clone()
}

#[test]
fn a_wrong_date_of_the_table_costs_one_repair_per_credential_and_no_temperature_after_it() {
    for tells in [true, false] {
        let google = FakeGoogle::start();
        google.settings(|settings| settings.tells_version = tells);
        let proxy = proxy(&google, &[GEMINI_KEY], after());
        let first = thinking_of(&google, &proxy, PRO, 200);
        assert_eq!(first["thinkingConfig"]["thinkingBudget"], 24_576, "repaired in the model's own way");
        for _ in 0..3 {
            let config = thinking_of(&google, &proxy, PRO, 200);
            assert_eq!(config["thinkingConfig"]["thinkingBudget"], 24_576);
            assert_eq!(config["temperature"], 0.5);
        }
        assert_eq!(refusals(&google).len(), 1, "told: {tells}");
    }
}

#[test]
fn credentials_that_differ_are_asked_each_in_its_way() {
    let google = FakeGoogle::start();
    let keys = ["AIza-of-the-old-model", "AIza-of-the-new-model"];
    google.serve(keys[1], PRO, NEWER);
    let proxy = proxy(&google, &keys, today());
    (0..4).for_each(|_| _ = thinking_of(&google, &proxy, PRO, 200));
    let learnt = google.generations().len();
    (0..4).for_each(|_| _ = thinking_of(&google, &proxy, PRO, 200));
    for sent in &google.generations()[learnt..] {
        let config = &sent.inner()["generationConfig"];
        let thinking = &config["thinkingConfig"];
        let found =
            (thinking["thinkingBudget"].as_i64(), thinking["thinkingLevel"].as_str(), config["temperature"].as_f64());
        let expected = match sent.who.as_deref() == Some(keys[0]) {
            true => (Some(24_576), None, Some(0.5)),
            false => (None, Some("HIGH"), None),
        };
        assert_eq!((&found, &sent.refusal), (&expected, &None), "{:?}", sent.who);
    }
    let asked = |key: &str| google.generations()[learnt..].iter().any(|sent| sent.who.as_deref() == Some(key));
    assert!(asked(keys[0]) && asked(keys[1]));
}

#[test]
fn what_was_learned_of_each_credential_outlives_a_restart() {
    let google = FakeGoogle::start();
    let keys = ["AIza-of-the-old-model", "AIza-of-the-new-model"];
    keys.iter().for_each(|key| google.add_api_key(key));
    google.serve(keys[1], PRO, NEWER);
    let folder = Folder::new("moving-names");
    let start = |keys: &[&str]| {
        Proxy::start(&google, |config| {
            config["gemini_api_keys"] = json!(keys);
            config["state_file"] = json!(folder.join("state.json"));
        })
    };
    let first = start(&keys);
    (0..4).for_each(|_| _ = thinking_of(&google, &first, PRO, 200));
    drop(first);
    let learnt = refusals(&google).len();
    let turned = [keys[1], keys[0]];
    let second = start(&turned);
    let ways: Vec<(String, bool)> = (0..4)
        .map(|_| {
            let config = thinking_of(&google, &second, PRO, 200);
            (google.last_generation().who.clone().unwrap(), config["thinkingConfig"]["thinkingLevel"] == "HIGH")
        })
        .collect();
    assert!(ways.iter().all(|(who, by_level)| (who == keys[1]) == *by_level), "{ways:?}");
    assert!(keys.iter().all(|key| ways.iter().any(|(who, _)| who == key)), "{ways:?}");
    assert_eq!(refusals(&google).len(), learnt, "nothing had to be repaired");
}
