//! What a surface is: a translation of one client dialect to Google's types and back.
//!
//! A surface is one folder. It knows Google's types and its own, no socket, no HTTP client, no credentials and no other
//! surface. The handler drives it: [`Surface::parse`] makes an [`Exchange`] of the request; each attempt at answering
//! takes a fresh [`Translator`] from it, feeds it the upstream's events and sends what it writes.

pub(crate) mod anthropic_blocks;
#[cfg_attr(not(feature = "agents"), path = "no_messages.rs")]
pub mod anthropic_messages;
pub mod billing;
pub mod compat;
pub(crate) mod conversing;
pub(crate) mod frame;
pub mod gemini;
pub mod models;
pub mod openai;
pub mod openai_chat;
pub mod openai_completions;
pub mod openai_embeddings;
#[cfg(feature = "media")]
pub mod openai_media;
#[cfg_attr(not(feature = "agents"), path = "no_responses.rs")]
pub mod openai_responses;
pub(crate) mod options;
pub(crate) mod params;
pub(crate) mod room;

pub use crate::config::{Affinity, MidSystem, Settings};
pub use crate::conversation::{Context, Fetch};
use crate::error::ApiError;
use crate::gemini::models::Model;
use crate::gemini::{Request, Response, UsageMetadata};
use crate::http;

/// The error of a dialect that this program was built without.
#[cfg(not(feature = "agents"))]
fn left_out() -> ApiError {
    let sentence = "This program was built without the dialects of coding agents (its feature `agents`).";
    ApiError::new(404, crate::error::ErrorKind::InvalidRequest, sentence).with_code("unknown_url")
}

/// What is asked of Google.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `generateContent`: one answer.
    Generate,
    /// `streamGenerateContent`: events.
    Stream,
    /// `countTokens`.
    CountTokens,
    /// `embedContent` (public API only).
    Embed,
    /// `batchEmbedContents` (public API only).
    BatchEmbed,
}

impl Operation {
    /// The method of the public API, and how its answer is asked for.
    pub fn method(self) -> &'static str {
        match self {
            Operation::Generate => "generateContent",
            Operation::Stream => "streamGenerateContent?alt=sse",
            Operation::CountTokens => "countTokens",
            Operation::Embed => "embedContent",
            Operation::BatchEmbed => "batchEmbedContents",
        }
    }
}

/// One request as dispatch sends it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Google's bare model name, without `models/` and suffixes.
    pub model: String,
    /// What is asked.
    pub operation: Operation,
    /// The request in Google's terms. For `CountTokens`, `Embed` and `BatchEmbed` it is the body of that method.
    pub request: Request,
    /// The name of the conversation: prefer the same credential for it. A surface puts in what the body says, the handler
    /// adds headers and hashes it ([`crate::serve::affinity`]).
    pub affinity: Option<String>,
    /// The answer may be longer than one call of Google's gives; dispatch goes on then and makes it one answer.
    pub long_decode: bool,
    /// The client gets the answer in one piece.
    pub whole: bool,
    /// The tokens that the client allows, of which the request holds no more than its model gives.
    pub limit: Option<u64>,
    /// The request as it was before it was made to fit one credential, and whether it was for a long answer.
    pub unfitted: Option<Box<(Request, bool)>>,
    /// Arguments of calls are wanted as they come, where the service can do that.
    pub streams_arguments: bool,
    /// What the service that was asked last does not get of the request, in a sentence for the client.
    pub left_out: Option<&'static str>,
    /// The model whose rules it keeps; `None` for a request that is as its client wrote it.
    pub serves: Option<String>,
}

impl Call {
    /// A call that is one call of Google's, of a client that names no conversation.
    pub fn new(model: impl Into<String>, operation: Operation, request: Request) -> Call {
        Call {
            model: model.into(),
            operation,
            request,
            affinity: None,
            long_decode: false,
            whole: operation != Operation::Stream,
            limit: None,
            unfitted: None,
            streams_arguments: false,
            left_out: None,
            serves: None,
        }
    }

    /// A question to `model`, still empty. Where one call gives less of an answer that does not stream, events are asked
    /// for all the same (docs/gemini-4.md "Output limits").
    pub fn question(model: &Model, framing: Framing, affinity: Option<String>) -> Call {
        let call = Call::new(&model.name, Operation::Generate, Request::default());
        let serves = Some(model.served_by().to_owned());
        let mut call = Call { affinity, whole: framing == Framing::Whole, serves, ..call };
        call.lengthen(model.long_decode);
        call
    }

    /// Asks for an answer of several calls or of one.
    pub fn lengthen(&mut self, long: bool) {
        self.long_decode = long;
        if matches!(self.operation, Operation::Generate | Operation::Stream) {
            self.operation = if self.whole && !long { Operation::Generate } else { Operation::Stream };
        }
    }

    /// Takes back what made it fit one credential.
    pub fn unfit(&mut self) {
        self.left_out = None;
        if let Some(before) = self.unfitted.take() {
            self.request = before.0;
            self.lengthen(before.1);
        }
    }

