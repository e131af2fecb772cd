//! `/v1/chat/completions`: OpenAI's chat dialect over [`crate::conversation`]: `request` reads its fields, `answer` writes
//! its document and its chunks.

mod answer;
mod request;

use super::conversing::Conversing;
use super::{Call, Context, Exchange, Framing, Operation, Parsed, Surface, openai};
use crate::conversation::plan::Plan;
use crate::conversation::signatures::Signatures;
use crate::error::ApiError;
use crate::http;
pub(super) use answer::ChatReply;
pub(super) use request::read_chat;

/// The surface.
pub struct OpenAiChat;

impl Surface for OpenAiChat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn parse(&self, _: &http::Request, body: Vec<u8>, context: &Context<'_>) -> Parsed {
        let (asked, affinity, reply) = read_chat(openai::object(body)?, context)?;
        let choices = reply.choices;
        Ok(Box::new(Conversing::ask(asked, affinity, reply, context).several(choices, Vec::new())))
    }

    fn error(&self, error: &ApiError) -> http::Response {
        openai::error::response(error)
    }
}

/// A request that is in Google's terms already, to be answered in OpenAI's.
pub fn answered_as_chat(call: Call, context: &Context<'_>) -> Box<dyn Exchange> {
    let reply = ChatReply {
        model: call.model.clone(),
        created: openai::now(),
        include_usage: false,
        legacy: false,
        tier: false,
        choices: 1,
    };
    let mut plan = Plan::new(Signatures::new(context, &call.model, false));
    let framing = if call.operation == Operation::Stream { Framing::Events } else { Framing::Whole };
    plan.keep(framing == Framing::Events, &call.request);
    Box::new(Conversing::new(call, framing, plan, reply))
}
