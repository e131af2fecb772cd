//! What one key has used of its limits. Minutes are fixed windows that begin with the first request after the last
//! window; days are those of UTC and outlive a restart.

use crate::calendar;
use crate::config::KeyLimits;
use crate::error::{ApiError, ErrorKind};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MINUTE: Duration = Duration::from_secs(60);
/// What a client waits that has too many requests running: nobody knows when one ends.
const BUSY: Duration = Duration::from_secs(1);
/// The SDKs' own retries are of no use for longer waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// Counts of one key. Shared by all versions of it.
#[derive(Debug, Default)]
pub struct Meter {
    counts: Mutex<Counts>,
    /// Of which key.
    mark: u64,
    changes: Arc<Changes>,
    /// Whether it is among the changed ones.
    is_changed: AtomicBool,
    /// Bytes of request bodies that the listener holds for this key.
    held: OnceLock<Arc<AtomicUsize>>,
}

/// What of all keys has changed since it was kept last.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Rises with every change of what is kept.
    pub(super) count: AtomicU64,
    /// Each once.
    meters: Mutex<Vec<Arc<Meter>>>,
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

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    minute_began: Option<SystemTime>,
    minute_requests: u64,
    day: u32,
    day_requests: u64,
    day_tokens: u64,
    running: u64,
    last_used: Option<SystemTime>,
}

/// What is shown and kept of a meter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Today {
    /// Requests of this day.
    pub requests: u64,
    /// Tokens of this day.
    pub tokens: u64,
    /// The last admitted request.
    pub last_used: Option<SystemTime>,
}

