//! A meter whose counts several replicas share: it asks what counts for all of them ([`Quota`]), keeps the answer as the
//! last that is known, and judges by that alone where nobody answers. What it counted itself and nobody has heard of yet it
//! owes. It knows no store: times are the quota's, so that a wrong clock of this machine moves no window.

use self::alone::Alone;
use super::meter::{Counts, DOLLARS_PER_DAY, DOLLARS_PER_MONTH, refused};
use super::quota::{Ask, Away, Batch, Counted, Numbers, Owed, Quota, Reached};
use super::told::Told;
use super::{Keys, Meter, Permit, RateHeaders, Used};
use crate::calendar;
use crate::config::KeyLimits;
use crate::error::{ApiError, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long what is known refuses by itself: who hammers at a limit costs the store nothing, and a store that was emptied is
/// believed soon.
const REMEMBERED: Duration = Duration::from_secs(10);
const TOKENS_PER_MONTH: &str = "tokens per month";
const REQUESTS_PER_DAY: &str = "requests per day";
const TOKENS_PER_DAY: &str = "tokens per day";
const REQUESTS_PER_MINUTE: &str = "requests per minute";
const AT_ONCE: &str = "requests at the same time";
const AGAIN: Duration = Duration::from_secs(1);
const AWAY: Duration = Duration::from_secs(2);

/// What a meter keeps beside its counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    /// Of the present day, and in no batch.
    owed: Used,
    /// In order. The first one is on its way if it has a number; more than one there is after days without a store.
    batches: Vec<Batch>,
    /// What this replica admitted, whoever counted it.
    day: Used,
    month: Used,
    minute: u64,
    /// Of these, the ones of the minute that nobody else knows of.
    minute_owed: u64,
    /// While nobody counts for all.
    alone: Option<Alone>,
    /// Requests of its part whose answer from the store is waited for.
    asked: u64,
    /// When others were heard of last.
    heard: Option<SystemTime>,
    is_queued: bool,
    pub(super) told: Option<Told>,
}

/// Days without a store that are remembered.
const MOST_BATCHES: usize = 31;

/// Whether there is anything to ask for.
fn is_limited(limits: &KeyLimits) -> bool {
    let KeyLimits { requests_per_minute, requests_per_day, tokens_per_day, concurrency, .. } = limits;
    let KeyLimits { tokens_per_month, dollars_per_day, dollars_per_month, .. } = limits;
    [
        requests_per_minute,
        requests_per_day,
        tokens_per_day,
        concurrency,
        tokens_per_month,
        dollars_per_day,
        dollars_per_month,
    ]
    .into_iter()
    .any(Option::is_some)
}

impl Counts {
    pub(super) fn own(&mut self) -> &mut Own {
        self.own.get_or_insert_default()
    }

    /// What is owed of the present day and month.
    fn owed(&self) -> Owed {
        let Some(own) = &self.own else { return Owed::default() };
        let mut owed = Owed { of_day: own.owed, of_month: own.owed };
        for batch in &own.batches {
            if batch.day == self.day {
                owed.of_day.plus(batch.used);
            }
            if calendar::next_month(batch.day) == self.next_month {
                owed.of_month.plus(batch.used);
            }
        }
        owed
    }

    /// As `roll`; what is owed of an earlier day goes on counting for its month.
    pub(super) fn roll_own(&mut self, now: SystemTime) {
        let (day, next_month, began) = (self.day, self.next_month, self.minute_began);
        self.roll(now);
        if self.day > day {
            self.end_day(day, next_month < self.next_month);
        }
        if self.minute_began.is_none() && began.is_some() {
            let own = self.own();
            (own.minute, own.minute_owed) = (0, 0);
            own.alone.iter_mut().for_each(|alone| alone.minute = 0);
        }
    }

    fn end_day(&mut self, day: u32, ends_month: bool) {
        let own = self.own();
        own.day = Used::default();
        own.alone.iter_mut().for_each(|alone| alone.day = Used::default());
        if ends_month {
            own.month = Used::default();
            own.alone.iter_mut().for_each(|alone| alone.month = Used::default());
        }
        let used = std::mem::take(&mut own.owed);
        if used != Used::default() && own.batches.len() < MOST_BATCHES {
            own.batches.push(Batch { number: 0, day, used });
        }
    }

    /// The first limit that is reached by what is known of all replicas; not who runs, for that ends at any moment.
    fn known(&self, name: &str, limits: &KeyLimits, requests: u64, now: SystemTime) -> Result<(), ApiError> {
        let heard = self.own.as_ref().and_then(|own| own.heard);
        if heard.is_none_or(|heard| now.duration_since(heard).is_ok_and(|age| age >= REMEMBERED)) {
            return Ok(());
        }
        let limits = KeyLimits { concurrency: None, models: Vec::new(), ..*limits };
        self.room(name, &limits, requests, now)
    }

