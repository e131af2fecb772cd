//! Days and hours of UTC as numbers since 1970, and how they are written.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

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

/// When an hour begins.
pub fn hour_start(hour: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::from(hour) * HOUR)
}

/// `2026-11-23`.
pub fn day_text(day: u32) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
    written(day_start(day), FORMAT)
}

/// `2026-11-23T05:00:00Z`.
pub fn iso(time: SystemTime) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    written(time, FORMAT)
}

/// `2026-11-23T05:00:00.123Z`.
pub fn iso_ms(time: SystemTime) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    written(time, FORMAT)
}

fn written(time: SystemTime, format: &[BorrowedFormatItem<'_>]) -> String {
    // A clock beyond the year 9999 has no text.
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = OffsetDateTime::from_unix_timestamp_nanos(seconds.as_nanos() as i128);
    time.ok().and_then(|time| time.format(format).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_hours_are_those_of_utc() {
        let time = UNIX_EPOCH + Duration::from_millis(1_709_164_799_999);
        assert_eq!(iso_ms(time), "2024-02-28T23:59:59.999Z");
        assert_eq!(day_text(day(time)), "2024-02-28");
        assert_eq!(iso(hour_start(hour(time))), "2024-02-28T23:00:00Z");
        assert_eq!(day_text(day(time + Duration::from_millis(1))), "2024-02-29");
    }
}
