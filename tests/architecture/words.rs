//! Words that may stand in few places only.

use super::source::Source;

/// What may be said where.
pub struct Rule {
    pub name: &'static str,
    /// The folder that it is about.
    pub within: &'static str,
    /// Any of these texts. Found in code without comments and unit tests.
    pub texts: &'static [&'static str],
    /// Files, or folders with a `/` at the end, with the reason.
    pub places: &'static [(&'static str, &'static str)],
}

/// Places that break a rule, and places of the rule where nothing of the kind stands any more.
pub fn broken(sources: &[Source], rule: &Rule) -> Vec<String> {
    let covers = |place: &str, path: &str| place == path || (place.ends_with('/') && path.starts_with(place));
    let says = |source: &Source| rule.texts.iter().find_map(|text| find(&source.code, text).map(|at| (*text, at)));
    let mut wrong = Vec::new();
    let mut used = vec![false; rule.places.len()];
    for source in sources.iter().filter(|source| source.path.starts_with(rule.within)) {
        let Some((text, at)) = says(source) else { continue };
        let mut allowed = false;
        for (used, _) in used.iter_mut().zip(rule.places).filter(|(_, (place, _))| covers(place, &source.path)) {
            (allowed, *used) = (true, true);
        }
        if !allowed {
            let line = 1 + source.code[..at].matches('\n').count();
            wrong.push(format!("{}: {}:{line} says {text:?}", rule.name, source.path));
        }
    }
    for (_, (place, reason)) in used.iter().zip(rule.places).filter(|(used, _)| !**used) {
        wrong.push(format!(
            "{}: nothing of the kind in {place} any more; remove it from the list ({reason})",
            rule.name
        ));
    }
    wrong
}

/// Where `text` stands as whole words.
fn find(code: &str, text: &str) -> Option<usize> {
    let is_part = |character: Option<char>| character.is_some_and(|it| it.is_alphanumeric() || it == '_');
    code.match_indices(text).map(|(at, _)| at).find(|at| {
        let begins = is_part(text.chars().next()) && is_part(code[..*at].chars().next_back());
        let ends = is_part(text.chars().next_back()) && is_part(code[at + text.len()..].chars().next());
        !begins && !ends
    })
}

#[test]
fn a_word_in_a_wrong_place_is_found_and_so_is_a_place_without_it() {
    const RULE: Rule = Rule {
        name: "who touches",
        within: "src/",
        texts: &[".touch()", "ureq"],
        places: &[("src/owner/", "it owns it"), ("src/once.rs", "it did")],
    };
    let sources = [
        Source::new("src/owner/state.rs", "fn f() { self.touch() }"),
        Source::new("src/other.rs", "// ureq\nfn f() { state.touch(); }"),
        Source::new("src/third.rs", "fn f() { retouch(); \"touch\"; ureq_like() } #[cfg(test)] mod t { use ureq; }"),
        Source::new("src/once.rs", ""),
        Source::new("elsewhere/x.rs", "use ureq;"),
    ];
    assert_eq!(
        broken(&sources, &RULE),
        [
            "who touches: src/other.rs:2 says \".touch()\"",
            "who touches: nothing of the kind in src/once.rs any more; remove it from the list (it did)",
        ]
    );
}
