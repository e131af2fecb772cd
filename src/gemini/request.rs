//! A GenerateContentRequest (docs/google.md "Request envelope"), without the model and without Code Assist's envelope.
//!
//! The fields this program reads or writes are typed; everything else a native client sends is kept in `other` and goes
//! upstream as it came. Surfaces other than the native one leave `other` empty: Google refuses unknown fields.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// A whole request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    /// The turns, oldest first; roles `user` and `model`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "turns")]
    pub contents: Vec<Content>,
    /// Text only; its role is ignored by Google.
    #[serde(skip_serializing_if = "Option::is_none", alias = "system_instruction")]
    pub system_instruction: Option<Content>,
    /// Function declarations and built-in tools.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    pub tools: Vec<Tool>,
    /// How functions may be called.
    #[serde(skip_serializing_if = "Option::is_none", alias = "tool_config")]
    pub tool_config: Option<ToolConfig>,
    /// Sampling, limits, output format, thinking.
    #[serde(skip_serializing_if = "Option::is_none", alias = "generation_config")]
    pub generation_config: Option<GenerationConfig>,
    /// `None`: the client said nothing and the upstream's default set applies.
    #[serde(skip_serializing_if = "Option::is_none", alias = "safety_settings")]
    pub safety_settings: Option<Vec<SafetySetting>>,
    /// Name of a cached content.
    #[serde(skip_serializing_if = "Option::is_none", alias = "cached_content")]
    pub cached_content: Option<String>,
    /// Everything else, from native clients only.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Request {
    /// Whether it names files, stores or a cache that belong to one key's project on the public API.
    pub fn names_stored(&self) -> bool {
        const STORED: [&str; 2] = ["/v1beta/files/", "googleapis.com/v1/files/"];
        let is_search = |tool: &Tool| ["fileSearch", "file_search"].iter().any(|name| tool.other.contains_key(*name));
        self.cached_content.is_some()
            || self.files().any(|file| STORED.iter().any(|word| file.file_uri.contains(word)))
            || self.tools.iter().any(is_search)
    }

    /// The media that it names by address.
    pub fn files(&self) -> impl Iterator<Item = &FileData> {
        let parts = self.contents.iter().chain(&self.system_instruction).flat_map(|content| &content.parts);
        parts.filter_map(|part| part.file_data.as_deref())
    }

    /// Whether the answer can hold citations, which are ranges of its text: only with a tool of Google's own. Cached
    /// content may hold tools that are not seen here.
    pub fn may_be_grounded(&self) -> bool {
        self.cached_content.is_some() || self.tools.iter().any(Tool::is_googles)
    }

    /// Whether Google is asked to show what its own tools did.
    pub fn circulates(&self) -> bool {
        self.tool_config.as_ref().and_then(|config| config.include_server_side_tool_invocations) == Some(true)
    }

    /// The request without what Code Assist refuses: Google's tools beside functions, and what they did earlier.
    pub fn without_circulation(&self) -> Request {
        let mut plain = self.clone();
        if let Some(config) = &mut plain.tool_config {
            config.include_server_side_tool_invocations = None;
        }
        if plain.tools.iter().any(|tool| !tool.function_declarations.is_empty()) {
            plain.tools.retain(|tool| !tool.function_declarations.is_empty());
            let declared = |tool: Tool| Tool { function_declarations: tool.function_declarations, ..Tool::default() };
            plain.tools = plain.tools.into_iter().map(declared).collect();
        }
        for turn in &mut plain.contents {
            turn.parts.retain(|part| !part.is_of_googles_tool());
        }
        plain.contents.retain(|turn| !turn.parts.is_empty());
        plain
    }
}

/// One turn.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Content {
    /// `user` or `model`; absent in a system instruction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The parts in order.
    #[serde(deserialize_with = "list")]
    pub parts: Vec<Part>,
    /// Everything else, from native clients only.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Content {
    /// A turn of a role.
    pub fn new(role: &str, parts: Vec<Part>) -> Content {
        Content { role: Some(role.into()), parts, ..Content::default() }
    }
}

