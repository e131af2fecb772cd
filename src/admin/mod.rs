//! The admin page and its JSON, made from views that hold no secrets.

mod quota;
mod view;

pub use quota::quota;
pub use view::credentials;
pub(crate) use view::date;

use crate::http::Response;

/// The page, compiled in: no build step, no file to install, no request to anybody else.
const PAGE: &str = include_str!("../../static/index.html");
const SCRIPT: &str = include_str!("../../static/page.js");
const STYLE: &str = include_str!("../../static/page.css");

/// A file of the page by its name under `/static/`, or the page itself for the empty name.
pub fn file(name: &str) -> Option<Response> {
    let (media_type, text) = match name {
        "" => ("text/html; charset=utf-8", PAGE),
        "page.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "page.css" => ("text/css; charset=utf-8", STYLE),
        _ => return None,
    };
    Some(harden(Response::new(200, media_type, text)))
}

/// Headers that keep the page to itself: nothing from elsewhere, no framing, no guessing of types, no caching.
pub fn harden(response: Response) -> Response {
    response
        .with_header(
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
             base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        )
        .with_header("X-Content-Type-Options", "nosniff")
        .with_header("X-Frame-Options", "DENY")
        .with_header("Referrer-Policy", "no-referrer")
        .with_header("Cache-Control", "no-store")
}
