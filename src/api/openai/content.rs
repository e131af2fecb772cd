//! Message content of OpenAI's dialects: text, images, audio, video and files in every spelling (docs/openai-chat.md
//! "Message content").

use crate::api::anthropic_blocks;
use crate::api::params::{
    Field, Object, missing, read_at, take, take_any, take_list, take_object, take_text, unknown_word, wrong_type,
};
use crate::conversation::attachments::{Attachments, Unusable, is_http};
use crate::conversation::built_in::{camel, spelled};
use crate::error::ApiError;
use crate::gemini::Part;
use serde_json::Value;
use std::fmt::Arguments;

/// The parts of a content, whose path is `at`, empty texts left out. Paths are for refusals, so they are not written before.
pub(crate) fn parts(
    content: Value,
    at: Arguments<'_>,
    attachments: &mut Attachments<'_>,
) -> Result<Vec<Part>, ApiError> {
    let items = items(content, at)?;
    let mut parts = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        part(item, format_args!("{at}[{index}]"), attachments, &mut parts)?;
    }
    Ok(parts)
}

/// The items of a content, whose path is `at`; a text is one.
pub(crate) fn items(content: Value, at: Arguments<'_>) -> Result<Vec<Value>, ApiError> {
    match content {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => Ok(list),
        Value::String(_) | Value::Object(_) => Ok(vec![content]),
        other => Err(wrong_type(at.to_string(), "a string or an array of parts", &other)),
    }
}

/// Reads one item, whose path is `at`.
pub(crate) fn part(
    item: Value,
    at: Arguments<'_>,
    attachments: &mut Attachments<'_>,
    parts: &mut Vec<Part>,
) -> Result<(), ApiError> {
    let mut item = match item {
        Value::Null => return Ok(()),
        Value::String(text) => {
            parts.extend(text_part(text));
            return Ok(());
        }
        Value::Object(item) => item,
        other => return Err(wrong_type(at.to_string(), "an object", &other)),
    };
    let at = &*at.to_string();
    let video = take_any(&mut item, &["video_metadata", "videoMetadata"]).filter(Value::is_object).map(spelled);
    let before = parts.len();
    let kind = read_at(&mut item, at, "type")?.unwrap_or_else(|| guess_kind(&item).to_owned());
    match kind.as_str() {
        "text" | "input_text" | "output_text" | "text-plain" => parts.extend(plain(&mut item, "text", at)?),
        "refusal" => parts.extend(plain(&mut item, "refusal", at)?),
        "image_url" | "input_image" => parts.push(addressed(item, "image_url", at, attachments)?),
        "video_url" | "input_video" => parts.push(addressed(item, "video_url", at, attachments)?),
        "audio_url" => parts.push(addressed(item, "audio_url", at, attachments)?),
        "input_audio" => parts.push(input_audio(item, at, attachments)?),
        "file" | "input_file" | "document_url" | "fileData" | "file_data" => {
            parts.push(file(item, &kind, at, attachments)?);
        }
        "resource" | "resource_link" => parts.push(resource(item, &kind, at, attachments)?),
        "video" if item.get("video").is_some_and(Value::is_array) => {
            // Single frames.
            for frame in take_list(&mut item, "video").unwrap_or_default() {
                let frame = Object::from_iter([("image_url".to_owned(), frame)]);
                parts.push(addressed(frame, "image_url", at, attachments)?);
            }
        }
        // Anthropic's blocks; what other programs call so has its bytes or address in the part itself.
        "image" | "document" | "search_result" | "tool_reference" | "browser_state"
            if kind != "image" || item.get("source").is_some_and(Value::is_object) =>
        {
            item.insert("type".into(), kind.into());
            anthropic_blocks::part(item, at, attachments, parts)?;
        }
        "image" | "audio" | "video" | "media" | "inline_data" | "inlineData" => {
            parts.push(foreign(item, &kind, at, attachments)?);
        }
        // Thoughts of other vendors mean nothing to Google, and thoughts never go back as text. What is said beside a search
        // tells what it found.
        "thinking" | "redacted_thinking" | "reasoning" | "server_tool_use" | "web_search_tool_result" => {}
        _ if kind.starts_with("server_tool_") || kind.starts_with("mcp_tool_") || kind.ends_with("_tool_result") => {
            attachments.leave_out(&kind, at);
        }
        _ => {
            let known = match at.starts_with("input") {
                true => "'input_text', 'input_image', 'input_file', 'input_audio' and 'output_text'",
                false => "'text', 'image_url', 'video_url', 'audio_url', 'input_audio' and 'file'",
            };
            return Err(unknown_word(format!("{at}.type"), &kind, known));
        }
    }
    let is_media = |part: &&mut Part| part.inline_data.is_some() || part.file_data.is_some();
    if let (Some(video), Some(part)) = (video, parts[before..].iter_mut().find(is_media)) {
        part.other.insert("videoMetadata".into(), video);
    }
    Ok(())
}

