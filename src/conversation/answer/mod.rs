//! An answer of Google read event by event into deltas, which every dialect writes in its own frames; [`Folded`] is the
//! whole answer, made of the same deltas. [`verdict`] says at the end how the answer finished, or what is wrong with it.

mod calls;
mod citations;
mod delta;
mod folded;
mod hold;
mod invoked;
mod logprobs;
#[cfg(feature = "media")]
pub(crate) mod mp3;
mod partial;
mod reasons;
pub(crate) mod speech;
mod streamed;
mod text;
mod usage;
mod verdict;

pub use citations::{Citation, Search, Source};
pub use delta::{Delta, Ending, Image, Sink, ToolCall};
pub use folded::{Block, Folded};
pub use logprobs::Logprob;
use reasons::Class;
pub use reasons::Reason;
pub use usage::Totals;
pub use verdict::Finish;

use super::media;
use super::plan::{AudioFormat, Plan};
use super::signatures::Anchor;
use crate::error::ApiError;
use crate::gemini::response::{Candidate, ResponseBlob};
use crate::gemini::{Response, ResponsePart, UsageMetadata};
use crate::os::random;
use citations::Cited;
use invoked::Invoked;
use partial::Partial;
use std::collections::HashSet;
use std::sync::Arc;
use text::Texts;
use verdict::Seen;

/// The state of one attempt at an answer.
pub struct Answer {
    plan: Arc<Plan>,
    /// How many attempts at this request there were before.
    attempt: u32,
    id: Option<String>,
    trace: Option<String>,
    started: bool,
    texts: Texts,
    cited: Cited,
    logprobs: Vec<Logprob>,
    call_ids: HashSet<String>,
    call_signature: Option<String>,
    text_signature: Option<String>,
    speech: Vec<u8>,
    /// What Google's own tools did since the last call or the beginning.
    invoked: Invoked,
    /// A call of which more comes.
    partial: Option<Partial>,
    seen: Seen,
    usage: UsageMetadata,
}

impl Answer {
    /// For one attempt, after `attempt` others.
    pub fn new(plan: Arc<Plan>, attempt: u32) -> Answer {
        Answer {
            texts: Texts::new(&plan),
            cited: Cited::new(plan.kept_text),
            plan,
            attempt,
            id: None,
            trace: None,
            started: false,
            logprobs: Vec::new(),
            call_ids: HashSet::new(),
            call_signature: None,
            text_signature: None,
            speech: Vec::new(),
            invoked: Invoked::default(),
            partial: None,
            seen: Seen::default(),
            usage: UsageMetadata::default(),
        }
    }

    /// Code Assist's id of the answer, for answers without one of their own.
    pub fn trace_id(&mut self, id: &str) {
        if self.trace.is_none() && !id.is_empty() {
            self.trace = Some(id.to_owned());
        }
    }

    /// From now on the model's name is known to lead to this one.
    pub fn served_by(&self, model: &str) {
        self.plan.signatures.made_for(model);
    }

    /// Whether any delta is out.
    pub fn has_started(&self) -> bool {
        self.started
    }

    /// Whether a stop sequence was met, so that nothing which still comes is given to the client.
    pub fn is_cut(&self) -> bool {
        self.texts.is_cut()
    }

    /// Token counts so far.
    pub fn usage(&self) -> &UsageMetadata {
        &self.usage
    }

    /// Takes one event.
    pub fn event(&mut self, event: &Response<'_>, sink: &mut Sink<'_>) {
        if self.id.is_none() {
            self.id = event.response_id.as_deref().filter(|id| !id.is_empty()).map(str::to_owned);
        }
        if let Some(usage) = &event.usage_metadata {
            self.usage.merge(usage);
        }
        if let Some(feedback) = &event.prompt_feedback
            && let Some(word) = feedback.word()
        {
            self.seen.blocked = Some(Reason::read(word, feedback.block_reason_message.as_deref()));
        }
        // Others than the first come though one was asked for, and are nobody's.
        if let Some(candidate) = event.candidates.iter().find(|candidate| candidate.index.unwrap_or(0) == 0) {
            self.candidate(candidate, sink);
        }
    }

