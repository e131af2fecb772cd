//! The periodic report in the log, in the old program's lines (docs/compatibility.md "Log lines"), with keys masked. A long one
//! is a summary at INFO, and whole at DEBUG.

use crate::calendar;
use crate::credentials::{Credentials, View};
use crate::logging;
use crate::mask;
use crate::usage::{Counts, Line, Usage, most_first, sum_by};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A longer report is for those who ask for details. One key, credential and model fit.
const LONGEST: usize = 22;
/// Names of a kind in a summary.
const MOST: usize = 4;

/// The report thread; ends when stopped.
pub struct Reporter {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Reporter {
    /// Starts a thread that writes the report every `interval`, when something has changed.
    pub fn start(usage: Arc<Usage>, pool: Arc<Credentials>, interval: Duration) -> io::Result<Reporter> {
        let (stop, stopped) = bounded(0);
        let thread = std::thread::Builder::new().name("usage-report".into()).spawn(move || {
            log::info!("Usage logging task started. Interval: {}s", interval.as_secs_f64());
            let mut last = (0, String::new());
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let statuses = statuses(&pool.views());
                if statuses != last.1 && !statuses.is_empty() {
                    log::info!("Credential Status: {statuses}");
                }
                let (table, version) = usage.total();
                if version != last.0 && !table.rows().is_empty() {
                    write(&told(usage.snapshot().named_total()), &pool.views());
                }
                last = (version, statuses);
            }
        })?;
        Ok(Reporter { stop, thread })
    }

    /// Ends the thread and waits for it.
    pub fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}

fn statuses(views: &[View]) -> String {
    let words: Vec<String> = views.iter().map(|view| format!("{}({})", who(view), view.status)).collect();
    words.join("; ")
}

fn who(view: &View) -> String {
    match (&view.email, &view.label) {
        (Some(email), _) => mask::email(Some(email)),
        (None, Some(label)) => label.clone(),
        (None, None) => mask::email(None),
    }
}

/// What was turned away before a credential was chosen or its model known has none; the access log says `-` as well.
fn told(mut rows: Vec<(Line, Counts)>) -> Vec<(Line, Counts)> {
    for (line, _) in &mut rows {
        for name in [&mut line.key, &mut line.credential, &mut line.model] {
            if name.is_empty() {
                name.push('-');
            }
        }
    }
    rows
}

fn write(rows: &[(Line, Counts)], views: &[View]) {
    let whole = report(rows, views);
    if log::log_enabled!(log::Level::Debug) || whole.lines().count() <= LONGEST {
        return logging::info("usage", &whole, || fields(rows));
    }
    logging::info("usage", &summary(rows, views), || fields(rows));
}

