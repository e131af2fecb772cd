//! `/v1/chat/completions`: OpenAI's chat dialect over Google's types. openai_chat.md is its specification.
//!
//! On the way in: `request` (fields), `messages`, `history` and `pairing` (the conversation), `content` and `media` (parts),
//! `tools`. What the answer must know goes into a `reply::Reply`. On the way out: `answer` reads Google's events into
//! pieces; `response` makes one document of them, `stream` a sequence of chunks.

mod answer;
mod message;
mod request;
mod response;
mod stream;

use super::{Call, Context, Exchange, Framing, Operation, Surface, Translator, openai};
use crate::conversation::plan::Plan;
use crate::conversation::signatures::Signatures;
use crate::error::ApiError;
use crate::http;
use answer::{Answer, Finish};
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
    let reply =
        Reply { model: call.model.clone(), created: openai::now(), include_usage: false, legacy: false, tier: false };
    let mut plan = Plan::new(Signatures::new(context, &call.model, false));
    plan.keep(call.operation == Operation::Stream, &call.request);
    Box::new(Chat::new(call, reply, plan))
}

/// What the frames of an answer repeat of its request.
struct Reply {
    /// The client's name of the model.
    model: String,
    /// Unix seconds, one value for all chunks.
    created: u64,
    /// A usage chunk is wanted.
    include_usage: bool,
    /// Answers have `function_call`, not `tool_calls`.
    legacy: bool,
    /// The client asked for a service tier and gets to hear one.
    tier: bool,
}

impl Reply {
    fn finish(&self, finish: Finish) -> &'static str {
        match finish {
            Finish::Stop => "stop",
            Finish::Calls if self.legacy => "function_call",
            Finish::Calls => "tool_calls",
            Finish::Length => "length",
            Finish::Filter => "content_filter",
        }
    }
}

/// A parsed chat request.
struct Chat {
    call: Call,
    reply: Arc<Reply>,
    plan: Arc<Plan>,
    attempts: AtomicU32,
}

impl Chat {
    fn new(call: Call, reply: Reply, plan: Plan) -> Chat {
        Chat { call, reply: Arc::new(reply), plan: Arc::new(plan), attempts: AtomicU32::new(0) }
    }
}

impl Exchange for Chat {
    fn call(&mut self) -> &mut Call {
        &mut self.call
    }

    fn framing(&self) -> Framing {
        if self.call.operation == Operation::Stream { Framing::Events } else { Framing::Whole }
    }

    fn translator(&self) -> Box<dyn Translator> {
        // A later attempt must know that it is one: what was worth another try once is an answer the second time.
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        let answer = Answer::new(Arc::clone(&self.plan), attempt);
        let reply = Arc::clone(&self.reply);
        match self.framing() {
            Framing::Whole => Box::new(response::Whole::new(reply, answer)),
            Framing::Events | Framing::Array => Box::new(stream::Stream::new(reply, answer)),
        }
    }
}
