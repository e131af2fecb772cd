//! Looks whether a credential works, without spending a generation and without onboarding anybody: token and
//! `loadCodeAssist` for an account, one page of the model list for an API key.

use super::oauth::{CallFault, Google};
use super::setup::{self, Block, SetupFault};
use crate::credentials::Credentials;
use crate::credentials::lease::{Kind, MemberId};
use crate::credentials::manage::ManageFault;
use crate::credentials::pool::clock::Now;
use crate::credentials::pool::member::Member;
use crate::credentials::refresh::{Landing, Trouble, take_off};
use crate::secret::Secret;
use std::time::{Duration, Instant};

/// Nobody waits longer for another thread's refresh of the same credential.
const WAIT: Duration = Duration::from_secs(60);

/// What a look at a credential came to. Holds no secret.
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
    /// In words; for a person.
    pub reason: String,
    /// Code Assist's tier.
    pub tier: Option<String>,
    /// Where a person can act.
    pub link: Option<String>,
}

/// A look that found nothing wrong.
struct Fine {
    sentence: String,
    tier: Option<String>,
}

impl Credentials {
    /// Looks at one credential now, and lets the pool know: a block that is over ends, a fault that is found blocks. Blocks
    /// on Google.
    pub fn check(&self, id: MemberId) -> Result<Check, ManageFault> {
        let (login, previous, kind, key) = {
            let now = Now::read();
            let mut state = self.state.lock();
            let member = state.member(id).ok_or(ManageFault::Unknown)?;
            member.settle(now);
            let key = member.record.api_key().map(Secret::new);
            (member.login(), member.view(now).status, member.record.kind(), key)
        };
        let result = match kind {
            Err(sentence) => Err(Trouble::Blocked(block("UNUSABLE", sentence), None)),
            Ok(Kind::Oauth) => self.look_at_account(id),
            Ok(Kind::ApiKey) => self.look_at_key(&key.unwrap_or_default()),
        };
        let mut state = self.state.lock();
        let member = state.member_with(login).ok_or(ManageFault::Unknown)?;
        let (healthy, reason, link) = match result {
            Ok(fine) => {
                member.blocked = None;
                member.recover();
                member.trust();
                member.tier = fine.tier.or(member.tier.take());
                let disabled = member.record.disabled();
                (!disabled, if disabled { "it works, and is disabled".into() } else { fine.sentence }, None)
            }
            Err(trouble) => {
                let sentence = trouble.sentence().to_owned();
                let mut link = None;
                if let Trouble::Blocked(block, rest) = trouble {
                    link.clone_from(&block.link);
                    // An item that cannot be used says so by itself.
                    if kind.is_ok() {
                        member.block(block, rest);
                    }
                }
                (false, sentence, link)
            }
        };
        let view = member.view(Now::read());
        drop(state);
        self.work.notify_all();
        self.changed();
        Ok(Check {
            name: view.name,
            label: view.label.unwrap_or_else(|| crate::mask::email(view.email.as_deref())),
            kind: view.kind,
            previous,
            now: view.status,
            healthy,
            reason,
            tier: view.tier,
            link,
        })
    }

    fn look_at_key(&self, key: &Secret) -> Result<Fine, Trouble> {
        match try_key(&self.google, key) {
            Ok(()) => Ok(Fine { sentence: "Google accepts this API key".into(), tier: None }),
            // A key may be allowed again at Google without anybody telling us.
            Err(Trouble::Blocked(block, _)) => Err(Trouble::Blocked(block, Some(self.timing.blocked_probe))),
            Err(trouble) => Err(trouble),
        }
    }

    fn look_at_account(&self, id: MemberId) -> Result<Fine, Trouble> {
        let mut stale = None;
        loop {
            let token = self.token_alone(id, stale.as_ref())?;
            let (hint, email) = {
                let mut state = self.state.lock();
                let member = state.member(id).ok_or_else(gone)?;
                (hint(member), member.email.clone())
            };
            if email.is_none() {
                // Without it the person does not know who this is; the look does not depend on it.
                if let Ok(email @ Some(_)) = self.google.email(&token) {
                    let mut state = self.state.lock();
                    if let Some(member) = state.member(id) {
                        member.email = email;
                        self.settle_project(member);
                    }
                }
            }
            match setup::look(&self.google, &token, hint.as_deref()) {
                Ok(tier) => {
                    let sentence = match &tier {
                        Some(tier) => format!("Code Assist serves this account ({tier})"),
                        None => "the login works; Code Assist sets the account up at its first use".to_owned(),
                    };
                    return Ok(Fine { sentence, tier });
                }
                // A token that had not ended was refused. One new one is worth trying.
                Err(SetupFault::Unauthorized) if stale.is_none() => stale = Some(token),
                Err(SetupFault::Unauthorized) => {
                    let sentence = "Google refuses this account's new access token; connect the account again";
                    return Err(Trouble::Blocked(block("UNAUTHENTICATED", sentence), Some(self.timing.blocked_probe)));
                }
                Err(SetupFault::Blocked(block)) => {
                    return Err(Trouble::Blocked(block, Some(self.timing.blocked_probe)));
                }
                Err(SetupFault::Transient(sentence)) => return Err(Trouble::Transient(sentence)),
            }
        }
    }

    /// A token other than `stale`, refreshed if need be, whatever keeps the member from serving. Finds no project, because
    /// that may onboard the account.
    fn token_alone(&self, id: MemberId, stale: Option<&Secret>) -> Result<Secret, Trouble> {
        let deadline = Instant::now() + WAIT;
        let mut state = self.state.lock();
        let mut job = loop {
            if state.stopping {
                return Err(Trouble::Transient("the program is stopping".into()));
            }
            let member = state.member(id).ok_or_else(gone)?;
            member.token.take_if(|token| stale == Some(&token.secret));
            if let Some(token) = member.fresh_token(Now::read()) {
                return Ok(token.secret.clone());
            }
            if member.flight.is_none() {
                break take_off(member);
            }
            if self.landed.wait_until(&mut state, deadline).timed_out() {
                return Err(Trouble::Transient("waiting for the credential's token took too long".into()));
            }
        };
        drop(state);
        let mut landing = Landing { pool: self, login: job.login, result: None };
        let token = self.exchange_token(&mut job);
        landing.result = Some(match &token {
            Ok(_) => Ok(()),
            Err(trouble) => Err(trouble.clone()),
        });
        token
    }
}

/// Whether Google takes the key: one entry of the model list, which costs nothing.
pub(crate) fn try_key(google: &Google, key: &Secret) -> Result<(), Trouble> {
    match google.model_page(key, 1, None) {
        Ok(_) => Ok(()),
        Err(fault @ CallFault::Status(400 | 401 | 403 | 404, _)) => match setup::setup_fault(fault) {
            SetupFault::Blocked(block) => Err(Trouble::Blocked(block, None)),
            _ => Err(Trouble::Blocked(block("API_KEY_INVALID", "Google does not accept this API key"), None)),
        },
        Err(CallFault::Status(status, _)) => Err(Trouble::Transient(format!("Gemini API: status {status}"))),
        Err(CallFault::Network(reason)) => Err(Trouble::Transient(format!("Gemini API: {reason}"))),
    }
}

fn hint(member: &Member) -> Option<String> {
    member.project.clone().or_else(|| member.record.project_hint().map(str::to_owned))
}

fn block(reason: &str, sentence: &str) -> Block {
    Block { reason: reason.into(), sentence: sentence.into(), link: None }
}

fn gone() -> Trouble {
    Trouble::Transient(ManageFault::Unknown.to_string())
}
