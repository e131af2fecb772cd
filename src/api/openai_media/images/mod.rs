//! `POST /v1/images/generations` and `/v1/images/edits` (docs/media.md "Requests for images"). Gemini makes one picture a
//! call, so several are several calls.

mod answer;
mod pixels;

use super::form::Form;
use super::{call, wrong_model};
use crate::api::openai::now;
use crate::api::params::{missing, shorten, take, unknown_word, wrong_type};
use crate::api::{Call, Context, Exchange, Framing, Parsed, Translator};
use crate::conversation::attachments::Attachments;
use crate::error::{ApiError, ErrorKind};
use crate::gemini::models::{ModelTable, Resolved};
use crate::gemini::{GenerationConfig, Part, Request};
use answer::{Answer, Wanted};
use serde_json::{Map, Value, json};

const MAKES: &str = "make pictures";
/// OpenAI's limits.
const MAX_PICTURES: i64 = 10;
const MAX_SOURCES: usize = 16;
/// Bytes of a field of a form that is read as JSON: forms are not weighed.
const LONGEST_CONFIG: usize = 4 << 10;
/// What the model is told of a mask, which Gemini does not know.
const MASK: &str = "The last picture is a mask. Change only what lies under its transparent or white areas.";

pub(super) fn parse(is_edit: bool, kind: &str, body: Vec<u8>, context: &Context<'_>) -> Parsed {
    let mut form = Form::read(kind, body, &["image/"])?;
    let requested = form.text("model")?;
    context.note_model(requested.as_deref().unwrap_or_default());
    let model = model(requested.as_deref(), context.models)?.model;
    let prompt = form.text("prompt")?.ok_or_else(|| missing("prompt"))?;
    let count = form.whole("n")?.unwrap_or(1);
    if !(1..=MAX_PICTURES).contains(&count) {
        let message = format!("'n' must be between 1 and {MAX_PICTURES}.");
        return Err(ApiError::invalid("n", "invalid_value", message));
    }
    let stream = form.flag("stream")?;
    let partials = form.whole("partial_images")?.unwrap_or(0);
    if !(0..=3).contains(&partials) {
        return Err(ApiError::invalid("partial_images", "invalid_value", "'partial_images' must be between 0 and 3."));
    }
    let wanted = Wanted {
        created: now(),
        is_edit,
        stream,
        as_url: as_url(&mut form)?,
        partials: usize::try_from(partials).unwrap_or(0),
    };
    check_format(&mut form)?;
    let image_config = image_config(&mut form, &model)?;
    let mut parts = if is_edit { sources(&mut form, context, model.gemini3)? } else { Vec::new() };
    parts.push(Part::text(prompt));
    let mut config = Map::new();
    config.insert("responseModalities".into(), json!(["IMAGE"]));
    if !image_config.is_empty() {
        config.insert("imageConfig".into(), image_config.into());
    }
    let call = call(model, stream, parts, GenerationConfig { other: config, ..GenerationConfig::default() });
    let count = count.unsigned_abs();
    // The request of a stream is given up once it has brought something.
    let kept = (stream && count > 1).then(|| call.request.clone());
    Ok(Box::new(Pictures { call, kept, count, left: count - 1, wanted }))
}

/// The model of that name, if it makes pictures. OpenAI's names and none mean the first of OpenAI's that the config knows.
fn model(requested: Option<&str>, models: &ModelTable) -> Result<Resolved, ApiError> {
    let is_openais =
        |name: &str| ["gpt-image-", "dall-e-", "chatgpt-image-"].iter().any(|start| name.starts_with(start));
    let found = requested.and_then(|name| models.resolve(name)).or_else(|| {
        requested.is_none_or(|name| is_openais(name.trim())).then_some(())?;
        let known = models.list().into_iter().find(|model| is_openais(&model.name))?;
        models.resolve(&known.name)
    });
    match (found, requested) {
        (Some(found), _) if found.model.image_output => Ok(found),
        (None, Some(name)) if name.contains("imagen") => Err(imagen(name)),
        _ => Err(wrong_model(requested, MAKES, models, |model| model.image_output)),
    }
}

/// Google's own map of successors (docs/media.md "Image models").
fn imagen(name: &str) -> ApiError {
    let successor = match name {
        _ if name.contains("fast") => "gemini-3.1-flash-image, with little thinking,",
        _ if name.contains("ultra") => "gemini-3-pro-image",
        _ => "gemini-3.1-flash-image",
    };
    let message = format!("Google has shut down all Imagen models. Use {successor} instead of `{}`.", shorten(name));
    ApiError::new(404, ErrorKind::InvalidRequest, message).with_param("model").with_code("model_not_found")
}

fn as_url(form: &mut Form) -> Result<bool, ApiError> {
    match form.text("response_format")?.as_deref() {
        None | Some("b64_json") => Ok(false),
        Some("url") => Ok(true),
        Some(other) => Err(unknown_word("response_format", other, "'b64_json' and 'url'")),
    }
}