    /// The upstream ended: gives out what was held back and the ending, or says what is wrong with the answer. `sent`:
    /// something is with the client already.
    pub fn end(&mut self, sent: bool, sink: &mut Sink<'_>) -> Result<(), ApiError> {
        if self.seen.reason.as_ref().is_some_and(|reason| reason.class() == Class::Stop) {
            self.complete(sink);
        }
        let verdict = self.verdict(sent);
        if verdict.is_err() && !sent {
            return verdict.map(drop);
        }
        self.flush(sink);
        let ending = self.ending(verdict?);
        self.give(Delta::End(ending), sink);
        Ok(())
    }

    fn ending(&mut self, finish: Finish) -> Ending {
        let said = self.cited.content().filter(|text| !text.is_empty());
        if let Some((parts, text)) = self.invoked.take().zip(said) {
            let question = &self.plan.question;
            self.plan.signatures.remember_invoked(&Anchor::Text { question, text }, &parts);
        }
        let speech = std::mem::take(&mut self.speech);
        let audio = (!speech.is_empty()).then(|| match self.plan.audio {
            Some(AudioFormat::Pcm16) => media::encode(&speech),
            #[cfg(feature = "media")]
            Some(AudioFormat::Mp3) => media::encode(&mp3::file(speech)),
            _ => media::encode(&speech::wav(speech)),
        });
        Ending {
            finish,
            reason: self.reason(),
            stop: self.texts.met().map(str::to_owned),
            signature: self.text_signature.take(),
            search: self.cited.search(),
            audio,
            logprobs: std::mem::take(&mut self.logprobs),
            usage: Totals::from(&self.usage),
        }
    }

    fn candidate(&mut self, candidate: &Candidate<'_>, sink: &mut Sink<'_>) {
        if let Some(word) = candidate.finish_reason.as_deref().filter(|word| !word.is_empty()) {
            self.seen.reason = Some(Reason::read(word, candidate.finish_message.as_deref()));
        }
        if let Some(result) = candidate.logprobs_result.filter(|_| self.plan.logprobs) {
            self.logprobs.extend(logprobs::read(result.get()));
        }
        if let Some(grounding) = candidate.grounding_metadata {
            self.cited.grounding(grounding.get());
        }
        if let Some(repeated) = candidate.citation_metadata {
            self.cited.repeated(repeated.get());
        }
        if let Some(opened) = candidate.url_context_metadata {
            self.cited.url_context(opened.get());
        }
        let parts = candidate.parts();
        self.cited.event(!parts.is_empty());
        for part in parts {
            self.cited.part();
            self.part(part, sink);
        }
    }

    fn part(&mut self, part: &ResponsePart<'_>, sink: &mut Sink<'_>) {
        let signature = part.thought_signature.as_deref().filter(|signature| !signature.is_empty());
        if let Some(call) = &part.function_call {
            self.call_or_piece(call, signature, sink);
        } else if part.thought {
            self.keep_signature(signature);
            if let Some(text) = part.text.as_deref() {
                self.thought(text, sink);
            }
        } else if part.tool_call.or(part.tool_response).is_some() {
            self.invoked.push(part, signature);
        } else if let Some(text) = part.text.as_deref() {
            self.keep_signature(signature);
            self.text(text, sink);
        } else if let Some(blob) = &part.inline_data {
            self.blob(blob, signature, sink);
        } else if let Some(code) = &part.executable_code {
            let language = code.language.as_deref().unwrap_or_default().to_ascii_lowercase();
            let source = code.code.as_deref().unwrap_or_default();
            self.text(&format!("```{language}\n{}\n```\n", source.trim_end_matches('\n')), sink);
        } else if let Some(result) = &part.code_execution_result {
            let output = result.output.as_deref().unwrap_or_default().trim_end_matches('\n');
            let outcome = result.outcome.as_deref().filter(|outcome| *outcome != "OUTCOME_OK").unwrap_or_default();
            // A failure is told, and where nothing was printed there is nothing to show.
            match (outcome, output) {
                ("", "") => {}
                ("", shown) | (shown, "") => self.text(&format!("```\n{shown}\n```\n"), sink),
                (outcome, output) => self.text(&format!("```\n{outcome}\n{output}\n```\n"), sink),
            }
        } else {
            self.keep_signature(signature);
        }
    }

