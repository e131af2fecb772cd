//! The admin routes for figures, client keys and requests, behind the login that the caller has checked.

use super::paged::{self, Page};
use super::{bulk, keys, malformed, metrics, models, refuse, requests, stats, status, view};
use crate::calendar;
use crate::http::query_value;
use crate::http::{Request, Response};
use crate::keys::{Edit, EditError};
use crate::logging;
use crate::message::Message;
use crate::serve::app::App;
use crate::serve::route::Route;
use serde_json::{Value, json};

const JSON: &str = "application/json";
/// Bodies here are a few fields.
const LARGEST_BODY: usize = 64 * 1024;

/// Answers a route of this module; `None` for any other.
pub fn answer(app: &App, route: &Route, request: &Request) -> Option<Response> {
    let range = || query_value(&request.query, "range");
    let response = match route {
        Route::AdminStatus => Response::json(200, &status::status(app)),
        Route::AdminModels => models::models(app),
        Route::AdminStats => match stats::Range::parse(range().as_deref()) {
            Ok(range) => {
                let top = query_value(&request.query, "top").and_then(|top| top.parse().ok()).unwrap_or(usize::MAX);
                Response::json(200, &stats::stats(&app.usage.snapshot(), &app.pool.views(), range, top))
            }
            Err(sentence) => malformed(400, &sentence),
        },
        Route::AdminStatsCsv => match stats::Range::parse(range().as_deref()) {
            Ok(range) => Response::new(200, "text/csv; charset=utf-8", stats::csv(&app.usage.snapshot(), range))
                .with_header("Content-Disposition", format!("attachment; filename=\"usage-{}.csv\"", range.word())),
            Err(sentence) => malformed(400, &sentence),
        },
        Route::AdminUsageReset => match app.usage.reset() {
            Ok(()) => {
                log::info!("admin: usage statistics were reset");
                Response::json(200, &json!({"status": "success", "message": "Usage statistics have been reset."}))
            }
            Err(why) => refuse(503, &why),
        },
        Route::AdminRequests => match requests::found(&app.usage, &request.query) {
            Ok(found) => Response::json(200, &requests::json(found)),
            Err(sentence) => malformed(400, &sentence),
        },
        Route::AdminRequestsCsv => match requests::found(&app.usage, &request.query) {
            Ok((found, _)) => Response::new(200, "text/csv; charset=utf-8", requests::csv(&found))
                .with_header("Content-Disposition", "attachment; filename=\"requests.csv\""),
            Err(sentence) => malformed(400, &sentence),
        },
        Route::AdminLog => log_lines(request),
        Route::AdminKeys if request.method == "POST" => changing(|| {
            let (key, text) = app.keys.create(edit(request)?)?;
            app.usage.name_key(key.mark.number(), &key.name);
            log::info!("admin: made the key {}", key.id());
            Ok(json!({"id": key.id(), "key": text}))
        }),
        Route::AdminKeys => {
            app.usage.refresh();
            match Page::of(&request.query) {
                Ok(None) => Response::new(200, JSON, keys::keys(&app.keys.list())),
                Ok(Some(page)) => Response::json(200, &paged::keys(&app.keys, &page)),
                Err(refusal) => refusal,
            }
        }
        Route::AdminCredentials => match Page::of(&request.query) {
            Ok(None) => Response::new(200, JSON, view::credentials(&app.pool.views())),
            Ok(Some(page)) => Response::json(200, &paged::credentials(&app.pool.views(), &page)),
            Err(refusal) => refusal,
        },
        Route::AdminKeysBulk => bulk::keys(app, request),
        Route::AdminKey(id) => changing(|| {
            let what = if request.method == "DELETE" {
                app.usage.forget_key(app.keys.delete(id)?.mark.number());
                "deleted"
            } else {
                let key = app.keys.change(id, &edit(request)?)?;
                app.usage.name_key(key.mark.number(), &key.name);
                "changed"
            };
            log::info!("admin: {what} the key {}", id.escape_debug());
            Ok(json!({"status": "success", "message": format!("key_{what}")}))
        }),
        _ => return None,
    };
    Some(super::harden(response))
}

/// `GET /metrics`, for whom the guard let through.
pub fn figures(app: &App) -> Response {
    // For what keys have used.
    app.usage.refresh();
    let text = metrics::text(&metrics::Figures {
        live: app.usage.live(),
        server: app.server.get().map(|server| server.snapshot()).unwrap_or_default(),
        pool: app.pool.views(),
        allowances: metrics::allowances(&app.keys),
        uptime: app.started.elapsed(),
        memory: crate::os::platform::resident_memory(),
        store: app.replicas.as_ref().map(|replicas| replicas.figures()),
    });
    super::harden(Response::new(200, "text/plain; version=0.0.4; charset=utf-8", text))
}

fn changing(change: impl FnOnce() -> Result<Value, EditError>) -> Response {
    match change() {
        Ok(answer) => Response::json(200, &answer),
        Err(EditError::Unknown) => refuse(404, &Message::new("key_unknown")),
        Err(EditError::Wrong(message)) => refuse(400, &message),
        Err(EditError::Conflict(message)) => refuse(409, &message),
        Err(EditError::TooLarge) => {
            refuse(413, &Message::said(format!("the body is larger than {LARGEST_BODY} bytes")))
        }
        Err(EditError::Away(message)) => refuse(503, &message),
    }
}

fn edit(request: &Request) -> Result<Edit, EditError> {
    if request.body.len() > LARGEST_BODY {
        return Err(EditError::TooLarge);
    }
    Edit::parse(&request.body)
}

fn log_lines(request: &Request) -> Response {
    let after = query_value(&request.query, "after").and_then(|number| number.parse().ok()).unwrap_or(0);
    let (lines, last) = logging::lines_after(after);
    let line = |line: &logging::Line| {
        json!({
            "n": line.number,
            "time": calendar::iso_ms(line.time),
            "level": line.level.as_str(),
            "text": line.text,
        })
    };
    Response::json(200, &json!({"lines": lines.iter().map(line).collect::<Vec<_>>(), "next": last}))
}