/// Media as other programs name it: `{"type": "image", "image": …}`, with a type of its own and a field for its bytes or
/// address.
fn foreign(mut part: Object, kind: &str, path: &str, attachments: &mut Attachments<'_>) -> Result<Part, ApiError> {
    let (data, mut part) = match take(&mut part, kind) {
        Some(Value::String(data)) => (Some(data), part),
        Some(Value::Object(inner)) => (None, inner),
        _ => (None, part),
    };
    let format = take_text(&mut part, "format");
    let mut part = take_object(&mut part, "source").unwrap_or(part);
    let data = data.or_else(|| PLACES.iter().find_map(|place| take_text(&mut part, place)));
    let param = format!("{path}.{kind}");
    let data = data.ok_or_else(|| missing(&param))?;
    let mime = TYPES.iter().find_map(|name| take_text(&mut part, name));
    let made = match mime.filter(|_| !data.contains("://") && !data.starts_with("data:")) {
        Some(mime) => attachments.media(format!("data:{mime};base64,{data}")),
        None if kind == "audio" && !data.contains("://") => attachments.audio(data, format),
        None => attachments.media(data),
    };
    made.map_err(|reason| cannot_be_used(param, &reason))
}

fn guess_kind(part: &Object) -> &'static str {
    const KINDS: [&str; 14] = [
        "text",
        "image_url",
        "input_audio",
        "file",
        "video_url",
        "audio_url",
        "inline_data",
        "inlineData",
        "file_data",
        "fileData",
        "document_url",
        "image",
        "audio",
        "video",
    ];
    KINDS.into_iter().find(|kind| part.contains_key(*kind)).unwrap_or("")
}

fn text_part(text: String) -> Option<Part> {
    (!text.is_empty()).then(|| Part::text(text))
}

fn plain(part: &mut Object, field: &str, path: &str) -> Result<Option<Part>, ApiError> {
    // OpenAI's Assistants have an object around it.
    if let Some(Value::Object(text)) = part.get_mut(field)
        && let Some(value) = text.remove("value")
    {
        part.insert(field.to_owned(), value);
    }
    Ok(read_at(part, path, field)?.and_then(text_part))
}

/// `image_url` and `video_url`: an object with `url`, or the address itself.
fn addressed(mut part: Object, field: &str, path: &str, attachments: &mut Attachments<'_>) -> Result<Part, ApiError> {
    let (url, detail, param) = match take(&mut part, field).or_else(|| take(&mut part, &camel(field))) {
        Some(Value::String(url)) => (Some(url), take_text(&mut part, "detail"), format!("{path}.{field}")),
        Some(Value::Object(mut inner)) => {
            (take_text(&mut inner, "url"), take_text(&mut inner, "detail"), format!("{path}.{field}.url"))
        }
        _ => (None, None, format!("{path}.{field}")),
    };
    let refused = |what: String| ApiError::invalid(&param, "invalid_image_url", format!("'{param}' {what}."));
    let Some(url) = url else {
        return Err(match part.contains_key("file_id") {
            true => by_id(path, field),
            false => refused("must be an address".into()),
        });
    };
    let made = match field {
        "image_url" => attachments.image(url, detail.as_deref()),
        _ => attachments.media(url),
    };
    made.map_err(|reason| refused(format!("cannot be used: {reason}")))
}

/// Fields that hold bytes or an address.
const PLACES: [&str; 10] =
    ["data", "base64", "bytes", "url", "image_url", "video_url", "audio_url", "uri", "file_uri", "fileUri"];