    /// A signature of anything but a call. Google repeats one; twice in a stream would break it.
    fn keep_signature(&mut self, signature: Option<&str>) {
        if let Some(signature) = signature.filter(|signature| self.call_signature.as_deref() != Some(signature)) {
            self.text_signature = Some(signature.to_owned());
        }
    }

    fn thought(&mut self, text: &str, sink: &mut Sink<'_>) {
        let thought = self.texts.thought(text);
        if thought.is_empty() {
            return;
        }
        self.seen.thought = true;
        match self.texts.opening() {
            None if self.plan.marker.is_none() => self.give(Delta::Thought(&thought), sink),
            None => self.show(&thought, sink),
            Some(tag) => {
                self.show(&tag, sink);
                self.show(&thought, sink);
            }
        }
    }

    fn close_thoughts(&mut self, sink: &mut Sink<'_>) {
        let rest = self.texts.rest_of_thought();
        if !rest.is_empty() {
            self.thought(rest, sink);
        }
        if let Some(tag) = self.texts.closing() {
            self.show(&tag, sink);
        }
    }

    fn text(&mut self, text: &str, sink: &mut Sink<'_>) {
        let joined = self.texts.join(text);
        self.joined_text(joined, sink);
    }

    fn joined_text(&mut self, text: std::borrow::Cow<'_, str>, sink: &mut Sink<'_>) {
        if text.is_empty() || self.is_cut() {
            return;
        }
        self.close_thoughts(sink);
        let text = self.texts.let_through(text);
        self.show(&text, sink);
    }

    fn show(&mut self, text: &str, sink: &mut Sink<'_>) {
        if !text.is_empty() {
            self.seen.shown = true;
            self.cited.text(text);
            let logprobs = std::mem::take(&mut self.logprobs);
            self.give(Delta::Text(text, logprobs), sink);
        }
    }

    fn give(&mut self, delta: Delta<'_>, sink: &mut Sink<'_>) {
        if !std::mem::replace(&mut self.started, true) {
            let trace = &mut self.trace;
            let id = self.id.get_or_insert_with(|| trace.take().unwrap_or_else(|| random::id(24)));
            sink(Delta::Start { id, usage: &self.usage });
        }
        sink(delta);
    }

    /// Gives out everything that was held back.
    fn flush(&mut self, sink: &mut Sink<'_>) {
        self.close_thoughts(sink);
        let rest = self.texts.rest_of_text();
        self.joined_text(rest.into(), sink);
        let held = self.texts.held();
        self.show(&held, sink);
    }

    fn blob(&mut self, blob: &ResponseBlob<'_>, signature: Option<&str>, sink: &mut Sink<'_>) {
        let mime = blob.mime_type.as_deref().unwrap_or_default();
        let Some(data) = blob.data.as_deref().filter(|data| !data.is_empty()) else {
            return;
        };
        if mime.starts_with("audio/") {
            self.keep_signature(signature);
            self.speech.extend(media::decode(data).unwrap_or_default());
            self.usage.audio_ms = speech::milliseconds(self.speech.len(), speech::RATE);
        } else if mime.starts_with("image/") && !self.is_cut() {
            self.flush(sink);
            self.seen.images += 1;
            self.usage.images += 1;
            self.give(Delta::Image(Image { mime, data, signature }), sink);
        }
    }
}
