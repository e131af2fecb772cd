//! What the fake knows: users, keys, tokens, models, scripts and the record of what was asked.

use super::super::written;
use super::files::Looking;
use super::models::{Model, builtin};
use super::script::Step;
use super::server::Outcome;
use super::vertex::Vertex;
use serde_json::Value;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

pub const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
pub const EMAIL_SCOPE: &str = "https://www.googleapis.com/auth/userinfo.email";
pub const PROFILE_SCOPE: &str = "https://www.googleapis.com/auth/userinfo.profile";

/// What Code Assist thinks of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Onboarded with a licence; the project is the user's own.
    Licensed,
    /// Onboarded individual with a managed project (the world before 2026-06-18).
    Free,
    /// Not onboarded; `onboardUser` is done after `polls` looks at the operation. `answer` says what names the project.
    NewFree { polls: u32, answer: OnboardAnswer },
    /// Login works, nothing else does.
    UnsupportedClient,
    /// Must open a page first.
    ValidationRequired,
    /// `loadCodeAssist` answers 403 SECURITY_POLICY_VIOLATED; generation works with the user's project.
    VpcServiceControls,
    /// A paid personal subscription: standard tier, managed project, `paidTier`.
    Paid,
}

/// How a finished `onboardUser` names the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnboardAnswer {
    Object,
    Text,
    EmptyObject,
    Error,
}

impl Tier {
    pub fn new_free(polls: u32) -> Tier {
        Tier::NewFree { polls, answer: OnboardAnswer::Object }
    }
}

/// A Google account.
#[derive(Clone, Debug)]
pub struct User {
    pub email: String,
    pub project: String,
    pub tier: Tier,
    /// Scopes the user grants.
    pub scopes: Vec<String>,
    /// Models this account gets a 404 for.
    pub hidden_models: Vec<String>,
}

impl User {
    pub fn new(email: &str, project: &str, tier: Tier) -> User {
        let scopes = [PROFILE_SCOPE, EMAIL_SCOPE, "openid", CLOUD_PLATFORM].map(String::from).to_vec();
        User { email: email.into(), project: project.into(), tier, scopes, hidden_models: Vec::new() }
    }

    pub fn licensed(email: &str, project: &str) -> User {
        User::new(email, project, Tier::Licensed)
    }
}

/// What a login yields.
#[derive(Clone, Debug)]
pub struct Login {
    pub access_token: String,
    pub refresh_token: String,
    /// Unix time in milliseconds.
    pub expiry_ms: u64,
}

#[derive(Clone, Debug)]
pub struct AccessToken {
    pub email: String,
    pub scopes: Vec<String>,
    pub dead: bool,
}

#[derive(Clone, Debug)]
pub struct RefreshToken {
    pub email: String,
    pub revoked: bool,
}

#[derive(Clone, Debug)]
pub struct AuthCode {
    pub email: String,
    pub client: String,
    pub redirect_uri: String,
    pub challenge: Option<(String, String)>,
    pub scopes: Vec<String>,
    pub used: bool,
}

#[derive(Clone, Debug)]
pub struct Operation {
    pub email: String,
    pub polls_left: u32,
}

/// A thought signature this fake gave out, and for what.
#[derive(Clone, Debug, PartialEq)]
pub struct Issued {
    pub family: String,
    /// The call it belongs to; `None` for text and images.
    pub call: Option<(String, Value)>,
}

/// One request as it came in.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// JSON; a form becomes an object of strings; anything else a string, or null when empty.
    pub body: Value,
    /// The user's e-mail or the API key, once known.
    pub who: Option<String>,
    /// `generateContent`, `streamGenerateContent`, `loadCodeAssist`, `token`, ...
    pub op: String,
    /// 0 until decided.
    pub status: u16,
    /// Why the fake refused it, when it did.
    pub refusal: Option<String>,
    /// Set when the answer is over.
    pub outcome: Option<Outcome>,
    /// Releases before it came; the next one is for it, even if it does not hold yet.
    pub released: u64,
}

impl Recorded {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn is_generation(&self) -> bool {
        matches!(self.op.as_str(), "generateContent" | "streamGenerateContent")
    }

    /// The inner request, whichever service it went to.
    pub fn inner(&self) -> &Value {
        if self.path.starts_with("/v1internal") { &self.body["request"] } else { &self.body }
    }
}

/// Knobs that change how strict or how fast the fake is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Refuse what Google refuses; off, only unknown names and wrong types are.
    pub strict: bool,
    /// Refuse keywords outside the documented list in `parametersJsonSchema`/`responseJsonSchema`.
    pub strict_json_schema: bool,
    /// Number of text events of a default stream.
    pub events: usize,
    /// Pause before each event of a default stream but the first.
    pub delay: Duration,
    /// Answer refreshes with a new refresh token (the old one stays valid).
    pub rotate_refresh: bool,
    /// The old one does not stay valid then.
    pub retire_refresh: bool,
    /// `expires_in` of new access tokens, seconds.
    pub expires_in: u64,
    /// The consent page says no.
    pub deny_consent: bool,
    /// Who consents when there is no `login_hint`; else the first user.
    pub consent_as: Option<String>,
    /// The only accepted OAuth client (id, secret); `None` accepts any.
    pub client: Option<(String, String)>,
    /// Page size of the model list when none is asked.
    pub model_page: usize,
    /// Long answers bear a token in every event, not only in the last one of a call.
    pub checkpoints: bool,
    /// How uploaded sound is looked at.
    pub looking: Looking,
    /// Answers name the model that serves them.
    pub tells_version: bool,
    /// Models before Gemini 3 sign their calls, too.
    pub older_sign: bool,
    /// Keep every request for [`State::requests`]; off, only a few are kept.
    pub keep_records: bool,
}

