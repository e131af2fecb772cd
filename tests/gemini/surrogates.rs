//! Halves of characters that Google escapes alone.

use gemini_openai_proxy::gemini::surrogates::{Joiner, mark, repair};
use std::borrow::Cow;

fn repaired(json: &str) -> String {
    let mut bytes = json.as_bytes().to_vec();
    repair(&mut bytes);
    assert_eq!(bytes.len(), json.len());
    String::from_utf8(bytes).unwrap()
}

#[test]
fn lone_halves_are_replaced_and_all_else_is_left_alone() {
    for (json, expected) in [
        (r#""a\ud83d b""#, r#""a\ufffd b""#),
        (r#""\uDE00""#, r#""\ufffd""#),
        (r#""\uD83D""#, r#""\ufffd""#),
        (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
        (r#""\uD83D\uDE00""#, r#""\uD83D\uDE00""#),
        (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
        (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
        (r#""\ud83d\ude00\ude00""#, r#""\ud83d\ude00\ufffd""#),
        (r#""\ud83d\\ude00""#, r#""\ufffd\\ude00""#),
        (r#""\ud83dx\ude00""#, r#""\ufffdx\ufffd""#),
        (r#""\\ud83d""#, r#""\\ud83d""#),
        (r#""\\\ud83d""#, r#""\\\ufffd""#),
        (r#""\\\\ud83d""#, r#""\\\\ud83d""#),
        (r#""\"\ud83d""#, r#""\"\ufffd""#),
        (r#""\ud83d\n""#, r#""\ufffd\n""#),
        (r#""\u00e9\ud7ff\ue000""#, r#""\u00e9\ud7ff\ue000""#),
        (r#""\ud83"#, r#""\ud83"#),
        (r#""\ud83d\ude"#, r#""\ufffd\ude"#),
        (r#""\ud8zz""#, r#""\ud8zz""#),
        (r#""\u+d83""#, r#""\u+d83""#),
        ("\"\\", "\"\\"),
        ("", ""),
    ] {
        assert_eq!(repaired(json), expected, "{json}");
    }
}

#[test]
fn serde_accepts_any_sequence_of_units_after_repair_and_reads_what_javascript_would() {
    let units = [0x41u16, 0xD83D, 0xDE00, 0xD800, 0xDFFF, 0x5C];
    for number in 0..units.len().pow(4) {
        let mut rest = number;
        let text: Vec<u16> = (0..4)
            .map(|_| {
                let unit = units[rest % units.len()];
                rest /= units.len();
                unit
            })
            .collect();
        let escaped: String = text.iter().map(|unit| format!("\\u{unit:04x}")).collect();
        let json = repaired(&format!("\"{escaped}\""));
        let read: String = serde_json::from_str(&json).unwrap();
        assert_eq!(read, String::from_utf16_lossy(&text), "{escaped}");

        // The same units cut into two deltas at every place, marked and joined.
        for cut in 0..=text.len() {
            let mut joiner = Joiner::default();
            let mut joined = String::new();
            for half in [&text[..cut], &text[cut..]] {
                let escaped: String = half.iter().map(|unit| format!("\\u{unit:04X}")).collect();
                let delta: String = serde_json::from_str(&mark(&format!("\"{escaped}\""))).unwrap();
                joined.push_str(&joiner.push(&delta));
            }
            joined.push_str(joiner.finish());
            assert_eq!(joined, String::from_utf16_lossy(&text), "{escaped} cut at {cut}");
        }
    }
}

#[test]
fn text_without_lone_halves_is_borrowed() {
    assert!(matches!(mark(r#"{"text":"\ud83d\ude00 \\ud83d é"}"#), Cow::Borrowed(_)));
    let mut joiner = Joiner::default();
    assert!(matches!(joiner.push("plain 😀"), Cow::Borrowed("plain 😀")));
}

/// One half of a pair, as it stands in a text that was marked.
fn half(unit: &str) -> String {
    serde_json::from_str(&mark(&format!(r#""\u{unit}""#))).unwrap()
}

#[test]
fn an_empty_delta_does_not_part_a_pair() {
    let mut joiner = Joiner::default();
    assert_eq!(joiner.push(&half("d83d")), "");
    assert_eq!(joiner.push(""), "");
    assert_eq!(joiner.push(&format!("{} b", half("de00"))), "😀 b");
    assert_eq!(joiner.finish(), "");
}

#[test]
fn a_half_that_stays_alone_becomes_the_replacement_character() {
    let mut joiner = Joiner::default();
    assert_eq!(joiner.push(&format!("a{}", half("d83d"))), "a");
    assert_eq!(joiner.push("b"), "\u{fffd}b");
    assert_eq!(joiner.push(&half("d83d")), "");
    assert_eq!(joiner.finish(), "\u{fffd}");
    assert_eq!(joiner.finish(), "");
}
