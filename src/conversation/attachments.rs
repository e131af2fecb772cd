//! Media and files of a request made into parts, whether they come inline, by address or with the wrong wrapping.

use super::Context;
#[cfg(feature = "agents")]
use super::history::Entry;
use super::media::{self, Media};
#[cfg(feature = "agents")]
use crate::error::ApiError;
use crate::gemini::models::Model;
use crate::gemini::{FileData, Part, sniff, was_here};
use serde_json::json;

/// Bytes fetched for one request, in all; one picture may have half of it (docs/openai-chat.md "Message content").
const MAX_FETCHED: usize = 40 * 1024 * 1024;
/// Kinds of what is left out that are told of.
const MAX_KINDS: usize = 8;
/// Why a text that is no address is none.
const NO_ADDRESS: &str = "it is neither a data URL nor an http address";

/// Makes the parts of one request.
pub struct Attachments<'a> {
    context: &'a Context<'a>,
    gemini3: bool,
    /// The model reads files of offices.
    office: bool,
    fetched: usize,
    low: usize,
    images: usize,
    /// What is read now was said before the newest turn.
    is_past: bool,
    /// What was left out: the type, the first place and how many there are.
    left_out: Vec<(String, String, usize)>,
}

/// Why a file cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub enum Unusable {
    /// What it holds cannot be had, for this reason.
    Data(String),
    /// It is neither media that Google takes nor text.
    Type,
}

