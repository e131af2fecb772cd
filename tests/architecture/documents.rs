//! Citations and links: where they lead.

use std::collections::BTreeMap;

/// The pages, by their path from the repository on.
pub type Pages = BTreeMap<String, String>;

/// The headings of a page, as they are read: without code marks.
pub fn headings(text: &str) -> Vec<String> {
    let mut in_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let title = line.trim_start_matches('#');
        let level = line.len() - title.len();
        if !in_code && (1..=6).contains(&level) && title.starts_with(' ') {
            found.push(title.trim().replace('`', ""));
        }
    }
    found
}

/// The part behind `#` that leads to a heading, as forges make it.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
    kept.map(|it| if it == ' ' { '-' } else { it }).collect()
}

/// The text in one line: without the marks of comments.
fn flat(text: &str) -> String {
    let marks = ["//!", "///", "//", "#"];
    let lines = text.lines().map(str::trim_start);
    let bare = lines.map(|line| marks.iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line).trim());
    bare.collect::<Vec<_>>().join(" ")
}

/// Citations of pages that are not there, or of headings that a page does not have. The one form is
/// `docs/NAME.md "Heading"`, with or without code marks around the path; a page of docs may also say
/// `[NAME.md](NAME.md), "Heading"` of another.
pub fn citations_that_lead_nowhere(path: &str, text: &str, pages: &Pages) -> Vec<String> {
    let text = flat(text);
    let mut wrong = Vec::new();
    for (at, _) in text.match_indices(".md") {
        let after = &text[at + 3..];
        let begin = text[..at]
            .rfind(|it: char| !it.is_ascii_alphanumeric() && !"-_/".contains(it))
            .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
        let name = &text[begin..at + 3];
        let is_link = text[..begin].ends_with("](") && path.starts_with("docs/");
        let (page, after) = match name.strip_prefix("docs/") {
            Some(name) if name.contains('/') || after.starts_with(char::is_alphanumeric) => continue,
            Some(_) => (name.to_owned(), after.strip_prefix('`').unwrap_or(after).strip_prefix(' ')),
            None if is_link && !name.contains('/') => (format!("docs/{name}"), after.strip_prefix("), ")),
            None => continue,
        };
        let Some(known) = pages.get(&page) else {
            // A link without a page is a dead link already.
            wrong.extend((!is_link).then(|| format!("{path}: there is no {page}")));
            continue;
        };
        let Some((heading, _)) =
            after.and_then(|after| after.strip_prefix('"')).and_then(|after| after.split_once('"'))
        else {
            continue;
        };
        if !headings(known).contains(&heading.replace('`', "")) {
            wrong.push(format!("{path}: {page} has no heading {heading:?}"));
        }
    }
    wrong
}

/// Citations by number, such as `page.md 3.3`, which no reader can follow.
pub fn citations_by_number(path: &str, text: &str) -> Vec<String> {
    let text = flat(text);
    let places = text.match_indices(".md ").map(|(at, mark)| (at, at + mark.len()));
    let numbered = places.filter(|(_, end)| text[*end..].starts_with(|it: char| it.is_ascii_digit()));
    numbered
        .map(|(at, end)| {
            let begin = text[..at].rfind(' ').map_or(0, |at| at + 1);
            let end = text[end..].find(' ').map_or(text.len(), |length| end + length);
            format!("{path}: {}", &text[begin..end])
        })
        .collect()
}

/// Links of a page to files and headings that are not there. `exists` knows the files of the repository.
pub fn dead_links(path: &str, text: &str, pages: &Pages, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut wrong = Vec::new();
    for target in links(text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (file, fragment) = target.split_once('#').unwrap_or((&target, ""));
        let file = if file.is_empty() { path.to_owned() } else { joined(folder, file) };
        if !exists(&file) {
            wrong.push(format!("{path}: {target} leads to no file"));
        } else if let Some(page) = pages.get(&file).filter(|_| !fragment.is_empty())
            && !headings(page).iter().any(|heading| anchor(heading) == fragment)
        {
            wrong.push(format!("{path}: {target} leads to no heading"));
        }
    }
    wrong
}

/// The targets of `[text](target)`, `src="target"` and `href="target"` outside of code.
fn links(text: &str) -> Vec<String> {
    let mut in_code = false;
    let mut prose = String::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        if !in_code && !is_fence {
            // Code in a line stands in every second piece.
            prose.extend(line.split('`').step_by(2).chain(["\n"]));
        }
    }
    let mut found = Vec::new();
    for (begin, end) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
        let rests = prose.split(begin).skip(1);
        found.extend(rests.filter_map(|rest| rest.split_once(end)).map(|(target, _)| target.trim().to_owned()));
    }
    found
}

fn joined(folder: &str, file: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in file.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The name of a page that there is not.
const GONE: &str = concat!("gone", ".md");

fn made_up() -> Pages {
    let google = "# Google\n\n## Limits of `429`\n\n```sh\n# no heading\n```\n";
    Pages::from([("docs/google.md".to_owned(), google.to_owned())])
}

#[test]
fn a_citation_that_leads_nowhere_is_found() {
    let text = &format!(
        "/// As docs/google.md \"Limits\n/// of 429\" says, and `docs/google.md` \"Limits of `429`\".\n\
                // See docs/{GONE} and docs/google.md \"no heading\"; https://example.com/x.md, docs/deep/x.md and docs/x.mdx too.\n"
    );
    assert_eq!(
        citations_that_lead_nowhere("src/x.rs", text, &made_up()),
        [&format!("src/x.rs: there is no docs/{GONE}"), "src/x.rs: docs/google.md has no heading \"no heading\""]
    );
    let text = "as in [google.md](google.md), \"Limits of 429\" and [google.md](google.md), \"Prices\".";
    assert_eq!(
        citations_that_lead_nowhere("docs/x.md", text, &made_up()),
        ["docs/x.md: docs/google.md has no heading \"Prices\""]
    );
}

#[test]
fn a_citation_by_number_is_found() {
    assert_eq!(
        citations_by_number("src/x.rs", "// a google.md 3.3 says it\n// (schema.md\n// 2), thinking.md \"Three\""),
        ["src/x.rs: google.md 3.3", "src/x.rs: (schema.md 2),"]
    );
}

#[test]
fn a_dead_link_is_found() {
    let exists = |path: &str| ["docs/google.md", "docs/a.svg", "README.md", "docs/x.md"].contains(&path);
    let text = &format!(
        "[a](google.md#limits-of-429) ![b](a.svg) [c](../README.md) [d](https://x) <img src=\"b.svg\"> `[e](f)`\n\
                [g](google.md#prices) [h]({GONE}) [i](#here)\n```\n[j](k)\n```\n## Here\n"
    );
    let pages = Pages::from_iter(made_up().into_iter().chain([("docs/x.md".to_owned(), text.clone())]));
    assert_eq!(
        dead_links("docs/x.md", text, &pages, &exists),
        [
            "docs/x.md: google.md#prices leads to no heading",
            &format!("docs/x.md: {GONE} leads to no file"),
            "docs/x.md: b.svg leads to no file",
        ]
    );
}
