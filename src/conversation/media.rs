//! Media in requests: data URLs, base64 in all the shapes clients send, and media types told from the first bytes.

use crate::gemini::sniff;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

/// Media as Google takes it inline.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Media {
    /// As the client said or as the bytes say; `None`: neither says anything.
    pub mime: Option<String>,
    /// Base64, standard alphabet, padded.
    pub data: String,
}

/// Whether the text begins like a data URL.
pub(crate) fn is_data_url(text: &str) -> bool {
    text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

/// Reads a data URL, percent-encoded or base64. The text is cut in place: it may be large.
pub(crate) fn data_url(mut url: String) -> Result<Media, &'static str> {
    let Some(comma) = url.find(',') else {
        return Err("the data URL has no comma");
    };
    let head = url[5..comma].to_ascii_lowercase();
    url.drain(..=comma);
    let mut fields = head.split(';').map(str::trim);
    let mime = fields.next().unwrap_or_default().to_owned();
    let data = match fields.any(|field| field == "base64") {
        true => normalise(url)?,
        false => STANDARD.encode(percent_decode_str(&url).collect::<Vec<u8>>()),
    };
    if data.is_empty() {
        return Err("the data URL is empty");
    }
    Ok(Media { mime: telling(&mime).or_else(|| sniff_base64(&data).map(str::to_owned)), data })
}

/// Base64 in either alphabet, with or without padding and line breaks, made standard. A text that is standard already is
/// returned as it is.
pub(crate) fn normalise(data: String) -> Result<String, &'static str> {
    if is_standard(data.as_bytes()) {
        return Ok(data);
    }
    let unescaped = match data.contains('%') {
        true => percent_decode_str(&data).decode_utf8().map_err(|_| "the data is not base64")?.into_owned(),
        false => data,
    };
    let mut clean = String::with_capacity(unescaped.len() + 3);
    for character in unescaped.trim_end_matches(|c: char| c == '=' || c.is_ascii_whitespace()).chars() {
        match character {
            '-' => clean.push('+'),
            '_' => clean.push('/'),
            c if c.is_ascii_alphanumeric() || c == '+' || c == '/' => clean.push(c),
            c if c.is_ascii_whitespace() => {}
            _ => return Err("the data is not base64"),
        }
    }
    match clean.len() % 4 {
        0 => {}
        2 => clean.push_str("=="),
        3 => clean.push('='),
        _ => return Err("the data is not base64"),
    }
    Ok(clean)
}

fn is_standard(data: &[u8]) -> bool {
    let body = data.strip_suffix(b"==").or_else(|| data.strip_suffix(b"=")).unwrap_or(data);
    data.len().is_multiple_of(4) && body.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// The media type in Google's spelling, without parameters; `None` when it says nothing.
pub(crate) fn telling(mime: &str) -> Option<String> {
    let mime = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match mime.as_str() {
        "image/jpg" | "image/pjpeg" => Some("image/jpeg".into()),
        "application/octet-stream" | "binary/octet-stream" => None,
        _ if !mime.contains('/') => None,
        _ => Some(mime),
    }
}

/// The media type that the first bytes of a base64 text show.
pub(crate) fn sniff_base64(data: &str) -> Option<&'static str> {
    let end = data.len().min(44) / 4 * 4;
    sniff(&STANDARD.decode(data.get(..end)?).ok()?)
}

/// The media type a file name promises, for the types Google takes inline.
pub(crate) fn by_extension(name: &str) -> Option<&'static str> {
    let extension = name.rsplit_once('.')?.1.to_ascii_lowercase();
    let found = match extension.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "bmp" => "image/bmp",
        "tif" | "tiff" => "image/tiff",
        "ico" => "image/x-icon",
        "avif" => "image/avif",
        "svg" => SVG,
        "pdf" => "application/pdf",
        "wav" => "audio/wav",
        "mp3" | "mpga" => "audio/mp3",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "flac" => "audio/flac",
        "aac" => "audio/aac",
        "aif" | "aiff" => "audio/aiff",
        "m4a" => "audio/m4a",
        "mp4" => "video/mp4",
        "mov" => "video/mov",
        "webm" => "video/webm",
        "avi" => "video/avi",
        "mkv" => "video/x-matroska",
        "mpeg" | "mpg" => "video/mpeg",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "odt" => "application/vnd.oasis.opendocument.text",
        "ods" => "application/vnd.oasis.opendocument.spreadsheet",
        "odp" => "application/vnd.oasis.opendocument.presentation",
        _ => return None,
    };
    Some(found)
}

