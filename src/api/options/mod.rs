//! Google's extensions, the dialects of asking for thoughts, safety settings and the output format (openai_chat.md 1.7,
//! 1.9; thinking_and_signatures.md 2).

use crate::api::openai::shorten;
use crate::api::params::{Object, integer, take, take_any, take_list, take_object, take_text, wrong_type};
use crate::error::ApiError;
use crate::gemini::SafetySetting;
use crate::gemini::thinking::{Ask, Effort, Level};
use serde_json::{Map, Value, json};

/// What was found under `extra_body.google`, `google` and `extra_body`, the first that has it.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    pub thinking: Object,
    pub marker: Option<String>,
    pub cached_content: Option<String>,
    pub safety_settings: Option<Vec<SafetySetting>>,
    pub image_config: Option<Value>,
    pub media_resolution: Option<String>,
}

/// Takes Google's extensions out of the request.
pub(crate) fn extensions(body: &mut Object) -> Extensions {
    let mut places = Vec::new();
    let mut extra = take_object(body, "extra_body").unwrap_or_default();
    places.extend(take_object(&mut extra, "google"));
    places.extend(take_object(body, "google"));
    places.push(extra);
    // Only these two are read from the top level, too (openai_chat.md 1.1).
    let mut top = Map::new();
    for name in ["cached_content", "cachedContent", "safety_settings", "safetySettings"] {
        top.extend(take(body, name).map(|value| (name.to_owned(), value)));
    }
    places.push(top);

    let mut found = Extensions::default();
    for mut place in places {
        if found.thinking.is_empty()
            && let Some(Value::Object(config)) = take_any(&mut place, &["thinking_config", "thinkingConfig"])
        {
            found.thinking = config;
        }
        let text = |place: &mut Object, names: &[&str]| match take_any(place, names) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        let marker = text(&mut place, &["thought_tag_marker", "thoughtTagMarker"]);
        found.marker = found.marker.or(marker.filter(|marker| is_tag(marker)));
        found.cached_content = found.cached_content.or(text(&mut place, &["cached_content", "cachedContent"]));
        let resolution = text(&mut place, &["media_resolution", "mediaResolution"]);
        found.media_resolution = found.media_resolution.or(resolution.and_then(|word| media_resolution(&word)));
        found.image_config = found.image_config.or_else(|| image_config(&mut place));
        if let Some(Value::Array(list)) = take_any(&mut place, &["safety_settings", "safetySettings"]) {
            found.safety_settings = found.safety_settings.or_else(|| safety_settings(list));
        }
    }
    found
}

