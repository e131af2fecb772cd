//! `predict` of an embedding model, as clients of Vertex AI ask for vectors: the same batch in other words.

use crate::api::Translator;
use crate::error::ApiError;
use crate::gemini::{Request, Response, UsageMetadata};
use serde_json::{Map, Value, json};

/// The batch that the instances are.
pub(super) fn batch(body: &Request) -> Request {
    let instances = body.other.get("instances").and_then(Value::as_array).cloned().unwrap_or_default();
    let parameters = body.other.get("parameters").and_then(Value::as_object).cloned().unwrap_or_default();
    let request = |instance: Value| {
        let mut request = Map::new();
        let text = instance.get("content").cloned().unwrap_or_default();
        request.insert("content".into(), json!({"parts": [{"text": text}]}));
        let own = [("task_type", "taskType"), ("taskType", "taskType"), ("title", "title")];
        let own = own.iter().filter_map(|(theirs, ours)| Some((*ours, instance.get(*theirs)?)));
        let shared = [("outputDimensionality", parameters.get("outputDimensionality"))];
        let shared = shared.into_iter().filter_map(|(name, value)| Some((name, value?)));
        request.extend(own.chain(shared).map(|(name, value)| (name.to_owned(), value.clone())));
        Value::Object(request)
    };
    let requests: Vec<Value> = instances.into_iter().map(request).collect();
    let mut batch = Request::default();
    batch.other.insert("requests".into(), requests.into());
    batch
}

/// Makes predictions of a batch of vectors.
#[derive(Default)]
pub(super) struct Predictions {
    document: Option<Value>,
}

impl Translator for Predictions {
    fn event(&mut self, json: &str, _: &Response<'_>, _: &mut Vec<u8>) -> Result<(), ApiError> {
        let answer: Value = serde_json::from_str(json).unwrap_or_default();
        let made = answer["embeddings"].as_array().into_iter().flatten();
        let prediction =
            |made: &Value| json!({"embeddings": {"values": made["values"], "statistics": {"truncated": false}}});
        self.document = Some(json!({"predictions": made.map(prediction).collect::<Vec<_>>()}));
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let Some(document) = self.document.take() else {
            return Err(ApiError::server(502, "empty_response", "upstream: the answer was empty"));
        };
        out.extend_from_slice(document.to_string().as_bytes());
        Ok(())
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        out.extend_from_slice(super::error_body(error).to_string().as_bytes());
    }

    fn retryable(&self, error: &ApiError) -> bool {
        error.code() == Some("empty_response")
    }

    fn usage(&self) -> UsageMetadata {
        UsageMetadata::default()
    }
}
