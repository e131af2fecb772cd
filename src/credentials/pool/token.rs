//! Tokens and set-up: who has to ask Google, who waits for another thread that does, and what came of it.

use super::clock::{Deadline, Now};
use super::credential::{Credential, InFlight, Login};
use super::{Effects, Pool};
use crate::credentials::file::edits::Edit;
use crate::credentials::file::record::Record;
use crate::credentials::google::trouble::Trouble;
use crate::credentials::lease::{Access, AccessFault, CredentialId, ManageFault};
use crate::credentials::place::VertexPlace;
use crate::mask;
use crate::message::Message;
use crate::secret::Secret;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A token that ends sooner is refreshed before it is used: the answer may take a while.
pub(super) const MARGIN: Duration = Duration::from_secs(60);

/// An access token and the times that follow from its end.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) secret: Secret,
    pub(super) expiry: SystemTime,
    /// Not used from here on.
    pub(super) fresh_until: Deadline,
    /// Replaced ahead from here on.
    pub(super) refresh_at: Deadline,
}

impl Token {
    /// A token from the file, whose lifetime is not known.
    pub(super) fn loaded(secret: Secret, expiry: SystemTime, ahead: Duration, now: Now) -> Token {
        let until = |span| Deadline::at(expiry.checked_sub(span).unwrap_or(SystemTime::UNIX_EPOCH), now);
        Token { secret, expiry, fresh_until: until(MARGIN), refresh_at: until(ahead) }
    }

    /// A token that was just granted. Short-lived ones are not refreshed all the time.
    pub(super) fn granted(secret: Secret, lifetime: Duration, ahead: Duration, now: Now) -> Token {
        let refresh = (lifetime - ahead.min(lifetime / 2)).max(Duration::from_secs(10));
        Token {
            secret,
            expiry: now.wall + lifetime,
            fresh_until: Deadline::after(now, lifetime - MARGIN.min(lifetime / 4)),
            refresh_at: Deadline::after(now, refresh),
        }
    }

    pub(super) fn is_fresh(&self, now: Now) -> bool {
        !self.fresh_until.is_over(now)
    }
}

/// What a caller who needs a token has to do.
pub(crate) enum Step {
    Use(Access),
    /// Ask Google, and tell the result to [`Pool::finish`].
    Ask(Job),
    /// Another thread asks: look again when it has finished more often than this.
    Wait(u64),
}

/// What is asked of Google for one credential: copied out of it, with what was found so far.
pub(crate) struct Job {
    pub(crate) login: Login,
    pub(crate) record: Record,
    pub(crate) log_name: String,
    /// `None`: it has to be refreshed.
    pub(crate) token: Option<Secret>,
    pub(crate) email: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) tier: Option<String>,
    pub(crate) place: Option<Arc<VertexPlace>>,
    #[cfg(feature = "replicas")]
    pub(crate) common: Box<super::shared::Common>,
}

impl Job {
    /// For an account that is not in the pool yet.
    pub(crate) fn of_candidate(record: Record, now: Now) -> Job {
        let fresh = record.expiry().is_some_and(|expiry| expiry > now.wall);
        Job {
            login: Login::NOBODY,
            log_name: mask::email(record.email()),
            token: record.access_token().filter(|_| fresh).map(Secret::new),
            email: record.email().map(str::to_owned),
            project: None,
            tier: None,
            place: record.place().map(Arc::new),
            record,
            #[cfg(feature = "replicas")]
            common: Box::default(),
        }
    }
}

impl Job {
    /// With what was found so far.
    pub(crate) fn access(&self, secret: Secret) -> Access {
        Access { secret, project: self.project.clone(), place: self.place.clone() }
    }
}

/// A new access token, and a new refresh token if Google gave one.
pub(crate) struct Grant {
    pub(crate) access: Secret,
    pub(crate) refresh: Option<Secret>,
    pub(crate) lifetime: Duration,
}

