//! RFC 3339 times as other programs write them into credentials; knows nothing of credentials itself.
//!
//! Python's `isoformat()` of a naive UTC time has no zone: such a text is read as UTC (google_code_assist.md 12, trap 6).

const DAY: i64 = 86_400;

/// Milliseconds since 1970 of `YYYY-MM-DDTHH:MM:SS[.fraction][Z|±HH:MM]`; `None` when it is something else.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, rest) = text.split_at_checked(10)?;
    let mut fields = date.splitn(3, '-').map(number);
    let (year, month, day) = (fields.next()??, fields.next()??, fields.next()??);
    let clock = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, offset) = split_zone(clock)?;
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut fields = whole.splitn(3, ':').map(number);
    let (hour, minute, second) = (fields.next()??, fields.next()??, fields.next()??);
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !in_range {
        return None;
    }
    let millis = match fraction.get(..fraction.len().min(3))? {
        "" => 0,
        digits => number(digits)? * 10_i64.pow(3 - digits.len() as u32),
    };
    let seconds = days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    Some(seconds * 1000 + millis)
}

/// `YYYY-MM-DDTHH:MM:SS` in UTC, without a zone.
pub(crate) fn format_naive(millis: i64) -> String {
    let seconds = millis.div_euclid(1000);
    let (year, month, day) = civil_from_days(seconds.div_euclid(DAY));
    let clock = seconds.rem_euclid(DAY);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", clock / 3600, clock / 60 % 60, clock % 60)
}

fn number(digits: &str) -> Option<i64> {
    (!digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

/// Cuts the zone off and gives its offset in seconds; no zone is UTC.
fn split_zone(clock: &str) -> Option<(&str, i64)> {
    if let Some(clock) = clock.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = clock.rfind(['+', '-']) else { return Some((clock, 0)) };
    let sign = if clock[at..].starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = clock[at + 1..].split_once(':')?;
    Some((&clock[..at], sign * (number(hours)? * 3600 + number(minutes)? * 60)))
}

// Both directions count days in eras of 400 years that begin on 1 March, so that the leap day is the last of its year.

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::{format_naive, parse};

    #[test]
    fn known_shapes_are_read_and_naive_means_utc() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-22T22:44:26", Some(1_795_387_466_000)),
            ("2026-11-22T22:44:26.123456", Some(1_795_387_466_123)),
            ("2026-11-22T22:44:26.5Z", Some(1_795_387_466_500)),
            ("2026-11-23T06:44:26+08:00", Some(1_795_387_466_000)),
            ("2026-11-22 17:14:26-05:30", Some(1_795_387_466_000)),
            ("2024-02-29T12:00:00Z", Some(1_709_208_000_000)),
            ("", None),
            ("2026-11-22", None),
            ("2026-13-22T22:44:26Z", None),
            ("tomorrow at noon", None),
            ("2026-11-22T22:44", None),
            ("２０２６-11-22T22:44:26", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for millis in [0, 951_782_399_000, 951_782_400_000, 1_795_387_466_000, 4_102_444_800_000] {
            assert_eq!(parse(&format_naive(millis)), Some(millis), "{}", format_naive(millis));
        }
    }
}
