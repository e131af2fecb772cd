//! The ways of asking for thoughts, which clients send to endpoints of every dialect (docs/thinking.md "How much
//! thinking a client asks for").

use crate::api::params::{
    Field, Object, read_at, take, take_any, take_as, take_object, take_text, too_small, unknown_word, wrong_type,
};
use crate::error::ApiError;
use crate::gemini::thinking::{Ask, Level};
use serde_json::Value;

/// What the client asks about thinking.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Thinking {
    pub ask: Option<Ask>,
    pub include: Option<bool>,
}

/// Takes every way out of the request; the first in the order of docs/thinking.md "How much thinking a client asks for"
/// wins. `google` is the `thinking_config` of Google's extensions, `suffix` comes from the model's name.
pub(crate) fn thinking(
    body: &mut Object,
    mut google: Object,
    suffix: Option<Ask>,
    gemini3: bool,
) -> Result<Thinking, ApiError> {
    let include = take_any(&mut google, &["include_thoughts", "includeThoughts"]).and_then(|value| value.as_bool());
    let level = take_any(&mut google, &["thinking_level", "thinkingLevel"])
        .and_then(|value| Level::parse(value.as_str()?.to_ascii_lowercase().trim_start_matches("thinking_level_")))
        .map(Ask::Level);
    let budget = take_any(&mut google, &["thinking_budget", "thinkingBudget"]).and_then(|value| i64::of(value).ok());
    let budget = checked(budget, "extra_body.google.thinking_config.thinking_budget")?;
    let google = if gemini3 { level.or(budget) } else { budget.or(level) };

    let mut reasoning = spread(take(body, "reasoning"), "effort", "enabled");
    let exclude: Option<bool> = take_as(&mut reasoning, "exclude");
    // OpenRouter's older word, and Groq's.
    let shown = take_as(body, "include_reasoning");
    let is_hidden = take_text(body, "reasoning_format").is_some_and(|format| format == "hidden");
    let mut thinking = spread(take(body, "thinking"), "type", "on");
    let switch = take_as(&mut thinking, "on");
    let anthropic = anthropic(thinking)?.or(switch.map(on_or_off));
    let tokens = checked(take_as(&mut reasoning, "max_tokens"), "reasoning.max_tokens")?;

    let mut output_config = take_object(body, "output_config").unwrap_or_default();
    let mut effort = None;
    for (value, param) in [
        (take(body, "reasoning_effort"), "reasoning_effort"),
        (take(&mut reasoning, "effort"), "reasoning.effort"),
        (take(&mut output_config, "effort"), "output_config.effort"),
        (body.get("think").filter(|think| think.is_string()).cloned(), "think"),
    ] {
        effort = effort.or(read_effort(value, param)?);
    }
    let enabled = take_as(&mut reasoning, "enabled").map(on_or_off);

    let loose_budget = take_as(body, "thinking_budget").filter(|tokens| *tokens >= -1).map(Ask::Budget);
    // Of vLLM's templates, and of Ollama.
    let mut template = take_object(body, "chat_template_kwargs").unwrap_or_default();
    let switch = take_as(body, "enable_thinking")
        .or_else(|| ["enable_thinking", "thinking"].iter().find_map(|name| take_as(&mut template, name)))
        .or_else(|| take_as(body, "think"));
    let loose = match switch.map(on_or_off) {
        Some(Ask::Off) => Some(Ask::Off),
        on => loose_budget.or(on),
    };
    // `adaptive` lets the effort say how much.
    let adaptive = anthropic == Some(on_or_off(true));
    let explicit = anthropic.filter(|_| !(adaptive && effort.is_some())).or(tokens);
    Ok(Thinking {
        ask: suffix.or(google).or(explicit).or(effort).or(enabled).or(loose),
        include: include.or(exclude.map(|exclude| !exclude)).or(shown).or(is_hidden.then_some(false)),
    })
}

/// An object, or one with what stands in its place: a word, or a switch.
fn spread(value: Option<Value>, word: &str, switch: &str) -> Object {
    let name = match value {
        Some(Value::Object(fields)) => return fields,
        Some(Value::String(_)) => word,
        Some(Value::Bool(_)) => switch,
        _ => return Object::new(),
    };
    Object::from_iter(value.map(|value| (name.to_owned(), value)))
}

fn on_or_off(on: bool) -> Ask {
    if on { Ask::Auto } else { Ask::Off }
}

fn anthropic(mut thinking: Object) -> Result<Option<Ask>, ApiError> {
    let budget = read_at(&mut thinking, "thinking", "budget_tokens")?;
    Ok(match take_text(&mut thinking, "type").as_deref() {
        Some("disabled") => Some(Ask::Off),
        Some("enabled" | "between_tools") => checked(budget, "thinking.budget_tokens")?.or(Some(on_or_off(true))),
        Some("adaptive" | "auto") => Some(on_or_off(true)),
        _ => checked(budget, "thinking.budget_tokens")?,
    })
}

fn checked(tokens: Option<i64>, param: &str) -> Result<Option<Ask>, ApiError> {
    match tokens {
        Some(..-1) => Err(too_small(param, -1)),
        tokens => Ok(tokens.map(Ask::Budget)),
    }
}

fn read_effort(value: Option<Value>, param: &str) -> Result<Option<Ask>, ApiError> {
    let word = match value {
        None => return Ok(None),
        Some(Value::String(word)) => word,
        Some(other) if i64::of(other.clone()) == Ok(-1) => return Ok(Some(on_or_off(true))),
        Some(other) => return Err(wrong_type(param, String::WANTED, &other)),
    };
    let known = "'none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max' and 'auto'";
    Ask::effort(&word).map(Some).ok_or_else(|| unknown_word(param, &word, known))
}