    /// Asks something else in the same way.
    pub fn replace(&mut self, request: Request) {
        self.unfit();
        self.request = request;
    }
}

/// The media type of most answers.
const JSON: &str = "application/json";

/// A request that was read, or the client's mistake in it.
pub type Parsed = Result<Box<dyn Exchange>, ApiError>;

/// A parsed request: what to ask, and how to answer.
pub trait Exchange: Send {
    /// What dispatch sends. Dispatch may take signatures out or simplify schemas before another attempt.
    fn call(&mut self) -> &mut Call;

    /// How the answer is framed on the wire.
    fn framing(&self) -> Framing;

    /// What of the request could not be done, in sentences for the client.
    fn notices(&self) -> &[String] {
        &[]
    }

    /// The media type of an answer in `Whole` or `Bytes` framing.
    fn media_type(&self) -> &'static str {
        JSON
    }

    /// A translator for one attempt; the handler asks for a second one only when the first has produced no content.
    fn translator(&self) -> Box<dyn Translator>;

    /// How many calls the answer takes.
    fn requests(&self) -> u64 {
        1
    }

    /// Changes the call to another one that brings the same answer, where Google has refused it so.
    fn instead(&mut self, _error: &ApiError) -> bool {
        false
    }

    /// Goes on to the next call of an answer that takes several, whose events the same translator gets before its end.
    fn advance(&mut self) -> bool {
        false
    }
}

/// Has somebody else count the tokens of a request, who may not say: then they are estimated.
pub type Count<'a> = &'a dyn Fn(&mut Call) -> Option<u64>;

/// Makes a translator for one attempt.
pub type NewTranslator = Box<dyn Fn() -> Box<dyn Translator> + Send>;

/// A parsed request whose answer takes one call.
pub(crate) struct OneCall {
    pub call: Call,
    pub framing: Framing,
    pub media_type: &'static str,
    pub translator: NewTranslator,
}

impl Exchange for OneCall {
    fn call(&mut self) -> &mut Call {
        &mut self.call
    }

    fn framing(&self) -> Framing {
        self.framing
    }

    fn media_type(&self) -> &'static str {
        self.media_type
    }

    fn translator(&self) -> Box<dyn Translator> {
        (self.translator)()
    }
}

/// How an answer is framed on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// One document, sent when it is complete.
    #[default]
    Whole,
    /// Bytes of the exchange's media type as they come, in which nothing can be said but they.
    Bytes,
    /// `text/event-stream`.
    Events,
    /// A JSON array that grows, as Google streams without `alt=sse`.
    Array,
}

/// Turns upstream events into the client's dialect; a machine without I/O.
pub trait Translator: Send {
    /// Takes one upstream event: its JSON text without Code Assist's envelope, and the same parsed. Appends complete
    /// frames to `out` (in `Whole` framing: nothing). An error that comes before any content was produced may be retried
    /// by the handler when [`Translator::retryable`] says so.
    fn event(&mut self, json: &str, event: &Response<'_>, out: &mut Vec<u8>) -> Result<(), ApiError>;

    /// The upstream ended, and another call of the same answer follows. Appends what is left of this one.
    fn next(&mut self, _out: &mut Vec<u8>) -> Result<(), ApiError> {
        Ok(())
    }

    /// Whether what earlier calls brought is an answer, though a later one failed.
    fn stands(&self) -> bool {
        false
    }

    /// The upstream ended. Appends what is left (in `Whole` framing: the document), or says what is missing, such as a
    /// finish reason.
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), ApiError>;

    /// Appends an error frame in the dialect, for an answer that has begun. Not called in `Whole` framing.
    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>);

    /// Whether `error`, which this translator returned, is worth one more attempt (empty or malformed answer).
    fn retryable(&self, error: &ApiError) -> bool;

    /// Whether a stop condition of ours is met and the upstream need not be read further.
    fn done(&self) -> bool {
        false
    }

    /// How many times what came is in memory at the end: a whole answer is written from what was kept of it.
    fn keeps(&self) -> usize {
        2
    }

    /// The upstream's id of the answer (Code Assist's `traceId`), when it is not in the event itself.
    fn trace_id(&mut self, _id: &str) {}

    /// What the model's name is known to lead to, since an answer has said so.
    fn served_by(&mut self, _model: &str) {}

    /// Token counts so far.
    fn usage(&self) -> UsageMetadata;
}

/// A dialect.
pub trait Surface: Sync {
    /// A word for logs and figures: `chat`, `gemini`, ...
    fn name(&self) -> &'static str {
        "api"
    }

    /// Translates a request.
    fn parse(&self, request: &http::Request, body: Vec<u8>, context: &Context<'_>) -> Parsed;

    /// Whether the body is a form whose files are bytes of any kind.
    fn reads_form(&self, _request: &http::Request) -> bool {
        false
    }

    /// An error as a whole answer in this dialect.
    fn error(&self, error: &ApiError) -> http::Response;
}