/// Fields that say what they are.
const TYPES: [&str; 4] = ["mime_type", "mimeType", "media_type", "mediaType"];

/// `file`: the Responses API has the fields in the part itself; other programs have names of their own for them.
fn file(mut part: Object, kind: &str, path: &str, attachments: &mut Attachments<'_>) -> Result<Part, ApiError> {
    let mut param = format!("{path}.file");
    let inner = if kind == "input_file" { "file" } else { kind };
    let (data, mut file) = match take(&mut part, inner) {
        Some(Value::String(data)) => (Some(data), part),
        Some(Value::Object(file)) => (None, file),
        Some(other) => return Err(wrong_type(param, Object::WANTED, &other)),
        None => {
            // The Responses API has no object around the fields.
            if kind == "input_file" {
                path.clone_into(&mut param);
            }
            (None, part)
        }
    };
    let data = data.or_else(|| {
        let places = ["file_data", "fileData", "file_url", "fileUrl"].iter().chain(&PLACES);
        places.into_iter().find_map(|place| take_text(&mut file, place))
    });
    let (source, field) = match (data, take_text(&mut file, "file_id")) {
        (Some(data), _) => (data, "file_data"),
        (None, Some(id)) if is_http(&id) || id.starts_with("gs://") => (id, "file_id"),
        (None, Some(_)) => return Err(by_id(&param, "file_data")),
        (None, None) if path.starts_with("input") => return Err(missing(format!("{path}.file_data"))),
        (None, None) => return Err(missing(format!("{path}.file"))),
    };
    let name = ["filename", "fileName", "name"].iter().find_map(|name| take_text(&mut file, name));
    let mime = TYPES.iter().find_map(|name| take_text(&mut file, name));
    attachments.file(source, mime.as_deref(), name.as_deref()).map_err(|reason| match reason {
        Unusable::Data(reason) => cannot_be_used(format!("{param}.{field}"), &reason),
        Unusable::Type => {
            let message = "This type of file is not supported; PDF, images, audio, video and text are.";
            ApiError::invalid(param, "unsupported_file", message)
        }
    })
}

/// What a server of MCP gave: a resource in the part itself, or where one is.
fn resource(mut part: Object, kind: &str, path: &str, attachments: &mut Attachments<'_>) -> Result<Part, ApiError> {
    let mut resource = take_object(&mut part, "resource").unwrap_or(part);
    let name = take_text(&mut resource, "uri").unwrap_or_default();
    if let Some(text) = take_text(&mut resource, "text") {
        return Ok(Part::text(format!("[file: {name}]\n{text}")));
    }
    match take(&mut resource, "blob") {
        Some(blob) => {
            resource.insert("data".into(), blob);
            resource.insert("name".into(), name.into());
            file(resource, kind, path, attachments)
        }
        None => {
            let title = take_text(&mut resource, "title").or_else(|| take_text(&mut resource, "name"));
            Ok(Part::text(format!("[{}]({name})", title.unwrap_or_default())))
        }
    }
}

/// 400 for a file of OpenAI's; `field` is where it can be instead.
fn by_id(at: &str, field: &str) -> ApiError {
    let message = format!("Files by id are not supported; send the file in '{field}'.");
    ApiError::invalid(format!("{at}.file_id"), "unsupported_value", message)
}

fn input_audio(mut part: Object, path: &str, attachments: &mut Attachments<'_>) -> Result<Part, ApiError> {
    let param = format!("{path}.input_audio");
    if let Some(Value::String(data)) = part.get("input_audio").cloned() {
        return attachments.audio(data, None).map_err(|reason| cannot_be_used(param, &reason));
    }
    let mut inner = read_at::<Object>(&mut part, path, "input_audio")?.ok_or_else(|| missing(&param))?;
    let param = format!("{param}.data");
    let data = take_text(&mut inner, "data").ok_or_else(|| missing(&param))?;
    let format = take_text(&mut inner, "format");
    attachments.audio(data, format).map_err(|reason| cannot_be_used(param, &reason))
}

fn cannot_be_used(param: String, reason: &str) -> ApiError {
    let message = format!("'{param}' cannot be used: {reason}.");
    ApiError::invalid(param, "invalid_value", message)
}
