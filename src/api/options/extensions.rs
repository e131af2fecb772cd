//! Google's extensions (docs/openai-chat.md "Google's extensions"), as clients write them into a request of another
//! dialect.

use crate::api::openai::tools::untyped;
use crate::api::params::{Object, shorten, take, take_any, take_object, take_text};
use crate::conversation::asked::Asked;
use crate::conversation::attachments::Attachments;
use crate::conversation::built_in::{camel, spelled};
use crate::conversation::tools::Toolbox;
use crate::gemini::SafetySetting;
use serde_json::{Map, Value};

/// What was found under `extra_body.google`, `google` and `extra_body`, the first that has it.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    pub thinking: Object,
    pub marker: Option<String>,
    pub cached_content: Option<String>,
    pub safety_settings: Option<Vec<SafetySetting>>,
    pub image_config: Option<Value>,
    pub media_resolution: Option<String>,
    /// Google's tool objects.
    pub tools: Vec<Object>,
    /// Google's `retrievalConfig`.
    pub retrieval: Option<Value>,
    /// Fields of `generationConfig` that OpenAI has nothing like.
    pub config: Object,
    /// Whether arguments of calls are wanted as they come.
    pub streams_arguments: Option<bool>,
    /// Names of fields of Google's that cannot be passed on.
    pub unknown: Vec<String>,
}

/// What of `generationConfig` goes through as it is.
const CONFIG: [&str; 4] =
    ["speechConfig", "responseModalities", "enableEnhancedCivicAnswers", "audioTranscriptionConfig"];

/// Google's own tools, as fields beside the others.
const TOOLS: [&str; 12] = [
    "google_search",
    "googleSearch",
    "url_context",
    "urlContext",
    "code_execution",
    "codeExecution",
    "google_maps",
    "googleMaps",
    "file_search",
    "fileSearch",
    "computer_use",
    "computerUse",
];

impl Extensions {
    /// Puts Google's tools among the others.
    pub(crate) fn declare(&mut self, toolbox: &mut Toolbox) {
        self.tools.drain(..).for_each(|tool| untyped(tool, toolbox));
        if let Some(place) = self.retrieval.take() {
            toolbox.retrieve_for(place);
        }
        for name in self.unknown.drain(..) {
            let name = shorten(&name).escape_default();
            toolbox.notice(format!("{name} among Google's extensions was left out: it cannot be passed on here."));
        }
    }

    /// Puts everything else but `thinking` into a question whose `attachments` are read.
    pub(crate) fn apply(self, attachments: &Attachments<'_>, asked: &mut Asked) {
        let resolution = self.media_resolution.or_else(|| attachments.resolution().map(str::to_owned));
        attachments.left_out().for_each(|sentence| asked.toolbox.notice(sentence));
        if self.image_config.is_some() && !asked.model.image_output {
            asked.plan.notices.push(format!("image_config was left out: {} makes no pictures.", asked.model.name));
        }
        let image_config = self.image_config.filter(|_| asked.model.image_output);
        asked.config.extend(resolution.map(|level| ("mediaResolution".to_owned(), level.into())));
        asked.config.extend(self.config);
        asked.config.extend(image_config.map(|config| ("imageConfig".to_owned(), config)));
        asked.request.safety_settings = self.safety_settings;
        asked.request.cached_content = self.cached_content;
        asked.plan.marker = self.marker;
    }
}

