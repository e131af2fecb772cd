//! A plain answer: status, header fields, whole body.

/// An answer that is sent in one piece. Framing headers (`Content-Length`, `Connection`) and `X-Request-ID` are added when it is
/// written; they must not be among `headers`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// 200 to 599.
    pub status: u16,
    /// Header fields; a name or value with control characters is dropped when written (response splitting).
    pub headers: Vec<(String, String)>,
    /// Further fields as they stand in a head, each a `Name: value` with its line end: what many answers have in common is
    /// neither copied nor checked.
    pub fields: &'static str,
    /// The body; not sent to HEAD.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer with a body of the given media type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
        Response { status, body: body.into(), ..Response::default() }.with_header("Content-Type", content_type)
    }

    /// An answer without body and content type.
    pub fn empty(status: u16) -> Response {
        Response { status, ..Response::default() }
    }

    /// JSON.
    pub fn json(status: u16, body: &serde_json::Value) -> Response {
        Response::new(status, "application/json", body.to_string())
    }

    /// HTML.
    pub fn html(status: u16, body: impl Into<Vec<u8>>) -> Response {
        Response::new(status, "text/html; charset=utf-8", body)
    }

    /// Adds a header field.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Response {
        self.headers.push((name.into(), value.into()));
        self
    }
}