    /// Counts a request that this replica admitted; what is owed of it, nobody else has counted.
    fn count_own(&mut self, requests: u64, owed: u64, now: SystemTime) {
        self.running += 1;
        self.last_used = Some(now);
        let own = self.own();
        own.day.requests += requests;
        own.month.requests += requests;
        own.minute += requests;
        own.owed.requests += owed;
        own.minute_owed += owed;
        own.alone.iter_mut().for_each(|alone| alone.give(requests));
        if owed > 0 {
            self.minute_began.get_or_insert(now);
            self.minute_requests += owed;
            self.of_day.requests += owed;
            self.of_month.requests += owed;
        }
    }

    /// What others say is newer than what is known.
    fn hear(&mut self, numbers: &Numbers) {
        let (day, began) = (self.day, self.minute_began);
        let own = self.own();
        // Answers overtake each other by less than a call may take; else the clock was set back.
        let late = own.heard.and_then(|heard| heard.duration_since(numbers.at).ok());
        if late.is_some_and(|late| !late.is_zero() && late < AWAY) {
            return;
        }
        own.heard = Some(numbers.at);
        if began != Some(numbers.minute_began) {
            own.minute = 0;
        }
        own.minute_owed = 0;
        if day < numbers.day {
            self.end_day(day, self.next_month < calendar::next_month(numbers.day));
        }
        self.day = numbers.day;
        self.next_month = calendar::next_month(numbers.day);
        let owed = self.owed();
        (self.of_day, self.of_month) = (numbers.of_day, numbers.of_month);
        self.of_day.plus(owed.of_day);
        self.of_month.plus(owed.of_month);
        self.minute_began = Some(numbers.minute_began);
        self.minute_requests = numbers.minute_requests;
    }
}

impl Numbers {
    fn headers(&self, limits: &KeyLimits) -> RateHeaders {
        let counts = Counts {
            minute_began: Some(self.minute_began),
            minute_requests: self.minute_requests,
            day: self.day,
            next_month: calendar::next_month(self.day),
            of_day: self.of_day,
            of_month: self.of_month,
            ..Counts::default()
        };
        counts.headers(limits, self.at)
    }
}

/// As `Meter::room`: by what is known.
pub(super) fn room(
    meter: &Meter,
    quota: &dyn Quota,
    name: &str,
    limits: &KeyLimits,
) -> (Result<(), ApiError>, RateHeaders) {
    let now = quota.now();
    let mut counts = meter.counts.lock();
    counts.roll_own(now);
    (counts.known(name, limits, 1, now), counts.headers(limits, now))
}

/// As `Meter::admit`, for all replicas. The lock is not held while others are asked.
pub(super) fn admit(
    meter: &Arc<Meter>,
    quota: &dyn Quota,
    name: &str,
    limits: &KeyLimits,
    requests: u64,
) -> (Result<Permit, ApiError>, RateHeaders) {
    let now = quota.now();
    let settling = quota.settling();
    let owed = {
        let mut counts = meter.counts.lock();
        counts.roll_own(now);
        if !is_limited(limits) {
            counts.count_own(requests, requests, now);
            meter.changed();
            return (Ok(Permit::of_one(meter)), Vec::new());
        }
        let known = counts.known(name, limits, requests, now);
        let fair = |part| counts.fair(name, limits, requests, part, now);
        if let Err(error) = known.and_then(|()| settling.map_or(Ok(()), fair)) {
            return (Err(error), counts.headers(limits, now));
        }
        counts.own().asked += settling.map_or(0, |_| requests);
        counts.owed()
    };
    let place = limits.concurrency.map(|_| quota.place());
    let answer = quota.admit(&Ask { mark: meter.mark(), limits, requests, owed, place });
    let now = quota.now();
    let mut counts = meter.counts.lock();
    counts.roll_own(now);
    counts.own().asked -= settling.map_or(0, |_| requests);
    let headers = match &answer {
        Ok(counted) => {
            counts.hear(&counted.numbers);
            if settling.is_none() {
                counts.own().alone = None;
            }
            counted.numbers.headers(limits)
        }
        Err(_) => counts.headers(limits, now),
    };
    let judged = match answer {
        Ok(Counted { refused: None, .. }) => Ok(0),
        Ok(Counted { refused: Some((reached, wait)), .. }) => Err(reached.error(name, limits, wait, now)),
        Err(Away::Share(part)) => counts.fair(name, limits, requests, part, now).map(|()| requests),
        Err(Away::Unsure) => Err(unsure(name)),
        Err(Away::Refuse) => Err(away()),
    };
    if let Ok(owed) = judged {
        counts.count_own(requests, owed, now);
    }
    drop(counts);
    match judged {
        Ok(owed) => {
            if owed > 0 {
                // Its end may be far.
                quota.ended(meter, None);
            }
            meter.changed();
            (Ok(Permit::of_all(meter, place)), headers)
        }
        Err(error) => {
            if place.is_some() && matches!(answer, Err(Away::Share(_))) {
                quota.ended(meter, place);
            }
            (Err(error), headers)
        }
    }
}

