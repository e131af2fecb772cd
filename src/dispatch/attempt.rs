//! What differs between a call that is translated and a request that is passed on: how one credential is asked, and what
//! its failure allows.

use super::services::kinds_of;
use super::{fit, repair};
use crate::api::{Call, Operation};
use crate::credentials::{Access, CredentialId, Kind, Kinds, Lease, Want};
use crate::gemini::Request;
use crate::gemini::models::Serving;
use crate::upstream::error::{Refusal, Then};
use crate::upstream::{Event, EventStream, Fault, RawReply, RawRequest, Upstream, Verdict};
use std::hash::{DefaultHasher, Hasher};

/// The finish reason of an answer that a request without signatures does not get.
const LACKS_SIGNATURE: &str = "\"MISSING_THOUGHT_SIGNATURE\"";

/// What the same says as a refusal.
const LACKING: &str = r#"{"error":{"message":"the answer ended for a missing thought_signature"}}"#;

/// One request, as the loop asks it of one credential after the other.
pub(super) trait Attempt {
    type Answer;

    /// Whether Google may be asked the same again when nobody knows what became of the request.
    const IS_REPEATABLE: bool;
    /// Whether a 404, or a failure of nobody's, says something about the credential when another one then does well. It
    /// does not where it is about the thing that was asked for, which another key may own.
    const TELLS_OF_CREDENTIAL: bool;

    /// Who can be asked, but for those in `tried`.
    fn want<'a>(&'a self, tried: &'a [CredentialId]) -> Want<'a>;

    /// Whom to ask before others of those that can be asked.
    fn prefers(&self) -> Option<Kind> {
        None
    }

    /// Makes it fit what this credential serves.
    fn prepare(&mut self, _: &Lease) {}

    /// Hears that this credential answers.
    fn succeeded(&mut self, _: &Lease) {}

    /// A word for the log.
    fn mode(&self) -> &'static str;

    /// Asks Google with this credential, up to the first piece of the answer. A failure may have come as an answer that the
    /// client can be given.
    fn ask(&self, upstream: &dyn Upstream, access: &Access) -> Result<Self::Answer, (Fault, Option<Self::Answer>)>;

    /// Takes out of the request what Google refused; false when there is nothing to take out.
    fn repair(&mut self, refused: &Verdict) -> bool;

    /// The same for the same request, and as a rule for no other.
    fn fingerprint(&self) -> u64;

    /// Hears of every failure, and of a call that was ended from here.
    fn failed(&mut self, lease: &Lease, verdict: &Verdict);
}

/// Called for each failed attempt with who failed and how usage counts it: the HTTP status, or `Exception`; and for one that
/// was ended from here, with the reason `GONE`.
pub type Failed<'a> = dyn FnMut(&Lease, &Verdict) + 'a;

/// A call of a dialect.
pub(super) struct Translated<'a, 'f> {
    /// Placeholders were put in.
    pub is_filled: bool,
    /// Signatures were taken out, the client's own or all placeholders.
    pub is_bare: bool,
    /// Thinking was asked for the other way already.
    pub is_rethought: bool,
    /// What credentials serve.
    pub serving: &'a Serving,
    /// What seems to serve the name, since the request was repaired for it.
    pub found: Option<String>,
    pub call: &'a mut Call,
    pub failed: &'a mut Failed<'f>,
    /// Whose signatures it holds.
    pub signer: Option<Kind>,
}

impl Attempt for Translated<'_, '_> {
    type Answer = (Event, EventStream);

    const IS_REPEATABLE: bool = true;
    const TELLS_OF_CREDENTIAL: bool = true;

    fn want<'a>(&'a self, tried: &'a [CredentialId]) -> Want<'a> {
        Want { model: &self.call.model, kinds: kinds_of(self.call), tried, affinity: self.call.affinity.as_deref() }
    }

    /// Only the public API takes Google's tools beside functions, and files for media that do not fit inside a request;
    /// signatures go back to the service that gave them.
    fn prefers(&self) -> Option<Kind> {
        let wants_vertex =
            || (self.call.serves.is_some() && fit::asks_probabilities(self.call)).then_some(Kind::Vertex);
        needs_key(&self.call.request).then_some(Kind::ApiKey).or(self.signer).or_else(wants_vertex)
    }

    fn prepare(&mut self, lease: &Lease) {
        self.call.unfit();
        let assumed = self.call.serves.as_deref();
        if let Some(assumed) = assumed
            && let Some(model) = self.serving.to(lease.id.0, &self.call.model)
            && model.name != assumed
        {
            self.call.unfitted = Some(Box::new((self.call.request.clone(), self.call.long_decode)));
            fit::fit(self.call, &model);
        }
        // Code Assist is not known to take the field, and the public API refuses it for all that it still serves.
        if self.call.serves.is_some() && lease.kind != Kind::Vertex && fit::asks_probabilities(self.call) {
            if self.call.unfitted.is_none() {
                self.call.unfitted = Some(Box::new((self.call.request.clone(), self.call.long_decode)));
            }
            fit::forget_probabilities(self.call);
        }
    }

    fn succeeded(&mut self, lease: &Lease) {
        if let Some(found) = &self.found {
            self.serving.note(lease.id.0, &self.call.model, found);
        }
    }

