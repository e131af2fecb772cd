//! Single-flight refresh and set-up: one thread asks Google for a credential, on demand of a request, ahead of it, or once
//! after a 401; whoever else needs that credential waits for the result. No lock is held meanwhile.

use super::Credentials;
use super::file::record::Record;
use super::google::oauth::{CallFault, Tokens};
use super::google::setup::{self, Patience};
use super::google::trouble::Trouble;
use super::google::vertex;
use super::lease::{Access, AccessFault, CredentialId, Kind};
use super::pool::{Effects, Grant, Job, Login, Now, Step};
use crate::message::Message;
use crate::secret::Secret;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Slow accounts (onboarding takes a minute) must not keep the tokens of the others from being refreshed.
const THREADS: usize = 3;
/// A ureq call through rustls needs up to 192 KiB in debug builds (docs/crates.md "Stacks of threads").
const STACK: usize = 512 * 1024;
/// Nobody waits longer for what another thread asks.
pub(super) const WAIT: Duration = Duration::from_secs(120);

/// That this thread asks for a login. Ends when it is dropped, also by a panic: nobody may wait for ever.
struct InFlight<'a> {
    credentials: &'a Credentials,
    login: Login,
    result: Option<Result<(), Trouble>>,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let interrupted = || Err(Trouble::Transient(Message::new("refresh_interrupted")));
        let result = self.result.take().unwrap_or_else(interrupted);
        self.credentials.change(|pool, now| ((), pool.finish(self.login, result, now)));
    }
}

impl Credentials {
    /// The credential's token or key, refreshed first when it is missing or about to end. Blocks on Google; one refresh per
    /// credential at a time, other callers wait for its result.
    pub fn access(&self, id: CredentialId) -> Result<Access, AccessFault> {
        self.obtain(id, None)
    }

    /// After a 401: a token other than `stale`, refreshed unless somebody already did.
    pub fn renew(&self, id: CredentialId, stale: &Secret) -> Result<Access, AccessFault> {
        self.obtain(id, Some(stale))
    }

    /// Gets a new token now, whatever is known of the old one. Blocks on Google.
    pub fn refresh(&self, id: CredentialId) -> Result<(), AccessFault> {
        #[cfg(feature = "replicas")]
        self.lift_shared(id)?;
        let token = self.with(|pool, now| pool.unblock(id, now)).flatten();
        self.obtain(id, token.as_ref()).map(drop)
    }

    fn obtain(&self, id: CredentialId, stale: Option<&Secret>) -> Result<Access, AccessFault> {
        let mut awaited = None;
        let step = self.wait_for(AccessFault::Transient, |pool, now| {
            let step = pool.access(id, stale, awaited, now);
            if let Ok(Step::Wait(finished)) = &step {
                awaited = Some(*finished);
            }
            step
        });
        match step? {
            Ok(access) => Ok(access),
            Err(job) => self.ask_apart(job),
        }
    }

    /// A key, or a token other than `stale`, whatever keeps the credential from serving. Finds no project, because that may
    /// onboard the account.
    pub(super) fn access_alone(&self, id: CredentialId, stale: Option<&Secret>) -> Result<Access, Trouble> {
        let step = self.wait_for(Trouble::Transient, |pool, now| {
            pool.token(id, stale, now).map_err(|fault| Trouble::Transient(fault.message()))
        });
        let mut job = match step? {
            Ok(access) => return Ok(access),
            Err(job) => job,
        };
        let mut in_flight = InFlight { credentials: self, login: job.login, result: None };
        let token = self.exchange_token(&mut job);
        #[cfg(feature = "replicas")]
        self.end_shared(&mut job, token.as_ref().map(drop));
        in_flight.result = Some(token.as_ref().map(drop).map_err(Trouble::clone));
        Ok(job.access(token?))
    }

