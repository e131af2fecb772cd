//! Rules of the conversation: roles, parts, calls paired with their results, and the signatures of Gemini 3.

use super::engine::{args, has, list, text, turn_start};
use super::errors::Refusal;
use super::models::Model;
use super::proto::Side;
use super::state::State;
use serde_json::Value;
use std::borrow::Cow;

/// Values Google documents to skip the signature check.
pub const PLACEHOLDERS: [&str; 2] = ["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];
const DATA: [&str; 9] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
];

pub fn check(state: &State, model: &Model, inner: &Value, side: Side) -> Result<(), Refusal> {
    let contents = list(&inner["contents"]);
    if contents.is_empty() {
        return Err(no_contents());
    }
    if let Some(system) = inner.get("systemInstruction") {
        parts(system, "system_instruction")?;
        if list(&system["parts"]).iter().any(|part| part.get("text").is_none()) {
            return Err(Refusal::bare());
        }
    }
    for (at, content) in contents.iter().enumerate() {
        // The public API reads a missing role as the user's.
        match content["role"].as_str() {
            Some("user" | "model") => {}
            None if side == Side::Public => {}
            _ => return Err(Refusal::invalid("Please use a valid role: user, model.")),
        }
        parts(content, &format!("contents[{at}]"))?;
    }
    pairing(contents)?;
    signatures(state, model, contents)
}

pub fn no_contents() -> Refusal {
    Refusal::invalid("* GenerateContentRequest.contents: contents is not specified")
}

pub fn no_data(path: &str) -> Refusal {
    Refusal::invalid(format!(
        "* GenerateContentRequest.{path}.data: required oneof field 'data' must have one initialized field"
    ))
}

/// Every part has exactly one kind of data.
pub fn parts(content: &Value, path: &str) -> Result<(), Refusal> {
    let parts = list(&content["parts"]);
    if parts.is_empty() {
        return Err(Refusal::invalid(format!(
            "* GenerateContentRequest.{path}.parts: contents.parts must not be empty."
        )));
    }
    for (at, part) in parts.iter().enumerate() {
        let path = format!("{path}.parts[{at}]");
        let kinds: Vec<&&str> = DATA.iter().filter(|kind| part.get(**kind).is_some()).collect();
        match kinds.as_slice() {
            [] => return Err(no_data(&path)),
            [_] => {}
            [_, second, ..] => {
                return Err(Refusal::invalid(format!(
                    "Invalid value at '{path}' (oneof), oneof field 'data' is already set. Cannot set '{second}'"
                )));
            }
        }
        let incomplete = ["inlineData", "fileData"].iter().any(|kind| {
            let key = if *kind == "inlineData" { "data" } else { "fileUri" };
            part.get(*kind).is_some_and(|blob| text(&blob[key]).is_empty() || text(&blob["mimeType"]).is_empty())
        });
        if incomplete {
            return Err(Refusal::bare());
        }
        for kind in ["functionCall", "functionResponse"] {
            if part.get(kind).is_some_and(|one| text(&one["name"]).is_empty()) {
                return Err(Refusal::invalid(format!(
                    "* GenerateContentRequest.{path}.{}.name: Name cannot be empty.",
                    if kind == "functionCall" { "function_call" } else { "function_response" }
                )));
            }
        }
    }
    Ok(())
}

fn all<'a>(content: &'a Value, kind: &'a str) -> Vec<&'a Value> {
    list(&content["parts"]).iter().filter_map(|part| part.get(kind)).collect()
}

