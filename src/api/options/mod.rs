//! What a client may ask beside its conversation, and Google's `generationConfig` for it; one place for all dialects, which
//! differ in the names of some fields only.

mod extensions;
mod output;
#[cfg(any(feature = "agents", feature = "media"))]
mod picture;
mod thinking;

pub(crate) use extensions::extensions;
#[cfg(feature = "agents")]
pub(crate) use output::token_probabilities;
#[cfg(feature = "media")]
pub(crate) use output::voice;
pub(crate) use output::{format, logprobs, modalities};
#[cfg(any(feature = "agents", feature = "media"))]
pub(crate) use picture::picture;
pub(crate) use thinking::thinking;

use super::params::{Field, Object, read, take, take_as, too_small};
use crate::conversation::asked::Asked;
use crate::conversation::tools::Toolbox;
use crate::error::ApiError;
use serde_json::{Map, Number, Value, json};

/// Google takes this many stop sequences; we look for the others ourselves.
const MAX_STOPS: usize = 5;
/// Answers to one request; each is a call of Google's.
pub(crate) const MAX_CHOICES: i64 = 8;
/// More choices than this OpenAI does not offer, either.
const MOST_OF_OPENAI: i64 = 128;
/// Code Assist refuses more for Gemini 2.5.
const MAX_TOP_K: i64 = 64;
/// Nobody means more, and Google's number has 32 bits.
const MOST_TOP_K: i64 = 1000;

/// Tells of fields that are given, not empty, and mean nothing here, with the reason.
pub(crate) fn tell_unserved(body: &mut Object, fields: &[(&str, &str)], toolbox: &mut Toolbox) {
    for (name, why) in fields {
        if take(body, name).is_some_and(|value| value != json!([]) && value != json!({})) {
            toolbox.notice(format!("{name} was left out: {why}."));
        }
    }
}

/// Tells of a wish for a shorter or longer answer, for which Google has no switch; a line in the prompt would change that unasked.
pub(crate) fn tell_verbosity(wish: Option<Value>, toolbox: &mut Toolbox) {
    if wish.is_some_and(|wish| wish != "medium") {
        toolbox.notice("verbosity was left out: Google has no switch for it.".into());
    }
}

/// How an answer is to be sampled, and how long it may be.
#[derive(Debug, Default)]
pub(crate) struct Sampling {
    temperature: Option<Number>,
    top_p: Option<Number>,
    top_k: Option<i64>,
    seed: Option<i64>,
    presence_penalty: Option<Number>,
    frequency_penalty: Option<Number>,
    max_tokens: Option<u64>,
    stops: Vec<String>,
}

impl Sampling {
    /// Takes the options out of a request. `limits` are the dialect's names for the greatest length of an answer, of which
    /// the first that is given counts, and `stops` is its name for the stop sequences.
    pub(crate) fn read(body: &mut Object, limits: &[&str], stops: &str) -> Result<Sampling, ApiError> {
        Ok(Sampling {
            temperature: read(body, "temperature")?,
            top_p: read(body, "top_p")?,
            top_k: take_as(body, "top_k"),
            seed: take(body, "seed").and_then(seed),
            presence_penalty: take_as(body, "presence_penalty"),
            frequency_penalty: take_as(body, "frequency_penalty"),
            max_tokens: limit(body, limits)?,
            stops: stop_sequences(take(body, stops)),
        })
    }

