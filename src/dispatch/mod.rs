//! Finds a credential that answers: leases one, sends, waits for the first event; on failure has it judged, tells the
//! pool and goes on to the next. The only place that knows the pool and the upstreams together. Nothing has gone to the
//! client while this runs, so every failure here can still be hidden or told with a true status.

mod forward;
mod history;
mod repair;

use crate::api::{Call, Operation};
use crate::credentials::{Access, AccessFault, Kind, Lease, MemberId, Pool, Report, Unavailable, Want};
use crate::error::{ApiError, ErrorKind};
use crate::http::Gone;
use crate::secret::Secret;
pub use crate::upstream::cancel::scope as watch;
use crate::upstream::error::{Blame, Rest, Then};
use crate::upstream::{Answer, Event, Fault, Upstream, Verdict, cancel};
use history::History;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Repeats for a failure that is nobody's fault, per request.
const QUICK_RETRIES: u32 = 2;
/// The least wait before the first of them; each further one waits three times as long.
const QUICK_WAIT: Duration = Duration::from_millis(200);
/// How soon a wait notices that the client is gone.
const SLICE: Duration = Duration::from_millis(50);
/// A request that has gone from credential to credential for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a client waits when the token endpoint has trouble.
const TOKEN_TROUBLE: Duration = Duration::from_secs(10);

/// What dispatch needs of the pool.
pub trait Lending: Send + Sync {
    /// See [`Pool::checkout`].
    fn checkout(&self, want: &Want<'_>) -> Result<Lease, Unavailable>;
    /// See [`Pool::access`].
    fn access(&self, id: MemberId) -> Result<Access, AccessFault>;
    /// See [`Pool::renew`].
    fn renew(&self, id: MemberId, stale: &Secret) -> Result<Access, AccessFault>;
    /// See [`Pool::report`].
    fn report(&self, id: MemberId, model: &str, report: Report);
}

impl Lending for Pool {
    fn checkout(&self, want: &Want<'_>) -> Result<Lease, Unavailable> {
        Pool::checkout(self, want)
    }

    fn access(&self, id: MemberId) -> Result<Access, AccessFault> {
        Pool::access(self, id)
    }

    fn renew(&self, id: MemberId, stale: &Secret) -> Result<Access, AccessFault> {
        Pool::renew(self, id, stale)
    }

    fn report(&self, id: MemberId, model: &str, report: Report) {
        Pool::report(self, id, model, report);
    }
}

/// Sends calls to Google over the members of the pool.
pub struct Dispatcher {
    pool: Arc<dyn Lending>,
    code_assist: Box<dyn Upstream>,
    generative_language: Box<dyn Upstream>,
    max_attempts: u32,
    history: History,
}

/// An answer that has begun well.
#[derive(Debug)]
pub struct Dispatched {
    /// Who serves it.
    pub lease: Lease,
    /// The first event.
    pub first: Event,
    /// The events after it. Read them under a [`cancel::scope`] of the same request.
    pub rest: Answer,
    /// How many attempts it took.
    pub attempts: u32,
}

/// Called for each failed attempt with who failed and how usage counts it: the HTTP status, or `Exception`.
pub type Failed<'a> = dyn FnMut(&Lease, &str) + 'a;

/// What one request has been through.
struct Round {
    began: Instant,
    /// Everyone asked.
    tried: Vec<MemberId>,
    /// Those that a further attempt must not ask.
    out: Vec<MemberId>,
    /// Attempts made.
    attempts: u32,
    /// Attempts that count against the limit.
    counted: u32,
    /// Waits made for nobody's fault.
    waits: u32,
    /// Signatures were taken out, schemas simplified.
    unsigned: bool,
    simplified: bool,
    /// Who does not know the model, to be reported if another one does.
    strangers: Vec<(Lease, Verdict)>,
    /// Who failed for nobody's fault, to be reported if another one does well.
    suspects: Vec<MemberId>,
    /// The last failure.
    last: Option<(Blame, ApiError)>,
}

/// How one attempt failed.
enum Failure {
    /// Google or the network, judged.
    Judged(Box<Verdict>),
    /// There was no token to send with.
    NoToken(AccessFault),
}

impl Dispatcher {
    /// `max_attempts` bounds the attempts per request that are made before the client is told of a failure, and by itself
    /// how many members are asked for a model that they do not know. An attempt that sends its credential to rest counts
    /// for neither: it happens once per rest, not once per request.
    pub fn new(
        pool: Arc<dyn Lending>,
        code_assist: Box<dyn Upstream>,
        generative_language: Box<dyn Upstream>,
        max_attempts: u32,
    ) -> Dispatcher {
        let history = History::default();
        Dispatcher { pool, code_assist, generative_language, max_attempts: max_attempts.max(1), history }
    }