impl Reached {
    fn error(self, name: &str, limits: &KeyLimits, wait: Duration, now: SystemTime) -> ApiError {
        let (limit, what) = match self {
            Reached::MonthTokens => (limits.tokens_per_month, TOKENS_PER_MONTH),
            Reached::MonthMoney => (limits.dollars_per_month, DOLLARS_PER_MONTH),
            Reached::DayMoney => (limits.dollars_per_day, DOLLARS_PER_DAY),
            Reached::DayRequests => (limits.requests_per_day, REQUESTS_PER_DAY),
            Reached::DayTokens => (limits.tokens_per_day, TOKENS_PER_DAY),
            Reached::MinuteRequests => (limits.requests_per_minute, REQUESTS_PER_MINUTE),
            Reached::Running => (limits.concurrency, AT_ONCE),
        };
        refused(name, limit.unwrap_or_default(), what, wait, now)
    }
}

/// Whether it counts is not known, and it must not count twice.
fn unsure(name: &str) -> ApiError {
    let message = format!("The limits of the key {name:?} could not be checked. Please try again in 1 s.");
    ApiError::new(429, ErrorKind::RateLimit, message).with_code("rate_limit_exceeded").with_retry_after(AGAIN)
}

fn away() -> ApiError {
    let message = "The limits of this key cannot be checked at the moment.";
    ApiError::new(503, ErrorKind::Server, message).with_code("store_unavailable").with_retry_after(AWAY)
}

impl Meter {
    /// Tokens and money are counted here at once and for the others with the next batch.
    pub(super) fn spend_own(&self, quota: &dyn Quota, tokens: u64, cost: u64) {
        let mut counts = self.counts.lock();
        counts.roll_own(quota.now());
        let counts = &mut *counts;
        let own = counts.own.get_or_insert_default();
        for used in [&mut counts.of_day, &mut counts.of_month, &mut own.day, &mut own.month, &mut own.owed] {
            used.add(tokens, cost);
        }
        if let Some(alone) = &mut own.alone {
            [&mut alone.day, &mut alone.month].into_iter().for_each(|used| used.add(tokens, cost));
        }
    }

    /// Whether it has to be queued now.
    pub fn queue(&self) -> bool {
        !std::mem::replace(&mut self.counts.lock().own().is_queued, true)
    }

    /// What is owed, until [`Meter::settle`] is told that it was counted; then what was owed since. `None`: nothing. From
    /// now on it is not queued.
    pub fn owed(&self, quota: &dyn Quota, number: impl FnOnce() -> u64) -> Option<Batch> {
        let mut counts = self.counts.lock();
        counts.roll_own(quota.now());
        let day = counts.day;
        let own = counts.own();
        own.is_queued = false;
        if own.batches.is_empty() && own.owed != Used::default() {
            own.batches.push(Batch { number: 0, day, used: std::mem::take(&mut own.owed) });
        }
        let batch = own.batches.first_mut()?;
        if batch.number == 0 {
            batch.number = number();
        }
        Some(*batch)
    }

    /// A batch was counted. Whether there is more: of earlier days, or since it was sent.
    pub fn settle(&self, batch: Option<&Batch>, numbers: &Numbers) -> bool {
        let mut counts = self.counts.lock();
        let own = counts.own();
        if own.batches.first() == batch && batch.is_some() {
            own.batches.remove(0);
        }
        let more = !own.batches.is_empty() || own.owed != Used::default();
        counts.hear(numbers);
        more
    }

    /// The key, as it is counted by.
    pub fn key(&self) -> u64 {
        self.mark()
    }
}

impl Keys {
    /// From now on limits are those of all replicas.
    pub fn share(&self, quota: Arc<dyn Quota>) {
        let _ = self.changes.quota.set(quota);
    }
}

mod alone;
#[cfg(test)]
mod tests;
