//! Answers every route: the short ones here, generation by the handler. Adds what belongs to a dialect: CORS and client
//! keys on the API, the login on the admin pages.

use crate::admin;
use crate::api::anthropic_messages::{self, AnthropicMessages};
use crate::api::compat::{self, Compat};
use crate::api::gemini::{self, GeminiSurface};
use crate::api::openai_chat::OpenAiChat;
use crate::api::openai_completions::OpenAiCompletions;
use crate::api::openai_embeddings::OpenAiEmbeddings;
use crate::api::openai_responses::{OpenAiResponses, Task, stored};
use crate::api::{Surface, billing, models};
use crate::error::{ApiError, ErrorKind};
use crate::gemini::models::ModelTable;
use crate::http::{Gauge, Request, Responder, Response, query_value};
use crate::keys::Key;
use crate::logging::{self, Field};
use crate::serve::access::{KEY_NEEDED, same_origin};
use crate::serve::app::App;
use crate::serve::body;
use crate::serve::count::count;
use crate::serve::generate::generate;
use crate::serve::judge::is_open;
#[cfg(feature = "ledger")]
use crate::serve::me;
use crate::serve::money;
use crate::serve::passing;
use crate::serve::passthrough::pass_on;
use crate::serve::route::{Account, Dialect, NoRoute, Route, Target};
use crate::serve::uploads;
use serde_json::{Value, json};
use std::sync::Arc;

/// What every answer of an API has in its head. Callers without cookies may come from any page, and read these fields; and
/// what is answered here, passed on or not, is never a page of ours: no browser guesses that it is, nor runs it.
const FIELDS: &str = "Access-Control-Allow-Origin: *\r\n\
    Access-Control-Expose-Headers: X-Request-ID, X-Proxy-Notice, X-Served-Model, x-gemini-service-tier, Retry-After, retry-after-ms, \
    x-should-retry, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, \
    x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, x-ratelimit-limit-dollars, \
    x-ratelimit-remaining-dollars, x-ratelimit-reset-dollars, \
    x-goog-upload-url, x-goog-upload-status, x-goog-upload-chunk-granularity, x-goog-upload-size-received\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Content-Security-Policy: sandbox; default-src 'none'\r\n";

/// The name of Anthropic's own field beside `X-Request-ID`.
pub(super) const REQUEST_ID: &str = "request-id";
const METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

/// What a client is told whose path leads nowhere, by whose path it looks like.
const SERVED: &str = if cfg!(feature = "media") {
    "Served are POST /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses, /v1/messages, \
     /v1/images/generations, /v1/images/edits, /v1/audio/speech, /v1/audio/transcriptions and /v1/audio/translations, \
     GET /v1/models, and Google's own API under /v1beta."
} else {
    "Served are POST /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses and /v1/messages, GET \
     /v1/models, and Google's own API under /v1beta. This program was built without pictures, speech and transcripts (its \
     feature `media`)."
};
const SERVED_OF_GOOGLES: &str = "Served are models with generateContent, streamGenerateContent, countTokens, embedContent \
     and batchEmbedContents, files, cachedContents, operations and more, under v1beta, v1, v1alpha or v1beta1.";

/// The fields that every answer of a dialect has.
pub(super) fn fields(dialect: Dialect) -> &'static str {
    if dialect == Dialect::Admin { "" } else { FIELDS }
}

/// Answers one request, whose head was judged to come from `key`.
pub(super) fn serve(
    app: &App,
    Target { route, dialect, .. }: Target,
    key: Option<Arc<Key>>,
    request: Request,
    mut responder: Responder,
) {
    let _scope = logging::request_scope(&request.id);
    let is_one_of_several = |_: &&Arc<Key>| app.keys.are_several();
    let _stay = app.room.enter(key.as_ref().filter(is_one_of_several).map(|key| key.caller().memory));
    log::debug!("{} \"{} {}\"", request.peer, request.method, request.path);
    responder.add_fields(fields(dialect));
    if dialect == Dialect::Anthropic {
        responder.add_header(REQUEST_ID, &anthropic_messages::request_id(&request.id));
    }
    match (route, dialect) {
        (Err(no_route), _) => responder.respond(refused(dialect, &no_route, &request)),
        (Ok(Route::Preflight), _) => responder.respond(preflight(dialect, &request)),
        (Ok(route), Dialect::Admin) => responder.respond(page(app, &route, request)),
        (Ok(route), Dialect::OpenAi | Dialect::Anthropic | Dialect::Google) => {
            api(app, dialect, route, key, request, responder)
        }
    }
}

