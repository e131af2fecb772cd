//! The request messages of both services as tables, and the reader that refuses unknown names and wrong types the way
//! Google's JSON parser does. Both spellings of a name are read; what comes out is camelCase.

use super::errors::Refusal;
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value, json};

/// Which service reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    CodeAssist,
    Public,
}

/// Who knows a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Both,
    CodeAssist,
    Public,
}

/// The type of a field.
pub enum Kind {
    Text,
    Bool,
    Int32,
    Int64,
    Number,
    Bytes,
    /// Exact spelling.
    Enum(&'static [&'static str]),
    /// Any case.
    LooseEnum(&'static [&'static str]),
    /// Safety categories, of which Code Assist knows more.
    Category,
    /// A Struct: any object.
    Object,
    Any,
    One(&'static Message),
    Many(&'static Kind),
    /// Values by free names.
    Table(&'static Kind),
}

/// A message and its fields.
pub struct Message(&'static [(&'static str, Kind, Known)]);

use Kind::{Any, Bool, Bytes, Category, Enum, Int32, Int64, LooseEnum, Many, Number, Object, One, Table, Text};
use Known::{Both, CodeAssist, Public};

static BLOB: Message = Message(&[("mimeType", Text, Both), ("data", Bytes, Both), ("displayName", Text, CodeAssist)]);
static FILE: Message = Message(&[("mimeType", Text, Both), ("fileUri", Text, Both), ("displayName", Text, CodeAssist)]);
static RESPONSE_PART: Message = Message(&[("inlineData", One(&BLOB), Both)]);
static RESPONSE: Message = Message(&[
    ("name", Text, Both),
    ("response", Object, Both),
    ("id", Text, Both),
    ("parts", Many(&One(&RESPONSE_PART)), Both),
    ("willContinue", Bool, Both),
    ("scheduling", Enum(&["SILENT", "WHEN_IDLE", "INTERRUPT"]), Both),
]);
static CALL: Message = Message(&[("name", Text, Both), ("args", Object, Both), ("id", Text, Both)]);
static CODE: Message = Message(&[("language", Enum(&["PYTHON"]), Both), ("code", Text, Both), ("id", Text, Both)]);
static CODE_RESULT: Message = Message(&[
    ("outcome", Enum(&["OUTCOME_OK", "OUTCOME_FAILED", "OUTCOME_DEADLINE_EXCEEDED"]), Both),
    ("output", Text, Both),
    ("id", Text, Both),
]);
static VIDEO: Message = Message(&[("startOffset", Text, Both), ("endOffset", Text, Both), ("fps", Number, Both)]);
const RESOLUTIONS: &[&str] =
    &["MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH", "MEDIA_RESOLUTION_ULTRA_HIGH"];
static RESOLUTION: Message = Message(&[("level", Enum(RESOLUTIONS), Both)]);
static PART: Message = Message(&[
    ("text", Text, Both),
    ("inlineData", One(&BLOB), Both),
    ("fileData", One(&FILE), Both),
    ("functionCall", One(&CALL), Both),
    ("functionResponse", One(&RESPONSE), Both),
    ("executableCode", One(&CODE), Both),
    ("codeExecutionResult", One(&CODE_RESULT), Both),
    ("thought", Bool, Both),
    ("thoughtSignature", Bytes, Both),
    ("videoMetadata", One(&VIDEO), Both),
    ("mediaResolution", One(&RESOLUTION), Both),
]);
static CONTENT: Message = Message(&[("role", Text, Both), ("parts", Many(&One(&PART)), Both)]);

