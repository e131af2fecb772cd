//! Changes to a request that Google refused for what clients cannot know: thought signatures and schemas. Each is made
//! at most once per request; `false` means there was nothing to change, so a repeat would be refused again.

use crate::api::Call;
use crate::gemini::{Content, Part, schema, signatures, was_here};
use serde_json::Value;

/// Takes every real thought signature out, for the model that serves. The first function call of each model turn gets the placeholder instead,
/// except for models before Gemini 3, which need none (docs/thinking.md "Signature rules of Gemini", docs/thinking.md
/// "Fallback when a signature is missing").
pub(super) fn remove_signatures(call: &mut Call, serves: &str) -> bool {
    let placeholder = needs_signatures(serves).then_some(signatures::PLACEHOLDER);
    let mut changed = false;
    for content in &mut call.request.contents {
        // What Google's own tools did is of no worth without its signatures.
        let count = content.parts.len();
        content.parts.retain(|part| !part.is_of_googles_tool());
        changed |= content.parts.len() != count;
        let mut first = content.role.as_deref() == Some("model");
        for part in &mut content.parts {
            let wanted = if part.function_call.is_some() && std::mem::take(&mut first) { placeholder } else { None };
            if part.thought_signature.as_deref() != wanted {
                part.thought_signature = wanted.map(str::to_string);
                changed = true;
            }
        }
        // A text part that only carried its signature says nothing now, and some models refuse empty text.
        if content.parts.iter().any(|part| !is_empty_text(part)) {
            content.parts.retain(|part| !is_empty_text(part));
        }
    }
    changed
}

/// Asks for thinking as the other generation of models wants to be asked: Google may serve a name with another model than
/// it says (docs/gemini-4.md "Names of models"). A budget becomes a level, the rarer levels their neighbours, and the other
/// levels what the model does by itself.
pub(super) fn rethink(call: &mut Call) -> bool {
    let config = call.request.generation_config.as_mut().and_then(|config| config.thinking_config.as_mut());
    let Some(config) = config else { return false };
    let (budget, level) = (config.thinking_budget.take(), config.thinking_level.take());
    config.thinking_level = match (budget, level.as_deref()) {
        (Some(0..=1024), _) | (None, Some("MINIMAL")) => Some("LOW".to_owned()),
        (Some(1025..=8192), _) => Some("MEDIUM".to_owned()),
        (Some(8193..), _) | (None, Some("XHIGH")) => Some("HIGH".to_owned()),
        _ => None,
    };
    budget.is_some() || level.is_some()
}

/// Says nothing of thinking, for a model that wants to hear nothing of it.
pub(super) fn unthink(call: &mut Call) -> bool {
    let config = call.request.generation_config.as_mut();
    config.is_some_and(|config| config.thinking_config.take().is_some())
}

/// Puts the placeholder on every part of a model turn that could have had a signature and has none: the first call, texts,
/// pictures. For models that miss more than a call's (docs/thinking.md "Fallback when a signature is missing").
pub(super) fn sign(call: &mut Call) -> bool {
    let mut changed = false;
    for part in unsigned(call) {
        part.thought_signature = Some(signatures::PLACEHOLDER.into());
        changed = true;
    }
    changed
}

/// Takes out every placeholder, for a model that takes none.
pub(super) fn strip(call: &mut Call) -> bool {
    let parts = call.request.contents.iter_mut().flat_map(|content| &mut content.parts);
    parts.filter_map(|part| part.thought_signature.take()).count() > 0
}

/// Puts a sentence in the place of what Google's `message` does not take, in what was said before the last answer: there
/// nobody can change it any more, and the conversation must go on.
pub(super) fn shed(call: &mut Call, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let answered = call.request.contents.iter().rposition(|content| content.role.as_deref() == Some("model"));
    let older = call.request.contents.iter_mut().take(answered.map_or(0, |last| last + 1));
    let mut changed = false;
    for part in older.flat_map(|content| &mut content.parts) {
        let mime = part.inline_data.as_ref().map(|data| data.mime_type.to_ascii_lowercase()).unwrap_or_default();
        let is_of = |family: &&str| mime.starts_with(*family) && message.contains(*family);
        let is_unread = message.contains("process input") && ["image", "audio", "video"].iter().any(is_of);
        // Either its type is named, or its kind could not be read.
        if is_unread || !mime.is_empty() && message.contains(&mime) {
            *part = Part::text(was_here(&mime));
            changed = true;
        }
    }
    changed
}

