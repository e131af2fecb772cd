//! What an admin may see of the pool's members. Holds no secret.

use super::clock::Now;
use super::member::{Cooling, Flight, Member, Origin};
use crate::credentials::lease::Kind;
use std::time::SystemTime;

/// A member (drop_in_contract.md 6.8).
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
    /// Whether it comes from the config and not from the credentials file: then only a person with an editor changes it.
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
    pub failure_reason: Option<String>,
    /// A reason word.
    pub reason_code: Option<String>,
    /// Where a person can act.
    pub link: Option<String>,
    /// Code Assist's tier.
    pub tier: Option<String>,
    /// Models that it does not serve at present, by name.
    pub cooling: Vec<Resting>,
}

/// A model that a member does not serve at present.
#[derive(Clone, Debug)]
pub struct Resting {
    /// Google's name.
    pub model: String,
    /// When it is asked again.
    pub until: SystemTime,
    /// Google refuses it to this member, which is no limit that was used up.
    pub refused: bool,
    /// A reason word.
    pub reason: String,
    /// In words.
    pub sentence: String,
}

impl Member {
    /// For a settled member.
    pub(crate) fn view(&self, now: Now) -> View {
        let blocked = self.blocked.as_ref();
        let rest = self.rest.as_ref();
        let limit = self.longest_limit(now);
        let mut cooling: Vec<Resting> =
            self.cooling.iter().map(|(model, cooling)| resting(model, cooling, now)).collect();
        cooling.sort_by(|one, other| one.model.cmp(&other.model));
        View {
            name: self.name(),
            kind: self.record.kind().unwrap_or(Kind::Oauth),
            email: self.email.clone(),
            project: self.project.clone(),
            label: match self.record.kind() {
                Ok(Kind::ApiKey) => Some(self.label()),
                _ => self.record.label().map(str::to_owned),
            },
            status: self.status(now),
            available: self.is_usable() && blocked.is_none() && (rest.is_none() || self.is_ready(now)),
            disabled: self.record.disabled(),
            from_config: self.origin == Origin::Config,
            expiry: self.token.as_ref().map(|token| token.expiry),
            usage_count: self.usage_count,
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            last_refreshed_at: self.last_refreshed_at,
            exhausted_until: limit.map(|limit| limit.until.shown(now)),
            failed_at: blocked.map(|blocked| blocked.at).or(rest.map(|rest| rest.at)),
            failure_reason: self
                .permanent_fault()
                .or_else(|| blocked.map(|blocked| blocked.why.sentence.clone()))
                .or_else(|| rest.map(|rest| rest.sentence.clone()))
                .or_else(|| limit.map(|limit| limit.sentence.clone())),
            reason_code: blocked
                .map(|blocked| blocked.why.reason.clone())
                .or_else(|| limit.map(|limit| limit.reason.clone()))
                .or_else(|| self.is_suspected().then(|| "SUSPECTED".to_owned())),
            link: blocked.and_then(|blocked| blocked.why.link.clone()),
            tier: self.tier.clone(),
            cooling,
        }
    }

    fn status(&self, now: Now) -> &'static str {
        if self.fault().is_some() {
            return "error";
        }
        if self.flight == Some(Flight::Refresh) {
            return "refreshing";
        }
        if self.longest_limit(now).is_some() {
            return "exhausted";
        }
        match self.record.kind() {
            Ok(Kind::Oauth) if self.fresh_token(now).is_none() => "expired",
            // Nothing to send until a project is found, and that has failed lately.
            Ok(Kind::Oauth) if self.project.is_none() && self.rest.is_some() => "error",
            _ => "active",
        }
    }

    fn longest_limit(&self, now: Now) -> Option<&Cooling> {
        self.cooling.values().filter(|cooling| cooling.limit).max_by_key(|cooling| cooling.until.left(now))
    }
}

fn resting(model: &str, cooling: &Cooling, now: Now) -> Resting {
    Resting {
        model: model.to_owned(),
        until: cooling.until.shown(now),
        refused: !cooling.limit,
        reason: cooling.reason.clone(),
        sentence: cooling.sentence.clone(),
    }
}
