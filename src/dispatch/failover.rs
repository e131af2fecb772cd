//! The one loop over credentials. What follows a failure is for [`policy`] to say; this carries it out.

use super::attempt::Attempt;
use super::policy::{self, Next, Progress};
use super::{Budget, Dispatcher, unavailable};
use crate::credentials::{AccessFault, CredentialId, Kind, Kinds, Lease, Report, Unavailable, Want};
use crate::error::ApiError;
use crate::http::CancelToken;
use crate::os::random;
use crate::upstream::error::{Blame, CoolDown, Then};
use crate::upstream::{Fault, Verdict};
use std::thread;
use std::time::{Duration, Instant};
use unavailable::Last;

/// The least wait for trouble that is nobody's fault; the second one is three times as long.
const WAIT: Duration = Duration::from_millis(200);
/// How soon a wait notices that the client is gone.
const SLICE: Duration = Duration::from_millis(50);
/// What a client waits when the token endpoint has trouble.
const TOKEN_TROUBLE: Duration = Duration::from_secs(10);

/// What the log says of who is asked next; scripts of the old program look for the first one.
const ANOTHER: &str = " Rotating credential and retrying.";
const THE_SAME: &str = " Asking the same credential again.";
const NOBODY: &str = "";

/// One request on its way from credential to credential.
pub(super) struct Failover<'a, A: Attempt> {
    dispatcher: &'a Dispatcher,
    attempt: A,
    budget: &'a mut Budget,
    cancel: &'a CancelToken,
    counted: u32,
    waits: u32,
    asked: Asked,
    last: Option<Last<(Lease, A::Answer)>>,
}

/// Who was asked, and what the pool may have to hear of them in the end.
#[derive(Default)]
struct Asked {
    all: Vec<CredentialId>,
    /// Those that a further attempt must not ask.
    out: Vec<CredentialId>,
    /// Those that know no such model or may not use it, to be reported if another one does.
    alone: Vec<(Lease, Verdict)>,
    /// Those that failed for nobody's fault, to be reported if another one does well.
    suspects: Vec<CredentialId>,
}

impl Asked {
    /// Whether one of them may be asked again.
    fn is_repeatable(&self) -> bool {
        self.out.len() < self.all.len()
    }

    fn out_and_last(&self) -> Vec<CredentialId> {
        self.out.iter().chain(self.all.last()).copied().collect()
    }
}

/// How one credential failed.
enum Failure<T> {
    /// Google or the network, maybe with an answer that the client can be given.
    Judged(Box<Verdict>, Option<T>),
    /// There was no token to ask with.
    NoToken(AccessFault),
}

