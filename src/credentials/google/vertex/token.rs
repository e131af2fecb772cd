//! How an item comes to a token and a project, and whether Google serves it. No generation is spent.

use super::federation;
use super::item::{MACHINE, Source, text};
use super::key;
use crate::config::OauthClient;
use crate::credentials::google::check::Fine;
use crate::credentials::google::oauth::{CallFault, Google, Tokens};
use crate::credentials::google::setup;
use crate::credentials::google::trouble::{Block, Trouble};
use crate::credentials::lease::Access;
use crate::message::Message;
use serde_json::{Map, Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const NAME: &str = "Vertex AI";
pub(super) const METADATA: &str = "metadata server";
/// What every call of Vertex AI needs.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// For whom an assertion is, whatever the file's `token_uri` says.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";
/// Google's other names for its token endpoint, in older files.
const OLD_ENDPOINTS: [&str; 2] =
    ["https://accounts.google.com/o/oauth2/token", "https://www.googleapis.com/oauth2/v4/token"];
/// What Google grants at most.
const LIFETIME: u64 = 3600;
/// What a check asks to count tokens; that a place does not have it says nothing about the credential.
const CHECKED_MODEL: &str = "gemini-3.5-flash";

/// A token for an item that is no key.
pub(crate) fn token(google: &Google, item: &Value, client: Option<&OauthClient>) -> Result<Tokens, Trouble> {
    let unusable = || Trouble::Revoked(Message::new("item_empty"));
    let item = item.as_object().filter(|_| cfg!(feature = "vertex")).ok_or_else(unusable)?;
    match Source::of(item).ok_or_else(unusable)? {
        Source::ServiceAccount => service_account(google, item),
        Source::User => google.refresh(text(item, "refresh_token").ok_or_else(unusable)?, client),
        Source::Key => Err(unusable()),
        Source::Impersonated => federation::by_impersonation(google, item),
        Source::External => federation::by_exchange(google, item),
        Source::Machine => federation::of_machine(google),
    }
}

/// Signs for a token. The assertion goes to Google's token endpoint or to the one of the config, wherever the file points.
pub(super) fn service_account(google: &Google, item: &Map<String, Value>) -> Result<Tokens, Trouble> {
    let endpoint = google.endpoints.oauth_token.as_str();
    let is_googles = |uri: &str| uri == AUDIENCE || uri == endpoint || OLD_ENDPOINTS.contains(&uri);
    if !text(item, "token_uri").is_none_or(is_googles) {
        return Err(Trouble::Revoked(Message::new("vertex_token_uri").with("uri", AUDIENCE)));
    }
    let key = key::read(text(item, "private_key").unwrap_or_default());
    let key = key.map_err(|code| Trouble::Revoked(Message::new(code)))?;
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": text(item, "private_key_id")});
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let claims = json!({
        "iss": text(item, "client_email"), "scope": SCOPE, "aud": AUDIENCE, "iat": now, "exp": now + LIFETIME,
    });
    let assertion = key::token(&key, &header, &claims);
    let assertion = assertion.ok_or_else(|| Trouble::Transient(Message::new("vertex_cannot_sign")))?;
    google.assertion(&assertion).map_err(|fault| match fault {
        Trouble::Revoked(message) if message.to_string().contains("reasonable timeframe") => {
            Trouble::Config(Message::new("vertex_clock"))
        }
        Trouble::Revoked(message) => Trouble::Revoked(Message::new("vertex_key_ended").with_message("why", message)),
        fault => fault,
    })
}

/// The project of a credential that names none: only a machine can be asked for its own.
pub(crate) fn project(google: &Google, item: &Value) -> Result<String, Trouble> {
    let is_machine = item.get("type").and_then(Value::as_str) == Some(MACHINE) && cfg!(feature = "vertex");
    match is_machine {
        true => federation::project_of_machine(google).map_err(|fault| fault.passing(METADATA)),
        false => Err(Trouble::Blocked(Block::new("NO_PROJECT", Message::new("vertex_no_project")))),
    }
}

/// Whether Google counts tokens for it, in the first place that is asked.
pub(crate) fn check(google: &Google, access: &Access) -> Result<Fine, Trouble> {
    let Some(place) = access.place.as_deref().filter(|_| cfg!(feature = "vertex")) else {
        return Err(Trouble::Transient(Message::new("vertex_not_built")));
    };
    let location = place.order(CHECKED_MODEL).first().copied().unwrap_or_default().to_owned();
    let base = google.endpoints.vertex.as_deref();
    let url = place.url(base, access.project.as_deref(), &location, CHECKED_MODEL, "countTokens");
    let authorization = place.authorization(&access.secret);
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    let fine = |message: Message| Ok(Fine { message, tier: None });
    match google.json(&url, &place.headers(&authorization), Some(&body)) {
        Ok(_) => fine(Message::new("vertex_served").with("location", &location)),
        // The place is asked for a model that it may not have.
        Err(CallFault::Status(404, answer)) if answer.get("error").is_some() => {
            fine(Message::new("vertex_accepts").with("location", &location))
        }
        Err(CallFault::Status(401, _)) if place.is_key => {
            Err(Trouble::Blocked(Block::new("CREDENTIALS_MISSING", Message::new("vertex_key_refused"))))
        }
        Err(fault @ (CallFault::Network(_) | CallFault::Status(402 | 404.., _))) => Err(fault.passing(NAME)),
        Err(fault) => Err(match setup::setup_fault(fault) {
            Trouble::Blocked(why) if why.reason == "IAM_PERMISSION_DENIED" => {
                Trouble::Blocked(Block { message: Message::new("vertex_role"), ..why })
            }
            fault => fault,
        }),
    }
}
