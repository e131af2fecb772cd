//! What a person does to the pool: connect, remove, disable, label, reset, refresh.
//!
//! Changes go to the file first in order, then to the members; a config member changes for this run only.

use super::check;
use super::clock::Now;
use super::keeper::{Job, Trouble};
use super::member::{Member, Origin};
use super::oauth::{Google, TokenFault};
use super::options::PoolOptions;
use super::pool::{AccessFault, Kind, MemberId, Pool, State};
use super::record::Record;
use super::store::Edit;
use super::view::View;
use crate::mask;
use crate::secret::Secret;
use serde_json::{Value, json};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Asked for at login and needed for Code Assist (google_code_assist.md 1.1).
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// A credential that is in the pool now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// Who.
    pub id: MemberId,
    /// It took the place of an older login of the same account.
    pub updated: bool,
    /// In clear; mask it before it leaves the program.
    pub email: Option<String>,
    /// The masked e-mail or key, safe to show.
    pub label: String,
    /// Why it was taken without having been tried out.
    pub doubt: Option<String>,
}

/// Why a credential was not added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddFault {
    /// The old program's word, such as `missing_refresh_token` (drop_in_contract.md 6.6, row 4).
    pub reason: &'static str,
    /// For the person.
    pub sentence: String,
}

/// Why a member was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManageFault {
    /// There is no such member.
    Unknown,
    /// It stands in the config, where a person has to change it.
    InConfig,
    /// The item is not one this program understands.
    Unusable,
}

impl fmt::Display for ManageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ManageFault::Unknown => "there is no such credential",
            ManageFault::InConfig => "this key stands in the config; change it there and restart",
            ManageFault::Unusable => "this item of the credentials file cannot be used, only removed",
        })
    }
}

impl Pool {
    /// The member of this name (`cred-0`).
    pub fn find(&self, name: &str) -> Option<MemberId> {
        self.state.lock().members.iter().find(|member| member.name() == name).map(|member| member.id)
    }

    /// Adds an item of any shape the file may have. An account is first tried out: token, e-mail, project; a key by
    /// the model list, and taken on trust while Google cannot be reached. Blocks on Google. One that is in the pool
    /// already, or another login of the same account and project, is replaced.
    pub fn add(&self, item: Value) -> Result<Added, AddFault> {
        let record = Record::new(item);
        match record.kind() {
            Ok(Kind::ApiKey) => {
                let doubt = self.try_out_key(&record)?;
                Ok(Added { doubt, ..self.enrol(record, None) })
            }
            Ok(Kind::Oauth) => {
                let job = self.try_out(record)?;
                Ok(self.enrol(job.record.clone(), Some(job)))
            }
            Err(sentence) => Err(AddFault { reason: "missing_refresh_token", sentence: sentence.into() }),
        }
    }

    /// Ends a login: exchanges the code of the consent page and adds the account. Blocks on Google.
    pub fn login(&self, code: &str, redirect_uri: &str, verifier: &str) -> Result<Added, AddFault> {
        let record = redeem(&self.google, code, redirect_uri, verifier)?;
        self.add(record.value().clone())
    }

    /// What is safe to show of a member: the masked e-mail, the key's label or tail. Empty for nobody.
    pub fn label(&self, id: MemberId) -> String {
        self.state.lock().member(id).map(|member| member.label()).unwrap_or_default()
    }

    /// What an admin may see of one member.
    pub fn view(&self, id: MemberId) -> Option<View> {
        let now = Now::read();
        self.state.lock().member(id).map(|member| {
            member.settle(now);
            member.view(now)
        })
    }

    /// Whether the file has every change; if not, a later write tries again.
    pub fn is_saved(&self) -> bool {
        self.store.lock().is_saved()
    }

    /// Takes the member out of the pool and the file.
    pub fn remove(&self, id: MemberId) -> Result<(), ManageFault> {
        let record = {
            let mut state = self.state.lock();
            let member = state.member(id).ok_or(ManageFault::Unknown)?;
            if member.origin == Origin::Config {
                return Err(ManageFault::InConfig);
            }
            member.record.clone()
        };
        self.write(|state| state.members.retain(|member| member.id != id), Edit::Remove(record));
        self.changed();
        Ok(())
    }

