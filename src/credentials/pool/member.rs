//! One member of the pool: what is known about it, and the rules by which it can serve. Pure: no lock, no I/O.

use super::clock::{Deadline, Now};
use crate::credentials::file::record::{Identity, Record};
use crate::credentials::google::quota::Quota;
use crate::credentials::google::setup::Block;
use crate::credentials::lease::{AccessFault, Kind, MemberId};
use crate::mask;
use crate::secret::Secret;
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

/// A token that ends sooner is refreshed before it is used: the answer may take a while.
const MARGIN: Duration = Duration::from_secs(60);

/// Where a member comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An item of the credentials file.
    File,
    /// `gemini_api_keys` of the config.
    Config,
}

/// An access token and the times that follow from its end.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    pub(crate) expiry: SystemTime,
    /// Not used from here on.
    fresh_until: Deadline,
    /// Replaced ahead from here on.
    refresh_at: Deadline,
}

impl Token {
    /// A token from the file, whose lifetime is not known.
    fn loaded(secret: Secret, expiry: SystemTime, ahead: Duration, now: Now) -> Token {
        let until = |span| Deadline::at(expiry.checked_sub(span).unwrap_or(SystemTime::UNIX_EPOCH), now);
        Token { secret, expiry, fresh_until: until(MARGIN), refresh_at: until(ahead) }
    }

    /// A token that was just granted. Short-lived ones are not refreshed all the time.
    pub(crate) fn granted(secret: Secret, lifetime: Duration, ahead: Duration, now: Now) -> Token {
        let refresh = (lifetime - ahead.min(lifetime / 2)).max(Duration::from_secs(10));
        Token {
            secret,
            expiry: now.wall + lifetime,
            fresh_until: Deadline::after(now, lifetime - MARGIN.min(lifetime / 4)),
            refresh_at: Deadline::after(now, refresh),
        }
    }

    fn is_fresh(&self, now: Now) -> bool {
        !self.fresh_until.is_over(now)
    }
}

/// A member with one certain login. A person may put another in its place while somebody asks Google about this one; what
/// comes of that is not about the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) id: MemberId,
    number: u64,
}

impl Login {
    /// Nobody's: what is noted about it goes nowhere.
    pub(crate) const NOBODY: Login = Login { id: MemberId(u64::MAX), number: 0 };
}

/// What a flight, the time in which one thread works for a member, is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flight {
    Refresh,
    Setup,
}

/// Why a member cannot serve anything.
#[derive(Clone, Debug)]
pub(crate) struct Blocked {
    /// `None`: until a person acts.
    pub(crate) until: Option<Deadline>,
    pub(crate) why: Block,
    pub(crate) at: SystemTime,
}

/// Why a member does not serve one model.
#[derive(Clone, Debug)]
pub(crate) struct Cooling {
    pub(crate) until: Deadline,
    /// See [`crate::credentials::lease::Report::Cool`].
    pub(crate) limit: bool,
    pub(crate) reason: String,
    pub(crate) sentence: String,
}

/// Trouble with tokens or set-up that will pass.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    until: Deadline,
    pub(crate) sentence: String,
    pub(crate) at: SystemTime,
}

pub(crate) struct Member {
    pub(crate) id: MemberId,
    /// Logins before this one.
    replaced: u64,
    pub(crate) origin: Origin,
    pub(crate) record: Record,
    pub(crate) email: Option<String>,
    /// The e-mail was asked for and there is none, or it is not worth asking now.
    pub(crate) email_settled: bool,
    pub(crate) project: Option<String>,
    pub(crate) tier: Option<String>,
    pub(crate) token: Option<Token>,
    pub(crate) flight: Option<Flight>,
    /// Flights that ended so far, and what the last one came to.
    pub(crate) landed: u64,
    pub(crate) outcome: Option<AccessFault>,
    pub(crate) blocked: Option<Blocked>,
    pub(crate) cooling: HashMap<String, Cooling>,
    pub(crate) usage_count: u64,
    pub(crate) last_used_at: SystemTime,
    pub(crate) last_refreshed_at: Option<SystemTime>,
    pub(crate) created_at: SystemTime,
    pub(crate) rest: Option<Rest>,
    failures: u32,
    /// Failed for nobody's fault where another member did well: taken only when nobody else is there, until then.
    suspected: Option<Deadline>,
    suspicions: u32,
    /// When it was last lent out or checked.
    pub(crate) touched: Instant,
    /// What Google last said is left, and when.
    pub(crate) quota: Option<(Instant, Quota)>,
}

impl Member {
    pub(crate) fn new(id: MemberId, origin: Origin, record: Record, ahead: Duration) -> Member {
        let now = Now::read();
        let secret = record.access_token().map(Secret::new);
        let token = secret.zip(record.expiry()).map(|(secret, expiry)| Token::loaded(secret, expiry, ahead, now));
        Member {
            id,
            replaced: 0,
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
            last_used_at: now.wall,
            last_refreshed_at: None,
            created_at: now.wall,
            rest: None,
            failures: 0,
            suspected: None,
            suspicions: 0,
            touched: now.monotonic,
            quota: None,
        }
    }

