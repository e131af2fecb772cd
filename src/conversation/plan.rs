//! What must be remembered of a request to read its answer, whatever the dialect.

use super::format::Json;
use super::names::Names;
use super::signatures::Signatures;
use crate::gemini::Request;

/// Bytes of an answer's text that are kept for citations; ten times what a model can say at once.
const CITED: usize = 4 << 20;
/// The same for a stream where no tool of Google's own is asked for: something between us and Google may search all the same.
const CITED_UNASKED: usize = 2 << 10;

/// How speech is given to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioFormat {
    /// With a WAV header.
    Wav,
    /// Bare samples, as Google sends them: 24 kHz, 16 bit, mono.
    Pcm16,
    /// An MP3 file.
    #[cfg(feature = "media")]
    Mp3,
}

/// The parts of a request that shape its answer.
pub struct Plan {
    /// The declared tools.
    pub names: Names,
    /// Begins the ids of calls to which Google gives none.
    pub call_prefix: &'static str,
    /// Only the first call is given to the client.
    pub single_call: bool,
    /// Thoughts stand in the text between tags of this name.
    pub marker: Option<String>,
    /// Stop sequences that Google was not given.
    pub stops: Vec<String>,
    /// Whether and how JSON was asked for.
    pub json: Json,
    /// Bytes of the answer's text that are kept after it was given out, since citations are ranges of it.
    pub kept_text: usize,
    /// The client takes arguments of calls in pieces, as far as they come so.
    pub streams_arguments: bool,
    /// Token probabilities are wanted.
    pub logprobs: bool,
    /// Set for speech models.
    pub audio: Option<AudioFormat>,
    /// Where signatures of calls are kept.
    pub signatures: Signatures,
    /// What the user said last, where what Google's own tools do is remembered.
    pub question: String,
    /// What of the request could not be done, in sentences for the client.
    pub notices: Vec<String>,
}

impl Plan {
    /// For a request that asks for nothing its answer must obey.
    pub fn new(signatures: Signatures) -> Plan {
        Plan {
            names: Names::default(),
            call_prefix: "call_",
            single_call: false,
            streams_arguments: false,
            marker: None,
            stops: Vec::new(),
            json: Json::No,
            kept_text: CITED,
            logprobs: false,
            audio: None,
            signatures,
            question: String::new(),
            notices: Vec::new(),
        }
    }

    /// Whether arguments go out in pieces. Only Vertex AI sends them so.
    pub fn gives_pieces(&self) -> bool {
        cfg!(feature = "vertex") && self.streams_arguments
    }

    /// Decides how much of the text is kept.
    pub fn keep(&mut self, stream: bool, request: &Request) {
        self.kept_text = if !stream || request.may_be_grounded() { CITED } else { CITED_UNASKED };
    }
}
