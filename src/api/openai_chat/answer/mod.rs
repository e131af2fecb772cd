//! Chat's answers: one `chat.completion` document, or a sequence of chunks.

mod chunks;
mod document;
mod shapes;

use crate::api::conversing::{Frames, Reply};
use crate::conversation::answer::{Finish, Folded};
use crate::gemini::Tier;
use std::sync::Arc;

/// What an answer repeats of its request.
pub(in crate::api) struct ChatReply {
    /// The client's name of the model.
    pub model: String,
    /// Unix seconds, one value for all chunks.
    pub created: u64,
    /// A usage chunk is wanted.
    pub include_usage: bool,
    /// Answers have `function_call`, not `tool_calls`.
    pub legacy: bool,
    /// The client asked for a service tier and gets to hear one.
    pub tier: bool,
    /// Answers that are wanted.
    pub choices: u32,
}

impl Reply for ChatReply {
    fn document(&self, answer: Folded, out: &mut Vec<u8>) {
        self.documents(vec![answer], out);
    }

    fn documents(&self, answers: Vec<Folded>, out: &mut Vec<u8>) {
        document::write(self, &answers, out);
    }

    fn frames(self: Arc<Self>) -> Box<dyn Frames> {
        Box::new(chunks::Chunks::new(self))
    }
}

impl ChatReply {
    /// The field that says what has served, for who asked for a tier.
    fn tier(&self, tier: Option<Tier>) -> &'static str {
        match tier.unwrap_or(Tier::Standard) {
            _ if !self.tier => "",
            Tier::Standard => r#","service_tier":"default""#,
            Tier::Flex => r#","service_tier":"flex""#,
            Tier::Priority => r#","service_tier":"priority""#,
        }
    }

    fn finish(&self, finish: Finish) -> &'static str {
        match finish {
            Finish::Stop => "stop",
            Finish::Calls if self.legacy => "function_call",
            Finish::Calls => "tool_calls",
            Finish::Length => "length",
            Finish::Filter => "content_filter",
        }
    }
}