const TYPES: &[&str] = &["TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];
static SCHEMA: Message = Message(&[
    ("type", LooseEnum(TYPES), Both),
    ("format", Text, Both),
    ("title", Text, Both),
    ("description", Text, Both),
    ("nullable", Bool, Both),
    ("default", Any, Both),
    ("enum", Many(&Text), Both),
    ("items", One(&SCHEMA), Both),
    ("minItems", Int64, Both),
    ("maxItems", Int64, Both),
    ("properties", Table(&One(&SCHEMA)), Both),
    ("required", Many(&Text), Both),
    ("minProperties", Int64, Both),
    ("maxProperties", Int64, Both),
    ("minimum", Number, Both),
    ("maximum", Number, Both),
    ("minLength", Int64, Both),
    ("maxLength", Int64, Both),
    ("pattern", Text, Both),
    ("example", Any, Both),
    ("anyOf", Many(&One(&SCHEMA)), Both),
    ("propertyOrdering", Many(&Text), Both),
]);
static DECLARATION: Message = Message(&[
    ("name", Text, Both),
    ("description", Text, Both),
    ("parameters", One(&SCHEMA), Both),
    ("parametersJsonSchema", Any, Both),
    ("response", One(&SCHEMA), Both),
    ("responseJsonSchema", Any, Both),
    ("behavior", Enum(&["UNSPECIFIED", "BLOCKING", "NON_BLOCKING"]), Both),
]);
static TOOL: Message = Message(&[
    ("functionDeclarations", Many(&One(&DECLARATION)), Both),
    ("googleSearch", Object, Both),
    ("googleSearchRetrieval", Object, Both),
    ("urlContext", Object, Both),
    ("codeExecution", Object, Both),
]);
static CALLING: Message = Message(&[
    ("mode", Enum(&["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"]), Both),
    ("allowedFunctionNames", Many(&Text), Both),
]);
static TOOL_CONFIG: Message = Message(&[
    ("functionCallingConfig", One(&CALLING), Both),
    ("retrievalConfig", Object, Both),
    ("includeServerSideToolInvocations", Bool, Public),
]);
const THRESHOLDS: &[&str] = &[
    "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
    "BLOCK_LOW_AND_ABOVE",
    "BLOCK_MEDIUM_AND_ABOVE",
    "BLOCK_ONLY_HIGH",
    "BLOCK_NONE",
    "OFF",
];
static SAFETY: Message = Message(&[
    ("category", Category, Both),
    ("threshold", Enum(THRESHOLDS), Both),
    ("method", Enum(&["SEVERITY", "PROBABILITY"]), CodeAssist),
]);
static THINKING: Message = Message(&[
    ("includeThoughts", Bool, Both),
    ("thinkingBudget", Int32, Both),
    ("thinkingLevel", LooseEnum(&["THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH"]), Both),
]);
static IMAGE: Message = Message(&[("aspectRatio", Text, Both), ("imageSize", Text, Both)]);
static CONFIG: Message = Message(&[
    ("temperature", Number, Both),
    ("topP", Number, Both),
    ("topK", Number, Both),
    ("candidateCount", Int32, Both),
    ("maxOutputTokens", Int32, Both),
    ("stopSequences", Many(&Text), Both),
    ("responseLogprobs", Bool, Both),
    ("logprobs", Int32, Both),
    ("presencePenalty", Number, Both),
    ("frequencyPenalty", Number, Both),
    ("seed", Int32, Both),
    ("responseMimeType", Text, Both),
    ("responseSchema", One(&SCHEMA), Both),
    ("responseJsonSchema", Any, Both),
    ("routingConfig", Object, CodeAssist),
    ("modelSelectionConfig", Object, CodeAssist),
    ("responseModalities", Many(&LooseEnum(&["MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO"])), Both),
    ("mediaResolution", Enum(RESOLUTIONS), Both),
    ("speechConfig", Object, Both),
    ("audioTimestamp", Bool, CodeAssist),
    ("thinkingConfig", One(&THINKING), Both),
    ("imageConfig", One(&IMAGE), Both),
    ("enableEnhancedCivicAnswers", Bool, Public),
]);
/// GenerateContentRequest; the public one carries its model in the path but may repeat it.
pub static GENERATE: Message = Message(&[
    ("model", Text, Public),
    ("contents", Many(&One(&CONTENT)), Both),
    ("systemInstruction", One(&CONTENT), Both),
    ("cachedContent", Text, Both),
    ("tools", Many(&One(&TOOL)), Both),
    ("toolConfig", One(&TOOL_CONFIG), Both),
    ("labels", Table(&Text), CodeAssist),
    ("safetySettings", Many(&One(&SAFETY)), Both),
    ("generationConfig", One(&CONFIG), Both),
    ("sessionId", Text, CodeAssist),
]);
pub static ENVELOPE: Message = Message(&[
    ("model", Text, Both),
    ("project", Text, Both),
    ("userPromptId", Text, Both),
    ("request", One(&GENERATE), Both),
    ("enabledCreditTypes", Many(&Enum(&["GOOGLE_ONE_AI"])), Both),
]);
static METADATA: Message = Message(&[
    (
        "ideType",
        Enum(&[
            "IDE_UNSPECIFIED",
            "VSCODE",
            "INTELLIJ",
            "VSCODE_CLOUD_WORKSTATION",
            "INTELLIJ_CLOUD_WORKSTATION",
            "CLOUD_SHELL",
            "GEMINI_CLI",
        ]),
        Both,
    ),
    (
        "platform",
        Enum(&["PLATFORM_UNSPECIFIED", "DARWIN_AMD64", "DARWIN_ARM64", "LINUX_AMD64", "LINUX_ARM64", "WINDOWS_AMD64"]),
        Both,
    ),
    ("pluginType", Enum(&["PLUGIN_UNSPECIFIED", "CLOUD_CODE", "GEMINI", "AIPLUGIN_INTELLIJ", "AIPLUGIN_STUDIO"]), Both),
    ("ideVersion", Text, Both),
    ("pluginVersion", Text, Both),
    ("updateChannel", Text, Both),
    ("ideName", Text, Both),
    ("duetProject", Text, Both),
]);
pub static LOAD: Message = Message(&[
    ("cloudaicompanionProject", Text, Both),
    ("metadata", One(&METADATA), Both),
    ("mode", Enum(&["MODE_UNSPECIFIED", "FULL_ELIGIBILITY_CHECK", "HEALTH_CHECK"]), Both),
]);
pub static ONBOARD: Message =
    Message(&[("tierId", Text, Both), ("cloudaicompanionProject", Text, Both), ("metadata", One(&METADATA), Both)]);
static COUNT_REQUEST: Message = Message(&[("model", Text, Both), ("contents", Many(&One(&CONTENT)), Both)]);
pub static COUNT: Message = Message(&[("request", One(&COUNT_REQUEST), Both)]);
pub static PUBLIC_COUNT: Message =
    Message(&[("contents", Many(&One(&CONTENT)), Both), ("generateContentRequest", One(&GENERATE), Both)]);
pub static QUOTA: Message = Message(&[("project", Text, Both), ("userAgent", Text, Both)]);
pub static EMBED: Message = Message(&[
    ("model", Text, Both),
    ("content", One(&CONTENT), Both),
    (
        "taskType",
        Enum(&[
            "TASK_TYPE_UNSPECIFIED",
            "RETRIEVAL_QUERY",
            "RETRIEVAL_DOCUMENT",
            "SEMANTIC_SIMILARITY",
            "CLASSIFICATION",
            "CLUSTERING",
            "QUESTION_ANSWERING",
            "FACT_VERIFICATION",
            "CODE_RETRIEVAL_QUERY",
        ]),
        Both,
    ),
    ("title", Text, Both),
    ("outputDimensionality", Int32, Both),
]);

const PUBLIC_CATEGORIES: &[&str] =
    &["HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "CIVIC_INTEGRITY"];
const VERTEX_CATEGORIES: &[&str] = &[
    "JAILBREAK",
    "UNSPECIFIED",
    "IMAGE_HARASSMENT",
    "IMAGE_HATE",
    "IMAGE_SEXUALLY_EXPLICIT",
    "IMAGE_DANGEROUS_CONTENT",
];

/// Reads a body; every unknown name and wrong value goes into one 400.
pub fn read(message: &Message, body: &Value, side: Side) -> Result<Value, Refusal> {
    let mut reader = Reader { side, faults: Vec::new() };
    let read = match body {
        Value::Object(fields) => reader.message(message, fields, ""),
        _ => return Err(Refusal::invalid("Invalid JSON payload received. Unexpected token.\n^")),
    };
    if reader.faults.is_empty() {
        return Ok(read);
    }
    let text: Vec<&str> = reader.faults.iter().map(|(_, text)| text.as_str()).collect();
    let violations: Vec<Value> = reader
        .faults
        .iter()
        .map(|(path, text)| match path.is_empty() {
            true => json!({"description": text}),
            false => json!({"field": path, "description": text}),
        })
        .collect();
    let detail = json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations});
    Err(Refusal::invalid(text.join("\n")).detail(detail))
}

