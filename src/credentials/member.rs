//! One member of the pool: what is known about it, and the rules by which it can serve. Pure: no lock, no I/O.

use super::pool::{AccessFault, Kind, MemberId, View};
use super::record::{Identity, Record};
use super::setup::Block;
use crate::mask;
use crate::secret::Secret;
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

/// A token that ends sooner is refreshed before it is used: the answer may take a while.
const MARGIN: Duration = Duration::from_secs(60);

/// Where a member comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// An item of the credentials file.
    File,
    /// `gemini_api_keys` of the config.
    Config,
}

/// An access token and the times that follow from its end.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) secret: Secret,
    pub(super) expiry: SystemTime,
    /// Not used from here on.
    fresh_until: SystemTime,
    /// Replaced ahead from here on.
    refresh_at: SystemTime,
}

impl Token {
    /// A token from the file, whose lifetime is not known.
    fn loaded(secret: Secret, expiry: SystemTime, ahead: Duration) -> Token {
        Token { secret, expiry, fresh_until: before(expiry, MARGIN), refresh_at: before(expiry, ahead) }
    }

    /// A token that was just granted. Short-lived ones are not refreshed all the time.
    pub(super) fn granted(secret: Secret, lifetime: Duration, ahead: Duration) -> Token {
        let now = SystemTime::now();
        let expiry = now + lifetime;
        let refresh_at = before(expiry, ahead.min(lifetime / 2)).max(now + Duration::from_secs(10));
        Token { secret, expiry, fresh_until: before(expiry, MARGIN.min(lifetime / 4)), refresh_at }
    }

    fn is_fresh(&self) -> bool {
        SystemTime::now() < self.fresh_until
    }
}

fn before(time: SystemTime, span: Duration) -> SystemTime {
    time.checked_sub(span).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// What a flight, the time in which one thread works for a member, is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flight {
    Refresh,
    Setup,
}

/// A member that cannot serve anything.
#[derive(Clone, Debug)]
pub(super) struct Blocked {
    /// `None`: until a person acts.
    pub(super) until: Option<Instant>,
    pub(super) why: Block,
    at: SystemTime,
}

/// A member that rests for one model.
#[derive(Clone, Debug)]
pub(super) struct Cooling {
    pub(super) until: Instant,
    pub(super) reason: String,
}

/// Trouble with tokens or set-up that will pass.
#[derive(Clone, Debug)]
struct Rest {
    until: Instant,
    sentence: String,
    at: SystemTime,
}

pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) origin: Origin,
    pub(super) record: Record,
    pub(super) email: Option<String>,
    /// The e-mail was asked for and there is none, or it is not worth asking now.
    pub(super) email_settled: bool,
    pub(super) project: Option<String>,
    pub(super) tier: Option<String>,
    pub(super) token: Option<Token>,
    pub(super) flight: Option<Flight>,
    /// Flights that ended so far, and what the last one came to.
    pub(super) landed: u64,
    pub(super) outcome: Option<AccessFault>,
    pub(super) blocked: Option<Blocked>,
    pub(super) cooling: HashMap<String, Cooling>,
    pub(super) usage_count: u64,
    pub(super) last_used_at: SystemTime,
    pub(super) last_refreshed_at: Option<SystemTime>,
    created_at: SystemTime,
    rest: Option<Rest>,
    failures: u32,
}

impl Member {
    pub(super) fn new(id: MemberId, origin: Origin, record: Record, ahead: Duration) -> Member {
        let now = SystemTime::now();
        let secret = record.access_token().map(Secret::new);
        let token = secret.zip(record.expiry()).map(|(secret, expiry)| Token::loaded(secret, expiry, ahead));
        Member {
            id,
            origin,
            email: record.email().map(str::to_owned),
            email_settled: false,
            project: None,
            tier: None,
            token,
            record,
            flight: None,
            landed: 0,
            outcome: None,
            blocked: None,
            cooling: HashMap::new(),
            usage_count: 0,
            last_used_at: now,
            last_refreshed_at: None,
            created_at: now,
            rest: None,
            failures: 0,
        }
    }

