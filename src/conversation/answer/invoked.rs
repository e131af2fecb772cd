//! What Google's own tools were asked and answered: no client of another dialect knows such parts, but Google wants them
//! back in the history (docs/gemini-4.md "Tools beside functions").

use crate::gemini::ResponsePart;
use std::fmt::Write;

/// More than this of one answer is not remembered.
const MAX: usize = 256 << 10;

/// Parts as Google wrote them, in a JSON list without its end.
#[derive(Debug, Default)]
pub(super) struct Invoked {
    list: String,
}

impl Invoked {
    pub(super) fn push(&mut self, part: &ResponsePart<'_>, signature: Option<&str>) {
        let (name, value) = match (part.tool_call, part.tool_response) {
            (Some(call), _) => ("toolCall", call),
            (None, Some(response)) => ("toolResponse", response),
            (None, None) => return,
        };
        if self.list.len() > MAX {
            return;
        }
        self.list.push(if self.list.is_empty() { '[' } else { ',' });
        // Writing to a string cannot fail.
        let _ = write!(self.list, "{{\"{name}\":{}", value.get());
        if let Some(signature) = signature {
            let _ = write!(self.list, ",\"thoughtSignature\":{}", serde_json::Value::from(signature));
        }
        self.list.push('}');
    }

    /// All so far, as a JSON list; then it is empty.
    pub(super) fn take(&mut self) -> Option<String> {
        let mut list = std::mem::take(&mut self.list);
        list.push(']');
        (2..MAX).contains(&list.len()).then_some(list)
    }
}
