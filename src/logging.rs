//! The logger: simple_logger's levels and lines behind a guard that adds the request id, takes control characters out and
//! cannot fail.
//!
//! What may be logged at which level: INFO has one line per request and one per event of a credential's life; DEBUG adds
//! attempts and decisions; nothing at any level holds a token, a key, an OAuth code, a prompt or an answer.

mod output;

use crate::calendar;
use crate::config::LogFormat;
use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use simple_logger::SimpleLogger;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// Lines kept for the admin page.
const KEPT: usize = 500;
/// Longest text of a kept line.
const LONGEST: usize = 4000;

/// The last lines. A part of the logger, which is global itself.
static LINES: Mutex<Lines> = Mutex::new(Lines { next: 1, lines: VecDeque::new() });
/// Lines are JSON. Global as the logger is.
static IS_JSON: AtomicBool = AtomicBool::new(false);
/// Which of several replicas writes. Global as the logger is.
static REPLICA: OnceLock<String> = OnceLock::new();

thread_local! {
    /// One thread answers one request at a time, so the id of the thread's request is exact.
    static REQUEST_ID: RefCell<String> = const { RefCell::new(String::new()) };
    /// The line that is being written; kept for its memory.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
    /// Message and fields of the line that is being written, for the JSON format.
    static FIELDS: RefCell<Option<(&'static str, Map<String, Value>)>> = const { RefCell::new(None) };
}

/// Starts logging to standard output. Called once, by `main`.
pub fn start(level: LevelFilter, format: LogFormat) {
    let inner = SimpleLogger::new()
        .with_level(log::LevelFilter::Debug)
        // Their DEBUG shows request lines and headers of calls to Google.
        .with_module_level("ureq", LevelFilter::Warn)
        .with_module_level("ureq_proto", LevelFilter::Warn)
        .with_module_level("rustls", LevelFilter::Warn)
        .with_module_level("mio", LevelFilter::Warn);
    log::set_max_level(level);
    // A second call (tests) keeps the first logger.
    if log::set_boxed_logger(Box::new(Guard { inner })).is_ok() {
        IS_JSON.store(format == LogFormat::Json, Ordering::Relaxed);
    }
}

/// From now on each line says which of several replicas has written it. Called once, by `main`.
pub fn name_replica(name: &str) {
    // A second call keeps the first name.
    let _ = REPLICA.set(name.to_owned());
}

/// Names the request that this thread works on until the returned mark is dropped.
pub fn request_scope(id: &str) -> RequestScope {
    REQUEST_ID.with_borrow_mut(|current| {
        current.clear();
        current.push_str(id);
    });
    RequestScope
}

/// See [`request_scope`].
pub struct RequestScope;

impl Drop for RequestScope {
    fn drop(&mut self) {
        REQUEST_ID.with_borrow_mut(String::clear);
    }
}

/// A value in the line about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// Not known, or not for this request.
    None,
    /// Words of any kind.
    Text(&'a str),
    /// A count, or a time in milliseconds.
    Number(u64),
}

impl<'a> From<&'a str> for Field<'a> {
    fn from(text: &'a str) -> Field<'a> {
        Field::Text(text)
    }
}

impl<'a> From<&'a String> for Field<'a> {
    fn from(text: &'a String) -> Field<'a> {
        Field::Text(text)
    }
}

impl From<u64> for Field<'_> {
    fn from(number: u64) -> Self {
        Field::Number(number)
    }
}

impl From<u16> for Field<'_> {
    fn from(number: u16) -> Self {
        Field::Number(number.into())
    }
}

impl<'a, T: Into<Field<'a>>> From<Option<T>> for Field<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Field::None, T::into)
    }
}

impl Field<'_> {
    fn show(self, line: &mut String) {
        // Writing to a string cannot fail.
        let _ = match self {
            Field::None | Field::Text("") => line.write_str("-"),
            Field::Text(text) if text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"=".contains(&byte)) => {
                line.write_str(text)
            }
            // In quotes it cannot pass for two fields, nor for two lines.
            Field::Text(text) if text.contains(|c: char| c.is_control() || [' ', '"', '='].contains(&c)) => {
                write!(line, "{}", json!(text))
            }
            Field::Text(text) => line.write_str(text),
            Field::Number(number) => write!(line, "{number}"),
        };
    }
}

