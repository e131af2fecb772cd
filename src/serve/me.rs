//! The page of who holds a client key, `/me`: its files are open to everybody, and what it shows is told to the key alone, in
//! `/me/status`. Cargo feature `ledger`.

use crate::api::models;
use crate::calendar;
use crate::http::{Request, Response};
use crate::keys::{Allowance, Key, Used};
use crate::serve::app::App;
use crate::usage::{Counts, Table, dollars, most_first, sum_by};
use serde_json::{Value, json};
use std::time::SystemTime;

/// Scripts of the admin page that this one uses, beside its own.
const SCRIPTS: [&str; 11] = [
    "me.js",
    "theme.js",
    "frame.js",
    "dom.js",
    "text.js",
    "en.js",
    "zh.js",
    "messages.js",
    "dialog.js",
    "api.js",
    "clients.js",
];

/// Whether the page loads this file, so that it is open to everybody.
pub(super) fn loads(name: &str) -> bool {
    SCRIPTS
        .iter()
        .any(|script| name.strip_suffix(script).is_some_and(|folder| folder.is_empty() || folder.ends_with('/')))
}

/// `GET /me/status`: what the key that is presented may see, which is what is its own.
pub(super) fn status(app: &App, request: &Request) -> Response {
    let key = match app.guard.client(request) {
        Ok(key) => key,
        Err(error) => {
            if error.status == 401 {
                app.usage.note_wrong_key();
            }
            let response = Response::json(error.status, &json!({"detail": error.message}));
            return error
                .headers()
                .into_iter()
                .fold(response, |response, (name, value)| response.with_header(name, value));
        }
    };
    Response::json(200, &own(app, &key))
}

fn own(app: &App, key: &Key) -> Value {
    let (snapshot, used, mark) = (app.usage.snapshot(), key.used(), key.mark.to_string());
    let month = calendar::first_of_month(calendar::day(snapshot.now));
    let tables = || snapshot.days.iter().filter(|(day, _)| *day >= month);
    let rows = |table: &Table| table.rows().iter().filter(|(line, _)| line.key == mark).cloned().collect::<Vec<_>>();
    let all: Vec<_> = tables().flat_map(|(_, table)| rows(table)).collect();
    let mut by_model = sum_by(&all, |line| &line.model);
    by_model.retain(|(_, counts)| counts.admitted() > 0);
    most_first(&mut by_model, |counts| (counts.cost, counts.admitted()));
    let days = tables().rev().filter_map(|(day, table)| {
        let rows = rows(table);
        let (_, counts) = sum_by(&rows, |_| "").pop().filter(|(_, counts)| counts.admitted() > 0)?;
        Some(counted("day", &calendar::day_text(*day), &counts))
    });
    let refused: u64 = all.iter().map(|(_, counts)| counts.own_refusals()).sum();
    let may_use = |id: &&str| key.may_use(id, &app.models);
    let listed = models::openai_list(&app.models);
    let listed = listed["data"].as_array().into_iter().flatten().filter_map(|model| model["id"].as_str());
    json!({
        "now": calendar::iso(SystemTime::now()),
        "name": *key.name,
        "masked": *key.masked,
        "expires_at": key.limits.expires_at.map(calendar::iso),
        "limits": key.limits.json(),
        "allowances": key.allowances().iter().map(allowance).collect::<Vec<_>>(),
        "today": figures(&used.today),
        "month": figures(&used.month),
        "refused": refused,
        "by_model": by_model.iter().map(|(model, counts)| counted("model", model, counts)).collect::<Vec<_>>(),
        "days": days.collect::<Vec<_>>(),
        "allowed": key.limits.models,
        "models": listed.filter(may_use).collect::<Vec<_>>(),
    })
}

fn figures(used: &Used) -> Value {
    json!({"requests": used.requests, "tokens": used.tokens, "cost_usd": dollars(used.cost)})
}

fn counted(what: &str, name: &str, counts: &Counts) -> Value {
    json!({what: name, "requests": counts.admitted(), "tokens": counts.total_tokens, "cost_usd": dollars(counts.cost)})
}

fn allowance(allowance: &Allowance) -> Value {
    let (limit, used) = allowance.figures();
    json!({
        "limit_name": allowance.name,
        "limit": limit,
        "used": used,
        "left": (limit - used).max(0.0),
        "ends": calendar::iso(allowance.ends),
    })
}
