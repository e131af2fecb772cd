//! What both chat targets need to parse a request.

use gemini_openai_proxy::api::openai_chat::OpenAiChat;
use gemini_openai_proxy::api::{Context, Exchange, Fetch, Settings, Surface};
use gemini_openai_proxy::error::ApiError;
use gemini_openai_proxy::gemini::models::ModelTable;
use gemini_openai_proxy::gemini::signatures::SignatureCache;
use gemini_openai_proxy::http::{CancelToken, Headers, Request};
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
pub fn parse(body: Vec<u8>) -> Result<Box<dyn Exchange>, ApiError> {
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
    OpenAiChat.parse(&request, body, &context)
}
