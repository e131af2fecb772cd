//! What an answer has said since a point from which Google can say it again, so that nobody hears it twice.

use serde_json::Value;
use std::collections::VecDeque;

/// Texts, thoughts and everything else, each in its order.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    text: String,
    thoughts: String,
    others: VecDeque<Value>,
}

impl Said {
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.thoughts.is_empty() && self.others.is_empty()
    }

    /// Adds a part.
    pub fn push(&mut self, part: &Value) {
        match text_of(part) {
            Some(text) => self.texts(part).push_str(text),
            None => self.others.push_back(without_marks(part)),
        }
    }

    /// Takes a part that repeats what was said off it, and what was said off the part; whether anything of the part is
    /// left, or an error if it says something else.
    pub fn skip(&mut self, part: &mut Value) -> Result<bool, ()> {
        let Some(text) = text_of(part) else {
            return match self.others.pop_front() {
                Some(other) if other == without_marks(part) => Ok(false),
                Some(_) => Err(()),
                None => Ok(true),
            };
        };
        let said = self.texts(part);
        let common = said.len().min(text.len());
        if said.as_bytes()[..common] != text.as_bytes()[..common] {
            return Err(());
        }
        let rest = text[common..].to_owned();
        said.drain(..common);
        // A signature may stand on a text that is empty.
        let is_left = !rest.is_empty() || part.get("thoughtSignature").is_some();
        part["text"] = rest.into();
        Ok(is_left)
    }

    fn texts(&mut self, part: &Value) -> &mut String {
        if part["thought"] == true { &mut self.thoughts } else { &mut self.text }
    }
}

fn text_of(part: &Value) -> Option<&str> {
    part.get("text").and_then(Value::as_str)
}

/// The part without what is new each time it is made.
fn without_marks(part: &Value) -> Value {
    let mut part = part.clone();
    if let Some(fields) = part.as_object_mut() {
        fields.shift_remove("thoughtSignature");
        if let Some(call) = fields.get_mut("functionCall").and_then(Value::as_object_mut) {
            call.shift_remove("id");
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_said_is_skipped_wherever_the_pieces_end() {
        let mut said = Said::default();
        for part in [
            json!({"text": "hm", "thought": true}),
            json!({"text": "one "}),
            json!({"text": "twö"}),
            json!({"functionCall": {"name": "f", "id": "a"}}),
        ] {
            said.push(&part);
        }
        for (mut part, expected) in [
            (json!({"text": "hm", "thought": true}), Ok(None)),
            (json!({"text": "one tw"}), Ok(None)),
            (json!({"text": "ö three"}), Ok(Some(json!({"text": " three"})))),
            (json!({"functionCall": {"name": "f", "id": "b"}, "thoughtSignature": "s"}), Ok(None)),
            (json!({"text": " four"}), Ok(Some(json!({"text": " four"})))),
        ] {
            let asked = part.clone();
            let found = said.skip(&mut part).map(|is_left| is_left.then_some(part));
            assert_eq!(found, expected, "{asked}");
        }
        assert!(said.is_empty());
        said.push(&json!({"text": "one"}));
        assert_eq!(said.skip(&mut json!({"text": "other"})), Err(()));
        said.push(&json!({"functionCall": {"name": "f"}}));
        assert_eq!(said.skip(&mut json!({"functionCall": {"name": "g"}})), Err(()));
    }
}
