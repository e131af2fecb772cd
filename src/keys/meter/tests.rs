//! Windows, days and months of one meter.

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
    admit(&meter, &limits, 86_399).unwrap().spend_at(40, 0, at(86_399));
    let kept = meter.read_at(at(86_399)).today;
    let kept = [u64::from(calendar::day(at(0))), kept.requests, kept.tokens, 0];
    let meter = Arc::new(Meter::restore(1, &kept, &Arc::default()));
    assert!(admit(&meter, &limits, 86_399).is_ok());
    let error = admit(&meter, &limits, 86_399).unwrap_err();
    assert_eq!(error.retry_after, Some(Duration::from_secs(1)));
    let permit = admit(&meter, &limits, 86_400).unwrap();
    permit.spend_at(100, 0, at(86_401));
    let error = admit(&meter, &limits, 86_402).unwrap_err();
    assert!(error.message.contains("100 tokens per day"), "{}", error.message);
    assert_eq!(error.should_retry, Some(false));
}

/// Midday of a day of UTC.
fn noon(day: &str) -> SystemTime {
    calendar::read(&format!("{day}T12:00:00Z")).unwrap()
}

#[cfg(feature = "ledger")]
#[test]
fn budgets_of_a_month_begin_anew_with_the_month_and_outlive_a_restart() {
    let limits = KeyLimits {
        tokens_per_month: Some(100),
        dollars_per_day: Some(2_000_000_000),
        dollars_per_month: Some(5_000_000_000),
        ..KeyLimits::default()
    };
    let at_day = |day: &str| calendar::read(&format!("{day}T00:00:00Z")).unwrap();
    let meter = Arc::new(Meter::default());
    let admit = |meter: &Arc<Meter>, day: &str| meter.admit("bob", &limits, 1, noon(day));
    admit(&meter, "2026-11-27").0.unwrap().spend_at(40, 1_999_999_999, noon("2026-11-27"));
    let (permit, headers) = admit(&meter, "2026-11-27");
    permit.unwrap().spend_at(10, 500_000_000, noon("2026-11-27"));
    let header = |headers: &RateHeaders, name: &str| {
        headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()).unwrap()
    };
    assert_eq!(header(&headers, "x-ratelimit-remaining-tokens"), "60");
    assert_eq!(header(&headers, "x-ratelimit-limit-dollars"), "2", "the day's, of which less is left");
    assert_eq!(header(&headers, "x-ratelimit-remaining-dollars"), "0.000000001");
    assert_eq!(header(&headers, "x-ratelimit-reset-dollars"), "12h0m0s");
    let (refused, _) = admit(&meter, "2026-11-27");
    let error = refused.unwrap_err();
    assert_eq!((error.status, error.kind), (429, ErrorKind::InsufficientQuota));
    assert_eq!(error.retry_after, Some(Duration::from_secs(12 * 3600)));
    for words in ["2 dollars per day", "at 2026-11-28T00:00:00Z", "raise the limit"] {
        assert!(error.message.contains(words), "{}", error.message);
    }
    // What a restart finds is what was kept.
    let counts = meter.counts.lock().clone();
    let (day, month) = (counts.of_day, counts.of_month);
    let kept = [u64::from(counts.day), day.requests, day.tokens, 9, day.cost, month.requests, month.tokens, month.cost];
    let meter = Arc::new(Meter::restore(1, &kept, &Arc::default()));
    assert!(admit(&meter, "2026-11-27").0.is_err());
    admit(&meter, "2026-11-28").0.unwrap().spend_at(49, 1_000_000_000, noon("2026-11-28"));
    let reading = meter.read_at(noon("2026-11-28"));
    assert_eq!(reading.today, Used { requests: 1, tokens: 49, cost: 1_000_000_000 });
    assert_eq!(reading.month, Used { requests: 3, tokens: 99, cost: 3_499_999_999 });
    assert_eq!((reading.day_ends, reading.month_ends), (at_day("2026-11-29"), at_day("2026-12-01")));
    admit(&meter, "2026-11-29").0.unwrap().spend_at(1, 0, noon("2026-11-29"));
    let error = admit(&meter, "2026-11-30").0.unwrap_err();
    assert!(error.message.contains("100 tokens per month"), "{}", error.message);
    assert_eq!(error.retry_after, Some(Duration::from_secs(12 * 3600)));
    assert!(admit(&meter, "2026-12-01").0.is_ok());
    assert_eq!(meter.read_at(noon("2026-12-01")).month.tokens, 0);
    // A clock that is set back to another month keeps the counts, until the end of that month.
    admit(&meter, "2026-12-02").0.unwrap().spend_at(100, 0, noon("2026-12-02"));
    assert!(admit(&meter, "2026-10-05").0.is_err());
    assert!(admit(&meter, "2026-11-01").0.is_ok());
}

#[test]
fn a_state_file_without_months_has_the_day_as_the_beginning_of_one() {
    let kept = [u64::from(calendar::day(noon("2026-11-27"))), 3, 70, 9];
    let meter = Meter::restore(1, &kept, &Arc::default());
    assert_eq!(meter.read_at(noon("2026-11-28")).month, Used { requests: 3, tokens: 70, cost: 0 });
    assert_eq!(meter.read_at(noon("2026-12-01")).month, Used::default());
}

#[test]
fn a_clock_that_was_wrong_costs_a_day_at_most() {
    let limits = KeyLimits { requests_per_minute: Some(3), requests_per_day: Some(2), ..KeyLimits::default() };
    let year = 365 * 86_400;
    let meter = Arc::new(Meter::default());
    (0..2).for_each(|_| drop(admit(&meter, &limits, year).unwrap()));
    let error = admit(&meter, &limits, 86_000).unwrap_err();
    assert_eq!(error.retry_after, Some(Duration::from_secs(400)), "until midnight, not for a year");
    assert_eq!(meter.read_at(at(86_000)).today.requests, 2);
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
    assert_eq!(meter.read_at(at(1)).today.requests, 2, "a refused request does not count");
}

#[test]
fn durations_are_written_as_openai_does() {
    for (ms, text) in [(0, "0s"), (11_001, "12s"), (60_000, "1m0s"), (10_805_000, "3h0m5s")] {
        assert_eq!(go_duration(Duration::from_millis(ms)), text);
    }
}
