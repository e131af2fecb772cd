//! A GenerateContentResponse, whole or one event of a stream (docs/google.md "Response envelope", docs/google.md "Event
//! stream"), borrowed from the JSON text it came in: the hot path of the program parses one of these per event and
//! copies nothing it need not.
//!
//! What few events have is in a box: reading an event moves its parts several times, and the stack that it takes is taken by
//! each stream.
//!
//! Unknown fields are skipped here; the native surface forwards the text itself, so nothing is lost.

use super::tier::Tier;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, value::RawValue};
use std::borrow::Cow;

/// A string that borrows when it holds no escape. A bare `Option<Cow<str>>` field would always be owned: serde borrows
/// only through a newtype (docs/crates.md "serde_json: traps").
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

/// What a call or a picture takes beside its texts, and each time that it is written.
const PIECE: usize = 200;
const PIECE_WRITTEN: usize = 1000;
/// How many times its text a parsed list of sources or probabilities takes.
const PARSED: usize = 8;

/// One answer or one event.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Response<'a> {
    /// Usually one; none in a blocked or usage-only answer.
    #[serde(borrow, deserialize_with = "null_is_default")]
    pub candidates: Vec<Candidate<'a>>,
    /// Set when the prompt was blocked.
    pub prompt_feedback: Option<Box<PromptFeedback<'a>>>,
    /// Cumulative: the last one counts.
    pub usage_metadata: Option<Box<UsageMetadata>>,
    /// Google's id of the answer.
    pub response_id: Option<Text<'a>>,
    /// The model that answered.
    pub model_version: Option<Text<'a>>,
}

impl<'a> Response<'a> {
    /// The parts of the first candidate.
    pub fn parts(&self) -> &[ResponsePart<'a>] {
        self.candidates.first().map_or(&[], Candidate::parts)
    }
}

impl Response<'_> {
    /// About how many bytes an answer takes of this event until its end: its texts and media so many times, and in any case
    /// what is known of calls, sources and probabilities. `thinking` says whether the last text was a thought: each turn from
    /// one to the other begins a block of its own.
    pub(crate) fn kept(&self, times: usize, thinking: &mut bool) -> usize {
        let length = |text: &Option<Text<'_>>| text.as_ref().map_or(0, |text| text.len());
        let raw = |text: Option<&RawValue>| text.map_or(0, |text| text.get().len());
        let mut part = |part: &ResponsePart<'_>| {
            let call = part.function_call.as_ref();
            let blob = part.inline_data.as_ref().map_or(0, |blob| length(&blob.data));
            // Sound is given out in one piece.
            let is_sound = part.inline_data.as_ref().and_then(|blob| blob.mime_type.as_deref());
            let times = if is_sound.is_some_and(|mime| mime.starts_with("audio/")) { times.max(3) } else { times };
            let args = call.map_or(0, |call| raw(call.args) + raw(call.partial_args));
            let is_text = call.is_none() && blob == 0;
            let goes_on = is_text && std::mem::replace(thinking, part.thought) == part.thought;
            let said = times * (length(&part.text) + length(&part.thought_signature) + blob + args);
            said + if goes_on { 0 } else { PIECE + times * PIECE_WRITTEN }
                + 2 * (raw(part.tool_call) + raw(part.tool_response))
        };
        let beside = |candidate: &Candidate<'_>| {
            let found = [candidate.citation_metadata, candidate.logprobs_result];
            PARSED * found.into_iter().map(raw).sum::<usize>()
        };
        self.candidates.iter().map(|one| one.parts().iter().map(&mut part).sum::<usize>() + beside(one)).sum()
    }
}

/// One candidate.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Candidate<'a> {
    /// 0 when absent.
    pub index: Option<u32>,
    /// Absent or empty in events that carry only a finish reason.
    #[serde(borrow)]
    pub content: Option<ResponseContent<'a>>,
    /// An open enum: unknown words occur.
    #[serde(deserialize_with = "word")]
    pub finish_reason: Option<Text<'a>>,
    /// A sentence about it, seldom there.
    pub finish_message: Option<Text<'a>>,
    /// Search sources, kept as text until the surface wants them.
    pub grounding_metadata: Option<&'a RawValue>,
    /// Texts of others that the answer repeats, kept as text.
    pub citation_metadata: Option<&'a RawValue>,
    /// Addresses that Google opened, kept as text.
    pub url_context_metadata: Option<&'a RawValue>,
    /// Token probabilities, kept as text.
    pub logprobs_result: Option<&'a RawValue>,
}

impl<'a> Candidate<'a> {
    /// Its parts.
    pub fn parts(&self) -> &[ResponsePart<'a>] {
        self.content.as_ref().map_or(&[], |content| &content.parts)
    }
}

/// The parts of a candidate.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ResponseContent<'a> {
    /// In order; text parts are deltas in a stream.
    #[serde(borrow, deserialize_with = "null_is_default")]
    pub parts: Vec<ResponsePart<'a>>,
}

