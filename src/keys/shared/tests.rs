//! A meter beside a store that is played here: it counts exactly, loses answers, goes away and comes back, as numbers decide.

use super::*;
use crate::keys::Portion;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const REPLICAS: u64 = 3;

/// What happens to a call.
#[derive(Clone, Copy, PartialEq)]
enum Weather {
    Fine,
    /// It is done, and the answer is lost, also the second time.
    Lost,
    /// Nobody is there.
    Away,
}

/// What counts for all, as the scripts do.
#[derive(Debug, Default)]
struct Counter {
    day: u32,
    of_day: Used,
    of_month: Used,
    began: Option<SystemTime>,
    minute: u64,
    settled: HashMap<u64, u64>,
}

/// The store as one replica sees it.
struct Store {
    counter: Arc<Mutex<Counter>>,
    now: Arc<AtomicU64>,
    weather: Mutex<Weather>,
    number: AtomicU64,
    who: u64,
    ended: AtomicU64,
    is_settling: AtomicBool,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl Counter {
    fn roll(&mut self, now: SystemTime) {
        let day = calendar::day(now);
        if day > self.day {
            self.of_day = Used::default();
            if calendar::next_month(day) != calendar::next_month(self.day) {
                self.of_month = Used::default();
            }
            self.day = day;
        }
        if self.began.is_none_or(|began| now.duration_since(began).is_ok_and(|age| age >= Duration::from_secs(60))) {
            (self.began, self.minute) = (Some(now), 0);
        }
    }

    fn numbers(&self, at: SystemTime) -> Numbers {
        let (of_day, of_month) = (self.of_day, self.of_month);
        let minute_began = self.began.unwrap_or(at);
        Numbers { at, minute_began, minute_requests: self.minute, day: self.day, of_day, of_month }
    }
}

impl Quota for Store {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.now.load(Ordering::Relaxed))
    }

    fn admit(&self, ask: &Ask<'_>) -> Result<Counted, Away> {
        let weather = *self.weather.lock();
        if weather == Weather::Away {
            return Err(Away::Share(self.part()));
        }
        let mut counter = self.counter.lock();
        counter.roll(self.now());
        let limits = ask.limits;
        let reached = |limit: Option<u64>, used: u64| limit.is_some_and(|limit| used >= limit);
        let refused = if reached(limits.requests_per_day, counter.of_day.requests + ask.owed.of_day.requests) {
            Some((Reached::DayRequests, Duration::from_secs(100)))
        } else if reached(limits.tokens_per_month, counter.of_month.tokens + ask.owed.of_month.tokens) {
            Some((Reached::MonthTokens, Duration::from_secs(1000)))
        } else if reached(limits.requests_per_minute, counter.minute) {
            Some((Reached::MinuteRequests, Duration::from_secs(10)))
        } else {
            counter.of_day.requests += ask.requests;
            counter.of_month.requests += ask.requests;
            counter.minute += ask.requests;
            None
        };
        match weather {
            Weather::Lost => Err(Away::Unsure),
            _ => Ok(Counted { refused, numbers: counter.numbers(self.now()) }),
        }
    }

    fn settling(&self) -> Option<Portion> {
        self.is_settling.load(Ordering::Relaxed).then(|| self.part())
    }

    fn place(&self) -> u64 {
        0
    }

    fn ended(&self, _: &Arc<Meter>, _: Option<u64>) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Store {
    fn part(&self) -> Portion {
        Portion { of: REPLICAS, rank: self.who }
    }

    /// As the thread of the store does, as far as the weather lets it.
    fn settle(&self, meter: &Meter) {
        loop {
            let Some(batch) = meter.owed(self, || self.number.fetch_add(1, Ordering::Relaxed) + 1) else { return };
            let weather = *self.weather.lock();
            if weather == Weather::Away {
                return;
            }
            let mut counter = self.counter.lock();
            counter.roll(self.now());
            let last = counter.settled.get(&self.who).copied().unwrap_or(0);
            if batch.number > last {
                counter.settled.insert(self.who, batch.number);
                if batch.day >= counter.day {
                    counter.of_day.plus(batch.used);
                }
                if calendar::next_month(batch.day) == calendar::next_month(counter.day) {
                    counter.of_month.plus(batch.used);
                }
            }
            let numbers = counter.numbers(self.now());
            drop(counter);
            if weather == Weather::Lost || !meter.settle(Some(&batch), &numbers) {
                return;
            }
        }
    }
}

/// Small numbers that follow from a seed.
struct Numbers32(u64);