    /// Begins anew with another item in the place of this one.
    pub(crate) fn replace(&mut self, record: Record, ahead: Duration) {
        let (usage_count, created_at, replaced) = (self.usage_count, self.created_at, self.replaced + 1);
        let new = Member::new(self.id, Origin::File, record, ahead);
        *self = Member { usage_count, created_at, replaced, ..new };
    }

    /// Takes over what somebody else wrote about the same credential.
    pub(crate) fn update(&mut self, record: Record, ahead: Duration) {
        let secret = record.access_token().map(Secret::new);
        let ours = self.token.as_ref().map(|token| token.expiry);
        if let Some((secret, expiry)) = secret.zip(record.expiry()).filter(|(_, expiry)| Some(*expiry) > ours) {
            self.token = Some(Token::loaded(secret, expiry, ahead, Now::read()));
        }
        if let Some(email) = record.email() {
            self.email = Some(email.to_owned());
        }
        self.record = record;
    }

    pub(crate) fn name(&self) -> String {
        format!("cred-{}", self.id.0)
    }

    pub(crate) fn login(&self) -> Login {
        Login { id: self.id, number: self.replaced }
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        self.record.identity()
    }

    /// What is safe to log: the masked e-mail, the key's label or tail.
    pub(crate) fn label(&self) -> String {
        label(&self.record, self.email.as_deref()).unwrap_or_else(|| mask::email(None))
    }

    /// How log lines name it: the masked e-mail as the old program did, its id as long as there is none.
    pub(crate) fn log_name(&self) -> String {
        if self.email.is_some() { self.label() } else { self.name() }
    }

    /// Forgets cool-downs and blocks whose time is over.
    pub(crate) fn settle(&mut self, now: Now) {
        self.cooling.retain(|_, cooling| !cooling.until.is_over(now));
        self.blocked.take_if(|blocked| blocked.until.is_some_and(|until| until.is_over(now)));
        self.rest.take_if(|rest| rest.until.is_over(now));
        self.suspected.take_if(|until| until.is_over(now));
    }

    /// Whether it may serve at all, now or after a while.
    pub(crate) fn is_usable(&self) -> bool {
        self.permanent_fault().is_none()
    }

    pub(crate) fn permanent_fault(&self) -> Option<String> {
        if let Err(reason) = self.record.kind() {
            return Some(reason.into());
        }
        if self.record.disabled() {
            return Some("it is disabled".into());
        }
        self.blocked.as_ref().filter(|blocked| blocked.until.is_none()).map(|blocked| blocked.why.sentence.clone())
    }

    /// Why it cannot be used at present whatever is tried.
    pub(crate) fn fault(&self) -> Option<AccessFault> {
        let blocked = || self.blocked.as_ref().map(|blocked| blocked.why.sentence.clone());
        self.permanent_fault().or_else(blocked).map(AccessFault::Dead)
    }

    /// Token trouble that has not passed yet.
    pub(crate) fn resting(&self) -> Option<AccessFault> {
        self.rest.as_ref().map(|rest| AccessFault::Transient(rest.sentence.clone()))
    }

    /// A token or key, and for Code Assist a project: nothing to ask Google first.
    pub(crate) fn is_ready(&self, now: Now) -> bool {
        match self.record.kind() {
            Ok(Kind::ApiKey) => true,
            Ok(Kind::Oauth) => self.fresh_token(now).is_some() && self.project.is_some(),
            Err(_) => false,
        }
    }

    pub(crate) fn fresh_token(&self, now: Now) -> Option<&Token> {
        self.token.as_ref().filter(|token| token.is_fresh(now))
    }

    /// How long until it can serve `model`; `None`: now. For a settled, usable member.
    pub(crate) fn wait(&self, model: &str, now: Now) -> Option<Duration> {
        let blocked = self.blocked.as_ref().and_then(|blocked| blocked.until);
        let rest = self.rest.as_ref().filter(|_| !self.is_ready(now)).map(|rest| rest.until);
        let cooling = self.cooling.get(model).map(|cooling| cooling.until);
        [blocked, rest, cooling].into_iter().flatten().map(|until| until.left(now)).max()
    }

    /// When the refresher has to work for it; `None`: nothing to do until something changes.
    pub(crate) fn due(&self, now: Now) -> Option<Duration> {
        if self.record.kind() != Ok(Kind::Oauth) || !self.is_usable() || self.flight.is_some() {
            return None;
        }
        let refresh = self.token.as_ref().map_or(Duration::ZERO, |token| token.refresh_at.left(now));
        let incomplete = self.project.is_none() || (self.email.is_none() && !self.email_settled);
        let work = if incomplete { Duration::ZERO } else { refresh };
        let blocked = self.blocked.as_ref().and_then(|blocked| blocked.until);
        let rest = self.rest.as_ref().map(|rest| rest.until);
        let held = [blocked, rest].into_iter().flatten().map(|until| until.left(now)).max();
        Some(work.max(held.unwrap_or_default()))
    }

