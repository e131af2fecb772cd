//! Results of tools brought to their calls (openai_chat.md 1.5): clients lose, double, reorder and rename them.

use crate::api::openai_chat::request::messages::Item;
use crate::gemini::Part;
use std::collections::{HashMap, HashSet};

/// Calls of one id in one message; results are handed to them in order.
struct Open {
    item: usize,
    calls: Vec<usize>,
    next: usize,
}

/// Gives every result to its call: the nearest one before it with that id, or one in the message that follows at once.
/// What no call wants becomes text of the user.
pub(crate) fn match_results(items: &mut [Item], gemini3: bool) {
    let mut by_id: HashMap<String, Open> = HashMap::new();
    let mut by_name: HashMap<String, Open> = HashMap::new();
    let mut nameless: Option<Open> = None;
    let mut skipped: HashSet<String> = HashSet::new();
    let mut waiting: Vec<usize> = Vec::new();
    for index in 0..items.len() {
        match &items[index] {
            Item::Result(outcome) => {
                let open = match (&outcome.id, &outcome.name) {
                    (Some(id), _) if skipped.contains(id) => {
                        items[index] = Item::Gone;
                        continue;
                    }
                    (Some(id), _) => by_id.get_mut(id),
                    (None, Some(name)) => by_name.get_mut(name),
                    (None, None) => None,
                };
                match open.or(nameless.as_mut()) {
                    Some(open) => hand_over(items, index, open),
                    None => waiting.push(index),
                }
            }
            Item::Model(model) => {
                if !model.calls.is_empty() {
                    by_name.clear();
                    nameless = None;
                }
                for (position, call) in model.calls.iter().enumerate() {
                    let open = || Open { item: index, calls: Vec::new(), next: 0 };
                    if let Some(id) = &call.id {
                        let entry = by_id.entry(id.clone()).or_insert_with(open);
                        if entry.item != index {
                            *entry = open();
                        }
                        entry.calls.push(position);
                        skipped.remove(id);
                    } else {
                        nameless.get_or_insert_with(open).calls.push(position);
                    }
                    by_name.entry(call.client.clone()).or_insert_with(open).calls.push(position);
                }
                skipped.extend(model.skipped.iter().cloned());
                for early in std::mem::take(&mut waiting) {
                    let Item::Result(outcome) = &items[early] else { continue };
                    match outcome.id.as_ref().and_then(|id| by_id.get_mut(id)).filter(|open| open.item == index) {
                        Some(open) => hand_over(items, early, open),
                        None => orphan(&mut items[early]),
                    }
                }
            }
            Item::Gone => {}
            Item::System(_) | Item::User(_) => {
                for early in std::mem::take(&mut waiting) {
                    orphan(&mut items[early]);
                }
            }
        }
    }
    for early in waiting {
        orphan(&mut items[early]);
    }
    if gemini3 {
        give_ids(items);
    }
}

/// Moves a result to the next call that has none; a further one replaces the last.
fn hand_over(items: &mut [Item], index: usize, open: &mut Open) {
    let Item::Result(outcome) = std::mem::replace(&mut items[index], Item::Gone) else {
        return;
    };
    let position = open.calls[open.next.min(open.calls.len() - 1)];
    open.next += 1;
    if let Item::Model(model) = &mut items[open.item] {
        model.calls[position].outcome = Some(outcome);
    }
}

fn orphan(item: &mut Item) {
    if let Item::Result(outcome) = std::mem::replace(item, Item::Gone) {
        let name = outcome.name.or(outcome.id).unwrap_or_else(|| "unknown_function".into());
        let mut parts = vec![Part::text(format!("[tool result for {name}]: {}", outcome.text))];
        parts.extend(outcome.media);
        *item = Item::User(parts);
    }
}

/// Gemini 3 pairs calls and results by id, so within one turn every id must be there once.
fn give_ids(items: &mut [Item]) {
    let mut seen = HashSet::new();
    for item in items {
        let model = match item {
            Item::Model(model) => model,
            // Hoisted: messages before and after it are one turn.
            Item::System(_) => continue,
            _ => {
                seen.clear();
                continue;
            }
        };
        if !model.parts.is_empty() {
            seen.clear();
        }
        for call in &mut model.calls {
            if call.id.as_ref().is_some_and(|id| seen.insert(id.clone())) {
                continue;
            }
            // The same history must give the same request, or nothing is ever cached.
            let mut fresh = (seen.len()..).map(|number| format!("call_{number}_{}", call.google));
            call.id = fresh.find(|id| seen.insert(id.clone()));
        }
    }
}
