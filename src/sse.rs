//! Reading and writing Server-Sent Events. Knows nothing else: no Gemini, no OpenAI, no sockets.
//!
//! The reader follows the specification's line rules (docs/openai-chat.md "Reading events") and also takes a JSON body
//! where events were asked for, because a gateway that loses `alt=sse` makes Google send one growing array.

use crate::os::room;
use std::fmt;
use std::io::{self, BufRead};
use std::mem;

/// Keeps an idle stream alive; every client skips comments.
pub const KEEP_ALIVE: &str = ": keepalive\n\n";

/// Ends a stream in OpenAI's dialect.
pub const DONE: &str = "data: [DONE]\n\n";

/// The largest event, in bytes, that is read: an inline image of 20 MB fits three times.
pub const MAX_EVENT: usize = 64 << 20;

/// How many times its size an event takes while it is read and written.
const TIMES: usize = 2;
/// What is not counted of it.
const UNCOUNTED: usize = 256 << 10;

/// Appends `data: <json>` and the blank line. U+2028, U+2029 and U+0085 become JSON escapes, because clients that split
/// on Unicode line ends exist (docs/openai-chat.md "Writing events"); line breaks between tokens of pretty-printed JSON
/// become spaces.
pub fn frame(json: &str, out: &mut Vec<u8>) {
    out.reserve(json.len() + 8);
    out.extend_from_slice(b"data: ");
    let bytes = json.as_bytes();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let (escape, width): (&[u8], usize) = match bytes[at] {
            b'\n' | b'\r' => (b" ", 1),
            0xC2 if bytes[at + 1] == 0x85 => (b"\\u0085", 2),
            0xE2 if bytes[at + 1] == 0x80 && bytes[at + 2] == 0xA8 => (b"\\u2028", 3),
            0xE2 if bytes[at + 1] == 0x80 && bytes[at + 2] == 0xA9 => (b"\\u2029", 3),
            _ => {
                at += 1;
                continue;
            }
        };
        out.extend_from_slice(&bytes[copied..at]);
        out.extend_from_slice(escape);
        at += width;
        copied = at;
    }
    out.extend_from_slice(&bytes[copied..]);
    out.extend_from_slice(b"\n\n");
}

/// Why no further event can be read.
#[derive(Debug)]
pub enum ReadError {
    /// The source failed.
    Io(io::Error),
    /// One event is larger than the limit, in bytes.
    TooLong(usize),
    /// The memory of all requests has no room for it.
    NoRoom,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Io(error) => error.fmt(f),
            ReadError::TooLong(limit) => write!(f, "event is larger than {limit} bytes"),
            ReadError::NoRoom => f.write_str("there is no memory left for an event of this size"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Cuts a byte stream into events. An event is returned as soon as its last byte is there; its buffer is given away, so
/// a large one is never copied.
#[derive(Debug)]
pub struct EventReader<R> {
    source: R,
    limit: usize,
    mode: Mode,
    data: Vec<u8>,
    cut: bool,
    /// What was taken of the memory of all requests for the present event.
    taken: usize,
}

/// Where in the body the reader stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    /// Before the first byte that is no white space and no byte order mark.
    Start,
    /// Within event lines.
    Lines { line: Line, any: bool, after_cr: bool },
    /// Within JSON documents: the elements of an array, or one object.
    Json { depth: u32, string: bool, escaped: bool, scalar: bool },
    /// Nothing more to read.
    End,
}

/// Where in a line the reader stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Line {
    /// This many bytes matched [`FIELD`].
    Field(usize),
    /// After the colon: one space may follow.
    Space,
    /// In the value.
    Value,
    /// In a comment or another field.
    Skip,
}

const FIELD: &[u8] = b"data:";

/// What one step over buffered bytes came to.
enum Step {
    /// All bytes are used up.
    More,
    /// An event ended after this many bytes.
    Event(usize),
    /// The event grew over the limit.
    TooLong,
}

