//! The conversation: roles, system messages, tool calls and their results made into Google's turns (openai_chat.md 1.2,
//! 1.4 to 1.6) with the signatures that belong to them (thinking_and_signatures.md 4 to 6).

use super::pairing;
use crate::api::openai::content::Reader;
use crate::api::openai_chat::request::messages::{self as history, Call, Item, Model};
use crate::api::params::shorten;
use crate::api::params::{Object, take, take_list, take_object, take_text, wrong_type};
use crate::api::{Context, MidSystem};
use crate::conversation::names::Names;
use crate::error::ApiError;
use crate::gemini::models::Model as ModelEntry;
use crate::gemini::signatures::{self, PLACEHOLDER};
use crate::gemini::thinking::Control;
use crate::gemini::{Content, FunctionCall, FunctionResponse, Part};
use serde_json::{Value, json};
use std::collections::HashSet;

/// The answer to a call whose result the client does not have.
const NO_RESULT: &str = "No result was recorded for this call.";
/// Stands where Google wants a turn and the client said nothing.
const BLANK: &str = " ";

/// What the messages become.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    /// For `systemInstruction`; texts only.
    pub system: Vec<Part>,
    /// For `contents`.
    pub turns: Vec<Content>,
}

/// Takes the messages out of the request.
pub(crate) fn read(
    messages: Option<Value>,
    model: &ModelEntry,
    names: &Names,
    marker: Option<&str>,
    reader: &mut Reader<'_>,
    context: &Context<'_>,
) -> Result<Conversation, ApiError> {
    let list = match messages {
        None => {
            let message = "Missing required parameter: 'messages'.";
            return Err(ApiError::invalid("messages", "missing_required_parameter", message));
        }
        Some(Value::Array(list)) if list.is_empty() => {
            let message = "Invalid 'messages': empty array. Expected an array with at least one message.";
            return Err(ApiError::invalid("messages", "empty_array", message));
        }
        Some(Value::Array(list)) => list,
        Some(other) => return Err(wrong_type("messages", "an array of messages", &other)),
    };
    let family = signatures::family(&model.name);
    let signing = Signing { context, family, gemini3: model.gemini3 };
    let mut roles = Vec::with_capacity(list.len());
    let mut items = Vec::with_capacity(list.len());
    for (index, message) in list.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        let Value::Object(message) = message else {
            return Err(wrong_type(path, "an object", &message));
        };
        let (role, item) = read_message(message, &path, names, marker, reader, &signing)?;
        roles.push(role);
        items.push(item);
    }
    place_systems(&mut items, &roles, context.settings.mid_system);
    pairing::match_results(&mut items, model.gemini3);
    let mut conversation = assemble(items, model.gemini3);
    finish(&mut conversation, &context.settings.continue_text);
    if model.gemini3 {
        put_placeholders(&mut conversation.turns);
    } else if model.thinking == Control::None && !model.image_output {
        for part in conversation.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
            part.thought_signature = None;
        }
    }
    Ok(conversation)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    System,
    User,
    Assistant,
    Result,
}

fn read_message(
    mut message: Object,
    path: &str,
    names: &Names,
    marker: Option<&str>,
    reader: &mut Reader<'_>,
    signing: &Signing<'_>,
) -> Result<(Role, Item), ApiError> {
    let role = match take(&mut message, "role") {
        Some(Value::String(role)) => role,
        Some(other) => return Err(wrong_type(format!("{path}.role"), "a string", &other)),
        None => {
            let param = format!("{path}.role");
            let text = format!("Missing required parameter: '{param}'.");
            return Err(ApiError::invalid(param, "missing_required_parameter", text));
        }
    };
    let content = take(&mut message, "content").unwrap_or_default();
    Ok(match role.as_str() {
        "system" | "developer" => (Role::System, Item::System(reader.parts(content, path)?)),
        "user" => (Role::User, Item::User(reader.parts(content, path)?)),
        "assistant" => {
            (Role::Assistant, Item::Model(read_model(message, content, path, names, marker, reader, signing)?))
        }
        "tool" | "function" => (Role::Result, Item::Result(history::outcome(message, content, path, reader)?)),
        _ => {
            return Err(ApiError::invalid(
                format!("{path}.role"),
                "invalid_value",
                format!(
                    "Invalid value: '{}'. Supported values are: 'system', 'developer', 'user', 'assistant', 'tool' and \
                     'function'.",
                    shorten(&role)
                ),
            ));
        }
    })
}