impl<'a> Attachments<'a> {
    /// For one request to a model before or from Gemini 3.
    pub fn new(context: &'a Context<'a>, gemini3: bool) -> Attachments<'a> {
        Attachments {
            context,
            gemini3,
            office: false,
            fetched: 0,
            low: 0,
            images: 0,
            is_past: false,
            left_out: Vec::new(),
        }
    }

    /// For one request to this model.
    pub fn of(context: &'a Context<'a>, model: &Model) -> Attachments<'a> {
        // Google's guide names this one only (docs/gemini-4.md "Tools beside functions").
        Attachments { office: model.is_of("gemini-4-hydrogen"), ..Attachments::new(context, model.gemini3) }
    }

    /// The resolution of the whole request: low, where the client wants it of every image and parts cannot say so.
    pub fn resolution(&self) -> Option<&'static str> {
        (!self.gemini3 && self.images > 0 && self.low == self.images).then_some("MEDIA_RESOLUTION_LOW")
    }

    /// Whether what is read from now on is what nobody can change any more: what was said before the newest turn, or what a
    /// tool answered. There a text takes the place of media that Google refuses, so that the conversation can go on. Returns
    /// what it was before.
    pub fn past(&mut self, is_past: bool) -> bool {
        std::mem::replace(&mut self.is_past, is_past)
    }

    /// Notes that what stands at `at` is left out, because of its type.
    pub fn leave_out(&mut self, kind: &str, at: &str) {
        let kind: String = kind.chars().take(64).collect();
        match self.left_out.iter().position(|(known, ..)| *known == kind) {
            Some(index) => self.left_out[index].2 += 1,
            None if self.left_out.len() < MAX_KINDS => self.left_out.push((kind, at.to_owned(), 1)),
            None => {}
        }
    }

    /// Sentences for the client about what was left out.
    pub fn left_out(&self) -> impl Iterator<Item = String> {
        self.left_out.iter().map(|(kind, at, count)| {
            let more = if *count > 1 { format!(" ({count} of it in all)") } else { String::new() };
            format!("{at} was left out: its type {kind} is not known here, or Google has nothing like it{more}.")
        })
    }

    /// 400 where all that the client says was left out; `param` is where it says it.
    #[cfg(feature = "agents")]
    pub fn refuse_silence(&self, history: &[Entry], param: &str) -> Result<(), ApiError> {
        let is_silent = history.iter().all(|entry| matches!(entry, Entry::System(_)));
        match self.left_out().next().filter(|_| is_silent) {
            Some(sentence) => Err(ApiError::invalid(param, "unsupported_value", sentence)),
            None => Ok(()),
        }
    }

    /// Media as Google takes it.
    fn inline(&self, mime: String, data: String) -> Result<Part, String> {
        // Programs that convert pictures forget to say so.
        const SURE: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];
        let is = media::sniff_base64(&data).filter(|is| mime.starts_with("image/") && SURE.contains(is));
        let mime = is.map_or(mime, str::to_owned);
        if !media::is_binary_media(&mime) && mime != "application/octet-stream" {
            // A drawing or a page in the place of a picture.
            if let Some(text) = as_text(&data) {
                return Ok(Part::text(format!("[{mime}]\n{text}")));
            }
        }
        if data.is_empty() && !self.is_past {
            return Err("it is empty".into());
        }
        if media::is_taken(&mime) && !data.is_empty() {
            return Ok(Part::inline(mime, data));
        }
        match self.is_past {
            true => Ok(Part::text(was_here(&mime))),
            false => Err(format!("Gemini does not take {mime}, but {}", media::taken_instead(&mime))),
        }
    }

    /// Media by data URL, raw base64 or address. The error is a reason without a capital letter.
    pub fn media(&mut self, url: String) -> Result<Part, String> {
        let trimmed = url.trim();
        if trimmed.len() != url.len() {
            return self.media(trimmed.to_owned());
        }
        if media::is_data_url(&url) {
            let Media { mime, data } = media::data_url(url)?;
            let mime = mime.ok_or("the type of the media is not known")?;
            return self.inline(mime, data);
        }
        if let Some(part) = by_reference(&url) {
            return Ok(part);
        }
        if is_http(&url) {
            let (mime, bytes) = self.fetch(&url)?;
            let mime = Some(mime)
                .filter(|mime| media::is_binary_media(mime) || mime == media::SVG)
                .or_else(|| sniff(&bytes).map(str::to_owned))
                .ok_or("the address does not lead to an image")?;
            return self.inline(mime, media::encode(&bytes));
        }
        let data = media::normalise(url).map_err(|_| NO_ADDRESS)?;
        let mime = media::sniff_base64(&data).ok_or(NO_ADDRESS)?;
        self.inline(mime.to_owned(), data)
    }

    /// An image by data URL, raw base64 or address, with the resolution it is wanted in.
    pub fn image(&mut self, url: String, detail: Option<&str>) -> Result<Part, String> {
        let mut part = self.media(url)?;
        self.images += 1;
        self.low += usize::from(detail == Some("low"));
        let level = match detail {
            Some("low") => "MEDIA_RESOLUTION_LOW",
            Some("high" | "original") => "MEDIA_RESOLUTION_HIGH",
            _ => return Ok(part),
        };
        if self.gemini3 && self.context.settings.media_resolution {
            part.other.insert("mediaResolution".into(), json!({ "level": level }));
        }
        Ok(part)
    }

    /// A file by data URL, base64 or address: media stays media, text becomes text under the file's name. `mime` is the
    /// client's word, if it has one.
    pub fn file(&mut self, source: String, mime: Option<&str>, name: Option<&str>) -> Result<Part, Unusable> {
        if let Some(part) = by_reference(&source) {
            return Ok(part);
        }
        let Media { mime: own, data } = self.file_data(source).map_err(Unusable::Data)?;
        let mime = own
            .or_else(|| mime.and_then(media::telling))
            .or_else(|| name.and_then(media::by_extension).map(str::to_owned))
            .or_else(|| media::sniff_base64(&data).map(str::to_owned));
        if let Some(mime) = mime.clone().filter(|mime| media::is_binary_media(mime)) {
            return self.inline(mime, data).map_err(Unusable::Data);
        }
        let office = mime.filter(|mime| media::is_office(mime));
        if let Some(mime) = office.clone().filter(|_| self.office) {
            return Ok(Part::inline(mime, data));
        }
        let Some(text) = as_text(&data).filter(|_| office.is_none()) else {
            return match self.is_past {
                true => Ok(Part::text("[A file was here, of a type that Gemini does not take.]")),
                false => Err(Unusable::Type),
            };
        };
        Ok(Part::text(format!("[file: {}]\n{text}", name.unwrap_or("unnamed"))))
    }

    /// Sound in base64 or as a data URL; `format` is a word such as `mp3`.
    pub fn audio(&mut self, data: String, format: Option<String>) -> Result<Part, String> {
        let Media { mime, data } = match media::is_data_url(&data) {
            true => media::data_url(data)?,
            false => Media { mime: None, data: media::normalise(data)? },
        };
        let mime = mime
            .filter(|mime| mime.starts_with("audio/"))
            .or_else(|| format.map(|format| format!("audio/{}", format.to_ascii_lowercase())))
            .or_else(|| media::sniff_base64(&data).map(str::to_owned))
            .unwrap_or_else(|| "audio/wav".into());
        self.inline(mime, data)
    }

    fn file_data(&mut self, source: String) -> Result<Media, String> {
        if media::is_data_url(&source) {
            return Ok(media::data_url(source)?);
        }
        if is_http(&source) {
            let (mime, bytes) = self.fetch(&source)?;
            return Ok(Media { mime: Some(mime).filter(|mime| !mime.is_empty()), data: media::encode(&bytes) });
        }
        // Base64 has no colon, an address of another kind has one behind its first word.
        match source.bytes().take(16).any(|byte| byte == b':') {
            true => Err(NO_ADDRESS.into()),
            false => Ok(Media { mime: None, data: media::normalise(source)? }),
        }
    }

    fn fetch(&mut self, url: &str) -> Result<(String, Vec<u8>), String> {
        let (mime, bytes) = self.context.fetch.fetch(url)?;
        self.fetched = self.fetched.saturating_add(bytes.len());
        if self.fetched > MAX_FETCHED {
            return Err("the request names more media than can be fetched".into());
        }
        Ok((media::telling(&mime).unwrap_or_default(), bytes))
    }
}

