//! A history made into Google's turns: where system messages go, same roles joined, results directly behind their calls,
//! the user first and last, signatures where Google checks them.

use super::history::{Call, Entry, ModelTurn, Said};
use super::names::Names;
use super::pairing;
use super::signatures::Signatures;
use crate::config::MidSystem;
use crate::gemini::models::Model;
use crate::gemini::signatures::sign_first_calls;
use crate::gemini::thinking::Control;
use crate::gemini::{Content, FunctionCall, FunctionResponse, Part};
use serde_json::json;

/// The answer to a call whose result the client does not have.
const NO_RESULT: &str = "No result was recorded for this call.";
/// Stands where Google wants a turn and the client said nothing.
const BLANK: &str = " ";

/// What a history becomes.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// For `systemInstruction`; texts only.
    pub system: Vec<Part>,
    /// For `contents`.
    pub contents: Vec<Content>,
}

/// What the rules depend on.
pub(super) struct Rules<'a> {
    pub model: &'a Model,
    pub names: &'a Names,
    pub signatures: &'a Signatures,
    pub mid_system: MidSystem,
    pub continue_text: &'a str,
    /// What Google's own tools did is wanted back.
    pub circulates: bool,
}

impl Rules<'_> {
    /// Applies all rules in their order.
    pub(super) fn turns(&self, mut entries: Vec<Entry>) -> Turns {
        let gemini3 = self.model.gemini3;
        let mut question = String::new();
        let turns = entries.iter().filter_map(|entry| match entry {
            Entry::Model(turn) => Some(turn),
            _ => None,
        });
        self.signatures.fetch(turns.flat_map(|turn| turn.calls()));
        for entry in &mut entries {
            match entry {
                Entry::Model(turn) => {
                    self.signatures.sign(turn);
                    if self.circulates {
                        self.signatures.restore_invoked(&question, turn);
                    }
                }
                Entry::User(parts) if self.circulates => question = texts(parts),
                _ => {}
            }
        }
        place_systems(&mut entries, self.mid_system);
        pairing::match_results(&mut entries);
        if gemini3 {
            pairing::give_ids(&mut entries, self.names);
        }
        let mut turns = self.assemble(entries);
        finish(&mut turns.contents, self.continue_text);
        if gemini3 {
            sign_first_calls(&mut turns.contents);
        } else if self.model.is_of("gemma-") || self.model.thinking == Control::None && !self.model.image_output {
            for part in turns.contents.iter_mut().flat_map(|turn| &mut turn.parts) {
                part.thought_signature = None;
            }
        }
        turns
    }

    /// Puts the turns together.
    fn assemble(&self, entries: Vec<Entry>) -> Turns {
        let mut turns = Turns::default();
        let mut front = Vec::new();
        let mut results = Vec::new();
        for entry in entries {
            match entry {
                Entry::System(parts) => {
                    let (texts, media): (Vec<Part>, Vec<Part>) =
                        parts.into_iter().partition(|part| part.text.is_some());
                    turns.system.extend(texts);
                    front.extend(media);
                }
                Entry::User(parts) => {
                    push(&mut turns.contents, "user", std::mem::take(&mut results));
                    push(&mut turns.contents, "user", parts);
                }
                Entry::Model(turn) => self.model_turn(turn, &mut turns.contents, &mut results),
                Entry::Result(_) | Entry::Nothing => push(&mut turns.contents, "user", std::mem::take(&mut results)),
            }
        }
        push(&mut turns.contents, "user", results);
        if !front.is_empty() {
            say_first(&mut turns.contents, front);
        }
        turns
    }

    fn model_turn(&self, turn: ModelTurn, contents: &mut Vec<Content>, results: &mut Vec<Part>) {
        // Nothing but calls may stand between a call and its result.
        if turn.has_parts() {
            push(contents, "user", std::mem::take(results));
        }
        let mut media = Vec::new();
        for said in turn.said {
            match said {
                Said::Part(part) => push(contents, "model", vec![*part]),
                Said::Call(call) => {
                    let (part, response) = self.pair(call, &mut media);
                    push(contents, "model", vec![part]);
                    results.push(response);
                }
                Said::Signature(_) => {}
            }
        }
        results.extend(media);
    }

    /// A call and its result as parts. Before Gemini 3 media of a result cannot stand in it and goes to `media`.
    fn pair(&self, call: Call, media: &mut Vec<Part>) -> (Part, Part) {
        let gemini3 = self.model.gemini3;
        let (name, id) = (self.names.to_google(&call.name).into_owned(), call.id.filter(|_| gemini3));
        let mut response = FunctionResponse { name: name.clone(), id: id.clone(), ..FunctionResponse::default() };
        match call.outcome {
            Some(outcome) => {
                response.response = Some(match outcome.is_error {
                    true => json!({ "error": outcome.text }),
                    false => json!({ "output": outcome.text }),
                });
                match gemini3 {
                    true => response.parts = outcome.media,
                    false => media.extend(outcome.media),
                }
            }
            None => response.response = Some(json!({ "error": NO_RESULT })),
        }
        let function_call = FunctionCall { name, args: Some(call.args), id, ..FunctionCall::default() };
        (
            Part { function_call: Some(Box::new(function_call)), thought_signature: call.signature, ..Part::default() },
            Part { function_response: Some(Box::new(response)), ..Part::default() },
        )
    }
}