impl<'a, A: Attempt> Failover<'a, A> {
    pub fn new(
        dispatcher: &'a Dispatcher,
        attempt: A,
        budget: &'a mut Budget,
        cancel: &'a CancelToken,
    ) -> Failover<'a, A> {
        Failover { dispatcher, attempt, budget, cancel, counted: 0, waits: 0, asked: Asked::default(), last: None }
    }

    /// Asks until a credential answers or the policy says to stop. Under a [`crate::upstream::cancel::scope`].
    pub fn run(mut self) -> Result<(Lease, A::Answer), ApiError> {
        loop {
            let lease = match self.lease() {
                Ok(lease) => lease,
                Err(unavailable) => return self.end(unavailable),
            };
            self.budget.asked += 1;
            self.asked.all.push(lease.id);
            self.announce(&lease);
            self.attempt.prepare(&lease);
            let (next, failure) = match self.ask(&lease) {
                Ok(answer) => {
                    self.succeeded(&lease);
                    self.attempt.succeeded(&lease);
                    return Ok((lease, answer));
                }
                Err(failed) => failed,
            };
            if self.cancel.is_cancelled() {
                return Err(Fault::Cancelled.verdict().error);
            }
            self.last = self.take_note(&lease, failure, next).or(self.last.take());
            match next {
                Next::Tell => return self.end(Unavailable::AllTried),
                Next::GiveUp => {
                    return match self.lease() {
                        Ok(_) => Err(unavailable::others_are_left(self.budget.asked, self.last.as_ref())),
                        Err(unavailable) => self.end(unavailable),
                    };
                }
                Next::Renew | Next::Repair | Next::Other => {}
                Next::Wait => {
                    self.waits += 1;
                    wait(self.waits, self.cancel)?;
                }
            }
        }
    }

    fn end(self, unavailable: Unavailable) -> Result<(Lease, A::Answer), ApiError> {
        let want = self.attempt.want(&[]);
        let reason = || self.dispatcher.pool.reason(&want);
        unavailable::give_up(unavailable, want.kinds, reason, self.last)
    }

    /// Someone who has not been asked yet, or else someone who failed for nobody's fault, rather not the one asked last.
    fn lease(&self) -> Result<Lease, Unavailable> {
        let pool = &self.dispatcher.pool;
        if let Some(kind) = self.attempt.prefers() {
            let preferred = Want { kinds: Kinds::only(kind), ..self.attempt.want(&self.asked.all) };
            if let Ok(lease) = pool.checkout(&preferred) {
                return Ok(lease);
            }
        }
        let checkout = |tried| pool.checkout(&self.attempt.want(tried));
        match checkout(&self.asked.all) {
            Err(_) if self.asked.is_repeatable() => {
                checkout(&self.asked.out_and_last()).or_else(|_| checkout(&self.asked.out))
            }
            result => result,
        }
    }

    /// What the log says of whom [`Failover::lease`] would find.
    fn next_one(&self) -> &'static str {
        let can_serve = |tried: &[CredentialId]| self.dispatcher.pool.can_serve(&self.attempt.want(tried));
        let can_repeat = |tried: &[CredentialId]| self.asked.is_repeatable() && can_serve(tried);
        if can_serve(&self.asked.all) || can_repeat(&self.asked.out_and_last()) {
            ANOTHER
        } else if can_repeat(&self.asked.out) {
            THE_SAME
        } else {
            NOBODY
        }
    }

    /// Asks one credential, again with a fresh token or a repaired request, until another one is next or nobody.
    fn ask(&mut self, lease: &Lease) -> Result<A::Answer, (Next, Failure<A::Answer>)> {
        let pool = &self.dispatcher.pool;
        let mut can_renew = lease.kind != Kind::ApiKey;
        let mut token = pool.access(lease.id);
        loop {
            let access = match token {
                Ok(access) => access,
                Err(fault) => return Err((self.next(None, can_renew), Failure::NoToken(fault))),
            };
            // A key cannot be renewed, also one of Vertex AI.
            let is_key = lease.kind == Kind::ApiKey || access.place.as_ref().is_some_and(|place| place.is_key);
            can_renew &= !is_key;
            let (verdict, reply) = match self.attempt.ask(self.dispatcher.upstream(lease.kind), &access) {
                Ok(answer) => return Ok(answer),
                Err((fault, reply)) if is_key => (Box::new(fault.verdict().of_key()), reply),
                Err((fault, reply)) => (Box::new(fault.verdict()), reply),
            };
            if self.cancel.is_cancelled() {
                self.attempt.failed(lease, &Fault::Cancelled.verdict());
                return Err((Next::Tell, Failure::Judged(verdict, None)));
            }
            self.attempt.failed(lease, &verdict);
            token = match self.next(Some(&verdict), can_renew) {
                Next::Renew => {
                    can_renew = false;
                    log::info!(
                        "[ApiClient] Google refused the token of {}({}). Refreshing it.",
                        lease.name,
                        lease.label
                    );
                    pool.renew(lease.id, &access.secret)
                }
                Next::Repair if self.attempt.repair(&verdict) => Ok(access),
                Next::Repair => return Err((Next::Tell, Failure::Judged(verdict, reply))),
                next => return Err((next, Failure::Judged(verdict, reply))),
            };
        }
    }

    fn next(&self, verdict: Option<&Verdict>, can_renew: bool) -> Next {
        let progress = Progress {
            elapsed: self.budget.began.elapsed(),
            asked: self.budget.asked,
            counted: self.counted + u32::from(verdict.is_some_and(policy::is_counted)),
            waits: self.waits,
            can_renew,
            is_repeatable: A::IS_REPEATABLE,
            has_no_capacity: self.dispatcher.history.has_no_capacity(self.attempt.want(&[]).model),
        };
        policy::next(verdict, &progress, &self.dispatcher.bounds)
    }

    /// Tells the log and the pool of a failure. Gives back what the client is told if nothing helps.
    fn take_note(
        &mut self,
        lease: &Lease,
        failure: Failure<A::Answer>,
        next: Next,
    ) -> Option<Last<(Lease, A::Answer)>> {
        let (mut verdict, reply) = match failure {
            Failure::Judged(verdict, reply) => (verdict, reply),
            Failure::NoToken(fault) => {
                self.asked.out.push(lease.id);
                return no_token(lease, &fault);
            }
        };
        let goes_on = matches!(next, Next::Other | Next::Wait);
        self.counted += u32::from(policy::is_counted(&verdict));
        match verdict.then {
            Then::Stop | Then::Unsign | Then::Fill | Then::Rethink | Then::Shed | Then::Lead | Then::Simplify => {}
            Then::Again => {
                self.asked.suspects.push(lease.id);
                if !goes_on && verdict.blame == Blame::Model && A::IS_REPEATABLE {
                    // Those who come now need not repeat what just failed.
                    let model = self.attempt.want(&[]).model;
                    self.dispatcher.history.note_no_capacity(model, verdict.duration.unwrap_or_default());
                }
            }
            Then::Other | Then::Renew => {
                self.asked.out.push(lease.id);
                match policy::is_counted(&verdict) {
                    false => self.dispatcher.report(lease, self.attempt.want(&[]).model, &mut verdict),
                    true if policy::rests_nobody_yet(&verdict) => {
                        let model = self.attempt.want(&[]).model;
                        match verdict.cool_down {
                            CoolDown::Confirmed(_)
                                if self.dispatcher.history.is_second(lease.id, model, self.attempt.fingerprint()) =>
                            {
                                self.dispatcher.report(lease, model, &mut verdict);
                            }
                            _ => self.asked.alone.push((lease.clone(), (*verdict).clone())),
                        }
                    }
                    true => self.asked.suspects.push(lease.id),
                }
            }
        }
        // Whoever is asked next is known now that this one rests.
        let mood = if goes_on { self.next_one() } else { NOBODY };
        let (word, reason) = (&verdict.word, &verdict.reason);
        let what = if word == "Exception" { String::new() } else { format!(" with status {word}") };
        log::warn!("[ApiClient] Request failed{what} for {}({}).{mood} ({reason})", lease.name, lease.label);
        let reply = reply.map(|reply| (lease.clone(), reply));
        Some(Last { blame: verdict.blame, error: verdict.error, reply })
    }

    /// A 404 of some is their own only when another credential knows the model; else the client asked for what is not. So
    /// is a 403 that nobody else gives.
    fn succeeded(&mut self, lease: &Lease) {
        let model = self.attempt.want(&[]).model;
        let Dispatcher { pool, history, .. } = self.dispatcher;
        if A::TELLS_OF_CREDENTIAL {
            for (stranger, verdict) in &mut self.asked.alone {
                self.dispatcher.report(stranger, model, verdict);
            }
            for suspect in self.asked.suspects.iter().filter(|suspect| **suspect != lease.id) {
                pool.report(*suspect, model, Report::Deprioritise);
            }
        }
        history.forget(lease.id, model);
        pool.report(lease.id, model, Report::Success);
    }

    fn announce(&self, lease: &Lease) {
        let (attempt, max, mode) = (self.counted + 1, self.dispatcher.bounds.attempts, self.attempt.mode());
        let (name, label) = (&lease.name, &lease.label);
        // The first one says no more than the line about the request.
        let level = if self.budget.asked == 1 { log::Level::Debug } else { log::Level::Info };
        log::log!(level, "[ApiClient] Attempt {attempt}/{max} ({mode}): Sending request with {name}({label})");
    }
}

