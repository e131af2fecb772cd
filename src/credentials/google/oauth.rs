//! Talks to Google's token and user-info endpoints; the only file of the credentials that knows the HTTP client.
//!
//! Knows no pool and no file. Facts: docs/google-login.md "Tokens".

use super::trouble::{Trouble, service_status, service_unreachable};
use crate::config::{Endpoints, OauthClient};
use crate::message::Message;
use crate::secret::Secret;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::io;
use std::time::Duration;

/// Answers of these endpoints are a few KiB; a longer one is not theirs.
const ANSWER_LIMIT: u64 = 1024 * 1024;
/// More pages of models than this are a list that never ends.
const PAGES: usize = 10;
/// These calls are short; the agent's own wait is meant for generations.
const READ_IDLE: Duration = Duration::from_secs(20);
/// For what is on this machine or beside it.
const LOCAL: Duration = Duration::from_secs(3);
/// Nor is its time for a connection, unless it is shorter.
const CONNECT: Duration = Duration::from_secs(10);

const TOKEN_ENDPOINT: &str = "token endpoint";

/// The calls of this folder to Google.
pub(crate) struct Google {
    agent: ureq::Agent,
    connect: Duration,
    pub(crate) endpoints: Endpoints,
    /// For credentials that do not name their own.
    client: OauthClient,
}

/// What a token endpoint grants.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// For the calls.
    pub access: Secret,
    /// Usually absent after a refresh: then the old one stays good.
    pub refresh: Option<Secret>,
    /// Counted from the answer.
    pub lifetime: Duration,
    /// The granted scopes, if told.
    pub scope: Option<String>,
}

/// How a call with an access token failed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CallFault {
    /// Google answered with this status and, if it was JSON, this body.
    Status(u16, Value),
    /// No usable answer.
    Network(String),
}

impl Google {
    pub(crate) fn new(agent: ureq::Agent, endpoints: Endpoints, client: OauthClient) -> Google {
        let connect = agent.config().timeouts().connect.map_or(CONNECT, |connect| connect.min(CONNECT));
        Google { agent, connect, endpoints, client }
    }

