//! One message of the history: calls in every spelling with the signatures clients carry (thinking_and_signatures.md 5.1),
//! results of tools, pictures the assistant made.

use crate::api::openai::content::Reader;
use crate::api::params::{Object, take, take_any, take_list, take_object, take_text};
use crate::conversation::arguments;
use crate::conversation::names::Names;
use crate::error::ApiError;
use crate::gemini::Part;
use crate::gemini::signatures;
use serde_json::{Value, json};

/// Carries a signature in a call id, in histories that other proxies made.
const ID_MARK: &str = "__thought__";

/// One message, read.
pub(crate) enum Item {
    System(Vec<Part>),
    User(Vec<Part>),
    Model(Model),
    Result(Outcome),
    /// Nothing to send, but it stands between others.
    Gone,
}

/// An assistant message.
pub(crate) struct Model {
    pub parts: Vec<Part>,
    pub calls: Vec<Call>,
    /// Ids of calls without a name: their results are left out, too.
    pub skipped: Vec<String>,
}

/// A call in an assistant message.
pub(crate) struct Call {
    /// The client's id without the signature in it.
    pub id: Option<String>,
    /// The client's name of the tool.
    pub client: String,
    /// Google's name of the tool.
    pub google: String,
    pub args: Value,
    pub signature: Option<String>,
    /// Found later.
    pub outcome: Option<Outcome>,
}

/// What a tool answered.
pub(crate) struct Outcome {
    pub id: Option<String>,
    pub name: Option<String>,
    pub text: String,
    pub media: Vec<Part>,
}

/// Reads a `tool` or `function` message.
pub(crate) fn outcome(
    mut message: Object,
    content: Value,
    path: &str,
    reader: &mut Reader<'_>,
) -> Result<Outcome, ApiError> {
    let id = take_text(&mut message, "tool_call_id").filter(|id| !id.is_empty());
    let id = id.map(|id| split_id(id).0);
    let name = take_text(&mut message, "name").filter(|name| !name.is_empty());
    let parts = match content {
        // No content part: some clients put the result itself there.
        Value::Object(ref object) if !object.contains_key("type") => vec![Part::text(content.to_string())],
        content => reader.parts(content, path)?,
    };
    let mut texts = Vec::new();
    let mut media = Vec::new();
    for mut part in parts {
        match part.text.take() {
            Some(text) => texts.push(text),
            None => media.push(part),
        }
    }
    let text = if texts.len() == 1 { texts.remove(0) } else { texts.join("\n") };
    Ok(Outcome { id, name, text, media })
}

/// Reads one of `tool_calls`.
pub(crate) fn call(mut call: Object, names: &Names, model: &mut Model) {
    let raw_id = take_text(&mut call, "id").filter(|id| !id.is_empty());
    let (id, in_id) = match raw_id.map(split_id) {
        Some((id, signature)) => (Some(id), signature),
        None => (None, None),
    };
    let mut function = take_object(&mut call, "function");
    let custom = take_object(&mut call, "custom");
    let own = extra_content(&mut call)
        .or_else(|| function.as_mut().and_then(extra_content))
        .or_else(|| take_any(&mut call, &["thought_signature", "thoughtSignature"]).and_then(signature))
        .or_else(|| take_object(&mut call, "provider_specific_fields").and_then(|mut fields| signature_in(&mut fields)))
        .or_else(|| {
            let fields = function.as_mut().and_then(|function| take_object(function, "provider_specific_fields"));
            fields.and_then(|mut fields| signature_in(&mut fields))
        })
        .or(in_id);
    let (client, args) = match (function, custom) {
        (Some(mut function), _) => {
            (take_text(&mut function, "name"), arguments::from_client(take(&mut function, "arguments")))
        }
        (None, Some(mut custom)) => {
            let input = take_text(&mut custom, "input").unwrap_or_default();
            (take_text(&mut custom, "name"), json!({ "input": input }))
        }
        (None, None) => (None, json!({})),
    };
    match client.filter(|name| !name.is_empty()) {
        Some(client) => {
            let google = names.to_google(&client).into_owned();
            model.calls.push(Call { id, client, google, args, signature: own, outcome: None });
        }
        None => model.skipped.extend(id),
    }
}

