//! Requests beyond the last 200 and over a restart: a line of JSON each in a file that only grows, until it is half of what
//! may be kept; then it takes the place of the one before it. A thread of its own writes, so that no request waits for a
//! disk; a line that a crash has torn is passed over.

use super::{Entry, KEPT};
use crate::calendar;
use parking_lot::{Condvar, Mutex};
use serde_json::Value;
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Lines that may wait for the disk. More are lost, and a warning says so.
const WAITING: usize = 4096;
/// How long the first of some lines waits for others. Without it each request wakes the thread and is a write of its own.
const GATHERING: Duration = Duration::from_millis(200);

/// What is looked for. Empty: everything.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Times as [`calendar::iso_ms`] writes them, so that they are compared as texts: from, and before.
    pub from: Option<String>,
    /// See `from`.
    pub before: Option<String>,
    /// The name or the mark of a client key.
    pub key: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// `ok`, `failed`, or a status.
    pub outcome: Option<String>,
    /// Words that all stand anywhere in it, in lower case.
    pub words: Vec<String>,
}

impl Query {
    /// Whether all that there is fits.
    pub(super) fn is_everything(&self) -> bool {
        let texts = [&self.from, &self.before, &self.key, &self.model, &self.outcome];
        self.words.is_empty() && texts.iter().all(|text| text.is_none())
    }

    /// Reads a time as people write it.
    pub fn time(text: &str) -> Option<String> {
        let text = text.trim();
        let whole = if text.len() == 10 { format!("{text}T00:00:00") } else { text.to_owned() };
        calendar::read(&whole).map(calendar::iso_ms)
    }

    /// Whether this is looked for.
    pub(super) fn fits(&self, request: &Value) -> bool {
        let time = request["time"].as_str().unwrap_or_default();
        let is = |wanted: &Option<String>, names: &[&str]| {
            wanted.as_ref().is_none_or(|wanted| names.iter().any(|name| request[*name] == **wanted))
        };
        let status = request["status"].as_u64().unwrap_or(0);
        let is_outcome = match self.outcome.as_deref() {
            None => true,
            Some("ok") => status < 400,
            Some("failed") => status >= 400,
            Some(number) => number.parse() == Ok(status),
        };
        self.from.as_deref().is_none_or(|from| time >= from)
            && self.before.as_deref().is_none_or(|before| time < before)
            && is(&self.key, &["key", "key_id"])
            && is(&self.model, &["model"])
            && is_outcome
            && (self.words.is_empty() || has_words(request, &self.words))
    }
}

fn has_words(request: &Value, words: &[String]) -> bool {
    let text = request.to_string().to_lowercase();
    words.iter().all(|word| text.contains(word.as_str()))
}

/// The files, and the thread that writes them.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    /// What came last could not be written.
    fails: Arc<AtomicBool>,
    lines: Arc<Lines>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// The last ones of earlier runs, newest first, once somebody has asked for them.
    earlier: OnceLock<Arc<[Value]>>,
}

/// What the disk has yet to get.
#[derive(Debug, Default)]
struct Lines {
    waiting: Mutex<Waiting>,
    /// There is a first one, there are many, or no more will come.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: Vec<Arc<Entry>>,
    /// Somebody writes them.
    is_open: bool,
}

impl Lines {
    /// Those that have gathered; none once all are written and no more will come.
    fn take(&self) -> Vec<Arc<Entry>> {
        let mut waiting = self.waiting.lock();
        self.changed.wait_while(&mut waiting, |waiting| waiting.is_open && waiting.entries.is_empty());
        let is_few = |waiting: &mut Waiting| waiting.is_open && waiting.entries.len() < WAITING / 2;
        self.changed.wait_while_for(&mut waiting, is_few, GATHERING);
        std::mem::take(&mut waiting.entries)
    }
}

impl History {
    /// None is kept.
    pub fn none() -> History {
        History {
            path: PathBuf::new(),
            fails: Arc::default(),
            lines: Arc::default(),
            writer: Mutex::default(),
            earlier: OnceLock::new(),
        }
    }

