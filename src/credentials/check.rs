//! What is asked of Google about credentials beside tokens, never a generation: does one still work, what is left of its quota,
//! and which models do the pool's keys have.

use super::Credentials;
use super::google::check::{self, Fine};
use super::google::oauth::CallFault;
use super::google::quota::{self, Quota, QuotaFault};
use super::google::trouble::{Block, Trouble};
use super::google::vertex;
use super::lease::{AccessFault, CredentialId, Kind, ManageFault};
use super::pool::CheckUp;
use crate::message::Message;
use crate::secret::Secret;
use serde_json::Value;

/// Keys that are asked for the model list before it is given up for now.
const KEYS: usize = 3;

/// What a check of a credential came to. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// `cred-0`.
    pub name: String,
    /// The masked e-mail or key.
    pub label: String,
    /// Which service.
    pub kind: Kind,
    /// The status word before.
    pub previous: &'static str,
    /// The status word now.
    pub now: &'static str,
    /// Whether it can serve.
    pub healthy: bool,
    /// What it was, for a person.
    pub message: Message,
    /// Code Assist's tier.
    pub tier: Option<String>,
    /// Where a person can act.
    pub link: Option<String>,
}

impl Credentials {
    /// Checks one credential now, and lets the pool know: a block that is over ends, a fault that is found blocks. Blocks
    /// on Google.
    pub fn check(&self, id: CredentialId) -> Result<Check, ManageFault> {
        let begun = self.with(|pool, now| pool.begin_check(id, now)).ok_or(ManageFault::Unknown)?;
        let result = match &begun {
            CheckUp { kind: Err(code), .. } => Err(Trouble::Blocked(Block::new("UNUSABLE", Message::new(code)))),
            CheckUp { kind: Ok(Kind::ApiKey), key, .. } => self.check_key(key.as_ref()),
            CheckUp { kind: Ok(Kind::Oauth), .. } => self.check_account(id),
            CheckUp { kind: Ok(Kind::Vertex), .. } => self.check_vertex(id),
        };
        self.change(|pool, now| pool.finish_check(begun, result, now)).ok_or(ManageFault::Unknown)
    }

    fn check_key(&self, key: Option<&Secret>) -> Result<Fine, Trouble> {
        check::try_key(&self.google, key.unwrap_or(&Secret::default()))?;
        Ok(Fine { message: Message::new("key_accepted"), tier: None })
    }

    fn check_vertex(&self, id: CredentialId) -> Result<Fine, Trouble> {
        let mut stale = None;
        loop {
            let access = self.access_alone(id, stale.as_ref())?;
            match vertex::check(&self.google, &access) {
                Err(Trouble::Unauthorized) if stale.is_none() && !self.is_key(id) => stale = Some(access.secret),
                result => return result,
            }
        }
    }

    fn check_account(&self, id: CredentialId) -> Result<Fine, Trouble> {
        let mut stale = None;
        loop {
            let token = self.access_alone(id, stale.as_ref())?.secret;
            if self.with(|pool, now| pool.view(id, now)).is_some_and(|view| view.email.is_none())
                // Without it the person does not know who this is; the check does not depend on it.
                && let Ok(Some(email)) = self.google.email(&token)
            {
                self.with(|pool, now| pool.set_email(id, email, now));
            }
            let hint = self.with(|pool, _| pool.project_hint(id));
            match check::account(&self.google, &token, hint.as_deref()) {
                // A token that had not ended was refused. One new one is worth trying.
                Err(Trouble::Unauthorized) if stale.is_none() => stale = Some(token),
                result => return result,
            }
        }
    }

    fn is_key(&self, id: CredentialId) -> bool {
        self.with(|pool, _| pool.is_key(id))
    }

    /// Checks the credential that was left alone for longest, if the server is idle and somebody is due. A deprioritised one is
    /// due at once. Says who it was; `None`: nobody is due. Blocks on Google.
    pub fn check_idle(&self) -> Option<CredentialId> {
        let id = self.with(|pool, now| pool.next_idle(now))?;
        #[cfg(feature = "replicas")]
        if !self.may_check(id) {
            return None;
        }
        let Check { name, label, message, healthy, .. } = self.check(id).ok()?;
        if healthy {
            log::debug!("[CredManager] {name}({label}) was idle and works.");
        } else {
            log::warn!("[CredManager] {name}({label}) was idle and does not work: {message}");
            self.report(id, "", super::Report::Deprioritise);
        }
        Some(id)
    }

    /// What Google says is left of an account's quota, at most 45 s old. Blocks on Google.
    pub fn quota(&self, id: CredentialId) -> Result<Quota, QuotaFault> {
        let kind = self.with(|pool, _| pool.kind(id)).ok_or(QuotaFault::Credential(ManageFault::Unknown))?;
        match kind {
            Ok(Kind::Oauth) => {}
            Ok(Kind::ApiKey | Kind::Vertex) => return Err(QuotaFault::ApiKey),
            Err(_) => return Err(QuotaFault::Credential(ManageFault::Unusable)),
        }
        if let Some(quota) = self.with(|pool, now| pool.quota(id, quota::FRESH, now)) {
            return Ok(quota);
        }
        let fault = |fault| match fault {
            AccessFault::Dead(message) => QuotaFault::Blocked(message),
            AccessFault::Transient(message) => QuotaFault::Failed(message),
        };
        let mut access = self.access(id).map_err(fault)?;
        let mut result = quota::fetch(&self.google, &access);
        if let Err(CallFault::Status(401, _)) = result {
            access = self.renew(id, &access.secret).map_err(fault)?;
            result = quota::fetch(&self.google, &access);
        }
        let quota = result.map_err(quota::fault)?;
        self.with(|pool, now| pool.set_quota(id, quota.clone(), now));
        Ok(quota)
    }

    /// Google's whole model list, from the first key that gets it; `None`: no key in the pool. Blocks on Google.
    pub fn list_models(&self) -> Result<Option<Vec<Value>>, String> {
        let mut last = Ok(None);
        for key in self.with(|pool, _| pool.free_keys(KEYS)) {
            match self.google.model_list(&key) {
                Ok(list) => return Ok(Some(list)),
                Err(CallFault::Status(status, _)) => last = Err(format!("Google answered with status {status}")),
                Err(CallFault::Network(reason)) => last = Err(reason),
            }
        }
        last
    }
}
