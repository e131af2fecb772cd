//! A message in events: blocks in order, one open at a time, each event with a line that names it. Every rule here was
//! found by an SDK that breaks without it.

use super::answer::{MessagesReply, around_picture, input_text, stop, tool_use};
use super::error;
use super::request::Shows;
use crate::api::conversing::Frames;
use crate::api::frame;
use crate::conversation::answer::{Delta, Ending, ToolCall, Totals};
use crate::conversation::signatures::Signed;
use crate::error::ApiError;
use serde_json::{Value, json};
use std::sync::Arc;

/// Writes events.
pub(super) struct Events {
    reply: Arc<MessagesReply>,
    /// The index of the next block, or of the open one.
    index: usize,
    open: Option<Open>,
    /// What each piece of its text begins with; most events are such.
    head: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum Open {
    Thought,
    Text,
}

impl Events {
    pub(super) fn new(reply: Arc<MessagesReply>) -> Events {
        Events { reply, index: 0, open: None, head: Vec::new() }
    }

    fn start(&mut self, block: &Value, out: &mut Vec<u8>) {
        let start = json!({"type": "content_block_start", "index": self.index, "content_block": block});
        event("content_block_start", &start, out);
    }

    fn delta_head(&self, kind: &str, field: &str) -> Vec<u8> {
        let delta = format!("\"delta\":{{\"type\":\"{kind}\",\"{field}\":");
        let index = self.index;
        format!("event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},{delta}")
            .into_bytes()
    }

    fn delta(&self, kind: &str, field: &str, text: &str, out: &mut Vec<u8>) {
        piece(&self.delta_head(kind, field), text, out);
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        event("content_block_stop", &json!({"type": "content_block_stop", "index": self.index}), out);
        self.index += 1;
        self.open = None;
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.is_some() {
            self.stop(out);
        }
    }

    /// A block of this kind is open.
    fn ensure(&mut self, kind: Open, out: &mut Vec<u8>) {
        if self.open == Some(kind) {
            return;
        }
        self.close(out);
        self.start(
            &match kind {
                Open::Thought => json!({"type": "thinking", "thinking": "", "signature": ""}),
                Open::Text => json!({"type": "text", "text": ""}),
            },
            out,
        );
        self.open = Some(kind);
        self.head = match kind {
            Open::Thought => self.delta_head("thinking_delta", "thinking"),
            Open::Text => self.delta_head("text_delta", "text"),
        };
    }

    fn whole(&mut self, block: &Value, out: &mut Vec<u8>) {
        self.close(out);
        self.start(block, out);
        self.stop(out);
    }

    fn call(&mut self, call: &ToolCall, out: &mut Vec<u8>) {
        if let Some(carrier) = self.reply.call_carrier(call) {
            // The signature comes with the call, behind the thought it belongs to.
            if self.open == Some(Open::Thought) || self.reply.shows != Shows::Nothing {
                self.ensure(Open::Thought, out);
                self.delta("signature_delta", "signature", &carrier, out);
            }
        }
        self.close(out);
        self.start(&tool_use(call, &json!({})), out);
        self.delta("input_json_delta", "partial_json", &input_text(call), out);
        self.stop(out);
    }

    fn end(&mut self, ending: &Ending, out: &mut Vec<u8>) {
        if let (Some(Open::Thought), Some(signature)) = (self.open, &ending.signature) {
            let carrier = self.reply.signatures.carry(Signed::Text, signature);
            self.delta("signature_delta", "signature", &carrier, out);
        }
        for block in self.reply.search_blocks(&ending.search) {
            self.whole(&block, out);
        }
        if self.index == 0 && self.open.is_none() {
            self.ensure(Open::Text, out);
        }
        self.close(out);
        let usage = self.reply.usage(ending.usage, &ending.search);
        event("message_delta", &json!({"type": "message_delta", "delta": stop(ending), "usage": usage}), out);
        event("message_stop", &json!({"type": "message_stop"}), out);
    }
}

impl Frames for Events {
    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, usage } => {
                let message = self.reply.message(id, Totals::from(usage));
                event("message_start", &json!({"type": "message_start", "message": message}), out);
            }
            Delta::Thought(text) => {
                self.ensure(Open::Thought, out);
                if self.reply.shows != Shows::Signatures {
                    piece(&self.head, text, out);
                }
            }
            Delta::Text(text, _) => {
                self.ensure(Open::Text, out);
                piece(&self.head, text, out);
            }
            Delta::Image(image) => {
                self.ensure(Open::Text, out);
                let (before, behind) = around_picture(image.mime);
                [&before, image.data, behind].iter().for_each(|text| piece(&self.head, text, out));
            }
            Delta::Call(call) => self.call(&call, out),
            // Its plans ask for no pieces.
            Delta::Arguments(_) => {}
            Delta::End(ending) => self.end(&ending, out),
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        event("error", &error::body(error), out);
    }
}

/// A piece of a text, without a tree for it.
fn piece(head: &[u8], text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(head);
    frame::json(text, out);
    out.extend_from_slice(b"}}\n\n");
}

fn event(name: &str, data: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
    frame::json(data, out);
    out.extend_from_slice(b"\n\n");
}
