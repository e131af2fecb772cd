//! A request that was composed for one model, made to fit another: credentials differ in what serves a name, and a name
//! leads elsewhere from a day on (docs/gemini-4.md "Names of models").

use crate::api::Call;
use crate::gemini::ThinkingConfig;
use crate::gemini::models::Model;
use crate::gemini::signatures::{PLACEHOLDER, sign_first_calls};
use crate::gemini::thinking::{self, Ask, Level};
use serde_json::{Value, json};

/// Asks for as much thinking as before in the model's own way, leaves out what it does not take, and signs what it wants signed.
pub(super) fn fit(call: &mut Call, model: &Model) {
    call.lengthen(model.long_decode);
    let request = &mut call.request;
    if let Some(config) = &mut request.generation_config {
        let limit = config.other.get("maxOutputTokens").and_then(Value::as_u64);
        let limit = limit.map(|limit| call.limit.unwrap_or(limit).min(model.longest_answer()));
        if let Some(asked) = &config.thinking_config {
            config.thinking_config = thinking::plan(model, ask(asked), asked.include_thoughts, limit);
        }
        if let Some(limit) = limit {
            config.other.insert("maxOutputTokens".into(), json!(limit));
        }
        let sampling = ["temperature", "topP", "topK"].iter().filter(|_| model.fixed_sampling);
        let penalties = ["presencePenalty", "frequencyPenalty"].iter().filter(|_| !model.takes_penalties());
        for name in sampling.chain(penalties) {
            config.other.shift_remove(*name);
        }
    }
    if !model.gives_logprobs() && asks_probabilities(call) {
        forget_probabilities(call);
    }
    let request = &mut call.request;
    if model.gemini3 {
        return sign_first_calls(&mut request.contents);
    }
    for part in request.contents.iter_mut().flat_map(|content| &mut content.parts) {
        part.thought_signature.take_if(|signature| signature == PLACEHOLDER);
    }
}

/// What is told where token probabilities were asked for in vain.
const NO_PROBABILITIES: &str =
    "logprobs was left out: only Vertex AI gives token probabilities, for models before Gemini 3.";

/// Whether it asks for the probabilities of tokens.
pub(super) fn asks_probabilities(call: &Call) -> bool {
    call.request.generation_config.as_ref().is_some_and(|config| config.other.contains_key("responseLogprobs"))
}

/// Asks for none.
pub(super) fn forget_probabilities(call: &mut Call) {
    if let Some(config) = &mut call.request.generation_config {
        ["responseLogprobs", "logprobs"].iter().for_each(|name| drop(config.other.shift_remove(*name)));
    }
    call.left_out = Some(NO_PROBABILITIES);
}

/// What a client asked that got this config.
fn ask(config: &ThinkingConfig) -> Option<Ask> {
    let level = config.thinking_level.as_deref().and_then(Level::parse);
    match (config.thinking_budget, level) {
        (Some(budget), _) => Some(Ask::Budget(budget)),
        // Models on levels cannot be told to think not at all.
        (None, Some(Level::Minimal | Level::Low)) if config.include_thoughts == Some(false) => Some(Ask::Off),
        (None, level) => level.map(Ask::Level),
    }
}
