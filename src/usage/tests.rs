//! The ledger as a whole.

use super::*;
use crate::storage::state::reread;
use serde_json::json;
use std::time::UNIX_EPOCH;

fn tokens() -> UsageMetadata {
    UsageMetadata {
        prompt_token_count: Some(10),
        candidates_token_count: Some(5),
        thoughts_token_count: Some(3),
        cached_content_token_count: Some(4),
        total_token_count: Some(18),
        ..UsageMetadata::default()
    }
}

fn success(usage: &Usage, line: &Line, now: SystemTime) {
    let finished = Finished {
        line,
        surface: "chat",
        status: 200,
        answered: true,
        usage: &tokens(),
        latency: Duration::from_millis(700),
        first_token: Some(Duration::from_millis(80)),
        cost: Some(1_500),
    };
    usage.finish_at(&finished, now);
}

#[test]
fn the_old_shape_sums_over_keys_and_credentials() {
    let usage = Usage::default();
    let now = SystemTime::now();
    success(&usage, &Line::new("a", "cred-0", "gemini-2.5-flash"), now);
    success(&usage, &Line::new("b", "cred-1", "gemini-2.5-flash"), now);
    usage.failure(&Line::new("b", "cred-0", "gemini-2.5-flash"), "429");
    usage.failure(&Line::new("b", "cred-1", "gemini-2.5-flash"), "429");
    assert_eq!(
        usage.json().to_string(),
        r#"{"gemini-2.5-flash":{"successful_requests":2,"failed_requests":{"429":2},"total_tokens":36,"prompt_tokens":20,"candidates_tokens":10,"thoughts_tokens":6,"cached_content_token_count":8}}"#
    );
    usage.reset().unwrap();
    assert_eq!(usage.json().to_string(), "{}");
    assert!(usage.snapshot().days.is_empty() && usage.snapshot().hours.is_empty());
    assert_eq!(usage.live().requests[0].3, 2, "counters of a run never fall");
}

fn whole(usage: &Usage) -> Section {
    reread(|sink| usage.save(Part::Whole, sink))
}

#[test]
fn what_is_saved_comes_back_whole() {
    let usage = Usage::default();
    let start = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for hour in 0..60 {
        let now = start + Duration::from_secs(hour * 3600);
        success(&usage, &Line::new("key \"a\"", "cred-0", "gemini|2.5 pro"), now);
        usage.failure_at(&Line::new("b", "", "m"), "Denied: SAFETY | x", now);
    }
    let media = UsageMetadata { images: 2, audio_ms: 1500, ..UsageMetadata::default() };
    let made = Line::new("b", "cred-1", "gemini-3.1-flash-image");
    let finished = Finished {
        line: &made,
        surface: "images",
        status: 200,
        answered: true,
        usage: &media,
        latency: Duration::from_millis(5),
        first_token: None,
        cost: None,
    };
    usage.finish_at(&finished, start + Duration::from_secs(59 * 3600));
    let kept = whole(&usage);
    let back = Usage::restore(&kept, HashMap::new());
    assert_eq!(whole(&back).value(), kept.value());
    assert_eq!(back.json(), usage.json());
    let snapshot = back.snapshot();
    assert_eq!((snapshot.days.len(), snapshot.hours.len()), (4, 49));
    let (line, counts) = &snapshot.total.rows()[0];
    assert_eq!((line.model.as_str(), counts.successful), ("gemini|2.5 pro", 60));
    assert_eq!((counts.latency.count(), counts.first_token.count()), (60, 60));
    let (_, counts) = snapshot.total.rows().iter().find(|(known, _)| *known == made).unwrap();
    assert_eq!((counts.images, counts.audio_ms), (2, 1500));
}

#[test]
fn a_count_goes_by_the_mark_of_a_key_whatever_it_is_called() {
    let marks = [1, 2, 3, 4].map(|number| format!("{number:016x}"));
    let names = |pairs: &[(u64, &str)]| -> HashMap<u64, Arc<str>> {
        pairs.iter().map(|(mark, name)| (*mark, (*name).into())).collect()
    };
    let usage = Usage::default();
    usage.name_keys(names(&[(1, "laptop"), (2, "phone")]));
    usage.failure(&Line::new(&marks[0], "cred-0", "m"), "429");
    let others = Usage::restore(&whole(&usage), names(&[(2, "phone"), (4, "desk")]));
    let name = |usage: &Usage, mark: usize| usage.snapshot().key_name(&marks[mark - 1]).to_owned();
    assert_eq!(name(&others, 1), "laptop", "taken out of the config while nothing ran");
    usage.name_key(2, &"tablet".into());
    usage.forget_key(1);
    assert_eq!(name(&usage, 1), "laptop", "as long as nobody else is called so");
    usage.name_key(3, &"laptop".into());
    let expected = ["laptop (removed)", "tablet", "laptop", &marks[3]];
    assert_eq!([1, 2, 3, 4].map(|mark| name(&usage, mark)), expected);
    others.name_keys(names(&[(2, "tablet"), (3, "laptop")]));
    assert_eq!([1, 2, 3, 4].map(|mark| name(&others, mark))[..3], expected[..3], "by a reload");
    let back = Usage::restore(&whole(&usage), HashMap::new());
    assert_eq!(
        (name(&back, 1), name(&back, 2)),
        ("laptop (removed)".into(), marks[1].clone()),
        "the other was not used"
    );

    let older = json!({"version": 1, "names": ["laptop", "cred-0", "m", "429"], "since": 5,
        "total": ["0 1 2|0 0 0 0 0 0 0|3 1||"], "days": {"19675": ["0 1 2|0 0 0 0 0 0 0|3 1||"]}, "hours": {}});
    let back = Usage::restore(&reread(|sink| sink.put("", &older)), names(&[(3, "laptop")]));
    assert_eq!(back.total().0.rows()[0].0.key, marks[2], "the oldest files go by the name");
    assert_eq!(back.snapshot().days.len(), 1);
}

