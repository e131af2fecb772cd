//! `multipart/form-data` (docs/media.md "Edits of images"), read in place: the parts borrow from the body, which the listener has
//! bounded, so that a form costs no memory of its own. Every byte is looked at once.

use crate::error::ApiError;
use memchr::memmem;
use percent_encoding::percent_decode_str;

/// Parts of one form.
const MAX_PARTS: usize = 128;
/// Bytes of the head of one part.
const MAX_HEAD: usize = 8 << 10;

/// One field or file.
#[derive(Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// As the client wrote it, maybe with brackets.
    pub name: String,
    /// There is one, maybe an empty one, where the part is a file.
    pub file_name: Option<String>,
    /// The type that the part names.
    pub mime: Option<String>,
    /// What it holds.
    pub data: &'a [u8],
}

/// Whether a `Content-Type` says that the body is such a form.
pub fn is_form(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("multipart/form-data")
}

/// Reads a form whose `Content-Type` is given.
pub fn parts<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<Part<'a>>, ApiError> {
    let dashed = [b"--", boundary(content_type)?.as_bytes()].concat();
    let (mut rest, line_end) = first(body, &dashed).ok_or_else(|| broken("its boundary is not in it"))?;
    // A form has the line ends of its first line; in data the other kind means nothing.
    let delimiter = [line_end, &dashed].concat();
    let finder = memmem::Finder::new(&delimiter);
    let mut parts = Vec::new();
    while let Some(part) = rest {
        if parts.len() == MAX_PARTS {
            return Err(broken(format!("it has more than {MAX_PARTS} parts")));
        }
        let (head, data) = split_head(part, line_end)?;
        let found = finder.find_iter(data).find_map(|at| Some((at, behind(&data[at + delimiter.len()..], line_end)?)));
        let (end, next) = found.ok_or_else(|| broken("it is cut off"))?;
        // The end of the empty line may be the beginning of the boundary.
        parts.push(read(head, data.get(line_end.len()..end).unwrap_or_default())?);
        rest = next;
    }
    Ok(parts)
}

fn broken(why: impl AsRef<str>) -> ApiError {
    ApiError::bad_request(format!("The body cannot be read as multipart/form-data: {}.", why.as_ref()))
}

/// The boundary: 1 to 70 printable characters, quoted or not.
fn boundary(content_type: &str) -> Result<String, ApiError> {
    let named = parameters(content_type).into_iter().find(|(name, _)| name == "boundary");
    let (_, boundary) = named.ok_or_else(|| broken("the Content-Type names no boundary"))?;
    let is_printable = boundary.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !boundary.ends_with(' ');
    match boundary.len() {
        1..=70 if is_printable => Ok(boundary),
        _ => Err(broken("the Content-Type names no valid boundary")),
    }
}

/// What follows a boundary: the next part, or nothing after the last one.
type Behind<'a> = Option<&'a [u8]>;

/// `None`: it is no boundary, but data that begins like one.
fn behind<'a>(after: &'a [u8], line_end: &[u8]) -> Option<Behind<'a>> {
    if after.starts_with(b"--") {
        return Some(None);
    }
    blanks_cut(after).strip_prefix(line_end).map(Some)
}

fn blanks_cut(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()..]
}

/// Finds the first boundary, behind a preamble or without one; says what follows it and how lines end.
fn first<'a>(body: &'a [u8], dashed: &[u8]) -> Option<(Behind<'a>, &'static [u8])> {
    memmem::find_iter(body, dashed).filter(|at| *at == 0 || body[at - 1] == b'\n').find_map(|at| {
        let after = &body[at + dashed.len()..];
        let line_end: &[u8] = if blanks_cut(after).starts_with(b"\n") { b"\n" } else { b"\r\n" };
        Some((behind(after, line_end)?, line_end))
    })
}

/// The head of a part and its data, with the end of the empty line between them before the data.
fn split_head<'a>(part: &'a [u8], line_end: &[u8]) -> Result<(&'a [u8], &'a [u8]), ApiError> {
    if part.starts_with(line_end) {
        return Ok((&[], part));
    }
    let empty_line = [line_end, line_end].concat();
    let limit = part.len().min(MAX_HEAD);
    match memmem::find(&part[..limit], &empty_line) {
        Some(at) => Ok((&part[..at], &part[at + line_end.len()..])),
        None if limit < part.len() => Err(broken(format!("the head of a part is larger than {MAX_HEAD} bytes"))),
        None => Err(broken("it is cut off")),
    }
}

