//! The state file: what the program remembers over restarts beside the credentials (usage, cool-downs, keys made on the
//! page). Records in sections ([`records`]); the owners know their sections, this module knows the file.
//!
//! What has changed is appended: by one thread at most [`SAVE_EVERY`] after it changed and once more at the end, so a `kill -9`
//! loses at most that much of what is counted; and before the answer to a change that a person made, so of those it loses
//! none. A file that has grown to twice its size is written anew, whole and atomically. One that is none of this program's
//! is put aside, and of one that is damaged a copy is kept: neither is ever replaced in silence.

use crate::storage::disk::{self, Stamp};
use crate::storage::records::{self, Line, Text, Unreadable};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub use records::{Part, Section, Sink, reread};

/// Longest time between a change and the file, under a `kill -9`.
pub const SAVE_EVERY: Duration = Duration::from_secs(2);
/// What may be appended to a small file before it is written anew.
const SLACK: u64 = 1 << 20;

type Content = dyn Fn(Part, &mut Sink<'_>) + Send + Sync;

/// Who fills a section.
struct Owner {
    section: String,
    /// A number that rises with every change.
    version: Box<dyn Fn() -> u64 + Send + Sync>,
    content: Box<Content>,
    /// What was written last.
    written: u64,
}

/// The state file. Cheap to share; all methods take `&self`.
pub struct State {
    path: PathBuf,
    /// What is in the file is not known, so it must not be replaced.
    is_closed: AtomicBool,
    /// Sections as they were read, until their owner takes them; what nobody takes is written back.
    read: Mutex<Text>,
    /// Puts writes in order; held over file I/O and nothing else.
    writer: Mutex<Writer>,
}

#[derive(Default)]
struct Writer {
    owners: Vec<Owner>,
    /// The file as this program left it; `None`: it has to be written whole.
    left: Option<Stamp>,
    /// Its length when it was last written whole, and now.
    whole: u64,
    length: u64,
    /// The last failure that was logged, so that a full disk is one line and not one every few seconds.
    failure: Option<io::ErrorKind>,
}

impl State {
    /// Reads the file; a missing one is empty. One that is none of this program's is renamed to `<name>.broken`, one that is
    /// damaged is copied there, and both are reported; one that cannot be read or put aside stays as it is, and nothing is
    /// saved.
    pub fn open(path: impl Into<PathBuf>) -> State {
        let path = path.into();
        let read = match fs::read(&path) {
            Ok(bytes) => match Text::read(bytes) {
                Ok(text) if text.damaged > 0 => keep_copy(&path, text),
                Ok(text) => Ok(text),
                Err(Unreadable::Foreign) => put_aside(&path),
                Err(newer @ Unreadable::Newer(_)) => Err(io::Error::other(newer.to_string())),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Text::default()),
            Err(error) => Err(error),
        };
        if let Err(error) = &read {
            tell_left(&path, error);
        }
        let (is_closed, read) = (read.is_err(), read.unwrap_or_default());
        let left = disk::stamp(&path).filter(|_| read.is_whole);
        let length = left.as_ref().map_or(0, Stamp::length);
        let writer = Writer { left, length, whole: length, ..Writer::default() };
        State { path, is_closed: is_closed.into(), read: Mutex::new(read), writer: Mutex::new(writer) }
    }

    /// Takes a section as the file had it.
    pub fn take(&self, section: &str) -> Section {
        self.read.lock().take(section).unwrap_or_default()
    }

    /// An owner cannot read all of its section: a copy of the file is kept, as of one that is damaged, before it is written
    /// anew without that.
    pub fn keep_copy(&self, section: &str) {
        match copy(&self.path) {
            Ok(()) => {
                self.writer.lock().left = None;
                log::error!(
                    "state: the section {section} of {} cannot be read in full; the file is kept with the ending .broken",
                    self.path.display()
                );
            }
            Err(error) => {
                tell_left(&self.path, &error);
                self.is_closed.store(true, Ordering::Release);
            }
        }
    }

    /// Names who fills a section from now on. It is written when `version` is another one than at the last write, or than
    /// 0 if there was none: nobody has to say that something changed.
    pub fn own(
        &self,
        section: &str,
        version: impl Fn() -> u64 + Send + Sync + 'static,
        content: impl Fn(Part, &mut Sink<'_>) + Send + Sync + 'static,
    ) {
        let (section, version, content) = (section.to_owned(), Box::new(version), Box::new(content));
        let owner = Owner { section, version, content, written: 0 };
        self.writer.lock().owners.push(owner);
    }

    /// Whether what changes is not saved.
    pub fn is_failing(&self) -> bool {
        // Without waiting for a write that is going on: then the file can be written, or will fail again.
        self.is_closed.load(Ordering::Acquire) || self.writer.try_lock().is_some_and(|writer| writer.failure.is_some())
    }

    /// Writes what has changed: what is in the file when this returns well survives a crash. A failure is logged once and
    /// tried again later.
    pub fn save(&self) -> io::Result<()> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(io::Error::other("its content could not be read"));
        }
        let writer = &mut *self.writer.lock();
        // Read before the contents: what changes in between is written again.
        let versions: Vec<u64> = writer.owners.iter().map(|owner| (owner.version)()).collect();
        if writer.owners.iter().zip(&versions).all(|(owner, version)| owner.written == *version) {
            return Ok(());
        }
        let appended = writer.append(&self.path, &versions);
        let written = appended.or_else(|_| writer.write(&self.path, &self.read.lock()));
        writer.left = disk::stamp(&self.path).filter(|_| written.is_ok());
        match &written {
            Ok(()) => {
                writer.failure = None;
                writer.owners.iter_mut().zip(versions).for_each(|(owner, version)| owner.written = version);
            }
            Err(error) if writer.failure == Some(error.kind()) => {}
            Err(error) => {
                log::error!("state: cannot write {}: {error}; serving goes on", self.path.display());
                writer.failure = Some(error.kind());
            }
        }
        written
    }
}

