//! Token probabilities, in Google's shape and in OpenAI's.

use serde::{Deserialize, Serialize};

/// Token probability in OpenAI's shape.
#[derive(Debug, Serialize)]
pub struct Logprob {
    token: String,
    bytes: Vec<u8>,
    logprob: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<Vec<Logprob>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LogprobsResult {
    chosen_candidates: Option<Vec<Chosen>>,
    top_candidates: Option<Vec<Top>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Chosen {
    token: Option<String>,
    log_probability: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Top {
    candidates: Option<Vec<Chosen>>,
}

/// Reads `logprobsResult`; a text of another shape gives none.
pub(super) fn read(text: &str) -> Vec<Logprob> {
    let result: LogprobsResult = serde_json::from_str(text).unwrap_or_default();
    let one = |chosen: Chosen, top_logprobs| {
        let token = chosen.token.unwrap_or_default();
        Logprob {
            bytes: token.clone().into_bytes(),
            token,
            logprob: chosen.log_probability.unwrap_or(0.0),
            top_logprobs,
        }
    };
    let mut tops = result.top_candidates.unwrap_or_default().into_iter();
    let chosen = result.chosen_candidates.unwrap_or_default().into_iter();
    chosen
        .map(|chosen| {
            let top = tops.next().and_then(|top| top.candidates).unwrap_or_default();
            one(chosen, Some(top.into_iter().map(|top| one(top, None)).collect()))
        })
        .collect()
}