#[test]
fn only_the_tables_that_changed_are_written() {
    let usage = Usage::default();
    let start = UNIX_EPOCH + Duration::from_secs(1_700_006_400);
    let count = |hour: u64| success(&usage, &Line::new("k", "cred-0", "m"), start + Duration::from_secs(hour * 3600));
    (0..30).for_each(count);
    let mut file = whole(&usage).value();
    let mut changed = || {
        let changed = reread(|sink| usage.save(Part::Changed, sink)).value();
        let names: Vec<String> = changed.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        changed.as_object().into_iter().flatten().for_each(|(name, value)| file[name] = value.clone());
        assert_eq!(file, whole(&usage).value());
        names
    };
    assert_eq!(changed(), [""; 0]);
    count(29);
    let hour = 1_700_006_400 / 3600 + 29;
    assert_eq!(changed(), [format!("day {}", hour / 24), format!("hour {hour}"), "total".into()]);
    count(30);
    assert_eq!(changed().len(), 1 + 31 + 1, "an hour begins, in a known day");
}

#[test]
fn a_section_of_nonsense_is_no_reason_to_stop() {
    for text in ["7", r#"{"version":2}"#, r#"{"version":1,"names":["a"],"total":["0 0 9|1 1|||","x",5],"days":[]}"#] {
        let value: Value = serde_json::from_str(text).unwrap();
        for name in ["", "total", "day 5", "day x", "7"] {
            let usage = Usage::restore(&reread(|sink| sink.put(name, &value)), HashMap::new());
            assert_eq!(usage.json(), json!({}), "{name} {text}");
        }
    }
}

#[test]
fn the_largest_section_stays_within_two_megabytes() {
    let usage = Usage::default();
    for day in 0..430u64 {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000 + day * 86_400);
        // The last month as busy as can be, the time before at least above what is kept of it.
        for row in 0..if day < 395 { 25 } else { 300u64 } {
            let line = Line::new(&format!("key-{}", row % 7), &format!("cred-{}", row % 5), &format!("model-{row}"));
            success(&usage, &line, now);
        }
    }
    let size = whole(&usage).value().to_string().len();
    assert!(size < 2_000_000, "{size} bytes");
    assert_eq!(usage.snapshot().days.len(), 400);
}

#[cfg(feature = "ledger")]
#[test]
fn the_last_requests_are_read_from_the_file_once() {
    let folder = std::env::temp_dir().join(format!("gemini-proxy-last-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("requests.jsonl");
    let entry = |id: String| Entry { id, status: 200, ..Entry::default() };
    let earlier = Usage::default().with_history(History::open(path.clone(), 1 << 20).unwrap());
    (0..300).for_each(|number| earlier.remember(entry(format!("old-{number}"))));
    earlier.stop();
    let usage = Usage::default().with_history(History::open(path.clone(), 1 << 20).unwrap());
    let last = |limit: usize| {
        let (found, is_more) = usage.requests(&Query::default(), 0, limit);
        (
            found.len(),
            found[0]["id"].as_str().unwrap().to_owned(),
            found.last().unwrap()["id"].as_str().unwrap().to_owned(),
            is_more,
        )
    };
    assert_eq!(last(200), (200, "old-299".into(), "old-100".into(), true));
    usage.remember(entry("new-0".into()));
    usage.stop();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(last(50), (50, "new-0".into(), "old-251".into(), true));
    assert_eq!(last(200), (200, "new-0".into(), "old-101".into(), true));
    (1..200).for_each(|number| usage.remember(entry(format!("new-{number}"))));
    assert_eq!(last(50), (50, "new-199".into(), "new-150".into(), true));
    assert_eq!(last(199), (199, "new-199".into(), "new-1".into(), true));
}
