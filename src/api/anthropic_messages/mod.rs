//! `/v1/messages`: Anthropic's dialect over [`crate::conversation`]. `request` and `blocks` read a client's fields, `answer`
//! and `events` write the message and its events, `count` estimates tokens, `error` is the shape of failures.

mod answer;
mod blocks;
mod count;
mod error;
mod events;
mod request;

pub use count::count_tokens;
pub use error::{request_id, response as error_response};

use super::{Context, Parsed, Surface, openai};
use crate::error::ApiError;
use crate::http;

/// The surface, for one request.
pub struct AnthropicMessages {
    /// The request's id, which failures repeat.
    pub id: String,
}

impl Surface for AnthropicMessages {
    fn name(&self) -> &'static str {
        "messages"
    }

    fn parse(&self, _: &http::Request, body: Vec<u8>, context: &Context<'_>) -> Parsed {
        Ok(Box::new(request::translate(openai::object(body)?, context)?))
    }

    fn error(&self, error: &ApiError) -> http::Response {
        error::response(error, &self.id)
    }
}
