//! The state file: what the program remembers over restarts beside the credentials (usage, cool-downs, keys made on the
//! page). One JSON object with a section per owner; the owners know their sections, this module knows the file.
//!
//! Written whole and atomically by one thread, [`SAVE_EVERY`] after something changed, and once more at the end: a
//! `kill -9` loses at most that much. A file that does not parse is put aside, never overwritten.

use crate::storage::disk;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest time between a change and the file, under a `kill -9`.
pub const SAVE_EVERY: Duration = Duration::from_secs(2);

/// What an owner writes into its section.
type Source = Box<dyn Fn() -> Value + Send + Sync>;

/// The state file. Cheap to share; all methods take `&self`.
pub struct State {
    path: PathBuf,
    /// What is in the file is not known, so it must not be replaced.
    is_closed: bool,
    /// Sections as they were read, until their owner takes them; what nobody takes is written back.
    read: Mutex<Map<String, Value>>,
    sources: Mutex<Vec<(String, Source)>>,
    changed: AtomicBool,
    /// Puts writes in order; held over file I/O and nothing else.
    writing: Mutex<Failure>,
}

/// The last failure that was logged, so that a full disk is one line and not one every few seconds.
#[derive(Default)]
struct Failure(Option<io::ErrorKind>);

impl State {
    /// Reads the file; a missing one is empty. One that does not parse is renamed to `<name>.broken` and reported; one that
    /// cannot be read or put aside stays as it is, and nothing is saved.
    pub fn open(path: impl Into<PathBuf>) -> State {
        let path = path.into();
        let read = match fs::read(&path) {
            Ok(bytes) if bytes.is_empty() => Ok(Map::new()),
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(Value::Object(sections)) => Ok(sections),
                _ => put_aside(&path),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Map::new()),
            Err(error) => Err(error),
        };
        if let Err(error) = &read {
            log::error!("state: {}: {error}; it is left as it is, and nothing is saved", path.display());
        }
        State {
            path,
            is_closed: read.is_err(),
            read: Mutex::new(read.unwrap_or_default()),
            sources: Mutex::new(Vec::new()),
            changed: AtomicBool::new(false),
            writing: Mutex::new(Failure::default()),
        }
    }

    /// Takes a section as the file had it.
    pub fn take(&self, section: &str) -> Option<Value> {
        self.read.lock().shift_remove(section)
    }

    /// Names who fills a section from now on.
    pub fn source(&self, section: &str, source: impl Fn() -> Value + Send + Sync + 'static) {
        self.sources.lock().push((section.to_owned(), Box::new(source)));
    }

    /// Says that some section has changed; it is written soon. Cheap enough for every request.
    pub fn touch(&self) {
        self.changed.store(true, Ordering::Release);
    }

    /// Whether what changes is not saved.
    pub fn is_failing(&self) -> bool {
        // Without waiting for a write that is going on: then the file can be written, or will fail again.
        self.is_closed || self.writing.try_lock().is_some_and(|failure| failure.0.is_some())
    }

    /// Writes the file now if anything changed. A failure is logged once and tried again later.
    pub fn save(&self) {
        let mut failure = self.writing.lock();
        if self.is_closed || !self.changed.swap(false, Ordering::AcqRel) {
            return;
        }
        let mut sections = self.read.lock().clone();
        for (section, source) in self.sources.lock().iter() {
            sections.insert(section.clone(), source());
        }
        let text = Value::Object(sections).to_string();
        match disk::replace(&self.path, text.as_bytes()) {
            Ok(()) => failure.0 = None,
            Err(error) => {
                self.touch();
                if failure.0 != Some(error.kind()) {
                    log::error!("state: cannot write {}: {error}; serving goes on", self.path.display());
                    failure.0 = Some(error.kind());
                }
            }
        }
    }
}

/// Renames a file that is none of this program's; there are no sections then.
fn put_aside(path: &Path) -> io::Result<Map<String, Value>> {
    let mut aside = path.to_owned().into_os_string();
    aside.push(".broken");
    fs::rename(path, &aside)?;
    log::error!("state: {} is no state file of this program; it is kept with the ending .broken", path.display());
    Ok(Map::new())
}

/// The thread that writes the state file.
pub struct Saver {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Saver {
    /// Starts it.
    pub fn start(state: Arc<State>) -> io::Result<Saver> {
        let (stop, stopped): (Sender<()>, Receiver<()>) = bounded(0);
        let thread = std::thread::Builder::new().name("state-saver".into()).spawn(move || {
            while stopped.recv_timeout(SAVE_EVERY) == Err(RecvTimeoutError::Timeout) {
                state.save();
            }
            state.save();
        })?;
        Ok(Saver { stop, thread })
    }

    /// Writes what is left and ends the thread.
    pub fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::disk::Scratch;
    use serde_json::json;

    #[test]
    fn sections_come_back_and_foreign_ones_survive() {
        let scratch = Scratch::new("state-sections");
        let path = scratch.0.join("state.json");
        fs::write(&path, r#"{"usage":{"n":1},"later":[2]}"#).unwrap();
        let state = State::open(&path);
        assert_eq!(state.take("usage"), Some(json!({"n": 1})));
        state.source("usage", || json!({"n": 5}));
        state.save();
        assert!(fs::read_to_string(&path).unwrap().contains("\"n\":1"), "nothing changed, nothing written");
        state.touch();
        state.save();
        assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"later":[2],"usage":{"n":5}}"#);
    }

    #[test]
    fn a_broken_file_is_put_aside() {
        let scratch = Scratch::new("state-broken");
        let path = scratch.0.join("state.json");
        fs::write(&path, "{\"usage\":").unwrap();
        let state = State::open(&path);
        assert_eq!(state.take("usage"), None);
        assert_eq!(fs::read_to_string(scratch.0.join("state.json.broken")).unwrap(), "{\"usage\":");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_never_replaced() {
        let scratch = Scratch::new("state-unread");
        // Root reads every file, but no folder.
        let path = scratch.0.join("state.json");
        fs::create_dir(&path).unwrap();
        let state = State::open(&path);
        assert!(state.is_failing());
        state.source("usage", || json!(1));
        state.touch();
        state.save();
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1, "nothing beside it");
        assert!(path.is_dir());
    }

    #[test]
    fn the_saver_writes_what_is_left_at_the_end() {
        let scratch = Scratch::new("state-saver");
        let path = scratch.0.join("state.json");
        let state = Arc::new(State::open(&path));
        state.source("usage", || json!(7));
        let saver = Saver::start(state.clone()).unwrap();
        state.touch();
        saver.stop();
        assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"usage":7}"#);
    }
}