/// What the client is told if nobody else has a token either. The pool knows already who has none.
fn no_token<T>(lease: &Lease, fault: &AccessFault) -> Option<Last<T>> {
    match fault {
        AccessFault::Dead(_) => {
            log::warn!("[ApiClient] {}({}) has no usable token.", lease.name, lease.label);
            None
        }
        AccessFault::Transient(_) => {
            log::warn!("[ApiClient] {}({}) cannot get a token now.", lease.name, lease.label);
            let message = "API request failed: Google's token endpoint cannot be used right now";
            let error = ApiError::server(503, "upstream_auth_error", message).with_retry_after(TOKEN_TROUBLE);
            Some(Last { blame: Blame::Nobody, error, reply: None })
        }
    }
}

/// Waits before repeat number `count`. Ends early when the client is gone.
fn wait(count: u32, cancel: &CancelToken) -> Result<(), ApiError> {
    linger(pause(count), &|| cancel.is_cancelled()).map_err(|fault| fault.verdict().error)
}

/// How long to wait before repeat number `count`.
pub(super) fn pause(count: u32) -> Duration {
    WAIT * 3u32.pow(count.saturating_sub(1).min(4))
}

/// Waits 1 to 1.5 times the plan, so that many clients do not come back at once. Ends early when the client is gone.
pub(super) fn linger(plan: Duration, is_gone: &dyn Fn() -> bool) -> Result<(), Fault> {
    let end = Instant::now() + plan.mul_f64(1.0 + random::fraction() / 2.0);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        if is_gone() {
            return Err(Fault::Cancelled);
        }
        thread::sleep(left.min(SLICE));
    }
    Ok(())
}