    /// Lets the member be lent out again.
    pub fn enable(&self, id: MemberId) -> Result<(), ManageFault> {
        self.set_field(id, "disabled", None)
    }

    /// Keeps the member, its tokens included, but lends it out no more.
    pub fn disable(&self, id: MemberId) -> Result<(), ManageFault> {
        self.set_field(id, "disabled", Some(true.into()))
    }

    /// Sets the user's own word for the member, or removes it.
    pub fn set_label(&self, id: MemberId, label: Option<&str>) -> Result<(), ManageFault> {
        self.set_field(id, "label", label.map(Into::into))
    }

    /// Sets the project in the file, or removes it so that Google is asked. `project_id_map` still wins.
    pub fn set_project(&self, id: MemberId, project: Option<&str>) -> Result<(), ManageFault> {
        self.set_field(id, "project_id", project.map(Into::into))?;
        self.reset(id)
    }

    /// Forgets rests, blocks and what is known of the project: the member starts anew.
    pub fn reset(&self, id: MemberId) -> Result<(), ManageFault> {
        let mut state = self.state.lock();
        let member = state.member(id).ok_or(ManageFault::Unknown)?;
        member.cooling.clear();
        member.blocked = None;
        member.recover();
        member.trust();
        (member.project, member.tier, member.email_settled) = (None, None, false);
        self.settle_project(member);
        drop(state);
        self.work.notify_all();
        self.changed();
        Ok(())
    }

    /// Gets a new token now, whatever is known of the old one. Blocks on Google.
    pub fn refresh(&self, id: MemberId) -> Result<(), AccessFault> {
        let token = {
            let mut state = self.state.lock();
            let gone = || AccessFault::Dead(ManageFault::Unknown.to_string());
            let member = state.member(id).ok_or_else(gone)?;
            member.blocked = None;
            member.recover();
            member.token.as_ref().map(|token| token.secret.clone())
        };
        self.obtain(id, token.as_ref()).map(drop)
    }

    fn set_field(&self, id: MemberId, name: &'static str, value: Option<Value>) -> Result<(), ManageFault> {
        let identity = {
            let mut state = self.state.lock();
            let member = state.member(id).ok_or(ManageFault::Unknown)?;
            let identity = member.identity().ok_or(ManageFault::Unusable)?;
            if member.origin == Origin::Config {
                member.record.set(name, value);
                return Ok(());
            }
            identity
        };
        let change = |state: &mut State| {
            if let Some(member) = state.member(id) {
                member.record.set(name, value.clone());
            }
        };
        self.write(change, Edit::Field { of: identity, name, value: value.clone() });
        self.work.notify_all();
        Ok(())
    }

    /// Whether Google takes the key; if that cannot be told, why.
    fn try_out_key(&self, record: &Record) -> Result<Option<String>, AddFault> {
        let key = Secret::new(record.api_key().unwrap_or_default());
        match check::try_key(&self.google, &key) {
            Ok(()) => Ok(None),
            Err(Trouble::Blocked(block, _)) => Err(AddFault { reason: "invalid_api_key", sentence: block.sentence }),
            Err(trouble) => Ok(Some(format!("the key could not be tried out: {}", trouble.sentence()))),
        }
    }

    /// A flight for an account that is no member yet.
    fn try_out(&self, record: Record) -> Result<Job, AddFault> {
        let fresh = record.expiry().is_some_and(|expiry| expiry > SystemTime::now());
        let mut job = Job {
            // Nobody's: what the flight notes of its member goes nowhere.
            id: MemberId(u64::MAX),
            log_name: mask::email(record.email()),
            token: record.access_token().filter(|_| fresh).map(Secret::new),
            email: record.email().map(str::to_owned),
            project: None,
            tier: None,
            record,
        };
        match self.work(&mut job) {
            Ok(_) => Ok(job),
            Err(trouble) => {
                let reason = match &trouble {
                    Trouble::Blocked(block, _) if block.reason == "INVALID_GRANT" => "invalid_grant",
                    Trouble::Config(_) => "invalid_client",
                    Trouble::Transient(_) if job.email.is_none() => "failed_to_get_email",
                    _ => "failed_to_discover_project_id",
                };
                Err(AddFault { reason, sentence: trouble.sentence().to_owned() })
            }
        }
    }

