//! What keys ask of a store that counts for several replicas. Who answers is not their business.

use super::{Meter, Used};
use crate::config::KeyLimits;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What counts for all replicas.
pub trait Quota: fmt::Debug + Send + Sync {
    /// The time that its windows and days go by.
    fn now(&self) -> SystemTime;
    /// Counts a request, unless a limit is reached. Never counts one twice.
    fn admit(&self, ask: &Ask<'_>) -> Result<Counted, Away>;
    /// While others may have given what is not counted yet: this replica's part, to which it keeps also where it asks.
    fn settling(&self) -> Option<Portion>;
    /// A place among the running requests, for [`Ask::place`].
    fn place(&self) -> u64;
    /// A request with a limited key has ended, or was admitted here alone: its place is free, and the meter owes what it took.
    fn ended(&self, meter: &Arc<Meter>, place: Option<u64>);
}

/// A request that wants to be counted.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Of which key.
    pub mark: u64,
    /// What the key may do.
    pub limits: &'a KeyLimits,
    /// As how many requests it counts.
    pub requests: u64,
    /// What this replica owes.
    pub owed: Owed,
    /// Its place among the running ones, where their number is limited.
    pub place: Option<u64>,
}

/// What was counted for all replicas.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Which limit is reached, and how long it will be; `None`: the request was counted.
    pub refused: Option<(Reached, Duration)>,
    /// What there is now.
    pub numbers: Numbers,
}

/// The limit that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Tokens of the month.
    MonthTokens,
    /// Money of the month.
    MonthMoney,
    /// Money of the day.
    DayMoney,
    /// Requests of the day.
    DayRequests,
    /// Tokens of the day.
    DayTokens,
    /// Requests of the minute.
    MinuteRequests,
    /// Requests at the same time.
    Running,
}

/// The counts of a key over all replicas.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// When they were so.
    pub at: SystemTime,
    /// When the present minute began.
    pub minute_began: SystemTime,
    /// Requests since then.
    pub minute_requests: u64,
    /// Days since 1970.
    pub day: u32,
    /// What was used of that day.
    pub of_day: Used,
    /// What was used of its month.
    pub of_month: Used,
}

/// Why a request was not judged for all replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// Nobody answers: each replica gives its part.
    Share(Portion),
    /// It may have been counted or not, and others still are.
    Unsure,
    /// Nobody answers, and then nothing shall be given.
    Refuse,
}

/// Which part of every limit is this replica's while nobody counts for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// How many replicas there are.
    pub of: u64,
    /// How many of them come before this one.
    pub rank: u64,
}

impl Portion {
    /// What does not divide goes to the first ones, one each, so that the parts of all add up to the whole. Where one leaves,
    /// nobody's part gets smaller: together they give no more than the whole also while some have not heard of it.
    pub(super) fn out_of(self, whole: u64) -> u64 {
        let of = self.of.max(1);
        whole / of + u64::from(self.rank < whole % of)
    }
}

/// What others have not heard of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// Of the day.
    pub of_day: Used,
    /// Of the month, the day with it.
    pub of_month: Used,
}

/// What is owed of a day, on its way; it counts once, however often it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Rises with every batch of this process.
    pub number: u64,
    /// Of which day.
    pub day: u32,
    /// What counts.
    pub used: Used,
}

#[cfg(test)]
mod tests {
    use super::Portion;

    fn parts(whole: u64, of: u64) -> Vec<u64> {
        (0..of).map(|rank| Portion { of, rank }.out_of(whole)).collect()
    }

    #[test]
    fn the_parts_of_all_add_up_to_the_whole() {
        for (whole, of) in (0..=20).flat_map(|whole| (1..=5).map(move |of| (whole, of))) {
            let parts = parts(whole, of);
            assert_eq!(parts.iter().sum::<u64>(), whole, "{whole} over {of}");
            assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1, "{whole} over {of}: {parts:?}");
        }
    }

    #[test]
    fn who_has_not_heard_that_another_one_left_gives_no_more_than_it_would() {
        for (whole, of) in (0..=20).flat_map(|whole| (2..=5).map(move |of| (whole, of))) {
            let (before, after) = (parts(whole, of), parts(whole, of - 1));
            for gone in 0..before.len() {
                let stayed = before.iter().enumerate().filter(|(rank, _)| *rank != gone).map(|(_, part)| part);
                assert!(stayed.zip(&after).all(|(before, after)| before <= after), "{whole} over {of} without {gone}");
            }
        }
    }
}
