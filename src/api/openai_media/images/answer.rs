//! Pictures of Google's as OpenAI's document or events (docs/media.md "Answers with images"). A picture may have 25 MB: it
//! is written once, from Google's event into the answer.

use super::pixels;
use crate::api::openai::error;
use crate::api::openai_media::outcome::{self, Outcome};
use crate::api::{Translator, frame};
use crate::error::{ApiError, ErrorKind};
use crate::gemini::{Response, ResponsePart, UsageMetadata};
use serde_json::{Value, json};

/// How the answer is to look.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted {
    /// Unix seconds.
    pub created: u64,
    pub is_edit: bool,
    pub stream: bool,
    /// As data URLs instead of base64.
    pub as_url: bool,
    /// Unfinished pictures that may be shown before one.
    pub partials: usize,
}

/// The answer so far.
#[derive(Default)]
pub(super) struct Answer {
    wanted: Wanted,
    /// Pictures that were asked for.
    count: u64,
    pictures: u64,
    /// Pictures of earlier calls.
    before: u64,
    partials: usize,
    /// The document without its end, or an event that waits for its token counts.
    written: Vec<u8>,
    /// Of the first picture.
    format: Option<&'static str>,
    size: Option<String>,
    /// What the model wrote beside the pictures of this call.
    said: String,
    call: Outcome,
    usage: UsageMetadata,
    failure: Option<ApiError>,
}

impl Answer {
    pub fn new(wanted: Wanted, count: u64) -> Answer {
        Answer { wanted, count, ..Answer::default() }
    }

    fn take(&mut self, mime: &str, data: &str, is_thought: bool, out: &mut Vec<u8>) {
        let format = match mime {
            "image/jpeg" => "jpeg",
            "image/webp" => "webp",
            _ => "png",
        };
        let size = pixels::of(data).map(|(width, height)| format!("{width}x{height}"));
        if is_thought {
            if self.wanted.stream && self.partials < self.wanted.partials {
                let index = json!({"partial_image_index": self.partials});
                self.begin("partial_image", data, &index, format, size.as_deref(), out);
                out.extend_from_slice(b"}\n\n");
                self.partials += 1;
            }
            return;
        }
        if self.pictures == self.count {
            return;
        }
        let mut written = std::mem::take(&mut self.written);
        if self.wanted.stream {
            self.flush(&mut written, out);
            written.reserve_exact(data.len() + 512);
            self.begin("completed", data, &json!({}), format, size.as_deref(), &mut written);
        } else {
            written.reserve_exact(data.len() + 512 + self.said.len());
            let start = match self.pictures {
                0 => format!("{{\"created\":{},\"data\":[", self.wanted.created),
                _ => ",".into(),
            };
            written.extend_from_slice(start.as_bytes());
            self.item(mime, data, &mut written);
        }
        self.written = written;
        self.pictures += 1;
        self.format.get_or_insert(format);
        self.size = self.size.take().or(size);
    }

    /// An entry of the document.
    fn item(&self, mime: &str, data: &str, out: &mut Vec<u8>) {
        match self.wanted.as_url {
            true => {
                out.extend_from_slice(b"{\"url\":\"data:");
                out.extend(mime.bytes().filter(|byte| byte.is_ascii_alphanumeric() || b"/.+-".contains(byte)));
                out.extend_from_slice(b";base64,");
                quoted(data, out);
            }
            false => {
                out.extend_from_slice(b"{\"b64_json\":\"");
                quoted(data, out);
            }
        }
        if !self.said.trim().is_empty() {
            out.extend_from_slice(b",\"revised_prompt\":");
            frame::document(self.said.trim(), out);
        }
        out.push(b'}');
    }

