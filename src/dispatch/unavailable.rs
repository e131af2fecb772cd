//! What the client is told when no credential is left to ask, or enough were asked.

use crate::credentials::{Kind, Kinds, Unavailable};
use crate::error::{ApiError, ErrorKind};
use crate::upstream::error::{Blame, resting};
use std::time::Duration;

/// The last failure of a request.
pub(super) struct Last<T> {
    pub blame: Blame,
    pub error: ApiError,
    /// The failure as an answer of Google's, where the client can be given that.
    pub reply: Option<T>,
}

impl<T> Last<T> {
    /// Google's own answer if there is one, unless it speaks about the credential.
    pub fn tell(self) -> Result<T, ApiError> {
        match self.reply {
            Some(reply) if self.blame != Blame::Credential => Ok(reply),
            _ => Err(self.error),
        }
    }

    /// Whether it says how things are: a failure that lasts longer than the rest of another credential says too much.
    fn is_shorter_than(&self, rest: Duration) -> bool {
        let rest = rest + Duration::from_secs(1);
        self.blame != Blame::Credential && self.error.retry_after.is_none_or(|wait| wait <= rest)
    }
}

/// When nobody is left to ask; `reason` finds the word for it.
pub(super) fn give_up<T>(
    unavailable: Unavailable,
    kinds: Kinds,
    reason: impl FnOnce() -> Option<String>,
    last: Option<Last<T>>,
) -> Result<T, ApiError> {
    match (unavailable, last) {
        (Unavailable::Cooling(earliest), Some(last)) if last.is_shorter_than(earliest) => last.tell(),
        (Unavailable::Cooling(earliest), _) => Err(all_rest(earliest, reason())),
        (_, Some(last)) => last.tell(),
        (Unavailable::Resting(earliest), None) => Err({
            let error = nobody(reason(), "the admin page says why");
            let is_passing = error.status == 429 || error.status == 503;
            if is_passing { error.with_retry_after(earliest) } else { error }
        }),
        (Unavailable::None | Unavailable::AllTried, None) => {
            let what = match (kinds.has(Kind::Oauth), kinds.has(Kind::ApiKey), kinds.has(Kind::Vertex)) {
                (false, true, _) => "This request needs a Gemini API key: add one to `gemini_api_keys`.",
                (false, false, true) => "This request needs Vertex AI: import a service account on the admin page.",
                _ => "Add an API key or an account on the admin page, or run `gemini-openai-proxy auth`.",
            };
            Err(match reason() {
                Some(reason) => nobody(Some(reason), "a person must act, as the admin page says"),
                None => {
                    ApiError::server(503, "no_available_account", format!("No valid credentials available. {what}"))
                }
            })
        }
    }
}

/// When none can serve for another reason than a limit: what the failure itself was told as, where its word is known.
fn nobody(reason: Option<String>, advice: &str) -> ApiError {
    match reason.as_deref().map(|word| (word, resting(word))) {
        Some((_, Some(mut error))) => {
            error.message = format!("No valid credentials available. {} None of them can serve now.", error.message);
            error
        }
        Some((word, None)) => {
            let message =
                format!("No valid credentials available. None of them can serve at the moment ({word}); {advice}.");
            ApiError::server(503, "no_available_account", message)
        }
        None => {
            let message = format!("No valid credentials available. None of them can serve at the moment; {advice}.");
            ApiError::server(503, "no_available_account", message)
        }
    }
}

/// Money and long quotas are told as such; the SDKs would wait for other limits.
fn all_rest(earliest: Duration, reason: Option<String>) -> ApiError {
    let seconds = earliest.as_millis().div_ceil(1000).max(1);
    let rest = format!("All are resting; the earliest returns in {seconds} s.");
    match reason.as_deref().and_then(resting).filter(|error| error.kind.is_long()) {
        Some(error) => {
            let message = format!("No valid credentials available. {} {rest}", error.message);
            ApiError { message, ..error }.with_retry_after(earliest)
        }
        None => limited(format!("No valid credentials available. {rest}")).with_retry_after(earliest),
    }
}

fn limited(message: String) -> ApiError {
    ApiError::new(429, ErrorKind::RateLimit, message).with_code("rate_limit_exceeded")
}

/// When enough credentials were asked. Those rest now, so the same request may be answered by the next ones at once.
pub(super) fn others_are_left<T>(asked: u32, last: Option<&Last<T>>) -> ApiError {
    let mut message = format!("No valid credentials available. {asked} were asked and none could serve this request");
    if let Some(last) = last {
        message = format!("{message}; the last failure: {}", last.error.message);
    }
    let error = match last {
        Some(Last { error, .. }) if error.status == 429 => limited(message),
        _ => ApiError::server(503, "no_available_account", message),
    };
    error.with_retry_after(Duration::from_secs(1))
}
