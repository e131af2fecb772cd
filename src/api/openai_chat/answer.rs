//! An answer of Google read event by event into the pieces a client gets (openai_chat.md 2.1 to 2.3); [`verdict`]
//! says at its end which finish reason it has, or which error. Whole answers and streams differ only in what they do with the pieces.

mod verdict;

use crate::conversation::citations::{self, Annotation};
use crate::conversation::format::Json;
use crate::conversation::hold::{Fence, Stops};
use crate::conversation::logprobs::{self, Logprob};
use crate::conversation::media;
use crate::conversation::names::Kind;
use crate::conversation::plan::{AudioFormat, Plan};
use crate::conversation::{arguments, speech};
use crate::gemini::response::{Candidate, ResponseBlob, ResponseCall};
use crate::gemini::surrogates::Joiner;
use crate::gemini::{Response, ResponsePart, UsageMetadata};
use crate::os::random;
use std::collections::HashSet;
use std::sync::Arc;
pub(super) use verdict::Finish;
use verdict::Word;

/// Something to give to the client now.
pub(super) enum Piece<'a> {
    Thought(&'a str),
    Text(&'a str),
    Call(ToolCall),
    Image(Image<'a>),
}

/// A call of a tool, complete.
#[derive(Debug)]
pub(super) struct ToolCall {
    pub id: String,
    pub name: String,
    /// JSON, or the free text of a custom tool.
    pub arguments: String,
    pub custom: bool,
    pub signature: Option<String>,
}

/// A picture, in base64.
pub(super) struct Image<'a> {
    pub mime: &'a str,
    pub data: &'a str,
    pub signature: Option<&'a str>,
}

/// What goes out at the end, after all pieces.
pub(super) struct Ending {
    /// A signature that belongs to the text.
    pub signature: Option<String>,
    pub annotations: Vec<Annotation>,
    /// Speech in base64.
    pub audio: Option<String>,
}

/// The state of one answer.
pub(super) struct Answer {
    pub plan: Arc<Plan>,
    /// How many attempts at this request there were before.
    attempt: u32,
    id: Option<String>,
    trace: Option<String>,
    thoughts: Joiner,
    texts: Joiner,
    in_thoughts: bool,
    stops: Stops,
    fence: Option<Fence>,
    /// A stop sequence of ours was met.
    cut: bool,
    /// Text was given to the client.
    shown: bool,
    /// The text given to the client: a whole answer's content, and in streams what citations point into.
    pub content: String,
    /// `content` is all of the text; empty else.
    keeps: bool,
    /// Where the parts of the first event begin in `content`.
    part_starts: Vec<usize>,
    events_with_parts: usize,
    call_ids: HashSet<String>,
    call_signature: Option<String>,
    text_signature: Option<String>,
    nameless_call: bool,
    thought: bool,
    images: usize,
    speech: Vec<u8>,
    blocked: bool,
    finish: Option<Word>,
    grounding: String,
    pub usage: UsageMetadata,
}

impl Answer {
    pub(super) fn new(plan: Arc<Plan>, attempt: u32) -> Answer {
        let fence = (plan.kept_text < usize::MAX && plan.json == Json::Asked).then(Fence::new);
        Answer {
            stops: Stops::new(&plan.stops),
            fence,
            plan,
            attempt,
            id: None,
            trace: None,
            thoughts: Joiner::default(),
            texts: Joiner::default(),
            in_thoughts: false,
            cut: false,
            shown: false,
            content: String::new(),
            keeps: true,
            part_starts: Vec::new(),
            events_with_parts: 0,
            call_ids: HashSet::new(),
            call_signature: None,
            text_signature: None,
            nameless_call: false,
            thought: false,
            images: 0,
            speech: Vec::new(),
            blocked: false,
            finish: None,
            grounding: String::new(),
            usage: UsageMetadata::default(),
        }
    }

    /// Code Assist's id of the answer.
    pub(super) fn trace_id(&mut self, id: &str) {
        if self.trace.is_none() && !id.is_empty() {
            self.trace = Some(id.to_owned());
        }
    }

    /// The id of the answer; from the first call on it stays what it is.
    pub(super) fn id(&mut self) -> &str {
        let trace = &mut self.trace;
        self.id.get_or_insert_with(|| format!("chatcmpl-{}", trace.take().unwrap_or_else(|| random::id(24))))
    }

    /// Takes the id from an event, if none is known yet.
    pub(super) fn note_id(&mut self, event: &Response<'_>) {
        if self.id.is_none() {
            let id = event.response_id.as_deref().filter(|id| !id.is_empty());
            self.id = id.map(|id| format!("chatcmpl-{id}"));
        }
    }

    /// The token probabilities of an event, if they are wanted.
    pub(super) fn logprobs(&self, event: &Response<'_>) -> Vec<Logprob> {
        let result = chosen(event).and_then(|candidate| candidate.logprobs_result);
        result.filter(|_| self.plan.logprobs).map(|result| logprobs::read(result.get())).unwrap_or_default()
    }

    pub(super) fn calls(&self) -> usize {
        self.call_ids.len()
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Takes one event.
    pub(super) fn event(&mut self, event: &Response<'_>, emit: &mut dyn FnMut(Piece<'_>)) {
        self.note_id(event);
        if let Some(usage) = &event.usage_metadata {
            self.usage.merge(usage);
        }
        if let Some(reason) = event.prompt_feedback.as_ref().and_then(|feedback| feedback.block_reason.as_deref()) {
            log::info!("chat: prompt blocked by the model, reason {reason}");
            self.blocked = true;
        }
        if let Some(candidate) = chosen(event) {
            self.candidate(candidate, emit);
        }
    }

    fn candidate(&mut self, candidate: &Candidate<'_>, emit: &mut dyn FnMut(Piece<'_>)) {
        if let Some(word) = candidate.finish_reason.as_deref().filter(|word| !word.is_empty()) {
            self.finish = Some(Word::read(word));
        }
        if let Some(grounding) = candidate.grounding_metadata {
            // The last one counts, but one without citations does not undo one with them.
            let has_citations = |text: &str| text.contains("groundingSupports");
            if has_citations(grounding.get()) || !has_citations(&self.grounding) {
                self.grounding.clear();
                self.grounding.push_str(grounding.get());
            }
        }
        let parts = candidate.content.as_ref().map_or(&[][..], |content| &content.parts);
        self.events_with_parts += usize::from(!parts.is_empty());
        for part in parts {
            if self.events_with_parts == 1 {
                self.part_starts.push(self.content.len());
            }
            self.part(part, emit);
        }
    }

    fn part(&mut self, part: &ResponsePart<'_>, emit: &mut dyn FnMut(Piece<'_>)) {
        let signature = part.thought_signature.as_deref().filter(|signature| !signature.is_empty());
        if part.thought {
            self.keep_signature(signature);
            if let Some(text) = part.text.as_deref() {
                self.thought(text, emit);
            }
        } else if let Some(call) = &part.function_call {
            self.call(call, signature, emit);
        } else if let Some(text) = part.text.as_deref() {
            self.keep_signature(signature);
            self.text(text, emit);
        } else if let Some(blob) = &part.inline_data {
            self.blob(blob, signature, emit);
        } else if let Some(code) = &part.executable_code {
            let language = code.language.as_deref().unwrap_or_default().to_ascii_lowercase();
            let source = code.code.as_deref().unwrap_or_default();
            self.text(&format!("```{language}\n{}\n```\n", source.trim_end_matches('\n')), emit);
        } else if let Some(result) = &part.code_execution_result {
            let output = result.output.as_deref().unwrap_or_default();
            self.text(&format!("```\n{}\n```\n", output.trim_end_matches('\n')), emit);
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

    fn thought(&mut self, text: &str, emit: &mut dyn FnMut(Piece<'_>)) {
        let joined = self.thoughts.push(text);
        if joined.is_empty() || self.cut {
            return;
        }
        self.thought = true;
        match self.plan.marker.clone() {
            None => emit(Piece::Thought(&joined)),
            Some(marker) => {
                if !self.in_thoughts {
                    self.in_thoughts = true;
                    self.show(&format!("<{marker}>"), emit);
                }
                self.show(&joined, emit);
            }
        }
    }

    fn close_thoughts(&mut self, emit: &mut dyn FnMut(Piece<'_>)) {
        let rest = self.thoughts.finish();
        if !rest.is_empty() {
            self.thought(rest, emit);
        }
        if std::mem::take(&mut self.in_thoughts) {
            let close = format!("</{}>", self.plan.marker.as_deref().unwrap_or_default());
            self.show(&close, emit);
        }
    }

    fn text(&mut self, text: &str, emit: &mut dyn FnMut(Piece<'_>)) {
        let joined = self.texts.push(text);
        self.joined_text(&joined, emit);
    }

    fn joined_text(&mut self, text: &str, emit: &mut dyn FnMut(Piece<'_>)) {
        if text.is_empty() || self.cut {
            return;
        }
        self.close_thoughts(emit);
        if self.stops.is_off() {
            return self.unstopped(text, emit);
        }
        let (text, met) = self.stops.push(text);
        self.unstopped(&text, emit);
        self.cut |= met;
    }

    fn unstopped(&mut self, text: &str, emit: &mut dyn FnMut(Piece<'_>)) {
        match &mut self.fence {
            None => self.show(text, emit),
            Some(fence) => {
                let text = fence.push(text);
                self.show(&text, emit);
            }
        }
    }

    fn show(&mut self, text: &str, emit: &mut dyn FnMut(Piece<'_>)) {
        if !text.is_empty() {
            self.shown = true;
            if self.keeps && self.plan.kept_text - self.content.len() >= text.len() {
                self.content.push_str(text);
            } else {
                // Citations cannot be placed in a part of a text.
                self.keeps = false;
                self.content = String::new();
            }
            emit(Piece::Text(text));
        }
    }

    /// Gives out everything that was held back.
    pub(super) fn flush(&mut self, emit: &mut dyn FnMut(Piece<'_>)) {
        self.close_thoughts(emit);
        let rest = self.texts.finish();
        self.joined_text(rest, emit);
        if !self.cut {
            let held = self.stops.finish();
            self.unstopped(&held, emit);
        }
        if let Some(mut fence) = self.fence.take() {
            let held = fence.finish();
            self.show(&held, emit);
        }
    }

    fn call(&mut self, call: &ResponseCall<'_>, signature: Option<&str>, emit: &mut dyn FnMut(Piece<'_>)) {
        let name = call.name.as_deref().unwrap_or_default().trim();
        if name.is_empty() {
            self.nameless_call = true;
            return;
        }
        if self.cut || self.plan.single_call && self.calls() > 0 {
            return;
        }
        self.flush(emit);
        let plan = Arc::clone(&self.plan);
        let declared = plan.names.called(name);
        let id = match call.id.as_deref().filter(|id| !id.is_empty() && !self.call_ids.contains(*id)) {
            Some(id) => id.to_owned(),
            None => format!("call_{}", random::id(24)),
        };
        self.call_ids.insert(id.clone());
        if let Some(signature) = signature {
            self.call_signature = Some(signature.to_owned());
            if self.text_signature.as_deref() == Some(signature) {
                self.text_signature = None;
            }
            plan.signatures.remember(&id, signature);
        }
        let custom = declared.is_some_and(|tool| tool.kind == Kind::Custom);
        let arguments = match declared.map(|tool| &tool.kind) {
            Some(Kind::Custom) => arguments::input(call.args),
            Some(Kind::Function { wrapped, integers }) => arguments::to_client(call.args, integers.as_ref(), *wrapped),
            None => arguments::to_client(call.args, None, false),
        };
        let name = declared.map_or(name, |tool| tool.client.as_str()).to_owned();
        emit(Piece::Call(ToolCall { id, name, arguments, custom, signature: signature.map(str::to_owned) }));
    }

    fn blob(&mut self, blob: &ResponseBlob<'_>, signature: Option<&str>, emit: &mut dyn FnMut(Piece<'_>)) {
        let mime = blob.mime_type.as_deref().unwrap_or_default();
        let Some(data) = blob.data.as_deref().filter(|data| !data.is_empty()) else {
            return;
        };
        if mime.starts_with("audio/") {
            self.keep_signature(signature);
            self.speech.extend(media::decode(data).unwrap_or_default());
        } else if mime.starts_with("image/") && !self.cut {
            self.flush(emit);
            self.images += 1;
            emit(Piece::Image(Image { mime, data, signature }));
        }
    }

    /// What comes after the last piece.
    pub(super) fn ending(&mut self) -> Ending {
        let annotations = match self.keeps && !self.grounding.is_empty() {
            false => Vec::new(),
            true => {
                let starts = if self.events_with_parts == 1 { &self.part_starts[..] } else { &[] };
                citations::annotations(&self.grounding, &self.content, starts)
            }
        };
        let speech = std::mem::take(&mut self.speech);
        let audio = (!speech.is_empty()).then(|| match self.plan.audio {
            Some(AudioFormat::Pcm16) => media::encode(&speech),
            _ => media::encode(&speech::wav(speech)),
        });
        Ending { signature: self.text_signature.take(), annotations, audio }
    }
}

/// The candidate for our one choice; others that come all the same are nobody's.
fn chosen<'a, 'b>(event: &'b Response<'a>) -> Option<&'b Candidate<'a>> {
    event.candidates.iter().find(|candidate| candidate.index.unwrap_or(0) == 0)
}
