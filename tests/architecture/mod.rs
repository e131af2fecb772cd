//! The rules of the house, held against its source: who may use whom, how long a file may be, words that have one place,
//! citations and links that lead somewhere. The lists are here and in `modules.rs`; a line in one says why it is there, and
//! must go when it is no longer needed.

mod documents;
mod messages;
mod modules;
mod source;
mod words;

use documents::Pages;
use source::ROOT;
use std::path::Path;
use words::Rule;

const LONGEST_FILE: usize = 400;
const LONG_FILES: &[(&str, &str)] = &[];

const RULES: &[Rule] = &[
    Rule {
        name: "one splitter of request paths",
        within: "src/",
        texts: &["split('/')", "rsplit('/')", "split_once('/')", "rsplit_once('/')", ", '/')", "\"/v1", "\"v1beta\""],
        places: &[
            ("src/serve/route/split.rs", "the path of a request is split here, once"),
            ("src/serve/route/google.rs", "slashes within a segment, which were percent-encoded"),
            ("src/admin/login.rs", "the authority of an address to come back to"),
            ("src/commands/auth.rs", "the authority of a running proxy's address"),
            ("src/commands/check.rs", "the origin of an endpoint"),
            ("src/gemini/schema/references.rs", "a reference of JSON Schema"),
            ("src/gemini/signatures.rs", "the name of a model"),
            ("src/upstream/fetch/location.rs", "an address that another server redirects to"),
        ],
    },
    Rule {
        name: "nobody has to say that the state changed: owners of sections have versions",
        within: "src/",
        texts: &[".touch()"],
        places: &[],
    },
    Rule {
        name: "nobody sleeps",
        within: "src/",
        texts: &["thread::sleep", "sleep("],
        places: &[
            (
                "src/dispatch/failover.rs",
                "the wait before a repeat looks every few milliseconds whether the client is gone",
            ),
            ("src/http/front.rs", "a poll that fails at once must not be repeated at once"),
            ("src/upstream/files.rs", "Google tells only who asks whether an uploaded file is ready"),
            ("src/http/wire.rs", "a machine without descriptors for a poll still hears its client"),
        ],
    },
    Rule {
        name: "only upstream and the logins know the HTTP client",
        within: "src/",
        texts: &["ureq"],
        places: &[
            ("src/upstream/", "calls of Google, and of pictures"),
            ("src/credentials/google/oauth.rs", "calls of Google's login"),
            ("src/credentials/options.rs", "is given a built agent"),
            ("src/commands/auth.rs", "asks a running proxy"),
            ("src/commands/mod.rs", "is given a built agent"),
            ("src/serve/service.rs", "is given a built agent"),
            ("src/logging.rs", "the name of a log target"),
        ],
    },
    Rule {
        name: "only http knows clients' sockets",
        within: "src/",
        texts: &["TcpStream", "TcpListener", "mio"],
        places: &[
            ("src/http/", "the listener"),
            ("src/upstream/tcp.rs", "connections to Google"),
            ("src/upstream/own_listener.rs", "a connection to the listener of this machine"),
            ("src/commands/listener.rs", "the browser comes back to it after a login"),
            ("src/logging.rs", "the name of a log target"),
        ],
    },
    Rule {
        name: "what the pool holds is called a credential",
        within: "src/",
        texts: &["Member", "MemberId", "member", "members"],
        places: &[
            ("src/gemini/schema.rs", "alternatives of a schema"),
            ("src/gemini/schema/", "alternatives of a schema"),
            ("src/conversation/arguments.rs", "alternatives of a schema"),
            ("src/api/openai_responses/tools.rs", "tools of a namespace"),
        ],
    },
    Rule {
        name: "unsafe code stands in one file",
        within: "src/",
        texts: &["unsafe"],
        places: &[("src/os/platform.rs", "calls of libc")],
    },
    Rule {
        name: "only os calls the system",
        within: "src/",
        texts: &["libc"],
        places: &[
            ("src/os/platform.rs", "the calls"),
            ("src/http/accept.rs", "numbers of errors"),
            ("src/storage/disk.rs", "numbers of errors"),
        ],
    },
    Rule {
        name: "random numbers have one policy",
        within: "src/",
        texts: &["getrandom", "fill_random", "getentropy"],
        places: &[("src/os/random.rs", "the policy"), ("src/os/platform.rs", "the call")],
    },
    Rule {
        name: "only commands speak to the terminal",
        within: "src/",
        texts: &["println!", "print!", "eprintln!", "eprint!"],
        places: &[("src/commands/", "what a command prints"), ("src/main.rs", "what keeps it from starting")],
    },
    Rule {
        name: "http knows no JSON",
        within: "src/http/",
        texts: &["serde_json"],
        places: &[
            ("src/http/refusal.rs", "its own refusals"),
            ("src/http/response.rs", "documents that others made become answers"),
        ],
    },
    Rule { name: "the admin interface sees no secret", within: "src/admin/", texts: &["Secret"], places: &[] },
    Rule {
        name: "the pool is memory, and is given the time",
        within: "src/credentials/pool/",
        texts: &["Mutex", "RwLock", "Condvar", "thread", "std::fs", "std::net", "Instant::now", "SystemTime::now"],
        places: &[("src/credentials/pool/clock.rs", "reads the clocks for the others")],
    },
];

