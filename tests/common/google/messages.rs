//! The request messages of both services as tables: which field, which type, who knows it.

use super::proto::Kind::{
    Any, Bool, Bytes, Category, Enum, Int32, Int64, LooseEnum, Many, Number, Object, One, Table, Text,
};
use super::proto::Known::{Both, CodeAssist, Public, Vertex};
use super::proto::Message;

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
const TOOL_TYPES: &[&str] =
    &["GOOGLE_SEARCH_WEB", "GOOGLE_SEARCH_IMAGE", "URL_CONTEXT", "GOOGLE_MAPS", "FILE_SEARCH", "MEDIA_PROCESSING"];
static TOOL_CALL: Message =
    Message(&[("id", Text, Both), ("toolType", Enum(TOOL_TYPES), Both), ("args", Object, Both)]);
static TOOL_RESPONSE: Message =
    Message(&[("id", Text, Both), ("toolType", Enum(TOOL_TYPES), Both), ("response", Object, Both)]);
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
    ("toolCall", One(&TOOL_CALL), Public),
    ("toolResponse", One(&TOOL_RESPONSE), Public),
    ("thought", Bool, Both),
    ("thoughtSignature", Bytes, Both),
    ("videoMetadata", One(&VIDEO), Both),
    ("mediaResolution", One(&RESOLUTION), Both),
    ("speechMetadata", One(&SPOKEN), Both),
    ("partMetadata", Object, Public),
]);
static SPOKEN: Message = Message(&[("speaker", Text, Both), ("style", Text, Both)]);
static REPLICATED: Message = Message(&[
    ("mimeType", Text, Both),
    ("voiceSampleAudio", Bytes, Both),
    ("consentAudio", Bytes, Public),
    ("voiceConsentSignature", Object, Public),
]);
static PREBUILT: Message = Message(&[("voiceName", Text, Both)]);
static VOICE: Message =
    Message(&[("prebuiltVoiceConfig", One(&PREBUILT), Both), ("replicatedVoiceConfig", One(&REPLICATED), Both)]);
static SPEECH: Message = Message(&[("voiceConfig", One(&VOICE), Both), ("languageCode", Text, Both)]);
static TRANSCRIPTION: Message = Message(&[
    ("languageCodes", Many(&Text), Both),
    ("customVocabulary", Many(&Text), Both),
    ("wordTimestamp", Bool, Both),
    ("diarization", Bool, Both),
    ("mode", Text, Both),
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
    ("googleMaps", Object, Both),
    ("fileSearch", Object, Public),
    ("computerUse", Object, Both),
    ("enterpriseWebSearch", Object, Vertex),
    ("retrieval", Object, Vertex),
    ("parallelAiSearch", Object, Vertex),
    ("exaAiSearch", Object, Vertex),
]);
static CALLING: Message = Message(&[
    ("mode", Enum(&["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"]), Both),
    ("allowedFunctionNames", Many(&Text), Both),
    ("streamFunctionCallArguments", Bool, Vertex),
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
    ("thinkingLevel", LooseEnum(&["THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"]), Both),
]);
static IMAGE: Message = Message(&[
    ("aspectRatio", Text, Both),
    ("imageSize", Text, Both),
    ("personGeneration", Text, Vertex),
    ("prominentPeople", Text, Vertex),
    ("imageOutputOptions", Object, Vertex),
]);
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
    ("speechConfig", One(&SPEECH), Both),
    ("audioTranscriptionConfig", One(&TRANSCRIPTION), Both),
    ("audioTimestamp", Bool, CodeAssist),
    ("thinkingConfig", One(&THINKING), Both),
    ("imageConfig", One(&IMAGE), Both),
    ("enableEnhancedCivicAnswers", Bool, Public),
    ("generationOutputConfig", Object, Vertex),
]);
/// GenerateContentRequest; the public one carries its model in the path but may repeat it.
pub static GENERATE: Message = Message(&[
    ("model", Text, Public),
    ("contents", Many(&One(&CONTENT)), Both),
    ("systemInstruction", One(&CONTENT), Both),
    ("cachedContent", Text, Both),
    ("continuationToken", Bytes, Both),
    ("tools", Many(&One(&TOOL)), Both),
    ("toolConfig", One(&TOOL_CONFIG), Both),
    ("labels", Table(&Text), CodeAssist),
    ("safetySettings", Many(&One(&SAFETY)), Both),
    ("generationConfig", One(&CONFIG), Both),
    ("sessionId", Text, CodeAssist),
    ("serviceTier", Text, Public),
    ("store", Bool, Public),
    ("modelArmorConfig", Object, Vertex),
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
