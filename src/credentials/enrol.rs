//! How a credential comes into the pool: tried out with Google, or taken on trust, and then put in the place of an
//! older login of the same account, or behind all others.

use super::Credentials;
use super::file::record::Record;
use super::google::check;
use super::google::oauth::Google;
use super::google::trouble::Trouble;
use super::google::vertex;
use super::lease::{CredentialId, Kind};
use super::options::Options;
use super::pool::{self, Effects, Job, Now, Pool};
use crate::message::Message;
use crate::secret::Secret;
use serde_json::{Value, json};
use std::time::SystemTime;

/// Asked for at login and needed for Code Assist (docs/google-login.md "The OAuth client").
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The reason of who is not taken in because the store of the replicas is away.
pub const UNAVAILABLE: &str = "store_unavailable";

/// A credential that may join the pool.
pub struct Candidate {
    pub(super) record: Record,
    /// What Google said about an account.
    pub(super) found: Option<Job>,
    /// Why it was not tried out.
    pub(super) doubt: Option<Message>,
}

/// A credential that is in the pool now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// Who.
    pub id: CredentialId,
    /// It took the place of an older login of the same account.
    pub updated: bool,
    /// In clear; mask it before it leaves the program.
    pub email: Option<String>,
    /// The masked e-mail or key, safe to show.
    pub label: String,
    /// Why it was taken without having been tried out.
    pub doubt: Option<Message>,
}

/// Why a credential was not added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddFault {
    /// The old program's word, such as `missing_refresh_token` (docs/compatibility.md "Login with Google").
    pub reason: &'static str,
    /// For the person.
    pub message: Message,
    /// Google or the network has trouble, and nothing was said about the credential.
    pub passing: bool,
}

impl Credentials {
    /// Adds an item of any shape the file may have, after it was tried out; a key is taken on trust while Google cannot
    /// be reached. Blocks on Google. One that is in the pool already, or another login of the same account and project,
    /// is replaced.
    pub fn add(&self, item: Value) -> Result<Added, AddFault> {
        #[cfg(feature = "replicas")]
        self.must_share()?;
        let is_key = Record::new(item.clone()).is_key();
        let candidate = match self.try_out(item.clone()) {
            Err(fault) if fault.passing && is_key => self.trust(item, untried(fault)),
            result => result,
        };
        self.enrol(candidate?)
    }

    /// Ends a login: exchanges the code of the consent page and adds the account. Blocks on Google.
    pub fn login(&self, code: &str, redirect_uri: &str, verifier: &str) -> Result<Added, AddFault> {
        // The code can be used once.
        #[cfg(feature = "replicas")]
        self.must_share()?;
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
            Ok(Kind::Vertex) => self.try_out_vertex(record),
            Ok(Kind::Oauth) => {
                let job = self.try_out_account(record)?;
                Ok(Candidate { record: job.record.clone(), found: Some(job), doubt: None })
            }
            Err(code) => Err(unusable(code)),
        }
    }

    /// Takes an item untried: the refresher finds out about it, as about those of the file at the start. Does not put
    /// it in the place of another login that may be the better one.
    pub fn trust(&self, item: Value, doubt: Message) -> Result<Candidate, AddFault> {
        let record = Record::new(item);
        record.kind().map_err(unusable)?;
        if self.with(|pool, _| pool.has_other_login(&record)) {
            let message = Message::new("has_login").with_message("doubt", doubt);
            return Err(AddFault { reason: "failed_to_get_email", message, passing: true });
        }
        Ok(Candidate { record, found: None, doubt: Some(doubt) })
    }

    /// Puts the candidate into pool and file, or into the store that replicas share.
    pub fn enrol(&self, candidate: Candidate) -> Result<Added, AddFault> {
        let added = self.enrol_unwritten(candidate);
        self.poll_file();
        added
    }

    /// Puts it into the pool; the file has it once [`Credentials::poll_file`] has run.
    pub fn enrol_unwritten(&self, candidate: Candidate) -> Result<Added, AddFault> {
        #[cfg(feature = "replicas")]
        if let Some(sharing) = self.sharing.get() {
            return self.enrol_shared(sharing, candidate);
        }
        Ok(self.change_unwritten(|pool, now| put(pool, candidate, now)).0)
    }

    fn try_out_vertex(&self, record: Record) -> Result<Candidate, AddFault> {
        let is_key = record.is_key();
        let mut job = match is_key {
            true => Job::of_candidate(record, Now::read()),
            false => self.try_out_account(record)?,
        };
        job.project = job.project.or_else(|| job.record.project().map(str::to_owned));
        let secret = job.record.api_key().filter(|_| is_key).map(Secret::new).or_else(|| job.token.clone());
        match vertex::check(&self.google, &job.access(secret.unwrap_or_default())) {
            Ok(_) => Ok(Candidate { record: job.record.clone(), found: (!is_key).then_some(job), doubt: None }),
            Err(trouble) => Err(fault("vertex_refused", &trouble)),
        }
    }

    fn try_out_account(&self, record: Record) -> Result<Job, AddFault> {
        let mut job = Job::of_candidate(record, Now::read());
        match self.complete(&mut job) {
            Ok(_) => Ok(job),
            Err(trouble) => {
                let reason = match &trouble {
                    Trouble::Revoked(_) => "invalid_grant",
                    Trouble::Config(_) => "invalid_client",
                    Trouble::Transient(_) if job.email.is_none() => "failed_to_get_email",
                    _ => "failed_to_discover_project_id",
                };
                Err(fault(reason, &trouble))
            }
        }
    }
}

