//! A response in events: items in order, one open at a time, the last event exactly one of three. Every rule here was
//! found by a client that breaks without it; docs/responses.md has the table. A whole answer is made of the same items, and
//! nothing is written.

use super::answer::{Shape, Status};
use super::output::{self, annotation, summary_part, text_part};
use super::wire::{Piece, Wire};
use super::{compaction, failure, stored};
use crate::api::conversing::Frames;
use crate::conversation::answer::{Block, Delta, Ending, Finish, Folded, Logprob, Search, ToolCall};
use crate::conversation::signatures::Signed;
use crate::error::ApiError;
use serde_json::{Value, json};
use std::sync::Arc;

/// How many times an answer is in memory at its end: as read, as items, as told, as kept, and as written.
pub(super) const COPIES: usize = 5;

/// Makes the items of a response, and writes events about them.
pub(super) struct Events {
    shape: Arc<Shape>,
    wire: Wire,
    /// Items that are complete.
    items: Vec<Value>,
    open: Option<Open>,
    /// Characters of all messages that are closed.
    before: usize,
    /// The signature of the text, where it is known before the text.
    signature: Option<String>,
    has_signed_text: bool,
    has_searched: bool,
    /// How the item ends that is open at the end.
    ending: &'static str,
    /// Signatures that are kept for a later request and not given to the client, and the items they stand before.
    unsaid: Vec<(usize, Value)>,
    /// What a compaction says so far.
    summary: String,
}

/// The item that is being written.
struct Open {
    id: String,
    is_message: bool,
    /// What each piece of its text begins with; most events are such.
    head: Vec<u8>,
    text: String,
    logprobs: Vec<Value>,
}

impl Events {
    pub(super) fn new(shape: Arc<Shape>) -> Events {
        Events {
            shape,
            wire: Wire::default(),
            items: Vec::new(),
            open: None,
            before: 0,
            signature: None,
            has_signed_text: false,
            has_searched: false,
            ending: "completed",
            unsaid: Vec::new(),
            summary: String::new(),
        }
    }

    /// The response of a whole answer. Of this it is known before what a stream learns at its end.
    pub(super) fn whole(shape: Arc<Shape>, answer: Folded, ending: &Ending) -> Value {
        let mut events = Events::new(shape);
        events.wire.is_silent = true;
        let unread = &mut Vec::new();
        events.search(&ending.search, unread);
        events.signature.clone_from(&ending.signature);
        let mut logprobs = &answer.logprobs[..];
        for block in answer.blocks {
            match block {
                Block::Thought(text) => events.thought(&text, unread),
                Block::Text(text) => events.text(&text, std::mem::take(&mut logprobs), unread),
                Block::Call(call) => events.call(&call, unread),
                Block::Image { data, signature, .. } => events.image(data, signature.as_deref(), unread),
            }
        }
        events.end(ending, unread)
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        let response = json!({"response": self.shape.response(Status::InProgress, None)});
        self.wire.event("created", &response, out);
        self.wire.event("in_progress", &response, out);
    }

    /// The id of the next item.
    fn item_id(&self, prefix: &str) -> String {
        format!("{prefix}_{}{}", self.shape.id, self.items.len())
    }

    fn added(&mut self, item: &Value, out: &mut Vec<u8>) {
        if self.wire.is_silent {
            return;
        }
        self.wire.event("output_item.added", &json!({"output_index": self.items.len(), "item": item}), out);
    }

    /// The item goes through the event into the list: it may be large.
    fn done(&mut self, item: Value, out: &mut Vec<u8>) {
        let mut event = json!({"output_index": self.items.len()});
        event["item"] = item;
        let carrier = if self.shape.carries { None } else { stored::hide_carrier(&mut event["item"]) };
        self.wire.event("output_item.done", &event, out);
        if let Some(carrier) = carrier {
            event["item"][output::CARRIER] = carrier;
        }
        self.items.push(event["item"].take());
    }

    /// An event about the open item's text.
    fn piece<'a>(&mut self, name: &str, open: &'a Open, fill: impl FnOnce(&mut Piece<'a>), out: &mut Vec<u8>) {
        if self.wire.is_silent {
            return;
        }
        let index = |is_there: bool| is_there.then_some(0);
        let mut piece = Piece {
            item_id: &open.id,
            output_index: self.items.len(),
            content_index: index(open.is_message),
            summary_index: index(!open.is_message),
            text: None,
            part: None,
            logprobs: None,
        };
        fill(&mut piece);
        self.wire.event(name, &piece, out);
    }

    fn thought(&mut self, text: &str, out: &mut Vec<u8>) {
        if !self.shape.shows {
            return;
        }
        if self.open.as_ref().is_none_or(|open| open.is_message) {
            self.close(None, out);
            let open = self.start("rs", false);
            self.added(&output::reasoning(&open.id, "", None, "in_progress"), out);
            let part = summary_part("");
            self.piece("reasoning_summary_part.added", &open, |piece| piece.part = Some(&part), out);
            self.open = Some(open);
        }
        self.say(text, &[], out);
    }

