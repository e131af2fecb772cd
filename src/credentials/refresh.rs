//! What the pool does with Google: refresh, e-mail and project, on demand for a request or ahead by threads of its own.
//!
//! A flight is the time in which one thread works for one member; others that need that member wait for its landing.
//! Nothing in here holds a lock while it talks to Google.

use crate::credentials::file::record::Record;
use crate::credentials::file::store::Edit;
use crate::credentials::google::oauth::{CallFault, TokenFault};
use crate::credentials::google::setup::{self, Block, Patience, SetupFault};
use crate::credentials::lease::{Access, AccessFault, Kind, MemberId};
use crate::credentials::pool::clock::Now;
use crate::credentials::pool::member::{Flight, Login, Member, Token};
use crate::credentials::{Credentials, State};
use crate::secret::Secret;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

/// Slow accounts (onboarding takes a minute) must not keep the tokens of the others from being refreshed.
const THREADS: usize = 3;
/// A ureq call through rustls needs up to 192 KiB in debug builds (crate_notes.md 3).
const STACK: usize = 512 * 1024;
/// Nobody waits longer for another thread's flight.
const WAIT: Duration = Duration::from_secs(120);

/// What a flight needs to know, copied out of the member, and what it found.
pub(crate) struct Job {
    pub(crate) login: Login,
    pub(crate) record: Record,
    pub(crate) log_name: String,
    pub(crate) token: Option<Secret>,
    pub(crate) email: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) tier: Option<String>,
}

/// Why a flight came to nothing.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// The account cannot serve: for good, or until it is asked again after this time.
    Blocked(Block, Option<Duration>),
    /// The configuration is wrong; it may be corrected any time.
    Config(String),
    Transient(String),
}

impl Trouble {
    pub(crate) fn sentence(&self) -> &str {
        match self {
            Trouble::Blocked(block, _) => &block.sentence,
            Trouble::Config(sentence) | Trouble::Transient(sentence) => sentence,
        }
    }
}

/// Ends the flight when it is dropped, also by a panic: nobody may wait for ever.
pub(crate) struct Landing<'a> {
    pub(crate) pool: &'a Credentials,
    pub(crate) login: Login,
    pub(crate) result: Option<Result<(), Trouble>>,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let interrupted = || Err(Trouble::Transient("the refresh was interrupted".into()));
        self.pool.land(self.login, self.result.take().unwrap_or_else(interrupted));
    }
}

impl Credentials {
    /// A usable token: the present one unless it is missing, about to end, or the one that Google just refused.
    pub(crate) fn obtain(&self, id: MemberId, stale: Option<&Secret>) -> Result<Access, AccessFault> {
        let deadline = Instant::now() + WAIT;
        let mut awaited = None;
        let mut state = self.state.lock();
        let job = loop {
            if state.stopping {
                return Err(AccessFault::Transient("the program is stopping".into()));
            }
            let gone = || AccessFault::Dead("the credential was removed".into());
            let member = state.member(id).ok_or_else(gone)?;
            let now = Now::read();
            member.settle(now);
            if let Some(fault) = member.fault() {
                return Err(fault);
            }
            if member.record.kind() == Ok(Kind::ApiKey) {
                return api_key(member, stale);
            }
            member.token.take_if(|token| stale == Some(&token.secret));
            if let Some(token) = member.fresh_token(now).filter(|_| member.project.is_some()) {
                return Ok(Access { secret: token.secret.clone(), project: member.project.clone() });
            }
            let landed = awaited.is_some_and(|awaited| awaited != member.landed);
            if let Some(fault) = member.outcome.as_ref().filter(|_| landed) {
                return Err(fault.clone());
            }
            if member.flight.is_none() {
                match member.resting() {
                    Some(fault) => return Err(fault),
                    None => break take_off(member),
                }
            }
            awaited = Some(member.landed);
            if self.landed.wait_until(&mut state, deadline).timed_out() {
                return Err(AccessFault::Transient("waiting for the credential's token took too long".into()));
            }
        };
        drop(state);
        self.fly_apart(job)
    }

    /// A flight on a thread of its own: the calls of a request's thread end when its client hangs up, and then all who
    /// wait for the same refresh would fail with it.
    fn fly_apart(&self, job: Job) -> Result<Access, AccessFault> {
        let interrupted = |_| AccessFault::Transient("the refresh was interrupted".into());
        let landing = Landing { pool: self, login: job.login, result: None };
        thread::scope(|scope| {
            let thread = thread::Builder::new().name("refresh".into()).stack_size(STACK);
            let flight = thread
                .spawn_scoped(scope, || self.fly(job, landing))
                .map_err(|error| AccessFault::Transient(format!("no thread for a refresh: {error}")))?;
            flight.join().map_err(interrupted)?
        })
    }

