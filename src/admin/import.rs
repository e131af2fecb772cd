//! Adding many credentials at once. All are tried out together for a while; those that Google has not answered for by
//! then are taken on trust, so that the person gets an answer.

use super::accounts::{welcome, with_warning};
use super::{missing, object, refuse};
use crate::credentials::{AddFault, Added, Candidate, Credentials, import, label, untried};
use crate::dispatch;
use crate::http::{CancelToken, Request, Response};
use crate::message::Message;
use crate::serve::app::App;
use crossbeam_channel::{RecvTimeoutError, bounded};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Credentials tried out together.
const TOGETHER: usize = 8;
/// A ureq call through rustls needs up to 192 KiB in debug builds (docs/crates.md "Stacks of threads").
const STACK: usize = 512 * 1024;
/// How soon it is noticed that the client is gone.
const SLICE: Duration = Duration::from_millis(250);

/// `POST /admin/credentials/import`.
pub(super) fn import(app: &App, request: &Request) -> Response {
    let fields = match object(request) {
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
    let tried = try_out(&app.pool, &items, &request.cancel);
    for (at, (item, tried)) in items.into_iter().zip(tried).enumerate() {
        let name = label(&item).unwrap_or_else(|| format!("#{}", at + 1));
        let candidate = match tried {
            // Nobody reads the results, and nobody would know of one that turns out bad.
            None if request.cancel.is_cancelled() => continue,
            None => app.pool.trust(item, Message::new("too_slow")),
            Some(Err(fault)) if fault.passing => app.pool.trust(item, untried(fault)),
            Some(candidate) => candidate,
        };
        results.push(told(&name, candidate.map(|candidate| app.pool.enrol(candidate)), app));
    }
    Response::json(200, &with_warning(app, json!({"results": results})))
}

fn told(name: &str, result: Result<Added, AddFault>, app: &App) -> Value {
    match result {
        Ok(added) => {
            welcome(app, &added);
            let status = if added.updated { "updated" } else { "added" };
            // An account that was not tried out may not say who it is.
            let label = if added.email.is_none() && name.starts_with('#') { name } else { &added.label };
            let doubt = added.doubt.as_ref();
            json!({"label": label, "status": status, "detail": doubt.map(Message::to_string), "told": doubt.map(Message::json)})
        }
        Err(fault) => refused(name, fault.message),
    }
}

fn refused(name: &str, message: Message) -> Value {
    json!({"label": name, "status": "refused", "detail": message.to_string(), "told": message.json()})
}

/// What trying each item out came to; `None` for those that were not done in time.
fn try_out(pool: &Credentials, items: &[Value], cancel: &CancelToken) -> Vec<Option<Result<Candidate, AddFault>>> {
    let end = Instant::now() + pool.timing().import;
    let late = CancelToken::default();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(items.iter().map(|_| None).collect::<Vec<_>>());
    let (done, finished) = bounded::<()>(0);
    thread::scope(|scope| {
        for number in 0..TOGETHER.min(items.len()) {
            let (late, next, results, done) = (&late, &next, &results, done.clone());
            let work = move || {
                let _done = done;
                let _scope = dispatch::watch(late);
                while !late.is_cancelled() {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let result = pool.try_out(item.clone());
                    let was_cut_short = late.is_cancelled() && result.as_ref().is_err_and(|fault| fault.passing);
                    if !was_cut_short {
                        results.lock()[at] = Some(result);
                    }
                }
            };
            let thread = thread::Builder::new().name(format!("import-{number}")).stack_size(STACK);
            if let Err(error) = thread.spawn_scoped(scope, work) {
                log::warn!("admin: no thread to try credentials out: {error}");
            }
        }
        drop(done);
        while finished.recv_timeout(SLICE) == Err(RecvTimeoutError::Timeout) {
            if cancel.is_cancelled() || Instant::now() >= end {
                late.cancel();
            }
        }
    });
    results.into_inner()
}
