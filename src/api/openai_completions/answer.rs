//! `text_completion` objects, whole or in chunks.

use crate::api::conversing::{Frames, Reply};
use crate::api::openai::{error, usage::Usage};
use crate::api::openai_chat::ChatReply;
use crate::conversation::answer::{Delta, Ending, Finish, Folded};
use crate::error::ApiError;
use crate::sse;
use serde_json::{Value, json};
use std::sync::Arc;

/// What an answer repeats of its request.
pub(super) struct CompletionReply {
    pub chat: ChatReply,
    /// Text to put before the answer.
    pub echo: Option<String>,
}

impl CompletionReply {
    fn object(&self, id: &str, choices: Value) -> Value {
        json!({
            "id": format!("cmpl-{id}"),
            "object": "text_completion",
            "created": self.chat.created,
            "model": self.chat.model,
            "choices": choices,
        })
    }
}

fn choice(text: &str, finish: Option<Finish>) -> Value {
    let reason = finish.map(|finish| match finish {
        Finish::Stop | Finish::Calls => "stop",
        Finish::Length => "length",
        Finish::Filter => "content_filter",
    });
    json!([{"text": text, "index": 0, "logprobs": null, "finish_reason": reason}])
}

impl Reply for CompletionReply {
    fn document(&self, answer: &Folded, out: &mut Vec<u8>) {
        let Some(ending) = &answer.ending else { return };
        let text = format!("{}{}", self.echo.as_deref().unwrap_or_default(), answer.text());
        let mut document = self.object(&answer.id, choice(&text, Some(ending.finish)));
        document["usage"] = json!(Usage::from(ending.usage));
        out.extend_from_slice(document.to_string().as_bytes());
    }

    fn frames(self: Arc<Self>) -> Box<dyn Frames> {
        Box::new(Chunks { echo: self.echo.clone().unwrap_or_default(), reply: self, id: String::new() })
    }
}

/// Writes chunks.
struct Chunks {
    reply: Arc<CompletionReply>,
    id: String,
    /// What the next text is put behind.
    echo: String,
}

impl Chunks {
    fn chunk(&mut self, text: &str, finish: Option<Finish>, out: &mut Vec<u8>) {
        let text = std::mem::take(&mut self.echo) + text;
        let mut chunk = self.reply.object(&self.id, choice(&text, finish));
        if self.reply.chat.include_usage {
            chunk["usage"] = Value::Null;
        }
        sse::frame(&chunk.to_string(), out);
    }

    fn end(&mut self, ending: &Ending, out: &mut Vec<u8>) {
        self.chunk("", Some(ending.finish), out);
        if self.reply.chat.include_usage {
            let mut last = self.reply.object(&self.id, json!([]));
            last["usage"] = json!(Usage::from(ending.usage));
            sse::frame(&last.to_string(), out);
        }
        out.extend_from_slice(sse::DONE.as_bytes());
    }
}

impl Frames for Chunks {
    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, .. } => id.clone_into(&mut self.id),
            Delta::Text(text, _) => self.chunk(text, None, out),
            Delta::End(ending) => self.end(&ending, out),
            // A completion is text.
            Delta::Thought(_) | Delta::Call(_) | Delta::Image(_) => {}
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        error::frame(error, out);
    }
}
