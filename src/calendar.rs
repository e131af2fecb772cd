//! Days and hours of UTC as numbers since 1970, and how times are written and read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds of an hour.
const HOUR: u64 = 3600;
/// Seconds of a day.
const DAY: u64 = 24 * HOUR;

/// The number of the hour.
pub fn hour(time: SystemTime) -> u32 {
    number(time, HOUR)
}

/// The number of the day.
pub fn day(time: SystemTime) -> u32 {
    number(time, DAY)
}

fn number(time: SystemTime, unit: u64) -> u32 {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    u32::try_from(seconds / unit).unwrap_or(u32::MAX)
}

/// When a day begins.
pub fn day_start(day: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::from(day) * DAY)
}

/// The first day of the month of this day.
pub fn first_of_month(day: u32) -> u32 {
    let date = day_text(day);
    let in_month = date.get(8..10).and_then(|number| number.parse::<u32>().ok()).unwrap_or(1);
    day.saturating_sub(in_month - 1)
}

/// The first day of the month behind that of this day.
pub fn next_month(day: u32) -> u32 {
    // No month is longer than 31 days, and none is so short that this leads beyond the next one.
    first_of_month(first_of_month(day).saturating_add(31))
}

/// When an hour begins.
pub fn hour_start(hour: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::from(hour) * HOUR)
}

/// `2026-11-23`.
pub fn day_text(day: u32) -> String {
    written(day_start(day), "Y-M-D")
}

/// `2026-11-23T05:00:00Z`.
pub fn iso(time: SystemTime) -> String {
    written(time, "Y-M-DTh:m:sZ")
}

/// `2026-11-23T05:00:00.123Z`.
pub fn iso_ms(time: SystemTime) -> String {
    written(time, "Y-M-DTh:m:s.3Z")
}

/// `2026-11-23T05:00:00.123456+00:00`.
pub fn iso_us(time: SystemTime) -> String {
    written(time, "Y-M-DTh:m:s.6+00:00")
}

/// `2026-11-23 05:00:00 UTC`, or `N/A`.
pub fn date(time: Option<SystemTime>) -> String {
    time.map_or_else(|| "N/A".into(), |time| written(time, "Y-M-D h:m:s UTC"))
}

/// Reads a time of RFC 3339. One without a zone, as Python's `isoformat()` gives it, is UTC.
pub fn read(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    let zoned = text.get(19..)?.contains(['Z', 'z', '+', '-']);
    let parsed = match zoned {
        true => OffsetDateTime::parse(text, &Rfc3339),
        false => OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339),
    };
    parsed.ok().map(SystemTime::from)
}

/// Puts parts of the time in the place of letters: `Y` to `s`, and `3` or `6` for so many digits of a fraction. Each line of
/// the log has a time, and this takes a fifth of what a format description does.
fn written(time: SystemTime, pattern: &str) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    // A clock beyond the year 9999 has no text.
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let Ok(time) = OffsetDateTime::from_unix_timestamp(seconds) else { return String::new() };
    let mut text = String::with_capacity(32);
    for letter in pattern.chars() {
        let (number, width) = match letter {
            'Y' => (time.year().unsigned_abs(), 4),
            'M' => (u8::from(time.month()).into(), 2),
            'D' => (time.day().into(), 2),
            'h' => (time.hour().into(), 2),
            'm' => (time.minute().into(), 2),
            's' => (time.second().into(), 2),
            '3' => (since.subsec_millis(), 3),
            '6' => (since.subsec_micros(), 6),
            other => {
                text.push(other);
                continue;
            }
        };
        let places = &[100_000, 10_000, 1000, 100, 10, 1][6 - width..];
        text.extend(places.iter().map(|place| char::from(b'0' + (number / place % 10) as u8)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_of_other_programs_is_read_and_naive_means_utc() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-22T22:44:26", Some(1_795_387_466_000)),
            ("2026-11-22T22:44:26.123456", Some(1_795_387_466_123)),
            ("2026-11-22T22:44:26.5z", Some(1_795_387_466_500)),
            (" 2026-11-23T06:44:26+08:00 ", Some(1_795_387_466_000)),
            ("2026-11-22 17:14:26-05:30", Some(1_795_387_466_000)),
            ("2026-11-22t22:44:26", Some(1_795_387_466_000)),
            ("2024-02-29T12:00:00Z", Some(1_709_208_000_000)),
            ("", None),
            ("2026-11-22", None),
            ("2026-13-22T22:44:26Z", None),
            ("tomorrow at noon, at the latest", None),
            ("2026-11-22T22:44", None),
            ("２０２６-11-22T22:44:26", None),
        ] {
            let millis = read(text).map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_millis());
            assert_eq!(millis, expected, "{text}");
        }
    }

    #[test]
    fn a_month_ends_where_the_next_one_begins() {
        for (any, next) in [("2026-11-27", "2026-12-01"), ("2026-12-31", "2027-01-01"), ("2024-02-01", "2024-03-01")] {
            let number = |text: &str| day(read(&format!("{text}T00:00:00Z")).unwrap());
            assert_eq!(day_text(next_month(number(any))), next, "{any}");
        }
        assert_eq!((next_month(u32::MAX), next_month(0), first_of_month(30)), (u32::MAX, 31, 0));
    }

    #[test]
    fn days_and_hours_are_those_of_utc() {
        let time = UNIX_EPOCH + Duration::from_millis(1_709_164_799_999);
        assert_eq!(iso_ms(time), "2024-02-28T23:59:59.999Z");
        assert_eq!(day_text(day(time)), "2024-02-28");
        assert_eq!(iso(hour_start(hour(time))), "2024-02-28T23:00:00Z");
        assert_eq!(day_text(day(time + Duration::from_millis(1))), "2024-02-29");
        assert_eq!(iso_us(time + Duration::from_nanos(7_008_999)), "2024-02-29T00:00:00.006008+00:00");
        assert_eq!((date(Some(time)).as_str(), date(None).as_str()), ("2024-02-28 23:59:59 UTC", "N/A"));
        assert_eq!(iso(UNIX_EPOCH + Duration::from_secs(1 << 40)), "", "after the year 9999");
    }
}