    fn fly(&self, mut job: Job, mut landing: Landing<'_>) -> Result<Access, AccessFault> {
        let result = self.work(&mut job);
        let answer = match &result {
            Ok(access) => Ok(access.clone()),
            Err(trouble) => {
                let what = if job.token.is_none() { "Refresh" } else { "Set-up" };
                log::warn!("[CredManager] {what} failed for {}: {}", job.log_name, trouble.sentence());
                Err(match trouble {
                    Trouble::Blocked(block, _) => AccessFault::Dead(block.sentence.clone()),
                    Trouble::Config(sentence) | Trouble::Transient(sentence) => {
                        AccessFault::Transient(sentence.clone())
                    }
                })
            }
        };
        landing.result = Some(result.map(drop));
        answer
    }

    fn land(&self, login: Login, result: Result<(), Trouble>) {
        let mut state = self.state.lock();
        if let Some(member) = state.member_with(login) {
            member.flight = None;
            member.landed += 1;
            member.outcome = None;
            match result {
                Ok(()) => member.recover(),
                Err(Trouble::Blocked(block, rest)) => {
                    member.outcome = Some(AccessFault::Dead(block.sentence.clone()));
                    member.block(block, rest);
                }
                Err(Trouble::Config(sentence)) => {
                    member.outcome = Some(AccessFault::Transient(sentence.clone()));
                    member.rest(sentence, self.timing.longest_rest, self.timing.longest_rest);
                }
                Err(Trouble::Transient(sentence)) => {
                    member.outcome = Some(AccessFault::Transient(sentence.clone()));
                    member.rest(sentence, self.timing.first_rest, self.timing.longest_rest);
                }
            }
        }
        drop(state);
        self.landed.notify_all();
        self.work.notify_all();
        self.changed();
    }

    /// Gets the job a token that Google accepts and a project.
    pub(crate) fn work(&self, job: &mut Job) -> Result<Access, Trouble> {
        let mut refreshed = false;
        loop {
            let secret = match &job.token {
                Some(token) => token.clone(),
                None => {
                    refreshed = true;
                    self.exchange_token(job)?
                }
            };
            match self.set_up(job, &secret)? {
                Some(project) => return Ok(Access { secret, project: Some(project) }),
                // A token that had not ended was refused: revoked, or the clock is wrong. One new one is worth trying.
                None if !refreshed => job.token = None,
                None => {
                    let sentence = "Google refuses this account's new access token; connect the account again";
                    let block = Block { reason: "UNAUTHENTICATED".into(), sentence: sentence.into(), link: None };
                    return Err(Trouble::Blocked(block, Some(self.timing.blocked_probe)));
                }
            }
        }
    }

    /// Refreshes, and notes the new token in the member and the file.
    pub(crate) fn exchange_token(&self, job: &mut Job) -> Result<Secret, Trouble> {
        self.with_member(job.login, |member| member.flight = Some(Flight::Refresh));
        let old = job.record.identity().zip(job.record.refresh_token());
        let Some((of, refresh_token)) = old else {
            return Err(Trouble::Transient("the credential has no refresh token".into()));
        };
        let tokens = self.google.refresh(refresh_token, job.record.client().as_ref()).map_err(|fault| match fault {
            TokenFault::Revoked(sentence) => {
                Trouble::Blocked(Block { reason: "INVALID_GRANT".into(), sentence, link: None }, None)
            }
            TokenFault::Client(sentence) => Trouble::Config(sentence),
            TokenFault::Transient(sentence) => Trouble::Transient(sentence),
        })?;
        let token = Token::granted(tokens.access.clone(), tokens.lifetime, self.timing.ahead(), Now::read());
        let (expiry, refresh) = (token.expiry, tokens.refresh);
        self.write(|state| {
            let member = state.member_with(job.login)?;
            member.record.set_tokens(&token.secret, refresh.as_ref(), expiry);
            member.token = Some(token);
            member.last_refreshed_at = Some(SystemTime::now());
            Some(Edit::Tokens { of, access: tokens.access.clone(), refresh: refresh.clone(), expiry })
        });
        log::info!("[CredManager] Refreshed credential for {} successfully.", job.log_name);
        job.record.set_tokens(&tokens.access, refresh.as_ref(), expiry);
        job.token = Some(tokens.access.clone());
        Ok(tokens.access)
    }

    /// Finds e-mail and project where they are missing. `None`: Google does not accept the token.
    fn set_up(&self, job: &mut Job, token: &Secret) -> Result<Option<String>, Trouble> {
        if job.email.is_none() {
            match self.google.email(token) {
                Ok(email) => job.email = email,
                Err(CallFault::Status(401, _)) => return Ok(None),
                // Without the e-mail it is not known whether the map has a project for it.
                Err(CallFault::Network(reason)) if !self.project_id_map.read().is_empty() => {
                    return Err(Trouble::Transient(format!("user info: {reason}")));
                }
                Err(CallFault::Status(status @ (429 | 500..), _)) if !self.project_id_map.read().is_empty() => {
                    return Err(Trouble::Transient(format!("user info: status {status}")));
                }
                Err(_) => {}
            }
            self.with_member(job.login, |member| {
                member.email.clone_from(&job.email);
                member.email_settled = true;
            });
        }
        let told = self.told_project(job.email.as_deref(), true, &job.record);
        if let Some(project) = told.or(job.project.take()) {
            self.with_member(job.login, |member| member.project = Some(project.clone()));
            job.project = Some(project.clone());
            return Ok(Some(project));
        }
        let patience = Patience { poll: self.timing.onboarding_poll, limit: self.timing.onboarding_limit };
        let pause = |span| self.pause(span);
        match setup::find_project(&self.google, token, job.record.project_hint(), patience, &pause) {
            Ok(found) => {
                (job.project, job.tier) = (Some(found.project.clone()), found.tier);
                self.with_member(job.login, |member| {
                    member.project.clone_from(&job.project);
                    member.tier.clone_from(&job.tier);
                });
                Ok(Some(found.project))
            }
            Err(SetupFault::Unauthorized) => Ok(None),
            Err(SetupFault::Blocked(block)) => Err(Trouble::Blocked(block, Some(self.timing.blocked_probe))),
            Err(SetupFault::Transient(sentence)) => Err(Trouble::Transient(sentence)),
        }
    }

