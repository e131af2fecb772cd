//! Connecting an account with Google's consent page: by redirect where Google's answer can come back to this server, by
//! paste where it cannot (docs/compatibility.md "Login with Google"; docs/google-login.md "Redirect rules").

use super::accounts::{success, unsaved, welcome};
use super::{known_fields, malformed, missing, refuse};
use crate::config::{Config, OauthClient};
use crate::credentials::consent::{Attempt, Return, paste_redirect};
use crate::credentials::{AddFault, Added};
use crate::http::{Request, Response};
use crate::message::{Language, Message};
use crate::serve::app::App;
use serde_json::{Value, json};

/// Where the consent page sends the browser afterwards.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// Back here.
    Redirect(String),
    /// To a place where a person picks up the code.
    Paste(&'static str),
}

/// `GET /oauth2/login`.
pub(super) fn begin(app: &App, request: &Request) -> Response {
    let Way::Redirect(redirect_uri) = way(&app.config, request) else {
        return Response::empty(302).with_header("Location", "/?login=paste");
    };
    match app.logins.start(&redirect_uri) {
        Ok(attempt) => Response::empty(302).with_header("Location", consent_url(app, &attempt)),
        Err(stale) => {
            let language = Language::of_header(request.headers.get("accept-language"));
            page(language, stale.status(), "login_not_begun", &[stale.message()], AGAIN)
        }
    }
}

/// `GET /oauth2/callback`.
pub(super) fn callback(app: &App, request: &Request) -> Response {
    let language = Language::of_header(request.headers.get("accept-language"));
    let (code, state) = match Return::from_query(&request.query) {
        None => return missing(["query", "code"]),
        Some(Return::Refused { error, state }) => {
            // The login is over, whatever Google's reason.
            let _ = state.map(|state| app.logins.take(&state));
            return failed(language, &error, &refusal(&error));
        }
        Some(Return::Code { code, state }) => (code, state.unwrap_or_default()),
    };
    let attempt = match app.logins.take(&state) {
        Ok(attempt) => attempt,
        Err(stale) => {
            return page(language, stale.status(), "login_not_found", &[stale.message()], AGAIN);
        }
    };
    match redeem(app, &attempt, &code) {
        Ok(added) => {
            let what = match added.updated {
                true => Message::new("login_updated").with("label", &added.label),
                false => Message::new("login_connected").with("label", &added.label),
            };
            let mut told = vec![Message::new("login_close"), what];
            told.extend(unsaved(app));
            page(language, 200, "login_done", &told, HOME)
        }
        Err(fault) => failed(language, fault.reason, &fault.message),
    }
}

/// `POST /admin/oauth/start`.
pub(super) fn start(app: &App, request: &Request) -> Response {
    let mode = match request.body.is_empty() {
        true => None,
        false => match known_fields(request, &["mode"]) {
            Ok(fields) => fields.get("mode").cloned(),
            Err(refusal) => return refusal,
        },
    };
    let way = match mode.as_ref().map(|mode| mode.as_str()) {
        None | Some(Some("redirect")) => way(&app.config, request),
        Some(Some("paste")) => Way::Paste(paste_redirect(&app.config.oauth_client)),
        Some(_) => return malformed(422, "mode: expected \"redirect\" or \"paste\""),
    };
    let (mode, redirect_uri) = match &way {
        Way::Redirect(address) => ("redirect", address.as_str()),
        Way::Paste(address) => ("paste", *address),
    };
    let attempt = match app.logins.start(redirect_uri) {
        Ok(attempt) => attempt,
        Err(stale) => return refuse(stale.status(), &stale.message()),
    };
    let url = consent_url(app, &attempt);
    let started = json!({"url": url, "state": attempt.state, "redirect_uri": attempt.redirect_uri, "mode": mode});
    Response::json(200, &started)
}

