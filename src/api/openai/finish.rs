//! Google's finish reasons in OpenAI's words, for answers without tool calls (openai_chat.md 2.4).

use crate::conversation::answer::Word;

/// `stop`, `length` or `content_filter`.
pub fn reason(google: &str) -> &'static str {
    match Word::read(google) {
        Word::Length => "length",
        Word::Filter => "content_filter",
        Word::Stop | Word::Malformed | Word::Odd => "stop",
    }
}

/// Whether an answer that ended so, and empty, is worth asking for again.
pub fn is_malformed(google: &str) -> bool {
    Word::read(google) == Word::Malformed
}