/// Where signatures of earlier calls are looked for.
struct Signing<'a> {
    context: &'a Context<'a>,
    family: &'a str,
    gemini3: bool,
}

impl Signing<'_> {
    fn cached(&self, id: &str) -> Option<String> {
        // Older models do not check signatures; what the client gives back is enough for them.
        self.gemini3.then(|| self.context.signatures.get(self.context.key_name, id, self.family)).flatten()
    }
}

fn read_model(
    mut message: Object,
    content: Value,
    path: &str,
    names: &Names,
    marker: Option<&str>,
    reader: &mut Reader<'_>,
    signing: &Signing<'_>,
) -> Result<Model, ApiError> {
    let mut parts = Vec::new();
    for mut part in reader.parts(content, path)? {
        match part.text.take() {
            Some(text) => history::assistant_text(text, marker.filter(|_| parts.is_empty()), reader, &mut parts),
            None => parts.push(part),
        }
    }
    if parts.is_empty() {
        parts.extend(take_text(&mut message, "refusal").filter(|text| !text.is_empty()).map(Part::text));
    }
    for image in take_list(&mut message, "images").into_iter().flatten() {
        parts.extend(history::image(image, reader));
    }

    let common = history::message_signatures(&mut message);
    let mut model = Model { parts, calls: Vec::new(), skipped: Vec::new() };
    let calls = take_list(&mut message, "tool_calls").filter(|calls| !calls.is_empty());
    let legacy = take_object(&mut message, "function_call");
    match (calls, legacy) {
        (Some(calls), _) => {
            for call in calls {
                if let Value::Object(call) = call {
                    history::call(call, names, &mut model);
                }
            }
        }
        (None, Some(call)) => history::legacy_call(call, names, &mut model),
        (None, None) => {}
    }
    // Some clients copy one signature to every place they know; Google takes it for corrupted on a second part.
    let mut seen = HashSet::new();
    for call in &mut model.calls {
        call.signature = call.signature.take().filter(|signature| seen.insert(signature.clone()));
    }
    let mut common = common.into_iter().filter(|signature| seen.insert(signature.clone()));
    if let Some(first) = model.calls.first_mut().filter(|first| first.signature.is_none()) {
        first.signature = common.next();
    }
    for call in model.calls.iter_mut().filter(|call| call.signature.is_none()) {
        call.signature = call.id.as_deref().and_then(|id| signing.cached(id));
    }
    if let Some(part) = model.parts.iter_mut().rev().find(|part| part.text.is_some()) {
        part.thought_signature = common.next();
    }
    Ok(model)
}

/// Decides which system messages go to the system instruction: those stay `System`. Others become user text in place.
fn place_systems(items: &mut [Item], roles: &[Role], mid_system: MidSystem) {
    let Some(first) = roles.iter().position(|role| *role != Role::System) else {
        // Only system messages: the last one that says something is what is asked.
        let spoken = |item: &&mut Item| matches!(item, Item::System(parts) if !parts.is_empty());
        if let Some(last) = items.iter_mut().rev().find(spoken)
            && let Item::System(parts) = std::mem::replace(last, Item::Gone)
        {
            *last = Item::User(parts);
        }
        return;
    };
    let last = roles.iter().rposition(|role| *role != Role::System).unwrap_or(first);
    let mut after_result = false;
    for index in first..items.len() {
        if roles[index] != Role::System {
            after_result = roles[index] == Role::Result;
            continue;
        }
        // A reminder in the middle of a run: moving it to the front would change the cached prefix and its meaning.
        let stays = mid_system == MidSystem::InPlace || index > last || after_result;
        if stays && let Item::System(parts) = std::mem::replace(&mut items[index], Item::Gone) {
            items[index] = Item::User(in_place(parts));
        }
    }
}

fn in_place(parts: Vec<Part>) -> Vec<Part> {
    let (texts, media): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(|part| part.text.is_some());
    let text = texts.into_iter().filter_map(|part| part.text).collect::<Vec<_>>().join("\n");
    let marked = (!text.is_empty()).then(|| Part::text(format!("<system>{text}</system>")));
    media.into_iter().chain(marked).collect()
}

