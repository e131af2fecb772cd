//! Replacing a small file so that it is whole at every moment, also under `kill -9`; knows nothing of its content.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What changes when somebody writes a file: device, inode, length, modification time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(u64, u64, u64, i64, i64);

impl Stamp {
    pub(crate) fn length(&self) -> u64 {
        self.2
    }
}

/// Writes the content of a file.
type Content<'a> = &'a dyn Fn(&mut File) -> io::Result<()>;

/// `None`: there is no file.
pub(crate) fn stamp(path: &Path) -> Option<Stamp> {
    let meta = fs::metadata(path).ok()?;
    Some(Stamp(meta.dev(), meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
}

/// Keeps other processes of this program out until it is dropped. The folder is locked and not the file, because a
/// rename would leave others waiting for a file that is gone. Best effort: some file systems have no locks.
pub(crate) fn lock_folder(path: &Path) -> Option<File> {
    let folder = File::open(folder(&target(path))).ok()?;
    folder.lock().ok()?;
    Some(folder)
}

/// Puts `content` in the place of the file, mode 0600, on disk when this returns. Symbolic links are followed.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_with(path, &|file| file.write_all(content)).map(|_| ())
}

/// The same with what `content` writes, which may be asked twice; says how long the file is.
pub(crate) fn replace_with(path: &Path, content: Content<'_>) -> io::Result<u64> {
    let target = target(path);
    let temporary = temporary(&target);
    match write_beside(&target, &temporary, content) {
        Ok(length) => Ok(length),
        // A file that is mounted by itself (Docker) cannot be renamed over, and a folder may be closed where the file is
        // open: then there is only the way in place.
        Err(error) if needs_in_place(&error) => {
            let written = write_in_place(&target, content);
            let _ = fs::remove_file(&temporary);
            written.map_err(|_| error)
        }
        Err(error) => {
            let _ = fs::remove_file(&temporary);
            Err(error)
        }
    }
}

/// Appends to a file that is there; on disk when this returns.
pub(crate) fn append(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(path)?;
    file.write_all(content)?;
    file.sync_data()
}

/// Another file beside this one: `credentials.json` and `.bak` are `credentials.json.bak`.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn write_beside(target: &Path, temporary: &Path, content: Content<'_>) -> io::Result<u64> {
    // What a crash left over; `create_new` then refuses to follow a link that somebody put there.
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    content(&mut file)?;
    let length = file.stream_position()?;
    if let Ok(meta) = fs::metadata(target) {
        // Root that writes a user's file must not take it away from the user.
        let _ = std::os::unix::fs::fchown(&file, Some(meta.uid()), Some(meta.gid()));
    }
    file.sync_all()?;
    fs::rename(temporary, target)?;
    // Without this the rename itself may be undone by a power cut. Not every file system can.
    let _ = File::open(folder(target)).and_then(|folder| folder.sync_all());
    Ok(length)
}

fn write_in_place(target: &Path, content: Content<'_>) -> io::Result<u64> {
    let mut file = OpenOptions::new().write(true).open(target)?;
    content(&mut file)?;
    let length = file.stream_position()?;
    file.set_len(length)?;
    let _ = file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600));
    file.sync_all()?;
    Ok(length)
}

fn needs_in_place(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EXDEV | libc::EACCES | libc::EPERM | libc::EROFS))
}

/// The file behind the links, also when it does not exist yet.
fn target(path: &Path) -> PathBuf {
    if let Ok(target) = fs::canonicalize(path) {
        return target;
    }
    match fs::read_link(path) {
        Ok(link) => folder(path).join(link),
        Err(_) => path.to_owned(),
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn temporary(target: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".tmp");
    target.with_file_name(name)
}

/// A fresh folder for a test, removed with its content when dropped.
#[cfg(test)]
pub(crate) struct Scratch(pub(crate) PathBuf);

#[cfg(test)]
impl Scratch {
    pub(crate) fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("gemini-proxy-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }
}

#[cfg(test)]
impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::{Scratch, needs_in_place, replace, temporary, write_in_place};
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn a_new_file_is_private_and_leaves_nothing_beside_it() {
        let scratch = Scratch::new("disk-new");
        let path = scratch.0.join("credentials.json");
        replace(&path, b"[]").unwrap();
        replace(&path, b"[1]").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"[1]");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_a_link_and_its_target_is_written() {
        let scratch = Scratch::new("disk-link");
        fs::create_dir(scratch.0.join("real")).unwrap();
        let link = scratch.0.join("link.json");
        symlink("real/target.json", &link).unwrap();
        for content in [b"[1]", b"[2]"] {
            replace(&link, content).unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::read(scratch.0.join("real/target.json")).unwrap(), content);
        }
    }

    #[test]
    fn a_leftover_of_a_crash_is_no_obstacle() {
        let scratch = Scratch::new("disk-leftover");
        let path = scratch.0.join("credentials.json");
        symlink("/dev/null", temporary(&path)).unwrap();
        replace(&path, b"[]").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"[]");
    }

    #[test]
    fn a_file_that_cannot_be_renamed_over_is_written_in_place_and_cut() {
        let scratch = Scratch::new("disk-in-place");
        let path = scratch.0.join("credentials.json");
        fs::write(&path, b"a longer content").unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        write_in_place(&path, &|file| file.write_all(b"[1]")).unwrap();
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((fs::read(&path).unwrap().as_slice(), meta.ino()), (&b"[1]"[..], inode));
        assert_eq!(meta.mode() & 0o777, 0o600);
        for (code, expected) in [(libc::EBUSY, true), (libc::EROFS, true), (libc::ENOSPC, false), (libc::EIO, false)] {
            assert_eq!(needs_in_place(&std::io::Error::from_raw_os_error(code)), expected);
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let scratch = Scratch::new("disk-missing");
        assert!(replace(&scratch.0.join("none/credentials.json"), b"[]").is_err());
    }
}
