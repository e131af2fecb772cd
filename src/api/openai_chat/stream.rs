//! A streamed answer: the sequence of `chat.completion.chunk` events (openai_chat.md 2.7). Every rule here was found by
//! an SDK that breaks without it.

use super::Reply;
use super::answer::{Answer, Piece};
use super::message::{AudioShape, CallShape, ExtraContent, FunctionShape, ImageShape, LogprobsShape};
use crate::api::Translator;
use crate::api::frame;
use crate::api::openai::{self, usage::Usage};
use crate::conversation::logprobs::Logprob;
use crate::error::ApiError;
use crate::gemini::{Response, UsageMetadata};
use std::sync::Arc;

/// Translates a stream.
pub(super) struct Stream {
    answer: Answer,
    writer: Writer,
}

/// Writes chunks.
struct Writer {
    reply: Arc<Reply>,
    /// Everything of a chunk that comes before its choices; made once.
    head: Vec<u8>,
    /// The role chunk is out.
    begun: bool,
    calls: usize,
    images: usize,
    /// Token probabilities that wait for a text.
    logprobs: Vec<Logprob>,
}

impl Stream {
    pub(super) fn new(reply: Arc<Reply>, answer: Answer) -> Stream {
        let writer = Writer { reply, head: Vec::new(), begun: false, calls: 0, images: 0, logprobs: Vec::new() };
        Stream { answer, writer }
    }
}

impl Writer {
    /// Makes the head, when the id is known.
    fn prepare(&mut self, id: &str) {
        self.head.extend_from_slice(b"data: {\"id\":");
        frame::json(id, &mut self.head);
        self.head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        frame::json(&self.reply.created, &mut self.head);
        self.head.extend_from_slice(b",\"model\":");
        frame::json(&self.reply.model, &mut self.head);
        self.head.extend_from_slice(b",\"system_fingerprint\":null");
        if self.reply.tier {
            self.head.extend_from_slice(b",\"service_tier\":\"default\"");
        }
        self.head.extend_from_slice(b",\"choices\":[");
    }

    fn chunk(&self, out: &mut Vec<u8>, finish: Option<&str>, logprobs: &[Logprob], delta: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"index\":0,\"delta\":{");
        delta(out);
        out.extend_from_slice(b"},\"logprobs\":");
        match logprobs {
            [] => out.extend_from_slice(b"null"),
            content => frame::json(&LogprobsShape { content, refusal: () }, out),
        }
        out.extend_from_slice(b",\"finish_reason\":");
        frame::json(&finish, out);
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

    fn piece(&mut self, piece: Piece<'_>, out: &mut Vec<u8>) {
        // With "" beside calls the helpers end up with an empty content; OpenAI sends null there, too.
        self.begin(if matches!(piece, Piece::Call(_)) { b"null" } else { b"\"\"" }, out);
        match piece {
            Piece::Thought(text) => self.field(out, b"\"reasoning_content\":", text),
            Piece::Text(text) if self.logprobs.is_empty() => self.field(out, b"\"content\":", text),
            Piece::Text(text) => {
                let logprobs = std::mem::take(&mut self.logprobs);
                self.chunk(out, None, &logprobs, |out| {
                    out.extend_from_slice(b"\"content\":");
                    frame::json(text, out);
                });
            }
            Piece::Call(call) if self.reply.legacy => {
                self.field(out, b"\"function_call\":", &FunctionShape::new(&call))
            }
            Piece::Call(call) => {
                self.field(out, b"\"tool_calls\":", &[CallShape::new(&call, Some(self.calls))]);
                self.calls += 1;
            }
            Piece::Image(image) => {
                let shape = ImageShape::new(self.images, image.mime, image.data, image.signature);
                self.field(out, b"\"images\":", &[shape]);
                self.images += 1;
            }
        }
    }

    fn field<T: serde::Serialize + ?Sized>(&self, out: &mut Vec<u8>, name: &[u8], value: &T) {
        self.chunk(out, None, &[], |out| {
            out.extend_from_slice(name);
            frame::json(value, out);
        });
    }
}

impl Translator for Stream {
    fn event(&mut self, _json: &str, event: &Response<'_>, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let Stream { answer, writer } = self;
        answer.note_id(event);
        if writer.head.is_empty() && !event.candidates.is_empty() {
            writer.prepare(answer.id());
        }
        writer.logprobs.extend(answer.logprobs(event));
        answer.event(event, &mut |piece| writer.piece(piece, out));
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let Stream { answer, writer } = self;
        let verdict = answer.verdict(writer.begun);
        if verdict.is_err() && !writer.begun {
            return verdict.map(drop);
        }
        if writer.head.is_empty() {
            writer.prepare(answer.id());
        }
        answer.flush(&mut |piece| writer.piece(piece, out));
        let finish = verdict?;
        let ending = answer.ending();
        writer.begin(b"\"\"", out);
        if let Some(data) = ending.audio.as_deref() {
            writer.field(out, b"\"audio\":", &AudioShape::new(data, writer.reply.created));
        }
        if let Some(signature) = ending.signature.as_deref() {
            writer.field(out, b"\"extra_content\":", &ExtraContent::new(signature));
        }
        if !ending.annotations.is_empty() {
            writer.field(out, b"\"annotations\":", &ending.annotations);
        }
        // Never together with a call: the helpers would not tell that its arguments are complete.
        writer.chunk(out, Some(writer.reply.finish(finish)), &writer.logprobs, |_| {});
        if writer.reply.include_usage {
            out.extend_from_slice(&writer.head);
            out.extend_from_slice(b"],\"usage\":");
            frame::json(&Usage::from(&answer.usage), out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        Ok(())
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        // No finish and no [DONE] behind it: a client must not take half an answer for a whole one.
        openai::error::frame(error, out);
    }

    fn retryable(&self, error: &ApiError) -> bool {
        !self.writer.begun && self.answer.retryable(error)
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