impl Pool {
    /// A token other than `stale`, which Google has refused, and a project. `awaited` is what the last [`Step::Wait`] said.
    pub(crate) fn access(
        &mut self,
        id: CredentialId,
        stale: Option<&Secret>,
        awaited: Option<u64>,
        now: Now,
    ) -> Result<Step, AccessFault> {
        let access = |credential: &mut Credential| {
            if let Some(fault) = credential.fault() {
                return Err(fault);
            }
            if credential.record.is_key() {
                return api_key(credential, stale);
            }
            credential.refuse(stale);
            if let Some(token) = credential.fresh_token(now).filter(|_| credential.project.is_some()) {
                return Ok(Step::Use(credential.access(token.secret.clone())));
            }
            let has_failed = awaited.is_some_and(|awaited| awaited != credential.finished);
            if let Some(fault) = credential.outcome.as_ref().filter(|_| has_failed) {
                return Err(fault.clone());
            }
            match &credential.backoff {
                _ if credential.in_flight.is_some() => Ok(Step::Wait(credential.finished)),
                Some(backoff) => Err(AccessFault::Transient(backoff.message.clone())),
                None => Ok(Step::Ask(credential.begin(now))),
            }
        };
        let gone = || AccessFault::Dead(Message::new("removed"));
        self.change(id, now, |credential, _| access(credential)).ok_or_else(gone)?
    }

    /// As [`Pool::access`], whatever keeps the credential from serving, and without a project.
    pub(crate) fn token(&mut self, id: CredentialId, stale: Option<&Secret>, now: Now) -> Result<Step, ManageFault> {
        let step = self.change(id, now, |credential, _| {
            credential.refuse(stale);
            if let Some(key) = credential.record.api_key().filter(|_| credential.record.is_key()) {
                return Step::Use(credential.access(Secret::new(key)));
            }
            match credential.fresh_token(now) {
                Some(token) => Step::Use(credential.access(token.secret.clone())),
                None if credential.in_flight.is_some() => Step::Wait(credential.finished),
                None => Step::Ask(credential.begin(now)),
            }
        });
        step.ok_or(ManageFault::Unknown)
    }

    /// Begins anew with a credential that a person wants refreshed. Returns the token that has to go.
    pub(crate) fn unblock(&mut self, id: CredentialId, now: Now) -> Option<Option<Secret>> {
        self.change(id, now, |credential, _| {
            credential.blocked = None;
            credential.recover();
            credential.token.as_ref().map(|token| token.secret.clone())
        })
    }

    /// The credential whose token or set-up is due, or how long nobody's is.
    pub(crate) fn next_due(&mut self, now: Now) -> Result<Job, Option<Duration>> {
        self.advance(now);
        let Some((at, id)) = self.index.first_due() else { return Err(None) };
        match at.saturating_duration_since(now.monotonic) {
            Duration::ZERO => self.change(id, now, |credential, _| credential.begin_ahead(now)).ok_or(None),
            wait => Err(Some(wait)),
        }
    }

    /// A thread begins to refresh although it was to set up only.
    pub(crate) fn refreshing(&mut self, login: Login, now: Now) {
        self.change_login(login, now, |credential, _| credential.in_flight = Some(InFlight::Refresh));
    }

    /// Takes new tokens over. They also stand in `job` then.
    pub(crate) fn granted(&mut self, job: &mut Job, grant: Grant, now: Now) -> Effects {
        let Grant { access, refresh, lifetime } = grant;
        let of = job.record.identity();
        let token = Token::granted(access.clone(), lifetime, self.settings.timing.ahead(), now);
        let expiry = token.expiry;
        job.record.set_tokens(&access, refresh.as_ref(), expiry);
        job.token = Some(access.clone());
        let edit = self.change_login(job.login, now, |credential, _| {
            credential.record.set_tokens(&access, refresh.as_ref(), expiry);
            credential.token = Some(token);
            credential.last_refreshed_at = Some(now.wall);
            Some(Edit::Tokens {
                of: of.filter(|_| credential.record.keeps_tokens())?,
                access: access.clone(),
                refresh: refresh.clone(),
                expiry,
            })
        });
        let mut effects = Effects { save: refresh.is_some(), ..Effects::default() };
        effects.edits.extend(edit.flatten());
        effects.info(format!("Refreshed credential for {} successfully.", job.log_name));
        effects
    }

