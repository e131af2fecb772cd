//! Message content made into Google's parts (openai_chat.md 1.3): text, images, audio, video and files, whether inline,
//! by address or with the wrong wrapping.

use crate::api::Context;
use crate::api::params::{Object, missing, read_at, take, take_text, unknown_word, wrong_type};
use crate::conversation::media::{self, Media};
use crate::error::ApiError;
use crate::gemini::{FileData, Part};
use serde_json::{Value, json};

/// Bytes fetched for one request, in all; one picture may have half of it (openai_chat.md 1.3).
const MAX_FETCHED: usize = 40 * 1024 * 1024;

/// Reads the contents of one request.
pub(crate) struct Reader<'a> {
    context: &'a Context<'a>,
    gemini3: bool,
    fetched: usize,
    low: usize,
    images: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(context: &'a Context<'a>, gemini3: bool) -> Reader<'a> {
        Reader { context, gemini3, fetched: 0, low: 0, images: 0 }
    }

    /// Whether there were images and the client wants all of them in low resolution.
    pub(crate) fn all_low(&self) -> bool {
        self.images > 0 && self.low == self.images
    }

    /// The parts of `content`, empty texts left out. `path` names the message for errors.
    pub(crate) fn parts(&mut self, content: Value, path: &str) -> Result<Vec<Part>, ApiError> {
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
                Value::Object(part) => parts.extend(self.part(part, &format!("{path}.content[{index}]"))?),
                other => return Err(wrong_type(format!("{path}.content[{index}]"), "an object", &other)),
            }
        }
        Ok(parts)
    }

    fn part(&mut self, mut part: Object, path: &str) -> Result<Option<Part>, ApiError> {
        let kind = read_at(&mut part, path, "type")?.unwrap_or_else(|| guess_kind(&part).to_owned());
        match kind.as_str() {
            "text" | "input_text" | "output_text" => plain(&mut part, "text", path),
            "refusal" => plain(&mut part, "refusal", path),
            "image_url" | "input_image" => self.addressed(part, "image_url", path).map(Some),
            "video_url" => self.addressed(part, "video_url", path).map(Some),
            "input_audio" => audio(part, path).map(Some),
            "file" | "input_file" => self.file(part, path).map(Some),
            // Thoughts of other vendors mean nothing to Google, and thoughts never go back as text.
            "thinking" | "redacted_thinking" | "reasoning" => Ok(None),
            _ => {
                let known = "'text', 'image_url', 'video_url', 'input_audio' and 'file'";
                Err(unknown_word(format!("{path}.type"), &kind, known))
            }
        }
    }

    /// `image_url` and `video_url`: an object with `url`, or the address itself.
    fn addressed(&mut self, mut part: Object, field: &str, path: &str) -> Result<Part, ApiError> {
        let (url, detail, param) = match take(&mut part, field) {
            Some(Value::String(url)) => (Some(url), take_text(&mut part, "detail"), format!("{path}.{field}")),
            Some(Value::Object(mut inner)) => {
                (take_text(&mut inner, "url"), take_text(&mut inner, "detail"), format!("{path}.{field}.url"))
            }
            _ => (None, None, format!("{path}.{field}")),
        };
        let Some(url) = url else {
            return Err(ApiError::invalid(&param, "invalid_image_url", format!("'{param}' must be an address.")));
        };
        let mut made = self.media(url).map_err(|reason| bad_media(&param, &reason))?;
        if field == "image_url" {
            self.resolution(&mut made, detail.as_deref());
        }
        Ok(made)
    }

    /// Reads a data URL, raw base64 or an address into a part.
    pub(crate) fn media(&mut self, url: String) -> Result<Part, String> {
        let trimmed = url.trim();
        if trimmed.len() != url.len() {
            return self.media(trimmed.to_owned());
        }
        if media::is_data_url(&url) {
            let Media { mime, data } = media::data_url(url)?;
            let mime = mime.ok_or("the type of the media is not known")?;
            return Ok(Part::inline(mime, data));
        }
        if let Some(part) = by_reference(&url) {
            return Ok(part);
        }
        if is_http(&url) {
            let (mime, bytes) = self.fetch(&url)?;
            let mime = Some(mime)
                .filter(|mime| media::is_binary_media(mime))
                .or_else(|| media::sniff(&bytes).map(str::to_owned))
                .ok_or("the address does not lead to an image")?;
            return Ok(Part::inline(mime, media::encode(&bytes)));
        }
        let data = media::normalise(url).map_err(|_| "it is neither a data URL nor an http address")?;
        let mime = media::sniff_base64(&data).ok_or("it is neither a data URL nor an http address")?;
        Ok(Part::inline(mime, data))
    }

    fn fetch(&mut self, url: &str) -> Result<(String, Vec<u8>), String> {
        let (mime, bytes) = self.context.fetch.fetch(url)?;
        self.fetched = self.fetched.saturating_add(bytes.len());
        if self.fetched > MAX_FETCHED {
            return Err("the request names more media than can be fetched".into());
        }
        Ok((media::telling(&mime).unwrap_or_default(), bytes))
    }

    fn resolution(&mut self, part: &mut Part, detail: Option<&str>) {
        self.images += 1;
        self.low += usize::from(detail == Some("low"));
        if !self.gemini3 || !self.context.settings.media_resolution {
            return;
        }
        let level = match detail {
            Some("low") => "MEDIA_RESOLUTION_LOW",
            Some("high" | "original") => "MEDIA_RESOLUTION_HIGH",
            _ => return,
        };
        part.other.insert("mediaResolution".into(), json!({ "level": level }));
    }

    /// `file`: media goes inline, text is put in as text under its name, anything else is refused.
    fn file(&mut self, mut part: Object, path: &str) -> Result<Part, ApiError> {
        // The Responses API has the fields in the part itself.
        let mut file = read_at(&mut part, path, "file")?.unwrap_or(part);
        let name = take_text(&mut file, "filename");
        let (source, param) = match (take_text(&mut file, "file_data"), take_text(&mut file, "file_id")) {
            (Some(data), _) => (data, format!("{path}.file.file_data")),
            (None, Some(id)) if is_http(&id) || id.starts_with("gs://") => (id, format!("{path}.file.file_id")),
            (None, Some(_)) => {
                return Err(ApiError::invalid(
                    format!("{path}.file.file_id"),
                    "unsupported_value",
                    "Files by id are not supported; send the file in 'file_data'.",
                ));
            }
            (None, None) => return Err(missing(format!("{path}.file"))),
        };
        if let Some(part) = by_reference(&source) {
            return Ok(part);
        }
        let Media { mime, data } = self.file_data(source).map_err(|reason| {
            ApiError::invalid(&param, "invalid_value", format!("'{param}' cannot be used: {reason}."))
        })?;
        let mime = mime
            .or_else(|| name.as_deref().and_then(media::by_extension).map(str::to_owned))
            .or_else(|| media::sniff_base64(&data).map(str::to_owned));
        if let Some(mime) = mime.filter(|mime| media::is_binary_media(mime)) {
            return Ok(Part::inline(mime, data));
        }
        let text = media::decode(&data).and_then(|bytes| String::from_utf8(bytes).ok());
        match text.filter(|text| !text.contains('\0')) {
            Some(text) => Ok(Part::text(format!("[file: {}]\n{text}", name.as_deref().unwrap_or("unnamed")))),
            None => Err(ApiError::invalid(
                format!("{path}.file"),
                "unsupported_file",
                "This type of file is not supported; PDF, images, audio, video and text are.",
            )),
        }
    }

    fn file_data(&mut self, source: String) -> Result<Media, String> {
        if media::is_data_url(&source) {
            return Ok(media::data_url(source)?);
        }
        if is_http(&source) {
            let (mime, bytes) = self.fetch(&source)?;
            return Ok(Media { mime: Some(mime).filter(|mime| !mime.is_empty()), data: media::encode(&bytes) });
        }
        Ok(Media { mime: None, data: media::normalise(source)? })
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

fn audio(mut part: Object, path: &str) -> Result<Part, ApiError> {
    let param = format!("{path}.input_audio");
    let mut inner = read_at::<Object>(&mut part, path, "input_audio")?.ok_or_else(|| missing(&param))?;
    let format = take_text(&mut inner, "format").map(|format| format!("audio/{}", format.to_ascii_lowercase()));
    let Some(data) = take_text(&mut inner, "data") else {
        return Err(missing(format!("{param}.data")));
    };
    let media = match media::is_data_url(&data) {
        true => media::data_url(data),
        false => media::normalise(data).map(|data| Media { mime: None, data }),
    };
    let media = media.map_err(|reason| {
        ApiError::invalid(format!("{param}.data"), "invalid_value", format!("'{param}.data' cannot be used: {reason}."))
    })?;
    let mime = media
        .mime
        .filter(|mime| mime.starts_with("audio/"))
        .or(format)
        .or_else(|| media::sniff_base64(&media.data).map(str::to_owned))
        .unwrap_or_else(|| "audio/wav".into());
    Ok(Part::inline(mime, media.data))
}

/// Media that Google gets by itself: `gs://`, its own Files API, YouTube.
fn by_reference(url: &str) -> Option<Part> {
    const FILES: &str = "https://generativelanguage.googleapis.com/v1beta/files/";
    let mime_type = match url {
        _ if is_youtube(url) => Some("video/mp4"),
        _ if url.starts_with("gs://") || url.starts_with(FILES) => media::by_extension(url),
        _ => return None,
    };
    let file_data =
        FileData { mime_type: mime_type.map(str::to_owned), file_uri: url.to_owned(), ..FileData::default() };
    Some(Part { file_data: Some(file_data), ..Part::default() })
}

fn is_youtube(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let known = ["youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"];
    (scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")) && known.contains(&host.as_str())
}

fn is_http(url: &str) -> bool {
    let starts = |scheme: &str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    starts("http://") || starts("https://")
}

fn bad_media(param: &str, reason: &str) -> ApiError {
    ApiError::invalid(param, "invalid_image_url", format!("'{param}' cannot be used: {reason}."))
}