/// A marker is the name of a tag; anything else would break the text it is put around.
fn is_tag(marker: &str) -> bool {
    marker.len() <= 64 && marker.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn media_resolution(word: &str) -> Option<String> {
    let word = word.to_ascii_uppercase();
    let level = word.strip_prefix("MEDIA_RESOLUTION_").unwrap_or(&word);
    matches!(level, "LOW" | "MEDIUM" | "HIGH").then(|| format!("MEDIA_RESOLUTION_{level}"))
}

fn image_config(place: &mut Object) -> Option<Value> {
    let mut given = match take_any(place, &["image_config", "imageConfig"]) {
        Some(Value::Object(given)) => given,
        _ => Map::new(),
    };
    let mut config = Map::new();
    for (name, spellings) in
        [("aspectRatio", ["aspect_ratio", "aspectRatio"]), ("imageSize", ["image_size", "imageSize"])]
    {
        let value = take_any(&mut given, &spellings).or_else(|| take_any(place, &spellings));
        config.extend(value.filter(Value::is_string).map(|value| (name.to_owned(), value)));
    }
    (!config.is_empty()).then_some(Value::Object(config))
}

/// The settings Google knows, other keys and entries left out: an unknown one would fail the whole request. An empty list
/// of the client stays one, it turns the defaults off.
fn safety_settings(list: Vec<Value>) -> Option<Vec<SafetySetting>> {
    const THRESHOLDS: [&str; 5] =
        ["BLOCK_NONE", "OFF", "BLOCK_ONLY_HIGH", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_LOW_AND_ABOVE"];
    let given = list.len();
    let settings: Vec<SafetySetting> = list
        .into_iter()
        .filter_map(|entry| {
            let Value::Object(mut entry) = entry else { return None };
            let (category, threshold) = (take_text(&mut entry, "category")?, take_text(&mut entry, "threshold")?);
            let word = category.strip_prefix("HARM_CATEGORY_")?;
            let known = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
            (known && THRESHOLDS.contains(&threshold.as_str())).then_some(SafetySetting { category, threshold })
        })
        .collect();
    (given == 0 || !settings.is_empty()).then_some(settings)
}

/// What the client asks about thinking.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Thinking {
    pub ask: Option<Ask>,
    pub include: Option<bool>,
}

/// Takes every dialect out of the request; the first in the order of thinking_and_signatures.md 2 wins. `suffix` comes
/// from the model's name.
pub(crate) fn thinking(
    body: &mut Object,
    mut google: Object,
    suffix: Option<Ask>,
    gemini3: bool,
) -> Result<Thinking, ApiError> {
    let include = take_any(&mut google, &["include_thoughts", "includeThoughts"]).and_then(|value| value.as_bool());
    let level = take_any(&mut google, &["thinking_level", "thinkingLevel"])
        .and_then(|value| Level::parse(value.as_str()?.to_ascii_lowercase().trim_start_matches("thinking_level_")))
        .map(Ask::Level);
    let budget = take_any(&mut google, &["thinking_budget", "thinkingBudget"]).and_then(|value| integer(&value));
    let budget = checked(budget, "extra_body.google.thinking_config.thinking_budget")?;
    let google = if gemini3 { level.or(budget) } else { budget.or(level) };

    let mut reasoning = take_object(body, "reasoning").unwrap_or_default();
    let exclude = take(&mut reasoning, "exclude").and_then(|value| value.as_bool());
    let anthropic = anthropic(take_object(body, "thinking"))?;
    let tokens = take(&mut reasoning, "max_tokens").and_then(|value| integer(&value));
    let tokens = checked(tokens, "reasoning.max_tokens")?;

    let mut output_config = take_object(body, "output_config").unwrap_or_default();
    let mut effort = None;
    for (place, name, param) in [
        (&mut *body, "reasoning_effort", "reasoning_effort"),
        (&mut reasoning, "effort", "reasoning.effort"),
        (&mut output_config, "effort", "output_config.effort"),
    ] {
        effort = effort.or(read_effort(take(place, name), param)?);
    }
    let enabled = match take(&mut reasoning, "enabled").and_then(|value| value.as_bool()) {
        Some(false) => Some(Ask::Off),
        Some(true) => Some(Ask::Effort(Effort::Auto)),
        None => None,
    };

    let loose_budget = take(body, "thinking_budget").and_then(|value| integer(&value)).filter(|tokens| *tokens >= -1);
    let loose = match take(body, "enable_thinking").and_then(|value| value.as_bool()) {
        Some(false) => Some(Ask::Off),
        Some(true) => Some(loose_budget.map_or(Ask::Effort(Effort::Auto), Ask::Budget)),
        None => loose_budget.map(Ask::Budget),
    };
    // `adaptive` lets the effort say how much.
    let adaptive = anthropic == Some(Ask::Effort(Effort::Auto));
    let explicit = anthropic.filter(|_| !(adaptive && effort.is_some())).or(tokens);
    Ok(Thinking {
        ask: suffix.or(google).or(explicit).or(effort).or(enabled).or(loose),
        include: include.or(exclude.map(|exclude| !exclude)),
    })
}

fn anthropic(thinking: Option<Object>) -> Result<Option<Ask>, ApiError> {
    let Some(mut thinking) = thinking else {
        return Ok(None);
    };
    let budget = take(&mut thinking, "budget_tokens").and_then(|value| integer(&value));
    Ok(match take_text(&mut thinking, "type").as_deref() {
        Some("disabled") => Some(Ask::Off),
        Some("enabled") => checked(budget, "thinking.budget_tokens")?.or(Some(Ask::Effort(Effort::Auto))),
        Some("adaptive" | "auto" | "between_tools") => Some(Ask::Effort(Effort::Auto)),
        _ => checked(budget, "thinking.budget_tokens")?,
    })
}

fn checked(tokens: Option<i64>, param: &str) -> Result<Option<Ask>, ApiError> {
    match tokens {
        Some(tokens) if tokens < -1 => {
            Err(ApiError::invalid(param, "invalid_value", format!("'{param}' must be -1 or more.")))
        }
        tokens => Ok(tokens.map(Ask::Budget)),
    }
}

fn read_effort(value: Option<Value>, param: &str) -> Result<Option<Ask>, ApiError> {
    let word = match value {
        None => return Ok(None),
        Some(Value::String(word)) => word,
        Some(other) => match integer(&other) {
            Some(-1) => return Ok(Some(Ask::Effort(Effort::Auto))),
            _ => return Err(wrong_type(param, "a string", &other)),
        },
    };
    match Effort::parse(&word) {
        Some(effort) => Ok(Some(Ask::Effort(effort))),
        None => Err(ApiError::invalid(
            param,
            "invalid_value",
            format!(
                "Invalid value: '{}'. Supported values are: 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max' and \
                 'auto'.",
                shorten(&word)
            ),
        )),
    }
}

/// The format asked of the answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Format {
    /// No particular one.
    Text,
    /// JSON, by a schema or without one.
    Json(Option<Value>),
}