impl<R: BufRead> EventReader<R> {
    /// Reads from `source` with the usual limit.
    pub fn new(source: R) -> EventReader<R> {
        EventReader::with_limit(source, MAX_EVENT)
    }

    /// Reads from `source`; an event may have `limit` bytes.
    pub fn with_limit(source: R, limit: usize) -> EventReader<R> {
        EventReader { source, limit, mode: Mode::Start, data: Vec::new(), cut: false, taken: 0 }
    }

    /// The next event's data, or `None` at the end. Bytes that are not UTF-8 become U+FFFD. `[DONE]` is skipped. What
    /// stands before the end without a blank line is an event too; see [`EventReader::was_cut`].
    pub fn next_event(&mut self) -> Result<Option<String>, ReadError> {
        room::give_back(mem::take(&mut self.taken));
        while self.mode != Mode::End {
            let bytes = match self.source.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.mode = Mode::End;
                    return Err(ReadError::Io(error));
                }
            };
            if bytes.is_empty() {
                let pending = match self.mode {
                    Mode::Lines { any, .. } => any,
                    _ => !self.data.is_empty(),
                };
                self.mode = Mode::End;
                self.cut = pending;
                return Ok(if pending { self.take() } else { None });
            }
            let length = bytes.len();
            match step(bytes, &mut self.mode, &mut self.data, self.limit) {
                Step::More => {
                    self.source.consume(length);
                    if !self.fits() {
                        self.mode = Mode::End;
                        self.data = Vec::new();
                        return Err(ReadError::NoRoom);
                    }
                }
                Step::Event(used) => {
                    self.source.consume(used);
                    if let Some(event) = self.take() {
                        return Ok(Some(event));
                    }
                }
                Step::TooLong => {
                    self.mode = Mode::End;
                    self.data = Vec::new();
                    return Err(ReadError::TooLong(self.limit));
                }
            }
        }
        Ok(None)
    }

    /// Whether there is memory for an event that has grown so far.
    fn fits(&mut self) -> bool {
        let needed = self.data.len().saturating_mul(TIMES);
        if needed <= self.taken + UNCOUNTED {
            return true;
        }
        let more = needed + UNCOUNTED - self.taken;
        let fits = room::take(more);
        self.taken += if fits { more } else { 0 };
        fits
    }

    /// Whether the last event was ended by the end of the body rather than by its own end, so it may be incomplete.
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    /// Gives the collected event away unless it is empty or the `[DONE]` some gateways add.
    fn take(&mut self) -> Option<String> {
        if matches!(self.data.trim_ascii(), b"" | b"[DONE]") {
            self.data.clear();
            return None;
        }
        let data = mem::take(&mut self.data);
        Some(match String::from_utf8(data) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }
}

impl<R> Drop for EventReader<R> {
    fn drop(&mut self) {
        room::give_back(self.taken);
    }
}

/// Moves `mode` over `bytes`, collecting data, until an event ends or the bytes do.
fn step(bytes: &[u8], mode: &mut Mode, data: &mut Vec<u8>, limit: usize) -> Step {
    let mut at = 0;
    if *mode == Mode::Start {
        // The byte order mark may come in pieces; its three bytes begin nothing else that is valid here.
        while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n' | 0xEF | 0xBB | 0xBF)) {
            at += 1;
        }
        match bytes.get(at) {
            None => return Step::More,
            Some(b'[') => {
                at += 1;
                *mode = Mode::Json { depth: 0, string: false, escaped: false, scalar: false };
            }
            Some(b'{') => *mode = Mode::Json { depth: 0, string: false, escaped: false, scalar: false },
            Some(_) => *mode = Mode::Lines { line: Line::Field(0), any: false, after_cr: false },
        }
    }
    match mode {
        Mode::Lines { line, any, after_cr } => step_lines(bytes, at, line, any, after_cr, data, limit),
        Mode::Json { depth, string, escaped, scalar } => {
            step_json(bytes, at, depth, string, escaped, scalar, data, limit)
        }
        Mode::Start | Mode::End => Step::More,
    }
}