/// Decides which system messages go to the system instruction: those stay `System`. Others become user text in place.
fn place_systems(entries: &mut [Entry], mid_system: MidSystem) {
    let is_other = |entry: &Entry| !matches!(entry, Entry::System(_));
    let Some(first) = entries.iter().position(is_other) else {
        // Only system messages: the last one that says something is what is asked.
        let spoken = |entry: &&mut Entry| matches!(entry, Entry::System(parts) if !parts.is_empty());
        if let Some(last) = entries.iter_mut().rev().find(spoken)
            && let Entry::System(parts) = std::mem::replace(last, Entry::Nothing)
        {
            *last = Entry::User(parts);
        }
        return;
    };
    let last = entries.iter().rposition(is_other).unwrap_or(first);
    let mut after_result = false;
    for (index, entry) in entries.iter_mut().enumerate().skip(first) {
        let Entry::System(parts) = entry else {
            after_result = matches!(entry, Entry::Result(_));
            continue;
        };
        // A reminder in the middle of a run: moving it to the front would change the cached prefix and its meaning.
        if mid_system == MidSystem::InPlace || index > last || after_result {
            *entry = Entry::User(in_place(std::mem::take(parts)));
        }
    }
}

fn in_place(parts: Vec<Part>) -> Vec<Part> {
    let (texts, media): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(|part| part.text.is_some());
    let text = texts.into_iter().filter_map(|part| part.text).collect::<Vec<_>>().join("\n");
    let marked = (!text.is_empty()).then(|| Part::text(format!("<system>{text}</system>")));
    media.into_iter().chain(marked).collect()
}

/// All that is said in some parts.
fn texts(parts: &[Part]) -> String {
    parts.iter().filter_map(|part| part.text.as_deref()).collect()
}

/// What the user said last, as the memory of Google's own tools knows it.
pub(super) fn question(history: &[Entry]) -> String {
    let said = history.iter().rev().find_map(|entry| match entry {
        Entry::User(parts) => Some(texts(parts)),
        _ => None,
    });
    said.unwrap_or_default()
}

/// Says what the operator says as the user, before anything else.
pub(super) fn say_first(contents: &mut Vec<Content>, mut texts: Vec<Part>) {
    match contents.first_mut().filter(|turn| turn.role.as_deref() == Some("user")) {
        Some(turn) => {
            texts.append(&mut turn.parts);
            turn.parts = texts;
        }
        None => contents.insert(0, Content::new("user", texts)),
    }
}

fn push(turns: &mut Vec<Content>, role: &str, mut parts: Vec<Part>) {
    if parts.is_empty() {
        return;
    }
    match turns.last_mut().filter(|last| last.role.as_deref() == Some(role)) {
        Some(last) => last.parts.append(&mut parts),
        None => turns.push(Content::new(role, parts)),
    }
}

/// The first and the last turn must be the user's.
fn finish(turns: &mut Vec<Content>, continue_text: &str) {
    let is_model = |turn: Option<&Content>| turn.is_none_or(|turn| turn.role.as_deref() == Some("model"));
    if is_model(turns.first()) {
        turns.insert(0, Content::new("user", vec![Part::text(BLANK)]));
    }
    if is_model(turns.last()) {
        turns.push(Content::new("user", vec![Part::text(continue_text)]));
    }
}
