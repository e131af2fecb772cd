//! Who may use whom, and how long a file may be.

use super::source::Source;
use std::collections::{BTreeMap, BTreeSet};

/// The order of the top-level modules, from the bottom up: each with the modules that it may use, all of which stand above
/// it in this list. So there is no circle.
pub const MAY_USE: &[(&str, &[&str])] = &[
    ("calendar", &[]),
    ("secret", &[]),
    ("mask", &[]),
    ("error", &[]),
    ("os", &[]),
    ("page", &[]),
    ("message", &["page"]),
    ("sse", &["os"]),
    ("storage", &["os"]),
    ("config", &["calendar", "mask", "os", "secret"]),
    ("http", &["os"]),
    ("gemini", &["config"]),
    ("logging", &["calendar", "config", "os"]),
    ("conversation", &["config", "error", "gemini", "os"]),
    ("api", &["calendar", "config", "conversation", "error", "gemini", "http", "os", "sse"]),
    ("usage", &["calendar", "config", "gemini", "message", "storage"]),
    ("keys", &["calendar", "config", "error", "gemini", "http", "mask", "message", "os", "secret", "storage"]),
    ("credentials", &["calendar", "config", "mask", "message", "os", "secret", "storage"]),
    ("store", &["calendar", "config", "credentials", "gemini", "keys", "message", "os", "secret", "storage", "usage"]),
    ("upstream", &["api", "calendar", "config", "credentials", "error", "gemini", "http", "message", "os", "sse"]),
    ("dispatch", &["api", "config", "credentials", "error", "gemini", "http", "os", "secret", "upstream"]),
    (
        "admin",
        &[
            "calendar",
            "config",
            "credentials",
            "dispatch",
            "gemini",
            "http",
            "keys",
            "logging",
            "mask",
            "message",
            "os",
            "page",
            "store",
            "usage",
        ],
    ),
    (
        "serve",
        &[
            "admin",
            "api",
            "calendar",
            "config",
            "credentials",
            "dispatch",
            "error",
            "gemini",
            "http",
            "keys",
            "logging",
            "mask",
            "message",
            "os",
            "secret",
            "sse",
            "storage",
            "store",
            "upstream",
            "usage",
        ],
    ),
    (
        "commands",
        &["config", "credentials", "mask", "message", "os", "secret", "serve", "storage", "store", "upstream"],
    ),
];

/// Arrows that are there and should not be: who uses whom, and where it goes. Each must still be there; who removes an
/// arrow removes its line.
pub const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("admin", "serve", "routes of the admin interface take the whole App"),
    ("credentials", "http", "the reader of query strings stands there"),
];

/// Folders of `src/api` that hold what dialects share; every other folder there is a dialect.
pub const SHARED_BY_DIALECTS: &[&str] = &["openai", "options"];
/// Dialects that are an adapter over another one.
pub const ADAPTERS: &[(&str, &str)] = &[("openai_completions", "openai_chat")];

/// Which module uses which others, with the first place of each arrow.
pub fn arrows(sources: &[Source]) -> BTreeMap<(String, String), String> {
    let tops: BTreeSet<&str> = sources.iter().filter_map(|source| source.module().first().copied()).collect();
    let mut found = BTreeMap::new();
    for source in sources {
        let Some(from) = source.module().first().copied() else { continue };
        for path in source.uses() {
            let Some(to) = path.first().filter(|to| *to != from && tops.contains(to.as_str())) else { continue };
            let place = || format!("{} uses crate::{}", source.path, path.join("::"));
            found.entry((from.to_owned(), to.clone())).or_insert_with(place);
        }
    }
    found
}

/// What breaks the table, and exceptions that nothing needs any more.
pub fn wrong_arrows(sources: &[Source], may_use: &[(&str, &[&str])], exceptions: &[(&str, &str, &str)]) -> Vec<String> {
    let arrows = arrows(sources);
    let is_exception = |from: &str, to: &str| exceptions.iter().any(|(a, b, _)| (*a, *b) == (from, to));
    let mut wrong = Vec::new();
    for ((from, to), place) in &arrows {
        match may_use.iter().find(|(module, _)| module == from) {
            None => wrong.push(format!("{from} is not in the table")),
            Some((_, allowed)) if allowed.contains(&to.as_str()) || is_exception(from, to) => {}
            Some(_) => wrong.push(format!("{from} must not use {to}: {place}")),
        }
    }
    for (from, to, reason) in exceptions {
        if !arrows.contains_key(&((*from).to_owned(), (*to).to_owned())) {
            wrong.push(format!("{from} uses {to} no more: remove the exception ({reason})"));
        }
    }
    wrong
}