    /// Sends the call, which may lose signatures or have its schemas simplified on the way, and waits for the first
    /// event. Stops at once when the client is gone; then no credential is blamed.
    pub fn send(&self, call: &mut Call, gone: &Gone, failed: &mut Failed<'_>) -> Result<Dispatched, ApiError> {
        let _scope = cancel::scope(gone);
        let mut round = Round::new();
        loop {
            let lease = match self.lease(call, &round) {
                Ok(lease) => lease,
                Err(unavailable) => return Err(give_up(unavailable, kind_of(call), round.last)),
            };
            round.attempts += 1;
            round.tried.push(lease.id);
            self.announce(call, &lease, round.counted + 1);
            let verdict = match self.attempt(call, &lease, &mut round, failed) {
                Ok((first, rest)) => {
                    self.succeeded(&lease, call, &round);
                    return Ok(Dispatched { lease, first, rest, attempts: round.attempts });
                }
                Err(Failure::Judged(verdict)) => *verdict,
                Err(Failure::NoToken(fault)) => {
                    round.no_token(&lease, fault);
                    if round.began.elapsed() > PATIENCE {
                        return Err(give_up(Unavailable::AllTried, kind_of(call), round.last));
                    }
                    continue;
                }
            };
            if gone.is_set() {
                return Err(Fault::Gone.verdict().error);
            }
            let goes_on = self.take_note(&lease, call, &verdict, &mut round);
            let mood = if goes_on { " Rotating credential and retrying." } else { "" };
            let (word, reason) = (&verdict.word, &verdict.reason);
            let what = if word == "Exception" { String::new() } else { format!(" with status {word}") };
            log::warn!("[ApiClient] Request failed{what} for {}({}).{mood} ({reason})", lease.name, lease.label);
            if !goes_on {
                return Err(verdict.error);
            }
            round.last = Some((verdict.blame, verdict.error));
            if verdict.then == Then::Again {
                wait(round.waits, gone)?;
            }
        }
    }

    /// Judges a fault that came after the first event, and tells the pool. The result is what the client is told.
    pub fn judge(&self, lease: &Lease, model: &str, fault: &Fault) -> ApiError {
        let verdict = fault.verdict();
        self.report(lease, model, &verdict);
        verdict.error
    }

    /// Forgets the limits in a row of a member that a person reset: the next one rests as briefly as the first.
    pub fn forget(&self, id: MemberId) {
        self.history.forget_member(id);
    }

    /// Someone who has not been asked yet, or else someone who failed for nobody's fault.
    fn lease(&self, call: &Call, round: &Round) -> Result<Lease, Unavailable> {
        let want = |tried| Want { model: &call.model, kind: kind_of(call), tried, affinity: call.affinity.as_deref() };
        match self.pool.checkout(&want(&round.tried)) {
            Err(_) if round.out.len() < round.tried.len() => self.pool.checkout(&want(&round.out)),
            result => result,
        }
    }

