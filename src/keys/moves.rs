//! Moving in: the keys of the page that stand in a state file, and the registry that replicas share.

use super::kept::Kept;
use super::{Change, Expected, Key, Outcome, edit};
use crate::storage::state::Section;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// How many names are tried for a key whose name others have.
const TRIES: usize = 20;
/// Keys that are written with one question.
const PIECE: usize = 500;

/// What came of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BroughtKeys {
    /// New in the store.
    pub added: usize,
    /// Those of them that have another name there, since theirs was taken.
    pub renamed: usize,
    /// In the store already, or another key with the same id.
    pub known: usize,
    /// Those that cannot be read, or found no name.
    pub left: usize,
}

/// Brings the keys of a state file's section to those that are there (ids and texts); what is there stays as it is. `write`
/// is asked for each piece of changes and says what came of each; a dry run is one that does nothing and says so.
pub fn bring(
    section: &Section,
    there: &[(String, String)],
    write: impl Fn(&[Change]) -> Result<Vec<Outcome>, String>,
) -> Result<BroughtKeys, String> {
    let mut brought = BroughtKeys::default();
    let there: HashMap<&str, Option<Key>> =
        there.iter().map(|(id, text)| (id.as_str(), edit::read(text, None))).collect();
    let mut waiting = Vec::new();
    for text in Kept::read(section).keys {
        let Some(key) = edit::read(text, None) else {
            brought.left += 1;
            continue;
        };
        match there.get(key.id().as_str()) {
            Some(Some(known)) if known.digest == key.digest => brought.known += 1,
            // Half of a digest is the same once in billions of times.
            Some(_) => brought.left += 1,
            None => waiting.push((key, text.to_owned())),
        }
    }
    for piece in waiting.chunks(PIECE) {
        let mut left: Vec<(Change, &str)> = piece.iter().map(|(key, text)| (change(key, text), &*key.name)).collect();
        for number in 2..TRIES {
            let changes: Vec<Change> = left.iter().map(|(change, _)| change.clone()).collect();
            let mut again = Vec::new();
            for (outcome, (mut change, wanted)) in write(&changes)?.into_iter().zip(left) {
                match outcome {
                    Outcome::Done => {
                        brought.added += 1;
                        brought.renamed += usize::from(change.name != wanted);
                    }
                    Outcome::NameTaken => {
                        rename(&mut change, format!("{wanted} ({number})"));
                        again.push((change, wanted));
                    }
                    Outcome::Exists | Outcome::Changed | Outcome::Gone => brought.known += 1,
                }
            }
            left = again;
            if left.is_empty() {
                break;
            }
        }
        brought.left += left.len();
    }
    Ok(brought)
}

/// With all that stands in the text, also what this version does not know.
fn change(key: &Key, text: &str) -> Change {
    Change { id: key.id(), expected: Expected::New, name: key.name.to_string(), text: text.to_owned() }
}

fn rename(change: &mut Change, name: String) {
    let mut fields: Map<String, Value> = serde_json::from_str(&change.text).unwrap_or_default();
    fields.insert("name".into(), Value::from(name.as_str()));
    change.text = Value::Object(fields).to_string();
    change.name = name;
}
