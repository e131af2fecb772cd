//! Changes of many credentials or keys at once: of those that are named, or of all that a list's query finds.

use super::accounts::with_warning;
use super::paged::{self, Page};
use super::together::together;
use super::{known_fields, left_out, malformed, refuse};
use crate::credentials::{BulkEdit as PoolEdit, CredentialId};
use crate::http::{Request, Response};
use crate::keys::{BulkDone, BulkEdit as KeyEdit};
use crate::message::Message;
use crate::serve::app::App;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

/// Ids that one request may name; a query may find any number.
const MOST_IDS: usize = 1000;
/// Of those that did not work so many are told of one by one.
const TOLD: usize = 100;
/// How long checks may take together.
const CHECKING: Duration = Duration::from_secs(60);

/// What is to happen to which.
struct Bulk {
    action: String,
    ids: Vec<String>,
}

impl Bulk {
    /// Reads `{"action", "ids"}`, or `{"action", "expect"}` with the query of the list: `expect` is how many the person saw,
    /// and if it is another number now nothing happens.
    fn of(request: &Request, all: impl FnOnce(&Page) -> Vec<String>) -> Result<Bulk, Response> {
        let mut fields = known_fields(request, &["action", "ids", "expect"])?;
        let Some(Value::String(action)) = fields.get_mut("action").map(Value::take) else {
            return Err(malformed(422, "action: expected a word"));
        };
        let ids = match (fields.get_mut("ids").map(Value::take), Page::of(&request.query)?) {
            (Some(Value::Array(ids)), _) if ids.len() <= MOST_IDS => {
                let ids = ids.into_iter().map(|id| if let Value::String(id) = id { Some(id) } else { None });
                ids.collect::<Option<Vec<_>>>().ok_or_else(|| malformed(422, "ids: expected texts"))?
            }
            (None, Some(page)) => {
                let ids = all(&page);
                if fields.get("expect").and_then(Value::as_u64) != Some(ids.len() as u64) {
                    return Err(refuse(409, &Message::new("bulk_changed").with("found", ids.len())));
                }
                ids
            }
            _ => return Err(malformed(422, "expected a list of at most 1000 ids, or a query and expect")),
        };
        Ok(Bulk { action, ids })
    }

    fn unknown(&self) -> Response {
        malformed(422, &format!("action: {:?} is not known here", self.action))
    }
}

/// What was done, and what did not work and why.
fn report(done: usize, failed: Vec<(String, Message)>) -> Value {
    let one =
        |(id, message): &(String, Message)| json!({"name": id, "detail": message.to_string(), "told": message.json()});
    json!({"status": "success", "message": "bulk", "done": done, "failed": failed.len(),
        "failures": failed.iter().take(TOLD).map(one).collect::<Vec<_>>()})
}

/// `POST /admin/credentials/bulk`: `enable`, `disable`, `reset`, `delete` or `check`.
pub(super) fn credentials(app: &App, request: &Request) -> Response {
    if let Some(refusal) = left_out() {
        return refusal;
    }
    let bulk = match Bulk::of(request, |page| paged::credential_ids(&app.pool.views(), page)) {
        Ok(bulk) => bulk,
        Err(refusal) => return refusal,
    };
    let mut failed = Vec::new();
    let mut ids: Vec<(CredentialId, String)> = Vec::new();
    for name in &bulk.ids {
        match app.pool.find(name) {
            Some(id) => ids.push((id, name.clone())),
            None => failed.push((name.clone(), Message::new("bulk_gone"))),
        }
    }
    let found = ids.len();
    let edit = match bulk.action.as_str() {
        "check" => {
            let checks = together(&ids, &request.cancel, CHECKING, |(id, _), late| {
                app.pool.check(*id).ok().filter(|_| !late.is_cancelled())
            });
            for ((_, name), check) in ids.into_iter().zip(checks) {
                match check {
                    Some(check) if check.healthy => {}
                    Some(check) => failed.push((name, check.message)),
                    None => failed.push((name, Message::new("bulk_late"))),
                }
            }
            return Response::json(200, &report(bulk.ids.len() - failed.len(), failed));
        }
        "enable" => PoolEdit::Enable,
        "disable" => PoolEdit::Disable,
        "reset" => PoolEdit::Reset,
        "delete" => PoolEdit::Remove,
        _ => return bulk.unknown(),
    };
    let pool_ids: Vec<CredentialId> = ids.iter().map(|(id, _)| *id).collect();
    let results = app.pool.change_all(&pool_ids, edit);
    let unknown = failed.len();
    if edit == PoolEdit::Reset {
        app.dispatcher.forget(&pool_ids.into_iter().collect());
    }
    for ((_, name), result) in ids.into_iter().zip(results) {
        if let Err(fault) = result {
            failed.push((name, fault.message()));
        }
    }
    let done = found + unknown - failed.len();
    log::info!("admin: {} for {done} credentials, {} failed", bulk.action, failed.len());
    Response::json(200, &with_warning(app, report(done, failed)))
}

/// `POST /admin/keys/bulk`: `enable`, `disable` or `delete`.
pub(super) fn keys(app: &App, request: &Request) -> Response {
    if let Some(refusal) = left_out() {
        return refusal;
    }
    let bulk = match Bulk::of(request, |page| paged::key_ids(&app.keys, page)) {
        Ok(bulk) => bulk,
        Err(refusal) => return refusal,
    };
    let edit = match bulk.action.as_str() {
        "enable" => KeyEdit::Enable,
        "disable" => KeyEdit::Disable,
        "delete" => KeyEdit::Delete,
        _ => return bulk.unknown(),
    };
    let wanted: HashSet<&str> = bulk.ids.iter().map(String::as_str).collect();
    let BulkDone { changed, of_config, failed } = app.keys.change_all(|key| wanted.contains(key.id().as_str()), edit);
    if let (true, Some((_, message))) = (changed.is_empty(), failed.first()) {
        return refuse(503, message);
    }
    if edit == KeyEdit::Delete {
        changed.iter().for_each(|key| app.usage.forget_key(key.mark.number()));
    }
    let known = changed.iter().chain(&of_config).chain(failed.iter().map(|(key, _)| key));
    let known: HashSet<String> = known.map(|key| key.id()).collect();
    let gone = bulk.ids.iter().filter(|id| !known.contains(*id)).map(|id| (id.clone(), Message::new("bulk_gone")));
    let of_config = of_config.iter().map(|key| (key.name.to_string(), Message::new("key_in_config")));
    let failed = failed.into_iter().map(|(key, message)| (key.name.to_string(), message));
    let failed = of_config.chain(failed).chain(gone).collect();
    log::info!("admin: {} for {} keys", bulk.action, changed.len());
    Response::json(200, &report(changed.len(), failed))
}
