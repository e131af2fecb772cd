//! The legacy `POST /v1/completions`: the prompt is one user turn, the answer its text. There is no insertion, no list of
//! choices and no token probability; what would change the meaning of an answer if ignored is refused.

mod request;
mod translator;

use super::openai::{error, model, now, object, unknown_model};
use super::{Call, Context, Exchange, Framing, Operation, Surface, Translator};
use crate::error::ApiError;
use crate::http;
use crate::os::random;
use translator::{Completion, Frame};

/// The surface.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiCompletions;

impl Surface for OpenAiCompletions {
    fn name(&self) -> &'static str {
        "completions"
    }

    fn parse(
        &self,
        _request: &http::Request,
        body: Vec<u8>,
        context: &Context<'_>,
    ) -> Result<Box<dyn Exchange>, ApiError> {
        let mut fields = object(body)?;
        let requested = model(&mut fields)?;
        let resolved = context.models.resolve(&requested).ok_or_else(|| unknown_model(&requested))?;
        if resolved.model.embedding {
            let message = format!("model {} makes embeddings and no text", resolved.model.name);
            return Err(ApiError::invalid("model", "unsupported_value", message));
        }
        let asked = request::read(&fields, &resolved)?;
        let frame = Frame {
            id: format!("cmpl-{}", random::id(24)),
            created: now(),
            model: requested,
            streams: asked.streams,
            with_usage: asked.with_usage,
            echo: asked.echo,
        };
        let operation = if asked.streams { Operation::Stream } else { Operation::Generate };
        let call = Call { model: resolved.model.name, operation, request: asked.request, affinity: None };
        Ok(Box::new(CompletionExchange { call, frame }))
    }

    fn error(&self, error: &ApiError) -> http::Response {
        error::response(error)
    }
}

struct CompletionExchange {
    call: Call,
    frame: Frame,
}

impl Exchange for CompletionExchange {
    fn call(&mut self) -> &mut Call {
        &mut self.call
    }

    fn framing(&self) -> Framing {
        if self.frame.streams { Framing::Events } else { Framing::Whole }
    }

    fn translator(&self) -> Box<dyn Translator> {
        Box::new(Completion::new(self.frame.clone()))
    }
}

#[cfg(test)]
mod tests;