/// Writes the one line about a request: `name=value` for people, fields of their own in JSON. Fields without a value are
/// a dash or left out.
pub fn access(fields: &[(&str, Field)]) {
    if !log::log_enabled!(Level::Info) {
        return;
    }
    let mut line = String::with_capacity(320);
    for (name, value) in fields {
        let space = if line.is_empty() { "" } else { " " };
        line.extend([space, name, "="]);
        value.show(&mut line);
    }
    let known = fields.iter().filter_map(|(name, value)| match value {
        Field::None => None,
        Field::Text(text) => Some(((*name).to_owned(), json!(head(text, LONGEST / 4)))),
        Field::Number(number) => Some(((*name).to_owned(), json!(number))),
    });
    info("request", &line, || known.collect());
}

/// Writes `text` at INFO. In JSON it is a short message and fields.
pub fn info(message: &'static str, text: &str, fields: impl FnOnce() -> Map<String, Value>) {
    if IS_JSON.load(Ordering::Relaxed) {
        FIELDS.set(Some((message, fields())));
    }
    log::info!("{text}");
    FIELDS.set(None);
}

/// A line that was kept.
#[derive(Clone, Debug)]
pub struct Line {
    /// Rises by one from line to line.
    pub number: u64,
    /// When it was written.
    pub time: SystemTime,
    /// How serious it is.
    pub level: Level,
    /// Request id and message.
    pub text: String,
}

struct Lines {
    next: u64,
    lines: VecDeque<Line>,
}

/// The kept lines after that number, and the number of the last one.
pub fn lines_after(number: u64) -> (Vec<Line>, u64) {
    let kept = LINES.lock();
    (kept.lines.iter().filter(|line| line.number > number).cloned().collect(), kept.next - 1)
}

/// The beginning of a text, in whole letters.
fn head(text: &str, longest: usize) -> &str {
    &text[..(0..=text.len().min(longest)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0)]
}

fn keep(level: Level, text: &str) {
    let text = head(text, LONGEST).to_owned();
    let mut kept = LINES.lock();
    if kept.lines.len() >= KEPT {
        kept.lines.pop_front();
    }
    let number = kept.next;
    kept.next += 1;
    kept.lines.push_back(Line { number, time: SystemTime::now(), level, text });
}

/// One line of JSON: the usual fields, then those of [`info`] unless they would hide a usual one.
fn json_line(record: &Record, id: &str, message: &str) -> String {
    let mut line = Map::new();
    line.insert("time".into(), json!(calendar::iso_ms(SystemTime::now())));
    line.insert("level".into(), json!(record.level().as_str()));
    line.insert("target".into(), json!(record.target()));
    line.insert("request".into(), if id.is_empty() { Value::Null } else { json!(id) });
    if let Some(replica) = REPLICA.get() {
        line.insert("replica".into(), json!(replica));
    }
    let (message, fields) = FIELDS.take().unwrap_or((message, Map::new()));
    line.insert("message".into(), json!(message));
    for (name, value) in fields {
        line.entry(name).or_insert(value);
    }
    Value::Object(line).to_string()
}

struct Guard {
    inner: SimpleLogger,
}

impl Log for Guard {
    fn enabled(&self, metadata: &Metadata) -> bool {
        self.inner.enabled(metadata)
    }

    fn log(&self, record: &Record) {
        if !self.inner.enabled(record.metadata()) {
            return;
        }
        let mut line = LINE.take();
        line.clear();
        put_beginning(&mut line, record);
        let kept = line.len();
        let begin = REQUEST_ID.with_borrow(|id| {
            let id = if id.is_empty() { "-" } else { id };
            line.extend(["[", id, "] - "]);
            line.len()
        });
        // Writing to a string cannot fail.
        let _ = line.write_fmt(*record.args());
        make_printable(&mut line);
        // More than a page could wait for room in a pipe; reports of many lines come from threads that may wait.
        if !line.contains('\n') {
            line.truncate(kept + head(&line[kept..], LONGEST).len());
        }
        let end = line.len();
        put_replica(&mut line);
        keep(record.level(), &line[kept..]);
        let is_json = IS_JSON.load(Ordering::Relaxed);
        if is_json {
            line.truncate(end);
            line = REQUEST_ID.with_borrow(|id| json_line(record, id, &line[begin..]));
        }
        line.push('\n');
        output::take_turn(|lost| {
            if lost > 0 {
                line.insert_str(0, &lost_lines(lost, is_json));
            }
            // A log line is not worth a request: a closed pipe or a full disk is no error here.
            let _ = std::io::stdout().lock().write_all(line.as_bytes());
        });
        LINE.set(line);
    }

