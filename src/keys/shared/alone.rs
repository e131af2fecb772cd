//! A replica while nobody counts for all: what it gives of each limit is its part of what was left when that began.

use super::{AGAIN, AT_ONCE, REQUESTS_PER_DAY, REQUESTS_PER_MINUTE, TOKENS_PER_DAY, TOKENS_PER_MONTH};
use super::{ApiError, Counts, KeyLimits, Own, SystemTime, Used};
use crate::keys::meter::{DOLLARS_PER_DAY, DOLLARS_PER_MONTH, refused};
use crate::keys::quota::Portion;

/// What this replica used since nobody counts for all, and what it owed then. It stays so when others are told of it: what each
/// may still give does not grow by that, for the others have given their parts of the same rest.
#[derive(Clone, Debug)]
pub(super) struct Alone {
    pub(super) day: Used,
    pub(super) month: Used,
    pub(super) minute: u64,
}

impl Alone {
    pub(super) fn give(&mut self, requests: u64) {
        self.day.requests += requests;
        self.month.requests += requests;
        self.minute += requests;
    }
}

impl Counts {
    /// Whether this replica's part of each limit has room: its part of what was left by what is known, and never more than its
    /// part of the whole, with all that it gave before.
    pub(super) fn fair(
        &mut self,
        name: &str,
        limits: &KeyLimits,
        requests: u64,
        part: Portion,
        now: SystemTime,
    ) -> Result<(), ApiError> {
        let owed = self.owed();
        let own = self.own();
        let (asked, minute_owed) = (own.asked, own.minute_owed);
        let more = asked + requests.saturating_sub(1);
        let begun = || Alone { day: owed.of_day, month: owed.of_month, minute: minute_owed };
        let Alone { day: alone, month: alone_of_month, minute: alone_of_minute } =
            own.alone.get_or_insert_with(begun).clone();
        let Own { day: mine, month: mine_of_month, minute: mine_of_minute, .. } = *own;
        let (used, month) = (self.of_day, self.of_month);
        let (day_left, month_left) = (self.day_left(now), self.month_left(now));
        // The limit, what of it is known to be used, what of that is mine, and what of mine is of this time.
        for (limit, [used, mine, alone], more, what, wait) in [
            (
                limits.tokens_per_month,
                [month.tokens, mine_of_month.tokens, alone_of_month.tokens],
                0,
                TOKENS_PER_MONTH,
                month_left,
            ),
            (
                limits.dollars_per_month,
                [month.cost, mine_of_month.cost, alone_of_month.cost],
                0,
                DOLLARS_PER_MONTH,
                month_left,
            ),
            (limits.dollars_per_day, [used.cost, mine.cost, alone.cost], 0, DOLLARS_PER_DAY, day_left),
            (limits.requests_per_day, [used.requests, mine.requests, alone.requests], more, REQUESTS_PER_DAY, day_left),
            (limits.tokens_per_day, [used.tokens, mine.tokens, alone.tokens], 0, TOKENS_PER_DAY, day_left),
            (
                limits.requests_per_minute,
                // Who is told of a day is not told of a minute.
                [self.minute_requests.saturating_sub(minute_owed) + alone_of_minute, mine_of_minute, alone_of_minute],
                more,
                REQUESTS_PER_MINUTE,
                self.minute_left(now),
            ),
            (limits.concurrency, [self.running; 3], asked, AT_ONCE, AGAIN),
        ] {
            let Some(limit) = limit else { continue };
            let left = limit.saturating_sub(used.saturating_sub(alone));
            if mine + more >= part.out_of(limit) || alone + more >= part.out_of(left) {
                return Err(refused(name, limit, what, wait, now));
            }
        }
        Ok(())
    }
}
