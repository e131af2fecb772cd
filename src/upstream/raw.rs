//! The raw pass-through of the native surface: method, path, some headers and the body go to the public API, the reply
//! comes back as it is. Uploads and downloads are streamed by the caller through the reply's reader.

use super::error::{Fault, Refusal};
use super::round_trip;
use crate::credentials::Access;
use percent_encoding::percent_decode_str;
use std::io::{Cursor, Read};
use ureq::{Agent, http};

/// Request headers that reach Google. Everything else, above all the client's own key, stays here.
const REQUEST_HEADERS: &[&str] = &[
    "accept",
    "content-type",
    "if-match",
    "if-none-match",
    "range",
    "x-goog-fieldmask",
    "x-goog-upload-command",
    "x-goog-upload-content-type",
    "x-goog-upload-file-name",
    "x-goog-upload-header-content-length",
    "x-goog-upload-header-content-type",
    "x-goog-upload-offset",
    "x-goog-upload-protocol",
    "x-http-method-override",
];

/// Reply headers that reach the client.
const REPLY_HEADERS: &[&str] = &[
    "accept-ranges",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    crate::gemini::Tier::HEADER,
    "x-goog-upload-chunk-granularity",
    "x-goog-upload-control-url",
    "x-goog-upload-header-content-length",
    "x-goog-upload-size-received",
    "x-goog-upload-status",
    "x-goog-upload-url",
];

/// A request to pass on.
#[derive(Clone, Copy, Debug)]
pub struct RawRequest<'a> {
    /// Upper case.
    pub method: &'a str,
    /// Begins with `/`, still encoded.
    pub path: &'a str,
    /// Still encoded, without `?`; `key` is taken out.
    pub query: &'a str,
    /// The client's headers; only those on a list are sent.
    pub headers: &'a crate::http::Headers,
    /// The body.
    pub body: &'a [u8],
}

/// A reply of any status.
pub struct RawReply {
    /// HTTP status.
    pub status: u16,
    /// Those on a list.
    pub headers: Vec<(String, String)>,
    /// The body, as it comes.
    pub reader: Box<dyn Read + Send>,
}

impl std::fmt::Debug for RawReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawReply").field("status", &self.status).field("headers", &self.headers).finish()
    }
}

impl RawReply {
    /// What an error reply means, and the reply with its body in memory.
    pub fn refusal(self) -> (Fault, RawReply) {
        let RawReply { status, mut headers, reader } = self;
        let mut body = Vec::new();
        // What came before a break is enough.
        let _ = reader.take(1 << 20).read_to_end(&mut body);
        headers.retain(|(name, _)| name != "content-length");
        let fault = Refusal::read(status, &body, None).fault();
        (fault, RawReply { status, headers, reader: Box::new(Cursor::new(body)) })
    }
}

pub(super) fn send(agent: &Agent, base: &str, access: &Access, request: &RawRequest<'_>) -> Result<RawReply, Fault> {
    let query = without_key(request.query);
    let mark = if query.is_empty() { "" } else { "?" };
    let url = format!("{base}{}{mark}{query}", request.path);
    let is_sent = |name: &str| REQUEST_HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name));
    let build = || {
        let built = http::Request::builder().method(request.method).uri(&url);
        let own = request.headers.iter().filter(|(name, _)| is_sent(name));
        let built = own.fold(built, |built, (name, value)| built.header(name, value));
        let built = built.header("x-goog-api-key", access.secret.expose()).body(request.body);
        built.map_err(|error| Fault::Invalid(format!("request cannot be passed on: {error}")))
    };
    let response = round_trip::send(agent, build, None)?;
    let headers = response
        .headers()
        .iter()
        .filter(|(name, _)| REPLY_HEADERS.contains(&name.as_str()))
        .filter_map(|(name, value)| Some((name.as_str().to_string(), value.to_str().ok()?.to_string())))
        .collect();
    Ok(RawReply { status: response.status().as_u16(), headers, reader: Box::new(response.into_body().into_reader()) })
}

/// The query without the client's key for us, however its name is written: the guard decodes names, too.
fn without_key(query: &str) -> String {
    let name = |pair: &str| percent_decode_str(pair.split('=').next().unwrap_or("")).decode_utf8_lossy().into_owned();
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty() && name(pair) != "key").collect();
    kept.join("&")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_clients_key_is_taken_out_of_the_query() {
        for (query, expected) in [
            ("", ""),
            ("key=secret", ""),
            ("a=1&key=secret&b=2", "a=1&b=2"),
            ("monkey=1&keys=2", "monkey=1&keys=2"),
            ("key&a", "a"),
            ("%6Bey=secret&a=key", "a=key"),
        ] {
            assert_eq!(super::without_key(query), expected);
        }
    }
}
