//! An exchange whose answer is made of deltas: what is the same in every dialect that speaks over [`crate::conversation`].
//! A dialect writes a [`Reply`]: a document of a whole answer, and the [`Frames`] of a stream.

use super::{Call, Context, Exchange, Framing, Operation, Translator};
use crate::conversation::answer::{Answer, Delta, Folded};
use crate::conversation::asked::Asked;
use crate::conversation::plan::Plan;
use crate::error::ApiError;
use crate::gemini::{Response, UsageMetadata};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How a dialect answers one request; holds what its answers repeat of it.
pub(crate) trait Reply: Send + Sync {
    /// Appends the whole answer, which has an ending.
    fn document(&self, answer: &Folded, out: &mut Vec<u8>);

    /// The frames of a streamed answer, for one attempt.
    fn frames(self: Arc<Self>) -> Box<dyn Frames>;
}

/// Writes a streamed answer.
pub(crate) trait Frames: Send {
    /// Appends the frames of the next delta, each of them complete.
    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>);

    /// Appends the frame of an error; nothing may follow it.
    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>);
}

/// A parsed request.
pub(crate) struct Conversing {
    call: Call,
    plan: Arc<Plan>,
    reply: Arc<dyn Reply>,
    attempts: AtomicU32,
}

impl Conversing {
    /// For a question; `affinity` is the conversation's name, if it has one.
    pub(crate) fn ask(
        asked: Asked,
        affinity: Option<String>,
        reply: impl Reply + 'static,
        context: &Context<'_>,
    ) -> Conversing {
        let model = asked.model.name.clone();
        let operation = if asked.stream { Operation::Stream } else { Operation::Generate };
        let (request, plan) = asked.compose(context);
        Conversing::new(Call { model, operation, request, affinity }, plan, reply)
    }

    /// For a call that is made already.
    pub(crate) fn new(call: Call, plan: Plan, reply: impl Reply + 'static) -> Conversing {
        Conversing { call, plan: Arc::new(plan), reply: Arc::new(reply), attempts: AtomicU32::new(0) }
    }
}

impl Exchange for Conversing {
    fn call(&mut self) -> &mut Call {
        &mut self.call
    }

    fn framing(&self) -> Framing {
        if self.call.operation == Operation::Stream { Framing::Events } else { Framing::Whole }
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
            Framing::Whole => To::Document(Box::default(), reply),
            Framing::Events | Framing::Array => To::Frames(reply.frames()),
        };
        Box::new(Translation { answer, to })
    }
}

/// An answer on its way to the client.
struct Translation {
    answer: Answer,
    to: To,
}

/// What becomes of an answer.
enum To {
    /// A stream's frames, one by one.
    Frames(Box<dyn Frames>),
    /// One document at the end, of one event or of many.
    Document(Box<Folded>, Arc<dyn Reply>),
}

impl To {
    fn take(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match self {
            To::Frames(frames) => frames.write(delta, out),
            To::Document(folded, _) => folded.push(delta),
        }
    }
}

impl Translation {
    /// Whether something of the answer is out.
    fn is_out(&self) -> bool {
        matches!(self.to, To::Frames(_)) && self.answer.has_started()
    }
}

impl Translator for Translation {
    fn event(&mut self, _json: &str, event: &Response<'_>, out: &mut Vec<u8>) -> Result<(), ApiError> {
        self.answer.event(event, &mut |delta| self.to.take(delta, out));
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let sent = self.is_out();
        self.answer.end(sent, &mut |delta| self.to.take(delta, out))?;
        if let To::Document(folded, reply) = &self.to {
            reply.document(folded, out);
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

    fn trace_id(&mut self, id: &str) {
        self.answer.trace_id(id);
    }

    fn usage(&self) -> UsageMetadata {
        self.answer.usage().clone()
    }
}
