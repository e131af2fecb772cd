//! An exchange whose answer is made of deltas: what is the same in every dialect that speaks over [`crate::conversation`].
//! A dialect writes a [`Reply`]: a document of a whole answer, and the [`Frames`] of a stream.

use super::{Call, Context, Exchange, Framing, Translator};
use crate::conversation::answer::{Answer, Delta, Folded};
use crate::conversation::asked::Asked;
use crate::conversation::plan::Plan;
use crate::error::ApiError;
use crate::gemini::{Content, Request, Response, UsageMetadata};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How a dialect answers one request; holds what its answers repeat of it.
pub(crate) trait Reply: Send + Sync {
    /// Appends the whole answer, which has an ending.
    fn document(&self, answer: Folded, out: &mut Vec<u8>);

    /// The same for answers of which there may be several, in the order of their choices.
    fn documents(&self, answers: Vec<Folded>, out: &mut Vec<u8>) {
        answers.into_iter().take(1).for_each(|answer| self.document(answer, out));
    }

    /// How many times what was said is in memory at the end.
    fn keeps(&self) -> usize {
        2
    }

    /// The frames of a streamed answer, for one attempt.
    fn frames(self: Arc<Self>) -> Box<dyn Frames>;
}

/// Writes a streamed answer.
pub(crate) trait Frames: Send {
    /// Appends the frames of the next delta, each of them complete. Behind the end of one answer another may begin, where
    /// several were asked for.
    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>);

    /// How many times what was said is in memory at the end; 0: the last frames do not repeat it.
    fn keeps(&self) -> usize {
        0
    }

    /// Appends the frame of an error; nothing may follow it.
    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>);
}

/// A parsed request.
pub(crate) struct Conversing {
    call: Call,
    framing: Framing,
    plan: Arc<Plan>,
    reply: Arc<dyn Reply>,
    attempts: AtomicU32,
    choices: Choices,
}

/// What is still to be asked for, where several answers are wanted.
#[derive(Default)]
struct Choices {
    /// Answers to each question.
    each: u32,
    /// Further answers to the present question.
    left: u32,
    /// The present question, if there are any.
    again: Option<Request>,
    /// Further questions, the last one first.
    others: Vec<Request>,
}

impl Choices {
    fn next(&mut self) -> Option<Request> {
        if self.left == 0 {
            let request = self.others.pop()?;
            self.begin(&request);
            return Some(request);
        }
        self.left -= 1;
        let mut request = if self.left == 0 { self.again.take()? } else { self.again.clone()? };
        // The same seed would give the same answer.
        let seed = request.generation_config.as_mut().and_then(|config| config.other.get_mut("seed"));
        if let Some((seed, number)) = seed.and_then(|seed| Some((seed.as_i64()?, seed))) {
            *number = json!((seed + i64::from(self.each - self.left) - 1) & 0x7fff_ffff);
        }
        Some(request)
    }

    fn begin(&mut self, request: &Request) {
        self.left = self.each.saturating_sub(1);
        self.again = (self.left > 0).then(|| request.clone());
    }
}

impl Conversing {
    /// For a question; `affinity` is the conversation's name, if it has one.
    pub(crate) fn ask(
        asked: Asked,
        affinity: Option<String>,
        reply: impl Reply + 'static,
        context: &Context<'_>,
    ) -> Conversing {
        let framing = if asked.stream { Framing::Events } else { Framing::Whole };
        let mut call = Call::question(&asked.model, framing, affinity);
        call.limit = asked.limit;
        let (request, plan) = asked.compose(context);
        call.request = request;
        call.streams_arguments = plan.gives_pieces();
        Conversing::new(call, framing, plan, reply)
    }

    /// For a call that is made already.
    pub(crate) fn new(call: Call, framing: Framing, plan: Plan, reply: impl Reply + 'static) -> Conversing {
        let choices = Choices::default();
        let (plan, reply) = (Arc::new(plan), Arc::new(reply));
        Conversing { call, framing, plan, reply, attempts: AtomicU32::new(0), choices }
    }

