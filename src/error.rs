//! What a client is told when something fails, before any surface gives it a JSON shape.
//!
//! Start-up errors are another type (`config::ConfigError` and friends): they speak to the operator.

use std::borrow::Cow;
use std::time::Duration;

/// OpenAI's error types, the vocabulary every surface maps from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request itself is wrong: `invalid_request_error`.
    InvalidRequest,
    /// `authentication_error`.
    Authentication,
    /// `permission_error`.
    Permission,
    /// Come back later: `rate_limit_error`.
    RateLimit,
    /// A quota is used up for hours: `insufficient_quota`.
    InsufficientQuota,
    /// Somebody must pay: the same word of OpenAI's, another one of Anthropic's.
    Billing,
    /// Google makes no such picture: `image_generation_user_error`.
    ImageRefused,
    /// Our or Google's trouble: `server_error`.
    Server,
}

impl ErrorKind {
    /// Whether nothing comes back in seconds: the SDKs would wait and try in vain.
    pub fn is_long(self) -> bool {
        matches!(self, ErrorKind::InsufficientQuota | ErrorKind::Billing)
    }

    /// The word in OpenAI's `error.type`.
    pub fn openai_type(self) -> &'static str {
        match self {
            ErrorKind::InvalidRequest => "invalid_request_error",
            ErrorKind::Authentication => "authentication_error",
            ErrorKind::Permission => "permission_error",
            ErrorKind::RateLimit => "rate_limit_error",
            ErrorKind::InsufficientQuota | ErrorKind::Billing => "insufficient_quota",
            ErrorKind::ImageRefused => "image_generation_user_error",
            ErrorKind::Server => "server_error",
        }
    }
}

/// A failure as the client will see it. Build it with a constructor, refine it with the `with_` methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// OpenAI's type.
    pub kind: ErrorKind,
    /// OpenAI's machine-readable code, `None` for JSON null.
    pub code: Option<Cow<'static, str>>,
    /// The request field that is wrong, as a path such as `messages[0].role`.
    pub param: Option<String>,
    /// One sentence for a person. Holds no secret and no prompt.
    pub message: String,
    /// How long to wait, for `Retry-After` and `retry-after-ms`.
    pub retry_after: Option<Duration>,
    /// `x-should-retry`, where the SDKs' own rule would be wrong.
    pub should_retry: Option<bool>,
}

impl ApiError {
    /// Any error; prefer the named constructors.
    pub fn new(status: u16, kind: ErrorKind, message: impl Into<String>) -> ApiError {
        ApiError {
            status,
            kind,
            code: None,
            param: None,
            message: message.into(),
            retry_after: None,
            should_retry: None,
        }
    }

    /// 400 `invalid_request_error` without param and code.
    pub fn bad_request(message: impl Into<String>) -> ApiError {
        ApiError::new(400, ErrorKind::InvalidRequest, message)
    }

    /// 400 for one field: `param` is its path, `code` such as `invalid_value`, `invalid_type`, `unsupported_value`.
    pub fn invalid(param: impl Into<String>, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::bad_request(message).with_param(param).with_code(code)
    }

    /// 5xx `server_error` with a code.
    pub fn server(status: u16, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::new(status, ErrorKind::Server, message).with_code(code)
    }

    /// The memory of the whole program has no room for this now.
    pub fn no_room(what: &str) -> ApiError {
        let sentence = format!("The server has no memory left for {what} of this size; try again in a moment.");
        ApiError::server(503, "overloaded", sentence).with_retry_after(Duration::from_secs(1))
    }

    /// Sets `error.code`.
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> ApiError {
        self.code = Some(code.into());
        self
    }

    /// Sets `error.param`.
    pub fn with_param(mut self, param: impl Into<String>) -> ApiError {
        self.param = Some(param.into());
        self
    }

    /// Sets the wait the client is told.
    pub fn with_retry_after(mut self, wait: Duration) -> ApiError {
        self.retry_after = Some(wait);
        self
    }

    /// Sets `x-should-retry`.
    pub fn with_should_retry(mut self, retry: bool) -> ApiError {
        self.should_retry = Some(retry);
        self
    }

    /// What happened, without how the old program's clients expect Google's errors to begin.
    pub fn said(&self) -> &str {
        self.message.strip_prefix("API request failed: ").unwrap_or(&self.message)
    }

    /// The code as text, if any.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The headers that go with this error on every surface: `Accept-Encoding` where a content coding is not read,
    /// `Retry-After` (whole seconds, rounded up), `retry-after-ms` and `x-should-retry`, all read by the official SDKs (docs/openai-chat.md "Error bodies and
    /// statuses").
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if let Some(wait) = self.retry_after {
            // Rounded up: who comes back a millisecond early is refused again.
            let millis = wait.as_nanos().div_ceil(1_000_000);
            headers.push(("Retry-After", millis.div_ceil(1000).max(1).to_string()));
            headers.push(("retry-after-ms", millis.to_string()));
        }
        if self.status == 415 {
            let read = if cfg!(feature = "codings") { "gzip, deflate, zstd" } else { "identity" };
            headers.push(("Accept-Encoding", read.into()));
        }
        if let Some(retry) = self.should_retry {
            headers.push(("x-should-retry", retry.to_string()));
        }
        headers
    }
}
