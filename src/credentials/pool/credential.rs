//! One credential of the pool: what is known about it, and the rules by which it can serve.

use super::Settings;
use super::clock::{Deadline, Now};
use super::token::Token;
use crate::credentials::file::identity::Identity;
use crate::credentials::file::record::Record;
use crate::credentials::google::quota::Quota;
use crate::credentials::google::trouble::{Block, Trouble};
use crate::credentials::lease::{AccessFault, CredentialId, Kind};
use crate::credentials::place::VertexPlace;
use crate::mask;
use crate::message::Message;
use crate::os::random;
use crate::secret::Secret;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Where a credential comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An item of the credentials file.
    File,
    /// `gemini_api_keys` of the config.
    Config,
}

/// A credential with one certain login. A person may put another in its place while somebody asks Google about this one; what
/// comes of that is not about the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(super) id: CredentialId,
    number: u64,
}

impl Login {
    #[cfg(feature = "replicas")]
    pub(super) fn of(id: CredentialId, number: u64) -> Login {
        Login { id, number }
    }

    #[cfg(feature = "replicas")]
    pub(in crate::credentials) fn number(&self) -> u64 {
        self.number
    }

    #[cfg(feature = "replicas")]
    pub(in crate::credentials) fn id(&self) -> CredentialId {
        self.id
    }

    /// Nobody's: what is noted about it goes nowhere.
    pub(super) const NOBODY: Login = Login { id: CredentialId(u64::MAX), number: 0 };
}

/// What a thread asks Google for at the moment; others that need it wait for the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InFlight {
    Refresh,
    Setup,
}

/// Why a credential cannot serve anything.
#[derive(Clone, Debug)]
pub(super) struct Blocked {
    /// `None`: until a person acts.
    pub(super) until: Option<Deadline>,
    pub(super) why: Block,
    pub(super) at: SystemTime,
}

/// Why a credential does not serve one model.
#[derive(Clone, Debug)]
pub(super) struct CoolDown {
    pub(super) until: Deadline,
    /// See [`crate::credentials::Report::Cool`].
    pub(super) limit: bool,
    pub(super) reason: String,
    pub(super) message: Message,
}

/// Trouble with token or set-up that will pass, and until when Google is not asked again.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    pub(super) until: Deadline,
    pub(super) message: Message,
    pub(super) at: SystemTime,
}

pub(crate) struct Credential {
    pub(super) id: CredentialId,
    /// Logins before this one.
    replaced: u64,
    pub(super) origin: Origin,
    pub(super) record: Record,
    pub(super) email: Option<String>,
    /// The e-mail was asked for and there is none, or it is not worth asking now.
    pub(super) email_settled: bool,
    pub(super) project: Option<String>,
    pub(super) tier: Option<String>,
    pub(super) token: Option<Token>,
    pub(super) in_flight: Option<InFlight>,
    /// How often a thread was done with asking Google, and what the last one came to.
    pub(super) finished: u64,
    pub(super) outcome: Option<AccessFault>,
    pub(super) blocked: Option<Blocked>,
    pub(super) cooling: HashMap<String, CoolDown>,
    pub(super) usage_count: u64,
    pub(super) last_used_at: SystemTime,
    pub(super) last_refreshed_at: Option<SystemTime>,
    pub(super) created_at: SystemTime,
    pub(super) backoff: Option<Backoff>,
    /// Failures in a row.
    failures: u32,
    /// Failed for nobody's fault where another credential did well: taken only when nobody else is there, until then.
    pub(super) deprioritised: Option<Deadline>,
    /// How often in a row.
    setbacks: u32,
    /// When it was last lent out or checked.
    pub(super) last_active: Instant,
    /// What Google last said is left, and when.
    pub(super) quota: Option<(Instant, Quota)>,
    /// Where Vertex AI serves it.
    pub(super) place: Option<Arc<VertexPlace>>,
    #[cfg(feature = "replicas")]
    pub(super) copy: super::shared::Copy,
}

impl Credential {
    pub(super) fn new(id: CredentialId, origin: Origin, record: Record, settings: &Settings, now: Now) -> Credential {
        let secret = record.access_token().map(Secret::new);
        let loaded = |(secret, expiry)| Token::loaded(secret, expiry, settings.timing.ahead(), now);
        let mut credential = Credential {
            id,
            replaced: 0,
            origin,
            email: record.email().map(str::to_owned),
            email_settled: false,
            project: None,
            tier: None,
            token: secret.zip(record.expiry()).map(loaded),
            place: record.place().map(Arc::new),
            record,
            in_flight: None,
            finished: 0,
            outcome: None,
            blocked: None,
            cooling: HashMap::new(),
            usage_count: 0,
            last_used_at: now.wall,
            last_refreshed_at: None,
            created_at: now.wall,
            backoff: None,
            failures: 0,
            deprioritised: None,
            setbacks: 0,
            last_active: now.monotonic,
            quota: None,
            #[cfg(feature = "replicas")]
            copy: super::shared::Copy::default(),
        };
        credential.settle_project(settings);
        credential
    }

