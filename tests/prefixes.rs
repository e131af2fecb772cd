//! What a conversation has said already goes to Google the same, byte for byte, in each later turn: Google's implicit cache
//! counts equal beginnings only.

use crate::common::long_talk::{Dialect, Talk};
use gemini_openai_proxy::gemini::Request;

const TURNS: usize = 200;

/// Every content as it is sent, and all that is sent beside them.
fn bytes(mut request: Request) -> (Vec<String>, String) {
    let contents = std::mem::take(&mut request.contents);
    let contents = contents.iter().map(|content| serde_json::to_string(content).unwrap()).collect();
    (contents, serde_json::to_string(&request).unwrap())
}

#[test]
fn two_hundred_turns_change_no_byte_of_what_was_there() {
    std::thread::scope(|scope| {
        for dialect in Dialect::EACH {
            for model in ["gemini-2.5-flash", "gemini-3-flash-preview"] {
                scope.spawn(move || grows_at_its_end_only(dialect, model));
            }
        }
    });
}

fn grows_at_its_end_only(dialect: Dialect, model: &'static str) {
    let mut talk = Talk::new(dialect, model);
    let mut before: Option<(Vec<String>, String)> = None;
    for turn in 0..=TURNS {
        // The translation of all 200 is slow in a debug build; a change would show at the next one that is looked at.
        if turn < 4 || turn % 40 < 2 || turn >= TURNS - 1 {
            let body = talk.body().to_string();
            let now = bytes(talk.translate(body.clone().into_bytes()));
            if let Some(before) = before.replace(now.clone()) {
                let what = format!("{dialect:?} {model} turn {turn}");
                assert_eq!(now.1, before.1, "{what}: tools, system text and config");
                assert!(now.0.len() > before.0.len(), "{what}");
                for (at, (now, before)) in now.0.iter().zip(&before.0).enumerate() {
                    assert_eq!(now, before, "{what}: content {at}");
                }
            }
            assert_eq!(now.0.len(), 1 + 2 * turn, "{dialect:?} {model}: a turn of each side");
            if turn == TURNS {
                assert!(body.len() > 1_000_000, "{dialect:?}: {} bytes", body.len());
                let all = now.0.concat();
                let signed = all.matches("thoughtSignature").count();
                assert_eq!(signed, if model.contains("-3-") { TURNS } else { signed }, "{dialect:?} {model}");
                assert!(!all.contains("skip_thought_signature_validator"), "{dialect:?}: its own signatures");
            }
        }
        talk.advance();
    }
}
