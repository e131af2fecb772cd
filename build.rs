//! Takes off the files of the admin page what only readers of the source need (comments, indentation, spaces of the style
//! sheet) and compresses them, which makes the binary smaller and an answer cheaper, and names the folder that browsers load
//! them from by what they hold, so that they can be kept for good.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

/// What the store runs in Redis; in the program without comments, too.
const SCRIPTS: &str = "src/store/redis/scripts";

/// ID, deflate, no fields, no time, best compression, unknown system (RFC 1952).
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=static");
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let mut files = Vec::new();
    for entry in fs::read_dir("static")? {
        let entry = entry?;
        let name = entry.file_name().into_string().expect("a plain name");
        let text = match name.as_str() {
            // The box that tries pictures and speech needs their routes.
            "media.js" if env::var_os("CARGO_FEATURE_MEDIA").is_none() => "export const startMedia = () => {};".into(),
            _ => fs::read_to_string(entry.path())?,
        };
        let text = bare(&text, "//");
        let text = if name.ends_with(".css") { close(&text) } else { text };
        files.push((name, text));
    }
    files.sort();
    let all = files.iter().flat_map(|(name, text)| [name, text]);
    let version = format!("{:016x}", all.fold(0xcbf2_9ce4_8422_2325, |hash, text| fnv(hash, text.as_bytes())));
    let mut list = String::new();
    for (name, text) in &files {
        let text = match name.ends_with(".html") {
            true => text.replace("\"static/", &format!("\"static/{version}/")),
            false => text.clone(),
        };
        let path = Path::new(&out).join(format!("{name}.gz"));
        fs::write(&path, gzip(text.as_bytes()))?;
        let _ = write!(list, "({name:?}, include_bytes!({path:?})),");
    }
    let source =
        format!("const VERSION: &str = {version:?};\nconst FILES: [(&str, &[u8]); {}] = [{list}];\n", files.len());
    fs::write(Path::new(&out).join("page.rs"), source)?;
    println!("cargo::rerun-if-changed={SCRIPTS}");
    scripts(Path::new(SCRIPTS), &Path::new(&out).join("scripts"))
}

/// Copies the scripts of a folder and those below it.
fn scripts(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => scripts(&path, &to)?,
            false => fs::write(to, bare(&fs::read_to_string(path)?, "--"))?,
        }
    }
    Ok(())
}

/// Without indentation, empty lines and lines of comment; no text of ours goes over several lines.
fn bare(text: &str, comment: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(comment));
    lines.fold(String::new(), |bare, line| bare + line + "\n")
}

/// A style sheet without the spaces and line ends that only its readers need; none of its strings has such.
fn close(text: &str) -> String {
    let joined = text.replace('\n', " ");
    [" {", "{ ", "; ", ": ", ", ", "} ", " }"]
        .iter()
        .fold(joined, |text, space| text.replace(space, space.trim()))
        .replace(";}", "}")
}

/// FNV-1a: nobody but us writes what is hashed.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut bytes = GZIP_HEAD.to_vec();
    bytes.extend(miniz_oxide::deflate::compress_to_vec(text, 10));
    bytes.extend(crc32(text).to_le_bytes());
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