    fn enrol(&self, mut record: Record, found: Option<Job>) -> Added {
        let email = found.as_ref().and_then(|job| job.email.clone());
        let identity = record.identity();
        let same_account = |member: &Member| {
            let lower = |email: &Option<String>| email.as_ref().map(|email| email.to_lowercase());
            let project = found.as_ref().and_then(|job| job.project.as_ref());
            email.is_some() && lower(&member.email) == lower(&email) && member.project.as_ref() == project
        };
        let old = {
            let state = self.state.lock();
            let mut members = state.members.iter().filter(|member| member.origin == Origin::File);
            let same = members.clone().find(|member| member.identity() == identity);
            let old = same.or_else(|| members.find(|member| same_account(member)));
            old.map(|member| (member.id, member.identity(), member.record.label().map(str::to_owned)))
        };
        let (id, instead_of) = match old {
            Some((id, identity, label)) => {
                if let Some(label) = label.filter(|_| record.label().is_none()) {
                    record.set("label", Some(label.into()));
                }
                (Some(id), identity)
            }
            None => (None, None),
        };
        let mut added = None;
        let change = |state: &mut State| {
            let known = id.filter(|id| state.member(*id).is_some());
            let id = known.unwrap_or_else(|| state.join(Origin::File, record.clone(), &self.timing).id);
            if let Some(member) = state.member(id) {
                let count = member.usage_count;
                *member = Member::new(id, Origin::File, record.clone(), self.timing.ahead());
                member.usage_count = count;
                if let Some(job) = &found {
                    (member.email, member.project, member.tier) =
                        (job.email.clone(), job.project.clone(), job.tier.clone());
                }
            }
            added = Some((id, known.is_some()));
        };
        self.write(change, Edit::Add { record: record.clone(), instead_of });
        // The closure has run.
        let (id, updated) = added.unwrap();
        let what = if updated { "Updating existing credential" } else { "Adding new credential" };
        let name = if email.is_some() { mask::email(email.as_deref()) } else { format!("cred-{}", id.0) };
        log::info!("[CredManager] {what} for {name}.");
        self.work.notify_all();
        self.changed();
        Added { id, updated, email, label: self.label(id), doubt: None }
    }
}

/// Tokens for the code of a consent page, as an item for a credentials file. Blocks on Google.
pub fn exchange_code(options: &PoolOptions, code: &str, redirect_uri: &str, verifier: &str) -> Result<Value, AddFault> {
    let google = Google::new(options.agent.clone(), options.endpoints.clone(), options.oauth_client.clone());
    Ok(redeem(&google, code, redirect_uri, verifier)?.value().clone())
}

fn redeem(google: &Google, code: &str, redirect_uri: &str, verifier: &str) -> Result<Record, AddFault> {
    let fault = |reason, sentence: &str| AddFault { reason, sentence: sentence.into() };
    let tokens = google.exchange(code, redirect_uri, verifier).map_err(|error| match error {
        TokenFault::Revoked(_) => fault("invalid_grant", "the code was used before or is too old; start again"),
        TokenFault::Client(sentence) => fault("invalid_client", &sentence),
        TokenFault::Transient(sentence) => fault("token_exchange_failed", &sentence),
    })?;
    let Some(refresh) = &tokens.refresh else {
        return Err(fault("missing_refresh_token", "Google gave no refresh token; start again and agree once more"));
    };
    if tokens.scope.as_ref().is_some_and(|scope| !scope.split(' ').any(|scope| scope == CLOUD_PLATFORM)) {
        return Err(fault("missing_scope", "access to Google Cloud was not granted; start again and leave all ticked"));
    }
    let mut record = Record::new(json!({"refresh_token": refresh.expose()}));
    record.set_tokens(&tokens.access, None, SystemTime::now() + tokens.lifetime);
    Ok(record)
}

/// Milliseconds since 1970, as the file and the state have times.
pub(super) fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
