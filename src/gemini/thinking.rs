//! From what a client asks about thinking to a `thinkingConfig` the model accepts (thinking_and_signatures.md 1, 2, 7).

use super::models::Model;
use super::request::ThinkingConfig;

/// How a model's thinking is controlled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// No thinkingConfig at all.
    None,
    /// `thinkingBudget`, Gemini 2.5.
    Budget {
        /// Smallest budget other than 0 and -1.
        min: i64,
        /// Largest budget.
        max: i64,
        /// Whether 0 (off) is accepted.
        can_be_off: bool,
    },
    /// `thinkingLevel`, Gemini 3; the levels the model has, lowest first.
    Levels(Vec<Level>),
    /// Not known: nothing is sent unless asked.
    Unknown,
}

/// Google's thinking levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// MINIMAL
    Minimal,
    /// LOW
    Low,
    /// MEDIUM
    Medium,
    /// HIGH
    High,
    /// XHIGH
    XHigh,
}

/// OpenAI's efforts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// none
    None,
    /// minimal
    Minimal,
    /// low
    Low,
    /// medium
    Medium,
    /// high
    High,
    /// xhigh
    XHigh,
    /// max
    Max,
    /// auto
    Auto,
}

impl Effort {
    /// Reads the wire word, any case.
    pub fn parse(_word: &str) -> Option<Effort> {
        todo!()
    }
}

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// An effort word, from `reasoning_effort` or a suffix.
    Effort(Effort),
    /// Tokens; 0 is off, -1 is dynamic.
    Budget(i64),
    /// A level by name.
    Level(Level),
    /// `-nothinking`: as little as the model can, thoughts hidden.
    Off,
    /// `-maxthinking`: as much as the model can.
    Max,
}

/// The thinkingConfig for `model`: `ask` clamped to what it accepts, lowered when `max_output_tokens` is small
/// (openai_chat.md 1.10). `include_thoughts`: the client's own word, if any; otherwise true unless thinking is off.
/// `None`: send no thinkingConfig.
pub fn plan(
    _model: &Model,
    _ask: Option<Ask>,
    _include_thoughts: Option<bool>,
    _max_output_tokens: Option<u64>,
) -> Option<ThinkingConfig> {
    todo!()
}
