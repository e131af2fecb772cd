//! A response in events: items in order, one open at a time, the last event exactly one of three. Every rule here was
//! found by a client that breaks without it; docs/responses.md has the table.

use super::answer::{Shape, Status};
use super::compaction;
use super::output::{self, annotation, summary_part, text_part};
use crate::api::conversing::Frames;
use crate::api::frame;
use crate::conversation::answer::{Delta, Ending, Finish, Logprob, Search, ToolCall};
use crate::conversation::signatures::Signed;
use crate::error::{ApiError, ErrorKind};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Writes events.
pub(super) struct Events {
    shape: Arc<Shape>,
    sequence: u64,
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

/// An event about a text that is complete, or begins.
#[derive(Serialize)]
struct Piece<'a> {
    item_id: &'a str,
    output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_index: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<&'a [Value]>,
}

impl Events {
    pub(super) fn new(shape: Arc<Shape>) -> Events {
        Events {
            shape,
            sequence: 0,
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

    /// Tells what follows: what Google says last stands first in a whole answer.
    pub(super) fn foresee(&mut self, ending: &Ending) {
        self.search(&ending.search, &mut Vec::new());
        self.signature.clone_from(&ending.signature);
    }

    fn event<T: Serialize + ?Sized>(&mut self, name: &str, fields: &T, out: &mut Vec<u8>) {
        let sequence = self.sequence;
        self.sequence += 1;
        let head =
            format!("event: response.{name}\ndata: {{\"type\":\"response.{name}\",\"sequence_number\":{sequence}");
        out.extend_from_slice(head.as_bytes());
        let start = out.len();
        frame::json(fields, out);
        // All have a field: its brace becomes the comma behind ours.
        out[start] = b',';
        out.extend_from_slice(b"\n\n");
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        let response = json!({"response": self.shape.response(Status::InProgress, &[], None)});
        self.event("created", &response, out);
        self.event("in_progress", &response, out);
    }

    /// The id of the next item.
    fn item_id(&self, prefix: &str) -> String {
        format!("{prefix}_{}{}", self.shape.id, self.items.len())
    }

    fn added(&mut self, item: &Value, out: &mut Vec<u8>) {
        self.event("output_item.added", &json!({"output_index": self.items.len(), "item": item}), out);
    }

    fn done(&mut self, item: Value, out: &mut Vec<u8>) {
        let told = self.shape.told(item.clone());
        self.event("output_item.done", &json!({"output_index": self.items.len(), "item": told}), out);
        self.items.push(item);
    }

    /// An event about the open item's text.
    fn piece<'a>(&mut self, name: &str, open: &'a Open, fill: impl FnOnce(&mut Piece<'a>), out: &mut Vec<u8>) {
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
        self.event(name, &piece, out);
    }

    pub(super) fn thought(&mut self, text: &str, out: &mut Vec<u8>) {
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

    pub(super) fn text(&mut self, text: &str, logprobs: &[Logprob], out: &mut Vec<u8>) {
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
        out.extend_from_slice(&open.head);
        frame::json(&self.sequence, out);
        self.sequence += 1;
        out.extend_from_slice(b",\"delta\":");
        frame::json(text, out);
        if open.is_message {
            out.extend_from_slice(b",\"logprobs\":");
            frame::json(logprobs, out);
        }
        out.extend_from_slice(b"}\n\n");
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
            self.event("output_text.annotation.added", &event, out);
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

    pub(super) fn call(&mut self, call: &ToolCall, out: &mut Vec<u8>) {
        if let Some(signature) = &call.signature {
            self.sign(Signed::Call(Some(call.id.clone())), signature, out);
        }
        self.close(None, out);
        let shape = self.shape.clone();
        let native = shape.natives.get(&call.name);
        let id = self.item_id(output::call_prefix(call, native));
        let item = output::call(&id, call, native);
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
            self.event(&format!("{name}.delta"), &delta, out);
            let mut done = json!({"item_id": id, "output_index": index, field: call.arguments});
            if !call.custom {
                done["name"] = item["name"].clone();
            }
            self.event(&format!("{name}.done"), &done, out);
        }
        self.done(item, out);
    }

    pub(super) fn image(&mut self, data: &str, signature: Option<&str>, out: &mut Vec<u8>) {
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
            self.event(&format!("{call}.{word}"), &event, out);
        }
    }

    /// Writes what is left; returns the response as it is now.
    pub(super) fn end(&mut self, ending: &Ending, out: &mut Vec<u8>) -> Value {
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
        let told = self.told();
        let mut response = self.shape.response(status, &told, Some(ending.usage));
        if let Some(reason) = &ending.reason {
            response["extra_content"] = json!({"google": reason});
        }
        if let Some(keeper) = &self.shape.keeper {
            let mut items = self.items.clone();
            self.unsaid.drain(..).rev().for_each(|(at, item)| items.insert(at, item));
            keeper.keep(&self.shape.id, &self.shape.kept(response.clone(), items));
        }
        self.event(status.word(), &json!({ "response": response }), out);
        response
    }

    /// The items as the client gets them.
    fn told(&self) -> Vec<Value> {
        self.items.iter().map(|item| self.shape.told(item.clone())).collect()
    }

    fn fail_with(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        if self.sequence == 0 {
            self.begin(out);
        }
        let mut response = self.shape.response(Status::Failed, &self.told(), None);
        response["error"] = json!({"code": code(error), "message": message(error)});
        self.event("failed", &json!({ "response": response }), out);
    }
}

impl Frames for Events {
    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { .. } => self.begin(out),
            Delta::Thought(text) => self.thought(text, out),
            Delta::Text(text, logprobs) => self.text(text, &logprobs, out),
            Delta::Call(call) => self.call(&call, out),
            Delta::Image(image) => self.image(image.data, image.signature, out),
            Delta::End(ending) => {
                self.end(&ending, out);
            }
        }
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        self.fail_with(error, out);
    }
}

/// The code of a failed response. Programs act on these; others than OpenAI's mean nothing to them.
fn code(error: &ApiError) -> &'static str {
    match (error.kind, error.code()) {
        (_, Some("context_length_exceeded")) => "context_length_exceeded",
        (ErrorKind::RateLimit, _) => "rate_limit_exceeded",
        (ErrorKind::InsufficientQuota, _) => "insufficient_quota",
        (ErrorKind::InvalidRequest | ErrorKind::ImageRefused, _) => "invalid_prompt",
        (ErrorKind::Server | ErrorKind::Authentication | ErrorKind::Permission, _) => "server_error",
    }
}

/// Codex reads out of the message how long to wait.
fn message(error: &ApiError) -> String {
    match error.retry_after.filter(|_| error.kind == ErrorKind::RateLimit) {
        Some(wait) => format!("{} Please try again in {}s.", error.message, wait.as_millis() as f64 / 1000.0),
        None => error.message.clone(),
    }
}
