//! The file over crashes, damage and strangers.

use super::*;
use crate::storage::disk::Scratch;
use serde_json::json;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Owns the section `usage`: the record `n` has the number of the last change.
fn own(state: &State) -> Arc<AtomicU64> {
    let counter: Arc<AtomicU64> = Arc::default();
    let (version, content) = (counter.clone(), counter.clone());
    state.own("usage", move || version.load(Relaxed), move |_, sink| sink.put("n", &content.load(Relaxed)));
    counter
}

fn change(state: &State, counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
    state.save().unwrap();
}

/// What stands at `n` in the file.
fn kept(path: &Path) -> u64 {
    section(path, "usage").value()["n"].as_u64().unwrap_or(0)
}

#[test]
fn sections_come_back_and_foreign_ones_survive() {
    let scratch = Scratch::new("state-sections");
    let path = scratch.0.join("state.json");
    fs::write(&path, r#"{"usage":{"n":1},"later":[2]}"#).unwrap();
    let state = State::open(&path);
    assert_eq!(state.take("usage").value(), json!({"n": 1}));
    let counter = own(&state);
    state.save().unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains("\"n\":1"), "nothing changed, nothing written");
    for number in 1..4 {
        change(&state, &counter);
        assert_eq!((kept(&path), section(&path, "later").value()), (number, json!([2])));
    }
    fs::remove_file(&path).unwrap();
    state.save().unwrap();
    assert!(!path.exists(), "nothing changed since");
    change(&state, &counter);
    assert_eq!((kept(&path), section(&path, "later").value()), (4, json!([2])), "a file that was taken away");
}

#[test]
fn a_change_is_appended_and_the_file_stays_bounded() {
    let scratch = Scratch::new("state-appended");
    let path = scratch.0.join("state.json");
    let state = State::open(&path);
    let (small, large) = (own(&state), "x".repeat(100_000));
    let version: Arc<AtomicU64> = Arc::default();
    let changes = version.clone();
    state.own(
        "big",
        move || changes.load(Relaxed),
        move |part, sink| {
            if part == Part::Whole {
                sink.put("text", &large);
            }
        },
    );
    version.fetch_add(1, Relaxed);
    change(&state, &small);
    let whole = fs::metadata(&path).unwrap();
    change(&state, &small);
    let appended = fs::metadata(&path).unwrap();
    assert_eq!(whole.ino(), appended.ino(), "not written anew");
    assert!(appended.len() - whole.len() < 50, "a change costs its line: {}", appended.len() - whole.len());
    let most = 2 * whole.len() + SLACK + 100;
    for round in 0..10 {
        // As if an owner had written that much, without waiting for the disk thousands of times.
        let mut lines = Vec::new();
        Line::default().sink("usage", Some(&mut lines)).put("n", &"y".repeat(400_000));
        disk::append(&path, &lines).unwrap();
        let length = fs::metadata(&path).unwrap().len();
        {
            let mut writer = state.writer.lock();
            (writer.left, writer.length) = (disk::stamp(&path), length);
        }
        change(&state, &small);
        assert!(fs::metadata(&path).unwrap().len() <= most, "round {round}");
    }
    assert_eq!(kept(&path), 12);
}

#[test]
fn a_file_that_is_none_of_ours_is_put_aside_and_never_replaced() {
    let scratch = Scratch::new("state-broken");
    let path = scratch.0.join("state.json");
    for (text, aside) in [("{\"usage\":", "state.json.broken"), ("some notes\n", "state.json.broken.2")] {
        fs::write(&path, text).unwrap();
        let state = State::open(&path);
        assert_eq!(state.take("usage").records().count(), 0);
        assert_eq!(fs::read_to_string(scratch.0.join(aside)).unwrap(), text);
    }
}

#[test]
fn a_file_cut_or_changed_at_any_byte_keeps_what_was_acknowledged_and_is_not_lost() {
    let scratch = Scratch::new("state-bytes");
    let path = scratch.0.join("state.json");
    let state = State::open(&path);
    let counter = own(&state);
    let mut ends = vec![0];
    for _ in 0..5 {
        change(&state, &counter);
        ends.push(fs::metadata(&path).unwrap().len() as usize);
    }
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        fs::write(&path, &whole[..at]).unwrap();
        let acknowledged = ends.iter().filter(|end| **end <= at).count() as u64 - 1;
        let state = State::open(&path);
        assert_eq!(state.take("usage").value()["n"].as_u64().unwrap_or(0), acknowledged, "cut at {at}");
        let counter = own(&state);
        counter.store(40, Relaxed);
        change(&state, &counter);
        assert_eq!(kept(&path), 41, "cut at {at}: and goes on");
        assert!(!disk::beside(&path, ".broken").exists(), "cut at {at}: nothing is damaged");
    }
    for at in 0..whole.len() - 1 {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&path, &damaged).unwrap();
        // The end of a line holds the next one too.
        let hit = ends.iter().filter(|end| **end <= at).count() as u64;
        let is_lost = |n: &u64| *n == hit || whole[at] == b'\n' && ends.contains(&(at + 1)) && *n == hit + 1;
        let expected = (1..=5).rev().find(|n| !is_lost(n));
        let found = State::open(&path).take("usage").value()["n"].as_u64();
        assert_eq!(found, expected, "byte {at}");
        assert_eq!(fs::read(disk::beside(&path, ".broken")).unwrap(), damaged, "byte {at}");
        fs::remove_file(disk::beside(&path, ".broken")).unwrap();
    }
}

#[test]
fn a_file_that_cannot_be_read_is_never_replaced() {
    let scratch = Scratch::new("state-unread");
    // Root reads every file, but no folder.
    let path = scratch.0.join("state.json");
    fs::create_dir(&path).unwrap();
    let state = State::open(&path);
    assert!(state.is_failing());
    own(&state).fetch_add(1, Relaxed);
    assert!(state.save().is_err());
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1, "nothing beside it");
    assert!(path.is_dir());
}

#[test]
fn the_saver_writes_what_is_left_at_the_end() {
    let scratch = Scratch::new("state-saver");
    let path = scratch.0.join("state.json");
    let state = Arc::new(State::open(&path));
    let counter = own(&state);
    let saver = Saver::start(state.clone(), || {}).unwrap();
    counter.fetch_add(1, Relaxed);
    saver.stop();
    assert_eq!(kept(&path), 1);
}
