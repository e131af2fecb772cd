//! The delays Google writes: `539.477544ms`, `9s`, `161h39m41.3s`, and the same inside sentences
//! (docs/google.md "Durations in errors"). No clock but the one it is given.

use crate::calendar;
use std::time::{Duration, SystemTime};

/// Reads a whole text such as `1h2m3.5s` or `900ms`. `None` when it is anything else.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (duration, used) = prefix(text)?;
    (used == text.len()).then_some(duration)
}

/// Reads the delay after the first phrase of Google's messages that is followed by one.
pub fn in_message(message: &str) -> Option<Duration> {
    let lower = message.to_ascii_lowercase();
    ["retry in ", "reset after ", "resets in ", "reset in ", "retry after "].iter().find_map(|phrase| {
        let at = lower.find(phrase)? + phrase.len();
        prefix(&lower[at..]).map(|(duration, _)| duration)
    })
}

/// How long it is from `now` to a time stamp such as `2026-01-20T12:00:00Z`; zero when it has passed.
pub fn until(stamp: &str, now: SystemTime) -> Option<Duration> {
    Some(calendar::read(stamp)?.duration_since(now).unwrap_or(Duration::ZERO))
}

/// The delay at the beginning of `text` and how many bytes it takes: numbers, each with a unit.
fn prefix(text: &str) -> Option<(Duration, usize)> {
    let mut total = Duration::ZERO;
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Ok(number) = rest[..digits].parse::<f64>() else { break };
        let unit = &rest[digits..];
        let (seconds, width) = match unit {
            _ if unit.starts_with("ms") => (0.001, 2),
            _ if unit.starts_with('d') => (86_400.0, 1),
            _ if unit.starts_with('h') => (3600.0, 1),
            _ if unit.starts_with('m') => (60.0, 1),
            _ if unit.starts_with('s') => (1.0, 1),
            _ => break,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        at += digits + width;
    }
    (at > 0).then_some((total, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_google_writes_is_read() {
        for (text, milliseconds) in [
            ("0.539477544s", 539),
            ("539.477544ms", 539),
            ("9s", 9_000),
            ("0s", 0),
            ("161h39m41.300432511s", 581_981_300),
            ("1h2m3s", 3_723_000),
            ("33740.910400305s", 33_740_910),
            ("13h19m1.2s", 47_941_200),
            ("2d1h", 176_400_000),
            (" 5s ", 5_000),
        ] {
            assert_eq!(parse(text).map(|found| found.as_millis()), Some(milliseconds), "{text}");
        }
        for text in ["", "s", "5", "5x", "-5s", "5s later", "1.2.3s", "1e400s", "99999999999999999999999h"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn delays_are_found_in_sentences() {
        for (message, milliseconds) in [
            ("You have exhausted your capacity on this model. Your quota will reset after 1h2m3s.", Some(3_723_000)),
            ("Please upgrade. Resets in 9h22m20s.", Some(33_740_000)),
            ("limit: 2\nPlease retry in 54.887755558s.", Some(54_887)),
            ("Please retry in 900.2ms", Some(900)),
            ("Please try again later.", None),
            ("reset after a while", None),
        ] {
            assert_eq!(in_message(message).map(|found| found.as_millis()), milliseconds, "{message}");
        }
    }

    #[test]
    fn time_stamps_are_read_in_utc_and_with_an_offset() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600); // 2026-01-01T00:00:00Z
        for (stamp, seconds) in [
            ("2026-01-01T00:01:00Z", Some(60)),
            ("2026-01-01T00:01:00.5Z", Some(60)),
            ("2026-01-01T01:01:00+01:00", Some(60)),
            ("2025-12-31T23:01:00-01:00", Some(60)),
            ("2026-03-01T00:00:00Z", Some(59 * 86_400)),
            ("2028-03-01T00:00:00Z", Some((365 * 2 + 60) * 86_400)),
            ("2025-10-20T19:14:08Z", Some(0)),
            ("tomorrow", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-01-01", None),
        ] {
            assert_eq!(until(stamp, now).map(|found| found.as_secs()), seconds, "{stamp}");
        }
    }
}