/// Reads `function_call`; its result is the next `function` message.
pub(crate) fn legacy_call(mut call: Object, names: &Names, model: &mut Model) {
    let signature = extra_content(&mut call);
    let Some(client) = take_text(&mut call, "name").filter(|name| !name.is_empty()) else {
        return;
    };
    let args = arguments::from_client(take(&mut call, "arguments"));
    let google = names.to_google(&client).into_owned();
    model.calls.push(Call { id: None, client, google, args, signature, outcome: None });
}

/// Signatures that belong to the message as a whole, in the order they are looked for.
pub(crate) fn message_signatures(message: &mut Object) -> Vec<String> {
    let mut found: Vec<String> = extra_content(message).into_iter().collect();
    if let Some(mut fields) = take_object(message, "provider_specific_fields") {
        let list = take_list(&mut fields, "thought_signatures").unwrap_or_default();
        found.extend(list.into_iter().filter_map(signature));
    }
    found
}

/// A picture the assistant made (`images`, the dialect of litellm and OpenRouter). One that cannot be read is left out:
/// the conversation must go on.
pub(crate) fn image(image: Value, reader: &mut Reader<'_>) -> Option<Part> {
    let (url, signature) = match image {
        Value::String(url) => (url, None),
        Value::Object(mut image) => {
            let signature = extra_content(&mut image);
            let url = match take(&mut image, "image_url").or_else(|| take(&mut image, "url"))? {
                Value::String(url) => url,
                Value::Object(mut inner) => take_text(&mut inner, "url")?,
                _ => return None,
            };
            (url, signature)
        }
        _ => return None,
    };
    let mut part = reader.media(url).ok()?;
    part.thought_signature = signature;
    Some(part)
}

/// Text of the assistant: thoughts this program had put in marks are cut off, pictures in Markdown become media again.
pub(crate) fn assistant_text(text: String, marker: Option<&str>, reader: &mut Reader<'_>, parts: &mut Vec<Part>) {
    let text = match marker.and_then(|marker| after_thoughts(&text, marker)) {
        Some(rest) => rest.to_owned(),
        None => text,
    };
    if !text.contains("](data:image/") {
        if !text.is_empty() {
            parts.push(Part::text(text));
        }
        return;
    }
    let mut sent = 0;
    let mut from = 0;
    while let Some(middle) = text[from..].find("](data:image/").map(|found| from + found) {
        let Some(end) = text[middle..].find(')').map(|found| middle + found) else { break };
        from = end + 1;
        let Some(start) = text[sent..middle].rfind("![").map(|found| sent + found) else { continue };
        let Ok(picture) = reader.media(text[middle + 2..end].to_owned()) else { continue };
        if start > sent {
            parts.push(Part::text(&text[sent..start]));
        }
        parts.push(picture);
        sent = end + 1;
    }
    if sent < text.len() {
        parts.push(Part::text(&text[sent..]));
    }
}

fn after_thoughts<'a>(text: &'a str, marker: &str) -> Option<&'a str> {
    let thoughts = text.strip_prefix('<')?.strip_prefix(marker)?.strip_prefix('>')?;
    let end = thoughts.find(&format!("</{marker}>"))?;
    Some(&thoughts[end + marker.len() + 3..])
}

/// An id and the signature another proxy hid in it.
fn split_id(id: String) -> (String, Option<String>) {
    match id.split_once(ID_MARK) {
        Some((id, hidden)) => (id.to_owned(), Some(hidden.to_owned()).filter(|hidden| signatures::plausible(hidden))),
        None => (id, None),
    }
}

/// `extra_content.google.thought_signature`.
fn extra_content(object: &mut Object) -> Option<String> {
    let mut google = take_object(&mut take_object(object, "extra_content")?, "google")?;
    signature_in(&mut google)
}

fn signature_in(object: &mut Object) -> Option<String> {
    take_any(object, &["thought_signature", "thoughtSignature"]).and_then(signature)
}

fn signature(value: Value) -> Option<String> {
    match value {
        Value::String(text) if signatures::plausible(&text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_marks_are_cut_from_the_start() {
        assert_eq!(after_thoughts("<thought>hm</thought>Hi", "thought"), Some("Hi"));
        assert_eq!(after_thoughts("<think>hm</think>Hi", "thought"), None);
        assert_eq!(after_thoughts("a<thought>hm</thought>", "thought"), None);
        assert_eq!(after_thoughts("<thought>open", "thought"), None);
    }
}