/// Pictures come as Google makes them; a format that it never makes is refused.
fn check_format(form: &mut Form) -> Result<(), ApiError> {
    match form.text("output_format")?.as_deref() {
        None | Some("png" | "jpeg" | "webp") => Ok(()),
        Some(format @ ("gif" | "svg")) => {
            let message = format!("Gemini makes no pictures in the format '{format}'.");
            Err(ApiError::invalid("output_format", "unsupported_value", message))
        }
        Some(other) => Err(unknown_word("output_format", other, "'png', 'jpeg' and 'webp'")),
    }
}

/// `imageConfig` of OpenAI's size and quality, and of what other programs send in Google's terms.
fn image_config(form: &mut Form, model: &crate::gemini::models::Model) -> Result<Map<String, Value>, ApiError> {
    let size = form.text("size")?;
    let quality = form.text("quality")?;
    let mut config = crate::api::options::picture(size.as_deref(), quality.as_deref(), model)?;
    let fields = &mut form.fields;
    for name in ["imageConfig", "image_config"] {
        // In a form it is JSON as text.
        let own = match take(fields, name) {
            Some(Value::String(text)) if text.len() <= LONGEST_CONFIG => {
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            }
            Some(own) => own,
            None => continue,
        };
        let Value::Object(own) = own else { return Err(wrong_type(name, "an object", &own)) };
        config.extend(own.into_iter().map(|(name, value)| (googles(&name), value)));
    }
    for name in ["aspect_ratio", "aspectRatio", "image_size", "imageSize"] {
        if let Some(value) = form.text(name)? {
            config.insert(googles(name), value.into());
        }
    }
    Ok(config)
}

fn googles(name: &str) -> String {
    match name {
        "aspect_ratio" => "aspectRatio".into(),
        "image_size" => "imageSize".into(),
        other => other.into(),
    }
}

/// The pictures to edit, in order, and the mask behind them.
fn sources(form: &mut Form, context: &Context<'_>, gemini3: bool) -> Result<Vec<Part>, ApiError> {
    let mut attachments = Attachments::new(context, gemini3);
    let mut parts = Vec::new();
    let mut mask = None;
    for (name, part) in std::mem::take(&mut form.files) {
        match &*name {
            "image" | "images" => parts.push(part),
            "mask" => mask = Some(part),
            _ => {}
        }
    }
    for name in ["image", "images"] {
        let given = match take(&mut form.fields, name) {
            Some(Value::Array(given)) => given,
            Some(one) => vec![one],
            None => continue,
        };
        for (at, one) in given.into_iter().enumerate() {
            parts.push(picture(one, &format!("{name}[{at}]"), &mut attachments)?);
        }
    }
    if let Some(given) = take(&mut form.fields, "mask") {
        mask = Some(picture(given, "mask", &mut attachments)?);
    }
    match parts.len() {
        0 => return Err(missing("image")),
        1..=MAX_SOURCES => {}
        _ => {
            let message = format!("At most {MAX_SOURCES} pictures can be edited at once.");
            return Err(ApiError::invalid("image", "invalid_value", message));
        }
    }
    if let Some(mask) = mask {
        parts.extend([mask, Part::text(MASK)]);
    }
    Ok(parts)
}

/// A picture of a JSON request: an address, a data URL, base64, or an object with one of them.
fn picture(given: Value, at: &str, attachments: &mut Attachments<'_>) -> Result<Part, ApiError> {
    let address = match given {
        Value::String(text) => text,
        Value::Object(mut object) => {
            if take(&mut object, "file_id").is_some() {
                let message = "Files are not stored here; send the picture as a data URL in 'image_url'.";
                return Err(ApiError::invalid(at, "unsupported_value", message));
            }
            let address = match take(&mut object, "image_url").or_else(|| take(&mut object, "url")) {
                Some(Value::Object(mut inner)) => take(&mut inner, "url"),
                address => address,
            };
            match address {
                Some(Value::String(text)) => text,
                _ => return Err(missing(format!("{at}.image_url"))),
            }
        }
        other => return Err(wrong_type(at, "a picture", &other)),
    };
    let refuse =
        |why: String| ApiError::invalid(at, "invalid_value", format!("The picture in '{at}' cannot be used: {why}."));
    let part = attachments.media(address).map_err(refuse)?;
    let is_picture = part.inline_data.as_ref().is_none_or(|blob| blob.mime_type.starts_with("image/"));
    if is_picture { Ok(part) } else { Err(refuse("it is none".into())) }
}

/// A parsed request.
struct Pictures {
    call: Call,
    kept: Option<Request>,
    count: u64,
    left: u64,
    wanted: Wanted,
}

impl Exchange for Pictures {
    fn call(&mut self) -> &mut Call {
        &mut self.call
    }

    fn framing(&self) -> Framing {
        if self.wanted.stream { Framing::Events } else { Framing::Whole }
    }

    fn translator(&self) -> Box<dyn Translator> {
        Box::new(Answer::new(self.wanted, self.count))
    }

    fn requests(&self) -> u64 {
        self.count
    }

    fn advance(&mut self) -> bool {
        let goes_on = self.left > 0;
        self.left = self.left.saturating_sub(1);
        if let Some(kept) = self.kept.as_ref().filter(|_| goes_on) {
            self.call.request = kept.clone();
        }
        goes_on
    }
}
