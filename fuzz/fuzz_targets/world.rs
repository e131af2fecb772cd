//! What the targets of the dialects share: a request is parsed as the proxy would, what goes to Google is checked, and Google's
//! events are driven through a translator.
#![allow(dead_code, reason = "each target is a program of its own and uses a part")]

use gemini_openai_proxy::api::{Context, Exchange, Fetch, Settings, Surface};
use gemini_openai_proxy::error::ApiError;
use gemini_openai_proxy::gemini::models::ModelTable;
use gemini_openai_proxy::gemini::signatures::SignatureCache;
use gemini_openai_proxy::gemini::{Content, Response, surrogates};
use gemini_openai_proxy::http::{CancelToken, Headers, Request};
use gemini_openai_proxy::sse::EventReader;
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// A network with one picture in it.
struct OnePicture;

impl Fetch for OnePicture {
    fn fetch(&self, url: &str) -> Result<(String, Vec<u8>), String> {
        match url.len() % 2 {
            0 => Ok(("image/png".into(), b"\x89PNG\r\n\x1a\n".to_vec())),
            _ => Err("the address is not allowed".into()),
        }
    }
}

static MODELS: LazyLock<ModelTable> = LazyLock::new(|| ModelTable::new(&[]));

/// Parses `body` as the proxy would.
pub fn parse(surface: &dyn Surface, body: Vec<u8>) -> Result<Box<dyn Exchange>, ApiError> {
    let context = Context {
        models: &MODELS,
        signatures: &Arc::new(SignatureCache::new(1 << 16, Duration::from_secs(60))),
        fetch: &OnePicture,
        key_name: "key",
        settings: &Settings::default(),
        asked: None,
    };
    let request = Request {
        id: "r".into(),
        method: "POST".into(),
        path: "/v1/chat/completions".into(),
        query: String::new(),
        headers: Headers::default(),
        body: Vec::new(),
        peer: [127, 0, 0, 1].into(),
        cancel: CancelToken::default(),
    };
    surface.parse(&request, body, &context)
}

fn calls(turn: Option<&Content>) -> Vec<&str> {
    let parts = turn.into_iter().flat_map(|turn| &turn.parts);
    parts.filter_map(|part| Some(part.function_call.as_ref()?.name.as_str())).collect()
}

fn results(turn: Option<&Content>) -> Vec<&str> {
    let parts = turn.into_iter().flat_map(|turn| &turn.parts);
    parts.filter_map(|part| Some(part.function_response.as_ref()?.name.as_str())).collect()
}

/// A refusal that is the client's fault, or a conversation that keeps Google's rules for turns.
pub fn check_request(parsed: Result<Box<dyn Exchange>, ApiError>) {
    let mut exchange = match parsed {
        Ok(exchange) => exchange,
        Err(error) => {
            assert!((400..500).contains(&error.status), "{error:?}");
            return;
        }
    };
    let request = &exchange.call().request;
    let turns = &request.contents;
    for (at, turn) in turns.iter().enumerate() {
        // A model turn at the end or the start would be refused, and so would two in a row after merging.
        let expected = if at % 2 == 0 { "user" } else { "model" };
        assert_eq!(turn.role.as_deref(), Some(expected));
        assert!(!turn.parts.is_empty());
        let before = at.checked_sub(1).and_then(|at| turns.get(at));
        assert_eq!(calls(before), results(Some(turn)), "every call has its result in the turn behind it");
    }
    assert_eq!(turns.len() % 2, 1);
    serde_json::to_vec(request).unwrap();
}

/// The answer to `request` when Google's event stream is `body`: frames of a stream, or a document; `Err`: it failed before
/// anything went out and there is nothing to write.
pub fn answer(surface: &dyn Surface, request: &Value, body: &[u8]) -> Option<Result<Vec<u8>, ApiError>> {
    let Ok(exchange) = parse(surface, request.to_string().into_bytes()) else { unreachable!() };
    let streams = request["stream"] == true;
    let mut translator = exchange.translator();
    let mut reader = EventReader::with_limit(body, 1 << 20);
    let mut out = Vec::new();
    let mut result = Ok(());
    while let Ok(Some(event)) = reader.next_event() {
        let event = surrogates::mark(&event);
        let parsed = serde_json::from_str::<Response>(&event).ok()?;
        result = translator.event(&event, &parsed, &mut out);
        if result.is_err() || translator.done() {
            break;
        }
    }
    let ended = result.and_then(|()| translator.end(&mut out));
    translator.usage();
    if let Err(error) = ended {
        assert!((400..600).contains(&error.status));
        assert!(!(translator.retryable(&error) && !out.is_empty()), "content is out");
        serde_json::from_slice::<Value>(&surface.error(&error).body).expect("an error is a document");
        if !streams {
            return Some(Err(error));
        }
        translator.fail(&error, &mut out);
    }
    Some(Ok(out))
}

/// The events of a stream whose frames are a name and one line of data that repeats it.
pub fn named_events(out: &[u8]) -> Vec<(String, Value)> {
    let text = std::str::from_utf8(out).unwrap();
    let event = |frame: &str| {
        let (name, data) = frame.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
        assert!(!data.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']));
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["type"], name);
        (name.to_owned(), data)
    };
    text.split_terminator("\n\n").map(event).collect()
}
