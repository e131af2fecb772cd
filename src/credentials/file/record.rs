//! One item of the credentials file, kept as the JSON it was: unknown fields and key order survive every write.
//!
//! Reads the shapes of docs/google-login.md "Stored credentials" and writes each back in its own. Knows no file, no
//! pool, no network.

use super::identity::{Identity, Key};
use crate::calendar;
use crate::config::OauthClient;
use crate::credentials::google::vertex;
use crate::credentials::lease::Kind;
use crate::credentials::place::VertexPlace;
use crate::secret::Secret;
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The old program's fields, in the old program's order (docs/compatibility.md "The shape of the credentials file").
const PLAIN: [&str; 4] = ["access_token", "refresh_token", "token_type", "expiry_date"];
const ACCESS: [&str; 3] = ["access_token", "accessToken", "token"];
const REFRESH: [&str; 2] = ["refresh_token", "refreshToken"];
const EXPIRY: [&str; 4] = ["expiry_date", "expiresAt", "expires_at", "expiry"];

/// Fields that a person gave an item here; another login of the account keeps them unless it brings its own.
const OURS: [&str; 4] = ["label", "project_id", "locations", "quota_project_id"];

/// An expiry number above this is in milliseconds, below it in seconds: the year 5138 in one unit, 1973 in the other.
const SECONDS_END: i64 = 100_000_000_000;

/// An item of the file, whatever it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    value: Value,
    /// Read from `value`: the pool asks for every credential at every request.
    kind: Result<Kind, &'static str>,
    is_key: bool,
    is_machine: bool,
    disabled: bool,
    name: u64,
}

impl Record {
    pub(crate) fn new(value: Value) -> Record {
        let mut record = Record { value, kind: Err(""), is_key: false, is_machine: false, disabled: false, name: 0 };
        record.read();
        record
    }

    /// An API key item as this program writes it.
    pub(crate) fn api_key_item(key: &Secret, label: Option<&str>) -> Record {
        let mut fields = Map::new();
        fields.insert("type".into(), "api_key".into());
        fields.insert("api_key".into(), key.expose().into());
        if let Some(label) = label {
            fields.insert("label".into(), label.into());
        }
        Record::new(Value::Object(fields))
    }

    /// The item that stands for the machine in Google Cloud that this runs on.
    pub(crate) fn machine() -> Record {
        let mut record = Record::new(serde_json::json!({"type": vertex::MACHINE, "label": "Google Cloud"}));
        record.is_machine = cfg!(feature = "vertex");
        record.read();
        record
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    /// What it can be used for, or the code of the message that says why it cannot.
    pub(crate) fn kind(&self) -> Result<Kind, &'static str> {
        self.kind
    }

    /// Whether it needs no token.
    pub(crate) fn is_key(&self) -> bool {
        self.is_key
    }

    /// Where it is served, if that is Vertex AI.
    pub(crate) fn place(&self) -> Option<VertexPlace> {
        self.value.as_object().filter(|_| self.kind == Ok(Kind::Vertex)).and_then(vertex::place)
    }

    /// Whether tokens are written to the file: not where the item can always sign for a new one.
    pub(crate) fn keeps_tokens(&self) -> bool {
        self.kind != Ok(Kind::Vertex) || self.refresh_token().is_some()
    }

    fn read(&mut self) {
        self.disabled = self.value.get("disabled") == Some(&Value::Bool(true));
        self.kind = self.read_kind();
        self.is_key = match self.kind {
            Ok(Kind::ApiKey) => true,
            Ok(Kind::Vertex) => self.value.as_object().is_some_and(vertex::is_key),
            Ok(Kind::Oauth) | Err(_) => false,
        };
        self.name = self.key().name();
    }

