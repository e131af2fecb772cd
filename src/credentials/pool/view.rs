//! What an admin may see of the pool's credentials. Holds no secret.

use super::Pool;
use super::clock::Now;
use super::credential::{CoolDown, Credential, InFlight, Origin};
use crate::credentials::lease::{CredentialId, Kind};
use crate::credentials::place::LocationView;
use crate::message::Message;
use std::time::SystemTime;

/// A credential (docs/compatibility.md "The list of credentials").
#[derive(Clone, Debug)]
pub struct View {
    /// `cred-0`.
    pub name: String,
    /// Which service.
    pub kind: Kind,
    /// In clear; mask it before it leaves the program.
    pub email: Option<String>,
    /// In clear; mask it before it leaves the program.
    pub project: Option<String>,
    /// A label the user gave, or the tail of an API key.
    pub label: Option<String>,
    /// `active`, `expired`, `refreshing`, `exhausted`, `error`.
    pub status: &'static str,
    /// Whether it can be lent out now, for some model.
    pub available: bool,
    /// Whether a person switched it off.
    pub disabled: bool,
    /// Whether it comes from the config and not from the credentials file: then only a person with an editor changes
    /// it.
    pub from_config: bool,
    /// When the access token ends.
    pub expiry: Option<SystemTime>,
    /// Successful uses in this run.
    pub usage_count: u64,
    /// When it came into the pool.
    pub created_at: SystemTime,
    /// When it was last lent out; creation time before that.
    pub last_used_at: SystemTime,
    /// When its token was last refreshed.
    pub last_refreshed_at: Option<SystemTime>,
    /// End of the longest present limit.
    pub exhausted_until: Option<SystemTime>,
    /// When it was blocked or last failed.
    pub failed_at: Option<SystemTime>,
    /// In words. That models are refused stands with the models: it keeps nobody from using the others.
    pub failure_reason: Option<Message>,
    /// A reason word.
    pub reason_code: Option<String>,
    /// Where a person can act.
    pub link: Option<String>,
    /// Code Assist's tier.
    pub tier: Option<String>,
    /// Where Vertex AI serves it, and what each place said last; empty for others.
    pub locations: Vec<LocationView>,
    /// Models that it does not serve at present, by name.
    pub cooling: Vec<CoolingModel>,
}

/// A model that a credential does not serve at present.
#[derive(Clone, Debug)]
pub struct CoolingModel {
    /// Google's name.
    pub model: String,
    /// When it is asked again.
    pub until: SystemTime,
    /// Google refuses it to this credential, which is no limit that was used up.
    pub refused: bool,
    /// A reason word.
    pub reason: String,
    /// In words.
    pub message: Message,
}

impl Pool {
    /// What an admin may see of one credential.
    pub(crate) fn view(&mut self, id: CredentialId, now: Now) -> Option<View> {
        self.change(id, now, |credential, _| credential.view(now))
    }

    /// The ids of all, in order.
    pub(crate) fn ids(&self) -> Vec<CredentialId> {
        self.credentials.keys().copied().collect()
    }
}

impl Credential {
    /// For a settled credential.
    pub(super) fn view(&self, now: Now) -> View {
        let blocked = self.blocked.as_ref();
        let backoff = self.backoff.as_ref();
        let limit = self.longest_limit(now);
        let models = self.cooling.iter().map(|(model, cool_down)| cooling_model(model, cool_down, now));
        let mut cooling: Vec<CoolingModel> = models.collect();
        cooling.sort_unstable_by(|one, other| one.model.cmp(&other.model));
        View {
            name: self.name(),
            kind: self.record.kind().unwrap_or(Kind::Oauth),
            email: self.email.clone(),
            project: self.project.clone(),
            label: match self.record.kind() {
                Ok(Kind::ApiKey | Kind::Vertex) if self.record.is_key() => Some(self.label()),
                _ => self.record.label().map(str::to_owned),
            },
            status: self.status(now),
            available: self.is_usable() && blocked.is_none() && (backoff.is_none() || self.is_ready(now)),
            disabled: self.record.disabled(),
            from_config: self.origin == Origin::Config,
            expiry: self.token.as_ref().map(|token| token.expiry),
            usage_count: self.usage_count,
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            last_refreshed_at: self.last_refreshed_at,
            exhausted_until: limit.map(|limit| limit.until.shown(now)),
            failed_at: blocked.map(|blocked| blocked.at).or(backoff.map(|backoff| backoff.at)),
            failure_reason: self
                .permanent_fault()
                .or_else(|| blocked.map(|blocked| blocked.why.message.clone()))
                .or_else(|| backoff.map(|backoff| backoff.message.clone()))
                .or_else(|| limit.map(|limit| limit.message.clone())),
            reason_code: blocked
                .map(|blocked| blocked.why.reason.clone())
                .or_else(|| limit.map(|limit| limit.reason.clone()))
                .or_else(|| self.is_deprioritised().then(|| "SUSPECTED".to_owned())),
            link: blocked.and_then(|blocked| blocked.why.link.clone()),
            tier: self.tier.clone(),
            locations: self.place.as_ref().map(|place| place.views()).unwrap_or_default(),
            cooling,
        }
    }

    fn status(&self, now: Now) -> &'static str {
        if self.fault().is_some() {
            return "error";
        }
        if self.in_flight == Some(InFlight::Refresh) {
            return "refreshing";
        }
        if self.longest_limit(now).is_some() {
            return "exhausted";
        }
        match self.record.kind() {
            Ok(_) if self.record.is_key() => "active",
            Ok(_) if self.fresh_token(now).is_none() => "expired",
            // Nothing to send until a project is found, and that has failed lately.
            Ok(_) if self.project.is_none() && self.backoff.is_some() => "error",
            _ => "active",
        }
    }

    fn longest_limit(&self, now: Now) -> Option<&CoolDown> {
        self.cooling.values().filter(|cool_down| cool_down.limit).max_by_key(|cool_down| cool_down.until.left(now))
    }
}

fn cooling_model(model: &str, cool_down: &CoolDown, now: Now) -> CoolingModel {
    CoolingModel {
        model: model.to_owned(),
        until: cool_down.until.shown(now),
        refused: !cool_down.limit,
        reason: cool_down.reason.clone(),
        message: cool_down.message.clone(),
    }
}
