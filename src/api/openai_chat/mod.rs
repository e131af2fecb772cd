//! `/v1/chat/completions`: OpenAI's chat dialect over Google's types. openai_chat.md is its specification.
//!
//! On the way in: `request` (fields), `messages`, `history` and `pairing` (the conversation), `content` and `media` (parts),
//! `tools`. What the answer must know goes into a `reply::Reply`. On the way out: `answer` reads Google's events into
//! pieces; `response` makes one document of them, `stream` a sequence of chunks.

mod answer;
mod message;
pub(crate) mod reply;
pub(crate) mod request;
mod response;
mod stream;

use super::{Call, Context, Exchange, Framing, Operation, Surface, Translator, openai};
use crate::conversation::names::Names;
use crate::error::ApiError;
use crate::gemini::signatures;
use crate::http;
use reply::Reply;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The surface.
pub struct OpenAiChat;

impl Surface for OpenAiChat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn parse(
        &self,
        _request: &http::Request,
        body: Vec<u8>,
        context: &Context<'_>,
    ) -> Result<Box<dyn Exchange>, ApiError> {
        let body = openai::object(body)?;
        Ok(Box::new(request::translate(body, context)?))
    }

    fn error(&self, error: &ApiError) -> http::Response {
        openai::error::response(error)
    }
}

/// A request that is in Google's terms already, to be answered in OpenAI's.
pub fn answered_as_chat(call: Call, context: &Context<'_>) -> Box<dyn Exchange> {
    let stream = call.operation == Operation::Stream;
    let reply = Reply {
        kept_text: reply::kept_text(stream, &call.request),
        model: call.model.clone(),
        created: openai::now(),
        stream,
        include_usage: false,
        names: Names::default(),
        legacy: false,
        single_call: false,
        marker: None,
        stops: Vec::new(),
        json: reply::Json::No,
        logprobs: false,
        audio: None,
        tier: false,
        signatures: Arc::clone(context.signatures),
        key_name: context.key_name.to_owned(),
        family: signatures::family(&call.model).to_owned(),
    };
    let framing = if stream { Framing::Events } else { Framing::Whole };
    Box::new(Chat::new(call, framing, reply))
}

/// A parsed chat request.
struct Chat {
    call: Call,
    framing: Framing,
    reply: Arc<Reply>,
    attempts: AtomicU32,
}

impl Chat {
    fn new(call: Call, framing: Framing, reply: Reply) -> Chat {
        Chat { call, framing, reply: Arc::new(reply), attempts: AtomicU32::new(0) }
    }
}

impl Exchange for Chat {
    fn call(&mut self) -> &mut Call {
        &mut self.call
    }

    fn framing(&self) -> Framing {
        self.framing
    }

    fn translator(&self) -> Box<dyn Translator> {
        // A later attempt must know that it is one: what was worth another try once is an answer the second time.
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        let reply = Arc::clone(&self.reply);
        match self.framing {
            Framing::Whole => Box::new(response::Whole::new(reply, attempt)),
            Framing::Events | Framing::Array => Box::new(stream::Stream::new(reply, attempt)),
        }
    }
}
