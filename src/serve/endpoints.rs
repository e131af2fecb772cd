//! Answers every route: the short ones here, generation by the handler. Adds what belongs to a side of the program: CORS
//! and client keys on the API, the login on the admin pages.

use crate::admin;
use crate::api::compat::{self, Compat};
use crate::api::gemini::GeminiSurface;
use crate::api::openai_chat::OpenAiChat;
use crate::api::openai_completions::OpenAiCompletions;
use crate::api::openai_embeddings::OpenAiEmbeddings;
use crate::api::{Surface, billing, models};
use crate::error::{ApiError, ErrorKind};
use crate::http::query_value;
use crate::http::{Request, Responder, Response};
use crate::logging::{self, Field};
use crate::serve::app::App;
use crate::serve::generate::generate;
use crate::serve::passthrough::{forward, model_of};
use crate::serve::route::{Refusal, Route, Side, route, side};
use serde_json::{Value, json};

/// What browsers may read of an API answer, and the wildcard that fits callers without cookies.
const CORS: [(&str, &str); 2] = [
    ("Access-Control-Allow-Origin", "*"),
    (
        "Access-Control-Expose-Headers",
        "X-Request-ID, Retry-After, retry-after-ms, x-should-retry, x-ratelimit-limit-requests, \
         x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-goog-upload-url, x-goog-upload-status, \
         x-goog-upload-chunk-granularity, x-goog-upload-size-received",
    ),
];

const METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

/// Answers one request.
pub fn serve(app: &App, request: Request, mut responder: Responder) {
    let _scope = logging::request_scope(&request.id);
    log::debug!("{} \"{} {}\"", request.peer, request.method, request.path);
    let side = match side(&request.path) {
        // Google's SDKs ask for models under /v1 (google-genai 3.4.0 by default), where OpenAI's list is, and name
        // themselves in this header.
        Side::OpenAi if request.headers.get("x-goog-api-client").is_some() => Side::Gemini,
        side => side,
    };
    if side != Side::Admin {
        for (name, value) in CORS {
            responder.add_header(name, value);
        }
    }
    if request.method == "OPTIONS" {
        return responder.respond(preflight(side, &request));
    }
    let route = match route(&request.method, &request.path) {
        Ok(route) => route,
        Err(refusal) => return responder.respond(refused(side, &refusal, &request)),
    };
    match side {
        Side::Admin => responder.respond(page(app, &route, &request)),
        Side::OpenAi | Side::Gemini => api(app, side, route, request, responder),
    }
}

/// Pages and admin JSON; only `/health` is open to everybody, and a bare `HEAD /`, with which clients look whether
/// anybody is there.
fn page(app: &App, route: &Route, request: &Request) -> Response {
    match route {
        Route::Health => return health(app, request),
        Route::Home if request.method == "HEAD" => return Response::empty(200),
        _ => {}
    }
    if *route == Route::Metrics {
        return match app.guard.metrics(request) {
            _ if !app.config.metrics.enabled => unknown_page(),
            Ok(()) => admin::figures(app),
            Err(refusal) => admin::harden(refusal),
        };
    }
    if let Err(refusal) = app.guard.admin(request) {
        return admin::harden(refusal);
    }
    match route {
        Route::Home => admin::file("").unwrap_or_default(),
        Route::Static(name) => admin::file(name).unwrap_or_else(unknown_page),
        Route::AdminCredentials => admin::harden(Response::json(200, &admin::credentials(&app.pool.views()))),
        Route::Account(account) => admin::harden(admin::account(app, account, request)),
        Route::AdminUsage => admin::harden(Response::json(200, &app.usage.json())),
        _ => admin::answer(app, route, request).unwrap_or_else(unknown_page),
    }
}

/// The old program's answer, to the byte; with `?verbose=1` figures that name nobody.
fn health(app: &App, request: &Request) -> Response {
    let mut health = json!({"status": "healthy"});
    if query_value(&request.query, "verbose").is_some_and(|word| !matches!(word.as_str(), "0" | "false")) {
        let views = app.pool.views();
        let available = views.iter().filter(|view| view.available).count();
        health["version"] = json!(env!("CARGO_PKG_VERSION"));
        health["uptime_seconds"] = json!(app.started.elapsed().as_secs());
        health["credentials"] = json!({"total": views.len(), "available": available});
    }
    Response::json(200, &health)
}

