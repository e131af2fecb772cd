//! Items of the Responses dialect among the messages: some programs send its bodies to this route and read chat's answers.

use crate::api::openai::content::parts;
use crate::api::params::{Object, missing, take, take_any, take_text};
use crate::conversation::arguments;
use crate::conversation::attachments::Attachments;
use crate::conversation::history::{Call, Entry, Outcome, Said, open_turn};
use crate::conversation::signatures::{Carried, split_id};
use crate::error::ApiError;
use serde_json::{Value, json};
use std::fmt::Arguments;

/// Reads an item without a role.
pub(super) fn read(
    mut item: Object,
    path: Arguments<'_>,
    attachments: &mut Attachments<'_>,
    entries: &mut Vec<Entry>,
) -> Result<(), ApiError> {
    let kind = take_text(&mut item, "type").unwrap_or_default();
    let id = match take_any(&mut item, &["call_id", "id"]) {
        Some(Value::String(id)) if !id.is_empty() => Some(split_id(id).0),
        _ => None,
    };
    match kind.as_str() {
        "function_call" | "custom_tool_call" => {
            let name = take_text(&mut item, "name").filter(|name| !name.is_empty());
            let args = match take_text(&mut item, "input") {
                Some(input) => json!({ "input": input }),
                None => arguments::from_client(take(&mut item, "arguments")),
            };
            let turn = open_turn(entries);
            match name {
                Some(name) => turn.said.push(Said::Call(Call { id, name, args, ..Call::default() })),
                None => turn.nameless.extend(id),
            }
        }
        "function_call_output" | "custom_tool_call_output" => {
            attachments.past(true);
            let output = match take(&mut item, "output").unwrap_or_default() {
                output @ (Value::String(_) | Value::Array(_)) => output,
                other => json!(other.to_string()),
            };
            entries.push(Entry::Result(Outcome::new(
                id,
                None,
                parts(output, format_args!("{path}.output"), attachments)?,
            )));
        }
        "reasoning" => {
            let carried = take_text(&mut item, "encrypted_content").and_then(|text| Carried::read(&text));
            open_turn(entries).said.extend(carried.map(Said::Signature));
        }
        _ => return Err(missing(format!("{path}.role"))),
    }
    Ok(())
}
