//! Answers of Gemini 4 that one call does not hold (docs/gemini-4.md "Long decode").

use super::engine::{Generation, count_tokens, cut_into, last_user_text};
use super::errors::Refusal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Tokens of one call's answer: in events, and whole.
const OF_EVENTS: usize = 65_536;
const OF_ONE_DOCUMENT: usize = 32_768;

/// The answer to `long:` of so many tokens, each of them four characters that say which it is.
pub fn answer(tokens: usize) -> String {
    (0..tokens).map(word).collect()
}

fn word(number: usize) -> String {
    let digit = |power: u32| char::from_digit((number / 36usize.pow(power) % 36) as u32, 36).expect("a digit");
    [3, 2, 1, 0].map(digit).iter().collect()
}

/// Refuses tokens that this request, on this key, was never given.
pub fn check(generation: &Generation) -> Result<(), Refusal> {
    match generation.inner.get("continuationToken") {
        Some(_) if begin(generation).is_none() => Err(Refusal::invalid("The continuation token is invalid.")),
        _ => Ok(()),
    }
}

/// Where an answer goes on.
fn begin(generation: &Generation) -> Option<usize> {
    let Some(token) = generation.inner.get("continuationToken") else { return Some(0) };
    let told = String::from_utf8(STANDARD.decode(token.as_str()?).ok()?).ok()?;
    let begin = told.split(' ').next()?.parse().ok()?;
    (told == state(generation, begin)).then_some(begin)
}

/// What a token stands for: it belongs to one request of one key.
fn state(generation: &Generation, begin: usize) -> String {
    let mut request = generation.inner.clone();
    request.as_object_mut().expect("a request").remove("continuationToken");
    let digest = Sha256::digest(format!("{request} {} {}", generation.who, generation.model.id));
    format!("{begin} {}", STANDARD.encode(digest))
}

/// The token with which the answer to `generation` goes on behind so many tokens.
pub fn token(generation: &Generation, begin: usize) -> String {
    STANDARD.encode(state(generation, begin))
}

/// The events of a long answer's next call, if one is asked for.
pub fn events(generation: &Generation, count: usize, checkpoints: bool) -> Option<Vec<Value>> {
    let said = last_user_text(&generation.inner);
    let wanted: usize = said.strip_prefix("long:").filter(|_| generation.model.is_four())?.parse().ok()?;
    let begin = begin(generation)?;
    let config = &generation.inner["generationConfig"];
    let allowed = config["maxOutputTokens"].as_u64().map(|most| most as usize);
    let cap = if generation.stream { OF_EVENTS } else { OF_ONE_DOCUMENT };
    let whole = allowed.unwrap_or(begin + cap).min(wanted);
    let end = whole.min(begin + cap);
    let finish = match () {
        () if end == wanted => "STOP",
        () if end == whole => "MAX_TOKENS",
        () => "CONTINUATION",
    };
    let text: String = (begin..end).map(word).collect();
    let pieces = cut_into(&text, count);
    let last = pieces.len() - 1;
    // Google reads all that it said before once more.
    let prompt = count_tokens(&generation.inner) as usize + begin;
    let (mut spoken, mut bytes) = (0, 0);
    let event = |(at, piece): (usize, &String)| {
        bytes += piece.len();
        spoken = bytes.div_ceil(4);
        let mut candidate = json!({"content": {"role": "model", "parts": [{"text": piece}]}, "index": 0});
        if at == last {
            candidate["finishReason"] = json!(finish);
            if finish != "STOP" {
                candidate["continuationToken"] = json!(token(generation, end));
            }
            spoken = end - begin;
        } else if checkpoints && bytes % 4 == 0 {
            candidate["continuationToken"] = json!(token(generation, begin + spoken));
        }
        json!({"candidates": [candidate], "usageMetadata": {"serviceTier": "standard", "promptTokenCount": prompt,
            "candidatesTokenCount": spoken, "totalTokenCount": prompt + spoken}})
    };
    Some(pieces.iter().enumerate().map(event).collect())
}
