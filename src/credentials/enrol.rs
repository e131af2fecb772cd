//! How a credential comes into the pool: tried out with Google, or taken on trust, and then put in the place of an older login
//! of the same account, or behind all others.

use crate::credentials::file::record::Record;
use crate::credentials::file::store::Edit;
use crate::credentials::google::check;
use crate::credentials::google::oauth::{Google, TokenFault};
use crate::credentials::lease::{Kind, MemberId};
use crate::credentials::options::Options;
use crate::credentials::pool::member::{self, Login, Member, Origin};
use crate::credentials::refresh::{Job, Trouble};
use crate::credentials::{Credentials, State};
use crate::mask;
use crate::secret::Secret;
use serde_json::{Value, json};
use std::time::SystemTime;

/// Asked for at login and needed for Code Assist (google_code_assist.md 1.1).
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Fields that a person gave an item here; another login of the account keeps them unless it brings its own.
const OURS: [&str; 2] = ["label", "project_id"];

/// A credential that may join the pool.
pub struct Candidate {
    record: Record,
    /// What a flight found out about an account.
    found: Option<Job>,
    /// Why it was not tried out.
    doubt: Option<String>,
}

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
    /// Google or the network has trouble, and nothing was said about the credential.
    pub passing: bool,
}

impl Credentials {
    /// Adds an item of any shape the file may have, after it was tried out; a key is taken on trust while Google cannot be
    /// reached. Blocks on Google. One that is in the pool already, or another login of the same account and project, is
    /// replaced.
    pub fn add(&self, item: Value) -> Result<Added, AddFault> {
        let is_key = Record::new(item.clone()).kind() == Ok(Kind::ApiKey);
        let candidate = match self.try_out(item.clone()) {
            Err(fault) if fault.passing && is_key => self.trust(item, &untried(&fault)),
            result => result,
        };
        candidate.map(|candidate| self.enrol(candidate))
    }

    /// Ends a login: exchanges the code of the consent page and adds the account. Blocks on Google.
    pub fn login(&self, code: &str, redirect_uri: &str, verifier: &str) -> Result<Added, AddFault> {
        let record = redeem(&self.google, code, redirect_uri, verifier)?;
        self.add(record.value().clone())
    }

    /// Tries an item out: an account by token, e-mail and project, a key by the model list. Blocks on Google.
    pub fn try_out(&self, item: Value) -> Result<Candidate, AddFault> {
        let record = Record::new(item);
        match record.kind() {
            Ok(Kind::ApiKey) => {
                let key = Secret::new(record.api_key().unwrap_or_default());
                check::try_key(&self.google, &key).map_err(|trouble| fault("invalid_api_key", &trouble))?;
                Ok(Candidate { record, found: None, doubt: None })
            }
            Ok(Kind::Oauth) => {
                let job = self.try_out_account(record)?;
                Ok(Candidate { record: job.record.clone(), found: Some(job), doubt: None })
            }
            Err(sentence) => Err(unusable(sentence)),
        }
    }

    /// Takes an item untried: the refresher finds out about it, as about those of the file at the start. Does not put it in the
    /// place of another login that may be the better one.
    pub fn trust(&self, item: Value, doubt: &str) -> Result<Candidate, AddFault> {
        let record = Record::new(item);
        record.kind().map_err(unusable)?;
        let is_other = |member: &Member| same_email(member, record.email()) && member.identity() != record.identity();
        if self.state.lock().members.iter().any(is_other) {
            let sentence = format!("{doubt}, and the pool has a login of this account; try again later");
            return Err(AddFault { reason: "failed_to_get_email", sentence, passing: true });
        }
        Ok(Candidate { record, found: None, doubt: Some(doubt.into()) })
    }

