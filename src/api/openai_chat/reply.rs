//! What must be remembered of a request to answer it.

use crate::conversation::names::Names;
use crate::gemini::Request;
use crate::gemini::signatures::SignatureCache;
use std::sync::Arc;

/// Bytes of a stream's text that are kept for citations; ten times what a model can say at once.
const CITED: usize = 4 << 20;
/// The same where no tool of Google's own is asked for: something between us and Google may search all the same.
const CITED_UNASKED: usize = 2 << 10;

/// How much of an answer's text is needed again: all of a whole answer, of a stream what citations are ranges of.
pub(super) fn kept_text(stream: bool, request: &Request) -> usize {
    match stream {
        false => usize::MAX,
        true if request.may_be_grounded() => CITED,
        true => CITED_UNASKED,
    }
}

/// How JSON was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    /// It was not.
    No,
    /// Google makes sure of it.
    Enforced,
    /// By a sentence in the system instruction only: the model may put fences around it.
    Asked,
}

/// How speech is given to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AudioFormat {
    /// With a WAV header.
    Wav,
    /// Bare samples, as Google sends them: 24 kHz, 16 bit, mono.
    Pcm16,
}

/// The parts of a request that shape its answer.
pub(super) struct Reply {
    /// The client's name of the model.
    pub model: String,
    /// Unix seconds, one value for all chunks.
    pub created: u64,
    /// Chunks are wanted.
    pub stream: bool,
    /// A usage chunk is wanted.
    pub include_usage: bool,
    /// The declared tools.
    pub names: Names,
    /// Answers have `function_call`, not `tool_calls`.
    pub legacy: bool,
    /// Only the first call is given to the client.
    pub single_call: bool,
    /// Thoughts stand in the content between tags of this name.
    pub marker: Option<String>,
    /// Stop sequences that Google was not given.
    pub stops: Vec<String>,
    /// Whether and how JSON was asked for.
    pub json: Json,
    /// Bytes of the answer's text that are kept after it was given out ([`kept_text`]).
    pub kept_text: usize,
    /// Token probabilities are wanted.
    pub logprobs: bool,
    /// Set for speech models.
    pub audio: Option<AudioFormat>,
    /// The client asked for a service tier and gets to hear one.
    pub tier: bool,
    /// Where signatures of calls are kept.
    pub signatures: Arc<SignatureCache>,
    /// Whose they are.
    pub key_name: String,
    /// The family of models they are good for.
    pub family: String,
}