impl Writer {
    /// Appends what has changed; an error: the file has to be written whole.
    fn append(&mut self, path: &Path, versions: &[u64]) -> io::Result<()> {
        if self.left.is_none() || self.left != disk::stamp(path) || self.length > 2 * self.whole + SLACK {
            return Err(io::ErrorKind::Other.into());
        }
        let mut line = Line::default();
        for (owner, _) in self.owners.iter().zip(versions).filter(|(owner, version)| owner.written != **version) {
            let mut sink = line.sink(&owner.section, None);
            (owner.content)(Part::Changed, &mut sink);
            sink.end()?;
        }
        if line.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        line.end(&mut bytes)?;
        self.length += bytes.len() as u64;
        disk::append(path, &bytes)
    }

    fn write(&mut self, path: &Path, read: &Text) -> io::Result<()> {
        let owners = &self.owners;
        self.length = disk::replace_with(path, &|file| {
            let mut file = BufWriter::with_capacity(1 << 16, file);
            records::begin(&mut file)?;
            let mut line = Line::default();
            for owner in owners {
                let mut sink = line.sink(&owner.section, Some(&mut file));
                (owner.content)(Part::Whole, &mut sink);
                sink.end()?;
            }
            read.write(&mut file)?;
            file.flush()
        })?;
        self.whole = self.length;
        Ok(())
    }
}

/// A section of the state file at `path` for who only reads.
pub fn section(path: &Path, name: &str) -> Section {
    let text = fs::read(path).ok().and_then(|bytes| Text::read(bytes).ok());
    text.and_then(|mut text| text.take(name)).unwrap_or_default()
}

/// Whether the file at `path` holds all that was written into it, as far as can be seen; one that does not exist does. The error
/// is a sentence.
pub fn intact(path: &Path) -> Result<(), String> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let is_empty = bytes.is_empty();
    let why = match Text::read(bytes) {
        Ok(_) if is_empty => "it is empty".into(),
        Ok(Text { damaged: 0, is_cut: false, .. }) => return Ok(()),
        Ok(Text { damaged: 0, .. }) => "it ends in the middle of a line".into(),
        Ok(Text { damaged, .. }) => format!("{damaged} of its lines are damaged"),
        Err(unreadable) => unreadable.to_string(),
    };
    Err(format!("{}: {why}", path.display()))
}

/// Renames a file that is none of this program's; there are no sections then.
fn put_aside(path: &Path) -> io::Result<Text> {
    fs::rename(path, aside(path))?;
    log::error!("state: {} is no state file of this program; it is kept with the ending .broken", path.display());
    Ok(Text::default())
}

/// Keeps a copy of a damaged file before it is written anew.
fn keep_copy(path: &Path, text: Text) -> io::Result<Text> {
    copy(path)?;
    let lines = text.damaged;
    log::error!(
        "state: {lines} lines of {} are damaged and lost; the file is kept with the ending .broken",
        path.display()
    );
    Ok(text)
}

fn copy(path: &Path) -> io::Result<()> {
    let copy = aside(path);
    fs::copy(path, &copy)?;
    fs::File::open(copy)?.sync_all()
}

fn tell_left(path: &Path, error: &io::Error) {
    log::error!("state: {}: {error}; it is left as it is, and nothing is saved", path.display());
}

/// A name that no file has: what was put aside before is not replaced either.
fn aside(path: &Path) -> PathBuf {
    let numbered = (2..100).map(|number| format!(".broken.{number}"));
    let mut names = std::iter::once(".broken".to_owned()).chain(numbered).map(|ending| disk::beside(path, &ending));
    names.find(|path| !path.exists()).unwrap_or_else(|| disk::beside(path, ".broken"))
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
mod tests;