    /// Puts the candidate into pool and file.
    pub fn enrol(&self, candidate: Candidate) -> Added {
        let Candidate { mut record, found, doubt } = candidate;
        let email = found.as_ref().and_then(|job| job.email.clone()).or(record.email().map(str::to_owned));
        let project = found.as_ref().and_then(|job| job.project.clone());
        let mut added = None;
        self.write(|state| {
            let old = place_of(state, &record, email.as_deref(), project.as_deref());
            let instead_of = old.as_deref().and_then(Member::identity);
            let updated = old.is_some();
            let member = match old {
                Some(member) => {
                    for name in OURS {
                        if let (None, Some(value)) = (record.value().get(name), member.record.value().get(name)) {
                            record.set(name, Some(value.clone()));
                        }
                    }
                    member.replace(record.clone(), self.timing.ahead());
                    member
                }
                None => state.join(Origin::File, record.clone(), &self.timing),
            };
            if let Some(job) = found {
                (member.email, member.project, member.tier) = (job.email, job.project, job.tier);
                self.settle_project(member);
            }
            added = Some((member.id, updated, member.label(), member.log_name()));
            Some(Edit::Add { record, instead_of })
        });
        // The closure has run.
        let (id, updated, label, log_name) = added.unwrap();
        let what = if updated { "Updating existing credential" } else { "Adding new credential" };
        log::info!("[CredManager] {what} for {log_name}.");
        self.work.notify_all();
        self.changed();
        Added { id, updated, email, label, doubt }
    }

    /// A flight for an account that is no member yet.
    fn try_out_account(&self, record: Record) -> Result<Job, AddFault> {
        let fresh = record.expiry().is_some_and(|expiry| expiry > SystemTime::now());
        let mut job = Job {
            login: Login::NOBODY,
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
                Err(fault(reason, &trouble))
            }
        }
    }
}

/// Why an item is taken that could not be tried out.
pub fn untried(fault: &AddFault) -> String {
    format!("it could not be tried out: {}", fault.sentence)
}

fn fault(reason: &'static str, trouble: &Trouble) -> AddFault {
    AddFault { reason, sentence: trouble.sentence().to_owned(), passing: matches!(trouble, Trouble::Transient(_)) }
}

/// The member that the item is, or is another login of: the same secret; the same account and project; the same account
/// with a project that a person chose here, when the item names none.
fn place_of<'a>(
    state: &'a mut State,
    record: &Record,
    email: Option<&str>,
    project: Option<&str>,
) -> Option<&'a mut Member> {
    let members = &state.members;
    let same_secret = |member: &Member| member.identity() == record.identity();
    let same_project = |member: &Member| same_email(member, email) && member.project.as_deref() == project;
    let chosen =
        |member: &Member| same_email(member, email) && record.project().is_none() && member.record.project().is_some();
    let at = members.iter().position(same_secret);
    let at = at.or_else(|| members.iter().position(same_project)).or_else(|| members.iter().position(chosen))?;
    state.members.get_mut(at)
}

fn same_email(member: &Member, email: Option<&str>) -> bool {
    email.is_some_and(|email| member.email.as_ref().is_some_and(|known| known.to_lowercase() == email.to_lowercase()))
}

fn unusable(sentence: &str) -> AddFault {
    AddFault { reason: "missing_refresh_token", sentence: sentence.into(), passing: false }
}

/// What is safe to show of an item that is no member; `None`: it does not say who it is.
pub fn label(item: &Value) -> Option<String> {
    let record = Record::new(item.clone());
    member::label(&record, record.email())
}

/// Tokens for the code of a consent page, as an item for a credentials file. Blocks on Google.
pub fn exchange_code(options: &Options, code: &str, redirect_uri: &str, verifier: &str) -> Result<Value, AddFault> {
    let google = Google::new(options.agent.clone(), options.endpoints.clone(), options.oauth_client.clone());
    Ok(redeem(&google, code, redirect_uri, verifier)?.value().clone())
}

fn redeem(google: &Google, code: &str, redirect_uri: &str, verifier: &str) -> Result<Record, AddFault> {
    let fault = |reason, sentence: &str| AddFault { reason, sentence: sentence.into(), passing: false };
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