/// Modules that a table lets use what stands below them in it.
pub fn not_in_order(may_use: &[(&str, &[&str])]) -> Vec<String> {
    let mut above: Vec<&str> = Vec::new();
    let mut wrong = Vec::new();
    for (module, allowed) in may_use {
        wrong.extend(allowed.iter().filter(|to| !above.contains(*to)).map(|to| format!("{module} stands above {to}")));
        above.push(module);
    }
    wrong
}

/// Dialects that know another dialect.
pub fn dialects_that_meet(sources: &[Source]) -> Vec<String> {
    let dialect = |path: &[&str]| match path {
        ["api", folder, ..] if !SHARED_BY_DIALECTS.contains(folder) => Some((*folder).to_owned()),
        _ => None,
    };
    let is_folder = |source: &&Source| source.path.matches('/').count() >= 3;
    let known: BTreeSet<String> =
        sources.iter().filter(is_folder).filter_map(|source| dialect(&source.module())).collect();
    let mut wrong = Vec::new();
    for source in sources {
        let Some(from) = dialect(&source.module()).filter(|from| known.contains(from)) else { continue };
        for path in source.uses() {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let Some(to) = dialect(&path).filter(|to| *to != from && known.contains(to)) else { continue };
            if !ADAPTERS.contains(&(&from, &to)) {
                wrong.push(format!("{}: the dialect {from} must not know {to}", source.path));
            }
        }
    }
    wrong
}

/// Files with more lines than `limit` that are not in the list, and files in the list that are short enough now.
pub fn long_files(sources: &[Source], limit: usize, reasons: &[(&str, &str)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        let excused = reasons.iter().any(|(path, _)| *path == source.path);
        match source.lines > limit {
            true if !excused => wrong.push(format!("{} has {} lines, more than {limit}", source.path, source.lines)),
            false if excused => wrong.push(format!("{} is short enough: remove it from the list", source.path)),
            _ => {}
        }
    }
    let known = |path: &&str| sources.iter().any(|source| source.path == **path);
    wrong
        .extend(reasons.iter().map(|(path, _)| path).filter(|path| !known(path)).map(|path| format!("{path} is gone")));
    wrong
}

#[test]
fn an_arrow_that_the_table_does_not_have_is_found_and_so_is_an_exception_without_one() {
    let table: &[(&str, &[&str])] = &[("low", &[]), ("high", &["low"])];
    let low = Source::new("src/low.rs", "use crate::high::Thing;\n");
    let high = Source::new("src/high/mod.rs", "use crate::low;\n");
    let sources = [low, high];
    assert_eq!(wrong_arrows(&sources, table, &[]), ["low must not use high: src/low.rs uses crate::high::Thing"]);
    let excused = [("low", "high", "for now"), ("high", "other", "once")];
    assert_eq!(wrong_arrows(&sources, table, &excused), ["high uses other no more: remove the exception (once)"]);
    let stranger = [Source::new("src/new.rs", "use crate::low;"), Source::new("src/low.rs", "")];
    assert_eq!(wrong_arrows(&stranger, table, &[]), ["new is not in the table"]);
}

#[test]
fn a_table_with_a_circle_is_found() {
    assert_eq!(not_in_order(&[("a", &["b"]), ("b", &["a"])]), ["a stands above b"]);
    assert_eq!(not_in_order(&[("b", &[]), ("a", &["b"])]), [""; 0]);
}

#[test]
fn a_dialect_that_knows_another_is_found() {
    let chat = Source::new("src/api/openai_chat/mod.rs", "use crate::api::messages::X; use super::openai::Y;");
    let messages = Source::new("src/api/messages/mod.rs", "use crate::api::frame::Z;");
    let completions = Source::new("src/api/openai_completions/mod.rs", "use super::openai_chat::W;");
    let frame = Source::new("src/api/frame.rs", "");
    assert_eq!(
        dialects_that_meet(&[chat, messages, completions, frame]),
        ["src/api/openai_chat/mod.rs: the dialect openai_chat must not know messages"]
    );
}

#[test]
fn a_long_file_is_found_and_so_is_a_reason_without_one() {
    let sources = [Source::new("src/long.rs", &"\n".repeat(11)), Source::new("src/short.rs", "")];
    assert_eq!(long_files(&sources, 10, &[]), ["src/long.rs has 11 lines, more than 10"]);
    assert_eq!(
        long_files(&sources, 10, &[("src/long.rs", "a table"), ("src/short.rs", "it was long"), ("src/old.rs", "")]),
        ["src/short.rs is short enough: remove it from the list", "src/old.rs is gone"]
    );
}