/// The 400 for one name nobody knows.
pub fn unknown_name(name: &str, path: &str) -> Refusal {
    Refusal::invalid(unknown(name, path))
}

fn unknown(name: &str, path: &str) -> String {
    let place = if path.is_empty() { String::new() } else { format!(" at '{path}'") };
    format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field.")
}

struct Reader {
    side: Side,
    faults: Vec<(String, String)>,
}

impl Reader {
    fn message(&mut self, message: &Message, fields: &Map<String, Value>, path: &str) -> Value {
        let mut read = Map::new();
        for (name, value) in fields {
            let found = message.0.iter().find(|(known, _, who)| {
                let here = match who {
                    Both => true,
                    CodeAssist => self.side == Side::CodeAssist,
                    Public => self.side == Side::Public,
                };
                here && (name == known || *name == snake(known))
            });
            let Some((known, kind, _)) = found else {
                self.faults.push((path.to_string(), unknown(name, path)));
                continue;
            };
            let below = if path.is_empty() { snake(known) } else { format!("{path}.{}", snake(known)) };
            // A null is an unset field, but for free values.
            if value.is_null() && !matches!(kind, Any) {
                continue;
            }
            if read.contains_key(*known) {
                self.fault(&below, format!("Invalid value at '{below}': the field is given twice"));
                continue;
            }
            let value = self.value(kind, value, &below);
            read.insert(known.to_string(), value);
        }
        Value::Object(read)
    }

