//! What stands in the place of `openai_responses` in a program that was built without the feature `agents`: its routes say so.

use super::{Context, Count, Parsed, Surface, openai};
use crate::error::ApiError;
use crate::http;
use serde_json::Value;
use std::sync::Arc;

/// The surface.
pub struct OpenAiResponses {
    /// Keeps nothing.
    pub store: Arc<Store>,
    /// What would become of a request.
    pub task: Task,
}

/// What would become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// An answer.
    Answer,
    /// A summary in the place of the conversation.
    Compact,
}

/// Keeps nothing.
#[derive(Debug)]
pub struct Store;

impl Store {
    /// Whatever its size.
    pub fn new(_: usize) -> Store {
        Store
    }

    /// Changes nothing.
    pub fn limit(&self, _: usize) {}
}

/// `/v1/responses/input_tokens`
pub fn count_tokens(_: &Arc<Store>, _: Vec<u8>, _: &Context<'_>, _: Count<'_>) -> Result<Value, ApiError> {
    Err(super::left_out())
}

/// The routes about one response.
pub mod stored {
    use super::Store;
    use crate::api::left_out;
    use crate::error::ApiError;
    use serde_json::Value;

    /// Reads one.
    pub fn retrieve(_: &Store, _: &str, _: &str, _: &str) -> Result<Value, ApiError> {
        Err(left_out())
    }

    /// Forgets one.
    pub fn delete(_: &Store, _: &str, _: &str) -> Result<Value, ApiError> {
        Err(left_out())
    }

    /// Stops one.
    pub fn cancel(_: &Store, _: &str, _: &str) -> Result<Value, ApiError> {
        Err(left_out())
    }

    /// What one was given.
    pub fn input_items(_: &Store, _: &str, _: &str, _: &str) -> Result<Value, ApiError> {
        Err(left_out())
    }
}

impl Surface for OpenAiResponses {
    fn name(&self) -> &'static str {
        "responses"
    }

    fn parse(&self, _: &http::Request, _: Vec<u8>, _: &Context<'_>) -> Parsed {
        Err(super::left_out())
    }

    fn error(&self, error: &ApiError) -> http::Response {
        openai::error::response(error)
    }
}
