//! The signature memory over restarts: a file beside the state file, with hashes and signatures and no text of a
//! conversation. Sealed with the credentials' key where there is one. Losing it costs placeholders and nothing else, so
//! nothing that goes wrong with it stops the program.

use crate::config::Config;
use crate::credentials::Cipher;
use crate::gemini::signatures::{Kept, SignatureCache};
use crate::storage::disk;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Bytes written per second on the average at most: a busy memory of 8 MB is written every half minute.
const PACE: usize = 256 << 10;

/// The file.
pub(super) struct SignatureFile {
    path: PathBuf,
    max_bytes: usize,
    cipher: Option<Cipher>,
    memory: Arc<SignatureCache>,
    progress: Mutex<Progress>,
}

struct Progress {
    /// The memory's changes that are in the file; none before the first write over a file that has another form.
    written: Option<u64>,
    /// Not before then again.
    next: Instant,
    /// The last failure that was logged.
    failure: Option<io::ErrorKind>,
}

#[derive(Serialize, Deserialize)]
struct Content {
    /// Milliseconds since 1970.
    saved: u64,
    signatures: Vec<Kept>,
}

impl SignatureFile {
    /// Fills the memory from the file. One that cannot be read is put aside; where none is wanted, it is removed.
    pub fn open(config: &Config, memory: Arc<SignatureCache>) -> Option<SignatureFile> {
        let path = config.signatures_file();
        if config.saved_signatures == 0 {
            if fs::remove_file(&path).is_ok() {
                log::info!("signatures: {} is removed, since none are to be saved", path.display());
            }
            return None;
        }
        let cipher = Cipher::of(config);
        let written = match read(&path, config.saved_signatures, cipher.as_ref()) {
            Ok(None) => Some(0),
            Ok(Some((content, is_sealed))) => {
                let now = millis();
                memory.restore(content.signatures, Duration::from_millis(now.saturating_sub(content.saved)));
                (is_sealed == cipher.is_some()).then(|| memory.changes())
            }
            Err(reason) => {
                put_aside(&path, &reason);
                Some(0)
            }
        };
        let progress = Mutex::new(Progress { written, next: Instant::now(), failure: None });
        Some(SignatureFile { path, max_bytes: config.saved_signatures, cipher, memory, progress })
    }

    /// Writes the file if there are new signatures and its turn has come.
    pub fn save(&self) {
        if Instant::now() >= self.progress.lock().next {
            self.finish();
        }
    }

    /// Writes the file if there are new signatures.
    pub fn finish(&self) {
        let mut progress = self.progress.lock();
        let changes = self.memory.changes();
        if progress.written == Some(changes) {
            return;
        }
        // What is sealed is a third longer.
        let room = if self.cipher.is_some() { self.max_bytes / 4 * 3 } else { self.max_bytes };
        let content = Content { saved: millis(), signatures: self.memory.kept(room) };
        // Texts and numbers: nothing that could fail.
        let text = serde_json::to_string(&content).unwrap_or_default();
        let text = self.cipher.as_ref().map_or(Cow::Borrowed(&*text), |cipher| Cow::Owned(cipher.encrypt(&text)));
        progress.next = Instant::now() + Duration::from_millis((text.len() * 1000 / PACE) as u64);
        match disk::replace(&self.path, text.as_bytes()) {
            Ok(()) => (progress.written, progress.failure) = (Some(changes), None),
            Err(error) if progress.failure == Some(error.kind()) => {}
            Err(error) => {
                log::warn!("signatures: cannot write {}: {error}; serving goes on", self.path.display());
                progress.failure = Some(error.kind());
            }
        }
    }
}

/// The content and whether it was sealed with the present key; nothing where there is no file. More than twice the wanted size is none of ours.
fn read(path: &Path, wanted: usize, cipher: Option<&Cipher>) -> Result<Option<(Content, bool)>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let most = wanted as u64 * 2;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most {
        return Err(format!("it has more than {} MiB", most >> 20));
    }
    let opened = cipher.filter(|_| !bytes.starts_with(b"{")).and_then(|cipher| cipher.decrypt(&bytes));
    match serde_json::from_slice(opened.as_deref().unwrap_or(&bytes)) {
        Ok(content) => Ok(Some((content, opened.is_some() && !cipher.is_some_and(|cipher| cipher.is_old(&bytes))))),
        Err(_) => Err("it is none of this program's, or sealed with another encryption key".into()),
    }
}

fn put_aside(path: &Path, reason: &str) {
    match fs::rename(path, disk::beside(path, ".broken")) {
        Ok(()) => log::warn!("signatures: {}: {reason}; it is kept with the ending .broken", path.display()),
        Err(error) => log::warn!("signatures: {}: {reason}, and it cannot be put aside: {error}", path.display()),
    }
}

fn millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