    /// Takes over what `job` has found so far.
    pub(crate) fn found(&mut self, job: &Job, now: Now) {
        self.change_login(job.login, now, |credential, settings| {
            credential.email.clone_from(&job.email);
            credential.email_settled = true;
            if job.project.is_some() {
                (credential.project, credential.tier) = (job.project.clone(), job.tier.clone());
            } else {
                credential.settle_project(settings);
            }
        });
    }

    /// A thread has asked, and this came of it.
    pub(crate) fn finish(&mut self, login: Login, result: Result<(), Trouble>, now: Now) -> Effects {
        #[cfg_attr(not(feature = "replicas"), expect(unused_mut))]
        let mut effects = Effects::of_change();
        self.change_login(login, now, |credential, settings| {
            let timing = &settings.timing;
            credential.in_flight = None;
            credential.finished += 1;
            credential.outcome = result.as_ref().err().map(Trouble::fault);
            match result {
                Ok(()) => credential.recover(),
                Err(Trouble::Config(message)) => {
                    credential.back_off(message, timing.longest_backoff, timing.longest_backoff, now);
                }
                Err(Trouble::Transient(message)) => {
                    credential.back_off(message, timing.first_backoff, timing.longest_backoff, now);
                }
                #[cfg(feature = "replicas")]
                Err(Trouble::Later { message, left, is_rest }) => {
                    Pool::put_off(credential, message, left, is_rest, now)
                }
                Err(trouble) => {
                    // A refresh token that is dead was told with the version that it was dead for.
                    #[cfg(feature = "replicas")]
                    let is_told = matches!(trouble, Trouble::Revoked(_));
                    credential.block_for(trouble, settings, now);
                    #[cfg(feature = "replicas")]
                    effects.tells.extend(credential.tell_block().filter(|_| !is_told));
                }
            }
        });
        effects
    }
}

impl Credential {
    fn access(&self, secret: Secret) -> Access {
        Access { secret, project: self.project.clone(), place: self.place.clone() }
    }

    /// From here on one thread asks for this credential, until [`Pool::finish`].
    fn begin(&mut self, now: Now) -> Job {
        let token = self.fresh_token(now).map(|token| token.secret.clone());
        self.in_flight = Some(if token.is_none() { InFlight::Refresh } else { InFlight::Setup });
        Job {
            login: self.login(),
            record: self.record.clone(),
            log_name: self.log_name(),
            token,
            email: self.email.clone(),
            project: self.project.clone(),
            tier: self.tier.clone(),
            place: self.place.clone(),
            #[cfg(feature = "replicas")]
            common: self.common(false),
        }
    }

    #[cfg(not(feature = "replicas"))]
    fn refuse(&mut self, stale: Option<&Secret>) {
        self.token.take_if(|token| stale == Some(&token.secret));
    }

    /// As [`Credential::begin`], but a token near its end is replaced although it could still be used.
    fn begin_ahead(&mut self, now: Now) -> Job {
        let is_old = self.token.as_ref().is_none_or(|token| token.refresh_at.is_over(now));
        #[cfg_attr(not(feature = "replicas"), expect(unused_mut))]
        let mut job = self.begin(now);
        #[cfg(feature = "replicas")]
        {
            job.common = self.common(true);
        }
        if is_old || self.is_set_up() {
            self.in_flight = Some(InFlight::Refresh);
            return Job { token: None, ..job };
        }
        job
    }
}

/// An API key cannot be renewed; `stale` says that Google refused it.
fn api_key(credential: &Credential, stale: Option<&Secret>) -> Result<Step, AccessFault> {
    match (credential.record.api_key(), stale) {
        (Some(key), None) => Ok(Step::Use(credential.access(Secret::new(key)))),
        _ => Err(AccessFault::Dead(Message::new("key_not_accepted"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
