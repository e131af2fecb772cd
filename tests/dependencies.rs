//! What the program is built from, read from Cargo.lock and cargo's metadata: no async runtime and no OpenSSL anywhere,
//! tests included; known sources; licences that allow the program to be what its own licence says.

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// Whole names, or beginnings that end in `*`. tiny_http's and rustls's own dependencies must not bring them in either.
const BANNED: [&str; 16] = [
    "tokio*",
    "async-*",
    "smol",
    "actix*",
    "hyper*",
    "reqwest",
    "futures*",
    "openssl*",
    "native-tls",
    "aws-lc*",
    "mimalloc*",
    "libmimalloc*",
    "tikv-jemalloc*",
    "jemalloc*",
    "polling",
    "glommio",
];

/// Each alternative of a licence expression must consist of these.
const LICENCES: [&str; 13] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
];

/// Name and source of every package of Cargo.lock: all targets, all features, build and development dependencies too.
fn locked() -> Vec<(String, Option<String>)> {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
    let packages = lock.split("[[package]]").skip(1);
    let field = |package: &str, name: &str| {
        let begin = format!("{name} = \"");
        package.lines().find_map(|line| Some(line.strip_prefix(&begin)?.strip_suffix('"')?.to_owned()))
    };
    packages.map(|package| (field(package, "name").unwrap(), field(package, "source"))).collect()
}

/// What cargo knows of the packages that this machine's target needs; those of other targets need not be here.
fn metadata() -> Value {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let versions = run("rustc", &["-vV"]);
    let host = versions.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host];
    serde_json::from_str(&run(env!("CARGO"), &arguments)).unwrap()
}

fn is_banned(name: &str) -> bool {
    // It names folders of certificates and holds nothing of OpenSSL.
    name != "openssl-probe"
        && BANNED.iter().any(|banned| match banned.strip_suffix('*') {
            Some(begin) => name.starts_with(begin),
            None => name == *banned,
        })
}

#[test]
fn there_is_no_async_runtime_and_no_openssl() {
    let locked = locked();
    let names: Vec<&str> = locked.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"ureq") && names.contains(&"tiny_http"), "the list is whole: {names:?}");
    let found: Vec<&&str> = names.iter().filter(|name| is_banned(name)).collect();
    assert!(found.is_empty(), "{found:?}");
    assert!(is_banned("tokio-util") && is_banned("openssl-sys") && !is_banned("httparse"), "the list bans");
}

/// What the program was to be built from, and small crates that replace code which is not what it exists for.
const MINIMAL: [&str; 22] = [
    "base64",
    "crossbeam-channel",
    "fernet",
    "httparse",
    "libc",
    "log",
    "memchr",
    "miniz_oxide",
    "mio",
    "parking_lot",
    "percent-encoding",
    "pico-args",
    "rustls",
    "serde",
    "serde_json",
    "sha2",
    "signal-hook",
    "simple_logger",
    "socket2",
    "subtle",
    "time",
    "ureq",
];

#[test]
fn without_features_it_needs_the_listed_crates_and_no_others() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let own = packages.iter().find(|package| package["name"] == "gemini-openai-proxy").unwrap();
    let dependencies = own["dependencies"].as_array().unwrap().iter();
    let needed = dependencies.filter(|needed| needed["kind"].is_null() && needed["optional"] == false);
    let mut needed: Vec<&str> = needed.map(|needed| needed["name"].as_str().unwrap()).collect();
    needed.sort_unstable();
    assert_eq!(needed, MINIMAL);
}

/// The fuzz targets have a lock of their own. Where it lags behind, they cannot be built as they are.
#[test]
fn the_lock_of_the_fuzz_targets_has_all_that_the_program_needs() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/Cargo.lock")).unwrap();
    let own = lock.split("[[package]]").find(|package| package.contains("name = \"gemini-openai-proxy\"\n")).unwrap();
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let program = packages.iter().find(|package| package["name"] == "gemini-openai-proxy").unwrap();
    let needed = program["dependencies"].as_array().unwrap().iter().filter(|needed| needed["kind"] != "dev");
    let names = needed.map(|needed| needed["name"].as_str().unwrap());
    let lacking: Vec<&str> = names.filter(|name| !own.contains(&format!("\n \"{name}"))).collect();
    assert!(lacking.is_empty(), "{lacking:?}: cargo update --workspace --manifest-path fuzz/Cargo.toml");
}

#[test]
fn every_dependency_comes_from_the_registry() {
    for (name, source) in locked() {
        match source.as_deref() {
            None => assert_eq!(name, "gemini-openai-proxy", "a path dependency"),
            Some(source) => assert_eq!(source, "registry+https://github.com/rust-lang/crates.io-index", "{name}"),
        }
    }
}

#[test]
fn every_dependency_has_a_licence_that_is_known_to_be_fine() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50, "the list is whole: {}", packages.len());
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("");
        assert!(is_allowed(licence), "{}: {licence:?}", package["name"]);
    }
}

/// deploy/sbom.py goes its own way through the metadata; cargo's tree is the witness.
#[test]
fn the_bill_of_materials_names_what_is_compiled_in() {
    let output = |command: &mut Command| {
        let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let bill: Value = serde_json::from_str(&output(Command::new("python3").arg("deploy/sbom.py"))).unwrap();
    let arguments = ["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"];
    let tree = output(Command::new(env!("CARGO")).args(arguments));
    let in_tree: BTreeSet<String> = tree
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .filter(|package| !package.starts_with("gemini-openai-proxy "))
        .collect();
    let text = |component: &Value, name: &str| component[name].as_str().unwrap().to_owned();
    let components = bill["components"].as_array().unwrap();
    let in_bill: BTreeSet<String> = components
        .iter()
        .map(|component| format!("{} v{}", text(component, "name"), text(component, "version")))
        .collect();
    assert_eq!(in_bill, in_tree);
    for component in components {
        assert!(is_allowed(&text(&component["licenses"][0], "expression")), "{component}");
        assert_eq!(text(&component["hashes"][0], "content").len(), 64, "{component}");
    }
}

/// Whether an SPDX expression can be fulfilled with the list. Reads `OR` (also the old `/`), `AND` and parentheses.
fn is_allowed(expression: &str) -> bool {
    let flat = expression.replace('/', " OR ");
    split(&flat, " OR ").into_iter().any(|alternative| {
        let parts = split(alternative, " AND ");
        parts.into_iter().all(|part| match part.trim().strip_prefix('(').and_then(|part| part.strip_suffix(')')) {
            Some(inner) => is_allowed(inner),
            None => LICENCES.contains(&part.trim()),
        })
    })
}

/// Splits at `word` outside of parentheses.
fn split<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let (mut depth, mut begin) = (0, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ if depth == 0 && at >= begin && text[at..].starts_with(word) => {
                pieces.push(&text[begin..at]);
                begin = at + word.len();
            }
            _ => {}
        }
    }
    pieces.push(&text[begin..]);
    pieces
}

#[test]
fn licence_expressions_are_read_as_they_are_meant() {
    for (expression, allowed) in [
        ("MIT", true),
        ("MIT OR GPL-3.0", true),
        ("MIT/Apache-2.0", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND GPL-2.0", false),
        ("GPL-3.0", false),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression), allowed, "{expression}");
    }
}
