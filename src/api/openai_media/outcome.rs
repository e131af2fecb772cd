//! Why an answer holds nothing that was asked for: Google's reason, for the client.

use crate::conversation::answer::Reason;
use crate::error::{ApiError, ErrorKind};
use crate::gemini::{ModalityCount, Response, UsageMetadata};

/// What an answer says about itself, gathered over its events.
#[derive(Default)]
pub(super) struct Outcome {
    /// Why the prompt was blocked.
    blocked: Option<Reason>,
    /// The last finish reason.
    finish: Option<Reason>,
    /// Token counts of this call.
    pub usage: UsageMetadata,
}

impl Outcome {
    /// Takes one event.
    pub fn event(&mut self, event: &Response<'_>) {
        if let Some(usage) = &event.usage_metadata {
            self.usage.merge(usage);
        }
        let feedback = event.prompt_feedback.as_ref();
        if let Some((feedback, word)) = feedback.and_then(|told| Some((told, told.word()?))) {
            self.blocked = Some(Reason::read(word, feedback.block_reason_message.as_deref()));
        }
        let word =
            event.candidates.first().and_then(|candidate| Some((candidate, candidate.finish_reason.as_deref()?)));
        if let Some((candidate, word)) = word.filter(|(_, word)| !word.is_empty()) {
            self.finish = Some(Reason::read(word, candidate.finish_message.as_deref()));
        }
    }

    fn word(&self) -> Option<&str> {
        self.finish.as_ref().map(|reason| &*reason.finish_reason)
    }

    /// Whether Google said that the answer is complete.
    pub fn has_ended(&self) -> bool {
        self.finish.is_some() || self.blocked.is_some()
    }

    /// Whether it ended well.
    pub fn is_good(&self) -> bool {
        self.blocked.is_none() && matches!(self.word(), Some("STOP" | "MAX_TOKENS"))
    }

    /// Why there is nothing of `what`; `said` is what the model wrote instead.
    pub fn failure(&self, what: &str, kind: ErrorKind, said: &str) -> ApiError {
        let said = said.trim();
        let reason = self.blocked.as_ref().or_else(|| {
            let is_plain = matches!(self.word(), Some("STOP" | "MAX_TOKENS" | "OTHER"));
            self.finish.as_ref().filter(|_| !is_plain)
        });
        match reason {
            Some(reason) => ApiError::new(400, kind, reason.sentence()).with_code("moderation_blocked"),
            None if !said.is_empty() => {
                let said: String = said.chars().take(2000).collect();
                ApiError::new(400, kind, format!("The model made no {what}, but wrote: {said}")).with_code("no_media")
            }
            None if self.has_ended() => {
                ApiError::server(502, "empty_response", format!("The model made no {what}. Please try again."))
            }
            None => ApiError::server(502, "upstream_incomplete", "The answer ended before it was complete."),
        }
    }
}

/// Whether another attempt could bring what the first one did not.
pub(super) fn is_worth_repeating(error: &ApiError) -> bool {
    matches!(error.code(), Some("empty_response" | "upstream_incomplete"))
}

/// The tokens of one modality.
pub(super) fn of(usage: &[ModalityCount], modality: &str) -> u64 {
    usage.iter().filter(|count| count.modality == modality).filter_map(|count| count.token_count).sum()
}