/// The `x-ratelimit-` headers of an answer; none for a key without limits on requests.
pub type RateHeaders = Vec<(&'static str, String)>;

/// The right to one request; the place among the running ones is given back when it is dropped.
#[derive(Debug)]
pub struct Permit(Arc<Meter>);

impl Permit {
    /// Counts the tokens of the request against the day.
    pub fn spend(&self, tokens: u64) {
        self.spend_at(tokens, SystemTime::now());
    }

    fn spend_at(&self, tokens: u64, now: SystemTime) {
        let mut counts = self.0.counts.lock();
        counts.roll(now);
        counts.day_tokens = counts.day_tokens.saturating_add(tokens);
        self.0.changed();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.0.counts.lock();
        counts.running = counts.running.saturating_sub(1);
    }
}

impl Counts {
    /// Begins a new day or minute when it is time. A clock that was set back begins them too, with the counts kept: they
    /// hold no longer than a day or minute from now, and setting the clock back earns nothing.
    fn roll(&mut self, now: SystemTime) {
        let day = calendar::day(now);
        if day > self.day {
            (self.day_requests, self.day_tokens) = (0, 0);
        }
        self.day = day;
        match self.minute_began.map(|began| now.duration_since(began)) {
            Some(Ok(age)) if age >= MINUTE => (self.minute_began, self.minute_requests) = (None, 0),
            Some(Err(_)) => self.minute_began = Some(now),
            _ => {}
        }
    }

    fn minute_left(&self, now: SystemTime) -> Duration {
        let age = self.minute_began.and_then(|began| now.duration_since(began).ok()).unwrap_or_default();
        MINUTE.saturating_sub(age)
    }

    fn day_left(&self, now: SystemTime) -> Duration {
        calendar::day_start(self.day.saturating_add(1)).duration_since(now).unwrap_or(BUSY)
    }

    /// Which limit so many further requests would break.
    fn room(&self, name: &str, limits: &KeyLimits, requests: u64, now: SystemTime) -> Result<(), ApiError> {
        let more = requests.saturating_sub(1);
        for (limit, used, what, wait) in [
            (limits.requests_per_day, self.day_requests + more, "requests per day", self.day_left(now)),
            (limits.tokens_per_day, self.day_tokens, "tokens per day", self.day_left(now)),
            (limits.requests_per_minute, self.minute_requests + more, "requests per minute", self.minute_left(now)),
            (limits.concurrency, self.running, "requests at the same time", BUSY),
        ] {
            if let Some(limit) = limit.filter(|limit| used >= *limit) {
                return Err(refused(name, limit, what, wait));
            }
        }
        Ok(())
    }

    fn headers(&self, limits: &KeyLimits, now: SystemTime) -> RateHeaders {
        let (limit, used, left) = match (limits.requests_per_minute, limits.requests_per_day) {
            (Some(limit), _) => (limit, self.minute_requests, self.minute_left(now)),
            (None, Some(limit)) => (limit, self.day_requests, self.day_left(now)),
            (None, None) => return Vec::new(),
        };
        vec![
            ("x-ratelimit-limit-requests", limit.to_string()),
            ("x-ratelimit-remaining-requests", limit.saturating_sub(used).to_string()),
            ("x-ratelimit-reset-requests", go_duration(left)),
        ]
    }
}

impl Meter {
    /// With what was kept of an earlier run: `[day, requests, tokens, last used]`.
    pub(super) fn restore(mark: u64, kept: &[u64], changes: &Arc<Changes>) -> Meter {
        let number = |at: usize| kept.get(at).copied().unwrap_or(0);
        let counts = Counts {
            day: u32::try_from(number(0)).unwrap_or(0),
            day_requests: number(1),
            day_tokens: number(2),
            last_used: kept.get(3).map(|seconds| UNIX_EPOCH + Duration::from_secs((*seconds).min(1 << 40))),
            ..Counts::default()
        };
        Meter { counts: Mutex::new(counts), mark, changes: changes.clone(), ..Meter::default() }
    }

    /// What [`Meter::restore`] reads; `None` for a key that was never used.
    pub(super) fn kept(&self) -> Option<[u64; 4]> {
        let mut counts = self.counts.lock();
        counts.roll(SystemTime::now());
        let last = counts.last_used?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Some([u64::from(counts.day), counts.day_requests, counts.day_tokens, last])
    }

    pub(super) fn mark(&self) -> u64 {
        self.mark
    }

    fn changed(self: &Arc<Meter>) {
        self.changes.count.fetch_add(1, Ordering::Release);
        if !self.is_changed.swap(true, Ordering::AcqRel) {
            self.changes.meters.lock().push(self.clone());
        }
    }

    pub(super) fn held(&self) -> Arc<AtomicUsize> {
        self.held.get_or_init(Arc::default).clone()
    }

    /// What it shows.
    pub fn today(&self) -> Today {
        self.today_at(SystemTime::now())
    }

    fn today_at(&self, now: SystemTime) -> Today {
        let mut counts = self.counts.lock();
        counts.roll(now);
        Today { requests: counts.day_requests, tokens: counts.day_tokens, last_used: counts.last_used }
    }

    /// Whether [`Meter::admit`] would count a request now.
    pub(super) fn room(&self, name: &str, limits: &KeyLimits, now: SystemTime) -> (Result<(), ApiError>, RateHeaders) {
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
        let mut counts = self.counts.lock();
        counts.roll(now);
        if let Err(error) = counts.room(name, limits, requests, now) {
            return (Err(error), counts.headers(limits, now));
        }
        counts.minute_began.get_or_insert(now);
        counts.minute_requests += requests;
        counts.day_requests += requests;
        counts.running += 1;
        counts.last_used = Some(now);
        self.changed();
        (Ok(Permit(self.clone())), counts.headers(limits, now))
    }
}

fn refused(name: &str, limit: u64, what: &str, wait: Duration) -> ApiError {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    let message = format!("Rate limit reached for the key {name:?}: {limit} {what}. Please try again in {seconds} s.");
    let error =
        ApiError::new(429, ErrorKind::RateLimit, message).with_code("rate_limit_exceeded").with_retry_after(wait);
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
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        // A midnight of UTC.
        UNIX_EPOCH + Duration::from_secs(1_700_006_400 + seconds)
    }

    fn admit(meter: &Arc<Meter>, limits: &KeyLimits, seconds: u64) -> Result<Permit, ApiError> {
        meter.admit("bob", limits, 1, at(seconds)).0
    }

    #[test]
    fn a_window_begins_with_its_first_request_and_gives_exactly_its_number() {
        let meter = Arc::new(Meter::default());
        let limits = KeyLimits { requests_per_minute: Some(3), ..KeyLimits::default() };
        for window in [100, 160, 500] {
            let granted = (0..60).filter(|second| admit(&meter, &limits, window + second).is_ok()).count();
            assert_eq!(granted, 3, "the window from {window}");
        }
        let error = admit(&meter, &limits, 530).unwrap_err();
        assert_eq!((error.status, error.retry_after), (429, Some(Duration::from_secs(30))));
        let (_, headers) = meter.admit("bob", &limits, 1, at(530));
        let values: Vec<&str> = headers.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["3", "0", "30s"]);
    }

    #[test]
    fn parallel_requests_share_a_window_exactly() {
        let meter = Arc::new(Meter::default());
        let limits = KeyLimits { requests_per_minute: Some(50), ..KeyLimits::default() };
        let granted: usize = std::thread::scope(|scope| {
            let ask = || (0..100).filter(|_| admit(&meter, &limits, 5).is_ok()).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(granted, 50);
    }

    #[test]
    fn days_end_at_midnight_of_utc_and_outlive_a_restart() {
        let limits = KeyLimits { requests_per_day: Some(2), tokens_per_day: Some(100), ..KeyLimits::default() };
        let meter = Arc::new(Meter::default());
        admit(&meter, &limits, 86_399).unwrap().spend_at(40, at(86_399));
        let kept = meter.today_at(at(86_399));
        let kept = [u64::from(calendar::day(at(0))), kept.requests, kept.tokens, 0];
        let meter = Arc::new(Meter::restore(1, &kept, &Arc::default()));
        assert!(admit(&meter, &limits, 86_399).is_ok());
        let error = admit(&meter, &limits, 86_399).unwrap_err();
        assert_eq!(error.retry_after, Some(Duration::from_secs(1)));
        let permit = admit(&meter, &limits, 86_400).unwrap();
        permit.spend_at(100, at(86_401));
        let error = admit(&meter, &limits, 86_402).unwrap_err();
        assert!(error.message.contains("100 tokens per day"), "{}", error.message);
        assert_eq!(error.should_retry, Some(false));
    }

    #[test]
    fn a_clock_that_was_wrong_costs_a_day_at_most() {
        let limits = KeyLimits { requests_per_minute: Some(3), requests_per_day: Some(2), ..KeyLimits::default() };
        let year = 365 * 86_400;
        let meter = Arc::new(Meter::default());
        (0..2).for_each(|_| drop(admit(&meter, &limits, year).unwrap()));
        let error = admit(&meter, &limits, 86_000).unwrap_err();
        assert_eq!(error.retry_after, Some(Duration::from_secs(400)), "until midnight, not for a year");
        assert_eq!(meter.today_at(at(86_000)).requests, 2);
        assert!(admit(&meter, &limits, 86_400).is_ok());
        // Kept from a run whose clock was wrong.
        let kept = [u64::from(calendar::day(at(year))), 2];
        let meter = Arc::new(Meter::restore(1, &kept, &Arc::default()));
        assert!(admit(&meter, &limits, 86_399).is_err());
        assert!(admit(&meter, &limits, 86_400).is_ok());
    }

    #[test]
    fn a_place_among_the_running_is_given_back() {
        let meter = Arc::new(Meter::default());
        let limits = KeyLimits { concurrency: Some(1), ..KeyLimits::default() };
        let permit = admit(&meter, &limits, 1).unwrap();
        assert_eq!(admit(&meter, &limits, 1).unwrap_err().retry_after, Some(BUSY));
        drop(permit);
        assert!(admit(&meter, &limits, 1).is_ok());
        assert_eq!(meter.today_at(at(1)).requests, 2, "a refused request does not count");
    }

    #[test]
    fn durations_are_written_as_openai_does() {
        for (ms, text) in [(0, "0s"), (11_001, "12s"), (60_000, "1m0s"), (10_805_000, "3h0m5s")] {
            assert_eq!(go_duration(Duration::from_millis(ms)), text);
        }
    }
}