    fn read_kind(&self) -> Result<Kind, &'static str> {
        let Some(fields) = self.value.as_object() else { return Err("item_no_object") };
        if let Some(kind) = vertex::kind(fields) {
            return if self.is_machine { Ok(Kind::Vertex) } else { kind };
        }
        // Workforce logins have a token endpoint of their own, so their refresh token is nothing for Google's.
        if self.text("type") == Some("external_account_authorized_user") {
            return Err("item_type");
        }
        let wants_key = self.text("type") == Some("api_key");
        match (self.refresh_token(), self.api_key()) {
            (_, Some(_)) if wants_key => Ok(Kind::ApiKey),
            (Some(_), _) => Ok(Kind::Oauth),
            (None, Some(_)) => Ok(Kind::ApiKey),
            (None, None) if ["installed", "web"].iter().any(|kind| fields.get(*kind).is_some_and(Value::is_object)) => {
                Err("item_client")
            }
            (None, None) if self.text("type").is_some_and(|kind| !["authorized_user", "api_key"].contains(&kind)) => {
                Err("item_type")
            }
            (None, None) => Err("item_empty"),
        }
    }

    /// What it has in common with items that are the same credential.
    pub(crate) fn key(&self) -> Key {
        self.identity().map_or_else(|| Key::Unusable(self.value.to_string()), Key::Usable)
    }

    /// A hash of the key, good in this process: others may have it too.
    pub(crate) fn name(&self) -> u64 {
        self.name
    }

    /// `None` for an item that cannot be used.
    pub(crate) fn identity(&self) -> Option<Identity> {
        let text = match self.kind().ok()? {
            Kind::Oauth => self.refresh_token(),
            Kind::ApiKey => self.api_key(),
            Kind::Vertex => return vertex::identity(self.value.as_object()?).map(Identity::of),
        };
        text.map(|text| Identity::of(Secret::new(text)))
    }

    pub(crate) fn access_token(&self) -> Option<&str> {
        self.token_field(&ACCESS)
    }

    pub(crate) fn refresh_token(&self) -> Option<&str> {
        self.token_field(&REFRESH)
    }

    pub(crate) fn api_key(&self) -> Option<&str> {
        self.text("api_key")
    }

    /// When the access token ends.
    pub(crate) fn expiry(&self) -> Option<SystemTime> {
        let tokens = self.tokens()?;
        let millis = EXPIRY.iter().find_map(|name| expiry_millis(tokens.get(*name)?))?;
        u64::try_from(millis).ok().map(|millis| UNIX_EPOCH + Duration::from_millis(millis))
    }

    pub(crate) fn email(&self) -> Option<&str> {
        self.text("email").or_else(|| vertex::email(self.value.as_object()?))
    }

    pub(crate) fn label(&self) -> Option<&str> {
        self.text("label")
    }

    pub(crate) fn disabled(&self) -> bool {
        self.disabled
    }

    /// The project that the file names, or that its service account is of.
    pub(crate) fn project(&self) -> Option<&str> {
        let home = || vertex::home(self.value.as_object().filter(|_| self.kind == Ok(Kind::Vertex))?);
        self.text("project_id").or_else(|| self.text("projectId")).or_else(home)
    }

    /// A project that belongs to the account and may be offered when Google names none (gcloud's own login).
    pub(crate) fn project_hint(&self) -> Option<&str> {
        self.text("quota_project_id")
    }

    /// The OAuth client the tokens were issued to, when the item names it: a refresh token works with no other.
    pub(crate) fn client(&self) -> Option<OauthClient> {
        let field = |name| self.text(name).or_else(|| text(self.tokens()?, name));
        Some(OauthClient { id: field("client_id")?.into(), secret: Secret::new(field("client_secret")?) })
    }

    /// Whether it is only what the old program wrote, and so may stand alone in the file as a single object.
    pub(crate) fn is_plain(&self) -> bool {
        let fields = self.value.as_object();
        fields.is_some_and(|fields| fields.keys().all(|key| PLAIN.contains(&key.as_str())))
    }

    /// Puts new tokens into the fields where this item keeps them. `None` keeps the refresh token.
    pub(crate) fn set_tokens(&mut self, access: &Secret, refresh: Option<&Secret>, expiry: SystemTime) {
        if !self.keeps_tokens() {
            return;
        }
        let plain = self.is_plain();
        let millis = millis(expiry);
        let nested = self.value.get("token").is_some_and(Value::is_object);
        let tokens = if nested { self.value.get_mut("token") } else { Some(&mut self.value) };
        let Some(tokens) = tokens.and_then(Value::as_object_mut) else { return };
        let camel = tokens.contains_key("refreshToken");
        set_present(tokens, &ACCESS, if camel { "accessToken" } else { "access_token" }, access.expose());
        if let Some(refresh) = refresh {
            set_present(tokens, &REFRESH, "refresh_token", refresh.expose());
        }
        set_expiry(tokens, millis, camel);
        if plain {
            self.set_plain_order();
        }
        self.read();
    }

    /// Sets or removes a field of our own at the item's top.
    pub(crate) fn set(&mut self, name: &str, value: Option<Value>) {
        let Some(fields) = self.value.as_object_mut() else { return };
        match value {
            Some(value) => drop(fields.insert(name.into(), value)),
            None => drop(fields.shift_remove(name)),
        }
        self.read();
    }

    /// Keeps what a person gave an older login of the account.
    pub(crate) fn keep_ours(&mut self, old: &Record) {
        for name in OURS {
            if let (None, Some(value)) = (self.value.get(name), old.value.get(name)) {
                self.set(name, Some(value.clone()));
            }
        }
    }

    fn set_plain_order(&mut self) {
        let Some(fields) = self.value.as_object_mut() else { return };
        fields.entry("token_type").or_insert_with(|| "Bearer".into());
        let ordered = PLAIN.iter().filter_map(|name| fields.shift_remove_entry(*name));
        *fields = ordered.collect();
    }

    /// The object that holds the tokens: the item itself, or its `token` credential.
    fn tokens(&self) -> Option<&Map<String, Value>> {
        let fields = self.value.as_object()?;
        Some(fields.get("token").and_then(Value::as_object).unwrap_or(fields))
    }

    fn token_field(&self, names: &[&str]) -> Option<&str> {
        let tokens = self.tokens()?;
        names.iter().find_map(|name| text(tokens, name))
    }

    fn text(&self, name: &str) -> Option<&str> {
        text(self.value.as_object()?, name)
    }
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name)?.as_str().filter(|text| !text.is_empty())
}