/// Takes `response_format` out of the request.
pub(crate) fn format(body: &mut Object) -> Result<Format, ApiError> {
    let mut format = match take(body, "response_format") {
        None => return Ok(Format::Text),
        Some(Value::Object(format)) => format,
        Some(Value::String(kind)) => Map::from_iter([("type".to_owned(), json!(kind))]),
        Some(other) => return Err(wrong_type("response_format", "an object", &other)),
    };
    let kind = match take(&mut format, "type") {
        None => return Ok(Format::Text),
        Some(Value::String(kind)) => kind,
        Some(other) => return Err(wrong_type("response_format.type", "a string", &other)),
    };
    match kind.as_str() {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::Json(take(&mut format, "schema"))),
        "json_schema" => {
            let inner = take_object(&mut format, "json_schema").and_then(|mut inner| take(&mut inner, "schema"));
            Ok(Format::Json(inner.or_else(|| take(&mut format, "schema"))))
        }
        _ => Err(ApiError::invalid(
            "response_format.type",
            "invalid_value",
            format!(
                "Invalid value: '{}'. Supported values are: 'text', 'json_object' and 'json_schema'.",
                shorten(&kind)
            ),
        )),
    }
}

/// Takes the stop sequences out of the request, empty ones left out.
pub(crate) fn stops(body: &mut Object) -> Vec<String> {
    let list = match body.get("stop") {
        Some(Value::String(_)) => take_text(body, "stop").into_iter().collect(),
        _ => {
            let list = take_list(body, "stop").unwrap_or_default();
            list.into_iter().filter_map(|stop| stop.as_str().map(str::to_owned)).collect::<Vec<_>>()
        }
    };
    list.into_iter().filter(|stop| !stop.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: Value, gemini3: bool) -> Thinking {
        let Value::Object(mut body) = body else { unreachable!() };
        let google = extensions(&mut body).thinking;
        thinking(&mut body, google, None, gemini3).unwrap()
    }

    #[test]
    fn the_first_dialect_wins() {
        let auto = Some(Ask::Effort(Effort::Auto));
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
            (
                json!({"enable_thinking": false, "thinking": {"type": "enabled", "budget_tokens": 5}}),
                Some(Ask::Budget(5)),
            ),
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
        assert_eq!(
            asked(json!({"google": {"thinking_config": {"include_thoughts": true}}}), false).include,
            Some(true)
        );
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
}