    /// Repeats `step` until there is something else to do than to wait. `fault` makes one of a message.
    fn wait_for<F>(
        &self,
        fault: impl Fn(Message) -> F,
        mut step: impl FnMut(&mut super::pool::Pool, Now) -> Result<Step, F>,
    ) -> Result<Result<Access, Job>, F> {
        let deadline = Instant::now() + WAIT;
        let mut memory = self.memory.lock();
        loop {
            if memory.stopping {
                return Err(fault(Message::new("stopping")));
            }
            match step(&mut memory.pool, Now::read())? {
                Step::Use(access) => return Ok(Ok(access)),
                Step::Ask(job) => return Ok(Err(job)),
                Step::Wait(_) if self.woken.wait_until(&mut memory, deadline).timed_out() => {
                    return Err(fault(Message::new("refresh_slow")));
                }
                Step::Wait(_) => {}
            }
        }
    }

    /// Asks on a thread of its own: the calls of a request's thread end when its client hangs up, and then all who wait
    /// for the same refresh would fail with it.
    fn ask_apart(&self, job: Job) -> Result<Access, AccessFault> {
        let in_flight = InFlight { credentials: self, login: job.login, result: None };
        let interrupted = |_| AccessFault::Transient(Message::new("refresh_interrupted"));
        thread::scope(|scope| {
            let thread = thread::Builder::new().name("refresh".into()).stack_size(STACK);
            let asking = thread
                .spawn_scoped(scope, || self.ask(job, in_flight))
                .map_err(|error| AccessFault::Transient(Message::new("no_thread").with("error", error)))?;
            asking.join().map_err(interrupted)?
        })
    }

    fn ask(&self, mut job: Job, mut in_flight: InFlight<'_>) -> Result<Access, AccessFault> {
        #[cfg(feature = "replicas")]
        let result = self.complete_shared(&mut job);
        #[cfg(not(feature = "replicas"))]
        let result = self.complete(&mut job);
        #[cfg(feature = "replicas")]
        let is_elsewhere = matches!(result, Err(Trouble::Later { .. }));
        #[cfg(not(feature = "replicas"))]
        let is_elsewhere = false;
        if let (Err(trouble), false) = (&result, is_elsewhere) {
            let what = if job.token.is_none() { "Refresh" } else { "Set-up" };
            log::warn!("[CredManager] {what} failed for {}: {}", job.log_name, trouble.message());
        }
        let answer = result.clone().map_err(|trouble| trouble.fault());
        in_flight.result = Some(result.map(drop));
        answer
    }

