//! `/v1/responses`: OpenAI's Responses dialect over [`crate::conversation`]. `request`, `items` and `tools` read a client's
//! fields; `answer`, `events`, `wire`, `output` and `failure` write the response object and its events. `store` keeps responses, `memory` is
//! what requests have to do with it, `stored` answers the routes about one of them. docs/responses.md has the mapping.

mod answer;
mod compaction;
mod events;
mod failure;
mod items;
mod memory;
mod output;
mod request;
mod store;
pub mod stored;
mod tools;
mod wire;

pub use store::Store;

use super::{Context, Count, Exchange, Parsed, Surface, openai};
use crate::conversation::tokens;
use crate::error::ApiError;
use crate::http;
use serde_json::{Value, json};
use std::sync::Arc;

/// The surface.
pub struct OpenAiResponses {
    /// Where responses are kept.
    pub store: Arc<Store>,
    /// What becomes of a request.
    pub task: Task,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// An answer.
    Answer,
    /// A summary in the place of the conversation.
    Compact,
    /// Nothing: its tokens are counted.
    Count,
}

/// `/v1/responses/input_tokens`
pub fn count_tokens(
    store: &Arc<Store>,
    body: Vec<u8>,
    context: &Context<'_>,
    count: Count<'_>,
) -> Result<Value, ApiError> {
    let surface = OpenAiResponses { store: store.clone(), task: Task::Count };
    let mut exchange = request::translate(openai::object(body)?, context, &surface)?;
    let call = exchange.call();
    let tokens = count(call).unwrap_or_else(|| tokens::estimate(&call.request));
    Ok(json!({"object": "response.input_tokens", "input_tokens": tokens}))
}

impl Surface for OpenAiResponses {
    fn name(&self) -> &'static str {
        "responses"
    }

    fn parse(&self, _: &http::Request, body: Vec<u8>, context: &Context<'_>) -> Parsed {
        Ok(Box::new(request::translate(openai::object(body)?, context, self)?))
    }

    fn error(&self, error: &ApiError) -> http::Response {
        let said = ApiError { message: error.said().to_owned(), ..error.clone() };
        openai::error::response_about(&said, "input")
    }
}
