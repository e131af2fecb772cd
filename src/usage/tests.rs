//! The ledger as a whole.

use super::*;
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
    usage.reset();
    assert_eq!(usage.json().to_string(), "{}");
    assert!(usage.snapshot().days.is_empty() && usage.snapshot().hours.is_empty());
    assert_eq!(usage.live().requests[0].3, 2, "counters of a run never fall");
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
    let text = usage.saved().to_string();
    let back = Usage::restore(Some(&serde_json::from_str(&text).unwrap()), &HashMap::new());
    assert_eq!(back.saved().to_string(), text);
    assert_eq!(back.json(), usage.json());
    let snapshot = back.snapshot();
    assert_eq!((snapshot.days.len(), snapshot.hours.len()), (4, 49));
    let (line, counts) = &snapshot.total.rows()[0];
    assert_eq!((line.model.as_str(), counts.successful), ("gemini|2.5 pro", 60));
    assert_eq!((counts.latency.count(), counts.first_token.count()), (60, 60));
}

#[test]
fn a_count_goes_by_the_mark_of_a_key_whatever_it_is_called() {
    let names = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
        pairs.iter().map(|(mark, name)| ((*mark).to_owned(), (*name).to_owned())).collect()
    };
    let usage = Usage::default();
    usage.name_keys(names(&[("m1", "laptop"), ("m2", "phone")]));
    usage.failure(&Line::new("m1", "cred-0", "m"), "429");
    usage.name_keys(names(&[("m2", "tablet"), ("m3", "laptop")]));
    let name = |usage: &Usage, mark: &str| usage.snapshot().key_name(mark).to_owned();
    assert_eq!(["m1", "m2", "m3", "m4"].map(|mark| name(&usage, mark)), ["laptop (removed)", "tablet", "laptop", "m4"]);
    let back = Usage::restore(Some(&usage.saved()), &HashMap::new());
    assert_eq!((name(&back, "m1"), name(&back, "m2")), ("laptop (removed)".into(), "m2".into()), "m2 was not used");

    let mut older = usage.saved();
    older["keys"].take();
    older["names"][0] = json!("laptop");
    let back = Usage::restore(Some(&older), &names(&[("m3", "laptop")]));
    assert_eq!(back.total().0.rows()[0].0.key, "m3", "an older file goes by the name");
}

#[test]
fn a_section_of_nonsense_is_no_reason_to_stop() {
    for text in ["7", r#"{"version":2}"#, r#"{"version":1,"names":["a"],"total":["0 0 9|1 1|||","x",5],"days":[]}"#] {
        let usage = Usage::restore(Some(&serde_json::from_str(text).unwrap()), &HashMap::new());
        assert_eq!(usage.json(), json!({}), "{text}");
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
    let size = usage.saved().to_string().len();
    assert!(size < 2_000_000, "{size} bytes");
    assert_eq!(usage.snapshot().days.len(), 400);
}
