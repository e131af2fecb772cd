//! What the client is told when no credential is left to ask, or enough were asked.

use crate::credentials::{Kind, Kinds, Unavailable};
use crate::error::{ApiError, ErrorKind};
use crate::upstream::error::Blame;
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

/// When nobody is left to ask.
pub(super) fn give_up<T>(unavailable: Unavailable, kinds: Kinds, last: Option<Last<T>>) -> Result<T, ApiError> {
    match (unavailable, last) {
        (Unavailable::Cooling(earliest), Some(last)) if last.is_shorter_than(earliest) => last.tell(),
        (Unavailable::Cooling(earliest), _) => Err(all_rest(earliest)),
        (_, Some(last)) => last.tell(),
        (Unavailable::Resting(earliest), None) => {
            let message =
                "No valid credentials available. None of them can serve at the moment; the admin page says why.";
            Err(ApiError::server(503, "no_available_account", message).with_retry_after(earliest))
        }
        (Unavailable::None | Unavailable::AllTried, None) => {
            let what = match (kinds.has(Kind::Oauth), kinds.has(Kind::ApiKey), kinds.has(Kind::Vertex)) {
                (false, true, _) => "This request needs a Gemini API key: add one to `gemini_api_keys`.",
                (false, false, true) => "This request needs Vertex AI: import a service account on the admin page.",
                _ => "Add an API key or an account on the admin page, or run `gemini-openai-proxy auth`.",
            };
            Err(ApiError::server(503, "no_available_account", format!("No valid credentials available. {what}")))
        }
    }
}

fn all_rest(earliest: Duration) -> ApiError {
    let seconds = earliest.as_millis().div_ceil(1000).max(1);
    limited(format!("No valid credentials available. All are resting; the earliest returns in {seconds} s."))
        .with_retry_after(earliest)
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