/// Event lines: `\n`, `\r\n` and `\r` end one; the `\n` of a pair may come in a later read.
fn step_lines(
    bytes: &[u8],
    mut at: usize,
    line: &mut Line,
    any: &mut bool,
    after_cr: &mut bool,
    data: &mut Vec<u8>,
    limit: usize,
) -> Step {
    while let Some(&byte) = bytes.get(at) {
        if mem::take(after_cr) && byte == b'\n' {
            at += 1;
            continue;
        }
        if byte == b'\n' || byte == b'\r' {
            *after_cr = byte == b'\r';
            at += 1;
            match mem::replace(line, Line::Field(0)) {
                Line::Field(0) if mem::take(any) => return Step::Event(at),
                // `data` without a colon is data with an empty value.
                Line::Field(4) => begin_value(any, data),
                _ => {}
            }
            // Empty data lines add a line feed each.
            if data.len() > limit {
                return Step::TooLong;
            }
            continue;
        }
        match line {
            Line::Field(matched) if byte == FIELD[*matched] => {
                at += 1;
                *matched += 1;
                if *matched == FIELD.len() {
                    begin_value(any, data);
                    *line = Line::Space;
                }
            }
            Line::Field(_) => *line = Line::Skip,
            Line::Space => {
                at += usize::from(byte == b' ');
                *line = Line::Value;
            }
            Line::Value | Line::Skip => {
                let rest = &bytes[at..];
                let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                if *line == Line::Value {
                    if data.len() + length > limit {
                        return Step::TooLong;
                    }
                    data.extend_from_slice(&rest[..length]);
                }
                at += length;
            }
        }
    }
    Step::More
}

/// Several data lines of one event are joined with a line feed.
fn begin_value(any: &mut bool, data: &mut Vec<u8>) {
    if mem::replace(any, true) {
        data.push(b'\n');
    }
}

/// JSON documents one after another, as the elements of an array stand; `depth` 0 is between them.
#[allow(clippy::too_many_arguments)] // the fields of one state, split by the borrow of the mode
fn step_json(
    bytes: &[u8],
    mut at: usize,
    depth: &mut u32,
    string: &mut bool,
    escaped: &mut bool,
    scalar: &mut bool,
    data: &mut Vec<u8>,
    limit: usize,
) -> Step {
    let mut begin = at;
    let mut ended = false;
    while let Some(&byte) = bytes.get(at) {
        if *escaped {
            *escaped = false;
        } else if *string {
            let rest = &bytes[at..];
            match memchr::memchr2(b'"', b'\\', rest) {
                None => {
                    at = bytes.len();
                    break;
                }
                Some(offset) => {
                    at += offset;
                    *escaped = rest[offset] == b'\\';
                    *string = *escaped;
                    ended = !*string && *depth == 0;
                }
            }
        } else {
            match byte {
                b'"' => *string = true,
                b'{' | b'[' => *depth += 1,
                b'}' | b']' if *depth > 0 => {
                    *depth -= 1;
                    ended = *depth == 0;
                }
                b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n' if *depth == 0 => {
                    // Between documents, or at the end of a number, `true` or `null`.
                    if mem::take(scalar) {
                        if data.len() + (at - begin) > limit {
                            return Step::TooLong;
                        }
                        data.extend_from_slice(&bytes[begin..at]);
                        return Step::Event(at);
                    }
                    begin = at + 1;
                }
                _ if *depth == 0 => *scalar = true,
                _ => {}
            }
        }
        at += 1;
        if ended {
            break;
        }
    }
    if data.len() + (at - begin.min(at)) > limit {
        return Step::TooLong;
    }
    data.extend_from_slice(&bytes[begin.min(at)..at]);
    if ended { Step::Event(at) } else { Step::More }
}
