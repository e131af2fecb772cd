//! What becomes of a request when its head has come, before a byte of its body is kept: a stranger is answered here, on the
//! listener's thread, and takes nothing from those who may call. So nothing here blocks.

use crate::admin;
use crate::api::anthropic_messages;
use crate::error::{ApiError, ErrorKind};
use crate::http::{Admitted, Lane, Refusal, Request, Response};
use crate::keys::Key;
use crate::logging;
use crate::serve::app::{App, Current};
use crate::serve::endpoints::{REQUEST_ID, caller, failed, fields, may_see, preflight, refused, serve};
#[cfg(feature = "ledger")]
use crate::serve::me;
use crate::serve::route::{Dialect, Route, Target};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Reads the head of a request and says who answers it, and how; or answers it.
pub fn judge(current: &Arc<Current>, request: &Request) -> Result<Admitted, Response> {
    let _scope = logging::request_scope(&request.id);
    let (target, current) = (Target::of(request), current.clone());
    let (dialect, id) = (target.dialect, request.id.clone());
    let caller = caller_of(&current.get(), &target, request).map_err(|response| dressed(response, dialect, &id))?;
    let of_pages = || current.get().of_pages.clone();
    let address = current.get().guard.address(request);
    let counts = matches!(target.route, Ok(Route::CountResponse | Route::CountTokens));
    let waits = counts && current.get().config.settings.count_at_google;
    let is_of_stranger = caller.is_none() && target.route.as_ref().is_ok_and(|route| is_open(route, &request.method));
    Ok(Admitted {
        is_of_stranger,
        lane: if waits { Lane::Long } else { target.lane },
        address,
        caller: caller.as_ref().map_or_else(of_pages, |key| key.caller()),
        is_alone: !current.get().keys.are_several(),
        refuse: Box::new(move |refusal| dressed(told(dialect, refusal, &id), dialect, &id)),
        answer: Box::new(move |request, responder| serve(&current.get(), target, caller, request, responder)),
    })
}

/// With which key the API is called; with none an admin page. Who may not call is answered.
fn caller_of(app: &App, target: &Target, request: &Request) -> Result<Option<Arc<Key>>, Response> {
    match (&target.route, target.dialect) {
        (Err(no_route), dialect) => Err(refused(dialect, no_route, request)),
        (Ok(Route::Preflight), dialect) => Err(preflight(dialect, request)),
        (Ok(route), Dialect::Admin) => {
            may_see(app, route, request)?;
            let takes_body = *route == Route::SignIn && is_small(request);
            if is_open(route, &request.method) && has_body(request) && !takes_body {
                return Err(Response::json(413, &json!({"detail": "A body is not taken here."})));
            }
            Ok(None)
        }
        (Ok(route), dialect) => caller(app, dialect, route, request).map(Some),
    }
}

/// Whether a body is as long as a form that was filled in.
fn is_small(request: &Request) -> bool {
    let length = request.headers.get("content-length").and_then(|length| length.parse::<u64>().ok());
    length.is_some_and(|length| length <= admin::sign_in::LARGEST_FORM)
}

/// Whether no login is asked for: `/health`, `/livez`, `/readyz`, signing in and how that looks, `/me`, whose figures want a client key, and a bare `HEAD /`, with which clients look whether anybody is there.
pub(super) fn is_open(route: &Route, method: &str) -> bool {
    #[cfg(feature = "ledger")]
    match route {
        Route::Me | Route::MyStatus => return true,
        Route::Static(name) if me::loads(name) => return true,
        _ => {}
    }
    let is_style = matches!(route, Route::Static(name) if name.ends_with(".css"));
    is_style
        || matches!(route, Route::Health | Route::Live | Route::Ready | Route::SignIn)
        || (*route == Route::Home && method == "HEAD")
}

fn has_body(request: &Request) -> bool {
    let length = request.headers.get("content-length").is_some_and(|length| length.bytes().any(|byte| byte != b'0'));
    length || request.headers.get("transfer-encoding").is_some()
}

/// A refusal of the listener's in the dialect of the request.
fn told(dialect: Dialect, refusal: &Refusal, id: &str) -> Response {
    let is_ours = refusal.status >= 500;
    let kind = if is_ours { ErrorKind::Server } else { ErrorKind::InvalidRequest };
    let mut error = ApiError::new(refusal.status, kind, &*refusal.message);
    error.code = refusal.code.map(Into::into);
    error.retry_after = is_ours.then_some(Duration::from_secs(1));
    failed(dialect, &error, id)
}

fn dressed(response: Response, dialect: Dialect, id: &str) -> Response {
    let response = Response { fields: fields(dialect), ..response };
    match dialect {
        Dialect::Anthropic => response.with_header(REQUEST_ID, anthropic_messages::request_id(id)),
        _ => response,
    }
}
