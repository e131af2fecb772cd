//! Token counts in OpenAI's terms (openai_chat.md 2.3).

use crate::gemini::UsageMetadata;
use crate::gemini::response::ModalityCount;
use serde::Serialize;

/// `usage` of an answer.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    audio_tokens: u64,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

impl From<&UsageMetadata> for Usage {
    fn from(usage: &UsageMetadata) -> Usage {
        let count = |value: Option<u64>| value.unwrap_or(0);
        let prompt = count(usage.prompt_token_count).saturating_add(count(usage.tool_use_prompt_token_count));
        let candidates = count(usage.candidates_token_count);
        let thoughts = count(usage.thoughts_token_count);
        // Some answers count the thoughts among the candidates already; the sum tells.
        let included = usage.total_token_count == Some(prompt.saturating_add(candidates));
        let completion = if included { candidates } else { candidates.saturating_add(thoughts) };
        Usage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: usage.total_token_count.unwrap_or_else(|| prompt.saturating_add(completion)),
            prompt_tokens_details: PromptDetails {
                cached_tokens: count(usage.cached_content_token_count),
                audio_tokens: audio(&usage.prompt_tokens_details),
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: thoughts,
                audio_tokens: audio(&usage.candidates_tokens_details),
                ..CompletionDetails::default()
            },
        }
    }
}

fn audio(details: &[ModalityCount]) -> u64 {
    let counts = details.iter().filter(|entry| entry.modality == "AUDIO").filter_map(|entry| entry.token_count);
    counts.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_are_counted_once() {
        let usage = |prompt, tools, candidates, thoughts, total| {
            let made = Usage::from(&UsageMetadata {
                prompt_token_count: prompt,
                tool_use_prompt_token_count: tools,
                candidates_token_count: candidates,
                thoughts_token_count: thoughts,
                total_token_count: total,
                ..UsageMetadata::default()
            });
            (made.prompt_tokens, made.completion_tokens, made.total_tokens)
        };
        assert_eq!(usage(Some(10), None, Some(5), Some(3), Some(18)), (10, 8, 18));
        assert_eq!(usage(Some(10), None, Some(8), Some(3), Some(18)), (10, 8, 18));
        assert_eq!(usage(Some(10), Some(2), Some(8), Some(3), Some(20)), (12, 8, 20));
        assert_eq!(usage(Some(10), None, Some(5), Some(3), None), (10, 8, 18));
        assert_eq!(usage(Some(10), None, None, Some(3), Some(10)), (10, 0, 10));
        assert_eq!(usage(None, None, None, None, None), (0, 0, 0));
        assert_eq!(usage(Some(u64::MAX), Some(1), Some(1), None, None).0, u64::MAX);
    }
}