    /// With so many answers to each question: the one that is there, and others that differ in nothing but what is said.
    pub(crate) fn several(mut self, each: u32, others: Vec<Vec<Content>>) -> Conversing {
        let others = others.into_iter().rev().map(|contents| Request { contents, ..self.call.request.clone() });
        self.choices = Choices { each, others: others.collect(), ..Choices::default() };
        self.choices.begin(&self.call.request);
        self
    }
}

impl Exchange for Conversing {
    fn call(&mut self) -> &mut Call {
        &mut self.call
    }

    fn framing(&self) -> Framing {
        self.framing
    }

    fn requests(&self) -> u64 {
        let Choices { each, left, others, .. } = &self.choices;
        1 + u64::from(*left) + others.len() as u64 * u64::from(*each)
    }

    fn advance(&mut self) -> bool {
        let Some(next) = self.choices.next() else { return false };
        self.call.replace(next);
        true
    }

    fn notices(&self) -> &[String] {
        &self.plan.notices
    }

    fn translator(&self) -> Box<dyn Translator> {
        // A later attempt must know that it is one: what was worth another try once is an answer the second time.
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        let answer = Answer::new(Arc::clone(&self.plan), attempt);
        let reply = Arc::clone(&self.reply);
        let to = match self.framing() {
            Framing::Whole => To::Document(vec![Folded::default()], reply),
            Framing::Events | Framing::Array | Framing::Bytes => To::Frames(reply.frames()),
        };
        Box::new(Translation {
            answer,
            to,
            plan: Arc::clone(&self.plan),
            has_ended: false,
            used: UsageMetadata::default(),
        })
    }
}

/// An answer on its way to the client.
struct Translation {
    answer: Answer,
    to: To,
    plan: Arc<Plan>,
    /// Another answer to the same request is out already.
    has_ended: bool,
    /// Token counts of those.
    used: UsageMetadata,
}

/// What becomes of an answer.
enum To {
    /// A stream's frames, one by one.
    Frames(Box<dyn Frames>),
    /// One document at the end, of one event or of many.
    Document(Vec<Folded>, Arc<dyn Reply>),
}

impl To {
    fn take(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match self {
            To::Frames(frames) => frames.write(delta, out),
            To::Document(answers, _) => {
                if let Some(answer) = answers.last_mut() {
                    answer.push(delta);
                }
            }
        }
    }
}

impl Translation {
    /// Whether something of the answer is out.
    fn is_out(&self) -> bool {
        matches!(self.to, To::Frames(_)) && (self.has_ended || self.answer.has_started())
    }
}

impl Translator for Translation {
    fn event(&mut self, _json: &str, event: &Response<'_>, out: &mut Vec<u8>) -> Result<(), ApiError> {
        self.answer.event(event, &mut |delta| self.to.take(delta, out));
        Ok(())
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let sent = self.is_out();
        self.answer.end(sent, &mut |delta| self.to.take(delta, out))?;
        self.used = self.usage();
        self.has_ended = true;
        // One of several that says nothing is what the model wants to say.
        self.answer = Answer::new(Arc::clone(&self.plan), u32::MAX);
        if let To::Document(answers, _) = &mut self.to {
            answers.push(Folded::default());
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let sent = self.is_out();
        self.answer.end(sent, &mut |delta| self.to.take(delta, out))?;
        if let To::Document(answers, reply) = &mut self.to {
            reply.documents(std::mem::take(answers), out);
        }
        Ok(())
    }

    /// A whole answer that fails is none: the caller answers with the error.
    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        if let To::Frames(frames) = &mut self.to {
            frames.fail(error, out);
        }
    }

    fn retryable(&self, error: &ApiError) -> bool {
        !self.is_out() && self.answer.retryable(error)
    }

    fn done(&self) -> bool {
        self.answer.is_cut()
    }

    fn keeps(&self) -> usize {
        match &self.to {
            To::Frames(frames) => frames.keeps(),
            To::Document(_, reply) => reply.keeps(),
        }
    }

    fn served_by(&mut self, model: &str) {
        self.answer.served_by(model);
    }

    fn trace_id(&mut self, id: &str) {
        self.answer.trace_id(id);
    }

    fn usage(&self) -> UsageMetadata {
        let mut usage = self.used.clone();
        usage.add(self.answer.usage());
        usage
    }
}
