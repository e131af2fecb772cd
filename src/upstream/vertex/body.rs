//! Bodies as Vertex AI takes them (docs/vertex.md "Differences in the body").

use super::embeddings;
use super::json;
use crate::api::{Call, Operation};
use crate::gemini::{Part, Request, signatures};
use crate::upstream::body::Body;
use crate::upstream::fields::{self, Service};
use serde_json::Value;
use std::borrow::Cow;

/// Fields that no body of Vertex AI has. The tier is a header.
const NOT_SENT: &[&str] =
    &["model", "session_id", "sessionId", "serviceTier", "service_tier", "generateContentRequest"];

/// Asks for the arguments of calls as they come.
const PIECES: &str = "streamFunctionCallArguments";

/// The categories that a request without any gets.
const CATEGORIES: [&str; 4] = [
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
];

pub(in crate::upstream) fn of(call: &Call) -> Vec<u8> {
    match call.operation {
        Operation::Generate | Operation::Stream => {
            let mut request = fitting(&call.request, call.operation == Operation::Stream);
            let declares = request.tools.iter().any(|tool| !tool.function_declarations.is_empty());
            if call.streams_arguments && call.operation == Operation::Stream && declares {
                let config = request.to_mut().tool_config.get_or_insert_default();
                let calling = config.function_calling_config.get_or_insert_default();
                calling.other.insert(PIECES.into(), true.into());
            }
            let own = request.safety_settings.as_deref();
            let mut body = Body::of(&request, NOT_SENT).with_safety(own, &CATEGORIES, |_| true);
            for (sent, own) in body.safety_settings.iter_mut().flatten().zip(own.into_iter().flatten()) {
                sent.method = own.method.as_deref();
            }
            json(&body, &request)
        }
        Operation::CountTokens => count(call),
        Operation::Embed | Operation::BatchEmbed => embeddings::body(call),
    }
}

/// Flat: no wrapper, no model, and no more than these four.
fn count(call: &Call) -> Vec<u8> {
    let inner: Option<Request> =
        call.request.other.get("generateContentRequest").and_then(|inner| serde_json::from_value(inner.clone()).ok());
    let request = fitting(inner.as_ref().unwrap_or(&call.request), false);
    let counted = Request {
        contents: request.contents.clone(),
        system_instruction: request.system_instruction.clone(),
        tools: request.tools.clone(),
        generation_config: request.generation_config.clone(),
        ..Request::default()
    };
    json(&Body::of(&counted, &[]), &counted)
}

/// The request as this service takes it, copied only where something has to change.
fn fitting(request: &Request, streams: bool) -> Cow<'_, Request> {
    let mut request = match request.circulates() {
        true => Cow::Owned(request.without_circulation()),
        false => Cow::Borrowed(request),
    };
    if let Cow::Owned(fitting) = fields::for_service(&request, Service::Vertex) {
        request = Cow::Owned(fitting);
    }
    if request.contents.iter().any(|turn| role(turn.role.as_deref()) != turn.role.as_deref()) {
        for turn in &mut request.to_mut().contents {
            turn.role = role(turn.role.as_deref()).map(str::to_owned);
        }
    }
    let is_foreign = |part: &Part| part.thought_signature.as_deref().is_some_and(is_other_placeholder);
    if request.contents.iter().flat_map(|turn| &turn.parts).any(is_foreign) {
        for part in
            request.to_mut().contents.iter_mut().flat_map(|turn| &mut turn.parts).filter(|part| is_foreign(part))
        {
            part.thought_signature = Some(signatures::PLACEHOLDER.to_owned());
        }
    }
    // A whole answer with arguments in pieces is refused.
    let asks_for_pieces = |request: &Request| {
        let calling = request.tool_config.as_ref()?.function_calling_config.as_ref()?;
        calling.other.get(PIECES).or(calling.other.get("stream_function_call_arguments")).cloned()
    };
    if !streams && asks_for_pieces(&request).is_some() {
        let config = request.to_mut().tool_config.as_mut().and_then(|config| config.function_calling_config.as_mut());
        if let Some(calling) = config {
            calling.other.retain(|name, _| !name.to_ascii_lowercase().replace('_', "").ends_with("callarguments"));
        }
    }
    request
}

/// The two roles there are. Results of functions are the user's.
fn role(role: Option<&str>) -> Option<&str> {
    match role {
        Some("user" | "model") => role,
        Some(word) if word.eq_ignore_ascii_case("model") || word.eq_ignore_ascii_case("assistant") => Some("model"),
        _ => Some("user"),
    }
}

/// The public API's second placeholder for a lost signature, which is refused here.
fn is_other_placeholder(signature: &str) -> bool {
    signature == "context_engineering_is_the_way_to_go"
}

/// The request without the ids of its calls; `None`: it has none.
pub(super) fn without_ids(request: &Request) -> Option<Request> {
    let has_id = |part: &Part| {
        part.function_call.as_ref().is_some_and(|call| call.id.is_some())
            || part.function_response.as_ref().is_some_and(|response| response.id.is_some())
    };
    if !request.contents.iter().flat_map(|turn| &turn.parts).any(has_id) {
        return None;
    }
    let mut plain = request.clone();
    for part in plain.contents.iter_mut().flat_map(|turn| &mut turn.parts) {
        part.function_call.iter_mut().for_each(|call| call.id = None);
        part.function_response.iter_mut().for_each(|response| response.id = None);
    }
    Some(plain)
}

/// The header that asks for better or cheaper capacity.
pub(in crate::upstream) fn tier(request: &Request) -> Option<&'static str> {
    let tier =
        ["serviceTier", "service_tier"].iter().find_map(|name| request.other.get(*name)).and_then(Value::as_str)?;
    let tier = tier.to_ascii_lowercase();
    ["priority", "flex"].into_iter().find(|known| tier.trim_start_matches("service_tier_") == *known)
}