    /// One attempt on one member, with the repeats that keep it there: a fresh token, a repaired request.
    fn attempt(
        &self,
        call: &mut Call,
        lease: &Lease,
        round: &mut Round,
        failed: &mut Failed<'_>,
    ) -> Result<(Event, Answer), Failure> {
        let mut access = self.pool.access(lease.id).map_err(Failure::NoToken)?;
        let mut renewed = false;
        loop {
            let verdict = match self.first_event(lease, &access, call) {
                Ok(begun) => return Ok(begun),
                Err(fault) => fault.verdict(),
            };
            if cancel::cancelled() {
                return Err(Failure::Judged(Box::new(verdict)));
            }
            failed(lease, &verdict.word);
            match verdict.then {
                Then::Renew if lease.kind == Kind::Oauth && !renewed => {
                    renewed = true;
                    log::info!(
                        "[ApiClient] Google refused the token of {}({}). Refreshing it.",
                        lease.name,
                        lease.label
                    );
                    access = self.pool.renew(lease.id, &access.secret).map_err(Failure::NoToken)?;
                }
                Then::Unsign if !round.unsigned && repair::remove_signatures(call) => {
                    round.unsigned = true;
                    log::info!("[ApiClient] Google refused a thought signature. Sending once more without signatures.");
                }
                Then::Simplify if !round.simplified && repair::simplify(call) => {
                    round.simplified = true;
                    log::info!("[ApiClient] Google refused the request. Sending it once more, simpler.");
                }
                _ => return Err(Failure::Judged(Box::new(verdict))),
            }
        }
    }

    fn first_event(&self, lease: &Lease, access: &Access, call: &Call) -> Result<(Event, Answer), Fault> {
        let mut answer = self.upstream(lease.kind).send(access, call)?;
        match answer.next_event()? {
            Some(first) => Ok((first, answer)),
            None => Err(Fault::Incomplete("it is empty".into())),
        }
    }

    fn upstream(&self, kind: Kind) -> &dyn Upstream {
        match kind {
            Kind::Oauth => &*self.code_assist,
            Kind::ApiKey => &*self.generative_language,
        }
    }

    /// Tells the pool of a failure and says whether the request goes on.
    fn take_note(&self, lease: &Lease, call: &Call, verdict: &Verdict, round: &mut Round) -> bool {
        let patient = round.began.elapsed() < PATIENCE;
        match verdict.then {
            // Not repaired, or in vain.
            Then::Stop | Then::Unsign | Then::Simplify => false,
            Then::Again => {
                round.counted += 1;
                round.waits += 1;
                round.suspects.push(lease.id);
                let left = round.counted < self.max_attempts && round.waits <= QUICK_RETRIES;
                let goes_on = patient && left && !self.history.is_crowded(&call.model);
                if !goes_on && verdict.blame == Blame::Model {
                    // Those who come now need not repeat what just failed.
                    self.history.crowd(&call.model, verdict.duration.unwrap_or_default());
                }
                goes_on
            }
            Then::Other | Then::Renew => {
                round.out.push(lease.id);
                match (verdict.error.status, verdict.blame) {
                    (404, _) => {
                        round.strangers.push((lease.clone(), verdict.clone()));
                        patient && (round.strangers.len() as u32) < self.max_attempts
                    }
                    (_, Blame::Credential | Blame::CredentialAndModel) => {
                        self.report(lease, &call.model, verdict);
                        patient
                    }
                    _ => {
                        round.suspects.push(lease.id);
                        round.counted += 1;
                        patient && round.counted < self.max_attempts
                    }
                }
            }
        }
    }

    /// A 404 of some is their own only when another member knows the model; else the client asked for what is not.
    fn succeeded(&self, lease: &Lease, call: &Call, round: &Round) {
        for (stranger, verdict) in &round.strangers {
            self.report(stranger, &call.model, verdict);
        }
        for suspect in round.suspects.iter().filter(|suspect| **suspect != lease.id) {
            self.pool.report(*suspect, &call.model, Report::Suspect);
        }
        self.history.forget(lease.id, &call.model);
        self.pool.report(lease.id, &call.model, Report::Success);
    }

    fn report(&self, lease: &Lease, model: &str, verdict: &Verdict) {
        let (reason, sentence) = (verdict.reason.to_string(), verdict.sentence.clone());
        match (verdict.blame, verdict.duration) {
            (Blame::CredentialAndModel, Some(rest)) => {
                let rest = match verdict.rest {
                    Rest::Growing(_) => self.history.grown(lease.id, model, rest),
                    _ => rest,
                };
                let limit = verdict.error.status == 429;
                self.pool.report(lease.id, model, Report::Cool { rest, limit, reason, sentence });
            }
            (Blame::Credential, rest) => {
                let link = verdict.link.clone();
                self.pool.report(lease.id, model, Report::Block { rest, reason, sentence, link });
            }
            _ => {}
        }
    }