impl Numbers32 {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

struct World {
    counter: Arc<Mutex<Counter>>,
    now: Arc<AtomicU64>,
    replicas: Vec<(Arc<Store>, Arc<Meter>)>,
}

impl World {
    fn new() -> World {
        let counter: Arc<Mutex<Counter>> = Arc::default();
        // Two days before the end of a month.
        let now = Arc::new(AtomicU64::new(1_764_374_400_000));
        let replica = |who| {
            let (counter, now) = (counter.clone(), now.clone());
            let (weather, number) = (Mutex::new(Weather::Fine), AtomicU64::new(0));
            let (ended, is_settling) = (AtomicU64::new(0), AtomicBool::new(false));
            let store = Arc::new(Store { counter, now, weather, number, who, ended, is_settling });
            let changes = Arc::new(super::super::meter::Changes::default());
            let _ = changes.quota.set(store.clone());
            (store, Arc::new(Meter::restore(7, &[], &changes)))
        };
        let replicas = (0..REPLICAS).map(replica).collect();
        World { counter, now, replicas }
    }

    fn ask(&self, at: usize, limits: &KeyLimits) -> Result<Permit, ApiError> {
        let (store, meter) = &self.replicas[at];
        admit(meter, &**store, "bob", limits, 1).0
    }

    fn all(&self, weather: Weather) {
        self.replicas.iter().for_each(|(store, _)| *store.weather.lock() = weather);
    }

    fn tokens(&self) -> (u64, u64) {
        let counter = self.counter.lock();
        (counter.of_day.tokens, counter.of_month.tokens)
    }

