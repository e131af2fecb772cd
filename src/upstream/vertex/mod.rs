//! Vertex AI, Google Cloud's service with the same models (docs/vertex.md). A credential has one or several locations, which
//! are tried in order before another credential is: more keys of one organisation share one capacity, more locations do not.

pub(super) mod body;
mod embeddings;

use super::body::json;
use super::error::{Fault, Refusal};
use super::event_stream::{EventStream, Wrapping};
use super::{Upstream, round_trip};
use crate::api::{Call, Operation};
use crate::credentials::{Access, Failing, VertexPlace};
use std::borrow::Cow;
use std::time::Duration;
use ureq::Agent;

/// What a quota by the minute rests, where Google does not say it.
const MINUTE: Duration = Duration::from_secs(60);
/// A request for better or cheaper capacity, which the public API takes in the body.
const TIER: &str = "X-Vertex-AI-LLM-Shared-Request-Type";

/// How refusals of ids of calls and of arguments in pieces are worded.
const IDS: [&str; 2] = ["Unknown name \"id\"", "unknown field \"id\""];
const PIECES: [&str; 2] = ["stream_function_call_arguments", "streamFunctionCallArguments"];

/// Vertex AI.
#[derive(Clone, Debug)]
pub struct Vertex {
    agent: Agent,
    base: Option<String>,
}

impl Vertex {
    /// `base` stands in for Google's hosts.
    pub fn new(agent: Agent, base: Option<&str>) -> Vertex {
        Vertex { agent, base: base.map(str::to_owned) }
    }

    fn ask(
        &self,
        access: &Access,
        place: &VertexPlace,
        location: &str,
        call: &Call,
        body: &[u8],
    ) -> Result<EventStream, Fault> {
        let url = place.url(self.base.as_deref(), access.project.as_deref(), location, &call.model, method(call));
        let authorization = place.authorization(&access.secret);
        let mut headers = place.headers(&authorization);
        headers.extend(body::tier(&call.request).map(|tier| (TIER, tier)));
        let response = round_trip::post(&self.agent, &url, &headers, body, call)?;
        match call.operation {
            Operation::Embed | Operation::BatchEmbed => embeddings::read(response, call),
            operation => EventStream::read(response, Wrapping::Bare, operation == Operation::Stream),
        }
    }

    /// Asks once more without what a 400 names and not every version or model takes: ids of calls, arguments in pieces.
    fn ask_and_repair(
        &self,
        access: &Access,
        place: &VertexPlace,
        location: &str,
        call: &mut Cow<'_, Call>,
        body: &mut Vec<u8>,
    ) -> Result<EventStream, Fault> {
        let fault = match self.ask(access, place, location, call, body) {
            Err(fault) if is_refusal_of(&fault, &IDS) || is_refusal_of(&fault, &PIECES) => fault,
            answer => return answer,
        };
        if is_refusal_of(&fault, &IDS) {
            let Some(plain) = body::without_ids(&call.request) else { return Err(fault) };
            call.to_mut().request = plain;
        } else if !std::mem::take(&mut call.to_mut().streams_arguments) {
            return Err(fault);
        }
        log::info!("[ApiClient] Google refused a field of function calls. Sending once more without it.");
        *body = body::of(call);
        self.ask(access, place, location, call, body)
    }
}