    /// Gets the job a token that Google accepts, and a project.
    pub(super) fn complete(&self, job: &mut Job) -> Result<Access, Trouble> {
        let mut refreshed = false;
        loop {
            let secret = match &job.token {
                Some(token) => token.clone(),
                None => {
                    refreshed = true;
                    self.exchange_token(job)?
                }
            };
            match self.set_up(job, &secret) {
                Ok(_) => return Ok(job.access(secret)),
                // A token that had not ended was refused: revoked, or the clock is wrong. One new one is worth trying.
                Err(Trouble::Unauthorized) if !refreshed => job.token = None,
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// Refreshes, and notes the new token in the credential and the file.
    fn exchange_token(&self, job: &mut Job) -> Result<Secret, Trouble> {
        self.with(|pool, now| pool.refreshing(job.login, now));
        #[cfg(feature = "replicas")]
        if let Some(access) = self.exchange_shared(job)? {
            return Ok(access);
        }
        let tokens = self.grant(&job.record)?;
        let access = tokens.access.clone();
        let grant = Grant { access: tokens.access, refresh: tokens.refresh, lifetime: tokens.lifetime };
        self.change(|pool, now| ((), pool.granted(job, grant, now)));
        Ok(access)
    }

    /// Asks Google for a token.
    pub(super) fn grant(&self, record: &Record) -> Result<Tokens, Trouble> {
        let client = record.client();
        match (record.kind(), record.refresh_token()) {
            (Ok(Kind::Vertex), _) => vertex::token(&self.google, record.value(), client.as_ref()),
            (_, Some(refresh_token)) => self.google.refresh(refresh_token, client.as_ref()),
            (_, None) => Err(Trouble::Transient(Message::new("no_refresh_token"))),
        }
    }

    /// Finds e-mail and project where they are missing.
    fn set_up(&self, job: &mut Job, token: &Secret) -> Result<String, Trouble> {
        if job.email.is_none() && job.record.refresh_token().is_some() {
            // Without the e-mail it is not known whether the map has a project for it.
            let has_map = self.with(|pool, _| !pool.settings.project_id_map.is_empty());
            match self.google.email(token) {
                Ok(email) => job.email = email,
                Err(CallFault::Status(401, _)) => return Err(Trouble::Unauthorized),
                Err(fault @ (CallFault::Network(_) | CallFault::Status(429 | 500.., _))) if has_map => {
                    return Err(fault.passing("user info"));
                }
                Err(_) => {}
            }
        }
        let known = self.with(|pool, now| {
            pool.found(job, now);
            pool.settings.project_of(job.email.as_deref(), true, &job.record)
        });
        if let Some(project) = known.or(job.project.take()) {
            job.project = Some(project);
        } else if job.record.kind() == Ok(Kind::Vertex) {
            job.project = Some(vertex::project(&self.google, job.record.value())?);
        } else {
            let timing = self.timing();
            let patience = Patience { poll: timing.onboarding_poll, limit: timing.onboarding_limit };
            let pause = |span| self.pause(span);
            let found = setup::find_project(&self.google, token, job.record.project_hint(), patience, &pause)?;
            (job.project, job.tier) = (Some(found.project), found.tier);
        }
        self.with(|pool, now| pool.found(job, now));
        job.project.clone().ok_or(Trouble::Unauthorized)
    }

    /// Waits; `false` as soon as the program is stopping.
    pub(super) fn pause(&self, span: Duration) -> bool {
        let deadline = Instant::now() + span;
        let mut memory = self.memory.lock();
        while !memory.stopping && !self.woken.wait_until(&mut memory, deadline).timed_out() {}
        !memory.stopping
    }

    /// Refreshes ahead and watches the file until the program stops.
    fn keep_fresh(&self) {
        let file_poll = self.timing().file_poll;
        let mut polled = Instant::now();
        let mut memory = self.memory.lock();
        while !memory.stopping {
            match memory.pool.next_due(Now::read()) {
                Ok(job) => {
                    drop(memory);
                    // The result stands in the credential, for the next request and the admin page.
                    let in_flight = InFlight { credentials: self, login: job.login, result: None };
                    let _ = self.ask(job, in_flight);
                }
                Err(due) => {
                    self.woken.wait_for(&mut memory, due.map_or(file_poll, |due| due.min(file_poll)));
                    drop(memory);
                }
            }
            if polled.elapsed() >= file_poll {
                polled = Instant::now();
                self.poll_file();
            }
            memory = self.memory.lock();
        }
    }
}

/// The threads that refresh and set up ahead of the requests, and watch the file. Owned by the program's wiring.
pub struct Refresher {
    credentials: Arc<Credentials>,
    threads: Vec<JoinHandle<()>>,
}

impl Refresher {
    /// Starts the threads.
    pub fn start(credentials: Arc<Credentials>) -> io::Result<Refresher> {
        let mut refresher = Refresher { credentials, threads: Vec::new() };
        for number in 0..THREADS {
            let credentials = Arc::clone(&refresher.credentials);
            let thread = thread::Builder::new().name(format!("refresher-{number}")).stack_size(STACK);
            refresher.threads.push(thread.spawn(move || credentials.keep_fresh())?);
        }
        Ok(refresher)
    }

    /// Ends the threads; a call to Google that is under way is waited for, so shut the agent down first.
    pub fn stop(self) {}
}

impl Drop for Refresher {
    fn drop(&mut self) {
        self.credentials.memory.lock().stopping = true;
        self.credentials.carry_out(Effects { wake: true, ..Effects::default() });
        for thread in self.threads.drain(..) {
            // A panic was reported by the panic hook already.
            let _ = thread.join();
        }
    }
}
