//! The two READMEs say the same, and what they say of the demo is so. The tests' own README names what is there.

use serde_json::Value;
use std::collections::HashSet;
use std::fs;

const ENGLISH: &str = include_str!("../README.md");
const CHINESE: &str = include_str!("../README.zh-CN.md");
const DEMO: &str = include_str!("../examples/demo.sh");

/// The code in the first cell of every row of every table, row by row.
fn first_cells(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")).filter_map(|row| row.split(" |").next());
    rows.map(|cell| cell.split('`').skip(1).step_by(2).collect()).filter(|words: &Vec<_>| !words.is_empty()).collect()
}

#[test]
fn both_readmes_have_the_same_tables_and_commands() {
    let commands = |text: &'static str| -> Vec<&'static str> {
        let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
        blocks.flat_map(str::lines).map(|line| line.split('#').next().unwrap_or("").trim_end()).collect()
    };
    assert_eq!(commands(ENGLISH), commands(CHINESE));
    assert_eq!(first_cells(ENGLISH), first_cells(CHINESE));
    let sections = |text: &str| text.lines().filter(|line| line.starts_with("## ")).count();
    assert_eq!(sections(ENGLISH), sections(CHINESE));
}

#[test]
fn the_readme_prints_the_line_that_the_demo_prints() {
    let request = DEMO.lines().find_map(|line| line.strip_prefix("request='")?.strip_suffix('\'')).expect("a request");
    let line = DEMO.lines().find_map(|line| line.strip_prefix("echo \"curl ")?.strip_suffix('"')).expect("a curl line");
    let printed = format!("curl {}", line.replace("$port", "8888").replace("$request", request));
    assert!(ENGLISH.lines().any(|line| line == printed), "{printed}");
}

#[test]
fn the_map_of_the_suite_names_each_module_once() {
    let map = include_str!("README.md").split("\n## ").find(|section| section.starts_with("What stands where"));
    let mut named: Vec<&str> = first_cells(map.expect("the section")).into_iter().flatten().collect();
    let modules = include_str!("main.rs").lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    let mut modules: Vec<&str> = modules.filter(|module| *module != "common").collect();
    named.sort_unstable();
    modules.sort_unstable();
    assert_eq!(named, modules);
}

#[test]
fn the_programs_that_are_tested_are_those_that_are_pinned_and_stand_on_the_page() {
    let page = include_str!("../docs/clients.md");
    let lines = include_str!("clients/programs.jsonl").lines();
    let programs: Vec<Value> = lines.map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let mut named: Vec<String> = Vec::new();
    for program in &programs {
        let field = |name: &str| program[name].as_str().unwrap_or_else(|| panic!("{program} has no {name}"));
        let pins =
            fs::read_to_string(format!("{}/{}", env!("CARGO_MANIFEST_DIR"), field("pins"))).expect("a file of pins");
        let (package, version) = (field("package"), field("version"));
        let is_pinned = match field("registry") {
            "npm" => pins.contains(&format!("\"{package}\": \"{version}\"")),
            _ => pins.lines().any(|line| {
                line.split_once("==").is_some_and(|(name, is)| is == version && name.split('[').next() == Some(package))
            }),
        };
        assert!(is_pinned, "{package} {version} is not what {} says", field("pins"));
        let cells = ["name", "version", "dialect", "tried", "works", "settings"].map(field);
        let row = format!("| {} |", cells.join(" | "));
        assert!(page.lines().any(|line| line == row), "docs/clients.md has no row {row}");
        named.push(package.to_owned());
    }
    // What is pinned and is no program: what tests work with, and parts of those that are.
    let tools = ["axe-core", "playwright-core", "zod", "ai", "cryptography", "@langchain/core", "langchain"];
    for pins in
        ["package.json", "requirements.txt", "clients/package.json", "clients/requirements.txt", "clients/aider.txt"]
    {
        let text = fs::read_to_string(format!("{}/tests/{pins}", env!("CARGO_MANIFEST_DIR"))).expect("a file of pins");
        let packages: Vec<String> = match serde_json::from_str::<Value>(&text) {
            Ok(json) => json["dependencies"].as_object().expect("dependencies").keys().cloned().collect(),
            Err(_) => text.lines().filter_map(|line| Some(line.split(['[', '=']).next()?.to_owned())).collect(),
        };
        for package in packages.iter().filter(|package| !tools.contains(&package.as_str())) {
            assert!(named.contains(package), "{pins}: {package} is in no line of programs.jsonl");
        }
    }
}

#[test]
fn every_case_of_a_fixture_has_a_title_of_its_own() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let folders = fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect();
    assert!(files.len() > 8, "the fixtures are there: {files:?}");
    for path in files {
        let mut titles = HashSet::new();
        for line in fs::read_to_string(&path).unwrap().lines() {
            let case: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let title = case["title"].as_str().or(case["name"].as_str()).unwrap_or_default().to_owned();
            assert!(!title.is_empty() && titles.insert(title.clone()), "{}: {title:?}", path.display());
        }
    }
}

#[test]
fn the_keys_that_we_print_are_known_to_be_examples() {
    let mut printed = std::collections::BTreeSet::new();
    for text in [
        include_str!("../README.md"),
        include_str!("../README.zh-CN.md"),
        include_str!("../config.example.json"),
        include_str!("../examples/demo.sh"),
    ] {
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
        let is_key = |word: &&str| word.len() > 3 && (word.starts_with("sk-") || word.starts_with("your-secret-key"));
        printed.extend(words.filter(is_key));
    }
    assert!(printed.contains("sk-mine") && printed.contains("your-secret-key-1"), "{printed:?}");
    for key in printed {
        let config = serde_json::json!({"auth_keys": [key]}).to_string();
        let warnings = gemini_openai_proxy::config::parse(&config).unwrap().warnings;
        assert!(warnings.iter().any(|warning| warning.contains("example key")), "{key}: {warnings:?}");
    }
}

#[test]
fn a_second_demo_says_that_the_port_is_taken_and_starts_nothing() {
    let google = crate::common::google::FakeGoogle::start();
    let other = crate::common::proxy::Proxy::start(&google, |_| {});
    let output = std::process::Command::new("sh")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/demo.sh"))
        // A port below 1024 that nobody serves here, and binaries that are not there: none of them is started.
        .env("GOOGLE_PORT", "1")
        .env("PORT", other.address().port().to_string())
        .env("BINARIES", "/nowhere")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("is in use, maybe by another demo"), "{said}");
    assert!(!said.contains("/nowhere"), "{said}");
}