/// `POST /admin/oauth/finish`.
pub(super) fn finish(app: &App, request: &Request) -> Response {
    let fields = match known_fields(request, &["text", "state"]) {
        Ok(fields) => fields,
        Err(refusal) => return refusal,
    };
    let Some(text) = fields.get("text").and_then(Value::as_str) else { return missing(["body", "text"]) };
    let known = fields.get("state").and_then(Value::as_str).filter(|state| !state.is_empty());
    let (code, state) = match Return::from_pasted(text) {
        Ok(Return::Code { code, state }) => (code, state),
        Ok(Return::Refused { error, state }) => {
            let _ = state.map(|state| app.logins.take(&state));
            return refuse(400, &refusal(&error));
        }
        Err(message) => return refuse(400, &message),
    };
    // What came back from Google says more than what the page remembers.
    let attempt = match state.as_deref().or(known) {
        Some(state) => app.logins.take(state),
        None => app.logins.take_only(),
    };
    let attempt = match attempt {
        Ok(attempt) => attempt,
        Err(stale) => return refuse(stale.status(), &stale.message()),
    };
    match redeem(app, &attempt, &code) {
        Ok(added) => Response::json(200, &success(app, &added)),
        Err(fault) => refuse(400, &fault.message),
    }
}

fn redeem(app: &App, attempt: &Attempt, code: &str) -> Result<Added, AddFault> {
    let result = app.pool.login(code, &attempt.redirect_uri, attempt.verifier.expose());
    if let Err(fault) = &result {
        log::warn!("[CredManager] Login failed: {} ({})", fault.message, fault.reason);
    }
    result.inspect(|added| welcome(app, [added]))
}

fn consent_url(app: &App, attempt: &Attempt) -> String {
    attempt.url(&app.config.endpoints.oauth_authorize, &app.config.oauth_client)
}

/// Google lets the Gemini CLI's client, and every desktop client, come back to a loopback name only; a client of the
/// user's own may be registered for the public address. The browser must come back under the name it knows the admin's
/// password for, so `localhost` stays `localhost`.
fn way(config: &Config, request: &Request) -> Way {
    const FORWARDING: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];
    let own_client = config.oauth_client.id != OauthClient::default().id;
    let callback = |base: &str| Way::Redirect(format!("{base}/oauth2/callback"));
    let host = request.headers.get("host").unwrap_or_default().to_ascii_lowercase();
    if let Some(url) = &config.public_url {
        let local =
            url.strip_prefix("http://").is_some_and(|rest| loopback_authority(rest.split('/').next().unwrap_or("")));
        if own_client || local {
            return callback(url);
        }
    } else {
        // Behind a reverse proxy the Host header may be the proxy's word for us.
        let forwarded = FORWARDING.iter().any(|name| request.headers.get(name).is_some());
        if loopback_authority(&host) && !forwarded {
            return callback(&format!("http://{host}"));
        }
        let secure =
            request.headers.get("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        if own_client && !host.is_empty() {
            return callback(&format!("{}://{host}", if secure { "https" } else { "http" }));
        }
    }
    Way::Paste(paste_redirect(&config.oauth_client))
}

/// The three names that Google takes for a desktop client, with any port.
fn loopback_authority(authority: &str) -> bool {
    let port = ["localhost", "127.0.0.1", "[::1]"].iter().find_map(|name| authority.strip_prefix(name));
    port.is_some_and(|port| port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()))
}

fn refusal(error: &str) -> Message {
    Message::new(match error {
        "access_denied" => "access_denied",
        "admin_policy_enforced" | "org_internal" => "login_policy",
        _ => "login_without_code",
    })
}

fn failed(language: Language, reason: &str, message: &Message) -> Response {
    let reason: String = reason.chars().take(100).collect();
    let reason = Message::new("login_reason").with("reason", reason);
    page(language, 400, "login_failed", &[reason, message.clone()], AGAIN)
}

/// A link's message and address.
type Link = (&'static str, &'static str);

const HOME: Link = ("login_back", "/");
const AGAIN: Link = ("login_again", "/oauth2/login");