    fn settle(&self) {
        self.replicas.iter().for_each(|(store, meter)| store.settle(meter));
    }
}

/// One run of random asks, losses, outages of single replicas and of all, and jumps of time. What was given is never beyond
/// the limit while there was no outage, nor twice that in an outage of which nobody knew what others gave before; and what was
/// used is counted once.
fn run(seed: u64) {
    let world = World::new();
    let mut numbers = Numbers32(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let limit = 1 + numbers.below(40);
    let limits = KeyLimits { requests_per_day: Some(limit), ..KeyLimits::default() };
    let (mut given, mut unsure, mut tokens, mut outage) = (0_u64, 0_u64, 0_u64, false);
    let mut days = HashSet::new();
    let mut of_day = 0;
    for _ in 0..numbers.below(200) {
        let at = usize::try_from(numbers.below(REPLICAS)).unwrap();
        match numbers.below(20) {
            0 => *world.replicas[at].0.weather.lock() = Weather::Lost,
            1 | 2 => *world.replicas[at].0.weather.lock() = Weather::Fine,
            3 if numbers.below(4) == 0 => {
                outage = true;
                world.all(Weather::Away);
            }
            4 | 5 => world.all(Weather::Fine),
            6 => world.replicas[at].0.settle(&world.replicas[at].1),
            7 => _ = world.now.fetch_add(numbers.below(5000), Ordering::Relaxed),
            8 if numbers.below(12) == 0 => {
                // Another day: what is owed of the old one must not be of the new one.
                world.all(Weather::Fine);
                world.settle();
                world.now.fetch_add(86_400_000, Ordering::Relaxed);
                (of_day, outage) = (0, false);
            }
            _ => match world.ask(at, &limits) {
                Ok(permit) => {
                    (given, of_day) = (given + 1, of_day + 1);
                    permit.spend(7, 1);
                    tokens += 7;
                }
                Err(error) if error.message.contains("could not be checked") => unsure += 1,
                Err(error) => assert_eq!(error.status, 429, "seed {seed}"),
            },
        }
        days.insert(world.now.load(Ordering::Relaxed) / 86_400_000);
        // What single replicas know when an outage begins may be old, so the bound of an outage is that of equal parts.
        let most = if outage { 2 * limit } else { limit };
        assert!(of_day <= most, "seed {seed}: {of_day} of {limit}");
    }
    world.all(Weather::Fine);
    world.settle();
    let counter = world.counter.lock();
    if days.len() == 1 {
        assert_eq!(counter.of_day.tokens, tokens, "seed {seed}: tokens count once");
        let counted = counter.of_day.requests;
        assert!((given..=given + unsure).contains(&counted), "seed {seed}: {counted} of {given} and {unsure}");
    }
}

/// `make replicas` sets more.
#[test]
fn in_a_thousand_runs_nothing_is_given_beyond_the_limit_and_nothing_counts_twice() {
    let runs = std::env::var("GEMINI_PROXY_SCHEDULES").ok().and_then(|count| count.parse().ok());
    (0..runs.unwrap_or(1000)).for_each(run);
}

#[test]
fn in_an_outage_that_all_share_equal_parts_are_given() {
    for limit in [1, 2, 3, 10, 31, 100] {
        let world = World::new();
        let limits = KeyLimits { requests_per_day: Some(limit), ..KeyLimits::default() };
        let before = (0..limit / 2).filter(|at| world.ask((*at % REPLICAS) as usize, &limits).is_ok()).count() as u64;
        world.all(Weather::Away);
        let during = (0..3 * limit).filter(|at| world.ask((*at % REPLICAS) as usize, &limits).is_ok()).count() as u64;
        assert!(during > 0 && before + during <= limit, "{before} and {during} of {limit}");
        world.all(Weather::Fine);
        world.settle();
        assert_eq!(world.counter.lock().of_day.requests, before + during);
    }
}

/// Others may not have told theirs yet.
#[test]
fn who_has_told_what_it_gave_alone_gives_no_more_for_it() {
    let world = World::new();
    let limits = KeyLimits { requests_per_day: Some(100), tokens_per_month: Some(700), ..KeyLimits::default() };
    assert_eq!((0..60).filter(|_| world.ask(1, &limits).is_ok()).count(), 60);
    [0, 2].iter().for_each(|at| assert!(world.ask(*at, &limits).is_ok()));
    world.all(Weather::Away);
    let give = || (0..100).filter(|_| world.ask(0, &limits).map(|permit| permit.spend(7, 0)).is_ok()).count();
    // 39 are left by what it knows.
    assert_eq!(give(), 13);
    let (store, meter) = &world.replicas[0];
    store.is_settling.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        *store.weather.lock() = Weather::Fine;
        store.settle(meter);
        assert_eq!(give(), 0);
        *store.weather.lock() = Weather::Away;
        assert_eq!(give(), 0);
    }
    *store.weather.lock() = Weather::Fine;
    store.is_settling.store(false, Ordering::Relaxed);
    assert_eq!(give(), 25, "by the store, which knows of it");
}

/// One that goes by the store alone again must know of those that do not yet.
#[test]
fn what_is_left_of_a_part_is_counted_for_all_once_somebody_counts_again() {
    let world = World::new();
    let limits = KeyLimits { requests_per_day: Some(30), ..KeyLimits::default() };
    let give = |at: usize, most: usize| (0..most).filter(|_| world.ask(at, &limits).is_ok()).count() as u64;
    world.all(Weather::Away);
    assert_eq!([give(0, 4), give(1, 40), give(2, 0)], [4, 10, 0]);
    world.all(Weather::Fine);
    world.replicas.iter().for_each(|(store, _)| store.is_settling.store(true, Ordering::Relaxed));
    world.replicas[0].0.settle(&world.replicas[0].1);
    assert_eq!(give(0, 40), 6, "the rest of its part");
    assert_eq!(world.counter.lock().of_day.requests, 10, "which is counted at once");
    world.settle();
    world.replicas[2].0.is_settling.store(false, Ordering::Relaxed);
    assert_eq!(give(2, 40), 10);
    assert_eq!([give(0, 9), give(1, 9)], [0, 0]);
}

#[test]
fn a_limit_below_the_number_of_replicas_is_given_by_as_many() {
    for limit in 0..REPLICAS {
        let a_day = KeyLimits { requests_per_day: Some(limit), ..KeyLimits::default() };
        let a_minute = KeyLimits { requests_per_minute: Some(limit), ..KeyLimits::default() };
        let at_once = KeyLimits { concurrency: Some(limit), ..KeyLimits::default() };
        let tokens = KeyLimits { tokens_per_day: Some(limit), ..KeyLimits::default() };
        for limits in [a_day, a_minute, at_once, tokens] {
            let world = World::new();
            world.all(Weather::Away);
            let permits: Vec<Permit> =
                (0..9).filter_map(|at| world.ask(at % 3, &limits).inspect(|permit| permit.spend(1, 0)).ok()).collect();
            assert_eq!(permits.len() as u64, limit, "{limits:?}");
        }
    }
}

#[test]
fn what_is_owed_over_midnight_counts_for_its_month() {
    let world = World::new();
    let limits = KeyLimits { tokens_per_month: Some(1000), ..KeyLimits::default() };
    world.all(Weather::Away);
    for _ in 0..2 {
        world.ask(0, &limits).unwrap().spend(10, 0);
        world.now.fetch_add(86_400_000, Ordering::Relaxed);
    }
    // 2025-12-01: the month of what is owed is over.
    world.ask(0, &limits).unwrap().spend(5, 0);
    world.all(Weather::Fine);
    world.settle();
    assert_eq!(world.tokens(), (5, 5));
    let world = World::new();
    world.all(Weather::Away);
    world.ask(0, &limits).unwrap().spend(10, 0);
    world.now.fetch_add(86_400_000, Ordering::Relaxed);
    world.ask(0, &limits).unwrap().spend(5, 0);
    world.all(Weather::Fine);
    world.settle();
    assert_eq!(world.tokens(), (5, 15));
}

#[test]
fn a_refusal_is_remembered_and_a_store_that_was_emptied_is_believed_soon() {
    let world = World::new();
    let limits = KeyLimits { requests_per_day: Some(1), ..KeyLimits::default() };
    assert!(world.ask(0, &limits).is_ok() && world.ask(0, &limits).is_err());
    *world.counter.lock() = Counter::default();
    assert!(world.ask(0, &limits).is_err(), "nobody is asked");
    world.now.fetch_add(REMEMBERED.as_millis() as u64, Ordering::Relaxed);
    assert!(world.ask(0, &limits).is_ok());
}