/// Whether the caller may have this page; if not, the answer to give.
pub(super) fn may_see(app: &App, route: &Route, request: &Request) -> Result<(), Response> {
    if is_open(route, &request.method) {
        return Ok(());
    }
    let allowed = match route {
        Route::Metrics if !app.config.metrics.enabled => Err(unknown_page()),
        Route::Metrics => app.guard.metrics(request),
        // Google's redirect comes from another site and is vouched for by its state; the look keeps its old GET.
        _ if matches!(request.method.as_str(), "GET" | "HEAD") => app.guard.admin(request),
        _ => app.guard.admin(request).and_then(|()| same_origin(request)),
    };
    allowed.map_err(|refusal| admin::sign_in::for_browsers(request, refusal))
}

/// Pages and admin JSON.
#[inline(never)] // As `without_generation`.
fn page(app: &App, route: &Route, mut request: Request) -> Response {
    if let Err(refusal) = may_see(app, route, &request) {
        return refusal;
    }
    // Whoever needs no login has a form to send at most.
    let limit = match is_open(route, &request.method) {
        true => admin::sign_in::LARGEST_FORM as usize,
        false => app.config.sizes.max_body,
    };
    if let Err(error) = body::decode(&mut request, limit) {
        return failed(Dialect::Admin, &error, "");
    }
    let request = &request;
    let changes = !matches!(request.method.as_str(), "GET" | "HEAD") || *route == Route::Account(Account::Callback);
    admin::catch_up(app, request);
    let answer = match route {
        Route::Health => admin::harden(health(app, request)),
        Route::Live => admin::harden(Response::json(200, &json!({"status": "alive"}))),
        Route::Ready if app.server.get().is_some_and(Gauge::is_leaving) => {
            admin::harden(Response::json(503, &json!({"status": "stopping"})).with_header("Retry-After", "1"))
        }
        Route::Ready if is_asked(request, "credentials") && !app.pool.views().iter().any(|view| view.available) => {
            admin::harden(
                Response::json(503, &json!({"status": "no usable credential"})).with_header("Retry-After", "5"),
            )
        }
        Route::Ready => admin::harden(app.readiness()),
        Route::Metrics => admin::figures(app),
        Route::Home if request.method == "HEAD" => Response::empty(200),
        Route::Home => admin::file("", &request.headers).unwrap_or_default(),
        Route::Static(name) => admin::file(name, &request.headers).unwrap_or_else(unknown_page),
        #[cfg(feature = "ledger")]
        Route::Me => admin::file("me.html", &request.headers).unwrap_or_else(unknown_page),
        #[cfg(feature = "ledger")]
        Route::MyStatus => admin::harden(me::status(app, request)),
        Route::Account(account) => admin::harden(admin::account(app, account, request)),
        Route::SignIn => admin::sign_in::sign_in(app, request),
        Route::SignOut => admin::sign_in::sign_out(app, request),
        Route::AdminUsage => admin::harden(Response::json(200, &app.usage.json())),
        _ => admin::answer(app, route, request).unwrap_or_else(unknown_page),
    };
    match route {
        Route::SignIn | Route::SignOut => answer,
        _ if changes => admin::durable(app, answer),
        // The old program's, to the byte, and what no page polls.
        Route::Health | Route::Metrics => answer,
        _ => admin::unless_known(&request.headers, answer),
    }
}

/// Whether `?name=1` was written.
fn is_asked(request: &Request, name: &str) -> bool {
    query_value(&request.query, name).is_some_and(|word| !matches!(word.as_str(), "0" | "false"))
}

/// The old program's answer, to the byte; with `?verbose=1` figures that name nobody.
fn health(app: &App, request: &Request) -> Response {
    let mut health = json!({"status": "healthy"});
    if is_asked(request, "verbose") {
        let views = app.pool.views();
        let available = views.iter().filter(|view| view.available).count();
        health["version"] = json!(env!("CARGO_PKG_VERSION"));
        health["uptime_seconds"] = json!(app.started.elapsed().as_secs());
        health["credentials"] = json!({"total": views.len(), "available": available});
        if let Some(replicas) = &app.replicas {
            health["store"] = replicas.health();
        }
    }
    Response::json(200, &health)
}

/// The key with which an API is called; if there is none, the answer to give.
pub(super) fn caller(app: &App, dialect: Dialect, route: &Route, request: &Request) -> Result<Arc<Key>, Response> {
    let error = match app.guard.client(request) {
        Ok(key) => return Ok(key),
        Err(error) => error,
    };
    // SDKs send the pieces of an upload to the address they were given, without a key.
    if let Route::Passthrough(target) = route
        && let Some(key) = uploads::begun_by(app, target, &request.query)
    {
        return Ok(key);
    }
    app.usage.note_wrong_key();
    log_short(app, request, "", error.status);
    Err(failed(dialect, &error, &request.id))
}

