//! `fixtures/thinking/plans.jsonl`: what a client asks of a model (`ask`), whether it wants to see the thoughts (`include`)
//! and how long the answer may be (`limit`) become the `thinkingConfig` that is sent (`out`, null for none).

use super::ask;
use crate::common::translation::{check, models};
use gemini_openai_proxy::gemini::thinking::{Ask, Level, plan};

#[test]
fn what_is_asked_becomes_what_each_model_accepts() {
    let models = models();
    check("thinking", "plans", |case| {
        let model = models.resolve(case["model"].as_str().unwrap()).unwrap().model;
        let config = plan(&model, ask(&case["ask"]), case["include"].as_bool(), case["limit"].as_u64());
        let config = serde_json::to_value(config).unwrap();
        if config == case["out"] { Ok(()) } else { Err(format!("is {config}, not {}", case["out"])) }
    });
}

#[test]
fn words_are_read_in_any_case_and_other_words_are_not() {
    assert_eq!(Ask::effort("HIGH"), Some(Ask::Effort(Level::High)));
    assert_eq!(Ask::effort("XHigh"), Some(Ask::Effort(Level::XHigh)));
    assert_eq!(Ask::effort("extreme"), None);
    assert_eq!(Level::parse("minimal"), Some(Level::Minimal));
    assert_eq!(Level::parse("THINKING_LEVEL_UNSPECIFIED"), None);
}