/// Puts the turns together: same roles joined, results directly behind their calls.
fn assemble(items: Vec<Item>, gemini3: bool) -> Conversation {
    let mut conversation = Conversation::default();
    let mut front = Vec::new();
    let mut results = Vec::new();
    for item in items {
        match item {
            Item::System(parts) => {
                let (texts, media): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(|part| part.text.is_some());
                conversation.system.extend(texts);
                front.extend(media);
            }
            Item::User(parts) => {
                push(&mut conversation.turns, "user", std::mem::take(&mut results));
                push(&mut conversation.turns, "user", parts);
            }
            Item::Model(model) => {
                // Nothing but calls may stand between a call and its result.
                if !model.parts.is_empty() {
                    push(&mut conversation.turns, "user", std::mem::take(&mut results));
                }
                push(&mut conversation.turns, "model", model.parts);
                let mut media = Vec::new();
                for call in model.calls {
                    let (part, response) = pair(call, gemini3, &mut media);
                    push(&mut conversation.turns, "model", vec![part]);
                    results.push(response);
                }
                results.extend(media);
            }
            Item::Result(_) | Item::Gone => push(&mut conversation.turns, "user", std::mem::take(&mut results)),
        }
    }
    push(&mut conversation.turns, "user", results);
    if !front.is_empty() {
        match conversation.turns.first_mut().filter(|turn| turn.role.as_deref() == Some("user")) {
            Some(turn) => {
                front.append(&mut turn.parts);
                turn.parts = front;
            }
            None => conversation.turns.insert(0, turn("user", front)),
        }
    }
    conversation
}

/// A call and its result as parts. Before Gemini 3 media of a result cannot stand in it and goes to `media`.
fn pair(call: Call, gemini3: bool, media: &mut Vec<Part>) -> (Part, Part) {
    let id = call.id.filter(|_| gemini3);
    let mut response = FunctionResponse { name: call.google.clone(), id: id.clone(), ..FunctionResponse::default() };
    match call.outcome {
        Some(outcome) => {
            response.response = Some(json!({ "output": outcome.text }));
            match gemini3 {
                true => response.parts = outcome.media,
                false => media.extend(outcome.media),
            }
        }
        None => response.response = Some(json!({ "error": NO_RESULT })),
    }
    let function_call = FunctionCall { name: call.google, args: Some(call.args), id, ..FunctionCall::default() };
    (
        Part { function_call: Some(function_call), thought_signature: call.signature, ..Part::default() },
        Part { function_response: Some(response), ..Part::default() },
    )
}

fn turn(role: &str, parts: Vec<Part>) -> Content {
    Content { role: Some(role.into()), parts, ..Content::default() }
}

fn push(turns: &mut Vec<Content>, role: &str, mut parts: Vec<Part>) {
    if parts.is_empty() {
        return;
    }
    match turns.last_mut().filter(|last| last.role.as_deref() == Some(role)) {
        Some(last) => last.parts.append(&mut parts),
        None => turns.push(turn(role, parts)),
    }
}

/// The first and the last turn must be the user's.
fn finish(conversation: &mut Conversation, continue_text: &str) {
    let turns = &mut conversation.turns;
    let is_model = |turn: Option<&Content>| turn.is_none_or(|turn| turn.role.as_deref() == Some("model"));
    if is_model(turns.first()) {
        turns.insert(0, turn("user", vec![Part::text(BLANK)]));
    }
    if is_model(turns.last()) {
        turns.push(turn("user", vec![Part::text(continue_text)]));
    }
}

/// In the current turn, that is after the newest turn in which the user said something, Gemini 3 refuses a step whose
/// first call has no signature.
fn put_placeholders(turns: &mut [Content]) {
    let says_something = |turn: &Content| {
        turn.role.as_deref() == Some("user") && turn.parts.iter().any(|p| p.function_response.is_none())
    };
    let start = turns.iter().rposition(says_something).unwrap_or(0);
    for turn in turns[start..].iter_mut().filter(|turn| turn.role.as_deref() == Some("model")) {
        if let Some(first) = turn.parts.iter_mut().find(|part| part.function_call.is_some()) {
            first.thought_signature.get_or_insert_with(|| PLACEHOLDER.into());
        }
    }
}
