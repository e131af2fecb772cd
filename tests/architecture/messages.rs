//! The catalogue of messages, `static/messages.js`, and the code that uses it.

use super::source::Source;
use std::collections::{BTreeMap, BTreeSet};

/// Sentences of the admin interface that are in no catalogue: the old program's words for scripts, and refusals of requests
/// that the page never makes. By the text that they begin with.
const FOR_SCRIPTS: &[&str] = &[
    "Usage statistics have been reset.",
    "Credential with id '{name}' not found.",
    "expected label or project_id",
    "{name}: expected a text or null",
    "mode: expected ",
    "range: expected ",
    "outcome: expected ",
    "{name}: expected a time such as",
    "{name}: expected a whole number",
    "limit: expected ",
    "after: expected ",
    "skip: expected ",
    "sort: expected ",
    "action: ",
    "this program was built without its feature",
    "ids: expected texts",
    "expected a list of at most ",
    "the body is larger than {LARGEST_BODY} bytes",
    "Input should be a valid dictionary or object",
];

/// Each code with the parameters of its sentence.
pub type Catalogue = BTreeMap<String, BTreeSet<String>>;

pub fn catalogue() -> Catalogue {
    let json = include_str!("../../static/messages.js").strip_prefix("export default ").expect("a module");
    let sentences: BTreeMap<String, [String; 2]> = serde_json::from_str(json).expect("pairs of sentences");
    let names = |text: &str| {
        text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())).collect::<BTreeSet<_>>()
    };
    sentences.into_iter().map(|(code, [english, _])| (code, names(&english))).collect()
}

/// Codes that are not in the catalogue, parameters that a sentence does not have or lacks, and sentences that nobody says.
pub fn wrong(sources: &[Source], catalogue: &Catalogue) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut said = BTreeSet::new();
    for source in sources {
        let mut rest = source.code.as_str();
        while let Some((_, after)) = rest.split_once("Message::new(\"") {
            let (code, chain) = after.split_once('"').unwrap_or_default();
            let names = given(chain);
            match catalogue.get(code) {
                None => wrong.push(format!("{}: there is no message {code}", source.path)),
                Some(wanted) if *wanted == names => {}
                Some(wanted) => wrong.push(format!("{}: {code} has {wanted:?}, not {names:?}", source.path)),
            }
            said.insert(code);
            rest = chain;
        }
    }
    for (code, names) in catalogue.iter().filter(|(code, _)| !said.contains(code.as_str())) {
        // Tables and matches give the code alone, so there is no place for parameters.
        let literal = format!("\"{code}\"");
        match sources.iter().any(|source| source.code.contains(&literal)) {
            true if names.is_empty() || code == "said" => {}
            true => wrong.push(format!("{code} is said without {names:?}")),
            false => wrong.push(format!("nobody says {code}")),
        }
    }
    wrong
}

/// The names in `) .with("name", value) .with_message("other", value)`.
fn given(chain: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut rest = chain.trim_start().strip_prefix(')').unwrap_or_default().trim_start();
    while let Some(after) = rest.strip_prefix(".with(").or_else(|| rest.strip_prefix(".with_message(")) {
        names.extend(after.trim_start().strip_prefix('"').and_then(|name| Some(name.split_once('"')?.0.to_owned())));
        let mut depth = 1;
        let end = after.find(|character| {
            depth += i32::from(character == '(') - i32::from(character == ')');
            depth == 0
        });
        rest = end.map_or("", |end| after[end + 1..].trim_start());
    }
    names
}

/// Sentences for people that stand in the code of the admin interface.
pub fn sentences(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("src/admin/")) {
        for literal in literals(source) {
            let is_logged = ["admin: ", "[CredManager] "].iter().any(|begin| literal.starts_with(begin));
            let is_metric = source.path == "src/admin/metrics.rs";
            let is_known = FOR_SCRIPTS.iter().any(|begin| literal.starts_with(begin));
            let is_markup = literal.starts_with('<') || literal.contains("'self'") || literal.contains("filename=");
            let words = literal.split(' ').filter(|word| word.chars().all(|c| c.is_alphabetic() || ",.:'".contains(c)));
            if words.count() > 3 && !(is_logged || is_metric || is_known || is_markup) {
                found.push(format!("{} says {literal:?}", source.path));
            }
        }
    }
    found
}

/// What stands in quotes.
fn literals(source: &Source) -> Vec<String> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut was_literal = false;
    for (byte, bare) in source.code.bytes().zip(source.bare.bytes()) {
        // A space is the same in both.
        let is_literal = byte != bare || (was_literal && byte == b' ');
        match found.last_mut() {
            Some(text) if is_literal && was_literal => text.push(byte),
            _ if is_literal => found.push(vec![byte]),
            _ => {}
        }
        was_literal = is_literal;
    }
    found.iter().map(|text| String::from_utf8_lossy(text).trim_matches(['"', ' ']).to_owned()).collect()
}

#[test]
fn a_message_that_is_said_wrongly_is_found() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let known = [("one", names(&[])), ("two", names(&["a", "b"])), ("three", names(&[])), ("four", names(&[]))];
    let catalogue = known.into_iter().map(|(code, names)| (code.to_owned(), names)).collect();
    let good = r#"f(Message::new("two").with("a", g(1)) .with_message("b", x)); ROW = "one";"#;
    let bad = r#"Message::new("two").with("a", 1); Message::new("one").with("c", 2); Message::new("five"); "four""#;
    let sources = [Source::new("src/good.rs", good), Source::new("src/bad.rs", bad)];
    assert_eq!(
        wrong(&sources, &catalogue),
        [
            r#"src/bad.rs: two has {"a", "b"}, not {"a"}"#,
            r#"src/bad.rs: one has {}, not {"c"}"#,
            "src/bad.rs: there is no message five",
            "nobody says three",
        ]
    );
    let admin =
        [Source::new("src/admin/x.rs", r#"refuse("This is one more sentence", "of_code", "admin: it is logged so")"#)];
    assert_eq!(sentences(&admin), [r#"src/admin/x.rs says "This is one more sentence""#]);
}
