//! A call that Google sends in pieces, put together (docs/vertex.md "Streamed arguments of function calls"): clients get
//! calls whole, or their arguments as they come.

use super::streamed::Streamed;
use crate::gemini::response::ResponseCall;
use serde::Deserialize;
use serde_json::{Map, Value};

/// What has come of a call.
#[derive(Debug, Default)]
pub(super) struct Partial {
    pub name: String,
    pub id: String,
    pub signature: Option<String>,
    args: Value,
    /// Where the client gets it in pieces, too.
    streamed: Option<Streamed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Piece {
    json_path: String,
    string_value: Option<String>,
    number_value: Option<Value>,
    bool_value: Option<bool>,
}

impl Partial {
    /// Whether the call is a piece of one.
    pub fn is_piece(call: &ResponseCall<'_>) -> bool {
        call.will_continue || call.partial_args.is_some()
    }

    /// For a client that takes pieces and knows the call by `id`.
    pub fn streamed(id: String) -> Partial {
        Partial { id, streamed: Some(Streamed::default()), ..Partial::default() }
    }

    /// The arguments that have come since this was asked; `None`: the client gets the call whole.
    pub fn fresh(&mut self) -> Option<&str> {
        self.streamed.as_mut().map(Streamed::fresh)
    }

    /// What makes those that the client has the `whole` arguments.
    pub fn rest(&mut self, whole: &str) -> Option<&str> {
        self.streamed.as_mut().map(|streamed| streamed.finish(whole))
    }

    pub fn push(&mut self, call: &ResponseCall<'_>, signature: Option<&str>) {
        for (mine, theirs) in [(&mut self.name, &call.name), (&mut self.id, &call.id)] {
            if let Some(theirs) = theirs.as_deref().filter(|text| !text.is_empty() && mine.is_empty()) {
                theirs.clone_into(mine);
            }
        }
        self.signature = signature.map(str::to_owned).or(self.signature.take());
        if let Some(args) = call.args.and_then(|args| serde_json::from_str(args.get()).ok()) {
            self.args = args;
        }
        let pieces: Vec<Piece> =
            call.partial_args.and_then(|pieces| serde_json::from_str(pieces.get()).ok()).unwrap_or_default();
        for Piece { json_path, string_value, number_value, bool_value } in pieces {
            let Some(steps) = steps(&json_path) else { continue };
            let Some(slot) = place(&mut self.args, &steps) else { continue };
            let value = string_value.map(Value::from).or(number_value).or(bool_value.map(Value::from)).into();
            if let Some(streamed) = &mut self.streamed {
                streamed.push(&steps, &value);
            }
            match (slot, value) {
                (Value::String(text), Value::String(more)) => text.push_str(&more),
                (slot, value) => *slot = value,
            }
        }
    }

    /// The arguments as JSON.
    pub fn args(&self) -> String {
        match &self.args {
            Value::Null => "{}".into(),
            args => args.to_string(),
        }
    }
}

/// As deep as JSON is read here.
const DEEPEST: usize = 100;

/// One step of a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Reads `$.a.b[0]['c']`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() == DEEPEST {
            return None;
        }
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            steps.push(Step::Key(after[..end].to_owned()));
            rest = &after[end..];
        } else {
            let inner = rest.strip_prefix('[')?;
            let quote = inner.chars().next().filter(|c| matches!(c, '\'' | '"'));
            let (step, after) = match quote {
                Some(quote) => inner[1..].split_once(&format!("{quote}]")[..])?,
                None => inner.split_once(']')?,
            };
            steps.push(match quote {
                Some(_) => Step::Key(step.to_owned()),
                None => Step::Index(step.parse().ok()?),
            });
            rest = after;
        }
    }
    Some(steps)
}

/// The value at the end of the path, made on the way; an element may be the next one of a list, no later one.
fn place<'a>(args: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    let mut slot = args;
    for step in steps {
        slot = match step {
            Step::Key(key) => {
                if !slot.is_object() {
                    *slot = Map::new().into();
                }
                slot.as_object_mut()?.entry(key.as_str()).or_insert(Value::Null)
            }
            Step::Index(index) => {
                if !slot.is_array() {
                    *slot = Vec::<Value>::new().into();
                }
                let list = slot.as_array_mut()?;
                if *index == list.len() {
                    list.push(Value::Null);
                }
                list.get_mut(*index)?
            }
        };
    }
    Some(slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_one_call() {
        let mut partial = Partial::default();
        for (piece, signature) in [
            (r#"{"name":"f","id":"7","willContinue":true}"#, Some("AAAA")),
            (
                r#"{"partialArgs":[{"jsonPath":"$.a","stringValue":"Bo","willContinue":true}],"willContinue":true}"#,
                None,
            ),
            (
                r#"{"partialArgs":[{"jsonPath":"$.a","stringValue":"ston"},{"jsonPath":"$.l[0].n","numberValue":3}],"willContinue":true}"#,
                None,
            ),
            (
                r#"{"partialArgs":[{"jsonPath":"$.l[1]","boolValue":true},{"jsonPath":"$['x.y']","nullValue":"NULL_VALUE"}]}"#,
                None,
            ),
            (r#"{"partialArgs":[{"jsonPath":"$.l[900000000]","boolValue":true},{"jsonPath":"a["}]}"#, None),
            ("{}", None),
        ] {
            partial.push(&serde_json::from_str(piece).unwrap(), signature);
        }
        let expected = r#"{"a":"Boston","l":[{"n":3},true],"x.y":null}"#;
        assert_eq!((partial.name.as_str(), partial.id.as_str()), ("f", "7"));
        assert_eq!((partial.args().as_str(), partial.signature.as_deref()), (expected, Some("AAAA")));
        assert_eq!(Partial::default().args(), "{}");
    }
}