    fn fault(&mut self, path: &str, text: String) {
        self.faults.push((path.to_string(), text));
    }

    fn wrong(&mut self, path: &str, wanted: &str, value: &Value) {
        self.fault(path, format!("Invalid value at '{path}' ({wanted}), {value}"));
    }

    fn value(&mut self, kind: &Kind, value: &Value, path: &str) -> Value {
        if value.is_array() && !matches!(kind, Many(_) | Any) {
            let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
            let place = if parent.is_empty() { String::new() } else { format!(" at '{parent}'") };
            let text = format!(
                "Invalid JSON payload received. Unknown name \"{name}\"{place}: Proto field is not repeating, cannot start list."
            );
            self.fault(parent, text);
            return Value::Null;
        }
        match kind {
            Any => {}
            Text if !value.is_string() => self.wrong(path, "TYPE_STRING", value),
            Bool if !value.is_boolean() => self.wrong(path, "TYPE_BOOL", value),
            Number if !number(value).is_some_and(f64::is_finite) => self.wrong(path, "TYPE_FLOAT", value),
            Int32 => match integer(value).filter(|value| i32::try_from(*value).is_ok()) {
                Some(number) => return json!(number),
                None => self.wrong(path, "TYPE_INT32", value),
            },
            Int64 => match integer(value) {
                Some(number) => return json!(number),
                None => self.wrong(path, "TYPE_INT64", value),
            },
            Bytes if !value.as_str().is_some_and(is_base64) => {
                let text =
                    format!("Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for {}", short(value));
                self.fault(path, text);
            }
            Enum(names) if !value.as_str().is_some_and(|name| names.contains(&name)) => {
                self.wrong(path, "TYPE_ENUM", value)
            }
            LooseEnum(names) => {
                let upper = value.as_str().map(str::to_ascii_uppercase).unwrap_or_default();
                if names.contains(&upper.as_str()) {
                    return json!(upper);
                }
                self.wrong(path, "TYPE_ENUM", value);
            }
            Category => {
                let name = value.as_str().and_then(|name| name.strip_prefix("HARM_CATEGORY_")).unwrap_or("");
                let vertex = self.side == Side::CodeAssist && VERTEX_CATEGORIES.contains(&name);
                if !vertex && !PUBLIC_CATEGORIES.contains(&name) {
                    self.wrong(path, "TYPE_ENUM", value);
                }
            }
            Object if !value.is_object() => self.wrong(path, "TYPE_MESSAGE", value),
            One(message) => match value.as_object() {
                Some(fields) => return self.message(message, fields, path),
                None => self.wrong(path, "TYPE_MESSAGE", value),
            },
            Many(kind) => match value.as_array() {
                Some(values) => {
                    let each = values.iter().enumerate();
                    return each.map(|(at, value)| self.value(kind, value, &format!("{path}[{at}]"))).collect();
                }
                // One value where a list is wanted is read as a list of it.
                None => return json!([self.value(kind, value, &format!("{path}[0]"))]),
            },
            Table(kind) => match value.as_object() {
                Some(fields) => {
                    let mut read = Map::new();
                    for (at, (name, value)) in fields.iter().enumerate() {
                        read.insert(name.clone(), self.value(kind, value, &format!("{path}[{at}].value")));
                    }
                    return Value::Object(read);
                }
                None => self.wrong(path, "TYPE_MESSAGE", value),
            },
            _ => {}
        }
        value.clone()
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn integer(value: &Value) -> Option<i64> {
    let whole = |number: f64| (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(whole)).or_else(|| value.as_str()?.parse().ok())
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

/// Either alphabet, padded or not.
pub fn is_base64(text: &str) -> bool {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let standard = text.replace('-', "+").replace('_', "/");
    GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(standard).is_ok()
}

/// `generationConfig` as `generation_config`.
fn snake(name: &str) -> String {
    let mut made = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            made.push('_');
        }
        made.push(letter.to_ascii_lowercase());
    }
    made
}
