//! Chat and completions ask the same of Google for the same options, or refuse them in the same words, however odd a value
//! is.

use crate::common::numbers::Numbers;
use crate::common::translation::World;
use gemini_openai_proxy::api::Operation;
use gemini_openai_proxy::api::openai_chat::OpenAiChat;
use gemini_openai_proxy::api::openai_completions::OpenAiCompletions;
use serde_json::{Map, Value, json};

/// What either endpoint takes. `logprobs` is none of them: it is a number in completions and a truth value in chat.
const OPTIONS: [&str; 26] = [
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "stop",
    "n",
    "stream",
    "stream_options",
    "response_format",
    "reasoning_effort",
    "reasoning",
    "thinking",
    "enable_thinking",
    "thinking_budget",
    "output_config",
    "safety_settings",
    "cached_content",
    "extra_body",
    "service_tier",
    "prompt_cache_key",
    "user",
    "logit_bias",
];

/// The models differ in the greatest length, penalties, `top_k`, thinking, JSON Schema.
const MODELS: [&str; 5] =
    ["gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.0-flash", "gemini-3-pro-preview", "gemini-2.5-flash-lite"];

const ODD_VALUES: &str = r#"[
    0, -0.0, 1, -1, 2, 5, 8.0, 0.5, 1.5, 1.9999, 1.99995, 2.5, -2, -2.5, 64, 65, 128, 129, 256, 4096, 65536, 65537,
    1e300, -1e300, 5e-324, 2147483647, 2147483648, -2147483648, 4294967297, 9007199254740993, 9223372036854775807,
    9223372036854775808, 9223372036854775809, 18446744073709551615, 18446744073709551616, -9223372036854775808,
    null, true, false, "", " ", "0", "1", "-1", "5", "NaN", "Infinity", "-inf", "1e5", "high", "none", "XHIGH", "flex",
    "json_object", "text", "END", "\u0000", [], [[]], {}, [null], [1], [""], ["a"], ["a", 1, null, "", "b"], [["a"]],
    ["a", "b", "c", "d", "e", "f", "g"], [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}], {"type": 5},
    {"type": "json_object"}, {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}, {"type": "xml"},
    {"type": "json_schema", "schema": {"type": "array"}}, {"type": "enabled", "budget_tokens": 700}, {"effort": "low"},
    {"type": "enabled", "budget_tokens": "x"}, {"type": "disabled"}, {"type": "adaptive"}, {"effort": 5},
    {"max_tokens": -2}, {"max_tokens": 600}, {"enabled": true}, {"enabled": 1}, {"exclude": true}, {"include_usage": true},
    {"google": {"thinking_config": {"thinking_budget": -7}}}, {"google": {"thinking_config": {"thinking_level": "LOW"}}},
    {"google": {"safety_settings": [], "cached_content": "cachedContents/1"}}, {"include_usage": "yes"}
]"#;

fn odd_values() -> Vec<Value> {
    serde_json::from_str(ODD_VALUES).unwrap()
}

/// The two endpoints.
struct Both {
    chat: World,
    completions: World,
}

impl Both {
    fn new() -> Both {
        Both { chat: World::new(&OpenAiChat), completions: World::new(&OpenAiCompletions) }
    }

    fn chat(&self, options: &Value) -> Result<Value, Value> {
        outcome(&self.chat, options, "messages", json!([{"role": "user", "content": "Hi"}]))
    }

    fn completion(&self, options: &Value) -> Result<Value, Value> {
        outcome(&self.completions, options, "prompt", json!("Hi"))
    }

    /// Whether both take the options.
    fn agree(&self, options: &Value) -> bool {
        let chat = self.chat(options);
        assert_eq!(chat, self.completion(options), "{options}");
        chat.is_ok()
    }
}

/// What a request becomes: everything that Google gets, or the whole refusal.
fn outcome(world: &World, options: &Value, name: &str, said: Value) -> Result<Value, Value> {
    let mut body = options.clone();
    body[name] = said;
    let mut exchange = world
        .parse(body.to_string())
        .map_err(|error| json!([error.status, error.kind.openai_type(), error.code(), error.param, error.message]))?;
    let framing = format!("{:?}", exchange.framing());
    let call = exchange.call();
    let mut google = serde_json::to_value(&call.request).unwrap();
    assert_eq!(google["contents"], json!([{"role": "user", "parts": [{"text": "Hi"}]}]));
    // A completion has no place for thoughts and never asks to see them.
    let mut config = google["generationConfig"].as_object().cloned().unwrap_or_default();
    config
        .entry("thinkingConfig")
        .and_modify(|thinking| drop(thinking.as_object_mut().unwrap().remove("includeThoughts")));
    config.retain(|_, value| *value != Value::Object(Map::new()));
    google["generationConfig"] = config.into();
    Ok(json!([google, call.operation == Operation::Stream, framing, call.affinity]))
}

#[test]
fn any_value_of_an_option_means_the_same_in_both() {
    let (both, values) = (Both::new(), odd_values());
    assert!(values.len() > 80);
    for option in OPTIONS {
        for value in &values {
            for model in MODELS {
                both.agree(&json!({"model": model, option: value}));
            }
        }
    }
}

#[test]
fn any_options_together_mean_the_same_in_both() {
    let (both, values) = (Both::new(), odd_values());
    let mut numbers = Numbers(0x1234_5678_9abc_def1);
    let mut taken = 0;
    for _ in 0..4000 {
        let mut options = json!({"model": MODELS[numbers.below(MODELS.len())]});
        for _ in 0..=numbers.below(4) {
            options[OPTIONS[numbers.below(OPTIONS.len())]] = values[numbers.below(values.len())].clone();
        }
        taken += usize::from(both.agree(&options));
    }
    assert!((500..3500).contains(&taken), "{taken} of 4000 were taken");
}

#[test]
fn what_the_two_had_drifted_apart_in() {
    let both = Both::new();
    for (option, value, field, expected) in [
        ("seed", json!(9_223_372_036_854_775_809_u64), "seed", json!(1)),
        ("stop", json!(5), "stopSequences", Value::Null),
        ("presence_penalty", json!(2), "presencePenalty", json!(1.9999)),
        ("max_completion_tokens", json!(9), "maxOutputTokens", json!(9)),
    ] {
        let options = json!({"model": "gemini-2.5-flash", option: value});
        for google in [both.chat(&options).unwrap(), both.completion(&options).unwrap()] {
            assert_eq!(google[0]["generationConfig"][field], expected, "{options}");
        }
    }
}
