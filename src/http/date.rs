//! The `Date` of answers (RFC 9110 section 6.6.1).

use parking_lot::Mutex;
use std::time::SystemTime;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// The time as a header field. It is written anew once a second, since every answer has it.
#[derive(Default)]
pub(super) struct Date(Mutex<(i64, String)>);

impl Date {
    /// Appends the field's line to the head of an answer.
    pub(super) fn put(&self, head: &mut Vec<u8>) {
        let now = OffsetDateTime::from(SystemTime::now());
        let mut last = self.0.lock();
        if last.0 != now.unix_timestamp() {
            *last = (now.unix_timestamp(), line(now));
        }
        head.extend_from_slice(last.1.as_bytes());
    }
}

/// IMF-fixdate, the form of RFC 9110 section 5.6.7; nothing for a year that it cannot write.
fn line(time: OffsetDateTime) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] = format_description!(
        "Date: [weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT\r\n"
    );
    time.format(FORMAT).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_the_form_of_the_standard() {
        for (seconds, expected) in [
            (784_111_777, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
            (1_709_164_800, "Date: Thu, 29 Feb 2024 00:00:00 GMT\r\n"),
        ] {
            assert_eq!(line(OffsetDateTime::from_unix_timestamp(seconds).unwrap()), expected);
        }
    }
}