/// Fails with everything that is wrong at once.
fn none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{} breaches:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn modules_use_only_what_stands_below_them() {
    none(modules::not_in_order(modules::MAY_USE));
    let sources = source::program();
    assert!(sources.len() > 100, "the source is there");
    none(modules::wrong_arrows(sources, modules::MAY_USE, modules::EXCEPTIONS));
}

#[test]
fn a_dialect_does_not_know_another() {
    none(modules::dialects_that_meet(source::program()));
}

#[test]
fn no_file_is_too_long() {
    let sources: Vec<_> = ["src", "tests", "benches", "examples"].into_iter().flat_map(source::below).collect();
    none(modules::long_files(&sources, LONGEST_FILE, LONG_FILES));
}

#[test]
fn words_stand_where_they_belong() {
    let sources = source::program();
    none(RULES.iter().flat_map(|rule| words::broken(sources, rule)).collect());
}

#[test]
fn every_message_is_in_the_catalogue_with_its_parameters_and_none_is_unused() {
    none(messages::wrong(source::program(), &messages::catalogue()));
}

#[test]
fn what_the_page_says_stands_with_the_page() {
    none(messages::sentences(source::program()));
}

/// What cargo does not find by itself is compiled only if somebody names it.
#[test]
fn every_file_of_the_suite_is_a_part_of_it() {
    let main = include_str!("../main.rs");
    let files = source::files_below("tests", "rs");
    let tops = files.iter().filter_map(|path| {
        let path = path.strip_prefix("tests/")?;
        path.split_once('/').map(|(folder, _)| folder).or(path.strip_suffix(".rs"))
    });
    let binaries = include_str!("../../Cargo.toml");
    let named = |name: &str| {
        name == "main"
            || main.contains(&format!("\nmod {name};"))
            || binaries.contains(&format!("[[test]]\nname = \"{name}\"\n"))
    };
    let missing = tops.filter(|name| !named(name));
    none(missing.map(|name| format!("neither tests/main.rs nor Cargo.toml names {name}")).collect());
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every page with links, by its path.
fn pages() -> Pages {
    let mut paths = source::files_below("docs", "md");
    for name in ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "tests/README.md"] {
        paths.push(name.to_owned());
    }
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// Every text that cites pages, by its path.
fn texts() -> Vec<(String, String)> {
    let folders = ["src", "tests", "benches", "examples", "fuzz"];
    let code = folders.into_iter().flat_map(|folder| source::files_below(folder, "rs"));
    let code = code.filter(|path| path != "tests/architecture/documents.rs");
    code.map(|path| (path.clone(), read(&path))).chain(pages()).collect()
}

#[test]
fn every_citation_leads_to_a_heading() {
    let (pages, texts) = (pages(), texts());
    let wrong = texts.iter().flat_map(|(path, text)| documents::citations_that_lead_nowhere(path, text, &pages));
    none(wrong.collect());
    none(texts.iter().flat_map(|(path, text)| documents::citations_by_number(path, text)).collect());
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let pages = pages();
    let exists = |path: &str| Path::new(ROOT).join(path).exists();
    none(pages.iter().flat_map(|(path, text)| documents::dead_links(path, text, &pages, &exists)).collect());
}

/// Whether a test stands where its name says; `tests` in a name may be a file or the foot of one.
fn is_a_test(name: &str) -> bool {
    let Some((modules, function)) = name.rsplit_once("::") else { return false };
    let folder = modules.replace("::", "/");
    let foot = folder.strip_suffix("/tests").unwrap_or(&folder);
    let files = [format!("{folder}.rs"), format!("{folder}/mod.rs"), format!("{foot}.rs"), format!("{foot}/mod.rs")];
    let paths =
        ["tests", "src"].iter().flat_map(|root| files.iter().map(move |file| Path::new(ROOT).join(root).join(file)));
    let texts = paths.filter_map(|path| std::fs::read_to_string(path).ok());
    texts.into_iter().any(|text| {
        text.contains(&format!("#[test]\n    fn {function}(")) || text.contains(&format!("#[test]\nfn {function}("))
    })
}

#[test]
fn every_test_that_security_promises_is_there() {
    assert!(!is_a_test("memory::nothing_of_this_name"));
    let promised = read("SECURITY.md");
    let names: Vec<&str> = promised.split('`').skip(1).step_by(2).filter(|word| word.contains("::")).collect();
    assert!(names.len() > 20, "{names:?}");
    none(names.into_iter().filter(|name| !is_a_test(name)).map(|name| format!("SECURITY.md names {name}")).collect());
}