fn read<'a>(head: &[u8], data: &'a [u8]) -> Result<Part<'a>, ApiError> {
    let head = String::from_utf8_lossy(head);
    let mut part = Part { name: String::new(), file_name: None, mime: None, data };
    let mut is_named = false;
    for (field, value) in fields(&head) {
        match field.as_str() {
            "content-disposition" => {
                for (parameter, text) in parameters(&value) {
                    match parameter.as_str() {
                        "name" => (part.name, is_named) = (text, true),
                        "filename*" => part.file_name = extended(&text).or(part.file_name),
                        "filename" if part.file_name.is_none() => part.file_name = Some(text),
                        _ => {}
                    }
                }
            }
            "content-type" if is_nested(&value) => return Err(broken("forms within forms are not taken")),
            "content-type" => part.mime = Some(value),
            "content-transfer-encoding" => match value.to_ascii_lowercase().as_str() {
                "binary" | "8bit" | "7bit" | "" => {}
                _ => return Err(broken("a part has a Content-Transfer-Encoding")),
            },
            _ => {}
        }
    }
    if !is_named {
        return Err(broken("a part has no name"));
    }
    Ok(part)
}

fn is_nested(mime: &str) -> bool {
    mime.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
}

/// The fields of a head, their names in lower case; a line that begins with a blank goes on with the one before it.
fn fields(head: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in head.lines() {
        match (line.starts_with([' ', '\t']), fields.last_mut(), line.split_once(':')) {
            (true, Some((_, value)), _) => {
                value.push(' ');
                value.push_str(line.trim());
            }
            (_, _, Some((name, value))) => fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned())),
            _ => {}
        }
    }
    fields
}

/// The `name=value` pairs behind the first word of a field, their names in lower case. In quotes a backslash stands
/// before a quote or a backslash; elsewhere it is itself, as old browsers send whole paths.
fn parameters(field: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = field.find(';').map_or("", |at| &field[at..]);
    while let Some(next) = rest.strip_prefix(';') {
        let Some(equals) = next.find(['=', ';']).filter(|at| next[*at..].starts_with('=')) else {
            rest = next.find(';').map_or("", |at| &next[at..]);
            continue;
        };
        let name = next[..equals].trim().to_ascii_lowercase();
        let value = next[equals + 1..].trim_start();
        let (value, left) = match value.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let end = value.find(';').unwrap_or(value.len());
                (value[..end].trim_end().to_owned(), &value[end..])
            }
        };
        found.push((name, value));
        rest = left.find(';').map_or("", |at| &left[at..]);
    }
    found
}

/// A quoted text, whose first quote is gone, and what follows its last one.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[at + 1..]),
            '\\' if letters.peek().is_some_and(|(_, next)| matches!(next, '"' | '\\')) => {
                value.extend(letters.next().map(|(_, next)| next));
            }
            _ => value.push(letter),
        }
    }
    (value, "")
}

