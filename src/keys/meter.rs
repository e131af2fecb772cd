//! What one key has used of its limits. Minutes are fixed windows that begin with the first request after the last
//! window; days and months are those of UTC and outlive a restart.

use super::Permit;
use crate::calendar;
use crate::config::{KeyLimits, dollars};
use crate::error::{ApiError, ErrorKind};
use crate::http::Caller;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MINUTE: Duration = Duration::from_secs(60);
/// What a client waits that has too many requests running: nobody knows when one ends.
const BUSY: Duration = Duration::from_secs(1);
/// The SDKs' own retries are of no use for longer waits.
const PATIENCE: Duration = Duration::from_secs(60);
pub(super) const DOLLARS_PER_DAY: &str = "dollars per day";
pub(super) const DOLLARS_PER_MONTH: &str = "dollars per month";

/// Counts of one key. Shared by all versions of it.
#[derive(Debug, Default)]
pub struct Meter {
    pub(super) counts: Mutex<Counts>,
    /// Of which key.
    mark: u64,
    changes: Arc<Changes>,
    /// Whether it is among the changed ones.
    is_changed: AtomicBool,
    /// From when on the key may not be used, in milliseconds since 1970; 0: no such time is known.
    pub(super) ends: AtomicU64,
    /// What the listener holds for this key.
    caller: OnceLock<Caller>,
}

/// What of all keys has changed since it was kept last.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Rises with every change of what is kept.
    pub(super) count: AtomicU64,
    /// Each once.
    meters: Mutex<Vec<Arc<Meter>>>,
    /// Where other replicas count too.
    #[cfg(feature = "replicas")]
    pub(super) quota: OnceLock<Arc<dyn super::Quota>>,
}

impl Changes {
    /// The meters that have changed; from now on they have not.
    pub(super) fn take_meters(&self) -> Vec<Arc<Meter>> {
        let meters = std::mem::take(&mut *self.meters.lock());
        // Before the counts are read: what changes meanwhile is kept next time.
        meters.iter().for_each(|meter| meter.is_changed.store(false, Ordering::Release));
        meters
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) minute_began: Option<SystemTime>,
    pub(super) minute_requests: u64,
    pub(super) day: u32,
    /// The first day that is not of the month.
    pub(super) next_month: u32,
    pub(super) of_day: Used,
    pub(super) of_month: Used,
    pub(super) running: u64,
    pub(super) last_used: Option<SystemTime>,
    /// What replicas keep beside it.
    #[cfg(feature = "replicas")]
    pub(super) own: Option<Box<super::shared::Own>>,
}

/// What was used of a day or a month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Admitted requests.
    pub requests: u64,
    /// Tokens as Google counts them.
    pub tokens: u64,
    /// Nanodollars, by the prices that are known.
    pub cost: u64,
}

impl Used {
    /// Adds another one.
    #[cfg(feature = "replicas")]
    pub fn plus(&mut self, other: Used) {
        self.requests = self.requests.saturating_add(other.requests);
        self.add(other.tokens, other.cost);
    }

    pub(super) fn add(&mut self, tokens: u64, cost: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
        self.cost = self.cost.saturating_add(cost);
    }
}

/// What is shown of a meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Of this day of UTC.
    pub today: Used,
    /// Of this month of UTC.
    pub month: Used,
    /// When the day ends.
    pub day_ends: SystemTime,
    /// When the month ends.
    pub month_ends: SystemTime,
    /// The last admitted request.
    pub last_used: Option<SystemTime>,
}

