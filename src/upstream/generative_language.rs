//! The public Generative Language API: what API keys can use (docs/google.md "The public Gemini API").

use super::body::{self, Body, PUBLIC_CATEGORIES};
use super::error::Fault;
use super::event_stream::{EventStream, Wrapping};
use super::fields::{self, Service};
#[cfg(feature = "media")]
use super::files::Files;
use super::raw::{self, RawReply, RawRequest};
use super::{Upstream, round_trip};
use crate::api::{Call, Operation};
use crate::credentials::Access;
use crate::gemini::Request;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Map, Value};
use ureq::Agent;

/// Fields that only Code Assist takes; the public API refuses requests with them.
const CODE_ASSIST_FIELDS: &[&str] = &["labels", "session_id", "sessionId", "model"];

/// What a model name may hold in a path.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// The public API.
#[derive(Clone, Debug)]
pub struct GenerativeLanguage {
    agent: Agent,
    base: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Count<'a> {
    generate_content_request: Body<'a>,
}

impl GenerativeLanguage {
    /// `base` is the service's address without a trailing slash.
    pub fn new(agent: Agent, base: impl Into<String>) -> GenerativeLanguage {
        GenerativeLanguage { agent, base: base.into() }
    }
}

impl Upstream for GenerativeLanguage {
    fn send(&self, access: &Access, call: &Call) -> Result<EventStream, Fault> {
        #[cfg(feature = "media")]
        if let Some((light, files)) = Files::store(&self.agent, &self.base, access, call)? {
            return Ok(self.post(access, &light)?.holding(files));
        }
        self.post(access, call)
    }

    fn send_raw(&self, access: &Access, request: &RawRequest<'_>) -> Result<RawReply, Fault> {
        raw::send(&self.agent, &self.base, access, request)
    }
}

impl GenerativeLanguage {
    fn post(&self, access: &Access, call: &Call) -> Result<EventStream, Fault> {
        let mut url = [&self.base, "/v1beta/models/"].concat();
        url.extend(utf8_percent_encode(&call.model, NAME).chain([":", call.operation.method()]));
        let key = [("x-goog-api-key", access.secret.expose())];
        let response = round_trip::post(&self.agent, &url, &key, &body_of(call), call)?;
        EventStream::read(response, Wrapping::Bare, call.operation == Operation::Stream)
    }
}

pub(super) fn body_of(call: &Call) -> Vec<u8> {
    let request = &call.request;
    match call.operation {
        Operation::Generate | Operation::Stream => {
            let request = &*fields::for_service(request, Service::Public);
            let body = Body::of(request, CODE_ASSIST_FIELDS).with_safety(
                request.safety_settings.as_deref(),
                &PUBLIC_CATEGORIES,
                |category| PUBLIC_CATEGORIES.contains(&category),
            );
            body::json(&body, request)
        }
        Operation::CountTokens => count_body(call),
        Operation::Embed => {
            let mut flat = request.clone();
            flatten(&mut flat.other);
            body::json(&Body::of(&flat, &[]), &flat)
        }
        Operation::BatchEmbed => {
            let mut named = request.clone();
            // Each request of a batch must name the model; one call asks one model only.
            let requests = named.other.get_mut("requests").and_then(Value::as_array_mut);
            for item in requests.into_iter().flatten().filter_map(Value::as_object_mut) {
                flatten(item);
                item.insert("model".into(), format!("models/{}", call.model).into());
            }
            body::json(&Body::of(&named, &[]), &named)
        }
    }
}

/// Clients of Vertex AI put what is beside the content into an object, and one field that is not known here.
fn flatten(request: &mut Map<String, Value>) {
    for name in ["embedContentConfig", "embed_content_config"] {
        if let Some(Value::Object(config)) = request.shift_remove(name) {
            request.extend(config);
        }
    }
    ["autoTruncate", "auto_truncate"].iter().for_each(|name| drop(request.shift_remove(*name)));
}

/// `{contents}`, or everything in a `generateContentRequest` when there is more than contents to count.
fn count_body(call: &Call) -> Vec<u8> {
    let model = Some(format!("models/{}", call.model));
    if let Some(inner) = call.request.other.get("generateContentRequest") {
        let inner: Request = serde_json::from_value(inner.clone()).unwrap_or_default();
        let inner = &*fields::for_service(&inner, Service::Public);
        let body = Body { model, ..Body::of(inner, CODE_ASSIST_FIELDS) };
        return body::json(&Count { generate_content_request: body }, inner);
    }
    let request = &*fields::for_service(&call.request, Service::Public);
    let body = Body::of(request, CODE_ASSIST_FIELDS);
    if request.system_instruction.is_none() && request.tools.is_empty() && request.generation_config.is_none() {
        return body::json(&body, request);
    }
    body::json(&Count { generate_content_request: Body { model, ..body } }, request)
}
