//! `models`: more names for models, and how their thinking is controlled.

use super::keys::Draft;
use super::value::{ConfigError, Field};
use serde_json::{Value, json};
use std::borrow::Cow;

/// An entry of `models`: a model that the built-in table does not have, or another name for one.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelEntry {
    /// The name clients may use.
    pub name: String,
    /// Another name of this known model; may carry suffixes.
    pub alias_of: Option<String>,
    /// The control for a model the table does not know.
    pub thinking: Option<Control>,
}

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
    Levels(Cow<'static, [Level]>),
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

impl Level {
    /// Reads the wire word, any case.
    pub fn parse(word: &str) -> Option<Level> {
        [Level::Minimal, Level::Low, Level::Medium, Level::High, Level::XHigh]
            .into_iter()
            .find(|level| level.word().eq_ignore_ascii_case(word))
    }

    /// The wire word.
    pub fn word(self) -> &'static str {
        match self {
            Level::Minimal => "MINIMAL",
            Level::Low => "LOW",
            Level::Medium => "MEDIUM",
            Level::High => "HIGH",
            Level::XHigh => "XHIGH",
        }
    }
}

pub(super) fn models(draft: &mut Draft, field: &Field) -> Result<(), ConfigError> {
    let value = field.value();
    if !value.is_array() {
        return Err(field.wrong("a list", &value));
    }
    for mut item in field.items() {
        if let Some(Value::String(name)) = item.given {
            item.given = Some(json!({"name": name}));
        }
        let mut object = item.object()?;
        let Some(name) = object.take("name").filled()? else {
            return Err(ConfigError(format!("{}.name: expected a model name", item.name)));
        };
        let (alias_of, thinking) = (object.take("alias_of").text()?, object.take("thinking"));
        let thinking = match thinking.value() {
            Value::Null => None,
            value => Some(control(&value).ok_or_else(|| thinking.wrong(THINKING, &value))?),
        };
        draft.config.models.push(ModelEntry { name, alias_of, thinking });
        draft.unknown.extend(object.unknown());
    }
    Ok(())
}

/// Patterns of names, `*` standing for anything, and the model that serves them, or several in the order in which they
/// are asked; the first pattern that fits counts.
pub(super) fn model_routes(draft: &mut Draft, field: &Field) -> Result<(), ConfigError> {
    let value = field.value();
    let Value::Object(routes) = &value else { return Err(field.wrong("an object", &value)) };
    draft.config.model_routes.clear();
    for (pattern, model) in routes {
        let given = model.as_array().map_or_else(|| vec![model], |list| list.iter().collect());
        let name = |model: &Value| Some(model.as_str()?.trim().to_owned()).filter(|model| !model.is_empty());
        let models = given.into_iter().map(name).collect::<Option<Vec<_>>>().filter(|models| !models.is_empty());
        let Some(models) = models else {
            return Err(ConfigError(format!(
                "{}.{pattern}: expected the name of a model or a list of them",
                field.name
            )));
        };
        draft.config.model_routes.push((pattern.clone(), models));
    }
    Ok(())
}

const THINKING: &str = "\"none\", \"budget\", \"level\", {\"min\",\"max\",\"can_be_off\"} or a list of levels";

fn control(value: &Value) -> Option<Control> {
    match value {
        Value::String(word) => match word.as_str() {
            "none" => Some(Control::None),
            "budget" => Some(Control::Budget { min: 128, max: 24_576, can_be_off: false }),
            "level" => Some(Control::Levels(Cow::Borrowed(&[Level::Low, Level::High]))),
            _ => None,
        },
        Value::Object(map) => {
            let number = |key: &str, default| map.get(key).map_or(Some(default), Value::as_i64);
            let can_be_off = map.get("can_be_off").and_then(Value::as_bool).unwrap_or(false);
            let (min, max) = (number("min", 128)?, number("max", 24_576)?);
            (min <= max).then_some(Control::Budget { min, max, can_be_off })
        }
        Value::Array(words) => {
            let mut levels = words.iter().map(|word| Level::parse(word.as_str()?)).collect::<Option<Vec<_>>>()?;
            levels.sort_unstable();
            levels.dedup();
            (!levels.is_empty()).then_some(Control::Levels(levels.into()))
        }
        _ => None,
    }
}
