//! The logger: simple_logger behind a guard that adds the request id, takes control characters out and cannot fail.
//!
//! What may be logged at which level: INFO has one line per request and one per event of a credential's life; DEBUG adds
//! attempts and decisions; nothing at any level holds a token, a key, an OAuth code, a prompt or an answer.

use log::{LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    /// One thread answers one request at a time, so the id of the thread's request is exact.
    static REQUEST_ID: RefCell<String> = const { RefCell::new(String::new()) };
    /// Set while a line is written, so that a panic in `println!` stays silent.
    static WRITING: RefCell<bool> = const { RefCell::new(false) };
}

/// Starts logging to standard output. Called once, by `main`.
pub fn start(level: LevelFilter) {
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
    let _ = log::set_boxed_logger(Box::new(Guard { inner }));
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
        let id = REQUEST_ID.with_borrow(|id| if id.is_empty() { "-".into() } else { id.clone() });
        let line = printable(&format!("[{id}] - {}", record.args()));
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
    #[test]
    fn terminal_escapes_do_not_reach_the_log() {
        assert_eq!(super::printable("a\x1b[31mb\rc\nd"), "a\u{fffd}[31mb\u{fffd}c\nd");
    }
}