/// The `x-ratelimit-` headers of an answer; none for a key without limits on requests, tokens or money.
pub type RateHeaders = Vec<(&'static str, String)>;

impl Counts {
    /// Begins a new month, day or minute when it is time. A clock that was set back begins them too, with the counts kept:
    /// they hold no longer than a month, day or minute from now, and setting the clock back earns nothing.
    pub(super) fn roll(&mut self, now: SystemTime) {
        let day = calendar::day(now);
        if day != self.day || self.next_month == 0 {
            if day > self.day {
                self.of_day = Used::default();
            }
            if day >= self.next_month {
                self.of_month = Used::default();
            }
            (self.day, self.next_month) = (day, calendar::next_month(day));
        }
        match self.minute_began.map(|began| now.duration_since(began)) {
            Some(Ok(age)) if age >= MINUTE => (self.minute_began, self.minute_requests) = (None, 0),
            Some(Err(_)) => self.minute_began = Some(now),
            _ => {}
        }
    }

    pub(super) fn minute_left(&self, now: SystemTime) -> Duration {
        let age = self.minute_began.and_then(|began| now.duration_since(began).ok()).unwrap_or_default();
        MINUTE.saturating_sub(age)
    }

    pub(super) fn day_left(&self, now: SystemTime) -> Duration {
        left(self.day.saturating_add(1), now)
    }

    pub(super) fn month_left(&self, now: SystemTime) -> Duration {
        left(self.next_month, now)
    }

    /// Which limit so many further requests would break.
    pub(super) fn room(&self, name: &str, limits: &KeyLimits, requests: u64, now: SystemTime) -> Result<(), ApiError> {
        let more = requests.saturating_sub(1);
        let (day, month) = (self.day_left(now), self.month_left(now));
        for (limit, used, what, wait) in [
            (limits.tokens_per_month, self.of_month.tokens, "tokens per month", month),
            (limits.dollars_per_month, self.of_month.cost, DOLLARS_PER_MONTH, month),
            (limits.dollars_per_day, self.of_day.cost, DOLLARS_PER_DAY, day),
            (limits.requests_per_day, self.of_day.requests + more, "requests per day", day),
            (limits.tokens_per_day, self.of_day.tokens, "tokens per day", day),
            (limits.requests_per_minute, self.minute_requests + more, "requests per minute", self.minute_left(now)),
            (limits.concurrency, self.running, "requests at the same time", BUSY),
        ] {
            if let Some(limit) = limit.filter(|limit| used >= *limit) {
                return Err(refused(name, limit, what, wait, now));
            }
        }
        Ok(())
    }

    pub(super) fn headers(&self, limits: &KeyLimits, now: SystemTime) -> RateHeaders {
        let mut headers = Vec::new();
        let (day, month) = (self.day_left(now), self.month_left(now));
        let of_requests = match (limits.requests_per_minute, limits.requests_per_day) {
            (Some(limit), _) => Some((limit, self.minute_requests, self.minute_left(now))),
            (None, limit) => limit.map(|limit| (limit, self.of_day.requests, day)),
        };
        if let Some((limit, used, wait)) = of_requests {
            headers.extend([
                ("x-ratelimit-limit-requests", limit.to_string()),
                ("x-ratelimit-remaining-requests", limit.saturating_sub(used).to_string()),
                ("x-ratelimit-reset-requests", go_duration(wait)),
            ]);
        }
        let (of_day, of_month) = (self.of_day, self.of_month);
        // Of a day's and a month's the one of which less is left.
        let tighter = |one: Option<u64>, used: u64, other: Option<u64>, used_of_other: u64| {
            let budget = |limit: u64, used: u64, wait| (limit.saturating_sub(used), limit, wait);
            let both =
                [one.map(|limit| budget(limit, used, day)), other.map(|limit| budget(limit, used_of_other, month))];
            both.into_iter().flatten().min()
        };
        if let Some((left, limit, wait)) =
            tighter(limits.tokens_per_day, of_day.tokens, limits.tokens_per_month, of_month.tokens)
        {
            headers.extend([
                ("x-ratelimit-limit-tokens", limit.to_string()),
                ("x-ratelimit-remaining-tokens", left.to_string()),
                ("x-ratelimit-reset-tokens", go_duration(wait)),
            ]);
        }
        if limits.has_money()
            && let Some((left, limit, wait)) =
                tighter(limits.dollars_per_day, of_day.cost, limits.dollars_per_month, of_month.cost)
        {
            headers.extend([
                ("x-ratelimit-limit-dollars", dollars(limit).to_string()),
                ("x-ratelimit-remaining-dollars", dollars(left).to_string()),
                ("x-ratelimit-reset-dollars", go_duration(wait)),
            ]);
        }
        headers
    }
}

/// Until this day begins.
fn left(day: u32, now: SystemTime) -> Duration {
    calendar::day_start(day).duration_since(now).unwrap_or(BUSY)
}

impl Meter {
    /// With what was kept of an earlier run: `[day, requests, tokens, last used, cost, requests of the month, tokens, cost]`.
    pub(super) fn restore(mark: u64, kept: &[u64], changes: &Arc<Changes>) -> Meter {
        let number = |at: usize| kept.get(at).copied().unwrap_or(0);
        let day = u32::try_from(number(0)).unwrap_or(0);
        let of_day = Used { requests: number(1), tokens: number(2), cost: number(4) };
        let counts = Counts {
            day,
            next_month: if day == 0 { 0 } else { calendar::next_month(day) },
            of_day,
            // Older files know the day only.
            of_month: match kept.len() {
                8.. => Used { requests: number(5), tokens: number(6), cost: number(7) },
                _ => of_day,
            },
            last_used: kept.get(3).map(|seconds| UNIX_EPOCH + Duration::from_secs((*seconds).min(1 << 40))),
            ..Counts::default()
        };
        Meter { counts: Mutex::new(counts), mark, changes: changes.clone(), ..Meter::default() }
    }

    /// What [`Meter::restore`] reads; `None` for a key that was never used.
    pub(super) fn kept(&self) -> Option<[u64; 8]> {
        let mut counts = self.counts.lock();
        counts.roll(self.now());
        let last = counts.last_used?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (day, month) = (counts.of_day, counts.of_month);
        let (requests, tokens, cost) = (month.requests, month.tokens, month.cost);
        Some([u64::from(counts.day), day.requests, day.tokens, last, day.cost, requests, tokens, cost])
    }

    pub(super) fn mark(&self) -> u64 {
        self.mark
    }

    /// The time that minutes and days go by.
    pub(super) fn now(&self) -> SystemTime {
        #[cfg(feature = "replicas")]
        if let Some(quota) = self.quota() {
            return quota.now();
        }
        SystemTime::now()
    }

    #[cfg(feature = "replicas")]
    pub(super) fn quota(&self) -> Option<&dyn super::Quota> {
        self.changes.quota.get().map(|quota| &**quota)
    }

    pub(super) fn changed(self: &Arc<Meter>) {
        self.changes.count.fetch_add(1, Ordering::Release);
        if !self.is_changed.swap(true, Ordering::AcqRel) {
            self.changes.meters.lock().push(self.clone());
        }
    }

    pub(super) fn caller(&self) -> Caller {
        self.caller.get_or_init(Caller::default).clone()
    }

    /// What it shows.
    pub fn read(&self) -> Reading {
        self.read_at(self.now())
    }

    fn read_at(&self, now: SystemTime) -> Reading {
        let mut counts = self.counts.lock();
        counts.roll(now);
        let reading = Reading {
            today: counts.of_day,
            month: counts.of_month,
            day_ends: calendar::day_start(counts.day.saturating_add(1)),
            month_ends: calendar::day_start(counts.next_month),
            last_used: counts.last_used,
        };
        #[cfg(feature = "replicas")]
        let reading = counts.with_told(reading);
        reading
    }

    /// Whether [`Meter::admit`] would count a request now.
    pub(super) fn room(&self, name: &str, limits: &KeyLimits, now: SystemTime) -> (Result<(), ApiError>, RateHeaders) {
        #[cfg(feature = "replicas")]
        if let Some(quota) = self.quota() {
            return super::shared::room(self, quota, name, limits);
        }
        let mut counts = self.counts.lock();
        counts.roll(now);
        (counts.room(name, limits, 1, now), counts.headers(limits, now))
    }

    /// Counts a request as so many, unless a limit is reached. The check and the count are one step under one lock, so that
    /// parallel requests never get more than the limit.
    pub(super) fn admit(
        self: &Arc<Meter>,
        name: &str,
        limits: &KeyLimits,
        requests: u64,
        now: SystemTime,
    ) -> (Result<Permit, ApiError>, RateHeaders) {
        #[cfg(feature = "replicas")]
        if let Some(quota) = self.quota() {
            return super::shared::admit(self, quota, name, limits, requests);
        }
        let mut counts = self.counts.lock();
        counts.roll(now);
        if let Err(error) = counts.room(name, limits, requests, now) {
            return (Err(error), counts.headers(limits, now));
        }
        counts.minute_began.get_or_insert(now);
        counts.minute_requests += requests;
        counts.of_day.requests += requests;
        counts.of_month.requests += requests;
        counts.running += 1;
        counts.last_used = Some(now);
        self.changed();
        (Ok(Permit::of_one(self)), counts.headers(limits, now))
    }
}

pub(super) fn refused(name: &str, limit: u64, what: &str, wait: Duration, now: SystemTime) -> ApiError {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    let is_money = matches!(what, DOLLARS_PER_DAY | DOLLARS_PER_MONTH);
    let limit = if is_money { dollars(limit).to_string() } else { limit.to_string() };
    let mut message =
        format!("Rate limit reached for the key {name:?}: {limit} {what}. Please try again in {seconds} s.");
    if wait > PATIENCE {
        let at = calendar::iso(now + wait);
        message = format!("{message} That is at {at}; whoever runs this proxy can raise the limit.");
    }
    // Money and months are what OpenAI's clients know as a quota; none of them tries again.
    let (kind, code) = match is_money || what.ends_with("month") {
        true => (ErrorKind::InsufficientQuota, "insufficient_quota"),
        false => (ErrorKind::RateLimit, "rate_limit_exceeded"),
    };
    let error = ApiError::new(429, kind, message).with_code(code).with_retry_after(wait);
    if wait > PATIENCE { error.with_should_retry(false) } else { error }
}

/// As OpenAI writes it: `12s`, `1m0s`, `3h0m5s`.
fn go_duration(time: Duration) -> String {
    let seconds = time.as_millis().div_ceil(1000);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests;
