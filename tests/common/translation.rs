//! A dialect by itself, without sockets: requests into Google's terms, Google's events into answers. One checker for the
//! fixtures of all dialects.
//!
//! `fixtures/<dialect>/*.jsonl` holds one case per line: `in` (a body, or `__raw__` text), `out` (a subset of Google's
//! request, or `__err__`), `absent` (paths that must not be there), `notices` (pieces of what the client is told, one each); for answers `given` (fields of the request),
//! `attempts` (events of each attempt) and `out`. `<call_id>`, `<8hex>` and `…` stand for what varies.

use super::proxy::today;
use gemini_openai_proxy::api::{Context, Exchange, Fetch, MidSystem, Settings, Surface};
use gemini_openai_proxy::error::{ApiError, ErrorKind};
use gemini_openai_proxy::gemini::Response;
use gemini_openai_proxy::gemini::models::{ModelTable, Serving};
use gemini_openai_proxy::gemini::signatures::SignatureCache;
use gemini_openai_proxy::http::{CancelToken, Headers, Request};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\xdacd\xf8\xcfP\
\x0f\0\x03\x86\x01\x80Z4}k\0\0\0\0IEND\xaeB`\x82";

/// Answers one address with a picture and refuses others, as the guarded fetcher does.
struct Pictures;

impl Fetch for Pictures {
    fn fetch(&self, url: &str) -> Result<(String, Vec<u8>), String> {
        match url {
            "https://img.test/a" => Ok(("image/png; charset=binary".into(), PNG.to_vec())),
            "https://img.test/untyped" => Ok(("application/octet-stream".into(), PNG.to_vec())),
            "https://img.test/404" => Ok(("text/html".into(), b"<html>".to_vec())),
            "https://img.test/notes.txt" => Ok(("text/plain".into(), b"notes".to_vec())),
            _ => Err("the address is not allowed".into()),
        }
    }
}

pub struct World {
    surface: &'static (dyn Surface + Send),
    pub models: ModelTable,
    pub signatures: Arc<SignatureCache>,
    pub settings: Settings,
    pub key: &'static str,
}

/// The table as it is on the day of all tests.
pub fn models() -> ModelTable {
    ModelTable::new(&[]).serving(&Arc::new(Serving::at(today())))
}

impl World {
    pub fn new(surface: &'static (dyn Surface + Send)) -> World {
        World {
            surface,
            models: models(),
            signatures: Arc::new(SignatureCache::new(1 << 20, Duration::from_secs(3600))),
            settings: gemini_openai_proxy::config::parse("{}").unwrap().config.settings,
            key: "key-1",
        }
    }

    pub fn parse(&self, body: impl Into<Vec<u8>>) -> Result<Box<dyn Exchange>, ApiError> {
        let context = Context {
            models: &self.models,
            signatures: &self.signatures,
            fetch: &Pictures,
            key_name: self.key,
            settings: &self.settings,
            asked: None,
        };
        self.surface.parse(&request(), body.into(), &context)
    }

    pub fn google(&self, body: &Value) -> Value {
        let mut exchange = self.parse(body.to_string()).unwrap_or_else(|error| panic!("{error:?} for {body}"));
        serde_json::to_value(&exchange.call().request).unwrap()
    }
}

pub fn request() -> Request {
    Request {
        id: "r".into(),
        method: "POST".into(),
        path: "/".into(),
        query: String::new(),
        headers: Headers::default(),
        body: Vec::new(),
        peer: [127, 0, 0, 1].into(),
        cancel: CancelToken::default(),
    }
}

pub fn cases(dialect: &str, name: &str) -> Vec<Value> {
    let path = format!("{}/tests/fixtures/{dialect}/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Runs every case of a file and shows all that fail at once.
pub fn check(dialect: &str, name: &str, run: impl Fn(&Value) -> Result<(), String>) {
    let cases = cases(dialect, name);
    assert!(cases.len() > 3, "{name}: the fixtures are there");
    let mut failures = Vec::new();
    for case in &cases {
        if let Err(problem) = run(case) {
            failures.push(format!("{}: {problem}", case["title"]));
        }
    }
    assert!(failures.is_empty(), "{} of {} {name}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// Whether a text fits one with placeholders.
pub fn fits(expected: &str, actual: &str) -> bool {
    if expected == "<call_id>" {
        return actual.strip_prefix("call_").is_some_and(|rest| rest.len() == 24);
    }
    if let Some(start) = expected.strip_suffix("<8hex>") {
        return actual
            .strip_prefix(start)
            .is_some_and(|rest| rest.len() == 8 && rest.bytes().all(|b| b.is_ascii_hexdigit()));
    }
    expected == actual || expected.strip_suffix('…').is_some_and(|start| actual.starts_with(start))
}

/// The first difference between what is expected and what is there; arrays are compared completely, objects as subsets.
pub fn differs(expected: &Value, actual: &Value, path: &str) -> Option<String> {
    let equal = match (expected, actual) {
        (Value::Object(fields), Value::Object(_)) => {
            return fields.iter().find_map(|(name, value)| differs(value, &actual[name], &format!("{path}.{name}")));
        }
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            let mut pairs = expected.iter().zip(actual).enumerate();
            return pairs
                .find_map(|(index, (expected, actual))| differs(expected, actual, &format!("{path}[{index}]")));
        }
        (Value::String(expected), Value::String(actual)) => fits(expected, actual),
        (Value::Number(expected), Value::Number(actual)) => expected.as_f64() == actual.as_f64(),
        _ => expected == actual,
    };
    (!equal).then(|| format!("{path}: expected {expected}, got {actual}"))
}

pub fn differs_error(expected: &Value, error: &ApiError) -> Option<String> {
    let got = json!({"status": error.status, "param": error.param, "code": error.code()});
    ["status", "param", "code"].into_iter().find_map(|name| differs(&expected[name], &got[name], name))
}

pub fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    let pointer: String =
        path.split(['.', '[', ']']).filter(|step| !step.is_empty()).map(|step| format!("/{step}")).collect();
    value.pointer(&pointer).unwrap_or(&Value::Null)
}

pub fn google_gets(surface: &'static (dyn Surface + Send), case: &Value) -> Result<(), String> {
    let mut world = World::new(surface);
    if case["settings"]["mid_system"] == "inplace" {
        world.settings.mid_system = MidSystem::InPlace;
    }
    world.settings.media_resolution = case["settings"]["media_resolution"] == true;
    for entry in case["cache"].as_array().into_iter().flatten() {
        let text = |index: usize| entry[index].as_str().unwrap();
        world.signatures.put(world.key, text(0), text(1), text(2));
    }
    let body = case["in"]["__raw__"].as_str().map_or_else(|| case["in"].to_string(), str::to_owned);
    match (world.parse(body), case["out"]["__err__"] == true) {
        (Err(error), true) => differs_error(&case["out"], &error).map_or(Ok(()), Err),
        (Err(error), false) => Err(format!("{error:?}")),
        (Ok(_), true) => Err("was accepted".into()),
        (Ok(mut exchange), false) => {
            let google = serde_json::to_value(&exchange.call().request).unwrap();
            if let Some(problem) = differs(&case["out"], &google, "request") {
                return Err(problem);
            }
            if let Some(pieces) = case["notices"].as_array() {
                let told = exchange.notices();
                let says = |(piece, told): (&Value, &String)| told.contains(piece.as_str().unwrap());
                if pieces.len() != told.len() || !pieces.iter().zip(told).all(says) {
                    return Err(format!("notices: {told:?}"));
                }
            }
            let absent = case["absent"].as_array().into_iter().flatten().filter_map(Value::as_str);
            match absent.into_iter().find(|path| !at(&google, path).is_null()) {
                Some(path) => Err(format!("{path} must be absent, is {}", at(&google, path))),
                None => Ok(()),
            }
        }
    }
}

/// What an exchange gives for the events of its attempts, driven as the handler drives it.
pub fn answer(exchange: &dyn Exchange, attempts: &[Value]) -> Result<String, ApiError> {
    let mut out = Vec::new();
    let mut attempts = attempts.iter().peekable();
    loop {
        let mut translator = exchange.translator();
        // Nothing that fails before content may have written anything.
        out.clear();
        let events = attempts.next().and_then(Value::as_array).expect("an attempt more than the case has");
        let mut outcome = Ok(());
        for event in events {
            if let Some(error) = event.get("__fail__") {
                let code = error["code"].as_str().unwrap().to_owned();
                let status = error["status"].as_u64().unwrap() as u16;
                let kind = if status == 429 { ErrorKind::RateLimit } else { ErrorKind::Server };
                let wait = error["retry_after_ms"].as_u64().map(Duration::from_millis);
                let error = ApiError::new(status, kind, error["message"].as_str().unwrap()).with_code(code);
                let error = wait.into_iter().fold(error, ApiError::with_retry_after);
                translator.fail(&error, &mut out);
                return Ok(String::from_utf8(out).unwrap());
            }
            let event = match event.get("traceId") {
                Some(id) => {
                    translator.trace_id(id.as_str().unwrap());
                    match event.get("response") {
                        Some(inner) => inner,
                        None => continue,
                    }
                }
                None => event,
            };
            let text = event.to_string();
            let parsed: Response = serde_json::from_str(&text).unwrap();
            outcome = translator.event(&text, &parsed, &mut out);
            if outcome.is_err() || translator.done() {
                break;
            }
        }
        match outcome.and_then(|()| translator.end(&mut out)) {
            Ok(()) => return Ok(String::from_utf8(out).unwrap()),
            Err(error) if translator.retryable(&error) && attempts.peek().is_some() => assert!(out.is_empty()),
            Err(error) if out.is_empty() => return Err(error),
            Err(error) => {
                assert!(!translator.retryable(&error), "content is out");
                translator.fail(&error, &mut out);
                return Ok(String::from_utf8(out).unwrap());
            }
        }
    }
}
