//! `/v1/responses`: OpenAI's Responses dialect over [`crate::conversation`]. `request`, `items` and `tools` read a client's
//! fields; `answer`, `events` and `output` write the response object and its events. docs/responses.md has the mapping.

mod answer;
mod events;
mod items;
mod output;
mod request;
mod tools;

use super::{Context, Exchange, Surface, openai};
use crate::error::ApiError;
use crate::http;

/// The surface.
pub struct OpenAiResponses;

impl Surface for OpenAiResponses {
    fn name(&self) -> &'static str {
        "responses"
    }

    fn parse(
        &self,
        _request: &http::Request,
        body: Vec<u8>,
        context: &Context<'_>,
    ) -> Result<Box<dyn Exchange>, ApiError> {
        Ok(Box::new(request::translate(openai::object(body)?, context)?))
    }

    fn error(&self, error: &ApiError) -> http::Response {
        openai::error::response(error)
    }
}
