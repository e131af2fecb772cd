//! Items of the credentials file that are for Vertex AI, as Google's tools write them, with fields of ours beside theirs:
//! `locations`, `project_id`, `quota_project_id`, and `upstream` where the item alone does not say it.

use super::key;
use crate::credentials::lease::Kind;
use crate::credentials::place::VertexPlace;
use crate::secret::Secret;
use serde_json::{Map, Value};

/// Where requests go that no `locations` say otherwise: the newest models are there.
const DEFAULT_LOCATION: &str = "global";
/// More locations than Google has.
const MOST_LOCATIONS: usize = 64;

pub(super) const NOT_BUILT: &str = "vertex_not_built";

/// How an item comes to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Its key signs for one.
    ServiceAccount,
    /// Its refresh token gets one.
    User,
    /// It is an API key and needs none.
    Key,
    /// Another credential in it may act as a service account.
    Impersonated,
    /// Google's token service takes a token of another provider for it.
    External,
    /// The machine that this runs on has one.
    Machine,
}

/// The type of the item that stands for the machine. It is in no file: the config says whether there is one.
pub(crate) const MACHINE: &str = "gcp_metadata";
const ONLY_CONFIG: &str = "vertex_machine";

impl Source {
    /// `None`: the item is not for Vertex AI.
    pub(super) fn of(item: &Map<String, Value>) -> Option<Source> {
        match (text(item, "type"), text(item, "upstream")) {
            (Some("service_account"), _) => Some(Source::ServiceAccount),
            (Some("vertex_key"), _) => Some(Source::Key),
            (Some("impersonated_service_account"), _) => Some(Source::Impersonated),
            (Some("external_account"), _) => Some(Source::External),
            (Some(MACHINE), _) => Some(Source::Machine),
            (_, Some("vertex")) if text(item, "api_key").is_some() => Some(Source::Key),
            (_, Some("vertex")) => Some(Source::User),
            _ => None,
        }
    }
}

/// `None`: the item is not for Vertex AI. The sentence says what keeps it from being used.
pub(crate) fn kind(item: &Map<String, Value>) -> Option<Result<Kind, &'static str>> {
    let source = Source::of(item)?;
    if !cfg!(feature = "vertex") {
        return Some(Err(NOT_BUILT));
    }
    Some(usable(source, item).map(|()| Kind::Vertex))
}

fn usable(source: Source, item: &Map<String, Value>) -> Result<(), &'static str> {
    let needs = |name, sentence| text(item, name).map(drop).ok_or(sentence);
    match source {
        Source::ServiceAccount => {
            needs("client_email", "vertex_no_email")?;
            let key = text(item, "private_key");
            key::read(key.ok_or("vertex_no_private_key")?)?;
        }
        Source::User => {
            needs("refresh_token", "vertex_no_refresh_token")?;
        }
        Source::Key => needs("api_key", "vertex_no_api_key")?,
        Source::Impersonated => {
            impersonated(item).ok_or("vertex_impersonation")?;
            let source = item.get("source_credentials").and_then(Value::as_object).ok_or("vertex_impersonation")?;
            match text(source, "type") {
                Some("service_account") => usable(Source::ServiceAccount, source)?,
                _ => usable(Source::User, source)?,
            }
        }
        Source::External => {
            let is_there = |name| text(item, name).is_some();
            if !["audience", "subject_token_type", "token_url"].into_iter().all(is_there) {
                return Err("vertex_external");
            }
            let source = item.get("credential_source").and_then(Value::as_object);
            if source.is_none_or(|source| text(source, "file").or(text(source, "url")).is_none()) {
                return Err("vertex_external_source");
            }
            if is_there("service_account_impersonation_url") {
                impersonated(item).ok_or("vertex_impersonation")?;
            }
        }
        // Nothing that is imported makes the program ask its neighbour.
        Source::Machine => return Err(ONLY_CONFIG),
    }
    if text(item, "universe_domain").is_some_and(|domain| domain != "googleapis.com") {
        return Err("vertex_universe");
    }
    locations(item).map(drop)
}

/// Names that make a host and are nothing else.
fn locations(item: &Map<String, Value>) -> Result<Vec<String>, &'static str> {
    const WRONG: &str = "vertex_locations";
    let is_name = |name: &&str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=40).contains(&name.len()) && name.bytes().all(fits) && !name.starts_with('-') && !name.ends_with('-')
    };
    let list = match item.get("locations").or(item.get("location")) {
        None | Some(Value::Null) => return Ok(vec![DEFAULT_LOCATION.to_owned()]),
        Some(only @ Value::String(_)) => std::slice::from_ref(only),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(WRONG),
    };
    if !(1..=MOST_LOCATIONS).contains(&list.len()) {
        return Err(WRONG);
    }
    list.iter().map(|name| name.as_str().filter(is_name).map(str::to_owned).ok_or(WRONG)).collect()
}

/// The service account that an item acts as. Only its address is taken out of what the item says.
pub(super) fn impersonated(item: &Map<String, Value>) -> Option<&str> {
    let url = text(item, "service_account_impersonation_url")?;
    let (_, email) = url.split_once("/serviceAccounts/")?;
    let email = email.strip_suffix(":generateAccessToken")?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"@.-_".contains(&byte);
    (email.contains('@') && email.bytes().all(fits)).then_some(email)
}

