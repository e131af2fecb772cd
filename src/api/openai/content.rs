//! Message content of OpenAI's dialects: text, images, audio, video and files in every spelling (docs/openai-chat.md
//! "Message content").

use crate::api::params::{Object, missing, read_at, take, take_text, unknown_word, wrong_type};
use crate::conversation::attachments::{Attachments, Unusable, audio, is_http};
use crate::error::ApiError;
use crate::gemini::Part;
use serde_json::Value;

/// The parts of `content`, empty texts left out. `path` names the message for errors.
pub(crate) fn parts(content: Value, path: &str, attachments: &mut Attachments<'_>) -> Result<Vec<Part>, ApiError> {
    let list = match content {
        Value::Null => return Ok(Vec::new()),
        Value::String(text) => return Ok(text_part(text).into_iter().collect()),
        Value::Array(list) => list,
        Value::Object(_) => vec![content],
        other => return Err(wrong_type(format!("{path}.content"), "a string or an array of parts", &other)),
    };
    let mut parts = Vec::with_capacity(list.len());
    for (index, item) in list.into_iter().enumerate() {
        match item {
            Value::Null => {}
            Value::String(text) => parts.extend(text_part(text)),
            Value::Object(item) => parts.extend(part(item, &format!("{path}.content[{index}]"), attachments)?),
            other => return Err(wrong_type(format!("{path}.content[{index}]"), "an object", &other)),
        }
    }
    Ok(parts)
}

fn part(mut part: Object, path: &str, attachments: &mut Attachments<'_>) -> Result<Option<Part>, ApiError> {
    let kind = read_at(&mut part, path, "type")?.unwrap_or_else(|| guess_kind(&part).to_owned());
    match kind.as_str() {
        "text" | "input_text" | "output_text" => plain(&mut part, "text", path),
        "refusal" => plain(&mut part, "refusal", path),
        "image_url" | "input_image" => addressed(part, "image_url", path, attachments).map(Some),
        "video_url" => addressed(part, "video_url", path, attachments).map(Some),
        "input_audio" => input_audio(part, path).map(Some),
        "file" | "input_file" => file(part, path, attachments).map(Some),
        // Thoughts of other vendors mean nothing to Google, and thoughts never go back as text.
        "thinking" | "redacted_thinking" | "reasoning" => Ok(None),
        _ => {
            let known = "'text', 'image_url', 'video_url', 'input_audio' and 'file'";
            Err(unknown_word(format!("{path}.type"), &kind, known))
        }
    }
}

fn guess_kind(part: &Object) -> &'static str {
    ["text", "image_url", "input_audio", "file", "video_url"]
        .into_iter()
        .find(|kind| part.contains_key(*kind))
        .unwrap_or("")
}

fn text_part(text: String) -> Option<Part> {
    (!text.is_empty()).then(|| Part::text(text))
}

fn plain(part: &mut Object, field: &str, path: &str) -> Result<Option<Part>, ApiError> {
    Ok(read_at(part, path, field)?.and_then(text_part))
}

/// `image_url` and `video_url`: an object with `url`, or the address itself.
fn addressed(mut part: Object, field: &str, path: &str, attachments: &mut Attachments<'_>) -> Result<Part, ApiError> {
    let (url, detail, param) = match take(&mut part, field) {
        Some(Value::String(url)) => (Some(url), take_text(&mut part, "detail"), format!("{path}.{field}")),
        Some(Value::Object(mut inner)) => {
            (take_text(&mut inner, "url"), take_text(&mut inner, "detail"), format!("{path}.{field}.url"))
        }
        _ => (None, None, format!("{path}.{field}")),
    };
    let refused = |what: String| ApiError::invalid(&param, "invalid_image_url", format!("'{param}' {what}."));
    let url = url.ok_or_else(|| refused("must be an address".into()))?;
    let made = match field {
        "image_url" => attachments.image(url, detail.as_deref()),
        _ => attachments.media(url),
    };
    made.map_err(|reason| refused(format!("cannot be used: {reason}")))
}

/// `file`: the Responses API has the fields in the part itself.
fn file(mut part: Object, path: &str, attachments: &mut Attachments<'_>) -> Result<Part, ApiError> {
    let param = format!("{path}.file");
    let mut file = read_at(&mut part, path, "file")?.unwrap_or(part);
    let data = take_text(&mut file, "file_data").or_else(|| take_text(&mut file, "file_url"));
    let (source, field) = match (data, take_text(&mut file, "file_id")) {
        (Some(data), _) => (data, "file_data"),
        (None, Some(id)) if is_http(&id) || id.starts_with("gs://") => (id, "file_id"),
        (None, Some(_)) => {
            let message = "Files by id are not supported; send the file in 'file_data'.";
            return Err(ApiError::invalid(format!("{param}.file_id"), "unsupported_value", message));
        }
        (None, None) => return Err(missing(param)),
    };
    let name = take_text(&mut file, "filename");
    attachments.file(source, None, name.as_deref()).map_err(|reason| match reason {
        Unusable::Data(reason) => cannot_be_used(format!("{param}.{field}"), &reason),
        Unusable::Type => {
            let message = "This type of file is not supported; PDF, images, audio, video and text are.";
            ApiError::invalid(param, "unsupported_file", message)
        }
    })
}

fn input_audio(mut part: Object, path: &str) -> Result<Part, ApiError> {
    let param = format!("{path}.input_audio");
    let mut inner = read_at::<Object>(&mut part, path, "input_audio")?.ok_or_else(|| missing(&param))?;
    let param = format!("{param}.data");
    let data = take_text(&mut inner, "data").ok_or_else(|| missing(&param))?;
    audio(data, take_text(&mut inner, "format")).map_err(|reason| cannot_be_used(param, reason))
}

fn cannot_be_used(param: String, reason: &str) -> ApiError {
    let message = format!("'{param}' cannot be used: {reason}.");
    ApiError::invalid(param, "invalid_value", message)
}
