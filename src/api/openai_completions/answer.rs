//! `text_completion` objects, whole or in chunks.

use crate::api::conversing::{Frames, Reply};
use crate::api::frame;
use crate::api::openai::{error, usage::Usage};
use crate::api::openai_chat::ChatReply;
use crate::conversation::answer::{Delta, Ending, Finish, Folded, Totals};
use crate::error::ApiError;
use crate::sse;
use serde_json::{Value, json};
use std::sync::Arc;

/// What an answer repeats of its request.
pub(super) struct CompletionReply {
    pub chat: ChatReply,
    /// The prompts, where they are wanted before the answers.
    pub echo: Vec<String>,
    /// Answers to all prompts.
    pub answers: usize,
}

impl CompletionReply {
    /// The text before an answer.
    fn echo(&self, index: usize) -> &str {
        self.echo.get(index / self.chat.choices as usize).map_or("", String::as_str)
    }

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

fn choice(index: usize, text: &str, ending: Option<&Ending>) -> Value {
    let reason = ending.map(|ending| match ending.finish {
        Finish::Stop | Finish::Calls => "stop",
        Finish::Length => "length",
        Finish::Filter => "content_filter",
    });
    let mut choice = json!({"text": text, "index": index, "logprobs": null, "finish_reason": reason});
    if let Some(reason) = ending.and_then(|ending| ending.reason.as_ref()) {
        choice["extra_content"] = json!({"google": reason});
    }
    choice
}

impl Reply for CompletionReply {
    fn document(&self, answer: Folded, out: &mut Vec<u8>) {
        self.documents(vec![answer], out);
    }

    fn documents(&self, answers: Vec<Folded>, out: &mut Vec<u8>) {
        let Some(first) = answers.first() else { return };
        let endings = answers.iter().filter_map(|answer| Some((answer, answer.ending.as_ref()?)));
        let choices = endings.clone().enumerate().map(|(index, (answer, ending))| {
            choice(index, &format!("{}{}", self.echo(index), answer.text()), Some(ending))
        });
        let mut document = self.object(&first.id, choices.collect());
        document["usage"] = json!(Usage::from(endings.map(|(_, ending)| ending.usage).sum::<Totals>()));
        out.extend_from_slice(document.to_string().as_bytes());
    }

    fn frames(self: Arc<Self>) -> Box<dyn Frames> {
        let echo = self.echo(0).to_owned();
        Box::new(Chunks { echo, reply: self, id: String::new(), index: 0, used: Totals::default() })
    }
}

/// Writes chunks.
struct Chunks {
    reply: Arc<CompletionReply>,
    id: String,
    /// What the next text is put behind.
    echo: String,
    /// Which of the answers this is.
    index: usize,
    /// Token counts of those before it.
    used: Totals,
}

impl Chunks {
    fn chunk(&mut self, text: &str, ending: Option<&Ending>, out: &mut Vec<u8>) {
        let text = std::mem::take(&mut self.echo) + text;
        let mut chunk = self.reply.object(&self.id, json!([choice(self.index, &text, ending)]));
        if self.reply.chat.include_usage {
            chunk["usage"] = Value::Null;
        }
        frame::event(&chunk, out);
    }

    fn end(&mut self, ending: &Ending, out: &mut Vec<u8>) {
        self.chunk("", Some(ending), out);
        self.used = [self.used, ending.usage].into_iter().sum();
        self.index += 1;
        if self.index < self.reply.answers {
            self.echo = self.reply.echo(self.index).to_owned();
            return;
        }
        if self.reply.chat.include_usage {
            let mut last = self.reply.object(&self.id, json!([]));
            last["usage"] = json!(Usage::from(self.used));
            frame::event(&last, out);
        }
        out.extend_from_slice(sse::DONE.as_bytes());
    }
}

impl Frames for Chunks {
    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, .. } if self.id.is_empty() => id.clone_into(&mut self.id),
            Delta::Start { .. } => {}
            Delta::Text(text, _) => self.chunk(text, None, out),
            Delta::End(ending) => self.end(&ending, out),
            // A completion is text.
            Delta::Thought(_) | Delta::Call(_) | Delta::Arguments(_) | Delta::Image(_) => {}
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        error::frame(error, out);
    }
}
