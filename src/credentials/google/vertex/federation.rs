//! Tokens that come by way of somebody else's: a service account that another credential may act as, a token of another
//! provider (workload identity), and the metadata server of the machine (docs/vertex.md "Metadata server").

use super::item::{impersonated, text};
use super::token::{self, SCOPE};
use crate::calendar;
use crate::config::OauthClient;
use crate::credentials::google::oauth::{CallFault, Google, Tokens};
use crate::credentials::google::trouble::Trouble;
use crate::message::Message;
use crate::secret::Secret;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::Read;
use std::time::SystemTime;

const STS: &str = "https://sts.googleapis.com/v1/token";
/// No provider's token is longer.
const LONGEST: u64 = 64 << 10;
const FLAVOR: (&str, &str) = ("Metadata-Flavor", "Google");

/// A token of the service account that another credential may act as.
pub(super) fn by_impersonation(google: &Google, item: &Map<String, Value>) -> Result<Tokens, Trouble> {
    let unusable = || Trouble::Revoked(Message::new("vertex_impersonation"));
    let source = item.get("source_credentials").and_then(Value::as_object).ok_or_else(unusable)?;
    let tokens = match text(source, "type") {
        Some("service_account") => token::service_account(google, source)?,
        _ => {
            let client = text(source, "client_id").zip(text(source, "client_secret"));
            let client = client.map(|(id, secret)| OauthClient { id: id.into(), secret: Secret::new(secret) });
            google.refresh(text(source, "refresh_token").ok_or_else(unusable)?, client.as_ref())?
        }
    };
    act_as(google, &tokens.access, item)
}

/// Sends the bearer to Google's own address only: the item says no more than whom to act as.
fn act_as(google: &Google, access: &Secret, item: &Map<String, Value>) -> Result<Tokens, Trouble> {
    let email = impersonated(item).ok_or_else(|| Trouble::Revoked(Message::new("vertex_impersonation")))?;
    let url = format!("{}/v1/projects/-/serviceAccounts/{email}:generateAccessToken", google.endpoints.iam_credentials);
    let bearer = Secret::new(format!("Bearer {}", access.expose()));
    let mut body = json!({"scope": [SCOPE], "lifetime": "3600s"});
    if let Some(delegates) = item.get("delegates").filter(|delegates| delegates.is_array()) {
        body["delegates"] = delegates.clone();
    }
    let answer =
        google.json(&url, &[("Authorization", bearer.expose())], Some(&body)).map_err(|fault| match fault {
            // A person can grant the role at any time.
            CallFault::Status(401 | 403 | 404, _) => Trouble::Config(Message::new("vertex_impersonation_refused")),
            fault => fault.passing("IAM Credentials API"),
        })?;
    let access = answer.get("accessToken").and_then(Value::as_str).map(Secret::new);
    let end = answer.get("expireTime").and_then(Value::as_str).and_then(calendar::read);
    let lifetime = end.and_then(|end| end.duration_since(SystemTime::now()).ok());
    let (Some(access), Some(lifetime)) = (access, lifetime) else {
        return Err(Trouble::Transient(Message::new("no_access_token")));
    };
    Ok(Tokens { access, refresh: None, lifetime, scope: None })
}

/// A token for one of another provider.
pub(super) fn by_exchange(google: &Google, item: &Map<String, Value>) -> Result<Tokens, Trouble> {
    if !text(item, "token_url").is_some_and(|url| url == STS || url == google.endpoints.sts) {
        return Err(Trouble::Revoked(Message::new("vertex_token_uri").with("uri", STS)));
    }
    let subject = subject_token(google, item)?;
    let field = |name| text(item, name).unwrap_or_default();
    let tokens = google.exchange_token(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("audience", field("audience")),
        ("scope", SCOPE),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token", subject.expose()),
        ("subject_token_type", field("subject_token_type")),
    ])?;
    match text(item, "service_account_impersonation_url") {
        Some(_) => act_as(google, &tokens.access, item),
        None => Ok(tokens),
    }
}

/// Read anew each time: it ends sooner than ours.
fn subject_token(google: &Google, item: &Map<String, Value>) -> Result<Secret, Trouble> {
    let missing = || Trouble::Config(Message::new("vertex_external_source"));
    let source = item.get("credential_source").and_then(Value::as_object).ok_or_else(missing)?;
    let content = match (text(source, "file"), text(source, "url")) {
        (Some(file), _) => {
            let mut content = String::new();
            let file = File::open(file).map_err(|_| missing())?;
            file.take(LONGEST).read_to_string(&mut content).map_err(|_| missing())?;
            content
        }
        (None, Some(url)) => {
            let headers = source.get("headers").and_then(Value::as_object).into_iter().flatten();
            let headers: Vec<(&str, &str)> =
                headers.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
            google.local(url, &headers).map_err(|fault| fault.passing("credential_source"))?.0
        }
        (None, None) => return Err(missing()),
    };
    let format = source.get("format").and_then(Value::as_object);
    let name = format.filter(|format| text(format, "type") == Some("json"));
    let name = name.and_then(|format| text(format, "subject_token_field_name"));
    let token = match name {
        None => Some(content.trim().to_owned()),
        Some(name) => {
            let answer: Value = serde_json::from_str(&content).unwrap_or_default();
            answer.get(name).and_then(Value::as_str).map(str::to_owned)
        }
    };
    token.filter(|token| !token.is_empty()).map(Secret::new).ok_or_else(missing)
}

/// The token of the machine's own service account. The server keeps it until shortly before its end.
pub(super) fn of_machine(google: &Google) -> Result<Tokens, Trouble> {
    let answer =
        metadata(google, "instance/service-accounts/default/token").map_err(|fault| fault.passing(token::METADATA))?;
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    google.granted(&answer)
}

/// The machine's project.
pub(super) fn project_of_machine(google: &Google) -> Result<String, CallFault> {
    Ok(metadata(google, "project/project-id")?.trim().to_owned())
}

/// What does not say that it is the metadata server is something else that answers every address.
fn metadata(google: &Google, path: &str) -> Result<String, CallFault> {
    let url = format!("{}/computeMetadata/v1/{path}", google.endpoints.metadata);
    match google.local(&url, &[FLAVOR])? {
        (text, true) => Ok(text),
        (_, false) => Err(CallFault::Network("it is not Google's metadata server".into())),
    }
}
