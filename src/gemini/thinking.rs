//! From what a client asks about thinking to a `thinkingConfig` the model accepts (thinking_and_signatures.md 1, 2, 7).
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
/// Answers this short get the lowest level: more would be thought away before the first word. Levels are no budgets that
/// could be halved, so longer answers keep theirs, or every client with a limit of 4096 would lose the model's quality.
const SHORT_ANSWER_BY_LEVEL: i64 = 1024;

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
    pub fn parse(word: &str) -> Option<Effort> {
        const WORDS: [(&str, Effort); 8] = [
            ("none", Effort::None),
            ("minimal", Effort::Minimal),
            ("low", Effort::Low),
            ("medium", Effort::Medium),
            ("high", Effort::High),
            ("xhigh", Effort::XHigh),
            ("max", Effort::Max),
            ("auto", Effort::Auto),
        ];
        WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, effort)| *effort)
    }
}

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// An effort word, from `reasoning_effort` or a suffix.
    Effort(Effort),
    /// Tokens; 0 is off, -1 is dynamic. Less is the client's mistake, to be refused before; here it is read as dynamic.
    Budget(i64),
    /// A level by name.
    Level(Level),
    /// `-nothinking`: as little as the model can, thoughts hidden.
    Off,
    /// `-maxthinking`: as much as the model can.
    Max,
}

/// An [`Ask`] in one scale for both kinds of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amount {
    /// As little as the model can.
    Off,
    /// As the model sees fit.
    Dynamic,
    Tokens(i64),
    Level(Level),
    /// As much as the model can.
    Max,
}

impl From<Ask> for Amount {
    fn from(ask: Ask) -> Amount {
        match ask {
            Ask::Off | Ask::Effort(Effort::None) | Ask::Budget(0) => Amount::Off,
            Ask::Effort(Effort::Auto) | Ask::Budget(..0) => Amount::Dynamic,
            Ask::Budget(tokens) => Amount::Tokens(tokens),
            Ask::Level(level) => Amount::Level(level),
            Ask::Effort(Effort::Minimal) => Amount::Level(Level::Minimal),
            Ask::Effort(Effort::Low) => Amount::Level(Level::Low),
            Ask::Effort(Effort::Medium) => Amount::Level(Level::Medium),
            Ask::Effort(Effort::High) => Amount::Level(Level::High),
            Ask::Effort(Effort::XHigh) => Amount::Level(Level::XHigh),
            Ask::Max | Ask::Effort(Effort::Max) => Amount::Max,
        }
    }
}

