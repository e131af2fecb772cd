//! Adding many credentials at once. All are tried out together for a while; those that Google has not answered for by
//! then are taken on trust, so that the person gets an answer.

use super::accounts::{welcome, with_warning};
use super::together::together;
use super::{known_fields, missing, refuse};
use crate::credentials::{AddFault, Added, import, label, untried};
use crate::http::{Request, Response};
use crate::message::Message;
use crate::serve::app::App;
use serde_json::{Value, json};

/// `POST /admin/credentials/import`.
pub(super) fn import(app: &App, request: &Request) -> Response {
    let fields = match known_fields(request, &["text"]) {
        Ok(fields) => fields,
        Err(refusal) => return refusal,
    };
    let Some(text) = fields.get("text").and_then(Value::as_str) else { return missing(["body", "text"]) };
    let items = match import::items(text) {
        Ok(items) => items,
        Err(message) => return refuse(400, &message),
    };
    let mut results: Vec<Value> =
        items.iter().filter_map(|item| Some(refused("", item.as_ref().err()?.clone()))).collect();
    let items: Vec<Value> = items.into_iter().flatten().collect();
    let tried = together(&items, &request.cancel, app.pool.timing().import, |item, late| {
        let result = app.pool.try_out(item.clone());
        let was_cut_short = late.is_cancelled() && result.as_ref().is_err_and(|fault| fault.passing);
        (!was_cut_short).then_some(result)
    });
    let mut joined = Vec::new();
    for (at, (item, tried)) in items.into_iter().zip(tried).enumerate() {
        let name = label(&item).unwrap_or_else(|| format!("#{}", at + 1));
        let candidate = match tried {
            // Nobody reads the results, and nobody would know of one that turns out bad.
            None if request.cancel.is_cancelled() => continue,
            None => app.pool.trust(item, Message::new("too_slow")),
            Some(Err(fault)) if fault.passing => app.pool.trust(item, untried(fault)),
            Some(candidate) => candidate,
        };
        let result = candidate.and_then(|candidate| app.pool.enrol_unwritten(candidate));
        results.push(told(&name, &result));
        joined.extend(result);
    }
    welcome(app, &joined);
    // Once for all of them: the file is written as a whole.
    app.pool.poll_file();
    Response::json(200, &with_warning(app, json!({"results": results})))
}

fn told(name: &str, result: &Result<Added, AddFault>) -> Value {
    match result {
        Ok(added) => {
            let status = if added.updated { "updated" } else { "added" };
            // An account that was not tried out may not say who it is.
            let label = if added.email.is_none() && name.starts_with('#') { name } else { added.label.as_str() };
            let doubt = added.doubt.as_ref();
            json!({"label": label, "status": status, "detail": doubt.map(Message::to_string), "told": doubt.map(Message::json)})
        }
        Err(fault) => refused(name, fault.message.clone()),
    }
}

fn refused(name: &str, message: Message) -> Value {
    json!({"label": name, "status": "refused", "detail": message.to_string(), "told": message.json()})
}
