//! The state file: what the program remembers over restarts beside the credentials (usage, cool-downs, keys made on the
//! page). One JSON object with a section per owner; the owners know their sections, this module knows the file.
//!
//! Written whole and atomically: by one thread at most [`SAVE_EVERY`] after something changed and once more at the end, so a
//! `kill -9` loses at most that much of what is counted; and before the answer to a change that a person made, so of those
//! it loses none. A file that does not parse is put aside, never overwritten.

use crate::storage::disk;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest time between a change and the file, under a `kill -9`.
pub const SAVE_EVERY: Duration = Duration::from_secs(2);

/// Who fills a section.
struct Owner {
    section: String,
    /// A number that rises with every change.
    version: Box<dyn Fn() -> u64 + Send + Sync>,
    content: Box<dyn Fn() -> Value + Send + Sync>,
    /// What was written last.
    written: u64,
}

/// The state file. Cheap to share; all methods take `&self`.
pub struct State {
    path: PathBuf,
    /// What is in the file is not known, so it must not be replaced.
    is_closed: bool,
    /// Sections as they were read, until their owner takes them; what nobody takes is written back.
    read: Mutex<Map<String, Value>>,
    /// Puts writes in order; held over file I/O and nothing else.
    writer: Mutex<Writer>,
}

#[derive(Default)]
struct Writer {
    owners: Vec<Owner>,
    /// The last failure that was logged, so that a full disk is one line and not one every few seconds.
    failure: Option<io::ErrorKind>,
}

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
        State { path, is_closed: read.is_err(), read: Mutex::new(read.unwrap_or_default()), writer: Mutex::default() }
    }

    /// Takes a section as the file had it.
    pub fn take(&self, section: &str) -> Option<Value> {
        self.read.lock().shift_remove(section)
    }

    /// Names who fills a section from now on. It is written when `version` is another one than at the last write, or than
    /// 0 if there was none: nobody has to say that something changed.
    pub fn own(
        &self,
        section: &str,
        version: impl Fn() -> u64 + Send + Sync + 'static,
        content: impl Fn() -> Value + Send + Sync + 'static,
    ) {
        let (section, version, content) = (section.to_owned(), Box::new(version), Box::new(content));
        let owner = Owner { section, version, content, written: 0 };
        self.writer.lock().owners.push(owner);
    }

    /// Whether what changes is not saved.
    pub fn is_failing(&self) -> bool {
        // Without waiting for a write that is going on: then the file can be written, or will fail again.
        self.is_closed || self.writer.try_lock().is_some_and(|writer| writer.failure.is_some())
    }

    /// Writes the file now if anything changed: what is in it when this returns well survives a crash. A failure is logged
    /// once and tried again later.
    pub fn save(&self) -> io::Result<()> {
        if self.is_closed {
            return Err(io::Error::other("its content could not be read"));
        }
        let mut writer = self.writer.lock();
        let Writer { owners, failure } = &mut *writer;
        // Read before the contents: what changes in between is written again.
        let versions: Vec<u64> = owners.iter().map(|owner| (owner.version)()).collect();
        if owners.iter().zip(&versions).all(|(owner, version)| owner.written == *version) {
            return Ok(());
        }
        let mut sections = self.read.lock().clone();
        for owner in owners.iter() {
            sections.insert(owner.section.clone(), (owner.content)());
        }
        let text = Value::Object(sections).to_string();
        let written = disk::replace(&self.path, text.as_bytes());
        match &written {
            Ok(()) => {
                *failure = None;
                owners.iter_mut().zip(versions).for_each(|(owner, version)| owner.written = version);
            }
            Err(error) if *failure == Some(error.kind()) => {}
            Err(error) => {
                log::error!("state: cannot write {}: {error}; serving goes on", self.path.display());
                *failure = Some(error.kind());
            }
        }
        written
    }
}

/// A section of the state file at `path` for who only reads; `Null` if there is none.
pub fn section(path: &Path, name: &str) -> Value {
    let file: Option<Value> = fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    file.and_then(|mut sections| sections.get_mut(name).map(Value::take)).unwrap_or_default()
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
    /// Starts it; `also` saves what lies in a file of its own, at the same times.
    pub fn start(state: Arc<State>, also: impl Fn() + Send + 'static) -> io::Result<Saver> {
        let (stop, stopped): (Sender<()>, Receiver<()>) = bounded(0);
        let thread = std::thread::Builder::new().name("state-saver".into()).spawn(move || {
            // Failures are logged, and seen by [`State::is_failing`].
            while stopped.recv_timeout(SAVE_EVERY) == Err(RecvTimeoutError::Timeout) {
                let _ = state.save();
                also();
            }
            let _ = state.save();
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
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    fn counter() -> Arc<AtomicU64> {
        Arc::default()
    }

    fn reader(counter: &Arc<AtomicU64>) -> impl Fn() -> u64 + Send + Sync + 'static {
        let counter = counter.clone();
        move || counter.load(Relaxed)
    }

    #[test]
    fn sections_come_back_and_foreign_ones_survive() {
        let scratch = Scratch::new("state-sections");
        let path = scratch.0.join("state.json");
        fs::write(&path, r#"{"usage":{"n":1},"later":[2]}"#).unwrap();
        let state = State::open(&path);
        assert_eq!(state.take("usage"), Some(json!({"n": 1})));
        let version = counter();
        state.own("usage", reader(&version), || json!({"n": 5}));
        state.save().unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("\"n\":1"), "nothing changed, nothing written");
        version.fetch_add(1, Relaxed);
        state.save().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"later":[2],"usage":{"n":5}}"#);
        fs::remove_file(&path).unwrap();
        state.save().unwrap();
        assert!(!path.exists(), "nothing changed since");
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
        let version = counter();
        state.own("usage", reader(&version), || json!(1));
        version.fetch_add(1, Relaxed);
        assert!(state.save().is_err());
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1, "nothing beside it");
        assert!(path.is_dir());
    }

    #[test]
    fn the_saver_writes_what_is_left_at_the_end() {
        let scratch = Scratch::new("state-saver");
        let path = scratch.0.join("state.json");
        let state = Arc::new(State::open(&path));
        let version = counter();
        state.own("usage", reader(&version), || json!(7));
        let saver = Saver::start(state.clone(), || {}).unwrap();
        version.fetch_add(1, Relaxed);
        saver.stop();
        assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"usage":7}"#);
    }
}
