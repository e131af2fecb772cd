//! Embeddings: Gemini's models by the methods of the public API with their fields in an object, all others by `predict`
//! (docs/vertex.md "Embeddings on Vertex"). Requests and answers have the public API's shape on our side.

use crate::api::{Call, Operation};
use crate::upstream::error::Fault;
use crate::upstream::event_stream::{EventStream, Wrapping};
use crate::upstream::round_trip;
use serde_json::{Map, Value, json};
use std::io::{Cursor, Read};
use ureq::Body;
use ureq::http::Response;

/// Beside the content of a request.
const FIELDS: [(&str, &str); 4] = [
    ("taskType", "task_type"),
    ("title", "title"),
    ("outputDimensionality", "output_dimensionality"),
    ("autoTruncate", "auto_truncate"),
];
/// Google sends no longer answer for a batch of 100.
const LONGEST: u64 = 64 << 20;

/// The method of models that do not have those of the public API.
pub(super) fn method(call: &Call) -> Option<&'static str> {
    let embeds = matches!(call.operation, Operation::Embed | Operation::BatchEmbed);
    (embeds && is_predicted(&call.model)).then_some("predict")
}

fn is_predicted(model: &str) -> bool {
    !model.contains("gemini") && !model.contains("maas")
}

pub(super) fn body(call: &Call) -> Vec<u8> {
    let other = &call.request.other;
    let empty = Vec::new();
    let requests = other.get("requests").and_then(Value::as_array).unwrap_or(&empty);
    let body = match (is_predicted(&call.model), call.operation) {
        (true, Operation::BatchEmbed) => predict(requests.iter().filter_map(Value::as_object)),
        (true, _) => predict([other].into_iter()),
        (false, Operation::BatchEmbed) => {
            json!({"requests": requests.iter().filter_map(Value::as_object).map(embed).collect::<Vec<_>>()})
        }
        (false, _) => embed(other),
    };
    body.to_string().into_bytes()
}

/// A field beside the content, or in the object that clients of Vertex AI put it into.
fn field<'a>(request: &'a Map<String, Value>, (camel, snake): (&str, &str)) -> Option<&'a Value> {
    let inner = ["embedContentConfig", "embed_content_config"].iter().find_map(|name| request.get(*name)?.as_object());
    [Some(request), inner].into_iter().flatten().find_map(|fields| fields.get(camel).or_else(|| fields.get(snake)))
}

fn embed(request: &Map<String, Value>) -> Value {
    let given = FIELDS.into_iter().filter_map(|name| Some((name.0.to_owned(), field(request, name)?.clone())));
    let config: Map<String, Value> = given.collect();
    let mut body = json!({"content": request.get("content")});
    if !config.is_empty() {
        body["embedContentConfig"] = config.into();
    }
    body
}

fn predict<'a>(requests: impl Iterator<Item = &'a Map<String, Value>> + Clone) -> Value {
    let instance = |request: &Map<String, Value>| {
        let parts = request.get("content").and_then(|content| content.get("parts")).and_then(Value::as_array);
        let texts = parts.into_iter().flatten().filter_map(|part| part.get("text")?.as_str());
        let mut instance = json!({"content": texts.collect::<Vec<_>>().join("\n")});
        for (name, own) in [(FIELDS[0], "task_type"), (FIELDS[1], "title")] {
            if let Some(value) = field(request, name) {
                instance[own] = value.clone();
            }
        }
        instance
    };
    let mut parameters = Map::new();
    for name in [FIELDS[2], FIELDS[3]] {
        if let Some(value) = requests.clone().find_map(|request| field(request, name)) {
            parameters.insert(name.0.into(), value.clone());
        }
    }
    let mut body = json!({"instances": requests.map(instance).collect::<Vec<_>>()});
    if !parameters.is_empty() {
        body["parameters"] = parameters.into();
    }
    body
}

/// The answer in the public API's shape.
pub(super) fn read(response: Response<Body>, call: &Call) -> Result<EventStream, Fault> {
    if response.status() != 200 || !is_predicted(&call.model) {
        return EventStream::read(response, Wrapping::Bare, false);
    }
    let mut body = Vec::new();
    response.into_body().into_reader().take(LONGEST).read_to_end(&mut body).map_err(round_trip::body_fault)?;
    let answer: Value = serde_json::from_slice(&body).map_err(|error| Fault::Invalid(error.to_string()))?;
    let made = answer["predictions"].as_array().into_iter().flatten();
    let values: Vec<Value> = made.map(|made| json!({"values": made["embeddings"]["values"]})).collect();
    let answer = match call.operation {
        Operation::BatchEmbed => json!({"embeddings": values}),
        _ => json!({"embedding": values.into_iter().next()}),
    };
    let bytes = Cursor::new(answer.to_string().into_bytes());
    Ok(EventStream::new(Box::new(bytes), Wrapping::Bare, false))
}
