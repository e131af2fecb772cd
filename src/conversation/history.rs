//! A conversation as a client tells it: what a dialect reads and the rules of this folder make into Google's turns.

use crate::gemini::Part;
use serde_json::Value;

/// One entry of the history, in the client's order.
#[derive(Debug)]
pub enum Entry {
    /// What the operator says; the rules decide where it goes.
    System(Vec<Part>),
    /// What the user says.
    User(Vec<Part>),
    /// What the model said.
    Model(ModelTurn),
    /// What a tool answered.
    Result(Outcome),
    /// There is nothing to send, but others are no neighbours because of it.
    Nothing,
}

/// What the model said in one go.
#[derive(Debug, Default)]
pub struct ModelTurn {
    /// Parts, calls and signatures in their order.
    pub said: Vec<Said>,
    /// Signatures of the turn as a whole: the first goes to the first call that has none, the next to the last text.
    pub signatures: Vec<String>,
    /// Ids of calls that had no name and were left out: their results are left out, too.
    pub nameless: Vec<String>,
}

/// One thing the model said.
#[derive(Debug)]
pub enum Said {
    /// Text or media.
    Part(Box<Part>),
    /// A call of a tool.
    Call(Call),
    /// A signature that was carried apart from what it signs, at the place where the carrier stood.
    Signature(super::signatures::Carried),
}

impl From<Part> for Said {
    fn from(part: Part) -> Said {
        Said::Part(Box::new(part))
    }
}

impl Said {
    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Said::Part(part) => part.text.as_deref(),
            _ => None,
        }
    }
}

/// A call of a tool.
#[derive(Debug, Default)]
pub struct Call {
    /// The client's id, without a signature hidden in it.
    pub id: Option<String>,
    /// The client's name of the tool.
    pub name: String,
    /// An object, see [`super::arguments::from_client`].
    pub args: Value,
    /// The signature the client gave back with the call itself.
    pub signature: Option<String>,
    /// What the tool answered; the pairing finds it.
    pub outcome: Option<Outcome>,
}

/// What a tool answered.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The id of the call, without a signature hidden in it.
    pub id: Option<String>,
    /// The client's name of the tool.
    pub name: Option<String>,
    /// All texts of the result.
    pub text: String,
    /// The tool failed, and the text says how.
    pub is_error: bool,
    /// Everything of the result that is not text.
    pub media: Vec<Part>,
}

impl Outcome {
    /// A result of these parts: texts are joined by line feeds.
    pub fn new(id: Option<String>, name: Option<String>, parts: Vec<Part>) -> Outcome {
        let mut texts = Vec::new();
        let mut media = Vec::new();
        for mut part in parts {
            match part.text.take() {
                Some(text) => texts.push(text),
                None => media.push(part),
            }
        }
        let text = if texts.len() == 1 { texts.remove(0) } else { texts.join("\n") };
        Outcome { id, name, text, is_error: false, media }
    }
}

impl ModelTurn {
    /// The calls in their order.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.said.iter().filter_map(|said| match said {
            Said::Call(call) => Some(call),
            _ => None,
        })
    }

    /// The same, to be changed.
    pub fn calls_mut(&mut self) -> impl Iterator<Item = &mut Call> {
        self.said.iter_mut().filter_map(|said| match said {
            Said::Call(call) => Some(call),
            _ => None,
        })
    }

    /// Whether anything but calls was said.
    pub fn has_parts(&self) -> bool {
        self.said.iter().any(|said| matches!(said, Said::Part(_)))
    }
}

/// The model turn that an item of it belongs to, in dialects whose items are no messages: the last entry, or a new one
/// behind anything else.
pub fn open_turn(entries: &mut Vec<Entry>) -> &mut ModelTurn {
    if !matches!(entries.last(), Some(Entry::Model(_))) {
        entries.push(Entry::Model(ModelTurn::default()));
    }
    match entries.last_mut() {
        Some(Entry::Model(turn)) => turn,
        _ => unreachable!("it was put there"),
    }
}