/// Says the system instruction as the user, before anything else.
pub(super) fn lead(call: &mut Call) -> bool {
    let Some(system) = call.request.system_instruction.take() else { return false };
    let contents = &mut call.request.contents;
    match contents.first_mut().filter(|turn| turn.role.as_deref() != Some("model")) {
        Some(turn) => drop(turn.parts.splice(..0, system.parts)),
        None => contents.insert(0, Content::new("user", system.parts)),
    }
    true
}

/// Puts the results of calls into one turn that a client gives back in one turn each, as LangChain.js does.
pub(super) fn gather(call: &mut Call) -> bool {
    let contents = &mut call.request.contents;
    let before = contents.len();
    let is_of_results = |turn: &Content| turn.parts.iter().any(|part| part.function_response.is_some());
    contents.dedup_by(|later, turn| {
        let belongs = is_of_results(turn) && is_of_results(later);
        if belongs {
            turn.parts.append(&mut later.parts);
        }
        belongs
    });
    contents.len() < before
}

/// Whether [`sign`] would change anything.
pub(super) fn lacks_signatures(call: &Call) -> bool {
    unsigned(&mut call.clone()).next().is_some()
}

fn unsigned(call: &mut Call) -> impl Iterator<Item = &mut Part> {
    let turns = call.request.contents.iter_mut().filter(|content| content.role.as_deref() == Some("model"));
    turns.flat_map(|content| {
        let mut calls = 0;
        content.parts.iter_mut().filter(move |part| {
            calls += usize::from(part.function_call.is_some());
            let can_have = match part.function_call {
                Some(_) => calls == 1,
                None => part.inline_data.is_some() || part.text.as_deref().is_some_and(|text| !text.is_empty()),
            };
            can_have && part.thought_signature.is_none() && part.thought != Some(true)
        })
    })
}

fn is_empty_text(part: &Part) -> bool {
    part.text.as_deref() == Some("")
        && part.inline_data.is_none()
        && part.file_data.is_none()
        && part.function_call.is_none()
        && part.function_response.is_none()
        && part.other.is_empty()
}

/// Gemini 1 and 2 never ask for signatures; everything else may.
fn needs_signatures(model: &str) -> bool {
    !model.starts_with("gemini-1") && !model.starts_with("gemini-2")
}

/// Leaves only the plainest keywords in the JSON schemas of tools and of the answer, and takes out penalties, which
/// models came to refuse one after another.
pub(super) fn simplify(call: &mut Call) -> bool {
    let mut changed = false;
    let mut plain = |slot: &mut Value| {
        let simpler = schema::minimal(slot.clone());
        changed |= simpler != *slot;
        *slot = simpler;
    };
    for declaration in call.request.tools.iter_mut().flat_map(|tool| &mut tool.function_declarations) {
        declaration.parameters_json_schema.iter_mut().for_each(&mut plain);
    }
    if let Some(config) = &mut call.request.generation_config {
        config.other.get_mut("responseJsonSchema").into_iter().for_each(&mut plain);
        for name in ["presencePenalty", "frequencyPenalty"] {
            changed |= config.other.shift_remove(name).is_some();
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Operation;
    use serde_json::json;

    fn call(model: &str) -> Call {
        let request = json!({"contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [
                {"text": "hm", "thoughtSignature": "AAAA"},
                {"functionCall": {"name": "f"}, "thoughtSignature": "BBBB"},
                {"functionCall": {"name": "g"}, "thoughtSignature": "CCCC"},
                {"text": "", "thoughtSignature": "DDDD"},
            ]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f"}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
            {"role": "model", "parts": [{"text": "", "thoughtSignature": "EEEE"}]},
        ]});
        let request = serde_json::from_value(request).unwrap();
        Call::new(model, Operation::Generate, request)
    }

    #[test]
    fn real_signatures_go_and_each_first_call_gets_the_placeholder() {
        for (model, expected) in [("gemini-3-pro-preview", Some(signatures::PLACEHOLDER)), ("gemini-2.5-pro", None)] {
            let mut call = call(model);
            assert!(remove_signatures(&mut call, model));
            let signatures: Vec<Vec<Option<&str>>> = (call.request.contents.iter())
                .map(|content| content.parts.iter().map(|part| part.thought_signature.as_deref()).collect())
                .collect();
            let found: [&[Option<&str>]; 5] = [&[None], &[None, expected, None], &[None], &[expected], &[None]];
            assert_eq!(signatures, found, "{model}");
            assert!(!remove_signatures(&mut call, model), "{model}: a second time changes nothing");
        }
    }
}
