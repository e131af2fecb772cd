//! Google's token counts in OpenAI's terms (openai_chat.md 2.3).

use crate::gemini::UsageMetadata;
use serde_json::{Value, json};

/// `usage` of a generated answer. The three totals are always there: clients read them unconditionally.
pub fn generated(usage: &UsageMetadata) -> Value {
    let count = |tokens: Option<u64>| tokens.unwrap_or(0);
    let tool_use = count(usage.tool_use_prompt_token_count);
    let prompt = count(usage.prompt_token_count) + tool_use;
    let candidates = count(usage.candidates_token_count);
    let thoughts = count(usage.thoughts_token_count);
    // Some upstreams count thoughts within the candidates already; then the sum without them is the total.
    let counted_twice = thoughts > 0 && usage.total_token_count == Some(prompt + candidates);
    let completion = if counted_twice { candidates } else { candidates + thoughts };
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": usage.total_token_count.unwrap_or(prompt + completion),
        "prompt_tokens_details": {"cached_tokens": count(usage.cached_content_token_count)},
        "completion_tokens_details": {"reasoning_tokens": thoughts},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_are_part_of_the_completion_and_not_counted_twice() {
        let usage = |prompt, candidates, thoughts, total| UsageMetadata {
            prompt_token_count: prompt,
            candidates_token_count: candidates,
            thoughts_token_count: thoughts,
            total_token_count: total,
            ..UsageMetadata::default()
        };
        for (counts, expected) in [
            (usage(Some(3), Some(5), Some(7), Some(15)), [3, 12, 15]),
            (usage(Some(3), Some(12), Some(7), Some(15)), [3, 12, 15]),
            (usage(Some(3), Some(5), None, None), [3, 5, 8]),
            (usage(Some(3), None, None, Some(3)), [3, 0, 3]),
            (usage(None, None, None, None), [0, 0, 0]),
        ] {
            let found = generated(&counts);
            let found =
                ["prompt_tokens", "completion_tokens", "total_tokens"].map(|name| found[name].as_u64().unwrap());
            assert_eq!(found, expected);
        }
    }
}