/// Who an item is.
pub(crate) fn email(item: &Map<String, Value>) -> Option<&str> {
    text(item, "client_email").or_else(|| impersonated(item))
}

/// The project that an item belongs to where it names none: the one that pays, or that of its service account.
pub(crate) fn home(item: &Map<String, Value>) -> Option<&str> {
    let of_account =
        || email(item)?.strip_suffix(".iam.gserviceaccount.com")?.split_once('@').map(|(_, project)| project);
    text(item, "quota_project_id").or_else(of_account)
}

/// Whether the item is a key, which needs no token.
pub(crate) fn is_key(item: &Map<String, Value>) -> bool {
    Source::of(item) == Some(Source::Key)
}

/// What makes two items the same credential. The same key or login may also serve the public API or Code Assist.
pub(crate) fn identity(item: &Map<String, Value>) -> Option<Secret> {
    let secret = match Source::of(item)? {
        Source::ServiceAccount => format!("{}:{}", email(item)?, text(item, "private_key")?),
        Source::User => text(item, "refresh_token")?.to_owned(),
        Source::Key => text(item, "api_key")?.to_owned(),
        Source::Impersonated => {
            let source = item.get("source_credentials")?.as_object()?;
            let secret = text(source, "private_key").or_else(|| text(source, "refresh_token"))?;
            format!("{}:{secret}", impersonated(item)?)
        }
        Source::External => {
            format!(
                "{}:{}:{}",
                text(item, "audience")?,
                item.get("credential_source")?,
                impersonated(item).unwrap_or("")
            )
        }
        Source::Machine => MACHINE.to_owned(),
    };
    Some(Secret::new(format!("vertex:{secret}")))
}

/// Where a usable item is served.
pub(crate) fn place(item: &Map<String, Value>) -> Option<VertexPlace> {
    let source = Source::of(item)?;
    let quota_project = text(item, "quota_project_id").map(str::to_owned);
    Some(VertexPlace::new(source == Source::Key, quota_project, locations(item).ok()?))
}

pub(super) fn text<'a>(item: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    item.get(name)?.as_str().filter(|text| !text.is_empty())
}

#[cfg(all(test, feature = "vertex"))]
mod tests {
    use super::*;
    use serde_json::json;

    const PEM: &str = include_str!("../../../../tests/fixtures/vertex/key.pem");

    fn read(value: &Value) -> Option<Result<Kind, &'static str>> {
        kind(value.as_object().unwrap())
    }

    #[test]
    fn what_is_for_vertex_is_told_from_the_rest() {
        let account =
            json!({"type": "service_account", "client_email": "a@p.iam.gserviceaccount.com", "private_key": PEM});
        let user = json!({"type": "authorized_user", "refresh_token": "r"});
        let with = |value: &Value, name: &str, field: Value| {
            let mut value = value.clone();
            value[name] = field;
            value
        };
        for (value, expected) in [
            (account.clone(), Some(Ok(()))),
            (user.clone(), None),
            (with(&user, "upstream", json!("vertex")), Some(Ok(()))),
            (json!({"type": "vertex_key", "api_key": "AQ.k"}), Some(Ok(()))),
            (json!({"api_key": "AQ.k", "upstream": "vertex"}), Some(Ok(()))),
            (json!({"api_key": "AQ.k"}), None),
            (json!({"type": "vertex_key"}), Some(Err("vertex_no_api_key"))),
            (json!({"upstream": "vertex"}), Some(Err("vertex_no_refresh_token"))),
            (with(&account, "client_email", Value::Null), Some(Err("vertex_no_email"))),
            (with(&account, "private_key", Value::Null), Some(Err("vertex_no_private_key"))),
            (with(&account, "private_key", json!("x")), Some(Err("pem_no_begin"))),
            (with(&account, "universe_domain", json!("apis-s3ns.fr")), Some(Err("vertex_universe"))),
            (with(&account, "universe_domain", json!("googleapis.com")), Some(Ok(()))),
            (with(&account, "locations", json!(["us", "europe-west4"])), Some(Ok(()))),
            (with(&account, "locations", json!("eu")), Some(Ok(()))),
        ] {
            match (read(&value), expected) {
                (None, None) | (Some(Ok(Kind::Vertex)), Some(Ok(()))) => {}
                (Some(Err(code)), Some(Err(expected))) if code == expected => {}
                (found, _) => panic!("{value}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_location_is_a_plain_name_and_no_address() {
        for wrong in [
            json!("evil.example/#"),
            json!(["global", "a@b"]),
            json!(["US"]),
            json!([""]),
            json!([]),
            json!(["-x"]),
            json!([1]),
            json!({}),
            json!(["x".repeat(41)]),
        ] {
            let item = json!({"type": "vertex_key", "api_key": "k", "locations": wrong});
            assert!(read(&item).unwrap().unwrap_err() == "vertex_locations", "{item}");
        }
    }

    #[test]
    fn the_same_key_may_stand_for_two_services() {
        let key = json!({"type": "vertex_key", "api_key": "AQ.k"});
        assert_eq!(identity(key.as_object().unwrap()).unwrap().expose(), "vertex:AQ.k");
    }
}
