//! Token counts of an answer.

use crate::gemini::ModalityCount;
use crate::gemini::{Tier, UsageMetadata};

/// Token counts that dialects map to their own fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The request, with what was cached of it and with results of Google's own tools.
    pub prompt: u64,
    /// Part of the request that was cached.
    pub cached: u64,
    /// The answer, with its thoughts.
    pub completion: u64,
    /// Part of the answer that was thought.
    pub thoughts: u64,
    /// Everything.
    pub total: u64,
    /// Part of the request that was sound.
    pub prompt_audio: u64,
    /// Part of the answer that was sound.
    pub completion_audio: u64,
    /// The capacity that served it, where Google has said it.
    pub tier: Option<Tier>,
}

impl std::iter::Sum for Totals {
    fn sum<I: Iterator<Item = Totals>>(all: I) -> Totals {
        all.fold(Totals::default(), |sum, one| Totals {
            prompt: sum.prompt.saturating_add(one.prompt),
            cached: sum.cached.saturating_add(one.cached),
            completion: sum.completion.saturating_add(one.completion),
            thoughts: sum.thoughts.saturating_add(one.thoughts),
            total: sum.total.saturating_add(one.total),
            prompt_audio: sum.prompt_audio.saturating_add(one.prompt_audio),
            completion_audio: sum.completion_audio.saturating_add(one.completion_audio),
            tier: sum.tier.or(one.tier),
        })
    }
}

impl From<&UsageMetadata> for Totals {
    fn from(usage: &UsageMetadata) -> Totals {
        let count = |value: Option<u64>| value.unwrap_or(0);
        let prompt = count(usage.prompt_token_count).saturating_add(count(usage.tool_use_prompt_token_count));
        let candidates = count(usage.candidates_token_count);
        let thoughts = count(usage.thoughts_token_count);
        // Some answers count the thoughts among the candidates already; the sum tells.
        let included = usage.total_token_count == Some(prompt.saturating_add(candidates));
        let completion = if included { candidates } else { candidates.saturating_add(thoughts) };
        Totals {
            prompt,
            cached: count(usage.cached_content_token_count),
            completion,
            thoughts,
            total: usage.total_token_count.unwrap_or_else(|| prompt.saturating_add(completion)),
            prompt_audio: audio(&usage.prompt_tokens_details),
            completion_audio: audio(&usage.candidates_tokens_details),
            tier: usage.tier(),
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
        let totals = |prompt, tools, candidates, thoughts, total| {
            let made = Totals::from(&UsageMetadata {
                prompt_token_count: prompt,
                tool_use_prompt_token_count: tools,
                candidates_token_count: candidates,
                thoughts_token_count: thoughts,
                total_token_count: total,
                ..UsageMetadata::default()
            });
            (made.prompt, made.completion, made.total)
        };
        assert_eq!(totals(Some(10), None, Some(5), Some(3), Some(18)), (10, 8, 18));
        assert_eq!(totals(Some(10), None, Some(8), Some(3), Some(18)), (10, 8, 18));
        assert_eq!(totals(Some(10), Some(2), Some(8), Some(3), Some(20)), (12, 8, 20));
        assert_eq!(totals(Some(10), None, Some(5), Some(3), None), (10, 8, 18));
        assert_eq!(totals(Some(10), None, None, Some(3), Some(10)), (10, 0, 10));
        assert_eq!(totals(None, None, None, None, None), (0, 0, 0));
        assert_eq!(totals(Some(u64::MAX), Some(1), Some(1), None, None).0, u64::MAX);
    }
}
