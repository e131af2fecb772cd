//! A GenerateContentResponse, whole or one event of a stream (docs/google.md "Response envelope", docs/google.md "Event
//! stream"), borrowed from the JSON text it came in: the hot path of the program parses one of these per event and
//! copies nothing it need not.
//!
//! What few events have is in a box: reading an event moves its parts several times, and the stack that it takes is taken by
//! each stream.
//!
//! Unknown fields are skipped here; the native surface forwards the text itself, so nothing is lost.

use super::{UsageMetadata, weight};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
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
        let written = |text: &Option<Text<'_>>| text.as_ref().map_or(0, |text| weight::written(text));
        let raw = |text: Option<&RawValue>| text.map_or(0, |text| text.get().len());
        let mut part = |part: &ResponsePart<'_>| {
            let call = part.function_call.as_ref();
            let blob = part.inline_data.as_ref().map_or(0, |blob| length(&blob.data));
            // Sound is given out in one piece.
            let is_sound = part.inline_data.as_ref().and_then(|blob| blob.mime_type.as_deref());
            let times = if is_sound.is_some_and(|mime| mime.starts_with("audio/")) { times.max(3) } else { times };
            let args = call.map_or(0, |call| raw(call.args) + raw(call.partial_args));
            // Most dialects write them as a text of JSON.
            let rewritten = call.and_then(|call| call.args).map_or(0, |args| 2 * weight::written(args.get()));
            let is_text = call.is_none() && blob == 0;
            let goes_on = is_text && std::mem::replace(thinking, part.thought) == part.thought;
            let said = times * (written(&part.text) + length(&part.thought_signature) + blob + args);
            said + rewritten
                + if goes_on { 0 } else { PIECE + times * PIECE_WRITTEN }
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
    /// How it went, an open enum.
    #[serde(borrow, deserialize_with = "word")]
    pub outcome: Option<Text<'a>>,
    /// Standard output, or what the failure says.
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

/// A word of an open enum. One that Google's own front does not know yet comes as its number.
fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Text<'de>>, D::Error> {
    let word: Option<&'de RawValue> = Option::deserialize(deserializer)?;
    Ok(word.map(RawValue::get).and_then(|word| match word.starts_with('"') {
        true => serde_json::from_str(word).ok(),
        false => Some(Text(word.into())),
    }))
}

/// JSON null means the default, as protobuf JSON reads it.
pub(super) fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
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
}