/// What a file holds, if it is text.
fn as_text(data: &str) -> Option<String> {
    let text = media::decode(data).and_then(|bytes| String::from_utf8(bytes).ok());
    text.filter(|text| !text.contains('\0'))
}

/// An uploaded file. Its bytes tell its type, else its name, else the client's word, as long as it is of one of the
/// `families`: a container with pictures and sound is what was wanted of it.
pub fn upload(bytes: &[u8], mime: Option<&str>, name: Option<&str>, families: &[&str]) -> Option<Part> {
    let told = [
        sniff(bytes).map(str::to_owned),
        name.and_then(media::by_extension).map(str::to_owned),
        mime.and_then(media::telling),
    ];
    let mut fitting = told.into_iter().flatten().filter_map(|mime| in_family(mime, families));
    fitting.next().map(|mime| Part::inline(mime, media::encode(bytes)))
}

fn in_family(mime: String, families: &[&str]) -> Option<String> {
    let begins = |mime: &str| media::is_binary_media(mime) && families.iter().any(|family| mime.starts_with(family));
    let sound = mime.strip_prefix("video/").filter(|_| families.contains(&"audio/"));
    match sound {
        _ if begins(&mime) => Some(mime),
        Some(kind @ ("mp4" | "webm" | "mpeg" | "ogg")) => Some(format!("audio/{kind}")),
        _ => None,
    }
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
    Some(Part { file_data: Some(Box::new(file_data)), ..Part::default() })
}

fn is_youtube(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let known = ["youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"];
    (scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")) && known.contains(&host.as_str())
}

/// Whether a text is an address that is fetched.
pub fn is_http(url: &str) -> bool {
    let starts = |scheme: &str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    starts("http://") || starts("https://")
}