    fn flush(&self) {}
}

/// What simple_logger would put before a message, in one piece with it: half of what its own way costs a request, which
/// formats the time by a description and the line three times.
fn put_beginning(line: &mut String, record: &Record) {
    let level = record.level().as_str();
    let padding = &"     "[level.len()..];
    line.extend([&calendar::iso_ms(SystemTime::now()), " ", level, padding, " [", record.target(), "] "]);
}

fn lost_lines(count: usize, is_json: bool) -> String {
    let text = format!("log: {count} lines before this one were lost, because nobody read them in time");
    let warning = Record::builder().level(Level::Warn).target(module_path!()).build();
    let mut line = String::new();
    if is_json {
        line = json_line(&warning, "", &text);
    } else {
        put_beginning(&mut line, &warning);
        line.extend(["[-] - ", &text]);
        put_replica(&mut line);
    }
    line.push('\n');
    line
}

fn put_replica(line: &mut String) {
    if let Some(replica) = REPLICA.get() {
        line.extend([" replica=", replica]);
    }
}

/// Replaces control characters other than the newline of a multi-line report: URLs, header values and upstream texts can
/// carry terminal escapes.
fn make_printable(line: &mut String) {
    let is_bad = |c: char| c.is_control() && c != '\n';
    // 0xC2 begins the control characters beyond ASCII, and few others.
    if line.bytes().any(|byte| (byte < b' ' && byte != b'\n') || matches!(byte, 0x7f | 0xc2)) {
        *line = line.chars().map(|c| if is_bad(c) { '\u{fffd}' } else { c }).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_holds_the_fields_of_the_request() {
        let fields = Map::from_iter([("status".to_owned(), json!(200)), ("level".to_owned(), json!("x"))]);
        let record = Record::builder().level(Level::Info).target("t").build();
        FIELDS.set(Some(("request", fields)));
        let line: Value = serde_json::from_str(&json_line(&record, "r-1", "status=200")).unwrap();
        assert_eq!((&line["level"], &line["status"], &line["request"]), (&json!("INFO"), &json!(200), &json!("r-1")));
        assert_eq!(line["message"], "request", "the fields say the rest");
        let line = json_line(&record, "r-1", "a \"b\"\nc");
        assert!(!line.contains('\n'), "one line");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["message"], "a \"b\"\nc");
    }

    #[test]
    fn the_last_lines_are_kept_and_numbered() {
        let (_, before) = lines_after(u64::MAX);
        (0..KEPT + 10).for_each(|_| keep(Level::Warn, &"é".repeat(LONGEST)));
        let (lines, last) = lines_after(before + 5);
        assert!(last >= before + 510 && lines.len() <= KEPT && lines.iter().all(|line| line.text.len() <= LONGEST));
        assert!(lines.windows(2).all(|pair| pair[0].number + 1 == pair[1].number));
    }

    #[test]
    fn terminal_escapes_do_not_reach_the_log() {
        for (line, shown) in [
            ("a\x1b[31mb\rc\nd", "a\u{fffd}[31mb\u{fffd}c\nd"),
            ("\u{9b}2J\x7f", "\u{fffd}2J\u{fffd}"),
            ("caf\u{e9} \u{a3}", "caf\u{e9} \u{a3}"),
        ] {
            let mut printed = line.to_owned();
            make_printable(&mut printed);
            assert_eq!(printed, shown);
        }
    }

    #[test]
    fn a_field_is_shown_so_that_a_line_can_be_taken_apart() {
        for (field, shown) in [
            (Field::None, "-"),
            (Field::Text(""), "-"),
            (Field::Text("cred-0"), "cred-0"),
            (Field::Text("a b"), "\"a b\""),
            (Field::Text("a=\"b\""), "\"a=\\\"b\\\"\""),
            (Field::Text("a\n[x]"), r#""a\n[x]""#),
            (Field::from(7_u16), "7"),
        ] {
            let mut line = String::new();
            field.show(&mut line);
            assert_eq!(line, shown);
        }
    }
}
