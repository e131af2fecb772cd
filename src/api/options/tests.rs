use super::thinking::Thinking;
use super::*;
use crate::gemini::thinking::{Ask, Level};

fn asked(body: Value, gemini3: bool) -> Thinking {
    let Value::Object(mut body) = body else { unreachable!() };
    let google = extensions(&mut body).thinking;
    thinking(&mut body, google, None, gemini3).unwrap()
}

#[test]
fn the_first_dialect_wins() {
    let auto = Some(Ask::Auto);
    for (body, expected) in [
        (json!({}), None),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}), Some(Ask::Budget(2000))),
        (json!({"thinking": {"type": "disabled"}}), Some(Ask::Off)),
        (json!({"thinking": {"type": "enabled"}}), auto),
        (json!({"thinking": {"type": "adaptive"}}), auto),
        (json!({"reasoning": {"max_tokens": 700}, "reasoning_effort": "high"}), Some(Ask::Budget(700))),
        (json!({"reasoning": {"enabled": true}}), auto),
        (json!({"reasoning": {"enabled": false}}), Some(Ask::Off)),
        (json!({"enable_thinking": true, "thinking_budget": 99}), Some(Ask::Budget(99))),
        (json!({"enable_thinking": false}), Some(Ask::Off)),
        (json!({"enable_thinking": false, "thinking": {"type": "enabled", "budget_tokens": 5}}), Some(Ask::Budget(5))),
        (json!({"google": {"thinkingConfig": {"thinkingLevel": "LOW"}}}), Some(Ask::Level(Level::Low))),
        (json!({"extra_body": {"thinking_config": {"thinking_budget": 7}}}), Some(Ask::Budget(7))),
    ] {
        assert_eq!(asked(body.clone(), false).ask, expected, "{body}");
    }
}

#[test]
fn budget_and_level_together_mean_what_the_model_knows() {
    let body = json!({"google": {"thinking_config": {"thinking_budget": 5, "thinking_level": "low"}}});
    assert_eq!(asked(body.clone(), false).ask, Some(Ask::Budget(5)));
    assert_eq!(asked(body, true).ask, Some(Ask::Level(Level::Low)));
}

#[test]
fn thoughts_can_be_hidden() {
    assert_eq!(asked(json!({"reasoning": {"exclude": true}}), false).include, Some(false));
    assert_eq!(asked(json!({"google": {"thinking_config": {"include_thoughts": true}}}), false).include, Some(true));
    assert_eq!(asked(json!({}), false).include, None);
}

#[test]
fn safety_settings_are_reduced_to_what_google_knows() {
    let given = |list: Value| {
        let Value::Object(mut body) = json!({"safetySettings": list}) else { unreachable!() };
        extensions(&mut body).safety_settings
    };
    assert_eq!(given(json!([])), Some(vec![]));
    assert_eq!(given(json!([{"category": "EVIL", "threshold": "OFF"}])), None);
    assert_eq!(given(json!([{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "SOME"}])), None);
    assert_eq!(given(json!([{"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "OFF"}])).unwrap().len(), 1);
    assert_eq!(given(json!("x")), None);
}