fn api(app: &App, dialect: Dialect, route: Route, key: Option<Arc<Key>>, mut request: Request, responder: Responder) {
    // While the body came, a key may have been changed or taken away; then the caller is judged again.
    let judged = key.filter(|key| app.keys.still_has(key)).map_or_else(|| caller(app, dialect, &route, &request), Ok);
    let key = match judged {
        Ok(key) => key,
        Err(refusal) => return responder.respond(refusal),
    };
    // And while the answer comes.
    request.cancel = request.cancel.with_leave(key.clone());
    match surface(app, route, &request) {
        Ok(surface) => generate(app, &*surface, &key, request, responder),
        Err(route) => without_generation(app, dialect, route, &key, request, responder),
    }
}

/// The dialect in which a route generates; the route back where it generates nothing.
fn surface(app: &App, route: Route, request: &Request) -> Result<Box<dyn Surface>, Route> {
    let responses = |task| OpenAiResponses { store: app.responses.clone(), task };
    Ok(match route {
        Route::Chat => Box::new(OpenAiChat),
        Route::Completions => Box::new(OpenAiCompletions),
        Route::Embeddings => Box::new(OpenAiEmbeddings),
        #[cfg(feature = "media")]
        Route::Media(endpoint) if !endpoint.is_list() => Box::new(endpoint),
        Route::Responses => Box::new(responses(Task::Answer)),
        Route::CompactResponse => Box::new(responses(Task::Compact)),
        Route::Messages => Box::new(AnthropicMessages { id: request.id.clone() }),
        Route::GeminiCall { model, method } => {
            let sse = query_value(&request.query, "alt").as_deref() == Some("sse");
            let native = GeminiSurface { model, method, sse };
            if compat::wanted(&request.query) { Box::new(Compat(native)) } else { Box::new(native) }
        }
        route => return Err(route),
    })
}

/// Not a part of its caller: the memory that it takes on the stack would be taken by each stream as long as it runs.
#[inline(never)]
fn without_generation(
    app: &App,
    dialect: Dialect,
    route: Route,
    key: &Arc<Key>,
    mut request: Request,
    mut responder: Responder,
) {
    let answer = match route {
        #[cfg(feature = "media")]
        Route::Media(endpoint) => Ok(endpoint.list(&app.models)),
        route @ (Route::CountResponse | Route::CountTokens) => count(app, &route, key, &mut request),
        Route::Passthrough(target) => {
            let decoded = body::decode(&mut request, app.config.sizes.max_body);
            let (permit, headers) = match decoded.and_then(|()| passing::models(key, &target, &request)) {
                Ok(names) => key.admit(names.iter().map(String::as_str), &app.models),
                Err(error) => (Err(error), Vec::new()),
            };
            headers.into_iter().for_each(|(name, value)| responder.add_header(name, &value));
            match permit {
                Ok(permit) => return pass_on(app, key, &permit, &target, request, responder),
                Err(error) => Err(error),
            }
        }
        route => short(app, dialect, &route, key, &request),
    };
    let response = answer.map_or_else(|error| failed(dialect, &error, &request.id), |json| Response::json(200, &json));
    log_short(app, &request, &key.name, response.status);
    responder.respond(response);
}

/// What is answered at once.
fn short(app: &App, dialect: Dialect, route: &Route, key: &Key, request: &Request) -> Result<Value, ApiError> {
    let models = &app.models;
    match route {
        Route::Response(id) if request.method == "DELETE" => stored::delete(&app.responses, &key.mark, id),
        Route::Response(id) => stored::retrieve(&app.responses, &key.mark, id, &request.query),
        Route::ResponseItems(id) => stored::input_items(&app.responses, &key.mark, id, &request.query),
        Route::CancelResponse(id) => stored::cancel(&app.responses, &key.mark, id),
        Route::BillingUsage => {
            let date = |name: &str| query_value(&request.query, name).map(|text| text.chars().take(10).collect());
            Ok(billing::usage(&money::spent(&app.usage.snapshot(), key, date("start_date"), date("end_date"))))
        }
        Route::BillingSubscription => Ok(billing::subscription(money::limit(app, key), money::access_until(key))),
        Route::GeminiModels => Ok(models::gemini_list(models)),
        Route::GeminiModel(id) => models::gemini_entry(models, id).ok_or_else(|| unknown_model(models, id)),
        Route::Models if dialect == Dialect::Anthropic => Ok(models::anthropic_list(models, &request.query)),
        Route::Model(id) if dialect == Dialect::Anthropic => {
            models::anthropic_entry(models, id).ok_or_else(|| unknown_model(models, id))
        }
        Route::Models => Ok(models::openai_list(models)),
        Route::Model(id) => models::openai_entry(models, id).ok_or_else(|| unknown_model(models, id)),
        _ => Err(not_served(SERVED, request)),
    }
}