/// Text to everyone but a browser; Google refuses it as an image.
pub(crate) const SVG: &str = "image/svg+xml";

/// Whether Google takes this type as `inlineData` without reading it as text.
pub(crate) fn is_binary_media(mime: &str) -> bool {
    let family = ["image/", "audio/", "video/"].iter().any(|family| mime.starts_with(family));
    mime == "application/pdf" || family && mime != SVG
}

/// Whether it is a file of an office, as some models read them.
pub(crate) fn is_office(mime: &str) -> bool {
    ["application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument."]
        .iter()
        .any(|start| mime.starts_with(start))
}

/// The media that Google takes, without `x-`: its page on images names these five for every model, those on sound and video
/// fewer spellings than there are.
const TAKEN: [(&str, &[&str]); 3] = [
    ("image/", &["png", "jpeg", "webp", "heic", "heif"]),
    (
        "audio/",
        &[
            "wav", "wave", "vnd.wave", "mp3", "mpeg", "mpga", "aiff", "aif", "aac", "ogg", "opus", "flac", "m4a",
            "mp4", "webm", "pcm", "pcm16", "l16",
        ],
    ),
    (
        "video/",
        &["mp4", "mpeg", "mpg", "mpegps", "mov", "quicktime", "avi", "msvideo", "flv", "webm", "wmv", "ms-wmv", "3gpp"],
    ),
];

/// Whether Google takes media of this type.
pub(crate) fn is_taken(mime: &str) -> bool {
    let of_family = TAKEN.iter().find_map(|(family, kinds)| {
        let kind = mime.strip_prefix(family)?;
        Some(kinds.contains(&kind.strip_prefix("x-").unwrap_or(kind)))
    });
    of_family.unwrap_or(mime == "application/pdf")
}

/// What Google takes in the place of something of this type, for a message.
pub(crate) fn taken_instead(mime: &str) -> &'static str {
    match mime {
        _ if mime.starts_with("audio/") => "WAV, MP3, AIFF, AAC, OGG, FLAC and M4A",
        _ if mime.starts_with("video/") => "MP4, MPEG, MOV, AVI, FLV, WebM, WMV and 3GPP",
        _ => "PNG, JPEG, WEBP, HEIC and HEIF",
    }
}

/// Encodes bytes as Google wants them.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes what [`normalise`] returned.
pub(crate) fn decode(data: &str) -> Option<Vec<u8>> {
    STANDARD.decode(data).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_every_shape_becomes_standard() {
        for (given, expected) in [
            ("AAAA", Ok("AAAA")),
            ("AAA=", Ok("AAA=")),
            ("AAA", Ok("AAA=")),
            ("AA", Ok("AA==")),
            ("AA\r\nAA \n", Ok("AAAA")),
            ("-_-_", Ok("+/+/")),
            ("%2B%2FAA", Ok("+/AA")),
            ("AA==\n", Ok("AA==")),
            ("A", Err("the data is not base64")),
            ("A=AA", Err("the data is not base64")),
            ("héé", Err("the data is not base64")),
        ] {
            assert_eq!(normalise(given.into()).as_deref(), expected.as_ref().copied(), "{given:?}");
        }
    }

    #[test]
    fn a_data_url_tells_its_type_or_its_bytes_do() {
        for (given, mime, data) in [
            ("data:image/JPG;base64,/9j/4AAQ", Some("image/jpeg"), "/9j/4AAQ"),
            ("DATA:;base64,/9j/4AAQ", Some("image/jpeg"), "/9j/4AAQ"),
            ("data:image/png;charset=utf-8;BASE64,AAAA", Some("image/png"), "AAAA"),
            ("data:text/plain,a%20b", Some("text/plain"), "YSBi"),
            ("data:application/octet-stream;base64,AAAA", None, "AAAA"),
        ] {
            let media = data_url(given.into()).unwrap();
            assert_eq!((media.mime.as_deref(), media.data.as_str()), (mime, data), "{given}");
        }
        for bad in ["data:image/png;base64", "data:image/png;base64,", "data:image/png;base64,*"] {
            assert!(data_url(bad.into()).is_err(), "{bad}");
        }
    }
}
