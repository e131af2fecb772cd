//! Calls in the history, in every spelling, with the signatures clients carry (docs/thinking.md "Signatures in chat").

use crate::api::openai::extra_content::{extra_content, plausible, within};
use crate::api::params::{Object, take, take_any, take_list, take_object, take_text};
use crate::conversation::arguments;
use crate::conversation::history::{Call, ModelTurn, Said};
use crate::conversation::signatures::split_id;
use serde_json::{Value, json};

/// Reads one of `tool_calls`.
pub(super) fn read(mut call: Object, turn: &mut ModelTurn) {
    let raw_id = take_text(&mut call, "id").filter(|id| !id.is_empty());
    let (id, in_id) = match raw_id.map(split_id) {
        Some((id, signature)) => (Some(id), signature),
        None => (None, None),
    };
    let mut function = take_object(&mut call, "function");
    let custom = take_object(&mut call, "custom");
    let own = extra_content(&mut call)
        .or_else(|| function.as_mut().and_then(extra_content))
        .or_else(|| take_any(&mut call, &["thought_signature", "thoughtSignature"]).and_then(plausible))
        .or_else(|| take_object(&mut call, "provider_specific_fields").and_then(|mut fields| within(&mut fields)))
        .or_else(|| {
            let fields = function.as_mut().and_then(|function| take_object(function, "provider_specific_fields"));
            fields.and_then(|mut fields| within(&mut fields))
        })
        .or(in_id);
    let (name, args) = match (function, custom) {
        (Some(mut function), _) => {
            (take_text(&mut function, "name"), arguments::from_client(take(&mut function, "arguments")))
        }
        (None, Some(mut custom)) => {
            let input = take_text(&mut custom, "input").unwrap_or_default();
            (take_text(&mut custom, "name"), json!({ "input": input }))
        }
        (None, None) => (None, json!({})),
    };
    match name.filter(|name| !name.is_empty()) {
        Some(name) => turn.said.push(Said::Call(Call { id, name, args, signature: own, ..Call::default() })),
        None => turn.nameless.extend(id),
    }
}

/// Reads `function_call`; its result is the next `function` message.
pub(super) fn read_legacy(mut call: Object, turn: &mut ModelTurn) {
    let signature = extra_content(&mut call);
    if let Some(name) = take_text(&mut call, "name").filter(|name| !name.is_empty()) {
        let args = arguments::from_client(take(&mut call, "arguments"));
        turn.said.push(Said::Call(Call { name, args, signature, ..Call::default() }));
    }
}

/// Puts OpenRouter's `reasoning_details` that hold Google's signatures to the calls they name.
pub(super) fn sign(details: Vec<Value>, turn: &mut ModelTurn) {
    for detail in details {
        let is_googles = detail["format"].as_str().is_some_and(|format| format.starts_with("google"));
        let Some(signature) = plausible(detail["data"].clone()).filter(|_| is_googles) else { continue };
        let signed = turn.calls_mut().find(|call| call.id.is_some() && call.id.as_deref() == detail["id"].as_str());
        match signed {
            Some(call) => _ = call.signature.get_or_insert(signature),
            None => turn.signatures.push(signature),
        }
    }
}

/// Signatures that belong to the message as a whole, in the order they are looked for.
pub(super) fn of_message(message: &mut Object) -> Vec<String> {
    let mut found: Vec<String> = extra_content(message).into_iter().collect();
    if let Some(mut fields) = take_object(message, "provider_specific_fields") {
        let list = take_list(&mut fields, "thought_signatures").unwrap_or_default();
        found.extend(list.into_iter().filter_map(plausible));
    }
    found
}
