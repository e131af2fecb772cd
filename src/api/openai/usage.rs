//! Token counts in OpenAI's terms (docs/openai-chat.md "Token counts").

use crate::conversation::answer::Totals;
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

impl From<Totals> for Usage {
    fn from(totals: Totals) -> Usage {
        Usage {
            prompt_tokens: totals.prompt,
            completion_tokens: totals.completion,
            total_tokens: totals.total,
            prompt_tokens_details: PromptDetails { cached_tokens: totals.cached, audio_tokens: totals.prompt_audio },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: totals.thoughts,
                audio_tokens: totals.completion_audio,
                ..CompletionDetails::default()
            },
        }
    }
}
