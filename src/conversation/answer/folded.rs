//! A whole answer, made of the deltas of which a stream is made.

use super::{Delta, Ending, Logprob, ToolCall};
use std::borrow::Cow;

/// Pieces of an answer in their order; neighbours of one kind are joined.
#[derive(Debug, PartialEq, Eq)]
pub enum Block {
    /// A thought summary.
    Thought(String),
    /// Text.
    Text(String),
    /// A call of a tool.
    Call(ToolCall),
    /// A picture.
    Image {
        /// The media type.
        mime: String,
        /// Base64.
        data: String,
        /// Google's signature, if it has one.
        signature: Option<String>,
    },
}

/// All of an answer.
#[derive(Debug, Default)]
pub struct Folded {
    /// The id of the answer, without a dialect's prefix.
    pub id: String,
    /// What was said, in order.
    pub blocks: Vec<Block>,
    /// Token probabilities of the text.
    pub logprobs: Vec<Logprob>,
    /// The ending, in an answer that did not fail.
    pub ending: Option<Ending>,
}

impl Folded {
    /// Takes the next delta.
    pub fn push(&mut self, delta: Delta<'_>) {
        match delta {
            Delta::Start { id, .. } => id.clone_into(&mut self.id),
            Delta::Thought(text) => match self.blocks.last_mut() {
                Some(Block::Thought(thought)) => thought.push_str(text),
                _ => self.blocks.push(Block::Thought(text.to_owned())),
            },
            Delta::Text(text, logprobs) => {
                self.logprobs.extend(logprobs);
                match self.blocks.last_mut() {
                    Some(Block::Text(shown)) => shown.push_str(text),
                    _ => self.blocks.push(Block::Text(text.to_owned())),
                }
            }
            Delta::Call(call) => self.blocks.push(Block::Call(call)),
            Delta::Arguments(text) => {
                if let Some(Block::Call(call)) = self.blocks.last_mut() {
                    call.arguments.push_str(text);
                }
            }
            Delta::Image(image) => self.blocks.push(Block::Image {
                mime: image.mime.to_owned(),
                data: image.data.to_owned(),
                signature: image.signature.map(str::to_owned),
            }),
            Delta::End(mut ending) => {
                self.logprobs.append(&mut ending.logprobs);
                self.ending = Some(ending);
            }
        }
    }

    /// All text in one, for dialects that know but one.
    pub fn text(&self) -> Cow<'_, str> {
        joined(self.blocks.iter().filter_map(|block| match block {
            Block::Text(text) => Some(text.as_str()),
            _ => None,
        }))
    }

    /// All thoughts in one.
    pub fn thoughts(&self) -> Cow<'_, str> {
        joined(self.blocks.iter().filter_map(|block| match block {
            Block::Thought(text) => Some(text.as_str()),
            _ => None,
        }))
    }

    /// The calls.
    pub fn calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Call(call) => Some(call),
            _ => None,
        })
    }
}

/// Nearly always there is but one text, which is not copied.
fn joined<'a>(texts: impl Iterator<Item = &'a str>) -> Cow<'a, str> {
    let mut all = Cow::Borrowed("");
    for text in texts {
        match all.is_empty() {
            true => all = Cow::Borrowed(text),
            false => all.to_mut().push_str(text),
        }
    }
    all
}
