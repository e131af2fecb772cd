//! `prices`: what a model costs, in the operator's own figures.

use super::keys::Draft;
use super::value::{ConfigError, Field};
use serde_json::{Value, json};

/// A dollar has a thousand million of these, in which sums are exact.
const NANO: f64 = 1e9;

/// Nanodollars as dollars.
pub fn dollars(nano: u64) -> f64 {
    nano as f64 / NANO
}

/// Dollars as nanodollars.
pub fn nanodollars(dollars: f64) -> u64 {
    (dollars * NANO).round() as u64
}

/// US dollars for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    /// Prompt.
    pub input: f64,
    /// Answer and thinking.
    pub output: f64,
    /// The part of the prompt that came from Google's cache; not known: as the rest of it.
    pub cached: Option<f64>,
    /// Audio in the prompt; not known: as the rest of it.
    pub audio: Option<f64>,
    /// Pictures in the answer; not known: as the rest of it.
    pub image: Option<f64>,
    /// Prompt and answer where the prompt has more than 200,000 tokens; not known: the same.
    pub long: Option<(f64, f64)>,
}

pub(super) fn prices(draft: &mut Draft, field: &Field) -> Result<(), ConfigError> {
    let models: Vec<String> = field.object()?.map.keys().cloned().collect();
    let mut object = field.object()?;
    for model in models {
        let mut given = object.take(&model).object()?;
        let mut figure = |name: &str| -> Result<Option<f64>, ConfigError> {
            let field = given.take(name);
            match field.value() {
                Value::Null => Ok(None),
                value => match value.as_f64().filter(|price| (0.0..=1e6).contains(price)) {
                    Some(price) => Ok(Some(price)),
                    None => Err(field.wrong("US dollars for a million tokens", &value)),
                },
            }
        };
        let (input, output) = (figure("input")?, figure("output")?);
        let (cached, audio, image) = (figure("cached")?, figure("audio")?, figure("image")?);
        let long = (figure("long_input")?, figure("long_output")?);
        let (Some(input), Some(output)) = (input, output) else {
            return Err(ConfigError(format!(
                "{}.{model}: expected input and output, in US dollars for a million tokens",
                field.name
            )));
        };
        let long = match long {
            (None, None) => None,
            (long_input, long_output) => Some((long_input.unwrap_or(input), long_output.unwrap_or(output))),
        };
        draft.unknown.extend(given.unknown());
        draft.config.prices.push((model, Price { input, output, cached, audio, image, long }));
    }
    Ok(())
}

pub(super) fn shown(prices: &[(String, Price)]) -> Value {
    prices
        .iter()
        .map(|(model, price)| (model.clone(), json!([price.input, price.output])))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