fn api(app: &App, side: Side, route: Route, request: Request, mut responder: Responder) {
    let key = match app.guard.client(&request) {
        Ok(key) => key,
        Err(error) => {
            // SDKs send the pieces of an upload to the address they were given, without a key.
            let begun_by = app.uploads.begun_by(&request).filter(|_| side == Side::Gemini);
            return match begun_by.and_then(|name| app.keys.usable(&name)) {
                Some(key) => forward(app, &key.name, request, responder),
                None => {
                    log_short(&request, "", error.status);
                    responder.respond(failed(side, &error));
                }
            };
        }
    };
    let key = &*key;
    let answer = match route {
        Route::Chat => return generate(app, &OpenAiChat, key, request, responder),
        Route::GeminiCall { model, method } => {
            let sse = query_value(&request.query, "alt").as_deref() == Some("sse");
            let native = GeminiSurface { model, method, sse };
            if compat::wanted(&request.query) {
                return generate(app, &Compat(native), key, request, responder);
            }
            return generate(app, &native, key, request, responder);
        }
        Route::Completions => return generate(app, &OpenAiCompletions, key, request, responder),
        Route::Embeddings => return generate(app, &OpenAiEmbeddings, key, request, responder),
        Route::GeminiForward if side == Side::Gemini => {
            let (permit, headers) = key.admit(model_of(&request).as_deref(), &app.models);
            headers.iter().for_each(|(name, value)| responder.add_header(name, value));
            match permit {
                // Held until the reply is out.
                Ok(_permit) => return forward(app, &key.name, request, responder),
                Err(error) => Err(error),
            }
        }
        Route::BillingUsage => Ok(billing::usage()),
        Route::BillingSubscription => Ok(billing::subscription()),
        Route::Models | Route::GeminiModels if side == Side::Gemini => Ok(models::gemini_list(&app.models)),
        Route::Model(id) | Route::GeminiModel(id) if side == Side::Gemini => {
            models::gemini_entry(&app.models, &id).ok_or_else(|| unknown_model(&id))
        }
        Route::Models if request.headers.get("anthropic-version").is_some() => Ok(models::anthropic_list(&app.models)),
        Route::Models => Ok(models::openai_list(&app.models)),
        Route::Model(id) => models::openai_entry(&app.models, &id).ok_or_else(|| unknown_model(&id)),
        _ => Err(ApiError::new(404, ErrorKind::InvalidRequest, "Not Found").with_code("unknown_url")),
    };
    let response = match answer {
        Ok(json) => Response::json(200, &json),
        Err(error) => failed(side, &error),
    };
    log_short(&request, &key.name, response.status);
    responder.respond(response);
}

/// The line about a request of the API that generates nothing.
fn log_short(request: &Request, key: &str, status: u16) {
    logging::access(&[
        ("key", key.into()),
        ("method", Field::from(&request.method)),
        ("path", Field::from(&request.path)),
        ("status", status.into()),
        ("peer", Field::from(&request.peer.to_string())),
    ]);
}

fn unknown_model(id: &str) -> ApiError {
    ApiError::new(404, ErrorKind::InvalidRequest, format!("Model not found: {}", id.escape_debug()))
        .with_param("model")
        .with_code("model_not_found")
}

fn unknown_page() -> Response {
    Response::json(404, &json!({"detail": "Not Found"}))
}

/// An error on an API path: the side's own shape, with the old program's `detail` beside OpenAI's `error`.
fn failed(side: Side, error: &ApiError) -> Response {
    if side == Side::Gemini {
        return GeminiSurface { model: String::new(), method: String::new(), sse: false }.error(error);
    }
    let mut response = OpenAiChat.error(error);
    let detail = match error.code() {
        Some("model_not_found") => "Model not found",
        _ => &error.message,
    };
    if let Ok(Value::Object(mut body)) = serde_json::from_slice(&response.body) {
        body.insert("detail".into(), json!(detail));
        response.body = Value::Object(body).to_string().into_bytes();
    }
    response
}

fn refused(side: Side, refusal: &Refusal, request: &Request) -> Response {
    let (error, allow) = match refusal {
        Refusal::UnknownPath => {
            (ApiError::new(404, ErrorKind::InvalidRequest, "Not Found").with_code("unknown_url"), None)
        }
        Refusal::WrongMethod(allow) => {
            let error = ApiError::new(405, ErrorKind::InvalidRequest, "Method Not Allowed");
            (error.with_code("method_not_allowed"), Some(*allow))
        }
    };
    let response = match side {
        Side::Admin => Response::json(error.status, &json!({"detail": error.message})),
        _ => failed(side, &error),
    };
    log::debug!("{} {}: {}", request.method, request.path, error.status);
    match allow {
        Some(allow) => response.with_header("Allow", allow),
        None => response,
    }
}

/// Answers a preflight without asking for a key, since browsers send none with it. Nothing is granted on admin pages.
fn preflight(side: Side, request: &Request) -> Response {
    if side == Side::Admin {
        return Response::empty(204).with_header("Allow", METHODS);
    }
    let wanted = request.headers.get("access-control-request-headers").unwrap_or("*");
    Response::new(200, "text/plain; charset=utf-8", "OK")
        .with_header("Access-Control-Allow-Methods", METHODS)
        .with_header("Access-Control-Allow-Headers", wanted)
        .with_header("Access-Control-Max-Age", "600")
        .with_header("Vary", "Origin, Access-Control-Request-Headers")
}
