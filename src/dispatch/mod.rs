//! Finds a credential that answers: leases one, asks, and when it fails tells the pool and goes on to the next. The only
//! place that knows the pool and the upstreams together. Nothing has gone to the client while this runs, so every failure
//! here can still be hidden or told with a true status.
//!
//! `failover` is the loop, `policy` says what follows a failure, `attempt` is what translated calls and requests that are
//! passed on have of their own.

mod attempt;
mod failover;
mod fit;
mod grounding;
mod history;
mod hops;
mod long_decode;
mod policy;
mod repair;
mod said;
mod services;
mod unavailable;

use crate::api::{Call, Operation};
use crate::credentials::{CredentialId, Credentials, Kind, Lease, Report, Want};
use crate::error::ApiError;
use crate::gemini::Response;
use crate::gemini::models::Serving;
use crate::http::CancelToken;
use crate::upstream::Unserved;
pub use crate::upstream::cancel::scope as watch;
use crate::upstream::error::{Blame, CoolDown};
use crate::upstream::{Event, EventStream, Fault, RawReply, RawRequest, Upstream, Verdict, cancel};
pub use attempt::Failed;
use attempt::{Attempt, Passthrough, Translated};
use failover::Failover;
use history::History;
use hops::Hops;
pub use policy::Bounds;
use serde_json::Value;
use services::Signers;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

/// Sends calls to Google over the credentials of the pool.
pub struct Dispatcher {
    pool: Arc<Credentials>,
    code_assist: Box<dyn Upstream>,
    generative_language: Box<dyn Upstream>,
    vertex: Option<Box<dyn Upstream>>,
    bounds: Bounds,
    history: History,
    signers: Signers,
    serving: Arc<Serving>,
}

/// An answer that has begun well.
#[derive(Debug)]
pub struct Dispatched {
    /// Who serves it.
    pub lease: Lease,
    first: Option<Event>,
    rest: EventStream,
    hops: Option<Box<Hops>>,
    /// The model for which the request was repaired.
    moved: Option<String>,
}

/// What one request has used up of its [`Bounds`].
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    began: Instant,
    asked: u32,
}

impl Budget {
    /// Of a request that begins now.
    pub fn new() -> Budget {
        Budget { began: Instant::now(), asked: 0 }
    }

    /// How many credentials were asked.
    pub fn asked(&self) -> u32 {
        self.asked
    }
}

impl Default for Budget {
    fn default() -> Budget {
        Budget::new()
    }
}

impl Dispatcher {
    /// Asks the services for credentials of their kind.
    pub fn new(
        pool: Arc<Credentials>,
        code_assist: Box<dyn Upstream>,
        generative_language: Box<dyn Upstream>,
        bounds: Bounds,
    ) -> Dispatcher {
        Dispatcher {
            pool,
            code_assist,
            generative_language,
            vertex: None,
            bounds,
            history: History::default(),
            signers: Signers::default(),
            serving: Arc::default(),
        }
    }

    /// Learns there what serves the names of models.
    pub fn with_serving(self, serving: Arc<Serving>) -> Dispatcher {
        Dispatcher { serving, ..self }
    }

    /// What answers said of the names of models.
    pub fn serving(&self) -> &Arc<Serving> {
        &self.serving
    }

    /// Asks Vertex AI, too.
    pub fn with_vertex(self, vertex: Box<dyn Upstream>) -> Dispatcher {
        Dispatcher { vertex: Some(vertex), ..self }
    }

    /// Sends the call, which may lose signatures or have its schemas simplified on the way, and waits for the first
    /// event. Stops at once when the client is gone; then no credential is blamed.
    pub fn send(
        &self,
        call: &mut Call,
        budget: &mut Budget,
        cancel: &CancelToken,
        failed: &mut Failed<'_>,
    ) -> Result<Dispatched, ApiError> {
        long_decode::forget(call);
        let assumed = call.serves.clone();
        let attempt = Translated {
            is_filled: false,
            is_bare: false,
            is_rethought: false,
            serving: &self.serving,
            found: None,
            signer: self.signers.of(&call.request),
            call: &mut *call,
            failed,
        };
        let (lease, (first, rest)) = self.run(attempt, budget, cancel)?;
        let hops = long_decode::begin(call);
        let moved = call.serves.clone().filter(|_| call.serves != assumed);
        Ok(Dispatched { lease, first: Some(first), rest, hops, moved })
    }

