//! A whole answer: one `chat.completion` document (openai_chat.md 2.1).

use super::Reply;
use super::answer::{Answer, Finish, Piece, ToolCall};
use super::message::{AudioShape, CallShape, ExtraContent, FunctionShape, ImageShape, LogprobsShape};
use crate::api::Translator;
use crate::api::openai::{self, usage::Usage};
use crate::conversation::citations::Annotation;
use crate::conversation::format::Json;
use crate::conversation::hold;
use crate::conversation::logprobs::Logprob;
use crate::error::ApiError;
use crate::gemini::{Response, UsageMetadata};
use serde::Serialize;
use std::sync::Arc;

/// Collects an answer, of one event or of many.
pub(super) struct Whole {
    reply: Arc<Reply>,
    answer: Answer,
    collected: Collected,
    logprobs: Vec<Logprob>,
}

#[derive(Default)]
struct Collected {
    reasoning: String,
    calls: Vec<ToolCall>,
    images: Vec<(String, String, Option<String>)>,
}

impl Collected {
    fn take(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Thought(text) => self.reasoning.push_str(text),
            // The answer keeps its text itself.
            Piece::Text(_) => {}
            Piece::Call(call) => self.calls.push(call),
            Piece::Image(image) => {
                self.images.push((image.mime.into(), image.data.into(), image.signature.map(str::to_owned)));
            }
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    usage: Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    system_fingerprint: (),
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<LogprobsShape<'a>>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<&'a str>,
    refusal: (),
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionShape<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    annotations: &'a [Annotation],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<ImageShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<AudioShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent<'a>>,
}

impl Whole {
    pub(super) fn new(reply: Arc<Reply>, answer: Answer) -> Whole {
        Whole { reply, answer, collected: Collected::default(), logprobs: Vec::new() }
    }
}

impl Translator for Whole {
    fn event(&mut self, _json: &str, event: &Response<'_>, _out: &mut Vec<u8>) -> Result<(), ApiError> {
        self.logprobs.extend(self.answer.logprobs(event));
        self.answer.event(event, &mut |piece| self.collected.take(piece));
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), ApiError> {
        self.answer.flush(&mut |piece| self.collected.take(piece));
        let finish = self.answer.verdict(false)?;
        let reply = Arc::clone(&self.reply);
        if self.answer.plan.json != Json::No {
            // Before the ending, whose citations are ranges of what the client gets.
            self.answer.content = hold::without_fences(&self.answer.content).to_owned();
        }
        let ending = self.answer.ending();
        let id = self.answer.id().to_owned();
        let Collected { reasoning, calls, images } = &self.collected;
        let text = self.answer.content.as_str();
        let says_nothing = text.is_empty() && (!calls.is_empty() || finish == Finish::Filter);
        let message = Message {
            role: "assistant",
            content: (!says_nothing).then_some(text),
            refusal: (),
            reasoning_content: Some(reasoning.as_str()).filter(|text| !text.is_empty()),
            tool_calls: match reply.legacy {
                true => Vec::new(),
                false => calls.iter().map(|call| CallShape::new(call, None)).collect(),
            },
            function_call: calls.first().filter(|_| reply.legacy).map(FunctionShape::new),
            annotations: &ending.annotations,
            images: images
                .iter()
                .enumerate()
                .map(|(index, (mime, data, signature))| ImageShape::new(index, mime, data, signature.as_deref()))
                .collect(),
            audio: ending.audio.as_deref().map(|data| AudioShape::new(data, reply.created)),
            extra_content: ending.signature.as_deref().map(ExtraContent::new),
        };
        let logprobs = &self.logprobs;
        let document = Document {
            id: &id,
            object: "chat.completion",
            created: reply.created,
            model: &reply.model,
            choices: [Choice {
                index: 0,
                message,
                logprobs: (!logprobs.is_empty()).then_some(LogprobsShape { content: logprobs, refusal: () }),
                finish_reason: reply.finish(finish),
            }],
            usage: Usage::from(&self.answer.usage),
            service_tier: reply.tier.then_some("default"),
            system_fingerprint: (),
        };
        // Writing into memory, and no map with keys other than strings: there is nothing that could fail.
        serde_json::to_writer(out, &document).map_err(|_| ApiError::server(500, "internal_error", "internal error"))
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        out.extend_from_slice(openai::error::body(error).to_string().as_bytes());
    }

    fn retryable(&self, error: &ApiError) -> bool {
        self.answer.retryable(error)
    }

    fn done(&self) -> bool {
        self.answer.is_cut()
    }

    fn trace_id(&mut self, id: &str) {
        self.answer.trace_id(id);
    }

    fn usage(&self) -> UsageMetadata {
        self.answer.usage.clone()
    }
}
