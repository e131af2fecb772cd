//! Results of tools brought to their calls (docs/openai-chat.md "Results of tools"): clients lose, double, reorder and
//! rename them.

use super::history::{Entry, ModelTurn, Said};
use super::names::Names;
use crate::gemini::Part;
use std::collections::{HashMap, HashSet};

/// Gives every result to its call: the nearest one before it with that id, or one in the message that follows at once.
/// What no call wants becomes text of the user.
pub(super) fn match_results(entries: &mut [Entry]) {
    let mut calls = Calls::default();
    let mut waiting: Vec<usize> = Vec::new();
    for index in 0..entries.len() {
        match &entries[index] {
            Entry::Result(outcome) if outcome.id.as_ref().is_some_and(|id| calls.nameless.contains(id)) => {
                entries[index] = Entry::Nothing;
            }
            Entry::Result(outcome) => match calls.wanting(outcome.id.as_deref(), outcome.name.as_deref()) {
                Some(open) => hand_over(entries, index, open),
                None => waiting.push(index),
            },
            Entry::Model(turn) => {
                calls.open(index, turn);
                for early in waiting.drain(..) {
                    let Entry::Result(outcome) = &entries[early] else { continue };
                    match outcome.id.as_ref().and_then(|id| calls.by_id.get_mut(id)).filter(|open| open.entry == index)
                    {
                        Some(open) => hand_over(entries, early, open),
                        None => orphan(&mut entries[early]),
                    }
                }
            }
            Entry::Nothing => {}
            Entry::System(_) | Entry::User(_) => waiting.drain(..).for_each(|early| orphan(&mut entries[early])),
        }
    }
    waiting.into_iter().for_each(|early| orphan(&mut entries[early]));
}

/// The calls that results may belong to.
#[derive(Default)]
struct Calls {
    by_id: HashMap<String, Open>,
    /// Those of the newest turn with calls.
    by_name: HashMap<String, Open>,
    /// The same, those without an id.
    without_id: Option<Open>,
    /// Ids of calls that were left out.
    nameless: HashSet<String>,
}

/// Calls of one id or name in one entry; results are handed to them in order.
struct Open {
    entry: usize,
    /// Their places in what was said.
    places: Vec<usize>,
    next: usize,
}

impl Calls {
    fn open(&mut self, entry: usize, turn: &ModelTurn) {
        let open = || Open { entry, places: Vec::new(), next: 0 };
        if turn.calls().next().is_some() {
            self.by_name.clear();
            self.without_id = None;
        }
        for (place, said) in turn.said.iter().enumerate() {
            let Said::Call(call) = said else { continue };
            match &call.id {
                Some(id) => {
                    let of_id = self.by_id.entry(id.clone()).or_insert_with(open);
                    if of_id.entry != entry {
                        *of_id = open();
                    }
                    of_id.places.push(place);
                    self.nameless.remove(id);
                }
                None => self.without_id.get_or_insert_with(open).places.push(place),
            }
            self.by_name.entry(call.name.clone()).or_insert_with(open).places.push(place);
        }
        self.nameless.extend(turn.nameless.iter().cloned());
    }

    fn wanting(&mut self, id: Option<&str>, name: Option<&str>) -> Option<&mut Open> {
        let open = match (id, name) {
            (Some(id), _) => self.by_id.get_mut(id),
            (None, Some(name)) => self.by_name.get_mut(name),
            (None, None) => None,
        };
        open.or(self.without_id.as_mut())
    }
}

/// Moves a result to the next call that has none; a further one replaces the last.
fn hand_over(entries: &mut [Entry], index: usize, open: &mut Open) {
    let Entry::Result(outcome) = std::mem::replace(&mut entries[index], Entry::Nothing) else {
        return;
    };
    let place = open.places[open.next.min(open.places.len() - 1)];
    open.next += 1;
    if let Entry::Model(turn) = &mut entries[open.entry]
        && let Said::Call(call) = &mut turn.said[place]
    {
        call.outcome = Some(outcome);
    }
}

fn orphan(entry: &mut Entry) {
    if let Entry::Result(outcome) = std::mem::replace(entry, Entry::Nothing) {
        let name = outcome.name.or(outcome.id).unwrap_or_else(|| "unknown_function".into());
        let mut parts = vec![Part::text(format!("[tool result for {name}]: {}", outcome.text))];
        parts.extend(outcome.media);
        *entry = Entry::User(parts);
    }
}

/// Gemini 3 pairs calls and results by id, so within one turn every id must be there once.
pub(super) fn give_ids(entries: &mut [Entry], names: &Names) {
    let mut seen = HashSet::new();
    for entry in entries {
        let turn = match entry {
            Entry::Model(turn) => turn,
            // Hoisted: messages before and after it are one turn.
            Entry::System(_) => continue,
            _ => {
                seen.clear();
                continue;
            }
        };
        if turn.has_parts() {
            seen.clear();
        }
        for call in turn.calls_mut() {
            if call.id.as_ref().is_some_and(|id| seen.insert(id.clone())) {
                continue;
            }
            // The same history must give the same request, or nothing is ever cached.
            let mut fresh = (seen.len()..).map(|number| format!("call_{number}_{}", names.to_google(&call.name)));
            call.id = fresh.find(|id| seen.insert(id.clone()));
        }
    }
}
