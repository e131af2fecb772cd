//! `usageMetadata`, what an answer of Google's cost (docs/google.md "Usage metadata").

use super::response::null_is_default;
use super::tier::Tier;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// `usageMetadata`; every count may be absent, which means 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UsageMetadata {
    /// Includes the cached part.
    #[serde(deserialize_with = "count")]
    pub prompt_token_count: Option<u64>,
    /// Part of the prompt that was cached.
    #[serde(deserialize_with = "count")]
    pub cached_content_token_count: Option<u64>,
    /// Without thoughts, as a rule.
    #[serde(deserialize_with = "count")]
    pub candidates_token_count: Option<u64>,
    /// Thinking.
    #[serde(deserialize_with = "count")]
    pub thoughts_token_count: Option<u64>,
    /// Tokens of tool results Google made itself.
    #[serde(deserialize_with = "count")]
    pub tool_use_prompt_token_count: Option<u64>,
    /// Sum of all.
    #[serde(deserialize_with = "count")]
    pub total_token_count: Option<u64>,
    /// What served it, by the public API.
    #[serde(deserialize_with = "tier")]
    pub service_tier: Option<Tier>,
    /// The same by Vertex AI.
    #[serde(deserialize_with = "tier")]
    pub traffic_type: Option<Tier>,
    /// By modality.
    #[serde(deserialize_with = "null_is_default")]
    pub prompt_tokens_details: Vec<ModalityCount>,
    /// The cached part by modality.
    #[serde(deserialize_with = "null_is_default")]
    pub cache_tokens_details: Vec<ModalityCount>,
    /// By modality.
    #[serde(deserialize_with = "null_is_default")]
    pub candidates_tokens_details: Vec<ModalityCount>,
    /// Pictures that the client got; Google counts their tokens only.
    #[serde(skip)]
    pub images: u64,
    /// Milliseconds of speech that the client got or sent to be written down.
    #[serde(skip)]
    pub audio_ms: u64,
}

/// One entry of a per-modality list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ModalityCount {
    /// TEXT, IMAGE, AUDIO, VIDEO, DOCUMENT.
    pub modality: String,
    /// Tokens.
    #[serde(deserialize_with = "count")]
    pub token_count: Option<u64>,
}

impl UsageMetadata {
    /// The capacity that served the answer, where Google has said it.
    pub fn tier(&self) -> Option<Tier> {
        self.service_tier.or(self.traffic_type)
    }

    /// Adds the counts of another call.
    pub fn add(&mut self, other: &UsageMetadata) {
        let add = |mine: &mut Option<u64>, theirs: Option<u64>| {
            *mine = match (*mine, theirs) {
                (Some(mine), Some(theirs)) => Some(mine.saturating_add(theirs)),
                (mine, theirs) => mine.or(theirs),
            }
        };
        add(&mut self.prompt_token_count, other.prompt_token_count);
        add(&mut self.cached_content_token_count, other.cached_content_token_count);
        add(&mut self.candidates_token_count, other.candidates_token_count);
        add(&mut self.thoughts_token_count, other.thoughts_token_count);
        add(&mut self.tool_use_prompt_token_count, other.tool_use_prompt_token_count);
        add(&mut self.total_token_count, other.total_token_count);
        self.prompt_tokens_details.extend(other.prompt_tokens_details.iter().cloned());
        self.cache_tokens_details.extend(other.cache_tokens_details.iter().cloned());
        self.candidates_tokens_details.extend(other.candidates_tokens_details.iter().cloned());
        self.service_tier = self.service_tier.or(other.service_tier);
        self.traffic_type = self.traffic_type.or(other.traffic_type);
        self.images += other.images;
        self.audio_ms += other.audio_ms;
    }

    /// Whether Google counted anything.
    pub fn has_tokens(&self) -> bool {
        let counts =
            [self.prompt_token_count, self.candidates_token_count, self.thoughts_token_count, self.total_token_count];
        counts.into_iter().flatten().any(|count| count > 0)
    }

    /// Takes over every count that `later` has; a late event may omit one that an earlier event had.
    pub fn merge(&mut self, later: &UsageMetadata) {
        let take = |mine: &mut Option<u64>, theirs: Option<u64>| *mine = theirs.or(*mine);
        take(&mut self.prompt_token_count, later.prompt_token_count);
        take(&mut self.cached_content_token_count, later.cached_content_token_count);
        take(&mut self.candidates_token_count, later.candidates_token_count);
        take(&mut self.thoughts_token_count, later.thoughts_token_count);
        take(&mut self.tool_use_prompt_token_count, later.tool_use_prompt_token_count);
        take(&mut self.total_token_count, later.total_token_count);
        self.service_tier = later.service_tier.or(self.service_tier);
        self.traffic_type = later.traffic_type.or(self.traffic_type);
        if !later.prompt_tokens_details.is_empty() {
            self.prompt_tokens_details.clone_from(&later.prompt_tokens_details);
        }
        if !later.cache_tokens_details.is_empty() {
            self.cache_tokens_details.clone_from(&later.cache_tokens_details);
        }
        if !later.candidates_tokens_details.is_empty() {
            self.candidates_tokens_details.clone_from(&later.candidates_tokens_details);
        }
    }
}

fn tier<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Tier>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(word) => Some(Tier::read(&word)),
        Value::Number(number) => Some(Tier::read(&number.to_string())),
        _ => None,
    })
}

/// A count in any form that JSON has for one; no answer is lost for a count that is none.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = match Value::deserialize(deserializer)? {
        Value::String(text) => text.parse().ok(),
        number => number.as_f64(),
    };
    Ok(number.map(|number| number as u64))
}

#[cfg(test)]
mod tests {
    use super::{Tier, UsageMetadata};

    #[test]
    fn counts_are_read_in_every_form() {
        let usage = r#"{"promptTokenCount":"7","cachedContentTokenCount":-1,"candidatesTokenCount":3.0,
            "thoughtsTokenCount":null,"toolUsePromptTokenCount":{"a":1},"totalTokenCount":2147483647,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":"7"}]}"#;
        let usage = serde_json::from_str::<UsageMetadata>(usage).unwrap();
        let counts = [usage.prompt_token_count, usage.cached_content_token_count, usage.candidates_token_count];
        assert_eq!(counts, [Some(7), Some(0), Some(3)]);
        assert_eq!([usage.thoughts_token_count, usage.tool_use_prompt_token_count], [None, None]);
        assert_eq!(usage.total_token_count, Some(2_147_483_647));
        assert_eq!(usage.prompt_tokens_details[0].token_count, Some(7));
    }

    #[test]
    fn a_usage_is_also_read_from_a_value() {
        let value = serde_json::json!({"promptTokenCount": 7, "serviceTier": "flex", "trafficType": 2});
        let usage: UsageMetadata = serde_json::from_value(value).unwrap();
        assert_eq!((usage.prompt_token_count, usage.tier()), (Some(7), Some(Tier::Flex)));
    }
}