    fn text(&mut self, text: &str, logprobs: &[Logprob], out: &mut Vec<u8>) {
        if self.shape.compaction.is_some() {
            return self.summary.push_str(text);
        }
        if self.open.as_ref().is_none_or(|open| !open.is_message) {
            if let Some(signature) = self.signature.take() {
                self.has_signed_text = true;
                self.sign(Signed::Text, &signature, out);
            }
            self.close(None, out);
            let open = self.start("msg", true);
            self.added(&output::message(&open.id, Vec::new(), "in_progress"), out);
            let part = text_part("", &[], &[]);
            self.piece("content_part.added", &open, |piece| piece.part = Some(&part), out);
            self.open = Some(open);
        }
        let logprobs: Vec<Value> = logprobs.iter().filter_map(|one| serde_json::to_value(one).ok()).collect();
        self.say(text, &logprobs, out);
    }

    fn start(&self, prefix: &str, is_message: bool) -> Open {
        let id = self.item_id(prefix);
        let names = [("reasoning_summary_text", "summary_index"), ("output_text", "content_index")];
        let (name, part) = names[usize::from(is_message)];
        let head = format!(
            "event: response.{name}.delta\ndata: {{\"type\":\"response.{name}.delta\",\"item_id\":\"{id}\",\"output_index\":{},\"{part}\":0,\
             \"sequence_number\":",
            self.items.len()
        );
        Open { id, is_message, head: head.into_bytes(), text: String::new(), logprobs: Vec::new() }
    }

    fn say(&mut self, text: &str, logprobs: &[Value], out: &mut Vec<u8>) {
        let Some(open) = &mut self.open else { return };
        self.wire.say(&open.head, text, open.is_message.then_some(logprobs), out);
        open.text.push_str(text);
        open.logprobs.extend_from_slice(logprobs);
    }

    /// Ends the open item; a thought may carry a signature.
    fn close(&mut self, carrier: Option<&str>, out: &mut Vec<u8>) {
        match self.open.take() {
            Some(open) if open.is_message => self.close_message(&open, &Search::default(), out),
            Some(open) => {
                let part = summary_part(&open.text);
                self.piece("reasoning_summary_text.done", &open, |piece| piece.text = Some(&open.text), out);
                self.piece("reasoning_summary_part.done", &open, |piece| piece.part = Some(&part), out);
                self.done(output::reasoning(&open.id, &open.text, carrier, self.ending), out);
            }
            None => {}
        }
    }

    fn close_message(&mut self, open: &Open, search: &Search, out: &mut Vec<u8>) {
        let annotations: Vec<Value> =
            search.citations.iter().filter_map(|citation| annotation(citation, self.before)).collect();
        for (index, annotation) in annotations.iter().enumerate() {
            let event = json!({"item_id": open.id, "output_index": self.items.len(), "content_index": 0,
                "annotation_index": index, "annotation": annotation});
            self.wire.event("output_text.annotation.added", &event, out);
        }
        let part = text_part(&open.text, &annotations, &open.logprobs);
        self.piece(
            "output_text.done",
            open,
            |piece| (piece.text, piece.logprobs) = (Some(open.text.as_str()), Some(open.logprobs.as_slice())),
            out,
        );
        self.piece("content_part.done", open, |piece| piece.part = Some(&part), out);
        self.before += open.text.chars().count();
        self.done(output::message(&open.id, vec![part], self.ending), out);
    }

    /// Puts a signature on the open thought, or on an empty one before what follows.
    fn sign(&mut self, signed: Signed, signature: &str, out: &mut Vec<u8>) {
        let is_carried = self.shape.carries || self.shape.keeper.is_some();
        if !is_carried || self.shape.compaction.is_some() {
            return;
        }
        let carrier = self.shape.signatures.carry(signed, signature);
        if self.open.as_ref().is_some_and(|open| !open.is_message) {
            return self.close(Some(&carrier), out);
        }
        self.close(None, out);
        if !self.shape.carries {
            let id = format!("rs_{}u{}", self.shape.id, self.unsaid.len());
            self.unsaid.push((self.items.len(), output::unsaid(&id, &carrier)));
            return;
        }
        let id = self.item_id("rs");
        self.added(&output::reasoning(&id, "", None, "in_progress"), out);
        self.done(output::reasoning(&id, "", Some(&carrier), "completed"), out);
    }

    fn call(&mut self, call: &ToolCall, out: &mut Vec<u8>) {
        if let Some(signature) = &call.signature {
            self.sign(Signed::Call(Some(call.id.clone())), signature, out);
        }
        self.close(None, out);
        let shape = self.shape.clone();
        let native = shape.natives.get(&call.name);
        let id = self.item_id(output::call_prefix(call, native));
        let item = output::call(&id, call, native);
        if !self.wire.is_silent {
            self.call_events(call, &id, &item, out);
        }
        self.done(item, out);
    }