    /// Begins anew with another item in the place of this one.
    pub(super) fn replace(&mut self, record: Record, settings: &Settings, now: Now) {
        let (usage_count, created_at, replaced) = (self.usage_count, self.created_at, self.replaced + 1);
        let new = Credential::new(self.id, Origin::File, record, settings, now);
        *self = Credential { usage_count, created_at, replaced, ..new };
    }

    #[cfg(feature = "replicas")]
    pub(super) fn set_login(&mut self, login: Login) {
        self.replaced = login.number;
    }

    /// Takes over what somebody else wrote about the same credential.
    pub(super) fn update(&mut self, record: Record, settings: &Settings, now: Now) {
        let secret = record.access_token().map(Secret::new);
        let ours = self.token.as_ref().map(|token| token.expiry);
        if let Some((secret, expiry)) = secret.zip(record.expiry()).filter(|(_, expiry)| Some(*expiry) > ours) {
            self.token = Some(Token::loaded(secret, expiry, settings.timing.ahead(), now));
        }
        if let Some(email) = record.email() {
            self.email = Some(email.to_owned());
        }
        self.record = record;
        let place = self.record.place();
        if !place.as_ref().zip(self.place.as_ref()).is_some_and(|(new, old)| new.is_same(old)) {
            self.place = place.map(Arc::new);
        }
        self.settle_project(settings);
    }

    /// Takes over the project of config or file. Another one than before is a reason to ask Google again about a credential
    /// that is blocked.
    pub(super) fn settle_project(&mut self, settings: &Settings) {
        let known = settings.project_of(self.email.as_deref(), self.email_settled, &self.record);
        if known.is_some() && known != self.project {
            (self.project, self.blocked) = (known, None);
        }
    }

    pub(super) fn name(&self) -> String {
        format!("cred-{}", self.id.0)
    }

    pub(super) fn login(&self) -> Login {
        Login { id: self.id, number: self.replaced }
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        self.record.identity()
    }

    /// What is safe to log: the masked e-mail, the key's label or tail.
    pub(super) fn label(&self) -> String {
        label(&self.record, self.email.as_deref()).unwrap_or_else(|| mask::email(None))
    }

    /// How log lines name it: the masked e-mail as the old program did, its id as long as there is none.
    pub(super) fn log_name(&self) -> String {
        if self.email.is_some() { self.label() } else { self.name() }
    }

    /// Forgets what has ended by now.
    pub(super) fn settle(&mut self, now: Now) {
        self.cooling.retain(|_, cool_down| !cool_down.until.is_over(now));
        self.blocked.take_if(|blocked| blocked.until.is_some_and(|until| until.is_over(now)));
        self.backoff.take_if(|backoff| backoff.until.is_over(now));
        self.deprioritised.take_if(|until| until.is_over(now));
        #[cfg(feature = "replicas")]
        self.copy.put_off.take_if(|until| until.is_over(now));
    }

    /// Whether it may serve at all, now or after a while.
    pub(super) fn is_usable(&self) -> bool {
        let for_good = self.blocked.as_ref().is_some_and(|blocked| blocked.until.is_none());
        self.record.kind().is_ok() && !self.record.disabled() && !for_good
    }

    pub(super) fn permanent_fault(&self) -> Option<Message> {
        if let Err(reason) = self.record.kind() {
            return Some(Message::new(reason));
        }
        if self.record.disabled() {
            return Some(Message::new("disabled"));
        }
        self.blocked.as_ref().filter(|blocked| blocked.until.is_none()).map(|blocked| blocked.why.message.clone())
    }

    /// Why it cannot be used at present whatever is tried.
    pub(super) fn fault(&self) -> Option<AccessFault> {
        let blocked = || self.blocked.as_ref().map(|blocked| blocked.why.message.clone());
        self.permanent_fault().or_else(blocked).map(AccessFault::Dead)
    }

    /// A key, or a token and a project: nothing to ask Google first.
    pub(super) fn is_ready(&self, now: Now) -> bool {
        match self.record.kind() {
            Ok(_) if self.record.is_key() => true,
            Ok(_) => self.fresh_token(now).is_some() && self.project.is_some(),
            Err(_) => false,
        }
    }

    pub(super) fn fresh_token(&self, now: Now) -> Option<&Token> {
        self.token.as_ref().filter(|token| token.is_fresh(now))
    }