/// One part of an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResponsePart<'a> {
    /// Text, maybe empty.
    #[serde(borrow)]
    pub text: Option<Text<'a>>,
    /// Whether the text is a thought summary.
    #[serde(deserialize_with = "null_is_default")]
    pub thought: bool,
    /// May sit on any kind of part.
    pub thought_signature: Option<Text<'a>>,
    /// A whole call, or a piece of one.
    pub function_call: Option<Box<ResponseCall<'a>>>,
    /// An image or audio, whole.
    pub inline_data: Option<Box<ResponseBlob<'a>>>,
    /// Code Google ran for the model.
    pub executable_code: Option<Box<ExecutableCode<'a>>>,
    /// What it printed.
    pub code_execution_result: Option<Box<CodeExecutionResult<'a>>>,
    /// What one of Google's own tools was asked; the client gives it back and does nothing.
    pub tool_call: Option<&'a RawValue>,
    /// What that tool answered.
    pub tool_response: Option<&'a RawValue>,
}

/// `functionCall` of an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResponseCall<'a> {
    /// The declared name, sometimes with a made-up prefix.
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    /// Normally an object.
    pub args: Option<&'a RawValue>,
    /// Pieces of arguments (docs/vertex.md); nobody asks for them.
    pub partial_args: Option<&'a RawValue>,
    /// More pieces follow in calls without a name.
    #[serde(deserialize_with = "null_is_default")]
    pub will_continue: bool,
    /// Often absent.
    pub id: Option<Text<'a>>,
}

/// `inlineData` of an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResponseBlob<'a> {
    /// Media type.
    #[serde(borrow)]
    pub mime_type: Option<Text<'a>>,
    /// Base64.
    pub data: Option<Text<'a>>,
}

/// `executableCode`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ExecutableCode<'a> {
    /// `PYTHON`.
    #[serde(borrow)]
    pub language: Option<Text<'a>>,
    /// The source.
    pub code: Option<Text<'a>>,
}

/// `codeExecutionResult`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct CodeExecutionResult<'a> {
    /// Standard output.
    #[serde(borrow)]
    pub output: Option<Text<'a>>,
}

/// `promptFeedback`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromptFeedback<'a> {
    /// Why the prompt was blocked, an open enum.
    #[serde(borrow, deserialize_with = "word")]
    pub block_reason: Option<Text<'a>>,
    /// A sentence about it, on some services.
    pub block_reason_message: Option<Text<'a>>,
    /// What the filters think of the prompt; one of them may have blocked it without a reason.
    #[serde(deserialize_with = "null_is_default")]
    pub safety_ratings: Vec<SafetyRating>,
}

/// What a safety filter thinks.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SafetyRating {
    /// It let nothing through.
    pub blocked: Option<bool>,
}

impl PromptFeedback<'_> {
    /// Why the prompt was blocked, if it was.
    pub fn word(&self) -> Option<&str> {
        let is_blocked = self.safety_ratings.iter().any(|rating| rating.blocked == Some(true));
        self.block_reason.as_deref().or(is_blocked.then_some("SAFETY"))
    }
}

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

/// A word of an open enum. One that Google's own front does not know yet comes as its number.
fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Text<'de>>, D::Error> {
    let word: Option<&'de RawValue> = Option::deserialize(deserializer)?;
    Ok(word.map(RawValue::get).and_then(|word| match word.starts_with('"') {
        true => serde_json::from_str(word).ok(),
        false => Some(Text(word.into())),
    }))
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

/// JSON null means the default, as protobuf JSON reads it.
fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::Response;
    use std::borrow::Cow;

    #[test]
    fn text_without_escapes_is_borrowed() {
        let event = r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}],"usageMetadata":null}"#;
        let response: Response = serde_json::from_str(event).unwrap();
        let part = &response.candidates[0].content.as_ref().unwrap().parts[0];
        assert!(matches!(part.text.as_ref().unwrap().0, Cow::Borrowed("Hi")));
    }

    #[test]
    fn counts_are_read_in_every_form() {
        let event = r#"{"usageMetadata":{"promptTokenCount":"7","cachedContentTokenCount":-1,"candidatesTokenCount":3.0,
            "thoughtsTokenCount":null,"toolUsePromptTokenCount":{"a":1},"totalTokenCount":2147483647,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":"7"}]}}"#;
        let usage = serde_json::from_str::<Response>(event).unwrap().usage_metadata.unwrap();
        let counts = [usage.prompt_token_count, usage.cached_content_token_count, usage.candidates_token_count];
        assert_eq!(counts, [Some(7), Some(0), Some(3)]);
        assert_eq!([usage.thoughts_token_count, usage.tool_use_prompt_token_count], [None, None]);
        assert_eq!(usage.total_token_count, Some(2_147_483_647));
        assert_eq!(usage.prompt_tokens_details[0].token_count, Some(7));
    }

    #[test]
    fn a_usage_is_also_read_from_a_value() {
        let value = serde_json::json!({"promptTokenCount": 7, "serviceTier": "flex", "trafficType": 2});
        let usage: super::UsageMetadata = serde_json::from_value(value).unwrap();
        assert_eq!((usage.prompt_token_count, usage.tier()), (Some(7), Some(super::Tier::Flex)));
    }
}