/// The order of turns: calls are answered at once, completely, in order, under the same names.
fn pairing(contents: &[Value]) -> Result<(), Refusal> {
    let is_model = |content: &Value| content["role"] == "model";
    for (at, content) in contents.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| &contents[at]);
        let calls = all(content, "functionCall");
        let responses = all(content, "functionResponse");
        if (!calls.is_empty() && !is_model(content)) || (!responses.is_empty() && is_model(content)) {
            return Err(Refusal::bare());
        }
        if !calls.is_empty() && before.is_none_or(is_model) {
            return Err(Refusal::invalid(
                "Please ensure that function call turn comes immediately after a user turn or after a function response turn.",
            ));
        }
        let asked = before.map(|before| all(before, "functionCall")).unwrap_or_default();
        if asked.is_empty() && !responses.is_empty() {
            return Err(Refusal::invalid(
                "Please ensure that function response turn comes immediately after a function call turn.",
            ));
        }
        if asked.len() != responses.len() {
            return Err(Refusal::invalid(
                "Please ensure that the number of function response parts is equal to the number of function call parts of \
                 the function call turn.",
            ));
        }
        for (call, response) in asked.iter().zip(&responses) {
            let ids_differ = response.get("id").is_some_and(|id| call.get("id").is_some_and(|wanted| wanted != id));
            if call["name"] != response["name"] || ids_differ {
                return Err(Refusal::invalid(
                    "Please ensure that the function response parts name the function call parts of the function call turn, in \
                     the same order.",
                ));
            }
        }
    }
    if contents.first().is_some_and(is_model) {
        return Err(Refusal::invalid("Please ensure that multiturn requests start with a user turn."));
    }
    if contents.last().is_some_and(is_model) {
        return Err(Refusal::invalid(
            "Please ensure that multiturn requests end with a user role or a function response.",
        ));
    }
    Ok(())
}

fn signatures(state: &State, model: &Model, contents: &[Value]) -> Result<(), Refusal> {
    let start = turn_start(contents);
    let mut seen = Vec::new();
    for (at, content) in contents.iter().enumerate() {
        let of_user = content["role"] != "model";
        for part in list(&content["parts"]) {
            let Some(signature) = part.get("thoughtSignature").and_then(Value::as_str) else { continue };
            let signature = &*standard(signature);
            if of_user || (model.is_three() && !is_right(state, model, part, signature)) {
                return Err(Refusal::invalid("Corrupted thought signature."));
            }
            if !PLACEHOLDERS.contains(&signature) {
                if seen.iter().any(|other| other == signature) {
                    return Err(Refusal::invalid("Corrupted thought signature."));
                }
                seen.push(signature.to_owned());
            }
        }
        if !model.is_three() || at < start || !has(content, "functionCall") {
            continue;
        }
        let first = list(&content["parts"]).iter().find(|part| part.get("functionCall").is_some()).expect("it has one");
        if first.get("thoughtSignature").is_none() {
            let name = text(&first["functionCall"]["name"]);
            return Err(Refusal::invalid(format!(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work \
                 correctly, and missing thought_signature may lead to degraded model performance. Additional data, function \
                 call `default_api:{name}`, position {}. Please refer to \
                 https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
                at + 1
            )));
        }
    }
    Ok(())
}

/// A field of bytes may come in either alphabet of base64; google-genai for Python uses the other one than Google.
fn standard(signature: &str) -> Cow<'_, str> {
    match PLACEHOLDERS.contains(&signature) {
        true => Cow::Borrowed(signature),
        false => Cow::Owned(signature.replace('-', "+").replace('_', "/")),
    }
}

/// Whether that signature was given out for this very part, or is a placeholder where one may stand.
fn is_right(state: &State, model: &Model, part: &Value, signature: &str) -> bool {
    let call = part.get("functionCall");
    if PLACEHOLDERS.contains(&signature) {
        // Models that make pictures want signatures on texts and pictures as well.
        return call.is_some() || model.id.contains("-image");
    }
    let Some(issued) = state.issued.get(signature) else { return false };
    let same = match (&issued.call, call) {
        (Some((name, given)), Some(call)) => *name == text(&call["name"]) && *given == args(call),
        (None, None) => true,
        _ => false,
    };
    same && issued.family == model.family()
}