/// A page of few words.
fn page(language: Language, status: u16, heading: &'static str, told: &[Message], link: Link) -> Response {
    let text = |message: &Message| escape(&message.text(language));
    let anchor = |(code, address): Link| format!("<a href=\"{address}\">{}</a>", text(&Message::new(code)));
    let paragraphs: String = told.iter().map(|message| format!("<p>{}</p>", text(message))).collect();
    let links = if link == HOME { anchor(HOME) } else { format!("{} · {}", anchor(link), anchor(HOME)) };
    let tag = if language == Language::Chinese { "zh-Hans" } else { "en" };
    Response::html(
        status,
        format!(
            "<!doctype html><html lang=\"{tag}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\">\
             <title>{}</title></head><body><h1>{}</h1>{paragraphs}<p>{links}</p></body></html>",
            text(&Message::new("login_title")),
            text(&Message::new(heading)),
        ),
    )
}

pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{CancelToken, Headers};

    const GOOGLE: &str = "https://codeassist.google.com/authcode";
    const OWN: &str = r#""oauth_client":{"client_id":"own","client_secret":"s"}"#;

    fn choice(config: &str, headers: &[(&str, &str)]) -> String {
        let mut fields = Headers::default();
        headers.iter().for_each(|(name, value)| fields.push(*name, *value));
        let request = Request {
            id: "r".into(),
            method: "GET".into(),
            path: "/oauth2/login".into(),
            query: String::new(),
            headers: fields,
            body: Vec::new(),
            peer: "127.0.0.1".parse().unwrap(),
            cancel: CancelToken::default(),
        };
        match way(&crate::config::parse(config).unwrap().config, &request) {
            Way::Redirect(address) => address,
            Way::Paste(address) => format!("paste {address}"),
        }
    }

    #[test]
    fn google_sends_the_browser_back_only_where_it_can_and_may() {
        let paste = format!("paste {GOOGLE}");
        let own = format!("{{{OWN}}}");
        let own_public = format!(r#"{{{OWN},"public_url":"https://p.example/"}}"#);
        for (config, headers, expected) in [
            ("{}", vec![("Host", "localhost:8889")], "http://localhost:8889/oauth2/callback"),
            ("{}", vec![("Host", "127.0.0.1:9")], "http://127.0.0.1:9/oauth2/callback"),
            ("{}", vec![("Host", "[::1]:9")], "http://[::1]:9/oauth2/callback"),
            ("{}", vec![("Host", "LOCALHOST")], "http://localhost/oauth2/callback"),
            ("{}", vec![("Host", "vps.example:8889")], &paste),
            ("{}", vec![("Host", "localhost.evil.example")], &paste),
            ("{}", vec![("Host", "localhost:8889/x")], &paste),
            ("{}", vec![("Host", "127.0.0.1:8889"), ("X-Forwarded-For", "203.0.113.9")], &paste),
            ("{}", vec![], &paste),
            (r#"{"public_url":"https://p.example"}"#, vec![("Host", "localhost:1")], &paste),
            (r#"{"public_url":"http://localhost:7/"}"#, vec![("Host", "x")], "http://localhost:7/oauth2/callback"),
            (&own_public, vec![("Host", "x")], "https://p.example/oauth2/callback"),
            (&own, vec![("Host", "vps.example")], "http://vps.example/oauth2/callback"),
            (
                &own,
                vec![("Host", "vps.example"), ("X-Forwarded-Proto", "https")],
                "https://vps.example/oauth2/callback",
            ),
            (&own, vec![], "paste http://localhost:8085/oauth2callback"),
        ] {
            assert_eq!(choice(config, &headers), expected, "{config} {headers:?}");
        }
    }

    #[test]
    fn what_comes_from_outside_is_escaped_on_the_page() {
        let answer = failed(Language::English, "<script>alert('x')</script>", &Message::said("\"&\""));
        let text = String::from_utf8(answer.body).unwrap();
        assert!(text.contains("Reason: &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;. Please try again."), "{text}");
        assert!(text.contains("&quot;&amp;&quot;") && !text.contains("<script"), "{text}");
    }
}