fn put(pool: &mut Pool, Candidate { record, found, doubt }: Candidate, now: Now) -> (Added, Effects) {
    let (added, effects) = pool.enrol(record, found, now);
    (Added { doubt, ..added }, effects)
}

/// Why an item is taken that could not be tried out.
pub fn untried(fault: AddFault) -> Message {
    Message::new("untried").with_message("why", fault.message)
}

fn fault(reason: &'static str, trouble: &Trouble) -> AddFault {
    AddFault { reason, message: trouble.message(), passing: matches!(trouble, Trouble::Transient(_)) }
}

fn unusable(code: &'static str) -> AddFault {
    AddFault { reason: "missing_refresh_token", message: Message::new(code), passing: false }
}

/// What is safe to show of an item that is not in the pool; `None`: it does not say who it is.
pub fn label(item: &Value) -> Option<String> {
    let record = Record::new(item.clone());
    pool::label(&record, record.email())
}

/// Tokens for the code of a consent page, as an item for a credentials file. Blocks on Google.
pub fn exchange_code(options: &Options, code: &str, redirect_uri: &str, verifier: &str) -> Result<Value, AddFault> {
    let google = Google::new(options.agent.clone(), options.endpoints.clone(), options.oauth_client.clone());
    Ok(redeem(&google, code, redirect_uri, verifier)?.value().clone())
}

fn redeem(google: &Google, code: &str, redirect_uri: &str, verifier: &str) -> Result<Record, AddFault> {
    let fault = |reason, message| AddFault { reason, message, passing: false };
    let tokens = google.exchange(code, redirect_uri, verifier).map_err(|error| match error {
        Trouble::Revoked(_) => fault("invalid_grant", Message::new("code_used")),
        Trouble::Config(message) => fault("invalid_client", message),
        trouble => fault("token_exchange_failed", trouble.message()),
    })?;
    let Some(refresh) = &tokens.refresh else {
        return Err(fault("missing_refresh_token", Message::new("no_offline_access")));
    };
    if tokens.scope.as_ref().is_some_and(|scope| !scope.split(' ').any(|scope| scope == CLOUD_PLATFORM)) {
        return Err(fault("missing_scope", Message::new("scope_missing")));
    }
    let mut record = Record::new(json!({"refresh_token": refresh.expose()}));
    record.set_tokens(&tokens.access, None, SystemTime::now() + tokens.lifetime);
    Ok(record)
}
