//! The end of an answer: Google's finish reason in words of this program, or what is wrong with the answer and whether
//! another attempt is worth it (docs/openai-chat.md "Finish reasons", docs/openai-chat.md "Empty and odd answers of
//! Google").

use super::Answer;
use super::reasons::{Class, Reason};
use crate::error::{ApiError, ErrorKind};

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

/// What the events of an answer held, as far as the verdict depends on it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Text was given to the client.
    pub shown: bool,
    pub thought: bool,
    pub calls: usize,
    pub nameless_call: bool,
    pub images: usize,
    /// Why the prompt was blocked, if it was.
    pub blocked: Option<Reason>,
    /// The last finish reason.
    pub reason: Option<Reason>,
}

impl Answer {
    /// How the answer finished, or what is wrong with it. `sent`: something is with the client already.
    pub(super) fn verdict(&self, sent: bool) -> Result<Finish, ApiError> {
        let Seen { calls, blocked, reason, .. } = &self.seen;
        let class = reason.as_ref().map(Reason::class);
        // A call of which more was to come ends as a text does.
        let is_cut_off = self.partial.is_some() && class == Some(Class::Length);
        if *calls > 0 && !is_cut_off && (self.is_cut() || !matches!(class, None | Some(Class::Filter))) {
            return Ok(Finish::Calls);
        }
        if self.is_cut() {
            return Ok(Finish::Stop);
        }
        match class {
            None if blocked.is_some() => Ok(Finish::Filter),
            None if self.has_content() || *calls > 0 || self.seen.thought => {
                Err(ApiError::server(502, "upstream_incomplete", "The answer ended before it was complete."))
            }
            None => Err(self.empty()),
            Some(Class::Filter) => Ok(Finish::Filter),
            Some(Class::Length) => Ok(Finish::Length),
            Some(Class::Malformed) => Err(self.malformed()),
            Some(Class::Stop | Class::Odd | Class::Final) if self.has_content() => Ok(Finish::Stop),
            Some(Class::Stop | Class::Odd | Class::Final) if blocked.is_some() => Ok(Finish::Filter),
            Some(Class::Final) => Err(self.in_vain()),
            Some(Class::Stop | Class::Odd) if self.seen.nameless_call => Err(self.malformed()),
            // After one more attempt an empty answer is what the model wants to say.
            Some(Class::Stop) if sent || self.attempt >= EMPTY_RETRIES => Ok(Finish::Stop),
            Some(Class::Odd) if sent => Ok(Finish::Stop),
            Some(Class::Stop | Class::Odd) => Err(self.empty()),
        }
    }

    /// Why Google ended the answer, where it is worth a word: a plain end and the client's own limit are not.
    pub(super) fn reason(&self) -> Option<Reason> {
        let told = self.seen.reason.as_ref().filter(|reason| !reason.finish_message.is_empty());
        told.or(self.seen.blocked.as_ref()).filter(|_| !self.is_cut()).cloned()
    }

    /// Whether `error`, returned by [`Answer::end`], is worth another attempt while nothing has been sent.
    pub fn retryable(&self, error: &ApiError) -> bool {
        match (error.code(), self.seen.reason.as_ref().map(Reason::class)) {
            (_, Some(Class::Final)) => false,
            (Some("empty_response" | "upstream_incomplete"), _) => self.attempt < EMPTY_RETRIES,
            (Some("malformed_function_call"), _) | (_, Some(Class::Malformed)) => self.attempt < MALFORMED_RETRIES,
            _ => false,
        }
    }

    fn has_content(&self) -> bool {
        self.seen.shown || self.texts.holds() || self.seen.images > 0 || !self.speech.is_empty()
    }

    fn empty(&self) -> ApiError {
        let message = match self.reason() {
            Some(reason) => format!("The model gave an empty answer. {}", reason.sentence()),
            None => "The model gave an empty answer.".into(),
        };
        let error = ApiError::server(502, "empty_response", message);
        match self.reason() {
            // Google said it twice: it will say it again.
            Some(_) if self.attempt >= EMPTY_RETRIES => error.with_should_retry(false),
            _ => error,
        }
    }

    /// A call without a name is malformed though Google does not say so.
    fn malformed(&self) -> ApiError {
        match self.seen.reason.as_ref().filter(|reason| reason.class() == Class::Malformed) {
            Some(reason) => {
                ApiError::new(502, ErrorKind::Server, reason.sentence()).with_code(reason.code().unwrap_or_default())
            }
            None => ApiError::server(502, "malformed_function_call", "The model made a malformed function call."),
        }
    }

    /// Not a 5xx: clients would send it again, and it would end the same way.
    fn in_vain(&self) -> ApiError {
        let reason = self.reason();
        let mut error = ApiError::bad_request(reason.as_ref().map(Reason::sentence).unwrap_or_default());
        error.code = reason.and_then(|reason| reason.code()).map(Into::into);
        error.with_should_retry(false)
    }
}