impl Upstream for Vertex {
    fn send(&self, access: &Access, call: &Call) -> Result<EventStream, Fault> {
        let Some(place) = &access.place else { return Err(Fault::Unsupported("this needs a credential of Vertex AI")) };
        let mut body = body::of(call);
        let mut call = Cow::Borrowed(call);
        let mut rests: Option<Duration> = None;
        let mut last = None;
        let mut order = place.order(&call.model);
        if let Some(cache) = call.request.cached_content.as_deref() {
            let home = home_of_cache(cache);
            let is_ours =
                |project: &str| is_number(project) || access.project.as_deref().is_none_or(|own| own == project);
            order.retain(|own| home.is_some_and(|(project, location)| is_ours(project) && *own == location));
            if order.is_empty() {
                return Err(Fault::Unsupported("the cached content is of another project or location"));
            }
        }
        for location in order {
            let fault = match self.ask_and_repair(access, place, location, &mut call, &mut body) {
                Ok(answer) => {
                    place.served(&call.model, location);
                    return Ok(answer);
                }
                Err(fault) => fault,
            };
            match failing(&fault) {
                Some((failing, status)) => {
                    let rest = place.failed(&call.model, location, failing, status);
                    log::info!("[ApiClient] {location} cannot serve {} now ({status}).", call.model);
                    if failing == Failing::Full {
                        rests = Some(rests.map_or(rest, |rests| rests.min(rest)));
                    }
                }
                None if matches!(fault, Fault::Connect(_)) => {}
                None => return Err(fault),
            }
            // That a place is full says more than that another one does not have the model.
            if last.is_none() || matches!(failing(&fault), Some((Failing::Full, _))) {
                last = Some(fault);
            }
        }
        Err(match last {
            Some(Fault::Refused(refusal)) => with_delay(*refusal, rests).fault(),
            Some(fault) => fault,
            None => Fault::Unsupported("this credential of Vertex AI has no location"),
        })
    }
}

/// Project and location of a cache, outside of which nobody knows it.
fn home_of_cache(name: &str) -> Option<(&str, &str)> {
    let (project, rest) = name.strip_prefix("projects/")?.split_once("/locations/")?;
    Some((project, rest.split_once("/cachedContents/")?.0))
}

/// Google names projects by number in its answers.
fn is_number(project: &str) -> bool {
    project.bytes().all(|byte| byte.is_ascii_digit())
}

/// The last word of the path.
pub(super) fn method(call: &Call) -> &'static str {
    embeddings::method(call).unwrap_or(call.operation.method())
}

/// Whether another location may serve what this one did not.
fn failing(fault: &Fault) -> Option<(Failing, u16)> {
    let Fault::Refused(refusal) = fault else { return None };
    match refusal.status {
        404 => Some((Failing::Unknown, 404)),
        status @ (429 | 503) => Some((Failing::Full, status)),
        _ => None,
    }
}

/// A limit without a delay: a quota by the minute ends with it, and shared capacity comes back within seconds. It is never the
/// growing rest of a limit that nobody knows.
fn with_delay(mut refusal: Refusal, rests: Option<Duration>) -> Refusal {
    let message = refusal.details.message.to_ascii_lowercase();
    if refusal.status == 429 && refusal.details.delay.is_none() {
        let is_quota = message.contains("quota exceeded for");
        refusal.details.delay = if is_quota { Some(MINUTE) } else { rests.or(Some(Duration::from_secs(1))) };
    }
    refusal
}

/// Whether a 400 has one of these words.
fn is_refusal_of(fault: &Fault, words: &[&str]) -> bool {
    let Fault::Refused(refusal) = fault else { return false };
    refusal.status == 400 && words.iter().any(|word| refusal.details.message.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_limit_without_a_delay_gets_one_of_seconds_or_a_minute() {
        let refusal = |status, message: &str| {
            Refusal::read(status, json!({"error": {"message": message}}).to_string().as_bytes(), None)
        };
        let three = Some(Duration::from_secs(3));
        for (status, message, delay) in [
            (
                429,
                "Resource exhausted. Please try again later. Please refer to .../error-code-429 for more details.",
                three,
            ),
            (429, "Too many requests. Exceeded the Provisioned Throughput.", three),
            (
                429,
                "Quota exceeded for aiplatform.googleapis.com/online_prediction_requests_per_base_model with base model: x.",
                Some(MINUTE),
            ),
            (503, "The service is currently unavailable.", None),
        ] {
            let delayed = with_delay(refusal(status, message), three);
            assert_eq!(delayed.details.delay, delay, "{message}");
            let rest = delayed.fault().verdict().duration;
            assert!(rest.is_none_or(|rest| rest <= MINUTE), "{message}: {rest:?}");
        }
    }
}
