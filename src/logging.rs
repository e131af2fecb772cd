//! The logger: simple_logger behind a guard that adds the request id, takes control characters out and cannot fail.
//!
//! What may be logged at which level: INFO has one line per request and one per event of a credential's life; DEBUG adds
//! attempts and decisions; nothing at any level holds a token, a key, an OAuth code, a prompt or an answer.

use crate::config::LogFormat;
use crate::usage::calendar;
use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use simple_logger::SimpleLogger;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::time::SystemTime;

/// Lines kept for the admin page.
const KEPT: usize = 500;
/// Longest text of a kept line.
const LONGEST: usize = 4000;

/// The last lines. A part of the logger, which is global itself.
static LINES: Mutex<Lines> = Mutex::new(Lines { next: 1, lines: VecDeque::new() });

thread_local! {
    /// One thread answers one request at a time, so the id of the thread's request is exact.
    static REQUEST_ID: RefCell<String> = const { RefCell::new(String::new()) };
    /// Set while a line is written, so that a panic in `println!` stays silent.
    static WRITING: RefCell<bool> = const { RefCell::new(false) };
    /// Fields of the line that is being written, for the JSON format.
    static FIELDS: RefCell<Option<Map<String, Value>>> = const { RefCell::new(None) };
}

/// Starts logging to standard output. Called once, by `main`.
pub fn start(level: LevelFilter, format: LogFormat) {
    silence_panics_while_writing();
    let inner = SimpleLogger::new()
        .with_level(log::LevelFilter::Debug)
        // Their DEBUG shows request lines and headers of calls to Google.
        .with_module_level("ureq", LevelFilter::Warn)
        .with_module_level("ureq_proto", LevelFilter::Warn)
        .with_module_level("rustls", LevelFilter::Warn)
        .with_module_level("mio", LevelFilter::Warn);
    log::set_max_level(level);
    // A second call (tests) keeps the first logger.
    let _ = log::set_boxed_logger(Box::new(Guard { inner, format }));
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

/// Writes the one line about a request: `name=value` for people, fields of their own in JSON. Fields that are null are
/// a dash or left out.
pub fn access(fields: &[(&str, Value)]) {
    if !log::log_enabled!(Level::Info) {
        return;
    }
    let line: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", shown(value))).collect();
    let known = fields.iter().filter(|(_, value)| !value.is_null());
    let known: Map<String, Value> = known.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    FIELDS.with_borrow_mut(|fields| *fields = Some(known));
    log::info!("{}", line.join(" "));
    FIELDS.with_borrow_mut(|fields| *fields = None);
}

/// A field's value for people. In quotes it cannot pass for two fields, nor for two lines.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) if !text.contains(|c: char| " \"=".contains(c) || c.is_control()) => text.clone(),
        other => other.to_string(),
    }
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

fn keep(level: Level, text: &str) {
    let end = (0..=text.len().min(LONGEST)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let text = text[..end].to_owned();
    let mut kept = LINES.lock();
    if kept.lines.len() >= KEPT {
        kept.lines.pop_front();
    }
    let number = kept.next;
    kept.next += 1;
    kept.lines.push_back(Line { number, time: SystemTime::now(), level, text });
}

/// One line of JSON: the usual fields, then those of [`access`] unless they would hide a usual one.
fn json_line(record: &Record, id: &str, message: &str) -> String {
    let mut line = Map::new();
    line.insert("time".into(), json!(calendar::iso_ms(SystemTime::now())));
    line.insert("level".into(), json!(record.level().as_str()));
    line.insert("target".into(), json!(record.target()));
    line.insert("request".into(), if id == "-" { Value::Null } else { json!(id) });
    line.insert("message".into(), json!(message));
    for (name, value) in FIELDS.with_borrow_mut(Option::take).unwrap_or_default() {
        line.entry(name).or_insert(value);
    }
    Value::Object(line).to_string()
}

struct Guard {
    inner: SimpleLogger,
    format: LogFormat,
}

impl Log for Guard {
    fn enabled(&self, metadata: &Metadata) -> bool {
        self.inner.enabled(metadata)
    }

    fn log(&self, record: &Record) {
        if !self.inner.enabled(record.metadata()) {
            return;
        }
        let id = REQUEST_ID.with_borrow(|id| if id.is_empty() { "-".into() } else { id.clone() });
        let line = printable(&format!("[{id}] - {}", record.args()));
        keep(record.level(), &line);
        if self.format == LogFormat::Json {
            let line = json_line(record, &id, &printable(&record.args().to_string()));
            // A log line is not worth a request: a closed pipe or a full disk is no error here.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
            return;
        }
        WRITING.with_borrow_mut(|writing| *writing = true);
        // `println!` panics when standard output is a closed pipe or a full disk; a log line is not worth a request.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| {
            self.inner.log(
                &Record::builder()
                    .metadata(record.metadata().clone())
                    .args(format_args!("{line}"))
                    .module_path(record.module_path())
                    .build(),
            );
        }));
        WRITING.with_borrow_mut(|writing| *writing = false);
    }

    fn flush(&self) {}
}

/// Replaces control characters other than the newline of a multi-line report: URLs, header values and upstream texts can
/// carry terminal escapes.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn silence_panics_while_writing() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !WRITING.with_borrow(|writing| *writing) {
            default(info);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_holds_the_fields_of_the_request() {
        let fields = Map::from_iter([("status".to_owned(), json!(200)), ("level".to_owned(), json!("x"))]);
        FIELDS.with_borrow_mut(|current| *current = Some(fields));
        let record = Record::builder().level(Level::Info).target("t").build();
        let line: Value = serde_json::from_str(&json_line(&record, "r-1", "a \"b\"\nc")).unwrap();
        assert_eq!((&line["level"], &line["status"], &line["request"]), (&json!("INFO"), &json!(200), &json!("r-1")));
        assert_eq!(line["message"], "a \"b\"\nc");
        assert!(!line.to_string().contains('\n'), "one line");
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
    fn a_value_is_one_word_or_in_quotes() {
        for (value, expected) in [
            (json!("a/b:c"), "a/b:c"),
            (json!(""), "-"),
            (json!(null), "-"),
            (json!(7), "7"),
            (json!("a b"), r#""a b""#),
            (json!("a\n[x]"), r#""a\n[x]""#),
        ] {
            assert_eq!(shown(&value), expected);
        }
    }

    #[test]
    fn terminal_escapes_do_not_reach_the_log() {
        assert_eq!(super::printable("a\x1b[31mb\rc\nd"), "a\u{fffd}[31mb\u{fffd}c\nd");
    }
}
