//! From what a client asks about thinking to a `thinkingConfig` the model accepts (docs/thinking.md "How much thinking
//! a client asks for").
//!
//! Knows what models accept, not in which field of which dialect a client asked.

use super::models::Model;
use super::request::ThinkingConfig;
pub use crate::config::{Control, Level};

/// Tokens a model is taken to think about when the budget is its own choice: the bound Google's documentation gives for
/// dynamic thinking of Gemini 2.5.
const DYNAMIC_BUDGET: i64 = 8192;
/// Answers this short get no thinking at all where it can be turned off.
const SHORT_ANSWER: i64 = 256;
/// Answers this short get the lowest level: more would be thought away before the first word. Levels are no budgets
/// that could be halved, so longer answers keep theirs, or every client with a limit of 4096 would lose the model's
/// quality.
const SHORT_ANSWER_BY_LEVEL: i64 = 1024;

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// `-nothinking`: as little as the model can, thoughts hidden.
    Off,
    /// The effort `none`: as little as the model can.
    None,
    /// As the model sees fit.
    Auto,
    /// An effort that is called like a level, from `reasoning_effort` or a suffix.
    Effort(Level),
    /// Tokens; 0 is off, -1 is dynamic. Less is the client's mistake, to be refused before; here it is read as dynamic.
    Budget(i64),
    /// A level by name.
    Level(Level),
    /// As much as the model can.
    Max,
}

impl Ask {
    /// Reads one of OpenAI's efforts, in any case.
    pub fn effort(word: &str) -> Option<Ask> {
        match word.to_ascii_lowercase().as_str() {
            "none" => Some(Ask::None),
            "auto" => Some(Ask::Auto),
            "max" => Some(Ask::Max),
            _ => Level::parse(word).map(Ask::Effort),
        }
    }
}

/// The thinkingConfig for `model`: `ask` clamped to what it accepts, lowered when `max_output_tokens` is small
/// (docs/openai-chat.md "Small token limits and thinking"). `include_thoughts`: the client's own word, if any;
/// otherwise true unless thinking is off. `None`: send no thinkingConfig.
///
/// Thinking counts against `max_output_tokens`, so a budget that could use all of it becomes half of it, and short
/// answers turn thinking off or to the lowest level, whether thinking was asked for or not: an empty answer serves
/// nobody.
pub fn plan(
    model: &Model,
    ask: Option<Ask>,
    include_thoughts: Option<bool>,
    max_output_tokens: Option<u64>,
) -> Option<ThinkingConfig> {
    let limit = max_output_tokens.map(|tokens| i64::try_from(tokens).unwrap_or(i64::MAX));
    let mut config = match &model.thinking {
        Control::None => return None,
        Control::Unknown => ThinkingConfig { thinking_budget: ask.map(unknown_budget), ..ThinkingConfig::default() },
        Control::Budget { min, max, can_be_off } => {
            let range = Range { min: *min, max: *max, can_be_off: *can_be_off };
            // A model that does not think by itself must be told to when its thoughts are wanted.
            let dynamic = ask.is_none() && !model.thinks_unasked && include_thoughts == Some(true);
            let asked = if dynamic { Some(-1) } else { ask.map(|ask| range.budget(ask)) };
            let thinks = asked.is_some() || model.thinks_unasked;
            let budget = if thinks { range.within(asked, limit) } else { None };
            ThinkingConfig { thinking_budget: budget, ..ThinkingConfig::default() }
        }
        Control::Levels(levels) => {
            let asked = ask.and_then(|ask| nearest(levels, ask));
            let short = limit.is_some_and(|limit| limit <= SHORT_ANSWER_BY_LEVEL);
            let level = if short { levels.first().copied() } else { asked };
            ThinkingConfig { thinking_level: level.map(|level| level.word().into()), ..ThinkingConfig::default() }
        }
    };
    config.include_thoughts = match ask {
        // Google refuses to include the thoughts of a model that is told not to think.
        _ if config.thinking_budget == Some(0) => Some(false),
        Some(Ask::Off) => Some(false),
        Some(ask) => Some(include_thoughts.unwrap_or(!matches!(ask, Ask::None | Ask::Budget(0)))),
        None if model.thinks_unasked && model.thinking != Control::Unknown => Some(include_thoughts.unwrap_or(true)),
        None => include_thoughts,
    };
    (config != ThinkingConfig::default()).then_some(config)
}

/// What a model on budgets accepts.
struct Range {
    min: i64,
    max: i64,
    can_be_off: bool,
}

impl Range {
    /// 0, -1 or a budget in the range. Efforts and levels are those of Google's table, in which the effort `minimal` is as
    /// much as `low` and more than the level MINIMAL.
    fn budget(&self, ask: Ask) -> i64 {
        match ask {
            Ask::Off | Ask::None | Ask::Budget(0) => self.lowest(),
            Ask::Auto | Ask::Budget(..0) => -1,
            Ask::Budget(tokens) => self.clamp(tokens),
            Ask::Level(Level::Minimal) => self.clamp(512),
            Ask::Effort(Level::Minimal | Level::Low) | Ask::Level(Level::Low) => self.clamp(1024),
            Ask::Effort(Level::Medium) | Ask::Level(Level::Medium) => self.clamp(8192),
            Ask::Effort(Level::High) | Ask::Level(Level::High) => self.clamp(24_576),
            Ask::Effort(Level::XHigh) | Ask::Level(Level::XHigh) | Ask::Max => self.max,
        }
    }

    /// Lowers a budget, or the model's own choice when `asked` is `None`, so that an answer of `limit` tokens has room.
    fn within(&self, asked: Option<i64>, limit: Option<i64>) -> Option<i64> {
        let expected = match asked {
            Some(budget) if budget >= 0 => budget,
            _ => DYNAMIC_BUDGET,
        };
        match limit {
            Some(limit) if limit <= expected => Some(self.half_of(limit)),
            _ => asked,
        }
    }

    fn half_of(&self, limit: i64) -> i64 {
        let half = limit / 2;
        if limit <= SHORT_ANSWER || half < self.min { self.lowest() } else { self.clamp(half) }
    }

    fn lowest(&self) -> i64 {
        if self.can_be_off { 0 } else { self.min }
    }

    fn clamp(&self, tokens: i64) -> i64 {
        tokens.min(self.max).max(self.min)
    }
}

/// A budget for a model nothing is known of: Gemini 2.5 and 3 both take budgets, 2.5 takes no levels. 24576 and, for
/// off, 512 are in the range of every model that has one.
fn unknown_budget(ask: Ask) -> i64 {
    match ask {
        Ask::Budget(tokens) => tokens.max(-1),
        _ => Range { min: 512, max: 24_576, can_be_off: false }.budget(ask),
    }
}

/// The model's level nearest to what is asked, the higher one of two: who asks for quality should not get less. `None`: the
/// model's default.
fn nearest(levels: &[Level], ask: Ask) -> Option<Level> {
    let wanted = match ask {
        Ask::Off | Ask::None | Ask::Budget(0) => return levels.first().copied(),
        Ask::Max => return levels.last().copied(),
        Ask::Auto | Ask::Budget(..0) => return None,
        Ask::Effort(level) | Ask::Level(level) => level,
        Ask::Budget(..=512) => Level::Minimal,
        Ask::Budget(..=1024) => Level::Low,
        Ask::Budget(..=8192) => Level::Medium,
        Ask::Budget(..=24_576) => Level::High,
        Ask::Budget(_) => Level::XHigh,
    };
    levels.iter().copied().rev().min_by_key(|level| (*level as i8 - wanted as i8).abs())
}