    fn with_member(&self, login: Login, change: impl FnOnce(&mut Member)) {
        if let Some(member) = self.state.lock().member_with(login) {
            change(member);
        }
    }

    /// Waits; `false` as soon as the program is stopping.
    fn pause(&self, span: Duration) -> bool {
        let deadline = Instant::now() + span;
        let mut state = self.state.lock();
        while !state.stopping && !self.landed.wait_until(&mut state, deadline).timed_out() {}
        !state.stopping
    }

    /// The next member that needs something, or how long nobody does.
    fn next_job(&self, state: &mut State) -> Result<Job, Duration> {
        let now = Now::read();
        let mut wait = self.timing.file_poll;
        for member in &mut state.members {
            member.settle(now);
            match member.due(now) {
                Some(Duration::ZERO) => return Ok(take_off_ahead(member)),
                Some(due) => wait = wait.min(due),
                None => {}
            }
        }
        Err(wait)
    }

    fn keep(&self) {
        let mut looked = Instant::now();
        let mut state = self.state.lock();
        while !state.stopping {
            match self.next_job(&mut state) {
                Ok(job) => {
                    drop(state);
                    // The result stands in the member, for the next request and the admin page.
                    let landing = Landing { pool: self, login: job.login, result: None };
                    let _ = self.fly(job, landing);
                }
                Err(wait) => {
                    self.work.wait_for(&mut state, wait);
                    drop(state);
                }
            }
            if looked.elapsed() >= self.timing.file_poll {
                looked = Instant::now();
                self.poll_file();
            }
            state = self.state.lock();
        }
    }
}

/// An API key cannot be renewed; `stale` says that Google refused it.
fn api_key(member: &Member, stale: Option<&Secret>) -> Result<Access, AccessFault> {
    match (member.record.api_key(), stale) {
        (Some(key), None) => Ok(Access { secret: Secret::new(key), project: None }),
        _ => Err(AccessFault::Dead("Google does not accept this API key".into())),
    }
}

pub(crate) fn take_off(member: &mut Member) -> Job {
    let token = member.fresh_token(Now::read()).map(|token| token.secret.clone());
    member.flight = Some(if token.is_none() { Flight::Refresh } else { Flight::Setup });
    Job {
        login: member.login(),
        record: member.record.clone(),
        log_name: member.log_name(),
        token,
        email: member.email.clone(),
        project: member.project.clone(),
        tier: member.tier.clone(),
    }
}

/// As [`take_off`], but a token near its end is replaced although it could still be used.
fn take_off_ahead(member: &mut Member) -> Job {
    let refresh = member.wants_refresh(Now::read());
    let job = take_off(member);
    if refresh {
        member.flight = Some(Flight::Refresh);
        return Job { token: None, ..job };
    }
    job
}

/// The threads that refresh and resolve ahead of the requests, and watch the file. Owned by the program's wiring.
pub struct Refresher {
    pool: Arc<Credentials>,
    threads: Vec<JoinHandle<()>>,
}

impl Refresher {
    /// Starts the threads.
    pub fn start(pool: Arc<Credentials>) -> io::Result<Refresher> {
        let mut refresher = Refresher { pool, threads: Vec::new() };
        for number in 0..THREADS {
            let pool = Arc::clone(&refresher.pool);
            let thread = thread::Builder::new().name(format!("refresher-{number}")).stack_size(STACK);
            refresher.threads.push(thread.spawn(move || pool.keep())?);
        }
        Ok(refresher)
    }

    /// Ends the threads; a call to Google that is under way is waited for, so shut the agent down first.
    pub fn stop(self) {}
}

impl Drop for Refresher {
    fn drop(&mut self) {
        self.pool.state.lock().stopping = true;
        self.pool.landed.notify_all();
        self.pool.work.notify_all();
        for thread in self.threads.drain(..) {
            // A panic was reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

/// From 0 up to 1, to keep members out of step. Without randomness all are in step, and that is all.
pub(crate) fn random_fraction() -> f64 {
    getrandom::u32().map_or(0.0, |number| f64::from(number) / f64::from(u32::MAX))
}