/// One part: exactly one of the data fields is set, with modifiers beside it. There may be many thousand, and most are texts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Part {
    /// Plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether `text` is a thought summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thought: Option<bool>,
    /// Opaque; belongs to exactly this part (docs/thinking.md "Signature rules of Gemini").
    #[serde(skip_serializing_if = "Option::is_none", alias = "thought_signature")]
    pub thought_signature: Option<String>,
    /// Media in base64.
    #[serde(skip_serializing_if = "Option::is_none", alias = "inline_data")]
    pub inline_data: Option<Box<Blob>>,
    /// Media by address.
    #[serde(skip_serializing_if = "Option::is_none", alias = "file_data")]
    pub file_data: Option<Box<FileData>>,
    /// A call the model made.
    #[serde(skip_serializing_if = "Option::is_none", alias = "function_call")]
    pub function_call: Option<Box<FunctionCall>>,
    /// The answer to a call.
    #[serde(skip_serializing_if = "Option::is_none", alias = "function_response")]
    pub function_response: Option<Box<FunctionResponse>>,
    /// Everything else (`videoMetadata`, `mediaResolution`, ...).
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

const _: () = assert!(size_of::<Part>() <= 160);
impl Part {
    /// Whether it says what one of Google's own tools was asked or answered.
    pub fn is_of_googles_tool(&self) -> bool {
        ["toolCall", "tool_call", "toolResponse", "tool_response"].iter().any(|name| self.other.contains_key(*name))
    }

    /// A text part.
    pub fn text(text: impl Into<String>) -> Part {
        Part { text: Some(text.into()), ..Part::default() }
    }

    /// A media part; `data` is base64 in the standard alphabet.
    pub fn inline(mime_type: impl Into<String>, data: impl Into<String>) -> Part {
        let blob = Blob { mime_type: mime_type.into(), data: data.into(), ..Blob::default() };
        Part { inline_data: Some(Box::new(blob)), ..Part::default() }
    }
}

/// `inlineData`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Blob {
    /// Media type.
    #[serde(alias = "mime_type")]
    pub mime_type: String,
    /// Base64.
    pub data: String,
    /// Everything else, from native clients only.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// `fileData`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FileData {
    /// Media type, if known.
    #[serde(skip_serializing_if = "Option::is_none", alias = "mime_type")]
    pub mime_type: Option<String>,
    /// `gs://`, a Files API address or a YouTube address.
    #[serde(alias = "file_uri")]
    pub file_uri: String,
    /// Everything else, from native clients only.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// `functionCall`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionCall {
    /// The declared name.
    pub name: String,
    /// An object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// Sent on both sides or on none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Everything else, from native clients only.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// `functionResponse`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionResponse {
    /// The name of the function that was called.
    pub name: String,
    /// An object; `{"output": ...}` or `{"error": ...}` by convention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Value>,
    /// Sent on both sides or on none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Media that belongs to the result; Gemini 3 and later.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Everything else, from native clients only.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Tool {
    /// Whether it is a tool that Google runs.
    fn is_googles(&self) -> bool {
        let built_in = [&self.google_search, &self.url_context, &self.code_execution];
        built_in.into_iter().any(Option::is_some) || !self.other.is_empty()
    }
}