    /// Puts the options into a question, as far as its model takes them.
    pub(crate) fn apply(mut self, asked: &mut Asked) {
        let model = &asked.model;
        if model.fixed_sampling {
            (self.temperature, self.top_p, self.top_k) = (None, None, None);
        }
        asked.limit = self.max_tokens;
        asked.max_tokens = self.max_tokens.map(|tokens| tokens.min(model.longest_answer()));
        asked.plan.stops = self.stops.split_off(self.stops.len().min(MAX_STOPS));
        let top_k = |value: i64| value.min(if model.gemini3 { MOST_TOP_K } else { MAX_TOP_K });
        // The upper end of penalties is not included. Models that refuse them answer better without them than not at all.
        let penalty = |value: Option<Number>| value.map(|value| clamped(value, -2.0, 1.9999)).filter(is_not_zero);
        let mut penalties = [penalty(self.presence_penalty), penalty(self.frequency_penalty)];
        if !model.takes_penalties() && std::mem::take(&mut penalties).iter().any(Option::is_some) {
            let name = &model.name;
            asked.toolbox.notice(format!("Penalties were left out: Google does not take them for {name}."));
        }
        let [presence, frequency] = penalties;
        let fields = [
            ("maxOutputTokens", asked.max_tokens.map(Value::from)),
            ("temperature", self.temperature.map(|value| clamped(value, 0.0, 2.0))),
            // Some models refuse 0.
            ("topP", self.top_p.map(|value| clamped(value, 0.0, 1.0)).filter(is_not_zero)),
            ("topK", self.top_k.filter(|value| *value >= 1).map(|value| json!(top_k(value)))),
            // Google's seed has 32 bits.
            ("seed", self.seed.map(|seed| json!(seed & 0x7fff_ffff))),
            ("presencePenalty", presence),
            ("frequencyPenalty", frequency),
            ("stopSequences", Some(json!(self.stops)).filter(|_| !self.stops.is_empty())),
        ];
        asked.config.extend(fields.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value))));
    }
}

/// How many answers are wanted; `name` is the field that says it.
pub(crate) fn choices(body: &mut Object, name: &str) -> Result<u32, ApiError> {
    match read(body, name)? {
        None => Ok(1),
        Some(choices @ 1..=MAX_CHOICES) => Ok(choices as u32),
        Some(2..=MOST_OF_OPENAI) => Err(too_many(name)),
        Some(_) => {
            Err(ApiError::invalid(name, "invalid_value", format!("'{name}' must be between 1 and {MOST_OF_OPENAI}.")))
        }
    }
}

/// 400 for more answers than one request may ask for.
pub(crate) fn too_many(name: &str) -> ApiError {
    let message = format!("'{name}' asks for too many answers: one request gives at most {MAX_CHOICES}; send several.");
    ApiError::invalid(name, "unsupported_value", message)
}

/// The tiers both services sell under the same words; others mean the usual one. Code Assist leaves the field out.
pub(crate) fn service_tier(asked: Option<&Value>) -> Map<String, Value> {
    let tier = asked.filter(|tier| matches!(tier.as_str(), Some("flex" | "priority")));
    tier.map(|tier| ("serviceTier".to_owned(), tier.clone())).into_iter().collect()
}

fn limit(body: &mut Object, names: &[&str]) -> Result<Option<u64>, ApiError> {
    let Some(name) = names.iter().find(|name| body.get(**name).is_some_and(|value| !value.is_null())) else {
        return Ok(None);
    };
    match read::<i64>(body, name)?.map(u64::try_from) {
        Some(Ok(0) | Err(_)) => Err(too_small(name, 1)),
        tokens => Ok(tokens.and_then(Result::ok)),
    }
}

/// The lower bits count, whatever their sign.
fn seed(value: Value) -> Option<i64> {
    value.as_u64().map(|seed| seed as i64).or_else(|| i64::of(value).ok())
}

fn stop_sequences(value: Option<Value>) -> Vec<String> {
    let list = match value {
        Some(Value::Array(list)) => list,
        value => value.into_iter().collect(),
    };
    let texts = list.into_iter().filter_map(|stop| String::of(stop).ok());
    texts.filter(|stop| !stop.is_empty()).collect()
}

/// A number between two ends, as the client wrote it where it is.
fn clamped(value: Number, low: f64, high: f64) -> Value {
    let number = value.as_f64().unwrap_or(low);
    let end = number.clamp(low, high);
    match end.fract() == 0.0 {
        _ if number == end => Value::Number(value),
        true => json!(end as i64),
        false => json!(end),
    }
}

fn is_not_zero(value: &Value) -> bool {
    value.as_f64() != Some(0.0)
}

#[cfg(test)]
mod tests;
