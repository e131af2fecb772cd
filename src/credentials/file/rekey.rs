//! Takes the encryption off the credentials file, or puts another key on it. The text inside stays as it is, and what the
//! file was before stays beside it.

use super::cipher::Cipher;
use super::store::{StoreError, looks_plain, without_mark};
use crate::secret::Secret;
use crate::storage::disk;
use serde::de::IgnoredAny;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The text inside an encrypted credentials file.
pub fn decrypted(path: &Path, key: &Secret) -> Result<String, StoreError> {
    let bytes = fs::read(path).map_err(|error| StoreError::unreadable(path, &error))?;
    if is_plain(&bytes) {
        return Err(StoreError::nothing_changed(path, " is not encrypted"));
    }
    let text = Cipher::new(key).decrypt(&bytes).ok_or_else(StoreError::wrong_key)?;
    let text = String::from_utf8(text).map_err(|_| StoreError::not_json())?;
    match serde_json::from_str::<serde_json::Value>(text.trim_start_matches('\u{feff}')) {
        Ok(value) if value.is_array() || value.is_object() => Ok(text),
        _ => Err(StoreError::not_json()),
    }
}

/// Puts the text in clear into the file's place. Returns where the encrypted file was kept.
pub fn decrypt(path: &Path, key: &Secret) -> Result<PathBuf, StoreError> {
    let _folder = disk::lock_folder(path);
    let text = decrypted(path, key)?;
    replace(path, text.as_bytes())
}

/// Encrypts the file with another key. Returns where the file under the old key was kept.
pub fn rotate(path: &Path, old: &Secret, new: &Secret) -> Result<PathBuf, StoreError> {
    let _folder = disk::lock_folder(path);
    let text = decrypted(path, old)?;
    replace(path, Cipher::new(new).encrypt(&text).as_bytes())
}

/// Puts a file that is sealed with the old key under the new one, or in clear; false where there is none, or another key
/// seals it.
pub fn reseal(path: &Path, old: &Secret, new: Option<&Secret>) -> io::Result<bool> {
    let sealed = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        sealed => sealed?,
    };
    let Some(content) = Cipher::new(old).decrypt(&sealed) else { return Ok(false) };
    match new {
        Some(new) => disk::replace(path, Cipher::new(new).encrypt(&String::from_utf8_lossy(&content)).as_bytes())?,
        None => disk::replace(path, &content)?,
    }
    Ok(true)
}

/// The text under the key.
pub fn sealed(text: &str, key: &Secret) -> String {
    Cipher::new(key).encrypt(text)
}

/// Writes a file that must not exist yet, for its owner only.
pub fn write_new(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    create(path, content).map_err(|error| unwritable(path, &error))
}

fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn unwritable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::nothing_changed(path, format_args!(": {error}"))
}

/// Whether the bytes are JSON in clear, or nothing.
pub fn is_plain(bytes: &[u8]) -> bool {
    looks_plain(bytes).unwrap_or(true)
}

/// What is wrong with bytes in clear that are meant to be JSON.
pub fn mistake(bytes: &[u8]) -> Option<String> {
    looks_plain(bytes).filter(|is_plain| *is_plain)?;
    let error = serde_json::from_slice::<IgnoredAny>(without_mark(bytes)).err()?;
    Some(format!("invalid JSON at line {}, column {}", error.line(), error.column()))
}

fn replace(path: &Path, content: &[u8]) -> Result<PathBuf, StoreError> {
    let before = fs::read(path).map_err(|error| unwritable(path, &error))?;
    let backup = keep(path, &before)?;
    disk::replace(path, content).map_err(|error| unwritable(path, &error))?;
    Ok(backup)
}

/// Keeps `content` beside the file, under the first free name: an older backup may be the only one of its key.
fn keep(path: &Path, content: &[u8]) -> Result<PathBuf, StoreError> {
    let mut number = 1;
    loop {
        let ending = if number == 1 { ".bak".to_owned() } else { format!(".bak{number}") };
        let backup = disk::beside(path, &ending);
        match create(&backup, content) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 100 => number += 1,
            Err(error) => return Err(unwritable(&backup, &error)),
            Ok(()) => return Ok(backup),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::disk::Scratch;
    use std::os::unix::fs::PermissionsExt;

    const TEXT: &str = "[\n  {\"refresh_token\": \"r\", \"名\": \"李\"}\n]";

    fn key(text: &str) -> Secret {
        Secret::new(text)
    }

    #[test]
    fn a_round_trip_keeps_every_byte_and_every_step() {
        let scratch = Scratch::new("rekey-round");
        let path = scratch.0.join("c.json");
        fs::write(&path, Cipher::new(&key("one")).encrypt(TEXT)).unwrap();
        let first = fs::read(&path).unwrap();
        let backup = rotate(&path, &key("one"), &key("two")).unwrap();
        assert_eq!((fs::read(&backup).unwrap(), backup), (first, scratch.0.join("c.json.bak")));
        assert!(decrypted(&path, &key("one")).is_err());
        assert_eq!(decrypted(&path, &key("two")).unwrap(), TEXT);
        let second = fs::read(&path).unwrap();
        let backup = decrypt(&path, &key("two")).unwrap();
        assert_eq!((fs::read(&backup).unwrap(), backup.clone()), (second, scratch.0.join("c.json.bak2")));
        assert_eq!(fs::read_to_string(&path).unwrap(), TEXT);
        for file in [&path, &backup] {
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn what_does_not_fit_leaves_the_folder_untouched() {
        let scratch = Scratch::new("rekey-wrong");
        let path = scratch.0.join("c.json");
        for content in
            [Cipher::new(&key("one")).encrypt(TEXT), Cipher::new(&key("wrong")).encrypt("no json"), TEXT.into()]
        {
            fs::write(&path, &content).unwrap();
            assert!(rotate(&path, &key("wrong"), &key("two")).is_err());
            assert!(decrypt(&path, &key("wrong")).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1);
        }
        assert!(decrypted(&scratch.0.join("none"), &key("one")).is_err());
    }
}
