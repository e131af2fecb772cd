//! What an answer is made of, in no dialect's terms.

use super::{Finish, Logprob, Reason, Search, Totals};
use crate::gemini::UsageMetadata;

/// Something to give to the client now. Texts are borrowed from Google's event where nothing had to change.
#[derive(Debug)]
pub enum Delta<'a> {
    /// Comes once, before all others.
    Start {
        /// The id of the answer, without a dialect's prefix.
        id: &'a str,
        /// Token counts as far as they are known.
        usage: &'a UsageMetadata,
    },
    /// A piece of a thought summary.
    Thought(&'a str),
    /// A piece of text, with token probabilities if they are wanted.
    Text(&'a str, Vec<Logprob>),
    /// A call of a tool, whole unless the plan says that its arguments may come in pieces.
    Call(ToolCall),
    /// More arguments of the call before.
    Arguments(&'a str),
    /// A picture.
    Image(Image<'a>),
    /// Comes once, after all others, unless the answer failed.
    End(Ending),
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// Unique among all answers.
    pub id: String,
    /// The client's name of the tool.
    pub name: String,
    /// JSON, or the free text of a custom tool.
    pub arguments: String,
    /// The tool takes free text.
    pub custom: bool,
    /// Google's signature, if it has one. It is in the cache already.
    pub signature: Option<String>,
}

/// A picture, in base64.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// The media type.
    pub mime: &'a str,
    /// The bytes.
    pub data: &'a str,
    /// Google's signature, if it has one.
    pub signature: Option<&'a str>,
}

/// What is known when all deltas are out.
#[derive(Debug)]
pub struct Ending {
    /// How the answer finished.
    pub finish: Finish,
    /// Why, in Google's words, where it did not just end.
    pub reason: Option<Reason>,
    /// The stop sequence that was met, where this program looked for it.
    pub stop: Option<String>,
    /// A signature that belongs to the text.
    pub signature: Option<String>,
    /// What Google searched and found, if it did.
    pub search: Search,
    /// Speech in base64, in the format that was asked for.
    pub audio: Option<String>,
    /// Token probabilities that no text came with.
    pub logprobs: Vec<Logprob>,
    /// Token counts.
    pub usage: Totals,
}

/// Where deltas go.
pub type Sink<'a> = dyn FnMut(Delta<'_>) + 'a;
