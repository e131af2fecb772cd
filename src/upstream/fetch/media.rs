//! Which answers are media that Gemini could read, by their declared type and their first bytes.

use crate::gemini::sniff;

/// The media type of an answer, without parameters; `None` when it is no media.
///
/// Where bytes and declaration both tell an image, the bytes win: servers often call everything JPEG, and Google refuses
/// images under a wrong name.
pub fn media_type(declared: Option<&str>, bytes: &[u8]) -> Option<String> {
    let declared = declared.unwrap_or("").split([';', ',']).next().unwrap_or("").trim().to_ascii_lowercase();
    let found = sniff(bytes);
    match declared.as_str() {
        "" | "application/octet-stream" | "binary/octet-stream" => found.map(str::to_owned),
        "application/pdf" | "application/x-pdf" => Some("application/pdf".into()),
        _ if declared.starts_with("image/") => {
            let found = found.filter(|found| found.starts_with("image/"));
            Some(found.map_or_else(|| declared.replace("image/jpg", "image/jpeg"), str::to_owned))
        }
        _ if declared.starts_with("audio/") || declared.starts_with("video/") => Some(declared),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn types_are_declared_or_sniffed() {
        const PNG: &[u8] = b"\x89PNG\r\n\x1a\n....";
        const WEBP: &[u8] = b"RIFF\0\0\0\0WEBPVP8 ";
        const HTML: &[u8] = b"<!doctype html>";
        for (declared, bytes, expected) in [
            (Some("image/png"), PNG, Some("image/png")),
            (Some("Image/PNG; charset=binary"), PNG, Some("image/png")),
            (Some("image/jpg"), b"\0".as_slice(), Some("image/jpeg")),
            (Some("image/jpeg"), WEBP, Some("image/webp")),
            (Some("image/jpeg"), b"%PDF-1.4", Some("image/jpeg")),
            (Some("image/svg+xml"), b"<svg", Some("image/svg+xml")),
            (None, PNG, Some("image/png")),
            (Some(""), WEBP, Some("image/webp")),
            (Some("application/octet-stream"), b"%PDF-1.7", Some("application/pdf")),
            (Some("binary/octet-stream"), b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (None, b"GIF89a", Some("image/gif")),
            (None, b"BM\x10\0\0\0\0\0\0\0", Some("image/bmp")),
            (None, b"BMW is a car", None),
            (None, b"RIFF", None),
            (None, b"\0\0\0\x18ftypheic", Some("image/heic")),
            (None, b"\0\0\0\x18ftypisom", Some("video/mp4")),
            (None, b"RIFF\0\0\0\0WAVE", Some("audio/wav")),
            (None, b"\xff\xfb\x90\0", Some("audio/mp3")),
            (None, b"ID3\x04", Some("audio/mp3")),
            (Some("audio/ogg"), b"OggS", Some("audio/ogg")),
            (Some("video/mp4"), b"", Some("video/mp4")),
            (Some("application/x-pdf"), b"%PDF-", Some("application/pdf")),
            (Some("text/html"), PNG, None),
            (Some("text/html; charset=utf-8"), HTML, None),
            (Some("application/json"), b"{}", None),
            (Some("text/plain"), b"x", None),
            (None, HTML, None),
            (Some("application/octet-stream"), b"RIFF\0\0\0\0XXXX", None),
            (None, b"", None),
            (None, b"\xff", None),
        ] {
            assert_eq!(media_type(declared, bytes).as_deref(), expected, "{declared:?} {bytes:?}");
        }
    }
}