    /// When token or set-up has to be seen to, but for blocks and back-offs; `Some(None)`: at once; `None`: nothing to do
    /// until something changes.
    pub(super) fn due(&self) -> Option<Option<Deadline>> {
        if self.record.is_key() || !self.is_usable() || self.in_flight.is_some() {
            return None;
        }
        let token = self.token.as_ref().filter(|_| self.is_set_up());
        let due = token.map(|token| token.refresh_at);
        #[cfg(feature = "replicas")]
        let due = self.later(due);
        Some(due)
    }

    /// Whether there is nothing to ask Google but for tokens.
    pub(super) fn is_set_up(&self) -> bool {
        self.project.is_some() && (self.email.is_some() || self.email_settled)
    }

    pub(super) fn block(&mut self, why: Block, span: Option<Duration>, now: Now) {
        let until = span.map(|span| Deadline::after(now, span));
        self.blocked = Some(Blocked { until, why, at: now.wall });
    }

    /// Blocks it if the trouble is its own.
    pub(super) fn block_for(&mut self, trouble: Trouble, settings: &Settings, now: Now) {
        let probe = Some(settings.timing.blocked_probe);
        match trouble {
            Trouble::Unauthorized => self.block(Block::new("UNAUTHENTICATED", trouble.message()), probe, now),
            Trouble::Revoked(message) => self.block(Block::new("INVALID_GRANT", message), None, now),
            Trouble::Blocked(block) => self.block(block, probe, now),
            Trouble::Config(_) | Trouble::Transient(_) => {}
            #[cfg(feature = "replicas")]
            Trouble::Later { .. } => {}
        }
    }

    /// Keeps the longer of two cool-downs.
    pub(super) fn cool_down(&mut self, model: &str, cool_down: CoolDown, now: Now) {
        let present = self.cooling.get(model);
        if present.is_none_or(|present| present.until.left(now) < cool_down.until.left(now)) {
            self.cooling.insert(model.to_owned(), cool_down);
        }
    }

    /// Trouble that passes: `first`, doubled with each failure in a row up to `longest`, less up to a quarter so that
    /// credentials do not come back in step.
    pub(super) fn back_off(&mut self, message: Message, first: Duration, longest: Duration, now: Now) {
        let full = doubled(first, self.failures, longest);
        self.failures += 1;
        let span = full - full.mul_f64(random::fraction() / 4.0);
        self.rest_for(message, Deadline::after(now, span), now);
    }

    pub(super) fn rest_for(&mut self, message: Message, until: Deadline, now: Now) {
        self.backoff = Some(Backoff { until, message, at: now.wall });
    }

    pub(super) fn recover(&mut self) {
        self.failures = 0;
        self.backoff = None;
    }

    /// Others go first for a while, which doubles with each time in a row.
    pub(super) fn deprioritise(&mut self, settings: &Settings, now: Now) {
        let span = doubled(settings.timing.deprioritised, self.setbacks, settings.timing.longest_deprioritised);
        self.setbacks += 1;
        self.deprioritised = Some(Deadline::after(now, span));
    }

    /// It did well.
    pub(super) fn restore_priority(&mut self) {
        (self.deprioritised, self.setbacks) = (None, 0);
    }

    /// For a settled credential.
    pub(super) fn is_deprioritised(&self) -> bool {
        self.deprioritised.is_some()
    }
}

pub(crate) fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.min(16)).min(longest)
}

/// What is safe to show of an item: the masked e-mail, the key's label or tail.
pub(crate) fn label(record: &Record, email: Option<&str>) -> Option<String> {
    match (record.kind(), email, record.label()) {
        (Ok(Kind::ApiKey), _, None) | (Ok(Kind::Vertex), None, None) => record.api_key().map(mask::key),
        (_, Some(email), _) => Some(mask::email(Some(email))),
        (_, None, label) => label.map(|label| label.chars().filter(|c| !c.is_control()).take(64).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn deprioritised_for_longer_each_time_until_it_does_well() {
        let now = Now::read();
        let mut settings = Settings::default();
        (settings.timing.deprioritised, settings.timing.longest_deprioritised) = (HOUR, 3 * HOUR);
        let record = Record::new(json!({"api_key": "k"}));
        let mut credential = Credential::new(CredentialId(0), Origin::File, record, &settings, now);
        for hours in [1, 2, 3, 3] {
            credential.deprioritise(&settings, now);
            assert_eq!(credential.deprioritised.unwrap().left(now), hours * HOUR);
        }
        assert!(credential.is_deprioritised());
        credential.restore_priority();
        assert!(!credential.is_deprioritised());
        credential.deprioritise(&settings, now);
        assert_eq!(credential.deprioritised.unwrap().left(now), HOUR);
    }
}
