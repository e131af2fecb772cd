//! The response object, and the whole answer, which is the last word of events that nobody reads.

use super::events::{COPIES, Events};
use super::memory::Keeper;
use super::tools::Natives;
use super::{compaction, stored};
use crate::api::conversing::{Frames, Reply};
use crate::api::frame;
use crate::api::params::Object;
use crate::conversation::answer::{Folded, Totals};
use crate::conversation::signatures::Signatures;
use crate::gemini::Tier;
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
    /// The answer goes out in events. Tools and instructions are long and every event with a response would have them:
    /// only a whole answer does.
    pub stream: bool,
    /// Keeps the answer.
    pub keeper: Option<Keeper>,
    /// The answer is a summary in the place of these items.
    pub compaction: Option<Vec<Value>>,
    /// It is the whole answer, and no item of a response.
    pub is_compaction: bool,
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
    /// The response object, still without output.
    pub(super) fn response(&self, status: Status, usage: Option<Totals>) -> Value {
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
            "output": [],
            "service_tier": usage.and_then(|usage| usage.tier).unwrap_or(Tier::Standard).openai(),
            "store": self.keeper.is_some() && status != Status::Failed,
            "usage": usage.map(counts),
        });
        if let Value::Object(fields) = &mut response {
            fields.extend(
                self.echo
                    .iter()
                    .filter(|(name, _)| !self.is_long(name))
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
        }
        if self.stream {
            (response["instructions"], response["tools"]) = (Value::Null, json!([]));
        }
        response
    }

    fn is_long(&self, name: &str) -> bool {
        self.stream && matches!(name, "instructions" | "tools")
    }

    /// A response with what the client is not given of it.
    pub(super) fn kept(&self, mut response: Value, items: Vec<Value>) -> Value {
        for name in ["instructions", "tools"] {
            response[name] = self.echo[name].clone();
        }
        response["output"] = items.into();
        response
    }

    /// An item as the client gets it.
    pub(super) fn told(&self, mut item: Value) -> Value {
        if !self.carries {
            stored::hide_carrier(&mut item);
        }
        item
    }

    /// The answer to who asked for a compaction and nothing else.
    fn compacted(&self, response: &Value) -> Value {
        let mut items = response["output"].as_array().into_iter().flatten();
        let summary = items.rfind(|item| item["type"] == "compaction").cloned();
        let output = compaction::output(&self.id, self.compaction.as_deref().unwrap_or_default(), summary);
        json!({"id": response["id"], "object": "response.compaction", "created_at": self.created, "output": output,
            "usage": response["usage"]})
    }
}

/// Token counts.
fn counts(usage: Totals) -> Value {
    json!({
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.thoughts},
        "total_tokens": usage.total,
    })
}

impl Reply for ResponsesReply {
    fn document(&self, mut answer: Folded, out: &mut Vec<u8>) {
        let Some(ending) = answer.ending.take() else { return };
        let mut response = Events::whole(self.0.clone(), answer, &ending);
        if self.0.is_compaction {
            response = self.0.compacted(&response);
        }
        frame::document(&response, out);
    }

    fn keeps(&self) -> usize {
        COPIES
    }

    fn frames(self: Arc<Self>) -> Box<dyn Frames> {
        Box::new(Events::new(self.0.clone()))
    }
}
