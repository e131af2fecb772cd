//! The credentials file: read once, written when its content changes, never lost (docs/compatibility.md "The
//! credentials file").
//!
//! Every change is an [`Edit`] of an item, applied to what the file says now: so another process on the same file, or
//! a person with an editor, is merged and not overwritten. Knows neither the pool nor the network.

use super::cipher::Cipher;
use super::edits::{self, Edit};
use super::record::Record;
use crate::secret::Secret;
use crate::storage::disk::{self, Stamp};
use serde_json::Value;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const WRONG_KEY: &str =
    "FATAL: Credentials file is encrypted, but the provided key is incorrect or the file is corrupted.";
const NO_KEY: &str =
    "FATAL: Failed to decode credentials file. It might be encrypted, but no encryption key was provided.";
const NOT_JSON: &str = "FATAL: Failed to decode credentials file after decryption. The file is likely corrupted.";

/// Why the credentials file was left as it is: a sentence for the operator, and what the process ends with
/// (docs/compatibility.md "Exit codes").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    message: String,
    exit_code: u8,
}

impl StoreError {
    /// The file cannot be opened with this key.
    fn new(message: impl Into<String>) -> StoreError {
        StoreError { message: message.into(), exit_code: 3 }
    }

    /// With the place of the mistake, where the file looks like JSON.
    fn at(message: &str, mistake: Option<serde_json::Error>) -> StoreError {
        let place = |mistake: serde_json::Error| {
            format!(" (invalid JSON at line {}, column {})", mistake.line(), mistake.column())
        };
        StoreError::new(format!("{message}{}", mistake.map(place).unwrap_or_default()))
    }

    /// The operating system refuses to read.
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> StoreError {
        StoreError::new(format!("FATAL: Credentials file {} cannot be read: {error}", path.display()))
    }

    pub(super) fn wrong_key() -> StoreError {
        StoreError::new(WRONG_KEY)
    }

    pub(super) fn not_json() -> StoreError {
        StoreError::new(NOT_JSON)
    }

    /// A command cannot do what it was told.
    pub(super) fn nothing_changed(path: &Path, why: impl fmt::Display) -> StoreError {
        StoreError { message: format!("{}{why}; nothing was changed", path.display()), exit_code: 1 }
    }

    /// The process ends with this.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StoreError {}

/// The file and what was last seen in it.
pub(crate) struct Store {
    path: PathBuf,
    cipher: Option<Cipher>,
    document: Document,
    stamp: Option<Stamp>,
    /// Edits that are not in the file yet.
    waiting: Vec<Edit>,
    /// Why the file could not be read or written the last time. Logged when it changes, so that a read-only disk is one
    /// line and not one per refresh.
    complaint: Option<String>,
    /// What the file was before this program wrote it has been seen to.
    kept: bool,
}

#[derive(Default)]
struct Document {
    items: Vec<Record>,
    /// The root is an object: one credential, as the old program and the Gemini CLI write it.
    single: bool,
    /// The text stands in clear although a key was given.
    exposed: bool,
}

impl Store {
    /// Opens the file and returns its items in order. A plain file is encrypted at once when there is a key.
    pub(crate) fn open(path: &Path, key: Option<&Secret>) -> Result<(Store, Vec<Record>), StoreError> {
        let cipher = key.map(Cipher::new);
        let stamp = disk::stamp(path);
        let document = read(path, cipher.as_ref())?.unwrap_or_default();
        let items = document.items.clone();
        let exposed = document.exposed;
        let (waiting, complaint, kept) = (Vec::new(), None, false);
        let mut store = Store { path: path.to_owned(), cipher, document, stamp, waiting, complaint, kept };
        if exposed {
            log::info!("[CredManager] Encryption key provided. Encrypting credentials file.");
            store.merge();
        }
        Ok((store, items))
    }

    /// Makes the edits part of the file, tries again what could not be written before, and looks whether somebody else
    /// changed the file; if so, returns its items. A file that cannot be written is logged once.
    pub(crate) fn sync(&mut self, edits: Vec<Edit>) -> Option<Vec<Record>> {
        self.waiting.extend(edits);
        edits::leave_out_outdated(&mut self.waiting);
        let is_changed = disk::stamp(&self.path) != self.stamp;
        if is_changed || self.is_behind() { self.merge() } else { None }
    }

    /// Why edits are not in the file yet; `None`: all are.
    pub(crate) fn unsaved(&self) -> Option<&str> {
        self.complaint.as_deref().filter(|_| self.is_behind())
    }

    /// Whether the file lacks an edit, or stands in clear although there is a key.
    fn is_behind(&self) -> bool {
        !self.waiting.is_empty() || self.document.exposed
    }

