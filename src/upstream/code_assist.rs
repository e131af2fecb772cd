//! Code Assist (`v1internal`): what OAuth credentials can use. Its envelopes are docs/google.md "Request envelope",
//! docs/google.md "countTokens".

use super::body::{self, Body, CODE_ASSIST_CATEGORIES};
use super::error::Fault;
use super::event_stream::{EventStream, Wrapping};
use super::{Upstream, round_trip};
use crate::api::{Call, Operation};
use crate::credentials::Access;
use crate::gemini::{Content, Part, Request};
use serde::Serialize;
use std::borrow::Cow;
use ureq::Agent;

/// Code Assist.
#[derive(Clone, Debug)]
pub struct CodeAssist {
    agent: Agent,
    base: String,
}

#[derive(Serialize)]
struct Envelope<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    request: Body<'a>,
}

#[derive(Serialize)]
struct Count<'a> {
    request: Body<'a>,
}

impl CodeAssist {
    /// `base` is the service's address without a trailing slash.
    pub fn new(agent: Agent, base: impl Into<String>) -> CodeAssist {
        CodeAssist { agent, base: base.into() }
    }
}

impl Upstream for CodeAssist {
    fn send(&self, access: &Access, call: &Call) -> Result<EventStream, Fault> {
        let wrapping = match call.operation {
            Operation::Generate | Operation::Stream => Wrapping::Envelope,
            Operation::CountTokens => Wrapping::Bare,
            Operation::Embed | Operation::BatchEmbed => {
                return Err(Fault::Unsupported("embeddings need a Gemini API key in the pool"));
            }
        };
        let body = body_of(call, access.project.as_deref());
        let url = format!("{}/v1internal:{}", self.base, call.operation.method());
        let bearer = format!("Bearer {}", access.secret.expose());
        let response = round_trip::post(&self.agent, &url, &[("Authorization", &bearer)], &body, call)?;
        EventStream::read(response, wrapping, call.operation == Operation::Stream)
    }
}

/// Code Assist has a name of its own for one model, as Google's own client maps it.
fn wire_name(model: &str) -> &str {
    match model {
        "gemini-3.5-flash" => "gemini-3-flash",
        other => other,
    }
}

pub(super) fn body_of(call: &Call, project: Option<&str>) -> Vec<u8> {
    if call.operation == Operation::CountTokens {
        return count_body(call);
    }
    let request = match call.request.circulates() {
        true => Cow::Owned(call.request.without_circulation()),
        false => Cow::Borrowed(&call.request),
    };
    let body = Body::of(&request, &["model", "serviceTier"]).with_safety(
        request.safety_settings.as_deref(),
        &CODE_ASSIST_CATEGORIES,
        |_| true,
    );
    body::json(&Envelope { model: wire_name(&call.model), project, request: body }, &request)
}

/// countTokens takes contents only: system text and tools are counted as a text before them, which is close.
fn count_body(call: &Call) -> Vec<u8> {
    let request = match call.request.other.get("generateContentRequest") {
        Some(inner) => Cow::Owned(serde_json::from_value::<Request>(inner.clone()).unwrap_or_default()),
        None => Cow::Borrowed(&call.request),
    };
    let mut folded = Vec::new();
    let system = request.system_instruction.iter().flat_map(|system| &system.parts);
    folded.extend(system.filter_map(|part| part.text.clone()).map(Part::text));
    if !request.tools.is_empty() {
        folded.extend(serde_json::to_string(&request.tools).ok().map(Part::text));
    }
    let mut contents = Vec::with_capacity(request.contents.len() + 1);
    if !folded.is_empty() {
        contents.push(Content::new("user", folded));
    }
    for content in &request.contents {
        // Thoughts are refused here.
        let parts: Vec<Part> = content.parts.iter().filter(|part| part.thought != Some(true)).cloned().collect();
        if !parts.is_empty() {
            contents.push(Content { parts, role: content.role.clone(), other: content.other.clone() });
        }
    }
    let counted = Request { contents, ..Request::default() };
    let model = Some(format!("models/{}", wire_name(&call.model)));
    body::json(&Count { request: Body { model, ..Body::of(&counted, &[]) } }, &counted)
}
