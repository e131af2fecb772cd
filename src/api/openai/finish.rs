//! Google's finish reasons in OpenAI's words, for answers without tool calls (openai_chat.md 2.4).

/// `stop`, `length` or `content_filter`. The list of Google's words is open: new ones mean `stop`.
pub fn reason(google: &str) -> &'static str {
    match google {
        "MAX_TOKENS" | "CONTINUATION" => "length",
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "LANGUAGE"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR"
        | "ESCALATION"
        | "PUP_LIMITED_DISABLED" => "content_filter",
        _ => "stop",
    }
}

/// Whether an answer that ended so, and empty, is worth asking for again.
pub fn is_malformed(google: &str) -> bool {
    matches!(
        google,
        "MALFORMED_FUNCTION_CALL"
            | "UNEXPECTED_TOOL_CALL"
            | "TOO_MANY_TOOL_CALLS"
            | "MALFORMED_RESPONSE"
            | "MISSING_THOUGHT_SIGNATURE"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_words_never_reach_the_client() {
        for (google, expected) in [
            ("STOP", "stop"),
            ("MAX_TOKENS", "length"),
            ("SAFETY", "content_filter"),
            ("MALFORMED_RESPONSE", "stop"),
            ("A_WORD_OF_2030", "stop"),
            ("", "stop"),
        ] {
            assert_eq!(reason(google), expected, "{google}");
        }
        assert!(is_malformed("MALFORMED_RESPONSE") && !is_malformed("STOP"));
    }
}
