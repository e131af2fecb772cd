//! The end of an answer: Google's finish reason in words of this program, or what is wrong with the answer and whether
//! another attempt is worth it (docs/openai-chat.md "Finish reasons", docs/openai-chat.md "Empty and odd answers of
//! Google").

use super::Answer;
use crate::error::ApiError;

/// Attempts after the first one that an empty answer is worth.
const EMPTY_RETRIES: u32 = 1;
/// The same for a call Google could not put together, which a second try often can.
const MALFORMED_RETRIES: u32 = 2;

/// How an answer finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model said all it wanted, or a stop sequence was met.
    Stop,
    /// It called tools.
    Calls,
    /// It reached the limit.
    Length,
    /// Google did not let it speak on, or at all.
    Filter,
}

/// What a finish reason of Google means. Their list is open: new ones are odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The end.
    Stop,
    /// The limit.
    Length,
    /// A filter.
    Filter,
    /// The model made a call, or an answer, that Google could not read.
    Malformed,
    /// Anything else.
    Odd,
}

impl Word {
    /// Reads a `finishReason`.
    pub(super) fn read(word: &str) -> Word {
        match word {
            "STOP" => Word::Stop,
            "MAX_TOKENS" | "CONTINUATION" => Word::Length,
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
            | "PUP_LIMITED_DISABLED" => Word::Filter,
            "MALFORMED_FUNCTION_CALL"
            | "UNEXPECTED_TOOL_CALL"
            | "TOO_MANY_TOOL_CALLS"
            | "MALFORMED_RESPONSE"
            | "MISSING_THOUGHT_SIGNATURE" => Word::Malformed,
            _ => Word::Odd,
        }
    }
}

/// What the events of an answer held, as far as the verdict depends on it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Text was given to the client.
    pub shown: bool,
    pub thought: bool,
    pub calls: usize,
    pub nameless_call: bool,
    pub images: usize,
    pub blocked: bool,
    /// The last finish reason.
    pub word: Option<Word>,
}

impl Answer {
    /// How the answer finished, or what is wrong with it. `sent`: something is with the client already.
    pub(super) fn verdict(&self, sent: bool) -> Result<Finish, ApiError> {
        let Seen { calls, blocked, word, .. } = self.seen;
        if calls > 0 && (self.is_cut() || !matches!(word, None | Some(Word::Filter))) {
            return Ok(Finish::Calls);
        }
        if self.is_cut() {
            return Ok(Finish::Stop);
        }
        let malformed =
            || ApiError::server(502, "malformed_function_call", "The model made a malformed function call.");
        let empty = || ApiError::server(502, "empty_response", "The model gave an empty answer.");
        match word {
            None if blocked => Ok(Finish::Filter),
            None if self.has_content() || calls > 0 || self.seen.thought => {
                Err(ApiError::server(502, "upstream_incomplete", "The answer ended before it was complete."))
            }
            None => Err(empty()),
            Some(Word::Filter) => Ok(Finish::Filter),
            Some(Word::Length) => Ok(Finish::Length),
            Some(Word::Malformed) => Err(malformed()),
            Some(Word::Stop | Word::Odd) if self.has_content() => Ok(Finish::Stop),
            Some(Word::Stop | Word::Odd) if blocked => Ok(Finish::Filter),
            Some(Word::Stop | Word::Odd) if self.seen.nameless_call => Err(malformed()),
            // After one more attempt an empty answer is what the model wants to say.
            Some(Word::Stop) if sent || self.attempt >= EMPTY_RETRIES => Ok(Finish::Stop),
            Some(Word::Odd) if sent => Ok(Finish::Stop),
            Some(Word::Stop | Word::Odd) => Err(empty()),
        }
    }

    /// Whether `error`, returned by [`Answer::end`], is worth another attempt while nothing has been sent.
    pub fn retryable(&self, error: &ApiError) -> bool {
        match error.code() {
            Some("empty_response" | "upstream_incomplete") => self.attempt < EMPTY_RETRIES,
            Some("malformed_function_call") => self.attempt < MALFORMED_RETRIES,
            _ => false,
        }
    }

    fn has_content(&self) -> bool {
        self.seen.shown || self.texts.holds() || self.seen.images > 0 || !self.speech.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_words_are_read_and_new_ones_are_odd() {
        for (google, expected) in [
            ("STOP", Word::Stop),
            ("MAX_TOKENS", Word::Length),
            ("SAFETY", Word::Filter),
            ("MALFORMED_RESPONSE", Word::Malformed),
            ("A_WORD_OF_2030", Word::Odd),
            ("", Word::Odd),
        ] {
            assert_eq!(Word::read(google), expected, "{google}");
        }
    }
}