/// One entry of `tools`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tool {
    /// The client's own functions.
    #[serde(skip_serializing_if = "Vec::is_empty", alias = "function_declarations", deserialize_with = "list")]
    pub function_declarations: Vec<FunctionDeclaration>,
    /// `{}` turns Google Search on.
    #[serde(skip_serializing_if = "Option::is_none", alias = "google_search")]
    pub google_search: Option<Value>,
    /// `{}` lets the model open addresses.
    #[serde(skip_serializing_if = "Option::is_none", alias = "url_context")]
    pub url_context: Option<Value>,
    /// `{}` lets the model run Python at Google.
    #[serde(skip_serializing_if = "Option::is_none", alias = "code_execution")]
    pub code_execution: Option<Value>,
    /// Everything else, from native clients only.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One function the model may call (docs/schema.md "Function declarations").
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FunctionDeclaration {
    /// `^[A-Za-z_][A-Za-z0-9_.:-]{0,63}$`.
    pub name: String,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Parameters in the OpenAPI subset; never together with `parameters_json_schema`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Parameters as JSON Schema.
    #[serde(skip_serializing_if = "Option::is_none", alias = "parameters_json_schema")]
    pub parameters_json_schema: Option<Value>,
    /// Everything else, from native clients only.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// `toolConfig`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ToolConfig {
    /// Mode and allowed names.
    #[serde(skip_serializing_if = "Option::is_none", alias = "function_calling_config")]
    pub function_calling_config: Option<FunctionCallingConfig>,
    /// What Google's own tools did is in the answer, and wanted back in the history: the public API takes functions and
    /// Google's tools together with this only, Code Assist does not know the field.
    #[serde(skip_serializing_if = "Option::is_none", alias = "include_server_side_tool_invocations")]
    pub include_server_side_tool_invocations: Option<bool>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// `functionCallingConfig`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FunctionCallingConfig {
    /// AUTO, ANY, NONE or VALIDATED.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Only with ANY or VALIDATED.
    #[serde(skip_serializing_if = "Vec::is_empty", alias = "allowed_function_names", deserialize_with = "list")]
    pub allowed_function_names: Vec<String>,
    /// Everything else, from native clients only.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// `generationConfig`. Numbers a native client sent stay as they came because unknown fields live in `other`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GenerationConfig {
    /// How thoughts are made and shown.
    #[serde(skip_serializing_if = "Option::is_none", alias = "thinking_config")]
    pub thinking_config: Option<ThinkingConfig>,
    /// Every other field, in Google's camelCase spelling (`temperature`, `topP`, `maxOutputTokens`, ...).
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// `thinkingConfig` (docs/thinking.md "thinkingConfig"). Budget and level together are refused by Google.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThinkingConfig {
    /// Whether thought summaries are sent.
    #[serde(skip_serializing_if = "Option::is_none", alias = "include_thoughts")]
    pub include_thoughts: Option<bool>,
    /// Tokens; 0 is off, -1 is dynamic. Gemini 2.5.
    #[serde(skip_serializing_if = "Option::is_none", alias = "thinking_budget")]
    pub thinking_budget: Option<i64>,
    /// MINIMAL, LOW, MEDIUM, HIGH. Gemini 3.
    #[serde(skip_serializing_if = "Option::is_none", alias = "thinking_level")]
    pub thinking_level: Option<String>,
    /// Everything else, from native clients only.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One entry of `safetySettings`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SafetySetting {
    /// `HARM_CATEGORY_...`.
    pub category: String,
    /// `BLOCK_NONE`, `OFF`, ...
    pub threshold: String,
    /// `SEVERITY` or `PROBABILITY`; Vertex AI only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

/// A list. Google's servers also take its only element in its place (`"contents": {"parts": {…}}`), and null for none.
fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let items = match Value::deserialize(deserializer)? {
        Value::Null => Vec::new(),
        Value::Array(items) => items,
        only => vec![only],
    };
    items.into_iter().map(|item| serde_json::from_value(item).map_err(D::Error::custom)).collect()
}

/// The turns. The public API takes one without a role for the user's, Code Assist refuses it.
fn turns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Content>, D::Error> {
    let mut turns: Vec<Content> = list(deserializer)?;
    for turn in turns.iter_mut().filter(|turn| turn.role.as_deref().is_none_or(str::is_empty)) {
        turn.role = Some("user".into());
    }
    Ok(turns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_caches_of_a_key_are_noticed() {
        for (request, expected) in [
            (r#"{"contents":[{"parts":[{"text":"https://x/v1beta/files/a"}]}]}"#, false),
            (r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://youtu.be/x"}}]}]}"#, false),
            (r#"{"contents":[{"parts":[{"file_data":{"file_uri":"https://g/v1beta/files/a"}}]}]}"#, true),
            (r#"{"cachedContent":"cachedContents/a"}"#, true),
        ] {
            assert_eq!(serde_json::from_str::<Request>(request).unwrap().names_stored(), expected, "{request}");
        }
    }

    #[test]
    fn what_google_reads_generously_is_read_as_well() {
        let expected = serde_json::json!({
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "systemInstruction": {"parts": [{"text": "s"}]},
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
        });
        for request in [
            r#"{"contents":{"parts":{"text":"hi"}},"system_instruction":{"parts":{"text":"s"}},
                "tools":{"function_declarations":{"name":"f"}}}"#,
            r#"{"contents":[{"role":"","parts":[{"text":"hi"}]}],"systemInstruction":{"parts":[{"text":"s"}]},
                "tools":[{"functionDeclarations":[{"name":"f"}]}]}"#,
        ] {
            let request: Request = serde_json::from_str(request).unwrap();
            assert_eq!(serde_json::to_value(request).unwrap(), expected);
        }
        let nothing: Request = serde_json::from_str(r#"{"contents":null,"tools":null}"#).unwrap();
        assert_eq!(serde_json::to_string(&nothing).unwrap(), "{}");
        assert!(serde_json::from_str::<Request>(r#"{"contents":"hi"}"#).is_err());
    }
}