/// Everything behind the fake's one lock.
pub struct State {
    pub users: Vec<User>,
    pub keys: HashSet<String>,
    pub access: HashMap<String, AccessToken>,
    pub refresh: HashMap<String, RefreshToken>,
    pub codes: HashMap<String, AuthCode>,
    pub operations: HashMap<String, Operation>,
    pub models: Vec<Model>,
    /// Names that another model serves: to whom (`*`: all), the name, the model.
    pub moved: Vec<(String, String, String)>,
    pub issued: HashMap<String, Issued>,
    pub files: Vec<Value>,
    /// Whose key uploaded each, by name.
    pub owners: HashMap<String, String>,
    /// Files announced but not uploaded yet, by upload id.
    pub uploads: HashMap<String, Value>,
    pub scripts: HashMap<String, VecDeque<Step>>,
    pub always: HashMap<String, Vec<Step>>,
    pub requests: Vec<Recorded>,
    /// Requests that came before the first one of `requests`.
    pub forgotten: usize,
    /// Successful refreshes per e-mail.
    pub refreshed: HashMap<String, u64>,
    /// Answers that wait for a release now.
    pub holding: usize,
    /// How often the test released them.
    pub released: u64,
    pub vertex: Vertex,
    pub settings: Settings,
    pub counter: u64,
}

impl State {
    /// What serves the name of this model.
    pub fn serving(&self, who: &str, model: Model) -> Model {
        let moved = self.moved.iter().rev().find(|(to, name, _)| (to == who || to == "*") && *name == model.id);
        moved.and_then(|(.., by)| self.models.iter().find(|other| other.id == *by)).cloned().unwrap_or(model)
    }

    pub fn new() -> State {
        State {
            users: Vec::new(),
            keys: HashSet::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            codes: HashMap::new(),
            operations: HashMap::new(),
            models: builtin(),
            moved: Vec::new(),
            issued: HashMap::new(),
            files: Vec::new(),
            owners: HashMap::new(),
            uploads: HashMap::new(),
            scripts: HashMap::new(),
            always: HashMap::new(),
            requests: Vec::new(),
            forgotten: 0,
            refreshed: HashMap::new(),
            holding: 0,
            released: 0,
            vertex: Vertex::default(),
            settings: Settings {
                strict: true,
                strict_json_schema: true,
                events: 3,
                delay: Duration::ZERO,
                rotate_refresh: false,
                retire_refresh: false,
                expires_in: 3599,
                deny_consent: false,
                consent_as: None,
                client: None,
                model_page: 50,
                checkpoints: false,
                looking: Looking::Soon,
                tells_version: true,
                older_sign: false,
                keep_records: true,
            },
            counter: 0,
        }
    }

    /// A number never given before; ids are made of it so that runs are repeatable.
    pub fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Records one request and gives its number.
    pub fn record(&mut self, recorded: Recorded) -> usize {
        if !self.settings.keep_records {
            self.forgotten += self.requests.len();
            self.requests.clear();
        }
        self.requests.push(recorded);
        self.forgotten + self.requests.len() - 1
    }

    /// The request of that number, unless it is forgotten.
    pub fn recorded(&mut self, number: usize) -> Option<&mut Recorded> {
        self.requests.get_mut(number.checked_sub(self.forgotten)?)
    }

    pub fn user(&self, email: &str) -> Option<&User> {
        self.users.iter().find(|user| user.email == email)
    }

    pub fn generations(&self) -> impl Iterator<Item = &Recorded> {
        self.requests.iter().filter(|recorded| recorded.is_generation())
    }

    /// A new access token of that user.
    pub fn issue_access(&mut self, email: &str, scopes: &[String]) -> String {
        let token = format!("ya29.fake-{}-{}", self.next(), email.replace('@', "-at-"));
        written::secret(&token);
        self.access.insert(token.clone(), AccessToken { email: email.into(), scopes: scopes.to_vec(), dead: false });
        token
    }

    /// A new refresh token of that user.
    pub fn issue_refresh(&mut self, email: &str) -> String {
        let token = format!("1//0fake-{}-{}", self.next(), email.replace('@', "-at-"));
        written::secret(&token);
        self.refresh.insert(token.clone(), RefreshToken { email: email.into(), revoked: false });
        token
    }

    /// The script for this request: the first queued step that fits it, then the permanent ones, user before `*`.
    pub fn take_step(&mut self, who: &str, op: &str, model: &str) -> Option<Step> {
        for name in [who, "*"] {
            let Some(queue) = self.scripts.get_mut(name) else { continue };
            if let Some(at) = queue.iter().position(|step| step.fits(op, model)) {
                return queue.remove(at);
            }
        }
        [who, "*"].iter().find_map(|name| self.always.get(*name)?.iter().find(|step| step.fits(op, model)).cloned())
    }
}