    fn announce(&self, call: &Call, lease: &Lease, attempt: u32) {
        let mode = if call.operation == Operation::Stream { "Streaming" } else { "Non-Streaming" };
        let (max, name, label) = (self.max_attempts, &lease.name, &lease.label);
        log::info!("[ApiClient] Attempt {attempt}/{max} ({mode}): Sending request with {name}({label})");
    }
}

impl Round {
    fn new() -> Round {
        Round {
            began: Instant::now(),
            tried: Vec::new(),
            out: Vec::new(),
            attempts: 0,
            counted: 0,
            waits: 0,
            unsigned: false,
            simplified: false,
            strangers: Vec::new(),
            suspects: Vec::new(),
            last: None,
        }
    }

    fn no_token(&mut self, lease: &Lease, fault: AccessFault) {
        self.out.push(lease.id);
        match fault {
            // The pool knows; the next request will not be offered this one.
            AccessFault::Dead(_) => log::warn!("[ApiClient] {}({}) has no usable token.", lease.name, lease.label),
            AccessFault::Transient(_) => {
                log::warn!("[ApiClient] {}({}) cannot get a token now.", lease.name, lease.label);
                let message = "API request failed: Google's token endpoint cannot be used right now";
                let error = ApiError::server(503, "upstream_auth_error", message).with_retry_after(TOKEN_TROUBLE);
                self.last = Some((Blame::Nobody, error));
            }
        }
    }
}

/// Embeddings, uploaded files and caches exist on the public API only.
fn kind_of(call: &Call) -> Option<Kind> {
    match call.operation {
        Operation::Embed | Operation::BatchEmbed => Some(Kind::ApiKey),
        Operation::Generate | Operation::Stream | Operation::CountTokens => {
            call.request.names_stored().then_some(Kind::ApiKey)
        }
    }
}

/// What the client is told when nobody is left to ask.
fn give_up(unavailable: Unavailable, kind: Option<Kind>, last: Option<(Blame, ApiError)>) -> ApiError {
    match (unavailable, last) {
        (Unavailable::Cooling(earliest), last) => match last {
            // A failure that lasts longer than the rest of somebody else says too much.
            Some((blame, error))
                if blame != Blame::Credential
                    && error.retry_after.is_none_or(|wait| wait <= earliest + Duration::from_secs(1)) =>
            {
                error
            }
            _ => resting(earliest),
        },
        (_, Some((_, error))) => error,
        (Unavailable::Resting(earliest), None) => {
            let message =
                "No valid credentials available. None of them can serve at the moment; the admin page says why.";
            ApiError::server(503, "no_available_account", message).with_retry_after(earliest)
        }
        (_, None) => {
            let what = match kind {
                Some(Kind::ApiKey) => "This request needs a Gemini API key: add one to `gemini_api_keys`.",
                _ => "Add an API key or an account on the admin page, or run `gemini-openai-proxy auth`.",
            };
            ApiError::server(503, "no_available_account", format!("No valid credentials available. {what}"))
        }
    }
}

fn resting(earliest: Duration) -> ApiError {
    let seconds = earliest.as_millis().div_ceil(1000).max(1);
    let message = format!("No valid credentials available. All are resting; the earliest returns in {seconds} s.");
    ApiError::new(429, ErrorKind::RateLimit, message).with_code("rate_limit_exceeded").with_retry_after(earliest)
}

/// Waits before repeat number `count`, 1 to 1.5 times the plan so that many clients do not come back at once. Ends early
/// when the client is gone.
fn wait(count: u32, gone: &Gone) -> Result<(), ApiError> {
    let mut byte = [0];
    // Without random numbers the wait is just not spread.
    let _ = getrandom::fill(&mut byte);
    let plan = QUICK_WAIT * 3u32.pow(count.saturating_sub(1).min(4));
    let end = Instant::now() + plan + plan * u32::from(byte[0]) / 512;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        if gone.is_set() {
            return Err(Fault::Gone.verdict().error);
        }
        thread::sleep(left.min(SLICE));
    }
    Ok(())
}
