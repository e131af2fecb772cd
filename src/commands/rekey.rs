//! `decrypt` and `rotate-key`: the encryption of the credentials file, with the file as it was kept beside it, or of the store.

use super::{Failure, configured};
use crate::commands::args::{self, DecryptOptions, RotateOptions, RunOptions};
use crate::credentials::{StoreError, rekey};
use crate::secret::Secret;
use crate::store;
use std::io::Write;
use std::path::Path;

const KEY_NEEDED: &str =
    "the present key is needed: -ek KEY, --encryption-key-file FILE or GEMINI_PROXY_ENCRYPTION_KEY";

/// Writes the credentials in clear: to another file, to standard output (`-`), or into the file's own place.
pub fn decrypt(options: &DecryptOptions) -> Result<(), Failure> {
    let config = configured(&options.run).map_err(plainly)?;
    let key = config.encryption_key.as_ref().ok_or_else(|| plainly(KEY_NEEDED.into()))?;
    let path = &config.credentials_file;
    match options.output.as_deref() {
        None => {
            let backup = rekey::decrypt(path, key).map_err(failure)?;
            println!("{} is in clear now; the encrypted file is kept as {}.", path.display(), backup.display());
            follow(&config.signatures_file(), key, None);
            println!("Start the proxy without the key from now on: with it, it encrypts the file again.");
        }
        Some(output) if output == Path::new("-") => {
            let text = rekey::decrypted(path, key).map_err(failure)?;
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| plainly(error.to_string()))?;
        }
        Some(output) => {
            let text = rekey::decrypted(path, key).map_err(failure)?;
            rekey::write_new(output, text.as_bytes()).map_err(failure)?;
            println!("The credentials are in clear in {}; {} is unchanged.", output.display(), path.display());
        }
    }
    Ok(())
}

/// Encrypts the credentials file with another key.
pub fn rotate_key(options: &RotateOptions) -> Result<(), Failure> {
    let new = args::chosen_key(options.new_key.as_ref(), options.new_key_file.as_deref(), "--new-key-file")
        .map_err(plainly)?
        .ok_or_else(|| plainly("the new key is empty; `generate-key` makes one".into()))?;
    let config = configured(&options.run).map_err(plainly)?;
    let path = &config.credentials_file;
    if config.store.is_some() {
        return Err(plainly(format!(
            "with `store` in the config the credentials are in the store, and {} is not used: `rotate-key --store` \
             changes the key of the store (docs/operations.md, \"Another encryption key for replicas\"). Nothing was changed",
            path.display()
        )));
    }
    let old = config.encryption_key.as_ref().ok_or_else(|| plainly(KEY_NEEDED.into()))?;
    if *old == new {
        return Err(plainly("the new key is the present one; nothing was changed".into()));
    }
    // The key is hashed once, as the old program does it, so only chance protects it.
    if new.expose().len() < args::KEY_LENGTH {
        eprintln!(
            "[WARNING] the new key is short enough to be guessed by who has the file; `generate-key` makes a good one"
        );
    }
    let backup = rekey::rotate(path, old, &new).map_err(failure)?;
    println!("{} has the new key; the file under the old key is kept as {}.", path.display(), backup.display());
    follow(&config.signatures_file(), old, Some(&new));
    println!("Restart the proxy with the new key. Delete the old file when that works.");
    Ok(())
}

/// Seals what replicas share with their present key, where an old one has sealed it.
pub fn rotate_store(options: &RunOptions) -> Result<(), Failure> {
    let config = configured(options).map_err(plainly)?;
    if config.store.is_none() {
        return Err(plainly("there is no `store` in the config".into()));
    }
    match store::reseal(&config).map_err(|why| plainly(format!("[ERROR] {why}")))? {
        0 => println!("Everything in the store has the present key already."),
        count => println!("{count} values in the store have the present key now."),
    }
    println!("Take the others out of store.old_encryption_keys, and restart the replicas one after the other.");
    Ok(())
}

/// Does the same to the memory of thought signatures. Losing it costs no credential, so it is no failure.
fn follow(path: &Path, old: &Secret, new: Option<&Secret>) {
    match rekey::reseal(path, old, new) {
        Ok(true) => println!("{} went with it.", path.display()),
        Ok(false) => {}
        Err(error) => eprintln!("[WARNING] {} stays under the old key: {error}", path.display()),
    }
}

fn plainly(message: String) -> Failure {
    (1, message)
}

fn failure(error: StoreError) -> Failure {
    (error.exit_code(), error.to_string())
}