    /// A new access token. Sent without `scope`: asking for fewer scopes than were granted would narrow the token, and
    /// Code Assist refuses it then (docs/compatibility.md "Refreshing tokens").
    pub(crate) fn refresh(&self, refresh_token: &str, own: Option<&OauthClient>) -> Result<Tokens, Trouble> {
        let client = own.unwrap_or(&self.client);
        self.grant(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
            ("client_id", &client.id),
            ("client_secret", client.secret.expose()),
        ])
    }

    /// Tokens for an authorization code. `redirect_uri` is byte for byte the one of the consent page's address.
    pub(crate) fn exchange(&self, code: &str, redirect_uri: &str, verifier: &str) -> Result<Tokens, Trouble> {
        self.grant(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", &self.client.id),
            ("client_secret", self.client.secret.expose()),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ])
    }

    /// A new access token for what a service account has signed (RFC 7523).
    pub(crate) fn assertion(&self, assertion: &str) -> Result<Tokens, Trouble> {
        self.grant(&[("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion)])
    }

    /// The account's e-mail address, if the token's scopes show it.
    pub(crate) fn email(&self, access: &Secret) -> Result<Option<String>, CallFault> {
        let answer = self.call(&self.endpoints.userinfo, access, None)?;
        Ok(answer.get("email").and_then(Value::as_str).filter(|email| !email.is_empty()).map(str::to_owned))
    }

    /// POST to a Code Assist method such as `loadCodeAssist`.
    pub(crate) fn code_assist(&self, method: &str, access: &Secret, body: &Value) -> Result<Value, CallFault> {
        let url = format!("{}/v1internal:{method}", self.endpoints.code_assist);
        self.call(&url, access, Some(body))
    }

    /// GET of a long-running operation; `name` is a path as Google returned it.
    pub(crate) fn operation(&self, name: &str, access: &Secret) -> Result<Value, CallFault> {
        self.call(&format!("{}/v1internal/{name}", self.endpoints.code_assist), access, None)
    }

    /// One page of the public API's model list.
    pub(crate) fn model_page(&self, key: &Secret, size: u32, page: Option<&str>) -> Result<Value, CallFault> {
        let mut url = format!("{}/v1beta/models?pageSize={size}", self.endpoints.generative_language);
        if let Some(page) = page {
            url = format!("{url}&pageToken={}", utf8_percent_encode(page, NON_ALPHANUMERIC));
        }
        let send = || self.short(self.agent.get(&url)).header("x-goog-api-key", key.expose()).call();
        match read(with_stale_retry(send)).map_err(CallFault::Network)? {
            (200, answer) => Ok(answer),
            (status, answer) => Err(CallFault::Status(status, answer)),
        }
    }

    /// The public API's whole model list.
    pub(crate) fn model_list(&self, key: &Secret) -> Result<Vec<Value>, CallFault> {
        let mut list = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES {
            let mut page = self.model_page(key, 1000, token.as_deref())?;
            if let Some(Value::Array(models)) = page.get_mut("models").map(Value::take) {
                list.extend(models);
            }
            token = page.get("nextPageToken").and_then(Value::as_str).filter(|token| !token.is_empty()).map(Into::into);
            if token.is_none() {
                break;
            }
        }
        Ok(list)
    }

    /// The patience of these calls.
    fn short<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        request.config().timeout_connect(Some(self.connect)).timeout_per_read(Some(READ_IDLE)).build()
    }

    /// A new access token for one of another provider (RFC 8693).
    pub(crate) fn exchange_token(&self, form: &[(&str, &str)]) -> Result<Tokens, Trouble> {
        self.grant_at(&self.endpoints.sts, form)
    }

    /// GET from this machine or its neighbour, never by the outgoing proxy: the text, and whether it says that it comes from
    /// Google's metadata server.
    pub(crate) fn local(&self, url: &str, headers: &[(&str, &str)]) -> Result<(String, bool), CallFault> {
        let network = |error: ureq::Error| CallFault::Network(error.to_string());
        let request = self.agent.get(url).config().proxy(None).timeout_global(Some(LOCAL)).build();
        let mut answer = with_headers(request, headers).call().map_err(network)?;
        let is_google = answer.headers().get("metadata-flavor").is_some_and(|flavor| flavor == "Google");
        let text = answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_string().map_err(network)?;
        match answer.status().as_u16() {
            200 => Ok((text, is_google)),
            status => Err(CallFault::Status(status, Value::Null)),
        }
    }

    /// Reads what a token endpoint grants.
    pub(crate) fn granted(&self, answer: &Value) -> Result<Tokens, Trouble> {
        tokens(answer).ok_or_else(|| Trouble::Transient(Message::new("no_access_token")))
    }

    fn grant(&self, form: &[(&str, &str)]) -> Result<Tokens, Trouble> {
        self.grant_at(&self.endpoints.oauth_token, form)
    }

    fn grant_at(&self, url: &str, form: &[(&str, &str)]) -> Result<Tokens, Trouble> {
        let send = || self.short(self.agent.post(url)).send_form(form.iter().copied());
        let (status, answer) = read(with_stale_retry(send))
            .map_err(|reason| Trouble::Transient(service_unreachable(TOKEN_ENDPOINT, &reason)))?;
        match status {
            200 => self.granted(&answer),
            status => Err(token_fault(status, &answer)),
        }
    }

    fn call(&self, url: &str, access: &Secret, body: Option<&Value>) -> Result<Value, CallFault> {
        let bearer = format!("Bearer {}", access.expose());
        self.json(url, &[("Authorization", &bearer)], body)
    }

    /// GET, or POST of a body, to any of Google's services.
    pub(crate) fn json(&self, url: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Result<Value, CallFault> {
        let send = || match body {
            Some(body) => {
                let request = with_headers(self.short(self.agent.post(url)), headers);
                request.header("Content-Type", "application/json").send(body.to_string())
            }
            None => with_headers(self.short(self.agent.get(url)), headers).call(),
        };
        match read(with_stale_retry(send)).map_err(CallFault::Network)? {
            (200, answer) => Ok(answer),
            (status, answer) => Err(CallFault::Status(status, answer)),
        }
    }
}

fn with_headers<B>(request: ureq::RequestBuilder<B>, headers: &[(&str, &str)]) -> ureq::RequestBuilder<B> {
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

type Answer = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

/// Google closes idle connections, and the client notices only when it sends (docs/crates.md "ureq: stale
/// connections"). All calls in here may be repeated; a code that did arrive answers `invalid_grant` the second time,
/// which is no worse.
fn with_stale_retry(send: impl Fn() -> Answer) -> Answer {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, UnexpectedEof};
    match send() {
        Err(ureq::Error::Io(error))
            if matches!(error.kind(), ConnectionReset | BrokenPipe | UnexpectedEof | NotConnected) =>
        {
            send()
        }
        answer => answer,
    }
}

/// Status and JSON body; a body that is no JSON (Google's front ends answer HTML) is null.
fn read(answer: Answer) -> Result<(u16, Value), String> {
    let mut answer = answer.map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec().map_err(|error| error.to_string())?;
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

fn tokens(answer: &Value) -> Option<Tokens> {
    let text = |name| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let seconds = match answer.get("expires_in") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_u64(),
        None => None,
    };
    Some(Tokens {
        access: Secret::new(text("access_token")?),
        refresh: text("refresh_token").map(Secret::new),
        // An hour is what Google grants; it has no reason to leave it out.
        lifetime: Duration::from_secs(seconds.unwrap_or(3600).min(366 * 86_400)),
        scope: text("scope").map(str::to_owned),
    })
}

/// The table of docs/google-login.md "Errors of the token endpoint": only `invalid_grant` is the account's end.
fn token_fault(status: u16, answer: &Value) -> Trouble {
    let word = answer.get("error").and_then(Value::as_str).unwrap_or_default();
    let detail = answer.get("error_description").and_then(Value::as_str).unwrap_or_default();
    match word {
        "invalid_grant" => {
            let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
            Trouble::Revoked(Message::new("login_ended").with("detail", detail))
        }
        "invalid_client" | "unauthorized_client" => Trouble::Config(Message::new("client_unknown").with("word", word)),
        "invalid_request" | "redirect_uri_mismatch" | "unsupported_grant_type" | "invalid_scope" => {
            Trouble::Config(Message::new("grant_refused").with("word", word).with("detail", detail))
        }
        "" => Trouble::Transient(service_status(TOKEN_ENDPOINT, status)),
        word => Trouble::Transient(service_unreachable(TOKEN_ENDPOINT, &format!("status {status}, {word}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Trouble, token_fault, tokens};
    use serde_json::{Value, json};
    use std::time::Duration;

    #[test]
    fn only_invalid_grant_ends_a_login() {
        for (status, answer, expected) in [
            (400, json!({"error": "invalid_grant", "error_description": "Bad Request"}), "revoked"),
            (400, json!({"error": "invalid_grant", "error_subtype": "invalid_rapt"}), "revoked"),
            (401, json!({"error": "invalid_client"}), "client"),
            (400, json!({"error": "invalid_request", "error_description": "client_secret is missing."}), "client"),
            (403, json!({"error": "access_denied"}), "transient"),
            (429, json!({"error": "rate_limit_exceeded"}), "transient"),
            (500, Value::Null, "transient"),
            (400, Value::Null, "transient"),
            (400, json!({"error": {"code": 400}}), "transient"),
        ] {
            let class = match token_fault(status, &answer) {
                Trouble::Revoked(_) => "revoked",
                Trouble::Config(_) => "client",
                Trouble::Transient(_) => "transient",
                other => panic!("{other:?}"),
            };
            assert_eq!(class, expected, "{status} {answer}");
        }
    }

    #[test]
    fn a_wrong_client_names_the_setting_to_correct() {
        let Trouble::Config(message) = token_fault(401, &json!({"error": "invalid_client"})) else { panic!() };
        assert!(message.to_string().contains("oauth_client"), "{message}");
    }

    #[test]
    fn lifetimes_may_be_numbers_texts_or_absent() {
        for (expires_in, seconds) in [(json!(3599), 3599), (json!("60"), 60), (Value::Null, 3600), (json!("x"), 3600)] {
            let tokens = tokens(&json!({"access_token": "a", "expires_in": expires_in})).unwrap();
            assert_eq!(tokens.lifetime, Duration::from_secs(seconds));
            assert!(tokens.refresh.is_none());
        }
        assert!(tokens(&json!({"access_token": "", "expires_in": 1})).is_none());
    }
}
