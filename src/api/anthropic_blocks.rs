//! Content blocks of Anthropic's dialect, which programs send to other endpoints as well.

use crate::api::params::{Object, read_at, shorten, take, take_as, take_object, take_text, wrong_type};
use crate::conversation::arguments;
use crate::conversation::attachments::{Attachments, Unusable};
use crate::conversation::history::{Call, ModelTurn, Outcome, Said};
use crate::conversation::signatures::{Carried, split_id};
use crate::error::ApiError;
use crate::gemini::Part;
use serde_json::Value;

/// The blocks of a content, whose path is `at`; a text is one.
pub(crate) fn blocks(content: Option<Value>, at: &str) -> Result<Vec<Object>, ApiError> {
    let list = match content {
        None => return Err(required(at)),
        Some(Value::String(text)) => return Ok(vec![text_block(text)]),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(wrong_type(at, "a string or an array", &other)),
    };
    list.into_iter()
        .enumerate()
        .map(|(index, block)| match block {
            Value::Object(block) => Ok(block),
            Value::String(text) => Ok(text_block(text)),
            other => Err(wrong_type(format!("{at}.{index}"), "an object", &other)),
        })
        .collect()
}

/// The parts of a content, whose path is `at`.
pub(crate) fn parts(
    content: Option<Value>,
    at: &str,
    attachments: &mut Attachments<'_>,
    parts: &mut Vec<Part>,
) -> Result<(), ApiError> {
    for (index, block) in blocks(content, at)?.into_iter().enumerate() {
        part(block, &format!("{at}.{index}"), attachments, parts)?;
    }
    Ok(())
}

fn text_block(text: String) -> Object {
    Object::from_iter([("type".to_owned(), "text".into()), ("text".to_owned(), text.into())])
}

/// Reads a `tool_result`.
pub(crate) fn result(block: &mut Object, at: &str, attachments: &mut Attachments<'_>) -> Result<Outcome, ApiError> {
    let id = take_text(block, "tool_use_id").ok_or_else(|| required(&format!("{at}.tool_use_id")))?;
    let id = Some(split_id(id).0);
    let is_error = take_as(block, "is_error") == Some(true);
    let mut said = Vec::new();
    let was_past = attachments.past(true);
    if let content @ Some(_) = take(block, "content") {
        parts(content, &format!("{at}.content"), attachments, &mut said)?;
    }
    attachments.past(was_past);
    Ok(Outcome { is_error, ..Outcome::new(id, None, said) })
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

/// A block that is text or media. New programs bring new blocks: what is not known is left out, and the client told so.
pub(crate) fn part(
    mut block: Object,
    at: &str,
    attachments: &mut Attachments<'_>,
    parts: &mut Vec<Part>,
) -> Result<(), ApiError> {
    let kind = take_text(&mut block, "type").ok_or_else(|| required(&format!("{at}.type")))?;
    match kind.as_str() {
        // A compaction is the summary that stands for all before it.
        "text" | "compaction" => {
            let field = if kind == "text" { "text" } else { "content" };
            parts.extend(read_at(&mut block, at, field)?.filter(|text: &String| !text.is_empty()).map(Part::text))
        }
        "image" => parts.push(image(&mut block, at, attachments)?),
        "document" => document(&mut block, at, attachments, parts)?,
        "search_result" => {
            let title = take_text(&mut block, "title").unwrap_or_default();
            let source = take_text(&mut block, "source").unwrap_or_default();
            let content = take(&mut block, "content").unwrap_or_else(|| Value::Array(Vec::new()));
            let blocks = blocks(Some(content), &format!("{at}.content"))?;
            let texts = blocks.iter().filter_map(|block| block.get("text")?.as_str());
            parts.push(Part::text(format!("[{title}]({source})\n{}", texts.collect::<Vec<_>>().join("\n"))));
        }
        "tool_reference" => parts.extend(take_text(&mut block, "tool_name").map(Part::text)),
        "browser_state" => {
            block.insert("type".into(), kind.into());
            parts.push(Part::text(Value::Object(block).to_string()));
        }
        "tool_use" | "tool_result" => {
            let message = format!("{at}: a {kind} has its place in a message of the {}", speaker(&kind));
            return Err(ApiError::invalid(at, "invalid_value", message));
        }
        // What is said beside them tells what they found; thoughts are not said again.
        "server_tool_use" | "web_search_tool_result" | "thinking" | "redacted_thinking" => {}
        other => attachments.leave_out(other, at),
    }
    Ok(())
}

fn speaker(kind: &str) -> &'static str {
    if kind == "tool_use" { "assistant" } else { "user" }
}

fn image(block: &mut Object, at: &str, attachments: &mut Attachments<'_>) -> Result<Part, ApiError> {
    let mut source = take_object(block, "source").ok_or_else(|| required(&format!("{at}.source")))?;
    match take_text(&mut source, "type").as_deref() {
        Some("url") => {
            let url = take_text(&mut source, "url").unwrap_or_default();
            attachments.image(url, None).map_err(|reason| unusable(at, &reason))
        }
        Some("file") => Err(stored(at)),
        None | Some("base64") => file(&mut source, "data", None, at, attachments),
        Some(other) => Err(unknown_source(at, other)),
    }
}

fn unknown_source(at: &str, kind: &str) -> ApiError {
    let at = format!("{at}.source.type");
    let message = format!("{at}: '{}' is not known", shorten(kind));
    ApiError::invalid(at, "invalid_value", message)
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
            self::parts(take(&mut source, "content"), &format!("{at}.source.content"), attachments, parts)?;
        }
        Some("file") => return Err(stored(at)),
        kind @ (None | Some("base64" | "url")) => {
            let field = if kind == Some("url") { "url" } else { "data" };
            let part = file(&mut source, field, title.as_deref(), at, attachments)?;
            parts.extend((!head.is_empty()).then(|| Part::text(head)));
            parts.push(part);
        }
        Some(other) => return Err(unknown_source(at, other)),
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
