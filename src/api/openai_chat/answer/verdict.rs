//! The end of an answer: Google's finish reason in OpenAI's words, or what is wrong with the answer and whether another
//! attempt is worth it (openai_chat.md 2.4, 3.3). Knows nothing of how pieces reach the client.

use super::{Answer, Fence};
use crate::api::openai::finish;
use crate::error::ApiError;

/// Attempts after the first one that an empty answer is worth.
const EMPTY_RETRIES: u32 = 1;
/// The same for a call Google could not put together, which a second try often can.
const MALFORMED_RETRIES: u32 = 2;

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api::openai_chat) enum Finish {
    Stop,
    Calls,
    Length,
    Filter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Stop,
    Length,
    Filter,
    Malformed,
    Odd,
}

impl Word {
    pub(super) fn read(word: &str) -> Word {
        if finish::is_malformed(word) {
            return Word::Malformed;
        }
        match finish::reason(word) {
            "length" => Word::Length,
            "content_filter" => Word::Filter,
            _ if word == "STOP" => Word::Stop,
            _ => Word::Odd,
        }
    }
}

impl Answer {
    /// The finish reason, or what is wrong with the answer. `sent`: something is with the client already.
    pub(in crate::api::openai_chat) fn verdict(&self, sent: bool) -> Result<Finish, ApiError> {
        if self.calls() > 0 && !matches!(self.finish, None | Some(Word::Filter)) || self.cut && self.calls() > 0 {
            return Ok(Finish::Calls);
        }
        if self.cut {
            return Ok(Finish::Stop);
        }
        let malformed =
            || ApiError::server(502, "malformed_function_call", "The model made a malformed function call.");
        let empty = || ApiError::server(502, "empty_response", "The model gave an empty answer.");
        match self.finish {
            None if self.blocked => Ok(Finish::Filter),
            None if self.has_content() || self.calls() > 0 || self.thought => {
                Err(ApiError::server(502, "upstream_incomplete", "The answer ended before it was complete."))
            }
            None => Err(empty()),
            Some(Word::Filter) => Ok(Finish::Filter),
            Some(Word::Length) => Ok(Finish::Length),
            Some(Word::Malformed) => Err(malformed()),
            Some(Word::Stop | Word::Odd) if self.has_content() => Ok(Finish::Stop),
            Some(Word::Stop | Word::Odd) if self.blocked => Ok(Finish::Filter),
            Some(Word::Stop | Word::Odd) if self.nameless_call => Err(malformed()),
            // After one more attempt an empty answer is what the model wants to say.
            Some(Word::Stop) if sent || self.attempt >= EMPTY_RETRIES => Ok(Finish::Stop),
            Some(Word::Odd) if sent => Ok(Finish::Stop),
            Some(Word::Stop | Word::Odd) => Err(empty()),
        }
    }

    /// Whether `error`, returned by [`Answer::verdict`], is worth another attempt while nothing has been sent.
    pub(in crate::api::openai_chat) fn retryable(&self, error: &ApiError) -> bool {
        match error.code() {
            Some("empty_response" | "upstream_incomplete") => self.attempt < EMPTY_RETRIES,
            Some("malformed_function_call") => self.attempt < MALFORMED_RETRIES,
            _ => false,
        }
    }

    fn has_content(&self) -> bool {
        let held = self.fence.as_ref().is_some_and(Fence::holds);
        self.shown || held || self.stops.holds() || self.images > 0 || !self.speech.is_empty()
    }
}