fn expiry_millis(value: &Value) -> Option<i64> {
    let number = match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|n| n as i64))?,
        Value::String(text) => match text.trim().parse() {
            Ok(number) => number,
            Err(_) => return calendar::read(text).map(millis),
        },
        _ => return None,
    };
    Some(if number.abs() < SECONDS_END { number.saturating_mul(1000) } else { number })
}

fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

fn set_present(fields: &mut Map<String, Value>, names: &[&str], fallback: &str, text: &str) {
    let mut found = false;
    for name in names {
        if let Some(value) = fields.get_mut(*name).filter(|value| !value.is_object()) {
            *value = text.into();
            found = true;
        }
    }
    if !found {
        fields.insert(fallback.into(), text.into());
    }
}

/// Writes the expiry into every field that has one, each in its own notation.
fn set_expiry(fields: &mut Map<String, Value>, millis: i64, camel: bool) {
    let utc = calendar::iso(UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs()));
    let naive = utc.trim_end_matches('Z');
    let mut found = false;
    for name in EXPIRY {
        let Some(value) = fields.get_mut(name) else { continue };
        found = true;
        *value = match value {
            Value::String(text) if text.ends_with(['Z', 'z']) => utc.as_str().into(),
            // A zone other than Z: the same instant, told in UTC.
            Value::String(text) if calendar::read(text).is_some() && text.rfind(['+', '-']) > Some(10) => {
                format!("{naive}+00:00").into()
            }
            Value::String(text) if calendar::read(text).is_some() => naive.into(),
            Value::Number(number) if name != "expiry_date" && is_seconds(number) => (millis / 1000).into(),
            _ if name == "expiry" => utc.as_str().into(),
            _ => millis.into(),
        };
    }
    if !found {
        let (name, value) = if camel { ("expiresAt", millis / 1000) } else { ("expiry_date", millis) };
        fields.insert(name.into(), value.into());
    }
}

fn is_seconds(number: &serde_json::Number) -> bool {
    number.as_f64().is_some_and(|number| number.abs() < SECONDS_END as f64)
}

#[cfg(test)]
mod tests;
