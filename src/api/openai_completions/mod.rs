//! The legacy `POST /v1/completions`, an adapter over chat: each prompt is one user turn, the answer its text. There is no
//! insertion and no token probability; what would change the meaning of an answer if ignored is refused.

mod answer;
mod request;

use super::conversing::Conversing;
use super::{Context, Parsed, Surface, openai};
use crate::error::ApiError;
use crate::http;
use request::Completion;

/// The surface.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiCompletions;

impl Surface for OpenAiCompletions {
    fn name(&self) -> &'static str {
        "completions"
    }

    fn parse(&self, _: &http::Request, body: Vec<u8>, context: &Context<'_>) -> Parsed {
        let Completion { asked, affinity, reply, others } = request::read_completion(openai::object(body)?, context)?;
        let each = reply.chat.choices;
        Ok(Box::new(Conversing::ask(asked, affinity, reply, context).several(each, others)))
    }

    fn error(&self, error: &ApiError) -> http::Response {
        openai::error::response_about(error, "prompt")
    }
}
