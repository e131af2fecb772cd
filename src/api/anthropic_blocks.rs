//! Content blocks of Anthropic's dialect, which programs send to other endpoints as well.

use crate::api::params::{Object, shorten, take, take_as, take_list, take_object, take_text, wrong_type};
use crate::conversation::arguments;
use crate::conversation::attachments::{Attachments, Unusable};
use crate::conversation::history::{Call, ModelTurn, Outcome, Said};
use crate::conversation::signatures::{Carried, split_id};
use crate::error::ApiError;
use crate::gemini::Part;
use serde_json::Value;

/// The blocks of a content; a text is one.
pub(crate) fn blocks(content: Option<Value>, at: &str) -> Result<Vec<Object>, ApiError> {
    let list = match content {
        None => return Err(required(&format!("{at}.content"))),
        Some(Value::String(text)) => return Ok(vec![text_block(text)]),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(wrong_type(format!("{at}.content"), "a string or an array", &other)),
    };
    list.into_iter()
        .enumerate()
        .map(|(index, block)| match block {
            Value::Object(block) => Ok(block),
            Value::String(text) => Ok(text_block(text)),
            other => Err(wrong_type(format!("{at}.content.{index}"), "an object", &other)),
        })
        .collect()
}

fn text_block(text: String) -> Object {
    Object::from_iter([("type".to_owned(), "text".into()), ("text".to_owned(), text.into())])
}

/// Reads a `tool_result`.
pub(crate) fn result(block: &mut Object, at: &str, attachments: &mut Attachments<'_>) -> Result<Outcome, ApiError> {
    let id = take_text(block, "tool_use_id").map(|id| split_id(id).0);
    let is_error = take_as(block, "is_error") == Some(true);
    let mut parts = Vec::new();
    let was_past = attachments.past(true);
    if let Some(content) = take(block, "content") {
        for (index, block) in blocks(Some(content), at)?.into_iter().enumerate() {
            part(block, &format!("{at}.content.{index}"), attachments, &mut parts)?;
        }
    }
    attachments.past(was_past);
    Ok(Outcome { is_error, ..Outcome::new(id, None, parts) })
}

/// Reads a `tool_use` into the turn that it is of.
pub(crate) fn tool_use(block: &mut Object, turn: &mut ModelTurn) {
    let id = take_text(block, "id").map(|id| split_id(id).0);
    let args = arguments::from_client(take(block, "input"));
    match take_text(block, "name").filter(|name| !name.is_empty()) {
        Some(name) => turn.said.push(Said::Call(Call { id, name, args, ..Call::default() })),
        None => turn.nameless.extend(id),
    }
}

/// Reads the signature of a `thinking` or `redacted_thinking`, if it is one that this program made.
pub(crate) fn thinking(block: &mut Object, turn: &mut ModelTurn) {
    let carrier = take_text(block, "signature").or_else(|| take_text(block, "data"));
    turn.said.extend(carrier.and_then(|text| Carried::read(&text)).map(Said::Signature));
}

/// A block that is text or media. New programs bring new blocks: what is not known is left out.
pub(crate) fn part(
    mut block: Object,
    at: &str,
    attachments: &mut Attachments<'_>,
    parts: &mut Vec<Part>,
) -> Result<(), ApiError> {
    let kind = take_text(&mut block, "type").unwrap_or_default();
    match kind.as_str() {
        "text" => parts.extend(take_text(&mut block, "text").filter(|text| !text.is_empty()).map(Part::text)),
        "image" => parts.push(image(&mut block, at, attachments)?),
        "document" => document(&mut block, at, attachments, parts)?,
        "search_result" => {
            let title = take_text(&mut block, "title").unwrap_or_default();
            let source = take_text(&mut block, "source").unwrap_or_default();
            let texts = take_list(&mut block, "content").unwrap_or_default();
            let texts = texts.iter().filter_map(|block| block.get("text")?.as_str());
            parts.push(Part::text(format!("[{title}]({source})\n{}", texts.collect::<Vec<_>>().join("\n"))));
        }
        "tool_reference" => parts.extend(take_text(&mut block, "tool_name").map(Part::text)),
        "browser_state" => parts.push(Part::text(Value::Object(block).to_string())),
        other => log::debug!("a content block of type {:?} was left out", shorten(other)),
    }
    Ok(())
}

fn image(block: &mut Object, at: &str, attachments: &mut Attachments<'_>) -> Result<Part, ApiError> {
    let mut source = take_object(block, "source").ok_or_else(|| required(&format!("{at}.source")))?;
    match take_text(&mut source, "type").as_deref() {
        Some("url") => {
            let url = take_text(&mut source, "url").unwrap_or_default();
            attachments.image(url, None).map_err(|reason| unusable(at, &reason))
        }
        Some("file") => Err(stored(at)),
        _ => file(&mut source, "data", None, at, attachments),
    }
}

fn document(
    block: &mut Object,
    at: &str,
    attachments: &mut Attachments<'_>,
    parts: &mut Vec<Part>,
) -> Result<(), ApiError> {
    let title = take_text(block, "title").filter(|title| !title.is_empty());
    let context = take_text(block, "context").filter(|context| !context.is_empty());
    let mut source = take_object(block, "source").ok_or_else(|| required(&format!("{at}.source")))?;
    let head = [title.clone(), context].into_iter().flatten().collect::<Vec<_>>().join("\n");
    let headed = |text: String| Part::text(if head.is_empty() { text } else { format!("{head}\n{text}") });
    match take_text(&mut source, "type").as_deref() {
        Some("text") => parts.extend(take_text(&mut source, "data").filter(|text| !text.is_empty()).map(headed)),
        Some("content") => {
            if !head.is_empty() {
                parts.push(Part::text(head));
            }
            for (index, block) in blocks(take(&mut source, "content"), at)?.into_iter().enumerate() {
                part(block, &format!("{at}.source.content.{index}"), attachments, parts)?;
            }
        }
        Some("file") => return Err(stored(at)),
        Some("url") => parts.push(file(&mut source, "url", title.as_deref(), at, attachments)?),
        _ => parts.push(file(&mut source, "data", title.as_deref(), at, attachments)?),
    }
    Ok(())
}

fn file(
    source: &mut Object,
    field: &str,
    name: Option<&str>,
    at: &str,
    attachments: &mut Attachments<'_>,
) -> Result<Part, ApiError> {
    let mime = take_text(source, "media_type");
    let data = take_text(source, field).ok_or_else(|| required(&format!("{at}.source.{field}")))?;
    attachments.file(data, mime.as_deref(), name).map_err(|fault| match fault {
        Unusable::Data(reason) => unusable(at, &reason),
        Unusable::Type => unusable(at, "its type is not supported"),
    })
}

fn unusable(at: &str, reason: &str) -> ApiError {
    ApiError::invalid(format!("{at}.source"), "invalid_value", format!("{at}.source: {reason}"))
}

fn stored(at: &str) -> ApiError {
    let message = format!("{at}.source: files stored with Anthropic cannot be read here; send the file itself");
    ApiError::invalid(format!("{at}.source"), "unsupported_value", message)
}

/// 400 for a field that is not there, in Anthropic's words.
pub(crate) fn required(param: &str) -> ApiError {
    ApiError::invalid(param, "missing_required_parameter", format!("{param}: Field required"))
}