type Kind = (&'static str, fn(&Line) -> &str);

const KINDS: [Kind; 3] =
    [("Auth Key", |line| &line.key), ("Credential", |line| &line.credential), ("Model", |line| &line.model)];

/// The most used of each kind.
fn most_used(rows: &[(Line, Counts)], name: fn(&Line) -> &str) -> Vec<(String, Counts)> {
    let mut sums = sum_by(rows, name);
    most_first(&mut sums, |counts| (counts.successful, counts.total_tokens));
    sums
}

/// At most 20 lines.
fn summary(rows: &[(Line, Counts)], views: &[View]) -> String {
    let bar = "=".repeat(60);
    let mut text = format!("Credential Usage Stats Report:\n{bar}\n");
    for (kind, name) in KINDS {
        let sums = most_used(rows, name);
        for (name, counts) in sums.iter().take(MOST) {
            let name = if kind == "Credential" { described(name, views) } else { name.clone() };
            let (good, bad, tokens) = (counts.successful, counts.refused, counts.total_tokens);
            let _ = writeln!(
                text,
                "{kind}: {name}: {} answered, {} failed, {} tokens",
                human(good),
                human(bad),
                human(tokens)
            );
        }
        if sums.len() > MOST {
            let _ = writeln!(text, "  and {} more, which stand here at DEBUG and on the admin page", sums.len() - MOST);
        }
    }
    text.push_str(&bar);
    text
}

/// The same for programs: the most used of each kind, by name.
fn fields(rows: &[(Line, Counts)]) -> Map<String, Value> {
    let kind = |(kind, name): (&str, fn(&Line) -> &str)| {
        let sums = most_used(rows, name);
        let named = sums.iter().take(MOST).map(|(name, counts)| {
            let counts =
                json!({"answered": counts.successful, "failed": counts.refused, "tokens": counts.total_tokens});
            (name.clone(), counts)
        });
        (kind.to_lowercase().replace(' ', "_"), Value::Object(named.collect()))
    };
    KINDS.into_iter().map(kind).collect()
}

fn report(rows: &[(Line, Counts)], views: &[View]) -> String {
    let bar = "=".repeat(60);
    let mut text = format!("Credential Usage Stats Report:\n{bar}\n");
    for (key, _) in sum_by(rows, |line| &line.key) {
        let _ = writeln!(text, "Auth Key: {key}");
        let of_key = || rows.iter().filter(|(line, _)| line.key == key);
        for (credential, _) in sum_by(of_key(), |line| &line.credential) {
            let _ = writeln!(text, "  Credential: {}", described(&credential, views));
            for (line, counts) in of_key().filter(|(line, _)| line.credential == credential) {
                let _ = writeln!(text, "    - Model: {}", line.model);
                write_counts(&mut text, "      - ", counts);
            }
        }
    }
    let _ = writeln!(text, "{bar}\nUsage Summary by Model:");
    for (model, counts) in sum_by(rows, |line| &line.model) {
        let _ = writeln!(text, "  - Model: {model}");
        write_counts(&mut text, "    - ", &counts);
    }
    text.push_str(&bar);
    text
}

fn described(name: &str, views: &[View]) -> String {
    let Some(view) = views.iter().find(|view| view.name == name) else { return name.to_owned() };
    let email = who(view);
    let project = mask::project(view.project.as_deref());
    format!(
        "{name} (email: {email}, project: {project}, status: {}, expiry: {})",
        view.status,
        calendar::date(view.expiry)
    )
}

fn write_counts(text: &mut String, lead: &str, counts: &Counts) {
    for (name, number) in [
        ("Successful Requests", counts.successful),
        ("Total Tokens", counts.total_tokens),
        ("Prompt Tokens", counts.prompt_tokens),
        ("Candidates Tokens", counts.candidates_tokens),
        ("Thoughts Tokens", counts.thoughts_tokens),
        ("Cached Content Tokens", counts.cached_tokens),
    ] {
        let _ = writeln!(text, "{lead}{name}: {}", human(number));
    }
    if !counts.failed.is_empty() {
        let _ = writeln!(text, "{lead}Failed Requests:");
        for (reason, count) in &counts.failed {
            let _ = writeln!(text, "  {lead}{reason}: {}", human(*count));
        }
    }
}

/// Below 1000 plain, then two decimals: `1.23k`, `1.00M`; 999999 is `1000.00k`, as the old program printed it.
fn human(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{:.2}k", number as f64 / 1e3),
        _ => format!("{:.2}M", number as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shortened_as_the_old_program_did() {
        for (number, expected) in
            [(0, "0"), (999, "999"), (1000, "1.00k"), (1234, "1.23k"), (999_999, "1000.00k"), (1_000_000, "1.00M")]
        {
            assert_eq!(human(number), expected);
        }
    }

    #[test]
    fn the_summary_of_many_names_is_short_and_a_report_of_one_is_whole() {
        let row = |at: usize| {
            let line = Line { key: format!("key-{at}"), credential: format!("cred-{at}"), model: format!("m-{at}") };
            (line, Counts { successful: at as u64, failed: vec![("429".into(), 1)], ..Counts::default() })
        };
        let rows: Vec<_> = (0..100).map(row).collect();
        let text = summary(&rows, &[]);
        assert_eq!(text.lines().count(), 18, "{text}");
        assert!(text.contains("Auth Key: key-99: 99 answered") && text.contains("and 96 more"), "{text}");
        assert_eq!(fields(&rows)["auth_key"].as_object().unwrap().len(), MOST);
        assert!(report(&rows[..1], &[]).lines().count() > LONGEST - 2, "failures of one reason fit hardly");
        assert!(report(&[(row(1).0, Counts::default())], &[]).lines().count() <= LONGEST);
    }

    #[test]
    fn what_was_turned_away_before_anything_was_chosen_has_a_dash_for_a_name() {
        let line = Line { key: "sk-***1234".into(), credential: String::new(), model: String::new() };
        let rows = told(vec![(line, Counts { failed: vec![("429".into(), 1)], ..Counts::default() })]);
        let text = summary(&rows, &[]);
        assert!(text.contains("Credential: -: 0 answered") && text.contains("Model: -: 0 answered"), "{text}");
        assert!(fields(&rows)["model"]["-"].is_object());
    }

    #[test]
    fn the_report_has_the_lines_people_grep() {
        let line = Line { key: "sk-***1234".into(), credential: "cred-0".into(), model: "gemini-2.5-pro".into() };
        let counts = Counts { successful: 2, total_tokens: 1234, failed: vec![("429".into(), 1)], ..Counts::default() };
        let text = report(&[(line, counts)], &[]);
        for expected in [
            "Credential Usage Stats Report:\n============================================================\n",
            "Auth Key: sk-***1234\n",
            "  Credential: cred-0\n",
            "    - Model: gemini-2.5-pro\n",
            "      - Successful Requests: 2\n",
            "      - Total Tokens: 1.23k\n",
            "      - Failed Requests:\n        - 429: 1\n",
            "Usage Summary by Model:\n  - Model: gemini-2.5-pro\n",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in\n{text}");
        }
    }
}
