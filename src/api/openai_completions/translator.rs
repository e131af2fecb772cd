//! Google's events to `text_completion` objects, whole or in chunks.

use crate::api::Translator;
use crate::api::openai::{error, finish, usage::Usage};
use crate::error::ApiError;
use crate::gemini::surrogates::Joiner;
use crate::gemini::{Response, UsageMetadata};
use crate::sse;
use serde_json::{Value, json};

/// What every object of one answer repeats, and how it is sent.
#[derive(Clone, Debug)]
pub struct Frame {
    pub id: String,
    pub created: u64,
    /// As it was requested.
    pub model: String,
    pub streams: bool,
    /// A last chunk tells the token counts.
    pub with_usage: bool,
    /// Text to put before the answer.
    pub echo: Option<String>,
}

/// One attempt at an answer.
pub struct Completion {
    frame: Frame,
    text: String,
    joiner: Joiner,
    /// Whether any text of the answer came.
    any: bool,
    finish: Option<String>,
    blocked: bool,
    candidates: bool,
    usage: UsageMetadata,
}

impl Completion {
    /// For one attempt.
    pub fn new(frame: Frame) -> Completion {
        Completion {
            frame,
            text: String::new(),
            joiner: Joiner::default(),
            any: false,
            finish: None,
            blocked: false,
            candidates: false,
            usage: UsageMetadata::default(),
        }
    }

    fn object(&self, choices: Value) -> Value {
        json!({
            "id": self.frame.id,
            "object": "text_completion",
            "created": self.frame.created,
            "model": self.frame.model,
            "choices": choices,
        })
    }

    fn choice(text: &str, finish: Option<&str>) -> Value {
        json!([{"text": text, "index": 0, "logprobs": null, "finish_reason": finish}])
    }

    fn push(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        self.any = true;
        if !self.frame.streams {
            self.text.push_str(text);
            return;
        }
        match self.frame.echo.take() {
            Some(prompt) => self.chunk(&format!("{prompt}{text}"), None, out),
            None => self.chunk(text, None, out),
        }
    }

    fn chunk(&self, text: &str, finish: Option<&str>, out: &mut Vec<u8>) {
        let mut chunk = self.object(Completion::choice(text, finish));
        if self.frame.with_usage {
            chunk["usage"] = Value::Null;
        }
        sse::frame(&chunk.to_string(), out);
    }

    /// OpenAI's finish reason, or what is wrong with the answer.
    fn outcome(&self) -> Result<&'static str, ApiError> {
        match &self.finish {
            Some(word) if finish::is_malformed(word) && !self.any => {
                Err(ApiError::server(502, "malformed_response", "upstream: the answer was malformed"))
            }
            Some(word) => Ok(finish::reason(word)),
            None if self.blocked => Ok("content_filter"),
            None if !self.candidates => Err(ApiError::server(502, "empty_response", "upstream: the answer was empty")),
            None => Err(ApiError::server(502, "upstream_incomplete", "upstream: the answer broke off before its end")),
        }
    }
}

impl Translator for Completion {
    fn event(&mut self, _json: &str, event: &Response<'_>, out: &mut Vec<u8>) -> Result<(), ApiError> {
        if let Some(usage) = &event.usage_metadata {
            self.usage.merge(usage);
        }
        self.blocked |= event.prompt_feedback.as_ref().is_some_and(|feedback| feedback.block_reason.is_some());
        for candidate in event.candidates.iter().filter(|candidate| candidate.index.unwrap_or(0) == 0) {
            self.candidates = true;
            let parts = candidate.content.iter().flat_map(|content| &content.parts);
            let mut text = String::new();
            for part in parts.filter(|part| !part.thought) {
                text.push_str(&self.joiner.push(part.text.as_deref().unwrap_or("")));
            }
            self.push(&text, out);
            if let Some(word) = &candidate.finish_reason {
                self.finish = Some(word.to_string());
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let reason = self.outcome()?;
        let left = self.joiner.finish();
        self.push(left, out);
        if !self.frame.streams {
            let echo = self.frame.echo.as_deref().unwrap_or("");
            let mut whole = self.object(Completion::choice(&format!("{echo}{}", self.text), Some(reason)));
            whole["usage"] = json!(Usage::from(&self.usage));
            out.extend_from_slice(whole.to_string().as_bytes());
            return Ok(());
        }
        let rest = self.frame.echo.take().unwrap_or_default();
        self.chunk(&rest, Some(reason), out);
        if self.frame.with_usage {
            let mut last = self.object(json!([]));
            last["usage"] = json!(Usage::from(&self.usage));
            sse::frame(&last.to_string(), out);
        }
        out.extend_from_slice(sse::DONE.as_bytes());
        Ok(())
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        error::frame(error, out);
    }

    fn retryable(&self, error: &ApiError) -> bool {
        matches!(error.code(), Some("malformed_response" | "empty_response" | "upstream_incomplete"))
    }

    fn usage(&self) -> UsageMetadata {
        self.usage.clone()
    }
}