    /// Passes a request on to the public API. A reply of any status comes back as it is, except where a credential is to
    /// blame: then the next one is asked. `resource` names what cool-downs are for, such as a model or `files`; requests
    /// of one `affinity` prefer the same credential.
    pub fn send_raw(
        &self,
        request: &RawRequest<'_>,
        resource: &str,
        affinity: Option<&str>,
        cancel: &CancelToken,
    ) -> Result<(Lease, RawReply), ApiError> {
        self.run(Passthrough { request, resource, affinity }, &mut Budget::new(), cancel)
    }

    /// Has Google count the tokens of a dialect's request, by a service that reads all of it. `None` where there is none
    /// that can be asked, or it does not say.
    pub fn count(&self, call: &mut Call, cancel: &CancelToken) -> Option<u64> {
        call.operation = Operation::CountTokens;
        let answer = self.send(call, &mut Budget::new(), cancel, &mut |_, _| ()).ok()?;
        serde_json::from_str::<Value>(answer.first?.json()).ok()?["totalTokens"].as_u64()
    }

    fn run<A: Attempt>(
        &self,
        attempt: A,
        budget: &mut Budget,
        cancel: &CancelToken,
    ) -> Result<(Lease, A::Answer), ApiError> {
        let _scope = cancel::scope(cancel);
        Failover::new(self, attempt, budget, cancel).run()
    }

    /// Whether a request may be sent again that was answered in vain.
    pub fn may_ask_again(&self, budget: &Budget) -> bool {
        budget.asked < self.bounds.credentials
    }

    /// Whether no credential serves this model at the moment.
    pub fn rests(&self, call: &Call) -> bool {
        let want = Want { model: &call.model, kinds: services::kinds_of(call), tried: &[], affinity: None };
        !self.pool.can_serve(&want)
    }

    /// Takes note of the signatures in an event, which the same service wants back, and of the model that answers; returns
    /// what the model's name leads to for the next request, where that was not known.
    pub fn note(&self, answer: &mut Dispatched, model: &str, event: &Response<'_>) -> Option<String> {
        let Dispatched { lease, moved, .. } = answer;
        self.signers.note(lease.kind, event);
        let said = event.model_version.as_deref().is_some_and(|said| self.serving.note(lease.id.0, model, said));
        // Of what a repair has found out the answer says nothing new.
        let moved = moved.take();
        if said { self.serving.of(model) } else { moved }
    }

    /// Judges a fault that came after the first event, and tells the pool. The result is what the client is told.
    pub fn judge(&self, lease: &Lease, model: &str, fault: &Fault) -> ApiError {
        let mut verdict = fault.verdict();
        if !matches!(verdict.cool_down, CoolDown::Confirmed(_)) {
            self.report(lease, model, &mut verdict);
        }
        verdict.error
    }

    /// Forgets the limits in a row of credentials that a person reset: the next one rests as briefly as the first.
    pub fn forget(&self, ids: &HashSet<CredentialId>) {
        self.history.forget_credentials(ids);
    }

    fn upstream(&self, kind: Kind) -> &dyn Upstream {
        match kind {
            Kind::Oauth => &*self.code_assist,
            Kind::ApiKey => &*self.generative_language,
            Kind::Vertex => self.vertex.as_deref().unwrap_or(&Unserved),
        }
    }

    /// Tells the pool. Of a rest that grows the client hears how long it is now.
    fn report(&self, lease: &Lease, model: &str, verdict: &mut Verdict) {
        let (reason, message) = (verdict.reason.to_string(), verdict.message.clone());
        match (verdict.blame, verdict.duration) {
            (Blame::CredentialAndModel, Some(rest)) => {
                let rest = match verdict.cool_down {
                    CoolDown::Growing(_) => {
                        let rest = self.history.grown(lease.id, model, rest);
                        verdict.error.retry_after = Some(rest);
                        rest
                    }
                    _ => rest,
                };
                let limit = verdict.error.status == 429;
                self.pool.report(lease.id, model, Report::Cool { rest, limit, reason, message });
            }
            (Blame::Credential, rest) => {
                let link = verdict.link.clone();
                self.pool.report(lease.id, model, Report::Block { rest, reason, message, link });
            }
            _ => {}
        }
    }
}
