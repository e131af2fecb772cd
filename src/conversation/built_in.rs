//! Google's own tools: their names in every dialect, their options, and which models take them (docs/google.md "Tools and
//! toolConfig").

use crate::gemini::Tool;
use crate::gemini::models::Model;
use serde_json::{Map, Value};

/// One of Google's tools.
#[derive(Debug)]
pub(super) struct BuiltIn {
    /// Google's field of a tool, which is also the name in messages.
    pub field: &'static str,
    /// Google's name in the other spelling, and older ones.
    googles: &'static [&'static str],
    /// What it is called elsewhere. Programs send these with every request, so that what Google lacks of them is left out.
    foreign: &'static [&'static str],
    /// The options of the public API.
    options: &'static [&'static str],
    takes: fn(&Model) -> bool,
}

/// In the order in which they are sent.
pub(super) static BUILT_IN: [BuiltIn; 10] = [
    BuiltIn {
        field: "googleSearch",
        googles: &["google_search", "googleSearchRetrieval", "google_search_retrieval"],
        foreign: &["web_search", "web_search_preview"],
        options: &["searchTypes", "timeRangeFilter"],
        takes: |model| !model.speech_output && (model.gemini3 || !model.image_output),
    },
    BuiltIn {
        field: "urlContext",
        googles: &["url_context"],
        foreign: &["web_fetch"],
        options: &[],
        takes: |model| is_text(model) && is_from_2_5(model),
    },
    BuiltIn {
        field: "codeExecution",
        googles: &["code_execution"],
        foreign: &["code_interpreter"],
        options: &[],
        takes: |model| is_text(model) && !model.is_of("gemma"),
    },
    BuiltIn {
        field: "googleMaps",
        googles: &["google_maps"],
        foreign: &[],
        options: &["enableWidget", "authConfig"],
        takes: |model| is_text(model) && !model.is_of("gemma") && !model.is_of("gemini-1"),
    },
    BuiltIn {
        field: "fileSearch",
        googles: &["file_search"],
        foreign: &[],
        options: &["fileSearchStoreNames", "topK", "metadataFilter"],
        takes: |model| is_text(model) && is_from_2_5(model),
    },
    BuiltIn {
        field: "computerUse",
        googles: &["computer_use"],
        foreign: &[],
        options: &[
            "environment",
            "excludedPredefinedFunctions",
            "enablePromptInjectionDetection",
            "disabledSafetyPolicies",
        ],
        takes: |model| is_text(model) && (model.gemini3 || model.name.contains("computer-use")),
    },
    vertex("enterpriseWebSearch", &["enterprise_web_search"]),
    vertex("retrieval", &[]),
    vertex("parallelAiSearch", &["parallel_ai_search"]),
    vertex("exaAiSearch", &["exa_ai_search"]),
];

/// Stands for every option.
const ANY: &[&str] = &["*"];

/// A tool of Vertex AI's alone, which judges its options.
const fn vertex(field: &'static str, googles: &'static [&'static str]) -> BuiltIn {
    BuiltIn { field, googles, foreign: &[], options: ANY, takes: is_text }
}

fn is_text(model: &Model) -> bool {
    !model.speech_output && !model.image_output && !model.embedding
}

fn is_from_2_5(model: &Model) -> bool {
    !["gemma", "gemini-1", "gemini-2.0"].iter().any(|old| model.is_of(old))
}

/// Whether this is a name of one of Google's tools.
pub(crate) fn is_built_in(name: &str) -> bool {
    BuiltIn::named(name).is_some()
}

/// Whether a model can search.
pub(crate) fn can_search(model: &Model) -> bool {
    BUILT_IN[0].is_taken_by(model)
}

impl BuiltIn {
    /// The tool of this name, with or without a version behind it (`web_search_preview_2025_03_11`), and whether the name
    /// is Google's own.
    pub(super) fn named(name: &str) -> Option<(usize, bool)> {
        let base = name.split_once("_20").map_or(name, |(base, _)| base);
        BUILT_IN.iter().enumerate().find_map(|(index, tool)| {
            let is_googles = tool.field == base || tool.googles.contains(&base);
            (is_googles || tool.foreign.contains(&base)).then_some((index, is_googles))
        })
    }

    pub(super) fn is_taken_by(&self, model: &Model) -> bool {
        (self.takes)(model)
    }

    /// Whether the client has to do what the model wants of it, as with functions.
    pub(super) fn is_run_by_client(&self) -> bool {
        self.field == "computerUse"
    }

    /// Google's options among those that a client gave, in Google's spelling, and the names of the others.
    pub(super) fn options(&self, given: Map<String, Value>) -> (Map<String, Value>, Vec<String>) {
        let mut known = Map::new();
        let mut others = Vec::new();
        for (name, value) in given.into_iter().filter(|(_, value)| !value.is_null()) {
            match camel(&name) {
                option if self.options == ANY || self.options.contains(&option.as_str()) => {
                    _ = known.insert(option, spelled(value))
                }
                _ => others.push(name),
            }
        }
        (known, others)
    }

    /// The entry of `tools`.
    pub(super) fn tool(&self, options: Map<String, Value>) -> Tool {
        let mut tool = Tool::default();
        let options = Value::Object(options);
        match self.field {
            "googleSearch" => tool.google_search = Some(options),
            "urlContext" => tool.url_context = Some(options),
            "codeExecution" => tool.code_execution = Some(options),
            field => _ = tool.other.insert(field.to_owned(), options),
        }
        tool
    }
}

/// Google's JSON names of fields that may be in snake case, at any depth.
pub(crate) fn spelled(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (camel(&name), spelled(value))).collect(),
        Value::Array(items) => items.into_iter().map(spelled).collect(),
        other => other,
    }
}

/// Google's JSON name of a field.
pub(crate) fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut joined = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        joined.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        joined.push_str(letters.as_str());
    }
    joined
}