/// `UTF-8''caf%C3%A9.png`.
fn extended(text: &str) -> Option<String> {
    let (charset, rest) = text.split_once('\'')?;
    let (_, value) = rest.split_once('\'')?;
    let is_known = ["utf-8", "iso-8859-1", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known));
    is_known.then(|| percent_decode_str(value).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=xyz";

    fn names(content_type: &str, body: &str) -> Result<Vec<(String, Option<String>, String)>, String> {
        let parts = parts(content_type, body.as_bytes()).map_err(|error| {
            assert_eq!(error.status, 400);
            error.message
        })?;
        Ok(parts
            .into_iter()
            .map(|part| (part.name, part.file_name, String::from_utf8_lossy(part.data).into_owned()))
            .collect())
    }

    fn one(content_type: &str, body: &str) -> (String, Option<String>, String) {
        names(content_type, body).unwrap_or_else(|error| panic!("{error} for {body:?}")).remove(0)
    }

    fn simple(name: &str, data: &str) -> String {
        format!("--xyz\r\nContent-Disposition: form-data; {name}\r\n\r\n{data}\r\n--xyz--\r\n")
    }

    #[test]
    fn boundaries_come_in_every_form() {
        for (content_type, boundary) in [
            ("multipart/form-data; boundary=xyz", "xyz"),
            ("Multipart/Form-Data;BOUNDARY=xyz", "xyz"),
            ("multipart/form-data; charset=utf-8; boundary=\"x y:z'()+_,-./=?\"", "x y:z'()+_,-./=?"),
            ("multipart/form-data; boundary = xyz ; charset=utf-8", "xyz"),
            ("multipart/form-data; boundary=----WebKitFormBoundaryA1", "----WebKitFormBoundaryA1"),
        ] {
            let body = format!("--{boundary}\r\ncontent-disposition: form-data; name=a\r\n\r\nb\r\n--{boundary}--");
            assert_eq!(one(content_type, &body), ("a".into(), None, "b".into()), "{content_type}");
        }
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        for content_type in
            ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"", &long]
        {
            assert!(names(content_type, &simple("name=a", "b")).is_err(), "{content_type}");
        }
    }

    #[test]
    fn lines_may_end_in_a_line_feed_and_boundaries_in_blanks() {
        for body in [
            "--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--xyz--",
            "--xyz\nContent-Disposition: form-data; name=a\n\nb\n--xyz--\n",
            "a preamble\r\n--xyz \t\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--xyz--\r\nan epilogue",
            "--xyzzy\r\n--xyz\r\nContent-Disposition: form-data;\r\n name=a\r\n\r\nb\r\n--xyz--\r\n",
        ] {
            assert_eq!(one(TYPE, body), ("a".into(), None, "b".into()), "{body:?}");
        }
    }

    #[test]
    fn data_may_hold_what_looks_like_a_boundary() {
        for data in ["", "\r\n", "\n--xyz\n", "\r\n--xyzzy\r\n", "\r\n--xy", "a\r\n\r\nb", "\r\n--xyz-\r\n"] {
            assert_eq!(one(TYPE, &simple("name=a", data)).2, data, "{data:?}");
        }
        let empty = "--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\n--xyz--";
        assert_eq!(one(TYPE, empty).2, "");
    }

    #[test]
    fn names_come_in_every_form() {
        for (written, name, file_name) in [
            ("name=\"image[]\"; filename=\"a.png\"", "image[]", Some("a.png")),
            ("filename=a.png; name=image", "image", Some("a.png")),
            ("NAME=\"a\"; FileName=\"\"", "a", Some("")),
            (r#"name="a \"b\" \\"; filename="C:\dir\a.png""#, r#"a "b" \"#, Some(r"C:\dir\a.png")),
            ("name=\"a\"; filename=\"caf.png\"; filename*=UTF-8''caf%C3%A9.png", "a", Some("café.png")),
            ("name=\"a\"; filename*=utf-8'en'x%20y; filename=\"z\"", "a", Some("x y")),
            ("name=\"a;b=c\"; filename=\"d;e\"", "a;b=c", Some("d;e")),
            ("name=\"größe\"", "größe", None),
            ("name=", "", None),
        ] {
            let (found, file, _) = one(TYPE, &simple(written, "x"));
            assert_eq!((found.as_str(), file.as_deref()), (name, file_name), "{written}");
        }
    }

    #[test]
    fn what_is_broken_is_refused() {
        let head = "h: x\r\n".repeat(2000);
        for body in [
            String::new(),
            "--xyz".into(),
            "--xyz\r\n".into(),
            "--xyz\r\nContent-Disposition: form-data; name=a".into(),
            "--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\nb".into(),
            "--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--xyz".into(),
            "--xyz\r\nContent-Type: text/plain\r\n\r\nb\r\n--xyz--".into(),
            "--xyz\r\n\r\nb\r\n--xyz--".into(),
            "--other\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--other--".into(),
            format!("--xyz\r\n{head}\r\n\r\nb\r\n--xyz--"),
            simple("name=a\r\nContent-Type: multipart/mixed; boundary=b", "x"),
            simple("name=a\r\nContent-Transfer-Encoding: base64", "eA=="),
            "--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\n".repeat(1_000_000),
        ] {
            assert!(names(TYPE, &body).is_err(), "{}", &body[..body.len().min(100)]);
        }
        assert_eq!(names(TYPE, "--xyz--"), Ok(Vec::new()), "a form without fields");
    }
}
