//! A message: how an answer reads in one document, and what events share with it.

use super::events::Events;
use super::request::Shows;
use crate::api::conversing::{Frames, Reply};
use crate::api::frame;
use crate::conversation::answer::{Block, Ending, Finish, Folded, Search, ToolCall, Totals};
use crate::conversation::signatures::{Signatures, Signed};
use crate::gemini::Tier;
use crate::os::random;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;

/// What an answer repeats of its request, and what it shows.
pub(super) struct MessagesReply {
    /// The client's name of the model: Claude Code replays thoughts only to a model of the same name.
    pub model: String,
    /// What is shown of thoughts.
    pub shows: Shows,
    /// The client asked for Anthropic's web search, so what Google searched is told in its blocks.
    pub searches: bool,
    /// The envelopes for signatures.
    pub signatures: Signatures,
}

impl Reply for MessagesReply {
    fn document(&self, answer: Folded, out: &mut Vec<u8>) {
        let Some(ending) = &answer.ending else { return };
        let mut message = self.message(&answer.id, ending.usage);
        let mut content = self.search_blocks(&ending.search);
        content.extend(self.blocks(answer.blocks, ending));
        // A message without any block is taken for a failure.
        if content.is_empty() {
            content.push(json!({"type": "text", "text": ""}));
        }
        message["content"] = content.into();
        if let (Value::Object(message), Value::Object(stop)) = (&mut message, stop(ending)) {
            message.extend(stop);
        }
        message["usage"] = self.usage(ending.usage, &ending.search);
        frame::document(&message, out);
    }

    fn frames(self: Arc<Self>) -> Box<dyn Frames> {
        Box::new(Events::new(self))
    }
}

impl MessagesReply {
    /// The message before anything is said.
    pub(super) fn message(&self, id: &str, usage: Totals) -> Value {
        json!({
            "id": format!("msg_{id}"),
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": self.usage(usage, &Search::default()),
        })
    }

    /// What was said becomes text of the blocks where it lies: a picture may have 25 MB.
    fn blocks(&self, said: Vec<Block>, ending: &Ending) -> Vec<Value> {
        let mut content: Vec<Value> = Vec::new();
        for block in said {
            match block {
                Block::Thought(text) => {
                    let shown = if self.shows == Shows::Signatures { String::new() } else { text };
                    let mut block = json!({"type": "thinking", "signature": ""});
                    block["thinking"] = shown.into();
                    content.push(block);
                }
                Block::Text(text) => say(&mut content, text),
                Block::Call(call) => {
                    if let Some(carrier) = self.call_carrier(&call) {
                        sign(&mut content, carrier, self.shows != Shows::Nothing);
                    }
                    content.push(tool_use(&call, &input(&call)));
                }
                Block::Image { mime, mut data, .. } => {
                    let (before, behind) = around_picture(&mime);
                    data.insert_str(0, &before);
                    data.push_str(behind);
                    say(&mut content, data);
                }
            }
        }
        if let Some(signature) = &ending.signature {
            let carrier = self.signatures.carry(Signed::Text, signature);
            sign(&mut content, carrier, false);
        }
        content
    }

    /// The signature of a call in an envelope.
    pub(super) fn call_carrier(&self, call: &ToolCall) -> Option<String> {
        let signature = call.signature.as_deref()?;
        Some(self.signatures.carry(Signed::Call(Some(call.id.clone())), signature))
    }

    /// What Google searched and found, as the blocks of Anthropic's search.
    pub(super) fn search_blocks(&self, search: &Search) -> Vec<Value> {
        if !self.searches || search.queries.is_empty() && search.sources.is_empty() {
            return Vec::new();
        }
        let id = format!("srvtoolu_{}", random::id(24));
        let found = search.sources.iter().map(|source| {
            json!({"type": "web_search_result", "url": source.url, "title": source.title, "encrypted_content": "",
                "page_age": null})
        });
        vec![
            json!({"type": "server_tool_use", "id": id, "name": "web_search",
                "input": {"query": search.queries.join("; ")}}),
            json!({"type": "web_search_tool_result", "tool_use_id": id, "content": found.collect::<Vec<_>>()}),
        ]
    }

    /// Anthropic counts cached tokens apart.
    pub(super) fn usage(&self, usage: Totals, search: &Search) -> Value {
        let mut counts = json!({
            "input_tokens": usage.prompt.saturating_sub(usage.cached),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": usage.cached,
            "output_tokens": usage.completion,
            "output_tokens_details": {"thinking_tokens": usage.thoughts},
            "service_tier": usage.tier.unwrap_or(Tier::Standard).anthropic(),
        });
        if self.searches && !search.queries.is_empty() {
            counts["server_tool_use"] = json!({"web_search_requests": search.queries.len(), "web_fetch_requests": 0});
        }
        counts
    }
}

/// Says a text in the text block that is last, as a stream does, or in a new one.
fn say(content: &mut Vec<Value>, text: String) {
    match content.last_mut().filter(|last| last["type"] == "text").map(|last| &mut last["text"]) {
        Some(Value::String(said)) => said.push_str(&text),
        _ => {
            let mut block = json!({"type": "text"});
            block["text"] = text.into();
            content.push(block);
        }
    }
}

/// Puts a signature on the thought right before it, or on an empty one.
fn sign(content: &mut Vec<Value>, carrier: String, or_new: bool) {
    match content.last_mut().filter(|last| last["type"] == "thinking") {
        Some(thought) => thought["signature"] = carrier.into(),
        None if or_new => content.push(json!({"type": "thinking", "thinking": "", "signature": carrier})),
        None => {}
    }
}

/// A call without its input, or with it.
pub(super) fn tool_use(call: &ToolCall, input: &Value) -> Value {
    json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
}

/// The input of a call: an object, whatever the model wrote.
fn input(call: &ToolCall) -> Value {
    match serde_json::from_str(&call.arguments) {
        Ok(Value::Object(input)) => Value::Object(input),
        _ => json!({"input": call.arguments}),
    }
}

/// The input as JSON text, as the model wrote it.
pub(super) fn input_text(call: &ToolCall) -> String {
    let is_object = call.arguments.trim_start().starts_with('{');
    match serde_json::from_str::<&RawValue>(&call.arguments) {
        Ok(raw) if is_object => raw.get().to_owned(),
        _ => input(call).to_string(),
    }
}

/// There is no block for a picture of the model's: what stands before its data and behind them in a text.
pub(super) fn around_picture(mime: &str) -> (String, &'static str) {
    (format!("![image](data:{mime};base64,"), ")")
}

/// Why the model stopped, with Google's reason where there is one.
pub(super) fn stop(ending: &Ending) -> Value {
    let mut stop = json!({"stop_reason": stop_reason(ending), "stop_sequence": ending.stop});
    if let Some(reason) = &ending.reason {
        if ending.finish == Finish::Filter {
            stop["stop_details"] = json!({"type": "refusal", "category": null, "explanation": reason.sentence()});
        }
        stop["extra_content"] = json!({"google": reason});
    }
    stop
}

/// Why the model stopped, in Anthropic's word.
fn stop_reason(ending: &Ending) -> &'static str {
    match ending.finish {
        Finish::Calls => "tool_use",
        Finish::Stop if ending.stop.is_some() => "stop_sequence",
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Filter => "refusal",
    }
}
