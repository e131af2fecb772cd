//! The program's source as text: what is code, what stands in literals, and which paths a file names.

use std::path::Path;
use std::sync::LazyLock;

/// The repository.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// One file of Rust. `code` and `bare` are as long as the file, so that lines agree.
pub struct Source {
    /// From the repository on, with `/`.
    pub path: String,
    /// Without comments and unit tests.
    pub code: String,
    /// Without what stands in strings and characters either.
    pub bare: String,
    pub lines: usize,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let (mut code, mut bare) = strip(text);
        for (begin, end) in unit_tests(&bare) {
            blank(&mut code, begin, end);
            blank(&mut bare, begin, end);
        }
        Source { path: path.to_owned(), code, bare, lines: text.lines().count() }
    }

    /// The modules that lead to this file, without the crate: `["credentials", "pool", "choice"]`; none for `main` and `lib`.
    pub fn module(&self) -> Vec<&str> {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let path = path.strip_suffix(".rs").unwrap_or(path);
        let path = path.strip_suffix("/mod").unwrap_or(path);
        if path == "lib" || path == "main" { Vec::new() } else { path.split('/').collect() }
    }

    /// Every path into the crate that the code names, without `crate`.
    pub fn uses(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        for (at, word) in words(&self.bare) {
            let rest = &self.bare[at + word.len()..];
            let continues = self.bare[..at].trim_end().ends_with("::");
            match word {
                "crate" if !continues => tree(rest, &[], &mut found),
                "super" if !continues => self.relative(rest, &mut found),
                _ => {}
            }
        }
        found
    }

    fn relative(&self, mut rest: &str, found: &mut Vec<Vec<String>>) {
        let module = self.module();
        let mut depth = module.len().saturating_sub(1);
        while let Some(after) = rest.trim_start().strip_prefix("::").and_then(|rest| rest.strip_prefix("super")) {
            depth = depth.saturating_sub(1);
            rest = after;
        }
        let base: Vec<String> = module[..depth].iter().map(|name| (*name).to_owned()).collect();
        tree(rest, &base, found);
    }
}

/// The rest of a `use` tree or path, which begins with `::`.
fn tree(rest: &str, base: &[String], found: &mut Vec<Vec<String>>) {
    let Some(rest) = rest.trim_start().strip_prefix("::") else { return found.push(base.to_vec()) };
    let rest = rest.trim_start();
    if let Some(group) = rest.strip_prefix('{') {
        let (mut depth, mut begin) = (0, 0);
        for (at, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    let branch = group[begin..at].trim();
                    if !branch.is_empty() {
                        tree(&format!("::{branch}"), base, found);
                    }
                    begin = at + 1;
                    if character == '}' {
                        return;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
        return;
    }
    match words(rest).next() {
        Some((0, "self")) => found.push(base.to_vec()),
        Some((0, name)) => tree(&rest[name.len()..], &[base, &[name.to_owned()]].concat(), found),
        _ => found.push(base.to_vec()),
    }
}

/// Every name with its place.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let begin = at + text[at..].find(is_part)?;
        let end = text[begin..].find(|character| !is_part(character)).map_or(text.len(), |length| begin + length);
        at = end;
        Some((begin, &text[begin..end]))
    })
}

/// Every Rust file below `folder`, in order.
pub fn below(folder: &str) -> Vec<Source> {
    files_below(folder, "rs")
        .iter()
        .map(|path| Source::new(path, &std::fs::read_to_string(Path::new(ROOT).join(path)).expect("a readable file")))
        .collect()
}

/// The program's own files: what is only compiled for unit tests is left out.
pub fn program() -> &'static [Source] {
    static PROGRAM: LazyLock<Vec<Source>> = LazyLock::new(read_program);
    &PROGRAM
}

fn read_program() -> Vec<Source> {
    let all = below("src");
    let mut tests: Vec<String> = Vec::new();
    for source in &all {
        let text = std::fs::read_to_string(Path::new(ROOT).join(&source.path)).expect("a readable file");
        let names = text.split("#[cfg(test)]").skip(1).filter_map(|rest| rest.trim_start().strip_prefix("mod "));
        let names =
            names.filter_map(|rest| rest.split_once(';')).map(|(name, _)| name).filter(|name| !name.contains('{'));
        let folder = format!("src/{}", source.module().join("/"));
        tests.extend(names.map(|name| format!("{}/{name}", folder.trim_end_matches('/'))));
    }
    let is_test =
        |path: &str| tests.iter().any(|test| path == format!("{test}.rs") || path.starts_with(&format!("{test}/")));
    all.into_iter().filter(|source| !is_test(&source.path)).collect()
}

