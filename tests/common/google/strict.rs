//! What Google refuses although its JSON parser would take it.

use super::errors::Refusal;
use super::models::Model;
use super::proto::Side;
use super::state::State;
use serde_json::Value;

pub fn check(_state: &State, _model: &Model, _inner: &Value, _side: Side) -> Result<(), Refusal> {
    Ok(())
}

pub fn countable(_request: &Value) -> Result<(), Refusal> {
    Ok(())
}