    /// Kept beside the state file.
    pub fn beside(state_file: &Path, keep: u64) -> io::Result<History> {
        let keep = if cfg!(feature = "ledger") { keep } else { 0 };
        History::open(with_suffix(state_file, ".requests.jsonl"), keep)
    }

    /// Kept in the file at `path` and an older one beside it, of `keep` bytes together.
    pub fn open(path: PathBuf, keep: u64) -> io::Result<History> {
        if keep == 0 {
            return Ok(History::none());
        }
        let (lines, fails): (Arc<Lines>, Arc<AtomicBool>) = Default::default();
        lines.waiting.lock().is_open = true;
        let mut file = Growing { path: path.clone(), most: keep / 2, open: None, fails: fails.clone() };
        let taken = lines.clone();
        let writer = thread::Builder::new().name("requests".into()).spawn(move || file.write_all(&taken))?;
        Ok(History { path, fails, lines, writer: Mutex::new(Some(writer)), earlier: OnceLock::new() })
    }

    /// Whether what comes is lost.
    pub(super) fn fails(&self) -> bool {
        self.fails.load(Ordering::Relaxed)
    }

    /// Writes it down in a while.
    pub(super) fn push(&self, entry: &Arc<Entry>) {
        let mut waiting = self.lines.waiting.lock();
        if !waiting.is_open {
            return;
        }
        if waiting.entries.len() >= WAITING {
            drop(waiting);
            log::warn!("requests: the disk is too slow; a request is missing in the history");
            return;
        }
        waiting.entries.push(entry.clone());
        if [1, WAITING / 2].contains(&waiting.entries.len()) {
            self.lines.changed.notify_one();
        }
    }

    /// Ends when all is written.
    pub fn stop(&self) {
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            self.lines.waiting.lock().is_open = false;
            self.lines.changed.notify_one();
            let _ = writer.join();
        }
    }

    /// The last ones but for those of these ids, which are this run's. When these are many the others are of no interest
    /// any more, so the files are read once.
    pub(super) fn last_of_earlier_runs(&self, of_this_run: &HashSet<String>) -> Vec<Value> {
        let read = || self.find(&Query::default(), of_this_run).take(KEPT + 1).collect();
        self.earlier.get_or_init(read).iter().take(KEPT + 1 - of_this_run.len().min(KEPT)).cloned().collect()
    }

    /// What fits, newest first, but for those of these ids.
    pub(super) fn find<'a>(
        &'a self,
        query: &'a Query,
        without: &'a HashSet<String>,
    ) -> impl Iterator<Item = Value> + 'a {
        let files = [self.path.clone(), older(&self.path)]
            .into_iter()
            .filter(|path| cfg!(feature = "ledger") && !path.as_os_str().is_empty());
        let lines = |path: PathBuf| {
            let text = fs::read(path).unwrap_or_default();
            let mut end = text.len();
            std::iter::from_fn(move || {
                let line = text[..end].rsplit(|byte| *byte == b'\n').next().filter(|_| end > 0)?;
                let read = serde_json::from_slice::<Value>(line).unwrap_or_default();
                end = end.saturating_sub(line.len() + 1);
                Some(read)
            })
        };
        let is_new = |request: &Value| request["id"].as_str().is_some_and(|id| !without.contains(id));
        files.flat_map(lines).filter(move |request| is_new(request) && query.fits(request))
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.stop();
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn older(path: &Path) -> PathBuf {
    with_suffix(path, ".1")
}

struct Growing {
    path: PathBuf,
    most: u64,
    open: Option<(File, u64)>,
    fails: Arc<AtomicBool>,
}

impl Growing {
    fn write_all(&mut self, lines: &Lines) {
        loop {
            let entries = lines.take();
            if entries.is_empty() {
                break;
            }
            let mut text = Vec::new();
            for (at, entry) in entries.iter().enumerate() {
                entry.write(&mut text);
                text.push(b'\n');
                if at + 1 == entries.len() || text.len() as u64 >= self.most / 4 {
                    self.put(&std::mem::take(&mut text));
                }
            }
        }
    }

