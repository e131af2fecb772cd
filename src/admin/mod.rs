//! The admin page and its JSON, made from views that hold no secrets.

mod accounts;
mod import;
mod keys;
mod login;
mod metrics;
mod paged;
mod quota;
mod requests;
mod routes;
mod stats;
mod status;
mod view;

pub use routes::{answer, figures};

use crate::http::{Headers, Request, Response};
use crate::message::Message;
use crate::serve::app::App;
use crate::serve::route::Account;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// The page, compiled in: no build step, no file to install, no request to anybody else. Name, media type, text.
const FILES: [(&str, &str, &str); 19] = [
    ("", HTML, include_str!("../../static/index.html")),
    ("page.css", STYLE, include_str!("../../static/page.css")),
    ("theme.js", SCRIPT, include_str!("../../static/theme.js")),
    ("page.js", SCRIPT, include_str!("../../static/page.js")),
    ("dom.js", SCRIPT, include_str!("../../static/dom.js")),
    ("text.js", SCRIPT, include_str!("../../static/text.js")),
    ("en.js", SCRIPT, include_str!("../../static/en.js")),
    ("zh.js", SCRIPT, include_str!("../../static/zh.js")),
    ("messages.js", SCRIPT, include_str!("../../static/messages.js")),
    ("api.js", SCRIPT, include_str!("../../static/api.js")),
    ("dialog.js", SCRIPT, include_str!("../../static/dialog.js")),
    ("plot.js", SCRIPT, include_str!("../../static/plot.js")),
    ("overview.js", SCRIPT, include_str!("../../static/overview.js")),
    ("credentials.js", SCRIPT, include_str!("../../static/credentials.js")),
    ("add.js", SCRIPT, include_str!("../../static/add.js")),
    ("usage.js", SCRIPT, include_str!("../../static/usage.js")),
    ("keys.js", SCRIPT, include_str!("../../static/keys.js")),
    ("clients.js", SCRIPT, include_str!("../../static/clients.js")),
    ("requests.js", SCRIPT, include_str!("../../static/requests.js")),
];

/// A file of the page by its name under `/static/`, or the page itself for the empty name.
pub fn file(name: &str) -> Option<Response> {
    let (_, media_type, text) = FILES.iter().find(|(known, ..)| *known == name)?;
    Some(harden(Response::new(200, media_type, *text)))
}

/// Connecting and managing credentials, for a caller who may. Blocks on Google where the route takes the long lane.
pub fn account(app: &App, account: &Account, request: &Request) -> Response {
    match account {
        Account::Login => login::begin(app, request),
        Account::Callback => login::callback(app, request),
        Account::StartLogin => login::start(app, request),
        Account::FinishLogin => login::finish(app, request),
        Account::Add => accounts::add(app, request),
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
            app.dispatcher.forget(id);
            Ok(())
        }),
    }
}

/// The answer to a change, given once the change is on disk: what was told to be so survives a crash, and a revoked key
/// stays revoked. If it cannot be written the answer says so, as for the credentials' own file.
pub fn durable(app: &App, mut response: Response) -> Response {
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
    let answer = if is_known { harden(Response::empty(304)) } else { answer };
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

/// A refusal of a request that the page never makes, or in the old program's words.
fn malformed(status: u16, sentence: &str) -> Response {
    Response::json(status, &json!({"detail": sentence}))
}

/// The JSON object of a request's body; if there is none, the old program's answer to that.
fn object(request: &Request) -> Result<serde_json::Map<String, Value>, Response> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_with_all_its_files_stays_below_160_kilobytes() {
        let all: usize = FILES.iter().map(|(_, _, text)| text.len()).sum();
        assert!(all < 160_000, "{all} bytes");
    }

    #[test]
    fn every_file_that_the_page_names_is_there() {
        let named: Vec<&str> = FILES
            .iter()
            .flat_map(|(_, _, text)| text.split('"'))
            .filter_map(|word| word.strip_prefix("static/").or(word.strip_prefix("./")))
            .collect();
        for name in &named {
            assert!(file(name).is_some(), "{name} is named, but not there");
        }
        for (name, ..) in &FILES[1..] {
            assert!(named.contains(name), "{name} is there, but never loaded");
        }
        assert!(file("nothing.js").is_none());
    }
}