    /// Takes over what somebody else wrote about the same credential.
    pub(super) fn update(&mut self, record: Record, ahead: Duration) {
        let secret = record.access_token().map(Secret::new);
        let ours = self.token.as_ref().map(|token| token.expiry);
        if let Some((secret, expiry)) = secret.zip(record.expiry()).filter(|(_, expiry)| Some(*expiry) > ours) {
            self.token = Some(Token::loaded(secret, expiry, ahead));
        }
        if let Some(email) = record.email() {
            self.email = Some(email.to_owned());
        }
        self.record = record;
    }

    pub(super) fn name(&self) -> String {
        format!("cred-{}", self.id.0)
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        self.record.identity()
    }

    /// What is safe to log: the masked e-mail, the key's label or tail.
    pub(super) fn label(&self) -> String {
        match (self.record.kind(), &self.email, self.record.label()) {
            (Ok(Kind::ApiKey), _, None) => mask::key(self.record.api_key().unwrap_or_default()),
            (_, Some(email), _) => mask::email(Some(email)),
            (_, None, Some(label)) => label.chars().filter(|c| !c.is_control()).take(64).collect(),
            (_, None, None) => mask::email(None),
        }
    }

    /// How log lines name it: the masked e-mail as the old program did, its id as long as there is none.
    pub(super) fn log_name(&self) -> String {
        if self.email.is_some() { self.label() } else { self.name() }
    }

    /// Forgets cool-downs and blocks whose time is over.
    pub(super) fn settle(&mut self, now: Instant) {
        self.cooling.retain(|_, cooling| cooling.until > now);
        self.blocked.take_if(|blocked| blocked.until.is_some_and(|until| until <= now));
        self.rest.take_if(|rest| rest.until <= now);
    }

    /// Whether it may serve at all, now or after a while.
    pub(super) fn is_usable(&self) -> bool {
        self.permanent_fault().is_none()
    }

    fn permanent_fault(&self) -> Option<String> {
        if let Err(reason) = self.record.kind() {
            return Some(reason.into());
        }
        if self.record.disabled() {
            return Some("it is disabled".into());
        }
        self.blocked.as_ref().filter(|blocked| blocked.until.is_none()).map(|blocked| blocked.why.sentence.clone())
    }

    /// Why it cannot be used at present whatever is tried.
    pub(super) fn fault(&self) -> Option<AccessFault> {
        let blocked = || self.blocked.as_ref().map(|blocked| blocked.why.sentence.clone());
        self.permanent_fault().or_else(blocked).map(AccessFault::Dead)
    }

    /// Token trouble that has not passed yet.
    pub(super) fn resting(&self) -> Option<AccessFault> {
        self.rest.as_ref().map(|rest| AccessFault::Transient(rest.sentence.clone()))
    }

    /// A token or key, and for Code Assist a project: nothing to ask Google first.
    pub(super) fn is_ready(&self) -> bool {
        match self.record.kind() {
            Ok(Kind::ApiKey) => true,
            Ok(Kind::Oauth) => self.fresh_token().is_some() && self.project.is_some(),
            Err(_) => false,
        }
    }

    pub(super) fn fresh_token(&self) -> Option<&Token> {
        self.token.as_ref().filter(|token| token.is_fresh())
    }

    /// How long until it can serve `model`; `None`: now. For a settled, usable member.
    pub(super) fn wait(&self, model: &str, now: Instant) -> Option<Duration> {
        let blocked = self.blocked.as_ref().and_then(|blocked| blocked.until);
        let rest = self.rest.as_ref().filter(|_| !self.is_ready()).map(|rest| rest.until);
        let cooling = self.cooling.get(model).map(|cooling| cooling.until);
        let until = blocked.max(rest).max(cooling)?;
        Some(until.saturating_duration_since(now))
    }

