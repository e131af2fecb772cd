//! What media are, by their first bytes and in Google's words.

/// The media type that the first bytes show.
pub(crate) fn sniff(bytes: &[u8]) -> Option<&'static str> {
    let at = |from: usize, magic: &[u8]| bytes.get(from..).is_some_and(|rest| rest.starts_with(magic));
    let found = match bytes {
        _ if at(0, b"\x89PNG") => "image/png",
        _ if at(0, b"\xff\xd8\xff") => "image/jpeg",
        _ if at(0, b"GIF8") => "image/gif",
        _ if at(0, b"RIFF") => match bytes.get(8..12)? {
            b"WEBP" => "image/webp",
            b"WAVE" => "audio/wav",
            b"AVI " => "video/avi",
            _ => return None,
        },
        _ if at(0, b"%PDF") => "application/pdf",
        _ if at(4, b"ftyp") => match bytes.get(8..12)? {
            b"heic" | b"heix" | b"hevc" | b"hevx" => "image/heic",
            b"mif1" | b"msf1" | b"heif" | b"heim" | b"heis" => "image/heif",
            b"avif" | b"avis" => "image/avif",
            b"M4A " | b"M4B " => "audio/m4a",
            b"qt  " => "video/quicktime",
            _ => "video/mp4",
        },
        // A frame of MPEG audio without a tag before it begins with eleven set bits, and is of layer III.
        [0xff, second, ..] if second & 0xe6 == 0xe2 => "audio/mp3",
        _ if at(0, b"ID3") => "audio/mp3",
        _ if at(0, b"OggS") => "audio/ogg",
        _ if at(0, b"fLaC") => "audio/flac",
        _ if at(0, b"\x1a\x45\xdf\xa3") => "video/webm",
        _ if at(0, b"II*\0") || at(0, b"MM\0*") => "image/tiff",
        // A bitmap's header holds its length and four reserved zero bytes; `BM` alone may be any text.
        _ if at(0, b"BM") && at(6, b"\0\0\0\0") => "image/bmp",
        _ => return None,
    };
    Some(found)
}

/// What stands in the place of media that Google does not take, where nobody can change them any more.
pub(crate) fn was_here(mime: &str) -> String {
    format!("[A file of type {mime} was here, which Gemini does not take.]")
}
