use super::*;
use crate::storage::state::State;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// Nobody to ask.
struct Alone(AtomicBool);

impl Together for Alone {
    fn refresh(&self) {}

    fn reset(&self) -> Result<(), Message> {
        if self.0.load(Ordering::Relaxed) { Ok(()) } else { Err(Message::new("store_unwritten")) }
    }
}

const HOUR: u64 = 3600;

fn at(hours: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(hours * HOUR)
}

fn shared() -> Usage {
    let usage = Usage::default();
    usage.share("me", Arc::new(Alone(AtomicBool::new(true))));
    usage
}

fn fail(usage: &Usage, model: &str, hour: u64) {
    usage.failure_at(&Line::new("k", "c", model), "429", at(hour));
}

fn failures(table: &Table) -> u64 {
    table.rows().iter().map(|(_, counts)| counts.failures()).sum()
}

fn none() -> Sums {
    Sums { since: at(0), total: Arc::default(), days: BTreeMap::new(), hours: BTreeMap::new() }
}

#[test]
fn a_batch_is_owed_until_it_was_counted_and_again_when_that_was_forgotten() {
    let usage = shared();
    fail(&usage, "m", 10);
    fail(&usage, "m", 11);
    let owed = usage.owed(0);
    let told: Vec<(u64, u32, u64)> =
        owed.iter().map(|batch| (batch.number, batch.hour, failures(&batch.rows))).collect();
    assert_eq!(told, [(1, 10, 1), (2, 11, 1)]);
    assert_eq!(usage.waiting(), 2);
    usage.counted("me", 1);
    assert_eq!(usage.owed(1).iter().map(|batch| batch.number).collect::<Vec<_>>(), [2]);
    usage.counted("me", 2);
    assert!(usage.owed(2).is_empty());
    assert_eq!(usage.waiting(), 0);
    fail(&usage, "m", 11);
    // Another server took over that had the first one only; the last number is new.
    let again: Vec<(u64, u64)> = usage.owed(1).iter().map(|batch| (batch.number, batch.oldest)).collect();
    assert_eq!(again, [(2, 1), (3, 1)]);
}

#[test]
fn a_large_hour_goes_in_pieces_and_hours_that_nobody_takes_are_bounded() {
    let usage = shared();
    for model in 0..250 {
        fail(&usage, &format!("m{model}"), 10);
    }
    assert_eq!(usage.owed(0).iter().map(|batch| batch.rows.rows().len()).collect::<Vec<_>>(), [100, 100, 50]);
    let usage = shared();
    for hour in 0..200 {
        fail(&usage, "m", hour);
    }
    let owed = usage.owed(0);
    assert_eq!(owed.len(), HOURS);
    assert_eq!(owed.iter().map(|batch| failures(&batch.rows)).sum::<u64>(), 200);
}

#[test]
fn readers_see_what_all_counted_and_what_is_not_among_it() {
    let usage = shared();
    fail(&usage, "m", 30);
    usage.owed(0);
    usage.counted("me", 1);
    let mut theirs = Table::default();
    theirs.row(&Line::new("k", "c", "m"), 10).fail("429", 5);
    let theirs = Arc::new(theirs);
    let sums =
        Sums { total: theirs.clone(), days: [(1, theirs.clone())].into(), hours: [(29, theirs)].into(), ..none() };
    // It was counted, and is not among what was read before that.
    usage.read(sums.clone(), 0);
    assert_eq!(failures(&usage.snapshot().total), 6);
    usage.read(sums, 1);
    fail(&usage, "m", 30);
    fail(&usage, "m", 30);
    let seen = usage.snapshot();
    assert_eq!(failures(&seen.total), 7);
    let numbers = |periods: &[(u32, Arc<Table>)]| -> Vec<(u32, u64)> {
        periods.iter().map(|(number, table)| (*number, failures(table))).collect()
    };
    assert_eq!(numbers(&seen.days), [(1, 7)]);
    assert_eq!(numbers(&seen.hours), [(29, 5), (30, 2)]);
}

#[test]
fn hours_go_by_the_clock_of_all() {
    let usage = shared();
    usage.set_ahead(2 * 3_600_000);
    fail(&usage, "m", 10);
    usage.set_ahead(-3_600_000);
    fail(&usage, "m", 10);
    assert_eq!(usage.owed(0).iter().map(|batch| batch.hour).collect::<Vec<_>>(), [8, 11]);
    // Readers count back from the same time.
    usage.read(none(), 0);
    for (ahead, hours) in [(-30 * 3_600_000, 30), (30 * 3_600_000, -30)] {
        usage.set_ahead(ahead);
        let hour = |time| i64::from(calendar::hour(time)) + hours;
        let (before, seen, after) = (SystemTime::now(), usage.snapshot().now, SystemTime::now());
        assert!((hour(before)..=hour(after)).contains(&i64::from(calendar::hour(seen))), "{hours}");
    }
}

#[test]
fn a_reset_is_one_of_all_or_none() {
    let usage = Usage::default();
    let alone = Arc::new(Alone(AtomicBool::new(false)));
    usage.share("me", alone.clone());
    fail(&usage, "m", 10);
    usage.read(none(), 0);
    assert_eq!(usage.reset(), Err(Message::new("store_unwritten")));
    assert_eq!(failures(&usage.snapshot().total), 1);
    alone.0.store(true, Ordering::Relaxed);
    assert_eq!(usage.reset(), Ok(()));
    assert_eq!(usage.total().0.rows().len(), 0);
}

#[test]
fn what_nobody_took_is_kept_and_owed_by_the_next_start() {
    let path = std::env::temp_dir().join(format!("gemini-proxy-owed-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let open = |who: &str| {
        let state = State::open(&path);
        let usage = Arc::new(Usage::restore(&state.take("usage"), HashMap::new()));
        usage.share(who, Arc::new(Alone(AtomicBool::new(true))));
        let (changed, kept) = (usage.clone(), usage.clone());
        state.own("usage", move || changed.version(), move |part, sink| kept.save(part, sink));
        (state, usage)
    };
    let (state, usage) = open("one");
    fail(&usage, "m", 10);
    usage.keep_owed();
    state.save().unwrap();
    drop((state, usage));
    let (state, usage) = open("two");
    fail(&usage, "m", 11);
    let owed = usage.owed(0);
    let told: Vec<(&str, u64, u32, u64)> =
        owed.iter().map(|batch| (&*batch.who, batch.number, batch.hour, batch.oldest)).collect();
    assert_eq!(told, [("one", 1, 10, 1), ("two", 1, 11, 1)]);
    usage.counted("one", 1);
    usage.counted("two", 1);
    state.save().unwrap();
    drop((state, usage));
    let (_state, usage) = open("three");
    assert!(usage.owed(0).is_empty() && !usage.owes());
    assert_eq!(failures(&usage.total().0), 2, "its own counts stay");
    let _ = std::fs::remove_file(&path);
}