    /// When the keeper has to work for it; `None`: nothing to do until something changes.
    pub(super) fn due(&self, now: Instant) -> Option<Duration> {
        if self.record.kind() != Ok(Kind::Oauth) || !self.is_usable() || self.flight.is_some() {
            return None;
        }
        let until = |at: SystemTime| at.duration_since(SystemTime::now()).unwrap_or_default();
        let refresh = self.token.as_ref().map_or(Duration::ZERO, |token| until(token.refresh_at));
        let incomplete = self.project.is_none() || (self.email.is_none() && !self.email_settled);
        let work = if incomplete { Duration::ZERO } else { refresh };
        let blocked = self.blocked.as_ref().and_then(|blocked| blocked.until);
        let held = blocked.max(self.rest.as_ref().map(|rest| rest.until));
        Some(work.max(held.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))))
    }

    pub(super) fn wants_refresh(&self) -> bool {
        self.token.as_ref().is_none_or(|token| token.refresh_at <= SystemTime::now())
    }

    pub(super) fn block(&mut self, why: Block, rest: Option<Duration>) {
        let until = rest.map(|rest| Instant::now() + rest);
        self.blocked = Some(Blocked { until, why, at: SystemTime::now() });
    }

    /// Trouble that passes: rests `first`, doubled with each failure in a row up to `longest`, less up to a quarter so
    /// that members do not come back in step.
    pub(super) fn rest(&mut self, sentence: String, first: Duration, longest: Duration) {
        let full = first.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures += 1;
        let rest = full - full.mul_f64(super::keeper::random_fraction() / 4.0);
        self.rest = Some(Rest { until: Instant::now() + rest, sentence, at: SystemTime::now() });
    }

    pub(super) fn recover(&mut self) {
        self.failures = 0;
        self.rest = None;
    }

    fn status(&self) -> &'static str {
        if self.fault().is_some() {
            return "error";
        }
        if self.flight == Some(Flight::Refresh) {
            return "refreshing";
        }
        if !self.cooling.is_empty() {
            return "exhausted";
        }
        match self.record.kind() {
            Ok(Kind::Oauth) if self.fresh_token().is_none() => "expired",
            // Nothing to send until a project is found, and that has failed lately.
            Ok(Kind::Oauth) if self.project.is_none() && self.rest.is_some() => "error",
            _ => "active",
        }
    }

    /// For a settled member.
    pub(super) fn view(&self, now: Instant) -> View {
        let clock = SystemTime::now();
        let at = |until: Instant| clock + until.saturating_duration_since(now);
        let blocked = self.blocked.as_ref();
        let rest = self.rest.as_ref();
        let mut cooling: Vec<_> = self
            .cooling
            .iter()
            .map(|(model, cooling)| (model.clone(), at(cooling.until), cooling.reason.clone()))
            .collect();
        cooling.sort();
        View {
            name: self.name(),
            kind: self.record.kind().unwrap_or(Kind::Oauth),
            email: self.email.clone(),
            project: self.project.clone(),
            label: match self.record.kind() {
                Ok(Kind::ApiKey) => Some(self.label()),
                _ => self.record.label().map(str::to_owned),
            },
            status: self.status(),
            available: self.is_usable() && blocked.is_none() && (rest.is_none() || self.is_ready()),
            disabled: self.record.disabled(),
            expiry: self.token.as_ref().map(|token| token.expiry),
            usage_count: self.usage_count,
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            last_refreshed_at: self.last_refreshed_at,
            exhausted_until: cooling.iter().map(|(_, until, _)| *until).max(),
            failed_at: blocked.map(|blocked| blocked.at).or(rest.map(|rest| rest.at)),
            failure_reason: self.permanent_fault().or_else(|| {
                blocked.map(|blocked| blocked.why.sentence.clone()).or(rest.map(|rest| rest.sentence.clone()))
            }),
            reason_code: blocked.map(|blocked| blocked.why.reason.clone()),
            link: blocked.and_then(|blocked| blocked.why.link.clone()),
            tier: self.tier.clone(),
            cooling,
        }
    }
}
