//! Why the front refuses requests itself. Before the head of one is judged nobody knows its dialect; the answer then has
//! OpenAI's shape.

use super::Response;
use serde_json::json;
use std::borrow::Cow;

/// Why a request never reaches a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of the answer.
    pub status: u16,
    /// One sentence for the client.
    pub message: Cow<'static, str>,
    /// A word for programs.
    pub code: Option<&'static str>,
}

impl Refusal {
    pub(super) const fn new(status: u16, message: &'static str) -> Refusal {
        Refusal { status, message: Cow::Borrowed(message), code: None }
    }

    pub(super) const fn not_http() -> Refusal {
        let message = "This port speaks plain HTTP, and this is something else: TLS, perhaps, or a PROXY protocol, which \
            server.tls and server.proxy_protocol in config.json are for.";
        Refusal { status: 400, message: Cow::Borrowed(message), code: Some("not_http") }
    }

    pub(super) fn is_of_no_http(&self) -> bool {
        self.code == Some("not_http")
    }

    pub(super) const fn bad_request(message: &'static str) -> Refusal {
        Refusal::new(400, message)
    }

    pub(super) fn too_large(limit: usize) -> Refusal {
        let message = format!("The request body is too large: it may have {limit} bytes.").into();
        Refusal { status: 413, message, code: Some("request_too_large") }
    }

    pub(super) const fn overloaded(message: &'static str) -> Refusal {
        Refusal { status: 503, message: Cow::Borrowed(message), code: Some("overloaded") }
    }

    /// OpenAI's error shape: every SDK can read it, whatever surface it speaks.
    pub fn response(&self) -> Response {
        let kind = if self.status >= 500 { "server_error" } else { "invalid_request_error" };
        let body = json!({"error": {"message": self.message, "type": kind, "param": null, "code": self.code}});
        let response = Response::json(self.status, &body).with_header("Access-Control-Allow-Origin", "*");
        match self.status {
            405 => response.with_header("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            503 => response.with_header("Retry-After", "1"),
            _ => response,
        }
    }
}

/// What a client is told when its handler panicked or never answered. Who may read it (CORS) is what the handler has said
/// by then.
pub(super) fn internal_error() -> Response {
    let body = json!({"error": {"message": "An internal server error occurred.", "type": "internal_error"}});
    Response::json(500, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_shape_that_sdks_read() {
        let response = Refusal::too_large(1000).response();
        assert_eq!(response.status, 413);
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        let message = "The request body is too large: it may have 1000 bytes.";
        let expected = json!({"error": {"message": message, "type": "invalid_request_error", "param": null,
            "code": "request_too_large"}});
        assert_eq!(body, expected);
    }

    #[test]
    fn an_overload_says_when_to_come_back() {
        let response = Refusal::overloaded("busy").response();
        assert!(response.headers.contains(&("Retry-After".into(), "1".into())));
        assert!(String::from_utf8(response.body).unwrap().contains("server_error"));
    }
}