/// Takes Google's extensions out of the request.
pub(crate) fn extensions(body: &mut Object) -> Extensions {
    let mut places = Vec::new();
    let mut extra = take_object(body, "extra_body").unwrap_or_default();
    places.extend(take_object(&mut extra, "google"));
    places.extend(take_object(body, "google"));
    let of_google = places.len();
    places.push(extra);
    // Only these are read from the top level, too (docs/openai-chat.md "Top-level fields").
    let mut top = Map::new();
    for name in [
        "cached_content",
        "cachedContent",
        "safety_settings",
        "safetySettings",
        "image_config",
        "imageConfig",
        "stream_function_arguments",
    ] {
        top.extend(take(body, name).map(|value| (name.to_owned(), value)));
    }
    places.push(top);

    let mut found = Extensions::default();
    for (index, mut place) in places.into_iter().enumerate().filter(|(_, place)| !place.is_empty()) {
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
        let image_config = image_config(&mut place, &mut found.unknown);
        found.image_config = found.image_config.or(image_config);
        let streams = take(&mut place, "stream_function_arguments").and_then(|flag| flag.as_bool());
        found.streams_arguments = found.streams_arguments.or(streams);
        if let Some(Value::Array(list)) = take(&mut place, "tools") {
            found.tools.extend(list.into_iter().filter_map(|tool| match tool {
                Value::Object(tool) => Some(tool),
                _ => None,
            }));
        }
        found.tools.extend(
            TOOLS
                .iter()
                .filter_map(|name| take(&mut place, name).map(|tool| Object::from_iter([((*name).into(), tool)]))),
        );
        let config = take_any(&mut place, &["tool_config", "toolConfig"]);
        if let Some(Value::Object(mut config)) = config {
            let retrieval = take_any(&mut config, &["retrieval_config", "retrievalConfig"]);
            if let Some(Value::Object(mut calling)) =
                take_any(&mut config, &["function_calling_config", "functionCallingConfig"])
            {
                let names = ["stream_function_call_arguments", "streamFunctionCallArguments"];
                let streams = take_any(&mut calling, &names).and_then(|flag| flag.as_bool());
                found.streams_arguments = found.streams_arguments.or(streams);
                if calling.values().any(|value| !value.is_null()) {
                    found.unknown.push("tool_config.function_calling_config".into());
                }
            }
            found.retrieval = found.retrieval.or(retrieval.filter(Value::is_object).map(spelled));
            let others = config.into_iter().filter(|(_, value)| !value.is_null());
            found.unknown.extend(others.map(|(name, _)| format!("tool_config.{name}")));
        }
        if let Some(Value::Array(list)) = take_any(&mut place, &["safety_settings", "safetySettings"]) {
            found.safety_settings = found.safety_settings.or_else(|| safety_settings(list));
        }
        // Other programs put fields of their own into `extra_body`; what is under `google` is meant for Google.
        for (name, value) in place.into_iter().filter(|(_, value)| index < of_google && !value.is_null()) {
            match camel(&name) {
                field if CONFIG.contains(&field.as_str()) => _ = found.config.entry(field).or_insert(spelled(value)),
                _ => found.unknown.push(name),
            }
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

/// What is left to the model need not be said, and Google refuses the word for it.
fn image_config(place: &mut Object, unknown: &mut Vec<String>) -> Option<Value> {
    let mut given = match take_any(place, &["image_config", "imageConfig"]) {
        Some(Value::Object(given)) => given,
        _ => Map::new(),
    };
    let mut config = Map::new();
    for (name, spellings) in
        [("aspectRatio", ["aspect_ratio", "aspectRatio"]), ("imageSize", ["image_size", "imageSize"])]
    {
        let value = take_any(&mut given, &spellings).or_else(|| take_any(place, &spellings));
        let Some(word) = value.as_ref().and_then(Value::as_str).map(str::trim) else { continue };
        if !word.is_empty() && !word.eq_ignore_ascii_case("auto") {
            // Sizes are 1K, 2K and 4K in capitals.
            let word = if name == "imageSize" { word.to_ascii_uppercase() } else { word.replace(['x', '/'], ":") };
            config.insert(name.to_owned(), word.into());
        }
    }
    let others = given.into_iter().filter(|(_, value)| !value.is_null());
    unknown.extend(others.map(|(name, _)| format!("image_config.{name}")));
    (!config.is_empty()).then_some(Value::Object(config))
}

/// The settings Google knows, other keys and entries left out: an unknown one would fail the whole request. An empty
/// list of the client stays one, it turns the defaults off.
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
            (known && THRESHOLDS.contains(&threshold.as_str())).then_some(SafetySetting {
                category,
                threshold,
                method: None,
            })
        })
        .collect();
    (given == 0 || !settings.is_empty()).then_some(settings)
}
