//! Signing in to the admin page and out of it, for browsers: a form and a cookie, so that a shared computer forgets. Scripts
//! go on with HTTP Basic.

use super::login::escape;
use super::{harden, left_out, page};
use crate::http::{Request, Response, query_value};
use crate::message::{Language, Message};
use crate::serve::app::App;
use serde_json::json;

/// The most bytes of a filled-in form.
pub const LARGEST_FORM: u64 = 4096;

/// What a browser gets instead of the refusal: a form where a person asks for a page, and no question of its own where the
/// page asks.
pub fn for_browsers(request: &Request, refusal: Response) -> Response {
    if left_out().is_some() {
        return harden(refusal);
    }
    let is_page = request.method == "GET" && request.headers.all("accept").any(|kinds| kinds.contains("text/html"));
    let is_asked = matches!(refusal.status, 401 | 429) && request.headers.get("authorization").is_none();
    if is_asked && is_page {
        return form(request, refusal.status, None);
    }
    if request.headers.get("x-requested-with").is_none() {
        return harden(refusal);
    }
    let headers = refusal.headers.into_iter().filter(|(name, _)| name != "WWW-Authenticate").collect();
    harden(Response { headers, ..refusal })
}

/// `POST /admin/sign-in`.
pub fn sign_in(app: &App, request: &Request) -> Response {
    if let Some(refusal) = left_out() {
        return harden(refusal);
    }
    let body = String::from_utf8_lossy(&request.body);
    let [username, password] = ["username", "password"].map(|name| query_value(&body, name).unwrap_or_default());
    match app.guard.sign_in(request, &username, &password) {
        Ok(token) => moved(&cookie(app, request, &format!("{token}; Max-Age=604800"))),
        Err(refusal) => match refusal.status {
            401 => form(request, 401, Some("sign_in_wrong")),
            429 => form(request, 429, Some("sign_in_slow")),
            _ => harden(refusal),
        },
    }
}

/// `POST /admin/sign-out`.
pub fn sign_out(app: &App, request: &Request) -> Response {
    if let Some(refusal) = left_out() {
        return harden(refusal);
    }
    let was_session = app.guard.sign_out(request);
    let answer = json!({"status": "success", "message": "signed_out", "session": was_session});
    harden(Response::json(200, &answer)).with_header("Set-Cookie", cookie(app, request, "; Max-Age=0"))
}

/// Back to the page, wherever it is below another server's path.
fn moved(cookie: &str) -> Response {
    harden(Response::empty(303)).with_header("Location", "..").with_header("Set-Cookie", cookie)
}

fn cookie(app: &App, request: &Request, value: &str) -> String {
    let is_https = app.config.tls.is_some()
        || request.headers.get("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    let secure = if is_https { "; Secure" } else { "" };
    format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}", app.guard.cookie())
}

fn form(request: &Request, status: u16, told: Option<&'static str>) -> Response {
    let language = Language::of_header(request.headers.get("accept-language"));
    let text = |code| escape(&Message::new(code).text(language));
    let up = "../".repeat(request.path.trim_matches('/').matches('/').count());
    let tag = if language == Language::Chinese { "zh-Hans" } else { "en" };
    let told = told.map(|code| format!("<p class=\"bad\" role=\"alert\">{}</p>", text(code))).unwrap_or_default();
    let field = |name: &str, kind: &str, code, use_of: &str| {
        format!(
            "<label><span>{}</span><input name=\"{name}\" type=\"{kind}\" autocomplete=\"{use_of}\" required></label>",
            text(code)
        )
    };
    let html = format!(
        "<!doctype html><html lang=\"{tag}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\"{up}static/{}/page.css\"><title>{}</title></head>\
         <body><main class=\"sign-in\"><h1>{}</h1>{told}<form class=\"card\" method=\"post\" action=\"{up}admin/sign-in\">{}{}\
         <button class=\"primary\">{}</button></form></main></body></html>",
        page::version(),
        text("login_title"),
        text("login_title"),
        field("username", "text", "sign_in_user", "username"),
        field("password", "password", "sign_in_password", "current-password"),
        text("sign_in"),
    );
    let mut answer = harden(Response::html(status, html));
    // Without a word of where it is from a browser sends the form with `Origin: null`.
    answer.headers.retain(|(name, _)| name != "Referrer-Policy");
    answer.with_header("Referrer-Policy", "same-origin")
}