    pub(crate) fn wants_refresh(&self, now: Now) -> bool {
        self.token.as_ref().is_none_or(|token| token.refresh_at.is_over(now))
    }

    pub(crate) fn block(&mut self, why: Block, rest: Option<Duration>) {
        let now = Now::read();
        let until = rest.map(|rest| Deadline::after(now, rest));
        self.blocked = Some(Blocked { until, why, at: now.wall });
    }

    /// Trouble that passes: rests `first`, doubled with each failure in a row up to `longest`, less up to a quarter so
    /// that members do not come back in step.
    pub(crate) fn rest(&mut self, sentence: String, first: Duration, longest: Duration) {
        let full = first.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures += 1;
        let rest = full - full.mul_f64(crate::credentials::refresh::random_fraction() / 4.0);
        let now = Now::read();
        self.rest = Some(Rest { until: Deadline::after(now, rest), sentence, at: now.wall });
    }

    /// Others go first for `first`, doubled with each suspicion in a row up to `longest`.
    pub(crate) fn suspect(&mut self, first: Duration, longest: Duration) {
        let span = first.saturating_mul(1 << self.suspicions.min(16)).min(longest);
        self.suspicions += 1;
        self.suspected = Some(Deadline::after(Now::read(), span));
    }

    /// Doing well clears every suspicion.
    pub(crate) fn trust(&mut self) {
        (self.suspected, self.suspicions) = (None, 0);
    }

    /// For a settled member.
    pub(crate) fn is_suspected(&self) -> bool {
        self.suspected.is_some()
    }

    pub(crate) fn recover(&mut self) {
        self.failures = 0;
        self.rest = None;
    }
}

/// What is safe to show of an item: the masked e-mail, the key's label or tail.
pub(crate) fn label(record: &Record, email: Option<&str>) -> Option<String> {
    match (record.kind(), email, record.label()) {
        (Ok(Kind::ApiKey), _, None) => record.api_key().map(mask::key),
        (_, Some(email), _) => Some(mask::email(Some(email))),
        (_, None, label) => label.map(|label| label.chars().filter(|c| !c.is_control()).take(64).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HOUR: Duration = Duration::from_secs(3600);

    fn later(now: Now, monotonic: Duration, wall: SystemTime) -> Now {
        Now { monotonic: now.monotonic + monotonic, wall }
    }

    #[test]
    fn a_token_survives_clocks_that_jump() {
        let now = Now::read();
        let token = Token::granted(Secret::new("t"), HOUR, HOUR / 6, now);
        for (name, then, fresh) in [
            ("half an hour later", later(now, HOUR / 2, now.wall + HOUR / 2), true),
            ("half an hour later, the clock was set back", later(now, HOUR / 2, now.wall - 24 * HOUR), true),
            ("its hour is over, the clock was set back", later(now, HOUR, now.wall - 24 * HOUR), false),
            ("after a night's sleep", later(now, Duration::ZERO, now.wall + 8 * HOUR), false),
        ] {
            assert_eq!(token.is_fresh(then), fresh, "{name}");
        }
        // Set back by a day, an hour on: the refresher does not wait for yesterday to pass.
        assert!(token.refresh_at.is_over(later(now, HOUR, now.wall - 24 * HOUR)));
    }

    #[test]
    fn rests_end_whichever_way_the_clock_jumps() {
        let now = Now::read();
        let record = Record::new(json!({"api_key": "AIza-0001"}));
        for (name, then) in [
            ("set back", later(now, HOUR, now.wall - 365 * 24 * HOUR)),
            ("set forward", later(now, Duration::ZERO, now.wall + 365 * 24 * HOUR)),
        ] {
            let mut member = Member::new(MemberId(0), Origin::File, record.clone(), HOUR);
            let until = Deadline::after(now, HOUR);
            member.cooling.insert("m".into(), Cooling { until, limit: true, reason: "R".into(), sentence: "s".into() });
            member.block(Block { reason: "R".into(), sentence: "s".into(), link: None }, Some(HOUR / 2));
            member.settle(now);
            assert!(member.wait("m", now).is_some(), "{name}");
            member.settle(then);
            assert_eq!(member.wait("m", then), None, "{name}");
        }
    }

    #[test]
    fn suspicion_grows_and_one_success_clears_it() {
        let mut member = Member::new(MemberId(0), Origin::File, Record::new(json!({"api_key": "k"})), HOUR);
        let (first, longest) = (Duration::from_secs(30), Duration::from_secs(100));
        for expected in [30, 60, 100, 100] {
            member.suspect(first, longest);
            let left = member.suspected.unwrap().left(Now::read());
            assert!(left <= Duration::from_secs(expected) && left > Duration::from_secs(expected - 10), "{left:?}");
        }
        assert!(member.is_suspected() && member.wait("m", Now::read()).is_none(), "it may still be asked");
        member.trust();
        assert!(!member.is_suspected());
        member.suspect(first, longest);
        assert!(member.suspected.unwrap().left(Now::read()) <= first);
    }
}