    fn merge(&mut self) -> Option<Vec<Record>> {
        let _folder = disk::lock_folder(&self.path);
        let reloaded = match self.reload() {
            Ok(reloaded) => reloaded,
            Err(error) => {
                self.complain(format!("{error} The file changed while running and is left alone"), "");
                return None;
            }
        };
        let mut items = self.document.items.clone();
        edits::apply(&self.waiting, &mut items);
        if items == self.document.items && !self.document.exposed {
            self.waiting.clear();
            self.complaint = None;
            return reloaded.then_some(items);
        }
        self.keep_original();
        let text = render(&items, self.document.single);
        let text = self.cipher.as_ref().map_or_else(|| text.clone(), |cipher| cipher.encrypt(&text));
        match disk::replace(&self.path, text.as_bytes()) {
            Ok(()) => {
                self.stamp = disk::stamp(&self.path);
                self.document = Document { single: self.document.single, items: items.clone(), exposed: false };
                self.waiting.clear();
                self.complaint = None;
                self.kept = true;
            }
            Err(error) => self.complain(
                format!("Credentials file {} cannot be written: {error}", self.path.display()),
                " Serving goes on; new tokens are lost at the next start.",
            ),
        }
        reloaded.then_some(items)
    }

    /// Takes over what somebody else wrote. A file that vanished or was emptied while running is not a wish to forget
    /// all credentials: the next write brings it back.
    fn reload(&mut self) -> Result<bool, StoreError> {
        let stamp = disk::stamp(&self.path);
        if stamp == self.stamp {
            return Ok(false);
        }
        let Some(document) = read(&self.path, self.cipher.as_ref())? else { return Ok(false) };
        self.stamp = stamp;
        let changed = document.items != self.document.items;
        self.document = document;
        Ok(changed)
    }

    /// What the file was before this program wrote it for the first time stays beside it as `.bak`, once
    /// (docs/compatibility.md "Replacing the credentials file"). With a key it does not stay in clear
    /// (docs/compatibility.md "Encryption of the credentials file"). Best effort: tokens that cannot be written are
    /// worse than no backup.
    fn keep_original(&mut self) {
        if self.kept {
            return;
        }
        let backup = disk::beside(&self.path, ".bak");
        let (bytes, is_new) = match std::fs::read(&backup) {
            Ok(bytes) => (bytes, false),
            Err(error) if error.kind() == ErrorKind::NotFound => (std::fs::read(&self.path).unwrap_or_default(), true),
            Err(_) => return,
        };
        let plain = looks_plain(&bytes);
        self.kept = plain.is_some();
        let sealed = match (plain, &self.cipher, std::str::from_utf8(&bytes)) {
            (None, ..) => return,
            (Some(true), Some(cipher), Ok(text)) => cipher.encrypt(text).into_bytes(),
            _ if is_new => bytes,
            _ => return,
        };
        if let Err(error) = disk::replace(&backup, &sealed) {
            log::warn!(
                "[CredManager] {} cannot be written: {error}. There is no copy of what the file was.",
                backup.display()
            );
        }
    }

    fn complain(&mut self, complaint: String, consequence: &str) {
        if self.complaint.as_ref() != Some(&complaint) {
            log::error!("[CredManager] {complaint}.{consequence}");
            self.complaint = Some(complaint);
        }
    }
}

/// `None`: the file is missing or empty.
fn read(path: &Path, cipher: Option<&Cipher>) -> Result<Option<Document>, StoreError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::unreadable(path, &error)),
    };
    let Some(plain) = looks_plain(&bytes) else { return Ok(None) };
    let bytes = without_mark(&bytes);
    match cipher {
        Some(cipher) if !plain => {
            let text = cipher.decrypt(bytes).ok_or_else(StoreError::wrong_key)?;
            parse(&text, false).map(Some).map_err(|_| StoreError::not_json())
        }
        Some(_) => parse(bytes, true).map(Some).map_err(|mistake| StoreError::at(WRONG_KEY, mistake)),
        None => parse(bytes, false).map(Some).map_err(|mistake| StoreError::at(NO_KEY, mistake.filter(|_| plain))),
    }
}

/// The error is the mistake in what should be JSON, if it is that.
fn parse(bytes: &[u8], exposed: bool) -> Result<Document, Option<serde_json::Error>> {
    match serde_json::from_slice(without_mark(bytes)).map_err(Some)? {
        Value::Array(items) => {
            Ok(Document { items: items.into_iter().map(Record::new).collect(), single: false, exposed })
        }
        object @ Value::Object(_) => Ok(Document { items: vec![Record::new(object)], single: true, exposed }),
        _ => Err(None),
    }
}

/// Whether the bytes are JSON in clear and not a token; `None`: there is nothing in them.
pub(crate) fn looks_plain(bytes: &[u8]) -> Option<bool> {
    let first = without_mark(bytes).iter().find(|byte| !byte.is_ascii_whitespace())?;
    Some(matches!(first, b'{' | b'['))
}

/// The byte order mark that editors on Windows put in front.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// One plain credential stands alone, as the old program and the Gemini CLI read it; an object stays an object.
fn render(items: &[Record], single: bool) -> String {
    let text = match items {
        [item] if item.value().is_object() && (single || item.is_plain()) => serde_json::to_string_pretty(item.value()),
        items => serde_json::to_string_pretty(&items.iter().map(Record::value).collect::<Vec<_>>()),
    };
    // JSON values with text keys always have a JSON text.
    text.unwrap()
}

#[cfg(test)]
mod tests;