    /// An event up to its last field.
    fn begin(&self, what: &str, data: &str, more: &Value, format: &str, size: Option<&str>, out: &mut Vec<u8>) {
        let family = if self.wanted.is_edit { "image_edit" } else { "image_generation" };
        let mut fields = json!({
            "type": format!("{family}.{what}"), "created_at": self.wanted.created, "output_format": format,
            "background": "opaque", "quality": "auto", "size": size.unwrap_or("auto"),
        });
        if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
            fields.extend(more.clone());
        }
        out.reserve(data.len() + 512);
        out.extend_from_slice(format!("event: {family}.{what}\ndata: ").as_bytes());
        frame::json(&fields, out);
        out.pop();
        out.extend_from_slice(b",\"b64_json\":\"");
        quoted(data, out);
    }

    /// Sends an event that waited for the token counts of its call.
    fn flush(&self, waiting: &mut Vec<u8>, out: &mut Vec<u8>) {
        if waiting.is_empty() {
            return;
        }
        let mut event = std::mem::take(waiting);
        event.extend_from_slice(b",\"usage\":");
        frame::json(&usage(&self.call.usage), &mut event);
        event.extend_from_slice(b"}\n\n");
        match out.is_empty() {
            true => *out = event,
            false => out.extend_from_slice(&event),
        }
    }

    /// A call is complete.
    fn close(&mut self, out: &mut Vec<u8>) {
        if self.wanted.stream {
            let mut waiting = std::mem::take(&mut self.written);
            self.flush(&mut waiting, out);
        }
        if self.pictures == self.before && self.failure.is_none() {
            self.failure = Some(self.call.failure("picture", ErrorKind::ImageRefused, &self.said));
        }
        self.before = self.pictures;
        self.partials = 0;
        self.said.clear();
        self.usage.add(&std::mem::take(&mut self.call).usage);
    }
}

impl Translator for Answer {
    fn event(&mut self, _json: &str, event: &Response<'_>, out: &mut Vec<u8>) -> Result<(), ApiError> {
        self.call.event(event);
        let parts = event.parts();
        let said = parts.iter().filter(|part| !part.thought).filter_map(|part| part.text.as_deref());
        said.for_each(|text| self.said.push_str(text));
        for part in parts {
            if let Some((mime, data)) = picture(part) {
                self.take(mime, data, part.thought, out);
            }
        }
        Ok(())
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Result<(), ApiError> {
        self.close(out);
        Ok(())
    }

    fn stands(&self) -> bool {
        self.pictures > 0
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), ApiError> {
        self.close(out);
        if let Some(failure) = self.failure.take().filter(|_| self.pictures == 0) {
            return Err(failure);
        }
        if !self.wanted.stream {
            let mut document = std::mem::take(&mut self.written);
            document.extend_from_slice(b"],");
            let rest = json!({
                "background": "opaque", "output_format": self.format, "quality": "auto",
                "size": self.size.as_deref().unwrap_or("auto"), "usage": usage(&self.usage),
            });
            let at = document.len();
            frame::document(&rest, &mut document);
            document.remove(at);
            *out = document;
        }
        Ok(())
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        error::frame(error, out);
    }

    fn retryable(&self, error: &ApiError) -> bool {
        self.pictures == 0 && outcome::is_worth_repeating(error)
    }

    fn usage(&self) -> UsageMetadata {
        let mut usage = self.usage.clone();
        usage.add(&self.call.usage);
        usage.images = self.pictures;
        usage
    }
}

fn picture<'a>(part: &'a ResponsePart<'_>) -> Option<(&'a str, &'a str)> {
    let blob = part.inline_data.as_ref()?;
    let (mime, data) = (blob.mime_type.as_deref()?, blob.data.as_deref()?);
    (mime.starts_with("image/") && !data.is_empty()).then_some((mime, data))
}

/// The rest of a JSON string and its last quote.
fn quoted(data: &str, out: &mut Vec<u8>) {
    if data.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte)) {
        out.extend_from_slice(data.as_bytes());
    }
    out.push(b'"');
}

fn usage(usage: &UsageMetadata) -> Value {
    let input = usage.prompt_token_count.unwrap_or(0);
    let images = outcome::of(&usage.prompt_tokens_details, "IMAGE");
    let output = usage.candidates_token_count.unwrap_or(0) + usage.thoughts_token_count.unwrap_or(0);
    let made = outcome::of(&usage.candidates_tokens_details, "IMAGE");
    json!({
        "input_tokens": input,
        "input_tokens_details": {"text_tokens": input.saturating_sub(images), "image_tokens": images},
        "output_tokens": output,
        "output_tokens_details": {"text_tokens": output.saturating_sub(made), "image_tokens": made},
        "total_tokens": usage.total_token_count.unwrap_or(input + output),
    })
}