/// Paths from the repository on.
pub fn files_below(folder: &str, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(Path::new(ROOT).join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        // Folders whose name begins with a dot and node_modules are not ours.
        let is_foreign = path.contains("/.") || path.ends_with("/node_modules");
        if entry.file_type().expect("a type").is_dir() {
            if !is_foreign {
                found.extend(files_below(&path, extension));
            }
        } else if path.ends_with(&format!(".{extension}")) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The text without comments, and without literals either.
fn strip(text: &str) -> (String, String) {
    let (mut code, mut bare) = (text.to_owned(), text.to_owned());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let is_name = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let length = if rest.starts_with("//") {
            let length = rest.find('\n').unwrap_or(rest.len());
            blank(&mut code, at, at + length);
            length
        } else if rest.starts_with("/*") {
            let length = block(rest);
            blank(&mut code, at, at + length);
            length
        } else if let Some(length) = raw(rest).filter(|_| !is_name) {
            length
        } else if rest.starts_with('"') {
            quoted(rest)
        } else if rest.starts_with('\'') {
            character(rest)
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        blank(&mut bare, at, at + length);
        at += length;
    }
    (code, bare)
}

/// The length of a comment in which others may stand.
fn block(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if rest.starts_with(b"*/") {
            (at, depth) = (at + 2, depth - 1);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of `r"..."`, `r#"..."#` and the like.
fn raw(text: &str) -> Option<usize> {
    let begin = ["r", "br", "cr"].into_iter().find_map(|begin| text.strip_prefix(begin))?;
    let hashes = begin.bytes().take_while(|byte| *byte == b'#').count();
    let inner = begin[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inner.find(&end).map_or(inner.len(), |at| at + end.len());
    Some(text.len() - inner.len() + length)
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character, or 1 for the tick of a lifetime.
fn character(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(text.len(), |at| at + 4),
        Some(_) => match characters.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

/// Overwrites with spaces; line ends stay.
fn blank(text: &mut String, begin: usize, end: usize) {
    let spaces: String = text[begin..end].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
    text.replace_range(begin..end, &spaces);
}

/// Where items stand that only unit tests have.
fn unit_tests(bare: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (begin, mark) in bare.match_indices("#[cfg(test)]") {
        let rest = &bare[begin + mark.len()..];
        let open = rest.find(['{', ';']).unwrap_or(rest.len());
        let mut depth = 0;
        let end = rest[open..].char_indices().find_map(|(at, character)| {
            depth += i32::from(character == '{') - i32::from(character == '}');
            (depth == 0).then_some(open + at + 1)
        });
        found.push((begin, begin + mark.len() + end.unwrap_or(rest.len())));
    }
    found
}

#[test]
fn comments_literals_and_unit_tests_are_told_from_code() {
    let text = r##"// crate::a
/* crate::b /* { */ crate::c */ use crate::d::{self, e::{F, G}, h as i}; //! crate::x
fn f<'a>(text: &'a str) -> char { let _ = ("crate::j \" {", r#"crate::k "}"#, '{', '\'', b'"'); super::l::m(text) }
#[cfg(test)]
mod tests { use crate::n; fn x() { "}" } }
fn last() { crate::o() }
"##;
    let source = Source::new("src/top/inner/leaf.rs", text);
    assert_eq!(source.module(), ["top", "inner", "leaf"]);
    let uses: Vec<String> = source.uses().iter().map(|path| path.join("::")).collect();
    assert_eq!(uses, ["d", "d::e::F", "d::e::G", "d::h", "top::inner::l::m", "o"]);
    assert_eq!(source.code.len(), text.len());
    assert!(source.code.contains("crate::j") && !source.bare.contains("crate::j"));
    let above = Source::new("src/top/mod.rs", "use super::other::A; use super::super::never::B;");
    assert_eq!(above.uses()[0], ["other", "A"]);
}