/// The line about a request of the API that generates nothing.
fn log_short(app: &App, request: &Request, key: &str, status: u16) {
    logging::access(&[
        ("key", key.into()),
        ("method", Field::from(&request.method)),
        ("path", Field::from(&request.path)),
        ("status", status.into()),
        ("peer", Field::from(&app.guard.address(request).to_string())),
    ]);
}

fn unknown_model(models: &ModelTable, id: &str) -> ApiError {
    let message = format!("Model not found: {}. {}", id.escape_debug(), models.advice(id));
    ApiError::new(404, ErrorKind::InvalidRequest, message).with_param("model").with_code("model_not_found")
}

fn unknown_page() -> Response {
    Response::json(404, &json!({"detail": "Not Found"}))
}

/// An error in the dialect's own shape, with the old program's `detail` beside OpenAI's `error` and alone on admin pages.
pub(super) fn failed(dialect: Dialect, error: &ApiError, id: &str) -> Response {
    match dialect {
        Dialect::Google => return gemini::error_response(error),
        Dialect::Anthropic => return anthropic_messages::error_response(error, id),
        Dialect::Admin => {
            let refusal = admin::harden(Response::json(error.status, &json!({"detail": error.message})));
            return error.headers().into_iter().fold(refusal, |all, (name, value)| all.with_header(name, value));
        }
        Dialect::OpenAi => {}
    }
    let mut response = OpenAiChat.error(error);
    let detail = match error.code() {
        Some("model_not_found") => "Model not found",
        Some("unknown_url") => "Not Found",
        Some("method_not_allowed") => "Method Not Allowed",
        _ if error.message.starts_with(KEY_NEEDED) => KEY_NEEDED,
        _ => &error.message,
    };
    if let Ok(Value::Object(mut body)) = serde_json::from_slice(&response.body) {
        body.insert("detail".into(), json!(detail));
        response.body = Value::Object(body).to_string().into_bytes();
    }
    response
}

fn not_served(what_is: &str, request: &Request) -> ApiError {
    let path: String = request.path.chars().take(100).collect();
    let message = format!("{} {path} is not served here. {what_is}", request.method);
    ApiError::new(404, ErrorKind::InvalidRequest, message).with_code("unknown_url")
}

pub(super) fn refused(dialect: Dialect, no_route: &NoRoute, request: &Request) -> Response {
    let methods = match no_route {
        NoRoute::WrongMethod(allow) => format!("Here it is {allow}. "),
        _ => String::new(),
    };
    let served = if dialect == Dialect::Google { SERVED_OF_GOOGLES } else { SERVED };
    let mut error = not_served(&format!("{methods}{served}"), request);
    match no_route {
        NoRoute::UnknownPath => {}
        NoRoute::WebSocket => {
            let message = "There are no WebSockets here; POST to the same address.";
            error = ApiError::new(426, ErrorKind::InvalidRequest, message).with_code("upgrade_required");
        }
        NoRoute::WrongMethod(_) => {
            error.status = 405;
            error = error.with_code("method_not_allowed");
        }
    }
    log::debug!("{} {}: {}", request.method, request.path, error.status);
    let response = match (dialect, no_route) {
        (Dialect::Admin, NoRoute::WrongMethod(_)) => {
            admin::harden(Response::json(405, &json!({"detail": "Method Not Allowed"})))
        }
        (Dialect::Admin, _) => admin::harden(unknown_page()),
        _ => failed(dialect, &error, &request.id),
    };
    match no_route {
        NoRoute::WrongMethod(allow) => response.with_header("Allow", *allow),
        // RFC 9110 section 15.5.22: what is spoken here.
        NoRoute::WebSocket => response.with_header("Upgrade", "HTTP/1.1"),
        NoRoute::UnknownPath => response,
    }
}

/// Answers a preflight without asking for a key, since browsers send none with it. Nothing is granted on admin pages.
pub(super) fn preflight(dialect: Dialect, request: &Request) -> Response {
    if dialect == Dialect::Admin {
        return Response::empty(204).with_header("Allow", METHODS);
    }
    let wanted = request.headers.get("access-control-request-headers").unwrap_or("*");
    Response::new(200, "text/plain; charset=utf-8", "OK")
        .with_header("Access-Control-Allow-Methods", METHODS)
        .with_header("Access-Control-Allow-Headers", wanted)
        .with_header("Access-Control-Max-Age", "600")
        .with_header("Vary", "Origin, Access-Control-Request-Headers")
}