    fn mode(&self) -> &'static str {
        if self.call.operation == Operation::Stream { "Streaming" } else { "Non-Streaming" }
    }

    fn ask(
        &self,
        upstream: &dyn Upstream,
        access: &Access,
    ) -> Result<(Event, EventStream), (Fault, Option<Self::Answer>)> {
        let ask = || {
            let mut answer = upstream.send(access, self.call)?;
            match answer.next_event()? {
                // In a text of the model's the second quote would be escaped.
                Some(first) if first.json().contains(LACKS_SIGNATURE) && repair::lacks_signatures(self.call) => {
                    Err(Refusal::read(400, LACKING.as_bytes(), None).fault())
                }
                Some(first) => Ok((first, answer)),
                None => Err(Fault::Incomplete("it is empty".into())),
            }
        };
        ask().map_err(|fault| (fault, None))
    }

    fn repair(&mut self, refused: &Verdict) -> bool {
        let then = refused.then;
        let is_of_probabilities = refused.error.message.to_ascii_lowercase().contains("logprobs");
        let is_moved = self.moves_over(then);
        // A native request keeps no model's rules, but some model serves it.
        let serves = self.call.serves.clone().or_else(|| self.serving.of(&self.call.model));
        let serves = serves.unwrap_or_else(|| self.call.model.clone());
        let (is_changed, what) = match then {
            Then::Fill if is_moved => {
                (true, "a missing thought signature. Sending once more as the name's newer model wants it.")
            }
            Then::Fill if !std::mem::replace(&mut self.is_filled, true) && repair::sign(self.call) => {
                (true, "a missing thought signature. Sending once more with placeholders.")
            }
            Then::Unsign | Then::Fill if self.is_bare => return false,
            Then::Unsign | Then::Fill if repair::remove_signatures(self.call, &serves) => {
                self.is_bare = true;
                (true, "a thought signature. Sending once more without signatures.")
            }
            // Whatever it says of signatures, there was none.
            Then::Unsign if !std::mem::replace(&mut self.is_filled, true) && repair::sign(self.call) => {
                (true, "a missing thought signature. Sending once more with placeholders.")
            }
            Then::Unsign => {
                self.is_bare = true;
                (repair::strip(self.call), "the placeholder of a thought signature. Sending once more without any.")
            }
            Then::Shed => {
                (repair::shed(self.call, &refused.error.message), "an older file. Sending once more without it.")
            }
            Then::Lead => (repair::lead(self.call), "a system instruction. Sending its text as the user's."),
            Then::Rethink
                if is_moved || !std::mem::replace(&mut self.is_rethought, true) && repair::rethink(self.call) =>
            {
                (true, "how thinking is controlled. Sending once more the other way.")
            }
            Then::Rethink => (repair::unthink(self.call), "thinking. Sending once more without a word of it."),
            Then::Simplify if repair::gather(self.call) => (true, "results in several turns. Sending them in one."),
            Then::Simplify if is_of_probabilities => {
                let is_asked = self.call.serves.is_some() && fit::asks_probabilities(self.call);
                if is_asked {
                    fit::forget_probabilities(self.call);
                }
                (is_asked, "token probabilities. Sending once more without.")
            }
            Then::Simplify => (repair::simplify(self.call), "the request. Sending it once more, simpler."),
            _ => return false,
        };
        if is_changed {
            log::info!("[ApiClient] Google refused {what}");
        }
        is_changed
    }

    fn fingerprint(&self) -> u64 {
        hash(serde_json::to_string(&self.call.request).unwrap_or_default().as_bytes())
    }

    fn failed(&mut self, lease: &Lease, verdict: &Verdict) {
        (self.failed)(lease, verdict);
    }
}

impl Translated<'_, '_> {
    /// Follows the model that the name leads to on the other side of its day, if a refusal speaks for it; once.
    fn moves_over(&mut self, refused: Then) -> bool {
        let assumed = self.call.serves.as_deref().filter(|_| self.found.is_none());
        let other = assumed.and_then(|assumed| self.serving.instead(&self.call.model, assumed));
        // Only newer models look at signatures.
        let Some(model) = other.filter(|model| match refused {
            Then::Rethink => true,
            Then::Unsign | Then::Fill => model.gemini3,
            _ => false,
        }) else {
            return false;
        };
        self.call.unfitted = None;
        fit::fit(self.call, &model);
        self.found = Some(model.name.clone());
        self.call.serves = Some(model.name);
        true
    }
}

/// A request of a native client that goes to the public API as it is.
pub(super) struct Passthrough<'a> {
    pub request: &'a RawRequest<'a>,
    /// What cool-downs are for, such as a model or `files`.
    pub resource: &'a str,
    pub affinity: Option<&'a str>,
}

impl Attempt for Passthrough<'_> {
    type Answer = RawReply;

    /// Nobody knows whether an upload or a deletion was done.
    const IS_REPEATABLE: bool = false;
    const TELLS_OF_CREDENTIAL: bool = false;

    fn want<'a>(&'a self, tried: &'a [CredentialId]) -> Want<'a> {
        Want { model: self.resource, kinds: Kinds::only(Kind::ApiKey), tried, affinity: self.affinity }
    }

    fn mode(&self) -> &'static str {
        "Passthrough"
    }

    fn ask(&self, upstream: &dyn Upstream, access: &Access) -> Result<RawReply, (Fault, Option<RawReply>)> {
        match upstream.send_raw(access, self.request) {
            Ok(reply) if reply.status < 400 => Ok(reply),
            Ok(reply) => {
                let (fault, reply) = reply.refusal();
                Err((fault, Some(reply)))
            }
            Err(fault) => Err((fault, None)),
        }
    }

    fn repair(&mut self, _: &Verdict) -> bool {
        false
    }

    fn fingerprint(&self) -> u64 {
        hash(&[self.request.path.as_bytes(), self.request.query.as_bytes(), self.request.body].concat())
    }

    fn failed(&mut self, _: &Lease, _: &Verdict) {}
}

fn needs_key(request: &Request) -> bool {
    #[cfg(feature = "media")]
    if crate::upstream::files::is_needed(request) {
        return true;
    }
    request.circulates()
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
