//! A streamed answer: the sequence of `chat.completion.chunk` events (docs/openai-chat.md "The sequence of chunks").
//! Every rule here was found by an SDK that breaks without it.

use super::ChatReply;
use super::shapes::{AnnotationShape, AudioShape, CallShape, FunctionShape, ImageShape, LogprobsShape};
use crate::api::conversing::Frames;
use crate::api::frame;
use crate::api::openai::extra_content::ExtraContent;
use crate::api::openai::{self, usage::Usage};
use crate::conversation::answer::{Delta, Ending, Logprob, ToolCall, Totals};
use crate::error::ApiError;
use crate::gemini::Tier;
use serde_json::json;
use std::sync::Arc;

/// Ends the head of a chunk.
const CHOICES: &[u8] = b",\"choices\":[";

/// Writes chunks.
pub(super) struct Chunks {
    reply: Arc<ChatReply>,
    /// Everything of a chunk that comes before its choices; made once.
    head: Vec<u8>,
    /// The field of the tier in it, which Google may tell late.
    tier: &'static str,
    /// The role chunk is out.
    begun: bool,
    calls: usize,
    images: usize,
    /// Which of the answers this is.
    index: u32,
    /// Token counts of those before it.
    used: Totals,
}

impl Chunks {
    pub(super) fn new(reply: Arc<ChatReply>) -> Chunks {
        Chunks {
            reply,
            head: Vec::new(),
            tier: "",
            begun: false,
            calls: 0,
            images: 0,
            index: 0,
            used: Totals::default(),
        }
    }

    /// Makes the head. All answers have the same.
    fn start(&mut self, id: &str, tier: Option<Tier>) {
        if !self.head.is_empty() {
            return;
        }
        self.tier = self.reply.tier(tier);
        self.head.extend_from_slice(b"data: {\"id\":");
        frame::json(&format_args!("chatcmpl-{id}"), &mut self.head);
        self.head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        frame::json(&self.reply.created, &mut self.head);
        self.head.extend_from_slice(b",\"model\":");
        frame::json(&self.reply.model, &mut self.head);
        self.head.extend_from_slice(self.tier.as_bytes());
        self.head.extend_from_slice(CHOICES);
    }

    /// Says in the chunks that are left what has served.
    fn correct_tier(&mut self, tier: Option<Tier>) {
        let known = self.reply.tier(tier.or(self.used.tier));
        if known != self.tier {
            self.head.truncate(self.head.len() - self.tier.len() - CHOICES.len());
            self.head.extend_from_slice(known.as_bytes());
            self.head.extend_from_slice(CHOICES);
            self.tier = known;
        }
    }

    fn chunk(
        &self,
        out: &mut Vec<u8>,
        ending: Option<&Ending>,
        logprobs: &[Logprob],
        delta: impl FnOnce(&mut Vec<u8>),
    ) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"index\":");
        frame::json(&self.index, out);
        out.extend_from_slice(b",\"delta\":{");
        delta(out);
        out.extend_from_slice(b"},\"logprobs\":");
        match logprobs {
            [] => out.extend_from_slice(b"null"),
            content => frame::json(&LogprobsShape { content, refusal: () }, out),
        }
        out.extend_from_slice(b",\"finish_reason\":");
        frame::json(&ending.map(|ending| self.reply.finish(ending.finish)), out);
        if let Some(extra) = ending.and_then(ExtraContent::reason) {
            out.extend_from_slice(b",\"extra_content\":");
            frame::json(&extra, out);
        }
        out.extend_from_slice(b"}]");
        if self.reply.include_usage {
            out.extend_from_slice(b",\"usage\":null");
        }
        out.extend_from_slice(b"}\n\n");
    }

    /// The role, once: the Python helper makes "assistantassistant" of two, the JavaScript one throws at none.
    fn begin(&mut self, content: &[u8], out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            self.chunk(out, None, &[], |out| {
                out.extend_from_slice(b"\"role\":\"assistant\",\"content\":");
                out.extend_from_slice(content);
            });
        }
    }

    fn call(&mut self, call: &ToolCall, out: &mut Vec<u8>) {
        // With "" beside calls the helpers end up with an empty content; OpenAI sends null there, too.
        self.begin(b"null", out);
        if self.reply.legacy {
            return self.field(out, b"\"function_call\":", &FunctionShape::new(call));
        }
        self.field(out, b"\"tool_calls\":", &[CallShape::new(call, Some(self.calls))]);
        self.calls += 1;
    }

    fn arguments(&mut self, text: &str, out: &mut Vec<u8>) {
        let function = json!({ "arguments": text });
        match self.reply.legacy {
            true => self.field(out, b"\"function_call\":", &function),
            false => self.field(out, b"\"tool_calls\":", &[json!({"index": self.calls - 1, "function": function})]),
        }
    }

    fn end(&mut self, ending: &Ending, out: &mut Vec<u8>) {
        self.correct_tier(ending.usage.tier);
        if let Some(data) = ending.audio.as_deref() {
            self.field(out, b"\"audio\":", &AudioShape::new(data, self.reply.created));
        }
        let annotations: Vec<_> = ending.search.citations.iter().map(AnnotationShape::new).collect();
        let extra = ExtraContent::found(&ending.search, ending.signature.as_deref());
        match (annotations.is_empty(), &extra) {
            (true, Some(extra)) => self.field(out, b"\"extra_content\":", extra),
            (false, extra) => self.chunk(out, None, &[], |out| {
                out.extend_from_slice(b"\"annotations\":");
                frame::json(&annotations, out);
                if let Some(extra) = extra {
                    out.extend_from_slice(b",\"extra_content\":");
                    frame::json(extra, out);
                }
            }),
            (true, None) => {}
        }
        // Never together with a call: the helpers would not tell that its arguments are complete.
        self.chunk(out, Some(ending), &ending.logprobs, |_| {});
        self.used = [self.used, ending.usage].into_iter().sum();
        self.index += 1;
        if self.index < self.reply.choices {
            (self.begun, self.calls, self.images) = (false, 0, 0);
            return;
        }
        if self.reply.include_usage {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"],\"usage\":");
            frame::json(&Usage::from(self.used), out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn field<T: serde::Serialize + ?Sized>(&self, out: &mut Vec<u8>, name: &[u8], value: &T) {
        self.chunk(out, None, &[], |out| {
            out.extend_from_slice(name);
            frame::json(value, out);
        });
    }
}

impl Frames for Chunks {
    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, usage } => return self.start(id, usage.tier()),
            Delta::Call(call) => return self.call(&call, out),
            Delta::Arguments(text) => return self.arguments(text, out),
            _ => self.begin(b"\"\"", out),
        }
        match delta {
            Delta::Start { .. } | Delta::Call(_) | Delta::Arguments(_) => {}
            Delta::Thought(text) => self.field(out, b"\"reasoning_content\":", text),
            Delta::Text(text, logprobs) => self.chunk(out, None, &logprobs, |out| {
                out.extend_from_slice(b"\"content\":");
                frame::json(text, out);
            }),
            Delta::Image(image) => {
                let shape = ImageShape::new(self.images, image.mime, image.data, image.signature);
                self.field(out, b"\"images\":", &[shape]);
                self.images += 1;
            }
            Delta::End(ending) => self.end(&ending, out),
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        // No finish and no [DONE] behind it: a client must not take half an answer for a whole one.
        openai::error::frame(error, out);
    }
}
