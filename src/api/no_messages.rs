//! What stands in the place of `anthropic_messages` in a program that was built without the feature `agents`: its routes say
//! so, in Anthropic's shape.

#[path = "anthropic_messages/error.rs"]
mod error;

pub use error::{request_id, response as error_response};

use super::{Context, Count, Parsed, Surface};
use crate::error::ApiError;
use crate::http;
use serde_json::Value;

/// The surface, for one request.
pub struct AnthropicMessages {
    /// The request's id, which failures repeat.
    pub id: String,
}

/// `/v1/messages/count_tokens`
pub fn count_tokens(_: Vec<u8>, _: &Context<'_>, _: Count<'_>) -> Result<Value, ApiError> {
    Err(super::left_out())
}

impl Surface for AnthropicMessages {
    fn name(&self) -> &'static str {
        "messages"
    }

    fn parse(&self, _: &http::Request, _: Vec<u8>, _: &Context<'_>) -> Parsed {
        Err(super::left_out())
    }

    fn error(&self, error: &ApiError) -> http::Response {
        error::response(error, &self.id)
    }
}
