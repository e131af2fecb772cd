//! The fields of a completion request in Google's terms.

use crate::api::openai::field;
use crate::error::ApiError;
use crate::gemini::models::Resolved;
use crate::gemini::{Content, GenerationConfig, Part, Request, Tool, thinking};
use serde_json::{Map, Value, json};

/// Google takes five; OpenAI four.
const MAX_STOPS: usize = 5;

/// What a request asks.
pub struct Asked {
    pub request: Request,
    pub streams: bool,
    pub with_usage: bool,
    /// The prompt, when the answer shall begin with it.
    pub echo: Option<String>,
}

/// Reads everything but the model.
pub fn read(fields: &Map<String, Value>, resolved: &Resolved) -> Result<Asked, ApiError> {
    refuse_unsupported(fields)?;
    let prompt = prompt(fields)?;
    let mut config = GenerationConfig::default();
    let max_tokens = integer(fields, "max_tokens")?;
    if let Some(limit) = max_tokens {
        if limit < 1 {
            return Err(ApiError::invalid("max_tokens", "invalid_value", "max_tokens must be at least 1"));
        }
        config.other.insert("maxOutputTokens".into(), limit.min(resolved.model.output_token_limit as i64).into());
    }
    if let Some(temperature) = number(fields, "temperature")? {
        config
            .other
            .insert("temperature".into(), as_sent(fields, "temperature", temperature, temperature.clamp(0.0, 2.0)));
    }
    if let Some(top_p) = number(fields, "top_p")?.filter(|top_p| *top_p > 0.0) {
        config.other.insert("topP".into(), as_sent(fields, "top_p", top_p, top_p.min(1.0)));
    }
    if let Some(seed) = integer(fields, "seed")? {
        // Google's is 32 bits wide.
        config.other.insert("seed".into(), (seed & 0x7fff_ffff).into());
    }
    for (name, google) in [("presence_penalty", "presencePenalty"), ("frequency_penalty", "frequencyPenalty")] {
        // Models that refuse penalties answer better without them than not at all.
        let penalty = number(fields, name)?.filter(|penalty| *penalty != 0.0 && resolved.model.takes_penalties());
        if let Some(penalty) = penalty {
            config.other.insert(google.into(), as_sent(fields, name, penalty, penalty.clamp(-2.0, 1.99)));
        }
    }
    let stops = stops(fields)?;
    if !stops.is_empty() {
        config.other.insert("stopSequences".into(), stops.into());
    }
    // There is no field that thoughts could be shown in.
    config.thinking_config =
        thinking::plan(&resolved.model, resolved.thinking, Some(false), max_tokens.map(i64::unsigned_abs));
    let content = Content { role: Some("user".into()), parts: vec![Part::text(prompt.clone())], other: Map::new() };
    let search = Tool { google_search: Some(json!({})), ..Tool::default() };
    let request = Request {
        contents: vec![content],
        tools: if resolved.search { vec![search] } else { Vec::new() },
        generation_config: (config != GenerationConfig::default()).then_some(config),
        ..Request::default()
    };
    let options = field(fields, "stream_options").and_then(Value::as_object);
    let include_usage = options.and_then(|options| options.get("include_usage")).and_then(Value::as_bool);
    Ok(Asked {
        request,
        streams: boolean(fields, "stream")?,
        with_usage: include_usage.unwrap_or(false),
        echo: boolean(fields, "echo")?.then_some(prompt),
    })
}

/// Several choices and insertion cannot be served, and ignoring them would give an editor wrong text.
fn refuse_unsupported(fields: &Map<String, Value>) -> Result<(), ApiError> {
    for name in ["n", "best_of"] {
        match integer(fields, name)? {
            None | Some(1) => {}
            Some(count) if count < 1 => {
                return Err(ApiError::invalid(name, "invalid_value", format!("{name} must be at least 1")));
            }
            Some(_) => {
                return Err(ApiError::invalid(name, "unsupported_value", format!("only {name} = 1 is supported")));
            }
        }
    }
    match field(fields, "suffix") {
        None => Ok(()),
        Some(Value::String(suffix)) if suffix.is_empty() => Ok(()),
        Some(_) => Err(ApiError::invalid("suffix", "unsupported_value", "inserting before a suffix is not supported")),
    }
}

fn prompt(fields: &Map<String, Value>) -> Result<String, ApiError> {
    let invalid = |code, message: &str| Err(ApiError::invalid("prompt", code, message));
    let prompt = match field(fields, "prompt") {
        None => return invalid("missing_required_parameter", "you must provide a prompt"),
        Some(Value::Array(items)) => match items.as_slice() {
            [] => return invalid("empty_array", "prompt must not be empty"),
            [Value::Number(_), ..] | [Value::Array(_), ..] => {
                return invalid("unsupported_value", "prompt must be text: tokens of another model cannot be decoded");
            }
            [only] => only,
            _ => return invalid("unsupported_value", "only one prompt in a request is supported"),
        },
        Some(prompt) => prompt,
    };
    match prompt {
        // Google refuses an empty turn.
        Value::String(text) if text.is_empty() => Ok(" ".into()),
        Value::String(text) => Ok(text.clone()),
        _ => invalid("invalid_type", "prompt must be a string or a list of one string"),
    }
}

fn stops(fields: &Map<String, Value>) -> Result<Vec<String>, ApiError> {
    let listed = match field(fields, "stop") {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(Value::as_str).collect(),
        Some(one) => Some(one.as_str()).into_iter().collect::<Vec<_>>(),
    };
    let mut stops = Vec::new();
    for stop in listed {
        match stop {
            Some("") => {}
            Some(stop) => stops.push(stop.to_owned()),
            None => {
                return Err(ApiError::invalid("stop", "invalid_type", "stop must be a string or a list of strings"));
            }
        }
    }
    stops.truncate(MAX_STOPS);
    Ok(stops)
}

/// The number as the client wrote it where nothing had to change: 1 stays 1.
fn as_sent(fields: &Map<String, Value>, name: &str, sent: f64, wanted: f64) -> Value {
    if sent == wanted { fields[name].clone() } else { wanted.into() }
}

fn number(fields: &Map<String, Value>, name: &'static str) -> Result<Option<f64>, ApiError> {
    let wrong = || ApiError::invalid(name, "invalid_type", format!("{name} must be a number"));
    field(fields, name).map(|value| value.as_f64().ok_or_else(wrong)).transpose()
}

/// Whole numbers, also written as `5.0`.
fn integer(fields: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, ApiError> {
    let Some(value) = field(fields, name) else { return Ok(None) };
    let whole = value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64);
    match value.as_i64().or(whole) {
        Some(number) => Ok(Some(number)),
        None => Err(ApiError::invalid(name, "invalid_type", format!("{name} must be an integer"))),
    }
}

fn boolean(fields: &Map<String, Value>, name: &'static str) -> Result<bool, ApiError> {
    let wrong = || ApiError::invalid(name, "invalid_type", format!("{name} must be a boolean"));
    field(fields, name).map_or(Ok(false), |value| value.as_bool().ok_or_else(wrong))
}