    fn put(&mut self, text: &[u8]) {
        if let Err(error) = self.write(text) {
            self.open = None;
            if !self.fails.swap(true, Ordering::Relaxed) {
                log::warn!("requests: {} cannot be written: {error}", self.path.display());
            }
        } else {
            self.fails.store(false, Ordering::Relaxed);
        }
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let size = text.len() as u64;
        if self.file()?.1 + size > self.most {
            self.open = None;
            fs::rename(&self.path, older(&self.path))?;
        }
        let (file, written) = self.file()?;
        file.write_all(text)?;
        *written += size;
        Ok(())
    }

    fn file(&mut self) -> io::Result<&mut (File, u64)> {
        if self.open.is_none() {
            let mut file = OpenOptions::new().append(true).read(true).create(true).mode(0o600).open(&self.path)?;
            let mut size = file.metadata()?.len();
            let mut last = [b'\n'];
            if size > 0 {
                file.seek(SeekFrom::End(-1))?;
                file.read_exact(&mut last)?;
            }
            if last != [b'\n'] {
                // A crash tore the last line.
                file.write_all(b"\n")?;
                size += 1;
            }
            self.open = Some((file, size));
        }
        Ok(self.open.as_mut().expect("it was opened just now"))
    }
}

#[cfg(all(test, feature = "ledger"))]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn entry(number: u32, key: &str, status: u16) -> Arc<Entry> {
        Arc::new(Entry {
            time: UNIX_EPOCH + Duration::from_secs(u64::from(number) * 3600),
            id: format!("r{number}"),
            key: key.into(),
            key_id: "m".into(),
            model: "gemini-x".into(),
            status,
            ..Entry::default()
        })
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("gemini-proxy-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn ids(history: &History, query: &Query, limit: usize) -> Vec<u64> {
        let known = HashSet::new();
        let found = history.find(query, &known);
        found.take(limit).map(|request| request["id"].as_str().unwrap()[1..].parse().unwrap()).collect()
    }

    #[test]
    fn requests_are_found_over_a_restart_by_time_key_outcome_and_words_and_a_torn_line_costs_itself() {
        let path = folder("history").join("requests.jsonl");
        let history = History::open(path.clone(), 1 << 20).unwrap();
        (0..10).for_each(|at| history.push(&entry(at, ["a", "b"][at as usize % 2], if at < 3 { 429 } else { 200 })));
        history.stop();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"time\":\"1970-01-01T0").unwrap();
        let history = History::open(path.clone(), 1 << 20).unwrap();
        history.push(&entry(10, "a", 500));
        history.stop();
        let all = Query::default;
        let find = |query: Query, limit| ids(&history, &query, limit);
        assert_eq!(find(all(), 3), [10, 9, 8]);
        assert_eq!(find(all(), 99), (0..=10).rev().collect::<Vec<u64>>());
        assert_eq!(find(Query { key: Some("b".into()), ..all() }, 2), [9, 7]);
        assert_eq!(find(Query { key: Some("m".into()), ..all() }, 1), [10]);
        assert_eq!(find(Query { outcome: Some("failed".into()), ..all() }, 9), [10, 2, 1, 0]);
        assert_eq!(find(Query { outcome: Some("429".into()), ..all() }, 9), [2, 1, 0]);
        let (from, before) = (Query::time("1970-01-01T04:00:00Z"), Query::time("1970-01-01T08:00:00+02:00"));
        assert_eq!(find(Query { from, before, ..all() }, 9), [5, 4]);
        assert_eq!(find(Query { words: vec!["r7".into(), "gemini".into()], ..all() }, 9), [7]);
        assert!(find(Query { model: Some("gemini-y".into()), ..all() }, 9).is_empty());
    }

    #[test]
    fn the_files_stay_below_their_bound_and_hold_the_newest() {
        let path = folder("history-bound").join("requests.jsonl");
        let history = History::open(path.clone(), 8 << 10).unwrap();
        (0..2000).for_each(|at| history.push(&entry(at, "a", 200)));
        history.stop();
        let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
        assert!(size(&path) + size(&older(&path)) <= 8 << 10, "{} {}", size(&path), size(&older(&path)));
        assert!(size(&older(&path)) > 2 << 10, "a whole older file is kept");
        assert_eq!(ids(&history, &Query::default(), 1), [1999]);
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
