//! The admin page and its JSON, made from views that hold no secrets.

mod accounts;
mod bulk;
mod import;
mod keys;
mod login;
mod metrics;
mod models;
mod paged;
mod quota;
mod requests;
mod routes;
pub mod sign_in;
mod stats;
mod status;
mod together;
mod view;

pub use accounts::unsaved;
pub use routes::{answer, figures};

use crate::config::no_such_field;
use crate::http::{Headers, Request, Response};
use crate::message::Message;
use crate::page;
use crate::serve::app::App;
use crate::serve::route::Account;
use crate::store::Cursor;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// For good: another file has another name.
const FOREVER: &str = "private, max-age=31536000, immutable";
const NEVER: &str = "no-store";

/// The last change of which a client knows.
const STORE_CURSOR: &str = "X-Store-Cursor";

/// A file of the page by its name under `/static/`, maybe behind the folder that is named by what the files hold; or the
/// page itself for the empty name.
pub fn file(name: &str, headers: &Headers) -> Option<Response> {
    let (cached, name) = match name.strip_prefix(page::version()).and_then(|rest| rest.strip_prefix('/')) {
        Some(name) => (FOREVER, name),
        None if name.is_empty() => (NEVER, "index.html"),
        None => (NEVER, name),
    };
    let media_type = match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "text/html; charset=utf-8",
    };
    let compressed = page::compressed(name)?;
    let answer = match takes_gzip(headers) {
        true => Response::new(200, media_type, compressed).with_header("Content-Encoding", "gzip"),
        false => Response::new(200, media_type, page::text(name)),
    };
    Some(guarded(answer).with_header("Cache-Control", cached).with_header("Vary", "Accept-Encoding"))
}

/// Whoever says nothing gets what every program can read.
fn takes_gzip(headers: &Headers) -> bool {
    let codings = || headers.all("accept-encoding").flat_map(|value| value.split(','));
    let named = |wanted: &str| {
        codings().find_map(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
            name.trim().eq_ignore_ascii_case(wanted).then_some(weight.is_ok_and(|weight| weight > 0.0))
        })
    };
    named("gzip").or_else(|| named("*")).unwrap_or(false)
}

/// Connecting and managing credentials, for a caller who may. Blocks on Google where the route takes the long lane.
pub fn account(app: &App, account: &Account, request: &Request) -> Response {
    match account {
        Account::Login => login::begin(app, request),
        Account::Callback => login::callback(app, request),
        Account::StartLogin => login::start(app, request),
        Account::FinishLogin => login::finish(app, request),
        Account::Add => accounts::add(app, request),
        Account::Bulk => bulk::credentials(app, request),
        Account::Import => import::import(app, request),
        Account::Credential(id) if request.method == "DELETE" => accounts::remove(app, id),
        Account::Credential(id) => accounts::change(app, id, request),
        Account::Check(id) => accounts::check(app, id),
        Account::Quota(id) => quota::quota(&app.pool, id),
        Account::Refresh(id) => accounts::refresh(app, id),
        Account::Enable(id) => accounts::manage(app, id, "credential_enabled", |pool, id| pool.enable(id)),
        Account::Disable(id) => accounts::manage(app, id, "credential_disabled", |pool, id| pool.disable(id)),
        Account::Reset(id) => accounts::manage(app, id, "credential_reset", |pool, id| {
            pool.reset(id)?;
            app.dispatcher.forget(&[id].into());
            Ok(())
        }),
    }
}

/// Waits until this replica knows of the change that the client was told of last, by whichever one.
pub fn catch_up(app: &App, request: &Request) {
    let told = || request.headers.get(STORE_CURSOR).and_then(Cursor::parse);
    if let Some((replicas, told)) = app.replicas.as_ref().and_then(|replicas| Some((replicas, told()?))) {
        replicas.wait_for(told);
    }
}

/// The answer to a change, given once the change is on disk: what was told to be so survives a crash, and a revoked key
/// stays revoked. If it cannot be written the answer says so, as for the credentials' own file.
pub fn durable(app: &App, mut response: Response) -> Response {
    if let Some(replicas) = &app.replicas {
        response = response.with_header(STORE_CURSOR, replicas.cursor().to_string());
    }
    if app.state.save().is_ok() {
        return response;
    }
    if let (200..=299, Ok(Value::Object(mut answer))) = (response.status, serde_json::from_slice(&response.body)) {
        if !answer.contains_key("warning") {
            let warning = Message::new("state_readonly");
            answer.insert("warning".into(), warning.to_string().into());
            answer.insert("told".into(), warning.json());
        }
        response.body = Value::Object(answer).to_string().into_bytes();
    }
    response
}