/// The thinkingConfig for `model`: `ask` clamped to what it accepts, lowered when `max_output_tokens` is small
/// (openai_chat.md 1.10). `include_thoughts`: the client's own word, if any; otherwise true unless thinking is off.
/// `None`: send no thinkingConfig.
///
/// Thinking counts against `max_output_tokens`, so a budget that could use all of it becomes half of it, and short answers
/// turn thinking off or to the lowest level, whether thinking was asked for or not: an empty answer serves nobody.
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
            let asked = ask.and_then(|ask| nearest(levels, ask.into()));
            let short = limit.is_some_and(|limit| limit <= SHORT_ANSWER_BY_LEVEL);
            let level = if short { levels.first().copied() } else { asked };
            ThinkingConfig { thinking_level: level.map(|level| level.word().into()), ..ThinkingConfig::default() }
        }
    };
    config.include_thoughts = match ask {
        // Google refuses to include the thoughts of a model that is told not to think.
        _ if config.thinking_budget == Some(0) => Some(false),
        Some(Ask::Off) => Some(false),
        Some(ask) => Some(include_thoughts.unwrap_or(Amount::from(ask) != Amount::Off)),
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
    /// 0, -1 or a budget in the range.
    fn budget(&self, ask: Ask) -> i64 {
        match Amount::from(ask) {
            Amount::Off => self.lowest(),
            Amount::Dynamic => -1,
            Amount::Tokens(tokens) => self.clamp(tokens),
            Amount::Level(_) => self.clamp(tokens(ask, self.max)),
            Amount::Max => self.max,
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

/// The budget of an effort or a level by Google's table, in which the effort `minimal` is as much as `low` and more than
/// the level MINIMAL; `max` for what the table does not bound.
fn tokens(ask: Ask, max: i64) -> i64 {
    match ask {
        Ask::Level(Level::Minimal) => 512,
        Ask::Effort(Effort::Minimal | Effort::Low) | Ask::Level(Level::Low) => 1024,
        Ask::Effort(Effort::Medium) | Ask::Level(Level::Medium) => 8192,
        Ask::Effort(Effort::High) | Ask::Level(Level::High) => 24_576,
        _ => max,
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

/// The model's level nearest to an amount, the higher one of two: who asks for quality should not get less. `None`: the
/// model's default.
fn nearest(levels: &[Level], amount: Amount) -> Option<Level> {
    let wanted = match amount {
        Amount::Off => return levels.first().copied(),
        Amount::Max => return levels.last().copied(),
        Amount::Dynamic => return None,
        Amount::Level(level) => level,
        Amount::Tokens(..=512) => Level::Minimal,
        Amount::Tokens(..=1024) => Level::Low,
        Amount::Tokens(..=8192) => Level::Medium,
        Amount::Tokens(..=24_576) => Level::High,
        Amount::Tokens(_) => Level::XHigh,
    };
    levels.iter().copied().rev().min_by_key(|level| (*level as i8 - wanted as i8).abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemini::models::ModelTable;
    use Ask::{Budget, Max, Off};
    use serde_json::json;

    fn planned(model: &str, ask: Option<Ask>, include: Option<bool>, limit: Option<u64>) -> String {
        let model = ModelTable::new(&[]).resolve(model).unwrap().model;
        let config = plan(&model, ask, include, limit);
        if let Some(config) = &config {
            assert!(config.thinking_budget.is_none() || config.thinking_level.is_none());
        }
        config.map_or("nothing".into(), |config| {
            let amount = config.thinking_level.or(config.thinking_budget.map(|budget| budget.to_string()));
            let shown = match config.include_thoughts {
                Some(true) => "shown",
                Some(false) => "hidden",
                None => "unsaid",
            };
            format!("{} {shown}", amount.unwrap_or("default".into()))
        })
    }

    fn effort(word: &str) -> Option<Ask> {
        Some(Ask::Effort(Effort::parse(word).unwrap()))
    }

    #[test]
    fn efforts_become_what_each_model_accepts() {
        let columns = [
            "2.5-flash",
            "2.5-pro",
            "2.5-flash-lite",
            "3-pro-preview",
            "3.1-pro-preview",
            "3-flash-preview",
            "3.7-flash",
        ];
        for (word, expected) in [
            (
                "none",
                ["0 hidden", "128 hidden", "0 hidden", "LOW hidden", "LOW hidden", "MINIMAL hidden", "LOW hidden"],
            ),
            (
                "minimal",
                ["1024 shown", "1024 shown", "1024 shown", "LOW shown", "LOW shown", "MINIMAL shown", "LOW shown"],
            ),
            ("low", ["1024 shown", "1024 shown", "1024 shown", "LOW shown", "LOW shown", "LOW shown", "LOW shown"]),
            (
                "medium",
                [
                    "8192 shown",
                    "8192 shown",
                    "8192 shown",
                    "HIGH shown",
                    "MEDIUM shown",
                    "MEDIUM shown",
                    "MEDIUM shown",
                ],
            ),
            (
                "high",
                ["24576 shown", "24576 shown", "24576 shown", "HIGH shown", "HIGH shown", "HIGH shown", "HIGH shown"],
            ),
            (
                "XHigh",
                ["24576 shown", "32768 shown", "24576 shown", "HIGH shown", "HIGH shown", "HIGH shown", "HIGH shown"],
            ),
            (
                "max",
                ["24576 shown", "32768 shown", "24576 shown", "HIGH shown", "HIGH shown", "HIGH shown", "HIGH shown"],
            ),
            (
                "auto",
                [
                    "-1 shown",
                    "-1 shown",
                    "-1 shown",
                    "default shown",
                    "default shown",
                    "default shown",
                    "default shown",
                ],
            ),
        ] {
            for (column, expected) in columns.iter().zip(expected) {
                assert_eq!(
                    planned(&format!("gemini-{column}"), effort(word), None, None),
                    expected,
                    "{word} on {column}"
                );
            }
        }
    }

    #[test]
    fn budgets_levels_and_suffixes_become_what_each_model_accepts() {
        for (model, ask, expected) in [
            ("gemini-2.5-flash", Budget(2000), "2000 shown"),
            ("gemini-2.5-flash", Budget(128), "128 shown"),
            ("gemini-2.5-flash", Budget(99_999), "24576 shown"),
            ("gemini-2.5-flash", Budget(0), "0 hidden"),
            ("gemini-2.5-flash", Budget(-1), "-1 shown"),
            ("gemini-2.5-flash", Off, "0 hidden"),
            ("gemini-2.5-flash", Max, "24576 shown"),
            ("gemini-2.5-pro", Budget(1), "128 shown"),
            ("gemini-2.5-pro", Budget(0), "128 hidden"),
            ("gemini-2.5-pro", Off, "128 hidden"),
            ("gemini-2.5-pro", Max, "32768 shown"),
            ("gemini-2.5-flash-lite", Budget(300), "512 shown"),
            ("gemini-2.5-pro", Ask::Level(Level::Minimal), "512 shown"),
            ("gemini-2.5-pro", Ask::Level(Level::High), "24576 shown"),
            ("gemini-2.5-pro", Ask::Level(Level::XHigh), "32768 shown"),
            ("gemini-3.1-pro-preview", Budget(800), "LOW shown"),
            ("gemini-3.1-pro-preview", Budget(0), "LOW hidden"),
            ("gemini-3.1-pro-preview", Budget(-1), "default shown"),
            ("gemini-3.1-pro-preview", Budget(8192), "MEDIUM shown"),
            ("gemini-3-flash-preview", Budget(512), "MINIMAL shown"),
            ("gemini-3-flash-preview", Budget(1025), "MEDIUM shown"),
            ("gemini-3-flash-preview", Budget(24_577), "HIGH shown"),
            ("gemini-3-flash-preview", Off, "MINIMAL hidden"),
            ("gemini-3-pro-preview", Off, "LOW hidden"),
            ("gemini-3-pro-preview", Max, "HIGH shown"),
            ("gemini-3-pro-image-preview", Ask::Level(Level::Minimal), "LOW shown"),
            ("gemini-3.1-flash-image-preview", Ask::Level(Level::Medium), "HIGH shown"),
            ("gemini-4-ultra", Ask::Level(Level::Medium), "MEDIUM shown"),
            ("gemini-4-argon", Off, "LOW hidden"),
            ("gemini-4-argon", Ask::Effort(Effort::None), "LOW hidden"),
            ("gemini-4-argon", Ask::Effort(Effort::Minimal), "LOW shown"),
            ("gemini-4-argon", Ask::Effort(Effort::Medium), "MEDIUM shown"),
            ("gemini-4-argon", Ask::Effort(Effort::XHigh), "HIGH shown"),
            ("gemini-4-argon", Max, "HIGH shown"),
            ("gemini-4-carbon", Off, "LOW hidden"),
            ("gemini-4-carbon", Ask::Effort(Effort::None), "LOW hidden"),
            ("gemini-4-carbon", Ask::Effort(Effort::Minimal), "LOW shown"),
            ("gemini-4-carbon", Ask::Effort(Effort::Medium), "MEDIUM shown"),
            ("gemini-4-carbon", Ask::Effort(Effort::XHigh), "HIGH shown"),
            ("gemini-4-carbon", Max, "HIGH shown"),
            ("gemini-4-neon", Off, "LOW hidden"),
            ("gemini-4-neon", Ask::Effort(Effort::None), "LOW hidden"),
            ("gemini-4-neon", Ask::Effort(Effort::Minimal), "LOW shown"),
            ("gemini-4-neon", Ask::Effort(Effort::Medium), "MEDIUM shown"),
            ("gemini-4-neon", Ask::Effort(Effort::XHigh), "HIGH shown"),
            ("gemini-4-neon", Max, "HIGH shown"),
            ("gemini-4-hydrogen", Ask::Effort(Effort::High), "HIGH shown"),
            ("gemini-4-hydrogen", Ask::Effort(Effort::XHigh), "XHIGH shown"),
            ("gemini-4-hydrogen", Max, "XHIGH shown"),
            ("gemini-4-hydrogen-eap", Ask::Effort(Effort::Max), "XHIGH shown"),
            ("gemini-4-hydrogen", Ask::Level(Level::Minimal), "LOW shown"),
            ("gemini-3.8-flash", Ask::Effort(Effort::Minimal), "LOW shown"),
            ("gemini-3.8-flash", Budget(0), "LOW hidden"),
            ("gemini-3.6-flash", Ask::Effort(Effort::Minimal), "MINIMAL shown"),
            ("gemini-aurora", Ask::Effort(Effort::XHigh), "HIGH shown"),
            ("gemini-2.5-flash-image", Max, "nothing"),
            ("gemini-2.0-flash", Budget(100), "nothing"),
            ("gemma-3-27b-it", Off, "nothing"),
            ("gemini-exp-1206", Budget(300), "300 shown"),
            ("gemini-exp-1206", Budget(0), "0 hidden"),
            ("gemini-exp-1206", Off, "512 hidden"),
            ("gemini-exp-1206", Ask::Level(Level::Low), "1024 shown"),
        ] {
            assert_eq!(planned(model, Some(ask), None, None), expected, "{ask:?} on {model}");
        }
    }

    #[test]
    fn thoughts_are_included_unless_thinking_is_off_or_the_client_says_no() {
        for (model, ask, include, expected) in [
            ("gemini-2.5-pro", None, None, "default shown"),
            ("gemini-2.5-pro", None, Some(false), "default hidden"),
            ("gemini-3.5-flash", None, None, "default shown"),
            ("gemini-2.5-flash", effort("none"), Some(true), "0 hidden"),
            ("gemini-2.5-pro", effort("none"), Some(true), "128 shown"),
            ("gemini-2.5-pro", Some(Off), Some(true), "128 hidden"),
            ("gemini-2.5-flash", effort("high"), Some(false), "24576 hidden"),
            ("gemini-2.5-flash-lite", None, None, "nothing"),
            ("gemini-2.5-flash-lite", None, Some(false), "default hidden"),
            ("gemini-2.5-flash-lite", None, Some(true), "-1 shown"),
            ("gemini-exp-1206", None, None, "nothing"),
            ("gemini-exp-1206", None, Some(true), "default shown"),
            ("gemini-2.0-flash", None, Some(true), "nothing"),
        ] {
            assert_eq!(planned(model, ask, include, None), expected, "{ask:?} {include:?} on {model}");
        }
    }

    #[test]
    fn short_answers_get_less_thinking() {
        for (model, ask, limit, expected) in [
            ("gemini-2.5-flash", None, 20, "0 hidden"),
            ("gemini-2.5-flash", None, 256, "0 hidden"),
            ("gemini-2.5-flash", None, 1000, "500 shown"),
            ("gemini-2.5-flash", None, 8193, "default shown"),
            ("gemini-2.5-flash", effort("auto"), 2000, "1000 shown"),
            ("gemini-2.5-flash", effort("high"), 4096, "2048 shown"),
            ("gemini-2.5-flash", effort("low"), 4096, "1024 shown"),
            ("gemini-2.5-flash", Some(Budget(2000)), 2000, "1000 shown"),
            ("gemini-2.5-flash", Some(Budget(2000)), 2001, "2000 shown"),
            ("gemini-2.5-flash", Some(Off), 1, "0 hidden"),
            ("gemini-2.5-flash-lite", None, 20, "nothing"),
            ("gemini-2.5-flash-lite", effort("high"), 600, "0 hidden"),
            ("gemini-2.5-pro", None, 20, "128 shown"),
            ("gemini-2.5-pro", None, 4096, "2048 shown"),
            ("gemini-2.5-pro", effort("none"), 20, "128 hidden"),
            ("gemini-3-flash-preview", None, 20, "MINIMAL shown"),
            ("gemini-3-pro-preview", effort("high"), 20, "LOW shown"),
            ("gemini-3-pro-preview", None, 4096, "default shown"),
            ("gemini-2.5-flash-image", None, 20, "nothing"),
            ("gemini-2.5-flash", Some(Max), u64::MAX, "24576 shown"),
        ] {
            assert_eq!(planned(model, ask, None, Some(limit)), expected, "{ask:?} and {limit} on {model}");
        }
    }

    #[test]
    fn the_config_says_the_level_in_capitals() {
        let model = ModelTable::new(&[]).resolve("gemini-3.5-flash").unwrap().model;
        let config = plan(&model, effort("low"), None, None);
        assert_eq!(serde_json::to_value(config).unwrap(), json!({"includeThoughts": true, "thinkingLevel": "LOW"}));
    }

    #[test]
    fn words_are_read_in_any_case_and_other_words_are_not() {
        assert_eq!(Effort::parse("HIGH"), Some(Effort::High));
        assert_eq!(Effort::parse("extreme"), None);
        assert_eq!(Level::parse("minimal"), Some(Level::Minimal));
        assert_eq!(Level::parse("THINKING_LEVEL_UNSPECIFIED"), None);
    }
}
