//! The output format a client asks for, and how Google is asked for it.

use crate::gemini::models::Model;
use crate::gemini::schema;
use serde_json::{Map, Value, json};

/// The format asked of the answer.
#[derive(Debug, Default, PartialEq)]
pub enum Format {
    /// No particular one.
    #[default]
    Text,
    /// JSON, by a schema or without one.
    Json(Option<Value>),
}

/// How JSON was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Json {
    /// It was not.
    #[default]
    No,
    /// Google makes sure of it.
    Enforced,
    /// By a sentence in the system instruction only: the model may put fences around it.
    Asked,
}

impl Format {
    /// Puts the format into `config`, or makes the sentence that asks for it where Google refuses JSON beside tools, its
    /// own included.
    pub(super) fn ask(self, model: &Model, tools: bool, config: &mut Map<String, Value>) -> (Json, Option<String>) {
        let Format::Json(given) = self else {
            return (Json::No, None);
        };
        if model.image_output || model.speech_output {
            return (Json::No, None);
        }
        let cleaned = given.filter(|given| given.is_object() || given.is_string()).map(schema::json);
        let cleaned = cleaned.filter(|schema| schema.as_object().is_some_and(|schema| !schema.is_empty()));
        if tools && !model.gemini3 {
            let lead = "When you give the final answer, reply only with";
            return (
                Json::Asked,
                Some(match cleaned {
                    Some(schema) => format!("{lead} JSON for this schema, without code fences:\n{schema}"),
                    None => format!("{lead} a JSON object, without code fences."),
                }),
            );
        }
        config.insert("responseMimeType".into(), json!("application/json"));
        if let Some(cleaned) = cleaned {
            match model.reads_json_schema() {
                true => config.insert("responseJsonSchema".into(), cleaned),
                false if schema::has_map(&cleaned) => {
                    return (Json::Enforced, Some(format!("Reply only with JSON for this schema:\n{cleaned}")));
                }
                false => config.insert("responseSchema".into(), schema::openapi(cleaned)),
            };
        }
        (Json::Enforced, None)
    }
}