    /// What is told of a call before it is done.
    fn call_events(&mut self, call: &ToolCall, id: &str, item: &Value, out: &mut Vec<u8>) {
        let field = output::arguments_field(call);
        let mut added = item.clone();
        added["status"] = "in_progress".into();
        if added.get(field).is_some() {
            added[field] = "".into();
        }
        self.added(&added, out);
        if item.get(field).is_some() {
            let name = if call.custom { "custom_tool_call_input" } else { "function_call_arguments" };
            let index = self.items.len();
            let delta = json!({"item_id": id, "output_index": index, "delta": call.arguments});
            self.wire.event(&format!("{name}.delta"), &delta, out);
            let mut done = json!({"item_id": id, "output_index": index, field: call.arguments});
            if !call.custom {
                done["name"] = item["name"].clone();
            }
            self.wire.event(&format!("{name}.done"), &done, out);
        }
    }

    fn image(&mut self, data: String, signature: Option<&str>, out: &mut Vec<u8>) {
        self.close(None, out);
        let id = self.item_id("ig");
        self.added(&output::picture(&id, None, None, "in_progress"), out);
        self.milestones("image_generation_call", &["in_progress", "generating", "completed"], &id, out);
        self.done(output::picture(&id, Some(data), signature, "completed"), out);
    }

    fn search(&mut self, search: &Search, out: &mut Vec<u8>) {
        if search.queries.is_empty() || std::mem::replace(&mut self.has_searched, true) {
            return;
        }
        let id = self.item_id("ws");
        self.added(&output::web_search(&id, search, "in_progress"), out);
        self.milestones("web_search_call", &["in_progress", "searching", "completed"], &id, out);
        self.done(output::web_search(&id, search, "completed"), out);
    }

    fn milestones(&mut self, call: &str, words: &[&str], id: &str, out: &mut Vec<u8>) {
        for word in words {
            let event = json!({"item_id": id, "output_index": self.items.len()});
            self.wire.event(&format!("{call}.{word}"), &event, out);
        }
    }

    /// Writes what is left; returns the response as it is now.
    fn end(&mut self, ending: &Ending, out: &mut Vec<u8>) -> Value {
        let status = match ending.finish {
            // Codex takes an incomplete response for a failed turn, and calls are complete.
            Finish::Stop | Finish::Calls => Status::Completed,
            Finish::Length => Status::Incomplete("max_output_tokens"),
            Finish::Filter => Status::Incomplete("content_filter"),
        };
        self.ending = status.word();
        match self.open.take() {
            Some(open) if open.is_message => self.close_message(&open, &ending.search, out),
            open => self.open = open,
        }
        if let Some(signature) = ending.signature.as_deref().filter(|_| !self.has_signed_text) {
            self.sign(Signed::Text, signature, out);
        }
        self.close(None, out);
        self.search(&ending.search, out);
        if !self.summary.is_empty() {
            let id = self.item_id("cmp");
            self.added(&compaction::item(&id, ""), out);
            let item = compaction::item(&id, &self.summary);
            self.done(item, out);
        }
        let mut response = self.shape.response(status, Some(ending.usage));
        if let Some(reason) = &ending.reason {
            response["extra_content"] = json!({"google": reason});
        }
        if let Some(keeper) = &self.shape.keeper {
            self.unsaid.drain(..).rev().for_each(|(at, item)| self.items.insert(at, item));
            let mut kept = self.shape.kept(response.clone(), std::mem::take(&mut self.items));
            keeper.keep(&self.shape.id, &kept);
            self.items = kept["output"].as_array_mut().map(std::mem::take).unwrap_or_default();
            self.items.retain(|item| item.get(output::UNSAID).is_none());
        }
        response["output"] = self.told();
        self.last(status.word(), response, out)
    }

    /// The macro would copy the response.
    fn last(&mut self, name: &str, response: Value, out: &mut Vec<u8>) -> Value {
        let mut event = json!({});
        event["response"] = response;
        self.wire.event(name, &event, out);
        event["response"].take()
    }

    /// The items as the client gets them; none are left.
    fn told(&mut self) -> Value {
        self.items.drain(..).map(|item| self.shape.told(item)).collect()
    }

    /// What was said stays said: an item that is open is in the output, and told as done to nobody, because Codex takes what
    /// is done into its history and asks again.
    fn fail_with(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        if !self.wire.has_begun() {
            self.begin(out);
        }
        if let Some(open) = self.open.take() {
            self.items.push(match open.is_message {
                true => output::message(&open.id, vec![text_part(&open.text, &[], &open.logprobs)], "incomplete"),
                false => output::reasoning(&open.id, &open.text, None, "incomplete"),
            });
        }
        let mut response = self.shape.response(Status::Failed, None);
        response["output"] = self.told();
        response["error"] = failure::error(error);
        self.last("failed", response, out);
    }
}

impl Frames for Events {
    fn keeps(&self) -> usize {
        COPIES
    }

    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { .. } => self.begin(out),
            Delta::Thought(text) => self.thought(text, out),
            Delta::Text(text, logprobs) => self.text(text, &logprobs, out),
            Delta::Call(call) => self.call(&call, out),
            Delta::Arguments(_) => {} // its plans ask for no pieces
            Delta::Image(image) => self.image(image.data.to_owned(), image.signature, out),
            Delta::End(ending) => {
                self.end(&ending, out);
            }
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        self.fail_with(error, out);
    }
}
