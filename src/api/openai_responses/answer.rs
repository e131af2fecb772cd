//! The response object, and the whole answer, which is the last word of the events.

use super::events::Events;
use super::tools::Natives;
use crate::api::conversing::{Frames, Reply};
use crate::api::params::Object;
use crate::conversation::answer::{Block, Folded, Totals};
use crate::conversation::signatures::Signatures;
use serde_json::{Value, json};
use std::sync::Arc;

/// How one request is answered.
pub(super) struct ResponsesReply(pub Arc<Shape>);

/// What an answer repeats of its request, and what it shows.
pub(super) struct Shape {
    /// Of the response and, with prefixes, of its items.
    pub id: String,
    /// Unix seconds.
    pub created: u64,
    /// The client's name of the model.
    pub model: String,
    /// Fields of the request that the response repeats.
    pub echo: Object,
    /// Thoughts are shown as summaries.
    pub shows: bool,
    /// Signatures are carried in reasoning items.
    pub carries: bool,
    /// Tools whose calls are items of their own kind.
    pub natives: Natives,
    /// The envelopes for signatures.
    pub signatures: Signatures,
}

/// How a response stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete(&'static str),
    Failed,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Status::InProgress => "in_progress",
            Status::Completed => "completed",
            Status::Incomplete(_) => "incomplete",
            Status::Failed => "failed",
        }
    }
}

impl Shape {
    /// The response object.
    pub(super) fn response(&self, status: Status, output: &[Value], usage: Option<Totals>) -> Value {
        let incomplete = match status {
            Status::Incomplete(reason) => Some(json!({ "reason": reason })),
            _ => None,
        };
        let mut response = json!({
            "id": format!("resp_{}", self.id),
            "object": "response",
            "created_at": self.created,
            "completed_at": (status == Status::Completed).then(crate::api::openai::now),
            "status": status.word(),
            "background": false,
            "error": null,
            "incomplete_details": incomplete,
            "model": self.model,
            "output": output,
            "service_tier": "default",
            "store": false,
            "usage": usage.map(counts),
        });
        if let Value::Object(fields) = &mut response {
            fields.extend(self.echo.clone());
        }
        response
    }
}

/// Token counts.
fn counts(usage: Totals) -> Value {
    json!({
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.thoughts},
        "total_tokens": usage.total,
    })
}

impl Reply for ResponsesReply {
    fn document(&self, answer: &Folded, out: &mut Vec<u8>) {
        let Some(ending) = &answer.ending else { return };
        let mut events = Events::new(self.0.clone());
        // Of a whole answer it is known before what a stream learns at its end.
        events.foresee(ending);
        let mut unread = Vec::new();
        let mut logprobs = &answer.logprobs[..];
        for block in &answer.blocks {
            match block {
                Block::Thought(text) => events.thought(text, &mut unread),
                Block::Text(text) => events.text(text, std::mem::take(&mut logprobs), &mut unread),
                Block::Call(call) => events.call(call, &mut unread),
                Block::Image { data, .. } => events.image(data, &mut unread),
            }
            unread.clear();
        }
        let response = events.end(ending, &mut unread);
        out.extend_from_slice(response.to_string().as_bytes());
    }

    fn frames(self: Arc<Self>) -> Box<dyn Frames> {
        Box::new(Events::new(self.0.clone()))
    }
}
