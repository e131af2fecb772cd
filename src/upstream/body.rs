//! Request bodies, serialised once and straight from the shared types: a request can hold 20 MB of images.

use crate::api::frame;
use crate::gemini::{Content, GenerationConfig, Request, SafetySetting, Tool, ToolConfig, weight};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// The categories the public API lets a client set.
pub(super) const PUBLIC_CATEGORIES: [&str; 5] = [
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
    "HARM_CATEGORY_CIVIC_INTEGRITY",
];

/// What the old program sent to Code Assist for a request that said nothing (docs/compatibility.md "Safety settings and
/// thinking by default").
pub(super) const CODE_ASSIST_CATEGORIES: [&str; 10] = [
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
    "HARM_CATEGORY_CIVIC_INTEGRITY",
    "HARM_CATEGORY_IMAGE_DANGEROUS_CONTENT",
    "HARM_CATEGORY_IMAGE_HARASSMENT",
    "HARM_CATEGORY_IMAGE_HATE",
    "HARM_CATEGORY_IMAGE_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_UNSPECIFIED",
];

/// A GenerateContentRequest that borrows everything.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    /// Only inside a countTokens request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "<[Content]>::is_empty")]
    pub contents: &'a [Content],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_instruction: Option<&'a Content>,
    #[serde(skip_serializing_if = "<[Tool]>::is_empty")]
    pub tools: &'a [Tool],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_config: Option<&'a ToolConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_config: Option<&'a GenerationConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_settings: Option<Vec<Safety<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_content: Option<&'a str>,
    #[serde(flatten)]
    pub other: Without<'a>,
}

/// One safety setting.
#[derive(Serialize)]
pub(super) struct Safety<'a> {
    category: &'a str,
    threshold: &'a str,
    /// What it measures, which only Vertex AI is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<&'a str>,
}

/// Fields that the shared types do not name, less those a service refuses.
pub(super) struct Without<'a> {
    fields: &'a Map<String, Value>,
    names: &'static [&'static str],
}

impl Serialize for Without<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.fields.iter().filter(|(name, _)| !self.names.contains(&name.as_str())) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'a> Body<'a> {
    /// Everything of `request` but its safety settings and the fields in `without`.
    pub fn of(request: &'a Request, without: &'static [&'static str]) -> Body<'a> {
        Body {
            model: None,
            contents: &request.contents,
            system_instruction: request.system_instruction.as_ref(),
            tools: &request.tools,
            tool_config: request.tool_config.as_ref(),
            generation_config: request.generation_config.as_ref(),
            safety_settings: None,
            cached_content: request.cached_content.as_deref(),
            other: Without { fields: &request.other, names: without },
        }
    }

    /// The client's own safety settings as far as `accepted` takes them, or `BLOCK_NONE` for each of `default`.
    pub fn with_safety(
        mut self,
        own: Option<&'a [SafetySetting]>,
        default: &'static [&'static str],
        accepted: fn(&str) -> bool,
    ) -> Body<'a> {
        self.safety_settings = Some(match own {
            Some(own) => own
                .iter()
                .filter(|setting| accepted(&setting.category))
                .map(|setting| Safety { category: &setting.category, threshold: &setting.threshold, method: None })
                .collect(),
            None => default.iter().map(|category| Safety { category, threshold: "BLOCK_NONE", method: None }).collect(),
        });
        self
    }
}

/// JSON in one buffer, made large enough for `request` at once: growing it would copy the images in it.
pub(super) fn json(value: &impl Serialize, request: &Request) -> Vec<u8> {
    let mut out = Vec::with_capacity(weight::of_request(request));
    frame::document(value, &mut out);
    out
}