/// The answer to a poll, or 304 when the page has it already.
pub fn unless_known(headers: &Headers, answer: Response) -> Response {
    if answer.status != 200 {
        return answer;
    }
    let digest = Sha256::digest(&answer.body);
    let tag = format!("\"{}\"", digest[..12].iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let is_known = headers.get("if-none-match") == Some(&tag);
    let answer = if is_known { Response { status: 304, body: Vec::new(), ..answer } } else { answer };
    answer.with_header("ETag", tag)
}

/// An array in which one item is a tree at a time.
fn joined(items: impl Iterator<Item = Value>) -> String {
    let mut text = String::from("[");
    for item in items {
        let _ = write!(text, "{}{item}", if text.len() > 1 { "," } else { "" });
    }
    text.push(']');
    text
}

/// A refusal that a person on the page can meet.
fn refuse(status: u16, message: &Message) -> Response {
    Response::json(status, &json!({"detail": message.to_string(), "told": message.json()}))
}

/// The answer where this program was built without what is asked for; `None` where it has it. A constant, so that nothing
/// behind it is compiled in.
#[inline(always)]
fn left_out() -> Option<Response> {
    match cfg!(feature = "console") {
        true => None,
        false => Some(malformed(501, "this program was built without its feature `console`")),
    }
}

/// A refusal of a request that the page never makes, or in the old program's words.
fn malformed(status: u16, sentence: &str) -> Response {
    Response::json(status, &json!({"detail": sentence}))
}

/// The JSON object of a request's body with no other fields than these: whoever misspells a field of a change is not told that it was made.
fn known_fields(request: &Request, known: &[&str]) -> Result<Map<String, Value>, Response> {
    let fields = object(request)?;
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(fields),
        Some(name) => Err(malformed(422, &no_such_field(name, known))),
    }
}

/// The JSON object of a request's body; if there is none, the old program's answer to that.
fn object(request: &Request) -> Result<Map<String, Value>, Response> {
    let wrong = |kind: &str, place: Value, message: &str| {
        let detail = json!([{"type": kind, "loc": place, "msg": message, "input": null}]);
        Err(Response::json(422, &json!({"detail": detail})))
    };
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => wrong("model_attributes_type", json!(["body"]), "Input should be a valid dictionary or object"),
        Err(error) => wrong("json_invalid", json!(["body", error.column()]), "JSON decode error"),
    }
}

/// As the old program said that a field is missing.
fn missing(place: [&str; 2]) -> Response {
    let detail = json!([{"type": "missing", "loc": place, "msg": "Field required", "input": null}]);
    Response::json(422, &json!({"detail": detail}))
}

/// Headers that keep the page to itself: nothing from elsewhere, no framing, no guessing of types, no caching.
pub fn harden(response: Response) -> Response {
    guarded(response).with_header("Cache-Control", NEVER)
}

fn guarded(response: Response) -> Response {
    response
        .with_header(
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
             media-src blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        )
        .with_header("X-Content-Type-Options", "nosniff")
        .with_header("X-Frame-Options", "DENY")
        .with_header("Referrer-Policy", "no-referrer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_goes_to_whoever_takes_it() {
        for (accepted, expected) in [
            (None, false),
            (Some(""), false),
            (Some("gzip, deflate, br, zstd"), true),
            (Some("br;q=1.0, GZIP;q=0.5"), true),
            (Some("gzip;q=0, *"), false),
            (Some("identity, *;q=0.1"), true),
            (Some("*;q=0"), false),
            (Some("deflate"), false),
        ] {
            let mut headers = Headers::default();
            accepted.into_iter().for_each(|value| headers.push("Accept-Encoding", value));
            let answer = file("dom.js", &headers).unwrap();
            assert_eq!(answer.headers.iter().any(|(name, _)| name == "Content-Encoding"), expected, "{accepted:?}");
            assert_eq!(answer.body.starts_with(b"const SVG"), !expected, "{accepted:?}");
        }
    }

    #[test]
    fn what_is_named_by_its_content_is_kept_for_good_and_nothing_else() {
        let headers = Headers::default();
        let cached = |name: &str| {
            let answer = file(name, &headers)?;
            answer.headers.into_iter().find(|(name, _)| name == "Cache-Control").map(|(_, value)| value)
        };
        assert_eq!(cached(&format!("{}/page.css", page::version())).as_deref(), Some(FOREVER));
        for name in ["", "page.css"] {
            assert_eq!(cached(name).as_deref(), Some(NEVER), "{name}");
        }
        for name in ["0123456789abcdef/page.css", "nothing.js", &format!("{}/", page::version())] {
            assert_eq!(cached(name), None, "{name}");
        }
    }
}
