//! Google's vectors to OpenAI's list of embeddings.

use super::Encoding;
use crate::api::{Translator, frame};
use crate::error::ApiError;
use crate::gemini::{Response, UsageMetadata};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Collects the vectors of one or several calls.
pub struct Answer {
    requested: String,
    encoding: Encoding,
    expected: usize,
    vectors: Vec<Vec<f32>>,
    usage: UsageMetadata,
}

/// `embedContent` and `batchEmbedContents` answer with one or the other.
#[derive(Deserialize)]
struct Vectors {
    embedding: Option<Vector>,
    #[serde(default)]
    embeddings: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    #[serde(default)]
    values: Vec<f32>,
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Item>,
    model: &'a str,
    usage: Usage,
}

#[derive(Serialize)]
struct Item {
    object: &'static str,
    index: usize,
    embedding: Written,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Written {
    Float(Vec<f32>),
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

impl Answer {
    /// For `expected` texts; the answer names the model as it was requested.
    pub fn new(requested: String, encoding: Encoding, expected: usize) -> Answer {
        Answer { requested, encoding, expected, vectors: Vec::new(), usage: UsageMetadata::default() }
    }

    fn written(&self, vector: Vec<f32>) -> Written {
        match self.encoding {
            Encoding::Float => Written::Float(vector),
            Encoding::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
                Written::Base64(STANDARD.encode(bytes))
            }
        }
    }
}

impl Translator for Answer {
    fn event(&mut self, json: &str, event: &Response<'_>, _out: &mut Vec<u8>) -> Result<(), ApiError> {
        let invalid = || ApiError::server(502, "upstream_invalid", "upstream: the answer holds no embeddings");
        let found: Vectors = serde_json::from_str(json).map_err(|_| invalid())?;
        for vector in found.embedding.into_iter().chain(found.embeddings) {
            if vector.values.is_empty() {
                return Err(invalid());
            }
            self.vectors.push(unit(vector.values));
        }
        if let Some(usage) = &event.usage_metadata {
            let prompt = self.usage.prompt_token_count.unwrap_or(0) + usage.prompt_token_count.unwrap_or(0);
            self.usage.prompt_token_count = Some(prompt);
            self.usage.total_token_count = Some(prompt);
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), ApiError> {
        if self.vectors.len() != self.expected {
            let message = format!("upstream: {} embeddings came for {} texts", self.vectors.len(), self.expected);
            return Err(ApiError::server(502, "upstream_invalid", message));
        }
        let vectors = std::mem::take(&mut self.vectors).into_iter().enumerate();
        let data = vectors.map(|(index, vector)| Item { object: "embedding", index, embedding: self.written(vector) });
        // Where Google does not say how many tokens it embedded, zero is honest: an estimate would look like a count, and
        // clients read `usage` unconditionally.
        let tokens = self.usage.prompt_token_count.unwrap_or(0);
        let list = List {
            object: "list",
            data: data.collect(),
            model: &self.requested,
            usage: Usage { prompt_tokens: tokens, total_tokens: tokens },
        };
        frame::document(&list, out);
        Ok(())
    }

    fn fail(&mut self, _error: &ApiError, _out: &mut Vec<u8>) {}

    fn retryable(&self, _error: &ApiError) -> bool {
        false
    }

    fn usage(&self) -> UsageMetadata {
        self.usage.clone()
    }
}

/// OpenAI's vectors have length 1, which clients rely on when they compare by dot product; Google's have it only at the
/// model's full number of dimensions.
fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 && (length - 1.0).abs() > 1e-6 {
        vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    }
    vector
}
